"""What the card of a result says, as plain text; `ppl.terminal` and `ppl.notebook` lay it out.

Both show the same things in the same order: who ran, the answers with their weights, the evidence with its error, the
effective sample size over the steps, what it cost, and what a reader should be warned of.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from ppl.diagnostics import common_ancestor
from ppl.errors import OptionError
from ppl.readings import cause
from ppl.registry import ENGINES, parse_engine
from ppl.results import Posterior, Result, SearchResult

SHOWN = 8  # answers on a card
LONG = 160  # characters of an answer on a card
LOW_ESS = 0.1  # of the particles
BAR = 16  # characters of a full bar
EIGHTHS = " ▏▎▍▌▋▊▉█"
LEVELS = "▁▂▃▄▅▆▇█"


class Row(NamedTuple):
    """One answer as text, and the weight of all traces that gave it."""

    text: str
    weight: float


def one_line(value: Any, width: int = 200) -> str:
    """A value on one line, cut to a width."""
    text = value if isinstance(value, str) else repr(value)
    text = text.strip("\n").replace("\n", " ⏎ ").replace("\t", " ").replace("\r", "")
    return text if len(text) <= width else text[: width - 1] + "…"


def engine_line(engine: str) -> str:
    """An engine as one would write it: without the options that have their default."""
    try:
        name, options = parse_engine(engine)
    except OptionError:
        return engine
    defaults = {o: spec.default for o, spec in ENGINES[name].options.items()}
    said = [f"{o}={v!r}" for o, v in options.items() if o not in defaults or defaults[o] != v]
    return f"{name}({', '.join(said)})"


def rows(result: Result) -> tuple[list[Row], int, float]:
    """The answers of most weight; how many more there are, and their weight together."""
    table = sorted(result.answers(), key=lambda pair: -pair[1])
    shown = [Row(one_line(value, LONG), weight) for value, weight in table[:SHOWN]]
    return shown, len(table) - len(shown), math.fsum(weight for _, weight in table[SHOWN:])


def facts(result: Result) -> list[tuple[str, str]]:
    """Evidence, effective sample size and cost, as label and text."""
    found = []
    if isinstance(result, Posterior) and result.no_evidence is None:
        found.append(("log evidence", _evidence(result)))
    if has_ess(result):
        found.append(("ESS", _ess(result)))
    if isinstance(result, SearchResult) and len(result) > 1:
        found.append(("shares", "the softmax of the ranks: no probabilities"))
    found.append(("cost", cost_line(result)))
    return found


def _evidence(posterior: Posterior) -> str:
    error = posterior.log_evidence_error
    if posterior.is_exact:
        return f"{posterior.log_evidence:.4f} (exact)"
    return f"{posterior.log_evidence:.4f}" + ("" if error is None else f" ± {error:.2g}")


def has_ess(result: Result) -> bool:
    """Whether its traces are a weighted sample, so that an effective sample size says something."""
    return isinstance(result, Posterior) and result.no_evidence is None and not result.enumerated and len(result) > 0


def _ess(result: Any) -> str:
    text = f"{result.ess:.1f} of {particles(result)}"
    if not result.ess_steps:
        return text
    steps = result.ess_steps
    count = f"{len(steps)} step{'' if len(steps) == 1 else 's'}"
    return f"{text} · over {count} {sparkline(steps, particles(result))} lowest {min(steps):.1f}"


def particles(result: Result) -> int:
    """Finished ones and those that died."""
    return len(result) + sum(result.reasons.values())


def sparkline(values: Sequence[float], top: float, width: int = 40) -> str:
    """A line of bars between 0 and `top`; of more values than fit, the lowest of each stretch."""
    if len(values) > width:
        edges = [round(i * len(values) / width) for i in range(width + 1)]
        values = [min(values[a:b]) for a, b in pairwise(edges)]
    return "".join(LEVELS[min(int(len(LEVELS) * v / top), len(LEVELS) - 1)] for v in values)


def bar(share: float, width: int = BAR) -> str:
    """A bar of eighths of a character; whatever is more than nothing shows."""
    eighths = round(share * width * 8)
    if share > 0.0:
        eighths = max(eighths, 1)
    return EIGHTHS[8] * (eighths // 8) + (EIGHTHS[eighths % 8] if eighths % 8 else "")


def cost_line(result: Result) -> str:
    """What was paid, in words; columns that are zero are left out."""
    cost = result.cost
    met = cost.shared_tokens + cost.forwarded_tokens
    parts = [
        (cost.generated_tokens, f"{cost.generated_tokens:,} tokens drawn"),
        (cost.scored_tokens, f"{cost.scored_tokens:,} scored"),
        (cost.reward_tokens, f"{cost.reward_tokens:,} read by the reward"),
        (cost.forwarded_tokens, f"{cost.forwarded_tokens:,} forwarded"),
        (cost.shared_tokens, f"{cost.shared_tokens / max(met, 1):.0%} shared"),
        (cost.model_calls, f"{cost.model_calls:,} model calls"),
        (cost.reward_calls, f"{cost.reward_calls:,} reward calls"),
        (not cost.model_calls, f"{cost.nodes:,} nodes"),
        (True, f"{cost.seconds:.2g} s" if cost.seconds < 10 else f"{cost.seconds:,.0f} s"),
    ]
    return " · ".join(text for amount, text in parts if amount)


def remarks(result: Result) -> list[str]:
    """The result's own warnings, those that its weights give reason for, and why executions died."""
    found = list(result.warnings)
    if has_ess(result) and isinstance(result, Posterior):
        n = particles(result)
        if n > 1 and result.ess < LOW_ESS * n:
            found.append(
                f"ESS is {result.ess / n:.0%} of the particles: few of them decide. Take more, or a heuristic that guides them"
            )
        origin = common_ancestor(result.finished) if result.ess_steps else None
        if origin is not None:
            found.append(
                f"all particles descend from one since {origin.address!r}: what came before it is one draw, not {len(result)}"
            )
    if not len(result):
        return found  # why there is none stands in the place of the answers
    return found + [f"{count} x {reason}" for reason, count in result.reasons.most_common(3)]


def chosen_by(result: Result) -> str:
    """Who chose the engine, as in "chosen by the call"."""
    source = result.engine_source
    return f"chosen by {source if source.startswith('--') else f'the {source}'}"


def title(result: Result) -> tuple[str, str]:
    """The program under its engine; then who chose that, the seed, and how many traces there are."""
    parts = [
        f"engine {chosen_by(result)}",
        f"seed {result.seed}",
        f"{len(result):,} trace{'' if len(result) == 1 else 's'}",
    ]
    if result.stopped:
        parts.append(f"stopped by {cause(result.stopped)}")
    return f"{result.program or 'result'} · {engine_line(result.engine)}", " · ".join(parts)

"""Results as people see them: a card in the terminal (rich) and in a notebook (HTML without scripts).

Both show the same things in the same order: who ran, the answers with their weights, the evidence with its error, the
effective sample size over the steps, what it cost, and what a reader should be warned of.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from itertools import pairwise
from typing import Any, NamedTuple

from ppl.diagnostics import common_ancestor
from ppl.errors import OptionError
from ppl.registry import ENGINES, parse_engine
from ppl.results import Posterior, Result, cause
from ppl.trace import Node, Trace, backwards

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


# -- what is shown -----------------------------------------------------------------------------------------------------


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
    table = sorted(result._table(result.values).values(), key=lambda pair: -pair[1])
    shown = [Row(one_line(value, LONG), weight) for value, weight in table[:SHOWN]]
    return shown, len(table) - len(shown), math.fsum(weight for _, weight in table[SHOWN:])


def facts(result: Result) -> list[tuple[str, str]]:
    """Evidence, effective sample size and cost, as label and text."""
    found = []
    if isinstance(result, Posterior) and result._no_evidence is None:
        found.append(("log evidence", _evidence(result)))
    if _has_ess(result):
        found.append(("ESS", _ess(result)))
    found.append(("cost", cost_line(result)))
    return found


def _evidence(posterior: Posterior) -> str:
    error = posterior.log_evidence_error
    if posterior.is_exact:
        return f"{posterior.log_evidence:.4f} (exact)"
    return f"{posterior.log_evidence:.4f}" + ("" if error is None else f" ± {error:.2g}")


def _has_ess(result: Result) -> bool:
    return isinstance(result, Posterior) and result._no_evidence is None and not result.enumerated and len(result) > 0


def _ess(result: Any) -> str:
    text = f"{result.ess:.1f} of {_particles(result)}"
    if not result.ess_steps:
        return text
    steps = result.ess_steps
    return f"{text} · over {len(steps)} steps {sparkline(steps, _particles(result))} lowest {min(steps):.1f}"


def _particles(result: Result) -> int:
    """Finished ones and those that died."""
    return len(result) + sum(result.reasons.values())


def sparkline(values: Sequence[float], top: float, width: int = 40) -> str:
    """A line of bars between 0 and `top`; of more values than fit, the lowest of each stretch."""
    if len(values) > width:
        edges = [round(i * len(values) / width) for i in range(width + 1)]
        values = [min(values[a:b]) for a, b in pairwise(edges)]
    return "".join(LEVELS[min(int(len(LEVELS) * v / top), len(LEVELS) - 1)] for v in values)


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
    if _has_ess(result) and isinstance(result, Posterior):
        n = _particles(result)
        if n > 1 and result.ess < LOW_ESS * n:
            found.append(
                f"ESS is {result.ess / n:.0%} of the particles: few of them decide. Take more, or a heuristic that guides them"
            )
        origin = common_ancestor(result._finished) if result.ess_steps else None
        if origin is not None:
            found.append(
                f"all particles descend from one since {origin.address!r}: what came before it is one draw, not {len(result)}"
            )
    return found + [f"{count} x {reason}" for reason, count in result.reasons.most_common(3)]


def title(result: Result) -> tuple[str, str]:
    """The program under its engine; then who chose that, the seed, and how many traces there are."""
    source = {"call": "the call", "decorator": "the decorator", "infer line": "the infer line"}
    parts = [
        f"engine chosen by {source.get(result.engine_source, result.engine_source)}",
        f"seed {result.seed}",
        f"{len(result):,} trace{'' if len(result) == 1 else 's'}",
    ]
    if result.stopped:
        parts.append(f"stopped by {cause(result.stopped)}")
    return f"{result.program or 'result'} · {engine_line(result.engine)}", " · ".join(parts)


# -- in a terminal -----------------------------------------------------------------------------------------------------


def bar(share: float, width: int = BAR) -> str:
    """A bar of eighths of a character; whatever is more than nothing shows."""
    eighths = round(share * width * 8)
    if share > 0.0:
        eighths = max(eighths, 1)
    return EIGHTHS[8] * (eighths // 8) + (EIGHTHS[eighths % 8] if eighths % 8 else "")


def card(result: Result) -> Any:
    """The terminal card."""
    from rich.console import Group
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    heading, details_line = title(result)
    answers = Table.grid(padding=(0, 2))
    answers.add_column(justify="right", no_wrap=True, min_width=6)
    answers.add_column(no_wrap=True)
    answers.add_column(overflow="fold")
    shown, more, rest = rows(result)
    for i, row in enumerate(shown):
        answers.add_row(
            f"{row.weight:.4f}",
            Text(bar(row.weight), style="cyan" if i else "bold cyan"),
            Text(row.text, style="" if i else "bold"),
        )
    if more:
        answers.add_row(
            Text(f"{rest:.4f}", style="dim"), Text(bar(rest), style="dim"), Text(f"{more:,} more", style="dim")
        )
    if not shown:
        answers.add_row("", "", Text(result._emptiness(), style="red"))
    details = Table.grid(padding=(0, 2))
    details.add_column(style="dim", no_wrap=True)
    details.add_column(overflow="fold")
    for label, text in facts(result):
        details.add_row(label, Text(text))
    notes = [Text(f"⚠ {note}", style="yellow") for note in remarks(result)]
    body = Group(Text(details_line, style="dim"), "", answers, "", details, *notes)
    return Panel(
        body, title=Text(heading, style="bold"), title_align="left", expand=False, padding=(0, 1), border_style="dim"
    )


def print_sites(result: Result, trace: Trace) -> None:
    """The table of a trace's effects."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=f"{one_line(trace.value, 60)}  ({trace.status})",
        title_justify="left",
        box=None,
        header_style="bold",
        padding=(0, 2, 0, 0),
    )
    for column, justify in (
        ("address", "left"),
        ("value", "left"),
        ("log p", "right"),
        ("weight", "right"),
        ("parent", "left"),
        ("shared", "right"),
    ):
        table.add_column(column, justify=justify, overflow="ellipsis")  # type: ignore[arg-type]
    crowd: dict[Node, int] = {}
    for other in result.traces:
        for node in backwards(other.leaf):
            crowd[node] = crowd.get(node, 0) + 1
    parent = ""
    for node in trace.nodes:
        if node.kind in ("sample", "observe", "score", "heuristic", "record"):
            log_prob = f"{node.log_prob:.4f}" if node.kind in ("sample", "observe") and node.known else ""
            weight = f"{node.log_weight:+.4f}" if node.log_weight else ""
            style = {"sample": "", "record": "dim"}.get(node.kind, "cyan")
            shared = str(crowd[node]) if crowd.get(node, 0) > 1 else ""
            table.add_row(
                Text(_address(node), style), Text(_shown(node), style), log_prob, weight, Text(parent, "dim"), shared
            )
        if node.kind == "sample":
            parent = node.address
    table.add_section()
    table.add_row("total", "", f"{trace.log_prob:.4f}", f"{trace.log_total:+.4f}", "", "")
    Console().print(table)


def _address(node: Node) -> str:
    return (
        node.address
        if node.kind == "sample"
        else f"{node.kind} {node.address}"
        if node.address != node.kind
        else node.kind
    )


def _shown(node: Node) -> str:
    if node.value is None or node.kind == "score":
        return ""
    return f"{node.value:.4f}" if isinstance(node.value, float) else one_line(node.value, 48)


# -- in a notebook -----------------------------------------------------------------------------------------------------

_CSS = """
.scale-card{font:13px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif;color:#1f2933;background:#fff;border:1px solid #d9dee5;
border-radius:10px;padding:14px 18px;max-width:860px;margin:4px 0}
.scale-card .h{font-size:15px;font-weight:650}.scale-card .d{color:#6b7785}.scale-card .g{display:grid;gap:3px 14px;align-items:center}
.scale-card .a{grid-template-columns:auto 180px minmax(0,1fr);margin:12px 0}.scale-card .f{grid-template-columns:auto minmax(0,1fr)}
.scale-card .n{font-variant-numeric:tabular-nums;text-align:right}.scale-card .b{height:9px;border-radius:5px;background:#e9edf2;overflow:hidden}
.scale-card .b i{display:block;height:100%;border-radius:5px;background:#0e8a9b}.scale-card code{font:12px/1.5 ui-monospace,Menlo,Consolas,monospace;
background:none;color:inherit;white-space:pre;overflow:hidden;text-overflow:ellipsis}.scale-card .top code{font-weight:650}
.scale-card .w{color:#9a5b00;background:#fff6e5;border-radius:6px;padding:3px 9px;margin-top:6px}
.scale-card svg{vertical-align:middle}
@media(prefers-color-scheme:dark){.scale-card{color:#dde3ea;background:#161b22;border-color:#303842}.scale-card .d{color:#8f9baa}
.scale-card .b{background:#2a323c}.scale-card .b i{background:#3fc1d0}.scale-card .w{color:#f2c26b;background:#33280f}}
"""


def html(result: Result) -> str:
    """The notebook card: markup and styles only, nothing to run and nothing to fetch."""
    heading, details_line = title(result)
    shown, more, rest = rows(result)
    answers = "".join(_html_row(row.text, row.weight, "top" if i == 0 else "") for i, row in enumerate(shown))
    if more:
        answers += _html_row(f"{more:,} more", rest, "d")
    if not shown:
        answers = f"<span></span><span></span><span>{escape(result._emptiness())}</span>"
    details = "".join(
        f"<span class=d>{label}</span><span>{_html_fact(result, label, text)}</span>" for label, text in facts(result)
    )
    notes = "".join(f"<div class=w>{escape(note)}</div>" for note in remarks(result))
    return (
        f"<div class=scale-card><style>{_CSS}</style><div class=h>{escape(heading)}</div><div class=d>{escape(details_line)}</div>"
        f"<div class='g a'>{answers}</div><div class='g f'>{details}</div>{notes}</div>"
    )


def _html_fact(result: Result, label: str, text: str) -> str:
    if label == "ESS" and isinstance(result, Posterior):
        return f"{result.ess:.1f} of {_particles(result)} {_chart(result)}"
    return escape(text)


def _html_row(text: str, weight: float, style: str) -> str:
    cells = f"<span class=n>{weight:.4f}</span><span class=b><i style='width:{100 * weight:.1f}%'></i></span><code>{escape(text)}</code>"
    return f"<div class='{style}' style='display:contents'>{cells}</div>"


def _chart(result: Posterior) -> str:
    """The effective sample size over the steps, as a drawing of bars."""
    steps, top = result.ess_steps, _particles(result)
    if not steps:
        return ""
    width = max(2.0, min(9.0, 240 / len(steps)))
    bars = "".join(
        f"<rect x='{i * width:.1f}' y='{22 - 22 * v / top:.1f}' width='{width - 1:.1f}' height='{22 * v / top:.1f}' rx=1 fill='#0e8a9b'/>"
        for i, v in enumerate(steps)
    )
    size = len(steps) * width
    return f"<svg width='{size:.0f}' height=22 role=img aria-label='effective sample size at each step'>{bars}</svg> <span class=d>lowest {min(steps):.1f} over {len(steps)} steps</span>"

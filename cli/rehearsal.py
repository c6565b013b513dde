"""`scale run --dry-run`: what a run would ask, counted on stand-ins for its models before anything is paid.

A stand-in writes as long as it is allowed to: a draw uses its `max_tokens` and then completes its stop, so programs
that loop over steps make them all. Counts are therefore those of a long run, not of a typical one; but what is written
means nothing, so a program that asks more, or less, by what it reads is followed on one way only, and a run that fails
on it ends there. A token is taken to be four characters of text; chat templates and judges' own prompts are not counted.
Tables, scripted models and models that a program builds itself, without `load`, run as they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from rich.console import Console
from rich.table import Table

from backends.distributions import TextDistribution, TokenDistribution
from backends.language_model import Draft, LanguageModel, Settings
from backends.rewards import RewardModel, in_context
from backends.text import Context, Text, Tokens, Turn
from ppl import Result, Reward
from ppl.requests import Draw, NextToken, Request, ScoreText

TOKEN = 4  # characters
ALPHABET = 32  # tokens in a stand-in's next-token table
ROWS = (
    ("model calls", "model_calls"),
    ("tokens generated", "generated_tokens"),
    ("tokens of prompts", "prompt_tokens"),
    ("tokens scored", "scored_tokens"),
    ("reward calls", "reward_calls"),
    ("reward tokens", "reward_tokens"),
    ("tokens forwarded, all prefixes shared", "forwarded_tokens"),
)


class StandInModel(LanguageModel):
    """Writes numbers until it must stop. It keeps the tree of what it has read, to tell shared tokens from new ones."""

    capabilities = frozenset({"draw", "score", "next_token", "hidden_states", "grammar"})
    vocabulary = "stand-in"
    end_text = ""
    window = 32_768

    def __init__(self, name: str) -> None:
        self.name = name
        self._tree: dict[Any, Any] = {}

    def __call__(self, context: Any, **options: Any) -> TextDistribution:
        """Grammars and guides are not kept to: they change which tokens come, not how many are asked for."""
        held = ("grammar", "mode", "truncated", "guide")
        return super().__call__(context, **{k: v for k, v in options.items() if k not in held})

    def token(self, context: Any, **options: Any) -> TokenDistribution:
        held = ("grammar", "mode", "among", "guide")
        return super().token(context, **{k: v for k, v in options.items() if k not in held})

    def encode(self, text: str) -> Tokens:
        return tuple(text[i : i + TOKEN] for i in range(0, len(text), TOKEN))

    def decode(self, tokens: Sequence[Any]) -> str:
        return "".join(tokens)

    def render(self, turns: tuple[Turn, ...]) -> Tokens:
        return tuple(t for role, pieces in turns for t in (f"<{role}>", *self.encode("".join(pieces)), "</>"))

    def token_values(self, answer: list[str], mask: Any = None) -> list[tuple[Text, float]]:
        return [(Text(token, (token,), None, self), -math.log(len(answer))) for token in answer]

    def step(self, rows: Sequence[Request]) -> None:
        for row in rows:
            row.cost.charge(forwards=1)
            if isinstance(row, Draw):
                self._read(row)
                self._write(row)
            elif isinstance(row, ScoreText):
                tokens, closed = row.value
                row.cost.charge(scored_tokens=len(tokens) + closed if row.column == "model_calls" else 0)
                self._read(row, tokens)
                row.complete(-2.0 * (len(tokens) + closed))
            elif isinstance(row, NextToken):
                self._read(row)
                row.complete([f" {i:03d}" for i in range(ALPHABET)])

    def _read(self, row: Any, beyond: Tokens = ()) -> None:
        self.charge_context(row)
        path = (*row.context.tokens, *beyond)
        new = self._compute(path)
        row.cost.charge(forwarded_tokens=new, shared_tokens=len(path) - new)

    def _compute(self, path: Sequence[Any]) -> int:
        """Walk the tree along a path; how many of its tokens were not there yet."""
        new, place = 0, self._tree
        for token in path:
            new += token not in place
            place = place.setdefault(token, {})
        return new

    def _write(self, row: Draw) -> None:
        draft = Draft(row)
        for uniform in row.uniforms[:-1]:
            draft.push(f" {int(uniform * 1000):03d}", -math.log(1000.0))
            if row.done:
                break
        if not row.done and (row.settings.stop or row.max_tokens == 1):
            draft.push(row.settings.stop[0] if row.settings.stop else f" {int(row.uniforms[-1] * 1000):03d}", 0.0)
        elif not row.done:
            draft.end(0.0)
        row.cost.charge(forwarded_tokens=self._compute((*row.context.tokens, *draft.tokens[:-1])))


class Rated(ScoreText):
    """One reading of a text by a stand-in reward."""

    column = "reward_calls"


class StandInReward(RewardModel):
    """Rates a text by its hash, between .05 and .95, and is charged for reading it."""

    def __init__(self, name: str) -> None:
        self.name, self.model = name, StandInModel(name)

    def judge(self, question: str | None, answer: str | Context) -> Any:
        context = in_context(self.model, question, str(answer) if isinstance(answer, str) else answer)
        digest = blake2b(self.model.read(context).encode("utf-8", "replace"), digest_size=4).digest()
        reward = Reward(0.05 + 0.9 * int.from_bytes(digest, "big") / 2**32)
        request = Rated(
            backend=self.model, key=(self.name, context.key), context=context, settings=Settings(), value=((), False)
        )
        return [request], lambda _: reward


@lru_cache(maxsize=64)
def stand_in(spec: str) -> Any:
    """What `load(spec)` gives in a dry run."""
    return StandInReward(spec) if spec.startswith("reward:") else StandInModel(spec)


def estimate(results: Sequence[Any]) -> dict[str, Any]:
    """The ledger of a dry run, summed over its problems."""
    costs = [result.cost for result in results if isinstance(result, Result)]
    total = {column: sum(getattr(cost, column) for cost in costs) for _, column in ROWS}
    return {"dry_run": True, "problems": len(results), **total}


def show_estimate(results: Sequence[Any]) -> None:
    """Print it, with what makes it untrustworthy."""
    counted, problems = estimate(results), len(results)
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("")
    table.add_column("a problem" if problems > 1 else "this run", justify="right")
    if problems > 1:
        table.add_column(f"{problems} problems", justify="right")
    for label, column in ROWS:
        if counted[column]:
            shares = [counted[column] / problems, counted[column]] if problems > 1 else [counted[column]]
            table.add_row(label, *(f"{share:,.0f}" for share in shares))
    console = Console()
    console.print(
        "[bold]dry run[/]: an estimate, on stand-ins that write numbers as long as they may; nothing was paid. What a program"
        " asks by what it reads, chat templates and judges' own prompts may come on top.",
        highlight=False,
    )
    if table.row_count:
        console.print(table)
    else:
        console.print("no model was asked")
    for note in _notes(results):
        console.print(note, style="yellow", markup=False)


def _notes(results: Sequence[Any]) -> list[str]:
    """Why the counts may be too low."""
    notes = []
    for result in results:
        if not isinstance(result, Result):
            return ["the program has no engine: one forward run keeps no ledger. Name one with --engine."]
        notes += [f"{count} runs ended early: {reason}" for reason, count in result.reasons.most_common(2)]
        if result.stopped:
            notes.append(f"stopped by the limit on {result.stopped}: without it the run would cost more")
    return list(dict.fromkeys(notes))[:4]

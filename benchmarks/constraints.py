"""What holding SmolLM2 to a grammar costs, and what it is worth.

    python -m benchmarks.constraints

Cost: tokens a second of CPU time with a grammar, as a share of those without one, in alternating rounds of one process;
and the time of one row's mask in its three parts. Worth: effective samples per 1000 drawn tokens, of masked draws with
their weights against rejection, which draws freely and keeps what belongs to the grammar.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from backends import Grammar, json_schema, load, regex
from backends.masks import GrammarMask
from backends.next_tokens import NextTokens
from backends.sampling import held
from backends.settings import Settings
from inference import importance
from ppl import model, sample

SHOTS = """Text: Tom was 41 when he moved to Leeds.
JSON: {"name": "Tom", "age": 41}

Text: Maria turned 31 last week.
JSON:"""
PERSON = json_schema({
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 16}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
    "x-guidance": {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "},
})  # fmt: skip
TASKS: dict[str, tuple[str, Grammar, dict[str, Any]]] = {
    "a record in JSON": (SHOTS, PERSON, {"stop": "\n", "include_stop": False, "max_tokens": 24}),
    "a year": ("The first moon landing was in", regex(r" (19|20)[0-9]{2}\."), {"stop": ".", "max_tokens": 8}),
    "words of at most five letters": (
        "My favorite physicist is probably", regex(r"( [A-Za-z']{1,5}(,|;)?)+\."), {"stop": ".", "max_tokens": 24},
    ),
}  # fmt: skip
ANY = regex(r"(?s:.*)")
ROUNDS, ROWS = 5, 16


@model
def one(lm: Any, context: str, options: dict[str, Any]) -> str:
    return str(sample("text", lm(context, **options)))


def cost(lm: Any) -> None:
    """Tokens a second, with grammars against without, at equal batches."""
    plain = {"max_tokens": 24}
    cases = {
        "any text": {"grammar": ANY, **plain},
        "a record in JSON": {"grammar": PERSON, "truncated": "keep", **plain},
    }
    for options in cases.values():
        rate(lm, options, 0)
    print(
        f"tokens a second of CPU time, {ROWS} rows, as a share of the same without a grammar (median of {ROUNDS} rounds)"
    )
    for name, options in cases.items():
        shares = [rate(lm, options, seed) / rate(lm, plain, seed) for seed in range(1, ROUNDS + 1)]
        print(f"  {name:32} {statistics.median(shares):.2f}")


def rate(lm: Any, options: dict[str, Any], seed: int) -> float:
    lm.forget()
    start = time.process_time()
    result = one.run(lm, SHOTS, options, engine=importance(ROWS), seed=seed)
    return result.cost.generated_tokens / (time.process_time() - start)


def mask(lm: Any) -> None:
    """The time of one row of 49,152 entries: its bits, what they become, and what they leave of the row."""
    logits = torch.randn(ROWS, 49_152, generator=torch.Generator().manual_seed(0)) * 3
    masks = [GrammarMask(lm.lexicon, lm.lexicon.matcher(PERSON, ())) for _ in range(ROWS)]
    bias = held(masks, lm.tokenizer.ends, logits)
    tokens = NextTokens(logits, Settings())
    parts: dict[str, Callable[[], Any]] = {
        "unpacking the bits": lambda: held(masks, lm.tokenizer.ends, logits),
        "masking and renormalising": lambda: tokens.within(range(ROWS), bias),
    }
    print("milliseconds of CPU time a row")
    print(f"  {'the bits, along a record':32} {statistics.mean(bits(lm)):.3f}")
    for name, part in parts.items():
        times = []
        for _ in range(30):
            start = time.process_time()
            part()
            times.append((time.process_time() - start) / ROWS)
        print(f"  {name:32} {1e3 * statistics.median(times):.3f}")


def bits(lm: Any) -> list[float]:
    """Milliseconds of every mask along a record, after a first reading that fills the engine's tables."""
    for _ in range(2):
        state, times = GrammarMask(lm.lexicon, lm.lexicon.matcher(PERSON, ())), []
        for token in lm.encode('{"name": "Maria", "age": 31}'):
            start = time.process_time()
            assert state.allows(token)
            times.append(1e3 * (time.process_time() - start))
            state.push(token)
    return times


def worth(lm: Any, particles: int = 64) -> None:
    print("effective samples per 1000 tokens drawn        P(in the grammar)   mask + weights   rejection")
    for name, (context, grammar, options) in TASKS.items():
        held_to = one.run(lm, context, {**options, "grammar": grammar}, engine=importance(particles), seed=1)
        free = one.run(lm, context, options, engine=importance(particles), seed=1)
        kept = sum(text in grammar for text in free.values)
        ours = 1000 * held_to.ess / held_to.cost.generated_tokens
        theirs = 1000 * kept / free.cost.generated_tokens
        evidence = float(torch.tensor(held_to.log_evidence).exp())
        print(f"  {name:44} {evidence:17.2g} {ours:16.1f} {theirs:11.1f}  ({kept} of {particles} kept)")


if __name__ == "__main__":
    torch.set_num_threads(1)
    smollm2 = load("smollm2")
    cost(smollm2)
    mask(smollm2)
    worth(smollm2)

"""Laws of language-model backends: whatever a fast one shares, keeps or evicts, it answers like a plain one.

A backend is compared with a reference that computes every request alone, from nothing. Only the requests' public
answers are compared, so the law holds for any two backends over the same weights and vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ppl.requests import Plan, serve


def answers(plans: Sequence[Plan[Any]]) -> list[Any]:
    """Serve the plans in one batch; rows join and leave as they finish."""
    serve([request for plan in plans for request in plan.requests])
    return [plan.conclude() for plan in plans]


def check_same_answers(
    model: Any, reference: Any, contexts: Iterable[Any], texts: Sequence[str] = (), *, seed: int = 0, max_tokens: int = 6,
    tolerance: float = 1e-4, **settings: Any,
) -> None:  # fmt: skip
    """The batch of all these draws, scores and token tables equals each asked alone of the reference.

    Log-probs agree within `tolerance` per token. The same uniforms give the same text, except where a uniform lies
    within the tolerance of a boundary: then the text up to there is the same and the densities agree.
    """
    contexts = list(contexts)
    draws = [
        model(c, max_tokens=max_tokens, **settings).draw(np.random.default_rng((seed, i)))
        for i, c in enumerate(contexts)
    ]
    scores = [(c, t, model(c, max_tokens=max_tokens, prefix=True).assess(t)) for c in contexts for t in texts]
    tables = [model.token(c).table() for c in contexts]
    found = answers([*draws, *(plan for _, _, plan in scores), *tables])
    for i, (context, drawn) in enumerate(zip(contexts, found, strict=False)):
        dist = reference(context, max_tokens=max_tokens, **settings)
        expected = dist.sample(np.random.default_rng((seed, i)))
        same = [a == b for a, b in zip(drawn.value.tokens, expected.tokens, strict=False)]
        if all(same) and len(drawn.value.tokens) == len(expected.tokens):
            again = dist.log_prob(expected)
            assert abs(drawn.log_prob - again) <= tolerance * (len(same) + 1), f"draw {i}: {drawn.log_prob} and {again}"
        else:
            _check_boundary(reference, context, drawn.value, settings, seed, i, max_tokens, tolerance)
    for (context, text, _), log_prob in zip(scores, found[len(draws) :], strict=False):
        expected = reference(context, max_tokens=max_tokens, prefix=True).log_prob(text)
        assert log_prob == expected or abs(log_prob - expected) <= tolerance * (len(text) + 1), (
            f"{text!r}: {log_prob} and {expected}"
        )
    for context, table in zip(contexts, found[len(draws) + len(scores) :], strict=True):
        _check_tables(table, answers([reference.token(context).table()])[0], tolerance)


def _check_tables(found: list[tuple[Any, float]], expected: list[tuple[Any, float]], tolerance: float) -> None:
    assert [token for token, _ in found] == [token for token, _ in expected]
    worst = max(abs(a - b) for (_, a), (_, b) in zip(found, expected, strict=True))
    assert worst <= tolerance, f"next-token log-probs differ by {worst}"
    assert abs(math.fsum(math.exp(lp) for _, lp in found) - 1.0) < 1e-3


def _check_boundary(
    reference: Any,
    context: Any,
    text: Any,
    settings: dict[str, Any],
    seed: int,
    i: int,
    max_tokens: int,
    tolerance: float,
) -> None:
    """Another text may be drawn only where the uniform lies next to a boundary of the running sum."""
    uniforms = np.random.default_rng((seed, i)).random(max_tokens)
    expected = reference(context, max_tokens=max_tokens, **settings).sample(np.random.default_rng((seed, i)))
    k = next((j for j, (a, b) in enumerate(zip(text.tokens, expected.tokens, strict=False)) if a != b), None)
    k = min(len(text.tokens), len(expected.tokens)) if k is None else k
    before = reference.context(context)
    for token in expected.tokens[:k]:
        before = before + type(expected)(reference.decode([token]), (token,), None, reference)
    log_p = np.exp([lp for _, lp in answers([reference.token(before, **settings).table()])[0]])
    gap = np.abs(np.cumsum(np.sort(log_p)) - uniforms[k]).min()
    assert gap < 100 * tolerance, f"draw {i} differs at token {k}, and its uniform is {gap} from any boundary"

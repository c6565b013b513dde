"""Distributions over symbols as dicts, symbol -> probability: checked, warped, and as a guide would propose from them."""

from __future__ import annotations

import math
from collections.abc import Mapping

from backends.settings import Guide, Settings
from backends.text import Text
from ppl.errors import UsageError

NEG_INF = -math.inf
Row = dict[str, float]  # symbol -> probability, in the order of the table


def guided(guide: Guide, text: Text, q: Row) -> Row:
    """The row that a guide proposes from. UsageError unless it keeps every symbol that may come."""
    given = guide(text, {symbol: math.log(p) for symbol, p in q.items()})
    if not isinstance(given, Mapping) or not all(-math.inf < given.get(symbol, NEG_INF) < math.inf for symbol in q):
        raise UsageError(
            f"guide= returned {given!r} after {str(text)!r}: expected a dict with a finite log-weight for each of"
            f" {list(q)}. What should not be said at all is ruled out by grammar= or among=."
        )
    top = max(given[symbol] for symbol in q)
    return normalised({symbol: math.exp(given[symbol] - top) for symbol in q})


def warp(row: Row, settings: Settings) -> Row:
    """A row under temperature, then top-k, then top-p, renormalised. Equal probabilities: the earlier symbol first."""
    if settings.warp == Settings().warp:
        return row
    ranked = sorted((symbol for symbol, p in row.items() if p > 0.0), key=lambda symbol: -row[symbol])
    if settings.temperature == 0.0:
        return {ranked[0]: 1.0}
    top = row[ranked[0]]
    tempered = {symbol: (row[symbol] / top) ** (1.0 / settings.temperature) for symbol in ranked[: settings.top_k]}
    kept, mass = normalised(tempered), 0.0
    nucleus = set()
    for symbol, p in kept.items():
        nucleus.add(symbol)
        mass += p
        if settings.top_p < 1.0 and mass >= settings.top_p - 1e-12:  # sums such as .1 + .2 must reach .3
            break
    return normalised({symbol: kept[symbol] for symbol in row if symbol in nucleus})


def normalised(weights: Mapping[str, float]) -> Row:
    """The same in proportion, with sum 1."""
    total = math.fsum(weights.values())
    return {symbol: w / total for symbol, w in weights.items()}


def checked(after: str, weights: Mapping[str, float]) -> Row:
    """A row of the table, checked and normalised."""
    if len(after) > 1:
        raise UsageError(f"TableLM: the row {after!r} should be keyed by one symbol, or '' for the first.")
    if not isinstance(weights, Mapping) or not weights:
        raise UsageError(f"TableLM: the row after {after!r} should be a dict symbol -> probability; found {weights!r}.")
    for symbol, p in weights.items():
        if not isinstance(symbol, str) or len(symbol) != 1:
            raise UsageError(f"TableLM: the row after {after!r} names {symbol!r}, which is not one symbol.")
        if not 0.0 <= p < math.inf:
            raise UsageError(
                f"TableLM: the row after {after!r} gives {symbol!r} the weight {p}; expected a number >= 0."
            )
    if not any(weights.values()):
        raise UsageError(f"TableLM: the row after {after!r} has no symbol of positive weight.")
    return normalised({symbol: float(p) for symbol, p in weights.items()})

"""`TableLM`: a language model that is a table, so that everything about it is known exactly.

Its tokens are one-character symbols and its context is the last of them (a bigram model). It steps one token per
forward pass, takes limits and charges its ledger like any other model; the laws of the project run on it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from backends.drafts import Draft, charge_once
from backends.language_model import LanguageModel
from backends.masks import Lexicon, Mask
from backends.matcher import tokenizer_of
from backends.settings import Settings
from backends.table_rows import Row, checked, guided, normalised, warp
from backends.text import Context, Text, Tokens, Turn
from ppl.errors import BackendError, UsageError
from ppl.finite import inverse_cdf
from ppl.requests import Draw, NextToken, Request, ScoreText

NEG_INF = -math.inf


class TableLM(LanguageModel):
    """rows[""] is the distribution of the first symbol, rows[c] of the one after symbol c; `end` closes a text.

    Weights must be >= 0 and are normalised. A context is a str or a chat (the texts of all turns, no markup); only its
    last symbol matters. UsageError for keys that are not one symbol; BackendError at the call from which a symbol can
    be reached that has no row.
    """

    name = "table"
    capabilities = frozenset({"draw", "score", "next_token", "grammar"})
    vocabulary = "one-character symbols"
    window = 4096

    def __init__(self, rows: Mapping[str, Mapping[str, float]], end: str = "$") -> None:
        if not isinstance(end, str) or len(end) != 1:
            raise UsageError(f"TableLM: end={end!r} must be one symbol.")
        self.end_text = end
        self.rows = {after: checked(after, weights) for after, weights in rows.items()}
        self._warped: dict[tuple[str, Any], Row] = {}

    def encode(self, text: str) -> Tokens:
        return tuple(text)

    def decode(self, tokens: Sequence[Any]) -> str:
        return "".join(tokens)

    def render(self, turns: tuple[Turn, ...]) -> Tokens:
        return tuple(symbol for _, pieces in turns for piece in pieces for symbol in self.tokens_of(piece))

    def make_lexicon(self) -> Lexicon:
        symbols = sorted({symbol for row in self.rows.values() for symbol in row} - {self.end_text})
        ids, ends = {symbol: i for i, symbol in enumerate([*symbols, self.end_text])}, [len(symbols)]

        def encode(text: str) -> list[int]:
            return [ids.get(symbol, -1) for symbol in text]

        return Lexicon(
            tokenizer_of([s.encode() for s in ids], ends, lambda text: encode(text.decode())),
            encode,
            lambda s: ids.get(s, -1),
            ends,
        )

    def token_values(self, answer: Row, mask: Mask | None = None) -> list[tuple[Text, float]]:
        values = []
        for symbol, p in self._allowed(answer, mask).items():
            ended = symbol == self.end_text
            text = Text(symbol, () if ended else (symbol,), "end" if ended else None, self)
            values.append((text, math.log(p) if p > 0.0 else NEG_INF))
        return values

    def _allowed(self, row: Row, mask: Mask | None) -> Row:
        """The part of a row that a mask leaves; not normalised."""
        if mask is None:
            return row
        return {s: p for s, p in row.items() if (mask.ends if s == self.end_text else mask.allows(s))}

    # -- rows -------------------------------------------------------------------------------------------------------

    def row(self, tokens: Sequence[str], settings: Settings) -> Row:
        """The next symbol's distribution after a path, warped. BackendError if there is none."""
        after = tokens[-1] if tokens else ""
        row = self._warped.get((after, settings.warp))
        if row is None:
            if after not in self.rows:
                raise BackendError(_no_row(after, "", self.end_text))
            row = self._warped[after, settings.warp] = warp(self.rows[after], settings)
        return row

    def check_reachable(self, context: Context, settings: Settings, length: int) -> None:
        """BackendError if a symbol without a row can be reached before the text is `length` symbols long."""
        seen = {context.tokens[-1] if context.tokens else ""}
        frontier = seen
        enders = {stop[-1] for stop in settings.stop} | {self.end_text}
        for _ in range(length - 1):
            reached = {s for after in frontier for s, p in self.row(after, settings).items() if p > 0.0} - enders - seen
            for symbol in sorted(reached):
                if symbol not in self.rows:
                    raise BackendError(_no_row(symbol, " and can be reached from here", self.end_text))
            if not reached:
                return
            frontier = reached
            seen = seen | reached

    # -- answering --------------------------------------------------------------------------------------------------

    def step(self, rows: Sequence[Request]) -> None:
        charge_once(rows, forwards=1)
        for row in rows:
            try:
                self._answer(row)
            except Exception as error:  # of the table, or of a guide
                row.fail(error)

    def _answer(self, row: Request) -> None:
        if isinstance(row, Draw):
            self._draw_symbol(row)
        elif isinstance(row, ScoreText):
            row.complete(self._score(row))
        elif isinstance(row, NextToken):
            self._begin(row)
            mask = row.settings.constraint.begin(self, row.settings) if row.settings.biased else None
            row.complete(self._law(row.context.tokens, row.settings, mask))
        else:
            raise BackendError(f"a table cannot answer {type(row).__name__}.")

    def _draw_symbol(self, row: Draw) -> None:
        if row.state is None:
            self.check_reachable(row.context, row.settings, row.max_tokens)
            self._begin(row)
            row.state = Draft(row)
        else:
            row.cost.charge(forwarded_tokens=1)
        draft: Draft = row.state
        settings: Settings = row.settings
        p = self._law(draft.tokens or row.context.tokens, settings, draft.mask if settings.biased else None)
        q = self._proposal(draft, p)
        if not q:
            draft.stick()
            return
        symbol = list(q)[inverse_cdf(list(q.values()), draft.uniform)]
        if symbol == self.end_text:
            draft.end(math.log(p[symbol]), math.log(q[symbol]))
        else:
            draft.push(symbol, math.log(p[symbol]), math.log(q[symbol]))

    def _law(self, tokens: Sequence[str], settings: Settings, mask: Mask | None) -> Row:
        """The density of the next symbol; under mode="mask" that of masked decoding, {} where it has none."""
        if mask is None:
            return self.row(tokens, settings)
        allowed = {s: p for s, p in self._allowed(self.row(tokens, Settings()), mask).items() if p > 0.0}
        return warp(normalised(allowed), settings) if allowed else {}

    def _proposal(self, draft: Draft, p: Row) -> Row:
        """What draws the next symbol: p on what is allowed, as a guide sees fit. {} where nothing is left."""
        settings: Settings = draft.row.settings
        if not settings.weighted:
            return p
        allowed = {s: v for s, v in self._allowed(p, draft.mask).items() if v > 0.0}
        if not allowed:
            return {}
        q = normalised(allowed)
        return q if settings.guide is None else guided(settings.guide, draft.text, q)

    def _score(self, row: ScoreText) -> float:
        tokens, closed = row.value
        asked = (*tokens, self.end_text) if closed else tokens
        self._begin(row)
        row.cost.charge(scored_tokens=len(asked), forwarded_tokens=max(len(asked) - 1, 0))
        if self.end_text in tokens:
            return NEG_INF
        after, total = row.context.tokens, 0.0
        mask = row.settings.constraint.begin(self, row.settings) if row.settings.biased else None
        for symbol in asked:
            p = self._law(after, row.settings, mask).get(symbol, 0.0)
            if p == 0.0:
                return NEG_INF
            total += math.log(p)
            after = (symbol,)
            if mask is not None and symbol != self.end_text:
                mask.push(symbol)
        return total

    def _begin(self, row: Any) -> None:
        self.charge_context(row)
        row.cost.charge(forwarded_tokens=len(row.context.tokens))


def _no_row(symbol: str, how: str, end: str) -> str:
    if symbol == end:
        return f"TableLM: the text was closed by {end!r} already; nothing follows it."
    return f"TableLM: the symbol {symbol!r} has no row{how}. Add rows[{symbol!r}]."

"""Causal language models of transformers, in their plain form: batched by padding, nothing shared between requests.

A step is at most one forward pass per kind of row (more where a batch would be too large): draws take one token each,
everything else is answered whole. Rows are padded on the left, so that the positions asked for are the last ones.
While texts are being drawn their keys and values are kept (`backends.running`), for ordinary attention only; models
with sliding windows or recurrent layers, and `cache=False`, read the whole text again for every token.

This is the reference that faster backends are checked against, and what they fall back to.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from backends.drafts import Draft, charge_once
from backends.laws import guided_by, law, masks_of
from backends.masks import Lexicon, Mask
from backends.passes import Batch, Passes
from backends.precision import mixed
from backends.running import Running, cacheable
from backends.sampling import draw, end_log_prob, held
from backends.text import Context, Text, Tokens
from backends.tokenizer import Tokenized, Tokenizer, end_ids
from ppl.errors import BackendError
from ppl.requests import Draw, HiddenStates, NextToken, Request, ScoreText

Readers = dict[Tokens, list[Any]]  # the rows that need each token path


class HFModel(Tokenized):
    """A transformers causal model and its tokenizer. `cache=False` recomputes everything, as a reference for tests."""

    capabilities = frozenset({"draw", "score", "next_token", "hidden_states", "grammar"})

    def __init__(self, net: Any, tokenizer: Any, name: str, cache: bool = True) -> None:
        super().__init__(
            Tokenizer(tokenizer, end_ids(getattr(net.generation_config, "eos_token_id", None), tokenizer, name), name)
        )
        self.net, self.name = net.eval(), name
        self.window = getattr(net.config.get_text_config(), "max_position_embeddings", None)
        self._passes = Passes(self.net)
        self._running = Running() if cache and cacheable(net.config) else None

    def make_lexicon(self) -> Lexicon:
        return self.tokenizer.lexicon()

    def token_values(self, answer: torch.Tensor, mask: Mask | None = None) -> list[tuple[Text, float]]:
        ends, spelling = self.tokenizer.ends, self.tokenizer.spelling()
        if mask is not None:
            answer = answer + held([mask], ends, answer)[0]
        spelling = spelling + [""] * (len(answer) - len(spelling))  # padded tables have ids that mean nothing
        end = float(end_log_prob(answer, ends))
        values = [(Text(self.end_text, (), "end", self), end)] if end > -math.inf else []
        for i in (answer > -math.inf).nonzero()[:, 0].tolist():
            if i not in ends:
                values.append((Text(spelling[i], (i,), None, self), float(answer[i])))
        return values

    # -- one step ---------------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def step(self, rows: Sequence[Request]) -> None:
        rows = [row for row in rows if not mixed(row, self.name, self.net.dtype)]
        draws = [row for row in rows if isinstance(row, Draw)]
        if draws:
            self._draw(draws)
        scored = [row for row in rows if isinstance(row, (ScoreText, NextToken))]
        if scored:
            self._score(scored)
        states = [row for row in rows if isinstance(row, HiddenStates)]
        if states:
            self._hidden_states(states)

    def release(self, row: Request) -> None:
        if self._running is not None:
            self._running.keep(lambda other: other is not row)

    # -- drawing ----------------------------------------------------------------------------------------------------

    def _draw(self, rows: list[Draw]) -> None:
        """The next token of every row."""
        for row in rows:
            if row.state is None:
                row.state = Draft(row)
                self.charge_context(row)
        running = self._running
        if running is not None:
            running.keep(set(rows).__contains__)
        known = list(running.rows) if running is not None else []
        logits = self._extend(known) if known else {}
        logits |= self._begin([row for row in rows if row not in logits])
        self._choose(rows, torch.stack([logits[row] for row in rows]))
        if running is not None:
            running.keep(lambda row: not row.done)

    def _extend(self, rows: list[Draw]) -> dict[Draw, torch.Tensor]:
        """Next-token logits of running rows: each feeds the token it drew last."""
        assert self._running is not None
        ids = torch.tensor([[row.state.tokens[-1]] for row in rows], device=self.net.device)
        for row in rows:
            row.cost.charge(forwarded_tokens=1)
        charge_once(rows, forwards=1)
        logits = self._passes.logits(ids, self._running.extended_mask(), 1, self._running.cache)
        return dict(zip(rows, logits[:, -1], strict=True))

    def _begin(self, rows: list[Draw]) -> dict[Draw, torch.Tensor]:
        """Next-token logits of rows that are new here, equal texts read once; they are running from now on."""
        readers = _by_path(rows, lambda row: self.path_of(row.context, row.state.tokens))
        logits: dict[Draw, torch.Tensor] = {}
        for batch in self._passes.batches(dict.fromkeys(readers, 1)):
            cache = self._running.new_cache() if self._running is not None else None
            out = self._read(readers, batch, 1, cache)
            if self._running is not None:
                self._running.join([readers[path] for path in batch.paths], cache, batch.mask)
            logits |= {row: out[i, -1] for i, path in enumerate(batch.paths) for row in readers[path]}
        return logits

    def _choose(self, rows: list[Draw], logits: torch.Tensor) -> None:
        """Draw every row's token, all rows of equal settings at once."""
        for group in self._valid_groups(rows, logits):
            drafts: list[Draft] = [rows[i].state for i in group]
            log_p = law(logits[group], drafts[0].row.settings, [draft.mask for draft in drafts], self.tokenizer.ends)
            log_q = self._proposal(log_p, drafts)
            for draft in [draft for draft, q in zip(drafts, log_q, strict=True) if q is None]:
                draft.stick()
            going = [i for i, q in enumerate(log_q) if q is not None]
            if going:
                q = torch.stack([q for q in log_q if q is not None])
                self._advance_all([drafts[i] for i in going], log_p[going], q)

    def _proposal(self, log_p: torch.Tensor, drafts: Sequence[Draft]) -> list[torch.Tensor | None]:
        """What draws every row's token: p on what is allowed, as a guide sees fit. None where nothing is left."""
        settings = drafts[0].row.settings
        log_q = log_p
        if settings.constraint is not None and not settings.biased:
            bias = held([draft.mask for draft in drafts if draft.mask is not None], self.tokenizer.ends, log_p)
            log_q = (log_p + bias).log_softmax(-1)
        found: list[torch.Tensor | None] = [None if q.isnan().any() else q for q in log_q]
        if settings.guide is not None:
            found = [guided_by(draft, q) for draft, q in zip(drafts, found, strict=True)]
        return found

    def _advance_all(self, drafts: Sequence[Draft], log_p: torch.Tensor, log_q: torch.Tensor) -> None:
        """Draw from q, row by row, and tell each draft its token."""
        ends = [end_log_prob(x, self.tokenizer.ends).tolist() for x in (log_p, log_q)]
        ids = draw(log_q, [draft.uniform for draft in drafts])
        chosen = [x[range(len(ids)), ids].tolist() for x in (log_p, log_q)]
        for draft, token, p, q, end_p, end_q in zip(drafts, ids, *chosen, *ends, strict=True):
            if token in self.tokenizer.ends:
                draft.end(end_p, end_q)
            else:
                draft.push(token, p, q)

    def _valid_groups(self, rows: Sequence[Any], logits: torch.Tensor) -> list[list[int]]:
        """Indices of rows drawn alike; rows whose logits are not numbers fail."""
        valid = torch.isfinite(logits.logsumexp(-1)).tolist()
        groups: dict[Any, list[int]] = {}
        for i, row in enumerate(rows):
            if valid[i]:
                groups.setdefault(row.settings.alike, []).append(i)
            else:
                self.fail(row)
        return list(groups.values())

    def fail(self, row: Any) -> None:
        """Fail a row whose logits are no numbers, with the layer that was the first to give none."""
        tail = self.decode(row.context.tokens[-12:])
        bad = (i for i, states in enumerate(self._layers(row)) if not bool(torch.isfinite(states).all()))
        first = next(bad, None)
        where = "" if first is None else " Its embeddings are the first." if not first else f" Layer {first - 1} is the first."
        row.fail(
            BackendError(
                f"{self.name} gave logits that are not numbers for {type(row).__name__} after '...{tail}'.{where}"
            )
        )

    def _layers(self, row: Any) -> Sequence[torch.Tensor]:
        """What each layer makes of a row's context, the embeddings first: to find where it goes wrong."""
        (batch,) = self._passes.batches({self.path_of(row.context): 1})
        return self._passes.layers(batch)

    # -- reading ----------------------------------------------------------------------------------------------------

    def _score(self, rows: list[Any]) -> None:
        """Log-probs of given texts, and whole next-token tables."""
        asked = {row: self._asked(row) for row in rows}
        for row, (_, n) in asked.items():
            self.charge_context(row)
            if isinstance(row, ScoreText):
                row.cost.charge(scored_tokens=n)
                if not n:
                    row.complete(0.0)
        readers = _by_path([row for row in rows if not row.done], lambda row: asked[row][0])
        wanted = {path: max(asked[row][1] for row in group) for path, group in readers.items()}
        for batch in self._passes.batches(wanted):
            logits = self._read(readers, batch, max(wanted[path] for path in batch.paths))
            for i, path in enumerate(batch.paths):
                for row in readers[path]:
                    self._read_off(row, logits[i, -asked[row][1] :])

    def _asked(self, row: Any) -> tuple[Tokens, int]:
        """What to feed for a row, and of how many last positions it needs the logits."""
        if isinstance(row, NextToken):
            return self.path_of(row.context), 1
        tokens, closed = row.value
        return self.path_of(row.context, tokens if closed else tokens[:-1]), len(tokens) + closed

    def _read_off(self, row: Any, logits: torch.Tensor) -> None:
        if not torch.isfinite(logits.logsumexp(-1)).all():
            self.fail(row)
            return
        log_p = law(logits, row.settings, masks_of(row, self), self.tokenizer.ends)
        if isinstance(row, NextToken):
            row.complete(log_p[0].float().cpu())
            return
        tokens, closed = row.value
        if any(token in self.tokenizer.ends for token in tokens):
            row.complete(-math.inf)  # a text does not go on after its end
            return
        log_p = log_p.nan_to_num(nan=-math.inf, neginf=-math.inf)
        total = math.fsum(log_p[range(len(tokens)), list(tokens)].tolist())
        row.complete(total + float(end_log_prob(log_p[-1], self.tokenizer.ends)) if closed else total)

    def _hidden_states(self, rows: list[HiddenStates]) -> None:
        """The last layer's output after the final norm."""
        readers = _by_path(rows, lambda row: self.path_of(row.context))
        for batch in self._passes.batches(dict.fromkeys(readers, 1)):
            self._charge_forward(readers, batch)
            states = self._passes.states(batch)
            for i, path in enumerate(batch.paths):
                own = states[i, -len(path) :].float()
                for row in readers[path]:
                    self.charge_context(row)
                    read = own[list(row.positions)]
                    row.complete((read if row.readout is None else row.readout(read)).cpu().numpy())

    # -- the model --------------------------------------------------------------------------------------------------

    def path_of(self, context: Context, tokens: Sequence[int] = ()) -> Tokens:
        """The tokens of a context and what follows it, as they are fed to the model."""
        return (*(context.tokens or self.nothing), *tokens)

    def _read(self, readers: Readers, batch: Batch, last: int, cache: Any = None) -> torch.Tensor:
        """A pass over a batch of paths: the logits of their last positions."""
        self._charge_forward(readers, batch)
        return self._passes.logits(batch.ids, batch.mask, last, cache)

    def _charge_forward(self, readers: Readers, batch: Batch) -> None:
        """Whoever reads a path first pays for its tokens."""
        for path in batch.paths:
            readers[path][0].cost.charge(forwarded_tokens=len(path))
        charge_once([row for path in batch.paths for row in readers[path]], forwards=1)


def _by_path(rows: Sequence[Any], path_of: Callable[[Any], Tokens]) -> Readers:
    readers: Readers = {}
    for row in rows:
        readers.setdefault(path_of(row), []).append(row)
    return readers

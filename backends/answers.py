"""What the hidden states of a chunk of tree nodes say about the rows that asked: drawn tokens, scores, tables.

Rows of one warp share the logits of a node, whatever they ask of it. Grammars and guides change what draws a token (q);
what the token weighs under the model (p) is read from the same table.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from backends.kv_tree import Lease, Node
from backends.laws import guided_by, law, masks_of
from backends.masks import Mask
from backends.next_tokens import NextTokens
from backends.sampling import held
from backends.settings import Settings
from backends.work import Work
from ppl.requests import HiddenStates, NextToken, ScoreText

if TYPE_CHECKING:
    from backends.shared import SharedModel

LOGIT_ROWS = 64  # rows of logits made at a time


def answer(model: SharedModel, works: Sequence[Work]) -> None:
    """Take every work as far as the hidden states that it wanted go: one more token, or to its end."""
    by_warp: dict[Any, list[Work]] = {}
    by_readout: dict[Any, list[Work]] = {}
    for work in works:
        if isinstance(work.row, HiddenStates):
            by_readout.setdefault(work.row.readout, []).append(work)
        elif not work.wanted:
            work.row.complete(0.0)
        else:
            by_warp.setdefault(work.row.settings.warp, []).append(work)  # type: ignore[attr-defined]
    for group in by_warp.values():
        _answer_alike(model, group)
    for readout, group in by_readout.items():
        _read_out(readout, group)


def _answer_alike(model: SharedModel, works: Sequence[Work]) -> None:
    """Rows of equal warp: each node's logits are made once, a bounded number at a time."""
    nodes = list(dict.fromkeys(n for w in works for n in w.wanted))
    for start in range(0, len(nodes), LOGIT_ROWS):
        chunk = nodes[start : start + LOGIT_ROWS]
        logits = model.logits(torch.stack([n.hidden for n in chunk]))  # type: ignore[misc]
        said = Answers(model, {node: i for i, node in enumerate(chunk)}, logits, works[0].row.settings)  # type: ignore
        for work in said.without_numbers(works):
            model.fail(work.row)
        said.draw_next([w for w in works if w.draft is not None and not w.row.done])
        for work in works:
            if work.draft is None and not work.row.done:
                said.collect(work)
    for work in works:
        if not work.row.done and work.found:
            work.row.complete(math.fsum(work.found))


def _read_out(readout: Any, works: Sequence[Work]) -> None:
    """Hidden states, or what one readout makes of all of them in one product."""
    states = torch.stack([n.hidden for w in works for n in w.wanted]).float()  # type: ignore[misc]
    told = states if readout is None else readout(states)
    for work, own in zip(works, told.split([len(w.wanted) for w in works]), strict=True):
        work.row.complete(own.cpu().numpy())


class Answers:
    """The logits of some nodes (`place` says in which row each node stands), and the next-token tables they make."""

    def __init__(self, model: SharedModel, place: Mapping[Node, int], logits: torch.Tensor, settings: Settings) -> None:
        self.model, self.place, self.logits = model, place, logits
        self.tokens = NextTokens(logits, settings)
        self.ends = model.tokenizer.ends

    def without_numbers(self, works: Sequence[Work]) -> list[Work]:
        """The open rows that asked for a node whose logits are not numbers."""
        valid = self.tokens.valid
        bad = {node for node, i in self.place.items() if not valid[i]}
        return [w for w in works if not w.row.done and not bad.isdisjoint(w.wanted)] if bad else []

    # -- drawing ----------------------------------------------------------------------------------------------------

    def draw_next(self, works: Sequence[Work]) -> None:
        """The next token of every draw that stands at one of these nodes, all that are drawn alike at once."""
        groups: dict[Any, list[Work]] = {}
        for work in works:
            if work.wanted[0] in self.place:
                groups.setdefault(work.row.settings.alike, []).append(work)  # type: ignore[attr-defined]
        for group in groups.values():
            self._draw_alike(group)

    def _draw_alike(self, works: Sequence[Work]) -> None:
        settings: Settings = works[0].row.settings  # type: ignore[attr-defined]
        nodes = [self.place[w.wanted[0]] for w in works]
        if settings.constraint is None and settings.guide is None:
            self._advance(works, self.tokens, nodes, self.tokens, nodes)
            return
        q, rows = self.tokens, nodes
        if settings.constraint is not None:
            q, rows = self._held(works, nodes), list(range(len(works)))
        if settings.guide is not None:
            q, rows = self._guided(works, q, rows), list(range(len(works)))
        valid = q.valid
        going = [i for i, row in enumerate(rows) if valid[row]]
        for i in set(range(len(works))) - set(going):
            works[i].draft.stick()  # type: ignore[union-attr]
        p, of_p = (q, rows) if settings.biased else (self.tokens, nodes)
        self._advance([works[i] for i in going], p, [of_p[i] for i in going], q, [rows[i] for i in going])

    def _held(self, works: Sequence[Work], nodes: Sequence[int]) -> NextTokens:
        """What their masks leave of these rows: after the warp, or under mode="mask" before it."""
        drafts = [w.draft for w in works if w.draft is not None]
        bias = held([d.mask for d in drafts if d.mask is not None], self.ends, self.logits)
        settings: Settings = drafts[0].row.settings
        if not settings.biased:
            return self.tokens.within(nodes, bias)
        return NextTokens(self.logits[list(nodes)].float() + bias, settings).within(range(len(nodes)), bias)

    def _guided(self, works: Sequence[Work], q: NextTokens, rows: Sequence[int]) -> NextTokens:
        """What the guide of these rows makes of q; rows without any mass stay so."""
        proposed, valid = [], q.valid
        for work, row in zip(works, rows, strict=True):
            assert work.draft is not None
            log_q = q.table(row)
            guided = guided_by(work.draft, log_q) if valid[row] else None
            proposed.append(torch.full_like(log_q, -math.inf) if guided is None else guided)
        return NextTokens(torch.stack(proposed), Settings())

    def _advance(
        self, works: Sequence[Work], p: NextTokens, of_p: Sequence[int], q: NextTokens, of_q: Sequence[int]
    ) -> None:
        """Draw from rows of q, and tell each draft its token with its log-probs under p and q."""
        if not works:
            return
        drafts = [w.draft for w in works if w.draft is not None]
        ids = q.draw(of_q, [d.uniform for d in drafts])
        log_p, ended_p = p.log_prob(of_p, ids), p.log_prob_any(of_p, self.ends)
        log_q, ended_q = (log_p, ended_p) if p is q else (q.log_prob(of_q, ids), q.log_prob_any(of_q, self.ends))
        for work, draft, *drawn in zip(works, drafts, ids, log_p, log_q, ended_p, ended_q, strict=True):
            token, p_token, q_token, p_end, q_end = drawn
            if token in self.ends:
                draft.end(p_end, q_end)
            else:
                draft.push(token, p_token, q_token)
                node = self.model.tree.child(work.wanted[0], token)
                work.lease, work.wanted = Lease(self.model.tree, node), [node]
            if work.row.done:
                if work.row.error is None:
                    work.row.result.value.lease = work.lease
                work.row.state = None

    # -- reading ----------------------------------------------------------------------------------------------------

    def collect(self, work: Work) -> None:
        """Whatever these nodes say about a row that is not drawn; a score is complete when all its nodes were seen."""
        row: Any = work.row
        masks = masks_of(row, self.model)
        here = [i for i, node in enumerate(work.wanted) if node in self.place]
        if not here:
            return
        if isinstance(row, NextToken):
            log_p = self._law(work, masks, here)[0].float().cpu() if masks else None
            row.complete(self.tokens.table(self.place[work.wanted[0]]).float().cpu() if log_p is None else log_p)
            return
        assert isinstance(row, ScoreText)
        path, _ = row.value
        if not masks and any(token in self.ends for token in path):
            row.complete(-math.inf)  # a text does not go on after its end
        elif masks:
            asked = [[path[i]] if i < len(path) else [*self.ends] for i in here]
            log_p = self._law(work, masks, here)
            found = [float(log_p[k, ids].logsumexp(-1)) for k, ids in enumerate(asked)]
            work.found += [-math.inf if math.isnan(x) else x for x in found]
        else:
            inside = [i for i in here if i < len(path)]
            if inside:
                at = [self.place[work.wanted[i]] for i in inside]
                work.found += self.tokens.log_prob(at, [path[i] for i in inside])
            if len(inside) < len(here):  # the end follows the last node
                work.found += self.tokens.log_prob_any([self.place[work.wanted[-1]]], self.ends)

    def _law(self, work: Work, masks: Sequence[Mask], here: Sequence[int]) -> torch.Tensor:
        """Log-probs under mode="mask", where every position has a mask of its own."""
        at = [self.place[work.wanted[i]] for i in here]
        settings: Settings = work.row.settings  # type: ignore[attr-defined]
        return law(self.logits[at], settings, [masks[i] for i in here], self.ends)

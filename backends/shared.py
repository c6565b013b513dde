"""The shared form of a transformers model: one KV tree under all its contexts, one forward per token step.

Every row of a step says of which nodes of the tree it needs the hidden state; nodes that several rows need are one.
What is missing is computed in packed forwards, whatever mixture of prompts, decoded tokens, scored texts and problems
it is; logits are made only for nodes that were asked for. The last token of a text is never forwarded unless
something follows it. `backends.hf` answers the same rows without a tree and is what this one is checked against.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Sequence
from typing import Any

import torch

from backends.answers import Answers, Work
from backends.drafts import Draft, charge_once
from backends.fast_linear import speed_up
from backends.hf import HFModel
from backends.kv_tree import KVBudgetError, KVTree, Lease, Node, named_memory_errors
from backends.text import Context
from backends.tree_attention import NAME, Plan
from ppl.errors import BackendError
from ppl.requests import Draw, HiddenStates, NextToken, Request, ScoreText

PACKED = 512  # most tokens in one forward
LOGIT_ROWS = 64  # rows of logits made at a time


class SharedModel(HFModel):
    """A transformers model whose contexts share their keys and values.

    max_kv_tokens  bound on the tree, in tokens; None: what memory holds
    fast           prepack and fuse linear layers where a probe says that it pays
    """

    def __init__(
        self, net: Any, tokenizer: Any, name: str, *, max_kv_tokens: int | None = None, fast: bool = True
    ) -> None:
        super().__init__(net, tokenizer, name, cache=False)
        config = self.net.config.get_text_config()
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        self.softcap: float | None = getattr(config, "final_logit_softcapping", None)
        self.tree = KVTree(config.num_hidden_layers, heads, width, self.net.dtype, self.net.device, max_kv_tokens)
        probe = [i % config.vocab_size for i in (1, 5, 3, 7, 2, 4)]
        with torch.inference_mode():
            expected = self.net(torch.tensor([probe], device=self.net.device)).logits[0, -1].float()
        self.net.set_attn_implementation(NAME)
        self.prepacked = fast and speed_up(self.net)
        self._self_test(probe, expected)

    @torch.inference_mode()
    def _self_test(self, probe: list[int], expected: torch.Tensor) -> None:
        """A few tokens over the tree against a plain forward: an attention layout it does not know shows here."""
        leaf = self.tree.find(probe)
        lease = Lease(self.tree, leaf)
        difference = float("inf")
        try:
            for length in (2, len(probe)):  # in two forwards, so that the second reads what the first one stored
                end = self.tree.find(probe[:length])
                self._fill([Work(Request(backend=self), [end], lease)])
            difference = float((self._logits([leaf])[0].float() - expected).abs().max())
        except (TypeError, RuntimeError, IndexError, AttributeError, AssertionError) as error:
            reason = f"{type(error).__name__}: {error}"
        else:
            reason = f"its logits differ by {difference:.2g} from the plain forward pass"
        if not difference <= (1e-3 if self.net.dtype == torch.float32 else 0.5) * max(1.0, float(expected.abs().max())):
            kind = self.net.config.model_type
            raise BackendError(
                f"{self.name}: the shared backend cannot run the architecture {kind!r} ({reason})."
                " Load it unshared: load('hf:...', shared=False)."
            )

    # -- one step --------------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def step(self, rows: Sequence[Request]) -> None:
        self.tree.let_go()
        self._serve([row.state if isinstance(row.state, Work) else self._start(row) for row in rows])
        for cost in {id(row.cost): row.cost for row in rows}.values():
            cost.peak(self.tree.live)
        self.tree.trim()
        for row in rows:
            if row.done:
                row.state = None  # it refers back to its row: nothing would be let go before the collector comes

    def forget(self) -> None:
        """Give up what no trace can reach any more, so that the next run computes everything itself."""
        gc.collect()
        self.tree.forget()

    def release(self, row: Request) -> None:
        row.state = None

    def _serve(self, works: list[Work]) -> None:
        """Answer these rows; in halves where what they need at once does not fit. One that does not fit alone fails."""
        try:
            with named_memory_errors(self.tree):
                self._fill(works)
        except KVBudgetError as error:
            if len(works) == 1:
                works[0].row.fail(error)
                return
            half = len(works) // 2
            self._serve(works[:half])
            self._serve(works[half:])
            return
        self._answer(works)

    def _start(self, row: Request) -> Work:
        assert isinstance(row, (Draw, ScoreText, NextToken, HiddenStates))
        leaf = self.tree.find(self._path(row.context))
        path = leaf.path()
        self._charge_context(row)
        row.cost.charge(shared_tokens=sum(n.slot >= 0 for n in path))
        lease = self._lease(row.context, leaf)
        if isinstance(row, Draw):
            row.state = Work(row, [leaf], lease, Draft(row))
        elif isinstance(row, ScoreText):
            tokens, ends = row.value
            row.cost.charge(scored_tokens=len(tokens) + ends)
            full = self.tree.find(self._path(row.context, tokens))
            nodes = [leaf, *full.path()[len(path) :]]
            row.state = Work(row, nodes if ends else nodes[:-1], Lease(self.tree, full))
        elif isinstance(row, HiddenStates):
            row.state = Work(row, [path[i] for i in row.positions], lease)
        else:
            row.state = Work(row, [leaf], lease)
        work: Work = row.state
        return work

    def hold(self, context: Context) -> Lease:
        return Lease(self.tree, self.tree.find(self._path(context)))

    def _lease(self, context: Context, leaf: Node) -> Lease:
        """A context keeps its own keys and values: they live as long as a trace can reach it."""
        lease: Lease | None = context.__dict__.get("lease")
        if lease is None or lease.node is not leaf:
            lease = context.__dict__["lease"] = Lease(self.tree, leaf)
        return lease

    # -- keys, values and hidden states ----------------------------------------------------------------------------

    def _fill(self, works: Sequence[Work]) -> None:
        """Compute whatever the works want and the tree does not have, in packed forwards."""
        missing: dict[Node, Request] = {}
        for work in works:
            for node in work.wanted:
                if node.hidden is None:
                    self._missing(node, work.row, missing)
        nodes = list(missing)
        wanted = {node for work in works for node in work.wanted}
        for start in range(0, len(nodes), PACKED):
            self._pass(nodes[start : start + PACKED], missing, wanted)

    @staticmethod
    def _missing(node: Node, row: Request, missing: dict[Node, Request]) -> None:
        """Add a node, after those ancestors of its that are not stored."""
        chain = [node]
        above = node.parent
        while above is not None and above.parent is not None and above.slot < 0 and above not in missing:
            chain.append(above)
            above = above.parent
        for new in reversed(chain):
            missing.setdefault(new, row)

    def _pass(self, nodes: list[Node], payers: dict[Node, Request], wanted: set[Node]) -> None:
        tree = self.tree
        bounded = tree.bound is not None
        needed = {a for n in nodes for a in n.path()[:-1] if a.slot >= 0} if bounded else ()
        new = [n for n in nodes if n.slot < 0]
        tree.place(new, needed)
        try:
            states = self._run(nodes)
        except BaseException:  # an interrupt too: what was not computed must not be found
            tree.take_back(new)
            raise
        for node, state in zip(nodes, states, strict=True):
            if node in wanted:
                node.hidden = state.clone()
        charge_once([payers[n] for n in nodes], forwards=1)
        for node in nodes:
            payers[node].cost.charge(forwarded_tokens=1, recomputed_tokens=int(node.lost))
            node.lost = False

    def _run(self, nodes: Sequence[Node], **options: Any) -> Any:
        """One forward of packed nodes over the tree: their final hidden states, or with options all that it gives."""
        plan = Plan(self.tree, nodes)
        ids = torch.tensor([[n.token for n in nodes]], device=self.tree.device)
        positions = torch.tensor([[n.depth for n in nodes]], device=self.tree.device)
        out = self.net.base_model(
            input_ids=ids, position_ids=positions, attention_mask=None, use_cache=False, tree_plan=plan, **options
        )
        return out if options else out.last_hidden_state[0]

    def _layers(self, row: Request) -> Sequence[torch.Tensor]:
        nodes = row.state.wanted[-1].path()
        if any(n.slot < 0 for n in nodes):  # evicted since
            return ()
        states: Sequence[torch.Tensor] = self._run(nodes, output_hidden_states=True).hidden_states
        return states

    def _logits(self, nodes: Sequence[Node]) -> torch.Tensor:
        logits = self.net.lm_head(torch.stack([n.hidden for n in nodes]))  # type: ignore[misc]
        if self.softcap is not None:
            logits = torch.tanh(logits / self.softcap) * self.softcap
        result: torch.Tensor = logits
        return result

    # -- answers ---------------------------------------------------------------------------------------------------

    def _answer(self, works: Sequence[Work]) -> None:
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
            self._answer_alike(group)
        for readout, group in by_readout.items():
            self._read_out(readout, group)

    @staticmethod
    def _read_out(readout: Any, works: Sequence[Work]) -> None:
        """Hidden states, or what one readout makes of all of them in one product."""
        states = torch.stack([n.hidden for w in works for n in w.wanted]).float()  # type: ignore[misc]
        told = states if readout is None else readout(states)
        for work, own in zip(works, told.split([len(w.wanted) for w in works]), strict=True):
            work.row.complete(own.cpu().numpy())

    def _answer_alike(self, works: Sequence[Work]) -> None:
        """Rows of equal warp: each node's logits are made once, a bounded number at a time."""
        nodes = list(dict.fromkeys(n for w in works for n in w.wanted))
        for start in range(0, len(nodes), LOGIT_ROWS):
            chunk = nodes[start : start + LOGIT_ROWS]
            logits = self._logits(chunk)
            said = Answers(self, {node: i for i, node in enumerate(chunk)}, logits, works[0].row.settings)  # type: ignore
            for work in said.without_numbers(works):
                self._fail(work.row)
            said.draw_next([w for w in works if w.draft is not None and not w.row.done])
            for work in works:
                if work.draft is None and not work.row.done:
                    said.collect(work)
        for work in works:
            if not work.row.done and work.found:
                work.row.complete(math.fsum(work.found))

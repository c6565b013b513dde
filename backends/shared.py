"""The shared form of a transformers model: one KV tree under all its contexts, one forward per token step.

Every row of a step says of which nodes of the tree it needs the hidden state; nodes that several rows need are one.
What is missing is computed in packed forwards, whatever mixture of prompts, decoded tokens, scored texts and problems
it is; logits are made only for nodes that were asked for. The last token of a text is never forwarded unless
something follows it. `backends.hf` answers the same rows without a tree and is what this one is checked against.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from typing import Any

import torch

from backends.answers import answer
from backends.drafts import charge_once
from backends.fast_linear import speed_up
from backends.hf import HFModel
from backends.kv_pool import KVBudgetError, KVPool
from backends.kv_tree import KVTree, Lease, Node
from backends.precision import mixed
from backends.supported import supported
from backends.text import Context
from backends.tree_attention import NAME, Plan
from backends.work import Work, begin
from ppl.requests import Request

PACKED = 512  # most tokens in one forward


class SharedModel(HFModel):
    """A transformers model whose contexts share their keys and values.

    max_kv_bytes  bound on the stored keys and values; None: what memory holds
    fast          prepack and fuse linear layers where a probe says that it pays
    """

    def __init__(self, net: Any, tokenizer: Any, name: str, max_kv_bytes: int | None = None, fast: bool = True) -> None:
        super().__init__(net, tokenizer, name, cache=False)
        config = self.net.config.get_text_config()
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        self.softcap: float | None = getattr(config, "final_logit_softcapping", None)
        pool = KVPool(config.num_hidden_layers, heads, width, self.net.dtype, self.net.device, max_kv_bytes)
        self.tree = KVTree(pool)
        with supported(self):
            self.net.set_attn_implementation(NAME)
            self.prepacked = fast and speed_up(self.net)

    # -- one step --------------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def step(self, rows: Sequence[Request]) -> None:
        self.tree.let_go()
        rows = [row for row in rows if not mixed(row, self.name, self.net.dtype)]
        self._serve([row.state if isinstance(row.state, Work) else begin(self, row) for row in rows])
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
            with self.tree.pool.naming_what_is_out():
                self._fill(works)
        except KVBudgetError as error:
            if len(works) == 1:
                works[0].row.fail(error)
                return
            half = len(works) // 2
            self._serve(works[:half])
            self._serve(works[half:])
            return
        answer(self, works)

    def hold(self, context: Context) -> Lease:
        return Lease(self.tree, self.tree.find(self.path_of(context)))

    def lease(self, context: Context, leaf: Node) -> Lease:
        """A context keeps its own keys and values: they live as long as a trace can reach it."""
        lease: Lease | None = context.__dict__.get("lease")
        if lease is None or lease.node is not leaf:
            lease = context.__dict__["lease"] = Lease(self.tree, leaf)
        return lease

    # -- keys, values and hidden states ----------------------------------------------------------------------------

    def _fill(self, works: Sequence[Work]) -> None:
        """Compute whatever the works want and the tree does not have, in packed forwards."""
        missing: dict[Node, Request] = {}
        wanted = {node: work.row for work in works for node in work.wanted}
        for node, row in wanted.items():
            if node.hidden is None:
                self._missing(node, row, missing)
        nodes = list(missing)
        bounded = self.tree.pool.bound is not None
        self.tree.begin_step({a for n in (*nodes, *wanted) for a in n.path() if a.slot >= 0} if bounded else ())
        for start in range(0, len(nodes), PACKED):
            self._pass(nodes[start : start + PACKED], missing)

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

    def _pass(self, nodes: list[Node], payers: dict[Node, Request]) -> None:
        tree = self.tree
        new = [n for n in nodes if n.slot < 0]
        tree.place(new)
        try:
            states = self.run(Plan(tree.pool, nodes))
        except BaseException:  # an interrupt too: what was not computed must not be found
            tree.take_back(new)
            raise
        for node, state in zip(nodes, states, strict=True):
            node.hidden = state.clone()  # of every token: who asks later what follows it needs no forward
        charge_once([payers[n] for n in nodes], forwards=1)
        for node in nodes:
            payers[node].cost.charge(forwarded_tokens=1, recomputed_tokens=int(node.lost))
            node.lost = False

    @torch.inference_mode()
    def run(self, plan: Plan, **options: Any) -> Any:
        """One forward of packed nodes over the tree: their final hidden states, or with options all that it gives."""
        nodes, device = plan.nodes, plan.pool.device
        ids = torch.tensor([[n.token for n in nodes]], device=device)
        positions = torch.tensor([[n.depth for n in nodes]], device=device)
        out = self.net.base_model(
            input_ids=ids, position_ids=positions, attention_mask=None, use_cache=False, tree_plan=plan, **options
        )
        return out if options else out.last_hidden_state[0]

    def logits(self, states: torch.Tensor) -> torch.Tensor:
        """Next-token logits of final hidden states, rows x vocabulary."""
        logits: torch.Tensor = self.net.lm_head(states)
        return logits if self.softcap is None else torch.tanh(logits / self.softcap) * self.softcap

    def _layers(self, row: Request) -> Sequence[torch.Tensor]:
        nodes = row.state.wanted[-1].path()
        stored = all(n.slot >= 0 for n in nodes)  # or evicted since
        return self.run(Plan(self.tree.pool, nodes), output_hidden_states=True).hidden_states if stored else ()

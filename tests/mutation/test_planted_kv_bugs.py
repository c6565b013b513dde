"""Bugs that shared caches of keys and values have shipped with, planted one at a time: each is caught by a law.

`the_laws_hold` is what tests/backends checks of the shared backend, cut down to seconds. It passes unplanted.
"""

import gc

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

import backends.kv_tree
from backends import tree_attention
from backends.kv_pool import KVPool
from backends.kv_tree import KVTree, Lease, Node
from backends.next_tokens import NextTokens
from backends.shared import SharedModel
from backends.tree_attention import Block
from inference import smc
from ppl import model, sample
from ppl.cost import Cost
from ppl.testing.backends import check_same_answers
from ppl.testing.interleavings import interleavings
from tests.backends.test_shared import check_books, pair

SHORT = settings(
    max_examples=3, stateful_step_count=8, deadline=None, derandomize=True, database=None,
    suppress_health_check=list(HealthCheck), phases=[Phase.generate],
)  # fmt: skip
LONG = "one two three four five six " * 3


@model
def steps(lm):
    context = lm.prompt("one two three")
    for _ in range(3):
        context += sample("text", lm(context, max_tokens=3))
    return context.tokens


def ledger(bound=None):
    """What a run is charged, and the packed tokens that its forwards were given."""
    _, shared = pair(bound=bound)
    seen, real = [], shared.net.base_model.forward
    shared.net.base_model.forward = lambda *a, **k: seen.append(k["input_ids"].numel()) or real(*a, **k)
    result = steps.run(shared, engine=smc(8), seed=0)
    assert result.cost.forwarded_tokens == sum(seen)
    needed = {path[: i + 1] for path in result.values for i in range(len(path) - 1)}
    if bound is None:
        assert sum(seen) == len(needed), "a token was forwarded twice, or one that nothing followed"
    else:
        assert sum(seen) - len(needed) == result.cost.recomputed_tokens > 0


def dropped_branches():
    """Branches go, others take their place, and the branch that stayed is asked again. Small pools grow and shrink."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backends.kv_tree, "FLOOR", 16)
        _dropped_branches()


def _dropped_branches():
    plain, shared = pair()
    trunk = shared.prompt(LONG)
    kept = trunk + shared(trunk, max_tokens=4).sample(np.random.default_rng(0))
    shared.token(kept).log_prob(" the")
    del trunk
    gc.collect()
    others = [shared.prompt(f"{i} {LONG}") for i in range(9)]
    for i, other in enumerate(others):
        shared(other, max_tokens=1).sample(np.random.default_rng(i))
        check_books(shared)
    del others, other
    shared.forget()
    assert shared.tree.stats()["live_tokens"] == len(kept.tokens)
    expected = plain(kept, max_tokens=3, prefix=True).log_prob(" six one")
    assert shared(kept, max_tokens=3, prefix=True).log_prob(" six one") == pytest.approx(expected, abs=1e-3)
    shared.tree.check()


def broken_forward():
    plain, shared = pair()
    layer = shared.net.base_model.layers[1]

    def interrupt(*args, **options):
        raise KeyboardInterrupt

    layer.forward, real = interrupt, layer.forward
    with pytest.raises(KeyboardInterrupt):
        shared("the answer", max_tokens=4).sample(np.random.default_rng(0))
    layer.forward = real
    check_same_answers(shared, plain, ["the answer to"], max_tokens=3)


def the_laws_hold():
    window = {"sliding_window": 3}
    plain, shared = pair("mistral", **window)
    contexts = ["the", "the answer", "the answer to", "six one", LONG]
    check_same_answers(shared, plain, contexts, [" is one"], max_tokens=4)
    ledger()
    ledger(bound=48)
    dropped_branches()
    broken_forward()
    for bound in (None, 70):
        run_state_machine_as_test(
            interleavings(lambda bound=bound: pair(bound=bound)[::-1], check_books), settings=SHORT
        )


def test_nothing_planted_nothing_caught():
    the_laws_hold()


BUGS = {}


def plant(bug):
    BUGS[bug.__name__] = bug
    return bug


def all_is_seen_in(patch, is_trunk):
    real = Block._additive
    patch.setattr(
        Block, "_additive", lambda self, seen: real(self, seen | True if (self.groups == 1) == is_trunk else seen)
    )


@plant
def every_token_sees_the_whole_trunk(patch):
    all_is_seen_in(patch, True)


@plant
def padding_of_tails_is_seen(patch):
    all_is_seen_in(patch, False)


@plant
def a_sliding_window_is_ignored(patch):
    real = Block.mask
    patch.setattr(Block, "mask", lambda self, window: real(self, None))


@plant
def families_are_told_apart_too_late(patch):
    real = tree_attention._families
    patch.setattr(tree_attention, "FAMILIES", -(10**9))
    patch.setattr(tree_attention, "_families", lambda rows, slots, n: (*real(rows, slots, n)[:2], real(rows, slots, n)[2] | True))


@plant
def positions_count_from_the_branch_point(patch):
    real = Node.__init__

    def init(self, parent, token):
        real(self, parent, token)
        if parent is not None and parent.children:
            self.depth = 0

    patch.setattr(Node, "__init__", init)


@plant
def equal_siblings_are_two_nodes(patch):
    def child(self, node, token):
        found = node.children[token] = Node(node, token)
        return found

    patch.setattr(KVTree, "child", child)


@plant
def a_lease_keeps_its_leaf_only(patch):
    def hold(self, node):
        node.holds += 1
        if node.holds == 1 and node.slot >= 0:
            self.live += 1
            self.idle.pop(node, None)

    patch.setattr(KVTree, "hold", hold)


@plant
def a_released_branch_frees_its_trunk(patch):
    def let_go(self):
        while self.released:
            current = self.released.popleft()
            while current is not None and current.parent is not None:
                current.holds = 0
                if current.slot >= 0 and current not in self.idle:
                    self.live -= 1
                    self.idle[current] = None
                current = current.parent

    patch.setattr(KVTree, "let_go", let_go)


@plant
def released_tokens_are_never_freed(patch):
    patch.setattr(Lease, "__del__", lambda self: None)


@plant
def what_a_batch_reads_may_be_evicted_for_it(patch):
    real = KVTree.place
    patch.setattr(KVTree, "place", lambda self, nodes, needed: real(self, nodes, ()))


@plant
def evicted_ancestors_are_taken_for_stored(patch):
    patch.setattr(SharedModel, "_missing", staticmethod(lambda node, row, missing: missing.setdefault(node, row)))


@plant
def an_interrupted_forward_is_taken_for_done(patch):
    patch.setattr(KVTree, "take_back", lambda self, nodes: None)


@plant
def slots_move_and_their_nodes_do_not_hear_of_it(patch):
    real = KVPool.shrink

    def shrink(self, capacity):
        before = {n: n.slot for n in self.owner if n is not None}
        real(self, capacity)
        for node, slot in before.items():
            node.slot = min(slot, capacity - 1)

    patch.setattr(KVPool, "shrink", shrink)


@plant
def one_uniform_for_the_whole_batch(patch):
    real = NextTokens.draw
    patch.setattr(NextTokens, "draw", lambda self, rows, uniforms: real(self, rows, [uniforms[0]] * len(rows)))


@plant
def a_pool_that_doubles(patch):
    patch.setattr(backends.kv_tree, "SLACK", 2.5)


@plant
def tokens_are_not_charged_where_they_are_forwarded(patch):
    real = Cost.charge

    def charge(self, **amounts):
        amounts.pop("recomputed_tokens", None)
        real(self, **amounts)

    patch.setattr(Cost, "charge", charge)


@pytest.mark.parametrize("bug", BUGS.values(), ids=list(BUGS))
def test_a_planted_bug_is_caught(bug, monkeypatch):
    bug(monkeypatch)
    with pytest.raises(Exception):  # noqa: B017  (an assertion, or what the bug does to the tree)
        the_laws_hold()

"""The shared backend against the plain one: architectures, interleavings, eviction, the ledger, its mistakes."""

import gc
import random

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings

from backends import kv_tree, tree_attention
from backends.hf import HFModel
from backends.kv_pool import KVPool
from backends.shared import SharedModel
from inference import beam, exact, importance, smc
from ppl import model, observe, sample, score
from ppl.requests import HiddenStates, serve
from ppl.testing.backends import check_same_answers
from ppl.testing.interleavings import interleavings
from tests.backends.tiny_models import byte_tokenizer, letter_tokenizer, tiny

KINDS = {
    "llama": {},
    "qwen2": {},
    "qwen3": {},
    "mistral": {"sliding_window": 5},
    "gemma": {},
    "gemma2": {"sliding_window": 5},
    "gemma3_text": {"sliding_window": 5, "layer_types": ["sliding_attention", "full_attention"]},
}
CONTEXTS = ["the", "the answer", "the answer to the question", "six one", "the answer is", "the"]


def pair(kind="llama", vocabulary=330, tokenizer=byte_tokenizer, **options):
    """The same weights behind both backends; `bound` is in tokens, of 256 bytes each."""
    bound = options.pop("bound", None)
    shared = {"fast": options.pop("fast", True), "max_kv_bytes": None if bound is None else 256 * bound}
    config = options
    plain = HFModel(tiny(kind, vocabulary, **config), tokenizer(), "plain", cache=False)
    return plain, SharedModel(tiny(kind, vocabulary, **config), tokenizer(), "shared", **shared)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("warp", [{}, {"temperature": 0.7, "top_p": 0.9, "top_k": 20, "stop": ["e"]}])
def test_it_answers_like_the_plain_backend(kind, warp):
    plain, shared = pair(kind, **KINDS[kind])
    check_same_answers(shared, plain, CONTEXTS, ["is", " question one"], max_tokens=12, **warp)
    check_same_answers(shared, plain, [c + " is there" for c in CONTEXTS], [], seed=1, max_tokens=4, **warp)
    shared.tree.check()


@pytest.fixture
def always_in_families(monkeypatch):
    """Every plan is cut into families, whatever it costs."""
    monkeypatch.setattr(tree_attention, "FAMILIES", -(10**9))


@pytest.mark.parametrize("kind", ["llama", "gemma3_text"])
def test_families_answer_like_the_plain_backend(always_in_families, kind):
    plain, shared = pair(kind, **KINDS[kind])
    check_same_answers(shared, plain, CONTEXTS, ["is", " question one", " is there"], max_tokens=12)


@pytest.mark.parametrize("seed", range(12))
def test_each_token_sees_its_path_once(monkeypatch, seed):
    """Whatever the tree, however it is cut into blocks: the slots that a token sees are those of its path."""
    draw = random.Random(seed)
    monkeypatch.setattr(tree_attention, "FAMILIES", draw.choice([-(10**9), 0, 4096]))
    pool = KVPool(1, 1, 2, torch.float32, "cpu", None)
    tree = kv_tree.KVTree(pool)
    leases = [kv_tree.Lease(tree, tree.find([draw.randrange(3) for _ in range(draw.randrange(1, 12))])) for _ in range(30)]
    nodes = list(dict.fromkeys(n for lease in leases for n in lease.node.path()))
    stored = nodes[: draw.randrange(len(nodes))]
    tree.place(draw.sample(stored, len(stored)))
    new = [n for n in nodes if n.slot < 0]
    tree.place(new)
    plan = tree_attention.Plan(pool, new)
    seen = [[] for _ in new]
    for block in plan.blocks:
        tokens, slots = torch.eye(len(new))[None, :, None], torch.eye(pool.capacity)[None]
        shown = block.scores(tokens, torch.zeros(1, pool.capacity, len(new)), None, None)[0, :, 0]  # 0, or -inf where unseen
        told = block.read((shown == 0).float()[None, :, None], slots)[0, :, 0]
        for i, row in enumerate(told):
            assert row.max() <= 1, "a block shows a token one slot twice"
            seen[i] += row.nonzero()[:, 0].tolist()
    assert [sorted(s) for s in seen] == [sorted(n.slot for n in node.path()) for node in new]
    assert len(plan.blocks) == 3 or tree_attention.FAMILIES >= 0 or len({n.path()[0] for n in new}) == 1
    assert leases


def test_what_was_never_written_never_matters(monkeypatch):
    """Memory comes with whatever it held: here with no numbers at all."""
    real = torch.empty
    monkeypatch.setattr("backends.kv_pool.torch.empty", lambda *shape, **options: real(*shape, **options).fill_(torch.nan))
    monkeypatch.setattr(kv_tree, "FLOOR", 4)
    plain, shared = pair()
    check_same_answers(shared, plain, CONTEXTS, ["is", " question one"], max_tokens=12)
    check_same_answers(shared, plain, [c + " six" for c in CONTEXTS], [], max_tokens=12)


@pytest.mark.parametrize("kind", ["llama", "gemma3_text"])
def test_hidden_states_are_those_of_a_full_pass(kind):
    plain, shared = pair(kind, **KINDS[kind])
    rows = {}
    for lm in (plain, shared):
        rows[lm] = [
            HiddenStates(backend=lm, context=lm.prompt("the answer is one"), positions=p) for p in ((0, 2), (3,), (2,))
        ]
        serve(rows[lm])
    for a, b in zip(rows[plain], rows[shared], strict=True):
        assert np.abs(a.result - b.result).max() < 1e-4


def check_books(shared):
    tree = shared.tree
    tree.check()
    pool = tree.pool
    assert tree.stats()["live_bytes"] == tree.live * pool.token_bytes
    assert pool.token_bytes == sum(t[:, :1].nbytes for t in (*pool.k, *pool.v))
    assert pool.capacity <= max(1.25 * tree.live, kv_tree.FLOOR)
    assert pool.bound is None or pool.capacity <= pool.bound


def machine(**options):
    case = interleavings(lambda: pair(**options)[::-1], check_books).TestCase
    case.settings = settings(
        max_examples=12, stateful_step_count=14, deadline=None, suppress_health_check=list(HealthCheck)
    )
    return case


TestInterleavings = machine()
TestEvictingInterleavings = machine(bound=80)


def test_live_tokens_are_the_unique_tokens_of_what_can_still_be_reached():
    _, shared = pair()
    contexts = [shared.prompt("the answer to the question"), shared.prompt("the answer is")]
    kept = [c + shared(c, max_tokens=5).sample(np.random.default_rng(i)) for i in range(4) for c in contexts]
    plans = [shared.token(c).table() for c in kept]
    serve([r for p in plans for r in p.requests])
    unique = {c.tokens[: i + 1] for c in kept for i in range(len(c.tokens))}
    assert shared.tree.stats()["live_tokens"] == len(unique)
    del plans, kept[1:]
    gc.collect()
    unique = {c.tokens[: i + 1] for c in (*kept, *contexts) for i in range(len(c.tokens))}
    assert shared.tree.stats()["live_tokens"] == len(unique)


def test_memory_follows_the_live_tokens():
    _, shared = pair(vocabulary=330)
    contexts = [shared.prompt("one two three four five six " * 2 + str(i)) for i in range(100)]
    plans = [shared(c, max_tokens=20).draw(np.random.default_rng(i)) for i, c in enumerate(contexts)]
    serve([r for p in plans for r in p.requests])
    tree = shared.tree
    assert tree.live > kv_tree.FLOOR
    assert tree.pool.capacity <= 1.25 * tree.live
    del contexts, plans
    gc.collect()
    shared.token("one").table().requests[0]
    serve(shared.token("one").table().requests)
    assert tree.pool.capacity == kv_tree.FLOOR


@model
def walk(lm, steps, length):
    context = lm.prompt("one two three four five six one two three four five six " * 2)
    for _ in range(steps):
        context += sample("text", lm(context, max_tokens=length))
        score(-0.1 * len(context.tokens[-1:]))
    return context.tokens


def test_each_unique_token_is_forwarded_once():
    """`forwarded` = the unique tokens of the prefix tree that needed a successor (nothing was evicted)."""
    _, shared = pair()
    result = walk.run(shared, 5, 4, engine=smc(particles=16, ess_threshold=1.0), seed=3)
    prompt = len(shared.prompt("one two three four five six one two three four five six " * 2).tokens)
    cost = result.cost
    assert cost.recomputed_tokens == 0
    assert cost.forwards <= 5 * 4
    assert cost.forwarded_tokens <= prompt + 16 * (5 * 4 - 1)
    unique = {v[: i + 1] for v in result.values for i in range(len(v) - 1)}
    assert cost.forwarded_tokens >= len(unique)


@pytest.mark.parametrize("bound", [None, 90])
def test_the_ledger_is_what_really_went_through_the_model(monkeypatch, bound):
    """Draws, scores, tables and hidden states of one run; `forwarded` counts tokens at the model's own door."""
    _, shared = pair(bound=bound)
    seen = []
    real = shared.net.base_model.forward
    monkeypatch.setattr(
        shared.net.base_model, "forward", lambda *a, **k: seen.append(k["input_ids"].numel()) or real(*a, **k)
    )

    @model
    def program():
        context = shared.prompt("one two three four five six " * 2)
        for _ in range(3):
            context += sample("text", shared(context, max_tokens=4))
            score(0.1 * shared(context, max_tokens=3, prefix=True).log_prob(" two"))
            context += sample("word", shared.choice(context, [" one", " six"]))
        return context.text

    cost = program.run(engine=smc(particles=12, ess_threshold=1.0), seed=3).cost
    assert cost.forwarded_tokens == sum(seen)
    assert cost.forwards == len(seen)
    assert (cost.recomputed_tokens > 0) == (bound is not None)


def test_clones_that_have_not_diverged_are_one_row(monkeypatch):
    _, shared = pair()
    sizes = []
    real = shared.net.base_model.forward
    monkeypatch.setattr(
        shared.net.base_model, "forward", lambda *a, **k: sizes.append(k["input_ids"].shape[1]) or real(*a, **k)
    )
    rng = [np.random.default_rng(0) for _ in range(8)]  # the same uniforms: eight clones
    plans = [shared("the answer", max_tokens=5).draw(r) for r in rng]
    serve([r for p in plans for r in p.requests])
    assert len({p.conclude().value.tokens for p in plans}) == 1
    assert sizes[1:] == [1] * (len(sizes) - 1)


def test_a_bound_costs_time_not_truth():
    _, shared = pair(bound=90)
    result = walk.run(shared, 4, 4, engine=smc(particles=12, ess_threshold=1.0), seed=5)
    free = walk.run(pair()[1], 4, 4, engine=smc(particles=12, ess_threshold=1.0), seed=5)
    assert result.values == free.values
    assert result.log_evidence == pytest.approx(free.log_evidence, abs=1e-6)
    assert result.cost.recomputed_tokens > 0


def test_engines_agree_with_exact_on_an_enumerable_language():
    """Letters of a tiny network to depth 3: every engine over the tree equals enumeration."""
    _, shared = pair(vocabulary=4, tokenizer=letter_tokenizer)

    @model
    def spell():
        context, text = shared.prompt("ab"), ""
        for _ in range(3):
            letter = sample("letter", shared.token(context))
            if letter.finish == "end":
                break
            context, text = context + letter, text + letter
            score(0.7 if letter == "b" else 0.0)
        return text

    truth = spell.run(engine=exact())
    for engine in (importance(particles=3000), smc(particles=3000)):
        found = spell.run(engine=engine, seed=1)
        assert found.log_evidence == pytest.approx(truth.log_evidence, abs=0.08)  # over 5 standard errors
        assert all(abs(found.p(v) - truth.p(v)) < 0.06 for v in truth.values)
    assert spell.run(engine=beam(width=64, expand=4)).best.value == truth.best.value


def test_a_tree_of_any_shape_keeps_its_books():
    """Holding, releasing and placing at random, against a count of what is reachable."""
    from backends.kv_tree import KVTree, Lease

    draw = random.Random(0)
    tree = KVTree(KVPool(1, 1, 2, torch.float32, "cpu", None))
    leases = []
    for _ in range(400):
        if leases and draw.random() < 0.4:
            leases.pop(draw.randrange(len(leases)))
        path = [draw.randrange(3) for _ in range(draw.randrange(1, 9))]
        leaf = tree.find(path)
        leases.append(Lease(tree, leaf))
        tree.let_go()
        tree.begin_step(leaf.path())
        tree.place([n for n in leaf.path() if n.slot < 0])
        tree.check()
        reachable = {id(n) for lease in leases for n in lease.node.path()}
        assert tree.live == sum(1 for n in tree.pool.owner if n is not None and id(n) in reachable)


# -- under a bound, steps of several prompts --------------------------------------------------------------------------------


def bounded(tokens):
    return SharedModel(tiny("llama", 330), byte_tokenizer(), "bounded", max_kv_bytes=256 * tokens)


def tables(lm, contexts, **options):
    rows = [row for context in contexts for row in lm.token(context, **options).table().requests]
    serve(rows)
    assert all(row.error is None for row in rows)
    lm.tree.check()
    return [row.answer() for row in rows]


def letters(stream, n=60):
    return "".join(stream.choice("abcdefghij") for _ in range(n))


def test_what_a_step_reads_is_not_evicted_in_it():
    """One of two prompts is known already, and there is room for one and a half: its states must outlive the step."""
    lm, free = bounded(100), bounded(10_000)
    texts = "abcdefghij" * 6, "zyxwvutsrq" * 6
    contexts = [lm.prompt(t) for t in texts]
    tables(lm, contexts[:1])
    found = tables(lm, contexts, temperature=0.5)
    expected = tables(free, [free.prompt(t) for t in texts], temperature=0.5)
    assert all((a - b).abs().max() < 1e-4 for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("room", [600, 700, 1000])
def test_a_step_of_several_forwards_evicts_nothing_of_its_own(room):
    """1,440 new tokens, 512 a forward, beside a prompt that goes on from what was stored before."""
    stream, lm, free = random.Random(room), bounded(room), bounded(10_000)
    texts = [letters(stream) for _ in range(24)]
    stored = "p" * 60
    tables(lm, [lm.prompt(stored)])
    found = tables(lm, [lm.prompt(t) for t in [*texts, stored + "x"]])
    expected = tables(free, [free.prompt(t) for t in [*texts, stored + "x"]])
    assert all((a - b).abs().max() < 1e-4 for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("room", [400, 700, 1400])
def test_many_problems_under_a_bound_draw_what_they_draw_without_one(room):
    @model
    def program(lm, text):
        first = sample("token", lm.token(lm.prompt(text)))
        return str(first), str(sample("text", lm(lm.prompt(text), max_tokens=3)))

    stream = random.Random(room)
    texts = [letters(stream) for _ in range(24)]
    found, expected = (
        program.run_many([{"lm": lm, "text": t} for t in texts], engine=importance(2), seed=0)
        for lm in (bounded(room), bounded(10_000))
    )
    assert [r.values for r in found] == [r.values for r in expected]


def test_what_follows_any_token_of_a_prompt_needs_no_forward():
    lm = bounded(10_000)

    @model
    def program():
        long, short = lm.prompt("the answer is"), lm.prompt("the answer")
        sample("a", lm.token(long))
        sample("b", lm.token(short))

    cost = program.run(engine=importance(1), seed=0).cost
    assert cost.forwarded_tokens == len(lm.prompt("the answer is").tokens) and cost.recomputed_tokens == 0
    assert cost.shared_tokens == len(lm.prompt("the answer").tokens)


def test_given_texts_are_shared_too():
    """Scored again at another temperature: the context and all of the text but its last token are found."""
    lm = bounded(10_000)
    text = "yes it is"

    @model
    def program():
        for temperature in (1.0, 0.5):
            observe("text", lm("is it? ", prefix=True, max_tokens=20, temperature=temperature), text)

    cost = program.run(engine=importance(1), seed=0).cost
    context, given = len(lm.prompt("is it? ").tokens), len(lm.encode(text))
    assert cost.forwarded_tokens == context + given - 1 == cost.shared_tokens

"""What can go wrong under the shared backend: memory, interrupts, numbers that are none, architectures it does not know."""

import math

import numpy as np
import pytest
import torch

from backends.kv_pool import KVBudgetError
from backends.kv_tree import FLOOR
from inference import importance, smc
from ppl import model, sample, score
from ppl.errors import BackendError, UsageError
from tests.backends.test_shared import pair, walk

LONG = "one two three four five six " * 4
RNG = np.random.default_rng


@model
def some_are_long(lm):
    """Half of the runs ask about a text that does not fit a small bound."""
    if sample("u", lm.choice("the", [" answer", " question"])) == " answer":
        return sample("text", lm(lm.prompt(LONG), max_tokens=3))
    return sample("text", lm(lm.prompt("one"), max_tokens=3))


def test_a_text_longer_than_the_bound_is_named():
    _, shared = pair(bound=20)
    with pytest.raises(
        KVBudgetError,
        match=r"this batch needs \d+ tokens of keys and values at once, 256 bytes each, and max_kv_bytes=5120 holds 20; everything it"
        r" does not read was evicted\. Raise max_kv_bytes, or lower the number of particles or the length of their texts\.",
    ):
        shared(LONG, max_tokens=3).sample(RNG(0))
    shared.tree.check()


def test_what_does_not_fit_costs_its_particle_only():
    """on_error="drop": the run goes on, keeps its other particles, and says why the rest died."""
    _, shared = pair(bound=24)
    free = some_are_long.run(pair()[1], engine=importance(12), seed=1)
    result = some_are_long.run(shared, engine=importance(12), seed=1, on_error="drop")
    finished = [t.value for t in result.traces if t.status == "finished"]
    fits = [t.value for t in free.traces if t.sites["u"].value == " question"]
    assert finished == fits and 0 < len(fits) < 12
    assert any("KVBudgetError: this batch needs" in reason for reason in result.reasons)
    shared.tree.check()


def failing(monkeypatch, error, after):
    """torch.empty that has no memory for pools after so many of them."""
    count, real = [0], torch.empty

    def empty(*shape, **options):
        if len(shape) == 3:
            count[0] += 1
            if count[0] > after:
                raise error
        return real(*shape, **options)

    monkeypatch.setattr("backends.kv_pool.torch.empty", empty)


@pytest.mark.parametrize(
    "error",
    [RuntimeError("[enforce fail at alloc_cpu.cpp] can't allocate memory: you tried"), torch.OutOfMemoryError("CUDA out of memory")],
)
def test_memory_that_runs_out_is_named_and_nothing_is_lost(monkeypatch, error):
    _, shared = pair()
    before = shared("the answer", max_tokens=4).log_prob("is one")
    contexts = [shared.prompt(f"{i} {LONG}") for i in range(60)]
    failing(monkeypatch, error, after=1)  # half-way through growing the first pools
    with pytest.raises(KVBudgetError, match=r"memory is out: the tree stores \d+ tokens .* Set max_kv_bytes below \d+, or"):
        for context in contexts:
            shared(context, max_tokens=2).sample(RNG(0))
    monkeypatch.undo()
    shared.tree.check()
    assert shared("the answer", max_tokens=4).log_prob("is one") == pytest.approx(before, abs=1e-5)
    shared(contexts[-1], max_tokens=2).sample(RNG(0))  # there is memory again
    assert shared.tree.pool.capacity > FLOOR


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError("something else")])
def test_an_interrupted_forward_leaves_nothing_behind(error, monkeypatch):
    plain, shared = pair()
    real = shared.net.base_model.layers[1].forward
    with monkeypatch.context() as broken:
        broken.setattr(shared.net.base_model.layers[1], "forward", lambda *a, **k: (_ for _ in ()).throw(error))
        with pytest.raises(KeyboardInterrupt if error is KeyboardInterrupt else RuntimeError):
            shared("the answer", max_tokens=4).sample(RNG(0))
    assert shared.net.base_model.layers[1].forward == real
    shared.tree.check()
    again = shared("the answer to", max_tokens=4).log_prob(" the")
    assert again == pytest.approx(plain("the answer to", max_tokens=4).log_prob(" the"), abs=1e-4)


@pytest.mark.parametrize("shared", [False, True])
def test_numbers_that_are_none_name_the_request_and_the_layer(shared):
    lm = pair(fast=False)[shared]
    with torch.no_grad():
        lm.net.base_model.layers[1].mlp.down_proj.weight.fill_(math.nan)
    said = rf"{lm.name} gave logits that are not numbers for {{}} after '...the answer'\. {{}} is the first\."
    with pytest.raises(BackendError, match=said.format("Draw", "Layer 1")):
        lm("the answer", max_tokens=3).sample(RNG(0))
    with torch.no_grad():
        lm.net.base_model.embed_tokens.weight.fill_(math.nan)
    if shared:
        lm.tree.forget()
    with pytest.raises(BackendError, match=said.format("ScoreText", r"Layer \d|Its embeddings|Layer 1").replace(" is", ".*")):
        lm("the answer", max_tokens=3).log_prob(" the")


def test_an_architecture_it_cannot_run_is_refused_by_name():
    with pytest.raises(BackendError, match=r"shared backend cannot run the architecture 'bloom'.*shared=False"):
        pair("bloom", n_layer=2, n_head=4)


@pytest.mark.parametrize(
    "kind, options, reason",
    [
        ("llama", {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}}, "its rope_type 'dynamic'"),
        ("phi3", {"rope_parameters": {
            "rope_type": "longrope", "rope_theta": 1e4, "short_factor": [1.0] * 4, "long_factor": [2.0] * 4,
            "original_max_position_embeddings": 48, "partial_rotary_factor": 1.0}}, "its rope_type 'longrope'"),
        ("llama4_text", {"layer_types": ["chunked_attention", "full_attention"], "attention_chunk_size": 4},
         "it has layers of the type 'chunked_attention', and the tree knows full_attention and sliding_attention"),
    ],
)  # fmt: skip
def test_what_a_config_says_against_the_tree_is_refused_by_name(kind, options, reason):
    """None of it would show in a short text: old tokens move, or stop being seen, only when a text grows."""
    with pytest.raises(BackendError, match=f"shared: the shared backend cannot run the architecture '{kind}': {reason}"):
        pair(kind, **options)


def test_a_window_that_the_attention_is_not_told_is_refused(monkeypatch):
    """A window of 64 tokens cannot show in a short text either."""
    from transformers.models.mistral import modeling_mistral

    real = modeling_mistral.MistralAttention.forward

    def untold(self, *args, **options):
        window, self.config.sliding_window = self.config.sliding_window, None
        try:
            return real(self, *args, **options)
        finally:
            self.config.sliding_window = window

    monkeypatch.setattr(modeling_mistral.MistralAttention, "forward", untold)
    with pytest.raises(
        BackendError, match=r"'mistral': its layers have the windows \[64, 64\], and its attention is told \[None, None\]"
    ):
        pair("mistral", sliding_window=64)


def test_a_bound_that_holds_no_token_is_refused():
    from backends.shared import SharedModel
    from tests.backends.tiny_models import byte_tokenizer, tiny

    with pytest.raises(UsageError, match="max_kv_bytes=255: expected room for one token at least, 256 bytes"):
        SharedModel(tiny(), byte_tokenizer(), "small", max_kv_bytes=255)


def test_an_attention_layout_it_gets_wrong_is_refused_by_its_numbers(monkeypatch):
    """A layout that runs but means something else: the self-test at load compares it with a plain forward."""
    from backends.tree_attention import Block

    real = Block.mask
    monkeypatch.setattr(Block, "mask", lambda self, window: real(self, 1))
    with pytest.raises(BackendError, match=r"cannot run the architecture 'llama': its logits differ by .* from the plain"):
        pair()


@pytest.mark.parametrize("engine", [importance(8), smc(8, ess_threshold=1.0)])
def test_bfloat16_is_one_precision_throughout(engine):
    """Opt-in: pools, weights and every log-prob of a run come from bfloat16, and are off by tenths of a nat."""
    from backends.shared import SharedModel
    from tests.backends.tiny_models import byte_tokenizer, tiny

    half = SharedModel(tiny().to(torch.bfloat16), byte_tokenizer(), "half")
    full = pair()[1]
    assert {t.dtype for t in (*half.tree.pool.k, *half.tree.pool.v)} == {torch.bfloat16}
    assert {p.dtype for p in half.net.parameters()} == {torch.bfloat16}
    result = walk.run(half, 2, 4, engine=engine, seed=1)
    for trace in result.traces:
        context = half.prompt(LONG)
        for node in [n for n in trace.nodes if n.kind == "sample"][:1]:
            there = full(context, max_tokens=4).log_prob(node.value)
            assert node.log_prob == pytest.approx(there, abs=4 * 0.5) and node.log_prob != there


@pytest.mark.parametrize("shared", [False, True])
def test_one_run_keeps_to_one_precision(shared):
    """The same weights in two precisions say different things: the run is told at the second one's first use."""
    from backends.hf import HFModel
    from backends.shared import SharedModel
    from tests.backends.tiny_models import byte_tokenizer, tiny

    kind = SharedModel if shared else HFModel
    full = kind(tiny(), byte_tokenizer(), "tiny")
    half = kind(tiny().to(torch.bfloat16), byte_tokenizer(), "tiny")

    @model
    def inner(lm):
        return sample("inside", lm("the", max_tokens=2))

    @model
    def both(first, second, nested):
        text = sample("text", first("the", max_tokens=2))
        if nested:
            importance(2)(inner)(second, seed=0)
        else:
            score(second("the", max_tokens=2, prefix=True).log_prob(text))

    said = r"this run has used tiny in float32 and now asks for it in bfloat16\. .* load it with the same dtype everywhere"
    for nested in (False, True):
        with pytest.raises(UsageError, match=said):
            both.run(full, half, nested, engine=importance(2), seed=0)
        both.run(half, half, nested, engine=importance(2), seed=0)


def test_a_judge_reads_with_the_dtype_it_is_given(tmp_path):
    from backends import load
    from tests.backends.tiny_models import byte_tokenizer, tiny

    tiny().save_pretrained(tmp_path)
    byte_tokenizer().save_pretrained(tmp_path)
    judge = load(f"reward:judge:hf:{tmp_path}", dtype="bfloat16")
    assert judge.model is load(f"hf:{tmp_path}", dtype="bfloat16")
    assert judge.model.net.dtype == torch.bfloat16 and judge.question == judge.asks


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_the_tree_lives_on_a_gpu_as_on_the_cpu():
    from backends.shared import SharedModel
    from ppl.testing.backends import check_same_answers
    from tests.backends.tiny_models import byte_tokenizer, tiny

    plain, _ = pair()
    shared = SharedModel(tiny().to("cuda"), byte_tokenizer(), "gpu")
    check_same_answers(shared, plain, ["the", "the answer", LONG], ["is", " one"], max_tokens=8, tolerance=1e-3)

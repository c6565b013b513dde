"""A served model against the same weights in process. The server is a fake that answers as vLLM does."""

import httpx
import numpy as np
import pytest

from backends import load
from backends.hf import HFModel
from backends.served import ServedModel
from inference import importance, smc
from ppl import limit, model, observe, sample, score
from ppl.errors import BackendError, UsageError
from ppl.requests import perform
from tests.backends.fake_server import FakeServer
from tests.backends.tiny_models import byte_tokenizer, tiny

RNG = np.random.default_rng


@pytest.fixture(scope="module")
def lm():
    net = tiny()
    net.generation_config.eos_token_id = [0, 2]  # two ends: a text's density is over both
    return HFModel(net, byte_tokenizer(), "tiny")


def served(lm, name="tiny", log_probs="raw", **options):
    server = FakeServer(lm, **options)
    client = httpx.Client(base_url="http://server/v1/", transport=server.transport)
    return ServedModel(client, name, lm.tokenizer, log_probs), server


@pytest.fixture
def remote(lm):
    return served(lm)[0]


def test_drawn_texts_have_the_density_they_have_in_process(lm, remote):
    finishes = set()
    for seed in range(12):
        drawn = perform(remote("one two", max_tokens=6, stop="e").draw(RNG(seed)))
        assert drawn.log_prob == drawn.log_q
        assert drawn.log_prob == pytest.approx(lm("one two", max_tokens=6, stop="e").log_prob(drawn.value), abs=1e-4)
        finishes.add(drawn.value.finish)
    assert len(finishes) >= 2


@pytest.mark.parametrize("text", ["three", "", "one two three four five six seven"])
@pytest.mark.parametrize("prefix", [False, True])
def test_given_texts_are_scored_as_in_process(lm, remote, text, prefix):
    here, there = (m("the answer", max_tokens=5, prefix=prefix).log_prob(text) for m in (lm, remote))
    assert there == pytest.approx(here, abs=1e-4)


def test_the_ledger_has_every_token_that_the_server_read(lm):
    """A text that ends is asked about with each end token, and pays for each call."""
    remote, server = served(lm)
    plans = [remote("the answer", max_tokens=4).assess(text) for text in ("three", "")]
    drawing = remote("one", max_tokens=6).draw(RNG(0))
    drawn = [perform(plan) for plan in (*plans, drawing)][-1]
    assert len(server.bodies) == 5
    forwarded = sum(row.cost.forwarded_tokens for plan in (*plans, drawing) for row in plan.requests)
    assert forwarded == sum(len(body["prompt"]) for body in server.bodies) + len(drawn.value.tokens)


def test_a_chat_goes_out_as_the_tokens_it_has_in_process(lm):
    remote, server = served(lm)
    turns = {"system": "be brief", "user": "say <|im_end|>"}
    text = remote(remote.chat(**turns) + "well", max_tokens=2).sample(RNG(0))
    assert server.bodies[0]["prompt"] == list((lm.chat(**turns) + "well").tokens)
    assert (remote.chat(**turns) + text).tokens[-len(text.tokens) :] == text.tokens


def test_choices_and_observations_weigh_what_they_weigh_in_process(lm, remote):
    @model
    def program(m):
        word = sample("word", m.choice("the", [" answer", " question", " six"]))
        observe("rest", m("one" + word, max_tokens=3), " two")
        return word

    # with few particles all three words are drawn alike for one seed: equal draws, equal weights
    here, there = (program.run(m, engine=importance(12), seed=3) for m in (lm, remote))
    assert here.values == there.values
    assert there.log_weights == pytest.approx(here.log_weights, abs=1e-3)


def test_a_served_proposal_for_a_model_in_process_weighs_p_over_q(lm):
    other = HFModel(tiny(seed=1), byte_tokenizer(), "other")
    remote, _ = served(other, name="tiny")
    assert remote.vocabulary == other.vocabulary

    @model
    def program():
        return sample("text", other("the", max_tokens=3), proposal=remote("the", max_tokens=3))

    posterior = program.run(engine=importance(8), seed=0)
    assert posterior.log_evidence == pytest.approx(0.0, abs=1e-4)  # the same weights: p = q


def test_a_seed_repeats_a_run_and_particles_draw_apart(lm):
    @model
    def program():
        text = remote.prompt("one")
        for _ in range(2):
            piece = sample("piece", remote(text, max_tokens=2))
            text += piece
            score(-0.1 * len(piece))
        return text.text

    remote, server = served(lm)
    first = program.run(engine=smc(6), seed=1)
    assert len({body["seed"] for body in server.bodies}) == len(server.bodies) == 12
    again = program.run(engine=smc(6), seed=1)
    assert first.values == again.values and first.values != program.run(engine=smc(6), seed=2).values
    assert first.cost.model_calls == 12 and 0 < first.cost.generated_tokens <= 24


def test_a_text_is_asked_for_only_if_all_its_tokens_still_fit(lm):
    @model
    def program():
        return sample("text", remote("one", max_tokens=4))

    remote, server = served(lm)
    result = program.run(engine=importance(9), seed=0, limit=limit(tokens=10))
    assert result.stopped == "tokens"
    assert result.cost.generated_tokens <= 10 and len(server.bodies) <= 10


def test_processed_log_probs_allow_a_temperature():
    net = tiny()
    net.generation_config.eos_token_id = 2
    lm = HFModel(net, byte_tokenizer(), "tiny")
    remote, _ = served(lm, log_probs="processed", processed=True)
    for seed in range(4):
        drawn = perform(remote("one", max_tokens=4, temperature=0.5).draw(RNG(seed)))
        assert drawn.log_prob == pytest.approx(lm("one", max_tokens=4, temperature=0.5).log_prob(drawn.value), abs=1e-4)


def test_under_a_temperature_several_ends_have_no_known_density(lm):
    remote, _ = served(lm, log_probs="processed", processed=True)
    with pytest.raises(BackendError, match="ends its texts with any of 2 tokens, and under temperature"):
        remote("one", max_tokens=4, temperature=0.5).sample(RNG(0))


def test_busy_servers_are_asked_again(lm, monkeypatch):
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda seconds: None)
    remote, server = served(lm, broken=[httpx.Response(429), httpx.Response(503)])
    remote("one", max_tokens=2).sample(RNG(0))
    assert len(server.bodies) == 1


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            httpx.Response(400, json={"error": {"message": "prompt too long"}}),
            "the server of tiny refuses: prompt too long",
        ),
        (httpx.Response(400, text="no"), "the server of tiny refuses: HTTP 400"),
        (httpx.Response(200, text="<html>"), r"no usable answer from http://server/v1/: .* As in: vllm serve tiny"),
        (
            httpx.Response(200, json={"choices": [{"text": "a"}]}),
            "the server of tiny does not give token ids with log-probs",
        ),
        (
            httpx.Response(
                200, json={"choices": [{"logprobs": {"tokens": ["token_id:99"], "token_logprobs": [-1.0]}}]}
            ),
            r"ended a text without its end token .*, a stop or max_tokens=4, so its density is not known",
        ),
    ],
)
def test_answers_that_cannot_be_used_are_named(lm, answer, message):
    remote, _ = served(lm, broken=[answer])
    with pytest.raises(BackendError, match=message):
        remote("one", max_tokens=4).sample(RNG(0))


def test_a_server_that_cannot_score_is_named(lm):
    remote, _ = served(lm, broken=[httpx.Response(200, json={"choices": [{"text": "a"}]})])
    with pytest.raises(
        BackendError, match="the server of tiny gives no prompt_logprobs, so it cannot score given text"
    ):
        remote("one", max_tokens=4).log_prob("two")


def test_a_warp_whose_density_the_server_hides_is_an_error(remote):
    with pytest.raises(BackendError, match=r"--logprobs-mode processed_logprobs and load with log_probs='processed'"):
        remote("one", max_tokens=4, temperature=0.5).sample(RNG(0))
    with pytest.raises(BackendError, match="scores given text under the plain model only"):
        remote("one", max_tokens=4, top_p=0.5).log_prob("two")


def test_a_server_without_the_model_says_what_it_has(lm):
    with pytest.raises(BackendError, match=r"does not serve 'huge'\. It has tiny\."):
        served(lm, name="huge")[0]


def test_specs_and_absent_servers(tmp_path):
    byte_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(UsageError, match=r"it is written openai:http://HOST:PORT/v1#MODEL"):
        load("openai:localhost")
    with pytest.raises(BackendError, match=r"the tokenizer 'no/such' cannot be had here: .* Give tokenizer=FOLDER"):
        load("openai:http://127.0.0.1:9/v1#no/such")
    with pytest.raises(
        BackendError, match=r"no usable answer from http://127\.0\.0\.1:9/v1/: .* As in: vllm serve big"
    ):
        load("openai:http://127.0.0.1:9/v1#big", tokenizer=str(tmp_path))
    with pytest.raises(UsageError, match="log_probs='cooked': expected 'raw' or 'processed'"):
        load("openai:http://127.0.0.1:9/v1#big", tokenizer=str(tmp_path), log_probs="cooked")

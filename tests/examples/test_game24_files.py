"""The shipped files of `examples/game24`: what they hold, and that they load by the ordinary paths."""

import csv
import importlib.util
import json
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "examples" / "game24"
PROMPT = "4 5 6 10 -> 24\n"
RIGHT = "10 - 4 = 6 left: 5 6 6\n5 * 6 = 30 left: 6 30\n30 - 6 = 24 left: 24\n"


def load_module(name: str):
    spec = importlib.util.spec_from_file_location(f"game24_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def checker():
    return load_module("checker")


@pytest.fixture(scope="module")
def tokenizer():
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(FOLDER / "model")


@pytest.fixture(scope="module")
def model():
    import torch
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(FOLDER / "model", dtype=torch.float32)


def rows(split: str) -> list[tuple[str, ...]]:
    with open(FOLDER / "puzzles.csv", newline="") as file:
        return [tuple(row["numbers"].split()) for row in csv.DictReader(file) if row["split"] == split]


def test_the_splits_share_no_multiset():
    train, test = rows("train"), rows("test")
    assert (len(train), len(test)) == (1262, 100)
    assert len({tuple(sorted(numbers)) for numbers in train + test}) == 1362


def test_training_text_never_solves_a_test_puzzle(checker, monkeypatch):
    import random

    monkeypatch.setitem(__import__("sys").modules, "checker", checker)
    derivations = load_module("derivations")
    pairs = derivations.derivations(random.Random(1))
    texts = [next(pairs) for _ in range(5_000)]
    test_prompts = {checker.puzzle(tuple(map(int, numbers))) for numbers in rows("test")}
    assert not test_prompts & {prompt for prompt, _ in texts}
    assert all(checker.solved(prompt, solution) for prompt, solution in texts)


def test_the_files_are_small():
    files = [*(FOLDER / "model").iterdir(), *(FOLDER / "prm").iterdir()]
    assert sum(file.stat().st_size for file in files) < 1_500_000


def test_the_model_is_an_ordinary_llama(model):
    import torch

    assert type(model).__name__ == "LlamaForCausalLM"
    assert model.num_parameters() == 352_896
    assert all(torch.equal(p, p.half().float()) for p in model.parameters()), "stored as fp16"


def test_the_model_card_names_these_weights():
    import hashlib

    card = (FOLDER / "MODEL_CARD.md").read_text()
    for file in (FOLDER / "model" / "model.safetensors", FOLDER / "prm" / "head.safetensors"):
        assert hashlib.sha256(file.read_bytes()).hexdigest() in card


@pytest.mark.parametrize("text", [PROMPT, RIGHT, PROMPT + RIGHT, "4 + 6 = 10 left: 2 10 10\n", "199 / 1 = 199"])
def test_decoding_gives_back_the_text_whole_or_in_pieces(tokenizer, text):
    ids = tokenizer.encode(text)
    assert tokenizer.unk_token_id not in ids
    assert tokenizer.decode(ids) == text
    for cut in range(len(ids)):
        assert tokenizer.decode(ids[:cut]) + tokenizer.decode(ids[cut:]) == text
    assert "".join(tokenizer.decode([i]) for i in ids) == text
    assert tokenizer.encode(tokenizer.decode(ids)) == ids


def test_numbers_are_single_tokens_and_text_adds_no_special_token(tokenizer):
    assert tokenizer.tokenize("4 5 6 10 -> 24\n") == ["4", " ", "5", " ", "6", " ", "10", " -> ", "24", "\n"]
    assert len({tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id}) == 3


def test_a_control_token_written_by_the_user_is_unknown_text(tokenizer):
    ids = tokenizer.encode("<eos>", split_special_tokens=True)
    assert set(ids) == {tokenizer.unk_token_id}


def test_the_model_mostly_writes_legal_first_lines(model, tokenizer, checker):
    """Greedy first lines of 20 test puzzles: the shipped weights are the trained ones."""
    import torch

    prompts = [checker.puzzle(tuple(map(int, numbers))) for numbers in rows("test")[:20]]
    batch = tokenizer(prompts, padding=True, return_tensors="pt")
    newline = tokenizer.convert_tokens_to_ids("\n")
    with torch.inference_mode():
        ids = model.generate(
            **batch,
            do_sample=False,
            max_new_tokens=16,
            eos_token_id=newline,
            pad_token_id=tokenizer.pad_token_id,
        )
    lines = [text.split("\n", 1)[1] for text in tokenizer.batch_decode(ids, skip_special_tokens=True)]
    legal = [checker.legal(prompt, line) for prompt, line in zip(prompts, lines, strict=True)]
    assert all(line.endswith("\n") for line in lines)
    assert sum(legal) >= 16


def test_the_reward_head_prefers_a_prefix_that_can_be_solved(model, tokenizer):
    import torch
    from safetensors.torch import load_file

    about = json.loads((FOLDER / "prm" / "head.json").read_text())
    assert (FOLDER / "prm" / about["base"]).resolve() == (FOLDER / "model").resolve()
    assert (about["readout"], about["step_token"], about["hidden"]) == ("mlp_sigmoid", "\n", "last_hidden_state")
    weights = {name: value.float() for name, value in load_file(FOLDER / "prm" / "head.safetensors").items()}
    first, last = about["layers"]
    assert [weights[f"{first}.weight"].shape[1], *(len(weights[f"{n}.bias"]) for n in (first, last))] == about["sizes"]

    def reward(text: str) -> float:
        ids = tokenizer(text, return_tensors="pt").input_ids
        with torch.inference_mode():
            state = model.model(ids).last_hidden_state[0, -1]
        hidden = (weights[f"{first}.weight"] @ state + weights[f"{first}.bias"]).relu()
        return float((weights[f"{last}.weight"] @ hidden + weights[f"{last}.bias"]).sigmoid())

    alive, dead = "5 * 6 = 30 left: 6 30\n", "5 + 6 = 11 left: 6 11\n"
    start = PROMPT + RIGHT[: RIGHT.index("\n") + 1]
    assert reward(start + alive) > 0.5 > 0.2 > reward(start + dead)


LEGAL = [
    ("", 1.0),
    ("10 - 4 = 6 left: 5 6 6\n", 1.0),
    ("4 + 5 = 9 left: 10 9 6\n", 1.0),  # any order
    ("6 + 4 = 10 left: 5 10 10\n", 1.0),
    ("10 / 5 = 2 left: 2 4 6\n", 1.0),
    (RIGHT, 1.0),
    (RIGHT[:-1], 1.0),  # the unfinished line is not judged yet
    ("10 - 4 = 6 left: 5 6 6\nnonsense", 1.0),
    ("10 - 4 = 7 left: 5 6 7\n", 0.0),  # arithmetic
    ("10 - 4 = 6 left: 5 6\n", 0.0),  # one number missing
    ("10 - 4 = 6 left: 4 5 6 6\n", 0.0),  # 4 not used up
    ("10 - 4 = 6 left: 5 6 7\n", 0.0),  # wrong list
    ("10 - 3 = 7 left: 5 6 7\n", 0.0),  # 3 is not there
    ("4 * 4 = 16 left: 5 6 10 16\n", 0.0),  # only one 4
    ("6 / 4 = 1 left: 1 5 10\n", 0.0),  # not exact
    ("6 / 0 = 0 left: 0 4 5 10\n", 0.0),
    ("4 - 10 = -6 left: -6 5 6\n", 0.0),  # negative numbers are outside the format
    ("4+5=9 left: 6 9 10\n", 0.0),
    ("\n", 0.0),
    (RIGHT + "24 + 0 = 24 left: 24\n", 0.0),
    ("10 - 4 = 7 left: 5 6 7\n5 * 6 = 30 left: 7 30\n", 0.0),  # one bad line is enough
]


@pytest.mark.parametrize(("text", "expected"), LEGAL)
def test_legal(checker, text, expected):
    assert checker.legal(PROMPT, text) == expected


@pytest.mark.parametrize(
    ("prompt", "text", "expected"),
    [
        (PROMPT, RIGHT, True),
        (PROMPT, RIGHT[:-1], True),
        (PROMPT[:-1], RIGHT, True),
        (PROMPT, "", False),
        (PROMPT, RIGHT[: RIGHT.index("30 -")], False),  # unfinished
        (PROMPT, RIGHT + "\n", False),
        ("4 5 6 10 -> 25\n", RIGHT, False),  # another target
        ("4 5 6 11 -> 24\n", RIGHT, False),  # other numbers
        (PROMPT, "6 + 10 = 16 left: 4 5 16\n5 * 16 = 80 left: 4 80\n80 / 4 = 20 left: 20\n", False),
        (PROMPT, "6 + 10 = 16 left: 4 5 16\n5 * 16 = 80 left: 4 80\n80 / 4 = 24 left: 24\n", False),
        ("0 0 -> 0\n", "0 / 0 = 0 left: 0\n", False),
        ("24 -> 24\n", "", False),  # no step written
    ],
)
def test_solved(checker, prompt, text, expected):
    assert checker.solved(prompt, text) is expected


def test_a_prompt_that_is_no_puzzle_is_named(checker):
    with pytest.raises(ValueError, match="expected a puzzle such as"):
        checker.legal("Solve 4 5 6 10", RIGHT)

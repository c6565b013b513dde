"""Wrong programs and what is said of them: each `bad/NAME.scale` with `bad/NAME.expected`.

The first line of an expected file is where and what the first message is; a program is named by the code it shows.
`python -m tests.grammar.test_bad_programs` writes the expected files anew: read their difference before committing it.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from grammar.codes import CODES
from grammar.modules import check_file
from ppl import registry
from ppl.registry import ModelEntry

FOLDER = Path(__file__).parent / "bad"
PROGRAMS = sorted(FOLDER.glob("*.scale"))
SERVED = ModelEntry("", "openai:URL#MODEL", frozenset({"draw"}), "a server that gives no log-probabilities")


def said_of(path: Path) -> str:
    """All messages of a check, as the command prints them; paths are relative to the folder."""
    bound = ["price"] if path.stem.startswith("E130") else None
    module = check_file(path, externs=bound)
    return "\n\n".join(each.render() for each in module.diagnostics).replace(f"{FOLDER}/", "") + "\n"


@pytest.fixture(autouse=True)
def few_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fixed choice of models: a new one elsewhere changes no expected file."""
    kept = few()
    monkeypatch.setitem(registry.MODELS, "openai", SERVED)
    for name in set(registry.MODELS) - set(kept):
        monkeypatch.delitem(registry.MODELS, name)


def few() -> dict[str, ModelEntry]:
    names = ("smollm2", "hf", "gguf", "table", "scripted", "reward:judge", "reward:head", "reward:fn")
    return {**{name: registry.MODELS[name] for name in names}, "openai": SERVED}


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_what_is_said(path: Path) -> None:
    assert said_of(path) == path.with_suffix(".expected").read_text()


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_messages_name_the_place_and_the_mend(path: Path) -> None:
    messages = said_of(path).split("\n\n")
    for message in messages:
        assert re.match(r"[\w/.]+:\d+:\d+: (error|warning)\[[EW]\d{3}\]: .+\n", message)
        assert "\n" in message and "^" in message and "= hint: " in message
    code = path.stem.partition("_")[0]
    assert code not in CODES or any(f"[{code}]" in message for message in messages)


def test_every_code_that_a_check_can_give_has_a_program() -> None:
    shown = {path.stem.partition("_")[0] for path in PROGRAMS}
    assert {code for code in CODES if not code.startswith("E5") or code == "E511"} <= shown
    assert len(PROGRAMS) >= 60


if __name__ == "__main__":
    kept = few()
    registry.MODELS.clear()
    registry.MODELS.update(kept)
    for program in PROGRAMS:
        program.with_suffix(".expected").write_text(said_of(program))

"""The pages name everything that can be named: no engine and no model is left out."""

import re
from pathlib import Path

import pytest

from ppl.registry import ENGINES, MODELS, REQUIRED

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("page", ["README.md", "docs/engines.md"])
def test_every_engine_is_named(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    assert [name for name in ENGINES if f"`{name}`" not in text and f"`{name}(" not in text] == []


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_is_shown_with_what_it_needs(name):
    """Its row has the options without a default, and none that it does not have."""
    text = (ROOT / "docs" / "engines.md").read_text(encoding="utf-8")
    shown = re.search(rf"^\| `{name}\(([^)]*)\)`", text, re.MULTILINE)
    options = [option.strip() for option in shown[1].split(",") if option.strip() != "…"]
    needed = {option for option, entry in ENGINES[name].options.items() if entry.default is REQUIRED}
    assert needed <= set(options) <= set(ENGINES[name].options)


def test_every_model_is_named():
    text = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    assert [entry.form for entry in MODELS.values() if f"`{entry.form}`" not in text] == []


def test_every_example_is_listed():
    text = (ROOT / "docs" / "examples.md").read_text(encoding="utf-8")
    files = [file.name for kind in ("py", "scale") for file in (ROOT / "examples").glob(f"*.{kind}")]
    assert [f for f in files if f"`{f}`" not in text and f"`{Path(f).stem}.py`, `.scale`" not in text] == []


def test_every_page_is_in_the_menu():
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert [page.name for page in (ROOT / "docs").glob("*.md") if f": {page.name}" not in menu] == []

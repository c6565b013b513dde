"""The dependency picture is drawn from the code as it is now, and its arrows are the allowed ones."""

import runpy
from pathlib import Path

DRAW = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "draw_architecture.py"))


def test_the_page_shows_the_code_as_it_is():
    for drawn, kept in (("page", "PAGE"), ("picture", "PICTURE")):
        assert DRAW[drawn]() == DRAW[kept].read_text(encoding="utf-8"), "run: python docs/draw_architecture.py"


def test_every_module_is_in_the_picture_on_one_level():
    known = DRAW["modules"]()
    graph = DRAW["graph_of"](known)
    for room in ("ppl", "inference", "backends", "grammar", "cli"):
        shown = [name for level in DRAW["levels"](room, graph) for name in level]
        assert sorted(shown) == sorted(n for n in known if n.startswith(f"{room}.") and known[n].stem != "__init__")


def test_imports_for_types_alone_and_inside_functions_draw_no_arrow():
    known = dict.fromkeys(["ppl.trace", "ppl.run", "ppl.dist", "ppl.errors"])
    source = (
        "from typing import TYPE_CHECKING\nimport ppl.trace\nfrom ppl import errors\n"
        "if TYPE_CHECKING:\n    from ppl.run import Run\ndef f():\n    from ppl.dist import iid\n"
    )
    assert DRAW["imports"](DRAW["ast"].parse(source), known) == {"ppl.trace", "ppl.errors"}

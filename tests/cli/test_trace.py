"""`scale trace`: the run folder of every engine as a tree in the terminal and as a page that works in a browser."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from backends import load
from cli.main import app
from cli.trace import read_folder
from cli.tree_layout import answer_shares, place, shared_tokens
from cli.tree_page import page
from ppl.events import read_events
from tests.cli.browser import document, needs_browser

ENGINES = [
    "exact()", "importance(particles=4)", "smc(particles=6, ess_threshold=1.0)", "best_of(n=4)", "mcmc(samples=6)",
    "particle_gibbs(particles=3, sweeps=3)", "parallel_tempering(temperatures=[1, 2], sweeps=3)", "beam(width=2, expand=2)",
    "stochastic_beam(width=4)", "dvts(trees=2, expand=2)", "rebase(width=4)", "ets(width=4)",
    "astar(expand=2, max_nodes=20, goals=2)", "mcts(simulations=6, expand=2)", "ab_mcts(nodes=6)",
]  # fmt: skip
PROGRAM = """
import math
from backends import TableLM
from inference import importance
from ppl import heuristic, model, require, sample, score

lm = TableLM({"": {"a": .5, "b": .5}, "a": {"a": .5, "b": .3, "$": .2}, "b": {"a": .4, "b": .4, "$": .2}})

@model
def letters(hint: str = "</script><b>&amp;") -> str:
    text = lm.prompt("")
    written = ""
    for _ in range(3):
        symbol = sample("symbol", lm.token(text))
        if symbol == "$":
            break
        text += symbol
        written += symbol
        require(written != "bb", "two b's at the start")
        heuristic(math.log(.9 if symbol == "a" else .4))
        score(0.0)
    score(math.log(.1 + written.count("a")))
    return written + hint

@importance(particles=3)
@model
def inner():
    return sample("x", lm("", max_tokens=2))

@model
def outer():
    score(inner().log_evidence)
    return sample("y", lm("", max_tokens=2))
"""


def scale(*arguments):
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A run folder of every engine, by the engine's name."""
    top = tmp_path_factory.mktemp("runs")
    (top / "letters.py").write_text(PROGRAM)
    made = {}
    for engine in ENGINES:
        made[engine.partition("(")[0]] = out = top / engine.partition("(")[0]
        scale("run", f"{top / 'letters.py'}:letters", "--engine", engine, "--seed", "5", "--out", str(out))
    return made


def only(folder):
    (search,) = read_folder(folder)
    return search


@pytest.mark.parametrize("name", [engine.partition("(")[0] for engine in ENGINES])
def test_every_engines_run_folder_draws(folders, name):
    search = only(folders[name])
    assert search.result is not None and search.result.engine.startswith(name)
    printed = scale("trace", str(folders[name]))
    assert name in printed and "%" in printed
    placed = place(search.tree)
    assert len(placed) == len(search.tree.nodes) > 0
    where = {each.node: each for each in placed}
    for each in placed:
        above = each.node.parent
        assert each.column == (0 if above is None else where[above].column + 1)
        if each.node.children:
            rows = [where[child].row for child in each.node.children]
            assert min(rows) <= each.row <= max(rows)
    for _, column in itertools.groupby(sorted(placed, key=lambda p: (p.column, p.row)), key=lambda p: p.column):
        rows = [each.row for each in column]
        assert all(b - a >= 1 for a, b in itertools.pairwise(rows)), "two nodes of a column would overlap"


def test_the_shares_of_the_answers_are_the_results_weights(folders):
    for name in ("smc", "exact", "beam", "importance"):
        search = only(folders[name])
        shares = answer_shares(search.tree)
        assert sum(share for node, share in shares.items() if node.returned) == pytest.approx(1.0)
        for node in search.tree.nodes.values():
            if node.returned and name == "exact":
                assert shares[node] == pytest.approx(search.result.p(node.reached.value))


@pytest.mark.parametrize("name", ["smc", "beam", "mcts", "importance"])
def test_shared_tokens_are_the_distinct_prefixes(folders, name):
    tree = only(folders[name]).tree
    paths = [tuple(t for each in n.path for t in each.reached.tokens or ()) for n in tree.nodes.values() if not n.children]
    segments = shared_tokens(tree)
    assert sum(s.length for s in segments) == len({p[:k] for p in paths for k in range(1, len(p) + 1)})
    assert sum(s.length * s.paths for s in segments) == sum(map(len, paths))
    cells = [(x, y) for s in segments for x in range(s.start, s.start + s.length) for y in range(s.top, s.top + s.rows)]
    assert len(cells) == len(set(cells)), "two segments would overlap"


def test_the_tokens_drawn_are_those_the_ledger_counts(tmp_path):
    """On real keys and values: the prompt, and what was drawn once, are what went through the model."""
    solve = Path(__file__).parents[2] / "examples" / "game24" / "solve.py"
    out = tmp_path / "run"
    load(f"hf:{solve.parent / 'model'}").forget()  # what other tests left in the tree
    scale("run", str(solve), "-i", "numbers=4 5 6 10", "-e", "smc(particles=16)", "--seed", "0", "--out", str(out))
    search = only(out)
    cost = search.result.cost
    drawn = sum(segment.length for segment in shared_tokens(search.tree))
    prompt = load(f"hf:{solve.parent / 'model'}").prompt("4 5 6 10 -> 24\n").tokens
    assert cost.forwarded_tokens == len(prompt) + drawn  # the reward reads every line's end, so each token was needed


def test_the_page_is_one_file_that_fetches_nothing(folders, tmp_path):
    out = tmp_path / "out.html"
    assert f"wrote {out}" in scale("trace", str(folders["smc"]), "--html", str(out)).replace("\n", "")
    text = out.read_text(encoding="utf-8")
    links = set(re.findall(r"\b(?:https?:)?//[\w.-]+\.\w+[^\s\"'`]*", re.sub(r"^\s*//.*$", "", text, flags=re.M)))
    assert links <= {"http://www.w3.org/2000/svg"}
    assert not re.search(r"<link|<img|<iframe|@import|url\(|\bsrc=|\bfetch\(|XMLHttpRequest", text)
    assert "default-src 'none'" in text
    assert text.count("</script>") == 2, "a text of the user's must not end the element it stands in"


@needs_browser
def test_the_page_of_every_engine_works_in_a_browser(folders, tmp_path):
    """All engines in one page: each is opened in both views and both themes, and every node of it is drawn."""
    searches = [only(folder) for folder in folders.values()]
    out = tmp_path / "all.html"
    out.write_text(page(searches), encoding="utf-8")
    script = """
    const seen = SEARCHES.map((s, i) => {
      open(i); choose("tree");
      const nodes = document.querySelectorAll(".node").length, shown = document.querySelectorAll(".node:not(.unborn)").length;
      theme("dark"); choose("tokens");
      const segments = document.querySelectorAll(".segment").length;
      choose("tree"); theme("light");
      return [document.getElementById("engine").textContent, nodes, shown, segments];
    });
    const note = document.createElement("pre"); note.id = "seen"; note.textContent = JSON.stringify(seen); document.body.append(note);
    """
    seen = json.loads(re.search(r'<pre id="seen">(.*?)</pre>', document(out, script)).group(1))
    for search, (engine, nodes, shown, segments) in zip(searches, seen, strict=True):
        assert engine in search.title
        assert nodes == shown == len(search.tree.nodes)
        assert segments == len(shared_tokens(search.tree))


@needs_browser
def test_the_page_answers_mouse_keys_and_time(folders, tmp_path):
    out = tmp_path / "smc.html"
    out.write_text(page([only(folders["smc"])]), encoding="utf-8")
    script = """
    const seen = {}, key = k => document.body.dispatchEvent(new KeyboardEvent("keydown", {key: k, bubbles: true}));
    fit(); seen.fit = {...view};
    stage.dispatchEvent(new WheelEvent("wheel", {deltaY: -300, clientX: 500, clientY: 400, bubbles: true, cancelable: true})); seen.wheel = view.k;
    key("0"); seen.back = view.k; key("+"); seen.plus = view.k; key("-"); seen.minus = view.k; key("ArrowLeft"); seen.left = view.x;
    stage.dispatchEvent(new PointerEvent("pointerdown", {pointerId: 1, clientX: 10, clientY: 10, bubbles: true}));
    const x = view.x; dispatchEvent(new PointerEvent("pointermove", {pointerId: 1, clientX: 60, clientY: 10}));
    dispatchEvent(new PointerEvent("pointerup", {pointerId: 1})); seen.dragged = view.x - x;
    document.querySelectorAll(".node")[1].dispatchEvent(new PointerEvent("pointerenter")); seen.hover = document.getElementById("details").textContent;
    const slider = document.getElementById("time");
    seen.counts = [0, 1, 5, +slider.max].map(t => { slider.value = t; slider.dispatchEvent(new Event("input")); return document.querySelectorAll(".node:not(.unborn)").length; });
    seen.moment = document.getElementById("moment").textContent;
    document.querySelector(".answer-row").click(); seen.picked = document.querySelectorAll(".node.picked").length;
    const note = document.createElement("pre"); note.id = "seen"; note.textContent = JSON.stringify(seen); document.body.append(note);
    """
    seen = json.loads(re.search(r'<pre id="seen">(.*?)</pre>', document(out, script), re.S).group(1))
    assert seen["wheel"] > seen["fit"]["k"] and seen["back"] == pytest.approx(seen["fit"]["k"])
    assert seen["plus"] > seen["back"] and seen["minus"] == pytest.approx(seen["back"])
    assert seen["left"] != seen["fit"]["x"] and seen["dragged"] == 50
    assert "what happened" in seen["hover"] and "log weight" in seen["hover"]
    nodes = len(only(folders["smc"]).tree.nodes)
    assert seen["counts"] == [0, 1, 5, nodes] and "the whole search" in seen["moment"]
    assert seen["picked"] == 1


def test_several_problems_and_nested_queries_stand_in_one_page(tmp_path):
    (tmp_path / "letters.py").write_text(PROGRAM)
    (tmp_path / "data.jsonl").write_text('{"hint": "1"}\n{"hint": "2"}\n')
    out = tmp_path / "many"
    scale("run", f"{tmp_path / 'letters.py'}:letters", "-i", f"@{tmp_path / 'data.jsonl'}", "-e", "smc(particles=3)", "--seed", "1", "--out", str(out))  # fmt: skip
    assert [s.given for s in read_folder(out)] == ["hint = 1", "hint = 2"]
    nested = tmp_path / "nested"
    scale("run", f"{tmp_path / 'letters.py'}:outer", "-e", "smc(particles=2)", "--seed", "1", "--out", str(nested))
    searches = read_folder(nested)
    assert [s.tree.start.program for s in searches].count("inner") == 2
    assert [s.result is None for s in searches if s.tree.start.program == "inner"] == [True, True]
    assert page(searches).count("nested query") == 2
    assert len(read_events(nested / "events.jsonl")) == sum(1 + len(s.tree.events) for s in searches)

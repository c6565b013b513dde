"""`scale trace`: the search that a run folder keeps, as a tree in the terminal or as one self-contained page."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from cli.failure import CommandError
from cli.tree_text import LEGEND, drawn
from ppl.display import engine_line, one_line
from ppl.events import read_trees
from ppl.results import Posterior, Result, SearchResult
from ppl.search_tree import SearchTree


@dataclass(frozen=True)
class Search:
    """One run of a folder: its tree, its result if it has one, and its input in a line."""

    tree: SearchTree
    result: Result | None = None
    given: str = ""

    @property
    def title(self) -> str:
        """Program, engine and seed in a line."""
        start = self.tree.start
        seed = "" if start.seed is None else f" · seed {start.seed}"
        return f"{start.program} · {engine_line(start.engine or '')}{seed}"


def show_trace(folder: Path, html: Path | None) -> None:
    """Print the trees of a run folder, or write the page."""
    searches = read_folder(folder)
    if html is None:
        console = Console()
        for search in searches:
            console.print(drawn(search.tree, search.title, search.given, height=max(console.height - 9, 24)))
        console.print(LEGEND, style="dim", highlight=False)
        return
    from cli.tree_page import page

    try:
        html.write_text(page(searches), encoding="utf-8")
    except OSError as error:
        raise CommandError(f"--html {str(html)!r}: cannot be written: {error.strerror}") from None
    print(f"wrote {html} ({html.stat().st_size // 1024} kB): open it in a browser")


def read_folder(folder: Path) -> list[Search]:
    """The searches of a run folder, nested ones after the ones they belong to."""
    if not folder.is_dir():
        raise CommandError(f"there is no folder {str(folder)!r}. Make one with: scale run FILE --out {folder}")
    events = folder / "events.jsonl"
    if not events.is_file():
        raise CommandError(f"{folder} holds no events.jsonl: it is not what `scale run --out DIR` wrote")
    results = {_key(r.seed): (r, given) for r, given in _results(folder)}
    searches = []
    for tree in read_trees(events):
        result, given = results.get(_key(tree.start.seed), (None, "")) if tree.start.outer is None else (None, "")
        searches.append(Search(tree, result, given))
    if not searches:
        raise CommandError(f"{events} holds no search: the run was over before its first step")
    return searches


def _key(seed: Any) -> str:
    return repr(tuple(seed) if isinstance(seed, (list, tuple)) else (seed,))


def _results(folder: Path) -> list[tuple[Result, str]]:
    """The saved results with the inputs they belong to."""
    asked: list[dict[str, Any]] = []
    if (folder / "run.json").is_file():
        asked = json.loads((folder / "run.json").read_text(encoding="utf-8"))["problems"]
    inputs = {problem["result"]: problem["input"] for problem in asked}
    found: list[tuple[Result, str]] = []
    for path in sorted(folder.glob("result*.json")):
        kind = json.loads(path.read_text(encoding="utf-8")).get("kind")
        given = ", ".join(f"{k} = {one_line(v, 120)}" for k, v in inputs.get(path.name, {}).items())
        found.append(((Posterior if kind == "posterior" else SearchResult).load(path), given))
    return found

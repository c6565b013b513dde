"""The page of a run folder: one HTML file that shows its searches and fetches nothing.

Python decides where everything stands (`cli.tree_layout`) and writes it as data into the page; `page/page.js` draws it
and lets one zoom, pan, hover and step through time. Time is the number of the event: node 7 exists from the moment it
was reached, and is pruned from the moment an engine dropped it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from typing import Any

from cli.trace import Search
from cli.tree_layout import Segment, place, rank, shared_tokens
from ppl.display import chosen_by, engine_line, facts, one_line, remarks, rows
from ppl.search_tree import SearchTree


def page(searches: Sequence[Search]) -> str:
    """The whole page as text."""
    assets = files("cli") / "page"
    data = json.dumps([_search(search) for search in searches], ensure_ascii=False, allow_nan=False, default=str)
    parts = {
        "TITLE": escape(searches[0].title),
        "STYLE": (assets / "page.css").read_text(encoding="utf-8"),
        "SCRIPT": (assets / "page.js").read_text(encoding="utf-8"),
        "DATA": data.replace("<", "\\u003c"),  # nothing in a text can end the element it stands in
    }
    text = (assets / "page.html").read_text(encoding="utf-8")
    for name, part in parts.items():
        text = text.replace(f"<!--{name}-->", part)
    return text


def _search(search: Search) -> dict[str, Any]:
    start, result = search.tree.start, search.result
    times = _times(search.tree)
    about = ["" if result is None else chosen_by(result), "" if start.seed is None else f"seed {_seed(start.seed)}", search.given]
    if start.outer is not None:
        about.append("nested query")
    return {
        "program": start.program,
        "engine": engine_line(start.engine or ""),
        "about": " · ".join(part for part in about if part),
        "given": search.given,
        "answers": [] if result is None else [[row.text, row.weight] for row in rows(result)[0]],
        "more": 0 if result is None else rows(result)[1],
        "facts": [] if result is None else facts(result),
        "warnings": [] if result is None else remarks(result),
        "ledger": {} if result is None else {k: v for k, v in result.cost.as_dict().items() if v},
        "nodes": _nodes(search.tree, times),
        "events": len(times),
        "segments": [_segment(s) for s in shared_tokens(search.tree)],
    }


def _seed(seed: Any) -> str:
    return ", ".join(map(str, seed)) if isinstance(seed, (list, tuple)) else str(seed)


def _times(tree: SearchTree) -> dict[int, int]:
    """id of an event -> when it happened, by `SearchTree.events`."""
    return {id(event): i for i, event in enumerate(tree.events)}


def _nodes(tree: SearchTree, times: dict[int, int]) -> list[dict[str, Any]]:
    placed = place(tree)
    number = {each.node: i for i, each in enumerate(placed)}
    found = []
    for each in placed:
        node, event = each.node, each.node.reached
        fields = {
            "parent": None if node.parent is None else number[node.parent],
            "column": each.column,
            "row": each.row,
            "share": round(each.share, 4) or None,
            "time": times[id(event)],
            "text": event.text or "",
            "tokens": len(event.tokens or ()) or None,
            "status": node.status,
            "rank": rank(node),
            "logProb": _finite(event.log_prob),
            "logWeight": _finite(event.log_weight),
            "heuristic": _finite(event.heuristic),
            "value": None if event.value is None else one_line(event.value, 400),
            "reason": event.reason,
            "decisions": [[times[id(d)], d.action, d.count, d.reason] for d in node.decisions],
        }
        found.append({name: value for name, value in fields.items() if value is not None})
    return found


def _finite(value: float | None) -> float | str | None:
    return value if value is None or math.isfinite(value) else str(value)


def _segment(segment: Segment) -> list[Any]:
    return [segment.start, segment.length, segment.top, segment.rows, segment.paths, segment.text]

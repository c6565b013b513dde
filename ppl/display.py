"""Results as people see them: a card in the terminal (rich) and in a notebook (HTML without scripts)."""

from __future__ import annotations

from html import escape
from typing import Any

from ppl.results import Posterior, Result

SHOWN = 10


def _rows(result: Result) -> list[tuple[str, float]]:
    table = sorted(result._table(result.values).values(), key=lambda pair: -pair[1])
    return [(_short(value), weight) for value, weight in table[:SHOWN]]


def _short(value: Any, width: int = 60) -> str:
    text = value if isinstance(value, str) else repr(value)
    text = text.replace("\n", "\\n")
    return text if len(text) <= width else text[: width - 3] + "..."


def _facts(result: Result) -> list[str]:
    facts = [f"{len(result)} traces, seed {result.seed}"]
    if isinstance(result, Posterior) and result._no_evidence is None:
        facts.append(f"log evidence {result.log_evidence:.6g}, ess {result.ess:.1f}")
    spent = {k: v for k, v in result.cost.as_dict().items() if v and k not in ("seconds",)}
    facts.append(", ".join(f"{k} {v}" for k, v in spent.items()))
    return [f for f in facts if f]


def _notes(result: Result) -> list[str]:
    return result.warnings + [f"{count} x {reason}" for reason, count in result.reasons.most_common(3)]


def card(result: Result) -> Any:
    """The terminal card: values with weights and bars, then engine, evidence, cost and warnings."""
    from rich.console import Group
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True, overflow="ellipsis")
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, overflow="crop")
    for text, weight in _rows(result):
        table.add_row(Text(text), f"{weight:.4f}", Text("█" * round(weight * 30), style="cyan"))
    lines = [Text(line, style="dim") for line in _facts(result)] + [
        Text(note, style="yellow") for note in _notes(result)
    ]
    title = f"{result.program} · {result.engine} ({result.engine_source})"
    return Panel(Group(table, *lines), title=Text(title), title_align="left", expand=False)


def html(result: Result) -> str:
    """The notebook card."""
    rows = "".join(
        f"<tr><td><code>{escape(text)}</code></td><td>{weight:.4f}</td><td><div style='background:#0aa;height:.8em;"
        f"width:{weight * 12:.2f}em'></div></td></tr>"
        for text, weight in _rows(result)
    )
    facts = "".join(f"<div style='color:#666'>{escape(f)}</div>" for f in _facts(result))
    notes = "".join(f"<div style='color:#a60'>{escape(n)}</div>" for n in _notes(result))
    title = escape(f"{result.program} · {result.engine} ({result.engine_source})")
    return f"<div><b>{title}</b><table>{rows}</table>{facts}{notes}</div>"

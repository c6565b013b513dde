"""Results in a terminal: the card of a result (`ppl.display` says what stands on it), and the table of a trace's effects."""

from __future__ import annotations

from typing import Any

from ppl.display import bar, facts, one_line, remarks, rows, title
from ppl.results import Result
from ppl.trace import Node, Trace, backwards


def card(result: Result) -> Any:
    """The terminal card."""
    from rich.console import Group
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    heading, details_line = title(result)
    answers = Table.grid(padding=(0, 2))
    answers.add_column(justify="right", no_wrap=True, min_width=6)
    answers.add_column(no_wrap=True)
    answers.add_column(overflow="fold")
    shown, more, rest = rows(result)
    for i, row in enumerate(shown):
        answers.add_row(
            f"{row.weight:.4f}",
            Text(bar(row.weight), style="cyan" if i else "bold cyan"),
            Text(row.text, style="" if i else "bold"),
        )
    if more:
        answers.add_row(
            Text(f"{rest:.4f}", style="dim"), Text(bar(rest), style="dim"), Text(f"{more:,} more", style="dim")
        )
    if not shown:
        answers.add_row("", "", Text(result.why_empty(), style="red"))
    details = Table.grid(padding=(0, 2))
    details.add_column(style="dim", no_wrap=True)
    details.add_column(overflow="fold")
    for label, text in facts(result):
        details.add_row(label, Text(text))
    notes = [Text(f"⚠ {note}", style="yellow") for note in remarks(result)]
    body = Group(Text(details_line, style="dim"), "", answers, "", details, *notes)
    return Panel(
        body, title=Text(heading, style="bold"), title_align="left", expand=False, padding=(0, 1), border_style="dim"
    )


def print_sites(result: Result, trace: Trace) -> None:
    """The table of a trace's effects."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=f"{one_line(trace.value, 60)}  ({trace.status})",
        title_justify="left",
        box=None,
        header_style="bold",
        padding=(0, 2, 0, 0),
    )
    for column, justify in (
        ("address", "left"),
        ("value", "left"),
        ("log p", "right"),
        ("weight", "right"),
        ("parent", "left"),
        ("shared", "right"),
    ):
        table.add_column(column, justify=justify, overflow="ellipsis")  # type: ignore[arg-type]
    crowd: dict[Node, int] = {}
    for other in result.traces:
        for node in backwards(other.leaf):
            crowd[node] = crowd.get(node, 0) + 1
    parent = ""
    for node in trace.nodes:
        if node.kind in ("sample", "observe", "score", "heuristic", "record"):
            log_prob = f"{node.log_prob:.4f}" if node.kind in ("sample", "observe") and node.known else ""
            weight = f"{node.log_weight:+.4f}" if node.log_weight else ""
            style = {"sample": "", "record": "dim"}.get(node.kind, "cyan")
            shared = str(crowd[node]) if crowd.get(node, 0) > 1 else ""
            table.add_row(
                Text(_address(node), style), Text(_shown(node), style), log_prob, weight, Text(parent, "dim"), shared
            )
        if node.kind == "sample":
            parent = node.address
    table.add_section()
    table.add_row("total", "", f"{trace.log_prob:.4f}", f"{trace.log_total:+.4f}", "", "")
    Console().print(table)


def _address(node: Node) -> str:
    """A choice by its address, another effect by its kind and the name that it was given."""
    return node.address if node.kind == "sample" or node.address == node.kind else f"{node.kind} {node.address}"


def _shown(node: Node) -> str:
    if node.value is None or node.kind == "score":
        return ""
    return f"{node.value:.4f}" if isinstance(node.value, float) else one_line(node.value, 48)

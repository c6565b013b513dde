"""Results in a terminal: the card of a result (`ppl.display` says what stands on it), and the table of a trace's effects."""

from __future__ import annotations

from collections import Counter

from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ppl.display import bar, facts, one_line, remarks, rows, title
from ppl.results import Result
from ppl.trace import Node, Trace, backwards


def card(result: Result) -> Panel:
    """The card, as rich prints it."""
    heading, about = title(result)
    details = Table.grid(padding=(0, 2))
    details.add_column(style="dim", no_wrap=True)
    details.add_column(overflow="fold")
    for label, text in facts(result):
        details.add_row(label, Text(text))
    notes = [Text(f"⚠ {note}", style="yellow") for note in remarks(result)]
    body = Group(Text(about, style="dim"), "", _answers(result), "", details, *notes)
    return Panel(
        body, title=Text(heading, style="bold"), title_align="left", expand=False, padding=(0, 1), border_style="dim"
    )


def _answers(result: Result) -> Table:
    """The answers of most weight, best first, with a bar each; or why there is none."""
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", no_wrap=True, min_width=6)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    shown, more, rest = rows(result)
    for i, row in enumerate(shown):
        table.add_row(
            f"{row.weight:.4f}",
            Text(bar(row.weight), style="cyan" if i else "bold cyan"),
            Text(row.text, style="" if i else "bold"),
        )
    if more:
        table.add_row(*(Text(text, style="dim") for text in (f"{rest:.4f}", bar(rest), f"{more:,} more")))
    if not shown:
        table.add_row("", "", Text(result.why_empty(), style="red"))
    return table


def print_sites(result: Result, trace: Trace) -> None:
    """Print the table of a trace's effects; see `Result.explain`."""
    table = Table(
        title=f"{one_line(trace.value, 60)}  ({trace.status})",
        title_justify="left",
        box=None,
        header_style="bold",
        padding=(0, 2, 0, 0),
    )
    for column in ("address", "value", "log p", "weight", "parent", "shared"):
        right = column in ("log p", "weight", "shared")
        table.add_column(column, justify="right" if right else "left", overflow="ellipsis")
    crowd = Counter(node for other in result.traces for node in backwards(other.leaf))
    parent = ""
    for node in trace.nodes:
        if node.kind in ("sample", "observe", "score", "require", "heuristic", "record"):
            table.add_row(*_cells(node, parent, crowd[node]))
        if node.kind == "sample":
            parent = node.address
    table.add_section()
    table.add_row("total", "", f"{trace.log_prob:.4f}", f"{trace.log_total:+.4f}", "", "")
    Console().print(table)


def _cells(node: Node, parent: str, traces: int) -> list[str | Text]:
    """An effect's row; `traces` went through it."""
    style = {"sample": "", "record": "dim"}.get(node.kind, "cyan")
    log_prob = f"{node.log_prob:.4f}" if node.kind in ("sample", "observe") and node.known else ""
    weight = f"{node.log_weight:+.4f}" if node.log_weight else ""
    shared = str(traces) if traces > 1 else ""
    return [Text(_address(node), style), Text(_shown(node), style), log_prob, weight, Text(parent, "dim"), shared]


def _address(node: Node) -> str:
    """A choice by its address, another effect by its kind and the name that it was given."""
    return node.address if node.kind == "sample" or node.address == node.kind else f"{node.kind} {node.address}"


def _shown(node: Node) -> str:
    if node.value is None or node.kind == "score":
        return ""
    return f"{node.value:.4f}" if isinstance(node.value, float) else one_line(node.value, 48)

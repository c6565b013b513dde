"""Rows under way: of which nodes of the tree each needs the hidden state next."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backends.drafts import Draft
from backends.kv_tree import Lease, Node
from ppl.requests import Draw, HiddenStates, NextToken, Request, ScoreText

if TYPE_CHECKING:
    from backends.shared import SharedModel


@dataclass(eq=False, slots=True)
class Work:
    """A row under way.

    wanted  the nodes whose hidden states it needs next; lease keeps them
    draft   the text that is being drawn, if it is a draw
    found   log-probs read so far, if it is a score
    """

    row: Request
    wanted: list[Node]
    lease: Lease
    draft: Draft | None = None
    found: list[float] = field(default_factory=list)


def begin(model: SharedModel, row: Request) -> Work:
    """The work of a new row; its context is charged, and held in the tree."""
    assert isinstance(row, (Draw, ScoreText, NextToken, HiddenStates))
    leaf = model.tree.find(model.path_of(row.context))
    path = leaf.path()
    model.charge_context(row)
    if row.column is not None:  # else it is part of another's, which has read the context
        row.cost.charge(shared_tokens=sum(n.slot >= 0 for n in path))
    lease = model.lease(row.context, leaf)
    if isinstance(row, Draw):
        work = Work(row, [leaf], lease, Draft(row))
    elif isinstance(row, ScoreText):
        tokens, ends = row.value
        row.cost.charge(scored_tokens=len(tokens) + ends)
        full = model.tree.find(model.path_of(row.context, tokens))
        nodes = [leaf, *full.path()[len(path) :]]
        wanted = nodes if ends else nodes[:-1]
        row.cost.charge(shared_tokens=sum(n.slot >= 0 for n in wanted[1:]))
        work = Work(row, wanted, Lease(model.tree, full))
    elif isinstance(row, HiddenStates):
        work = Work(row, [path[i] for i in row.positions], lease)
    else:
        work = Work(row, [leaf], lease)
    row.state = work
    return work

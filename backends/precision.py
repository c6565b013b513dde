"""One precision for each set of weights within a run.

bfloat16 moves log-probs by 0.1 to 0.4 nats a token: weights that compare a text under the one with a text under the
other would say nothing. What a run uses is noted in its ledger, nested queries in the outermost one.
"""

from __future__ import annotations

from typing import Any

from ppl.errors import UsageError
from ppl.requests import Request


def mixed(row: Request, name: str, dtype: Any) -> bool:
    """Whether the row's run has used these weights in another precision; then the row fails."""
    ledger = row.cost
    while ledger.parent is not None:
        ledger = ledger.parent
    now = str(dtype).removeprefix("torch.")
    before = ledger.precisions.setdefault(name, now)
    if before != now:
        row.fail(
            UsageError(
                f"this run has used {name} in {before} and now asks for it in {now}. Their log-probs differ by tenths"
                f" of a nat, so one run keeps to one: load it with the same dtype everywhere, rewards included."
            )
        )
    return before != now

"""Programs over language-model calls, and what their runs mean. Knows no engine and no model.

    from ppl import model, sample, score
    from inference import smc
    from backends import load

What runs programs is imported when it is first asked for: checking a file or an engine's options needs none of it.
"""

import importlib
from typing import TYPE_CHECKING, Any

from ppl import errors

if TYPE_CHECKING:
    from ppl import dist, registry
    from ppl.cost import Cost, limit
    from ppl.dist import iid
    from ppl.effects import Done, call, checkpoint, heuristic, observe, record, require, sample, score, unfold
    from ppl.errors import AllDead, PPLError
    from ppl.program import Program, model
    from ppl.results import Posterior, Result, SearchResult
    from ppl.reward import Reward, StepRewards
    from ppl.trace import Site, Trace

_HOMES = {
    "cost": ("Cost", "limit"),
    "dist": ("iid",),
    "effects": ("Done", "call", "checkpoint", "heuristic", "observe", "record", "require", "sample", "score", "unfold"),
    "errors": ("AllDead", "PPLError"),
    "program": ("Program", "model"),
    "results": ("Posterior", "Result", "SearchResult"),
    "reward": ("Reward", "StepRewards"),
    "trace": ("Site", "Trace"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AllDead", "Cost", "Done", "PPLError", "Posterior", "Program", "Result", "Reward", "SearchResult", "Site",
    "StepRewards", "Trace", "call", "checkpoint", "dist", "errors", "heuristic", "iid", "limit", "model", "observe", "record", "registry",
    "require", "sample", "score", "unfold",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in ("dist", "registry"):
        return importlib.import_module(f"ppl.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'ppl' has no attribute {name!r}{errors.did_you_mean(name, __all__)}")
    value = globals()[name] = getattr(importlib.import_module(f"ppl.{_HOME[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

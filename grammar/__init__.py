"""The `.scale` language: text -> syntax tree -> checked module -> machine.

    import grammar
    module = grammar.load("solve.scale")        # every mistake of the file is told here
    module.solve("What is 17 + 25?", engine=smc(particles=16), seed=0)

What runs programs is imported when it is first asked for: checking a file needs none of it.
"""

import importlib
from typing import TYPE_CHECKING, Any

from grammar.diagnostics import Diagnostic, ScaleError

if TYPE_CHECKING:
    from grammar.faults import Fuel, RunFault
    from grammar.freezing import freeze, thaw
    from grammar.loading import Module, load, loads
    from grammar.modules import check_file, check_text
    from grammar.testing import run_tests

_HOMES = {
    "Fuel": "faults", "RunFault": "faults", "freeze": "freezing", "thaw": "freezing", "Module": "loading",
    "load": "loading", "loads": "loading", "check_file": "modules",
    "check_text": "modules", "run_tests": "testing",
}  # fmt: skip

__all__ = [
    "Diagnostic", "Fuel", "Module", "RunFault", "ScaleError", "check_file", "check_text", "freeze", "load",
    "loads", "run_tests", "thaw",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'grammar' has no attribute {name!r}")
    return getattr(importlib.import_module(f"grammar.{_HOMES[name]}"), name)

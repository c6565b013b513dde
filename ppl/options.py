"""An option of an engine as plain data: what values it takes, and what is wrong with one that it does not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

REQUIRED: Any = object()


@dataclass(frozen=True, slots=True)
class Option:
    """One option: its type's name, default (REQUIRED if none), bounds or choices, and what it means in a line.

    kind is "int", "float", "bool", "str", "function", "list" or a union such as "str|function". `above` excludes the bound itself.
    """

    kind: str
    default: Any = REQUIRED
    low: float | None = None
    high: float | None = None
    above: float | None = None
    choices: tuple[Any, ...] = ()
    meaning: str = ""

    def problem(self, value: Any) -> str | None:
        """What is wrong with a value, in words; None if it is fine."""
        if self.default is not REQUIRED and value is self.default:
            return None
        kinds = self.kind.split("|")
        if not any(_KINDS[k](value) for k in kinds):
            return f"expected {' or '.join(kinds)}"
        if self.choices and isinstance(value, str) and value not in self.choices:
            return f"expected one of {', '.join(map(repr, self.choices))}"
        if isinstance(value, Real) and not isinstance(value, bool):
            value = float(value)
            if self.low is not None and value < self.low:
                return f"expected at least {self.low:g}"
            if self.high is not None and value > self.high:
                return f"expected at most {self.high:g}"
            if self.above is not None and value <= self.above:
                return f"expected more than {self.above:g}"
            if math.isnan(value):
                return "expected a number"
        return None


_KINDS: dict[str, Any] = {
    "int": lambda v: isinstance(v, Integral) and not isinstance(v, bool),
    "float": lambda v: isinstance(v, Real) and not isinstance(v, bool),
    "bool": lambda v: isinstance(v, bool),
    "str": lambda v: isinstance(v, str),
    "function": callable,
    "list": lambda v: isinstance(v, (list, tuple)),
    "any": lambda v: True,
}

"""What all engines share: frozen, checked options, and use as a decorator or a value."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, ClassVar, TypeVar, dataclass_transform

from ppl.errors import OptionError
from ppl.program import Program
from ppl.registry import check_options, engine_entry
from ppl.run import Run

C = TypeVar("C", bound=type)


class Engine:
    """An engine: options, and `search(run)`, which explores a program and returns a result.

    `engine(program)` is the program bound to it. Engines whose `uses_heuristic` is False are spared computing
    heuristics that the program gives as functions.
    """

    uses_heuristic: ClassVar[bool] = False

    def __call__(self, program: Program) -> Program:
        if not isinstance(program, Program):
            raise OptionError(
                f"{self!r} expects a program: put @model between the engine and the function; found {program!r}."
            )
        return program.bind(self)

    def search(self, run: Run) -> Any:
        """Explore the run's program and return a `Posterior` or a `SearchResult` (`run.posterior`, `run.search_result`)."""
        raise NotImplementedError


@dataclass_transform(frozen_default=True)
def engine(cls: C) -> C:
    """Make an engine class a frozen dataclass whose options are checked against the registry when it is built."""
    cls = dataclasses.dataclass(frozen=True)(cls)  # type: ignore[assignment,unused-ignore]
    name, plain_init = cls.__name__, cls.__init__  # type: ignore[misc]
    fields = [f.name for f in dataclasses.fields(cls)]  # type: ignore[arg-type]

    @functools.wraps(plain_init)
    def checked_init(self: Any, *args: Any, **options: Any) -> None:
        if args and isinstance(args[0], Program):
            raise OptionError(
                f"@{name} needs its options before the program, as in @{name}({', '.join(_first(name))})."
            )
        if len(args) > len(fields):
            raise OptionError(f"{name} takes at most {len(fields)} options, found {len(args)}.")
        check_options(name, {**dict(zip(fields, args, strict=False)), **options})
        plain_init(self, *args, **options)

    cls.__init__ = checked_init  # type: ignore[misc]
    return cls


def _first(name: str) -> list[str]:
    return [f"{option}=16" for option in list(engine_entry(name).options)[:1]]

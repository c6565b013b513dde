"""Files from anybody: no functions of the host, models from a list, and hard limits.

A `.scale` file has no other way out of itself: it imports `.scale` files of its own project only, and nothing
in it is evaluated as anything else. What is left to refuse is what the host would do in its name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator

from grammar.diagnostics import Diagnostic, ScaleError, diagnostic
from grammar.faults import Fuel
from grammar.symbols import CheckedModule, ModelSymbol
from ppl.cost import limit as bounds

ALLOWED = frozenset({"smollm2", "table", "scripted"})
"""Models that an untrusted file may declare: they load nothing that the file names."""

FUEL = Fuel(max_steps=200_000, max_depth=128, max_text=1 << 17, max_list=10_000)
LIMIT = bounds(tokens=50_000, calls=2_000, reward_calls=2_000, nodes=20_000, seconds=300)


def refuse(checked: CheckedModule, given: Collection[str]) -> None:
    """Raise `ScaleError` if a file does what an untrusted one may not. `given` are models of the host's."""
    found = [each for module in checked.modules() for each in _refused(module, given)]
    if found:
        raise ScaleError(found)


def _refused(module: CheckedModule, given: Collection[str]) -> Iterator[Diagnostic]:
    for extern in module.externs.values():
        yield diagnostic("E560", module.source, extern.decl.name.span, name=extern.name)
    for model in module.models.values():
        if model.name not in given and not _allowed(model):
            span = model.decl.backend.span
            yield diagnostic("E561", module.source, span, name=model.name, allowed=", ".join(sorted(ALLOWED)))


def _allowed(model: ModelSymbol) -> bool:
    if not model.is_reward:
        return model.backend in ALLOWED
    family, _, rest = str(model.args.get("spec", "")).partition(":")
    return family == "judge" and rest in ALLOWED


def tighter(own: Fuel) -> Fuel:
    """The file's fuel, but no more than FUEL."""
    return Fuel(
        **{f.name: min(getattr(own, f.name), getattr(FUEL, f.name)) for f in dataclasses.fields(Fuel)}
    )


def within(limit: bounds | None) -> bounds:
    """The limit, each of its bounds at most that of LIMIT, and those that it leaves open."""

    def least(name: str) -> float | None:
        most: float | None = getattr(LIMIT, name)
        asked: float | None = None if limit is None else getattr(limit, name)
        return most if asked is None or (most is not None and asked > most) else asked

    return bounds(**{f.name: least(f.name) for f in dataclasses.fields(bounds)})  # type: ignore[arg-type]

"""What a fuzzer does with a text: read it, check it, lay it out, run it. Nothing but a named error may come of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backends import Scripted
from backends.reward_functions import FunctionReward
from grammar import types as t
from grammar.diagnostics import ScaleError
from grammar.faults import Fuel
from grammar.formatter import format_source
from grammar.loading import link
from grammar.modules import check_text
from ppl import limit
from ppl.errors import PPLError
from tests.grammar.mutations import EXAMPLES, TOKEN

FUEL = Fuel(max_steps=20_000, max_depth=64, max_text=10_000, max_list=1_000)
BOUNDS = limit(tokens=300, calls=100, reward_calls=100)
FOLDER = EXAMPLES  # imports are looked up here


def exercise(text: str) -> str:
    """How far a text came: "refused", "checked" or "ran". Any error that has no name comes through."""
    checked = check_text(text, folder=FOLDER)
    for each in checked.diagnostics:
        assert each.render().startswith("<text>:") or checked.imports
    if checked.errors:
        return "refused"
    laid_out = format_source(text)
    assert format_source(laid_out) == laid_out
    ran = [run_one(checked, name) for name in checked.programs]
    return "ran" if all(ran) else "checked"


def run_one(checked: Any, name: str) -> bool:
    """Run a program with small arguments and models that answer at once; False if it ended in a named error."""
    declared = [symbol for module in checked.modules() for symbol in module.models.values()]
    models = {m.name: FunctionReward(lambda *a: 0.5) if m.is_reward else Scripted("a #### 4") for m in declared}
    externs = {name: lambda *args: 1 for module in checked.modules() for name in module.externs}
    try:
        module = link(checked, models, externs, FUEL)
        arguments = {p.name: small(p.type) for p in checked.programs[name].params if p.required}
        module.programs[name].run(**arguments, engine="smc(particles=2)", seed=0, limit=BOUNDS)
    except (ScaleError, PPLError):
        return False
    return True


def small(kind: Any) -> Any:
    """A value of a type, as the host would give it."""
    match kind:
        case t.ListOf(item):
            return [small(item)]
        case t.DictOf(key, value):
            return {small(key): small(value)}
        case t.TupleOf(items):
            return tuple(map(small, items))
        case t.Union(options=options):
            return small(options[0])
        case t.Literal(value):
            return value
    return {t.INT: 2, t.FLOAT: 0.5, t.PROB: 0.5, t.BOOL: True, t.STR: "a ${x} <|im_end|>"}.get(kind)


def seeds() -> list[str]:
    """Texts to start from."""
    wrong = sorted((Path(__file__).parent / "bad").glob("*.scale"))
    return [path.read_text(encoding="utf-8") for path in [*sorted(EXAMPLES.glob("*.scale")), *wrong]]


PIECES = sorted({piece for text in seeds() for piece in TOKEN.findall(text)})

"""The steps of compiled functions. Each maker gives a closure that does one thing to a machine and names the
next step.

`ev`s are closures over a frame (`evaluate.py`), `target` is a slot, `then` the step that follows, `here` the
step itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from grammar.distributions import Dist
from grammar.evaluate import FUEL, Ev, Frame
from grammar.faults import Exhausted
from grammar.machine import Closure, Code, Machine, Step, compute
from grammar.vectors import List

Take = Callable[[Frame, Any], None]


def assign(target: int, ev: Ev, then: int) -> Step:
    """`target` is what `ev` gives."""
    def step(m: Machine) -> int:
        slots = m.slots
        slots[target] = ev(slots)
        return then

    return step


def unpack(take: Take, ev: Ev, then: int) -> Step:
    """Several slots are filled from the parts of what `ev` gives."""
    def step(m: Machine) -> int:
        slots = m.slots
        take(slots, ev(slots))
        return then

    return step


def jump(to: int) -> Step:
    """Go on elsewhere."""
    return lambda m: to


def jump_unless(ev: Ev, then: int, otherwise: int) -> Step:
    """To `otherwise` where the condition is false."""
    return lambda m: then if ev(m.slots) else otherwise


def jump_unless_none(source: int, then: int, otherwise: int) -> Step:
    """To `otherwise` if the slot holds a value, on if it holds none."""
    return lambda m: then if m.slots[source] is None else otherwise


# ---------------------------------------------------------------------------------------------------- loops


def next_item(items: int, index: int, take: Take, then: int, end: int) -> Step:
    """Take the next item of a loop over a sequence; both stand in slots."""

    def step(m: Machine) -> int:
        slots = m.slots
        i, sequence = slots[index], slots[items]
        if i >= len(sequence):
            return end
        slots[index] = i + 1
        take(slots, sequence[i])
        return then

    return step


def count_down(counter: int, ev: Ev | None, then: int, end: int) -> Step:
    """The head of `while`: leave when the bound is used up or the condition is false."""

    def step(m: Machine) -> int:
        slots = m.slots
        left = slots[counter]
        if left <= 0:
            return end
        slots[counter] = left - 1
        return then if ev is None or ev(slots) else end

    return step


def append(target: int, ev: Ev, max_list: int, then: int) -> Step:
    """`xs += [x]` in place of a new list."""
    def step(m: Machine) -> int:
        slots = m.slots
        items: List = slots[target]
        if len(items) >= max_list:
            raise Exhausted(f"max_list: a list has more than {max_list} items")
        slots[target] = items.append(ev(slots))
        return then

    return step


# ---------------------------------------------------------------------------------------------------- calls


def call(code: Code, args: Sequence[Ev], target: int, then: int) -> Step:
    """Call a function of the file: a frame of its own, and back to `then`."""
    def step(m: Machine) -> int:
        slots = m.slots
        frame = [slots[FUEL], *[arg(slots) for arg in args], *code.blank]
        return m.enter(code, frame, then, target)

    return step


def call_value(function: Ev, args: Sequence[Ev], target: int, then: int) -> Step:
    """Call a closure, or a function of the host."""

    def step(m: Machine) -> int:
        slots = m.slots
        called = function(slots)
        values = [arg(slots) for arg in args]
        if called.__class__ is Closure:
            return m.enter(called.code, called.frame(slots[FUEL], values), then, target)
        slots[target] = called(values)
        return then

    return step


def give_back(ev: Ev) -> Step:
    """`return`."""
    return lambda m: m.leave(ev(m.slots))


# -------------------------------------------------------------------------------------------------- effects


def draw(name: str, dist: Ev, proposal: Ev | None, target: int, here: int, then: int) -> Step:
    """`sample`. The distribution and the proposal are read from slots: a restart does not make them again."""

    sites: dict[str, str] = {}  # the site's name by call path

    def step(m: Machine) -> int:
        slots, execution = m.slots, m.execution
        site = sites.get(m.path)
        if site is None:
            site = sites[m.path] = m.path + name
        p: Dist = dist(slots)
        q: Dist | None = None if proposal is None else proposal(slots)
        if m.saves:
            execution.state = (m.code, here, tuple(slots), m.path, m.depth, m.stack)
        value = execution.sample(site, p.built, None if q is None else q.built)
        if not m.saves:
            m.refresh()
        slots[target] = _drawn(value) if value.__class__ is list else value
        return then

    return step


def prepare(target: int, ev: Ev, go_on: Step) -> Step:
    """Put a value into a slot and take the next step along."""

    def step(m: Machine) -> int:
        slots = m.slots
        slots[target] = ev(slots)
        return go_on(m)

    return step


def _drawn(value: Any) -> Any:
    """The draws of `iid`, which are a Python list, as a list of the language."""
    return List([_drawn(each) if each.__class__ is list else each for each in value])


def observe(name: str, value: Ev, dist: Ev, then: int) -> Step:
    """`observe v from D`."""
    def step(m: Machine) -> int:
        slots = m.slots
        seen = value(slots)
        m.execution.observe(m.path + name, dist(slots).built, seen)
        return then

    return step


def score(ev: Ev, then: int) -> Step:
    """`score w`."""
    def step(m: Machine) -> int:
        m.execution.score(ev(m.slots), m.path + "score")
        return then

    return step


def require(ev: Ev, reason: Ev, then: int) -> Step:
    """The reason is made only where it is needed."""

    def step(m: Machine) -> int:
        slots = m.slots
        if ev(slots):
            m.execution.require(True, "")
        else:
            m.execution.require(False, reason(slots).replace("\n", "\\n"))
        return then

    return step


def estimate(ev: Ev, then: int) -> Step:
    """`heuristic`: engines that ignore it never compute it."""

    def step(m: Machine) -> int:
        slots = m.slots
        m.execution.estimate(lambda: ev(slots), m.path + "heuristic")
        return then

    return step


def computed(closure: Ev) -> Ev:
    """The value of a closure without parameters that calls functions, computed on the spot."""

    def run(slots: Frame) -> Any:
        value, slots[FUEL] = compute(closure(slots), [], slots[FUEL])
        return value

    return run


def checkpoint(then: int) -> Step:
    """`checkpoint`."""
    def step(m: Machine) -> int:
        if m.saves:
            m.execution.state = (m.code, then, tuple(m.slots), m.path, m.depth, m.stack)
        m.execution.checkpoint()
        if not m.saves:
            m.refresh()
        return then

    return step


def record(name: str, ev: Ev, then: int) -> Step:
    """`record name = value`."""
    def step(m: Machine) -> int:
        m.execution.keep(m.path + name, ev(m.slots))
        return then

    return step

"""What goes into programs and comes out: log weights are checked, values are kept apart between executions."""

from __future__ import annotations

import copy
import math
from typing import Any

from ppl.errors import WeightError
from ppl.reward import Reward, StepRewards

_ATOMS = frozenset({str, int, float, bool, bytes, type(None), Reward, StepRewards})


def isolate(value: Any) -> Any:
    """A copy that one execution cannot use to touch another's; immutable values as they are."""
    kind = type(value)
    if kind in _ATOMS or (kind is tuple and all(type(item) in _ATOMS for item in value)):
        return value
    return copy.deepcopy(value)


def plain(value: Any) -> Any:
    """Arrays and tensors as numbers and tuples, which are equal by value and hashable; anything else as it is."""
    if type(value) in _ATOMS:
        return value
    if callable(getattr(value, "tolist", None)):
        return _tuples(value.tolist())
    return tuple(map(plain, value)) if type(value) is tuple else value


def label(value: Any) -> Any:
    """Something hashable that stands for a value: the value made plain, or its repr."""
    value = plain(value)
    try:
        hash(value)
        return value
    except TypeError:
        return repr(value)


def _tuples(data: Any) -> Any:
    return tuple(map(_tuples, data)) if isinstance(data, list) else data


def called(primitive: str, name: str) -> str:
    """An effect as a message names it: `score`, or `score('bonus')` if it was given a name."""
    return primitive if name == primitive else f"{primitive}({name!r})"


def check_weight(primitive: str, name: str, weight: Any) -> float:
    """A log weight as a float: finite or -inf; anything else is an error that names the site."""
    if type(weight) is float and weight < math.inf:  # so is -inf, and NaN is not
        return weight
    here = called(primitive, name)
    if type(weight) is not float:
        if isinstance(weight, StepRewards):
            raise WeightError(f"{here}: {weight.not_one('a log weight')}")
        if isinstance(weight, Reward):
            raise WeightError(
                f"{here}: a Reward is not a log weight. Write reward.log() to weight by p, reward.logit() to"
                " weight by the odds p / (1 - p), or float(reward) to weight by exp(p): three different posteriors."
            )
        if isinstance(weight, bool) or not hasattr(weight, "__float__"):
            raise WeightError(
                f"{here}: expected a log weight (a number), found {type(weight).__name__}: {weight!r}."
            )
        shape = getattr(weight, "shape", ())
        if tuple(shape) != ():
            raise WeightError(
                f"{here}: expected one number, found an array of shape {tuple(shape)}. Sum it or pick one."
            )
        weight = float(weight.detach() if hasattr(weight, "detach") else weight)
    if weight != weight:
        raise WeightError(
            f"{here}: the log weight is NaN. Weights must be finite, or -inf for weight zero."
        )
    if weight == math.inf:
        raise WeightError(
            f"{here}: the log weight is +inf. Weights must be finite, or -inf for weight zero."
        )
    return float(weight)

"""Distributions and models as values of a running program.

A `Dist` is a recipe (a family and its arguments); the distribution that engines see is built from it once,
when it is first asked for, and shared by all forks. A `Model` stands for a declared model, which is loaded at
its first use.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from grammar.chats import Chat
from grammar.grammars import Grammar
from grammar.values import Dict
from grammar.vectors import List, Value, measure_all
from ppl import dist as families
from ppl.errors import CapabilityError

UNSET: Any = object()


class Model(Value):
    """A language or reward model. `load` gives the host's object; it is called once, at the first use."""

    __slots__ = ("_host", "_load", "is_reward", "name")

    def __init__(self, name: str, load: Callable[[], Any], is_reward: bool = False) -> None:
        self.name, self._load, self._host, self.is_reward = name, load, UNSET, is_reward
        self._weight, self._depth, self._hash = 1, 0, id(self)

    @property
    def host(self) -> Any:
        if self._host is UNSET:
            self._host = self._load()
        return self._host

    def __repr__(self) -> str:
        return f"<{'reward' if self.is_reward else 'model'} {self.name}>"


class Dist(Value):
    """A distribution: `family` is a key of FAMILIES."""

    __slots__ = ("_built", "args", "family", "options")

    def __init__(self, family: str, args: tuple[Any, ...], options: tuple[tuple[str, Any], ...] = ()) -> None:
        self.family, self.args, self.options = family, args, options
        self._built: families.Distribution | None = None
        self._hash = id(self)

    @property
    def _weight(self) -> int:  # type: ignore[override]
        return measure_all(self.args)[0]

    @property
    def _depth(self) -> int:  # type: ignore[override]
        return measure_all(self.args)[1]

    @property
    def built(self) -> families.Distribution:
        if self._built is None:
            self._built = FAMILIES[self.family](*self.args, **dict(self.options))
        return self._built

    def __repr__(self) -> str:
        return f"<distribution {self.family}>"


_COINS: dict[float, families.Distribution] = {}


def _bernoulli(p: float) -> families.Distribution:
    """Coins are tossed often: equal ones are made once."""
    coin = _COINS.get(p)
    if coin is None:
        if len(_COINS) > 1024:
            _COINS.clear()
        coin = _COINS[p] = families.bernoulli(p)
    return coin


def _categorical(weights: Dict) -> families.Distribution:
    return families.categorical(dict(weights.items()))


def _iid(inner: Dist, n: int) -> families.Distribution:
    return families.iid(inner.built, n)


# ----------------------------------------------------------------------------------------------- models


def context_of(context: Any, model: Any) -> Any:
    """What a host's model goes on from."""
    return context.on(model) if isinstance(context, Chat) else context


def _text(model: Model, context: Any, **options: Any) -> families.Distribution:
    host = model.host
    return _asked(model, host, context_of(context, host), **options)


def _choice(model: Model, context: Any, choices: List) -> families.Distribution:
    host = model.host
    return _asked(model, host.choice, context_of(context, host), list(choices))


def _token(model: Model, context: Any, **options: Any) -> families.Distribution:
    host = model.host
    return _asked(model, host.token, context_of(context, host), **options)


def _asked(model: Model, method: Callable[..., Any], *args: Any, **options: Any) -> families.Distribution:
    given = {name: _option(value) for name, value in options.items() if value is not None}
    try:
        return families.as_distribution(method(*args, **given))
    except TypeError as error:
        name = next((n for n in given if f"'{n}'" in str(error)), None)
        if name is None or "unexpected keyword" not in str(error):
            raise
        raise CapabilityError(f"the backend of {model.name!r} does not take {name}=") from None


def _option(value: Any) -> Any:
    if isinstance(value, Grammar):
        return value.for_host()
    return list(value) if isinstance(value, List) else value


FAMILIES: dict[str, Callable[..., families.Distribution]] = {
    "bernoulli": _bernoulli,
    "categorical": _categorical,
    "uniform": lambda items: families.uniform(tuple(items)),
    "delta": families.delta,
    "uniform_real": families.uniform_real,
    "normal": families.normal,
    "beta": families.beta,
    "gamma": families.gamma,
    "poisson": families.poisson,
    "geometric": families.geometric,
    "iid": _iid,
    "model.call": _text,
    "model.choice": _choice,
    "model.token": _token,
}


# ----------------------------------------------------------------------------------------------- readings


def log_prob(dist: Dist, value: Any) -> float:
    """The log-probability of a value; a model is asked for it as a recorded effect."""
    return float(dist.built.log_prob(value))


def prob(dist: Dist, value: Any) -> float:
    """The probability of a value, or its density cut at 1, as `prob` values are."""
    return min(1.0, math.exp(log_prob(dist, value)))


def reward(model: Model, question: Any, answer: Any = UNSET) -> float:
    """The reward of an answer, of its last step if it is a list of steps."""
    if getattr(model.host, "by_steps", False):
        return float(_by_steps(model.host, question, answer).last())
    steps = _answers(model, question, answer)
    return float(model.host(*steps[-1]))


def step_rewards(model: Model, question: Any, answer: Any) -> List:
    """The reward of the answer up to each of its steps."""
    if getattr(model.host, "by_steps", False):
        return List([float(r) for r in _by_steps(model.host, question, answer)])
    asked = _answers(model, question, answer)
    if not asked:
        return List()
    if len(asked[0]) == 1:
        return List([float(r) for r in model.host([each for (each,) in asked])])
    return List([float(r) for r in model.host(asked[0][0], [each for _, each in asked])])


def _by_steps(host: Any, question: Any, answer: Any) -> Any:
    """What a process reward model says of all steps: items of a list, pieces of a chat, a text split its own way."""
    if isinstance(question, Chat):
        context = question.on(host.model)
        for step in answer if isinstance(answer, List) else [] if answer is UNSET else [answer]:
            context += step
        return host(context)
    if isinstance(answer, List):
        return host.steps(question, list(answer))
    if isinstance(answer, Chat):
        return host(question, answer.on(host.model))
    return host(question) if answer is UNSET else host(question, answer)


def _answers(model: Model, question: Any, answer: Any) -> list[tuple[Any, ...]]:
    """What the host's reward is asked, once for each step: (question, answer so far), or one context.

    The steps of a chat's answer are its pieces. A reward on a language model reads a chat as its own context,
    so that it shares what the model has computed; any other reward reads the text of the answer.
    """
    base = getattr(model.host, "model", None)
    if isinstance(answer, Chat) or answer is UNSET:
        whole = question if answer is UNSET else answer
        if isinstance(whole, Chat):
            return [(whole.on(base),)] if base is not None else [(whole.answer,)]
        return [(whole,)]
    grown = _so_far(answer) if isinstance(answer, List) else [answer]
    if isinstance(question, Chat):
        if base is None:
            return [(each,) for each in grown]
        return [(question.on(base) + each,) for each in grown]
    return [(question, each) for each in grown]


def _so_far(steps: List) -> list[str]:
    """The text up to each step; a step that does not end its line gets a line end when another follows."""
    texts, text = [], ""
    for step in steps:
        text = step if not text else text + ("" if text.endswith("\n") else "\n") + step
        texts.append(text)
    return texts

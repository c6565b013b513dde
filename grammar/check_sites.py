"""Random choices and observations: `sample`, `using`, `observe`, and calls of models as distributions.

Here is also what can be known of a backend before anything is loaded: whether it can score given text, list the next
tokens, or keep to a grammar.
"""

from __future__ import annotations

from grammar import syntax as s
from grammar.builtins import INFINITE, Builtin
from grammar.check_context import Checker
from grammar.check_fit import fit, mismatch
from grammar.check_infer import infer
from grammar.symbols import Local, ModelSymbol, ResolvedCall, Site
from grammar.type_names import show
from grammar.type_relations import assignable, overlaps
from grammar.types import (
    BOOL,
    FLOAT,
    INT,
    MODEL,
    NONE,
    PROB,
    REWARD,
    STR,
    UNKNOWN,
    DistOf,
    Function,
    ListOf,
    Literal,
    Type,
    options,
)

NEEDS = {"call": "draw", "choice": "score", "token": "draw"}
"""What a backend must be able to do for each method of a model."""

WORDS = {
    "draw": "draws no text",
    "score": "gives no log-probabilities of given text",
    "next_token": "gives no table of next tokens",
    "grammar": "cannot keep to a grammar",
}


def check_sample(c: Checker, expr: s.Sample) -> Type:
    """`sample D`, `sample D using Q`: the type of the value drawn."""
    if c.fixed or not c.body.draws:
        c.report("E305", expr, place=c.fixed or "a test")
    value = _distribution(c, expr.distribution, "sample")
    drawn_from = expr.distribution
    if expr.proposal is not None:
        proposed = _distribution(c, expr.proposal, "using")
        drawn_from = expr.proposal
        if UNKNOWN not in (value, proposed) and not overlaps(value, proposed):
            c.report("E307", expr.proposal, target=show(value), proposal=show(proposed))
        c.body.facts.weights = True
        need_capability(c, expr.distribution, "score", "'sample ... using'")
    _warn_unbounded(c, drawn_from)
    call = origin(c, expr.distribution)
    model = declared_model(c, call) if call is not None else None
    if call is not None and argument(call, "grammar") is not None:
        c.body.facts.weights = True  # the kept mass
    site = Site(expr, c.source, c.quoted(expr.distribution), free_of(c, expr.distribution), model)
    c.body.facts.sites.append(site)
    return value


def _distribution(c: Checker, expr: s.Expr, word: str) -> Type:
    """The values of the distribution that `word` stands before; UNKNOWN, reported, if it is none."""
    kind = infer(c, expr)
    if isinstance(kind, DistOf):
        return kind.value
    if kind != UNKNOWN:
        c.report("E304", expr, word=word, found=show(kind), hint=_distribution_hint(c, expr, kind))
    return UNKNOWN


def _distribution_hint(c: Checker, expr: s.Expr, kind: Type) -> str | None:
    name = c.quoted(expr)
    if kind == MODEL:
        return f"call the model with a context: `{name}(context, max_tokens=64)`"
    if isinstance(kind, Function) and isinstance(kind.result, DistOf):
        return f"call it: `{name}(...)`"
    if isinstance(kind, ListOf):
        return f"write `uniform({name})` to draw one of the items"
    if isinstance(expr, s.Call):
        return f"'{name}' gives {show(kind)}, not a distribution: write it without `sample`"
    return None


def observe(c: Checker, statement: s.Observe) -> None:
    """`observe v from D`: the value has to be one that D can give."""
    c.body.facts.weights = True
    kind = infer(c, statement.distribution)
    if not isinstance(kind, DistOf):
        infer(c, statement.value)
        if kind != UNKNOWN:
            hint = _distribution_hint(c, statement.distribution, kind)
            c.report("E304", statement.distribution, word="from", found=show(kind), hint=hint)
        return
    value = infer(c, statement.value, kind.value)
    need_capability(c, statement.distribution, "score", "observe")
    if UNKNOWN in (value, kind.value) or assignable(value, kind.value):
        return
    if isinstance(value, Literal) and all(isinstance(o, Literal) for o in options(kind.value)):
        c.report("E306", statement.value, value=c.quoted(statement.value), found=show(kind.value))
    elif assignable(kind.value, STR) and assignable(value, STR):
        return  # a text that may or may not be one of the choices
    elif isinstance(value, DistOf):
        mismatch(c, statement.value, value, kind.value, "the observed value")
    else:
        fit(c, statement.value, value, kind.value, "the observed value")


# --------------------------------------------------------------------------------------------------- models


def origin(c: Checker, expr: s.Expr) -> ResolvedCall | None:
    """The call that made a distribution: written here, or given to the `let` whose name stands here."""
    if isinstance(expr, s.Name):
        local = c.module.names.get(expr)
        expr = local.value if isinstance(local, Local) and local.value is not None else expr
    return c.module.calls.get(expr) if isinstance(expr, s.Call) else None


def declared_model(c: Checker, call: ResolvedCall) -> ModelSymbol | None:
    """The declared model that a model's or reward's call goes to; None for one that came as an argument."""
    if call.kind not in ("model", "reward") or call.receiver is None:
        return None
    symbol = c.module.names.get(call.receiver)
    return symbol if isinstance(symbol, ModelSymbol) else None


def free_of(c: Checker, expr: s.Expr) -> str:
    """Why the values of a distribution cannot be enumerated; "" where they can, or where that is not known."""
    call = origin(c, expr)
    if call is None or not isinstance(call.target, Builtin):
        return ""
    if call.kind == "builtin" and call.target.name in INFINITE:
        return f"{call.target.name} has infinitely many values"
    if call.kind == "builtin" and call.target.name == "iid" and call.args[0] is not None:
        return free_of(c, call.args[0])
    model = declared_model(c, call)
    if model is None or call.target.name != "call" or model.backend == "table" or model.replaced:
        return ""
    return "" if argument(call, "grammar") is not None else f"{model.name} writes free text"


def argument(call: ResolvedCall, name: str) -> s.Expr | None:
    """What was given for a parameter of a built-in or a method."""
    if not isinstance(call.target, Builtin):
        return None
    params = call.target.signatures[call.signature].params
    return next((arg for param, arg in zip(params, call.args) if param.name == name), None)


def need_capability(c: Checker, expr: s.Expr, capability: str, form: str) -> None:
    """Report a form that asks of a declared model what its backend cannot do."""
    call = origin(c, expr)
    model = declared_model(c, call) if call is not None else None
    if model is not None:
        _need(c, expr, model, capability, form)


def _need(c: Checker, place: s.Node, model: ModelSymbol, capability: str, form: str) -> None:
    if model.capabilities is not None and capability not in model.capabilities:
        c.report("E511", place, form=form, model=model.name, backend=model.backend, lacks=WORDS[capability])


def check_model_call(c: Checker, expr: s.Call, call: ResolvedCall) -> None:
    """What a call of a model needs of its backend, and the space at the end of a prompt."""
    model = declared_model(c, call)
    name = call.target.name if isinstance(call.target, Builtin) else ""
    if model is not None and name in NEEDS:
        _need(c, expr, model, NEEDS[name], f"'{c.quoted(expr)}'")
        if argument(call, "grammar") is not None:
            _need(c, expr, model, "grammar", "grammar=")
    if name == "call" and call.args[0] is not None:
        _warn_space(c, call.args[0])


def _warn_space(c: Checker, context: s.Expr) -> None:
    if (
        isinstance(context, s.Text)
        and context.parts
        and isinstance(context.parts[-1], str)
        and context.parts[-1].endswith(" ")
    ):
        end = context.span.end - 1
        c.report("W402", c.source.span(end - 1, end))


def _warn_unbounded(c: Checker, expr: s.Expr) -> None:
    call = c.module.calls.get(expr) if isinstance(expr, s.Call) else None
    if (
        call is None
        or call.kind != "model"
        or not isinstance(call.target, Builtin)
        or call.target.name != "call"
    ):
        return
    if all(argument(call, name) is None for name in ("max_tokens", "stop", "grammar")):
        c.report("W401", expr, model=c.quoted(expr).partition("(")[0])


def check_log_weight(c: Checker, expr: s.Expr, word: str) -> None:
    """The value of `score` or `heuristic`: a log weight, never a probability or a sum of them."""
    kind = infer(c, expr)
    probability = _probability_in(c, expr)
    if probability is not None:
        whole = probability is expr
        name = c.quoted(probability)
        hint = (
            None
            if whole
            else f"write `log({name})` for its log weight; `float({name})` if you mean the number itself"
        )
        c.report("E301", probability, word=word, name=name, hint=hint)
    elif kind != UNKNOWN:
        _check_number(c, expr, kind, word)


def _probability_in(c: Checker, expr: s.Expr) -> s.Expr | None:
    """A probability that is added up as it is: the expression itself, or an operand of its arithmetic."""
    if c.module.types.get(expr) == PROB:
        return expr
    if isinstance(expr, s.Binary):
        return _probability_in(c, expr.left) or _probability_in(c, expr.right)
    if isinstance(expr, s.Unary):
        return _probability_in(c, expr.operand)
    if isinstance(expr, s.Conditional):
        return _probability_in(c, expr.then) or _probability_in(c, expr.otherwise)
    return None


def _check_number(c: Checker, expr: s.Expr, kind: Type, word: str) -> None:
    name = c.quoted(expr)
    if kind == BOOL:
        hint = f"write `require {name}`, or `{word} 0.0 if {name} else -1.0`"
    elif isinstance(kind, DistOf):
        hint = f"write `observe value from {name}`, or `{word} {name}.log_prob(value)`"
    elif kind == ListOf(FLOAT):
        hint = f"write `{word} sum({name})`"
    elif kind == REWARD:
        hint = f"call the reward: `{word} log({name}(question, answer))`"
    elif kind in (INT, FLOAT) or NONE in options(kind):
        fit(c, expr, kind, FLOAT, f"the value of '{word}'")
        return
    else:
        hint = "a log weight is a float: `log(p)` of a probability, or a number of your own"
    c.report("E308", expr, word=word, found=show(kind), hint=hint)

"""Whether a value may stand where a type is asked for, and what to say if not."""

from __future__ import annotations

from grammar import syntax as s
from grammar.check_context import Checker, closest
from grammar.constants import folded_number
from grammar.symbols import Local
from grammar.type_names import quote, show
from grammar.type_relations import assignable, conversion, union, without
from grammar.types import (
    BOOL,
    CHAT,
    FLOAT,
    INT,
    NEVER,
    NONE,
    NUMBERS,
    PROB,
    STR,
    UNKNOWN,
    Basic,
    DictOf,
    DistOf,
    Function,
    ListOf,
    Literal,
    RecordType,
    TupleOf,
    Type,
    Union,
    options,
    parts,
)

SHOWABLE = union((STR, INT, FLOAT, BOOL, PROB))
"""What `${...}` writes."""


def fit(c: Checker, expr: s.Node, found: Type, wanted: Type, place: str) -> None:
    """Check that the value of `expr`, a `found`, may stand where a `wanted` does; `place` names that in messages.

    Notes in `conversions` where the value has to become a float or be checked to be a probability.
    """
    if assignable(found, wanted):
        return
    target = conversion(found, wanted)
    if target is None:
        mismatch(c, expr, found, wanted, place)
        return
    c.module.conversions[expr] = target
    if target == PROB:
        value = folded_number(expr, c.constants)
        if value is not None and not 0.0 <= value <= 1.0:
            c.report("E219", expr, what=place, bound="a probability, between 0 and 1", value=c.quoted(expr))


def mismatch(c: Checker, expr: s.Node, found: Type, wanted: Type, place: str) -> None:
    """Report a value of the wrong type by what most likely went wrong."""
    if isinstance(found, DistOf) and _would_fit(found.value, wanted):
        c.drawn_by_mistake(expr, found)
    elif NONE in options(found) and found != NONE and _would_fit(without(found, NONE), wanted):
        missing(c, expr, found)
    else:
        shown, asked = show(found), show(wanted)
        if shown == asked:
            shown, asked = _distinguished(found), _distinguished(wanted)
        hint = _mend(c, expr, found, wanted)
        c.report("E201", expr, place=place, wanted=asked, found=shown, hint=hint)


def missing(c: Checker, expr: s.Node, found: Type) -> None:
    """Report a value that may be none where it may not."""
    name = c.quoted(expr)
    if not isinstance(expr, (s.Name, s.Identifier)):
        hint = f"give a default, `{name} or ...`, or a name: `let x = {name}`, then `if x == none {{ ... }}`"
        c.report("E206", expr, what=name, type=show(found), hint=hint)
        return
    c.report("E206", expr, what=name, type=show(found))
    local = c.module.names.get(expr)
    if isinstance(local, Local):
        c.narrow(local, without(found, NONE))


def _would_fit(found: Type, wanted: Type) -> bool:
    return assignable(found, wanted) or conversion(found, wanted) is not None


def _distinguished(kind: Type) -> str:
    return f"{kind.name} of {kind.path}" if isinstance(kind, RecordType) else show(kind)


def _mend(c: Checker, expr: s.Node, found: Type, wanted: Type) -> str:
    """What to write instead."""
    name = c.quoted(expr)
    if (
        isinstance(expr, s.Text)
        and (INT in options(wanted) or FLOAT in options(wanted))
        and _spells_number(expr)
    ):
        return f"write `{expr.literal}` without quotes"
    if isinstance(expr, (s.IntLiteral, s.FloatLiteral, s.BoolLiteral)) and STR in options(wanted):
        return f'write `"{name}"`'
    if isinstance(found, Literal) and all(isinstance(o, Literal) or o == NONE for o in options(wanted)):
        texts = [o.value for o in options(wanted) if isinstance(o, Literal)]
        near = closest(found.value, texts)
        return f"did you mean {quote(near)}?" if near else f"the texts are {', '.join(map(quote, texts[:8]))}"
    if found == PROB and FLOAT in options(wanted):
        return f"write `log({name})` for a log weight, `float({name})` for the number itself"
    if found in (FLOAT, PROB) and INT in options(wanted):
        return f"write `round({name})`, or `int({name})` to cut off the fraction"
    if found == STR and {INT, FLOAT} & {*options(wanted)}:
        return f"write `{'int' if INT in options(wanted) else 'float'}({name})`; it is none where the text spells no number"
    if found == STR and any(isinstance(o, Literal) for o in options(wanted)):
        return "compare it with each text, or draw it from `categorical` or `choice` over these texts"
    if STR in options(wanted) and assignable(found, SHOWABLE):
        return f'write "${{{name}}}" or `str({name})`'
    if STR in options(wanted) and found == CHAT:
        return "a chat is a context for a model, not a text"
    if STR in options(wanted) and found == ListOf(STR):
        return f'write `join({name}, ", ")`'
    if isinstance(wanted, ListOf) and _would_fit(found, wanted.item):
        return f"write `[{name}]` for a list of one item"
    if isinstance(found, ListOf) and isinstance(wanted, ListOf) and {found.item, wanted.item} <= {INT, FLOAT}:
        return f"write `[{show(wanted.item)}(x) for x in {name}]`"
    if isinstance(wanted, DistOf) and _would_fit(found, wanted.value):
        return f"write `delta({name})` for the distribution that always gives this value"
    if isinstance(found, Function) and _would_fit(found.result, wanted):
        return f"call it: `{name}(...)`"
    if found == NONE:
        return (
            f"only a `{show(wanted)}?` may be none" if not isinstance(wanted, Function) else "give a function"
        )
    return _example_of(wanted, name)


def _spells_number(text: s.Text) -> bool:
    return text.literal is not None and text.literal.strip().lstrip("-").replace(".", "", 1).isdigit()


def _example_of(wanted: Type, name: str) -> str:
    """How a value of a type is written."""
    match options(wanted)[0]:
        case ListOf():
            return "a list is written `[a, b]`"
        case DictOf():
            return "a dict is written `{key: value}`"
        case TupleOf(items):
            return f"a tuple is written `({', '.join('abcdefgh'[: len(items)])})`"
        case RecordType() as record:
            return f"write `{record.name}(...)`"
        case Function(params):
            return f"write `fn({', '.join(f'x{i}: {show(p)}' for i, p in enumerate(params, 1))}) => ...`"
        case DistOf():
            return "distributions are calls of models, and bernoulli, categorical, uniform, normal, ..."
        case Basic(kind):
            return _EXAMPLES.get(kind, f"expected {show(wanted)}").format(name=name)
    return f"expected {show(wanted)}"


_EXAMPLES = {
    "int": "a whole number, such as 3",
    "float": "a number, such as 0.5",
    "prob": "a probability, such as 0.5",
    "bool": "`true`, `false`, or a comparison",
    "str": 'a text, such as "yes"',
    "chat": "write `chat {{ user {name} }}`",
    "model": "the name of a model declared by `model`",
    "reward": "the name of a reward declared by `reward`",
    "regex": 'a pattern, such as re"[0-9]+"',
    "grammar": 'a pattern re"...", `choice([...])` or `json(Type)`',
}


def need_bool(c: Checker, expr: s.Node, found: Type, place: str) -> None:
    """Conditions are bool: there is no truthiness."""
    if assignable(found, BOOL):
        return
    if isinstance(found, DistOf) and found.value == BOOL:
        c.drawn_by_mistake(expr, found)
        return
    name = c.quoted(expr)
    if NONE in options(found):
        hint = f"write `{name} != none`"
    elif found == STR:
        hint = f'write `{name} != ""`'
    elif isinstance(found, (ListOf, DictOf)):
        hint = f"write `len({name}) > 0`"
    elif found in NUMBERS:
        hint = f"write `{name} != 0`" if found == INT else f"compare it: `{name} > 0.5`"
    else:
        hint = "write a comparison, such as `a == b`"
    c.report("E203", expr, place=place, found=show(found), hint=hint)


def need_shown(c: Checker, expr: s.Node, found: Type) -> None:
    """Text is made of texts, numbers and bools; what else there is has to say how it is written."""
    if assignable(found, SHOWABLE):
        return
    if isinstance(found, DistOf):
        c.drawn_by_mistake(expr, found)
        return
    name = c.quoted(expr)
    if NONE in options(found) and assignable(without(found, NONE), SHOWABLE) and found != NONE:
        missing(c, expr, found)
        return
    if found == ListOf(STR):
        hint = f'write `join({name}, ", ")`, or `json({name})`'
    elif isinstance(found, (ListOf, DictOf, TupleOf, RecordType)):
        hint = f"write `json({name})`" + (", or one of its fields" if isinstance(found, RecordType) else "")
    else:
        hint = "texts, numbers and bools can stand in a text"
    c.report("E218", expr, what=name, found=show(found), hint=hint)


def jsonable(kind: Type) -> bool:
    """Whether values of a type have a JSON text: plain data, dicts with keys of one kind, records of them."""
    seen: set[RecordType] = set()
    pending = [kind]
    while pending:
        current = pending.pop()
        match current:
            case RecordType():
                if current not in seen:
                    seen.add(current)
                    pending.extend(each.type for each in current.fields.values())
            case DictOf(key, value):
                if not assignable(key, _JSON_KEYS):
                    return False
                pending.append(value)
            case ListOf() | TupleOf() | Union():
                pending.extend(parts(current))
            case _:
                if current not in (NONE, UNKNOWN, NEVER) and not assignable(current, SHOWABLE):
                    return False
    return True


_JSON_KEYS = union((STR, INT, BOOL))


def orderable(kind: Type) -> bool:
    """Whether `<` says something about values of a type: numbers, texts, tuples of them."""
    if isinstance(kind, TupleOf):
        return all(map(orderable, kind.items))
    return kind == UNKNOWN or all(o in NUMBERS for o in options(kind)) or assignable(kind, STR)

"""`test` blocks: what is given, how it runs, what the scripted models reply, what is expected."""

from __future__ import annotations

from collections.abc import Mapping

from grammar import syntax as s
from grammar.check_binders import block
from grammar.check_context import Body, Checker, closest_hint
from grammar.check_infer import check, condition, infer
from grammar.check_inference import EngineOptions, engine, program
from grammar.symbols import FunctionSymbol, Local, TestCase
from grammar.type_names import show
from grammar.type_relations import assignable, union
from grammar.types import REGEX, STR, PosteriorOf
from ppl.registry import ENGINES


def test_block(c: Checker, decl: s.TestDecl) -> None:
    """A test: what is given, how it runs, what the scripted model replies, what is expected."""
    tested = program(c, decl.program, decl.title, f'test "{decl.title.literal}" of')
    given: dict[str, s.Expr] = {}
    engines: list[EngineOptions] = []
    replies, expects = [], []
    c.body = Body("", None, draws=False)
    for item in decl.items:
        match item:
            case s.Given():
                _given(c, item, tested, given)
            case s.WithEngine():
                chosen = engine(c, item.engine)
                if engines:
                    c.report("E426", item, what="`with` in this test")
                engines.extend([chosen] if chosen is not None else [])
            case s.Reply():
                _reply(c, item)
                replies.append(item)
            case s.Expect():
                expects.append(item)
    if tested is not None:
        _expectations(c, tested, engines[0] if engines else _default_engine(c), expects)
        _report_not_given(c, decl, tested, given)
        title = decl.title.literal or ""
        c.module.tests.append(
            TestCase(
                title,
                tested,
                given,
                engines[0] if engines else None,
                tuple(replies),
                tuple(e.condition for e in expects),
                decl,
            )
        )
    c.body = Body("", None)
    if not expects:
        c.report("W407", decl.title)


def _default_engine(c: Checker) -> EngineOptions | None:
    return c.module.inference.engines[-1] if c.module.inference is not None else None


def _given(c: Checker, item: s.Given, tested: FunctionSymbol | None, given: dict[str, s.Expr]) -> None:
    name = item.name.name
    if tested is None:
        infer(c, item.value)
        return
    param = next((p for p in tested.params if p.name == name), None)
    if name in given:
        c.report("E426", item.name, what=f"`given {name}` in this test")
    if param is None:
        infer(c, item.value)
        names = [p.name for p in tested.params]
        hint = closest_hint(name, names) or (
            f"its parameters are {', '.join(names)}" if names else "it has no parameters"
        )
        c.report("E212", item.name, callee=f"'{tested.name}'", name=name, hint=hint)
        return
    check(c, item.value, param.type, f"argument '{name}' of '{tested.name}'")
    given[name] = item.value


def _report_not_given(
    c: Checker, decl: s.TestDecl, tested: FunctionSymbol, given: Mapping[str, s.Expr]
) -> None:
    lacking = [p for p in tested.params if p.required and p.name not in given]
    if lacking:
        first = lacking[0]
        c.report("E440", decl.title, program=tested.name, name=first.name, type=show(first.type))


def _reply(c: Checker, item: s.Reply) -> None:
    pattern = infer(c, item.pattern)
    if not assignable(pattern, union((STR, REGEX))):
        c.report(
            "E442",
            item.pattern,
            what="the pattern of a reply",
            kinds="a text or a pattern",
            found=show(pattern),
            hint='write `reply re"2 \\+ 2" -> "4"`',
        )
    text = infer(c, item.text)
    if not assignable(text, STR):
        c.report(
            "E442",
            item.text,
            what="a reply",
            kinds="a text",
            found=show(text),
            hint='write `reply "question" -> "answer"`',
        )


def _expectations(
    c: Checker, tested: FunctionSymbol, chosen: EngineOptions | None, expects: list[s.Expect]
) -> None:
    """Check what is expected of `posterior`, whose values are the program's."""
    entry = ENGINES[chosen[0]] if chosen is not None else None
    kind = PosteriorOf(tested.result, evidence=entry is None or entry.result != "search")
    with block(c):
        for each in expects:
            name = s.Identifier(each.span, "posterior")
            with block(c):
                c.declare(name, Local("posterior", kind, each.span, "parameter"))
                condition(c, each.condition, "what a test expects")

"""`test "..." of program { ... }` blocks: run under the file's own terms, with the models replying by rule.

Where a test has `reply` rules, the language models of the file are one scripted model: the first rule whose
pattern is found in the prompt answers, and judges ask that model too. Tables stay tables. The seed is fixed,
so tests repeat.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grammar import compile_parts
from grammar import syntax as s
from grammar.compile import Compiler
from grammar.diagnostics import ScaleError
from grammar.faults import Fault, Fuel, located
from grammar.grammars import Pattern
from grammar.loading import Module, judged_by, link, scripted
from grammar.machine import Closure, compute
from grammar.modules import check_file
from grammar.primitives_text import show
from grammar.symbols import CheckedModule, Local, TestCase
from grammar.then import chain
from ppl.errors import PPLError
from ppl.requests import Request, ScoreText

DEFAULT_ENGINE = (("importance", {"particles": 100}),)
SEED = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a test ended. `message` says what was expected and found, or which error came; "" if it passed."""

    title: str
    passed: bool
    message: str
    path: str
    line: int


def run_tests(
    path: str | Path,
    models: Mapping[str, Any] | None = None,
    externs: Mapping[str, Callable[..., Any]] | None = None,
) -> list[Outcome]:
    """Run every test of a file, in order. Raises `ScaleError` if the file has mistakes.

    models     in the place of declared ones, by name; they win over `reply` rules
    externs    the functions that the file declares
    """
    checked = tested_file(path, externs)
    return [run_test(checked, case, models, externs) for case in checked.tests]


def tested_file(path: str | Path, externs: Mapping[str, Callable[..., Any]] | None = None) -> CheckedModule:
    """A file with its tests, checked. Raises `ScaleError` if it has mistakes."""
    checked = check_file(path, externs=list(externs or {}))
    checked.raise_errors()
    return checked


def run_test(
    checked: CheckedModule,
    case: TestCase,
    models: Mapping[str, Any] | None = None,
    externs: Mapping[str, Callable[..., Any]] | None = None,
) -> Outcome:
    """Run one test of a checked file; an error of the run is how it ended."""
    try:
        message = _failure(checked, case, models or {}, externs or {})
    except (ScaleError, PPLError) as error:
        message = str(error)
    return Outcome(case.title, not message, message, checked.source.path, case.decl.span.line)


def _failure(
    checked: CheckedModule,
    case: TestCase,
    models: Mapping[str, Any],
    externs: Mapping[str, Callable[..., Any]],
) -> str:
    """What went otherwise than expected; "" if nothing did."""
    module = link(checked, {**_scripted_models(checked, case, externs), **models}, externs)
    given = {name: module.linker.evaluate(checked, expr) for name, expr in case.given.items()}
    engines = (case.engine,) if case.engine is not None else _own_engines(checked)
    program = module.programs[case.program.name]
    posterior = program.run(**given, engine=chain(engines), seed=SEED)
    failed = [expr for expr in case.expects if not _evaluate(module, expr, posterior)]
    return "\n".join(_told(module, expr, posterior) for expr in failed)


def _own_engines(checked: CheckedModule) -> Any:
    return checked.inference.engines if checked.inference is not None else DEFAULT_ENGINE


# -------------------------------------------------------------------------------------------- scripted models


def _scripted_models(checked: CheckedModule, case: TestCase, externs: Mapping[str, Any]) -> dict[str, Any]:
    """The models of a test with `reply` rules, by name."""
    if not case.replies:
        return {}
    linker = link(checked, {}, externs).linker
    rules = [
        (linker.evaluate(checked, each.pattern), linker.evaluate(checked, each.text)) for each in case.replies
    ]

    def reply(prompt: str) -> str:
        for pattern, text in rules:
            if pattern.found_in(prompt) if isinstance(pattern, Pattern) else pattern in prompt:
                return str(text)
        raise located(Fault("E558", prompt=_end_of(prompt)), checked.source, case.decl.title.span)

    model = _forgiving(scripted(reply))
    declared = [symbol for module in checked.modules() for symbol in module.models.values()]
    judges = [each.name for each in declared if str(each.args.get("spec", "")).startswith("judge:")]
    writers = [each.name for each in declared if not each.is_reward and each.backend != "table"]
    return {**dict.fromkeys(writers, model), **{name: judged_by(model) for name in judges}}


OTHER = -20.0
"""The log-probability, in a test, of any text that the rules do not reply: little, so that a choice in which
no text is the reply is still a choice, between equals."""


def _forgiving(model: Any) -> Any:
    """A scripted model that gives no text probability zero."""

    class Forgiving(type(model)):  # type: ignore[misc]
        def step(self, rows: Sequence[Request]) -> None:
            super().step(rows)
            for row in rows:
                if isinstance(row, ScoreText) and row.error is None and row.result == -math.inf:
                    row.result = OTHER

    return Forgiving(model.rule)


def _end_of(prompt: str) -> str:
    text = " ".join(prompt.split())
    return f'"{text}"' if len(text) <= 80 else f'"...{text[-77:]}"'


# ----------------------------------------------------------------------------------------------- expectations


def _evaluate(module: Module, expr: s.Expr, posterior: Any) -> Any:
    """The value of an expression in which `posterior` stands for a result."""
    linker, checked = module.linker, module.checked
    code = linker.new_code("expect", checked, 1, in_path=False)
    k = Compiler(linker, checked, code)
    k.fresh()
    names = (
        checked.names.get(node)
        for node in s.walk(expr)
        if isinstance(node, s.Name) and node.name == "posterior"
    )
    k.slots.update({local: 1 for local in names if isinstance(local, Local)})
    compile_parts.give_back(k, expr)
    value, _ = compute(Closure(k.finish(), (), linker.fuel.max_depth), [posterior], Fuel().max_steps)
    return value


def _told(module: Module, expr: s.Expr, posterior: Any) -> str:
    """An expectation that failed, with what its sides really were."""
    source = module.checked.source
    text = " ".join(source.text[expr.span.start : expr.span.end].split())
    found = ""
    if isinstance(expr, s.Compare) and not isinstance(expr.left, s.Lambda):
        left = " ".join(source.text[expr.left.span.start : expr.left.span.end].split())
        value = _evaluate(module, expr.left, posterior)
        found = f"; {left} is {_shown(value)}"
    return f"{source.path}:{expr.span.line}: expected {text}{found}"


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    return "none" if value is None else show(value)

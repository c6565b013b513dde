"""Programs: what `@model` makes of a function, and how engines, seeds and limits meet it."""

from __future__ import annotations

import functools
import inspect
import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ppl.boundary import isolate
from ppl.current import execution_here
from ppl.errors import OptionError, UsageError
from ppl.execution import Execution
from ppl.launch import alone, begin, begin_nested
from ppl.requests import Request
from ppl.run import Run
from ppl.run_settings import RESERVED, RunSettings
from ppl.scheduler import Scheduler
from ppl.streams import Key, derive
from ppl.tasks import Task
from ppl.user_lines import errors_at_user_line


class Program:
    """A function whose runs have a weight, with or without an engine bound to it.

    program(*args, seed=...)     run it: a result of its engine, or one forward run's value if it has none
    program.run(*args, engine=, seed=, limit=, live=, on_error=)   the same, with everything said at the call
    program.map(xs, ...)         one run per x, all in the same batches

    Inside another program an unbound program is inlined, and a bound one is a nested query: one recorded effect.
    """

    def __init__(self, fn: Callable[..., Any], engine_source: str = "decorator") -> None:
        self.fn, self.engine_source = fn, engine_source
        self.engine: Any = None
        self.name = getattr(fn, "__name__", "program")
        functools.update_wrapper(self, fn)

    def body(self, execution: Execution, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """One run of the program inside its execution; on replay the execution answers from its trace."""
        return self.fn(*map(isolate, args), **{k: isolate(v) for k, v in kwargs.items()})

    def __get__(self, instance: Any, owner: Any = None) -> Program:
        """A program that is a method, of its object."""
        if instance is None:
            return self
        method = self.bind(self.engine)
        method.fn = self.fn.__get__(instance, owner)
        return method

    def bind(self, engine: Any) -> Program:
        """The same program with another engine."""
        bound = type(self).__new__(type(self))
        bound.__dict__.update(self.__dict__)
        bound.engine = engine
        return bound

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        execution = execution_here()
        if execution is None:
            return self._launch(args, kwargs)
        if self.engine is None and kwargs.get("engine") is None:
            return self._inlined(execution, args, kwargs)
        return self._queries(execution, [(args, kwargs)], RunSettings(self, kwargs))[0]

    def _queries(
        self, execution: Execution, problems: list[tuple[tuple[Any, ...], dict[str, Any]]], settings: RunSettings
    ) -> list[Any]:
        """One run per problem, nested in an execution: one recorded effect."""
        for args, kwargs in problems:
            self._check_arguments(args, kwargs)

        def start(run: Run, key: Key) -> list[Request]:
            alone = len(problems) == 1
            keys = [key] if alone else [derive(key, "problem", i) for i in range(len(problems))]
            return [
                begin_nested(settings.nested_run(run, root, args, kwargs, None if alone else i))
                for i, ((args, kwargs), root) in enumerate(zip(problems, keys, strict=True))
            ]

        return execution.query(f"query {self.name}", start)

    def _inlined(self, execution: Execution, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        for option in RESERVED:
            if option in kwargs:
                raise UsageError(
                    f"{self.name} has no engine, so inside a program it is a part of it and takes no {option}=. Bind an"
                    f" engine to make it a query, as in smc(particles=16)({self.name})."
                )
        return self._inline(execution, args, kwargs)

    def _inline(self, execution: Execution, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return self.fn(*args, **kwargs)

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Run under `engine=` (an engine or a string such as "smc(particles=64)"), or the bound one.

        seed      an int or tuple of ints; drawn from the system if absent, and kept in `result.seed`
        limit     ppl.limit(tokens=..., calls=..., seconds=..., nodes=...)
        live      suspended continuations kept; 0 rebuilds each by replay and changes nothing but time
        on_error  "raise" (default), or "drop": an exception in the program gives that execution weight 0 and is kept
                  among the result's reasons
        """
        return self(*args, **kwargs)

    def map(self, xs: Iterable[Any], *, window: int | None = None, **options: Any) -> list[Any]:
        """`[run(x) for x in xs]` with all problems in the same batches, at most `window` under way at once.

        `map(xs, seed=s)[i]` equals `run(xs[i], seed=(s, i))`, whatever the window. A limit holds for each problem.
        Inside another program: that many nested queries as one recorded effect, all under way at once.
        """
        if not isinstance(xs, Iterable):
            raise UsageError(f"{self.name}.map expects the problems, as in map([a, b]); found {xs!r}.")
        return self._many([((x,), {}) for x in xs], window, options)

    def run_many(
        self,
        inputs: Iterable[Mapping[str, Any]],
        *,
        window: int | None = None,
        keep_going: bool = False,
        **options: Any,
    ) -> list[Any]:
        """`map` for programs of several parameters: one run per dict of named arguments.

        With `keep_going` a problem whose program fails has its exception in the place of its result. An exception says
        in `problem` whose it is.
        """
        return self._many([((), dict(named)) for named in inputs], window, options, keep_going)

    def _many(
        self,
        problems: list[tuple[tuple[Any, ...], dict[str, Any]]],
        window: int | None,
        options: dict[str, Any],
        keep_going: bool = False,
    ) -> list[Any]:
        settings = RunSettings(self, options)
        if options:
            raise UsageError(f"unknown options of map: {', '.join(options)}. The problems are its first argument.")
        if window is not None and (not isinstance(window, int) or window < 1):
            raise OptionError(f"window expects a number of problems >= 1, found {window!r}")
        execution = execution_here()
        if execution is not None:
            if settings.engine is None:
                return [self._inlined(execution, args, kwargs) for args, kwargs in problems]
            return self._queries(execution, problems, settings) if problems else []
        for args, kwargs in problems:
            self._check_arguments(args, kwargs)
        return self._together(problems, window, settings, keep_going)

    def _together(
        self,
        problems: list[tuple[tuple[Any, ...], dict[str, Any]]],
        window: int | None,
        settings: RunSettings,
        keep_going: bool,
    ) -> list[Any]:
        """The results of all problems, run on one scheduler; of a failed one its error, if the others keep going."""
        scheduler = Scheduler()
        results: list[Any] = []  # in the order they ended, with their problem's number
        queue, fatal = deque(enumerate(problems)), list[BaseException]()

        def next_problem() -> None:
            if queue:
                i, (args, kwargs) = queue.popleft()
                run = settings.new_run(scheduler, args, kwargs, i)
                begin(run, lambda task: done(i, task))

        def done(i: int, task: Task) -> None:
            error = task.error
            if isinstance(error, Exception):
                error.problem = i  # type: ignore[attr-defined]  # whose it is, for whoever reports it
            if error is not None and not (keep_going and isinstance(error, Exception)):
                fatal.append(error)
            results.append((i, error or settings.finish(task.result)))
            next_problem()

        for _ in range(window or len(problems)):
            next_problem()
        with errors_at_user_line():
            scheduler.loop(lambda: len(results) == len(problems) or bool(fatal))
            for error in fatal:
                raise error
        return [result for _, result in sorted(results, key=lambda pair: pair[0])]

    def _launch(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        settings = RunSettings(self, kwargs)
        self._check_arguments(args, kwargs)
        with errors_at_user_line():
            result = alone(settings.new_run(Scheduler(), args, kwargs))
        return settings.finish(result)

    def _check_arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        try:
            inspect.signature(self.fn).bind(*args, **kwargs)
        except TypeError as error:
            raise UsageError(f"{self.name}{inspect.signature(self.fn)}: {error}") from None

    def __repr__(self) -> str:
        return f"<program {self.name}{'' if self.engine is None else f' under {self.engine!r}'}>"


def model(fn: Callable[..., Any]) -> Program:
    """Make a program of a function that uses `sample`, `score`, `observe` and the rest.

    Its keyword names must leave `seed`, `limit`, `engine`, `live` and `on_error` free: they are options of every run.
    """
    if isinstance(fn, Program):
        raise UsageError(f"{fn.name} is a program already: @model goes below the engine, once.")
    if not callable(fn):
        raise UsageError(f"@model expects a function, found {fn!r}")
    if inspect.iscoroutinefunction(fn) or inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn):
        raise UsageError(f"@model {fn.__name__}: a program is a plain function, without async and yield.")
    for name in inspect.signature(fn).parameters:
        if name in RESERVED:
            code = getattr(fn, "__code__", None)
            where = f" ({os.path.basename(code.co_filename)}:{code.co_firstlineno})" if code else ""
            raise UsageError(
                f"@model {fn.__name__}{where}: the parameter name {name!r} is reserved for the run's option. Rename it, e.g. to '{name}_'."
            )
    return Program(fn)

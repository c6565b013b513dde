"""What a call says beside the program's own arguments (engine, seed, limit, live, on_error), and the runs it makes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ppl.cost import limit as limit_of
from ppl.errors import AllDead, OptionError
from ppl.execution import Stop
from ppl.run import Run
from ppl.streams import Key, Streams, StreamSource, check_seed

if TYPE_CHECKING:
    from ppl.program import Program
    from ppl.scheduler import Scheduler

RESERVED = ("seed", "limit", "engine", "live", "on_error")
"""The names of these options: no parameter of a program may be called so."""


class RunSettings:
    """The options of one call, taken out of its keyword arguments and checked; what is left are the program's own.

    seed     an int or a tuple of ints, or a `ppl.streams.StreamSource` in its place; absent, one is drawn from the system
    source   who chose the engine, for `result.engine_source`: "call", or what the program says of its own

    Raises OptionError for what an option does not take, SeedError for a seed that is none.
    """

    def __init__(self, program: Program, kwargs: dict[str, Any]) -> None:
        self.program = program
        engine = kwargs.pop("engine", None)
        self.source = "call" if engine is not None else program.engine_source
        self.engine = _resolved(engine) if engine is not None else program.engine
        self.given_seed = kwargs.pop("seed", None)
        self.streams: StreamSource | None = self.given_seed if hasattr(self.given_seed, "at") else None
        self.seed = () if self.streams is not None else check_seed(self.given_seed)
        self.limit = kwargs.pop("limit", None)
        if self.limit is not None and not isinstance(self.limit, limit_of):
            raise OptionError(f"limit expects ppl.limit(tokens=...), found {self.limit!r}")
        self.live = kwargs.pop("live", None)
        if self.live is not None and (not isinstance(self.live, int) or self.live < 0):
            raise OptionError(f"live expects a number of continuations >= 0, found {self.live!r}")
        self.on_error = kwargs.pop("on_error", None)
        if self.on_error not in (None, "raise", "drop"):
            raise OptionError(f"on_error expects 'raise' or 'drop', found {self.on_error!r}")

    def new_run(
        self, scheduler: Scheduler, args: tuple[Any, ...], kwargs: dict[str, Any], index: int | None = None
    ) -> Run:
        """The run of a problem of its own; `index` is its place among the problems of a map, and part of its seed."""
        seed = self.seed if index is None else (*self.seed, index)
        streams = self.streams or Streams(seed)
        return Run(
            scheduler, self.program, args, kwargs, self.engine or Forward(), streams, streams.root,
            bound=self.limit, live=self.live, on_error=self.on_error or "raise", seed=seed[0] if len(seed) == 1 else seed,
        )  # fmt: skip

    def nested_run(
        self, parent: Run, key: Key, args: tuple[Any, ...], kwargs: dict[str, Any], index: int | None
    ) -> Run:
        """The run of a query: by the streams of the run around it, unless the query has a seed of its own."""
        streams, seed = parent.streams, None
        if self.given_seed is not None:
            seed = self.seed if index is None else (*self.seed, index)
            streams = self.streams or Streams(seed)
            key = streams.root
        return Run(
            parent.scheduler, self.program, args, kwargs, self.engine, streams, key, bound=self.limit, live=self.live,
            on_error=self.on_error or parent.on_error, parent=parent, seed=seed,
        )  # fmt: skip

    def finish(self, result: Any) -> Any:
        """The result of a run that is over, with who chose its engine."""
        if hasattr(result, "engine_source"):
            result.engine_source = self.source
        return result


class Forward:
    """What an unbound program does when it is called: one run, its value returned."""

    uses_heuristic = False

    def search(self, run: Run) -> Any:
        (execution,) = run.start()
        run.advance_all([execution], Stop.END)
        if execution.dead:
            raise AllDead(
                f"the one forward run of {run.program.name} died: {execution.reason}. Bind an engine, as in smc(particles=16)({run.program.name})."
            )
        return execution.value


def _resolved(engine: Any) -> Any:
    """An engine from itself or from a string such as "smc(particles=64)"."""
    if isinstance(engine, str):
        from ppl.registry import build_engine

        return build_engine(engine)
    if isinstance(engine, type) or not callable(getattr(engine, "search", None)):
        hint = " Give its options, as in smc(particles=16)." if isinstance(engine, type) else ""
        raise OptionError(f"expected an engine, found {engine!r}.{hint}")
    return engine

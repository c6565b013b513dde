"""Operations on traces: simulate, assess, generate, update, regenerate (the interface of Cusumano-Towner et al., Gen).

gamma(t) is a program's unnormalised density: the product of p over its choices times exp of its scores. Q is what
draws a choice: its own distribution, or its `proposal`. Each operation states its weight in those terms. Chains and
rejuvenation are built on them; inside an engine their model calls join the batches of everything else under way.

`rng` is a stream (`run.lasting_rng`, numpy's Generator) or an int seed; all fresh draws come from it, in order.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ppl.distribution import Distribution
from ppl.errors import ConstraintError, did_you_mean
from ppl.execution import Execution, Forced, Policy, Stop
from ppl.launch import inside_scheduler
from ppl.run import Run
from ppl.streams import Key, LastingStream
from ppl.trace import Node, Selection, Trace, address, first_use

if TYPE_CHECKING:
    from ppl.program import Program

NEG_INF = -math.inf


def simulate(program: Program, *args: Any, rng: Any = None, **kwargs: Any) -> Trace:
    """A trace from the program's own draws: t ~ Q. Its scores are recorded, not conditioned on."""
    return _execute(program, args, kwargs, rng, None)


def generate(
    program: Program, constraints: Mapping[str, Any], *args: Any, rng: Any = None, **kwargs: Any
) -> tuple[Trace, float]:
    """A trace that agrees with the constraints (address -> value), other choices drawn.

    log weight = log gamma(t) - log Q(drawn choices). With no constraints and no scores 0; with every choice
    constrained log gamma(t). Raises ConstraintError for a constraint that no site used.
    """
    wanted = {first_use(a): v for a, v in constraints.items()}
    trace = _execute(program, args, kwargs, rng, _constrain(wanted))
    _all_used(wanted, trace)
    return trace, trace.log_total


def assess(program: Program, choices: Mapping[str, Any], *args: Any, **kwargs: Any) -> tuple[float, Any]:
    """(log gamma(t), the returned value) of the trace with exactly these choices.

    Raises ConstraintError if a site has no value, or a value has no site.
    """
    wanted = {first_use(a): v for a, v in choices.items()}
    force = _constrain(wanted)

    def complete(ex: Execution, name: str, index: int, dist: Distribution, proposal: Distribution | None) -> Forced:
        forced = force(ex, name, index, dist, proposal)
        if forced is None:
            site = address(name, index)
            raise ConstraintError(
                f"assess: site {site!r} has no value.{did_you_mean(site, wanted)} Given: {', '.join(wanted) or 'none'}."
            )
        return forced

    trace = _execute(program, args, kwargs, None, complete)
    _all_used(wanted, trace)
    return trace.log_total, trace.value


def update(
    trace: Trace, constraints: Mapping[str, Any], rng: Any = None, args: tuple[Any, ...] | None = None
) -> tuple[Trace, float, dict[str, Any]]:
    """Change some choices (and perhaps the arguments), keep the others where they still have a site.

    Returns (t', log weight, discard): log gamma(t') - log Q(fresh choices) - log gamma(t), and the old values that were
    overwritten or vanished; updating back with them gives t again, and where no choice was fresh the opposite weight. A
    horizon is kept to as by `regenerate`.
    """
    wanted = {first_use(a): v for a, v in constraints.items()}
    old = trace.choices
    force = _constrain({**old, **wanted})
    new = _execute(trace.program, trace.args if args is None else args, trace.kwargs, rng, force, trace.horizon)
    _all_used(wanted, new)
    fresh = {n.address for n in new.nodes if n.kind == "sample"} - {*old, *wanted}
    kept = new.choices
    discard = {a: v for a, v in old.items() if a in wanted or a not in kept}
    if _elsewhere(new, trace):
        return new, NEG_INF, discard
    log_weight = _log_gamma(new) - sum(_log_q(n) for n in new.nodes if n.kind == "sample" and n.address in fresh)
    return new, log_weight - _log_gamma(trace), discard


def regenerate(trace: Trace, selection: Selection | Iterable[str], rng: Any = None) -> tuple[Trace, float]:
    """Draw the selected choices again, and those whose distribution changed kind or support; keep the rest.

    `selection` holds addresses, or is a function of one. log weight = log [gamma(t') / Q(t' off the kept)] - log
    [gamma(t) / Q(t off the kept)]: with prior draws just the log-ratio over kept sites and scores. It is the
    acceptance ratio of a Metropolis-Hastings step whose selection does not depend on the trace. With a horizon the
    target is the one at that barrier, heuristic included, over the runs that get that far: -inf for one that does
    not. Raises ConstraintError for an address that the trace does not have.
    """
    selected = selection if callable(selection) else _among(selection, trace)
    first = next((n for n in trace.nodes if n.kind == "sample" and selected(n.address)), None)
    if first is None:
        return trace, 0.0
    start = first.parent if first.skip is None else first.skip  # up to here both runs are one: it is replayed from the record, and no model is asked again
    old = {n.address: n for n in trace.after(start) if n.kind == "sample"}
    kept: set[str] = set()

    def keep(ex: Execution, name: str, index: int, dist: Distribution, proposal: Distribution | None) -> Forced | None:
        site = address(name, index)
        node = old.get(site)
        forced = None if node is None or selected(site) else keep_value(node, dist, proposal)
        if forced is not None:
            kept.add(site)
        return forced

    new = _execute(trace.program, trace.args, trace.kwargs, rng, keep, trace.horizon, start)
    if new.status == "dead" or _elsewhere(new, trace):
        return new, NEG_INF
    return new, _off_kept(new, start, kept) - _off_kept(trace, start, kept)


def _among(selection: str | Iterable[str], trace: Trace) -> Selection:
    """Whether a site is one of these, which must all be sites of the trace."""
    wanted = frozenset(map(first_use, [selection] if isinstance(selection, str) else selection))
    for site in sorted(wanted):
        if site not in trace.choices:
            raise ConstraintError(
                f"regenerate: no site {site!r} in this trace.{did_you_mean(site, trace.choices)} It has"
                f" {', '.join(trace.choices) or 'none'}. To select a site only where there is one, give a function, as in"
                f" regenerate(trace, lambda site: site == {site!r}, rng)."
            )
    return wanted.__contains__


def keep_value(node: Node, dist: Distribution, proposal: Distribution | None) -> Forced | None:
    """How a run takes over another run's choice as if it had drawn it; None if it must draw its own.

    Decided by the distributions alone, never by the value, and symmetric in them: same family and same support. Where
    a mask drew the value they must be equal, since the density of a given value under a mask cannot be asked for.
    """
    equal = dist.deferred and bool(node.dist == dist)
    drew, draws = node.proposal or node.dist, proposal or dist
    if drew.weighted or draws.weighted:
        return Forced(node.value, node.log_q, node.log_prob) if equal and drew == draws else None
    return Forced(node.value, None, node.log_prob if equal else None) if node.dist.kind == dist.kind else None


def _elsewhere(new: Trace, old: Trace) -> bool:
    """Whether a move left the barrier at which its target is defined: a run that ended does not stand there."""
    return old.horizon is not None and new.status != old.status


def _off_kept(trace: Trace, start: Node | None, kept: set[str]) -> float:
    """log gamma(t) - log Q(choices that are not kept) of what follows `start`, heuristic included."""
    total = trace.heuristic
    for node in trace.after(start):
        if node.kind != "sample":
            total += node.log_weight
        elif node.address in kept:
            total += node.log_prob
        else:
            total += _log_gain(node)
    return total


def _log_gain(node: Node) -> float:
    """log p - log q of a choice under what its site draws from, also where a constraint or another run gave it."""
    if node.proposal is not None:
        return node.log_prob - (node.log_q or float(node.proposal.log_prob(node.value)))
    if node.dist.weighted and node.log_q is not None:
        return node.log_prob - node.log_q
    return 0.0


def _log_gamma(trace: Trace) -> float:
    return NEG_INF if trace.status == "dead" else trace.log_joint + trace.heuristic


def _log_q(node: Node) -> float:
    return node.log_prob if node.log_q is None else node.log_q


def _constrain(wanted: Mapping[str, Any]) -> Policy:
    def force(ex: Execution, name: str, index: int, dist: Distribution, proposal: Distribution | None) -> Forced | None:
        site = address(name, index)
        return Forced(wanted[site]) if site in wanted else None

    return force


def _all_used(wanted: Mapping[str, Any], trace: Trace) -> None:
    if trace.status == "dead":
        return
    used = trace.choices
    for site in wanted:
        if site not in used:
            raise ConstraintError(
                f"no site {site!r} in this run of {trace.program.name}.{did_you_mean(site, used)} It visited {', '.join(used) or 'none'}."
            )


def _execute(
    program: Program,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    rng: Any,
    policy: Policy | None,
    horizon: int | None = None,
    start: Node | None = None,
) -> Trace:
    """One execution under a policy, from `start` to its horizon or end, inside the engine that runs here or alone."""
    stream = np.random.default_rng(rng) if rng is None or isinstance(rng, (int, tuple)) else rng

    def body(run: Run) -> Trace:
        execution = Execution(run, _lineage(stream, run), policy)
        execution.rng = stream
        if start is not None:
            execution.move_to(Trace(start, None, "running"))
        if horizon is None:
            run.advance_all([execution], Stop.END)
        elif horizon > 0:
            run.advance_all([execution], Stop.BARRIER, until=horizon)
        run.free([execution])
        return execution.trace(horizon)

    return inside_scheduler(program, args, kwargs, body, horizon is not None)


def _lineage(stream: Any, run: Run) -> Key:
    """The key of an execution that draws from `stream`: nested queries in it are keyed by the stream too."""
    if isinstance(stream, LastingStream):
        return stream.key()
    return stream.bytes(16) if isinstance(stream, np.random.Generator) else run.root

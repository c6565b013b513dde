"""What every engine obeys, as checks that take the engine and the program as arguments. Each raises AssertionError.

A program's *measure* is {returned value: total mass}: gamma pushed forward to what the program returns. Its sum is Z.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ppl.boundary import label
from ppl.operations import simulate
from ppl.program import Program
from ppl.results import Posterior, Result
from ppl.storage import encode
from ppl.testing.enumeration import enumerate_outcomes

Measure = dict[Any, float]


def measure_of(program: Program, *args: Any) -> Measure:
    """{value: mass} by enumerating plain forward runs; a reference that knows no engine, for finite programs."""
    paths = enumerate_outcomes(lambda streams: simulate(program, *args, rng=streams.rng()))
    return _sum_up((label(t.value), p * math.exp(t.log_total)) for p, t in paths if t.status == "finished")


def expected_measure(engine: Any, program: Program, *args: Any) -> Measure:
    """{value: E[sum of the weights of traces that return it]}, over all of the engine's own randomness."""
    paths = enumerate_outcomes(lambda streams: program.run(*args, engine=engine, seed=streams))
    return _sum_up(
        (label(t.value), p * math.exp(t.log_weight)) for p, result in paths for t in _finished(result) if p > 0.0
    )


def check_unbiased(
    engine: Any,
    program: Program,
    args: Sequence[Any] = (),
    *,
    exact: Mapping[Any, float] | None = None,
    tolerance: float = 1e-12,
) -> None:
    """E[sum_i w_i f(t_i)] = Z E_posterior[f] for every f of the returned value, by enumeration of the engine.

    f = 1 is unbiasedness of the evidence. `exact` is the program's measure from an oracle of your own; without one
    `measure_of` is used. `tolerance` is relative to Z (to 1 where Z is 0).
    """
    exact = measure_of(program, *args) if exact is None else exact
    found = expected_measure(engine, program, *args)
    scale = math.fsum(exact.values()) or 1.0
    for value in {**exact, **found}:
        have, want = found.get(value, 0.0), exact.get(value, 0.0)
        assert abs(have - want) <= tolerance * scale, (
            f"{engine!r} on {program.name}: E[weight of {value!r}] = {have!r}, exactly {want!r};"
            f" E[evidence] = {math.fsum(found.values())!r}, exactly {math.fsum(exact.values())!r}"
        )


@dataclass(frozen=True)
class CLT:
    """Outcome of `check_clt`: z of `runs` runs; a relative bias of `bias` fails with probability `power`."""

    z: float
    runs: int
    bias: float
    power: float


def check_clt(
    engine: Any,
    program: Program,
    args: Sequence[Any] = (),
    *,
    expected: float,
    variance: float,
    f: Callable[[Any], float] = lambda value: 1.0,
    bias: float = 0.03,
    seed: int = 0,
) -> CLT:
    """The mean of sum_i w_i f(t_i) over independent runs is `expected` (Z E[f]; Z itself for f = 1).

    Fails if |z| > 4.5: a right engine fails for 7 seeds in a million. `variance` is that of one run (a bound will do);
    from it so many runs are made, ((4.5 + 3) / bias)^2 variance / expected^2, that a bias of `bias` times `expected`
    fails with probability > .99, which is checked against the runs' own variance. Averages weights, never their logarithms.
    """
    runs = max(2, math.ceil((7.5 / bias) ** 2 * variance / expected**2))
    totals = []
    for i in range(runs):
        result = program.run(*args, engine=engine, seed=(seed, i))
        totals.append(math.fsum(math.exp(t.log_weight) * f(t.value) for t in _finished(result)))
    mean = math.fsum(totals) / runs
    spread = math.sqrt(math.fsum((x - mean) ** 2 for x in totals) / (runs - 1) / runs)
    error = mean - expected
    z = error / spread if spread else (0.0 if abs(error) < 1e-12 * abs(expected) else math.inf)
    power = 0.5 * math.erfc((4.5 - bias * abs(expected) / spread) / math.sqrt(2)) if spread else 1.0
    assert abs(z) < 4.5, (
        f"{engine!r} on {program.name}: mean {mean!r} of {runs} runs, exactly {expected!r}, z = {z:.2f}"
    )
    assert power > 0.99, (
        f"the variance {variance!r} given for {engine!r} is too small: {runs} runs have power {power:.3g}"
    )
    return CLT(z, runs, bias, power)


def fingerprint(result: Result, cost: bool = True) -> Any:
    """Everything a result says, as comparable plain data; `cost=False` without its ledger. Wall time is left out."""
    ledger = {k: v for k, v in result.cost.as_dict().items() if k != "seconds"} if cost else {}
    return {
        "traces": [_trace(t) for t in result.traces],
        "reasons": dict(result.reasons),
        "warnings": result.warnings,
        "stopped": result.stopped,
        "evidence": encode(result.log_evidence)
        if isinstance(result, Posterior) and result.no_evidence is None
        else None,
        "ledger": ledger,
    }


def check_replay_invariance(engine: Any, program: Program, args: Sequence[Any] = (), *, seed: int = 0) -> None:
    """No live continuation kept (`live=0`), one, or all: bit-identical results at the same cost."""
    kept = fingerprint(program.run(*args, engine=engine, seed=seed))
    for live in (0, 1):
        replayed = fingerprint(program.run(*args, engine=engine, seed=seed, live=live))
        _assert_same(replayed, kept, f"{engine!r} on {program.name}: live={live} changes")


def check_seed_determinism(engine: Any, program: Program, xs: Sequence[Any], *, seed: int = 0) -> None:
    """`map` over any window, `run` one by one in any order: the same results, bit for bit, from the same seed."""
    bound = program.bind(engine)
    alone = {i: fingerprint(bound.run(xs[i], seed=(seed, i)), cost=False) for i in reversed(range(len(xs)))}
    for window in (None, 1, 2):
        for i, result in enumerate(bound.map(xs, seed=seed, window=window)):
            _assert_same(
                fingerprint(result, cost=False), alone[i], f"{engine!r} on {program.name}: window={window} changes"
            )


def _trace(trace: Any) -> Any:
    sites = [(n.address, encode(n.value), encode(n.log_weight)) for n in trace.nodes if n.kind == "sample"]
    effects = [(n.kind, n.name) for n in trace.nodes]
    weights = encode(trace.log_weight), encode(trace.log_total)
    return trace.status, encode(trace.value), weights, sites, encode(trace.records), effects


def _assert_same(found: Any, expected: Any, what: str) -> None:
    for part in expected:
        assert found[part] == expected[part], f"{what} {part}: {found[part]!r} is not {expected[part]!r}"


def _finished(result: Result) -> list[Any]:
    return [t for t in result.traces if t.status == "finished"]


def _sum_up(terms: Any) -> Measure:
    parts: dict[Any, list[float]] = {}
    for value, mass in terms:
        parts.setdefault(value, []).append(mass)
    return {value: math.fsum(masses) for value, masses in parts.items()}

"""What trace operations and Markov kernels obey, on any program: they agree with each other, and keep the posterior.

The operations' weights are those of Gen's generative function interface (Cusumano-Towner et al. 2019).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ppl.boundary import label
from ppl.operations import assess, generate, regenerate, simulate, update
from ppl.program import Program
from ppl.testing.enumeration import enumerate_outcomes
from ppl.trace import Node, Trace

Kernel = Callable[[Trace, Any], Trace]


def check_trace_laws(program: Program, args: Sequence[Any] = (), *, seeds: Sequence[int] = range(8)) -> None:
    """simulate, assess, generate, update and regenerate agree with each other on traces of the program."""
    for seed in seeds:
        trace = simulate(program, *args, rng=seed)
        if trace.status == "dead":
            continue
        joint = trace.log_joint
        again = assess(program, trace.choices, *args)
        _same(again[0], joint, f"assess(choices of simulate) of {program.name}")
        assert label(again[1]) == label(trace.value), (
            f"{program.name}: assess returned {again[1]!r}, not {trace.value!r}"
        )
        full, weight = generate(program, trace.choices, *args, rng=seed)
        _same(weight, joint, f"generate with every choice of {program.name}")
        _same_trace(full, trace)
        drawn, weight = generate(program, {}, *args, rng=seed)
        _same(weight, drawn.log_total, f"generate with no constraint of {program.name}")
        kept, weight, discard = update(trace, {}, rng=seed)
        _same(weight, 0.0, f"update with nothing of {program.name}")
        _same_trace(kept, trace)
        assert discard == {}
        _check_there_and_back(program, args, trace, seed)
        new, weight = regenerate(trace, lambda address: True, rng=seed + 100)
        if new.status != "dead":
            _same(weight, new.log_total - trace.log_total, f"regenerate of everything of {program.name}")


def _check_there_and_back(program: Program, args: Sequence[Any], trace: Trace, seed: int) -> None:
    """update with another trace's values, and back with what it discarded: opposite weights, the first trace."""
    other = simulate(program, *args, rng=seed + 1000)
    shared = [a for a in trace.choices if a in other.choices]
    for address in shared:
        there, weight, discard = update(trace, {address: other.choices[address]}, rng=seed)
        if there.status == "dead":
            continue
        if set(there.choices) != set(trace.choices):  # sites were drawn afresh; the way back discards them
            fresh = math.fsum(_log_q(n) for n in there.nodes if n.kind == "sample" and n.address not in trace.choices)
        else:
            fresh = 0.0
        back, opposite, _ = update(there, discard, rng=seed)
        _same(weight + opposite + fresh, 0.0, f"update of {address!r} there and back of {program.name}")
        _same_trace(back, trace)


def _log_q(node: Any) -> float:
    return float(node.log_prob if node.log_q is None else node.log_q)


def transition_matrix(
    kernel: Kernel, program: Program, *args: Any, constrained: bool = False
) -> tuple[list[Trace], Any, Any]:
    """(states, pi, P): the program's traces, their posterior probabilities, and the kernel's exact transition matrix.

    The kernel is enumerated from every state; a state is a trace's choices. A kernel is right when pi P = pi.
    `constrained`: it starts from traces that were given their choices instead of drawing them, which changes nothing.
    """
    paths = enumerate_outcomes(lambda streams: simulate(program, *args, rng=streams.rng()))
    traces = {_state(t): t for _, t in paths if t.status == "finished"}
    if constrained:
        traces = {state: generate(program, t.choices, *args)[0] for state, t in traces.items()}
    states, index = list(traces.values()), {state: i for i, state in enumerate(traces)}
    masses = np.array([math.exp(t.log_joint) for t in states])
    matrix = np.zeros((len(states), len(states)))
    for i, trace in enumerate(states):
        for p, moved in enumerate_outcomes(lambda streams, t=trace: kernel(t, streams.rng())):  # type: ignore[misc]
            matrix[i, index[_state(moved)]] += p
    return states, masses / masses.sum(), matrix


def check_invariant(kernel: Kernel, program: Program, *args: Any, reversible: bool = False) -> None:
    """The kernel leaves the program's posterior as it is: pi P = pi to 1e-12; `reversible`: detailed balance too."""
    _, pi, matrix = transition_matrix(kernel, program, *args)
    error = float(np.abs(pi @ matrix - pi).max())
    assert error < 1e-12, f"the kernel does not keep the posterior of {program.name}: max |pi P - pi| = {error:.3g}"
    flow = pi[:, None] * matrix
    error = float(np.abs(flow - flow.T).max())
    assert error < 1e-12 or not reversible, f"the kernel is not reversible on {program.name}: {error:.3g}"
    again = transition_matrix(kernel, program, *args, constrained=True)[2]
    error = float(np.abs(matrix - again).max())
    assert error < 1e-12, f"the kernel moves constrained traces of {program.name} differently: by {error:.3g}"


def _state(trace: Trace) -> Any:
    """Its choices; of texts the token path and how it ended, since two paths may show the same string."""
    choices = trace.choices.items()
    return tuple((a, label(v), getattr(v, "tokens", None), getattr(v, "finish", None)) for a, v in choices)


def _effects(trace: Trace) -> list[tuple[str, str, int]]:
    """What the program did, first to last, without what a distribution or a heuristic asked of models on its own."""
    effects = []
    node: Node | None = trace.leaf
    while node is not None:
        effects.append((node.kind, node.name, node.index))
        asked = node.skip is not None and node.kind in ("sample", "observe", "heuristic")
        node = node.skip if asked else node.parent
    return effects[::-1]


def _same(found: float, expected: float, what: str) -> None:
    same = found == expected or abs(found - expected) <= 1e-9 * max(1.0, abs(expected))
    assert same, f"{what}: log weight {found!r}, expected {expected!r}"


def _same_trace(found: Trace, expected: Trace) -> None:
    effects = [_effects(t) for t in (found, expected)]
    assert effects[0] == effects[1], f"other effects: {effects[0]} instead of {effects[1]}"
    assert _state(found) == _state(expected), f"other choices: {found.choices} instead of {expected.choices}"
    assert label(found.value) == label(expected.value), f"another value: {found.value!r} instead of {expected.value!r}"

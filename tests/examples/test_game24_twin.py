"""`examples/game24/solve.scale` is `solve.py`: equal results for a seed, under every engine that takes the program.

Equal are all traces, values, records and costs, and numbers up to the tolerance of a model's logits.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

import grammar
from inference import (
    ab_mcts,
    astar,
    beam,
    best_of,
    dvts,
    ets,
    importance,
    mcmc,
    mcts,
    parallel_tempering,
    particle_gibbs,
    rebase,
    smc,
)
from ppl.testing import fingerprint
from tests.naming import named

FOLDER = Path(__file__).parents[2] / "examples" / "game24"
PUZZLE = "4 5 6 10"

ENGINES = [
    importance(4), smc(4), smc(4, "multinomial", 1.0), best_of(3), mcmc(4), mcmc(3, kernel="suffix"),
    particle_gibbs(3, 2), parallel_tempering([1.0, 0.5], 2), beam(2, 2), dvts(2, 2), rebase(4), ets(4),
    astar(2, 10), mcts(4, 2), ab_mcts(12),
]  # fmt: skip


@pytest.fixture(scope="module")
def twins() -> tuple[Any, Any]:
    spec = importlib.util.spec_from_file_location("game24_solve", FOLDER / "solve.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module, grammar.load(FOLDER / "solve.scale")


def told(python: Any, program: Any, **options: Any) -> dict[str, Any]:
    """All that a run says, its cost too: each starts with an empty cache."""
    python.lm.forget()
    result = program.run(PUZZLE, seed=0, **options)
    assert result.values, "an empty result compares nothing"
    return fingerprint(result)


def numbers_apart(told: Any) -> tuple[Any, list[float]]:
    """The same with every float left out, and those floats in order."""
    if isinstance(told, float):
        return None, [told]
    if isinstance(told, dict):
        told = sorted(told.items())
    if not isinstance(told, (list, tuple)):
        return told, []
    parts = [numbers_apart(each) for each in told]
    return [rest for rest, _ in parts], [number for _, numbers in parts for number in numbers]


def assert_equal(one: dict[str, Any], other: dict[str, Any]) -> None:
    (one_rest, one_numbers), (other_rest, other_numbers) = numbers_apart(one), numbers_apart(other)
    assert one_rest == other_rest
    assert one_numbers == pytest.approx(other_numbers, rel=1e-5, abs=1e-5, nan_ok=True)


@pytest.mark.parametrize("engine", ENGINES, ids=named)
def test_equal_results(twins: tuple[Any, Any], engine: Any):
    python, scale = twins
    assert_equal(told(python, scale.solve, engine=engine), told(python, python.solve, engine=engine))


def test_equal_engines_of_their_own(twins: tuple[Any, Any]):
    python, scale = twins
    assert_equal(told(python, scale.main), told(python, python.solve))

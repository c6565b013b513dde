"""One unchanged finite program and one unchanged multi-step reward program under every exported engine."""

import inspect
import math
import re
from pathlib import Path

import pytest

import inference
from backends import TableLM
from inference.engine import Engine
from ppl import AllDead, Posterior, SearchResult, heuristic, limit, model, require, sample, score
from ppl.dist import bernoulli, categorical
from ppl.events import read_events, recording
from ppl.registry import ENGINES

EXPORTED = {name: cls for name, cls in vars(inference).items() if inspect.isclass(cls) and issubclass(cls, Engine)}
ENGINE_TABLE = {
    "exact": inference.exact(),
    "importance": inference.importance(particles=3000),
    "smc": inference.smc(particles=3000),
    "mcmc": inference.mcmc(samples=3000, burn_in=100),
    "particle_gibbs": inference.particle_gibbs(particles=20, sweeps=1000, burn_in=20),
    "parallel_tempering": inference.parallel_tempering(temperatures=[1.0, 2.0], sweeps=3000, burn_in=100),
    "beam": inference.beam(width=64, expand=8),
    "stochastic_beam": inference.stochastic_beam(width=64),
    "dvts": inference.dvts(trees=4, expand=4),
    "rebase": inference.rebase(width=16),
    "ets": inference.ets(width=16),
    "astar": inference.astar(expand=8, max_nodes=5000),
    "mcts": inference.mcts(simulations=60, expand=4),
    "ab_mcts": inference.ab_mcts(nodes=60),
    "best_of": inference.best_of(n=200),
}
WEIGHTED = ("exact", "importance", "smc", "stochastic_beam")
CHAINS = ("mcmc", "particle_gibbs", "parallel_tempering")
MAXIMISERS = ("beam", "astar")  # wide enough to be exhaustive on these programs
LM = TableLM(
    {
        "": {"a": 0.5, "b": 0.3, "c": 0.2},
        "a": {"a": 0.2, "b": 0.5, "$": 0.3},
        "b": {"a": 0.3, "c": 0.3, "$": 0.4},
        "c": {"a": 0.5, "$": 0.5},
    }
)


@model
def finite() -> tuple:
    """Runs of unequal length, a branch of weight zero, a score as the last statement."""
    a = sample("a", bernoulli(0.6))
    score(math.log(0.5 if a else 0.8))
    if not a:
        return (a,)
    b = sample("b", categorical({"x": 0.5, "y": 0.3, "z": 0.2}))
    require(b != "z", "no z")
    c = sample("c", bernoulli(0.25))
    score(math.log(0.9 if c and b == "y" else 0.3))
    return (a, b, c)


FINITE = {(False,): 0.4 * 0.8, (True, "x", False): 0.6 * 0.5 * 0.5 * 0.75 * 0.3, (True, "x", True): 0.6 * 0.5 * 0.5 * 0.25 * 0.3,
          (True, "y", False): 0.6 * 0.5 * 0.3 * 0.75 * 0.3, (True, "y", True): 0.6 * 0.5 * 0.3 * 0.25 * 0.9}  # fmt: skip


def rewarded(text: str) -> float:
    return 0.05 + 0.9 * text.count("b") / max(len(text), 1)


@model
def steps() -> str:
    """Texts of up to three symbols, guided by a reward on the way and weighted by it at the end."""
    text = ""
    for _ in range(3):
        symbol = sample("symbol", LM.token(text))
        if symbol == "$":
            break
        text += symbol
        heuristic(math.log(rewarded(text)))
    score(math.log(rewarded(text)))
    return text


def brute_force_steps() -> dict[str, float]:
    table: dict[str, float] = {}

    def go(text: str, p: float) -> None:
        if len(text) == 3:
            table[text] = table.get(text, 0.0) + p * rewarded(text)
            return
        for symbol, q in LM.rows[text[-1:]].items():
            if symbol == "$":
                table[text] = table.get(text, 0.0) + p * q * rewarded(text)
            else:
                go(text + symbol, p * q)

    go("", 1.0)
    return table


CASES = [(finite, FINITE), (steps, brute_force_steps())]


def test_the_table_names_every_exported_engine():
    assert set(EXPORTED) == set(ENGINE_TABLE) == set(ENGINES)
    root = Path(__file__).parents[2]
    page, benchmark = ((root / f).read_text() for f in ("docs/engines.md", "benchmarks/engine_overhead.py"))
    assert all(f"| `{name}(" in page for name in EXPORTED)
    assert all(re.search(rf"\b{name}\(", benchmark) for name in EXPORTED)
    for name, cls in EXPORTED.items():
        assert cls.__doc__ and inspect.getmodule(cls).__doc__, name


@pytest.mark.parametrize("name", ENGINE_TABLE)
@pytest.mark.parametrize("program, truth", CASES, ids=["finite", "steps"])
def test_every_engine_keeps_its_promise(name, program, truth):
    result = program.run(engine=ENGINE_TABLE[name], seed=7)
    z = math.fsum(truth.values())
    assert set(result.values) <= set(truth)
    assert sum(result.weights) == pytest.approx(1.0)
    assert result.cost.nodes > 0
    if name in WEIGHTED + CHAINS:
        assert isinstance(result, Posterior)
        tolerance = 1e-12 if name in ("exact", "stochastic_beam") else 0.05  # 6 standard errors of 4,000 draws
        for value, mass in truth.items():
            assert result.p(value) == pytest.approx(mass / z, abs=tolerance)
    else:
        assert isinstance(result, SearchResult)
    if name in WEIGHTED:
        assert result.log_evidence == pytest.approx(
            math.log(z), abs=1e-12 if name in ("exact", "stochastic_beam") else 0.1
        )
    else:
        with pytest.raises(AttributeError):
            _ = result.log_evidence
    best = max(truth, key=lambda v: truth[v])
    if name in MAXIMISERS:
        assert result.best.value == best


@pytest.mark.parametrize("name", ENGINE_TABLE)
def test_no_engine_overshoots_a_limit(name):
    result = None
    try:
        result = steps.run(engine=ENGINE_TABLE[name], seed=3, limit=limit(nodes=12))
    except AllDead:
        return
    assert result.cost.nodes <= 12
    assert result.stopped in (None, "nodes")


@pytest.mark.parametrize("name", ENGINE_TABLE)
def test_no_result_depends_on_what_stays_suspended(name):
    always, never = (
        steps.run(engine=ENGINE_TABLE[name], seed=(1, 2), live=live, limit=limit(nodes=400)) for live in (None, 0)
    )
    assert always.values == never.values
    assert [t.log_weight for t in always.traces] == [t.log_weight for t in never.traces]


@pytest.mark.parametrize("name", ENGINE_TABLE)
@pytest.mark.parametrize("program", [finite, steps], ids=["finite", "steps"])
def test_every_engine_records_its_search(name, program, tmp_path):
    """The same events from every engine, in the file and in `.tree`; what came back can be read off the tree."""
    path = tmp_path / "events.jsonl"
    with recording(path) as record:
        result = program.run(engine=ENGINE_TABLE[name], seed=5, limit=limit(nodes=300))
    assert read_events(path) == record.events == result.events
    tree = result.tree
    assert [tree.start.program, tree.start.seed, tree.start.engine] == [program.name, 5, result.engine]
    nodes = tree.nodes.values()
    assert [node.reached.node for node in nodes] == list(range(len(nodes)))
    assert sum(e.count for node in nodes for e in node.decisions if e.action == "return") >= len(result.values)
    for node in nodes:
        chosen = node.reached.log_prob
        assert chosen <= 1e-12 and (node.reached.text or chosen == 0.0)
        lost = [child.pruned or child.status == "dead" for child in node.children]
        assert not node.pruned or all(lost), "nothing comes of a pruned node"
        assert node.status == "open" or not node.children, "nothing comes after the end"
        assert node.reached.log_weight == -math.inf if node.status == "dead" else node.reached.log_weight < math.inf
    ends = [node for node in nodes if node.returned and node.status == "finished"]
    assert {node.reached.value for node in ends} == {str(v) for v in result.values}
    if program is steps:
        assert all(node.text.removesuffix("$") == node.reached.value for node in ends)

"""Readings of results: weights, marginals, votes, saved files, tables, cards; and results that have little to say."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
import torch
from rich.console import Console

from inference import beam, best_of, exact, importance, smc
from ppl import Posterior, SearchResult, limit, model, observe, record, require, sample, score
from ppl.dist import bernoulli, categorical, normal, uniform
from ppl.errors import OptionError, ResultError
from ppl.testing import fingerprint


@model
def program():
    """x is used up to three times, y only after a head."""
    heads = 0
    for _ in range(3):
        if not sample("x", bernoulli(0.25)):
            break
        heads += 1
    if heads:
        sample("y", uniform("ab"))
    record("heads", heads)
    score(math.log(1 + heads))
    return heads


MASSES = {0: 0.75, 1: 0.25 * 0.75 * 2, 2: 0.25**2 * 0.75 * 3, 3: 0.25**3 * 4}
Z = math.fsum(MASSES.values())


@pytest.fixture(scope="module")
def posterior():
    return program.run(engine=exact())


def test_readings(posterior):
    assert posterior.log_evidence == pytest.approx(math.log(Z))
    assert posterior.weights.sum() == pytest.approx(1.0)
    assert posterior.log_evidence == pytest.approx(np.logaddexp.reduce(posterior.log_weights))
    for value, mass in MASSES.items():
        assert posterior.p(value) == pytest.approx(mass / Z)
    assert posterior.p(lambda v: v > 1) == pytest.approx((MASSES[2] + MASSES[3]) / Z)
    assert posterior.mean() == pytest.approx(sum(v * m for v, m in MASSES.items()) / Z)
    assert posterior.mean(lambda v: v == 0) == pytest.approx(MASSES[0] / Z)
    assert posterior.ess == pytest.approx(1 / np.sum(posterior.weights**2))
    assert posterior.mode == 0
    assert posterior.best.value == 0 and posterior.best.log_total == pytest.approx(math.log(0.75))
    assert len(posterior) == len(posterior.values) == len(posterior.traces) == 7


def test_marginals_are_of_one_use_and_sum_to_its_probability(posterior):
    assert posterior.marginal("x") == posterior.marginal("x[0]")
    assert posterior.marginal("x")[True] == pytest.approx(1 - MASSES[0] / Z)
    assert sum(posterior.marginal("x[2]").values()) == pytest.approx((MASSES[2] + MASSES[3]) / Z)
    assert posterior.marginal("y")["a"] == pytest.approx((1 - MASSES[0] / Z) / 2)
    assert posterior.marginal("heads") == pytest.approx({v: m / Z for v, m in MASSES.items()})
    with pytest.raises(ResultError, match=r"no site 'x\[3\]' in these traces\."):
        posterior.marginal("x[3]")


def test_a_traces_own_words(posterior):
    trace = next(t for t in posterior.traces if t.value == 1 and t["y"] == "b")
    assert trace.choices == {"x": True, "x[1]": False, "y": "b"}
    assert trace["x[0]"] is True and trace.records == {"heads": 1}
    assert trace.sites["x"].log_prob == pytest.approx(math.log(0.25))
    assert trace.log_score == pytest.approx(math.log(2))
    assert trace.log_joint == trace.log_weight == pytest.approx(math.log(0.25 * 0.75 / 2 * 2))


def test_values_without_a_hash_and_tensors_are_grouped_by_value():
    @model
    def tensors():
        a = sample("a", torch.distributions.Bernoulli(0.25))
        return torch.stack([a, a]), [1]

    result = tensors.run(engine=exact())
    assert result.marginal("a") == pytest.approx({0.0: 0.75, 1.0: 0.25}, abs=1e-6)
    many = model(lambda: tensors.fn()[0]).run(engine=importance(30), seed=0)
    assert set(many.values[0].tolist()) == {float(many.values[0][0])}
    assert many.p(torch.zeros(2)) + many.p(torch.ones(2)) == pytest.approx(1.0)
    assert torch.equal(many.mode, torch.zeros(2))
    assert torch.equal(many.vote("majority"), torch.zeros(2))
    assert model(lambda: {"k": [1]}).run(engine=importance(2)).mode == {"k": [1]}


# -- votes -------------------------------------------------------------------------------------------------------------


def ballots(*votes):
    """A search result with the given (value, log weight), in this order."""
    queue = list(votes)

    class Box:
        def search(self, run):
            executions = run.start(len(queue))
            run.advance_all(executions)
            return run.search_result(executions)

    turn = iter(queue)

    @model
    def vote():
        value, log_weight = next(turn)
        score(log_weight)
        return value

    return vote.run(engine=Box(), seed=0)


REWARDS = {"A": 0.3, "B": 0.8, "C": 0.6, "D": 0.99, "E": 0.1}
COUNTS = {"A": 9, "B": 5, "C": 4, "D": 1, "E": 1}


@pytest.mark.parametrize(
    "threshold, winner", [(0.0, "D"), (0.05, "D"), (0.1, "B"), (0.15, "B"), (0.25, "B"), (0.3, "A"), (0.46, "A")]
)
def test_best_of_majority(threshold, winner):
    """Answers with a frequency of the threshold, the best of them by reward; the most frequent if none has it."""
    result = ballots(*[(a, math.log(REWARDS[a])) for a, n in COUNTS.items() for _ in range(n)])
    assert result.vote("best_of_majority", threshold=threshold) == winner


def test_majority_weighted_and_their_keys():
    votes = [("a", 0.9), ("b", 0.2), ("b", 0.5), ("B ", 0.5), ("b", 0.2)]
    result = ballots(*[(v, math.log(w)) for v, w in votes])
    assert result.vote() == result.vote("majority") == "b"
    assert result.vote("weighted") == "a"  # .9 against .2 + .5 + .2, which are as much but came later
    assert result.vote("weighted", key=lambda v: v.strip().lower()) == "b"  # of b, b, B, b the best
    assert result.vote("majority", key=lambda v: None if "b" in v else v) in ("a", "B ")
    with pytest.raises(ResultError, match="no trace votes"):
        result.vote(key=lambda v: None)
    with pytest.raises(
        OptionError, match=r"vote\('most'\): expected one of 'majority', 'weighted', 'best_of_majority'"
    ):
        result.vote("most")


def test_ties_go_to_weight_then_to_the_first():
    assert ballots(("a", -1.0), ("b", 0.0)).vote() == "b"
    assert ballots(("a", 0.0), ("b", 0.0)).vote() == "a"
    assert ballots(("x1", -2.0), ("y", -9.0), ("x2", -1.0)).vote(key=lambda v: v[0]) == "x2"


def test_the_posteriors_weights_vote():
    result = smc(30)(program)(seed=2)
    assert result.vote("weighted") == result.mode


# -- leaving -----------------------------------------------------------------------------------------------------------


@model
def odd_values():
    a = sample("a", bernoulli(0.5))
    b = sample("b", categorical({"x": 0.5, ("t", 1): 0.5}), proposal=categorical({"x": 0.9, ("t", 1): 0.1}))
    observe("seen", normal(0.0, 1.0), 0.5)
    record("note", {"tuple": (1, {2}), "none": None})
    score(-0.5)
    return {"text": "ünïcode ✓", "list": [1.5, math.inf], "a": a, "b": b}


@pytest.mark.parametrize("engine", [exact(), importance(4), smc(4, ess_threshold=1.0)], ids=repr)
def test_a_saved_posterior_reads_the_same(engine, tmp_path):
    result = odd_values.run(engine=engine, seed=(3, 4))
    loaded = Posterior.load(result.save(tmp_path / "result.json"))
    for reading in ("values", "log_evidence", "ess", "seed", "stopped", "warnings", "reasons", "engine", "program"):
        assert getattr(loaded, reading) == getattr(result, reading), reading
    assert loaded.cost.as_dict() == result.cost.as_dict()
    np.testing.assert_array_equal(loaded.weights, result.weights)
    for ours, theirs in zip(loaded.traces, result.traces, strict=True):
        assert ours.choices == theirs.choices and ours.records == theirs.records
        for part in ("log_total", "log_weight", "log_prob", "log_score", "log_joint"):
            assert getattr(ours, part) == pytest.approx(getattr(theirs, part), abs=1e-12), part
    assert loaded.best.value == result.best.value
    assert loaded.marginal("b") == result.marginal("b")
    again = Posterior.load(loaded.save(tmp_path / "again.json"))
    assert (tmp_path / "again.json").read_text() == (tmp_path / "result.json").read_text()
    assert again.values == result.values


def test_saved_results_of_other_kinds(tmp_path):
    search = best_of(3)(program)(seed=1)
    loaded = SearchResult.load(search.save(tmp_path / "search.json"))
    assert loaded.values == search.values and loaded.vote() == search.vote()
    with pytest.raises(ResultError, match=r"holds a search result; Posterior\.load reads posterior results"):
        Posterior.load(tmp_path / "search.json")
    (tmp_path / "cut.json").write_text('{"format": "scale-ppl result 1", "kind": "posterior"}')
    with pytest.raises(ResultError, match=r"cut.json is a damaged result: KeyError\('traces'\)"):
        Posterior.load(tmp_path / "cut.json")
    (tmp_path / "other.json").write_text("[1, 2]")
    with pytest.raises(ResultError, match="is not a saved result"):
        Posterior.load(tmp_path / "other.json")
    stopped = smc(6)(program)(seed=1, limit=limit(nodes=3))
    with pytest.warns(UserWarning, match="stopped by its limit on nodes"):
        reloaded = Posterior.load(stopped.save(tmp_path / "stopped.json"))
        assert list(reloaded.weights) == list(stopped.weights)
    assert reloaded.stopped == "nodes"
    with pytest.raises(ResultError, match="stopped by its limit on nodes"):
        _ = reloaded.log_evidence


@pytest.mark.parametrize("engine", [importance(4), smc(4, ess_threshold=1.0), best_of(3)], ids=repr)
def test_a_result_crosses_processes(engine):
    """Pickled with its values as they are (not as JSON); long traces too."""

    @model
    def program():
        for _ in range(3000):
            sample("x", bernoulli(0.5))
        a = sample("a", uniform([torch.tensor(1.0), torch.tensor(2.0)]))
        score(-float(a))
        record("set", {1, 2})
        return a, b"bytes", 1j

    result = program.run(engine=engine, seed=0)
    copied = pickle.loads(pickle.dumps(result))
    assert type(copied) is type(result) and copied.values == result.values
    assert [t.records for t in copied.traces] == [t.records for t in result.traces]
    assert list(copied.log_weights) == list(result.log_weights) and copied.marginal("a") == result.marginal("a")
    assert copied.cost.as_dict() == result.cost.as_dict() and repr(copied) == repr(result)


def test_tables(posterior):
    frame = posterior.to_pandas()
    assert set(frame.columns) == {"value", "weight", "log_weight", "x", "x[1]", "x[2]", "y", "heads"}
    assert len(frame) == 7 and frame["weight"].sum() == pytest.approx(1.0)
    assert (frame["value"] * frame["weight"]).sum() == pytest.approx(posterior.mean())
    clash = model(lambda: record("value", sample("value", bernoulli(1.0)))).run(engine=exact()).to_pandas()
    assert clash.to_dict("records") == [
        {"value": None, "weight": 1.0, "log_weight": 0.0, "value (site)": True, "value (record)": True}
    ]
    hopeless = model(lambda: require(False)).run(engine=importance(2))
    assert list(hopeless.to_pandas().columns) == ["value", "weight", "log_weight"]


@pytest.mark.filterwarnings("ignore")
def test_arviz():
    @model
    def numbers():
        x = sample("x", normal(0.0, 1.0))
        sample("word", uniform("ab"))
        observe("y", normal(x, 1.0), 1.0)
        return 2 * x

    result = numbers.run(engine=importance(400), seed=0)
    data = result.to_arviz()
    drawn = np.asarray(data["posterior"]["x"])
    assert drawn.shape == (1, 400)
    np.testing.assert_allclose(np.asarray(data["posterior"]["value"]), 2 * drawn)
    assert abs(drawn.mean() - result.mean(lambda v: v / 2)) < 0.1  # resampled by weight: the error of 400 draws is .05
    assert "word" not in data["posterior"]


def rendered(result) -> str:
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(result)
    return console.export_text()


def test_cards(posterior):
    text, page = rendered(posterior), posterior._repr_html_()
    for part in ("program · exact()", "engine chosen by the call", "0.5647", "log evidence", "7 traces"):
        assert part in text, part
        assert part in page, part
    tagged = model(lambda: "<script>[red]x").run(engine=importance(1), seed=0)
    assert "<script>[red]x" in rendered(tagged)
    assert "<script>" not in tagged._repr_html_() and "&lt;script&gt;" in tagged._repr_html_()
    hopeless = model(lambda: require(False, "never")).run(engine=importance(2), seed=0)
    assert "2 x require: never" in rendered(hopeless)
    assert "beam" in rendered(program.run(engine=beam(width=2, expand=2), seed=0))
    assert repr(posterior).startswith("Posterior(program under exact(")


def test_explain_prints_every_site_with_what_it_follows(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    posterior = program.run(engine=importance(200), seed=0)
    posterior.explain(next(t for t in posterior.traces if t.value == 1))
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows[0][:2] == ["1", "(finished)"] and rows[1] == [
        "address",
        "value",
        "log",
        "p",
        "weight",
        "parent",
        "shared",
    ]
    assert rows[2][:3] == ["x", "True", f"{math.log(0.25):.4f}"]
    assert rows[3][:4] == ["x[1]", "False", f"{math.log(0.75):.4f}", "x"]
    assert rows[4][0] == "y" and rows[4][2:] == [f"{math.log(0.5):.4f}", "x[1]"]
    assert rows[5][:4] == ["record", "heads", "1", "y"]
    assert rows[6] == ["score", f"+{math.log(2):.4f}", "y"]
    assert rows[7][0] == "total" and rows[7][2:] == [f"+{math.log(2):.4f}"]
    posterior.explain()
    assert capsys.readouterr().out.startswith(f"{posterior.best.value}  (finished)")


# -- little to say -----------------------------------------------------------------------------------------------------


def test_deaths_are_counted_by_reason():
    @model
    def picky():
        n = sample("n", uniform(range(4)))
        require(n != 0, "zero")
        observe("o", categorical({"a": 0.0 if n == 1 else 0.5, "b": 0.5}), "a")
        score(-math.inf if n == 2 else 0.0, name="two")
        return n

    result = picky.run(engine=exact())
    assert result.values == [3] and result.log_evidence == pytest.approx(math.log(0.125))
    counts = {reason.split(" (")[0]: n for reason, n in result.reasons.items()}
    assert counts == {"require: zero": 1, "observe 'o': log weight -inf": 1, "score 'two': log weight -inf": 1}
    assert all("test_results.py:" in reason for reason in result.reasons)


@pytest.mark.parametrize("engine", [exact(), importance(3), smc(3), smc(2, "residual", 1.0)], ids=repr)
def test_all_dead_is_a_posterior_with_nothing_in_it(engine):
    @model
    def doomed():
        sample("a", bernoulli(0.5))
        score(-1.0)
        sample("b", bernoulli(0.5))
        require(False, "never")

    result = doomed.run(engine=engine, seed=0)
    assert result.log_evidence == -math.inf and result.values == [] and len(result.weights) == 0
    assert result.ess == 0.0 and result.p(1) == 0.0 and result.marginal("a") == {}
    assert sum(result.reasons.values()) == getattr(engine, "particles", 4)
    for reading in (lambda r: r.best, lambda r: r.mode, lambda r: r.mean()):
        with pytest.raises(ResultError, match=r"every execution died: \d x require: never \(test_results.py:"):
            reading(result)
    assert fingerprint(result)["evidence"] == {"$float": "-inf"}


def test_a_search_has_no_evidence_and_says_so():
    result = best_of(3)(program)(seed=0)
    for reading in ("log_evidence", "ess", "mean", "to_arviz"):
        assert not hasattr(result, reading)
        with pytest.raises(ResultError, match=f"ranked, not sampled, so it has no {reading}"):
            getattr(result, reading)
    assert list(result.log_weights) == sorted(result.log_weights, reverse=True)
    assert result.weights.sum() == pytest.approx(1.0)
    with pytest.raises(AttributeError):
        _ = result.nonsense

"""The record of a search: what each event says, what the file holds, how it is read back."""

from __future__ import annotations

import json
import math

import pytest

from backends import TableLM
from inference import beam, best_of, importance, mcmc, smc
from ppl import Posterior, checkpoint, heuristic, model, require, sample, score
from ppl.dist import bernoulli, categorical
from ppl.errors import ResultError
from ppl.events import read_events, read_trees, recording

LM = TableLM({"": {"a": 0.5, "b": 0.5}, "a": {"a": 0.75, "$": 0.25}, "b": {"b": 1.0}})


@model
def spelled():
    """Two texts with a weight and an estimate between them; "bb" dies."""
    text = sample("first", LM("", max_tokens=1))
    score(math.log(0.5))
    heuristic(-0.25)
    text += sample("second", LM(text, max_tokens=1))
    require(text != "bb", "no bb")
    return text.upper()


def recorded(program, engine, path=None, **options):
    with recording(path):
        return program.run(engine=engine, seed=1, **options)


def test_an_event_says_where_what_and_how_likely():
    tree = recorded(spelled, best_of(n=1)).tree
    (only,) = tree.nodes.values()
    assert only.reached.action in ("finish", "die") and only.parent is None

    tree = recorded(spelled, beam(width=2, expand=2, dedupe=False)).tree
    root, *nodes = tree.nodes.values()
    assert (root.text, root.parent, root.reached.log_prob, root.reached.log_weight) == ("", None, 0.0, 0.0)
    for node in nodes:
        reached = node.reached
        if node.parent is root:
            assert reached.action == "expand" and reached.text in ("a", "b")
            assert (reached.log_prob, reached.log_weight, reached.heuristic) == (math.log(0.5), math.log(0.5), -0.25)
        elif node.text == "bb":
            assert (reached.action, reached.log_weight, reached.value) == ("die", -math.inf, None)
            assert reached.reason.startswith("require: no bb (test_events.py:")
        else:
            assert (reached.action, reached.value) == ("finish", node.text.upper())
            assert (reached.log_weight, reached.heuristic) == (math.log(0.5), None)
            assert node.parent.text == "a" and node in node.parent.children
            assert reached.log_prob == pytest.approx(math.log(0.75 if reached.text == "a" else 0.25))
    assert {n.reached.value for n in nodes if n.returned} <= {"A", "AA"}


def test_resampling_gives_counts_that_add_up_and_prunes_the_rest():
    result = recorded(spelled, smc(particles=8, ess_threshold=1.0))
    first = [n for n in result.tree.nodes.values() if n.parent is None]
    assert len(first) == 8
    counts = [sum(e.count for e in n.decisions if e.action == "resample") for n in first]
    assert sum(counts) == 8
    for node, count in zip(first, counts, strict=True):
        assert (count == 0) == node.pruned and len(node.children) == count
        assert all(e.log_weight == pytest.approx(math.log(0.5 / 8)) for e in node.decisions if e.action == "resample")


def test_copies_of_a_finished_particle_share_their_node():
    @model
    def uneven():
        short = sample("short", bernoulli(0.5))
        score(1.0 if short else 0.0)
        if short:
            return "short"
        for _ in range(3):
            sample("x", bernoulli(0.5))
            score(0.0)
        return "long"

    result = recorded(uneven, smc(particles=6, ess_threshold=1.0))
    short = [n for n in result.tree.nodes.values() if n.reached.value == "short"]
    back = [e for n in short for e in n.decisions if e.action == "return"]
    assert sum(e.count for e in back) == result.values.count("short")
    assert math.fsum(math.exp(e.log_weight) for e in back) == pytest.approx(
        math.fsum(math.exp(w) for w, v in zip(result.log_weights, result.values, strict=True) if v == "short")
    )
    assert all(not n.pruned or not n.returned for n in short)


def test_a_chain_says_after_every_step_where_it_stands():
    result = recorded(spelled, mcmc(samples=20, burn_in=5, kernel="prior"))
    states = [e for e in result.events if e.action == "resample"]
    assert len(states) == 25
    nodes = result.tree.nodes
    assert [nodes[e.node].reached.value for e in states[5:]] == result.values


def test_ends_without_an_effect_are_nodes_of_their_own():
    @model
    def bare():
        sample("x", bernoulli(0.5))
        checkpoint()
        return "end"

    tree = recorded(bare, beam(width=4, expand=2)).tree
    ends = [n for n in tree.nodes.values() if n.status == "finished"]
    assert ends and all(n.parent is not None and n.parent.status == "open" and n.reached.text == "" for n in ends)


def test_values_that_are_no_text_carry_their_names():
    @model
    def named():
        for _ in range(2):
            sample("x", bernoulli(1.0))
        sample("word", categorical({"so": 1.0}))

    (node,) = recorded(named, importance(particles=1)).tree.nodes.values()
    assert node.reached.text == "x=True x[1]=True word=so"


def test_nested_queries_and_problems_side_by_side_have_trees_of_their_own(tmp_path):
    inner = importance(particles=2)(spelled)

    @model
    def outer(x):
        sample("coin", bernoulli(0.5))
        score(inner().log_evidence)
        return x

    path = tmp_path / "deep" / "events.jsonl"
    with recording(path) as record:
        results = outer.map(["p", "q"], engine=importance(particles=1), seed=3)
    found = read_trees(path)
    outers = [t.start.run for t in found if t.start.program == "outer"]
    assert len(outers) == 2 and [t.start.outer for t in found if t.start.program == "spelled"] == outers
    assert [t.start.run for t in found] == list(range(4))
    assert {t.start.seed for t in found if t.start.program == "outer"} == {(3, 0), (3, 1)}
    assert read_events(path) == record.events
    for result in results:
        assert result.tree.start.seed == result.seed and {n.reached.value for n in result.tree.nodes.values()} <= {
            "p",
            "q",
        }


def test_the_file_is_plain_json_whatever_the_program_draws(tmp_path):
    odd = 'line\u2028separator\u0085next\ud800 \x0b "quoted" \\'

    @model
    def strange():
        if sample("odd", categorical({odd: 1.0})):
            score(-math.inf)

    with recording(tmp_path / "e.jsonl"):
        strange.run(engine=importance(particles=1), seed=0)
    lines = (tmp_path / "e.jsonl").read_bytes().decode().removesuffix("\n").split("\n")

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    start, died = [json.loads(line, parse_constant=refuse) for line in lines]
    assert (start["action"], died["text"], died["log_weight"], "value" in died) == ("start", odd, "-inf", False)
    assert read_events(tmp_path / "e.jsonl")[1].log_weight == -math.inf


def test_recording_asks_no_log_prob_that_a_distribution_does_not_give():
    class Draws:
        """A user's distribution that cannot score."""

        def sample(self, rng):
            return "drawn"

        def log_prob(self, value):
            raise NotImplementedError

    @model
    def unscored():
        return sample("x", Draws())

    (node,) = recorded(unscored, importance(particles=1)).tree.nodes.values()
    assert node.reached.log_prob is None and node.reached.text == "drawn"


def test_recording_changes_no_result():
    for engine in (smc(particles=5), beam(width=3, expand=3), mcmc(samples=9, kernel="suffix")):
        quiet, heard = spelled.run(engine=engine, seed=1), recorded(spelled, engine)
        assert heard.values == quiet.values and list(heard.log_weights) == list(quiet.log_weights)


def test_a_result_without_a_record_says_how_to_keep_one(tmp_path):
    result = spelled.run(engine=importance(particles=2), seed=1)
    message = (
        "no record of this search was kept: run it inside `with ppl.events.recording(path):`, or with `scale run --out DIR`,"
        " whose events.jsonl ppl.events.read_trees reads."
    )
    for one in (result, Posterior.load(result.save(tmp_path / "result.json"))):
        with pytest.raises(ResultError) as caught:
            _ = one.tree
        assert str(caught.value) == message


def test_a_damaged_file_is_an_error_that_names_the_line(tmp_path):
    (tmp_path / "e.jsonl").write_text('{"action": "start", "run": 0}\n{"action": "expand", "ru')
    with pytest.raises(ResultError, match=r"e.jsonl, line 2: not an event of a search: Unterminated string"):
        read_events(tmp_path / "e.jsonl")
    (tmp_path / "e.jsonl").write_text('{"action": "start", "run": 0, "what": 1}\n')
    with pytest.raises(
        ResultError, match=r"e.jsonl, line 1: not an event of a search: .*unexpected keyword argument 'what'"
    ):
        read_events(tmp_path / "e.jsonl")

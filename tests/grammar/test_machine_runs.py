"""How programs run: forks that cost the same whatever the history, limits, faults at their line, frozen runs."""

from __future__ import annotations

import math
import os
import pickle
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import grammar
from backends import TableLM
from grammar.codes import CODES
from grammar.faults import Fuel
from grammar.machine import FUEL
from inference import beam, best_of, exact, importance, smc
from ppl.dist import bernoulli
from ppl.errors import AllDead, BackendError, PPLError, UsageError
from ppl.execution import Execution, Stop
from ppl.run import Run

ROOT = Path(__file__).parents[2]


class Engine:
    """An engine of one function of the run."""

    uses_heuristic = True

    def __init__(self, body: Any) -> None:
        self.search = body


def loads(text: str, **options: Any) -> Any:
    return grammar.loads(f"scale 1\n{text}", **options)


# ------------------------------------------------------------------------------------------------------ forks

LONG = """
fn walk(n: int) -> int {
  let trail: list[str] = []
  let ctx = chat { user "x" }
  for i in range(n) {
    let step = sample uniform(["a", "b"])
    trail += [step]
    ctx += step
    score -0.1
  }
  return len(trail)
}
program p(n: int) -> int { return walk(n) + 1 }
limit max_steps = 10_000_000
"""


def _fuel_left(state: Any) -> int:
    return state[2][FUEL]


def _steps_of_a_fork(history: int) -> tuple[int, int, Any]:
    """Machine steps that a fork takes from a choice to the next one; what its state shares with its parent's."""

    def search(run: Run) -> tuple[int, int, Any]:
        (parent,) = run.start()
        for _ in range(history):
            run.advance_all([parent], Stop.ANY)
        child = parent.fork()
        assert child.state is parent.state and child._greenlet is None  # a fork copies one pointer
        before = _fuel_left(child.state)
        run.advance_all([child], Stop.ANY)
        assert child.leaf.depth == parent.leaf.depth + 3 and child.choice is not None
        shared = child.state[5] is parent.state[5]  # the stack
        return before - _fuel_left(child.state), len(child.state[2]), shared

    return loads(LONG).p.run(30_000, engine=Engine(search), seed=0)


def test_a_fork_costs_the_same_however_long_its_history():
    assert _steps_of_a_fork(200) == _steps_of_a_fork(20_000)
    steps, slots, shared = _steps_of_a_fork(10)
    assert steps < 20 and slots < 20 and shared


def test_an_effect_costs_little_more_than_the_effect_itself():
    """In CPU time, the best of interleaved rounds: 1.3 times the same effects in a plain Python loop, when measured."""
    steps = 2_000
    program = loads(
        "program p(n: int) {\n  for _ in range(n) {\n    let x = sample bernoulli(0.5)\n    score -0.5 if x else 0.0\n  }\n}"
    ).p
    coin = bernoulli(0.5)

    def core(run: Run) -> float:
        (execution,) = run.start()
        start = time.process_time()
        for _ in range(steps):
            execution.score(-0.5 if execution.sample("x", coin) else 0.0, "score")
        return time.process_time() - start

    def whole(run: Run) -> float:
        (execution,) = run.start()
        start = time.process_time()
        run.advance_all([execution], Stop.END)
        return time.process_time() - start

    rounds = [[program.run(steps, engine=Engine(body), seed=0) for body in (core, whole)] for _ in range(7)]
    assert min(r[1] for r in rounds) < 3 * min(r[0] for r in rounds)


def test_a_restart_asks_no_model_again():
    """The distribution of a choice stands in the state: neither it nor what came before is made again."""
    lm = TableLM({"": {"a": 0.5, "b": 0.5}, "a": {"a": 1.0}, "b": {"b": 1.0}}, end="$")
    text = 'model lm = smollm2()\nprogram p() -> str {\n  let q = lm("").prob("a")\n  let x = sample bernoulli(lm("").prob("b"))\n  return "${q}${x}"\n}'
    for live in (None, 0):
        result = loads(text.replace('lm("")', 'lm("", max_tokens=1)'), models={"lm": lm}).p.run(
            engine=exact(), live=live
        )
        assert result.cost.model_calls == 2 and sorted(result.values) == ["0.5false", "0.5true"]


def test_recursion_uses_no_python_stack():
    text = "fn count(n: int) -> int { return 0 if n == 0 else 1 + count(n - 1) }\nprogram p(n: int) -> int { return count(n) }"
    limit = sys.getrecursionlimit()
    assert loads(text, fuel=Fuel(max_depth=100_000)).p(5 * limit) == 5 * limit


# ----------------------------------------------------------------------------------------------------- limits

ENDLESS = {
    "max_steps": "let n = 0\nfor i in range(100000) { for j in range(100000) { n += 1 } }\nreturn n",
    "max_steps: in a comprehension": "return len([[1 for _ in range(1000)] for _ in range(100000)])",
    "max_depth": "return forever(1)",
    "max_depth: by turns": "return left(1)",
    "max_text": 'let s = "ab"\nfor _ in range(60) { s += s }\nreturn len(s)',
    "max_text: interpolated": 'let s = "ab"\nfor _ in range(60) { s = "${s}${s}" }\nreturn len(s)',
    "max_text: replaced": 'let s = "aaaaaaaa"\nfor _ in range(60) { s = s.replace("a", s) }\nreturn len(s)',
    "max_text: joined": 'let s = "ab"\nfor _ in range(60) { s = join([s, s, s]) }\nreturn len(s)',
    "max_text: a chat": 'let s = chat { user "abcdefgh" }\nfor _ in range(900000) { s += "abcdefghabcdefgh" }\nreturn 1',
    "max_list": "let xs = [1]\nfor _ in range(60) { xs += xs }\nreturn len(xs)",
    "max_list: a range": "return len(range(10 ** 60))",
    "max_list: letters": 'let s = "abcdefgh"\nfor _ in range(15) { s += s }\nreturn len(letters(s))',
    "max_list: draws": "let xs = sample iid(bernoulli(0.5), 10 ** 9)\nreturn len(xs)",
    "max_list: parts": "let t = Node(kids=[])\nfor _ in range(60) { t = Node(kids=[t, t]) }\nreturn len(t.kids)",
    "max_depth: a value": "let t = Node(kids=[])\nfor _ in range(900) { t = Node(kids=[t]) }\nreturn len(t.kids)",
    "max_depth: functions in functions": "let f = fn(x: int) => x\nfor _ in range(900) { let g = f\nf = fn(x: int) => g(x) + 1 }\nreturn f(1)",
}  # fmt: skip
HELPERS = """type Node { kids: list[Node] }
fn forever(n: int) -> int { return forever(n + 1) }
fn left(n: int) -> int { return right(n) }
fn right(n: int) -> int { return left(n) }
"""


@pytest.mark.parametrize("name", ENDLESS)
def test_what_grows_without_end_kills_the_particle_by_name(name: str):
    body = ENDLESS[name].replace("\n", "\n  ")
    module = loads(
        f"{HELPERS}program p() -> int {{\n  let alive = sample bernoulli(0.5)\n  if alive {{ return -1 }}\n  {body}\n}}"
    )
    result = module.p.run(engine=exact())
    assert result.values == [-1] and result.log_evidence == pytest.approx(math.log(0.5))
    (reason,) = result.reasons
    assert reason.startswith(name.partition(":")[0] + ": ") and reason.endswith(
        tuple(f"(<text>:{i})" for i in range(2, 12))
    )
    with pytest.raises(AllDead, match=name.partition(":")[0]):
        loads(f"{HELPERS}program p() -> int {{\n  {body}\n}}").p()


def test_limits_of_the_file_and_of_the_host():
    text = "program p() -> int {\n  let n = 0\n  for _ in range(100) { n += 1 }\n  return n\n}\n"
    assert loads(text).p() == 100
    with pytest.raises(AllDead, match="max_steps"):
        loads(f"{text}limit max_steps = 50").p()
    assert loads(f"{text}limit max_steps = 50", fuel=Fuel()).p() == 100


# ----------------------------------------------------------------------------------------------------- faults


def _runs(text: str, externs: dict[str, Any]) -> None:
    module = loads(text, externs=externs) if "scale 1" not in text else grammar.loads(text, externs=externs)
    if module.checked.tests:
        raise AssertionError("run as a test")
    module.p.run(engine="smc(particles=2)", seed=0)


MACHINE = sorted(code for code in CODES if code.startswith("E55"))


@pytest.mark.parametrize("code", MACHINE)
def test_each_fault_is_what_its_wrong_example_meets(code: str, tmp_path: Path):
    entry = CODES[code]
    if code == "E558":
        for text, passes in ((entry.wrong, False), (entry.right, True)):
            (tmp_path / "t.scale").write_text(f"scale 1\n{text}\n")
            (outcome,) = grammar.run_tests(tmp_path / "t.scale")
            assert outcome.passed is passes and (passes or "E558" in outcome.message)
        return
    externs = {"f": lambda x: 1 / 0} if "extern" in entry.wrong else {}
    with pytest.raises(grammar.RunFault) as caught:
        _runs(entry.wrong, externs)
    assert caught.value.code == code and isinstance(caught.value, PPLError)
    _runs(entry.right, {})


FAULTS = [
    ('return len("abc"[3])', "E550", "has 3 characters", 3),
    ('let d = {"a": 1}\nlet k = "b"\nreturn d[k]', "E551", 'the dict has no key "b"', 5),
    ("let z = len(letters(\"\"))\nreturn 1 % z", "E552", "division by zero", 4),
    ("let z = 0.0\nreturn int(1.0 / z)", "E552", "division by zero", 4),
    ("let z = -8.0\nreturn int(z ** 0.5)", "E557", "no power with a fraction", 4),
    ("let z = 1.5\nlet x = sample bernoulli(z)\nreturn 1", "E553", "1.5 is not a probability", 4),
    ("let z = 10.0\nreturn int(z ** 400.0)", "E554", "this power is too large", 4),
    ("let z = 1e300\nreturn int(z * z)", "E556", "int: inf is no integer", 4),
    ("let z = -1.0\nscore log(z)\nreturn 1", "E556", "log: -1.0 is negative", 4),
    ('let s = ""\nreturn count("a", s)', "E556", "count: the part is empty", 4),
    ("let n = 0\nreturn len(range(1, 2, n))", "E556", "range: its step is 0", 4),
    ("let n = 0\nfor i in range(1, 2, n) { pass }\nreturn 1", "E556", "range: its step is 0", 4),
    ("let sd = -1.0\nlet x = sample normal(0.0, sd)\nreturn 1", "E559", "sd must be positive", 4),
    ("observe 4 from uniform([1, 2])\nreturn 1", "E559", "outside the support", 3),
    ("let z = 0.0\nlet inf = -log(z)\nscore inf\nreturn 1", "E559", "+inf", 5),
    ("let n = -1\nlet xs = sample iid(bernoulli(0.5), n)\nreturn 1", "E556", "asked for -1 draws", 4),
    ("let rate = 1e300\nlet x = sample poisson(rate)\nreturn x", "E559", "E559", 4),
]  # fmt: skip


@pytest.mark.parametrize(("body", "code", "words", "line"), FAULTS, ids=[f[0] for f in FAULTS])
def test_faults_end_the_run_at_their_line(body: str, code: str, words: str, line: int):
    text = "program p() -> int {\n  " + body.replace("\n", "\n  ") + "\n}"
    for engine in (
        None,
        importance(3),
        smc(3),
        best_of(2) if "normal" in body or "poisson" in body else exact(),
    ):
        with pytest.raises(grammar.ScaleError) as caught:
            loads(text).p.run(engine=engine, seed=0)
        assert (caught.value.code, caught.value.line) == (code, line) and words in str(caught.value)
        assert str(caught.value).startswith(f"<text>:{line}:")


def test_errors_of_models_stand_at_the_call_and_keep_their_kind():
    text = 'model lm = smollm2()\nprogram p() -> str {\n  let x = sample lm("z", max_tokens=2)\n  return x\n}'
    with pytest.raises(BackendError) as caught:
        loads(text, models={"lm": TableLM({"": {"a": 1.0}, "a": {"$": 1.0}})}).p()
    assert (
        isinstance(caught.value, grammar.ScaleError)
        and caught.value.line == 4
        and "'z' has no row" in str(caught.value)
    )


def test_the_dead_name_the_line():
    text = 'program p() -> int {\n  let x = sample uniform([1, 2, 3])\n  require x != 1 else "it is ${x}"\n  require x != 2\n  score -1.0 if x == 0 else log(0.0)\n  return x\n}'
    reasons = loads(text).p.run(engine=exact()).reasons
    assert set(reasons) == {
        "require: it is 1 (<text>:4)",
        "require: x != 2 (<text>:5)",
        "score: log weight -inf (<text>:6)",
    }


def test_a_heuristic_only_looks():
    text = "fn guess() -> float {\n  let x = sample uniform([1.0])\n  return x\n}\nprogram p() -> int {\n  heuristic guess()\n  return 1\n}"
    with pytest.raises(grammar.ScaleError, match="must not draw, weigh or record") as caught:
        loads(text).p.run(engine=beam(2), seed=0)
    assert caught.value.line == 3


# ---------------------------------------------------------------------------------------------------- freezing

FROZEN = """
model lm = table({"": {"a": 0.5, "b": 0.5}, "a": {"a": 0.3, "b": 0.3, "$": 0.4}, "b": {"a": 0.5, "$": 0.5}}, end="$")
type Seen { xs: list[str], d: dict[str, int] = {} }
extern fn size(s: str) -> int
fn deep(n: int, d: dist[int]) -> int {
  if n > 0 { return 1 + deep(n - 1, d) }
  let z = sample bernoulli(0.3)
  score -1.0 if z else -0.5
  return sample d
}
program p(k: int) -> Seen {
  let r = Seen(xs=[])
  let ctx = chat { user "a" }
  for i in range(k) {
    let t = sample lm(ctx, max_tokens=3)
    ctx += t
    heuristic -0.1 * size(t)
    r = r with { xs: r.xs + [t], d: r.d + {t: i} }
  }
  let f = fn(x: int) => x + len(r.xs)
  let n = deep(100, uniform([1, 2, 3]))
  record n
  return r with { d: r.d + {"n": f(n)} }
}
"""


def halted(barriers: int) -> tuple[list[bytes], Any]:
    """Particles frozen at a barrier, and the result of going on with them here."""
    frozen: list[bytes] = []

    def search(run: Run) -> Any:
        particles = run.start(5, log_weight=-1.0)
        for _ in range(barriers):
            run.advance_all(particles)
        frozen.extend(grammar.freeze(p) for p in particles if p.running)
        run.advance_all(particles, Stop.END)
        return run.posterior(particles)

    return frozen, loads(FROZEN, externs={"size": len}).p.run(4, engine=Engine(search), seed=7)


def continued(frozen: list[bytes]) -> Any:
    def search(run: Run) -> Any:
        particles = [grammar.thaw(run, each) for each in frozen]
        run.advance_all(particles, Stop.END)
        return run.posterior(particles)

    return loads(FROZEN, externs={"size": len}).p.run(4, engine=Engine(search), seed=7)


def told(result: Any) -> list[Any]:
    return [
        (t.value.xs, dict(t.value.d), t.log_weight, t.log_total, t.choices, t.records, t.log_prob)
        for t in result.traces
    ]


@pytest.mark.parametrize("barriers", [0, 1, 4, 5])
def test_a_frozen_run_goes_on_as_if_nothing_had_been(barriers: int):
    frozen, expected = halted(barriers)
    assert len(frozen) == 5
    assert repr(told(continued(frozen))) == repr(told(expected))


def test_a_frozen_run_goes_on_in_another_process(tmp_path: Path):
    frozen, expected = halted(4)
    (tmp_path / "frozen").write_bytes(pickle.dumps(frozen))
    code = f"import pickle\nfrom tests.grammar.test_machine_runs import *\nprint(repr(told(continued(pickle.loads(open({str(tmp_path / 'frozen')!r}, 'rb').read())))))"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True, cwd=ROOT
    )
    assert run.stdout.strip() == repr(told(expected))


def test_frozen_bytes_are_of_one_program_and_hold_no_code():
    frozen, _ = halted(2)
    other = loads(FROZEN.replace("-0.1", "-0.2"), externs={"size": len}).p

    def search(run: Run) -> Any:
        return grammar.thaw(run, search.data)

    class Evil:
        def __reduce__(self) -> Any:
            return os.system, ("false",)

    for data, message in (
        (frozen[0], "another program"),
        (pickle.dumps(Evil()), "is not a value of the language"),
        (b"x", "no frozen"),
    ):
        search.data = data  # type: ignore[attr-defined]
        with pytest.raises(UsageError, match=message):
            other.run(1, engine=Engine(search), seed=0)


def test_only_a_run_that_stands_can_be_frozen():
    def search(run: Run) -> Any:
        (execution,) = run.start()
        run.advance_all([execution], Stop.END)
        return grammar.freeze(execution)

    with pytest.raises(UsageError, match="stands at a stop"):
        loads(LONG).p.run(1, engine=Engine(search), seed=0)


def test_states_are_immutable():
    """A fork's parent goes on to write its frame; the child's does not change."""

    def search(run: Run) -> Any:
        (parent,) = run.start()
        run.advance_all([parent], Stop.ANY)
        child: Execution = parent.fork()
        before = repr(child.state[2])
        run.advance_all([parent], Stop.END)
        return before == repr(child.state[2]) and hash(child.state[2][0]) is not None

    assert loads(LONG).p.run(5, engine=Engine(search), seed=0)

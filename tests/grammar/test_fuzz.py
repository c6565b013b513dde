"""No text and no program breaks the language: slips in good programs, well-typed programs made at random, and, in the
slow tier, whatever a coverage-guided fuzzer comes upon. What `fuzz.exercise` lets through is a bug."""

from __future__ import annotations

import itertools
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.grammar.fuzz import PIECES, exercise, seeds
from tests.grammar.hard_inputs import REPEATED, hard_input
from tests.grammar.mutations import mutants

ROOT = Path(__file__).parents[2]
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]


@settings(max_examples=150, deadline=None, suppress_health_check=SLOW)
@given(st.sampled_from(seeds()), st.integers(0, 2**32), st.integers(1, 4))
def test_slips_in_good_and_wrong_programs(text: str, seed: int, slips: int) -> None:
    rng = random.Random(seed)
    for _ in range(slips):
        text = next(mutants(text, 1, rng, PIECES), text)
    exercise(text)


# ------------------------------------------------------------------------ well-typed programs, made at random

INT, FLOAT, BOOL, STR, LIST = "int", "float", "bool", "str", "list[int]"
LEAVES = {
    INT: ["0", "1", "-7", "n", "2 ** 4000", "len(s)", "len(xs)", "(int(s) or 3)"],
    FLOAT: ["0.0", "1.5", "-1e300", "x", "float(n)", "log(0.0)", "exp(x)"],
    BOOL: ["true", "false", "b", "s == q", "n in xs"],
    STR: ['""', '"a"', "s", '"<|im_end|>${n}${b}"', "s.upper()", '"é😀"'],
    LIST: ["[]", "xs", "[n, 1]", "range(3)", "[V for V in range(4) if V != n]"],
}  # fmt: skip
BRANCHES = {
    INT: ["({i} {op} {i})", "({i} if {b} else {i})", "sum({l})", "{l}[{i}]", "abs({i})", "min({i}, {i})", "grow({i})", "count({s}, {s})"],
    FLOAT: ["({f} {op} {i})", "({f} / {f})", "max({f}, {f})", "({f} if {b} else {f})", "({i} ** {f})", "round({f}, 2)"],
    BOOL: ["({i} < {i})", "not {b}", "({b} or {b})", "({s} == q)", "{s}.contains({s})", "any([{b}, {b}])", "(sample bernoulli(0.5))"],
    STR: ["({s} + {s})", '"${{{i}}} ${{{f}}}"', "{s}[{i}:]", "join([{s}, {s}], {s})", "{s}.replace({s}, {s})", "json({l})", "(after({s}, {s}) or s)"],
    LIST: ["({l} + {l})", "{l}[{i}:{i}]", "sorted({l}, reverse={b})", "[V + {i} for V in {l}]", "(sample iid(uniform([1, 2]), 2))", "reversed({l})"],
}  # fmt: skip
STATEMENTS = [
    "n = {i}", "x = {f}", "b = {b}", "s = {s}", "xs = {l}", "xs += {l}", "s += {s}", "n += {i}",
    "score {f}", "heuristic {f}", "require {b} else {q}", "observe {b} from bernoulli(0.5)", "observe {i} from uniform({l} + [1])",
    "record n", "checkpoint", "n = sample categorical({{1: 0.5, 2: 0.5}})", "x = sample normal({f}, 1.0) using normal(0.0, 2.0)",
    "c += {s}", 's = sample lm(c, max_tokens=4)', 'let V = sample lm.choice({s}, ["a", "b"])\n  s = V + ""', "score log(prm(c, {s}), floor=0.01)",
    "while {b} max 3 {{ n += {i} }}", "for V in {l} {{ n = V }}", "if {b} {{ n = {i} }} else {{ s = {s} }}",
    "if {b} {{ n = twice(fn(a: int) => a + {i}) }}",
]  # fmt: skip
"""No variable is known to be one of some texts: to compare those with another text would be an error, E205."""
FRAME = """scale 1
model lm = smollm2()
reward prm = reward("judge:smollm2")
fn twice(f: fn(int) -> int) -> int {{ return f(f(2)) }}
fn grow(a: int) -> int {{ return a if a <= 0 or a > 90 else 1 + grow(a - 1) }}
program p(q: str) -> str {{
  let n = 1
  let x = 0.5
  let b = true
  let s = q
  let xs = [1, 2]
  let c = chat {{ user q }}
  {body}
  return "${{n}} ${{x}} ${{b}} ${{s}} ${{len(xs)}}"
}}
"""


@st.composite
def programs(draw: st.DrawFn) -> str:
    names = (f"v{i}" for i in itertools.count())

    def expression(kind: str, depth: int) -> str:
        if depth == 0 or draw(st.booleans()):
            return draw(st.sampled_from(LEAVES[kind])).replace("V", next(names))
        return filled(draw(st.sampled_from(BRANCHES[kind])), depth - 1)

    def filled(template: str, depth: int) -> str:
        kinds = {"i": INT, "f": FLOAT, "b": BOOL, "s": STR, "l": LIST}
        out, rest = "", template.replace("V", next(names))
        while "{" in rest or "}" in rest:
            at = min(i for i in (rest.find("{"), rest.find("}")) if i >= 0)
            out, rest = out + rest[:at], rest[at:]
            if rest.startswith(("{{", "}}")):
                out, rest = out + rest[0], rest[2:]
                continue
            name, _, rest = rest[1:].partition("}")
            if name == "op":
                out += draw(st.sampled_from(["+", "-", "*", "//", "%"]))
            elif name == "q":
                out += '"why ${n}"'
            else:
                out += expression(kinds[name], depth)
        return out + rest

    lines = draw(st.lists(st.sampled_from(STATEMENTS), min_size=1, max_size=8))
    return FRAME.format(body="\n  ".join(filled(line, 2) for line in lines))


@settings(max_examples=150, deadline=None, suppress_health_check=SLOW, derandomize=True)
@given(programs())
def test_well_typed_programs_run_or_end_in_a_named_error(text: str) -> None:
    assert exercise(text) != "refused"


# --------------------------------------------------------------------------------------------- what grows


@pytest.mark.parametrize("name", REPEATED)
def test_deep_and_long_texts_end_in_messages(name: str) -> None:
    """Deeper than Python's own stack would go."""
    exercise(hard_input(name, 10_000))


GREEDY = {
    "brackets": "program p() -> int { return " + "(" * 10_000 + "1" + ")" * 10_000 + " }",
    "growth": 'program p() -> int {\n  let s = "ab"\n  for _ in range(10_000) { s = s + s }\n  return len(s)\n}',
    "recursion": "fn f(n: int) -> int { return f(n + 1) }\nprogram p() -> int { return f(1) }",
    "integers": "program p() -> int {\n  let n = 3\n  for _ in range(10_000) { n = n * n }\n  return n\n}",
    "lists": "program p() -> int {\n  let xs = [1]\n  for _ in range(10_000) { xs = xs + xs }\n  return len(xs)\n}",
    "loops": "program p() -> int {\n  let n = 0\n  for i in range(10 ** 12) { n = i }\n  return n\n}",
    "types": "type A0 = (int, int)\n" + "".join(f"type A{i} = (A{i - 1}, A{i - 1})\n" for i in range(1, 999)),
}


@pytest.mark.parametrize("name", GREEDY)
def test_greedy_files_end_in_a_named_error_in_little_memory_and_time(name: str, tmp_path: Path) -> None:
    """In a process that may take 1 GB of memory and 20 s, with the limits every file has."""
    path = tmp_path / "greedy.scale"
    path.write_text(GREEDY[name])
    code = (
        "import sys, grammar, resource\n"
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30)); resource.setrlimit(resource.RLIMIT_CPU, (20, 20))\n"
        "try: grammar.load(sys.argv[1]).main(seed=0)\n"
        "except Exception as error: print(type(error).__name__, str(error)[:200].replace(chr(10), ' '))"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code, str(path)], env=env, capture_output=True, text=True)
    kind, _, message = done.stdout.partition(" ")
    assert (done.returncode, kind) in ((0, "ScaleError"), (0, "RunFault"), (0, "AllDead"), (0, "UsageError")), done
    assert any(word in message for word in ("E007", "E554", "E205", "E2", "max_", "no program")), message


@pytest.mark.slow
def test_a_fuzzer_that_sees_coverage_finds_nothing(tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="atheris has no wheel for this Python")
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    command = [sys.executable, str(Path(__file__).with_name("fuzz_coverage.py")), "30"]
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
    covered = re.findall(r"cov: (\d+)", done.stderr)
    assert int(covered[-1]) > 3000, "the fuzzer does not see the language's own code"

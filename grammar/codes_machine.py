"""E55x: what can go wrong in a run. The examples are whole files whose `program p` is run without arguments.
E56x: what an untrusted file may not do.

Faults end the run: a program must not silently be conditioned on not failing. Limits (`max_steps`,
`max_depth`, `max_text`, `max_list`) and `require` end one particle only and have no code; the result counts
their reasons.
"""

from __future__ import annotations

from grammar.codes_entry import define


def _program(*lines: str, result: str = "int") -> str:
    return f"program p() -> {result} {{\n" + "\n".join("  " + line for line in lines) + "\n}"


define(
    "E550",
    "there is no item {index}: {what} has {length}",
    "test its length first, as in `if len(xs) > i {{ ... }}`",
    "Indices count from 0; negative ones from the end. An index that is out of range ends the run.",
    _program("let xs = [1, 2]", "return xs[5]"),
    _program("let xs = [1, 2]", "return xs[1]"),
)
define(
    "E551",
    "the dict has no key {key}",
    "write `d.get(key)`, which is none where there is no such key, or test with `key in d`",
    "`d[key]` is for keys that are there for certain.",
    _program('let d = {"a": 1}', 'return d["b"]'),
    _program('let d = {"a": 1}', 'return d.get("b") or 0'),
)
define(
    "E552",
    "division by zero",
    "test the divisor first",
    "`/`, `//` and `%` by zero, and zero to a negative power, have no value.",
    _program('let n = len(split(""))', "return 10 // n"),
    _program('let n = len(split("a"))', "return 10 // n"),
)
define(
    "E553",
    "{value} is not a probability",
    "a probability lies between 0 and 1; clip it, as in `min(1.0, max(0.0, x))`",
    "A float may stand where a probability is asked for; that it is one is checked when the program runs.",
    _program("let x = float(3)", "let heads = sample bernoulli(x)", "return 1 if heads else 0"),
    _program("let x = float(3) / 10", "let heads = sample bernoulli(x)", "return 1 if heads else 0"),
)
define(
    "E554",
    "{what} is too large",
    "integers have at most 4096 bits, floats end at about 1.8e308",
    "Numbers that grow without end would eat all memory.",
    _program("let n = 2", "for _ in range(20) { n = n * n }", "return n"),
    _program("let n = 2", "for _ in range(10) { n = n * n }", "return n"),
)
define(
    "E555",
    "extern function '{name}' {problem}",
    "mend the Python function that is bound to it",
    "What an extern function returns is checked against its declaration; what it raises ends the run.",
    "extern fn f(x: int) -> int\n" + _program("return f(1)"),
    _program("return 1"),
)
define(
    "E556",
    "{name}: {problem}",
    "{mend}",
    "A built-in function was given a value that it has no answer for.",
    _program("let xs: list[int] = []", "return max(xs)"),
    _program("let xs: list[int] = [1]", "return max(xs)"),
)
define(
    "E557",
    "{problem}",
    "{mend}",
    "A value was used in a way that it cannot be.",
    _program("let f = fn(x: int) => (sample uniform([x, 2]))", "heuristic float(f(1))", "return 1"),
    _program("heuristic 1.0", "return 1"),
)
define(
    "E558",
    "no `reply` of the test fits the prompt {prompt}",
    'add `reply "some part of the prompt" -> "the answer"`',
    "In a test the models are scripted: the first `reply` whose pattern is found in the prompt answers.",
    "model lm = smollm2()\n"
    + _program('return sample lm("2+2=", max_tokens=4)', result="str")
    + '\ntest "t" of p {\n  reply "3+3" -> "6"\n  expect posterior.mode == "4"\n}',
    "model lm = smollm2()\n"
    + _program('return sample lm("2+2=", max_tokens=4)', result="str")
    + '\ntest "t" of p {\n  reply "2+2" -> "4"\n  expect posterior.mode == "4"\n}',
)
define(
    "E559",
    "{message}",
    "",
    "A distribution, a model or an engine refused what it was asked for; the message says why.",
    _program('let weights = {"a": float(0)}', "let x = sample categorical(weights)", "return len(x)"),
    _program('let weights = {"a": float(1)}', "let x = sample categorical(weights)", "return len(x)"),
)

define(
    "E560",
    "an untrusted file may not use extern functions: '{name}'",
    "run it without --untrusted if you trust its author, or leave the function out",
    "Extern functions run Python of the host. A file from anybody is run without them.",
    "extern fn f(x: int) -> int\n" + _program("return f(1)"),
    _program("return 1"),
)
define(
    "E561",
    "an untrusted file may not load the model '{name}'",
    "it may use {allowed}; `--model {name}=...` puts a model of yours in its place",
    "What a model's declaration names is a file or an address of the host, so an untrusted file may name few.",
    'model lm = hf("somewhere/else")\n' + _program('let x = sample lm("a", max_tokens=2)', "return len(x)"),
    "model lm = smollm2()\n" + _program('let x = sample lm("a", max_tokens=2)', "return len(x)"),
)

"""E2xx, E3xx: what the checker says of types, and of the probabilistic part."""

from __future__ import annotations

from grammar.codes_entry import PRM, define, in_program, with_model

# ------------------------------------------------------------------------------------------------ E2xx: types

define(
    "E201",
    "{place} must be {wanted}, not {found}",
    "expected {wanted}",
    "Every value has a type that is known before the program runs. The one conversion that happens by itself is int to "
    "float; a number where a `prob` is asked for is checked when the program runs.",
    "program p(q: str) -> int { return q }",
    "program p(q: str) -> int { return len(q) }",
)
define(
    "E202",
    "'{op}' does not take {left} and {right}",
    "arithmetic takes numbers; `+` also joins texts, lists, dicts and goes on with a chat",
    "Nothing is turned into a text or a number by itself.",
    in_program('record x = "n = " + 1'),
    in_program('record x = "n = ${1}"'),
)
define(
    "E203",
    "{place} must be bool, not {found}",
    "write a comparison, such as `a == b`",
    "There is no truthiness: an empty list, an empty text or 0 is not false. The exception is `a or b` with an optional "
    "a, which means: a, or else b.",
    in_program("if q { record x = 1 }"),
    in_program('if q != "" { record x = 1 }'),
)
define(
    "E204",
    "what '{name}' may hold is not known from '{what}'",
    "write its type: `let {name}: {mend}`",
    "An empty list, an empty dict and none say nothing about what comes later.",
    in_program("let xs = []", "record xs"),
    in_program("let xs: list[str] = []", "record xs"),
)
define(
    "E205",
    "{left} and {right} can never be equal",
    "compare values of one type",
    "A comparison that always comes out the same is a mistake.",
    in_program('record same = len(q) == "3"'),
    in_program("record same = len(q) == 3"),
)
define(
    "E206",
    "'{what}' may be none (it is {type})",
    "check it first, `if {what} == none {{ ... }}`, or give a default, `{what} or ...`",
    "A value of type `T?` is a T or none. Behind `if x == none { return ... }`, and inside `if x != none { ... }`, x is a T.",
    in_program("let n = int(q)", "record double = n * 2"),
    in_program("let n = int(q) or 0", "record double = n * 2"),
)
define(
    "E207",
    "'{name}' can end here without a result of type {result}",
    "return a value on every path, or declare the result as `{result}?`",
    "The last statement of every path through a function with a result is a `return`. A loop may run zero times.",
    'program p(q: str) -> str {\n  if q == "a" { return q }\n}',
    'program p(q: str) -> str {\n  if q == "a" { return q }\n  return "b"\n}',
)
define(
    "E208",
    "'{name}' has to return {result}",
    "write `return value`",
    "`return` alone ends a function that has no result.",
    'program p(q: str) -> str {\n  if q == "a" { return }\n  return q\n}',
    'program p(q: str) -> str {\n  if q == "a" { return "" }\n  return q\n}',
)
define(
    "E209",
    "{what}: it cannot be called",
    "only functions, models, rewards and record types are called",
    "A call is `name(arguments)` of something that takes arguments.",
    in_program("record x = q(1)"),
    in_program("record x = q[1]"),
)
define(
    "E210",
    "{callee} lacks argument {names}",
    "give it",
    "Parameters without a default need an argument, by position or by name.",
    in_program('record x = q.replace("a")'),
    in_program('record x = q.replace("a", "b")'),
)
define(
    "E211",
    "{callee} takes {takes}",
    "remove what is too much",
    "There are more arguments than parameters.",
    in_program('record x = lower(q, "a")'),
    in_program("record x = lower(q)"),
)
define(
    "E212",
    "{callee} has no parameter '{name}'",
    "look at its parameters",
    "An argument by name carries the name of a parameter.",
    with_model("let x = sample lm(q, max_token=5)", "record x"),
    with_model("let x = sample lm(q, max_tokens=5)", "record x"),
)
define(
    "E213",
    "{callee} gets '{name}' twice",
    "remove one of the two",
    "A parameter takes one argument, by position or by name.",
    in_program('record x = q.split(" ", separator=",")'),
    in_program('record x = q.split(" ")'),
)
define(
    "E214",
    "{what}",
    "look at the fields of its type",
    "`value.name` is a field of a record, a declaration of an imported file or, when it is called, a method.",
    in_program("record x = q.upcase()"),
    in_program("record x = q.upper()"),
)
define(
    "E215",
    "{what}: {problem}",
    "lists and texts are indexed by integers, dicts by keys, tuples by plain integers",
    "`xs[0]` is the first item, `xs[-1]` the last, `xs[1:3]` a part.",
    in_program("let pair = (1, 2)", "record x = pair[2]"),
    in_program("let pair = (1, 2)", "record x = pair[1]"),
)
define(
    "E216",
    "a loop cannot go over {found}",
    "a loop goes over a list, the keys of a dict or a range",
    "`for i in range(n)` counts; `for word in split(text)` goes over words.",
    in_program("for i in len(q) { record x = i }"),
    in_program("for i in range(len(q)) { record x = i }"),
)
define(
    "E217",
    "{count} names for a value that is {found}",
    "a tuple is taken apart by as many names as it has items",
    "`let a, b = pair` takes a tuple apart, and so does `for i, x in enumerate(xs)`.",
    in_program("let a, b = (1, 2, 3)", "record a", "record b"),
    in_program("let a, b, _ = (1, 2, 3)", "record a", "record b"),
)
define(
    "E218",
    "'{what}' ({found}) cannot be written as text",
    "texts, numbers and bools can stand in a text",
    'A list or a record has no one way to be written: say `join(xs, ", ")`, `json(x)` or a field.',
    in_program('record x = "words: ${split(q)}"'),
    in_program('record x = "words: ${join(split(q), ", ")}"'),
)
define(
    "E219",
    "{what} must be {bound}",
    "change '{value}'",
    "A value that is written out is checked before the program runs.",
    in_program("let x = sample bernoulli(1.5)", "record x"),
    in_program("let x = sample bernoulli(0.5)", "record x"),
)
define(
    "E220",
    "'{name}' takes {takes}",
    "write `{example}`",
    "list and dist take the type of their items or values, dict those of its keys and values; other types take none.",
    "program p(q: list) -> int { return len(q) }",
    "program p(q: list[str]) -> int { return len(q) }",
)
define(
    "E221",
    "'{what}' is {found}: it is {verdict} {part}",
    "remove the test, or look at the type",
    "`x is T` asks which option of a union a value is.",
    "program p(q: int | str) -> int {\n  if q is bool { return 1 }\n  return 2\n}",
    "program p(q: int | str) -> int {\n  if q is int { return q }\n  return len(q)\n}",
)
define(
    "E223",
    "this pattern is not valid: {problem}",
    'a backslash takes the meaning from a special character, as in re"2 \\+ 2"',
    "Patterns are written in the syntax of RE2, which takes time linear in the text: there is no look-around and there "
    "are no backreferences.",
    in_program('record x = re"(a".matches(q)'),
    in_program('record x = re"(a)".matches(q)'),
)
define(
    "E224",
    "{found} cannot be the key of a dict",
    "keys are texts, numbers, bools, or tuples of them",
    "A key has to have an equality that does not change.",
    "program p(d: dict[list[int], str]) -> int { return len(d) }",
    "program p(d: dict[(int, int), str]) -> int { return len(d) }",
)
define(
    "E225",
    "'{name}' returns a value but declares no result",
    "write `-> {result}` behind its parameters",
    "A function says the type of its result, so that its callers can be checked without looking into it.",
    "fn f(x: int) { return x }",
    "fn f(x: int) -> int { return x }",
)
define(
    "E227",
    "the value of '{name}' is dropped",
    "give it a name: `let x = {name}`; values never change, so a call that returns nothing new does nothing",
    "Lists, texts, dicts and records never change in place. A call stands alone only for what a function of yours weighs, "
    "draws or records.",
    in_program('q.replace("a", "b")'),
    in_program('q = q.replace("a", "b")'),
)
define(
    "E228",
    "{place} is {second}, but what stands before it is {first}",
    "give both the same type, or declare the type of the whole: `let x: A | B = ...`",
    "The items of a list, the values of a dict and the two sides of an `if` have one type between them.",
    in_program('let xs = [1, "a"]', "record xs"),
    in_program('let xs: list[int | str] = [1, "a"]', "record xs"),
)
define(
    "E229",
    "{what} has more than {limit} parts",
    "declare a record for a part of it",
    "Types that contain themselves twice, and again, grow without end.",
    "\n".join(["type A0 = (int, int)", *(f"type A{i} = (A{i - 1}, A{i - 1})" for i in range(1, 9))]),
    "type Pair { left: int, right: int }",
)
define(
    "E230",
    "'{op}' does not take {found}",
    "a sign stands before a number; `not` before a condition",
    "-x and +x are numbers.",
    in_program("record x = -q"),
    in_program("record x = -len(q)"),
)
define(
    "E231",
    "'{callee}' does not take ({types})",
    "look at its forms",
    "Some built-in functions have several forms, one for each kind of argument.",
    in_program("record n = count(q, 1)"),
    in_program('record n = count(q, "a")'),
)
define(
    "E232",
    "'{name}' needs values that have an order, not {found}",
    "numbers and texts have an order, and tuples of them; or say what to compare: `key=fn(x: T) => ...`",
    "min, max and sorted compare.",
    in_program("record x = sorted([true, false])"),
    in_program("record x = sorted([1, 0])"),
)

define(
    "E233",
    "these rules cannot be read: {problem}",
    'a rule is a line `name: ...`, one of them `start`; names in capitals are of single tokens',
    "Rules are written in Lark's notation as llguidance reads it: lower-case names derive, capitals are regular expressions "
    "without look-around. They are read when the file is checked if llguidance is installed, else when they are first used.",
    in_program('record x = lark("start: \\"a\\" | b")'),
    in_program('record x = lark("start: \\"a\\" | b\\nb: \\"b\\"")'),
)

# ------------------------------------------------------------------------------- E3xx: the probabilistic part

define(
    "E301",
    "{word} adds a log weight, but '{name}' is a probability (type prob)",
    "write `{word} log({name})`",
    "Weights are logarithms and add up: `score log(p)` multiplies the weight of the run by p. Adding p itself would mean "
    "another posterior; if that is what you want, say so with `float(p)`.",
    f"{PRM}\n" + in_program('score prm(q, "a")'),
    f"{PRM}\n" + in_program('score log(prm(q, "a"))'),
)
define(
    "E302",
    "{what} a distribution over {values}",
    "write `{mend}`",
    "A call of a model, like `bernoulli(0.5)`, is a distribution. `sample` draws a value from it, so that every random "
    "choice can be seen.",
    'model lm = hf("m")\nprogram p(q: str) -> str {\n  let a = lm(q, max_tokens=5)\n  return a\n}',
    'model lm = hf("m")\nprogram p(q: str) -> str {\n  let a = sample lm(q, max_tokens=5)\n  return a\n}',
)
define(
    "E303",
    "distributions have no method '{name}'",
    "write `sample {value}`, so that the engine sees the choice",
    "Engines enumerate, resample and search over random choices, so they have to know of each.",
    with_model("record a = lm(q, max_tokens=5).sample()"),
    with_model("let a = sample lm(q, max_tokens=5)", "record a"),
)
define(
    "E304",
    "`{word}` needs a distribution, not {found}",
    "distributions are calls of models, and bernoulli, categorical, uniform, normal, ...",
    "`sample D` draws from a distribution, `observe v from D` weighs a value by it.",
    in_program("let a = sample q", "record a"),
    in_program('let a = sample uniform([q, "b"])', "record a"),
)
define(
    "E305",
    "{place} cannot hold a random choice",
    "draw inside a program or fn",
    "Random choices belong to a run; constants and default values are there before it.",
    "const coin = (sample bernoulli(0.5))",
    "fn coin() -> bool { return sample bernoulli(0.5) }",
)
define(
    "E306",
    "{value} can never come from {found}",
    "observe one of the values of the distribution; a value that may not occur has probability 0 for a reason",
    "`observe v from D` with a value that D cannot give would make every run impossible.",
    with_model('observe "Maybe" from lm.choice(q, ["Yes", "No"])'),
    with_model('observe "Yes" from lm.choice(q, ["Yes", "No"])'),
)
define(
    "E307",
    "a proposal over {proposal} cannot stand for a distribution over {target}",
    "both sides of `using` give values of one type",
    "`sample P using Q` draws from Q and weighs by P/Q, so P has to be able to score what Q gives.",
    in_program("let a = sample bernoulli(0.5) using uniform([1, 2])", "record a"),
    in_program("let a = sample bernoulli(0.5) using bernoulli(0.9)", "record a"),
)
define(
    "E308",
    "{word} adds a log weight, which is a float, not {found}",
    "a log weight is a float: `log(p)` of a probability, or a number of your own",
    "`score w` adds w to the log weight of the run; `require c` ends runs in which c is false.",
    in_program('score q == "a"'),
    in_program('require q == "a"'),
)
define(
    "E310",
    "the text of a '{role}' turn is {found}",
    'a turn holds a text; write it as "${{...}}"',
    "The turns of a chat are texts. What they hold is data: it never becomes a turn of its own.",
    in_program("record c = chat { user len(q) }"),
    in_program('record c = chat { user "${len(q)}" }'),
)

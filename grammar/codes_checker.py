"""The second half of the table in `codes.py`: what the checker says, of names (E1xx), types (E2xx), the probabilistic
part (E3xx), engines and models (E4xx, E511), and its warnings (W4xx).

(Longer than other files because it is one table.)
"""

from __future__ import annotations

from grammar.codes import define


def _p(*lines: str) -> str:
    """A program with these statements."""
    return "program p(q: str) -> str {\n" + "".join(f"  {line}\n" for line in lines) + "  return q\n}"


def _lm(*lines: str, model: str = 'model lm = hf("m")') -> str:
    """The same, of a file that declares a model `lm`."""
    return f"{model}\n{_p(*lines)}"


_PRM = 'reward prm = reward("judge:smollm2")'

# ------------------------------------------------------------------------------------ E1xx: names and imports

define(
    "E101",
    "'{name}' is declared twice in this file",
    "give one of them another name; the first is in line {line}",
    "All declarations of a file share one set of names: models, types, constants, functions, programs, imports.",
    "const size = 1\nconst size = 2",
    "const size = 1\nconst other = 2",
)
define(
    "E102",
    "'{name}' is not defined",
    "declare it with `let` before its first use",
    "A name is a variable of this function, a declaration of the file or a built-in function. A variable lives from its "
    "`let` to the end of the block around it.",
    _p("record x = qestion"),
    _p("record x = q"),
)
define(
    "E104",
    "'{name}' is already a variable here (line {line})",
    "write `{name} = ...` to give it another value, or choose another name",
    "A `let` never hides a variable or parameter of the same function, so a name means one thing at a time.",
    _p("let q = 1"),
    _p("let n = 1", "record n"),
)
define(
    "E105",
    "{what}",
    "declare it first: `let name = ...`",
    "`name = value` gives another value to a variable of this function: one declared by `let`, a parameter or the target "
    "of a loop. Constants, functions and models keep their meaning.",
    _p("total = 1"),
    _p("let total = 1", "record total"),
)
define(
    "E106",
    "there is no type '{name}'",
    "the types are str, int, float, bool, prob, logp, chat, none, list[T], dict[K, V], dist[T], (A, B), T?, A | B",
    "A type is one of the language, or one that the file declares with `type`. `logp` is a `float`.",
    "program p(q: string) -> str { return q }",
    "program p(q: str) -> str { return q }",
)
define(
    "E107",
    "'{name}' is used before its declaration (line {line})",
    "move its declaration above this one",
    "Constants get their values in the order of the file, so each may use those above it.",
    "const a = b + 1\nconst b = 1",
    "const b = 1\nconst a = b + 1",
)
define(
    "E108",
    "type '{name}' is made of itself",
    "use a record for a type that contains itself: `type {name} {{ ... }}`",
    "An alias is another way to write a type, so it cannot be part of what it stands for. The fields of records can.",
    "type Tree = list[Tree]",
    "type Tree { children: list[Tree] }",
)
define(
    "E109",
    "{place} is computed when the file is loaded, so it cannot use '{name}'",
    "move it into a function, or write the value out",
    "Constants, default values and the arguments of declarations are built from literals, other constants, records and "
    "built-in functions: nothing that could draw, weigh or call a model.",
    "fn f() -> int { return 1 }\nconst a = f()",
    "fn f() -> int { return 1 }\nconst a = 1",
)
define(
    "E110",
    "`{word}` outside of a loop",
    "`return` ends a function; `{word}` belongs to a `for` or `while`",
    "break and continue act on the innermost loop of the same function.",
    _p("break"),
    _p("for i in range(3) {", "  if i == 1 { break }", "}"),
)
define(
    "E111",
    "{what} stands twice in {where}",
    "remove one of them",
    "Each key of a dict, field of a record and parameter of a function stands once.",
    _p('record d = {"a": 1, "a": 2}'),
    _p('record d = {"a": 1, "b": 2}'),
)
define(
    "E112",
    "'{name}' is {what}, not a value",
    "call it, or name what it holds",
    "Types, imported files and built-in functions are used in their own way: called, or in front of a dot.",
    _p("record f = len"),
    _p("record n = len(q)"),
)
define(
    "E113",
    "a parameter of a function without a name has no default",
    "give '{name}' at every call, or declare the function with `fn` at the top level",
    "A function in a variable takes all its arguments, by position.",
    _p("let f = fn(x: int = 1) => x", "record y = f(1)"),
    _p("let f = fn(x: int) => x", "record y = f(1)"),
)
define(
    "E114",
    "'{name}' is not a variable of this function",
    "write `record {name} = ...` with a value",
    "`record x` keeps the variable x in the result; `record x = value` keeps any value under that name.",
    "const size = 1\n" + _p("record size"),
    "const size = 1\n" + _p("record size = size"),
)
define(
    "E115",
    "parameter '{name}' without a default stands behind one with a default",
    "move it to the front, or give it a default too",
    "Arguments are put to parameters from left to right, so those that may be left out stand last.",
    "fn f(a: int = 1, b: int) -> int { return a + b }",
    "fn f(b: int, a: int = 1) -> int { return a + b }",
)
define(
    "E116",
    "a program cannot have a parameter '{name}'",
    "choose another name; `seed`, `limit`, `engine` and `live` are what a run is told besides its input",
    "`solve.run(question, seed=1, limit=...)`: these names belong to the run.",
    "program p(seed: int) -> int { return seed }",
    "program p(start: int) -> int { return start }",
)
define(
    "E120",
    "these files import each other: {circle}",
    "move what they share into a third file",
    "A file is checked after those that it imports, so imports cannot form a circle.",
    'import "circle.scale" as circle',
    'import "lib.scale" as lib\nconst a = lib.ONE',
)
define(
    "E121",
    'the import "{path}" {why}',
    "imports stay inside the project: give a path relative to this file",
    "The project root is the nearest folder upwards with pyproject.toml, scale.toml or .git, else the file's own folder. "
    "Symbolic links are followed before looking.",
    'import "/etc/steps.scale" as steps',
    'import "lib.scale" as lib\nconst a = lib.ONE',
)
define(
    "E122",
    'cannot read "{path}": {problem}',
    "paths are relative to the file that imports",
    "A file that is imported, or checked, has to be a UTF-8 text whose name ends with .scale.",
    'import "missing.scale" as missing',
    'import "lib.scale" as lib\nconst a = lib.ONE',
)
define(
    "E124",
    "'{alias}' declares no '{name}'",
    "look at the declarations of the imported file",
    "Of an imported file its fn, const, type, program and extern declarations are used as `alias.name`.",
    'import "lib.scale" as lib\nconst a = lib.TWO',
    'import "lib.scale" as lib\nconst a = lib.ONE',
)
define(
    "E125",
    "'{name}' is not an imported file",
    "types of other files are written `alias.Type`, with the alias of an `import`",
    "Only imported files have types of their own: `rules.Verdict`.",
    "type Case { a: int }\nprogram p(x: Case.a) -> int { return 1 }",
    "type Case { a: int }\nprogram p(x: Case) -> int { return x.a }",
)
define(
    "E126",
    "'{alias}.{name}' cannot be used outside of its file",
    "models and imports belong to their own file; pass a model as an argument of type `model`",
    "Of an imported file its fn, const, type, program and extern declarations can be seen.",
    'import "lib.scale" as lib\n' + _p("record m = lib.lm.prompt(q)"),
    'import "lib.scale" as lib\nmodel lm = hf("m")\n' + _p("record m = lib.opening(lm, q)"),
)
define(
    "E130",
    "extern function '{name}' has no implementation",
    'bind it: `scale run --extern FILE.py:{name}`, or `grammar.load(path, externs={{"{name}": function}})`',
    "A .scale file runs no Python by itself. An extern function is declared with its types and bound by who runs it.",
    "extern fn price(item: str) -> float",
    "fn price(item: str) -> float { return 1.0 }",
)
define(
    "E131",
    "{what} cannot be a {found}",
    "it has to be data: texts, numbers, bools, none, chats, lists, dicts, tuples, records",
    "What goes to Python or comes back, and what a program returns, is data. Distributions, functions, models and "
    "patterns stay inside.",
    "extern fn f(g: fn(int) -> int) -> int",
    "extern fn f(g: int) -> int",
)

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
    _p('record x = "n = " + 1'),
    _p('record x = "n = ${1}"'),
)
define(
    "E203",
    "{place} must be bool, not {found}",
    "write a comparison, such as `a == b`",
    "There is no truthiness: an empty list, an empty text or 0 is not false. The exception is `a or b` with an optional "
    "a, which means: a, or else b.",
    _p("if q { record x = 1 }"),
    _p('if q != "" { record x = 1 }'),
)
define(
    "E204",
    "what '{name}' may hold is not known from '{what}'",
    "write its type: `let {name}: {mend}`",
    "An empty list, an empty dict and none say nothing about what comes later.",
    _p("let xs = []", "record xs"),
    _p("let xs: list[str] = []", "record xs"),
)
define(
    "E205",
    "{left} and {right} can never be equal",
    "compare values of one type",
    "A comparison that always comes out the same is a mistake.",
    _p('record same = len(q) == "3"'),
    _p("record same = len(q) == 3"),
)
define(
    "E206",
    "'{what}' may be none (it is {type})",
    "check it first, `if {what} == none {{ ... }}`, or give a default, `{what} or ...`",
    "A value of type `T?` is a T or none. Behind `if x == none { return ... }`, and inside `if x != none { ... }`, x is a T.",
    _p("let n = int(q)", "record double = n * 2"),
    _p("let n = int(q) or 0", "record double = n * 2"),
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
    _p("record x = q(1)"),
    _p("record x = q[1]"),
)
define(
    "E210",
    "{callee} lacks argument {names}",
    "give it",
    "Parameters without a default need an argument, by position or by name.",
    _p('record x = q.replace("a")'),
    _p('record x = q.replace("a", "b")'),
)
define(
    "E211",
    "{callee} takes {takes}",
    "remove what is too much",
    "There are more arguments than parameters.",
    _p('record x = lower(q, "a")'),
    _p("record x = lower(q)"),
)
define(
    "E212",
    "{callee} has no parameter '{name}'",
    "look at its parameters",
    "An argument by name carries the name of a parameter.",
    _lm("let x = sample lm(q, max_token=5)", "record x"),
    _lm("let x = sample lm(q, max_tokens=5)", "record x"),
)
define(
    "E213",
    "{callee} gets '{name}' twice",
    "remove one of the two",
    "A parameter takes one argument, by position or by name.",
    _p('record x = q.split(" ", separator=",")'),
    _p('record x = q.split(" ")'),
)
define(
    "E214",
    "{what}",
    "look at the fields of its type",
    "`value.name` is a field of a record, a declaration of an imported file or, when it is called, a method.",
    _p("record x = q.upcase()"),
    _p("record x = q.upper()"),
)
define(
    "E215",
    "{what}: {problem}",
    "lists and texts are indexed by integers, dicts by keys, tuples by plain integers",
    "`xs[0]` is the first item, `xs[-1]` the last, `xs[1:3]` a part.",
    _p("let pair = (1, 2)", "record x = pair[2]"),
    _p("let pair = (1, 2)", "record x = pair[1]"),
)
define(
    "E216",
    "a loop cannot go over {found}",
    "a loop goes over a list, the keys of a dict or a range",
    "`for i in range(n)` counts; `for word in split(text)` goes over words.",
    _p("for i in len(q) { record x = i }"),
    _p("for i in range(len(q)) { record x = i }"),
)
define(
    "E217",
    "{count} names for a value that is {found}",
    "a tuple is taken apart by as many names as it has items",
    "`let a, b = pair` takes a tuple apart, and so does `for i, x in enumerate(xs)`.",
    _p("let a, b = (1, 2, 3)", "record a", "record b"),
    _p("let a, b, _ = (1, 2, 3)", "record a", "record b"),
)
define(
    "E218",
    "'{what}' ({found}) cannot be written as text",
    "texts, numbers and bools can stand in a text",
    'A list or a record has no one way to be written: say `join(xs, ", ")`, `json(x)` or a field.',
    _p('record x = "words: ${split(q)}"'),
    _p('record x = "words: ${join(split(q), ", ")}"'),
)
define(
    "E219",
    "{what} must be {bound}",
    "change '{value}'",
    "A value that is written out is checked before the program runs.",
    _p("let x = sample bernoulli(1.5)", "record x"),
    _p("let x = sample bernoulli(0.5)", "record x"),
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
    _p('record x = re"(a".matches(q)'),
    _p('record x = re"(a)".matches(q)'),
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
    _p('q.replace("a", "b")'),
    _p('q = q.replace("a", "b")'),
)
define(
    "E228",
    "{place} is {second}, but what stands before it is {first}",
    "give both the same type, or declare the type of the whole: `let x: A | B = ...`",
    "The items of a list, the values of a dict and the two sides of an `if` have one type between them.",
    _p('let xs = [1, "a"]', "record xs"),
    _p('let xs: list[int | str] = [1, "a"]', "record xs"),
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
    _p("record x = -q"),
    _p("record x = -len(q)"),
)
define(
    "E231",
    "'{callee}' does not take ({types})",
    "look at its forms",
    "Some built-in functions have several forms, one for each kind of argument.",
    _p("record n = count(q, 1)"),
    _p('record n = count(q, "a")'),
)
define(
    "E232",
    "'{name}' needs values that have an order, not {found}",
    "numbers and texts have an order, and tuples of them; or say what to compare: `key=fn(x: T) => ...`",
    "min, max and sorted compare.",
    _p("record x = sorted([true, false])"),
    _p("record x = sorted([1, 0])"),
)

# ------------------------------------------------------------------------------- E3xx: the probabilistic part

define(
    "E301",
    "{word} adds a log weight, but '{name}' is a probability (type prob)",
    "write `{word} log({name})`",
    "Weights are logarithms and add up: `score log(p)` multiplies the weight of the run by p. Adding p itself would mean "
    "another posterior; if that is what you want, say so with `float(p)`.",
    f"{_PRM}\n" + _p('score prm(q, "a")'),
    f"{_PRM}\n" + _p('score log(prm(q, "a"))'),
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
    _lm("record a = lm(q, max_tokens=5).sample()"),
    _lm("let a = sample lm(q, max_tokens=5)", "record a"),
)
define(
    "E304",
    "`{word}` needs a distribution, not {found}",
    "distributions are calls of models, and bernoulli, categorical, uniform, normal, ...",
    "`sample D` draws from a distribution, `observe v from D` weighs a value by it.",
    _p("let a = sample q", "record a"),
    _p('let a = sample uniform([q, "b"])', "record a"),
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
    _lm('observe "Maybe" from lm.choice(q, ["Yes", "No"])'),
    _lm('observe "Yes" from lm.choice(q, ["Yes", "No"])'),
)
define(
    "E307",
    "a proposal over {proposal} cannot stand for a distribution over {target}",
    "both sides of `using` give values of one type",
    "`sample P using Q` draws from Q and weighs by P/Q, so P has to be able to score what Q gives.",
    _p("let a = sample bernoulli(0.5) using uniform([1, 2])", "record a"),
    _p("let a = sample bernoulli(0.5) using bernoulli(0.9)", "record a"),
)
define(
    "E308",
    "{word} adds a log weight, which is a float, not {found}",
    "a log weight is a float: `log(p)` of a probability, or a number of your own",
    "`score w` adds w to the log weight of the run; `require c` ends runs in which c is false.",
    _p('score q == "a"'),
    _p('require q == "a"'),
)
define(
    "E310",
    "the text of a '{role}' turn is {found}",
    'a turn holds a text; write it as "${{...}}"',
    "The turns of a chat are texts. What they hold is data: it never becomes a turn of its own.",
    _p("record c = chat { user len(q) }"),
    _p('record c = chat { user "${len(q)}" }'),
)

# ------------------------------------------------------------------------------------ E4xx: engines and models

define(
    "E410",
    "{name} enumerates finite choices, but {site} is not one: {why}",
    "use `lm.choice` there, or another engine: smc(particles=16), importance(particles=16)",
    "An engine that goes through all values of every choice needs choices with finitely many of them.",
    _lm("let a = sample lm(q, max_tokens=5)", "record a") + "\ninfer p with exact()",
    _lm('let a = sample lm.choice(q, ["Yes", "No"])', "record a") + "\ninfer p with exact()",
)
define(
    "E411",
    "{name} scores choices again, but '{model}' at {site} {lacks}",
    "use an engine that only draws (importance, smc), or a local model",
    "A Markov chain compares what was drawn before under the changed program, which takes the log-probabilities of given text.",
    _lm(
        "let a = sample lm(q, max_tokens=5)",
        "record a",
        model='model lm = openai("http://localhost:8000/v1#m")',
    )
    + "\ninfer p with mcmc(samples=10)",
    _lm(
        "let a = sample lm(q, max_tokens=5)",
        "record a",
        model='model lm = openai("http://localhost:8000/v1#m")',
    )
    + "\ninfer p with importance(particles=10)",
)
define(
    "E412",
    "{name} runs parts of a program again, but extern function '{extern}' is impure",
    "declare it without `impure` if equal arguments give equal results, or use importance or smc",
    "A Markov chain replays what did not change, so what a function answers must not change by itself.",
    "impure extern fn now() -> float\nprogram p() -> float { return now() + (sample normal(0.0, 1.0)) }\n"
    "infer p with mcmc(samples=10)",
    "extern fn start() -> float\nprogram p() -> float { return start() + (sample normal(0.0, 1.0)) }\n"
    "infer p with mcmc(samples=10)",
)
define(
    "E420",
    "{what}",
    "`scale models` and docs/engines.md list the engines and their options",
    "An `infer` line and the `with` of a test name an engine and its options.",
    _p() + "\ninfer p with smc(particle=16)",
    _p('require q != ""') + "\ninfer p with smc(particles=16)",
)
define(
    "E421",
    "{name}({option}={value}): {problem}",
    "write a literal, or the name of a const",
    "Options are plain values, checked against their kind and range before anything runs.",
    _p('require q != ""') + "\ninfer p with smc(particles=0)",
    _p('require q != ""') + "\ninfer p with smc(particles=16)",
)
define(
    "E422",
    "{name} needs '{option}'",
    "write `{example}`",
    "The option has no default: it decides how much is computed.",
    _p('require q != ""') + "\ninfer p with smc()",
    _p('require q != ""') + "\ninfer p with smc(particles=16)",
)
define(
    "E425",
    "{what}",
    "`infer` and `test` name a program of this file",
    "A program is declared with `program`; a `fn` is called by others and has no posterior of its own.",
    _p() + "\ninfer solve with importance(particles=4)",
    _p() + "\ninfer p with importance(particles=4)",
)
define(
    "E426",
    "a second {what}",
    "remove one of them",
    "A file has one `infer` line, each limit once; a test gives each argument once and has one engine.",
    _p() + "\ninfer p with importance(particles=4)\ninfer p with best_of(n=4)",
    _p() + "\ninfer p with best_of(n=4)",
)
define(
    "E427",
    "there is no limit '{name}'",
    "limits are tokens, calls, reward_calls, reward_tokens, nodes, seconds",
    "`limit` bounds what every run of this file may cost; the caller can set tighter or wider ones.",
    _p() + "\nlimit token = 100",
    _p() + "\nlimit tokens = 100",
)
define(
    "E428",
    "limit '{name}' has to be {kind}",
    "write `limit {example}`",
    "A limit is a number that is written out, or a const.",
    _p() + "\nlimit tokens = -5",
    _p() + "\nlimit tokens = 500",
)
define(
    "E430",
    "there is no backend '{name}'",
    "look at `scale models`",
    'A model is declared by what loads it: smollm2(), hf("..."), gguf("..."), openai("..."), table({...}), and a reward '
    'by reward("...").',
    'model lm = mock("replies.toml")',
    'model lm = scripted({"hello": "world"})',
)
define(
    "E431",
    "{what}",
    "the arguments of a model are plain values",
    "A model is loaded before anything runs, and the rows of a table are checked here.",
    'model lm = table({"": {"a": 1.0}})',
    'model lm = table({"": {"a": 1.0}, "a": {"$": 1.0}})',
)
define(
    "E432",
    "`{kind}` cannot declare {backend}(...), which is {gives}",
    "write `{mend}`",
    "`model` declares what writes and scores text; `reward` what judges it.",
    'reward prm = hf("m")',
    'reward prm = reward("judge:smollm2")',
)
define(
    "E440",
    "the test gives no '{name}', which program '{program}' needs",
    "add `given {name} = ...` (it is {type})",
    "A test gives every argument of its program that has no default.",
    _p() + '\ntest "t" of p { expect posterior.mode == "a" }',
    _p() + '\ntest "t" of p {\n  given q = "a"\n  expect posterior.mode == "a"\n}',
)
define(
    "E442",
    "{what} is {kinds}, not {found}",
    'write `reply re"2 \\+ 2" -> "4"`',
    "In a test the models are scripted: the first `reply` whose pattern is found in the prompt answers.",
    _p() + '\ntest "t" of p {\n  given q = "a"\n  reply 1 -> "b"\n  expect posterior.mode == "a"\n}',
    _p() + '\ntest "t" of p {\n  given q = "a"\n  reply "1" -> "b"\n  expect posterior.mode == "a"\n}',
)
define(
    "E445",
    "the result of a search engine has no {name}",
    "run the test `with` a weighted engine: importance(particles=16), smc(particles=16)",
    "Searches rank runs and do not estimate a posterior: they have no evidence, no effective sample size and no mean.",
    _p()
    + '\ntest "t" of p {\n  given q = "a"\n  with best_of(n=2)\n  expect posterior.log_evidence == 0.0\n}',
    _p()
    + '\ntest "t" of p {\n  given q = "a"\n  with importance(particles=2)\n  expect posterior.log_evidence == 0.0\n}',
)
define(
    "E511",
    "{form} asks more than '{model}' can do: the backend '{backend}' {lacks}",
    'use a local model (smollm2, hf, gguf), or score with a judge: `score log(judge.choice(...).prob("Yes"))`',
    "`observe`, `log_prob`, `lm.choice` and proposals need log-probabilities of given text, which many served models do not give.",
    _lm('observe q from lm("a", max_tokens=5)', model='model lm = openai("http://localhost:8000/v1#m")'),
    _lm('observe q from lm("a", max_tokens=5)'),
)

# ------------------------------------------------------------------------------------------------- warnings

define(
    "W401",
    "generation from '{model}' has no bound of its own",
    "add max_tokens=..., stop=[...] or grammar=...; otherwise only `limit tokens` or the model's context ends it",
    "A model that does not stop by itself writes until its context is full.",
    _lm("let a = sample lm(q)", "record a"),
    _lm("let a = sample lm(q, max_tokens=64)", "record a"),
)
define(
    "W402",
    "the prompt ends with a space; most tokenizers put the space into the next token, so this lowers quality",
    "remove the space",
    "A model has rarely seen a space token alone before a word: it has learnt ' word' as one token.",
    _lm('let a = sample lm("Answer: ", max_tokens=5)', "record a"),
    _lm('let a = sample lm("Answer:", max_tokens=5)', "record a"),
)
define(
    "W403",
    "'{name}' is never used",
    "use it, `record` it, or name it `_`",
    "A value that nothing uses is often a typo in the place that should use it.",
    _p("let x = 1"),
    _p("let x = 1", "record x"),
)
define(
    "W404",
    "this is never reached",
    "remove it, or move it before the `return`, `break` or `continue`",
    "Statements behind one that leaves the block do nothing.",
    "program p(q: str) -> str {\n  return q\n  record x = 1\n}",
    "program p(q: str) -> str {\n  record x = 1\n  return q\n}",
)
define(
    "W405",
    "the import '{name}' is never used",
    "remove it",
    "An import is used as `alias.name`.",
    'import "lib.scale" as lib\nconst a = 1',
    'import "lib.scale" as lib\nconst a = lib.ONE',
)
define(
    "W406",
    "'{name}' hides {meaning} of that name",
    "choose another name",
    "Here, and as far as the name reaches, the other meaning cannot be had.",
    _p("let len = 1", "record len"),
    _p("let length = 1", "record length"),
)
define(
    "W407",
    "this test expects nothing",
    "add `expect posterior.mode == ...`",
    "A test without `expect` shows only that the program runs.",
    _p() + '\ntest "t" of p { given q = "a" }',
    _p() + '\ntest "t" of p {\n  given q = "a"\n  expect posterior.mode == "a"\n}',
)
define(
    "W410",
    "{name} is guided by `heuristic`, and this program has none",
    "add `heuristic log(...)`, an estimate of the log weight still to come; without one the search goes by cost alone",
    "Best-first engines expand first what looks best: its weight so far and the heuristic.",
    _p("let a = sample bernoulli(0.5)", "record a", "score log(0.5)")
    + "\ninfer p with astar(expand=2, max_nodes=50)",
    _p("let a = sample bernoulli(0.5)", "record a", "heuristic 0.0", "score log(0.5)")
    + "\ninfer p with astar(expand=2, max_nodes=50)",
)
define(
    "W411",
    "this branch weighs nothing, its sibling in line {line} does",
    "write `checkpoint` here, so that runs are compared at the same place",
    "Engines compare runs at their k-th barrier. Where one branch has a barrier and the other has none, runs are compared "
    "at different places; that is right, and costs effective samples.",
    _p('if q == "a" { score -1.0 } else { record x = 1 }'),
    _p('if q == "a" { score -1.0 } else { checkpoint }'),
)
define(
    "W412",
    "{name} compares runs at `score`, `observe`, `require` and `heuristic`, and this program has none",
    "use importance(particles=...), which does the same here, or weigh something",
    "Without weights every run is as good as any other.",
    _p("let a = sample bernoulli(0.5)", "record a") + "\ninfer p with smc(particles=4)",
    _p("let a = sample bernoulli(0.5)", "record a") + "\ninfer p with importance(particles=4)",
)

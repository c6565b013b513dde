"""E1xx: what the checker says of names and imports."""

from __future__ import annotations

from grammar.codes_entry import define, in_program

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
    in_program("record x = qestion"),
    in_program("record x = q"),
)
define(
    "E104",
    "'{name}' is already a variable here (line {line})",
    "write `{name} = ...` to give it another value, or choose another name",
    "A `let` never hides a variable or parameter of the same function, so a name means one thing at a time.",
    in_program("let q = 1"),
    in_program("let n = 1", "record n"),
)
define(
    "E105",
    "{what}",
    "declare it first: `let name = ...`",
    "`name = value` gives another value to a variable of this function: one declared by `let`, a parameter or the target "
    "of a loop. Constants, functions and models keep their meaning.",
    in_program("total = 1"),
    in_program("let total = 1", "record total"),
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
    in_program("break"),
    in_program("for i in range(3) {", "  if i == 1 { break }", "}"),
)
define(
    "E111",
    "{what} stands twice in {where}",
    "remove one of them",
    "Each key of a dict, field of a record and parameter of a function stands once.",
    in_program('record d = {"a": 1, "a": 2}'),
    in_program('record d = {"a": 1, "b": 2}'),
)
define(
    "E112",
    "'{name}' is {what}, not a value",
    "call it, or name what it holds",
    "Types, imported files and built-in functions are used in their own way: called, or in front of a dot.",
    in_program("record f = len"),
    in_program("record n = len(q)"),
)
define(
    "E113",
    "a parameter of a function without a name has no default",
    "give '{name}' at every call, or declare the function with `fn` at the top level",
    "A function in a variable takes all its arguments, by position.",
    in_program("let f = fn(x: int = 1) => x", "record y = f(1)"),
    in_program("let f = fn(x: int) => x", "record y = f(1)"),
)
define(
    "E114",
    "'{name}' is not a variable of this function",
    "write `record {name} = ...` with a value",
    "`record x` keeps the variable x in the result; `record x = value` keeps any value under that name.",
    "const size = 1\n" + in_program("record size"),
    "const size = 1\n" + in_program("record size = size"),
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
    'import "lib.scale" as lib\n' + in_program("record m = lib.lm.prompt(q)"),
    'import "lib.scale" as lib\nmodel lm = hf("m")\n' + in_program("record m = lib.opening(lm, q)"),
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

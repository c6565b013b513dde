"""E025-E054, E103: what the parser says of the shape of declarations, statements and expressions."""

from __future__ import annotations

from grammar.codes_entry import define, in_program

# ------------------------------------------------------------------------------ E025-E059: the shape of statements

define(
    "E025",
    "a statement cannot stand outside of a program or fn",
    "{mend}",
    "At the top level of a file stand declarations only: import model reward extern type const fn program infer limit test.",
    "let x = 1",
    "const x = 1",
)
define(
    "E026",
    "'{word}' declares something for the whole file and cannot stand inside a block",
    "{mend}",
    "import model reward extern type const fn program infer limit test stand at the top level, each on lines of its own.",
    in_program("const limit = 3"),
    in_program("let limit = 3", "record limit"),
)
define(
    "E027",
    "expected the end of the line after {before}, found {found}",
    "{mend}",
    "One line holds one statement. Two values side by side lack an operator between them.",
    in_program("let x = 1 let y = 2"),
    in_program("let x = 1", "let y = 2", "record x + y".replace("record x + y", "record total = x + y")),
)
define(
    "E028",
    "expected {expected} after {before}, found {found}",
    "{mend}",
    "Items between brackets are separated by ','.",
    in_program("let xs = [1 2]"),
    in_program("let xs = [1, 2]", "record xs"),
)
define(
    "E029",
    "expected {expected} after {before}, found {found}",
    "{mend}",
    "An operator, a '=' or a keyword before this place needs a value behind it.",
    in_program("let x = 1 +"),
    in_program("let x = 1 + 2", "record x"),
)
define(
    "E030",
    "expected a name after {before}, found {found}",
    "{mend}",
    "Names start with a letter or '_' and go on with letters, digits and '_'.",
    in_program("let 3 = q"),
    in_program("let x = q", "record x"),
)
define(
    "E031",
    "expected '=' after {before}, found {found}",
    "{mend}",
    "A declared name gets its value at once; there are no empty variables.",
    in_program("let x"),
    in_program("let x = 0", "record x"),
)
define(
    "E032",
    "expected '{{' after {before}, found {found}",
    "{mend}",
    "The body of program, fn, if, else, for, while, chat and test stands between { and }.",
    'program p(q: str) -> str\nlimit tokens = 9',
    'program p(q: str) -> str { return q }\nlimit tokens = 9',
)
define(
    "E033",
    "expected 'in' after {before}, found {found}",
    "write `for x in <list> {{ ... }}`; `range(n)` counts from 0 to n - 1",
    "A for loop goes over a list, the keys of a dict or a range.",
    in_program("for i = 3 {", "}"),
    in_program("for i in range(3) {", "}"),
)
define(
    "E034",
    "expected a parameter list after {before}, found {found}",
    "{mend}",
    "program, fn and extern fn list their parameters between parentheses, also when there are none.",
    "program p -> int { return 1 }",
    "program p() -> int { return 1 }",
)
define(
    "E035",
    "this line computes a value and drops it",
    "give it a name (`let x = ...`), return it, or remove the line",
    "Only a call may stand alone, for its effects. `x == 1` compares; `x = 1` assigns.",
    in_program("q"),
    in_program("let x = q", "record x"),
)
define(
    "E036",
    "comparisons do not chain",
    "write `a < b and b < c`",
    "`a < b < c` means different things in different languages; here it means nothing.",
    in_program("let b = 1 < 2 < 3"),
    in_program("let b = 1 < 2 and 2 < 3", "record b"),
)
define(
    "E037",
    "expected {expected}, found {found}",
    "{mend}",
    "A statement starts with a keyword (let score observe require heuristic ...), with `name =`, or is a call.",
    in_program("+ 1"),
    in_program("let x = 1", "record x"),
)
define(
    "E038",
    "`else` without an `if` before it",
    "put `else` right after the '}}' of its `if`, or check the braces above",
    "An else belongs to the block that ends directly before it.",
    in_program("else { pass }"),
    in_program('if q == "a" { pass } else { pass }'),
)
define(
    "E039",
    "expected a type after {before}, found {found}",
    "the types are str, int, float, bool, prob, logp, chat, none, list[T], dict[K, V], dist[T], (A, B), T?, A | B, \"text\", fn(A) -> B",
    "Parameters, results, constants and record fields say their types.",
    "program p(q: ) -> str { return q }",
    "program p(q: str) -> str { return q }",
)
define(
    "E040",
    "only a name can be assigned to",
    "{mend}",
    """Values never change; names can be given other values. Build the changed value and assign it as a whole:
    `xs = xs + [v]`, `d = d + {k: v}`, `r = r with { field: v }`.""",
    in_program("let xs = [1]", "xs[0] = 2"),
    in_program("let xs = [1]", "xs = [2] + xs[1:]"),
)
define(
    "E041",
    "'{word}' is not part of .scale",
    "{mend}",
    "The word is a keyword of another language; the hint says what stands for it here.",
    in_program("let x = None"),
    in_program("let x = none", "record x"),
)
define(
    "E042",
    "{what}",
    "write `scale 1` as the first line of the file",
    "The first line may say the version of the language that the file is written in. This is version 1.",
    "scale 2",
    "scale 1",
)
define(
    "E043",
    "expected {expected} after {before}, found {found}",
    'write `import "lib/steps.scale" as steps`',
    "An import names a file, relative to this one, and the name by which its declarations are used.",
    'import "lib/steps.scale"',
    'import "lib/steps.scale" as steps',
)
define(
    "E044",
    "expected {expected} after {before}, found {found}",
    '{mend}',
    """A model or reward declaration names a backend and its arguments: smollm2(), hf("..."), gguf("..."), openai("..."),
    table({...}, end="$"), reward("...").""",
    "model lm = smollm2",
    "model lm = smollm2()",
)
define(
    "E045",
    "expected {expected} after {before}, found {found}",
    "{mend}",
    "The forms are `infer p with smc(particles=16)`, `limit tokens = 20_000` and `test \"title\" of p { ... }`.",
    "infer p smc(particles=4)",
    "infer p with smc(particles=4)",
)
define(
    "E046",
    "'@' has no meaning in .scale",
    "name the engine in a line of its own: `infer p with smc(particles=16)`",
    "There are no decorators; an `infer` line, or the caller, chooses the engine.",
    "@smc\nprogram p() -> int { return 1 }",
    "program p() -> int { return 1 }\ninfer p with smc(particles=16)",
)
define(
    "E047",
    "a {place} is fixed text: it cannot contain '${{...}}'",
    "write the text out; use '\\${{' for the two characters themselves",
    "Import paths, titles of tests, literal types and descriptions are read before anything runs.",
    'import "${x}.scale" as x',
    'import "x.scale" as x',
)
define(
    "E048",
    "an argument without a name stands after one with a name",
    "put it first, or give its name: `name={value}`",
    "Arguments by position come first, then those by name.",
    in_program("let x = min(key=1, 2)"),
    in_program("let x = min(2, 1)", "record x"),
)
define(
    "E049",
    "a new name is declared with `let`",
    "write `let {name}: {type} = ...`",
    "`let name: T = value` declares; `name = value` gives a declared name another value.",
    in_program("x: int = 3"),
    in_program("let x: int = 3", "record x"),
)
define(
    "E050",
    "comments start with '#'",
    "write '# ...'",
    "A comment runs from '#' to the end of its line. There are no block comments.",
    "// a note\nconst x = 1",
    "# a note\nconst x = 1",
)
define(
    "E051",
    "expected {expected} after {before}, found {found}",
    "{mend}",
    "A dict is written {key: value, ...}; `r with { field: value }` changes a record; a chat has one turn a line.",
    in_program('let d = {"a" 1}'),
    in_program('let d = {"a": 1}', "record d"),
)
define(
    "E052",
    "a condition in the middle needs its `else`",
    "write `a if condition else b`",
    "`a if c else b` is a value; the `if` statement stands on a line of its own and has a block.",
    in_program('let x = 1 if q == "a"'),
    in_program('let x = 1 if q == "a" else 2', "record x"),
)
define(
    "E053",
    "expected {expected} after {before}, found {found}",
    "{mend}",
    "A record type lists its fields: `type Case {{ name: str, angry: bool }}`; an alias is `type Name = T`.".replace("{{", "{").replace("}}", "}"),
    "type Case { name str }",
    "type Case { name: str }",
)
define(
    "E054",
    "a lambda is written `fn(x: int) => x + 1`",
    "{mend}",
    "A function without a name has one expression after `=>`. Functions with statements are declared at the top level.",
    in_program("let f = fn(x: int) { return x }"),
    in_program("let f = fn(x: int) => x + 1", "record y = f(1)"),
)

# ---------------------------------------------------------------------------------------------- E1xx: names

define(
    "E103",
    "'{word}' is a keyword and cannot be a name",
    "choose another name, for example '{word}_'",
    """Keywords of statements and operators are never names. Words that only begin a declaration (model, reward, type,
    limit, test, ...), roles (system, user, ...) and `max` may be.""",
    in_program("let score = 1"),
    in_program("let total = 1", "record total"),
)

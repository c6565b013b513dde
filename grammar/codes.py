"""Every message of the language, once: what is said, why, an example that is wrong and one that is right.

This table feeds the messages (`diagnostics.diagnostic`), `scale explain CODE`, the documentation and the tests.
E0xx are mistakes of writing (lexer, parser), E1xx of names and imports, E2xx/E3xx of types and of the probabilistic
part, E4xx of engines and models, E5xx happen in a run; W are warnings.

`title` and `hint` are what a user reads at the place; their `{fields}` are filled in there. `wrong` and `right` are
whole files. (Longer than other files because it is one table.)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from inspect import cleandoc
from textwrap import indent


@dataclass(frozen=True, slots=True)
class Code:
    code: str
    title: str
    hint: str
    explanation: str
    wrong: str
    right: str


CODES: dict[str, Code] = {}


def define(code: str, title: str, hint: str, explanation: str, wrong: str, right: str) -> None:
    """Add an entry to the table; indentation of the long texts is removed."""
    texts = (cleandoc(text) for text in (explanation, wrong, right))
    CODES[code] = Code(code, title, hint, *texts)


def explain(code: str) -> str:
    """The page that `scale explain CODE` prints. KeyError for an unknown code."""
    entry = CODES[code]
    parts = [
        f"{entry.code}: {general(entry.title)}",
        entry.explanation,
        "Wrong:\n\n" + indent(entry.wrong, "    "),
        "Right:\n\n" + indent(entry.right, "    "),
    ]
    return "\n\n".join(parts) + "\n"


def general(template: str) -> str:
    """A title or hint without its place: the fields stand as '...'."""
    return re.sub(r"\{\w+\}", "...", template).replace("{{", "{").replace("}}", "}")


def _in_program(*lines: str) -> str:
    body = "\n".join("  " + line for line in lines)
    return f"program p(q: str) -> str {{\n{body}\n  return q\n}}"


# ------------------------------------------------------------------------------- E0xx: reading characters

define(
    "E001",
    "unexpected {found}",
    "expected {expected}",
    "The text does not follow the grammar at this place, and no more specific message fits.",
    'infer p with smc(particles=4) best_of(n=2)',
    'infer p with smc(particles=4) then best_of(n=2)',
)
define(
    "E002",
    "statements end at the end of the line",
    "remove ';'",
    "A statement ends where its line ends. There is no ';' in the language; two statements take two lines.",
    _in_program("let x = 1;"),
    _in_program("let x = 1"),
)
define(
    "E003",
    "strings are written with double quotes",
    "write {mend}",
    """Strings stand between double quotes: "...", or \"\"\"...\"\"\" over several lines. An apostrophe inside a string
    needs no escape.""",
    _in_program("let x = 'hi'"),
    _in_program('let x = "hi"'),
)
define(
    "E004",
    "this {bracket} is never closed",
    "close it with {closing}",
    """Every (, [ and { has its partner. When a '}' is missing, the block whose indentation does not fit its end is the
    one that is named; the note says where the text stops making sense.""",
    """
    program p(q: str) -> str {
      if q == "a" {
        return q
      return "b"
    }
    """,
    """
    program p(q: str) -> str {
      if q == "a" {
        return q
      }
      return "b"
    }
    """,
)
define(
    "E005",
    "this string is not closed",
    "{mend}",
    '''A string between "..." ends on its own line; use \\n inside it, or a text block """...""" for several lines.''',
    _in_program('let x = "hi'),
    _in_program('let x = "hi"'),
)
define(
    "E006",
    "this '${{' is not closed in its string",
    "close it with '}}'; write '\\${{' for the two characters themselves",
    "A hole ${...} in a string holds one expression and ends before the string does, on the same line.",
    _in_program('let x = "a ${q"'),
    _in_program('let x = "a ${q}"'),
)
define(
    "E007",
    "this is nested too deeply",
    "give an inner part a name of its own (`let part = ...`), or move it into a `fn`",
    "Brackets, blocks and chains of operators may nest a hundred deep. Programs written by people stay far below that.",
    _in_program("let x = " + "(" * 120 + "1" + ")" * 120),
    _in_program("let x = ((1))"),
)
define(
    "E008",
    "{what}",
    "{mend}",
    "Whole numbers have at most 4,096 bits (1,233 digits), decimal ones stay below 1e308. Digits may be grouped: 20_000.",
    _in_program("let x = 1e999"),
    _in_program("let x = 1e99"),
)
define(
    "E009",
    "{what}",
    "{mend}",
    """Outside of strings and comments a file consists of ASCII letters, digits, the operators of the language, blanks,
    tabs and line ends (\\n or \\r\\n).""",
    _in_program("let größe = 1"),
    _in_program("let size = 1"),
)
define(
    "E024",
    "'{escape}' is not an escape",
    "write '\\\\' for a backslash, or use a raw string r\"...\"",
    """The escapes are \\n \\t \\r \\\\ \\" \\$ and \\u{hex}. Any other backslash is an error, so that LaTeX and regular
    expressions do not change silently: r"..." takes every character as it is.""",
    _in_program(r'let x = "\frac{1}{2}"'),
    _in_program(r'let x = r"\frac{1}{2}"'),
)
define(
    "W001",
    "'{escape}' in '{word}' is an escape, not a backslash",
    "for LaTeX write r\"...\" or '\\\\'; for a line break or a tab before the word use a text block or '\\u{{a}}'",
    "\\n, \\t and \\r stand for a line break, a tab and a carriage return, also in front of 'eq', 'imes' or 'ho'.",
    _in_program(r'let x = "a \neq b"'),
    _in_program(r'let x = r"a \neq b"'),
)

# ---------------------------------------------------------------------------- E01x-E02x: other languages' habits

define(
    "E010",
    "a while loop needs a bound",
    "write `while <condition> max 20 {{ ... }}`: every loop must be finite before a model is called",
    "A loop that depends on what a model says may never end. `max n` is evaluated once, when the loop is entered.",
    """
    program p(q: str) -> int {
      let i = 0
      while i < 3 {
        i += 1
      }
      return i
    }
    """,
    """
    program p(q: str) -> int {
      let i = 0
      while i < 3 max 10 {
        i += 1
      }
      return i
    }
    """,
)
define(
    "E011",
    "observe needs the distribution that the value came from",
    "write `observe <value> from <distribution>`",
    "`observe v from D` adds log D(v) to the weight of the run.",
    _in_program("observe true, bernoulli(0.5)"),
    _in_program("observe true from bernoulli(0.5)"),
)
define(
    "E012",
    "'~' is not an operator of .scale",
    "write `let x = sample <distribution>`",
    "A random choice is a `sample`, so that a reader sees each one.",
    _in_program("x ~ bernoulli(0.5)"),
    _in_program("let x = sample bernoulli(0.5)", "record x"),
)
define(
    "E013",
    "functions are declared with `fn`",
    "write `fn name(x: int) -> int {{ ... }}`",
    "Functions stand at the top level of a file and say the types of their parameters and of their result.",
    "def f(x: int) -> int { return x }",
    "fn f(x: int) -> int { return x }",
)
define(
    "E014",
    "blocks are written with braces",
    "replace ':' by '{{' and close the block with '}}'",
    "A block stands between { and }; indentation has no meaning.",
    """
    program p(q: str) -> str {
      if q == "a":
        return "b"
      return q
    }
    """,
    """
    program p(q: str) -> str {
      if q == "a" {
        return "b"
      }
      return q
    }
    """,
)
define(
    "E015",
    "'{word}' is not a keyword",
    "write `else if`",
    "Further conditions of an `if` are written `else if`.",
    """
    program p(q: str) -> str {
      if q == "a" { return "b" }
      elif q == "c" { return "d" }
      return q
    }
    """,
    """
    program p(q: str) -> str {
      if q == "a" { return "b" }
      else if q == "c" { return "d" }
      return q
    }
    """,
)
define(
    "E016",
    ".scale files cannot import Python modules",
    "bind the function from Python and declare it here: `extern fn name(x: int) -> int`",
    'A .scale file runs nothing but itself. `import "lib/steps.scale" as steps` reads another .scale file.',
    "import numpy as np",
    "extern fn mean(xs: list[float]) -> float",
)
define(
    "E017",
    "`sample` may stand only at the start of a right-hand side, as an argument or item, or in parentheses",
    "give the choice a name first: `let x = sample ...`",
    "Every random choice is visible, so `sample` never hides in the middle of an expression.",
    _in_program("let n = 1 + sample uniform([1, 2])"),
    _in_program("let n = 1 + (sample uniform([1, 2]))", "record n"),
)
define(
    "E018",
    "'=' assigns; it does not compare",
    "write '==' to compare",
    "`x = v` is a statement that gives x another value. Inside an expression only `==` makes sense.",
    """
    program p(q: str) -> str {
      if q = "a" { return "b" }
      return q
    }
    """,
    """
    program p(q: str) -> str {
      if q == "a" { return "b" }
      return q
    }
    """,
)
define(
    "E019",
    "'{found}' is not an operator of .scale",
    "write '{mend}'",
    "The operators are + - * / // % **, == != < <= > >=, in, not in, is, and, or, not.",
    _in_program('let b = q == "a" && true'),
    _in_program('let b = q == "a" and true', "record b"),
)
define(
    "E020",
    "a parameter needs a type",
    "write `{name}: str`; the types are str, int, float, bool, prob, chat, list[T], dict[K, V], T?",
    "Parameters say their types, so that a wrong argument is found before the program runs.",
    "program p(q) -> str { return q }",
    "program p(q: str) -> str { return q }",
)
define(
    "E021",
    "a chat turn has no '{found}'",
    "write `{role} <text>`",
    "A turn of a chat is its role and a text, on a line of its own.",
    _in_program("let c = chat { user: q }"),
    _in_program("let c = chat { user q }", "record c"),
)
define(
    "E022",
    "'{role}' is not a role",
    "the roles are system, user, assistant, tool and prefill",
    "Each line of a `chat { ... }` starts with its role. `prefill` begins the answer that the model goes on with.",
    _in_program("let c = chat { human q }"),
    _in_program("let c = chat { user q }", "record c"),
)
define(
    "E023",
    "this {found} closes nothing",
    "{mend}",
    "A closing bracket has no opening one before it, or not the one of its kind.",
    _in_program("let x = (1 + 2))"),
    _in_program("let x = (1 + 2)", "record x"),
)

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
    _in_program("const limit = 3"),
    _in_program("let limit = 3", "record limit"),
)
define(
    "E027",
    "expected the end of the line after {before}, found {found}",
    "{mend}",
    "One line holds one statement. Two values side by side lack an operator between them.",
    _in_program("let x = 1 let y = 2"),
    _in_program("let x = 1", "let y = 2", "record x + y".replace("record x + y", "record total = x + y")),
)
define(
    "E028",
    "expected {expected} after {before}, found {found}",
    "{mend}",
    "Items between brackets are separated by ','.",
    _in_program("let xs = [1 2]"),
    _in_program("let xs = [1, 2]", "record xs"),
)
define(
    "E029",
    "expected {expected} after {before}, found {found}",
    "{mend}",
    "An operator, a '=' or a keyword before this place needs a value behind it.",
    _in_program("let x = 1 +"),
    _in_program("let x = 1 + 2", "record x"),
)
define(
    "E030",
    "expected a name after {before}, found {found}",
    "{mend}",
    "Names start with a letter or '_' and go on with letters, digits and '_'.",
    _in_program("let 3 = q"),
    _in_program("let x = q", "record x"),
)
define(
    "E031",
    "expected '=' after {before}, found {found}",
    "{mend}",
    "A declared name gets its value at once; there are no empty variables.",
    _in_program("let x"),
    _in_program("let x = 0", "record x"),
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
    _in_program("for i = 3 {", "}"),
    _in_program("for i in range(3) {", "}"),
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
    _in_program("q"),
    _in_program("let x = q", "record x"),
)
define(
    "E036",
    "comparisons do not chain",
    "write `a < b and b < c`",
    "`a < b < c` means different things in different languages; here it means nothing.",
    _in_program("let b = 1 < 2 < 3"),
    _in_program("let b = 1 < 2 and 2 < 3", "record b"),
)
define(
    "E037",
    "expected {expected}, found {found}",
    "{mend}",
    "A statement starts with a keyword (let score observe require heuristic ...), with `name =`, or is a call.",
    _in_program("+ 1"),
    _in_program("let x = 1", "record x"),
)
define(
    "E038",
    "`else` without an `if` before it",
    "put `else` right after the '}}' of its `if`, or check the braces above",
    "An else belongs to the block that ends directly before it.",
    _in_program("else { pass }"),
    _in_program('if q == "a" { pass } else { pass }'),
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
    _in_program("let xs = [1]", "xs[0] = 2"),
    _in_program("let xs = [1]", "xs = [2] + xs[1:]"),
)
define(
    "E041",
    "'{word}' is not part of .scale",
    "{mend}",
    "The word is a keyword of another language; the hint says what stands for it here.",
    _in_program("let x = None"),
    _in_program("let x = none", "record x"),
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
    _in_program("let x = min(key=1, 2)"),
    _in_program("let x = min(2, 1)", "record x"),
)
define(
    "E049",
    "a new name is declared with `let`",
    "write `let {name}: {type} = ...`",
    "`let name: T = value` declares; `name = value` gives a declared name another value.",
    _in_program("x: int = 3"),
    _in_program("let x: int = 3", "record x"),
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
    _in_program('let d = {"a" 1}'),
    _in_program('let d = {"a": 1}', "record d"),
)
define(
    "E052",
    "a condition in the middle needs its `else`",
    "write `a if condition else b`",
    "`a if c else b` is a value; the `if` statement stands on a line of its own and has a block.",
    _in_program('let x = 1 if q == "a"'),
    _in_program('let x = 1 if q == "a" else 2', "record x"),
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
    _in_program("let f = fn(x: int) { return x }"),
    _in_program("let f = fn(x: int) => x + 1", "record y = f(1)"),
)

# ---------------------------------------------------------------------------------------------- E1xx: names

define(
    "E103",
    "'{word}' is a keyword and cannot be a name",
    "choose another name, for example '{word}_'",
    """Keywords of statements and operators are never names. Words that only begin a declaration (model, reward, type,
    limit, test, ...), roles (system, user, ...) and `max` may be.""",
    _in_program("let score = 1"),
    _in_program("let total = 1", "record total"),
)

# The other half of the table, E1xx to E4xx and W4xx: what the checker says.
import grammar.codes_checker  # noqa: E402, F401

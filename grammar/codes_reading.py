"""E001-E024, W001: what the lexer and the parser say of characters, strings, brackets and habits from other languages."""

from __future__ import annotations

from grammar.codes_entry import define, in_program

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
    in_program("let x = 1;"),
    in_program("let x = 1"),
)
define(
    "E003",
    "strings are written with double quotes",
    "write {mend}",
    """Strings stand between double quotes: "...", or \"\"\"...\"\"\" over several lines. An apostrophe inside a string
    needs no escape.""",
    in_program("let x = 'hi'"),
    in_program('let x = "hi"'),
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
    in_program('let x = "hi'),
    in_program('let x = "hi"'),
)
define(
    "E006",
    "this '${{' is not closed in its string",
    "close it with '}}'; write '\\${{' for the two characters themselves",
    "A hole ${...} in a string holds one expression and ends before the string does, on the same line.",
    in_program('let x = "a ${q"'),
    in_program('let x = "a ${q}"'),
)
define(
    "E007",
    "this is nested too deeply",
    "give an inner part a name of its own (`let part = ...`), or move it into a `fn`",
    "Brackets, blocks and chains of operators may nest a hundred deep. Programs written by people stay far below that.",
    in_program("let x = " + "(" * 120 + "1" + ")" * 120),
    in_program("let x = ((1))"),
)
define(
    "E008",
    "{what}",
    "{mend}",
    "Whole numbers have at most 4,096 bits (1,233 digits), decimal ones stay below 1e308. Digits may be grouped: 20_000.",
    in_program("let x = 1e999"),
    in_program("let x = 1e99"),
)
define(
    "E009",
    "{what}",
    "{mend}",
    """Outside of strings and comments a file consists of ASCII letters, digits, the operators of the language, blanks,
    tabs and line ends (\\n or \\r\\n).""",
    in_program("let größe = 1"),
    in_program("let size = 1"),
)
define(
    "E024",
    "'{escape}' is not an escape",
    "write '\\\\' for a backslash, or use a raw string r\"...\"",
    """The escapes are \\n \\t \\r \\\\ \\" \\$ and \\u{hex}. Any other backslash is an error, so that LaTeX and regular
    expressions do not change silently: r"..." takes every character as it is.""",
    in_program(r'let x = "\frac{1}{2}"'),
    in_program(r'let x = r"\frac{1}{2}"'),
)
define(
    "W001",
    "'{escape}' in '{word}' is an escape, not a backslash",
    "for LaTeX write r\"...\" or '\\\\'; for a line break or a tab before the word use a text block or '\\u{{a}}'",
    "\\n, \\t and \\r stand for a line break, a tab and a carriage return, also in front of 'eq', 'imes' or 'ho'.",
    in_program(r'let x = "a \neq b"'),
    in_program(r'let x = r"a \neq b"'),
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
    in_program("observe true, bernoulli(0.5)"),
    in_program("observe true from bernoulli(0.5)"),
)
define(
    "E012",
    "'~' is not an operator of .scale",
    "write `let x = sample <distribution>`",
    "A random choice is a `sample`, so that a reader sees each one.",
    in_program("x ~ bernoulli(0.5)"),
    in_program("let x = sample bernoulli(0.5)", "record x"),
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
    in_program("let n = 1 + sample uniform([1, 2])"),
    in_program("let n = 1 + (sample uniform([1, 2]))", "record n"),
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
    in_program('let b = q == "a" && true'),
    in_program('let b = q == "a" and true', "record b"),
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
    in_program("let c = chat { user: q }"),
    in_program("let c = chat { user q }", "record c"),
)
define(
    "E022",
    "'{role}' is not a role",
    "the roles are system, user, assistant, tool and prefill",
    "Each line of a `chat { ... }` starts with its role. `prefill` begins the answer that the model goes on with.",
    in_program("let c = chat { human q }"),
    in_program("let c = chat { user q }", "record c"),
)
define(
    "E023",
    "this {found} closes nothing",
    "{mend}",
    "A closing bracket has no opening one before it, or not the one of its kind.",
    in_program("let x = (1 + 2))"),
    in_program("let x = (1 + 2)", "record x"),
)

"""Inputs that are made to be slow to read: deep, long, unclosed, repetitive.

    python tests/grammar/hard_inputs.py

prints the CPU seconds that each takes at 100 kB.
"""

from __future__ import annotations

import time

REPEATED = {
    "open parentheses": ("const a = ", "("),
    "open brackets of all kinds": ("", "([{"),
    "mismatched brackets": ("", "(]"),
    "closing braces": ("", "}"),
    "closing parentheses": ("", ")"),
    "nested holes": ("const a = ", '"${'),
    "holes of a string that is not closed": ('const a = "', "${x} "),
    "holes of a text block that is not closed": ('const a = """', "${x}\n"),
    "hole openers": ('const a = "', "${"),
    "quotes": ("", '"'),
    "apostrophes": ("", "'"),
    "triple apostrophes": ("", "'''"),
    "raw openers": ("", 'r"'),
    "raw block openers": ("", 'r"""'),
    "regex openers": ("", 're"\\'),
    "backslashes": ('const a = "', "\\"),
    "LaTeX": ('const a = "', "\\nu "),
    "blank lines": ("program p() {", "\n"),
    "CRLF": ("program p() {", "\r\n"),
    "carriage returns": ("", "\r"),
    "comments": ("program p() {\n", "#\n"),
    "slash comments": ("", "//\n"),
    "not": ("const a = ", "not "),
    "minus": ("const a = ", "-"),
    "sum": ("const a = 1", "+1"),
    "powers": ("const a = 1", "**1"),
    "comparisons": ("const a = 1", "<1"),
    "members": ("const a = b", ".c"),
    "calls": ("const a = b", "()"),
    "conditionals": ("const a = 1", " if b else 1"),
    "lambdas": ("const a = ", "fn() => "),
    "else if": ("program p() { if a {} ", "else if a {} "),
    "elif": ("", "elif "),
    "list": ("const a = [1", ",1"),
    "arguments": ("const a = f(a=1", ",a=1"),
    "types": ("const a: ", "list["),
    "unions": ('type A = "a"', '|"a"'),
    "optionals": ("type A = a", "?"),
    "function types": ("type A = ", "fn("),
    "digits": ("const a = ", "1"),
    "one long name": ("const a = ", "a"),
    "letters that are not ASCII": ("const a = ", "ö"),
    "emoji": ("", "\U0001f600"),
    "question marks": ("", "?"),
    "semicolons": ("", ";"),
    "statements that are not complete": ("program p() {\n", "let\n"),
    "brackets closed by a statement": ("program p() {\n", "let a = (\n"),
    "strings with holes that are not closed": ("", 'const A = "${"\n'),
    "programs that are not closed": ("", "program p() {\n"),
    "blocks": ("program p() {\n", "if a {\n"),
    "text block": ('const a = """\n', "  a\n"),
    "foreign constants": ("", "True "),
}


def hard_input(name: str, size: int) -> str:
    start, unit = REPEATED[name]
    return start + unit * (size // len(unit))


if __name__ == "__main__":
    from grammar.parser import read

    read("")
    for name in REPEATED:
        text = hard_input(name, 100_000)
        began = time.process_time()
        errors = read(text).errors
        seconds = time.process_time() - began
        print(f"{seconds:6.2f} s  {name}: {errors[0].code if errors else 'parses'}")

"""Rules for words and marks that mean something elsewhere: keywords of other languages, slips of spelling, `=`, `:`, `?`."""

from __future__ import annotations

import difflib

from grammar.place import (
    BLOCK_HEADS,
    COMPARISONS,
    DECLARATION_KEYWORDS,
    STARTS_OPERAND,
    STATEMENT_KEYWORDS,
    Mistake,
    Place,
)

DECLARE_OUTSIDE = {
    "const": "write `let` here, or move the line out of the block",
    "model": "move the line out of the block, to the top of the file",
    "reward": "move the line out of the block, to the top of the file",
    "import": "move the line out of the block, to the top of the file",
    "type": "move the declaration out of the block",
    "extern": "move the declaration out of the block",
    "program": "move it out of the block (is a '}' missing above?) and call it here",
    "infer": "move the line out of the block (is a '}' missing above?)",
    "limit": "move the line out of the block (is a '}' missing above?)",
    "test": "move the test out of the block (is a '}' missing above?)",
}
FOREIGN_WORDS = {
    "assert": "write `require <condition>`",
    "async": "nothing is declared async: model calls are batched by themselves",
    "await": "remove it: model calls are batched by themselves",
    "case": "write `if ... { ... } else if ... { ... }`",
    "class": "write `type Name { field: str }` for a record, at the top level",
    "condition": "write `require <condition>`",
    "del": "remove it: names live until the end of their block",
    "do": "write `while <condition> max 20 { ... }`",
    "elseif": "write `else if`",
    "enum": 'write `type Name = "a" | "b"`, at the top level',
    "factor": "write `score <log weight>`",
    "foreach": "write `for x in xs { ... }`",
    "from": 'write `import "file.scale" as name`, at the top level',
    "global": "remove it: a function sees its parameters and the file's declarations",
    "loop": "write `while true max 20 { ... }`",
    "match": "write `if ... { ... } else if ... { ... }`",
    "nonlocal": "remove it: values are passed and returned",
    "print": "write `record name = value` to keep a value in the result",
    "raise": 'write `require false else "why"`',
    "repeat": "write `for i in range(20) { ... }`",
    "struct": "write `type Name { field: str }`, at the top level",
    "switch": "write `if ... { ... } else if ... { ... }`",
    "throw": 'write `require false else "why"`',
    "try": "there are no exceptions; `require` ends a run that cannot go on",
    "unless": "write `if not ... { ... }`",
    "until": "write `while not ... max 20 { ... }`",
    "val": "write `let name = value`",
    "var": "write `let name = value`",
    "yield": "write `record name = value`, or return a list",
}


def foreign_word(p: Place) -> Mistake | None:
    """A line that starts with a keyword of another language, or with a misspelled one of ours."""
    word = str(p.head)
    if word == "import" and p.index == p.start + 1 and p.token.type in ("NAME", "FROM"):
        return p.mistake("E016")
    if p.before == "lambda":
        return p.mistake("E054", at=p.before, mend="write `fn(x: int) => ...`")
    if p.head.type == "FROM":
        return p.mistake("E041", at=p.head, word=word, mend=FOREIGN_WORDS[word])
    if p.head.type != "NAME" or p.index != p.start + 1 or p.lines not in ("block", ""):
        return None
    if word in FOREIGN_WORDS and p.token.type not in ("EQUAL", "AUGMENT", "DOT"):
        return p.mistake("E041", at=p.head, word=word, mend=FOREIGN_WORDS[word])
    if p.lines and word in DECLARE_OUTSIDE and p.token.type in ("NAME", "QUOTE", "FN"):
        return p.mistake("E026", at=p.head, word=word, mend=DECLARE_OUTSIDE[word])
    return None


def misspelled(p: Place) -> Mistake | None:
    """`retrun x`, `progam p(...)`: a name directly before something that cannot follow a name."""
    if p.head.type != "NAME" or p.index > p.start + 1 or p.lines not in ("block", ""):
        return None
    if p.index == p.start + 1 and p.token.type not in STARTS_OPERAND - {"LPAR", "LSQB", "LBRACE"} | {
        "SAMPLE",
        "CHECKPOINT",
    }:
        return None
    known = DECLARATION_KEYWORDS if not p.lines else STATEMENT_KEYWORDS
    close = difflib.get_close_matches(p.head, [kind.lower() for kind in sorted(known)], 1, 0.7)
    if not close:
        return None
    return p.mistake("E037", at=p.head, expected="a keyword", found=f"'{p.head}'", mend=f"did you mean `{close[0]}`?")


def misplaced_sample(p: Place) -> Mistake | None:
    """`sample` inside an expression: every random choice is a line of its own."""
    if p.token.type != "SAMPLE" or not (p.wants_expression or p.is_first):
        return None
    return p.mistake("E017")


def keyword_as_name(p: Place) -> Mistake | None:
    """A keyword used as a name; it is read as one, so that the rest of the line is."""
    before = p.before
    if before and p.index == p.start + 1 and p.token.type in ("EQUAL", "AUGMENT") and before.type in STATEMENT_KEYWORDS:
        return p.mistake("E103", at=before, word=str(before))
    if not p.token.isalpha() or p.token.type != p.token.upper():
        return None
    ends = {"SIGN", "TIMES", "POWER", "COMPARE", "RPAR", "RSQB", "COMMA", "DOT", "NEWLINE", "EQUAL", "COLON", "LPAR"}
    followed = p.after is not None and p.after.type in ends
    as_value = p.wants_expression and followed and p.token.type in STATEMENT_KEYWORDS and not p.is_first
    if as_value or (p.wants_name and followed and p.bracket not in ("chat", "type") and not p.is_first):
        return p.mistake("E103", word=str(p.token), instead=[("NAME", str(p.token))], drops=1)
    return None


def equal_sign(p: Place) -> Mistake | None:
    """`=` for `==`, a changed part of a value, or `role = text`."""
    if p.token.type not in ("EQUAL", "AUGMENT"):
        return None
    plain = p.head.type in STARTS_OPERAND and p.at_line_level and p.lines == "block"
    if plain and p.before and p.before.type in ("NAME", "RSQB", "RPAR") and p.index > p.start + 1:
        return p.mistake("E040", at=p.before, mend=assignment_mend(p))
    if p.bracket == "chat" and p.before and p.before.type == "NAME":
        return p.mistake("E021", found=str(p.token), role=str(p.before), instead=[], drops=1)
    if "COMPARE" in p.accepts and p.token == "=":
        return p.mistake("E018", instead=[("COMPARE", "==")], drops=1)
    return None


def assignment_mend(p: Place) -> str:
    """What to write instead of an assignment to a part of a value."""
    if p.before and p.before.type == "RSQB":
        return f"build the changed value: `{p.head} = {p.head} + ...`"
    if p.before and p.before.type == "RPAR":
        return "assign to a name: `let x = ...`; functions are declared with `fn` at the top level"
    return f"write `{p.head} = {p.head} with {{ {p.before}: ... }}`"


def colon(p: Place) -> Mistake | None:
    """`:` for `{`, for `=`, or after a role."""
    if p.token.type != "COLON":
        return None
    if p.bracket == "chat" and p.before and p.before.type == "NAME":
        return p.mistake("E021", found=":", role=str(p.before), instead=[], drops=1)
    ends_line = p.after is None or p.after.type in ("NEWLINE", *STATEMENT_KEYWORDS)
    if p.at_line_level and p.head.type in BLOCK_HEADS | {"ELSE"} and (ends_line or "LBRACE" in p.accepts):
        if "ARROW" in p.accepts and not ends_line:
            return p.mistake("E032", at=p.token, mend="a result type is written `-> T` before the '{'")
        return p.mistake("E014")
    if p.at_line_level and p.lines == "block" and p.head.type == "NAME" and p.index == p.start + 1:
        return p.mistake("E049", at=p.head, name=str(p.head), type=str(p.after))
    if p.lines == "" and p.head.type == "NAME" and ends_line:
        return p.mistake("E014")
    return None


def question_mark(p: Place) -> Mistake | None:
    """`c ? a : b` and `a | b` of other languages."""
    if p.token.type == "QUESTION" and p.wants_operator:
        return p.mistake("E019", found="?", mend="a if condition else b")
    if p.token.type == "BAR" and p.wants_operator:
        return p.mistake("E019", found="|", mend="or", instead=[("OR", "or")], drops=1)
    return None


def chained_comparison(p: Place) -> Mistake | None:
    """`a < b < c`."""
    if p.token.type in COMPARISONS and p.wants_operator and "AND" in p.accepts and "COMPARE" not in p.accepts:
        return p.mistake("E036", instead=[("AND", "and"), ("NUMBER", "1")])
    return None

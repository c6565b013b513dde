"""Rules for what is missing between two tokens, or is too much there."""

from __future__ import annotations

from difflib import get_close_matches

from grammar.place import (
    CLOSING,
    COMPARISONS,
    DECLARATION_KEYWORDS,
    STARTS_OPERAND,
    STATEMENT_KEYWORDS,
    TERMINALS,
    Mistake,
    Place,
)


def reason(p: Place) -> Mistake | None:
    """`require c else`: the reason is a text."""
    if (
        p.before
        and p.before.type == "ELSE"
        and p.head.type == "REQUIRE"
        and "QUOTE" in p.accepts
        and not p.wants_expression
    ):
        return p.mistake("E029", expected="a string", mend='write `require <condition> else "why it failed"`')
    return None


def missing_type(p: Place) -> Mistake | None:
    """A type is wanted, and something else stands there."""
    return p.mistake("E039") if p.wants_type else None


def missing_value(p: Place) -> Mistake | None:
    """`let x`, `const x: int`: '=' is what must come."""
    if p.head.type in ("LET", "CONST") and "EQUAL" in p.accepts and p.at_line_level:
        name = p.lexed.tokens[p.start + 1]
        return p.mistake("E031", mend=f"write `{p.head} {name} = <value>`")
    return None


def missing_else(p: Place) -> Mistake | None:
    """`a if c` is only half a choice."""
    if "ELSE" in p.accepts and p.wants_operator and not p.accepts & CLOSING and p.token.type in CLOSING | {"COMMA"}:
        return p.mistake("E052")
    return None


def missing_brace(p: Place) -> Mistake | None:
    """A block is not opened, or an operator is missing before what looks like one."""
    if "LBRACE" not in p.accepts or p.wants_expression:
        return None
    if p.before and p.before.type == "WITH":
        return p.mistake("E051", mend="write `record with { field: value }`")
    mend = "open the block with '{'"
    if p.token.type == "NEWLINE" and p.after and p.after.type == "LBRACE":
        mend = "put '{' at the end of this line"
    elif p.wants_operator and p.token.type in STARTS_OPERAND:
        mend = "put an operator between them, or open the block with '{'"
    return p.mistake("E032", mend=mend)


def missing_name(p: Place) -> Mistake | None:
    """Only a name can stand here."""
    if not p.wants_name:
        return None
    if p.before and p.before.type == "DOT":
        return p.mistake("E030", mend="write `value.name` or `value.method(...)`")
    if p.lines == "chat" and p.at_line_level:
        return p.mistake("E051", expected="a role", mend="write `user <text>`")
    if p.bracket == "update":
        return p.mistake("E051", mend="write `record with { field: value }`")
    word = str(p.before) if p.before and p.before.isalpha() else "it"
    return p.mistake("E030", mend=f"write a name after `{word}`")


def missing_expression(p: Place) -> Mistake | None:
    """Only a value can stand here."""
    if not p.wants_expression:
        return None
    before, token = p.before, p.token
    if before and before.type in STATEMENT_KEYWORDS | {"EXPECT", "FROM", "USING", "SAMPLE", "IN", "MAX"}:
        mend = f"write a value after `{before}`"
    elif before and before.type == "COMMA" and token.type == "COMMA":
        mend = "remove one ','"
    elif before and before.type in ("EQUAL", "COMPARE") and token.type in ("EQUAL", "COMPARE"):
        mend = "'==' compares, one '=' assigns"
    elif token.type in STATEMENT_KEYWORDS:
        mend = f"`{token}` starts a statement: give it a line of its own"
    elif token.type in ("COMMA", "COLON", "EQUAL", "DOT") or token.type in CLOSING:
        mend = f"write a value between them, or remove {p.describe(before if token.type in CLOSING else token)}"
    else:
        mend = "write a value: a name, a number, a string, a call, ..."
    return p.mistake("E029", mend=mend)


def dropped_value(p: Place) -> Mistake | None:
    """A line that is an expression and no call."""
    if not (p.lines == "block" and p.at_line_level and p.head.type in STARTS_OPERAND):
        return None
    after = p.after.type if p.after else ""
    if p.token.type == "SIGN" and after == "SIGN":
        return p.mistake("E019", found=str(p.token) * 2, mend=f"{p.head} {p.token}= 1")
    if (
        p.token.type in STARTS_OPERAND | STATEMENT_KEYWORDS | {"SAMPLE"}
        and p.before
        and p.before.type == "NAME"
        and p.index == p.start + 1
    ):
        mend = f"write `{p.head} = ...`, `let {p.head} = ...` or `{p.head}(...)`"
        return p.mistake("E037", expected=f"'=' or '(' after '{p.head}'", mend=mend)
    if (
        p.before
        and p.before.type == "RPAR"
        and p.token.type not in COMPARISONS | {"SIGN", "TIMES", "POWER", "AND", "OR", "IF"}
    ):
        return None
    return p.mistake("E035", at=p.head if p.token.type in CLOSING else p.token)


def missing_separator(p: Place) -> Mistake | None:
    """An expression is complete, and what follows neither goes on with it nor ends it."""
    if p.at_line_level or not (
        p.wants_operator or p.accepts & {"COMMA", "RPAR", "RSQB", "RBRACE", "HOLE_END", "COLON"}
    ):
        return None
    if p.bracket == "dict" or p.bracket == "update":
        return p.mistake("E051", expected="':' and a value" if "COLON" in p.accepts else p.expected(),
                         mend="write `key: value`; entries are separated by ','")  # fmt: skip
    if p.bracket == "hole":
        return p.mistake("E028", expected="'}'", mend="a hole holds one expression: `${name}`, `${f(x)}`")
    if p.token.type in STARTS_OPERAND | {"SAMPLE"}:
        mend = "put ',' between them, or an operator"
    elif p.token.type == "COLON" and p.bracket == "call":
        mend = "an argument by name is written `name=value`"
    elif p.token.type == "EQUAL":
        mend = "'==' compares; only an argument by name has '='"
    elif p.token.type in ("FOR", "IF"):
        mend = "a comprehension is written `[f(x) for x in xs if c]`, a choice `a if c else b`"
    else:
        mend = f"remove {p.describe(p.token)}, or check the brackets on this line"
    return p.mistake("E028", mend=mend)


def missing_line_end(p: Place) -> Mistake | None:
    """A statement is complete, and the line goes on."""
    if not p.at_line_level or "NEWLINE" not in p.accepts:
        return None
    if p.token.type in STATEMENT_KEYWORDS | DECLARATION_KEYWORDS:
        mend = f"start a new line before `{p.token}`"
    elif p.token.type == "COMMA":
        reason = p.head.type == "REQUIRE"
        mend = 'write `require <condition> else "why"`' if reason else "several values stand in parentheses: `(a, b)`"
    elif p.token.type == "ELSE":
        return p.mistake("E038")
    elif p.token.type == "SAMPLE":
        mend = "give the choice a line of its own: `let x = sample ...`"
    elif p.token.type == "NAME" and p.before and get_close_matches(p.before, ["sample"], 1, 0.7):
        mend = "did you mean `sample`?"
    elif p.token.type in STARTS_OPERAND and p.wants_operator:
        mend = "put an operator between them, or start a new line"
    else:
        mend = f"remove {p.describe(p.token)}, or start a new line"
    return p.mistake("E027", mend=mend)


def missing_operator(p: Place) -> Mistake | None:
    """Two values stand side by side."""
    if not p.wants_operator:
        return None
    words = [word for kind, word in TERMINALS.items() if kind in p.accepts & {"ELSE", "MAX", "FROM", "LBRACE", "ARROW"}]
    expected = " or ".join(["an operator", *(f"'{word}'" for word in words)])
    return p.mistake("E028", expected=expected, mend=f"put an operator between them, or remove {p.describe(p.token)}")

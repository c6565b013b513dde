"""From "this token does not fit" to what the writer did and should write instead.

`explain_mistake` tries rules from the most telling to the most general. A rule looks at a `Place` (the token, the one
before, the statement and the bracket around it, what the grammar would accept) and returns a `Mistake` or None. A
mistake may be mended: tokens to read instead, so that the rest of the statement is still checked.

(Longer than other files because it is one list of rules.)
"""

from __future__ import annotations

import difflib
from collections.abc import Callable

from grammar.diagnostics import Source
from grammar.lexer import Lexed
from grammar.place import (
    BLOCK_HEADS,
    CLOSING,
    COMPARISONS,
    DECLARATION_KEYWORDS,
    STARTS_OPERAND,
    STATEMENT_KEYWORDS,
    TERMINALS,
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
FORMS = {
    "IMPORT": ("E043", ""),
    "MODEL": ("E044", 'write `model name = smollm2()`, `hf("...")`, `gguf("...")`, `openai("...")` or `table({...}, end="$")`'),
    "REWARD": ("E044", 'write `reward name = reward("judge:smollm2")`'),
    "INFER": ("E045", "write `infer <program> with smc(particles=16)`"),
    "LIMIT": ("E045", "write `limit tokens = 20_000, seconds = 60`"),
    "TEST": ("E045", 'write `test "title" of <program> { given question = "..." expect ... }`, one line for each'),
    "GIVEN": ("E045", "write `given <parameter> = <value>`"),
    "REPLY": ("E045", 'write `reply re"pattern" -> "text"`'),
    "EXPECT": ("E045", "write `expect <condition>`"),
    "WITH": ("E045", "write `with smc(particles=4)`"),
    "TYPE": ("E053", "write `type Name = T`, or `type Name { field: T }` with one field a line"),
}
"""Declarations whose every mistake is answered with their form."""


def explain_mistake(source: Source, lexed: Lexed, index: int, accepts: set[str]) -> Mistake:
    """What is wrong at token `index`, before which the grammar would accept only `accepts`."""
    place = Place(source, lexed, index, accepts)
    for rule in RULES:
        found = rule(place)
        if found:
            return found
    return place.mistake("E001")


# ------------------------------------------------------------------------------------------------ words and marks


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
    if p.index == p.start + 1 and p.token.type not in STARTS_OPERAND - {"LPAR", "LSQB", "LBRACE"} | {"SAMPLE", "CHECKPOINT"}:
        return None
    known = DECLARATION_KEYWORDS if not p.lines else STATEMENT_KEYWORDS
    close = difflib.get_close_matches(p.head, [kind.lower() for kind in sorted(known)], 1, 0.7)
    if not close:
        return None
    return p.mistake("E037", at=p.head, expected="a keyword", found=f"'{p.head}'", mend=f"did you mean `{close[0]}`?")


def misplaced_sample(p: Place) -> Mistake | None:
    if p.token.type != "SAMPLE" or not (p.wants_expression or p.is_first):
        return None
    return p.mistake("E017")


def keyword_as_name(p: Place) -> Mistake | None:
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
    if p.before and p.before.type == "RSQB":
        return f"build the changed value: `{p.head} = {p.head} + ...`"
    if p.before and p.before.type == "RPAR":
        return "assign to a name: `let x = ...`; functions are declared with `fn` at the top level"
    return f"write `{p.head} = {p.head} with {{ {p.before}: ... }}`"


def colon(p: Place) -> Mistake | None:
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
    if p.token.type == "QUESTION" and p.wants_operator:
        return p.mistake("E019", found="?", mend="a if condition else b")
    if p.token.type == "BAR" and p.wants_operator:
        return p.mistake("E019", found="|", mend="or", instead=[("OR", "or")], drops=1)
    return None


def chained_comparison(p: Place) -> Mistake | None:
    if p.token.type in COMPARISONS and p.wants_operator and "AND" in p.accepts and "COMPARE" not in p.accepts:
        return p.mistake("E036", instead=[("AND", "and"), ("NUMBER", "1")])
    return None


# ------------------------------------------------------------------------------------------------- forms of lines


def line_start(p: Place) -> Mistake | None:
    """Something that no statement, declaration or line of a block starts with."""
    if not p.is_first:
        return None
    found = p.describe(p.token)
    if p.lines == "chat":
        return p.mistake("E051", expected="a role", mend="write `user <text>`; the roles are system, user, assistant, tool and prefill")
    if p.lines == "type":
        return p.mistake("E053", expected="a field", mend="write `name: T`, one field a line")
    if p.lines == "test":
        return p.mistake("E045", expected="given, with, reply or expect", mend="write `given x = ...`, `with smc(...)`, `reply ... -> ...` or `expect ...`")
    if p.token.type == "ELSE":
        return p.mistake("E038") if p.lines else p.mistake("E025", mend="check the braces above: a '}' seems to close too early")
    if p.lines == "block":
        mend = "a statement starts with a keyword (let, score, observe, require, ...), with `name =`, or is a call"
        if p.before and p.before.type == "LBRACE" and p.token.type == "COLON":
            mend = "remove ':'"
        return p.mistake("E037", expected="a statement", found=found, mend=mend)
    if p.token.type in STATEMENT_KEYWORDS:
        mend = "write `const name = value`" if p.token.type == "LET" else "move it into a program or fn"
        return p.mistake("E025", mend=mend + ", or check whether a '}' above closes too early")
    if p.token.type == "NAME" and p.after and p.after.type in ("EQUAL", "LPAR", "DOT", "AUGMENT", "LSQB"):
        mend = "write `const name = value`" if p.after.type == "EQUAL" else "move it into a program or fn"
        return p.mistake("E025", mend=mend + ", or check whether a '}' above closes too early")
    mend = "a declaration starts with import, model, reward, extern, type, const, fn, program, infer, limit or test"
    return p.mistake("E037", expected="a declaration", found=found, mend=mend)


def loop_bound(p: Place) -> Mistake | None:
    if p.head.type == "WHILE" and "MAX" in p.accepts and p.at_line_level and p.token.type in ("LBRACE", "NEWLINE", "COLON"):
        instead = [("MAX", "max"), ("NUMBER", "20")] if p.token.type == "LBRACE" else None
        return p.mistake("E010", instead=instead)
    return None


def observed_from(p: Place) -> Mistake | None:
    if p.head.type == "OBSERVE" and "FROM" in p.accepts and p.at_line_level and not p.later("FROM"):
        return p.mistake("E011")
    return None


def loop_in(p: Place) -> Mistake | None:
    if "IN" in p.accepts and "COMPARE" not in p.accepts:
        if p.before and p.before.type == "NOT":
            return p.mistake("E029", expected="'in'", mend="write `x not in xs`; a negation stands in front: `not x`")
        return p.mistake("E033")
    return None


def parameter(p: Place) -> Mistake | None:
    if p.bracket != "params" or not p.before:
        return None
    if "COLON" in p.accepts and p.before.type == "NAME":
        if p.token.type in ("COMMA", "RPAR", "EQUAL"):
            return p.mistake("E020", at=p.before, name=str(p.before), instead=[("COLON", ":"), ("NAME", "str")])
        return p.mistake("E020", at=p.before, name=str(p.before))
    if p.wants_name:
        return p.mistake("E030", mend="write `name: type`; parameters are separated by ','")
    return None


def declaration_form(p: Place) -> Mistake | None:
    """Declarations that are short enough to show their whole form, unless the mistake is in an expression."""
    if p.head.type not in FORMS or p.wants_expression or (p.wants_operator and not p.at_line_level):
        return None
    if p.lines == "type" or (p.bracket == "params" or p.lines == "block"):
        return None
    code, mend = FORMS[p.head.type]
    if p.wants_operator and p.head.type not in ("REPLY", "LIMIT"):
        return None
    return p.mistake(code, mend=mend)


def version_line(p: Place) -> Mistake | None:
    if p.head.type != "SCALE":
        return None
    return p.mistake("E042", at=p.head, what="the version line is not complete" if p.token.type == "NEWLINE" else "the version line has too much")


def field_form(p: Place) -> Mistake | None:
    if p.lines != "type" or not p.at_line_level:
        return None
    return p.mistake("E053", mend='write `name: T`, `name: T = default` or `name: T "what it means"`, one field a line')


def nested_function(p: Place) -> Mistake | None:
    if p.is_first and p.token.type == "FN" and p.lines == "block":
        mend = "move the function out of the block, or write `let f = fn(x: int) => ...`"
        return p.mistake("E026", word="fn", mend=mend)
    return None


def lambda_form(p: Place) -> Mistake | None:
    if "FATARROW" in p.accepts and p.bracket != "params":
        return p.mistake("E054", mend="write '=>' and one expression after the parameters")
    return None


def function_header(p: Place) -> Mistake | None:
    header = p.head.type in ("FN", "PROGRAM", "EXTERN", "PURE", "IMPURE") and p.lines == ""
    if not header or not p.at_line_level:
        return None
    if p.accepts & {"FN", "EXTERN"} and not p.wants_type:
        return p.mistake("E029", mend="write `extern fn name(x: int) -> int`")
    if p.wants_name:
        return p.mistake("E030", mend=f"write `{p.head} name(x: int) -> int {{ ... }}`")
    if "LPAR" in p.accepts and "ARROW" not in p.accepts and not p.wants_type:
        return p.mistake("E034", mend=f"write `{p.before}()` if it has none")
    if "ARROW" in p.accepts and "LBRACE" not in p.accepts:
        return p.mistake("E039", expected="'->' and the type of the result")
    return None


# --------------------------------------------------------------------------------------------------- what is missing


def reason(p: Place) -> Mistake | None:
    if p.before and p.before.type == "ELSE" and p.head.type == "REQUIRE" and "QUOTE" in p.accepts and not p.wants_expression:
        return p.mistake("E029", expected="a string", mend='write `require <condition> else "why it failed"`')
    return None


def missing_type(p: Place) -> Mistake | None:
    return p.mistake("E039") if p.wants_type else None


def missing_value(p: Place) -> Mistake | None:
    """`let x`, `const x: int`: '=' is what must come."""
    if p.head.type in ("LET", "CONST") and "EQUAL" in p.accepts and p.at_line_level:
        name = p.lexed.tokens[p.start + 1]
        return p.mistake("E031", mend=f"write `{p.head} {name} = <value>`")
    return None


def missing_else(p: Place) -> Mistake | None:
    if "ELSE" in p.accepts and p.wants_operator and not p.accepts & CLOSING and p.token.type in CLOSING | {"COMMA"}:
        return p.mistake("E052")
    return None


def missing_brace(p: Place) -> Mistake | None:
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


# -------------------------------------------------------------------------------------------------- what is too much


def dropped_value(p: Place) -> Mistake | None:
    """A line that is an expression and no call."""
    if not (p.lines == "block" and p.at_line_level and p.head.type in STARTS_OPERAND):
        return None
    after = p.after.type if p.after else ""
    if p.token.type == "SIGN" and after == "SIGN":
        return p.mistake("E019", found=str(p.token) * 2, mend=f"{p.head} {p.token}= 1")
    if p.token.type in STARTS_OPERAND | STATEMENT_KEYWORDS | {"SAMPLE"} and p.before and p.before.type == "NAME" and p.index == p.start + 1:
        mend = f"write `{p.head} = ...`, `let {p.head} = ...` or `{p.head}(...)`"
        return p.mistake("E037", expected=f"'=' or '(' after '{p.head}'", mend=mend)
    if p.before and p.before.type == "RPAR" and p.token.type not in COMPARISONS | {"SIGN", "TIMES", "POWER", "AND", "OR", "IF"}:
        return None
    return p.mistake("E035", at=p.head if p.token.type in CLOSING else p.token)


def missing_separator(p: Place) -> Mistake | None:
    """An expression is complete, and what follows neither goes on with it nor ends it."""
    if p.at_line_level or not (p.wants_operator or p.accepts & {"COMMA", "RPAR", "RSQB", "RBRACE", "HOLE_END", "COLON"}):
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
    if not p.at_line_level or "NEWLINE" not in p.accepts:
        return None
    if p.token.type in STATEMENT_KEYWORDS | DECLARATION_KEYWORDS:
        mend = f"start a new line before `{p.token}`"
    elif p.token.type == "COMMA":
        mend = "several values stand in parentheses: `(a, b)`"
    elif p.token.type == "ELSE":
        return p.mistake("E038")
    elif p.token.type == "SAMPLE":
        mend = "give the choice a line of its own: `let x = sample ...`"
    elif p.token.type in STARTS_OPERAND and p.wants_operator:
        mend = "put an operator between them, or start a new line"
    else:
        mend = f"remove {p.describe(p.token)}, or start a new line"
    return p.mistake("E027", mend=mend)


def missing_operator(p: Place) -> Mistake | None:
    if not p.wants_operator:
        return None
    words = [word for kind, word in TERMINALS.items() if kind in p.accepts & {"ELSE", "MAX", "FROM", "LBRACE", "ARROW"}]
    expected = " or ".join(["an operator", *(f"'{word}'" for word in words)])
    return p.mistake("E028", expected=expected, mend=f"put an operator between them, or remove {p.describe(p.token)}")


RULES: list[Callable[[Place], Mistake | None]] = [
    foreign_word, misspelled, nested_function, misplaced_sample, keyword_as_name, colon, equal_sign, question_mark,
    version_line, line_start, loop_bound, observed_from, loop_in, parameter, dropped_value, chained_comparison,
    function_header, lambda_form, reason, missing_type, missing_value, missing_else, declaration_form, field_form, missing_brace,
    missing_name, missing_expression, missing_separator, missing_line_end, missing_operator,
]  # fmt: skip

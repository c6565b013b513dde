"""Rules for lines that begin rightly and go on wrongly: loops, parameters, declarations, headers of functions."""

from __future__ import annotations

from grammar.place import STATEMENT_KEYWORDS, Mistake, Place

FORMS = {
    "IMPORT": ("E043", ""),
    "MODEL": (
        "E044",
        'write `model name = smollm2()`, `hf("...")`, `gguf("...")`, `openai("...")` or `table({...}, end="$")`',
    ),
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


def line_start(p: Place) -> Mistake | None:
    """Something that no statement, declaration or line of a block starts with."""
    if not p.is_first:
        return None
    found = p.describe(p.token)
    if p.lines == "chat":
        return p.mistake(
            "E051",
            expected="a role",
            mend="write `user <text>`; the roles are system, user, assistant, tool and prefill",
        )
    if p.lines == "type":
        return p.mistake("E053", expected="a field", mend="write `name: T`, one field a line")
    if p.lines == "test":
        return p.mistake(
            "E045",
            expected="given, with, reply or expect",
            mend="write `given x = ...`, `with smc(...)`, `reply ... -> ...` or `expect ...`",
        )
    if p.token.type == "ELSE":
        return (
            p.mistake("E038")
            if p.lines
            else p.mistake("E025", mend="check the braces above: a '}' seems to close too early")
        )
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
    """`while c` without `max n`; the bound is supplied, so that the block is still read."""
    if (
        p.head.type == "WHILE"
        and "MAX" in p.accepts
        and p.at_line_level
        and p.token.type in ("LBRACE", "NEWLINE", "COLON")
    ):
        instead = [("MAX", "max"), ("NUMBER", "20")] if p.token.type == "LBRACE" else None
        return p.mistake("E010", instead=instead)
    return None


def observed_from(p: Place) -> Mistake | None:
    """`observe v` without `from D`."""
    if p.head.type == "OBSERVE" and "FROM" in p.accepts and p.at_line_level and not p.later("FROM"):
        return p.mistake("E011")
    return None


def loop_in(p: Place) -> Mistake | None:
    """`for x` without `in`, or `not` without it in a comparison."""
    if "IN" in p.accepts and "COMPARE" not in p.accepts:
        if p.before and p.before.type == "NOT":
            return p.mistake("E029", expected="'in'", mend="write `x not in xs`; a negation stands in front: `not x`")
        return p.mistake("E033")
    return None


def parameter(p: Place) -> Mistake | None:
    """A parameter without a type, or none where one must come."""
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
    """`scale N` with more or less than its number."""
    if p.head.type != "SCALE":
        return None
    return p.mistake(
        "E042",
        at=p.head,
        what="the version line is not complete" if p.token.type == "NEWLINE" else "the version line has too much",
    )


def field_form(p: Place) -> Mistake | None:
    """A field of a record type that is not `name: T`."""
    if p.lines != "type" or not p.at_line_level:
        return None
    return p.mistake("E053", mend='write `name: T`, `name: T = default` or `name: T "what it means"`, one field a line')


def nested_function(p: Place) -> Mistake | None:
    """`fn` as a statement: functions stand at the top level."""
    if p.is_first and p.token.type == "FN" and p.lines == "block":
        mend = "move the function out of the block, or write `let f = fn(x: int) => ...`"
        return p.mistake("E026", word="fn", mend=mend)
    return None


def lambda_form(p: Place) -> Mistake | None:
    """`fn(x: T)` without `=> e`."""
    if "FATARROW" in p.accepts and p.bracket != "params":
        return p.mistake("E054", mend="write '=>' and one expression after the parameters")
    return None


def function_header(p: Place) -> Mistake | None:
    """`fn name(x: T) -> T {` with a part missing."""
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

"""From "this token does not fit" to what the writer did and should write instead.

`explain_mistake` tries rules from the most telling to the most general. A rule looks at a `Place` (the token, the one
before, the statement and the bracket around it, what the grammar would accept) and returns a `Mistake` or None. A
mistake may be mended: tokens to read instead, so that the rest of the statement is still checked.
"""

from __future__ import annotations

from collections.abc import Callable

from grammar.diagnostics import Source
from grammar.lexer import Lexed
from grammar.mistakes_gaps import (
    dropped_value,
    missing_brace,
    missing_else,
    missing_expression,
    missing_line_end,
    missing_name,
    missing_operator,
    missing_separator,
    missing_type,
    missing_value,
    reason,
)
from grammar.mistakes_lines import (
    declaration_form,
    field_form,
    function_header,
    lambda_form,
    line_start,
    loop_bound,
    loop_in,
    nested_function,
    observed_from,
    parameter,
    version_line,
)
from grammar.mistakes_words import (
    chained_comparison,
    colon,
    equal_sign,
    foreign_word,
    keyword_as_name,
    misplaced_sample,
    misspelled,
    question_mark,
)
from grammar.place import Mistake, Place


def explain_mistake(source: Source, lexed: Lexed, index: int, accepts: set[str]) -> Mistake:
    """What is wrong at token `index`, before which the grammar would accept only `accepts`."""
    place = Place(source, lexed, index, accepts)
    for rule in RULES:
        found = rule(place)
        if found:
            return found
    return place.mistake("E001")


RULES: list[Callable[[Place], Mistake | None]] = [
    foreign_word, misspelled, nested_function, misplaced_sample, keyword_as_name, colon, equal_sign, question_mark,
    version_line, line_start, loop_bound, observed_from, loop_in, parameter, dropped_value, chained_comparison,
    function_header, lambda_form, reason, missing_type, missing_value, missing_else, declaration_form, field_form, missing_brace,
    missing_name, missing_expression, missing_separator, missing_line_end, missing_operator,
]  # fmt: skip

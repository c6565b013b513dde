"""What the lexer knows of terminals and words beyond their spelling."""

from __future__ import annotations

CLOSERS = {"LPAR": "RPAR", "LSQB": "RSQB", "LBRACE": "RBRACE", "HOLE": "HOLE_END", "QUOTE": "QUOTE_END"}
SPELLED = {"RPAR": ")", "RSQB": "]", "RBRACE": "}", "HOLE_END": "}"}

ENDS_OPERAND = {
    "NAME", "NUMBER", "REGEX", "RAW", "QUOTE_END", "RPAR", "RSQB", "RBRACE", "HOLE_END", "TRUE", "FALSE", "NONE", "QUESTION",
}  # fmt: skip
GOES_ON = {
    "LPAR", "LSQB", "LBRACE", "HOLE", "COMMA", "AUGMENT", "EQUAL", "COMPARE", "SIGN", "TIMES", "POWER", "OR", "AND", "NOT", "IN",
    "IS", "FROM", "USING", "SAMPLE", "COLON", "BAR", "ARROW", "FATARROW", "IF", "ELSE", "THEN", "DOT",
}  # fmt: skip
"""After these a statement goes on in the next line."""

DECLARATIONS = {"scale", "import", "model", "reward", "pure", "impure", "extern", "type", "const", "program", "infer", "limit", "test"}  # fmt: skip
TEST_WORDS = {"given", "reply", "expect"}
AFTER = {"as": "IMPORT", "of": "TEST", "then": "INFER", "max": "WHILE"}
"""Soft keywords: only behind a value in a line that starts with ..."""

OPERATORS = {"&&": "and", "&": "and", "||": "or", "!": "not", "===": "==", "!==": "!=", "<>": "!=", "^": "**", ":=": "=", "~": "="}  # fmt: skip
OPERATOR_TYPES = {"and": "AND", "or": "OR", "not": "NOT", "**": "POWER", "=": "EQUAL", "==": "COMPARE", "!=": "COMPARE"}
CONSTANTS = {"True": "true", "False": "false", "None": "none", "null": "none", "nil": "none", "undefined": "none"}
ELSE_IF = {"elif", "elsif", "elseif"}
FUNCTION = {"def", "function", "func", "fun"}
ODD_CHARACTERS = {
    "\\": "a line goes on by itself inside brackets and after an operator; '\\' stands only in strings",
    "$": "'$' stands only in strings: \"${name}\"",
    "`": "strings stand between double quotes: \"...\"",
    "\u00a0": "this is a non-breaking space; type an ordinary one",
}

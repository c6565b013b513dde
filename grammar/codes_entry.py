"""How an entry of the table of messages is written down. The entries stand in the files `codes_*.py`, by their numbers.

`title` and `hint` are what a user reads at the place; their `{fields}` are filled in there. `wrong` and `right` are
whole files.
"""

from __future__ import annotations

from dataclasses import dataclass
from inspect import cleandoc


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


def in_program(*lines: str) -> str:
    """A program with these statements, as an example."""
    return "program p(q: str) -> str {\n" + "".join(f"  {line}\n" for line in lines) + "  return q\n}"


def with_model(*lines: str, model: str = 'model lm = hf("m")') -> str:
    """The same, of a file that declares a model `lm`."""
    return f"{model}\n{in_program(*lines)}"


PRM = 'reward prm = reward("judge:smollm2")'

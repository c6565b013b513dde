"""Every message of the language, once: what is said, why, an example that is wrong and one that is right.

This table feeds the messages (`diagnostics.diagnostic`), `scale explain CODE`, the documentation and the tests.
E0xx are mistakes of writing (lexer, parser), E1xx of names and imports, E2xx/E3xx of types and of the probabilistic
part, E4xx of engines and models, E5xx happen in a run; W are warnings.
"""

from __future__ import annotations

import re
from textwrap import indent

from grammar import codes_inference as codes_inference
from grammar import codes_machine as codes_machine
from grammar import codes_names as codes_names
from grammar import codes_reading as codes_reading
from grammar import codes_statements as codes_statements
from grammar import codes_types as codes_types
from grammar.codes_entry import CODES as CODES


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

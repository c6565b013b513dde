"""How the API reference reads our source: docstrings keep their aligned columns, engines show their options."""

import re
from typing import Any

import griffe

COLUMNS = re.compile(r"^\s*\S.*?\S {2,}\S|^ {2,}\S")


def laid_out(text: str) -> str:
    """The docstring as Markdown: a paragraph in which a line has columns or is indented becomes a block of text."""
    paragraphs = []
    for paragraph in re.split(r"\n\s*\n", text):
        if any(COLUMNS.search(line) for line in paragraph.splitlines()):
            paragraph = f"```text\n{paragraph}\n```"
        paragraphs.append(paragraph)
    return "\n\n".join(paragraphs)


def options_of(engine: griffe.Class) -> griffe.Function:
    """The `__init__` that `@engine` makes: one parameter per annotated field."""
    fields = [a for a in engine.attributes.values() if a.annotation is not None]
    keyword = griffe.ParameterKind.positional_or_keyword
    parameters = [griffe.Parameter(a.name, annotation=a.annotation, kind=keyword, default=a.value) for a in fields]
    own = griffe.Parameter("self", kind=keyword)
    return griffe.Function("__init__", parameters=griffe.Parameters(own, *parameters))


class Columns(griffe.Extension):
    """Lays out every docstring that has been collected, and gives engines their signature."""

    def on_object(self, *, obj: Any, **_: Any) -> None:
        if obj.docstring:
            obj.docstring.value = laid_out(obj.docstring.value)

    def on_class(self, *, cls: Any, **_: Any) -> None:
        if any(str(decorator.value) == "engine" for decorator in cls.decorators):
            cls.set_member("__init__", options_of(cls))

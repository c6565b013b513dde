"""The JSON schema of a type: what `json(Type)` constrains a model to."""

from __future__ import annotations

import json
from typing import Any

from grammar.types import (
    BOOL,
    FLOAT,
    INT,
    NONE,
    PROB,
    STR,
    DictOf,
    ListOf,
    Literal,
    RecordType,
    TupleOf,
    Type,
    Union,
)


def json_schema(kind: Type) -> str:
    """As JSON text; records are definitions, so that they may contain themselves."""
    definitions: dict[str, Any] = {}
    schema = _schema(kind, definitions)
    return json.dumps({**schema, **({"$defs": definitions} if definitions else {})})


_BASIC: dict[Type, dict[str, Any]] = {
    INT: {"type": "integer"}, FLOAT: {"type": "number"}, PROB: {"type": "number", "minimum": 0, "maximum": 1},
    BOOL: {"type": "boolean"}, STR: {"type": "string"}, NONE: {"type": "null"},
}  # fmt: skip


def _schema(kind: Type, definitions: dict[str, Any]) -> dict[str, Any]:
    match kind:
        case Literal(text):
            return {"const": text}
        case ListOf(item):
            return {"type": "array", "items": _schema(item, definitions)}
        case DictOf(_, value):
            return {"type": "object", "additionalProperties": _schema(value, definitions)}
        case TupleOf(items):
            prefix = [_schema(item, definitions) for item in items]
            return {"type": "array", "prefixItems": prefix, "items": False, "minItems": len(prefix)}
        case RecordType():
            return _record(kind, definitions)
        case Union():
            return _union(kind, definitions)
    return _BASIC[kind]


def _union(kind: Union, definitions: dict[str, Any]) -> dict[str, Any]:
    if all(isinstance(option, Literal) for option in kind.options):
        return {"enum": [option.value for option in kind.options if isinstance(option, Literal)]}
    return {"anyOf": [_schema(option, definitions) for option in kind.options]}


def _record(kind: RecordType, definitions: dict[str, Any]) -> dict[str, Any]:
    if kind.name not in definitions:
        definitions[kind.name] = {}
        properties = {
            f.name: {**_schema(f.type, definitions), **({"description": f.doc} if f.doc else {})}
            for f in kind.fields.values()
        }
        definitions[kind.name] = {
            "type": "object", "properties": properties, "required": list(properties),
            "additionalProperties": False,
        }  # fmt: skip
    return {"$ref": f"#/$defs/{kind.name}"}

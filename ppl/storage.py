"""Results as plain data: JSON files, pandas, arviz.

The JSON holds no code: values of sites and results are written as JSON where they are JSON, tuples and sets with a
tag, anything else by its repr (and read back as that string).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ppl.cost import Cost
from ppl.errors import ResultError
from ppl.trace import Node, Trace

if TYPE_CHECKING:
    from ppl.results import Result

R = TypeVar("R", bound="Result")
Code = Callable[[Any], Any]
FORMAT = "scale-ppl result 1"


def encode(value: Any) -> Any:
    """A value as JSON data."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$float": repr(value)}
    if isinstance(value, (list, tuple, set, frozenset)):
        items = [encode(v) for v in value]
        return items if isinstance(value, list) else {f"${type(value).__name__}": items}
    if isinstance(value, Mapping):
        return {"$dict": [[encode(k), encode(value[k])] for k in value]}
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        return encode(value.item())
    if hasattr(value, "tolist"):
        return encode(value.tolist())
    return {"$repr": repr(value)}


_DECODERS: dict[str, Any] = {
    "$float": float,
    "$tuple": lambda items: tuple(map(decode, items)),
    "$set": lambda items: set(map(decode, items)),
    "$frozenset": lambda items: frozenset(map(decode, items)),
    "$dict": lambda pairs: {decode(k): decode(v) for k, v in pairs},
    "$repr": str,
}


def decode(data: Any) -> Any:
    """The value that `encode` made this of; what it could not write comes back as its repr."""
    if isinstance(data, list):
        return [decode(v) for v in data]
    if isinstance(data, dict):
        ((tag, inner),) = data.items()
        return _DECODERS[tag](inner)
    return data


def _trace_data(trace: Trace, encode: Code) -> dict[str, Any]:
    return {
        "value": encode(trace.value),
        "status": trace.status,
        "reason": trace.reason,
        "log_weight": encode(trace.log_weight),
        "log_total": encode(trace.log_total),
        "sites": [
            [n.name, n.index, *map(encode, (n.value, n.log_prob, n.log_q, n.log_weight))]
            for n in trace.nodes
            if n.kind == "sample"
        ],
        "records": [[n.name, n.index, encode(n.value)] for n in trace.nodes if n.kind == "record"],
    }


def _trace(data: dict[str, Any], decode: Code) -> Trace:
    leaf = Node(None, "start", "")
    for name, index, *site in data["sites"]:
        value, log_prob, log_q, log_weight = map(decode, site)
        leaf = Node(leaf, "sample", name, index, value, log_weight, log_prob=log_prob, log_q=log_q)
    for name, index, value in data["records"]:
        leaf = Node(leaf, "record", name, index, decode(value))
    log_total = decode(data["log_total"])
    leaf = Node(leaf, "score", "scores", log_weight=log_total - leaf.log_total)
    leaf.log_total = log_total  # to the bit
    return Trace(
        leaf, decode(data["value"]), data["status"], log_weight=decode(data["log_weight"]), reason=data["reason"]
    )


def pack(result: Result, encode: Code = lambda value: value) -> dict[str, Any]:
    """A result without its program, models and distributions; its values go through `encode`."""
    return {
        "format": FORMAT,
        "kind": result.kind,
        "program": result.program,
        "engine": result.engine,
        "engine_source": result.engine_source,
        "seed": encode(result.seed),
        "stopped": result.stopped,
        "no_evidence": result.no_evidence,
        "inexact_query": result.inexact_query,
        "warnings": result.warnings,
        "reasons": dict(result.reasons),
        "cost": result.cost.as_dict(),
        "ess_steps": result.ess_steps,
        "log_evidence_error": encode(result.log_evidence_error),
        "traces": [_trace_data(t, encode) for t in result.traces],
    }


def unpack(cls: type[R], data: dict[str, Any], decode: Code = lambda value: value) -> R:
    """The result that `pack` made this of; its traces have choices, records, and the rest of their weight as one score."""
    result = cls(
        [_trace(t, decode) for t in data["traces"]], engine=data["engine"], program=data["program"],
        seed=decode(data["seed"]), cost=Cost(**data["cost"]), stopped=data["stopped"], no_evidence=data["no_evidence"],
    )  # fmt: skip
    result.warnings = data["warnings"]
    result.inexact_query = data.get("inexact_query")
    result.engine_source = data["engine_source"]
    result.ess_steps = data.get("ess_steps", [])
    result.log_evidence_error = decode(data.get("log_evidence_error"))
    result.reasons.update(data["reasons"])
    return result


def save(result: Result, path: Path) -> Path:
    """Write a result as JSON; see `Result.save`."""
    path.write_text(json.dumps(pack(result, encode), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return path


def load(cls: type[R], path: Path) -> R:
    """Read a saved result. ResultError for a file that is none, is damaged, or holds the other kind."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, UnicodeDecodeError) as error:
        raise ResultError(f"{path} is not a saved result: {error}") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ResultError(f"{path} is not a saved result ({FORMAT!r} expected)")
    if data.get("kind") != cls.kind:
        raise ResultError(f"{path} holds a {data.get('kind')} result; {cls.__name__}.load reads {cls.kind} results")
    try:
        return unpack(cls, data, decode)
    except (KeyError, TypeError, ValueError) as error:
        raise ResultError(f"{path} is a damaged result: {error!r}") from None


def to_pandas(result: Result) -> Any:
    """One row per finished trace: value, weight, log_weight, a column per site and per record."""
    import pandas

    rows = []
    for trace, weight in zip(result.finished, result.weights, strict=True):
        row = {"value": trace.value, "weight": float(weight), "log_weight": trace.log_weight}
        _add(row, trace.choices, "site")
        _add(row, trace.records, "record")
        rows.append(row)
    return pandas.DataFrame(rows, columns=None if rows else ["value", "weight", "log_weight"])


def _add(row: dict[str, Any], columns: Mapping[str, Any], kind: str) -> None:
    """More columns; one whose name is taken says what it is."""
    taken = set(row)
    row.update({f"{name} ({kind})" if name in taken else name: value for name, value in columns.items()})


def to_arviz(result: Result) -> Any:
    """Numeric sites and values, one draw per trace, resampled by weight to equal ones; see `Posterior.to_arviz`."""
    import arviz

    traces, weights = result.finished, result.weights
    if not traces:
        raise ResultError("an empty posterior has nothing for arviz")
    picks = np.searchsorted(np.cumsum(weights), (np.arange(len(traces)) + 0.5) / len(traces)).clip(0, len(traces) - 1)
    columns: dict[str, list[Any]] = {"value": [t.value for t in traces]}
    for name in traces[0].choices:
        columns[name] = [t.choices.get(name) for t in traces]
    numeric = {
        k: v
        for k, v in columns.items()
        if all(isinstance(x, (bool, int, float)) or getattr(x, "shape", None) == () for x in v)
    }
    if not numeric:
        raise ResultError("no site of these traces is numeric; arviz takes numbers only. Use to_pandas().")
    draws = {k: np.array([[float(v[i]) for i in picks]]) for k, v in numeric.items()}
    if int(arviz.__version__.partition(".")[0]) >= 1:
        return arviz.from_dict({"posterior": draws})
    return arviz.from_dict(posterior=draws)

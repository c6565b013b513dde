"""Dicts and records; with lists (`vectors.py`) and chats the values that hold others.

Numbers, bools, `none` and tuples are Python's own; texts are `str` (a drawn text keeps its token path). All
values are immutable, hashable, and shared freely between forks. Python sees a list as a sequence, a dict as a
mapping, a record as an object with attributes and keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from immutables import Map

from grammar.vectors import List, Value, measure, measure_all


class Dict(Value):
    """A persistent dict that keeps the order in which its keys came. Equal to any mapping of equal items."""

    __slots__ = ("_items", "_keys")
    _items: Map[Any, Any]
    _keys: List

    def __init__(self, items: Mapping[Any, Any] | Iterable[tuple[Any, Any]] = ()) -> None:
        plain = dict(items)
        self._items, self._keys, self._hash = Map(plain), List(plain), None
        weight, depth = measure_all(tuple(plain.values()))
        self._weight, self._depth = weight + self._keys._weight, max(depth, self._keys._depth)

    def plus(self, other: Dict) -> Dict:
        """Both dicts' items; of a key in both, the second one's."""
        new = Dict.__new__(Dict)
        with self._items.mutate() as items:
            for key in other:
                items[key] = other._items[key]
            new._items = items.finish()
        fresh = [key for key in other if key not in self._items]
        new._keys, new._hash = self._keys.plus(List(fresh)) if fresh else self._keys, None
        again = [key for key in other if key in self._items]
        gone = sum(measure(key)[0] + measure(self._items[key])[0] for key in again)
        new._weight = self._weight + other._weight - gone - 2
        new._depth = max(self._depth, other._depth)
        return new

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._keys)

    def __getitem__(self, key: Any) -> Any:
        return self._items[key]

    def __contains__(self, key: Any) -> bool:
        return key in self._items

    def get(self, key: Any, default: Any = None) -> Any:
        return self._items.get(key, default)

    def keys(self) -> List:
        return self._keys

    def values(self) -> list[Any]:
        return [self._items[key] for key in self._keys]

    def items(self) -> list[tuple[Any, Any]]:
        return [(key, self._items[key]) for key in self._keys]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Mapping):
            return len(self) == len(other) and all(
                k in other and self._items[k] == other[k] for k in self._keys
            )
        return NotImplemented

    __hash__ = Value.__hash__

    def _key(self) -> Any:
        return frozenset(self.items())

    def __repr__(self) -> str:
        return repr(dict(self.items()))


Mapping.register(Dict)


class Shape:
    """A record type at run time: its name, its fields in order, and where it is declared."""

    __slots__ = ("fields", "index", "name", "origin")

    def __init__(self, name: str, fields: tuple[str, ...], origin: str) -> None:
        self.name, self.fields, self.origin = name, fields, origin
        self.index = {name: i for i, name in enumerate(fields)}

    def __eq__(self, other: object) -> bool:
        """The same declaration, perhaps of a file that was loaded twice."""
        return self is other or (
            isinstance(other, Shape)
            and (self.name, self.fields, self.origin) == (other.name, other.fields, other.origin)
        )

    def __hash__(self) -> int:
        return hash((self.name, self.fields))

    def __repr__(self) -> str:
        return f"<record type {self.name}>"


class Record(Value):
    """A record. Python reads `r.field` or `r["field"]`; it equals any mapping of its fields."""

    __slots__ = ("_shape", "_values")
    _shape: Shape
    _values: tuple[Any, ...]

    def __init__(self, shape: Shape, values: tuple[Any, ...]) -> None:
        self._shape, self._values, self._hash = shape, values, None
        self._weight, self._depth = measure_all(values)

    def changed(self, updates: Iterable[tuple[int, Any]]) -> Record:
        """The record with some fields, by place, replaced."""
        values = list(self._values)
        for i, value in updates:
            values[i] = value
        return Record(self._shape, tuple(values))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self._values[self._shape.index[name]]
        except KeyError:
            if name == "keys":  # what makes dict(record) work
                return self._shape.index.keys
            fields = ", ".join(self._shape.fields)
            raise AttributeError(f"{self._shape.name} has no field {name!r}; it has {fields}") from None

    def __getitem__(self, name: str) -> Any:
        return self._values[self._shape.index[name]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._shape.fields)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, name: object) -> bool:
        return name in self._shape.index

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Record):
            return self is other or (self._shape == other._shape and self._values == other._values)
        if isinstance(other, Mapping):
            return len(self) == len(other) and all(
                name in other and self[name] == other[name] for name in self
            )
        return NotImplemented

    __hash__ = Value.__hash__

    def _key(self) -> Any:
        return self._shape.name, self._values

    def __repr__(self) -> str:
        shown = ", ".join(f"{n}={v!r}" for n, v in zip(self._shape.fields, self._values, strict=True))
        return f"{self._shape.name}({shown})"


Mapping.register(Record)

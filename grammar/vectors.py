"""Lists as persistent vectors, and what all composite values share.

`xs + [x]` shares all but a few nodes with `xs`, however long it is. Every value that holds others knows its
weight (how many parts it has, as a tree) and its depth, so that a program cannot build, by sharing, a value
that takes forever to compare or print.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

from grammar.faults import MAX_NESTING, Exhausted, Fuel

ATOMS = frozenset({int, float, bool, str, type(None)})
BLOCK = 32
_BITS = 5
_new = object.__new__


def measure(value: Any) -> tuple[int, int]:
    """(weight, depth) of a value."""
    kind = type(value)
    if kind in ATOMS:
        return 1, 0
    if kind is tuple:
        return measure_all(value)
    return getattr(value, "_weight", 1), getattr(value, "_depth", 0)


def measure_all(values: Sequence[Any]) -> tuple[int, int]:
    """(weight, depth) of a value with these parts."""
    if ATOMS.issuperset(map(type, values)):
        return len(values) + 1, 1
    weight, depth = 1, 0
    for each in values:
        w, d = measure(each)
        weight, depth = weight + w, max(depth, d)
    return weight, depth + 1


def check_size(weight: int, depth: int, fuel: Fuel) -> None:
    """Exhausted if a value has more parts or nests deeper than the run's limits."""
    if weight > 10 * fuel.max_list:
        raise Exhausted(f"max_list: a value has more than {10 * fuel.max_list} parts")
    if depth > MAX_NESTING:
        raise Exhausted(f"max_depth: a value nests deeper than {MAX_NESTING}")


class Value:
    """Immutable: a copy is itself."""

    __slots__ = ("_depth", "_hash", "_weight")
    _weight: int
    _depth: int
    _hash: int | None

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: Any) -> Any:
        return self

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(self._key())
        return self._hash

    def _key(self) -> Any:
        raise NotImplementedError


class List(Value):
    """A persistent vector (Bagwell's tries, 32 wide, with a tail). Equal to a list or tuple of equal items."""

    __slots__ = ("_length", "_levels", "_root", "_tail")
    _root: tuple[Any, ...]
    _levels: int
    _tail: tuple[Any, ...]
    _length: int

    def __init__(self, items: Iterable[Any] = ()) -> None:
        values = tuple(items)
        weight, depth = measure_all(values)
        self._set((), 1, values, len(values), weight, depth)
        if len(values) > BLOCK:
            self._tail, self._length = (), 0
            self._push(values)

    def _set(
        self, root: tuple[Any, ...], levels: int, tail: tuple[Any, ...], n: int, weight: int, depth: int
    ) -> None:
        self._root, self._levels, self._tail, self._length = root, levels, tail, n
        self._weight, self._depth, self._hash = weight, depth, None

    def _push(self, items: tuple[Any, ...]) -> None:
        """Append in place; only for a vector that nobody has seen yet."""
        pending = self._tail + items
        full = (len(pending) - 1) // BLOCK * BLOCK if pending else 0
        blocks = (self._length - len(self._tail)) >> _BITS
        for start in range(0, full, BLOCK):
            if blocks == BLOCK**self._levels:
                self._root, self._levels = (self._root,), self._levels + 1
            self._root = _with_block(self._root, self._levels, blocks, pending[start : start + BLOCK])
            blocks += 1
        self._tail = pending[full:]
        self._length += len(items)

    def plus(self, other: List) -> List:
        """All items of both; costs time in the second one's length only."""
        new = List.__new__(List)
        weight, depth = self._weight + other._weight - 1, max(self._depth, other._depth)
        new._set(self._root, self._levels, self._tail, self._length, weight, depth)
        new._push(tuple(other) if other._length > BLOCK else other._tail)
        return new

    def append(self, item: Any) -> List:
        """One item more."""
        weight, depth = (1, 0) if type(item) in ATOMS else measure(item)
        new = _new(List)
        new._weight, new._hash = self._weight + weight, None
        new._depth = self._depth if self._depth > depth else depth + 1
        new._levels, tail = self._levels, self._tail
        if len(tail) < BLOCK:
            new._root, new._tail, new._length = self._root, (*tail, item), self._length + 1
        else:
            new._root, new._tail, new._length = self._root, tail, self._length
            new._push((item,))
        return new

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Any]:
        if not self._root:
            return iter(self._tail)
        blocks: Iterable[Any] = self._root
        for _ in range(self._levels):
            blocks = chain.from_iterable(blocks)
        both: chain[Any] = chain(blocks, self._tail)
        return both

    def __getitem__(self, index: Any) -> Any:
        n = self._length
        if isinstance(index, slice):
            return List(tuple(self)[index])
        if index < 0:
            index += n
        if not 0 <= index < n:
            raise IndexError(f"there is no item {index}: the list has {n}")
        start = n - len(self._tail)
        if index >= start:
            return self._tail[index - start]
        node = self._root
        for shift in range(_BITS * self._levels, 0, -_BITS):
            node = node[(index >> shift) & (BLOCK - 1)]
        return node[index & (BLOCK - 1)]

    def __contains__(self, item: Any) -> bool:
        return any(each is item or each == item for each in self)

    def index(self, item: Any) -> int:
        return tuple(self).index(item)

    def count(self, item: Any) -> int:
        return tuple(self).count(item)

    def __reversed__(self) -> Iterator[Any]:
        return iter(tuple(self)[::-1])

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if isinstance(other, (List, list, tuple)):
            return self._length == len(other) and tuple(self) == tuple(other)
        return NotImplemented

    def __lt__(self, other: Iterable[Any]) -> bool:
        return tuple(self) < tuple(other)

    __hash__ = Value.__hash__

    def _key(self) -> Any:
        return tuple(self)

    def __add__(self, other: Iterable[Any]) -> List:
        return self.plus(other if isinstance(other, List) else List(other))

    def tolist(self) -> list[Any]:
        return list(self)

    @reprlib.recursive_repr()
    def __repr__(self) -> str:
        return repr(list(self))


Sequence.register(List)


def _with_block(node: tuple[Any, ...], level: int, index: int, block: tuple[Any, ...]) -> tuple[Any, ...]:
    if level == 1:
        return (*node, block)
    k = (index >> _BITS * (level - 1)) & (BLOCK - 1)
    child = _with_block(node[k] if k < len(node) else (), level - 1, index, block)
    return (*node[:k], child)

"""The suspended programs that a run keeps: those beyond a bound are let go, and rebuilt by replay when they go on.

The bound changes time and memory, never a result: the trace is the particle (see `ppl.continuation`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ppl.continuation import Continuation

LIVE = 4096  # suspended continuations a run keeps by default


class LiveCache:
    """The suspended greenlets of a run, least recently parked first; beyond the bound they are rebuilt by replay.

    Those that wait for a model are kept apart, in `waiting`: they must stay.
    """

    def __init__(self, bound: int) -> None:
        self.bound = bound
        self.waiting: set[Continuation] = set()
        self._parked: dict[Continuation, None] = {}

    def keep(self, continuation: Continuation) -> None:
        """It is parked now; the one parked longest is let go if they are too many."""
        self._parked[continuation] = None
        if len(self._parked) > self.bound:
            oldest = next(iter(self._parked))
            del self._parked[oldest]
            oldest.release()

    def take(self, continuation: Continuation) -> None:
        """It goes on, or is let go: it is not parked any more."""
        self._parked.pop(continuation, None)
        self.waiting.discard(continuation)

    def close(self) -> None:
        """The run is over: let every suspended program go."""
        for continuation in [*self._parked, *self.waiting]:
            self.take(continuation)
            continuation.release()

    def move(self, parent: Continuation, child: Continuation) -> None:
        """A fork took over its parent's greenlet, and its place."""
        if parent in self._parked:
            del self._parked[parent]
            self._parked[child] = None

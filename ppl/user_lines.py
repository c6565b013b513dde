"""Which line of the user's own code led here: errors end at it, and deaths name it.

Between a program and its primitives lie frames of engines, schedulers and backends, which nobody outside can mend.
"""

from __future__ import annotations

import os
import sys
from types import TracebackType
from typing import Any

from ppl.errors import PPLError

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OURS = tuple(os.path.join(_ROOT, room) + os.sep for room in ("ppl", "inference", "backends", "grammar", "cli"))
"""The folders of this project's packages: code that lies elsewhere is the user's."""


def user_line() -> str:
    """The user's line that called the function that asks, as " (file.py:12)"; "" if there is none."""
    frame: Any = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename.startswith(OURS):
        frame = frame.f_back
    return "" if frame is None else f" ({os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno})"


def raised_at(error: BaseException) -> str:
    """The last of the user's lines that an error passed, as " (file.py:12)"; "" if there is none."""
    last = _last(error.__traceback__)
    return "" if last is None else f" ({os.path.basename(last.tb_frame.f_code.co_filename)}:{last.tb_lineno})"


def end_at_user_line(error: BaseException) -> None:
    """Cut the traceback of one of our errors after the user's last frame: it ends at the line that can be mended."""
    last = _last(error.__traceback__)
    if last is not None:
        last.tb_next = None


class errors_at_user_line:  # noqa: N801
    """A block whose errors show the user's lines.

    Ours end at one; anybody's lose the frames of engine and scheduler between the block and the user's program.
    """

    def __enter__(self) -> None: ...

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if error is None:
            return
        if isinstance(error, PPLError):
            end_at_user_line(error)
        _go_on_at_user_line(error)


def _go_on_at_user_line(error: BaseException) -> None:
    """Leave out of a traceback what lies between its first frame and the first that is the user's, if there is one."""
    first = error.__traceback__
    frame = first
    while frame is not None and frame.tb_frame.f_code.co_filename.startswith(OURS):
        frame = frame.tb_next
    if first is not None and frame is not None and frame is not first:
        first.tb_next = frame


def _last(traceback: TracebackType | None) -> TracebackType | None:
    """The user's last frame of a traceback."""
    last = None
    while traceback is not None:
        if not traceback.tb_frame.f_code.co_filename.startswith(OURS):
            last = traceback
        traceback = traceback.tb_next
    return last

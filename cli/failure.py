"""How the command fails: one message on stderr, exit code 1, no traceback."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from ppl.errors import PPLError
from ppl.user_lines import OURS


class CommandError(Exception):
    """A mistake on the command line or in what it names. `plain`: the message begins with its place already."""

    def __init__(self, message: str, plain: bool = False) -> None:
        super().__init__(message)
        self.plain = plain


@contextmanager
def failures_as_messages() -> Iterator[None]:
    """Turn any exception of the block into one message and exit code 1. Set SCALE_TRACEBACK=1 to see all of it.

    An abort by Ctrl-C exits with 130, as shells have it; a reader that closed our output is no mistake.
    """
    try:
        yield
        sys.stdout.flush()
    except SystemExit:
        raise
    except KeyboardInterrupt:
        print("aborted", file=sys.stderr)
        raise SystemExit(130) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except Exception as error:
        if os.environ.get("SCALE_TRACEBACK"):
            raise
        print(describe(error), file=sys.stderr)
        raise SystemExit(1) from None


def describe(error: Exception) -> str:
    """An error as one message; with the user's line where it happened in a program of theirs."""
    if isinstance(error, CommandError):
        return str(error) if error.plain else f"error: {error}"
    if hasattr(error, "line") and hasattr(error, "column"):
        return str(error)  # a mistake in a .scale file begins with its place
    where = _user_line(error.__traceback__)
    if isinstance(error, PPLError):
        return f"{where}error: {error}"
    return f"{where}{type(error).__name__}: {error}"


def _user_line(trace: TracebackType | None) -> str:
    """'file:line: ' of the innermost frame of the user's own code, or nothing."""
    frames = [f for f in traceback.extract_tb(trace) if not f.filename.startswith(OURS)]
    frames = [f for f in frames if "site-packages" not in f.filename and not f.filename.startswith("<")]
    frames = [f for f in frames if not f.filename.startswith(sys.base_prefix)]
    return f"{os.path.relpath(frames[-1].filename)}:{frames[-1].lineno}: " if frames else ""

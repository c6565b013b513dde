"""Files by the names that people type."""

from __future__ import annotations

from pathlib import Path

from cli.failure import CommandError
from ppl.errors import did_you_mean


def existing(path_text: str, suffix: str = "") -> Path:
    """The path of a file that is there, with the suffix if one is given; otherwise one message with the nearest name."""
    path = Path(path_text)
    if not path.is_file():
        folder = path.parent if path.parent.is_dir() else Path()
        if path.is_dir():
            raise CommandError(f"{path_text!r} is a folder: name a .py or .scale file in it")
        near = did_you_mean(path.name, [p.name for p in folder.iterdir() if p.suffix in (".py", ".scale")])
        raise CommandError(f"there is no file {path_text!r}.{near}")
    if suffix and path.suffix != suffix:
        raise CommandError(f"{path}: expected a {suffix} file, found {path.suffix or 'no suffix'!r}")
    return path

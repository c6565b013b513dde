"""What a user's installation holds: five packages, typed, with every data file that they read."""

from __future__ import annotations

import tomllib
from fnmatch import fnmatch
from pathlib import Path

from setuptools import find_packages

ROOT = Path(__file__).parents[2]
ROOMS = ("ppl", "inference", "backends", "grammar", "cli")


def test_the_wheel_holds_five_packages_and_their_data():
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    packages = find_packages(str(ROOT), include=tool["packages"]["find"]["include"])
    assert {p.split(".")[0] for p in packages} == set(ROOMS)
    patterns = tool["package-data"]
    for room in ROOMS:
        data = [f for f in (ROOT / room).rglob("*") if f.is_file() and f.suffix not in (".py", ".pyc")]
        assert ROOT / room / "py.typed" in data
        for file in data:
            known = (*patterns["*"], *patterns.get(room, ()))
            name = str(file.relative_to(ROOT / room))
            assert any(fnmatch(name, pattern) for pattern in known), f"{file} is not in the wheel"
        for folder in {f.parent for f in (ROOT / room).rglob("*.py")}:
            assert ".".join(folder.relative_to(ROOT).parts) in packages, f"{folder} has no __init__.py"

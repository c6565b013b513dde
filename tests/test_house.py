"""The house keeps its shape: arrows between rooms, light imports, one truth about options, small files."""

import ast
import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from ppl.registry import ENGINES, REQUIRED, engine_class

ROOT = Path(__file__).parents[1]
ALLOWED = {
    "ppl": set(),
    "inference": {"ppl"},
    "backends": {"ppl"},
    "grammar": {"ppl"},
    "cli": {"ppl", "inference", "backends", "grammar"},
}
HEAVY = ("torch", "transformers", "pyro", "pandas", "scipy", "arviz")


def imported_rooms(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names & set(ALLOWED)


@pytest.mark.parametrize("room", ALLOWED)
def test_arrows_between_rooms_point_one_way(room):
    for file in (ROOT / room).rglob("*.py"):
        assert imported_rooms(file) <= ALLOWED[room] | {room}, file


@pytest.mark.parametrize("room", ["ppl", "inference", "grammar", "backends", "cli.main"])
def test_importing_a_room_imports_nothing_heavy(room):
    code = f"import sys, {room}\nprint(','.join(m for m in {HEAVY!r} if m in sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert found == ""


def test_no_engine_imports_another():
    """What two engines share has a module of its own."""
    engines = {entry.target.split(":")[0] for entry in ENGINES.values()}
    assert len(engines) > 10
    for module in engines:
        tree = ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8"))
        found = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)} & engines
        assert not found, f"{module} imports {found}"


@pytest.mark.parametrize("name", ENGINES)
def test_the_registry_says_what_the_engine_takes(name):
    """Options are written twice, as data for whoever checks and as fields for whoever runs: they agree."""
    fields = {f.name: f.default for f in dataclasses.fields(engine_class(name))}
    options = {o: s.default for o, s in ENGINES[name].options.items()}
    assert list(fields) == list(options)
    for option, default in options.items():
        assert fields[option] is dataclasses.MISSING if default is REQUIRED else fields[option] == default


@pytest.mark.parametrize("room", ALLOWED)
def test_files_stay_readable_in_one_sitting(room):
    """At most 400 lines, or a word at the top that says why."""
    for file in (ROOT / room).rglob("*.py"):
        lines = file.read_text(encoding="utf-8").splitlines()
        assert len(lines) <= 400 or any("Longer than" in line for line in lines[:15]), f"{file}: {len(lines)} lines"


@pytest.mark.parametrize("room", ALLOWED)
def test_every_module_says_what_it_is_for(room):
    for file in (ROOT / room).rglob("*.py"):
        doc = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))
        assert doc and len(doc.split()) >= 3, file

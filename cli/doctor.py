"""`scale doctor`: is this installation sound? Versions, devices, models, and whether our rooms are ours.

The rooms' names are ordinary words, so a folder or another package may hide them: `inference`, say, is also what a
package on PyPI is called. Whatever is found wrong is said with what to do about it, and the exit code is 1.
"""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from cli.models import missing
from ppl.registry import MODELS

ROOMS = ("ppl", "inference", "backends", "grammar", "cli")
HOME = Path(__file__).resolve().parents[1]
PACKAGES = ("torch", "transformers", "pyro-ppl", "numpy", "greenlet", "rich", "typer")
OPTIONAL = ("gguf", "accelerate", "safetensors", "llguidance", "pandas", "arviz", "scipy", "math-verify")


def examine() -> None:
    """Print what there is; exit 1 if something is wrong."""
    console = Console(highlight=False)
    problems: list[str] = []
    console.print(
        f"[bold]scale {_version('scale-ppl') or '(not installed as a package)'}[/] in {escape(str(HOME))}",
        soft_wrap=True,
    )
    console.print(
        f"python {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    )
    _packages(console, problems)
    _devices(console)
    _models(console)
    _rooms(console, problems)
    for problem in problems:
        console.print(f"[red]✗[/] {escape(problem)}", soft_wrap=True)
    if problems:
        raise SystemExit(1)
    console.print("[green]✓[/] no problems found")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _packages(console: Console, problems: list[str]) -> None:
    console.print("\n[bold]packages[/]")
    for package in PACKAGES:
        found = _version(package)
        console.print(f"  {package:<18}{found or 'missing'}")
        if found is None:
            problems.append(f"the package {package} is missing. Type: pip install scale-ppl")
    for package in OPTIONAL:
        console.print(f"  {package:<18}{_version(package) or '-  (optional)'}")


def _devices(console: Console) -> None:
    console.print("\n[bold]devices[/]")
    if find_spec("torch") is None:
        return
    import torch

    console.print(f"  cpu               {torch.get_num_threads()} threads")
    for i in range(torch.cuda.device_count()):
        console.print(f"  cuda:{i:<13}{escape(torch.cuda.get_device_name(i))}")
    if torch.backends.mps.is_available():
        console.print("  mps           Apple GPU")


def _models(console: Console) -> None:
    console.print("\n[bold]models[/]")
    for scheme, entry in MODELS.items():
        command = missing(scheme)
        console.print(
            f"  {scheme:<18}{'ready' if command is None else escape('not here: ' + command)}  [dim]{escape(entry.form)}[/]"
        )


def _rooms(console: Console, problems: list[str]) -> None:
    console.print("\n[bold]rooms[/]")
    found = packages_distributions()
    for room in ROOMS:
        place = where(room)
        mine = place is not None and place.parent == HOME
        console.print(f"  {room:<18}{'ours' if mine else escape(f'NOT OURS: {place}')}", soft_wrap=True)
        if not mine:
            problems.append(f"`import {room}` finds {place}, not {HOME / room}: rename or remove it.")
        others = sorted(set(found.get(room, ())) - {"scale-ppl"})
        if others:
            problems.append(
                f"the package {', '.join(others)} also installs a `{room}`. Type: pip uninstall {others[0]}"
            )
    for hidden in shadows(Path.cwd()):
        problems.append(f"{hidden} hides SCALE's own `{hidden.stem}` from Python started here. Rename it.")


def where(room: str) -> Path | None:
    """The folder or file that `import ROOM` finds."""
    spec = sys.modules[room].__spec__ if room in sys.modules else find_spec(room)
    if spec is None or spec.origin is None:
        return None
    origin = Path(spec.origin).resolve()
    return origin.parent if origin.name == "__init__.py" else origin


def shadows(folder: Path) -> list[Path]:
    """What in a folder would be imported in the place of a room of ours."""
    if folder.resolve() == HOME:
        return []
    rooms = [folder / room for room in ROOMS]
    packages = [room for room in rooms if (room / "__init__.py").is_file()]
    return packages + [file for room in rooms if (file := room.with_suffix(".py")).is_file()]

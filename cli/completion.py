"""What the shell offers after TAB: engines, bounds and models by name. `scale --install-completion` turns it on."""

from __future__ import annotations


def engines(incomplete: str) -> list[tuple[str, str]]:
    """Engines with what they do, ready for their options."""
    from ppl.registry import ENGINES

    return [(f"{name}(", entry.summary) for name, entry in ENGINES.items() if name.startswith(incomplete)]


def limits(incomplete: str) -> list[str]:
    """Bounds by name, ready for their numbers."""
    from ppl import limit

    return [f"{name}=" for name in limit.__dataclass_fields__ if name.startswith(incomplete)]


def models(incomplete: str) -> list[tuple[str, str]]:
    """After NAME=, the models that can be named."""
    from ppl.registry import MODELS

    name, equals, spec = incomplete.partition("=")
    if not equals:
        return []
    forms = {entry.form.split(":")[0] if scheme in entry.form else scheme: entry for scheme, entry in MODELS.items()}
    return [(f"{name}={scheme}", entry.summary) for scheme, entry in forms.items() if scheme.startswith(spec)]

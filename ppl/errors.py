"""The exceptions of the project, as one tree.

    PPLError
    |-- UsageError
    |   |-- OptionError
    |   |-- SeedError
    |-- WeightError
    |-- SupportError
    |-- ConstraintError
    |-- ReplayError
    |-- CapabilityError
    |-- BackendError
    |-- AllDead
    |-- ResultError

Every message says what was found, what was expected and what to write, and names the site. `require` and weights of
-inf raise nothing: they end the one execution they stand in.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class PPLError(Exception):
    """Base of every error that is the user's to mend."""


class UsageError(PPLError):
    """A primitive or option used where or how it cannot be."""


class OptionError(UsageError):
    """An engine option that does not exist or is out of range."""


class SeedError(UsageError):
    """A seed that is not an int or a tuple of ints."""


class WeightError(PPLError):
    """A weight that is NaN, +inf or not a scalar; a heuristic of -inf."""


class SupportError(PPLError):
    """A value outside a distribution's support, or no support where one is needed."""


class ConstraintError(PPLError):
    """A constraint that names no site, or a site that got none."""


class ReplayError(PPLError):
    """A program that took another path when it was replayed."""


class CapabilityError(PPLError):
    """An engine or a distribution asked for what a program or backend cannot give."""


class BackendError(PPLError):
    """A model, reward or verifier that failed."""


class AllDead(PPLError):
    """Every trace has weight zero and the engine has nothing to return."""


class ResultError(PPLError, AttributeError):
    """A reading that a result does not have.

    Also an AttributeError, so that `hasattr(result, "log_evidence")` answers False where there is none.
    """


def did_you_mean(found: str, known: Iterable[str]) -> str:
    """' Did you mean 'x'?' for the closest known name, or '' when nothing is close."""
    names = {name.casefold(): name for name in known}
    close = difflib.get_close_matches(found.casefold(), names, n=1, cutoff=0.6)
    return f" Did you mean {names[close[0]]!r}?" if close else ""

r"""When two answers are one vote: keys for `result.vote(..., key=...)`.

    result.vote("majority", key=numeric)          # "1,000", "$1000.00" and "1e3" agree
    result.vote("weighted", key=math_verify())    # "\frac{1}{2}", "0.5" and "1/2" agree
    result.vote(key=lambda text: text.strip().lower())

A key takes a value to something hashable: equal keys vote together, None abstains. Any such function will do.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from ppl.errors import CapabilityError

_ANSWER = re.compile(
    r"""(?P<minus> (?<![\w.)\]}]) [-−])?  [$€£]?
    (?: \\[dt]?frac \s*\{\s* (?P<top>-?\d+) \s*\}\s*\{\s* (?P<bottom>-?\d+) \s*\}
      | (?P<number> (?: \d{1,3}(?:,\d{3})+(?!\d) | \d+ ) (?:\.\d+)? | \.\d+)
        (?P<exponent> [eE][+-]?\d{1,3} (?!\d) )?
        (?: \s*/\s* (?P<over>\d+) )?
    )""",
    re.VERBOSE,
)


def numeric(value: Any) -> Fraction | None:
    r"""The last number in a value, exactly; None if there is none.

    Reads a minus, a currency sign, thousands commas, decimals, exponents, a/b and \frac{a}{b}. What follows it, such
    as a percent sign or a unit, is ignored: "50%" is 50.
    """
    if isinstance(value, (bool, int, Fraction)):
        return Fraction(value)
    matches = list(_ANSWER.finditer(str(value)))
    if not matches:
        return None
    found = matches[-1]
    top, bottom = found["top"], found["bottom"] or found["over"] or "1"
    if top is None:
        top = found["number"].replace(",", "") + (found["exponent"] or "")
    if int(bottom) == 0:
        return None
    size = Fraction(top) / int(bottom)
    return -size if found["minus"] else size


def math_verify() -> Callable[[Any], int | None]:
    """A key by mathematical equality, through the package math-verify; text it cannot parse abstains.

    Equality is tested against the first answer of each group so far, so make a new key for each vote.
    """
    try:
        from math_verify import parse, verify
    except ImportError:
        raise CapabilityError(
            "math_verify() needs the package math-verify: pip install math-verify. For plain numbers key=numeric needs nothing."
        ) from None
    firsts: list[Any] = []

    def key(value: Any) -> int | None:
        answer = parse(str(value))
        if not answer:
            return None
        for i, first in enumerate(firsts):
            if verify(first, answer):
                return i
        firsts.append(answer)
        return len(firsts) - 1

    return key

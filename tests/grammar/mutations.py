"""How good are the messages for slips of the hand? One-token mutations of the examples, counted by the code they get.

    python tests/grammar/mutations.py [mutants per example]

prints the share of rejected mutants that get only the fallback E001, and samples of those.
"""

from __future__ import annotations

import random
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"
TOKEN = re.compile(r'"""[\s\S]*?"""|"(?:\\.|\$\{[^}\n]*\}|[^"\n])*"|[A-Za-z_]\w*|\d[\d_.]*|==|!=|<=|>=|->|=>|\+=|\*\*|[^\s\w]')
REPLACEMENTS = [":", ";", "=", ")", "}", "let", "sample", "'x'", ","]
KINDS = ["delete", "double", "replace"]


def example_files() -> list[Path]:
    return sorted(EXAMPLES.rglob("*.scale"))


def mutants(
    text: str, count: int, rng: random.Random, replacements: Sequence[str] = REPLACEMENTS
) -> Iterator[str]:
    """`count` copies of `text` with one token (never in a comment) deleted, doubled or replaced."""
    without_comments = re.sub(r"(?m)^#.*|  #.*", lambda match: " " * len(match[0]), text)
    spans = [match.span() for match in TOKEN.finditer(without_comments)]
    for _ in range(count if spans else 0):
        start, end = rng.choice(spans)
        token = text[start:end]
        new = {"delete": "", "double": f"{token} {token}", "replace": rng.choice(replacements)}[rng.choice(KINDS)]
        yield text[:start] + new + text[end:]


def meter(count: int, seed: int = 0) -> tuple[Counter[str], list[str]]:
    """First codes of the rejected mutants ("" for those that still parse), and the renderings of the fallbacks."""
    from grammar.parser import read

    rng = random.Random(seed)
    codes: Counter[str] = Counter()
    fallbacks = []
    for path in example_files():
        for mutant in mutants(path.read_text(encoding="utf-8"), count, rng):
            errors = read(mutant, path.name).errors
            codes[errors[0].code if errors else ""] += 1
            if errors and errors[0].code == "E001":
                fallbacks.append(errors[0].render())
    return codes, fallbacks


if __name__ == "__main__":
    codes, fallbacks = meter(int(sys.argv[1]) if len(sys.argv) > 1 else 120)
    rejected = codes.total() - codes[""]
    print(f"{codes.total()} mutants, {rejected} rejected, {codes['E001']} only E001 ({codes['E001'] / rejected:.1%})")
    print(dict(codes.most_common()))
    print("\n\n".join(fallbacks[:20]))

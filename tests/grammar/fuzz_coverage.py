"""Fuzz the language by coverage, with atheris, from the examples and the wrong programs.

    python tests/grammar/fuzz_coverage.py [seconds]

ends with exit code 0 when the time is up; a crash is printed, and the text that made it kept in a file.
"""

from __future__ import annotations

import random
import resource
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["grammar"]):
    from tests.grammar.fuzz import PIECES, exercise, seeds

from tests.grammar.mutations import mutants

LARGEST = 6000
MEMORY = 2_000_000_000  # bytes
SLOWEST = 20
"""Seconds that one text may take."""


def mutated(data: bytes, max_size: int, seed: int) -> bytes:
    """Half of the time one token is changed, else bytes are."""
    rng = random.Random(seed)
    text = data.decode("utf-8", errors="replace")
    changed = next(mutants(text, 1, rng, PIECES), "") if rng.random() < 0.5 else ""
    return changed.encode()[:max_size] if changed else bytes(atheris.Mutate(data, max_size))


def fuzz(seconds: int) -> None:
    """Does not return."""
    corpus = Path(tempfile.mkdtemp(prefix="scale-fuzz-"))
    for index, text in enumerate(seeds()):
        (corpus / f"{index}.scale").write_text(text, encoding="utf-8")
    options = [
        f"-max_total_time={seconds}", f"-timeout={SLOWEST}", "-rss_limit_mb=0", f"-max_len={LARGEST}",
        f"-artifact_prefix={corpus}/",
    ]  # fmt: skip
    # not libFuzzer's own bound: it reads the peak that this process inherits from the one that started it
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    atheris.Setup(
        [sys.argv[0], str(corpus), *options],
        lambda data: exercise(data.decode("utf-8", "replace")),
        custom_mutator=mutated,
    )
    atheris.Fuzz()


if __name__ == "__main__":
    fuzz(int(sys.argv[1]) if len(sys.argv) > 1 else 60)

"""How long the commands that need no model take to start, beside an empty Python; and how long reading takes.

    python benchmarks/startup.py

Wall and CPU seconds of whole processes, the smallest of nine that take turns; every process finds compiled modules.
Then CPU seconds for 100 kB of each of the inputs that are made to be hard to read, the largest of them.
"""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from grammar.parser import read  # noqa: E402
from tests.grammar.hard_inputs import REPEATED, hard_input  # noqa: E402

FILE = str(ROOT / "examples" / "game24" / "solve.scale")
SCALE = [sys.executable, "-m", "cli.main"]
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "scale --help": [*SCALE, "--help"],
    "scale fmt --check FILE": [*SCALE, "fmt", "--check", FILE],
    "scale check FILE": [*SCALE, "check", FILE],
}
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | {"PYTHONPATH": str(ROOT)}


def seconds(command: list[str]) -> tuple[float, float]:
    """Wall and CPU seconds of one process."""
    wall, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True, env=ENVIRONMENT)
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - wall, now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime


def main() -> None:
    rounds = [{name: seconds(command) for name, command in COMMANDS.items()} for _ in range(10)][1:]
    for name in COMMANDS:
        print(f"{name:24s} {min(r[name][0] for r in rounds):.3f} s wall  {min(r[name][1] for r in rounds):.3f} s CPU")
    times = {name: reading(hard_input(name, 100_000)) for name in REPEATED}
    worst = max(times, key=lambda name: times[name])
    print(f"100 kB of hard input: {sorted(times.values())[len(times) // 2]:.2f} s CPU (median), {times[worst]:.2f} ({worst})")


def reading(text: str) -> float:
    """CPU seconds to read a text, the smaller of two."""
    found = []
    for _ in range(2):
        start = time.process_time()
        read(text)
        found.append(time.process_time() - start)
    return min(found)


if __name__ == "__main__":
    main()

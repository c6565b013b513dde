"""What `make demo` runs, on few puzzles: it ends, its table has every engine, and one search is drawn."""

import subprocess
import sys
from pathlib import Path

import pytest

GAME24 = Path(__file__).parents[2] / "examples" / "game24"


@pytest.mark.slow
def test_the_demo_shows_its_table_and_a_tree():
    command = [sys.executable, str(GAME24 / "compare.py"), "--puzzles", "8", "--seeds", "1", "--engines", "best_of", "smc"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    table, _, tree = done.stdout.partition("One search, by the program's twin solve.scale")
    lines = [line.split()[0] for line in table.splitlines() if "±" in line]
    assert lines == ["best_of", "smc"] and "KV" in table and "reward" in table
    assert "-> 24" in tree and "pruned" in tree and "└──" in tree and "%" in tree
    assert done.stderr == ""

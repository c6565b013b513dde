"""The documentation builds as a site, with every link and every name of the reference found."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs", reason="mkdocs is not installed. Type: pip install -e '.[docs]'")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    reference = (tmp_path / "api" / "index.html").read_text(encoding="utf-8")
    for name in ("inference.smc.smc", "inference.astar.astar", "ppl.effects.heuristic", "backends.loading.load"):
        assert f'id="{name}"' in reference
    assert "ess_threshold" in reference and "--8<--" not in (tmp_path / "cost" / "index.html").read_text()

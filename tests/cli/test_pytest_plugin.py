"""`test` blocks as tests of pytest: collected, named, run, and told in the language's own words."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

from typer.testing import CliRunner

from cli.main import app

ROOT = Path(__file__).parents[2]
COIN = """scale 1
program coin(p: prob = 0.5) -> bool {
  let side = sample bernoulli(p)
  return side
}
infer coin with exact()
test "fair" {
  expect posterior.p(true) == 0.5
}
"""
UNFAIR = """test "unfair" {
  expect posterior.p(true) > 0.6
}
"""


def pytest_on(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-p", "cli.pytest_plugin", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)


def test_blocks_are_tests_and_say_what_they_found(tmp_path: Path) -> None:
    (tmp_path / "coin.scale").write_text(COIN + UNFAIR)
    (tmp_path / "untested.scale").write_text("scale 1\nconst a = b\n")
    done = pytest_on(tmp_path, "-v")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "coin.scale::fair PASSED" in done.stdout and "coin.scale::unfair FAILED" in done.stdout
    assert "coin.scale:11: expected posterior.p(true) > 0.6; posterior.p(true) is 0.5" in done.stdout
    assert "Traceback" not in done.stdout and "1 failed, 1 passed" in done.stdout


def test_one_block_may_be_named_and_a_wrong_file_is_told_as_check_does(tmp_path: Path) -> None:
    (tmp_path / "coin.scale").write_text(COIN + UNFAIR)
    (tmp_path / "wrong.scale").write_text(COIN.replace("bernoulli(p)", "bernouli(p)"))
    assert pytest_on(tmp_path, "coin.scale::fair").returncode == 0
    done = pytest_on(tmp_path, "wrong.scale")
    assert done.returncode == 2 and "Traceback" not in done.stdout
    assert "wrong.scale:3:21: error[E102]" in done.stdout and "did you mean 'bernoulli'" in done.stdout


EXTERN = """extern fn half(n: int) -> int
program p() -> int { return half(8) }
test "half" of p {
  expect posterior.mode == 4
}
"""


def test_externs_are_bound_for_pytest_and_for_the_command(tmp_path: Path) -> None:
    (tmp_path / "e.scale").write_text(EXTERN)
    (tmp_path / "tools.py").write_text("def half(n):\n    return n // 2\n")
    assert "error[E130]" in pytest_on(tmp_path).stdout
    (tmp_path / "pytest.ini").write_text("[pytest]\nscale_externs = tools.py:half\n")
    done = pytest_on(tmp_path)
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout
    with_extern = ["test", str(tmp_path / "e.scale"), "--extern", f"{tmp_path / 'tools.py'}:half"]
    assert CliRunner().invoke(app, with_extern).exit_code == 0
    assert CliRunner().invoke(app, with_extern[:2]).exit_code == 1


def test_pytest_finds_the_plugin_once_the_package_is_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"scale": "cli.pytest_plugin"}

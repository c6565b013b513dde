"""Ctrl-C and the live display, with real processes and real terminals."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SLOW_MODEL = """
import time
from backends import Scripted
from inference import smc
from ppl import model, sample, score

def reply(text):
    time.sleep(0.02)
    return {"go on\\n": 0.9, "stop\\n": 0.1}

lm = Scripted(reply)

@smc(particles=4)
@model
def talk(lines: int = 200, who: str = "x") -> str:
    text = lm.prompt("Say something.\\n")
    for i in range(lines):
        line = sample("line", lm(text, stop="\\n", max_tokens=4))
        text += line
        score(0.0)
        if line == "stop\\n" and i > 3:
            break
    return f"{who} {i}"

@model
def plain(lines: int = 200):
    return [sample("line", lm(f"{i}", stop="\\n", max_tokens=4)) for i in range(lines)]
"""
COMMAND = (sys.executable, "-m", "cli.main", "run")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "talk.py"
    path.write_text(SLOW_MODEL)
    return path


def started(*arguments, **options):
    """A `scale run` of which the first token step is under way, as its run folder shows."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([*COMMAND, *map(str, arguments)], env=env, cwd=ROOT, text=True, **options)
    events = Path(arguments[arguments.index("--out") + 1]) / "events.jsonl"
    wait_for(lambda: events.is_file() and process.poll() is None, process)
    time.sleep(0.3)
    return process


def wait_for(condition, process):
    for _ in range(600):
        if condition():
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    raise AssertionError("nothing happened in 30 s")


def both(process):
    out, error = process.communicate(timeout=30)
    return process.returncode, out, error


PIPES = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}


def test_ctrl_c_once_returns_what_there_is_marked_stopped(program, tmp_path):
    process = started(f"{program}:talk", "--seed", "0", "--json", "--out", tmp_path / "run", **PIPES)
    process.send_signal(signal.SIGINT)
    code, out, error = both(process)
    data = json.loads(out)
    assert code == 0 and data["stopped"] == "interrupt"
    assert any("stopped by an interrupt" in w for w in data["warnings"])
    assert 0 < data["cost"]["generated_tokens"] < 200 * 4 * 3
    assert "stopping after this step; Ctrl-C again aborts" in error and "Traceback" not in error
    assert json.loads((tmp_path / "run" / "result.json").read_text())["stopped"] == "interrupt"


def test_ctrl_c_ends_all_problems_of_a_file(program, tmp_path):
    data = tmp_path / "data.jsonl"
    data.write_text('{"lines": 2, "who": "short"}\n{"who": "long"}\n')
    process = started(f"{program}:talk", "-i", f"@{data}", "--seed", "0", "--json", "--out", tmp_path / "run", **PIPES)
    wait_for(lambda: '"return"' in (tmp_path / "run" / "events.jsonl").read_text(), process)
    process.send_signal(signal.SIGINT)
    code, out, _ = both(process)
    short, long = map(json.loads, out.splitlines())
    assert code == 0 and short["stopped"] is None and long["stopped"] == "interrupt"
    assert set(short["values"]) == {"short 1"} and [short["line"], long["line"]] == [1, 2]


def test_ctrl_c_twice_aborts(program, tmp_path):
    program.write_text(SLOW_MODEL.replace("sleep(0.02)", "sleep(2)"))
    process = started(f"{program}:talk", "--seed", "0", "--out", tmp_path / "run", **PIPES)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    begun = time.monotonic()
    code, out, error = both(process)
    assert code == 130 and out == "" and time.monotonic() - begun < 5
    assert error.splitlines()[-1] == "aborted" and "Traceback" not in error


def test_a_forward_run_that_is_stopped_has_nothing_to_show(program, tmp_path):
    process = started(f"{program}:plain", "--out", tmp_path / "run", **PIPES)
    process.send_signal(signal.SIGINT)
    code, out, error = both(process)
    assert (code, out) == (1, "")
    assert error.splitlines()[-1] == "error: stopped before its one forward run was over; there is nothing to show"


def test_a_terminal_shows_progress_and_then_only_the_result(program, tmp_path):
    mine, theirs = pty.openpty()
    process = started(f"{program}:talk", "-i", "lines=12", "--seed", "0", "--out", tmp_path / "run", stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(mine, 65536):
            shown += chunk
    except OSError:
        pass  # the other end is closed: Linux says so with an error
    out, _ = process.communicate(timeout=30)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    assert re.search(r"particles +4 alive · 0 finished · 0 dead", text)
    assert re.search(r"tokens +\d+ \(\d+/s\) · 0 reward calls", text)
    assert "talk · smc(particles=4)" in text
    assert "x " in out and "╭─ talk · smc(particles=4)" in out and "alive" not in out


def test_nobody_watching_nothing_shown(program, tmp_path):
    process = started(f"{program}:talk", "-i", "lines=12", "--seed", "0", "--out", tmp_path / "run", **PIPES)
    code, out, error = both(process)
    assert code == 0 and error == "" and "talk" in out and "\x1b" not in out

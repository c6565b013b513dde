"""Run Python that a model wrote, with its tests, in a process of its own that may do nothing but compute.

Three locks, which need neither root nor a package: resource limits (2 s of CPU, 256 MB, no further process); a limit of
0 on new file descriptors, so that the kernel refuses every file and every socket; and an audit hook, which cannot be
taken off again and refuses what needs no descriptor (deleting files, signals, ctypes, imports). Root becomes nobody.

It protects from mistakes, endless loops, and the careless code that language models write. It does not protect from
somebody who attacks CPython itself or writes code to fool its tests: that takes a virtual machine. Linux only.
"""

import subprocess
import sys

LOCKED = """
import collections, itertools, math, os, re, resource, sys
source, tests = sys.stdin.read().split("\\0")
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
for limit, most in [(resource.RLIMIT_CPU, 2), (resource.RLIMIT_AS, 256 << 20), (resource.RLIMIT_NPROC, 0),
                    (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_NOFILE, 0)]:
    resource.setrlimit(limit, (most, most))
def refuse(event, arguments):
    if event not in ("exec", "compile", "builtins.id"):
        raise PermissionError(event)
sys.addaudithook(refuse)
scope = {}
exec(source, scope)
exec(tests, scope)
sys.stdout.write("passed")
"""


def verdict(source: str, tests: str, seconds: float = 4.0) -> str:
    """ "passed", or the last line of what went wrong. The tests are Python that raises where the source is wrong."""
    command = [sys.executable, "-I", "-S", "-c", LOCKED]
    try:
        done = subprocess.run(
            command, input=f"{source}\0{tests}", capture_output=True, text=True, timeout=seconds, env={}, cwd="/"
        )
    except subprocess.TimeoutExpired:
        return "out of time"
    if done.returncode == 0 and done.stdout == "passed":
        return "passed"
    return (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1]

"""What the GUI tests need to be started: a Python that has the toolkit, and a display.

What cannot run here raises `unittest.SkipTest` with the reason.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import unittest
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Tuple

__all__ = ["APPS", "LIMIT", "ROOT", "Seen", "python_with", "run_program", "start"]

ROOT = Path(__file__).resolve().parents[2]
APPS = Path(__file__).with_name("apps")
DEBIAN = "/usr/bin/python3"
"""The one that has the toolkits which Debian packs; it has no wssync, and needs none of what that depends on here."""

LIMIT = 90
"""Seconds for a program; the longest takes five."""

DISPLAYS = {"tk", "tk-without-files", "wx"}
"""Shells whose windows need an X server; Qt draws into memory here."""


class Seen(NamedTuple):
    """How a program ended, and when by the clock of the system; `found` is the line of JSON that it printed."""

    status: int
    found: Dict[str, Any]
    errors: str
    ended: float


@functools.cache
def python_with(shell: str) -> str:
    """A Python in which this shell of apps/shells.py can be made; what needs no toolkit runs in this one."""
    if shell in ("serial", "queue"):
        return sys.executable
    environment = _environment(shell)
    said: List[str] = []
    for python in dict.fromkeys((sys.executable, DEBIAN)):
        if shutil.which(python) is None:
            continue
        command = [python, str(APPS / "shells.py"), shell]
        tried = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LIMIT)
        if tried.returncode == 0:
            return python
        said += tried.stderr.strip().splitlines()[-1:]
    raise unittest.SkipTest("; ".join(dict.fromkeys(said)))


def start(shell: str, program: Path, *arguments: str) -> subprocess.Popen[str]:
    """A program in that Python; SkipTest if there is none."""
    return subprocess.Popen(
        [python_with(shell), str(program), *arguments],
        env=_environment(shell),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_program(shell: str, scenario: str, url: str) -> Seen:
    """Run apps/program.py until it ends by itself."""
    with start(shell, APPS / "program.py", shell, scenario, url) as process:
        try:
            output, errors = process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return Seen(process.returncode, json.loads(output or "{}"), errors, time.time())


def _environment(shell: str) -> Dict[str, str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "QT_QPA_PLATFORM": "offscreen"}
    if shell in DISPLAYS:
        environment["DISPLAY"] = _display()
    return environment


@functools.cache
def _display() -> str:
    """An X server of these tests' own; without Xvfb, the one that is there."""
    program = shutil.which("Xvfb")
    if program is None:
        if "DISPLAY" in os.environ:
            return os.environ["DISPLAY"]
        raise unittest.SkipTest("there is no display, and Xvfb is not installed")
    process, number = _start_display(program)
    atexit.register(_stop, process)
    return f":{number}"


def _start_display(program: str) -> Tuple[subprocess.Popen[bytes], str]:
    reading, writing = os.pipe()
    # Without -noreset it starts anew when its last window is gone, and whoever comes in that moment is turned away.
    options = ["-displayfd", str(writing), "-screen", "0", "1024x768x24", "-nolisten", "tcp", "-noreset"]
    nowhere = subprocess.DEVNULL
    process = subprocess.Popen([program, *options], pass_fds=[writing], stdout=nowhere, stderr=nowhere)
    os.close(writing)
    watchdog = threading.Timer(LIMIT, process.kill)
    watchdog.start()
    with open(reading, encoding="ascii") as numbers:
        number = numbers.readline().strip()
    watchdog.cancel()
    if not number:
        process.wait()
        raise unittest.SkipTest("Xvfb does not start")
    return process, number


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait()

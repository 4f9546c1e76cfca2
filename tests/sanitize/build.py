"""The accelerator compiled with sanitizers, and an interpreter that has them loaded."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import List, Optional

from tests.processes import run_command

__all__ = ["SOURCE", "build", "missing", "start"]

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "wssync" / "_speedups.c"

FLAGS = (
    *("-std=c11", "-g", "-O1", "-fno-omit-frame-pointer"),
    *("-Wall", "-Wextra", "-Wconversion", "-Wpedantic", "-Werror"),
    *("-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
)

RUNS_INTO = "AddressSanitizer|runtime error"
"""A pattern for what a sanitizer says when it stops a program."""


def compiler() -> str:
    """The compiler to use: gcc, whose sanitizers are a library that can be loaded first."""
    return os.environ.get("CC") or "gcc"


def library() -> Optional[Path]:
    """The library of AddressSanitizer that belongs to the compiler, if it is installed."""
    named = run_command([compiler(), "-print-file-name=libasan.so"], seconds=30).strip()
    return Path(named) if os.path.isabs(named) and Path(named).exists() else None


def missing() -> str:
    """What is not on this machine, in one sentence; "" if all is."""
    if not sys.platform.startswith("linux"):
        return "the sanitizers are loaded by LD_PRELOAD, which is Linux"
    if shutil.which(compiler()) is None:
        return f"{compiler()} is not installed"
    if library() is None:
        return "libasan is not installed"
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        return "Python.h is not installed"
    return ""


def build(source: Path, folder: Path) -> Path:
    """Compile `source` with the sanitizers, warnings being errors. Raises ProgramFailed with what the compiler said."""
    made = folder / f"_speedups{sysconfig.get_config_var('EXT_SUFFIX')}"
    headers = sysconfig.get_path("include")
    run_command([compiler(), *FLAGS, "-shared", "-fPIC", "-isystem", headers, source, "-o", made], seconds=120)
    return made


def start(extension: Path, *arguments: str, seconds: float) -> subprocess.CompletedProcess[str]:
    """Run `tests.sanitize.inside` on a compiled extension to its end; both outputs come as one."""
    command: List[str] = [sys.executable, "-m", "tests.sanitize.inside", str(extension), *arguments]
    return subprocess.run(
        command,
        cwd=ROOT,
        env={
            **os.environ,
            "LD_PRELOAD": str(library()),
            # The interpreter keeps much to its end, so leaks are counted by the references of objects instead.
            "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1",
            "UBSAN_OPTIONS": "print_stacktrace=1",
            "PYTHONMALLOC": "malloc",  # each object in a block of its own, with poison round it
            "WSSYNC_PURE_PYTHON": "",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=seconds,
    )

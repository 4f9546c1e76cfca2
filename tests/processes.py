"""Other people's programs as parts of a test: started on a free port of the loopback interface, stopped at the end.

Each program gets a folder of its own and a process group of its own, so that what it starts is stopped with it and
nothing else is. Every wait is bounded: for the port, for the goodbye, for a command.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Callable, Dict, Mapping, Optional, Sequence, Type, Union

__all__ = ["Argument", "Program", "ProgramFailed", "Settings", "cache_folder", "free_port", "run_command"]

Argument = Union[str, Path, int]
"""One word of a command."""

Settings = Optional[Mapping[str, Optional[str]]]
"""What differs from this process's environment; `None` takes a variable away."""


PORTS = range(20_000, 32_000)
"""Those for `free_port`."""


class ProgramFailed(Exception):
    """A program did not start or a command failed; the text ends with the last it said."""


class Program:
    """A program that listens on `port` of 127.0.0.1, running while the context is open.

    `environment` is what differs from this process's own. Entering raises ProgramFailed if the program ends or
    `seconds` pass before it listens.
    """

    def __init__(
        self,
        arguments: Sequence[Argument],
        *,
        port: int,
        folder: Path,
        environment: Settings = None,
        seconds: float = 30,
    ) -> None:
        self.arguments = [str(argument) for argument in arguments]
        self.port = port
        self.folder = folder
        self.environment = _environment(environment)
        self.seconds = seconds
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._log: Optional[IO[bytes]] = None

    @property
    def output(self) -> str:
        """What the program said so far, on both of its outputs."""
        return self.log_file.read_text(errors="replace")

    @property
    def log_file(self) -> Path:
        """Where that is."""
        return self.folder / f"output-{self.port}.txt"

    def __enter__(self) -> Program:
        self._log = self.log_file.open("wb")
        self._process = subprocess.Popen(
            self.arguments,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            self._wait_for_port()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: object, trace: object) -> None:
        self.stop()

    def _wait_for_port(self) -> None:
        end = time.monotonic() + self.seconds
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                pass
            status = self._pause(0.05)
            if status is not None:
                raise ProgramFailed(f"{self.arguments[0]} ended with status {status}: {self.output[-1500:]}")
        raise ProgramFailed(f"{self.arguments[0]} did not listen within {self.seconds} s: {self.output[-1500:]}")

    def read_when_complete(self, file: Path, *, ending: str, seconds: float = 30) -> str:
        """The text of a file that the program is about to write, once it ends with `ending`; "" if it never does."""
        return self.read_until(file, lambda text: text.rstrip().endswith(ending), seconds=seconds)

    def read_until(self, file: Path, enough: Callable[[str], bool], *, seconds: float = 30) -> str:
        """The text of a file that the program writes, once that is `enough`; "" if it never is."""
        end = time.monotonic() + seconds
        status = None
        while True:
            text = file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""
            if enough(text):
                return text
            if status is not None or time.monotonic() >= end:
                return ""
            status = self._pause(0.1)

    def _pause(self, seconds: float) -> Optional[int]:
        """Let the program go on for a moment; its exit status if it has ended."""
        assert self._process is not None
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def stop(self, seconds: float = 5) -> None:
        """Ask the program to end, and force it after `seconds`. What it started ends too."""
        if self._process is not None:
            self._signal(self._process, force=False)
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                pass
            self._signal(self._process, force=True)
            self._process.wait(seconds)
            self._process = None
        if self._log is not None:
            self._log.close()
            self._log = None

    @staticmethod
    def _signal(process: subprocess.Popen[bytes], force: bool) -> None:
        try:
            if sys.platform == "win32":
                process.kill() if force else process.terminate()
            else:
                os.killpg(process.pid, signal.SIGKILL if force else signal.SIGTERM)
        except (ProcessLookupError, PermissionError):
            pass  # it has ended by itself


def _environment(settings: Settings) -> Dict[str, str]:
    merged = {**os.environ, **(settings or {})}
    return {name: value for name, value in merged.items() if value is not None}


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now, for programs that cannot be told to choose one.

    It lies below those that systems give away by themselves (from 32768 on Linux, from 49152 elsewhere): one of these
    could become somebody's, for a listener or for a connection, before the program takes it.
    """
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ProgramFailed("all ports are taken")


def cache_folder(name: str, variable: str) -> Path:
    """The folder for what a test program installs: the one that the environment `variable` names, or in ~/.cache."""
    folder = Path(os.environ.get(variable) or Path.home() / ".cache" / name).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def run_command(
    arguments: Sequence[Argument],
    *,
    seconds: float,
    folder: Optional[Path] = None,
    environment: Settings = None,
) -> str:
    """Run a command to its end and return its standard output; ProgramFailed if it fails or takes too long."""
    words = [str(argument) for argument in arguments]
    try:
        done = subprocess.run(
            words,
            cwd=folder,
            env=_environment(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds,
            check=False,
        )
    except OSError as error:
        raise ProgramFailed(f"{words[0]} could not be run: {error}") from error
    except subprocess.TimeoutExpired as error:
        raise ProgramFailed(f"{' '.join(words)} took more than {seconds} s") from error
    output = done.stdout.decode(errors="replace")
    if done.returncode:
        raise ProgramFailed(f"{' '.join(words)} failed: {output[-800:]}")
    return output

"""The server of the benchmark: `server.c`, compiled for this run and running as long as the context is open."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import List, Optional, Type

from wssync.testing.certificates import certificates, write_authority

__all__ = ["NoServer", "Server"]

SOURCE = Path(__file__).with_name("server.c")

PROBE = "#include <openssl/ssl.h>\n#include <sys/epoll.h>\nint main(void) { return 0; }\n"
"""What compiles where everything is there that the server needs from outside."""


class NoServer(Exception):
    """The server cannot be had here; the text says why in a line."""


class Server:
    """The server, compiled in `folder`. Entering raises NoServer where it cannot be.

    `url` is where it serves `ws`, `secure_url` `wss` for those who trust `ca_file`; both are `None` without trustme,
    and `insecurity` says so.
    """

    secure_url: Optional[str] = None
    ca_file: Optional[str] = None
    insecurity = ""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> Server:
        program = _compile(self._folder)
        words = [str(program)]
        try:
            key_and_chain = self._folder / "server.pem"
            key_and_chain.touch(mode=0o600)
            key_and_chain.write_bytes(certificates().key_and_chain)
            self.ca_file = write_authority(str(self._folder))
            words.append(str(key_and_chain))
        except RuntimeError as error:
            self.insecurity = f"{error} (trustme)"
        self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self.pid = self._process.pid
        assert self._process.stdout is not None
        ports = self._process.stdout.readline().split()
        if len(ports) != 2:
            self._stop()
            raise NoServer(f"the server ended with status {self._process.returncode}")
        self.url = f"ws://127.0.0.1:{ports[0]}"
        if self.ca_file is not None:
            self.secure_url = f"wss://127.0.0.1:{ports[1]}"
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


def _compile(folder: Path) -> Path:
    compiler = shlex.split(os.environ.get("CC") or "cc")
    if shutil.which(compiler[0]) is None:
        raise NoServer(f"there is no C compiler ({compiler[0]}) to build the server with")
    probe, program = folder / "probe.c", folder / "server"
    probe.write_text(PROBE, encoding="ascii")
    missing = _run([*compiler, "-fsyntax-only", str(probe)])
    if missing:
        raise NoServer("the headers of OpenSSL (libssl-dev) and of Linux are needed to build the server")
    complaint = _run([*compiler, "-O3", "-o", str(program), str(SOURCE), "-lssl", "-lcrypto"])
    if complaint:
        raise NoServer(f"the server does not compile: {complaint}")
    return program


def _run(words: List[str]) -> str:
    """What a command that failed said; empty if it did not fail."""
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return (done.stdout or "no output") if done.returncode else ""

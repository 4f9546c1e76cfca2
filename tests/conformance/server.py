"""The server under test: `wssync.testing.Server` with its `echo`, and whatever the Autobahn Testsuite sends to it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Sequence

import wssync
from tests.conformance.autobahn import AGENT, Judge
from tests.conformance.progress import Progress
from tests.conformance.verdicts import Verdicts, parse_report
from wssync.testing import Server, ServerConnection, echo

__all__ = ["judge_server"]


def judge_server(judge: Judge, folder: Path, cases: Sequence[str], tls: bool) -> Verdicts:
    """Have the judge's client run `cases`, numbers or patterns, and write its report into `folder`."""
    progress = Progress()

    def greet(connection: ServerConnection) -> None:
        connection.add_headers({"Server": AGENT})  # its name in the report
        progress.step()

    log = logging.getLogger("wssync.testing")
    level = log.level
    log.setLevel(logging.CRITICAL)  # that clients break the protocol is half of the cases
    try:
        with Server(echo, tls=tls, compression=judge.server_compression, opening=greet) as server:
            text = judge.examine(server.url, folder, cases)
    finally:
        log.setLevel(level)
    for error in server.errors:
        if not isinstance(error, wssync.ProtocolError):
            print(f"the server failed: {error!r}")
    return parse_report(text)

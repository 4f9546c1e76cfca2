"""For users' own `unittest` suites: a WebSocket server inside the test's process.

    with wssync.testing.Server() as server:          # echoes; Server(handler) does what `handler(connection)` does
        with wssync.connect(server.url) as task:
            ...

Nothing of `wssync` imports this package by itself.
"""

from __future__ import annotations

from .connection import ServerConnection
from .server import Handler, Server, echo

__all__ = ["Handler", "Server", "ServerConnection", "echo"]

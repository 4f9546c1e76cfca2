"""The command line: a WebSocket client for terminals and pipes, and an echo server to try it on.

It is a user of the library like any other: `wssync` and `wssync.testing` are all it knows. Two threads do the work, and
neither of them is its own. The main thread reads the input and sends it, blocking; what the server says is shown by a
handler on the session's executor. So neither direction ever waits for the other, and a slow reader of standard output
slows down the server, as it would in any pipe.
"""

from __future__ import annotations

from .command import main

__all__ = ["main"]

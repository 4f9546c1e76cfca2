"""The echo server: inside the process when there is no URL, alone for `wssync serve`."""

from __future__ import annotations

import threading

from wssync.testing import Server

from .console import Console, wait_for

__all__ = ["serve"]


def serve(console: Console, port: int = 0) -> None:
    """Echo on 127.0.0.1 until Ctrl-C (`KeyboardInterrupt`); the URL is the first line of output."""
    server = Server()
    server.start(port)
    try:
        console.write(f"{server.url}\n".encode())
        wait_for(threading.Event())
    finally:
        server.close()

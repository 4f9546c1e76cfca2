"""wssync: Apple's `URLSessionWebSocketTask`, for Python.

    import wssync

    with wssync.connect("wss://example.com/chat") as task:      # open, or raise why not
        task.send("hello")                                      # blocks until the system has it
        print(task.receive(timeout=5))                          # str or bytes; TimeoutError consumes nothing
        task.receive(lambda result: print(result.get()))        # or a handler, on the session's executor
        for message in task:                                    # until the peer closes
            print(message)

A `Session` makes tasks that share a `SessionConfiguration`, a delegate and an executor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .configuration import SessionConfiguration
from .delegate import SessionDelegate, TaskDelegate, WebSocketDelegate
from .engine.completions import Result
from .errors import (
    Cancelled,
    CertificateError,
    ConnectionClosed,
    ConnectionFailed,
    ConnectionRefused,
    HandshakeError,
    HostNotFound,
    InvalidURL,
    MessageTooBig,
    ProtocolError,
    ProxyError,
    SendQueueFull,
    SessionInvalidated,
    TimedOut,
    TLSError,
    WebSocketError,
)
from .protocol.closing import CloseCode
from .protocol.deflate import DeflateOptions
from .protocol.headers import Headers
from .protocol.http1 import Request, Response
from .session import Session, connect
from .session_task import SessionTask, TaskState
from .task import WebSocketTask

__all__ = [
    "Cancelled",
    "CertificateError",
    "CloseCode",
    "ConnectionClosed",
    "ConnectionFailed",
    "ConnectionRefused",
    "DeflateOptions",
    "HandshakeError",
    "Headers",
    "HostNotFound",
    "InvalidURL",
    "MessageTooBig",
    "ProtocolError",
    "ProxyError",
    "Request",
    "Response",
    "Result",
    "SendQueueFull",
    "Session",
    "SessionConfiguration",
    "SessionDelegate",
    "SessionInvalidated",
    "SessionTask",
    "TLSError",
    "TaskDelegate",
    "TaskState",
    "TimedOut",
    "WebSocketDelegate",
    "WebSocketError",
    "WebSocketTask",
    "connect",
]

__version__ = "0.1.0"

if TYPE_CHECKING:
    from . import executors as executors
else:

    def __getattr__(name):
        """`wssync.executors` is there without an import of its own, and costs nothing who does not use it."""
        if name != "executors":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import importlib

        return importlib.import_module(".executors", __name__)

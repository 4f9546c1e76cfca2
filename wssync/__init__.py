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

from .configuration import SessionConfiguration
from .cookies import CookieAcceptPolicy
from .delegate import SessionDelegate, TaskDelegate, WebSocketDelegate
from .engine.completions import Result
from .errors import (
    AuthenticationFailed,
    Cancelled,
    CertificateError,
    ConnectionClosed,
    ConnectionFailed,
    ConnectionRefused,
    HandshakeError,
    HostNotFound,
    InsecureRedirect,
    InvalidURL,
    MessageTooBig,
    ProtocolError,
    ProxyError,
    SendQueueFull,
    SessionInvalidated,
    TimedOut,
    TLSError,
    TooManyRedirects,
    WebSocketError,
)
from .hints import TYPE_CHECKING
from .protocol.closing import CloseCode
from .protocol.deflate import DeflateOptions
from .protocol.headers import Headers
from .protocol.http1 import Request, Response
from .session import Session, connect
from .session_task import SessionTask, TaskState
from .task import WebSocketTask

__all__ = [
    "AuthChallengeDisposition",
    "AuthenticationChallenge",
    "AuthenticationFailed",
    "AuthenticationMethod",
    "Cancelled",
    "CertificateError",
    "CloseCode",
    "ConnectionClosed",
    "ConnectionFailed",
    "ConnectionRefused",
    "CookieAcceptPolicy",
    "Credential",
    "CredentialPersistence",
    "CredentialStorage",
    "DeflateOptions",
    "HandshakeError",
    "Headers",
    "HostNotFound",
    "InsecureRedirect",
    "InvalidURL",
    "MessageTooBig",
    "ProtectionSpace",
    "ProtocolError",
    "ProxyError",
    "Request",
    "ResourceFetchType",
    "Response",
    "Result",
    "SendQueueFull",
    "ServerTrust",
    "Session",
    "SessionConfiguration",
    "SessionDelegate",
    "SessionInvalidated",
    "SessionTask",
    "TLSError",
    "TaskDelegate",
    "TaskMetrics",
    "TaskState",
    "TaskTransactionMetrics",
    "TimedOut",
    "TooManyRedirects",
    "WebSocketDelegate",
    "WebSocketError",
    "WebSocketTask",
    "connect",
]

__version__ = "0.1.0"

if TYPE_CHECKING:
    from . import executors as executors
    from .auth import AuthChallengeDisposition as AuthChallengeDisposition
    from .auth import AuthenticationChallenge as AuthenticationChallenge
    from .auth import AuthenticationMethod as AuthenticationMethod
    from .auth import Credential as Credential
    from .auth import CredentialPersistence as CredentialPersistence
    from .auth import CredentialStorage as CredentialStorage
    from .auth import ProtectionSpace as ProtectionSpace
    from .auth import ServerTrust as ServerTrust
    from .metrics.values import ResourceFetchType as ResourceFetchType
    from .metrics.values import TaskMetrics as TaskMetrics
    from .metrics.values import TaskTransactionMetrics as TaskTransactionMetrics
else:
    _AUTH = (
        "AuthChallengeDisposition",
        "AuthenticationChallenge",
        "AuthenticationMethod",
        "Credential",
        "CredentialPersistence",
        "CredentialStorage",
        "ProtectionSpace",
        "ServerTrust",
    )
    _METRICS = ("ResourceFetchType", "TaskMetrics", "TaskTransactionMetrics")
    _LATE = {
        "executors": ".executors",
        **dict.fromkeys(_AUTH, ".auth"),
        **dict.fromkeys(_METRICS, ".metrics.values"),
    }

    def __getattr__(name):
        """What most programs do not use is there without an import of its own, and costs nothing before it is used."""
        if name not in _LATE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import importlib

        module = importlib.import_module(_LATE[name], __name__)
        return module if name == "executors" else getattr(module, name)

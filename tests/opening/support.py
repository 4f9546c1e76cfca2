"""What the tests of the opening share: delegates made of functions, servers that are not trusted, and a look into
errors for what must not be there.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import socket
import ssl
import tempfile
import threading
import traceback
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Iterator, List, Optional, Tuple, Type, TypeVar
from unittest import mock

import wssync
from tests.tasks import PATIENCE, OnlineTestCase
from wssync import (
    AuthChallengeDisposition,
    AuthenticationChallenge,
    Credential,
    CredentialPersistence,
    ServerTrust,
    SessionConfiguration,
    TaskState,
    WebSocketError,
)
from wssync.testing import Handler, Server, ServerConnection, echo
from wssync.testing.certificates import certificates
from wssync.testing.wire import Wire

if TYPE_CHECKING:
    import trustme

__all__ = [
    "CANCEL",
    "DEFAULT",
    "PATIENCE",
    "REJECT",
    "SECRET",
    "Arrivals",
    "Delegate",
    "Door",
    "OpeningTestCase",
    "answer_of",
    "chain",
    "everything_in",
    "password",
    "trust_in",
    "trusting",
    "userinfo",
]

Answer = Tuple[AuthChallengeDisposition, Optional[Credential]]

DEFAULT: Answer = (AuthChallengeDisposition.PERFORM_DEFAULT_HANDLING, None)
CANCEL: Answer = (AuthChallengeDisposition.CANCEL_AUTHENTICATION_CHALLENGE, None)
REJECT: Answer = (AuthChallengeDisposition.REJECT_PROTECTION_SPACE, None)

SECRET = "s3cret-Zq7"
"""A password that is found again wherever it is shown."""

E = TypeVar("E", bound=WebSocketError)


def answer_of(credential: Optional[Credential]) -> Answer:
    """Use it."""
    return AuthChallengeDisposition.USE_CREDENTIAL, credential


def password(
    user: str = "user",
    secret: str = SECRET,
    persistence: CredentialPersistence = CredentialPersistence.FOR_SESSION,
) -> Answer:
    """Use these."""
    return answer_of(Credential(user, secret, persistence))


def trusting(session: Any, challenge: AuthenticationChallenge) -> Answer:
    """A session's method that accepts every server's certificate, and has none of its own."""
    trust = challenge.protection_space.server_trust
    return DEFAULT if trust is None else answer_of(Credential.for_trust(trust))


def userinfo(url: str, text: str = f"user:{SECRET}") -> str:
    """The URL with a user name and a password in it."""
    return url.replace("://", f"://{text}@")


class Delegate:
    """A delegate with the methods that it is given by name, and those that only tell how a task went.

    Every call of either kind is in `names`, in order, with its last argument in `heard`.
    """

    def __init__(self, **methods: Callable[..., Any]) -> None:
        self._changed = threading.Condition()
        self.names: List[str] = []
        self.heard: List[Any] = []
        telling = ("is_waiting_for_connectivity", "did_receive_informational_response", "did_open", "did_complete")
        for name in telling:
            setattr(self, name, self._keep(name, lambda *_: None))
        for name, method in methods.items():
            setattr(self, name, self._keep(name, method))

    def _keep(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            with self._changed:
                self.names.append(name)
                self.heard.append(arguments[-1])
                self._changed.notify_all()
            return method(*arguments)

        return call

    def wait_for(self, name: str, count: int = 1) -> List[Any]:
        """The last arguments of the calls of that name, once there are `count` of them."""

        def found() -> List[Any]:
            return [heard for known, heard in zip(self.names, self.heard) if known == name]

        with self._changed:
            if not self._changed.wait_for(lambda: len(found()) >= count, PATIENCE):
                raise AssertionError(f"{name} did not come {count} times: {self.names}")
            return found()

    def questions(self, name: str = "did_receive_challenge") -> List[Any]:
        """The challenges (or whatever the last argument is) that were put to that method so far."""
        return [heard for known, heard in zip(self.names, self.heard) if known == name]


class Arrivals:
    """An opening that lets a test wait until requests have come; it answers none of them."""

    def __init__(self) -> None:
        self._come = threading.Semaphore(0)

    def __call__(self, connection: ServerConnection) -> None:
        self._come.release()

    def wait(self) -> None:
        """Until one more has come."""
        if not self._come.acquire(timeout=PATIENCE):
            raise AssertionError("no request came")


class OpeningTestCase(OnlineTestCase):
    """Tests of openings, by the names that users have."""

    def setUp(self) -> None:
        # What the machine has set must not decide where a test connects to.
        environment = mock.patch.dict("os.environ")
        environment.start()
        self.addCleanup(environment.stop)
        for name in list(os.environ):
            if name.lower().endswith("_proxy") or name in ("NETRC", "SSLKEYLOGFILE", "REQUEST_METHOD"):
                del os.environ[name]

    def fails(self, kind: Type[E], url: Any, code: Optional[int] = None, **options: Any) -> E:
        """It does not open, for this reason and with this number; the error is returned."""
        with self.assertRaises(kind) as caught:
            self.connect(url, **options)
        if code is not None:
            self.assertEqual(caught.exception.url_error_code, code, caught.exception)
        return caught.exception

    def ends(self, task: wssync.WebSocketTask, kind: Type[E], code: Optional[int] = None) -> E:
        """The task ends with such an error, which is returned."""
        self.assertClosed(task)
        self.assertIs(task.state, TaskState.COMPLETED)
        error = task.error
        assert isinstance(error, kind), error
        if code is not None:
            self.assertEqual(error.url_error_code, code, error)
        return error

    def future(self) -> Future[Any]:
        """A future as a delegate gives it: it will be answered by the test, or never."""
        return Future()

    def folder(self) -> Path:
        """A folder for the time of the test."""
        directory = tempfile.TemporaryDirectory(prefix="wssync-tests-")
        self.addCleanup(directory.cleanup)
        return Path(directory.name)

    def count_connections(self) -> List[Wire]:
        """A list that has each connection that a server accepts in the rest of the test, with a request or without."""
        found: List[Wire] = []

        def make(*arguments: Any) -> Wire:
            found.append(Wire(*arguments))
            return found[-1]

        patch = mock.patch("wssync.testing.server.Wire", make)
        patch.start()
        self.addCleanup(patch.stop)
        return found

    # -- TLS -----------------------------------------------------------------------------------------------------------

    _has_roots = False

    def trust(self, authority: Optional[bytes] = None) -> None:
        """For the rest of the test this authority (PEM), or that of `wssync.testing`, is all that certifi has."""
        self._has_roots = True
        path = self.folder() / "ca.pem"
        path.write_bytes(authority or certificates().authority)
        patch = mock.patch("certifi.where", return_value=str(path))
        patch.start()
        self.addCleanup(patch.stop)

    def secret_server(self, handler: Handler = echo, **options: Any) -> Server:
        """A `wss:` server whose `ssl.SSLContext` is `context`; for sessions that no `ssl_context` is slipped to."""
        if not self._has_roots:
            self.trust()
        context: Optional[ssl.SSLContext] = options.pop("context", None)
        server = self.serve(handler, tls=True, **options)
        if context is not None:
            server._context = context
        return server

    def strange_context(self, *names: str, authority: Optional[trustme.CA] = None, **options: Any) -> ssl.SSLContext:
        """A server's context with a certificate for these names (localhost) by an authority that nobody knows."""
        import trustme

        issuer = authority or trustme.CA(key_type=trustme.KeyType.ECDSA)
        leaf = issuer.issue_cert(*(names or ("localhost", "127.0.0.1")), key_type=trustme.KeyType.ECDSA, **options)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        leaf.configure_cert(context)
        return context

    def plain_session(self, delegate: object = None, **changes: Any) -> wssync.Session:
        """A session that trusts by its own rules alone: no `ssl_context` is slipped to it."""
        session = wssync.Session(SessionConfiguration.ephemeral().replace(**changes), delegate=delegate)
        self.addCleanup(session.__exit__, None, None, None)
        return session

    def opened(self, session: wssync.Session, url: str) -> wssync.WebSocketTask:
        """A task of that session, open."""
        task = session.websocket_task(url)
        task.resume()
        task.wait_until_open(PATIENCE)
        return task

    def refused(self, session: wssync.Session, url: str, kind: Type[E], code: Optional[int] = None) -> E:
        """The error of a task of that session that does not open."""
        task = session.websocket_task(url)
        task.resume()
        with self.assertRaises(kind):
            task.wait_until_open(PATIENCE)
        return self.ends(task, kind, code)


def chain(error: Optional[BaseException]) -> Iterator[BaseException]:
    """An exception with all its causes and contexts, those that are not shown too."""
    seen: List[BaseException] = []
    left = [error]
    while left:
        one = left.pop()
        if one is not None and one not in seen:
            seen.append(one)
            left += [one.__cause__, one.__context__]
            yield one


def everything_in(error: BaseException) -> str:
    """All that can be read in an exception: texts, attributes, traceback and what its pickle holds."""
    words = [*traceback.format_exception(type(error), error, error.__traceback__)]
    for one in chain(error):
        words += [str(one), repr(one), repr(one.args), repr(vars(one))]
    pickled = pickle.dumps(error)
    again = pickle.loads(pickled)
    words += [pickled.decode("latin-1"), str(again), repr(again), repr(vars(again))]
    return "\n".join(words)


def trust_in(challenge: AuthenticationChallenge) -> ServerTrust:
    """What a server has shown."""
    trust = challenge.protection_space.server_trust
    assert trust is not None
    return trust


class Door:
    """A Unix socket that leads to a server: `wssync.testing.Server` itself listens on TCP alone."""

    def __init__(self, path: Path, server: Server) -> None:
        self._path = str(path)
        self._address = ("127.0.0.1", int(server.url[:-1].rpartition(":")[2]))
        self._socks: List[socket.socket] = []
        self._threads: List[threading.Thread] = []
        self._closing = False

    def __enter__(self) -> Door:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self._path)
        self._listener.listen()
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._closing = True
        with socket.socket(socket.AF_UNIX) as last:  # its arrival ends the wait for one
            last.connect(self._path)
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), "the door hangs"
        for sock in (self._listener, *self._socks):
            sock.close()

    def _start(self, target: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            inside, _ = self._listener.accept()
            self._socks.append(inside)
            if self._closing:
                return
            outside = socket.create_connection(self._address, PATIENCE)
            self._socks.append(outside)
            self._start(_carry, inside, outside)
            self._start(_carry, outside, inside)


def _carry(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)

"""Tests of `wssync.transport.dial`.

The race of the addresses runs without any network: its sockets do what a script says, and its waits move a clock by
hand. The rest is loopback.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import ssl
import sys
import tempfile
import threading
import unittest
from types import SimpleNamespace
from typing import Any, Callable, ClassVar, Dict, Iterable, List, Optional, Sequence, Set, Tuple
from unittest import mock

from tests.clock import StillClock
from tests.support import cases, with_cases
from tests.transport.support import (
    PATIENCE,
    Running,
    TransportTestCase,
    client_context,
    reset,
    server_context,
)
from wssync.errors import (
    Cancelled,
    CertificateError,
    ConnectionFailed,
    ConnectionRefused,
    HostNotFound,
    TimedOut,
    TLSError,
    WebSocketError,
)
from wssync.transport import dial as dialling
from wssync.transport.clock import Deadline
from wssync.transport.dial import DialOptions, _peer_of, dial
from wssync.transport.stream import Stream, TCPStream
from wssync.transport.tls_stream import TLSStream
from wssync.transport.trust import Handshakes, TLSTerms
from wssync.transport.waiting import Attempt, Waker

URL = "wss://example.org/chat"
SOURCE = "127.0.0.2" if sys.platform == "linux" else "127.0.0.1"
"""Where all of 127.0.0.0/8 is this machine, an address that the system would not choose by itself."""
Answers = Sequence[Tuple[Any, ...]]


def start_tls(
    stream: Stream, attempt: Attempt, context: ssl.SSLContext, name: str, url: Optional[str] = None
) -> TLSStream:
    """A verified handshake, for which this context is the user's own."""
    return Handshakes(TLSTerms(ssl_context=context), url=url).secure(stream, attempt, name)


def answer(*places: Tuple[str, int]) -> Answers:
    """What `getaddrinfo` returns for these addresses and ports."""
    return [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (host, port, 0, 0))
        if ":" in host
        else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))
        for host, port in places
    ]


def resolver(*places: Tuple[str, int]) -> Callable[..., Answers]:
    return lambda *_, **__: answer(*places)


def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


class Cancelling:
    """A `check` that lets another thread cancel the attempt as soon as it has been asked `after` times."""

    def __init__(self, after: int = 1) -> None:
        self._left = after
        self._cancelled = False
        self.attempt: Optional[Attempt] = None
        self.thread = threading.Thread(target=self.cancel)

    def __call__(self) -> None:
        if self._cancelled:
            raise Cancelled("by another thread")
        self._left -= 1
        if not self._left:
            self.thread.start()

    def join(self) -> None:
        """A thread inside `wake` keeps the waker's descriptor: no leak, but it must be gone before they are counted."""
        if self.thread.ident is not None:
            self.thread.join(PATIENCE)

    def cancel(self) -> None:
        assert self.attempt is not None
        self._cancelled = True
        self.attempt.waker.wake()


class DialTestCase(TransportTestCase):
    def dial(
        self,
        host: str,
        port: int,
        attempt: Optional[Attempt] = None,
        *,
        resolve: Callable[..., Answers] = socket.getaddrinfo,
        tls: Optional[ssl.SSLContext] = None,
        server_hostname: Optional[str] = None,
        url: Optional[str] = None,
        **options: Any,
    ) -> Stream:
        """A connection, with TLS as an opening makes it if there is a context."""
        attempt = attempt or self.attempt()
        with mock.patch.object(socket, "getaddrinfo", resolve):
            stream = dial(host, port, attempt, url=url, **options)
        self.addCleanup(stream.close)
        return stream if tls is None else start_tls(stream, attempt, tls, server_hostname or host, url)

    def cancelling(self, after: int = 1) -> Tuple[Cancelling, Attempt]:
        check = Cancelling(after)
        self.addCleanup(check.join)
        check.attempt = self.attempt(check=check, seconds=None)
        return check, check.attempt


class ResolvingTests(DialTestCase):
    """From the name to its addresses."""

    def test_a_name_is_resolved_in_a_daemon_thread(self) -> None:
        """The resolver is asked for stream sockets, by a daemon thread that is named for what it does."""
        _, port = self.listener()
        seen: List[Any] = []

        def resolve(*arguments: Any, **options: Any) -> Answers:
            thread = threading.current_thread()
            seen.extend([arguments, options, thread.name.rstrip("0123456789"), thread.daemon])
            return answer(("127.0.0.1", port))

        stream = self.dial("example.org", port, resolve=resolve)
        self.assertEqual(stream.remote_address, ("127.0.0.1", port))
        self.assertEqual(seen, [("example.org", port), {"type": socket.SOCK_STREAM}, "wssync-resolver-", True])

    def test_the_systems_resolver_knows_localhost(self) -> None:
        """By default `socket.getaddrinfo` is asked."""
        listener, port = self.listener()
        stream = self.dial("localhost", port)
        listener.accept()[0].close()
        self.assertEqual(stream.remote_address, ("127.0.0.1", port))

    def test_an_address_needs_no_resolver(self) -> None:
        """An IP address is connected to without a thread and without the resolver."""
        _, port = self.listener()
        with mock.patch.object(threading.Thread, "start") as start:
            stream = self.dial("127.0.0.1", port, resolve=mock.Mock(side_effect=AssertionError))
        start.assert_not_called()
        self.assertEqual(stream.remote_address, ("127.0.0.1", port))

    @unittest.skipUnless(socket.has_ipv6, "no IPv6")
    def test_an_ipv6_address_needs_no_resolver(self) -> None:
        """So is one of IPv6, as it stands in a URL, without its brackets; its failure shows it with them."""
        with self.assertRaises(ConnectionFailed) as caught:
            self.dial("::1", closed_port(), resolve=mock.Mock(side_effect=AssertionError))
        self.assertIn("[::1]:", str(caught.exception))

    def test_a_name_without_an_address(self) -> None:
        """What the resolver raises is HostNotFound (-1003), with the URL, and its cause; so is no address at all."""
        for result in (socket.gaierror(socket.EAI_NONAME, "unknown"), UnicodeError("label too long"), SystemExit()):
            with self.assertRaises(HostNotFound) as caught:
                self.dial("example.org", 80, resolve=mock.Mock(side_effect=result), url=URL)
            self.assertIs(caught.exception.__cause__, result)
            self.assertEqual((caught.exception.url_error_code, caught.exception.url), (-1003, URL))
            self.assertIn("example.org", str(caught.exception))
        with self.assertRaises(HostNotFound) as caught:
            self.dial("example.org", 80, resolve=resolver())
        self.assertIsNone(caught.exception.url)

    def test_a_name_that_no_system_call_takes(self) -> None:
        """A NUL in the name, which no URL lets through, is an unknown host here."""
        with self.assertRaises(HostNotFound):
            self.dial("exa\0mple", 80)

    def test_only_internet_addresses_count(self) -> None:
        """What else a resolver may know is left out, and what it says twice is tried once."""
        port = closed_port()
        strange = [(socket.AF_UNIX if hasattr(socket, "AF_UNIX") else 1, socket.SOCK_STREAM, 0, "", ("/tmp/x", 0))]
        twice = [*strange, *answer(("127.0.0.1", port), ("127.0.0.1", port))]
        with self.assertRaises(ConnectionRefused) as caught:
            self.dial("example.org", port, resolve=lambda *_, **__: twice)
        self.assertEqual(str(caught.exception).count(f"127.0.0.1:{port}"), 1)
        with self.assertRaises(HostNotFound):
            self.dial("example.org", port, resolve=lambda *_, **__: strange)

    def test_a_cancel_does_not_wait_for_the_resolver(self) -> None:
        """The attempt ends while the resolver still hangs; its late answer disturbs nobody, nor does its late wake."""
        release = threading.Event()
        threads: List[threading.Thread] = []
        cancelling, attempt = self.cancelling(after=100)

        def resolve(*_: Any, **__: Any) -> Answers:
            threads.append(threading.current_thread())
            cancelling.cancel()
            release.wait(PATIENCE)
            return answer(("127.0.0.1", 1))

        with self.assertRaises(Cancelled):
            self.dial("example.org", 80, attempt, resolve=resolve)
        self.assertTrue(threads[0].is_alive())
        attempt.waker.close()
        release.set()
        threads[0].join(PATIENCE)
        self.assertFalse(threads[0].is_alive())

    def test_the_deadline_covers_the_resolver(self) -> None:
        """Rule 204: a resolver that hangs past the deadline is TimedOut (-1001) with the URL."""
        release = threading.Event()
        clock = StillClock()
        attempt = self.attempt(clock=clock, seconds=30.0)
        threads: List[threading.Thread] = []

        def resolve(*_: Any, **__: Any) -> Answers:
            threads.append(threading.current_thread())
            clock.advance(31.0)
            attempt.waker.wake()
            release.wait(PATIENCE)
            return []

        with self.assertRaises(TimedOut) as caught:
            self.dial("example.org", 80, attempt, resolve=resolve, url=URL)
        self.assertEqual(caught.exception.url, URL)
        release.set()
        threads[0].join(PATIENCE)

    def test_no_thread_to_be_had(self) -> None:
        """When the system gives no thread, that is a failed connection and nothing hangs."""
        refusal = RuntimeError("can't start new thread")
        with (
            mock.patch.object(threading.Thread, "start", side_effect=refusal),
            self.assertRaises(ConnectionFailed) as caught,
        ):
            self.dial("example.org", 80)
        self.assertIs(caught.exception.__cause__, refusal)


class ConnectingTests(DialTestCase):
    """One address, over loopback."""

    def test_the_options_of_the_socket(self) -> None:
        """No delay for small messages, keep-alive, not inherited by child processes; it blocks where that is safe."""
        _, port = self.listener()
        stream = self.dial("127.0.0.1", port)
        assert isinstance(stream, TCPStream)
        sock = stream._sock
        self.assertTrue(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        self.assertTrue(sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
        self.assertFalse(sock.get_inheritable())
        self.assertEqual(sock.getblocking(), sys.platform == "linux")

    def test_a_socket_that_blocks_at_first(self) -> None:
        """Where there is no kind of socket that never does, it is told not to."""
        _, port = self.listener()
        with mock.patch.object(dialling, "_NOT_BLOCKING", socket.SOCK_STREAM):
            stream = self.dial("127.0.0.1", port)
        assert isinstance(stream, TCPStream)
        self.assertIsNone(stream.recv(1))

    def test_who_answers(self) -> None:
        """What it was connected to, unless that stands for another address, which the socket alone knows."""
        for host in ("0.0.0.0", "::", "::ffff:7f00:1"):
            self.assertIsNone(_peer_of((socket.AF_INET, (host, 80))))
        self.assertEqual(_peer_of((socket.AF_INET, ("127.0.0.1", 80))), ("127.0.0.1", 80))

    def test_the_stream_is_woken_with_the_attempts_waker(self) -> None:
        """Whoever could end the opening can wake the stream."""
        _, port = self.listener()
        attempt = self.attempt()
        stream = self.dial("127.0.0.1", port, attempt)
        attempt.waker.wake()
        self.assertEqual(stream.wait(True, False, None), (False, False))

    def test_bytes_flow(self) -> None:
        """What comes out is a working stream."""
        listener, port = self.listener()
        stream = self.dial("127.0.0.1", port)
        with listener.accept()[0] as peer:
            stream.send(b"ping")
            self.assertEqual(peer.recv(10), b"ping")

    def test_nobody_listens(self) -> None:
        """ConnectionRefused (-1004), naming host and address, with the URL and the OSError."""
        port = closed_port()
        with self.assertRaises(ConnectionRefused) as caught:
            self.dial("example.org", port, resolve=resolver(("127.0.0.1", port)), url=URL)
        self.assertEqual((caught.exception.url_error_code, caught.exception.url), (-1004, URL))
        self.assertIn(f"example.org port {port} (127.0.0.1:{port}: ", str(caught.exception))
        self.assertIsInstance(caught.exception.__cause__, ConnectionRefusedError)

    def test_a_cancel_does_not_wait_for_the_connect(self) -> None:
        """A server whose queue is full lets a connect hang; cancelled by another thread it ends, and is closed."""
        listener = socket.socket()
        self.addCleanup(listener.close)
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        place = listener.getsockname()
        for _ in range(3):
            filler = socket.socket()
            self.addCleanup(filler.close)
            filler.setblocking(False)
            filler.connect_ex(place)
        _, attempt = self.cancelling()
        with self.assertRaises(Cancelled):
            self.dial("127.0.0.1", place[1], attempt)

    def test_what_is_traced(self) -> None:
        """The connection that is used is told of with both its ends."""
        _, port = self.listener()
        trace = mock.Mock()
        stream = self.dial("127.0.0.1", port, options=DialOptions(trace=trace))
        started = mock.call("connect_start", address=("127.0.0.1", port))
        ended = mock.call("connect_end", local=stream.local_address, remote=("127.0.0.1", port))
        self.assertEqual(trace.mock_calls, [started, ended])

    def test_a_trace_that_raises(self) -> None:
        """It must not; if it does, all is closed, not left to the collector of garbage."""
        _, port = self.listener()
        for event in ("connect_start", "connect_end", "connect_failed"):

            def trace(told: str, event: str = event, **_: object) -> None:
                if told == event:
                    raise ZeroDivisionError

            place = closed_port() if event == "connect_failed" else port
            with (
                self.subTest(event),
                mock.patch.object(TCPStream, "close", autospec=True, side_effect=TCPStream.close) as close,
                self.assertRaises(ZeroDivisionError),
            ):
                self.dial("127.0.0.1", place, options=DialOptions(trace=trace))
            self.assertEqual(close.called, event == "connect_end")

    def test_an_address_to_start_from(self) -> None:
        """`source_address` is where the server sees the connection come from; port 0 and "" leave it to the system."""
        listener, port = self.listener()
        for source in ((SOURCE, 0), (SOURCE, closed_port()), ("", 0), ("", closed_port())):
            with self.subTest(source=source):
                stream = self.dial("127.0.0.1", port, options=DialOptions(source_address=source))
                peer, address = listener.accept()
                reset(peer)  # so that the port is free again
                self.assertEqual(address, stream.local_address)
                self.assertIn(address[0], (source[0], "127.0.0.1"))
                self.assertIn(source[1], (0, address[1]))

    def test_an_address_that_is_not_ours(self) -> None:
        """An address that this machine has not is a failed connection to each of the server's addresses."""
        _, port = self.listener()
        with self.assertRaises(ConnectionFailed) as caught:
            self.dial("127.0.0.1", port, options=DialOptions(source_address=("192.0.2.1", 0)), url=URL)
        assert isinstance(caught.exception.__cause__, OSError)
        self.assertEqual(caught.exception.__cause__.errno, errno.EADDRNOTAVAIL)
        self.assertEqual(caught.exception.url, URL)

    def test_a_name_to_start_from(self) -> None:
        """As in `socket.create_connection` it may be a name; one that nobody knows is no fault of the server's name."""
        listener, port = self.listener()
        resolve = mock.Mock(return_value=answer((SOURCE, 0), ("127.0.0.1", 0), ("::1", 0)))
        stream = self.dial("127.0.0.1", port, resolve=resolve, options=DialOptions(source_address=("here.example", 0)))
        reset(listener.accept()[0])
        resolve.assert_called_once_with("here.example", 0, type=socket.SOCK_STREAM)
        assert stream.local_address is not None
        self.assertEqual(stream.local_address[0], SOURCE)
        unknown = mock.Mock(side_effect=socket.gaierror(socket.EAI_NONAME, "unknown"))
        with self.assertRaisesRegex(ConnectionFailed, "the source address: nowhere") as caught:
            self.dial("127.0.0.1", port, resolve=unknown, options=DialOptions(source_address=("nowhere", 0)))
        self.assertNotIsInstance(caught.exception, HostNotFound)

    def test_a_cancel_before_anything(self) -> None:
        """An attempt that is cancelled already connects to nothing."""
        _, port = self.listener()
        with self.assertRaises(Cancelled):
            self.dial("127.0.0.1", port, self.attempt(check=mock.Mock(side_effect=Cancelled("at once"))))


@unittest.skipUnless(hasattr(socket, "AF_UNIX"), "no Unix sockets")
class UnixTests(DialTestCase):
    """`unix_path`: a socket of this machine in the place of host and port."""

    def setUp(self) -> None:
        super().setUp()
        directory = tempfile.TemporaryDirectory(prefix="wssync-")
        self.addCleanup(directory.cleanup)
        self.path = os.path.join(directory.name, "socket")
        self.options = DialOptions(unix_path=self.path)
        # Nothing is looked up.
        self.resolve = mock.Mock(side_effect=AssertionError("a look-up"))

    def listen(self, backlog: int = 1) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        listener.bind(self.path)
        listener.listen(backlog)
        return listener

    def test_bytes_flow(self) -> None:
        """It is a stream as others are, without addresses of the Internet."""
        listener = self.listen()
        stream = self.dial("example.org", 80, resolve=self.resolve, options=self.options)
        with listener.accept()[0] as peer:
            stream.send(b"ping")
            self.assertEqual(peer.recv(10), b"ping")
            peer.sendall(b"pong")
            stream.wait(True, False, PATIENCE)
            self.assertEqual(stream.recv(10), b"pong")
        self.assertEqual((stream.local_address, stream.remote_address), (None, None))

    def test_tls_checks_the_host(self) -> None:
        """Over TLS the certificate must name the host of the URL."""
        for name, kind in (("example.org", None), ("example.com", CertificateError)):
            listener = self.listen()

            def serve(listener: socket.socket = listener) -> None:
                sock, _ = listener.accept()
                sock.settimeout(PATIENCE)
                with contextlib.suppress(OSError), server_context("example.org").wrap_socket(sock, server_side=True):
                    pass
                sock.close()

            server = Running(serve)
            options: Dict[str, Any] = {"tls": client_context(), "resolve": self.resolve, "options": self.options}
            if kind is None:
                self.dial(name, 443, **options)
            else:
                with self.assertRaises(kind):
                    self.dial(name, 443, **options)
            server.result()
            os.unlink(self.path)

    def test_there_is_none(self) -> None:
        """A path where nothing is, or nobody listens, or that is too long, is a failed connection that names it."""
        nobody = socket.socket(socket.AF_UNIX)
        self.addCleanup(nobody.close)
        nobody.bind(self.path)
        for path, kind in (
            (self.path, ConnectionRefused),
            (self.path + "x", ConnectionFailed),
            (self.path + "x" * 200, ConnectionFailed),
        ):
            with self.assertRaises(ConnectionFailed) as caught:
                self.dial("h", 80, options=DialOptions(unix_path=path), url=URL)
            self.assertIs(type(caught.exception), kind)
            self.assertEqual((caught.exception.url_error_code, caught.exception.url), (-1004, URL))
            self.assertIn(path, str(caught.exception))
            self.assertIsInstance(caught.exception.__cause__, OSError)

    def test_no_unix_sockets_here(self) -> None:
        """Where the platform has none the error says so."""
        with (
            mock.patch.object(dialling, "socket", SimpleNamespace()),
            self.assertRaisesRegex(ConnectionFailed, "no Unix sockets"),
        ):
            self.dial("h", 80, options=self.options)

    @unittest.skipUnless(sys.platform == "linux", "others refuse at once")
    def test_a_full_queue(self) -> None:
        """A server that is slow to accept is waited for, until the deadline or a cancel."""
        listener = self.listen(0)
        with socket.socket(socket.AF_UNIX) as filler:
            filler.connect(self.path)
            clock = StillClock()
            attempt = self.attempt(clock=clock, seconds=10.0)
            asked: List[str] = []

            def trace(event: str, **_: object) -> None:
                asked.append(event)
                clock.advance(11.0)

            with self.assertRaises(TimedOut):
                self.dial("h", 80, attempt, options=DialOptions(unix_path=self.path, trace=trace))
            self.assertEqual(asked, ["connect_start"])
            _, attempt = self.cancelling(after=3)
            with self.assertRaises(Cancelled):
                self.dial("h", 80, attempt, options=self.options)
            attempt = self.attempt()
            with mock.patch.object(attempt, "wait", side_effect=lambda timeout: listener.accept()[0].close()) as wait:
                self.dial("h", 80, attempt, options=self.options)
            wait.assert_called_once_with(timeout=0.05)

    def test_a_cancel_before_anything(self) -> None:
        """An attempt that is cancelled already connects to nothing."""
        self.listen()
        trace = mock.Mock()
        with self.assertRaises(Cancelled):
            attempt = self.attempt(check=mock.Mock(side_effect=Cancelled("at once")))
            self.dial("h", 80, attempt, options=DialOptions(unix_path=self.path, trace=trace))
        trace.assert_not_called()

    def test_what_is_traced(self) -> None:
        """The one try, by the path."""
        trace = mock.Mock()
        options = DialOptions(unix_path=self.path, trace=trace)
        with self.assertRaises(ConnectionFailed) as caught:
            self.dial("h", 80, options=options)
        failed = mock.call("connect_failed", address=self.path, error=caught.exception.__cause__)
        self.assertEqual(trace.mock_calls, [mock.call("connect_start", address=self.path), failed])
        self.listen()
        trace.reset_mock()
        self.dial("h", 80, options=options)
        ended = mock.call("connect_end", local=None, remote=None)
        self.assertEqual(trace.mock_calls, [mock.call("connect_start", address=self.path), ended])


class ScriptedSocket(socket.socket):
    """A socket of the race: what its connect does stands in the script, by the last part of its address."""

    scripts: ClassVar[Dict[str, Any]] = {}
    opened: ClassVar[List[ScriptedSocket]] = []

    def __init__(self, family: int, kind: int) -> None:
        if self.scripts.get("socket") == family:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported")
        super().__init__(socket.AF_INET, kind)
        self.opened.append(self)
        self.address = ""
        self.source: Any = None

    def bind(self, address: Any) -> None:
        self.source = address

    def setsockopt(self, *arguments: Any) -> None:
        if self.scripts.get("options"):
            raise OSError(errno.ENOPROTOOPT, "no such option")

    def connect_ex(self, address: Any) -> int:
        if self.address:
            return int(self.scripts.get("again", errno.EALREADY))
        self.address = address[0]
        return self.script if isinstance(self.script, int) else errno.EINPROGRESS

    def getsockopt(self, *arguments: Any) -> Any:
        return 0 if isinstance(self.script, int) else self.script[1]

    @property
    def script(self) -> Any:
        """An errno at once (0: connected), or seconds and the errno then."""
        return self.scripts.get(("v6_" if ":" in self.address else "v4_") + self.address[-1], (NEVER, 0))


class ScriptedAttempt(Attempt):
    """Waits for sockets of the race by moving a clock, up to the moment at which the script makes one ready."""

    def __init__(self, clock: StillClock, waker: Waker) -> None:
        super().__init__(waker, Deadline(clock, None), lambda: None)
        self.clock = clock
        self.started: Dict[Any, float] = {}
        self.times: List[float] = []

    def wait(
        self, read: Iterable[Any] = (), write: Iterable[Any] = (), timeout: Optional[float] = None
    ) -> Tuple[Set[Any], Set[Any]]:
        if not write:
            return super().wait(read, write, timeout)  # for the resolver
        now = self.clock.now()
        self.times.append(round(now - self.clock.start, 6))
        due: Dict[Any, float] = {}
        for sock in write:
            began = self.started.setdefault(sock, now)
            due[sock] = began + (0.0 if isinstance(sock.script, int) else sock.script[0])
        first = min(due.values())
        until = first if timeout is None else min(first, now + timeout)
        if until == NEVER:
            raise Cancelled("nothing will happen any more")
        self.clock.time = max(now, until)
        return set(), {sock for sock, moment in due.items() if moment <= self.clock.time}


NEVER = float("inf")
V4 = [f"192.0.2.{number}" for number in range(1, 5)]
V6 = [f"2001:db8::{number}" for number in range(1, 5)]


class RaceTests(DialTestCase):
    """Several addresses: RFC 8305, with sockets after a script and a clock in the hand."""

    options = DialOptions()

    def race(self, places: Sequence[str], **scripts: Any) -> str:
        """Dial with `options`; return the address that won."""
        self.scripted = ScriptedAttempt(StillClock(), self.waker())
        ScriptedSocket.scripts, ScriptedSocket.opened = scripts, []
        try:
            with mock.patch.object(socket, "socket", ScriptedSocket):
                stream = self.dial(
                    "example.org",
                    80,
                    self.scripted,
                    resolve=resolver(*((place, 80) for place in places)),
                    options=self.options,
                )
            assert isinstance(stream, TCPStream)
            assert isinstance(stream._sock, ScriptedSocket)
            return stream._sock.address
        finally:
            self.tried = [sock.address for sock in ScriptedSocket.opened]
            self.sources = [sock.source for sock in ScriptedSocket.opened]
            self.left_open = [sock.address for sock in ScriptedSocket.opened if sock.fileno() >= 0]
            for sock in ScriptedSocket.opened:
                sock.close()
            self.scripted.started.clear()

    def test_the_families_take_turns(self) -> None:
        """Rule 107: the resolver's first family begins, then the families alternate, each in the resolver's order."""
        with self.assertRaises(Cancelled):
            self.race([*V6[:3], *V4[:2]])
        self.assertEqual(self.tried, [V6[0], V4[0], V6[1], V4[1], V6[2]])
        self.assertEqual(self.left_open, [])
        with self.assertRaises(Cancelled):
            self.race([V4[0], *V6[:2], V4[1]])
        self.assertEqual(self.tried, [V4[0], V6[0], V4[1], V6[1]])

    def test_the_next_begins_after_250_ms(self) -> None:
        """Rule 107: while nothing answers, one more address is tried every quarter of a second."""
        with self.assertRaises(Cancelled):
            self.race(V4[:3])
        self.assertEqual(self.scripted.times, [0.0, 0.25, 0.5])

    def test_the_first_to_connect_wins(self) -> None:
        """Not the first tried: the others are closed, and what was not begun stays so."""
        winner = self.race(V4, v4_1=(1.0, 0), v4_2=(0.1, 0))
        self.assertEqual(winner, V4[1])
        self.assertEqual(self.tried, V4[:2])
        self.assertEqual(self.left_open, [V4[1]])

    def test_a_quick_first_is_alone(self) -> None:
        """When the first address answers within its quarter of a second no other is tried."""
        self.assertEqual(self.race(V4, v4_1=(0.2, 0)), V4[0])
        self.assertEqual(self.tried, V4[:1])

    def test_a_connect_that_is_done_at_once(self) -> None:
        """A connect that needs no time (loopback, on some systems) wins as well."""
        self.assertEqual(self.race(V4[:2], v4_1=0), V4[0])

    def test_who_has_answered_by_now_is_not_waited_for(self) -> None:
        """A second look tells that the connect is done or has failed, where the system has it tell."""
        with mock.patch.object(dialling, "_TELLS_AGAIN", True):
            self.assertEqual(self.race(V4[:2], again=0), V4[0])
            self.assertEqual((self.scripted.times, self.tried), ([], V4[:1]))
            with self.assertRaises(ConnectionRefused):
                self.race(V4[:2], again=errno.ECONNREFUSED)
            self.assertEqual((self.scripted.times, self.tried), ([], V4[:2]))
        with mock.patch.object(dialling, "_TELLS_AGAIN", False):
            self.assertEqual(self.race(V4[:1], again=errno.EINVAL, v4_1=(0.2, 0)), V4[0])

    def test_two_at_once_are_decided_by_their_order(self) -> None:
        """When two are connected in the same moment the one begun earlier wins, and the other is closed."""
        self.assertEqual(self.race(V4[:2], v4_1=(0.3, 0), v4_2=(0.05, 0)), V4[0])
        self.assertEqual(self.left_open, [V4[0]])

    def test_a_failure_starts_the_next_at_once(self) -> None:
        """An address that fails, immediately or later, does not hold up the next one."""
        winner = self.race(V4, v4_1=errno.ENETUNREACH, v4_2=(0.1, errno.ECONNREFUSED), v4_3=(0.1, 0))
        self.assertEqual(winner, V4[2])
        self.assertEqual(self.scripted.times, [0.0, 0.1])

    def test_a_failure_of_one_leaves_the_others_running(self) -> None:
        """A failed address is not the end while another one is still pending."""
        self.assertEqual(self.race(V4[:2], v4_1=(0.9, 0), v4_2=(0.1, errno.ECONNREFUSED)), V4[0])

    def test_all_refused(self) -> None:
        """Rule 107: when all are refused that is ConnectionRefused, which names every one of them."""
        with self.assertRaises(ConnectionRefused) as caught:
            self.race([V6[0], V4[0]], v6_1=(0.1, errno.ECONNREFUSED), v4_1=(0.1, errno.ECONNREFUSED))
        for part in ("example.org port 80", f"[{V6[0]}]:80: ", f"{V4[0]}:80: ", os.strerror(errno.ECONNREFUSED)):
            self.assertIn(part, str(caught.exception))
        self.assertEqual(self.left_open, [])

    def test_the_last_error_wins(self) -> None:
        """Rule 107: of several different errors the last one is the cause and decides what is raised."""
        with self.assertRaises(ConnectionFailed) as caught:
            self.race(V4[:2], v4_1=(0.1, errno.ECONNREFUSED), v4_2=(0.1, errno.EHOSTUNREACH))
        self.assertNotIsInstance(caught.exception, ConnectionRefused)
        self.assertEqual(caught.exception.url_error_code, -1004)
        assert isinstance(caught.exception.__cause__, OSError)
        self.assertEqual(caught.exception.__cause__.errno, errno.EHOSTUNREACH)
        with self.assertRaises(ConnectionRefused):
            self.race(V4[:2], v4_1=(0.1, errno.EHOSTUNREACH), v4_2=(0.1, errno.ECONNREFUSED))

    def test_no_network_at_all(self) -> None:
        """ENETUNREACH or ENETDOWN from every address is -1009, not connected to the Internet."""
        with self.assertRaises(ConnectionFailed) as caught:
            self.race([V6[0], V4[0]], v6_1=errno.ENETUNREACH, v4_1=errno.ENETDOWN)
        self.assertEqual(caught.exception.url_error_code, -1009)

    def test_no_network_for_one_family_does_not_hide_an_answer(self) -> None:
        """A machine without IPv6 that was refused over IPv4 was refused, whichever came last."""
        with self.assertRaises(ConnectionRefused):
            self.race([V4[0], V6[0]], v4_1=(0.1, errno.ECONNREFUSED), v6_1=errno.ENETUNREACH)

    def test_the_systems_own_time_out(self) -> None:
        """When the kernel gives up connecting, the number is that of a time-out, -1001."""
        with self.assertRaises(ConnectionFailed) as caught:
            self.race(V4[:1], v4_1=(130.0, errno.ETIMEDOUT))
        self.assertEqual(caught.exception.url_error_code, -1001)

    def test_a_family_that_the_system_has_not(self) -> None:
        """Where no socket of a family can be made, the other one is tried at once."""
        winner = self.race([V6[0], V4[0]], socket=socket.AF_INET6, v4_1=(0.1, 0))
        self.assertEqual(winner, V4[0])
        self.assertEqual(self.scripted.times, [0.0])

    def test_an_option_that_the_system_has_not(self) -> None:
        """A socket that fails before its connect is closed and counts as a failed address."""
        with self.assertRaises(ConnectionFailed) as caught:
            self.race(V4[:2], options=True)
        self.assertIn("no such option", str(caught.exception))
        self.assertEqual(self.left_open, [])

    def test_the_families_of_the_source(self) -> None:
        """Rule 107: with a source address only addresses of its family are tried, in the same race."""
        for source, tried, bound in (
            (("192.0.2.9", 0), V4[:3], ("192.0.2.9", 0)),
            (("2001:db8::9", 0), V6[:2], ("2001:db8::9", 0, 0, 0)),
        ):
            self.options = DialOptions(source_address=source)
            with self.assertRaises(Cancelled):
                self.race([V6[0], V4[0], V6[1], *V4[1:3]])
            self.assertEqual(self.tried, tried)
            self.assertEqual(self.sources, [bound] * len(tried))
            self.assertEqual(self.scripted.times, [0.25 * number for number in range(len(tried))])

    def test_any_source(self) -> None:
        """With "" all families are tried, each from its own wildcard."""
        self.options = DialOptions(source_address=("", 0))
        with self.assertRaises(Cancelled):
            self.race([V6[0], V4[0]])
        self.assertEqual(self.sources, [("", 0, 0, 0), ("", 0)])

    def test_a_source_without_a_family_in_common(self) -> None:
        """A server that has no address of the source's family cannot be reached from there; nothing is tried."""
        self.options = DialOptions(source_address=("2001:db8::9", 0))
        with self.assertRaisesRegex(ConnectionFailed, "no address of the family of the source address 2001:db8::9"):
            self.race(V4)
        self.assertEqual(self.tried, [])

    def test_a_source_port_is_for_one_at_a_time(self) -> None:
        """Rule 107: from a fixed port the next address is tried when the last has failed, however long that takes."""
        self.options = DialOptions(source_address=("192.0.2.9", 4711))
        winner = self.race(V4, v4_1=(3.0, errno.ETIMEDOUT), v4_2=errno.ENETUNREACH, v4_3=(60.0, 0))
        self.assertEqual(winner, V4[2])
        self.assertEqual(self.tried, V4[:3])
        self.assertEqual(self.scripted.times, [0.0, 3.0])

    def test_what_is_traced(self) -> None:
        """Each step once: the look-up, every address that is tried, every one that fails, the one that is used."""
        trace = mock.Mock()
        self.options = DialOptions(trace=trace)
        self.race([V6[0], *V4[:3]], v6_1=(0.1, errno.ECONNREFUSED), v4_1=(NEVER, 0), v4_2=(0.1, 0))
        told = [(call.args[0], *call.kwargs.values()) for call in trace.mock_calls]
        refused = told[3][2]
        self.assertEqual(
            told[:-1],
            [
                ("resolve_start", "example.org", 80),
                ("resolve_end", [(place, 80) for place in (V6[0], *V4[:3])]),
                ("connect_start", (V6[0], 80)),
                ("connect_failed", (V6[0], 80), refused),
                ("connect_start", (V4[0], 80)),
                ("connect_start", (V4[1], 80)),
            ],
        )
        self.assertEqual(refused.errno, errno.ECONNREFUSED)
        self.assertEqual(told[-1][0], "connect_end")

    def test_a_family_that_the_system_has_not_is_traced(self) -> None:
        """A socket that cannot be made is a failure too; an address needs no look-up, so none is told of."""
        trace = mock.Mock()
        attempt = self.attempt()
        with mock.patch.object(socket, "socket", side_effect=OSError(errno.EMFILE, "too many")):
            self.assertRaises(ConnectionFailed, self.dial, V4[0], 80, attempt, options=DialOptions(trace=trace))
        self.assertEqual([call.args[0] for call in trace.mock_calls], ["connect_start", "connect_failed"])

    def test_a_cancel_closes_all(self) -> None:
        """When the attempt ends in the middle of the race no descriptor is left."""
        with self.assertRaises(Cancelled):
            self.race(V4[:3], v4_1=(NEVER, 0))
        self.assertEqual(self.tried, V4[:3])
        self.assertEqual(self.left_open, [])


@with_cases
class TLSTests(DialTestCase):
    """The TLS on top, over loopback."""

    def serve(self, context: ssl.SSLContext) -> Tuple[int, Running[Tuple[Optional[str], Optional[str]]]]:
        """A TLS server for one connection; what it saw: the version, and ALPN's choice."""
        listener, port = self.listener()

        def run() -> Tuple[Optional[str], Optional[str]]:
            sock, _ = listener.accept()
            sock.settimeout(PATIENCE)
            try:
                with context.wrap_socket(sock, server_side=True) as peer:
                    return peer.version(), peer.selected_alpn_protocol()
            except OSError as error:
                return None, str(error)
            finally:
                sock.close()

        return port, Running(run)

    def refuse(self, context: ssl.SSLContext, **options: Any) -> TLSError:
        port, server = self.serve(context)
        with self.assertRaises(TLSError) as caught:
            self.dial("127.0.0.1", port, tls=client_context(), url=URL, **options)
        server.result()
        self.assertEqual(caught.exception.url, URL)
        self.assertIsNotNone(caught.exception.__cause__)
        return caught.exception

    def test_name_and_protocol_are_offered(self) -> None:
        """Rules 97 and 102: SNI has the URL's host, which the certificate must name; ALPN offers http/1.1."""
        names: List[Optional[str]] = []
        context = server_context("example.org")
        context.sni_callback = lambda _, name, __: names.append(name)
        context.set_alpn_protocols(["h2", "http/1.1"])
        port, server = self.serve(context)
        stream = self.dial("example.org", port, tls=client_context(), resolve=resolver(("127.0.0.1", port)))
        self.assertIsInstance(stream, TLSStream)
        self.assertEqual(server.result(), ("TLSv1.3", "http/1.1"))
        self.assertEqual(names, ["example.org"])

    def test_the_dot_of_an_absolute_name_is_not_part_of_it(self) -> None:
        """RFC 6066 section 3: `example.org.` is resolved as it stands, but sent and checked without its dot."""
        names: List[Optional[str]] = []
        context = server_context("example.org")
        context.sni_callback = lambda _, name, __: names.append(name)
        port, server = self.serve(context)
        self.dial("example.org.", port, tls=client_context(), resolve=resolver(("127.0.0.1", port)))
        self.assertEqual(server.result()[0], "TLSv1.3")
        self.assertEqual(names, ["example.org"])

    def test_another_name_can_be_asked_for(self) -> None:
        """`server_hostname` takes the host's place in SNI and in the check."""
        port, server = self.serve(server_context("example.org"))
        self.dial("127.0.0.1", port, tls=client_context(), server_hostname="example.org")
        self.assertEqual(server.result()[0], "TLSv1.3")

    def test_an_address_is_checked_as_an_address(self) -> None:
        """Rule 97: a certificate that names the IP address is good for it."""
        port, server = self.serve(server_context("127.0.0.1"))
        self.dial("127.0.0.1", port, tls=client_context())
        self.assertEqual(server.result()[0], "TLSv1.3")

    @cases(
        another_name=(("example.com",), {}, -1202),
        another_address=(("127.0.0.2",), {"server_hostname": "127.0.0.1"}, -1202),
        not_the_subdomain=(("sub.example.org",), {}, -1202),
    )
    def test_a_certificate_for_another_host(self, names: Tuple[str, ...], options: Dict[str, str], code: int) -> None:
        """Rules 97 and 100: it is refused with -1202, with OpenSSL's error as the cause."""
        error = self.refuse(server_context(*names), **{"server_hostname": "example.org", **options})
        self.assertIsInstance(error, CertificateError)
        self.assertIsInstance(error.__cause__, ssl.SSLCertVerificationError)
        self.assertEqual(error.url_error_code, code)

    @cases(expired=(-10, -5, -1201), not_yet_valid=(5, 10, -1204))
    def test_a_certificate_at_the_wrong_time(self, first_day: int, last_day: int, code: int) -> None:
        """Rule 100: expired is -1201, not yet valid is -1204."""
        error = self.refuse(server_context("127.0.0.1", first_day=first_day, last_day=last_day))
        self.assertIsInstance(error, CertificateError)
        self.assertEqual(error.url_error_code, code)

    def test_an_unknown_authority(self) -> None:
        """Rules 97 and 100: a certificate that no known root has signed is refused with -1203."""
        port, server = self.serve(server_context())
        with self.assertRaises(CertificateError) as caught:
            self.dial("127.0.0.1", port, tls=ssl.create_default_context())
        server.result()
        self.assertEqual(caught.exception.url_error_code, -1203)

    def test_a_server_that_wants_a_certificate(self) -> None:
        """Rule 100: over TLS 1.2 the server's alert is heard in the handshake: TLSError, not the certificate's kind."""
        error = self.refuse(server_context(version=ssl.TLSVersion.TLSv1_2, asks_for_certificate=True))
        self.assertIs(type(error), TLSError)

    def test_no_common_version(self) -> None:
        """Rule 100: a handshake that finds no version is -1200."""
        context = server_context(version=ssl.TLSVersion.TLSv1_2)
        client = client_context()
        client.minimum_version = ssl.TLSVersion.TLSv1_3
        port, server = self.serve(context)
        with self.assertRaises(TLSError) as caught:
            self.dial("127.0.0.1", port, tls=client)
        server.result()
        self.assertEqual(caught.exception.url_error_code, -1200)

    @cases(
        not_tls=(lambda peer: peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"), ssl.SSLError),
        an_end=(lambda peer: None, ConnectionResetError),
        a_reset=(reset, ConnectionResetError),
    )
    def test_a_server_that_does_not_speak_tls(
        self, behave: Callable[[socket.socket], Any], cause: type[Exception]
    ) -> None:
        """Rule 100: an answer that is not TLS, an end, or a reset in the handshake is TLSError (-1200)."""
        listener, port = self.listener()

        def run() -> None:
            with listener.accept()[0] as peer:
                peer.settimeout(PATIENCE)
                peer.recv(65536)
                behave(peer)

        server = Running(run)
        with self.assertRaises(TLSError) as caught:
            self.dial("127.0.0.1", port, tls=client_context(), url=URL)
        server.result()
        self.assertEqual((caught.exception.url_error_code, caught.exception.url), (-1200, URL))
        self.assertIsInstance(caught.exception.__cause__, cause)

    @cases(a_dot=(".",), a_long_label=("a" * 64 + ".org",), a_dot_before=(".example.org",))
    def test_a_name_that_tls_cannot_use(self, name: str) -> None:
        """A name that cannot be sent is a TLSError, and the connection is closed."""
        _, port = self.listener()
        with self.assertRaises(TLSError) as caught:
            self.dial("127.0.0.1", port, tls=client_context(), server_hostname=name)
        self.assertIsInstance(caught.exception.__cause__, ValueError)

    def test_a_cancel_does_not_wait_for_the_handshake(self) -> None:
        """A server that accepts and never answers: cancelled by another thread the dial ends, and is closed."""
        listener, port = self.listener()
        check, attempt = self.cancelling(after=1000)

        def run() -> bytes:
            with listener.accept()[0] as peer:
                peer.settimeout(PATIENCE)
                hello = peer.recv(65536)
                check.cancel()
                while peer.recv(65536):
                    pass  # until the client has closed
                return hello

        server = Running(run)
        with self.assertRaises(Cancelled):
            self.dial("127.0.0.1", port, attempt, tls=client_context())
        self.assertTrue(server.result())

    def test_the_deadline_covers_the_handshake(self) -> None:
        """Rule 204: so it ends with TimedOut when the time is up, also when bytes still trickle in."""
        listener, port = self.listener()
        clock = StillClock()
        attempt = self.attempt(clock=clock, seconds=10.0)

        def run() -> None:
            with listener.accept()[0] as peer:
                peer.settimeout(PATIENCE)
                peer.recv(65536)
                peer.sendall(b"\x16")  # the first byte of an answer
                clock.advance(11.0)
                attempt.waker.wake()
                with contextlib.suppress(ConnectionResetError):
                    while peer.recv(65536):
                        pass

        server = Running(run)
        with self.assertRaises(TimedOut) as caught:
            self.dial("127.0.0.1", port, attempt, tls=client_context(), url=URL)
        server.result()
        self.assertEqual(caught.exception.url, URL)

    def test_any_other_error_closes_the_stream_too(self) -> None:
        """Whatever `check` raises passes as it is; the stream is closed."""
        stream = mock.Mock(spec=TCPStream)
        stream.send.side_effect = KeyboardInterrupt
        with self.assertRaises(KeyboardInterrupt):
            start_tls(stream, self.attempt(), client_context(), "example.org")
        stream.close.assert_called_once_with()

    def test_a_lost_connection_without_a_cause(self) -> None:
        """A stream of another kind may break without an OSError: that is the TLSError's cause itself."""
        broken = WebSocketError("not ours")
        stream = mock.Mock(spec=TCPStream)
        stream.send.side_effect = broken
        with self.assertRaises(WebSocketError) as caught:
            start_tls(stream, self.attempt(), client_context(), "example.org")
        self.assertIs(caught.exception, broken)
        stream.close.assert_called_once_with()


if __name__ == "__main__":
    unittest.main()

"""Tests of `wssync.transport.socks`: through a SOCKS proxy, and every way in which that can fail."""

from __future__ import annotations

import socket
import sys
import threading
import traceback
import unittest
from typing import Any, Dict, List, Optional
from unittest import mock

from tests.clock import StillClock
from tests.support import cases, with_cases
from tests.transport.socks_server import Asked, SocksServer
from tests.transport.support import PATIENCE, Running, TransportTestCase
from wssync.errors import (
    Cancelled,
    ConnectionClosed,
    ConnectionFailed,
    ConnectionRefused,
    HostNotFound,
    ProxyError,
    TimedOut,
    WebSocketError,
)
from wssync.protocol.proxy import parse_proxy
from wssync.transport.dial import dial
from wssync.transport.socks import start_socks
from wssync.transport.stream import Stream, TCPStream
from wssync.transport.waiting import Attempt

try:
    import python_socks
except ImportError:
    HAS_SOCKS = False
else:
    HAS_SOCKS = True

USERINFO = "alice:sesame@"
PASSWORD = {"user": "alice", "password": "sesame"}
ANSWERS = {"socks4a": 8, "socks5": 2 + 10}
"""How many bytes a whole answer is."""


class SocksTestCase(TransportTestCase):
    def through(
        self,
        server: SocksServer,
        host: str = "example.test",
        port: int = 80,
        *,
        scheme: str = "socks5",
        userinfo: str = "",
        attempt: Optional[Attempt] = None,
    ) -> Stream:
        """Dial to the server and on to `host`; afterwards the stream must be closed if that failed."""
        attempt = attempt or self.attempt()
        stream = dial("127.0.0.1", server.port, attempt)
        self.addCleanup(stream.close)
        self.stream = stream
        start_socks(stream, parse_proxy(f"{scheme}://{userinfo}127.0.0.1:{server.port}"), host, port, attempt)
        return stream

    def failing(self, server: SocksServer, kind: type[WebSocketError], *arguments: Any, **options: Any) -> Any:
        """The error that this must end with, which has no secret in all that is told of it."""
        with self.assertRaises(kind) as caught:
            self.through(server, *arguments, **options)
        with self.assertRaises(OSError, msg="the stream must be closed"):
            self.stream.wait(True, False, 0)
        self.assertNotIn("sesame", "".join(traceback.format_exception(kind, caught.exception, None)))
        return caught.exception


@unittest.skipUnless(HAS_SOCKS, "needs python-socks")
@with_cases
class AskingTests(SocksTestCase):
    """What the proxy is asked."""

    @cases(
        socks5=("socks5", "", {}, Asked(5, "example.test", 80)),
        socks5_password=("socks5", USERINFO, PASSWORD, Asked(5, "example.test", 80, "alice", "sesame")),
        socks5_password_not_wanted=("socks5", USERINFO, {}, Asked(5, "example.test", 80)),
        socks5h=("socks5h", "", {}, Asked(5, "example.test", 80)),
        socks4a=("socks4a", "", {}, Asked(4, "example.test", 80, "")),
        socks4a_user=("socks4a", "alice@", {}, Asked(4, "example.test", 80, "alice")),
    )
    def test_the_name_goes_to_the_proxy(
        self, scheme: str, userinfo: str, demands: Dict[str, str], expected: Asked
    ) -> None:
        """Rule 104: host name and port, and the credentials when the proxy wants them; nothing is resolved here."""
        refuse = mock.Mock(side_effect=AssertionError("a look-up"))
        with SocksServer(**demands) as server, mock.patch.object(socket, "getaddrinfo", refuse):  # type: ignore[arg-type] # a str each
            self.through(server, scheme=scheme, userinfo=userinfo).close()
        self.assertEqual(server.asked, [expected])

    @cases(
        ipv4=("socks5", "192.0.2.1", "192.0.2.1"),
        ipv6=("socks5", "2001:db8::1", "2001:db8::1"),
        a_label=("socks5", "xn--bcher-kva.example", "xn--bcher-kva.example"),
        a_dot=("socks5", "example.test.", "example.test."),
        underscore=("socks5", "a_b.example.test", "a_b.example.test"),
        longest=("socks5", ".".join(["a" * 63] * 3 + ["a" * 61]), ".".join(["a" * 63] * 3 + ["a" * 61])),
        ipv4_by_4=("socks4a", "192.0.2.1", "192.0.2.1"),
        ipv6_by_4=("socks4a", "2001:db8::1", "2001:db8::1"),
        a_label_by_4=("socks4a", "xn--bcher-kva.example", "xn--bcher-kva.example"),
    )
    def test_hosts(self, scheme: str, host: str, expected: str) -> None:
        """Rule 104: addresses go as such where the version has them, A-labels as they are."""
        with SocksServer() as server:
            self.through(server, host, 8443, scheme=scheme).close()
        self.assertEqual([(asked.host, asked.port) for asked in server.asked], [(expected, 8443)])

    def test_a_password_is_offered_only_if_there_is_one(self) -> None:
        """RFC 1928 section 3: without credentials the proxy is told of no method that needs them."""
        with SocksServer() as server:
            self.through(server).close()
            self.through(server, userinfo=USERINFO).close()
        self.assertEqual(server.offered, [b"\0", b"\0\2"])

    @cases(ipv4=b"\1\x7f\0\0\1", ipv6=b"\4" + bytes(16), name=b"\3\7a.proxy", no_name=b"\3\0")
    def test_what_the_proxy_is_bound_to(self, bound: bytes) -> None:
        """Whatever address the answer has, it is read to its end and not further."""
        for scheme in ("socks5", "socks4a"):
            with SocksServer(bound=bound, behind=b"HTTP/1.1 101") as server:
                stream = self.through(server, scheme=scheme)
                self.assertEqual(self.read(stream, 12), b"HTTP/1.1 101")
                stream.close()

    def read(self, stream: Stream, size: int) -> bytes:
        data = b""
        while len(data) < size:
            stream.wait(True, False, PATIENCE)
            data += stream.recv(size - len(data)) or b""
        return data

    @cases(socks5="socks5", socks4a="socks4a")
    def test_bytes_flow(self, scheme: str) -> None:
        """The stream then leads to the host, both ways, and its remote address is the proxy's (rule 106)."""
        listener, port = self.listener()

        def echo() -> None:
            with listener.accept()[0] as peer:
                peer.settimeout(PATIENCE)
                while data := peer.recv(100):
                    peer.sendall(data)

        echoing = Running(echo)
        with SocksServer({"example.test:80": ("127.0.0.1", port)}) as server:
            stream = self.through(server, scheme=scheme)
            self.assertEqual(stream.remote_address, ("127.0.0.1", server.port))
            stream.send(b"ping")
            self.assertEqual(self.read(stream, 4), b"ping")
            stream.close()
            echoing.result()

    def test_no_thread_is_made(self) -> None:
        """All of it happens in the thread that calls."""
        left, right = self.streams()
        right.send(b"\5\0\5\0\0\1" + bytes(6))
        with mock.patch.object(threading.Thread, "start", side_effect=AssertionError("a thread")):
            start_socks(left, parse_proxy("socks5://p"), "example.test", 80, self.attempt())

    def test_a_kernel_that_takes_little(self) -> None:
        """What is to be sent goes out in pieces, with a wait before each further one."""
        sent: List[bytes] = []

        def send(data: bytes) -> int:
            sent.append(data[:1])
            return 1

        stream = mock.Mock(spec=TCPStream)
        stream.send.side_effect = send
        stream.recv.side_effect = [None, b"\0", None, b"\x5a" + bytes(6)]
        stream.wait.return_value = (True, True)
        start_socks(stream, parse_proxy("socks4a://p"), "example.test", 80, self.attempt())
        self.assertEqual(b"".join(sent), b"\4\1\0\x50\0\0\0\1\0example.test\0")
        waits = [call.args[:2] for call in stream.wait.call_args_list]
        self.assertEqual(waits.count((False, True)), len(sent) - 1)
        self.assertEqual(waits.count((True, False)), 4)
        self.assertEqual([call.args for call in stream.recv.call_args_list], [(8,), (8,), (7,), (7,)])
        stream.close.assert_not_called()


@unittest.skipUnless(HAS_SOCKS, "needs python-socks")
@with_cases
class RefusalTests(SocksTestCase):
    """A proxy that does not do it."""

    @cases(
        general=(1, ProxyError, -1004),
        not_allowed=(2, ProxyError, -1004),
        network=(3, ProxyError, -1004),
        host=(4, HostNotFound, -1003),
        refused=(5, ConnectionRefused, -1004),
        expired=(6, ProxyError, -1004),
        command=(7, ProxyError, -1004),
        address_type=(8, ProxyError, -1004),
        unassigned=(9, ProxyError, -1004),
        last=(255, ProxyError, -1004),
    )
    def test_codes_of_5(self, code: int, kind: type[ConnectionFailed], number: int) -> None:
        """Rule 104: each code of RFC 1928 section 6, with python-socks's error as the cause."""
        with SocksServer(code=code, **PASSWORD) as server:  # type: ignore[arg-type] # a str each
            error = self.failing(server, kind, userinfo=USERINFO)
        self.assertIs(type(error), kind)
        self.assertEqual(error.url_error_code, number)
        self.assertIsInstance(error.__cause__, python_socks.ProxyError)
        self.assertIn(f"socks5://127.0.0.1:{server.port} did not connect to example.test port 80", str(error))

    @cases(ipv4="192.0.2.1", ipv6="2001:db8::1")
    def test_an_address_was_found(self, host: str) -> None:
        """An unreachable host that is an address is no name that was not found."""
        with SocksServer(code=4) as server:
            self.assertIs(type(self.failing(server, ProxyError, host)), ProxyError)

    @cases(rejected=0x5B, no_identd=0x5C, other_user=0x5D, unknown=0x05, zero=0)
    def test_codes_of_4(self, code: int) -> None:
        """SOCKS 4 says no more than that it was rejected."""
        with SocksServer(code=code) as server:
            error = self.failing(server, ProxyError, scheme="socks4a")
        self.assertIs(type(error), ProxyError)
        self.assertIsNone(error.response)

    @cases(wrong="alice:wrong@", none="")
    def test_credentials(self, userinfo: str) -> None:
        """A password that is wrong, or missing, is a ProxyError; it shows neither of them."""
        with SocksServer(**PASSWORD) as server:  # type: ignore[arg-type] # a str each
            error = self.failing(server, ProxyError, userinfo=userinfo)
        self.assertNotIn("wrong", str(error))
        self.assertEqual(server.asked, [])

    @cases(
        http=("socks5", b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        http_by_4=("socks4a", b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        another_version=("socks5", b"\4\0"),
        a_method_not_offered=("socks5", b"\5\2"),
        gssapi=("socks5", b"\5\1"),
        unknown_method=("socks5", b"\5\x80"),
        version_of_the_answer=("socks5", b"\5\0\4\0\0\1" + bytes(6)),
        reserved=("socks5", b"\5\0\5\0\1\1" + bytes(6)),
        address_type=("socks5", b"\5\0\5\0\0\2" + bytes(6)),
        a_name_that_is_no_text=("socks5", b"\5\0\5\0\0\3\2\xff\xfe\0\0"),
    )
    def test_nonsense(self, scheme: str, answer: bytes) -> None:
        """What no SOCKS proxy says is a ProxyError, whatever python-socks makes of it."""
        left, right = self.streams()
        right.send(answer)
        with self.assertRaises(ProxyError) as caught:
            start_socks(left, parse_proxy(f"{scheme}://p"), "example.test", 80, self.attempt())
        self.assertIn(f"{scheme}://p:1080", str(caught.exception))
        self.assertIsNotNone(caught.exception.__cause__)
        right.close()

    @cases(socks5=("socks5", ""), password=("socks5", USERINFO), socks4a=("socks4a", ""))
    def test_cut_at_every_byte(self, scheme: str, userinfo: str) -> None:
        """An answer that ends before its time, by EOF or by a reset, is a ProxyError, at once."""
        demands: Dict[str, Any] = PASSWORD if userinfo else {}
        for limit in range(ANSWERS[scheme] + (2 if userinfo else 0)):
            with self.subTest(limit=limit), SocksServer(limit=limit, **demands) as server:
                error = self.failing(server, ProxyError, scheme=scheme, userinfo=userinfo)
                self.assertEqual(server.answered, limit)
                self.assertIsNotNone(error.__cause__)

    @cases(
        with_a_cause=(OSError(104, "Connection reset by peer"), OSError),
        without_a_cause=(None, ConnectionClosed),
    )
    def test_a_lost_connection(self, cause: Optional[OSError], expected: type[Exception]) -> None:
        """A connection that breaks while waiting or sending is the proxy's error, with what broke it as the cause."""
        lost = ConnectionClosed("the connection was lost")
        lost.__cause__ = cause
        for method in ("send", "recv", "wait"):
            stream = mock.Mock(spec=TCPStream)
            stream.send.side_effect = len
            stream.wait.return_value = (True, True)
            getattr(stream, method).side_effect = lost
            with self.subTest(method), self.assertRaises(ProxyError) as caught:
                start_socks(stream, parse_proxy("socks5://p"), "example.test", 80, self.attempt())
            self.assertIsInstance(caught.exception.__cause__, expected)
            self.assertIn("socks5://p:1080 was lost", str(caught.exception))
            stream.close.assert_called_once_with()


@unittest.skipUnless(HAS_SOCKS, "needs python-socks")
@with_cases
class EndingTests(SocksTestCase):
    """The attempt is over while the proxy is being asked."""

    @cases(socks5=("socks5", ""), password=("socks5", USERINFO), socks4a=("socks4a", ""))
    def test_silence_at_every_byte(self, scheme: str, userinfo: str) -> None:
        """Rule 204: a proxy that stops answering, wherever, ends with TimedOut when the time is up."""
        demands: Dict[str, Any] = PASSWORD if userinfo else {}
        for limit in range(ANSWERS[scheme] + (2 if userinfo else 0)):
            clock = StillClock()
            attempt = self.attempt(clock=clock, seconds=10.0)

            def late(clock: StillClock = clock, attempt: Attempt = attempt) -> None:
                clock.advance(11.0)
                attempt.waker.wake()

            with (
                self.subTest(limit=limit),
                SocksServer(limit=limit, at_limit=late, hold=True, **demands) as server,
            ):
                error = self.failing(server, TimedOut, scheme=scheme, userinfo=userinfo, attempt=attempt)
                self.assertIsNone(error.__cause__)

    @cases(socks5=("socks5", ""), password=("socks5", USERINFO), socks4a=("socks4a", ""))
    def test_cancelled_at_every_byte(self, scheme: str, userinfo: str) -> None:
        """Another thread cancels in the middle of any wait: Cancelled, the very error that `check` raised."""
        demands: Dict[str, Any] = PASSWORD if userinfo else {}
        for limit in range(ANSWERS[scheme] + (2 if userinfo else 0)):
            cancelled = threading.Event()
            reason = Cancelled("by another thread")

            def check(cancelled: threading.Event = cancelled, reason: Cancelled = reason) -> None:
                if cancelled.is_set():
                    raise reason

            attempt = self.attempt(check=check, seconds=None)

            def cancel(cancelled: threading.Event = cancelled, attempt: Attempt = attempt) -> None:
                cancelled.set()
                attempt.waker.wake()

            with (
                self.subTest(limit=limit),
                SocksServer(limit=limit, at_limit=cancel, hold=True, **demands) as server,
            ):
                error = self.failing(server, Cancelled, scheme=scheme, userinfo=userinfo, attempt=attempt)
                self.assertIs(error, reason)

    def test_cancelled_at_each_check(self) -> None:
        """Wherever the attempt is asked whether it goes on, no may be the answer."""
        checks = 0
        while True:
            checks += 1
            left = [checks]

            def check(left: List[int] = left) -> None:
                left[0] -= 1
                if not left[0]:
                    raise Cancelled("at last")

            with SocksServer(**PASSWORD) as server:  # type: ignore[arg-type] # a str each
                stream = dial("127.0.0.1", server.port, self.attempt())
                self.addCleanup(stream.close)
                proxy = parse_proxy(f"socks5://{USERINFO}127.0.0.1:{server.port}")
                try:
                    start_socks(stream, proxy, "example.test", 80, self.attempt(check=check))
                except Cancelled:
                    continue
                finally:
                    stream.close()
            break
        self.assertGreater(checks, 6)

    @cases(
        interrupt=KeyboardInterrupt(), exit=SystemExit(), of_the_user=ZeroDivisionError(), time_out=TimeoutError("x")
    )
    def test_what_check_raises(self, reason: BaseException) -> None:
        """Whatever `check` raises passes as it is, a TimeoutError of a signal handler too; the stream is closed."""
        stream = mock.Mock(spec=TCPStream)
        stream.send.side_effect = len
        with self.assertRaises(type(reason)) as caught:
            start_socks(stream, parse_proxy("socks5://p"), "h", 80, self.attempt(check=mock.Mock(side_effect=reason)))
        self.assertIs(caught.exception, reason)
        stream.close.assert_called_once_with()

    def test_an_interrupt_outside_of_any_wait(self) -> None:
        """Ctrl-C within python-socks itself passes too, and the stream is closed."""
        stream = mock.Mock(spec=TCPStream)
        with (
            mock.patch("python_socks.sync.Proxy.connect", side_effect=KeyboardInterrupt),
            self.assertRaises(KeyboardInterrupt),
        ):
            start_socks(stream, parse_proxy("socks5://p"), "h", 80, self.attempt())
        stream.close.assert_called_once_with()


@with_cases
class MissingTests(TransportTestCase):
    """Without python-socks."""

    def start(self) -> ProxyError:
        stream = mock.Mock(spec=TCPStream)
        with self.assertRaises(ProxyError) as caught:
            start_socks(stream, parse_proxy("socks5://alice:sesame@p"), "h", 80, self.attempt())
        stream.close.assert_called_once_with()
        stream.send.assert_not_called()
        self.assertIn("pip install 'wssync[socks]'", str(caught.exception))
        return caught.exception

    @cases(all="python_socks", part="python_socks.sync")
    def test_not_installed(self, name: str) -> None:
        """The error says what to install; nothing was sent, the stream is closed."""
        with mock.patch.dict(sys.modules, {name: None}):  # which is Python's way to say that there is none
            self.assertIsInstance(self.start().__cause__, ImportError)

    @unittest.skipUnless(HAS_SOCKS, "needs python-socks")
    def test_too_old(self) -> None:
        """One that cannot be told to use a connection of others is as good as none."""

        def old(kind: object, host: str, port: int, user: str, password: str, rdns: bool) -> None: ...

        with mock.patch("python_socks.sync.Proxy", old):
            self.assertIsNone(self.start().__cause__)


if __name__ == "__main__":
    unittest.main()

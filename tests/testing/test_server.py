"""Tests of `wssync.testing.server`."""

from __future__ import annotations

import logging
import os
import socket
import ssl
import sys
import tempfile
import threading
import unittest
from typing import Any, Dict, List, Set
from unittest import mock

import wssync
from wssync.errors import ConnectionClosed, MessageTooBig, ProtocolError
from wssync.protocol.deflate import DeflateOptions
from wssync.protocol.handshake import Accepted
from wssync.protocol.messages import Close
from wssync.testing import Server, ServerConnection, echo, faults
from wssync.testing import server as module
from wssync.testing.handlers import expect, in_turn, script
from wssync.testing.openings import at, inform, refuse, set_cookies
from wssync.testing.tunnel import proxy
from wssync.testing.wire import Wire

from ..support import cases, with_cases
from ..threads import Running
from .client import TIMEOUT, Client, ServerCase, needs_trustme, reset
from .test_faults import UPGRADE


def our_threads() -> List[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("wssync-")]


def descriptors() -> Set[str]:
    return set(os.listdir("/dev/fd")) if os.path.isdir("/dev/fd") else set()


class EchoTests(ServerCase):
    """The ready-made handler, over both schemes."""

    def converse(self, server: Server) -> None:
        client = self.open(server)
        self.assertIsInstance(client.verdict, Accepted)
        for message in ("text", b"binary", ""):
            client.send(message)
            self.assertEqual(client.receive(), message)
        client.close(1000)
        self.assertEqual(client.receive(), Close(1000, None))
        self.assertRaises(EOFError, client.receive)
        self.assertEqual(server.connections[0].close_code, 1000)
        server.close()
        self.assertEqual(server.errors, [])

    def test_ws(self) -> None:
        """Every message comes back until the client closes."""
        server = self.serve()
        self.assertRegex(server.url, r"^ws://127\.0\.0\.1:\d+/$")
        self.assertIsNone(server.ca_file)
        self.converse(server)

    @needs_trustme
    def test_wss(self) -> None:
        """The same over TLS, for clients that trust the file named."""
        server = self.serve(echo, tls=True)
        self.assertRegex(server.url, r"^wss://localhost:\d+/$")
        self.converse(server)

    def test_many_clients_at_once(self) -> None:
        """Each has a thread of its own."""
        server = self.serve()
        clients = [self.open(server) for _ in range(20)]
        for number, client in enumerate(clients):
            client.send(f"{number}")
        for number, client in enumerate(clients):
            self.assertEqual(client.receive(), f"{number}")

    def test_an_agreed_extension(self) -> None:
        """Compression is agreed on by default, as the options say, or not at all; anything else is a mistake."""
        options = DeflateOptions(server_no_context_takeover=True)
        for compression, expected in (("deflate", 1), (options, 1), (None, 0)):
            client = self.open(self.serve(compression=compression), deflate=DeflateOptions())
            assert isinstance(client.verdict, Accepted)
            self.assertEqual(len(client.verdict.extensions), expected)
            if compression is options:
                self.assertIn("server_no_context_takeover", client.verdict.extensions[0])
        with self.assertRaisesRegex(ValueError, "'gzip'"):
            Server(compression="gzip")


class HandlerTests(ServerCase):
    """How a handler ends."""

    def test_its_return_closes_with_1000(self) -> None:
        """The client sees a normal end."""
        server = self.serve(lambda connection: connection.send("only this"))
        client = self.open(server)
        self.assertEqual(client.receive(), "only this")
        self.assertEqual(client.receive(), Close(1000, None))

    def test_its_exception_closes_with_1011(self) -> None:
        """It is recorded before the client can know, and logged with its traceback."""
        mistake = ValueError("a mistake in the test")

        def handler(connection: ServerConnection) -> None:
            connection.receive()
            raise mistake

        server = self.serve(handler)
        client = self.open(server)
        with self.assertLogs("wssync.testing", logging.ERROR) as logged:
            client.send("go")
            self.assertEqual(client.receive(), Close(1011, None))
            server.errors.clear()
            self.assertEqual(server.errors, [mistake])
            client.close(1011)
            server.close()
        self.assertEqual(len(logged.records), 1)
        self.assertIn("in handler", logged.output[0])

    def test_the_end_of_its_connection_is_no_error(self) -> None:
        """`ConnectionClosed` of its own connection: closed, lost, or nothing to be sent any more."""
        server = self.serve()
        client = self.open(server)
        client.close(4000)
        self.assertEqual(client.receive(), Close(4000, None))
        client = self.open(server)
        reset(client.sock)
        for connection in server.connections:
            connection.wait_until_closed(TIMEOUT)
        server.close()
        self.assertEqual(server.errors, [])

    def test_the_end_of_another_connection_is_one(self) -> None:
        """Whoever raises `ConnectionClosed` about something else has failed."""
        other = ConnectionClosed("of somebody else's")
        server = self.serve(mock.Mock(side_effect=other))
        self.assertEqual(self.open(server).receive(), Close(1011, None))
        self.assertEqual(server.errors, [other])

    def test_a_client_that_breaks_the_protocol_is_one(self) -> None:
        """Whether the handler was receiving, or had returned already."""
        for handler in (echo, lambda connection: connection.request):
            server = self.serve(handler)
            client = self.open(server)
            client.sock.sendall(b"\x81\x00")
            client.sock.shutdown(socket.SHUT_WR)
            server.wait_for_connection().wait_until_closed(TIMEOUT)
            server.close()
            self.assertEqual([type(error) for error in server.errors], [ProtocolError])

    def test_a_message_over_the_limit_is_one(self) -> None:
        """A client that has read the 1009 finds it on record."""
        server = self.serve(maximum_message_size=3)
        client = self.open(server)
        client.send("long")
        self.assertEqual(client.receive(), Close(1009, None))
        self.assertEqual([type(error) for error in server.errors], [MessageTooBig])
        client.sock.close()
        server.close()
        self.assertEqual(len(server.errors), 1)

    def test_a_breach_is_on_record_before_the_client_is_told(self) -> None:
        """Who has read the 1007 finds it in `errors`, while the server still waits for the client to hang up."""
        server = self.serve()
        client = self.open(server)
        client.sock.sendall(b"\x81\x81\x00\x00\x00\x00\xff")
        self.assertEqual(client.receive(), Close(1007, None))
        self.assertEqual([error.code for error in server.errors if isinstance(error, ProtocolError)], [1007])

    def test_what_is_no_exception_is_one_all_the_same(self) -> None:
        """SystemExit, and what pytest.fail() and pytest.skip() raise, in a handler and in an opening."""

        class Failed(BaseException):
            pass

        for mistake in (Failed("by pytest"), SystemExit(1)):
            server = self.serve(mock.Mock(side_effect=mistake))
            self.assertEqual(self.open(server).receive(), Close(1011, None))
            self.assertEqual(server.errors, [mistake])
            server = self.serve(opening=mock.Mock(side_effect=mistake))
            with self.assertRaises(ConnectionError):
                self.open(server)
            self.assertEqual(server.errors, [mistake])

    def test_a_close_that_fails(self) -> None:
        """It is one as well; the connection is dropped, and its thread ends in peace."""
        mistake, failure = ValueError("of the handler"), RuntimeError("of the close")
        server = self.serve(mock.Mock(side_effect=mistake))
        with mock.patch.object(ServerConnection, "close", side_effect=failure):
            client = self.open(server)
            self.assertEqual(client.rest(), b"")
            server.close()
        self.assertEqual(server.errors[:2], [mistake, failure])
        self.assertEqual(server._guests, {})

    def test_a_result_that_nobody_would_run(self) -> None:
        """A function, a coroutine or a generator: TypeError, of a handler, an opening and one in its turn or place."""

        async def later(connection: ServerConnection) -> None:
            raise AssertionError

        async def endless(connection: ServerConnection) -> Any:
            yield 1

        def generate(connection: ServerConnection) -> Any:
            yield 1

        forgotten: List[Any] = [lambda connection: script([]), later, endless, generate, in_turn, refuse]
        forgotten.append(in_turn(later))
        for handler in forgotten:
            with self.subTest(handler):
                server = self.serve(handler)
                self.assertEqual(self.open(server).receive(), Close(1011, None))
                self.assertEqual([type(error) for error in server.errors], [TypeError])
                for opening in (handler, at("/", handler)):
                    server = self.serve(opening=opening)
                    with self.assertRaises(ConnectionError):
                        self.open(server)
                    self.assertEqual([type(error) for error in server.errors], [TypeError])

    def test_a_mock_returns_a_mock(self) -> None:
        """And that is all right."""
        server = self.serve(mock.Mock(), opening=mock.MagicMock())
        self.assertEqual(self.open(server).receive(), Close(1000, None))
        self.assertEqual(server.errors, [])

    def test_an_opening_in_the_place_of_a_handler(self) -> None:
        """RuntimeError that says where it belongs."""
        openings: List[Any] = [refuse(403), faults.half_a_head, faults.wrong_accept_key, proxy(), inform()]
        for opening in [*openings, set_cookies({"a": "b"})]:
            with self.subTest(opening):
                server = self.serve(opening)
                self.assertEqual(self.open(server).receive(), Close(1011, None))
                self.assertRegex(str(server.errors), r"RuntimeError.*Server\(opening=")
                server = self.serve(script([opening]))
                self.assertEqual(self.open(server).receive(), Close(1011, None))
                self.assertRegex(str(server.errors), r"AssertionError.*step 1 of 1.*Server\(opening=")

    def test_a_failing_opening(self) -> None:
        """Its exception is kept, the client gets no answer, the handler does not run, even if it had accepted."""
        handler = mock.Mock()
        mistake = RuntimeError("no")
        server = self.serve(handler, opening=mock.Mock(side_effect=mistake))
        client = self.connect(server)
        with self.assertRaises(ConnectionError):
            client.upgrade()
        client.sock.close()

        def late(connection: ServerConnection) -> None:
            connection.accept()
            raise mistake

        second = self.serve(handler, opening=late)
        client = self.open(second)
        self.assertEqual(client.receive(), Close(1011, None))
        for each in (server, second):
            each.close()
            self.assertEqual(each.errors, [mistake])
        handler.assert_not_called()

    def test_it_runs_in_a_daemon_thread_of_that_name(self) -> None:
        """`wssync-testing-...`, so that a hanging one keeps no process alive and can be told."""
        seen: List[threading.Thread] = []
        server = self.serve(lambda connection: seen.append(threading.current_thread()))
        self.open(server).receive()
        self.assertTrue(seen[0].daemon)
        self.assertTrue(seen[0].name.startswith("wssync-testing-connection-"))


class BadClientTests(ServerCase):
    """Clients that never get as far as a handler."""

    def test_what_is_no_http_is_refused(self) -> None:
        """400, and the client can read it to the end though it goes on sending."""
        server = self.serve()
        client = self.connect(server)
        with mock.patch.object(Wire, "linger", autospec=True, side_effect=Wire.linger) as linger:
            client.sock.sendall(b"EHLO you\r\n\r\n" + bytes(100_000))
            client.sock.shutdown(socket.SHUT_WR)
            self.assertTrue(client.rest().startswith(b"HTTP/1.1 400 Bad Request\r\n"))
        linger.assert_called_once_with(mock.ANY, 2.0)
        self.assertEqual([type(error) for error in server.take_errors()], [wssync.HandshakeError])
        server.close()
        self.assertEqual((server.requests, server.errors), ([], []))

    def test_a_request_byte_by_byte(self) -> None:
        """A request may come in pieces."""
        client = self.connect(self.serve())
        for byte in b"GET / HTTP/1.1\r\n\r\n":
            client.sock.sendall(bytes([byte]))
        client.sock.shutdown(socket.SHUT_WR)
        self.assertTrue(client.rest().startswith(b"HTTP/1.1 4"))

    def test_clients_that_leave_early_are_no_errors(self) -> None:
        """Before a byte, in the middle of the request, by RST; the server goes on."""
        server = self.serve()
        self.connect(server).sock.close()
        client = self.connect(server)
        client.sock.sendall(b"GET / HT")
        client.sock.close()
        client = self.connect(server)
        client.sock.sendall(b"GET / HT")
        reset(client.sock)
        client = self.open(server)
        client.send("still there?")
        self.assertEqual(client.receive(), "still there?")
        server.close()
        self.assertEqual((len(server.requests), server.errors, server._guests), (1, [], {}))

    @needs_trustme
    def test_a_client_that_does_not_trust_is_no_error(self) -> None:
        """The handshake fails on both sides and nobody else notices."""
        server = self.serve(tls=True)
        with self.assertRaises(ssl.SSLCertVerificationError):
            Client(server, ssl.create_default_context())
        self.assertIsInstance(self.open(server).verdict, Accepted)
        server.close()
        self.assertEqual(server.errors, [])

    def test_a_failing_accept_is_tried_again(self) -> None:
        """When a connection cannot be taken (no descriptor left, say), its socket is closed and the next is served."""
        real = Wire.__init__
        failures = [OSError("no more"), OSError("still none")]
        sockets: List[socket.socket] = []

        def fail(self: Wire, sock: socket.socket, context: object = None) -> None:
            if failures:
                sockets.append(sock)
                raise failures.pop()
            real(self, sock)

        server = self.serve()
        with mock.patch.object(Wire, "__init__", fail):
            for _ in range(2):
                with self.assertRaises(OSError):
                    self.connect(server).upgrade()
            self.assertIsInstance(self.open(server).verdict, Accepted)
        self.assertEqual([sock.fileno() for sock in sockets], [-1, -1])

    def test_a_thread_that_cannot_be_started_ends_only_its_connection(self) -> None:
        """The client is hung up on, and the next one is served."""
        server = self.serve()
        real, failures = threading.Thread.start, [RuntimeError("can't start new thread")]

        def start(thread: threading.Thread) -> None:
            if failures:
                raise failures.pop()
            real(thread)

        with mock.patch.object(threading.Thread, "start", start):
            self.assertEqual(self.connect(server).rest(), b"")
            self.assertIsInstance(self.open(server).verdict, Accepted)
        server.close()
        self.assertEqual(server._guests, {})


class LifeTests(ServerCase):
    """Start and close."""

    def test_before_the_start_there_is_no_address(self) -> None:
        """And closing what was never started is no trouble; then it cannot be started any more."""
        server = Server()
        self.assertIn("not started yet", repr(server))
        with self.assertRaises(RuntimeError):
            server.url  # noqa: B018  # the property under test
        server.close()
        with self.assertRaisesRegex(RuntimeError, "closed"):
            server.start()

    def test_it_is_started_once(self) -> None:
        """Entering a server that runs is refused as well, and leaves it running."""
        with Server() as server:
            with self.assertRaisesRegex(RuntimeError, "running"):
                server.start()
            with self.assertRaises(RuntimeError):
                server.__enter__()
            self.assertIn(server.url, repr(server))
            self.assertIsInstance(self.open(server).verdict, Accepted)
        self.assertIn("closed", repr(server))

    def test_two_starts_at_once(self) -> None:
        """One of them starts it, the other one is told so."""
        for _ in range(20):
            server = Server()
            starts = [Running(server.start), Running(server.start)]
            errors = [start.error() for start in starts if start.failed()]
            self.assertEqual([str(error)[:22] for error in errors], ["this server is running"])
            server.close()
        self.assertEqual(our_threads(), [])

    def test_a_start_against_a_close(self) -> None:
        """Whoever is first: nothing is left behind, and the close raises nothing."""
        for _ in range(20):
            server = Server()
            starting = Running(server.start)
            server.close()
            if not starting.failed():
                server.close()
        self.assertEqual(our_threads(), [])

    @needs_trustme
    def test_a_start_that_fails(self) -> None:
        """It is undone: the port is free, no file is left, and the server can be started later."""
        server = Server(tls=True)
        failing: Any = mock.patch.object(threading.Thread, "start", side_effect=RuntimeError("can't start new thread"))
        before = descriptors()
        with failing, self.assertRaisesRegex(RuntimeError, "can't start"):
            server.start()
        self.assertEqual(descriptors(), before)
        self.assertIsNone(server.ca_file)
        self.assertRaises(RuntimeError, lambda: server.url)
        with server:
            self.assertIsNotNone(server.ca_file)

    def test_bad_arguments(self) -> None:
        """They are refused when the server is made."""
        with self.assertRaises(TypeError):
            Server(protocols="chat")
        with self.assertRaises(ValueError):
            Server(protocols=["a b"])
        wrong: List[Any] = [5, None, "hello", ["hello"]]
        for handler in wrong:
            with self.assertRaisesRegex(TypeError, r"a handler is a function .* script\(\[\.\.\.\]\)"):
                Server(handler)
        for opening in ([5], "x", b"x", 5):
            with self.assertRaisesRegex(TypeError, "an opening is a function"):
                Server(opening=opening)  # type: ignore[arg-type]
        for size, error in (("x", TypeError), (True, TypeError), (-1, ValueError)):
            with self.assertRaisesRegex(error, "maximum_message_size is"):
                Server(maximum_message_size=size)  # type: ignore[arg-type]
        self.assertIsInstance(self.open(self.serve(opening=None, maximum_message_size=0)).verdict, Accepted)

    def test_bad_ports(self) -> None:
        """They are refused at the start, which may be tried again."""
        server = Server()
        for port, error in ((70000, ValueError), (-1, ValueError), ("80", TypeError), (True, TypeError)):
            with self.assertRaisesRegex(error, "a port is"):
                server.start(port)  # type: ignore[arg-type]
        server.start()
        server.close()

    def test_the_url_of_a_path(self) -> None:
        """It has one slash; the request has that target, by either name."""
        server = Server()
        with self.assertRaises(RuntimeError):
            server.url_for("/chat")
        server = self.serve()
        self.assertEqual(server.url_for("/"), server.url)
        self.assertEqual(server.url_for("/chat?room=1"), server.url + "chat?room=1")
        with wssync.connect(server.url_for("/chat?room=1"), timeout=TIMEOUT):
            self.assertEqual(server.requests[0].path, "/chat?room=1")
            self.assertEqual(server.requests[0].path, server.requests[0].target)
        for path, error in (("chat", ValueError), ("", ValueError), (None, TypeError)):
            with self.assertRaisesRegex(error, "a path"):
                server.url_for(path)  # type: ignore[arg-type]

    def test_closing_says_1001_to_those_who_are_open(self) -> None:
        """Idle ones, busy ones, and those that have not asked yet all end; nobody can connect any more."""
        server = self.serve()
        idle, silent = self.open(server), self.connect(server)
        silent.sock.sendall(b"GET /")
        busy = self.open(server)
        busy.send("x")
        busy.receive()
        server.close()
        server.close()
        for client in (idle, busy):
            self.assertEqual(client.receive(), Close(1001, None))
            self.assertRaises(EOFError, client.receive)
        self.assertEqual(silent.rest(), b"")
        with self.assertRaises(OSError):
            self.connect(server)
        self.assertEqual(server.errors, [])

    def test_closing_releases_a_handler_that_sends(self) -> None:
        """A client that reads nothing holds nobody up."""
        server = self.serve(lambda connection: connection.send(bytes(64 * 1024 * 1024)))
        self.open(server)
        server.wait_for_connection()
        server.close()
        self.assertEqual(our_threads(), [])

    def test_a_handler_that_is_busy_is_left_behind(self) -> None:
        """After a bounded time, with a warning that names its thread."""
        release = threading.Event()
        self.addCleanup(release.set)
        server = self.serve(lambda connection: release.wait(TIMEOUT))
        self.open(server)
        warnings = self.assertLogs("wssync.testing", logging.WARNING)
        with mock.patch.object(module, "CLOSE_TIMEOUT", 0.05), warnings as logged:
            server.close()
        self.assertIn("wssync-testing-connection-", logged.output[0])
        thread = next(thread for thread in threading.enumerate() if thread.name in logged.output[0])
        release.set()
        thread.join(TIMEOUT)

    def test_a_handler_may_close_the_server(self) -> None:
        """It does not wait for itself."""
        server = self.serve()
        server._handler = lambda connection: server.close()
        client = self.open(server)
        self.assertEqual(client.receive(), Close(1001, None))
        for thread in server._threads:
            thread.join(TIMEOUT)
        self.assertEqual((server.errors, our_threads()), ([], []))

    @needs_trustme
    def test_the_certificate_file_lives_as_long_as_the_server(self) -> None:
        """It is there while it runs, and gone with its directory afterwards."""
        with tempfile.TemporaryDirectory() as directory, mock.patch.object(tempfile, "tempdir", directory):
            with Server(tls=True) as server:
                assert server.ca_file is not None
                self.assertTrue(os.path.isfile(server.ca_file))
                self.assertEqual(len(os.listdir(directory)), 1)
            self.assertIsNone(server.ca_file)
            self.assertEqual(os.listdir(directory), [])

    def test_a_start_that_fails_leaves_nothing(self) -> None:
        """Without trustme, TLS raises, no file and no descriptor is left, and it may be tried again."""
        before = descriptors()
        with tempfile.TemporaryDirectory() as directory, mock.patch.object(tempfile, "tempdir", directory):
            with mock.patch.object(module, "make_server_context", side_effect=RuntimeError("TLS needs the extra")):
                server = Server(tls=True)
                with self.assertRaisesRegex(RuntimeError, "extra"):
                    server.start()
            self.assertEqual(os.listdir(directory), [])
        self.assertEqual(descriptors(), before)
        self.assertEqual(our_threads(), [])


class PortTests(ServerCase):
    """Connections that are refused or ignored."""

    def test_refused_connections(self) -> None:
        """TCP refuses them until they are accepted again; who is there goes on."""
        server = self.serve()
        client = self.open(server)
        server.refuse_connections()
        with self.assertRaises(ConnectionRefusedError):
            self.connect(server)
        client.send("still here")
        self.assertEqual(client.receive(), "still here")
        server.accept_connections()
        self.assertIsInstance(self.open(server).verdict, Accepted)
        server.refuse_connections()
        server.close()
        self.assertEqual(client.receive(), Close(1001, None))

    def test_ignored_connections(self) -> None:
        """TCP takes them, and that is all; they are hung up on when connections are accepted again."""
        server = self.serve()
        client = self.open(server)
        server.ignore_connections()
        ignored = [self.connect(server) for _ in range(2)]
        ignored[0].sock.sendall(bytes(100_000))
        for each in ignored:
            each.sock.settimeout(0.02)
            self.assertRaises(socket.timeout, each.sock.recv, 1)
        client.send("still here")
        self.assertEqual(client.receive(), "still here")
        server.accept_connections()
        for each in ignored:
            each.sock.settimeout(TIMEOUT)
            self.assertEqual(each.sock.recv(1), b"")
        self.assertIsInstance(self.open(server).verdict, Accepted)
        self.assertEqual((len(server.requests), server.errors), (2, []))

    @needs_trustme
    def test_ignored_connections_get_no_tls(self) -> None:
        """Not one byte of it."""
        server = self.serve(tls=True)
        server.ignore_connections()
        sock = socket.create_connection(("127.0.0.1", server._port), 0.05)
        self.addCleanup(sock.close)
        sock.sendall(b"\x16\x03\x01\x00\x05hello")  # a server that listens would answer with an alert
        self.assertRaises(socket.timeout, sock.recv, 1)

    def test_a_server_that_refuses_ignores_none(self) -> None:
        """Those who were ignored stay so meanwhile, and are hung up on at the end of the server."""
        server = self.serve()
        server.ignore_connections()
        ignored = self.connect(server)
        server.refuse_connections()
        with self.assertRaises(ConnectionRefusedError):
            self.connect(server)
        ignored.sock.settimeout(0.02)
        self.assertRaises(socket.timeout, ignored.sock.recv, 1)
        server.close()
        ignored.sock.settimeout(TIMEOUT)
        self.assertEqual(ignored.sock.recv(1), b"")

    def test_only_while_it_runs(self) -> None:
        """RuntimeError before the start and after the end."""
        server = Server()
        for phase in ("not started yet", "closed"):
            for call in (server.refuse_connections, server.ignore_connections, server.accept_connections):
                with self.assertRaisesRegex(RuntimeError, phase):
                    call()
            if phase != "closed":
                server.start()
                server.close()

    def test_what_a_user_meets(self) -> None:
        """ConnectionRefused, TimedOut, and a connection when the server is back."""
        server = self.serve()
        server.refuse_connections()
        with self.assertRaises(wssync.ConnectionRefused):
            wssync.connect(server.url, timeout=TIMEOUT)
        server.ignore_connections()
        with self.assertRaises(wssync.TimedOut):
            wssync.connect(server.url, timeout=0.1)
        server.accept_connections()
        with wssync.connect(server.url, timeout=TIMEOUT) as task:
            task.send("x")
            self.assertEqual(task.receive(timeout=TIMEOUT), "x")


class TrustTests(ServerCase):
    """What clients need for TLS."""

    @needs_trustme
    def test_a_context_that_trusts_the_server(self) -> None:
        """It and nobody else, with the name checked; a new one each time, before the start already."""
        server = Server(tls=True)
        early = server.client_ssl_context
        server.start()
        self.addCleanup(server.close)
        context = server.client_ssl_context
        assert early is not None and context is not None
        self.assertIsNot(early, context)
        for each in (early, context):
            self.assertTrue(each.check_hostname)
            self.assertEqual(len(each.get_ca_certs()), 1)
            client = Client(server, each).upgrade()
            self.addCleanup(client.sock.close)
            self.assertIsInstance(client.verdict, Accepted)

    @needs_trustme
    def test_a_user_connects_by_it(self) -> None:
        """As the `ssl_context` of a configuration."""
        server = self.serve(tls=True)
        configuration = wssync.SessionConfiguration.ephemeral().replace(ssl_context=server.client_ssl_context)
        with wssync.connect(server.url, configuration=configuration, timeout=TIMEOUT) as task:
            task.send("x")
            self.assertEqual(task.receive(timeout=TIMEOUT), "x")

    def test_without_tls_there_is_none(self) -> None:
        """There is nothing to trust."""
        self.assertIsNone(self.serve().client_ssl_context)


class LeakTests(ServerCase):
    """Servers leave nothing behind."""

    def setUp(self) -> None:
        super().setUp()
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        patch = mock.patch.object(tempfile, "tempdir", self.directory)
        patch.start()
        self.addCleanup(patch.stop)

    def run_one(self, number: int, tls: bool = False) -> None:
        """A server with a client that closes, resets or stays, and with one that says nothing."""
        with Server(tls=tls) as server:
            client = Client(server).upgrade()
            client.send("x")
            client.receive()
            other = Client(server)
            if number % 3 == 0:
                client.close()
                client.receive()
            elif number % 3 == 1:
                reset(client.sock)
            other.sock.close()
            client.sock.close()

    def run_another(self, number: int) -> None:
        """A server that nobody asks, whatever it does with those who come."""
        with Server() as server:
            if number % 2:
                server.ignore_connections()
                Client(server).sock.close()
            if number % 3 == 0:
                server.refuse_connections()

    def assertNothingLeft(self, before: Set[str]) -> None:
        self.assertEqual(our_threads(), [])
        self.assertEqual(descriptors(), before)
        self.assertEqual(os.listdir(self.directory), [])

    def test_a_thousand_servers(self) -> None:
        """No thread, no descriptor, no file, and no time to speak of: most that do nothing, some that do a lot."""
        self.run_one(0)
        before = descriptors()
        for number in range(1000):
            if number % 10 == 0:
                self.run_one(number // 10)
                self.assertNothingLeft(before)
            elif number % 10 == 1:
                self.run_another(number // 10)
                self.assertNothingLeft(before)
            else:
                with Server():
                    pass
        self.assertNothingLeft(before)

    @needs_trustme
    def test_thirty_servers_with_tls(self) -> None:
        """The same with TLS and its files."""
        self.run_one(0, tls=True)
        before = descriptors()
        for number in range(30):
            self.run_one(number, tls=True)
            self.assertNothingLeft(before)


@with_cases
class FaultyEndTests(ServerCase):
    """A server that is closed in the midst of a fault."""

    @cases(
        silent={"handler": faults.silent},
        silent_from_the_start={"opening": faults.silent},
        not_reading={"handler": faults.stop_reading},
        not_reading_from_the_start={"opening": faults.stop_reading},
        ignoring_a_close={"opening": faults.ignore_close},
        ignoring_a_close_as_its_handler={"handler": faults.ignore_close},
        in_the_midst_of_an_answer={"opening": faults.in_pieces(3, 1000.0)},
        in_the_midst_of_a_frame={"handler": script([faults.in_pieces(1, 1000.0), "never whole"])},
        in_the_midst_of_a_refusal={"opening": [faults.in_pieces(3, 1000.0), lambda it: it.respond(403)]},
        before_a_pong={"opening": faults.hold_pongs},
        before_a_late_pong={"opening": faults.delay_pongs(1000.0)},
        before_a_message={"handler": script([expect("never")])},
        behind_garbage={"handler": script([faults.garbage(), echo])},
        before_a_cut={"opening": faults.cut_after(10_000)},
    )
    @needs_trustme
    def test_ends_at_once(self, options: Dict[str, Any]) -> None:
        """With and without TLS, while the client waits, and says a ping and a Close: no thread stays busy."""
        opening = options.get("opening", ())
        for tls in (False, True):
            begun = threading.Event()
            openings = [lambda _connection, begun=begun: begun.set(), *([opening] if callable(opening) else opening)]
            server = self.serve(options.get("handler", echo), opening=openings, tls=tls)
            client = self.connect(server)
            client.sock.sendall(UPGRADE + b"\x89\x80\x00\x00\x00\x00")
            self.assertTrue(begun.wait(TIMEOUT))
            if not opening:
                client.sock.sendall(b"\x88\x80\x00\x00\x00\x00")
                server.wait_for_connection(TIMEOUT)
            with mock.patch.object(module.logger, "warning") as warning:
                server.close()
            warning.assert_not_called()
            self.assertEqual(our_threads(), [])

    def test_a_connection_that_asks_while_the_server_closes(self) -> None:
        """It comes too late to be served: no opening, no handler, and nobody waits for it."""
        server = self.serve(mock.Mock(), opening=faults.stop_reading)
        real, asked = server._read_request, threading.Event()

        def read_late(wire: Wire) -> object:
            found = real(wire)
            asked.set()
            wire._closed.wait(TIMEOUT)
            return found

        with mock.patch.object(server, "_read_request", read_late):
            self.connect(server).sock.sendall(UPGRADE)
            self.assertTrue(asked.wait(TIMEOUT))
            with mock.patch.object(module.logger, "warning") as warning:
                server.close()
        warning.assert_not_called()
        self.assertEqual((our_threads(), server.errors), ([], []))


class ImportTests(unittest.TestCase):
    """What the package costs."""

    def test_trustme_is_not_imported_without_tls(self) -> None:
        """Plain servers work from a plain installation."""
        with mock.patch.dict(sys.modules, {"trustme": None}), Server() as server:
            client = Client(server).upgrade()
            client.send("x")
            self.assertEqual(client.receive(), "x")
            client.sock.close()


if __name__ == "__main__":
    unittest.main()

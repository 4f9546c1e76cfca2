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
from typing import List, Set
from unittest import mock

from wssync.errors import ConnectionClosed, ProtocolError
from wssync.protocol.deflate import DeflateOptions
from wssync.protocol.handshake import Accepted
from wssync.protocol.messages import Close
from wssync.testing import Server, ServerConnection, echo
from wssync.testing import server as module
from wssync.testing.wire import Wire

from .client import TIMEOUT, Client, ServerCase, needs_trustme, reset


def our_threads() -> List[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("wssync-")]


def descriptors() -> Set[str]:
    return set(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else set()


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

    def test_a_message_over_the_limit_is_none(self) -> None:
        """That is what the limit is there for."""
        server = self.serve(maximum_message_size=3)
        client = self.open(server)
        client.send("long")
        self.assertEqual(client.receive(), Close(1009, None))
        client.sock.close()
        server.close()
        self.assertEqual(server.errors, [])

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


class RecordTests(ServerCase):
    """What the server remembers."""

    def test_a_client_that_is_open_is_on_record(self) -> None:
        """Its request and its connection are there as soon as it has read the 101; the lists are the caller's own."""
        server = self.serve()
        for number in range(1, 30):
            self.open(server)
            self.assertEqual(len(server.connections), number)
            self.assertEqual(len(server.requests), number)
        for record in (server.requests, server.connections):
            record.clear()
        self.assertEqual(len(server.requests), 29)
        self.assertEqual(server.requests[0].headers["Sec-WebSocket-Version"], "13")
        self.assertEqual(server.connections[3].request, server.requests[3])

    def test_connections_are_handed_out_in_order(self) -> None:
        """Each once, those that came before the call first."""
        server = self.serve()
        self.open(server)
        self.open(server)
        first, second = server.connections
        self.assertIs(server.wait_for_connection(), first)
        self.assertIs(server.wait_for_connection(0), second)
        with self.assertRaises(TimeoutError):
            server.wait_for_connection(0)
        self.open(server)
        self.assertIs(server.wait_for_connection(0), server.connections[2])

    def test_waiting_for_a_connection(self) -> None:
        """It is released by the client, by its timeout, by the end of the server."""
        server = self.serve()
        found: List[object] = []

        def wait() -> None:
            try:
                found.append(server.wait_for_connection(3 * TIMEOUT))
            except RuntimeError as error:
                found.append(str(error))

        with self.assertRaisesRegex(TimeoutError, "within 0.01 seconds"):
            server.wait_for_connection(0.01)
        for release in (lambda: self.open(server), server.close):
            thread = threading.Thread(target=wait)
            thread.start()
            release()
            thread.join(TIMEOUT)
            self.assertFalse(thread.is_alive())
        self.assertEqual(found, [server.connections[0], "the server is closed, no connection will come"])


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

    def test_bad_arguments(self) -> None:
        """They are refused when the server is made."""
        with self.assertRaises(TypeError):
            Server(protocols="chat")
        with self.assertRaises(ValueError):
            Server(protocols=["a b"])

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


class LeakTests(ServerCase):
    """A hundred servers leave nothing behind."""

    def run_one(self, number: int, tls: bool) -> None:
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
        self.assertEqual(our_threads(), [])

    def test_a_hundred_servers(self) -> None:
        """No thread, no descriptor, whether the clients close, reset or stay."""
        self.run_one(0, tls=False)
        before = descriptors()
        for number in range(100):
            self.run_one(number, tls=False)
        self.assertEqual(descriptors(), before)

    @needs_trustme
    def test_thirty_servers_with_tls(self) -> None:
        """The same with TLS and its files."""
        with tempfile.TemporaryDirectory() as directory, mock.patch.object(tempfile, "tempdir", directory):
            self.run_one(0, tls=True)
            before = descriptors()
            for number in range(30):
                self.run_one(number, tls=True)
            self.assertEqual(descriptors(), before)
            self.assertEqual(os.listdir(directory), [])


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

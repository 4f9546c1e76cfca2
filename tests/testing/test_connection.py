"""Tests of `wssync.testing.connection`, through a running server."""

from __future__ import annotations

import math
import socket
import struct
import threading
import unittest
from typing import List, Union
from unittest import mock

from wssync.errors import ConnectionClosed, ProtocolError
from wssync.protocol.deflate import DeflateOptions
from wssync.protocol.frames import Opcode
from wssync.protocol.handshake import Accepted
from wssync.protocol.messages import Close
from wssync.testing import ServerConnection, echo

from ..threads import Running
from .client import TIMEOUT, ServerCase, needs_trustme, reset
from .meeting import BIG, HandlerCase, masked


class CloseTests(HandlerCase):
    """The closing handshake, from both sides."""

    def test_the_clients_close_is_answered(self) -> None:
        """Code and reason are known, the same code goes back, then the server closes TCP first (RFC 6455 7.1.1)."""
        connection, client = self.meet()
        client.send("last")
        client.close(3999, "enough")
        self.assertIsNone(connection.close_code)
        self.assertIsNone(connection.close_reason)
        self.assertEqual(connection.receive(TIMEOUT), "last")
        status = {"received_close": (3999, "enough"), "sent_close": (3999, None)}
        first = self.assertEnds(connection.receive, 3999, reason="enough", clean=True, **status)
        self.assertIs(self.assertEnds(connection.receive, 3999), first)
        self.assertIn("3999", str(first))
        self.assertEqual(client.receive(), Close(3999, None))
        self.assertRaises(EOFError, client.receive)
        self.assertEqual((connection.close_code, connection.close_reason), (3999, "enough"))

    def test_an_empty_close_is_1005(self) -> None:
        """It is answered by an empty one."""
        connection, client = self.meet()
        client.close(None)
        self.assertEnds(connection.receive, 1005, reason=None, clean=True)
        self.assertEqual(client.receive(), Close(1005, None))
        self.assertEqual(connection.close_code, 1005)

    def test_the_code_is_recorded_before_the_answer_goes_out(self) -> None:
        """A client that has read the answer finds the record complete."""
        connection, client = self.meet()
        seen: List[object] = []
        with mock.patch.object(connection._wire, "queue", lambda data: seen.append(connection.close_code)):
            client.close(4000)
            self.assertEnds(connection.receive, 4000)
        self.assertEqual(seen, [4000])

    def test_closing_waits_for_the_client(self) -> None:
        """The Close goes out, messages still in flight are dropped, the client's Close ends it; again does nothing."""
        connection, client = self.meet()
        client.send("in flight")
        client.control(Opcode.PING, b"too late")
        client.close(1000, "bye")
        connection.close(4321, "go")
        connection.close(1000)
        self.assertEqual(client.rest(), b"\x88\x04\x10\xe1go")
        self.assertEqual(connection.pings, [b"too late"])
        self.assertEqual((connection.close_code, connection.close_reason), (1000, "bye"))
        self.assertEnds(connection.receive, 1000, clean=True, sent_close=(4321, "go"), received_close=(1000, "bye"))

    def test_closing_without_a_code_is_an_empty_close(self) -> None:
        """And so it is recorded as 1005."""
        connection, client = self.meet()
        client.close(1000)
        connection.close(None)
        self.assertEqual(client.receive(), Close(1005, None))
        self.assertEnds(connection.receive, 1000, sent_close=(1005, None))

    def test_closing_is_bounded(self) -> None:
        """A client that does not answer is left after the timeout."""
        connection, client = self.meet()
        connection.close(timeout=0.02)
        self.assertEqual(client.receive(), Close(1000, None))
        self.assertRaises(EOFError, client.receive)
        self.assertEnds(connection.receive, clean=False, sent_close=(1000, None))
        self.assertIsNone(connection.close_code)

    def test_closing_is_bounded_when_nothing_can_be_sent(self) -> None:
        """A client that neither reads nor answers is left as well."""
        connection, _client = self.meet()
        connection._wire.queue(bytes(BIG))
        connection.close(timeout=0.02)
        self.assertIsNotNone(connection.end)

    def test_codes_that_cannot_be_sent_are_refused(self) -> None:
        """ValueError before anything happens."""
        connection, client = self.meet()
        for code, reason in ((1005, None), (999, None), (1000, "x" * 124), (None, "why")):
            with self.assertRaises(ValueError):
                connection.close(code, reason)
        connection.send("open")
        self.assertEqual(client.receive(), "open")

    def test_another_thread_closes_under_a_receiver(self) -> None:
        """The receiver reads the client's answer and both are released."""
        connection, client = self.meet()
        caught: List[ConnectionClosed] = []
        receiver = threading.Thread(target=lambda: caught.append(self.assertEnds(connection.receive, 1000)))
        receiver.start()
        closer = threading.Thread(target=connection.close, args=(4000,))
        closer.start()
        self.assertEqual(client.receive(), Close(4000, None))
        client.close(1000)
        receiver.join(TIMEOUT)
        closer.join(TIMEOUT)
        self.assertTrue(caught[0].clean)

    def test_a_lost_client_is_1006(self) -> None:
        """Its FIN without a Close, and its RST."""
        connection, client = self.meet()
        client.sock.close()
        error = self.assertEnds(connection.receive, 1006, clean=False, received_close=None)
        self.assertTrue(connection.is_end(error))
        self.assertFalse(connection.is_end(ConnectionClosed()))
        connection, client = self.meet()
        reset(client.sock)
        self.assertIsInstance(self.assertEnds(connection.receive).__cause__, ConnectionResetError)

    def test_a_client_that_breaks_the_protocol_is_told(self) -> None:
        """The messages before it are received, then ProtocolError; the client reads the Close though it still sends."""
        connection, client = self.meet()
        client.sock.sendall(masked(Opcode.TEXT, b"good") + b"\x81\x00" + bytes(100_000))
        client.sock.shutdown(socket.SHUT_WR)
        self.assertEqual(connection.receive(TIMEOUT), "good")
        error = self.assertEnds(connection.receive, 1002, sent_close=(1002, None))
        self.assertIsInstance(error, ProtocolError)
        self.assertEqual(client.receive(), Close(1002, None))

    def test_the_end_waits_until_such_a_client_hangs_up(self) -> None:
        """A socket closed while the client still sends would be reset, and the Close with it."""
        connection, client = self.meet()
        client.sock.sendall(b"\x81\x00")
        receiver = threading.Thread(target=lambda: self.assertEnds(connection.receive, 1002))
        receiver.start()
        self.assertEqual(client.receive(), Close(1002, None))
        self.assertRaises(EOFError, client.receive)
        self.assertIsNone(connection.end)
        client.sock.close()
        receiver.join(TIMEOUT)
        self.assertIsInstance(connection.end, ProtocolError)

    def test_a_client_that_went_in_the_middle_of_the_answer(self) -> None:
        """Neither an answer to its Close nor one to its fault can be sent; both count all the same."""
        for frame, code in ((masked(Opcode.CLOSE, b"\x03\xe8"), 1000), (b"\x81\x00", 1002)):
            connection, client = self.meet()
            client.sock.sendall(frame)
            with mock.patch.object(connection._wire, "flush", side_effect=BrokenPipeError):
                client.sock.shutdown(socket.SHUT_WR)
                self.assertEnds(connection.receive, code)


class FloodTests(HandlerCase):
    """A client that never stops sending cannot stretch a limit."""

    def flood(self, frame: bytes) -> ServerConnection:
        connection, _client = self.meet()
        patch = mock.patch.object(connection._wire, "read", return_value=frame)
        patch.start()
        self.addCleanup(patch.stop)
        return connection

    def test_receiving_ends_in_time(self) -> None:
        """Pings are no message; after the time is over one more read is allowed, for what is there already."""
        connection = self.flood(masked(Opcode.PING, b"?"))
        self.assertRaises(TimeoutError, connection.receive, 0.01)
        self.assertRaises(TimeoutError, connection.receive, 0)

    def test_closing_ends_in_time(self) -> None:
        """Messages that come instead of the client's Close are dropped, but not for ever."""
        connection = self.flood(masked(Opcode.TEXT, b"more"))
        connection.close(timeout=0.01)
        self.assertIsNotNone(connection.end)


class SilentCloseTests(HandlerCase):
    """Connections without a Close frame."""

    def test_none_is_sent(self) -> None:
        """Not by `close`, which waits for the client to hang up, not in answer, not by the end of the server."""
        connection, client = self.meet()
        connection.ignore_close()
        closing = Running(lambda: connection.close(4000, timeout=0.0))
        client.send("dropped")
        client.close(3000)
        with connection._state:
            self.assertTrue(connection._state.wait_for(lambda: connection.end is not None, TIMEOUT))
        client.sock.sendall(b"not even frames")
        with self.assertRaises(TimeoutError):
            connection.wait_until_closed(0.02)
        client.sock.shutdown(socket.SHUT_WR)
        self.assertEqual(client.rest(), b"")
        closing.result()
        self.assertEqual(connection.close_code, 3000)
        self.assertEnds(connection.receive, 3000, sent_close=None, clean=True)

    def test_nothing_else_is_sent_after_the_clients_close(self) -> None:
        """Not even pongs that are released then, though TCP is there."""
        connection, client = self.meet()
        connection.ignore_close()
        connection.delay_pongs(math.inf)
        client.control(Opcode.PING, b"?")
        client.close(1000)
        self.assertEnds(connection.receive, 1000)
        connection.release_pongs()
        client.sock.shutdown(socket.SHUT_WR)
        connection.close()
        self.assertEqual(client.rest(), b"")

    def test_what_the_client_breaks_is_not_answered_either(self) -> None:
        """It is an error of the client's all the same."""
        connection, client = self.meet()
        connection.ignore_close()
        client.sock.sendall(b"\x81\x00")
        client.sock.shutdown(socket.SHUT_WR)
        self.assertEnds(connection.receive, 1002, sent_close=None)
        self.assertEqual(client.rest(), b"")


class OpeningTests(ServerCase):
    """What an `opening` function may do."""

    def test_accepting_with_header_fields(self) -> None:
        """The regular 101 with these fields besides."""

        def opening(connection: ServerConnection) -> None:
            self.assertFalse(connection.accepted)
            self.assertEqual(connection.request.target, "/")
            self.assertIn("/", repr(connection))
            self.assertTrue(connection.accept({"Set-Cookie": "a=b"}))
            with self.assertRaises(RuntimeError):
                connection.accept()

        server = self.serve(opening=opening)
        client = self.open(server)
        self.assertIsInstance(client.verdict, Accepted)
        self.assertEqual(client.response.headers["Set-Cookie"], "a=b")
        client.send("echo")
        self.assertEqual(client.receive(), "echo")
        server.close()
        self.assertEqual(server.errors, [])

    def test_the_regular_answer(self) -> None:
        """Its bytes can be had without sending them: those that `accept` sends, or the refusal."""
        answers: List[bytes] = []

        def opening(connection: ServerConnection) -> None:
            connection.add_headers({"X-One": "1"})
            answers.append(connection.regular_answer({"X-Two": "2"}))
            self.assertFalse(connection.answered)
            connection.accept({"X-Two": "2"})

        server = self.serve(opening=opening)
        client = self.open(server)
        self.assertIn(b"101", answers[0])
        self.assertTrue(answers[0].endswith(b"\r\nX-Two: 2\r\nX-One: 1\r\n\r\n"))
        self.assertIn(client.response.headers["Sec-WebSocket-Accept"].encode(), answers[0])
        client = self.connect(server)
        client.sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        client.sock.shutdown(socket.SHUT_WR)
        self.assertEqual(client.rest(), answers[1])
        self.assertEqual(server.errors, [])

    def test_a_request_that_is_no_upgrade_is_refused_by_accept(self) -> None:
        """426 or 400, False, and no handler."""
        results: List[bool] = []
        handler = mock.Mock()
        server = self.serve(handler, opening=lambda connection: results.append(connection.accept()))
        client = self.connect(server)
        client.sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        client.sock.shutdown(socket.SHUT_WR)
        self.assertRegex(client.rest(), rb"^HTTP/1.1 4(00|26) ")
        server.close()
        self.assertEqual(results, [False])
        handler.assert_not_called()

    def test_a_client_that_goes_before_the_answer(self) -> None:
        """`accept` raises, which is the end and no error of the opening."""
        ended = threading.Event()

        def opening(connection: ServerConnection) -> None:
            try:
                connection.drop()
                connection.accept()
            finally:
                ended.set()

        server = self.serve(opening=opening)
        client = self.connect(server)
        with self.assertRaises(ConnectionError):
            client.upgrade()
        self.assertTrue(ended.wait(TIMEOUT))
        server.close()
        self.assertEqual((server.errors, server.connections), ([], []))

    def test_the_subprotocol(self) -> None:
        """The client's first that the server knows, or none."""
        server = self.serve(protocols=["chat", "superchat"])
        client = self.open(server, protocols=["soap", "superchat", "chat"])
        self.assertEqual(client.verdict, Accepted(protocol="superchat", deflate=None, extensions=()))
        self.assertEqual(server.wait_for_connection().protocol, "superchat")
        self.open(server, protocols=["soap"])
        self.assertIsNone(server.wait_for_connection().protocol)


class FullDuplexTests(ServerCase):
    """A handler with a thread of its own."""

    def exchange(self, tls: bool) -> None:
        count, size = 40, 200_000
        received: List[Union[str, bytes]] = []

        def handler(connection: ServerConnection) -> None:
            receiver = threading.Thread(
                target=lambda: received.extend(connection.receive(TIMEOUT) for _ in range(count)),
            )
            receiver.start()
            for number in range(count):
                connection.send(bytes([number]) * size)
            receiver.join()

        server = self.serve(handler, tls=tls, compression=None)
        client = self.open(server)
        for number in range(count):
            client.send(bytes([255 - number]) * size)
            client.control(Opcode.PING, b"%d" % number)
        events = [client.receive()]
        while not isinstance(events[-1], Close):
            events.append(client.receive())
        client.close()
        server.connections[0].wait_until_closed(TIMEOUT)
        server.close()
        messages = [event for event in events if isinstance(event, bytes)]
        self.assertEqual(messages, [bytes([number]) * size for number in range(count)])
        self.assertEqual(server.connections[0].pings, [b"%d" % number for number in range(count)])
        self.assertEqual(received, [bytes([255 - number]) * size for number in range(count)])
        self.assertEqual(server.errors, [])

    def test_a_handler_sends_in_one_thread_and_receives_in_another(self) -> None:
        """Forty messages of 200 kB each way, with pings between them, arrive whole and in order."""
        self.exchange(tls=False)

    @needs_trustme
    def test_a_handler_sends_in_one_thread_and_receives_in_another_over_tls(self) -> None:
        """The same over TLS, where reading and writing share one object."""
        self.exchange(tls=True)


class LargeMessageTests(ServerCase):
    """Messages of many megabytes."""

    def test_sixteen_mebibytes_go_through_the_echo(self) -> None:
        """There is no limit by default."""
        server = self.serve(echo, compression=None)
        client = self.open(server)
        message = bytes(range(256)) * (16 * 4096)
        client.send(message)
        self.assertTrue(client.receive() == message)

    @needs_trustme
    def test_five_mebibytes_go_through_the_echo_over_tls_compressed(self) -> None:
        """With everything that can be in the way."""
        server = self.serve(echo, tls=True)
        client = self.open(server, deflate=DeflateOptions())
        message = "text with ümlauts " * 300_000
        client.send(message)
        self.assertTrue(client.receive() == message)

    def test_the_header_of_a_large_fragment(self) -> None:
        """Its length has eight bytes."""

        def handler(connection: ServerConnection) -> None:
            connection.receive(TIMEOUT)
            connection.send_fragments([bytes(70_000)])

        client = self.open(self.serve(handler))
        client.send("now")
        self.assertEqual(client.exactly(10), b"\x82\x7f" + struct.pack("!Q", 70_000))


if __name__ == "__main__":
    unittest.main()

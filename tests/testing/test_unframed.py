"""Tests of `wssync.testing.unframed`, through a running server."""

from __future__ import annotations

import socket
import threading
import unittest
from typing import Callable, List
from unittest import mock

from wssync.protocol.frames import Opcode
from wssync.protocol.handshake import Refused
from wssync.protocol.messages import Close
from wssync.testing import ServerConnection
from wssync.testing.wire import Ending

from ..threads import Running
from .client import TIMEOUT, ServerCase, reset
from .meeting import BIG, HandlerCase, masked, noted_sends


class WriteFailureTests(HandlerCase):
    """A client that takes nothing any more."""

    def test_what_the_client_said_before_is_still_received(self) -> None:
        """Rule 180 from the other side: sending raises, receiving goes on to the client's Close."""
        connection, client = self.meet()
        client.send("last words")
        client.close(4000)
        with mock.patch.object(connection._wire, "flush", side_effect=BrokenPipeError):
            error = self.assertEnds(lambda: connection.send("x"))
        self.assertIsInstance(error.__cause__, BrokenPipeError)
        self.assertTrue(connection.is_end(error))
        self.assertIsNone(connection.end)
        self.assertEqual(connection.receive(TIMEOUT), "last words")
        self.assertEnds(connection.receive, 4000)


class RawTests(HandlerCase):
    """Bytes without rules."""

    def test_any_bytes_are_sent(self) -> None:
        """They arrive as they are, in order with the frames."""
        connection, client = self.meet()
        connection.send("a")
        connection.send_raw(b"\xff\xff")
        connection.send_raw(b"\x00")
        self.assertEqual(client.exactly(6), b"\x81\x01a\xff\xff\x00")

    def test_exactly_that_many_bytes_are_received(self) -> None:
        """Neither more nor fewer; those that came too early for a timeout are kept."""
        connection, client = self.meet()
        client.sock.sendall(b"abc")
        self.assertEqual(connection.receive_raw(2, TIMEOUT), b"ab")
        with self.assertRaises(TimeoutError):
            connection.receive_raw(3, 0.02)
        client.sock.sendall(b"de")
        client.sock.shutdown(socket.SHUT_WR)
        self.assertEqual(connection.receive_raw(3), b"cde")
        self.assertEqual(connection.receive_raw(3), b"")

    def test_a_message_after_raw_bytes(self) -> None:
        """What `receive_raw` has not taken is decoded."""
        connection, client = self.meet()
        client.sock.sendall(b"raw" + masked(Opcode.TEXT, b"cooked"))
        self.assertEqual(connection.receive_raw(3, TIMEOUT), b"raw")
        self.assertEqual(connection.receive(TIMEOUT), "cooked")

    def test_a_reset_ends_raw_receiving(self) -> None:
        """ConnectionClosed, as for messages."""
        connection, client = self.meet()
        reset(client.sock)
        self.assertEnds(lambda: connection.receive_raw(1))


class AnswerTests(ServerCase):
    """Answers to the request that are not the regular one."""

    def test_a_refusal(self) -> None:
        """Status, phrase, fields, length and body arrive; the handler does not run."""
        handler = mock.Mock()
        connections: List[ServerConnection] = []

        def opening(connection: ServerConnection) -> None:
            connections.append(connection)
            connection.respond(404, headers={"X": "y"}, body=b"nothing here")

        server = self.serve(handler, opening=opening)
        client = self.open(server)
        self.assertIsInstance(client.verdict, Refused)
        client.rest()
        self.assertIsNone(connections[0].end)  # it waits for the client to hang up
        response = client.response
        self.assertEqual((response.status_code, response.reason), (404, "Not Found"))
        self.assertEqual(response.headers.fields, (("X", "y"), ("Content-Length", "12")))
        client.sock.shutdown(socket.SHUT_WR)
        server.close()
        handler.assert_not_called()
        self.assertEqual(len(server.requests), 1)
        self.assertEqual(server.connections, [])

    def test_the_length_of_a_body(self) -> None:
        """Told where there may be a body and nobody has told it; never contradicted."""

        def opening(connection: ServerConnection) -> None:
            connection.respond(103)
            connection.respond(204, "Nothing")
            connection.respond(304)
            connection.respond(401)
            connection.respond(503, "", {"content-length": "5"}, b"12345")
            connection.respond(200, "OK", [("transfer-encoding", "chunked")], b"0\r\n\r\n")
            connection.hang_up()

        client = self.connect(self.serve(opening=opening))
        client.sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        client.sock.shutdown(socket.SHUT_WR)
        self.assertEqual(
            client.rest().split(b"\r\n\r\n"),
            [
                b"HTTP/1.1 103 Early Hints",
                b"HTTP/1.1 204 Nothing",
                b"HTTP/1.1 304 Not Modified",
                b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0",
                b"HTTP/1.1 503 \r\ncontent-length: 5",
                b"12345HTTP/1.1 200 OK\r\ntransfer-encoding: chunked",
                b"0",
                b"",
            ],
        )

    def test_anything_at_all(self) -> None:
        """Bytes that are no HTTP, read and written."""

        def opening(connection: ServerConnection) -> None:
            connection.send_raw(b"SSH-2.0-" + connection.receive_raw(5, TIMEOUT))

        client = self.connect(self.serve(opening=opening))
        client.sock.sendall(b"GET / HTTP/1.1\r\n\r\nhello")
        client.sock.shutdown(socket.SHUT_WR)
        self.assertEqual(client.rest(), b"SSH-2.0-hello")

    def test_an_informational_response_may_come_first(self) -> None:
        """1xx, then the regular answer."""

        def opening(connection: ServerConnection) -> None:
            connection.respond(103)
            connection.accept()

        client = self.open(self.serve(opening=opening))
        self.assertEqual(client.response.status_code, 103)


class ShapeTests(HandlerCase):
    """Pieces and cuts; what they do to the bytes is told by the tests of the wire and of the faults."""

    def test_pieces(self) -> None:
        """From the call on, of the size that was said, until `None`."""
        connection, client = self.meet()
        with noted_sends(self.server) as sent:
            connection.send_raw(b"before")
            connection.in_pieces()
            connection.send_raw(b"abc")
            connection.in_pieces(2, 0.001)
            connection.send("x")
            connection.in_pieces(None)
            connection.send_raw(b"whole")
        self.assertEqual(sent, [b"before", b"a", b"b", b"c", b"\x81\x01", b"x", b"whole"])
        self.assertEqual(client.exactly(17), b"".join(sent))

    def test_splits(self) -> None:
        """At the positions that were said."""
        connection, _client = self.meet()
        with noted_sends(self.server) as sent:
            connection.split_at(1, 5)
            connection.send_raw(b"abcdefgh")
        self.assertEqual(sent, [b"a", b"bcde", b"fgh"])

    def test_a_cut_ends_it_for_all(self) -> None:
        """Whoever sends gets the error of the end, so does whoever receives; the client gets so many bytes."""
        connection, client = self.meet()
        receiving = Running(lambda: self.assertEnds(connection.receive))
        connection.cut_after(3)
        end = self.assertEnds(lambda: connection.send_raw(b"abcdef"))
        self.assertEqual(client.rest(), b"abc")
        self.assertIs(receiving.result(), end)
        for call in (connection.ping, connection.receive, lambda: connection.send_raw(b"")):
            self.assertIs(self.assertEnds(call), end)
        connection.wait_until_closed(0)
        self.assertIs(connection.end, end)
        self.assertEqual(str(end), "this server cut the connection")

    def test_a_receiver_can_come_to_the_cut(self) -> None:
        """When it is the one to send the last byte."""
        connection, client = self.meet()
        connection.cut_after(3)
        connection._wire.queue(b"abcdef")
        self.assertEqual(str(self.assertEnds(connection.receive)), "this server cut the connection")
        self.assertEqual(client.rest(), b"abc")

    def test_a_cut_at_once(self) -> None:
        """No byte more, and no error from the call: it is a way to end a connection like the others."""
        connection, client = self.meet()
        connection.cut_after(0, reset=True)
        connection.wait_until_closed(0)
        self.assertEnds(connection.receive)
        with self.assertRaises(ConnectionResetError):
            client.rest()
        connection.cut_after(0)

    def test_the_end_counts_before_the_cut(self) -> None:
        """Who has ended the connection before has said why."""
        connection, _client = self.meet()
        connection.cut_after(1)
        connection.drop()
        self.assertIn("dropped", str(self.assertEnds(lambda: connection.send_raw(b"abc"))))

    def test_mistakes(self) -> None:
        """ValueError, and the connection goes on as before."""
        connection, client = self.meet()
        mistakes: List[Callable[[], None]] = [
            lambda: connection.in_pieces(0),
            lambda: connection.in_pieces(1, -1),
            lambda: connection.split_at(0),
            lambda: connection.cut_after(-1),
        ]
        for mistake in mistakes:
            with self.assertRaises(ValueError):
                mistake()
        connection.send("fine")
        self.assertEqual(client.receive(), "fine")


class EndTests(HandlerCase):
    """Ends without a handshake."""

    def test_abort_resets(self) -> None:
        """The client gets an error."""
        connection, client = self.meet()
        connection.abort()
        with self.assertRaises(ConnectionResetError):
            client.receive()
        self.assertIn("reset", str(self.assertEnds(connection.receive)))

    def test_drop_says_nothing(self) -> None:
        """The client gets the end of the stream and no Close; afterwards all methods raise the same end."""
        connection, client = self.meet()
        connection.drop()
        self.assertRaises(EOFError, client.receive)
        end = self.assertEnds(connection.receive)
        for call in (lambda: connection.send("x"), lambda: connection.send_raw(b"x"), connection.pong):
            self.assertIs(self.assertEnds(call), end)
        self.assertEnds(lambda: connection.receive_raw(1))
        connection.close()
        self.assertIs(connection.end, end)
        self.assertIn("/ ended", repr(connection))

    def test_drop_is_a_truncation_over_tls(self) -> None:
        """The wire is told to say no close_notify (how it does that is its own test)."""
        connection, _client = self.meet()
        with mock.patch.object(connection._wire, "end", wraps=connection._wire.end) as end:
            connection.drop()
        self.assertEqual(end.call_args_list[0], mock.call(Ending.FIN))

    def test_the_end_releases_a_waiting_receiver_and_sender(self) -> None:
        """Both get the one error that says what happened."""
        connection, _client = self.meet()
        caught: List[BaseException] = []

        def expect(call: Callable[[], object]) -> None:
            caught.append(self.assertEnds(call))

        threads = [
            threading.Thread(target=expect, args=(connection.receive,)),
            threading.Thread(target=expect, args=(lambda: connection.send(bytes(BIG)),)),
        ]
        for thread in threads:
            thread.start()
        with self.assertRaises(TimeoutError):
            connection.wait_until_closed(0.05)
        connection.abort()
        for thread in threads:
            thread.join(TIMEOUT)
        self.assertEqual(caught, [connection.end] * 2)

    def test_going_away_says_so(self) -> None:
        """1001, then the end, and no waiting for an answer."""
        connection, client = self.meet()
        connection.go_away()
        connection.wait_until_closed(0)
        self.assertEqual(client.receive(), Close(1001, None))
        self.assertRaises(EOFError, client.receive)


if __name__ == "__main__":
    unittest.main()

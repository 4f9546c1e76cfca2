"""Tests of `wssync.testing.connection`, through a running server."""

from __future__ import annotations

import socket
import struct
import threading
import unittest
from typing import Any, Callable, List, Tuple, Union
from unittest import mock

from wssync.errors import ConnectionClosed, MessageTooBig, ProtocolError
from wssync.protocol.closing import encode_close
from wssync.protocol.deflate import DeflateOptions
from wssync.protocol.encoder import Encoder
from wssync.protocol.frames import Opcode, Role
from wssync.protocol.handshake import Accepted, Refused
from wssync.protocol.messages import Close, Ping, Pong
from wssync.testing import ServerConnection, echo
from wssync.testing.wire import Ending

from .client import TIMEOUT, Client, ServerCase, needs_trustme, reset

BIG = 64 * 1024 * 1024
"""More than the kernel keeps for both sides of a connection on loopback, however generous it is."""


def masked(opcode: Opcode, payload: bytes) -> bytes:
    """A frame of a client, without an object that remembers anything."""
    encoder = Encoder(Role.CLIENT)
    return encoder.control(opcode, payload) if opcode >= Opcode.CLOSE else b"".join(encoder.pieces(opcode, payload))


class HandlerCase(ServerCase):
    """What a handler sees: the test is the handler, with a connection whose own handler only waits for the end."""

    def meet(self, **arguments: Any) -> Tuple[ServerConnection, Client]:
        opening = arguments.pop("client", {})
        server = self.serve(lambda connection: connection.wait_until_closed(None), **arguments)
        client = self.open(server, **opening)
        return server.wait_for_connection(TIMEOUT), client

    def assertEnds(self, call: Callable[[], object], code: int = 1006, **details: object) -> ConnectionClosed:
        with self.assertRaises(ConnectionClosed) as caught:
            call()
        self.assertEqual(caught.exception.code, code)
        for name, value in details.items():
            self.assertEqual(getattr(caught.exception, name), value, name)
        return caught.exception


class MessageTests(HandlerCase):
    """Messages in both directions."""

    def test_text_and_binary_arrive(self) -> None:
        """Text is a `str`, binary is `bytes`, in the order of sending."""
        connection, client = self.meet()
        client.send("grüße")
        client.send(b"\x00\xff")
        self.assertEqual(connection.receive(TIMEOUT), "grüße")
        self.assertEqual(connection.receive(), b"\x00\xff")

    def test_text_and_all_kinds_of_buffers_are_sent(self) -> None:
        """A `str` becomes a text message, everything else a binary one."""
        connection, client = self.meet()
        for message in ("hé", b"bytes", bytearray(b"array"), memoryview(b"view")):
            connection.send(message)
            self.assertEqual(client.receive(), message)

    def test_what_is_no_message_is_refused(self) -> None:
        """TypeError, and the connection goes on."""
        connection, client = self.meet()
        for wrong in (5, None, ["x"]):
            with self.assertRaises(TypeError):
                connection.send(wrong)  # type: ignore[arg-type]  # the mistake under test
        connection.send("right")
        self.assertEqual(client.receive(), "right")

    def test_nothing_to_receive_is_a_timeout(self) -> None:
        """TimeoutError consumes nothing, also when half a frame has come."""
        connection, client = self.meet()
        frame = masked(Opcode.TEXT, b"whole")
        client.sock.sendall(frame[:4])
        for timeout in (0, 0.02):
            with self.assertRaises(TimeoutError):
                connection.receive(timeout)
        client.sock.sendall(frame[4:])
        self.assertEqual(connection.receive(TIMEOUT), "whole")

    def test_one_thread_receives_at_a_time(self) -> None:
        """A second receiver waits for its turn, no longer than its timeout."""
        connection, client = self.meet()
        with connection._reading, self.assertRaisesRegex(TimeoutError, "another thread"):
            connection.receive(0.01)
        client.send("then")
        self.assertEqual(connection.receive(TIMEOUT), "then")

    def test_fragments_are_frames(self) -> None:
        """One message in as many frames as there are parts; the bytes on the wire are what RFC 6455 5.4 shows."""
        connection, client = self.meet(compression=None)
        connection.send_fragments(["Hel", "", "lo"])
        self.assertEqual(client.exactly(11), b"\x01\x03Hel\x00\x00\x80\x02lo")
        connection.send_fragments([b"one"])
        self.assertEqual(client.exactly(5), b"\x82\x03one")

    def test_fragments_of_text_may_break_a_character(self) -> None:
        """Bytes are text if it is said."""
        connection, client = self.meet()
        connection.send_fragments([b"\xe2\x82", b"\xac"], text=True)
        connection.send_fragments([b"\xe2\x82", b"\xac"])
        self.assertEqual(client.receive(), "€")
        self.assertEqual(client.receive(), b"\xe2\x82\xac")
        with self.assertRaises(ValueError):
            connection.send_fragments([])

    def test_compression_is_used_when_agreed(self) -> None:
        """Long messages shrink on the wire and arrive whole, in both directions, with context takeover."""
        connection, client = self.meet(client={"deflate": DeflateOptions()})
        for _ in range(3):
            client.send("compress me " * 1000)
            connection.send(connection.receive(TIMEOUT))
            data = client.sock.recv(65536)
            self.assertEqual(data[0], 0xC1)
            self.assertLess(len(data), 500)
            self.assertEqual(client.decoder.feed(data), ["compress me " * 1000])

    def test_without_compression_none_is_agreed(self) -> None:
        """`compression=None` ignores the offer."""
        connection, client = self.meet(compression=None, client={"deflate": DeflateOptions()})
        self.assertEqual(client.verdict, Accepted(protocol=None, deflate=None, extensions=()))
        connection.send("x" * 1000)
        self.assertEqual(client.exactly(2), b"\x81\x7e")

    def test_a_message_behind_the_request_is_not_lost(self) -> None:
        """Frames that came with the request's bytes are the first messages."""
        connection, _client = self.meet(client={"behind": masked(Opcode.TEXT, b"early")})
        self.assertEqual(connection.receive(TIMEOUT), "early")

    def test_too_big_a_message_ends_it(self) -> None:
        """Rule 128: over the limit the client gets 1009, the handler MessageTooBig; exactly the limit passes."""
        connection, client = self.meet(maximum_message_size=10)
        client.send(b"0123456789")
        self.assertEqual(connection.receive(TIMEOUT), b"0123456789")
        client.send(b"0123456789+")
        client.sock.shutdown(socket.SHUT_WR)
        error = self.assertEnds(connection.receive, 1009, sent_close=(1009, None), received_close=None)
        self.assertIsInstance(error, MessageTooBig)
        self.assertEqual(client.receive(), Close(1009, None))
        self.assertIs(connection.end, error)


class ControlTests(HandlerCase):
    """Pings and pongs."""

    def test_pings_are_answered_while_receiving(self) -> None:
        """Rule 131 from the other side: each ping gets a pong with its payload, and is recorded before."""
        connection, client = self.meet()
        client.sock.sendall(masked(Opcode.PING, b"one") + masked(Opcode.PING, b"") + masked(Opcode.TEXT, b"message"))
        self.assertEqual(connection.receive(TIMEOUT), "message")
        self.assertEqual(client.receive(), Pong(b"one"))
        self.assertEqual(client.receive(), Pong(b""))
        self.assertEqual(connection.pings, [b"one", b""])

    def test_pings_wait_while_nobody_receives(self) -> None:
        """Nothing happens behind the handler's back."""
        connection, client = self.meet()
        client.control(Opcode.PING, b"?")
        connection.send("first")
        self.assertEqual(client.receive(), "first")
        self.assertEqual(connection.pings, [])
        with self.assertRaises(TimeoutError):
            connection.receive(0.05)
        self.assertEqual(client.receive(), Pong(b"?"))

    def test_pings_and_pongs_are_sent(self) -> None:
        """With their payload, empty by default; over 125 bytes is a ValueError."""
        connection, client = self.meet()
        connection.ping()
        connection.ping(b"payload")
        connection.pong()
        connection.pong(b"unasked")
        for event in (Ping(b""), Ping(b"payload"), Pong(b""), Pong(b"unasked")):
            self.assertEqual(client.receive(), event)
        with self.assertRaises(ValueError):
            connection.ping(bytes(126))

    def test_pongs_are_recorded(self) -> None:
        """In order, as lists that are the caller's own."""
        connection, client = self.meet()
        client.control(Opcode.PONG, b"a")
        client.control(Opcode.PONG, b"b")
        client.send("end")
        connection.receive(TIMEOUT)
        connection.pongs.append(b"mine")
        self.assertEqual(connection.pongs, [b"a", b"b"])
        self.assertEqual(connection.pings, [])

    def test_a_pong_is_no_blocking_write(self) -> None:
        """A client that pings and reads nothing does not stop the handler from receiving."""
        connection, client = self.meet(compression=None)
        connection._wire.queue(bytes(BIG))  # fills the kernel; nobody reads it
        client.control(Opcode.PING, b"x")
        client.send("still heard")
        self.assertEqual(connection.receive(TIMEOUT), "still heard")


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

    def test_nothing_follows_a_close(self) -> None:
        """After the Close frame sending raises, while the client may still send."""
        connection, client = self.meet()
        connection._say_close(1000, None, encode_close(1000, None))
        for call in (lambda: connection.send("x"), connection.ping, lambda: connection.send_fragments(["x"])):
            error = self.assertEnds(call)
            self.assertTrue(connection.is_end(error))
        client.send("still")
        self.assertEqual(connection.receive(TIMEOUT), "still")

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
        end.assert_called_once_with(Ending.FIN)

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

    def test_before_accepting_there_are_no_messages(self) -> None:
        """Sending and receiving raise RuntimeError."""

        def opening(connection: ServerConnection) -> None:
            for call in (connection.receive, connection.ping, lambda: connection.send("x")):
                with self.assertRaises(RuntimeError):
                    call()
            connection.accept()

        server = self.serve(opening=opening)
        self.open(server)
        self.assertEqual(server.errors, [])

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

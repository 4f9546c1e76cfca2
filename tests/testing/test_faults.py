"""Tests of `wssync.testing.faults`: what a raw client gets, byte by byte, and what a user of wssync sees."""

from __future__ import annotations

import contextlib
import math
import random
import socket
import time
import unittest
from typing import Any, Callable, List, Type
from unittest import mock

import wssync
from wssync.errors import ConnectionClosed, HandshakeError
from wssync.protocol.deflate import DeflateOptions
from wssync.protocol.frames import Opcode
from wssync.protocol.handshake import Refused
from wssync.protocol.http1 import HeadReader
from wssync.protocol.messages import Close, Fault, Pong
from wssync.testing import Handler, Server, ServerConnection, echo
from wssync.testing.faults import (
    byte_by_byte,
    cut_after,
    delay_pongs,
    drop,
    garbage,
    half_a_head,
    hold_pongs,
    ignore_close,
    in_pieces,
    raw,
    reset,
    silent,
    split_at,
    stop_reading,
    wrong_accept_key,
)
from wssync.testing.handlers import expect, in_turn, script

from ..support import cases, with_cases
from ..threads import Running
from .client import TIMEOUT, Client, ServerCase, needs_trustme
from .client import reset as reset_client
from .meeting import BIG, masked, noted_sends

UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
"""The request of RFC 6455 section 1.3, whose answer is always the same."""

ANSWER = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)


class FaultCase(ServerCase):
    """Servers with faults, raw clients, and wssync as a client."""

    def ask(self, server: Server) -> Client:
        """A client that has sent the request of the RFC."""
        client = self.connect(server)
        client.sock.sendall(UPGRADE)
        return client

    def assertReset(self, client: Client) -> None:
        with self.assertRaises(ConnectionResetError):
            client.sock.recv(1)

    def assertDone(self, server: Server, *errors: type) -> None:
        """Closing the server takes no time, nobody is left, and only these kinds of errors were noticed."""
        started = time.monotonic()
        with mock.patch("wssync.testing.server.logger.warning") as warning:
            server.close()
        warning.assert_not_called()
        self.assertLess(time.monotonic() - started, 2.5, "the server waits for something")
        self.assertEqual([type(error) for error in server.errors], list(errors))
        self.assertEqual([thread.name for thread in server._threads if thread.is_alive()], [])

    def user(self, server: Server, **options: Any) -> wssync.WebSocketTask:
        """wssync as a client, open."""
        context = server.client_ssl_context
        if context is not None:
            options["ssl_context"] = context
        configuration = wssync.SessionConfiguration.ephemeral().replace(**{"close_timeout": TIMEOUT, **options})
        task = wssync.connect(server.url, configuration=configuration, timeout=TIMEOUT)
        self.addCleanup(task._join)
        self.addCleanup(task.cancel)
        return task

    def assertFails(self, server: Server, kind: Type[BaseException] = HandshakeError) -> Any:
        """A user of wssync cannot connect; returns the error."""
        with self.assertRaises(kind) as caught:
            wssync.connect(server.url, timeout=TIMEOUT)
        return caught.exception

    def assertCloses(self, task: wssync.WebSocketTask, code: int = 1006) -> ConnectionClosed:
        """A user of wssync gets no further message but the end."""
        with self.assertRaises(ConnectionClosed) as caught:
            task.receive(timeout=TIMEOUT)
        self.assertEqual(caught.exception.code, code)
        return caught.exception


class SilenceTests(FaultCase):
    """Servers that say nothing."""

    def test_a_silent_opening_answers_nothing(self) -> None:
        """It reads whatever comes, and drops the connection when the client is gone."""
        server = self.serve(opening=silent)
        client = self.ask(server)
        client.sock.sendall(bytes(8 * 1024 * 1024))
        client.sock.setblocking(False)
        self.assertRaises(BlockingIOError, client.sock.recv, 1)
        client.sock.settimeout(TIMEOUT)
        client.sock.shutdown(socket.SHUT_WR)
        self.assertEqual(client.rest(), b"")
        self.assertEqual(server.connections, [])
        self.assertDone(server)

    def test_a_silent_handler_answers_nothing(self) -> None:
        """No ping, no message, no Close: not even at its end."""
        server = self.serve(script(["one word", silent, "never"]))
        client = self.open(server)
        self.assertEqual(client.receive(), "one word")
        client.control(Opcode.PING, b"?")
        client.send("message")
        client.close()
        client.sock.shutdown(socket.SHUT_WR)
        self.assertEqual(client.rest(), b"")
        server.connections[0].wait_until_closed(TIMEOUT)
        self.assertEqual((server.connections[0].pings, server.connections[0].close_code), ([], None))
        self.assertDone(server)

    def test_a_silent_server_can_be_closed(self) -> None:
        """And a client that resets is gone as well."""
        server = self.serve(silent)
        reset_client(self.open(server).sock)
        server.connections[0].wait_until_closed(TIMEOUT)
        self.open(server)
        self.assertDone(server)

    def test_a_user_meets_silence(self) -> None:
        """Opening, it is TimedOut; open, it is no message, and a Close without an answer."""
        server = self.serve(opening=in_turn(silent, ServerConnection.accept), handler=silent)
        with self.assertRaises(wssync.TimedOut):
            wssync.connect(server.url, timeout=0.1)
        task = self.user(server)
        with self.assertRaises(TimeoutError):
            task.receive(timeout=0.01)
        task.cancel()
        self.assertDone(server)

    def test_who_stops_reading_fills_the_kernel(self) -> None:
        """A client can send only so much; nothing comes back, and the server can be closed."""
        for options in ({"handler": stop_reading}, {"opening": stop_reading}):
            with self.subTest(options=list(options)):
                server = self.serve(**options)
                client = self.ask(server)
                if "handler" in options:
                    self.assertEqual(client.exactly(len(ANSWER)), ANSWER)
                client.sock.setblocking(False)
                with self.assertRaises(BlockingIOError):
                    for _ in range(BIG // 65536):
                        client.sock.send(bytes(65536))
                self.assertRaises(BlockingIOError, client.sock.recv, 1)
                self.assertDone(server)

    def test_stopping_to_read_is_a_step(self) -> None:
        """What was said before arrives, what stands behind it is never said."""
        server = self.serve(script(["one word", stop_reading, "never"]))
        client = self.open(server)
        self.assertEqual(client.receive(), "one word")
        server.connections[0].drop()
        self.assertRaises(EOFError, client.receive)
        self.assertDone(server)

    def test_a_user_cannot_send_to_one_who_stops_reading(self) -> None:
        """The send times out."""
        server = self.serve(stop_reading, compression=None)
        task = self.user(server)
        with self.assertRaises(TimeoutError):
            task.send(bytes(BIG), timeout=0.1)
        task.cancel()
        self.assertDone(server)


class PieceTests(FaultCase):
    """Bytes that come divided."""

    def test_an_opening_byte_by_byte(self) -> None:
        """The regular 101, one system call for each byte; then the frames and the Close too."""
        server = self.serve(script(["ho"]), opening=byte_by_byte)
        with noted_sends(server) as sent:
            client = self.ask(server)
            self.assertEqual(client.exactly(len(ANSWER) + 8), ANSWER + b"\x81\x02ho\x88\x02\x03\xe8")
            self.assertDone(server)
        self.assertEqual(sent, [bytes([byte]) for byte in ANSWER + b"\x81\x02ho\x88\x02\x03\xe8"])

    def test_a_refusal_byte_by_byte(self) -> None:
        """Whatever answers, it is divided."""
        server = self.serve(opening=[in_pieces(10), lambda connection: connection.respond(404)])
        with noted_sends(server) as sent:
            client = self.ask(server)
            self.assertEqual(client.exactly(45), b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            self.assertDone(server)
        self.assertEqual([len(piece) for piece in sent], [10, 10, 10, 10, 5])

    def test_frames_in_pieces(self) -> None:
        """From the step on: messages, pongs, what another thread sends, and no more after `None`."""

        def aside(connection: ServerConnection) -> None:
            Running(lambda: connection.send("aside")).result()

        server = self.serve(script([in_pieces(3), expect("?"), aside, in_pieces(None), "whole", expect("!")]))
        client = self.open(server)
        with noted_sends(server) as sent:
            client.control(Opcode.PING, b"abcd")
            client.send("?")
            self.assertEqual([client.receive() for _ in range(3)], [Pong(b"abcd"), "aside", "whole"])
            client.send("!")
            self.assertEqual(client.receive(), Close(1000, None))
        self.assertEqual(sent[:6], [b"\x8a\x04a", b"bcd", b"\x81\x05a", b"sid", b"e", b"\x81\x05whole"])

    def test_pieces_with_pauses(self) -> None:
        """They take their time, which the client can measure, and the server's end does not wait for it."""
        server = self.serve(script([in_pieces(2, 0.03), "abcd", in_pieces(1, 1000.0), "never whole"]))
        started = time.monotonic()
        client = self.ask(server)
        self.assertEqual(client.exactly(len(ANSWER) + 6), ANSWER + b"\x81\x04abcd")
        self.assertGreaterEqual(time.monotonic() - started, 0.06)
        self.assertEqual(client.exactly(1), b"\x81")
        self.assertDone(server)
        self.assertEqual(client.rest(), b"")

    def test_splits(self) -> None:
        """At these positions and nowhere else."""
        server = self.serve(script([split_at(1, 4), "hello", "again", split_at(2), "third"]), opening=split_at(20))
        with noted_sends(server) as sent:
            client = self.ask(server)
            client.exactly(len(ANSWER) + 22)
            self.assertDone(server)
        frames = [b"\x81", b"\x05he", b"llo", b"\x81\x05again", b"\x81\x05", b"third"]
        self.assertEqual(sent[:8], [ANSWER[:20], ANSWER[20:], *frames])

    def test_a_frame_split_at_each_byte(self) -> None:
        """Every split of a frame with a long header comes through as the same message."""
        message = "x" * 200
        for position in range(1, 204):
            server = Server(script([split_at(position), message]), compression=None)
            with server, noted_sends(server) as sent:
                client = Client(server).upgrade()
                with contextlib.closing(client.sock):
                    self.assertEqual(client.receive(), message)
                server.close()
            self.assertEqual([len(piece) for piece in sent[1:3]], [position, 204 - position])

    @needs_trustme
    def test_a_user_gets_pieces_whole(self) -> None:
        """Over both schemes the handshake and the messages are what they are without the fault."""
        for tls in (False, True):
            with self.subTest(tls=tls):
                server = self.serve(script(["héllo" * 20, b"\x00" * 300]), opening=byte_by_byte, tls=tls)
                task = self.user(server)
                self.assertEqual(task.receive(timeout=TIMEOUT), "héllo" * 20)
                self.assertEqual(task.receive(timeout=TIMEOUT), b"\x00" * 300)
                self.assertCloses(task, 1000)
                self.assertDone(server)

    def test_an_opening_that_is_too_slow_for_its_user(self) -> None:
        """Bytes that trickle in do not keep a user waiting longer than was said."""
        server = self.serve(opening=in_pieces(1, 0.01))
        with self.assertRaises(wssync.TimedOut):
            wssync.connect(server.url, timeout=0.1)
        self.assertDone(server)


class CutTests(FaultCase):
    """Connections that end in the midst of something."""

    def test_in_the_midst_of_the_answer(self) -> None:
        """As many bytes as were said, then FIN; no handler is called, and it is no error."""
        handler = mock.Mock()
        for opening in (cut_after(60), [cut_after(60)], [cut_after(60), ServerConnection.accept]):
            server = self.serve(handler, opening=opening)
            self.assertEqual(self.ask(server).rest(), ANSWER[:60])
            self.assertDone(server)
        handler.assert_not_called()

    def test_at_both_ends_of_the_answer(self) -> None:
        """No byte of it, and all of it: then too there is no handler."""
        handler = mock.Mock()
        for count in (0, len(ANSWER)):
            server = self.serve(handler, opening=cut_after(count))
            self.assertEqual(self.ask(server).rest(), ANSWER[:count])
            self.assertDone(server)
        handler.assert_not_called()

    def test_in_the_midst_of_a_frame(self) -> None:
        """The steps behind it are not taken; what was said before arrives."""
        later = mock.Mock()
        server = self.serve(script([expect("hi"), "ho", cut_after(3), "never whole", later]))
        client = self.ask(server)
        client.sock.sendall(masked(Opcode.TEXT, b"hi"))
        self.assertEqual(client.rest(), ANSWER + b"\x81\x02ho\x81\x0bn")
        later.assert_not_called()
        end = server.connections[0].end
        assert end is not None
        self.assertEqual((end.code, str(end)), (1006, "this server cut the connection"))
        self.assertDone(server)

    def test_between_two_frames(self) -> None:
        """Exactly behind the last byte of one."""
        server = self.serve(script([cut_after(8), "ab", "cd", "ef"]))
        self.assertEqual(self.ask(server).rest(), ANSWER + b"\x81\x02ab\x81\x02cd")
        self.assertDone(server)

    def test_in_the_midst_of_a_pong_or_a_close(self) -> None:
        """What nobody says expressly is cut as well, and the handler that waits for a message is released."""
        for event, whole in ((Opcode.PING, b"\x8a\x02\x03\xe8"), (Opcode.CLOSE, b"\x88\x02\x03\xe8")):
            for count in range(1, len(whole) + 1):
                server = self.serve(script([cut_after(count), ServerConnection.receive]))
                client = self.open(server)
                client.control(event, b"\x03\xe8")
                self.assertEqual(client.rest(), whole[:count])
                self.assertDone(server)
        server = self.serve(cut_after(3))
        self.assertEqual(self.ask(server).rest(), ANSWER + b"\x88\x02\x03")
        self.assertDone(server)

    def test_with_a_reset(self) -> None:
        """RST instead of FIN, wherever it is: in a frame, in the answer, at once, in a Close."""
        for handler, opening, event in (
            (script([cut_after(3, reset=True), "never whole"]), (), None),
            (echo, cut_after(60, reset=True), None),
            (script([cut_after(0, reset=True), expect("x")]), (), None),
            (script([cut_after(1, reset=True), expect("x")]), (), Opcode.CLOSE),
        ):
            client = self.ask(self.serve(handler, opening=opening))
            with self.assertRaises(ConnectionResetError):
                if event is not None:
                    client.exactly(len(ANSWER))
                    client.sock.sendall(b"\x88\x80\x00\x00\x00\x00")
                client.rest()

    def test_with_pieces(self) -> None:
        """They go on to the cut."""
        server = self.serve(opening=[in_pieces(25), cut_after(60)])
        with noted_sends(server) as sent:
            self.assertEqual(self.ask(server).rest(), ANSWER[:60])
            self.assertDone(server)
        self.assertEqual([len(piece) for piece in sent], [25, 25, 10])

    @needs_trustme
    def test_a_user_loses_a_connection_that_is_cut(self) -> None:
        """HandshakeError in the answer; ConnectionClosed 1006 in a frame, after the whole messages before it."""
        for tls in (False, True):
            for how in ({"reset": False}, {"reset": True}):
                with self.subTest(tls=tls, **how):
                    server = self.serve(script(["whole", expect("got it"), cut_after(5, **how), "cut short"]), tls=tls)
                    task = self.user(server)
                    self.assertEqual(task.receive(timeout=TIMEOUT), "whole")
                    task.send("got it")
                    self.assertCloses(task)
                    self.assertDone(server)
        server = self.serve(opening=cut_after(60))
        self.assertFails(server)
        self.assertDone(server)


class AnswerTests(FaultCase):
    """Answers that are none."""

    def test_half_a_head(self) -> None:
        """Half of the regular answer's bytes, and the end."""
        server = self.serve(opening=half_a_head)
        self.assertEqual(self.ask(server).rest(), ANSWER[: len(ANSWER) // 2])
        self.assertFails(server)
        self.assertEqual(server.connections, [])
        self.assertDone(server)

    def test_the_regular_answer_is_that_of_this_server(self) -> None:
        """With its subprotocol, and what openings have added to it; a refusal is half as well."""
        server = self.serve(
            opening=[lambda connection: connection.add_headers({"X-Added": "y" * 400}), half_a_head], protocols=["chat"]
        )
        client = self.connect(server)
        client.sock.sendall(UPGRADE[:-2] + b"Sec-WebSocket-Protocol: chat\r\n\r\n")
        self.assertIn(b"Sec-WebSocket-Protocol: chat\r\nX-Added: yyy", client.rest())
        client = self.connect(server)
        client.sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertRegex(client.rest(), b"^HTTP/1.1 426 Upgrade Required\r\n")

    def test_a_wrong_accept_key(self) -> None:
        """A regular answer in all but that field, which looks like one; the connection is not open."""
        handler = mock.Mock()
        server = self.serve(handler, opening=wrong_accept_key)
        client = self.ask(server)
        client.sock.shutdown(socket.SHUT_WR)
        wrong = ANSWER.replace(b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", b"AAAAAAAAAAAAAAAAAAAAAAAAAAA=")
        self.assertEqual(client.rest(), wrong)
        client = self.open(server)
        assert isinstance(client.verdict, Refused)
        self.assertIn("Sec-WebSocket-Accept", client.verdict.reason)
        client.sock.close()
        self.assertIn("Sec-WebSocket-Accept", str(self.assertFails(server)))
        self.assertDone(server)
        self.assertEqual(server.connections, [])
        handler.assert_not_called()

    def test_garbage_instead_of_an_answer(self) -> None:
        """That many bytes, no line among them, the same every time; a user's handshake fails."""
        server = self.serve(opening=garbage(1000, seed=7))
        received = []
        for _ in range(2):
            client = self.ask(server)
            client.sock.shutdown(socket.SHUT_WR)
            received.append(client.rest())
        self.assertEqual(received[0], received[1])
        self.assertEqual(len(received[0]), 1000)
        self.assertIsNone(HeadReader().feed(received[0]))
        self.assertNotIn(b"\n", received[0])
        self.assertEqual(received[0][0], 0xFF)  # reserved bits, and an opcode that does not exist
        self.assertGreater(len(set(received[0])), 200)
        self.assertFails(server)
        self.assertDone(server)

    def test_garbage_instead_of_frames(self) -> None:
        """It is a fault for any decoder, whatever was agreed on; a user tells the server so with 1002."""
        for seed in range(50):
            client = self.open(self.serve(script([garbage(seed=seed)])), deflate=DeflateOptions())
            self.assertIsInstance(client.receive(), Fault)
        server = self.serve(script([garbage(2), ServerConnection.receive]))
        self.assertCloses(self.user(server), 1002)
        server.connections[0].wait_until_closed(TIMEOUT)
        self.assertEqual(server.connections[0].close_code, 1002)
        self.assertDone(server)

    def test_garbage_of_different_seeds_differs(self) -> None:
        """And a seed does not depend on anybody else's random numbers."""

        def bytes_of(seed: int) -> bytes:
            connection = mock.Mock()
            random.random()
            garbage(32, seed)(connection)
            return bytes(connection.send_raw.call_args[0][0])

        self.assertEqual(len({bytes_of(seed) for seed in range(20)}), 20)
        self.assertEqual(bytes_of(3), bytes_of(3))

    def test_any_bytes(self) -> None:
        """As an answer they are the whole of it, among frames they are just there."""
        server = self.serve(opening=raw(bytearray(b"SSH-2.0-x\r\n")))
        client = self.ask(server)
        client.sock.shutdown(socket.SHUT_WR)
        self.assertEqual(client.rest(), b"SSH-2.0-x\r\n")
        self.assertFails(server)
        self.assertDone(server)
        server = self.serve(script(["a", raw(b"\x01\x01b"), raw(b"\x80\x01c"), ServerConnection.receive]))
        task = self.user(server)
        self.assertEqual([task.receive(timeout=TIMEOUT) for _ in range(2)], ["a", "bc"])
        task.cancel(wssync.CloseCode.NORMAL_CLOSURE)
        self.assertDone(server)

    def test_raw_bytes_are_those_of_the_call(self) -> None:
        """What happens to the buffer afterwards does not matter."""
        data = bytearray(b"\x81\x01a")
        handler = script([raw(data)])
        data[2:] = b"b"
        self.assertEqual(self.open(self.serve(handler)).receive(), "a")


class EndTests(FaultCase):
    """Connections that end without a word."""

    def test_drop(self) -> None:
        """FIN, as an opening, a handler and a step."""
        for handler, opening, expected in (
            (echo, drop, b""),
            (drop, (), ANSWER),
            (script(["ho", drop, "never"]), (), ANSWER + b"\x81\x02ho"),
        ):
            server = self.serve(handler, opening=opening)
            self.assertEqual(self.ask(server).rest(), expected)
            self.assertDone(server)

    def test_reset(self) -> None:
        """RST, as an opening, a handler and a step."""
        for handler, opening in ((echo, reset), (reset, ()), (script(["ho", reset, "never"]), ())):
            server = self.serve(handler, opening=opening)
            with self.assertRaises(ConnectionResetError):
                self.ask(server).rest()
            self.assertDone(server)

    def test_a_user_loses_the_connection(self) -> None:
        """HandshakeError or ConnectionFailed while it opens, ConnectionClosed 1006 once it is open."""
        for fault in (drop, reset):
            server = self.serve(script(["first", expect("got it"), fault]))
            task = self.user(server)
            self.assertEqual(task.receive(timeout=TIMEOUT), "first")
            task.send("got it")
            error = self.assertCloses(task)
            self.assertFalse(error.clean)
            self.assertDone(server)
            server = self.serve(opening=fault)
            self.assertFails(server, wssync.WebSocketError)
            self.assertDone(server)


class PongTests(FaultCase):
    """Answers to pings that come late or not at all."""

    def test_delayed_pongs_come_in_order_when_they_are_due(self) -> None:
        """Not before, and the handler that waits for a message sends them."""
        server = self.serve(opening=delay_pongs(0.05))
        client = self.open(server)
        started = time.monotonic()
        for payload in (b"one", b"two"):
            client.control(Opcode.PING, payload)
        self.assertEqual([client.receive() for _ in range(2)], [Pong(b"one"), Pong(b"two")])
        self.assertGreaterEqual(time.monotonic() - started, 0.05)

    def test_held_pongs_come_when_they_are_released(self) -> None:
        """All of them at once and in order, sent by whoever releases them; later ones are not held any more."""
        server = self.serve(opening=hold_pongs)
        client = self.open(server)
        connection = server.wait_for_connection()
        for payload in (b"one", b"two"):
            client.control(Opcode.PING, payload)
        self.assertEqual(connection.wait_for_ping(2), b"two")
        client.send("still")
        self.assertEqual(client.receive(), "still")
        connection.release_pongs()
        self.assertEqual([client.receive() for _ in range(2)], [Pong(b"one"), Pong(b"two")])
        client.control(Opcode.PING, b"three")
        self.assertEqual(client.receive(), Pong(b"three"))
        client.close()
        self.assertEqual(client.receive(), Close(1000, None))
        connection.wait_until_closed(TIMEOUT)
        connection.release_pongs()
        self.assertDone(server)

    def test_held_pongs_do_not_follow_a_close(self) -> None:
        """They are forgotten then."""
        server = self.serve(script([hold_pongs, expect("x")]))
        client = self.open(server)
        client.control(Opcode.PING, b"one")
        client.send("x")
        self.assertEqual(client.receive(), Close(1000, None))
        server.connections[0].release_pongs()
        client.close()
        self.assertEqual(client.rest(), b"")
        self.assertDone(server)

    def test_a_server_with_held_pongs_can_be_closed(self) -> None:
        """At once."""
        for fault in (hold_pongs, delay_pongs(1000.0), delay_pongs(math.inf)):
            server = self.serve(opening=fault)
            client = self.open(server)
            client.control(Opcode.PING, b"one")
            server.wait_for_connection().wait_for_ping()
            self.assertDone(server)
            self.assertEqual(client.receive(), Close(1001, None))

    def test_a_user_waits_for_a_pong(self) -> None:
        """And has it when it is released."""
        server = self.serve(opening=hold_pongs)
        task = self.user(server)
        pongs: List[object] = []
        pinging = Running(lambda: pongs.append(task.send_ping(timeout=TIMEOUT)))
        connection = server.wait_for_connection()
        connection.wait_for_ping()
        self.assertEqual(pongs, [])
        connection.release_pongs()
        pinging.result()
        self.assertEqual(len(pongs), 1)
        task.cancel(wssync.CloseCode.NORMAL_CLOSURE)
        self.assertDone(server)


class CloseTests(FaultCase):
    """Servers that do not answer a Close."""

    def test_a_close_without_an_answer(self) -> None:
        """It is recorded, the handler's connection is over, but TCP stays until the client hangs up."""
        seen: List[BaseException] = []

        def handler(connection: ServerConnection) -> None:
            try:
                connection.receive()
            except ConnectionClosed as error:
                seen.append(error)
                raise

        server = self.serve(handler, opening=ignore_close)
        client = self.open(server)
        client.close(4321, "bye")
        connection = server.wait_for_connection()
        client.sock.settimeout(0.05)
        self.assertRaises(socket.timeout, client.sock.recv, 1)
        client.sock.settimeout(TIMEOUT)
        client.sock.sendall(bytes(1_000_000))
        with self.assertRaises(TimeoutError):
            connection.wait_until_closed(0)
        self.assertEqual((connection.close_code, connection.close_reason), (4321, "bye"))
        client.sock.shutdown(socket.SHUT_WR)
        self.assertEqual(client.rest(), b"")
        connection.wait_until_closed(TIMEOUT)
        self.assertEqual(seen, [connection.end])
        self.assertEqual((connection.end.code, connection.end.clean, connection.end.sent_close), (4321, True, None))  # type: ignore[union-attr]
        self.assertDone(server)

    def test_the_end_of_the_handler_is_silent_too(self) -> None:
        """No Close, but messages and pings that come are still read, until the client is gone."""
        server = self.serve(ignore_close)
        client = self.open(server)
        client.control(Opcode.PING, b"?")
        self.assertEqual(client.receive(), Pong(b"?"))
        client.close(4000)
        client.sock.shutdown(socket.SHUT_WR)
        self.assertEqual(client.rest(), b"")
        server.connections[0].wait_until_closed(TIMEOUT)
        self.assertEqual(server.connections[0].close_code, 4000)
        self.assertDone(server)

    def test_such_a_server_can_be_closed(self) -> None:
        """Before the client's Close and after it; even then it says nothing."""
        for code in (None, 1000):
            server = self.serve(opening=ignore_close)
            client = self.open(server)
            if code is not None:
                client.close(code)
            self.assertDone(server)
            self.assertEqual(client.rest(), b"")

    def test_a_user_gives_up_after_the_close_timeout(self) -> None:
        """The end is not clean."""
        server = self.serve(opening=ignore_close)
        task = self.user(server, close_timeout=0.05)
        task.cancel(wssync.CloseCode.GOING_AWAY)
        task.wait_until_closed(TIMEOUT)
        connection = server.wait_for_connection()
        connection.wait_until_closed(TIMEOUT)
        self.assertEqual(connection.close_code, 1001)
        self.assertEqual(task.close_code, 1006)
        self.assertDone(server)


@with_cases
class MistakeTests(unittest.TestCase):
    """What no fault can be made of."""

    @cases(
        no_size=lambda: in_pieces(0),
        a_negative_pause=lambda: in_pieces(1, -1.0),
        a_split_at_the_beginning=lambda: split_at(0),
        a_negative_count=lambda: cut_after(-1),
        no_garbage=lambda: garbage(0),
        a_negative_delay=lambda: delay_pongs(-0.1),
        no_delay=lambda: delay_pongs(math.nan),
    )
    def test_is_refused(self, make: Callable[[], Handler]) -> None:
        """ValueError where the fault is made, not in the handler's thread."""
        with self.assertRaises(ValueError):
            make()

    def test_raw_bytes_are_bytes(self) -> None:
        """TypeError for text."""
        with self.assertRaises(TypeError):
            raw("text")  # type: ignore[arg-type]  # the mistake under test


class WrongTypeTests(unittest.TestCase):
    """What is no whole number of bytes is told when the fault is made."""

    def test_is_refused(self) -> None:
        """A float, a bool, and a pause that is no number."""
        for wrong in (1.5, True, "1"):
            number: Any = wrong
            for make in (in_pieces, split_at, cut_after):
                with self.subTest(make), self.assertRaisesRegex(TypeError, "of bytes is an int, not"):
                    make(number)
        for pause in ("x", True, None):
            number = pause
            with self.assertRaisesRegex(TypeError, "a pause is a number of seconds"):
                in_pieces(1, number)


if __name__ == "__main__":
    unittest.main()

"""Tests of `wssync.testing.sending`, through a running server."""

from __future__ import annotations

import math
import socket
import time
import unittest
from unittest import mock

from wssync.errors import MessageTooBig
from wssync.protocol.deflate import DeflateOptions
from wssync.protocol.frames import Opcode
from wssync.protocol.handshake import Accepted
from wssync.protocol.messages import Close, Ping, Pong
from wssync.testing import ServerConnection

from ..threads import Running
from .client import TIMEOUT
from .meeting import BIG, HandlerCase, masked, noted_sends


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

    def test_a_message_is_one_piece_unless_it_is_to_be_divided(self) -> None:
        """However long it is, and whatever it is made of."""
        connection, client = self.meet(compression=None)
        long = b"x" * 300_000
        with mock.patch.object(connection._wire, "queue", wraps=connection._wire.queue) as queue:
            Running(lambda: connection.send(long))
            self.assertEqual(client.receive(), long)
            connection.send_fragments(["a", "b", "c"])
        self.assertEqual([len(call.args[0]) for call in queue.mock_calls], [300_010, 9])

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


class RefusalTests(HandlerCase):
    """When nothing can be said."""

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

    def test_nothing_follows_a_close(self) -> None:
        """After the Close frame sending raises, while the client may still send."""
        connection, client = self.meet()
        connection._say_close(1000)
        for call in (lambda: connection.send("x"), connection.ping, lambda: connection.send_fragments(["x"])):
            error = self.assertEnds(call)
            self.assertTrue(connection.is_end(error))
        client.send("still")
        self.assertEqual(connection.receive(TIMEOUT), "still")


class WaitTests(HandlerCase):
    """Waiting for a ping, as a test of a client's keepalive does."""

    def test_it_waits_until_so_many_were_received(self) -> None:
        """Counted from the beginning of the connection; the payload is that of the last of them."""
        connection, client = self.meet()
        waiting = Running(lambda: connection.wait_for_ping(2, None))
        client.sock.sendall(masked(Opcode.PING, b"one") + masked(Opcode.PING, b"two") + masked(Opcode.PING, b"three"))
        client.send("x")
        connection.receive(TIMEOUT)
        self.assertEqual(waiting.result(), b"two")
        self.assertEqual((connection.wait_for_ping(), connection.wait_for_ping(3, 0)), (b"one", b"three"))

    def test_it_is_bounded(self) -> None:
        """TimeoutError says how many have come."""
        connection, _client = self.meet()
        with self.assertRaisesRegex(TimeoutError, "0 of 1 pings were received within 0.01 seconds"):
            connection.wait_for_ping(timeout=0.01)

    def test_the_end_releases_it(self) -> None:
        """ConnectionClosed, unless so many had come before."""
        connection, client = self.meet()
        client.control(Opcode.PING, b"one")
        client.close(4000)
        waiting = Running(lambda: connection.wait_for_ping(2, None))
        self.assertEnds(connection.receive, 4000)
        self.assertIs(waiting.error(), connection.end)
        self.assertEqual(connection.wait_for_ping(), b"one")


class LatePongTests(HandlerCase):
    """Pongs that are kept back."""

    def test_a_pong_is_late(self) -> None:
        """By so many seconds, while a message is waited for; then receiving goes on."""
        connection, client = self.meet()
        connection.delay_pongs(0.05)
        started = time.monotonic()
        client.control(Opcode.PING, b"?")
        with self.assertRaises(TimeoutError):
            connection.receive(0.01)
        self.assertEqual(connection.pings, [b"?"])
        receiving = Running(lambda: connection.receive(TIMEOUT))
        self.assertEqual(client.receive(), Pong(b"?"))
        self.assertGreaterEqual(time.monotonic() - started, 0.05)
        client.send("x")
        self.assertEqual(receiving.result(), "x")

    def test_the_shorter_wait_counts(self) -> None:
        """A timeout that comes before the pong, and one that comes after it."""
        connection, client = self.meet()
        connection.delay_pongs(0.05)
        client.control(Opcode.PING, b"?")
        started = time.monotonic()
        for timeout in (0.01, 0.1):
            with self.assertRaises(TimeoutError):
                connection.receive(timeout)
        self.assertGreaterEqual(time.monotonic() - started, 0.11)
        self.assertEqual(client.receive(), Pong(b"?"))

    def test_no_pong_overtakes_another(self) -> None:
        """A shorter delay holds for later pings only, which wait for the earlier ones."""
        connection, client = self.meet()
        connection.delay_pongs(math.inf)
        for payload in (b"one", b"two"):
            client.control(Opcode.PING, payload)
            with self.assertRaises(TimeoutError):
                connection.receive(0.02)
            connection.delay_pongs(0)
        client.send("x")
        connection.receive(TIMEOUT)
        connection.send("first")
        connection.release_pongs()
        self.assertEqual([client.receive() for _ in range(3)], ["first", Pong(b"one"), Pong(b"two")])

    def test_they_are_divided_like_everything_else(self) -> None:
        """The release waits until they are gone."""
        connection, client = self.meet()
        connection.delay_pongs(math.inf)
        client.control(Opcode.PING, b"?")
        client.send("x")
        connection.receive(TIMEOUT)
        connection.in_pieces(1, 0.001)
        with noted_sends(self.server) as sent:
            connection.release_pongs()
        self.assertEqual(sent, [b"\x8a", b"\x01", b"?"])

    def test_they_do_not_follow_a_close(self) -> None:
        """Nor the end of the connection, after which their release does nothing."""
        connection, client = self.meet()
        connection.delay_pongs(math.inf)
        client.control(Opcode.PING, b"?")
        client.send("x")
        connection.receive(TIMEOUT)
        connection._say_close(1000)
        connection.release_pongs()
        self.assertEqual(client.receive(), Close(1000, None))
        connection.drop()
        connection.release_pongs()
        self.assertRaises(EOFError, client.receive)

    def test_bad_delays_are_refused(self) -> None:
        """ValueError for what is before its ping, or no number."""
        connection, _client = self.meet()
        for seconds in (-0.001, math.nan):
            with self.assertRaises(ValueError):
                connection.delay_pongs(seconds)


if __name__ == "__main__":
    unittest.main()

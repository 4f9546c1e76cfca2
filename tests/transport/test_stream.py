"""Tests of `wssync.transport.stream`: the contract, as TCP keeps it."""

from __future__ import annotations

import errno
import os
import signal
import socket
import sys
import threading
import unittest
from typing import Any, List, Tuple
from unittest import mock

from tests.transport.support import PATIENCE, Running, TransportTestCase, bombard, reset
from wssync.errors import ConnectionClosed
from wssync.transport.stream import Direct, Stream, TCPStream, connection_lost, is_of_socket


class ReceivingTests(TransportTestCase):
    """`recv` and `wait`."""

    def setUp(self) -> None:
        super().setUp()
        self.stream, self.peer = self.streams()

    def test_nothing_there_is_none(self) -> None:
        """`recv` does not wait: without data it is None."""
        self.assertIsNone(self.stream.recv(100))

    def test_what_came_is_returned_up_to_the_limit(self) -> None:
        """At most the limit at a time; the rest stays for the next call."""
        self.peer.send(b"abcdef")
        self.assertEqual(self.stream.wait(True, False, PATIENCE), (True, False))
        self.assertEqual(self.stream.recv(4), b"abcd")
        self.assertEqual(self.stream.recv(4), b"ef")
        self.assertIsNone(self.stream.recv(4))
        self.assertFalse(self.stream.pending)

    def test_the_end_is_empty_bytes_each_time(self) -> None:
        """Rule 177 for plain TCP: after FIN `recv` is b"", asked again too; data before it comes first."""
        self.peer.send(b"last")
        self.peer.shutdown_write()
        received = b""
        while received != b"last":
            self.stream.wait(True, False, PATIENCE)
            received += self.stream.recv(100) or b""
        self.stream.wait(True, False, PATIENCE)
        self.assertEqual(self.stream.recv(100), b"")
        self.assertEqual(self.stream.recv(100), b"")

    def test_a_reset_is_a_lost_connection(self) -> None:
        """A reset raises ConnectionClosed with 1006 and -1005, the OSError being its cause."""
        reset(self.peer._sock)
        self.stream.wait(True, False, PATIENCE)
        with self.assertRaises(ConnectionClosed) as caught:
            self.stream.recv(100)
        self.assertEqual((caught.exception.code, caught.exception.url_error_code), (1006, -1005))
        self.assertIsInstance(caught.exception.__cause__, ConnectionResetError)

    def test_a_wake_ends_the_wait(self) -> None:
        """`wake` from another thread ends a wait that has no limit, with nothing ready, and once."""
        waiter = Running(lambda: self.stream.wait(True, False, None))
        self.stream.wake()
        self.assertEqual(waiter.result(), (False, False))
        self.assertEqual(self.stream.wait(True, False, 0.0), (False, False))

    def test_a_borrower_is_not_woken(self) -> None:
        """With `owner=False` the wake is left for the owner; the data ends the wait."""
        self.stream.wake()
        self.peer.send(b"x")
        self.assertEqual(self.stream.wait(True, False, PATIENCE, owner=False), (True, False))
        self.assertEqual(self.stream.wait(False, False, None), (False, False))

    def test_a_shutdown_ends_the_wait_and_the_stream(self) -> None:
        """`shutdown` from another thread ends a borrower's wait, and then `recv` is at its end."""
        waiter = Running(lambda: self.stream.wait(True, False, None, owner=False))
        self.stream.shutdown()
        self.assertEqual(waiter.result(), (True, False))
        self.assertEqual(self.stream.recv(100), b"")

    def test_what_an_interrupted_recv_left_is_pending(self) -> None:
        """Bytes stored by a `recv` that was interrupted are told by `pending` and `wait`, and come first."""
        self.stream._received = [b"left"]
        self.assertTrue(self.stream.pending)
        self.assertEqual(self.stream.wait(True, False, None), (True, False))
        self.assertEqual(self.stream.wait(True, True, None), (True, True))
        self.assertEqual(self.stream.recv(100), b"left")
        self.assertFalse(self.stream.pending)

    @unittest.skipUnless(hasattr(signal, "setitimer"), "needs a timer signal")
    @unittest.skipIf(sys.version_info < (3, 10), "3.9 looks for signals between any two instructions")
    def test_exceptions_from_outside_lose_no_byte(self) -> None:
        """However often Ctrl-C hits a thread that reads, every byte arrives, once and in order."""
        self.assertIsNone(bombard(self, self.stream, self.peer))


class Green(socket.socket):
    """A socket with a `recv` of its own, as green-thread libraries put in the place of Python's."""

    def recv(self, *arguments: Any) -> bytes:
        """Wait in its own way."""
        return super().recv(*arguments)


class DirectTests(TransportTestCase):
    """`direct`, and the mode of the socket."""

    def of(self, left: socket.socket) -> Tuple[TCPStream, Direct]:
        stream = TCPStream(left, self.waker())
        direct = stream.direct
        assert direct is not None
        return stream, direct

    def test_a_stream_need_not_have_it(self) -> None:
        """Only where nothing but a socket stands behind `recv` and `send`; the others promise nothing by default."""
        stream = self.streams()[0]
        for name in ("direct", "patient_recv"):
            self.assertIsNone(getattr(Stream, name).fget(stream))
        for name in ("is_exact", "remembers"):
            self.assertIs(getattr(Stream, name).fget(stream), False)

    def test_the_sockets_own_calls(self) -> None:
        """The descriptor; a `send` that does not wait; that of a stream is exact, also when it is interrupted."""
        left, right = self.sockets()
        stream, direct = self.of(left)
        self.assertEqual(direct.descriptor, left.fileno())
        self.assertEqual(direct.send(b"abc", direct.send_flags), 3)
        self.assertEqual(right.recv(10), b"abc")
        with self.assertRaises(BlockingIOError):
            while True:
                direct.send(bytes(1 << 20), direct.send_flags)
        self.assertTrue(stream.is_exact)

    def test_errors_are_the_systems(self) -> None:
        """OSError with a number says that the connection is broken; no signal ends the program."""
        left, right = self.sockets()
        stream, direct = self.of(left)
        reset(right)
        stream.wait(True, False, PATIENCE)
        with self.assertRaises(OSError) as caught:
            direct.send(b"x", direct.send_flags)
            direct.send(b"x", direct.send_flags)  # the first may only tell of the reset
        self.assertTrue(is_of_socket(caught.exception))
        with self.assertRaises(OSError):
            direct.send(b"x", direct.send_flags)

    def test_reading_into_memory(self) -> None:
        """With the flags it does not wait: it fills what there is room for, or says that nothing is there."""
        left, right = self.sockets()
        for platform in (sys.platform, "darwin"):
            with mock.patch.object(sys, "platform", platform):
                stream, direct = self.of(left)
            memory = bytearray(4)
            with self.assertRaises(BlockingIOError):
                direct.recv_into(memoryview(memory), 0, direct.recv_flags)
            right.sendall(b"abcdef")
            stream.wait(True, False, PATIENCE)
            self.assertEqual(direct.recv_into(memoryview(memory), 0, direct.recv_flags), 4)
            self.assertEqual((bytes(memory), stream.recv(10)), (b"abcd", b"ef"))

    @unittest.skipUnless(sys.platform == "linux", "only Linux keeps to a flag for each call")
    def test_a_recv_that_waits(self) -> None:
        """It sleeps in the kernel until something has come, and every other call still does not wait."""
        left, right = self.sockets()
        left.settimeout(0.0)
        stream, _ = self.of(left)
        self.assertTrue(left.getblocking())
        patient = stream.patient_recv
        assert patient is not None
        waiting = Running(lambda: patient(100))
        self.assertTrue(stream.wait(False, True, PATIENCE)[1])
        right.sendall(b"abc")
        self.assertEqual(waiting.result(), b"abc")
        self.assertIsNone(stream.recv(100))
        while stream.send(bytes(1 << 20)):
            pass

    @unittest.skipUnless(sys.platform == "linux", "only there one waits in the kernel")
    def test_what_ends_its_wait(self) -> None:
        """`shutdown_read` and `shutdown` of another thread; the first lets what was sent arrive, and sends still go."""
        for name in ("shutdown_read", "shutdown"):
            left, right = self.sockets()
            stream, _ = self.of(left)
            patient: Any = stream.patient_recv
            waiting = Running(lambda patient=patient: patient(100))  # type: ignore[misc]
            stream.send(b"before")
            getattr(stream, name)()
            self.assertEqual(waiting.result(), b"")
            if name == "shutdown_read":
                stream.send(b", after")
                stream.shutdown_write()
            received = b""
            while len(received) < 6 or (name == "shutdown_read" and len(received) < 13):
                received += right.recv(100)
            self.assertEqual(received, b"before, after" if name == "shutdown_read" else b"before")

    def test_elsewhere_the_socket_does_not_block(self) -> None:
        """On other systems neither the flag nor the end of the wait is certain."""
        for platform in ("darwin", "win32", "freebsd14"):
            left, _ = self.sockets()
            left.settimeout(None)
            with mock.patch.object(sys, "platform", platform):
                stream, direct = self.of(left)
            self.assertFalse(left.getblocking())
            self.assertIsNone(stream.patient_recv)
            self.assertEqual(direct.send_flags, getattr(socket, "MSG_NOSIGNAL", 0))
            self.assertIsNone(stream.recv(100))
            with self.assertRaises(BlockingIOError):
                while True:
                    direct.send(bytes(1 << 20), direct.send_flags)
            self.assertEqual(stream.send(bytes(1 << 20)), 0)

    def test_a_class_that_waits_in_its_own_way(self) -> None:
        """A green thread's socket is never made one that stops all of them."""
        left, right = self.sockets()
        green = Green(left.family, left.type, left.proto, left.detach())
        self.addCleanup(green.close)
        stream, _ = self.of(green)
        self.assertFalse(green.getblocking())
        self.assertIsNone(stream.patient_recv)
        right.sendall(b"abc")
        stream.wait(True, False, PATIENCE)
        self.assertEqual(stream.recv(100), b"abc")

    def test_reading_is_ended_whatever_the_peer_did(self) -> None:
        """`shutdown_read` wakes the owner, and raises nothing when the peer was quicker or the socket is closed."""
        stream, peer = self.streams()
        stream.shutdown_read()
        self.assertEqual(stream.wait(True, False, PATIENCE), (True, False))
        self.assertEqual(stream.recv(100), b"")
        reset(peer._sock)
        stream.shutdown_read()
        stream.close()
        stream.shutdown_read()

    def test_the_wait_by_select_is_ended_too(self) -> None:
        """There a shutdown need not end it, so everybody is woken."""
        self.by_select()
        stream, _ = self.streams()
        waiting = Running(lambda: stream.wait(True, False, None, owner=False))
        with mock.patch.object(stream, "_sock", mock.Mock(wraps=stream._sock, shutdown=mock.Mock())):
            stream.shutdown_read()
            self.assertEqual(waiting.result(), (False, False))


class ForeignErrorTests(TransportTestCase):
    """What a signal handler raises is for the program, and says nothing of the connection."""

    def test_what_is_the_systems(self) -> None:
        """It has a number."""
        self.assertTrue(is_of_socket(OSError(5, "five")))
        self.assertTrue(is_of_socket(ConnectionResetError(errno.ECONNRESET, "reset")))
        for error in (TimeoutError("alarm"), OSError(), OSError("text"), KeyboardInterrupt(), ConnectionClosed("x")):
            self.assertFalse(is_of_socket(error))

    def test_an_alarm_is_raised_as_it_is(self) -> None:
        """In a `recv` and in a `send`."""
        stream, _ = self.streams()
        sock = mock.Mock()
        sock.recv.side_effect = sock.send.side_effect = TimeoutError("alarm")
        with mock.patch.object(stream, "_sock", sock):
            for call in (lambda: stream.recv(100), lambda: stream.send(b"x")):
                with self.assertRaisesRegex(TimeoutError, "^alarm$"):
                    call()

    def test_a_lost_connection_has_its_cause(self) -> None:
        """The error that the system told."""
        error = OSError(5, "five")
        self.assertIs(connection_lost(error).__cause__, error)


class SendingTests(TransportTestCase):
    """`send`, `flush`, `shutdown_write`."""

    def setUp(self) -> None:
        super().setUp()
        self.stream, self.peer = self.streams()

    def test_what_an_interrupted_send_took_is_remembered(self) -> None:
        """The count is stored by the call that sent; the same data again tells it, and sends nothing."""
        self.assertFalse(self.stream.remembers)
        self.stream._sent = [3]
        self.assertTrue(self.stream.remembers)
        self.assertEqual(self.stream.send(b"abcdef"), 3)
        self.assertFalse(self.stream.remembers)
        self.assertEqual(self.stream.send(b"def"), 3)
        self.assertEqual(self.peer.recv(100), b"def")

    def test_it_tells_how_much_the_kernel_took(self) -> None:
        """All kinds of bytes are taken; nothing is kept back, so there is never something to flush."""
        for data in (b"abc", bytearray(b"abc"), memoryview(b"abc")):
            self.assertEqual(self.stream.send(data), 3)
            self.peer.wait(True, False, PATIENCE)
            self.assertEqual(self.peer.recv(100), b"abc")
        self.assertFalse(self.stream.has_output)
        self.assertTrue(self.stream.flush())

    def test_a_full_kernel_takes_nothing_and_does_not_block(self) -> None:
        """When the peer does not read, `send` is 0 in the end; when it reads again, the stream is writable again."""
        block = bytes(1 << 20)
        sent = 0
        while True:
            taken = self.stream.send(block)
            if not taken:
                break
            sent += taken
        self.assertEqual(self.stream.wait(True, True, 0.0), (False, False))
        received = 0
        while received < sent:
            self.peer.wait(True, False, PATIENCE)
            received += len(self.peer.recv(1 << 20) or b"")
        self.assertEqual(self.stream.wait(False, True, PATIENCE), (False, True))

    def test_a_broken_connection_is_told(self) -> None:
        """After a reset `send` and `shutdown_write` raise ConnectionClosed, and no signal ends the program."""
        reset(self.peer._sock)
        self.stream.wait(True, False, PATIENCE)
        for call in (lambda: self.stream.send(b"x"), self.stream.shutdown_write):
            with self.assertRaises(ConnectionClosed) as caught:
                call()
                self.stream.send(b"x")  # the first may still succeed before the reset is told
            self.assertIsInstance(caught.exception.__cause__, OSError)

    @unittest.skipUnless(hasattr(signal, "SIGPIPE") and hasattr(socket, "MSG_NOSIGNAL"), "no SIGPIPE to suppress")
    def test_no_sigpipe(self) -> None:
        """Where a program takes SIGPIPE for itself, a send to a lost connection still does not raise it."""
        with mock.patch.object(signal, "default_int_handler") as handler:
            previous = signal.signal(signal.SIGPIPE, handler)
            self.addCleanup(signal.signal, signal.SIGPIPE, previous)
            self.stream.shutdown_write()
            with self.assertRaises(ConnectionClosed):
                self.stream.send(b"x")
        handler.assert_not_called()

    def test_the_write_side_of_a_lost_connection_is_closed_once_too(self) -> None:
        """When the connection broke after `shutdown_write`, calling it again is no error: there is nothing to do."""
        self.stream.shutdown_write()
        reset(self.peer._sock)
        self.stream.wait(True, False, PATIENCE)
        self.stream.shutdown()
        self.stream.close()
        self.stream.shutdown_write()

    def test_the_write_side_is_closed_once(self) -> None:
        """`shutdown_write` ends the peer's reading; again it does nothing; our own reading goes on."""
        self.stream.shutdown_write()
        self.stream.shutdown_write()
        self.peer.wait(True, False, PATIENCE)
        self.assertEqual(self.peer.recv(100), b"")
        self.peer.send(b"still")
        self.stream.wait(True, False, PATIENCE)
        self.assertEqual(self.stream.recv(100), b"still")


class ClosingTests(TransportTestCase):
    """`close`, `abandon`, and what is known of the connection afterwards."""

    def test_close_gives_the_descriptor_back_once(self) -> None:
        """`close` may be called again; the waker is still its maker's; waiting and reading are then clear errors."""
        left, _ = self.sockets()
        waker = self.waker()
        stream = TCPStream(left, waker)
        stream.close()
        stream.close()
        stream.shutdown()
        self.assertEqual(left.fileno(), -1)
        self.assertGreaterEqual(waker.fileno(), 0)
        with self.assertRaises(OSError):
            stream.wait(True, True, None)
        with self.assertRaises(ConnectionClosed):
            stream.recv(1)
        with self.assertRaises(ConnectionClosed):
            stream.send(b"x")

    def test_abandon_leaves_the_other_process_its_connection(self) -> None:
        """After a fork the child's `abandon` closes its own copy; the parent's connection goes on, both ways."""
        left, right = self.sockets()
        parents = socket.socket(fileno=os.dup(left.fileno()))
        self.addCleanup(parents.close)
        TCPStream(left, self.waker()).abandon()
        self.assertEqual(left.fileno(), -1)
        parents.sendall(b"ping")
        self.assertEqual(right.recv(10), b"ping")
        right.sendall(b"pong")
        parents.settimeout(PATIENCE)
        self.assertEqual(parents.recv(10), b"pong")

    def test_the_addresses_are_known_after_the_close(self) -> None:
        """Host and port of both ends, as they were."""
        left, right = self.sockets()
        here, there = left.getsockname(), right.getsockname()
        stream = TCPStream(left, self.waker())
        stream.close()
        self.assertEqual((stream.local_address, stream.remote_address), (here, there))

    def test_this_end_is_not_asked_for_before_somebody_wants_it(self) -> None:
        """And once alone; nor is the other, by who knows it."""
        left, right = self.sockets()
        there = right.getsockname()
        with mock.patch.object(socket.socket, "getpeername", side_effect=AssertionError):
            stream = TCPStream(left, self.waker(), there)
        self.assertEqual(stream.remote_address, there)
        with mock.patch.object(socket.socket, "getsockname", side_effect=[("127.0.0.1", 5), AssertionError]) as ask:
            ask.assert_not_called()
            self.assertEqual([stream.local_address, stream.local_address], [("127.0.0.1", 5)] * 2)
            stream.close()

    def test_who_asks_in_the_middle_of_an_answer_does_not_wait(self) -> None:
        """As a signal's handler may, in the thread that is asking."""
        left, _ = self.sockets()
        stream = TCPStream(left, self.waker())
        answers: List[object] = []

        def ask(sock: socket.socket) -> object:
            if not answers:
                answers.append(None)
                answers.append(stream.local_address)
            return "127.0.0.1", 5

        with mock.patch.object(socket.socket, "getsockname", ask):
            self.assertEqual(stream.local_address, ("127.0.0.1", 5))
        self.assertEqual(answers[1:], [("127.0.0.1", 5)])

    def test_nothing_is_asked_after_a_fork(self) -> None:
        """Another thread of the parent may have held the lock."""
        left, _ = self.sockets()
        stream = TCPStream(left, self.waker())
        with mock.patch.object(TCPStream, "_asking", new_callable=mock.PropertyMock, side_effect=AssertionError):
            stream.abandon()
            self.assertIsNone(stream.local_address)

    def test_an_ipv6_address_is_host_and_port(self) -> None:
        """Flow label and scope are left out."""
        left, _ = self.sockets()
        with mock.patch.object(socket.socket, "getsockname", return_value=("::1", 80, 0, 0)):
            self.assertEqual(TCPStream(left, self.waker()).local_address, ("::1", 80))

    def test_an_address_that_cannot_be_had_is_none(self) -> None:
        """The peer of a connection that was reset meanwhile, and the ends of what is no Internet socket."""
        left, right = self.sockets()
        reset(right)
        with mock.patch.object(socket.socket, "getpeername", side_effect=OSError):
            self.assertIsNone(TCPStream(left, self.waker()).remote_address)
        with mock.patch.object(socket.socket, "getsockname", return_value=""):
            self.assertIsNone(TCPStream(left, self.waker()).local_address)

    def test_a_blocking_socket_does_not_block(self) -> None:
        """The stream takes the socket as it is and never blocks in it: it is not blocking, or told at each call."""
        left, _ = self.sockets()
        left.settimeout(None)
        self.assertIsNone(TCPStream(left, self.waker()).recv(1))


class FullDuplexTests(TransportTestCase):
    """Both directions at once, a reading and a writing thread on either side."""

    def test_a_lot_both_ways(self) -> None:
        """Two peers that both send megabytes at once do not hold each other up, and every byte arrives."""
        left, right = self.streams()
        block = bytes(range(256)) * 1024
        total = 4 * len(block) * 4

        def write(stream: TCPStream) -> None:
            sent = 0
            while sent < total:
                at = sent % len(block)
                taken = stream.send(memoryview(block)[at:])
                sent += taken
                if not taken:
                    stream.wait(False, True, PATIENCE, owner=False)

        def read(stream: TCPStream) -> bytes:
            parts: List[bytes] = []
            size = 0
            while size < total:
                data = stream.recv(65536)
                if data is None:
                    stream.wait(True, False, PATIENCE)
                else:
                    parts.append(data)
                    size += len(data)
            return b"".join(parts)

        writers = [Running(lambda stream=stream: write(stream)) for stream in (left, right)]  # type: ignore[misc]
        readers = [Running(lambda stream=stream: read(stream)) for stream in (left, right)]  # type: ignore[misc]
        for writer in writers:
            writer.result()
        for reader in readers:
            self.assertTrue(reader.result() == block * 16)
        self.assertFalse(any(thread.name.startswith("wssync") for thread in threading.enumerate()))


if __name__ == "__main__":
    unittest.main()

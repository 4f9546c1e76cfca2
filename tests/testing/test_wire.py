"""Tests of `wssync.testing.wire`."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import time
import unittest
from typing import Any, Callable, List, Optional, Tuple
from unittest import mock

from wssync.testing import wire as module
from wssync.testing.certificates import certificates, make_server_context
from wssync.testing.outgoing import CutReached
from wssync.testing.wire import PIECES, READ_SIZE, Ending, Wire, WireEnded
from wssync.transport.waiting import wait_for

from .client import TIMEOUT, needs_trustme, reset

BIG = 8 * 1024 * 1024
HUGE = 64 * 1024 * 1024
"""More than the kernel keeps for both sides of a connection on loopback, however generous it is."""


class Background:
    """A call in a thread of its own; `result()` waits for what it returned or raised."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self._outcome: Any = None
        self._error: Optional[BaseException] = None
        self._thread = threading.Thread(target=self._run, args=(function, arguments), daemon=True)
        self._thread.start()

    def _run(self, function: Callable[..., Any], arguments: Tuple[Any, ...]) -> None:
        try:
            self._outcome = function(*arguments)
        except Exception as error:
            self._error = error

    def result(self) -> Any:
        self._thread.join(TIMEOUT)
        if self._thread.is_alive():
            raise AssertionError("still busy")
        if self._error is not None:
            raise self._error
        return self._outcome


def receive_all(sock: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = sock.recv(min(65536, size - len(data)))
        if not piece:
            break
        data += piece
    return bytes(data)


def pattern(size: int, seed: int) -> bytes:
    return bytes((seed + step) % 251 for step in range(4093)) * (size // 4093 + 1)


class WireCase(unittest.TestCase):
    """A wire and the client's socket at its other end."""

    def pair(self) -> Tuple[Wire, socket.socket]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            client = socket.create_connection(listener.getsockname(), TIMEOUT)
            self.addCleanup(client.close)
            sock, _ = listener.accept()
        wire = Wire(sock)
        self.addCleanup(wire.end, Ending.FIN)
        return wire, client

    def tls_pair(self) -> Tuple[Wire, ssl.SSLSocket]:
        wire, sock = self.tls_pair_before_handshake()
        context = ssl.create_default_context(cadata=certificates().authority.decode())
        context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
        shaking = Background(wire.handshake)
        client = context.wrap_socket(sock, server_hostname="localhost", suppress_ragged_eofs=False)
        self.addCleanup(client.close)
        shaking.result()
        return wire, client

    def tls_pair_before_handshake(self) -> Tuple[Wire, socket.socket]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            client = socket.create_connection(listener.getsockname(), TIMEOUT)
            self.addCleanup(client.close)
            sock, _ = listener.accept()
        wire = Wire(sock, make_server_context())
        self.addCleanup(wire.end, Ending.FIN)
        return wire, client


class PlainTests(WireCase):
    """Bytes over TCP."""

    def test_bytes_go_both_ways(self) -> None:
        """What is queued goes out in order, what the client sends is read."""
        wire, client = self.pair()
        wire.handshake()
        wire.queue(b"one ")
        wire.queue(b"")
        wire.queue(b"two")
        wire.flush()
        self.assertEqual(receive_all(client, 7), b"one two")
        client.sendall(b"three")
        self.assertEqual(wire.read(TIMEOUT), b"three")

    def test_nothing_is_sent_before_the_flush(self) -> None:
        """A queued answer waits until its record is made."""
        wire, client = self.pair()
        wire.queue(b"later")
        client.setblocking(False)
        with self.assertRaises(BlockingIOError):
            client.recv(1)
        client.settimeout(TIMEOUT)
        wire.flush()
        self.assertEqual(receive_all(client, 5), b"later")

    def test_reading_ends_after_its_timeout(self) -> None:
        """TimeoutError when nothing came; what comes later is read by the next call."""
        wire, client = self.pair()
        for timeout in (0, 0.01):
            with self.assertRaisesRegex(TimeoutError, f"within {timeout:g} seconds"):
                wire.read(timeout)
        client.sendall(b"x")
        self.assertEqual(wire.read(TIMEOUT), b"x")

    def test_the_end_of_the_stream_is_no_bytes(self) -> None:
        """The client's FIN reads as an empty string, again and again."""
        wire, client = self.pair()
        client.close()
        self.assertEqual(wire.read(TIMEOUT), b"")
        self.assertEqual(wire.read(TIMEOUT), b"")

    def test_a_long_message_waits_for_the_client(self) -> None:
        """Flushing ends when the kernel has everything, or after its timeout, and nothing is lost by that."""
        wire, client = self.pair()
        wire.queue(bytes(HUGE))
        with self.assertRaises(TimeoutError):
            wire.flush(0.01)
        flushing = Background(wire.flush)
        self.assertEqual(len(receive_all(client, HUGE)), HUGE)
        flushing.result()

    def test_the_reader_sends_what_is_queued(self) -> None:
        """Bytes that were posted while the kernel was full go out while somebody reads."""
        wire, client = self.pair()
        wire.post(bytes(HUGE))
        reading = Background(wire.read)
        self.assertEqual(len(receive_all(client, HUGE)), HUGE)
        client.sendall(b"thanks")
        self.assertEqual(reading.result(), b"thanks")

    def test_what_came_before_a_reset_is_read(self) -> None:
        """When nothing can be sent any more, the client's last words are still there, and then the end."""
        wire, client = self.pair()
        client.sendall(b"last words")
        broken = mock.Mock(wraps=wire._sock)
        broken.send.side_effect = ConnectionResetError
        broken.fileno = wire._sock.fileno
        with mock.patch.object(wire, "_sock", broken):
            wire.queue(b"unheard")
            with self.assertRaises(ConnectionResetError):
                wire.flush()
            self.assertEqual(wire.read(TIMEOUT), b"last words")
            wire.flush(0)  # what nobody takes is forgotten
            client.close()
            self.assertEqual(wire.read(TIMEOUT), b"")

    def test_a_reset_is_an_error(self) -> None:
        """The client's RST raises, both ways."""
        wire, client = self.pair()
        reset(client)
        with self.assertRaises(ConnectionResetError):
            wire.read(TIMEOUT)
        wire.queue(b"x")
        with self.assertRaises(OSError):
            while True:
                wire.queue(b"x")
                wire.flush(TIMEOUT)


class FullDuplexTests(WireCase):
    """Several threads at once."""

    def exchange(self, wire: Wire, client: socket.socket, send: Callable[[bytes], None]) -> None:
        ours, theirs = pattern(BIG, 1), pattern(BIG, 2)

        def read() -> bytes:
            data = bytearray()
            while len(data) < len(theirs):
                data += wire.read(TIMEOUT)
            return bytes(data)

        reading = Background(read)
        wire.queue(ours)
        writing = Background(wire.flush, TIMEOUT)
        sending = Background(send, theirs)
        received = receive_all(client, len(ours))
        sending.result()
        writing.result()
        self.assertEqual(received, ours)
        self.assertEqual(reading.result(), theirs)

    def test_both_sides_write_and_read_at_once(self) -> None:
        """Eight megabytes in each direction at the same time arrive whole."""
        wire, client = self.pair()
        self.exchange(wire, client, client.sendall)

    @needs_trustme
    def test_both_sides_write_and_read_at_once_over_tls(self) -> None:
        """The same over TLS; the client is pumped by one thread, as its `SSLSocket` needs it."""
        wire, client = self.tls_pair()
        ours, theirs = pattern(BIG, 3), pattern(BIG, 4)

        def echo() -> None:
            data = bytearray()
            while len(data) < len(theirs):
                piece = wire.read(TIMEOUT)
                data += piece
            self.assertEqual(bytes(data), theirs)

        reading = Background(echo)
        wire.queue(ours)
        writing = Background(wire.flush, TIMEOUT)
        received = bytearray()
        step = 256 * 1024
        for start in range(0, len(theirs), step):
            client.sendall(theirs[start : start + step])
            received += receive_all(client, min(step, len(ours) - len(received)))
        received += receive_all(client, len(ours) - len(received))
        reading.result()
        writing.result()
        self.assertEqual(bytes(received), ours)

    def test_two_that_write_first_do_not_block_each_other(self) -> None:
        """One thread that flushes and one that reads are enough for a client that writes it all before it reads."""
        wire, client = self.pair()
        wire.queue(bytes(BIG))
        writing = Background(wire.flush)
        taken: List[int] = []

        def read() -> None:
            while sum(taken) < BIG:
                taken.append(len(wire.read(TIMEOUT)))

        reading = Background(read)
        client.sendall(bytes(BIG))
        self.assertEqual(len(receive_all(client, BIG)), BIG)
        writing.result()
        reading.result()
        self.assertEqual(sum(taken), BIG)


class EndTests(WireCase):
    """The ways to end."""

    def test_fin_and_clean_send_what_is_queued_and_fin(self) -> None:
        """The client reads all that was said, and the end of the stream."""
        for how in (Ending.FIN, Ending.CLEAN):
            with self.subTest(how=how):
                wire, client = self.pair()
                wire.queue(b"goodbye")
                wire.end(how)
                self.assertTrue(wire.ended)
                self.assertEqual(receive_all(client, 100), b"goodbye")

    def test_unread_bytes_do_not_turn_fin_into_rst(self) -> None:
        """What the client has sent meanwhile is read and forgotten, or the kernel would answer it with RST."""
        wire, client = self.pair()
        client.sendall(bytes(READ_SIZE * 2))
        wire.read(TIMEOUT)
        wire.end(Ending.FIN)
        self.assertEqual(client.recv(100), b"")

    def test_rst_resets(self) -> None:
        """The client gets an error, not an end."""
        wire, client = self.pair()
        wire.end(Ending.RST)
        with self.assertRaises(ConnectionResetError):
            client.recv(1)

    def test_the_end_wakes_all_who_wait(self) -> None:
        """A reader and a writer get `WireEnded`, and the descriptor is closed when both are gone."""
        wire, _client = self.pair()
        reading = Background(wire.read)
        wire.queue(bytes(HUGE))
        writing = Background(wire.flush)
        with self.assertRaises(TimeoutError):
            wire.read(0.01)
        wire.end(Ending.RST)
        self.assertEqual(wire._sock.fileno(), -1)
        for call in (reading, writing):
            with self.assertRaises(WireEnded):
                call.result()

    def test_whoever_is_last_closes(self) -> None:
        """While a thread uses the descriptor it stays open, for a bounded time of `end`."""
        wire, client = self.pair()
        with mock.patch.object(wire._closed, "wait") as waited:
            with wire._using():
                wire.end(Ending.FIN)
                self.assertNotEqual(wire._sock.fileno(), -1)
            waited.assert_called_once_with(5.0)
        self.assertEqual(wire._sock.fileno(), -1)
        self.assertEqual(client.recv(1), b"")

    def test_after_the_end_everything_refuses(self) -> None:
        """Reading and flushing raise; a second end, lingering and posting do nothing."""
        wire, client = self.pair()
        wire.end(Ending.FIN)
        wire.end(Ending.RST)
        wire.post(b"unheard")
        wire.linger(TIMEOUT)
        for call in (wire.read, wire.flush):
            with self.assertRaises(WireEnded):
                call()
        self.assertEqual(client.recv(1), b"")

    def test_lingering_waits_for_the_clients_fin(self) -> None:
        """The client reads to the end while it is still sending; then it hangs up and the lingering is over."""
        wire, client = self.pair()
        wire.queue(b"refused")
        lingering = Background(wire.linger, TIMEOUT)
        self.assertEqual(receive_all(client, 100), b"refused")
        client.sendall(bytes(BIG))
        client.close()
        lingering.result()

    def test_lingering_is_bounded(self) -> None:
        """A client that does not hang up is waited for no longer than was said."""
        wire, _client = self.pair()
        wire.linger(0.01)
        wire.end(Ending.CLEAN)
        self.assertEqual(wire._sock.fileno(), -1)

    def test_lingering_is_bounded_for_a_client_that_sends_on(self) -> None:
        """Bytes that come do not lengthen it."""
        wire, _client = self.pair()
        with mock.patch.object(wire, "read", return_value=b"more") as read:
            wire.linger(0.01)
        self.assertGreater(read.call_count, 0)

    def test_a_client_that_never_stops_cannot_hold_up_the_end(self) -> None:
        """Only so many unread bytes are forgotten."""
        wire, _client = self.pair()
        endless = mock.Mock(wraps=wire._sock)
        endless.recv.return_value = b"more"
        real, wire._sock = wire._sock, endless
        self.addCleanup(real.close)
        wire.end(Ending.FIN)
        self.assertEqual(endless.recv.call_count, 256)


class ShapeTests(WireCase):
    """Pieces, pauses and cuts, on the way to the kernel."""

    def note(self, wire: Wire) -> List[bytes]:
        """What each system call of this wire sent."""
        sent: List[bytes] = []
        real = wire._sock

        def send(data: memoryview) -> int:
            count = real.send(data)
            sent.append(bytes(data[:count]))
            return count

        noting = mock.Mock(wraps=real, **{"send.side_effect": send})
        noting.fileno = real.fileno
        patch = mock.patch.object(wire, "_sock", noting)
        patch.start()
        self.addCleanup(patch.stop)
        self.addCleanup(wire.end, Ending.FIN)
        return sent

    def test_each_piece_is_a_system_call(self) -> None:
        """Of its own, whoever makes it: the one who flushes, the one who posts, the one who reads, and the end."""
        wire, client = self.pair()
        sent = self.note(wire)
        wire.shape(lambda outgoing: outgoing.in_pieces(2, 0))
        wire.queue(b"flush")
        wire.flush()
        wire.post(b"post")
        wire.queue(b"read")
        with self.assertRaises(TimeoutError):
            wire.read(0)
        wire.queue(b"end")
        wire.end(Ending.FIN)
        self.assertEqual(sent, [b"fl", b"us", b"h", b"po", b"st", b"re", b"ad", b"en", b"d"])
        self.assertEqual(receive_all(client, 100), b"flushpostreadend")

    def test_many_pieces_do_not_hold_the_lock(self) -> None:
        """Between some of them everybody else has a turn, but all of them go out."""
        wire, client = self.pair()
        sent = self.note(wire)
        wire.shape(lambda outgoing: outgoing.in_pieces(1, 0))
        wire.post(bytes(PIECES + 1))
        self.assertEqual(len(sent), PIECES)
        wire.queue(bytes(3 * PIECES))
        wire.flush(TIMEOUT)
        self.assertEqual(len(receive_all(client, 4 * PIECES + 1)), 4 * PIECES + 1)

    def test_a_piece_that_the_kernel_does_not_take_at_once_is_not_divided_again(self) -> None:
        """What is left of it comes before the next piece begins."""
        wire, client = self.pair()
        sent = self.note(wire)
        wire.shape(lambda outgoing: outgoing.in_pieces(HUGE, 0))
        wire.queue(bytes(HUGE) + b"next")
        flushing = Background(wire.flush, TIMEOUT)
        self.assertEqual(len(receive_all(client, HUGE + 4)), HUGE + 4)
        flushing.result()
        self.assertGreater(len(sent), 2)
        self.assertEqual(sent[-1], b"next")

    def test_pauses_take_their_time(self) -> None:
        """Whoever flushes waits for them, and so does what others have queued."""
        wire, client = self.pair()
        sent = self.note(wire)
        wire.shape(lambda outgoing: outgoing.in_pieces(1, 0.02))
        started = time.monotonic()
        wire.queue(b"abc")
        with self.assertRaises(TimeoutError):
            wire.flush(0)
        self.assertEqual(sent, [b"a"])
        wire.flush(TIMEOUT)
        self.assertEqual(sent, [b"a", b"b", b"c"])
        wire.queue(b"d")
        wire.flush(TIMEOUT)
        self.assertGreaterEqual(time.monotonic() - started, 0.06)
        self.assertEqual(receive_all(client, 4), b"abcd")

    def test_the_reader_sends_what_was_paused(self) -> None:
        """It wakes up for the next piece although nothing is to be read."""
        wire, client = self.pair()
        wire.shape(lambda outgoing: outgoing.in_pieces(1, 0.01))
        wire.post(b"abc")
        reading = Background(wire.read, TIMEOUT)
        self.assertEqual(receive_all(client, 3), b"abc")
        client.sendall(b"x")
        self.assertEqual(reading.result(), b"x")

    def test_a_pause_is_slept_through(self) -> None:
        """Nobody asks again and again whether the kernel takes something, which it would."""
        wire, _client = self.pair()
        wire.shape(lambda outgoing: outgoing.in_pieces(1, 0.05))
        wire.queue(b"ab")
        with mock.patch("wssync.testing.wire.wait_for", wraps=wait_for) as waited:
            wire.flush(TIMEOUT)
        self.assertLess(waited.call_count, 5)

    def test_a_timeout_within_a_pause_counts(self) -> None:
        """The shorter of the two ends the wait."""
        wire, _client = self.pair()
        wire.shape(lambda outgoing: outgoing.in_pieces(1, 1000.0))
        wire.queue(b"ab")
        for call in (wire.flush, wire.read):
            with self.assertRaises(TimeoutError):
                call(0.01)

    def test_the_end_waits_for_no_pause(self) -> None:
        """Whoever is in one gets `WireEnded` at once, and the client the end of the stream."""
        wire, client = self.pair()
        wire.shape(lambda outgoing: outgoing.in_pieces(1, 1000.0))
        wire.queue(b"abc")
        flushing, reading = Background(wire.flush), Background(wire.read)
        self.assertEqual(client.recv(100), b"a")
        wire.end(Ending.CLEAN)
        for call in (flushing, reading):
            with self.assertRaises(WireEnded):
                call.result()
        self.assertEqual(client.recv(100), b"")

    def test_a_cut_raises_for_all(self) -> None:
        """Exactly so many bytes go out; then nobody sends or reads any more, and posting is as quiet as ever."""
        wire, client = self.pair()
        wire.shape(lambda outgoing: outgoing.cut_after(3, True))
        wire.queue(b"abcdef")
        for call in (wire.flush, wire.flush, wire.read):
            with self.assertRaises(CutReached) as caught:
                call()
            self.assertTrue(caught.exception.reset)
        wire.post(b"more")
        self.assertEqual(client.recv(100), b"abc")
        client.setblocking(False)
        with self.assertRaises(BlockingIOError):
            client.recv(100)

    def test_a_cut_ends_the_lingering(self) -> None:
        """There is nobody to wait for, and no FIN before the end is made."""
        wire, client = self.pair()
        wire.shape(lambda outgoing: outgoing.cut_after(3, True))
        wire.queue(b"abcdef")
        wire.linger(TIMEOUT)
        self.assertEqual(client.recv(100), b"abc")
        wire.end(Ending.CLEAN)
        with self.assertRaises(ConnectionResetError):
            client.recv(100)

    def test_an_end_that_comes_to_a_cut_ends_as_that_says(self) -> None:
        """The last words of a clean end are cut, by RST or by FIN."""
        wire, client = self.pair()
        wire.shape(lambda outgoing: outgoing.cut_after(0, True))
        wire.queue(b"goodbye")
        wire.end(Ending.CLEAN)
        self.assertRaises(ConnectionResetError, client.recv, 100)
        wire, client = self.pair()
        wire.shape(lambda outgoing: outgoing.cut_after(4, False))
        wire.queue(b"goodbye")
        wire.end(Ending.CLEAN)
        self.assertEqual(receive_all(client, 100), b"good")

    @needs_trustme
    def test_over_tls_long_data_is_encrypted_in_parts(self) -> None:
        """Each of them is sent before the next one is made."""
        wire, client = self.tls_pair()
        with self.assertRaises(TimeoutError):
            wire.read(0)  # sends what is left of the handshake
        sent = self.note(wire)
        wire.queue(bytes(2500))
        with mock.patch.object(module, "WRITE_SIZE", 1000):
            wire.flush(TIMEOUT)
        self.assertEqual(receive_all(client, 2500), bytes(2500))
        self.assertEqual(len(sent), 3)

    @needs_trustme
    def test_over_tls_each_piece_is_a_record(self) -> None:
        """Sent by a call of its own, of application data; what is long is not divided by the limit of one call."""
        wire, client = self.tls_pair()
        with self.assertRaises(TimeoutError):
            wire.read(0)  # sends what is left of the handshake
        sent = self.note(wire)
        wire.shape(lambda outgoing: outgoing.in_pieces(2, 0))
        wire.queue(b"abcde")
        wire.flush(TIMEOUT)
        self.assertEqual(receive_all(client, 5), b"abcde")
        self.assertEqual(len(sent), 3)
        for record in sent:
            kind, _version, length = struct.unpack("!BHH", record[:5])
            self.assertEqual((kind, length), (23, len(record) - 5))

    @needs_trustme
    def test_over_tls_a_cut_counts_what_is_not_encrypted(self) -> None:
        """So many bytes can be decrypted; then there is no close_notify, and so it is a truncation."""
        wire, client = self.tls_pair()
        wire.shape(lambda outgoing: outgoing.cut_after(300_000, False))
        wire.queue(bytes(500_000))
        flushing = Background(wire.flush)
        self.assertEqual(len(receive_all(client, 300_000)), 300_000)
        with self.assertRaises(CutReached):
            flushing.result()
        wire.end(Ending.CLEAN)
        with self.assertRaises(ssl.SSLError):
            client.recv(100)


@needs_trustme
class TLSTests(WireCase):
    """What TLS adds."""

    def test_bytes_go_both_ways(self) -> None:
        """What is queued is encrypted and arrives, what the client sends is read."""
        wire, client = self.tls_pair()
        wire.queue(b"hello")
        wire.flush(TIMEOUT)
        self.assertEqual(receive_all(client, 5), b"hello")
        client.sendall(b"you")
        self.assertEqual(wire.read(TIMEOUT), b"you")

    def test_long_messages_keep_their_order(self) -> None:
        """What is encrypted in several steps is not overtaken by what was queued behind it."""
        wire, client = self.tls_pair()
        messages = [pattern(600_000, seed) for seed in range(3)]
        for message in messages:
            wire.queue(message)
        flushing = Background(wire.flush, TIMEOUT)
        self.assertTrue(receive_all(client, sum(map(len, messages))) == b"".join(messages))
        flushing.result()

    def test_a_clean_end_says_close_notify(self) -> None:
        """The client's end of the stream is not a truncation."""
        wire, client = self.tls_pair()
        wire.end(Ending.CLEAN)
        self.assertEqual(client.recv(100), b"")

    def test_fin_alone_is_a_truncation(self) -> None:
        """Without close_notify a client that asks for such things gets an error."""
        wire, client = self.tls_pair()
        wire.end(Ending.FIN)
        with self.assertRaises(ssl.SSLError):
            client.recv(100)

    def test_the_clients_end_reads_as_one(self) -> None:
        """With and without its close_notify."""
        wire, client = self.tls_pair()
        leaving = Background(client.unwrap)
        self.assertEqual(wire.read(TIMEOUT), b"")
        wire.end(Ending.CLEAN)
        leaving.result()
        wire, client = self.tls_pair()
        client.close()
        self.assertEqual(wire.read(TIMEOUT), b"")

    def test_a_client_without_trust_fails_the_handshake(self) -> None:
        """It says so by an alert, which raises here."""
        wire, sock = self.tls_pair_before_handshake()
        shaking = Background(wire.handshake)
        with self.assertRaises(ssl.SSLCertVerificationError):
            ssl.create_default_context().wrap_socket(sock, server_hostname="localhost")
        # With TLS 1.3 the server's part of the handshake is over before the alert comes.
        with self.assertRaises((ssl.SSLError, ConnectionResetError)):
            shaking.result()
            wire.read(TIMEOUT)

    def test_a_client_that_speaks_it_badly_gets_an_alert(self) -> None:
        """The handshake raises, and the client is told why by the bytes of a TLS alert."""
        wire, sock = self.tls_pair_before_handshake()
        sock.sendall(b"\x16\x03\x01\x00\x05hello")
        with self.assertRaises(ssl.SSLError):
            wire.handshake()
        wire.end(Ending.FIN)
        self.assertEqual(sock.recv(1), b"\x15")

    def test_a_client_that_leaves_fails_the_handshake(self) -> None:
        """The end of the stream in the middle of the handshake raises."""
        wire, sock = self.tls_pair_before_handshake()
        sock.close()
        with self.assertRaises(OSError):
            wire.handshake()


if __name__ == "__main__":
    unittest.main()

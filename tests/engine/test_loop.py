"""The engine: its turns, its deadlines, and the one place where a connection ends."""

from __future__ import annotations

import logging
import threading
import unittest
from typing import Any, Callable, List, Tuple
from unittest import mock

from wssync.engine import goodbye, loop
from wssync.engine.completions import Handler, Message, Waiter
from wssync.engine.loop import LINGER, SWEEP, Engine
from wssync.engine.opening import Opening
from wssync.engine.outbox import Message as Outgoing
from wssync.engine.state import Phase
from wssync.errors import Cancelled, ConnectionClosed, ConnectionFailed, HandshakeError, ProtocolError
from wssync.protocol.closing import ClosingState
from wssync.protocol.deflate import DeflateOptions
from wssync.protocol.frames import Opcode
from wssync.transport.waiting import wait_for

from ..protocol.wire import CLOSE, CONTINUATION, PING, PONG, TEXT, frame
from .support import EPSILON, PATIENCE, URL, Rig, accepting, close_body, line_up, lost

BYE = frame(CLOSE, close_body(1000))
HEAD = b"HTTP/1.1 %s\r\n\r\n"


def code_of(rig: Rig) -> int:
    verdict = rig.verdict
    assert isinstance(verdict, ConnectionClosed)
    return verdict.code


class OpeningTests(unittest.TestCase):
    def test_what_was_asked_for_early_goes_out_in_order(self) -> None:
        """Rule 47: sends and pings from before the opening, then `did_open` is told."""
        rig = Rig(self, opened=False)
        sends = [rig.send("a"), rig.send("b")]
        rig.ping(b"p")
        self.assertEqual(rig.connection.phase, Phase.NEW)
        rig.open()
        self.assertEqual(rig.connection.phase, Phase.OPEN)
        self.assertEqual(rig.sent(), [(Opcode.PING, b"p"), (Opcode.TEXT, b"a"), (Opcode.TEXT, b"b")])
        self.assertTrue(all(send.completion.done for send in sends))
        rig.run_callbacks()
        self.assertEqual(rig.listener.heard, [("did_open", None)])
        stream = rig.connection.stream
        assert stream is not None
        self.assertEqual((stream.local_address, stream.remote_address), (("127.0.0.1", 50_000), ("127.0.0.1", 80)))
        response = rig.connection.response
        assert response is not None
        self.assertEqual((response.status_code, response.url), (101, URL))
        self.assertIs(rig.connection.response, response, "it is read once")

    def test_frames_in_the_packet_of_the_response_are_not_lost(self) -> None:
        """Rule 47: the bytes behind the head are the first frames, and their rest comes later."""
        data = frame(TEXT, b"first") + frame(PING, b"p") + frame(TEXT, b"second")
        rig = Rig(self, answer=accepting(data[:-3], data[-3:]))
        rig.settle()
        self.assertEqual(rig.take_all(), ["first", "second"])
        self.assertEqual(rig.sent(), [(Opcode.PONG, b"p")])

    def test_nobody_reads_before_what_came_with_the_response(self) -> None:
        """A caller's read at the very moment of opening keeps off until those bytes are decoded."""
        data = frame(TEXT, b"first") + frame(TEXT, b"second")
        rig = Rig(self, opened=False, answer=accepting(data[:4], data[4:]))
        states: List[bool] = []
        rig.connection.opened = mock.Mock(set=lambda: states.append(rig.engine.reader.role.is_mine))
        rig.open()
        self.assertEqual(states, [True])
        rig.settle()
        self.assertEqual(rig.take_all(), ["first", "second"])

    def test_compression_is_used_when_both_agree(self) -> None:
        """An accepted offer compresses both ways."""
        rig = Rig(self, answer=accepting(deflate=DeflateOptions()), compression="deflate")
        self.assertEqual(len(rig.connection.extensions), 1)
        rig.send("x" * 10_000)
        self.assertLess(len(rig.stream.outgoing), 200)
        rig.give(bytes.fromhex("c107f248cdc9c90700"))  # RFC 7692 section 7.2.3.1
        self.assertEqual(rig.take_all(), ["Hello"])

    def test_an_offer_that_is_not_taken_up(self) -> None:
        """Rule 196: uncompressed."""
        rig = Rig(self, compression="deflate")
        rig.send("x" * 1000)
        self.assertEqual(rig.texts(), ["x" * 1000])

    def test_a_refusal_is_kept(self) -> None:
        """Rule 185: the error and its response; `INVALID` code; pending work fails, then `did_complete` alone."""
        rig = Rig(self, threaded=True, opened=False, answer=lambda head: [HEAD % b"204 No"])
        send, waiting = rig.send("a"), rig.receive()
        rig.connection.resume()
        rig.engine.start()
        rig.wait(rig.connection.gone)
        verdict = rig.verdict
        assert isinstance(verdict, HandshakeError) and rig.connection.response is not None
        self.assertEqual(rig.connection.response.status_code, 204)
        self.assertEqual((rig.connection.close_code, rig.connection.error), (0, verdict))
        self.assertEqual((send.completion.error, waiting.error), (verdict, verdict))
        rig.run_callbacks()
        self.assertEqual(rig.listener.heard, [("did_complete", verdict)])
        self.assertEqual(rig.stream.calls[-1], "close")

    def test_informational_responses_are_told(self) -> None:
        """Each of them, before `did_open`."""
        respond = accepting()
        rig = Rig(self, answer=lambda head: [HEAD % b"103 Early Hints", *respond(head)])
        rig.run_callbacks()
        self.assertEqual(rig.listener.names, ["did_receive_informational_response", "did_open"])
        self.assertEqual(rig.listener.heard[0][1].status_code, 103)

    def test_informational_responses_are_told_at_once(self) -> None:
        """The real answer may take its time."""
        rig = Rig(self, threaded=True, opened=False, answer=lambda head: [HEAD % b"103 Early Hints"])
        rig.connection.resume()
        rig.engine.start()
        self.assertEqual(rig.callbacks.run_pending(PATIENCE), 1)
        self.assertEqual(rig.listener.names, ["did_receive_informational_response"])

    def test_a_turn_that_comes_during_a_suspension(self) -> None:
        """It is found when the task is resumed, though the wake for it is long gone."""
        rig = Rig(self, threaded=True, opened=False)
        tickets = [line_up(rig.gate) for _ in range(6)]
        rig.connection.resume()
        rig.connection.suspend()
        held = threading.Event()
        with mock.patch("wssync.engine.loop.wait_for", side_effect=_held(held)):
            rig.engine.start()
            rig.wait(held)
            held.clear()
            tickets[0].release()
            rig.wait(held)
            rig.connection.resume()
            rig.wait(rig.connection.opened)
        self.assertTrue(rig.connection.was_open)

    def test_a_cancel_while_opening(self) -> None:
        """Rule 155: no Close, no `did_open`; `Cancelled`, `INVALID`."""
        rig = Rig(self, threaded=True, opened=False, answer=lambda head: [])
        rig.connection.resume()
        rig.engine.start()
        rig.stream.wait_until(lambda: rig.stream.waits[-1:] != [], "waiting for the response")
        rig.connection.cancel()
        rig.wait(rig.connection.gone)
        self.assertIsInstance(rig.verdict, Cancelled)
        self.assertEqual((rig.connection.close_code, bytes(rig.stream.outgoing)), (0, b""))
        rig.run_callbacks()
        self.assertEqual(rig.listener.names, ["did_complete"])

    def test_a_suspended_opening_stands_still(self) -> None:
        """Time does not count, nothing is sent; after `resume` it goes on."""
        rig = Rig(self, threaded=True, opened=False, timeout_interval_for_request=60)
        rig.connection.resume()
        rig.connection.suspend()
        held = threading.Event()
        with mock.patch("wssync.engine.loop.wait_for", side_effect=_held(held)):
            rig.stream.takes = 0
            rig.engine.start()
            rig.wait(held)
            held.clear()
            rig.clock.advance(1000)
            rig.wait(held)
            rig.stream.take()
            self.assertFalse(rig.connection.opened.is_set())
            rig.connection.resume()
            rig.wait(rig.connection.opened)
        self.assertTrue(rig.connection.was_open)

    def test_a_suspended_opening_can_be_cancelled(self) -> None:
        """It ends at once."""
        rig = Rig(self, threaded=True, opened=False)
        rig.connection.resume()
        rig.connection.suspend()
        rig.stream.takes = 0
        rig.engine.start()
        rig.connection.cancel()
        rig.wait(rig.connection.gone)
        self.assertIsInstance(rig.verdict, Cancelled)


def _held(held: threading.Event) -> Callable[..., Tuple[Any, Any]]:
    def wait(*args: Any) -> Tuple[Any, Any]:
        held.set()
        return wait_for(*args)

    return wait


class HeartbeatTests(unittest.TestCase):
    def setUp(self) -> None:
        self.rig = Rig(self, ping_interval=20, ping_timeout=10)

    def test_a_ping_after_silence(self) -> None:
        """Rule 145: at 20 seconds, not before; the wait is exactly that long."""
        self.rig.settle()
        self.assertEqual(self.rig.stream.waits[-1], (True, False, 20))
        self.rig.advance(20 - EPSILON)
        self.assertEqual(self.rig.sent(), [])
        self.rig.advance(EPSILON)
        self.assertEqual([opcode for opcode, _ in self.rig.sent()], [Opcode.PING])

    def test_silence_after_the_ping_ends_it(self) -> None:
        """Rule 145: 1006 and -1001, Close 1011 is tried; a moment before it lives."""
        self.rig.advance(20)
        self.rig.advance(10 - EPSILON)
        self.assertIsNone(self.rig.connection.cause)
        self.rig.advance(EPSILON)
        self.rig.finish()
        self.assertEqual((code_of(self.rig), self.rig.verdict.url_error_code), (1006, -1001))
        self.assertIn("10 seconds after a ping", str(self.rig.verdict))
        self.assertEqual(self.rig.sent()[-1], (Opcode.CLOSE, close_body(1011)))

    def test_who_says_nothing_is_not_waited_for(self) -> None:
        """After an unanswered ping there is no lingering: whoever is gone will not hang up first."""
        self.rig.advance(20)
        self.rig.advance(10)
        before = self.rig.clock.now()
        self.rig.finish()
        self.assertEqual(self.rig.clock.now(), before)

    def test_any_byte_keeps_it_alive(self) -> None:
        """A part of a frame is enough."""
        self.rig.advance(20)
        self.rig.advance(9)
        self.rig.give(frame(TEXT, b"abc")[:2])
        self.rig.advance(9)
        self.assertIsNone(self.rig.connection.cause)
        self.assertEqual(len(self.rig.sent()), 1)

    def test_it_rests_while_reading_is_paused(self) -> None:
        """Engine 9: a full buffer proves nothing about the peer; afterwards a whole interval begins."""
        self.rig.give(*[frame(TEXT, b"x")] * 16)
        self.rig.settle()
        self.assertIsNone(self.rig.stream.waits[-1][2])
        self.rig.advance(1000)
        self.assertEqual(self.rig.sent(), [])
        self.rig.connection.take()
        self.rig.settle()
        self.assertEqual(self.rig.stream.waits[-1], (True, False, 20))
        self.rig.advance(20 - EPSILON)
        self.assertEqual(self.rig.sent(), [])

    def test_it_rests_while_suspended(self) -> None:
        """Neither a ping nor an end; an outstanding ping is forgotten."""
        self.rig.advance(20)
        self.rig.connection.suspend()
        self.rig.advance(1000)
        self.assertIsNone(self.rig.connection.cause)
        self.rig.connection.resume()
        self.rig.settle()
        self.rig.advance(20 - EPSILON)
        self.assertEqual(len(self.rig.sent()), 1)
        self.assertIsNone(self.rig.connection.cause)

    def test_a_beat_that_is_not_due_does_nothing(self) -> None:
        """Something was received between looking and asking."""
        self.rig.engine._beat()
        self.assertEqual(self.rig.sent(), [])


class DeadlineTests(unittest.TestCase):
    def test_nothing_wakes_an_idle_engine(self) -> None:
        """Without a deadline it sleeps until it is woken, and makes one turn for each wake."""
        rig = Rig(self)
        rig.settle()
        turns = len(rig.stream.waits)
        rig.settle()
        self.assertEqual(rig.stream.waits[turns:], [(True, False, None)])

    def test_the_closing_handshake_has_a_limit(self) -> None:
        """Rule 210: `close_timeout` after our Close, not before, it is cut: 1006 and -1001."""
        rig = Rig(self, close_timeout=10)
        rig.connection.close(1000, None, None)
        rig.settle()
        self.assertEqual(rig.stream.waits[-1][2], 10)
        rig.advance(10 - EPSILON)
        self.assertIsNone(rig.connection.cause)
        rig.advance(EPSILON)
        before = rig.clock.now()
        rig.finish()
        self.assertEqual((code_of(rig), rig.verdict.url_error_code, rig.clock.now()), (1006, -1001, before))
        self.assertEqual(rig.sent(), [(Opcode.CLOSE, close_body(1000))])

    def test_a_resource_timeout_ends_an_open_connection(self) -> None:
        """Rule 207: only one that was set; Close 1001 goes first."""
        rig = Rig(self, timeout_interval_for_resource=100)
        rig.advance(100 - EPSILON)
        self.assertIsNone(rig.connection.cause)
        rig.advance(EPSILON)
        rig.finish()
        self.assertEqual((code_of(rig), rig.verdict.url_error_code), (1006, -1001))
        self.assertIn("100 seconds", str(rig.verdict))
        self.assertEqual(rig.sent(), [(Opcode.CLOSE, close_body(1001))])
        self.assertIsNone(Rig(self).engine._resource_due)

    def test_a_fault_that_nobody_receives(self) -> None:
        """It waits behind good messages for `close_timeout`, then takes effect."""
        rig = Rig(self, close_timeout=5)
        rig.give(frame(TEXT, b"a") + frame(3))
        rig.settle()
        self.assertEqual(rig.stream.waits[-1], (False, False, 5))
        rig.advance(5 - EPSILON)
        self.assertIsNone(rig.connection.cause)
        rig.advance(EPSILON)
        rig.finish()
        self.assertEqual(code_of(rig), 1002)
        self.assertEqual(rig.sent(), [(Opcode.CLOSE, close_body(1002))])

    def test_a_broken_write_leaves_a_second_for_reading(self) -> None:
        """Rule 180: nothing came: then the write's error is told."""
        rig = Rig(self)
        rig.stream.fails_at = 0
        rig.send("a")
        rig.settle()
        self.assertEqual(rig.stream.waits[-1], (True, False, SWEEP))
        rig.advance(SWEEP - EPSILON)
        self.assertIsNone(rig.connection.cause)
        rig.advance(EPSILON)
        rig.finish()
        self.assertIsInstance(rig.verdict.__cause__, ConnectionResetError)
        self.assertIs(rig.verdict, rig.connection.outbox.broken)

    def test_a_close_within_that_second_explains_it(self) -> None:
        """Rule 180: the peer said why it hung up."""
        rig = Rig(self)
        rig.stream.fails_at = 0
        send = rig.send("a")
        rig.give(frame(CLOSE, close_body(1001)))
        now = rig.clock.now()
        rig.finish()
        self.assertEqual(rig.clock.now(), now, "nothing can be said, so nothing is waited for")
        self.assertEqual((rig.connection.close_code, rig.connection.error), (1001, None))
        self.assertIs(send.completion.error, rig.verdict)

    def test_a_write_that_breaks_at_the_opening_or_in_a_beat(self) -> None:
        """The second begins at once, wherever the engine itself noticed it."""
        rig = Rig(self, opened=False)
        rig.send("early")
        rig.connection.outbox.broken = lost()
        rig.open()
        rig.settle()
        self.assertEqual(rig.stream.waits[-1][2], SWEEP)
        rig = Rig(self, ping_interval=20)
        rig.stream.fails_at = 0
        rig.advance(20)
        self.assertEqual(rig.stream.waits[-1][2], SWEEP)


class TurnTests(unittest.TestCase):
    def test_a_stalled_outbox_waits_until_it_can_write(self) -> None:
        """The socket is watched for writing exactly while something waits for it."""
        rig = Rig(self)
        rig.stream.takes = 0
        send = rig.send("a")
        rig.settle()
        self.assertEqual(rig.stream.waits[-1], (True, True, None))
        rig.stream.take()
        rig.settle()
        self.assertTrue(send.completion.done)
        self.assertEqual(rig.stream.waits[-1], (True, False, None))

    def test_a_stalled_outbox_does_not_stop_reading(self) -> None:
        """Rule 118: a peer that reads nothing can still be read from; its pings' answers wait in the queue."""
        rig = Rig(self)
        rig.stream.takes = 0
        rig.send("a")
        rig.give(frame(TEXT, b"b") + frame(PING, b"p"))
        self.assertEqual(rig.take_all(), ["b"])
        rig.stream.take()
        rig.settle()
        self.assertEqual([opcode for opcode, _ in rig.sent()], [Opcode.TEXT, Opcode.PONG])

    def test_more_work_than_one_turn_does_not_wait(self) -> None:
        """What a bounded write left over is the next turn's, without a sleep."""
        rig = Rig(self)
        with mock.patch("wssync.engine.changes.CALLER_BUDGET", 1), mock.patch("wssync.engine.loop.BUDGET", 1):
            with rig.connection.mutex:
                for _ in range(3):
                    rig.connection.outbox.append(_message(100_000))
            rig.engine._turn()
            self.assertEqual(rig.stream.waits[-1][2], 0)
            self.assertEqual(len(rig.sent()), 1)
            rig.settle()
        self.assertEqual(len(rig.sent()), 2)

    def test_a_warning_when_both_wait_for_each_other(self) -> None:
        """Engine 9: a send that waits while the receive buffer is full, said once."""
        rig = Rig(self, max_queue=(1, None))
        rig.give(frame(TEXT, b"x"))
        rig.settle()
        rig.stream.takes = 0
        rig.send("a")
        with self.assertLogs("wssync", logging.WARNING) as logged:
            rig.settle()
            rig.settle()
        self.assertEqual(len(logged.records), 1)
        self.assertIn("1 received messages wait", logged.records[0].getMessage())

    def test_no_warning_otherwise(self) -> None:
        """Neither a suspended task nor one whose peer alone is slow."""
        rig = Rig(self)
        rig.stream.takes = 0
        rig.send("a")
        with self.assertRaises(AssertionError), self.assertLogs("wssync", logging.WARNING):
            rig.settle()

    def test_handlers_are_started_at_the_end_of_a_turn(self) -> None:
        """The engine thread kicks the strand; nothing runs on it."""
        rig = Rig(self)
        rig.receive()
        rig.run_callbacks()
        rig.give(frame(TEXT, b"a"))
        self.assertEqual((rig.results, len(rig.callbacks)), ([], 1))


def _message(size: int) -> Outgoing:
    return Outgoing(Opcode.BINARY, b"x" * size, Waiter())


class FinishTests(unittest.TestCase):
    def test_the_order_of_the_end(self) -> None:
        """Rules 161, 175: sends, receives, pings, each in order; then `did_close`, then `did_complete`."""
        rig = Rig(self, opened=True)
        order: List[str] = []
        rig.stream.takes = 0
        for name in ("a", "b"):
            rig.connection.ping(None, _handler(order, f"ping {name}"))
            rig.connection.receive(_handler(order, f"receive {name}"))
            rig.connection.send(Opcode.TEXT, b"", _handler(order, f"send {name}"))
        rig.run_callbacks()
        rig.listener.heard.clear()
        rig.listener.callback = lambda name: lambda *details: order.append(name)  # type: ignore[method-assign]
        rig.give(frame(CLOSE, close_body(1000)))
        rig.finish()
        rig.run_callbacks()
        self.assertEqual(
            order,
            ["send a", "send b", "receive a", "receive b", "ping a", "ping b", "did_close", "did_complete"],
        )
        self.assertTrue(rig.listener.is_finished.is_set())
        self.assertEqual(rig.connection.phase, Phase.GONE)

    def test_everything_is_given_back(self) -> None:
        """The descriptor is closed once, last; the connection keeps nothing of the engine."""
        rig = Rig(self)
        rig.connection.cancel()
        rig.finish()
        self.assertEqual((rig.stream.calls.count("close"), rig.stream.calls[-1]), (1, "close"))
        connection = rig.connection
        self.assertIsNone(connection.waker)
        self.assertIsNone(connection.reader)
        self.assertIs(connection.closing.state, ClosingState.CLOSED)
        for event in (connection.opened, connection.ended, connection.gone):
            self.assertTrue(event.is_set())
        self.assertEqual(rig.engine._waker.fileno(), -1)
        connection.outbox.stalled = False
        connection.flush()

    def test_a_cancel_tries_an_empty_close(self) -> None:
        """`cancel()`: one write without waiting; what was queued is dropped; then it is cut at once."""
        rig = Rig(self)
        rig.stream.holds = True
        rig.connection.outbox.stalled = True
        send = rig.send("dropped")
        rig.stream.holds = rig.connection.outbox.stalled = False
        rig.connection.cancel()
        waits, now = len(rig.stream.waits), rig.clock.now()
        rig.finish()
        self.assertEqual(rig.sent(), [(Opcode.CLOSE, b"")])
        self.assertIsInstance(send.completion.error, Cancelled)
        self.assertEqual((rig.clock.now(), len(rig.stream.waits)), (now, waits))
        self.assertEqual(rig.connection.close_code, 1006)

    def test_a_cancel_in_the_middle_of_a_frame_sends_nothing_more(self) -> None:
        """Neither the rest of the frame, nor a Close, nor what waits behind it."""
        for suspended in (False, True):
            rig = Rig(self)
            rig.stream.room = 10
            send = rig.send("x" * 50)
            rig.send("behind")
            if suspended:
                rig.connection.suspend()
            rig.stream.take()
            rig.connection.outbox.stalled = False
            rig.connection.cancel()
            rig.finish()
            self.assertEqual(len(rig.stream.outgoing), 10)
            self.assertIsInstance(send.completion.error, Cancelled)

    def test_a_cancelled_suspended_task_sends_its_close(self) -> None:
        """What was held back is dropped, the empty Close is tried all the same."""
        rig = Rig(self)
        rig.connection.suspend()
        rig.send("dropped")
        rig.connection.cancel()
        rig.finish()
        self.assertEqual(rig.sent(), [(Opcode.CLOSE, b"")])

    def test_after_a_clean_close_the_server_hangs_up_first(self) -> None:
        """Rule 159: we wait for its end of the stream, whatever else it says, until `close_timeout`."""
        for ending in ("end", "reset", "none"):
            rig = Rig(self, close_timeout=10)
            rig.give(frame(CLOSE, close_body(1000)))
            began = rig.clock.now()
            script = [lambda rig=rig: rig.clock.advance(3), lambda rig=rig: rig.stream.give(b"junk")]
            if ending == "end":
                script.append(lambda rig=rig: rig.stream.give_end())
            elif ending == "reset":
                script.append(lambda rig=rig: rig.stream.give_error())
            rig.finish(*script)
            self.assertEqual(rig.clock.now() - began, 10 if ending == "none" else 3)
            self.assertEqual(rig.connection.close_code, 1000)

    def test_the_time_of_close_bounds_the_whole(self) -> None:
        """`close(timeout=)` bounds handshake and waiting for the end together."""
        rig = Rig(self, close_timeout=10)
        began = rig.clock.now()
        rig.connection.close(1000, None, 4.0)
        rig.settle()
        rig.clock.advance(3)
        rig.give(BYE)
        rig.finish()
        self.assertEqual(rig.clock.now() - began, 4)

    def test_a_cancel_cuts_the_waiting(self) -> None:
        """The answers stand: it was closed well."""
        rig = Rig(self, close_timeout=10)
        rig.give(BYE)
        began = rig.clock.now()
        rig.finish(rig.connection.cancel)
        self.assertEqual(rig.clock.now(), began)
        self.assertTrue(rig.verdict.clean)  # type: ignore[attr-defined]
        self.assertIsNone(rig.connection.error)

    def test_a_close_that_must_wait_is_sent_while_lingering(self) -> None:
        """The kernel was full: the rest of the frame and the Close go when it has room."""
        rig = Rig(self)
        rig.stream.room = 10
        rig.send("x" * 50)
        rig.give(BYE)
        rig.finish(rig.stream.take, rig.stream.give_end)
        self.assertEqual([opcode for opcode, _ in rig.sent()], [Opcode.TEXT, Opcode.CLOSE])

    def test_after_a_fault_the_peer_gets_a_second(self) -> None:
        """Our Close must arrive before the connection is cut; not longer than that, nor than `close_timeout`."""
        for timeout, patience in ((10.0, LINGER), (0.5, 0.5)):
            rig = Rig(self, close_timeout=timeout)
            rig.give(frame(3))
            began = rig.clock.now()
            rig.finish()
            self.assertIsInstance(rig.verdict, ProtocolError)
            self.assertEqual(rig.clock.now() - began, patience)

    def test_a_fault_while_closing_keeps_to_the_time_of_close(self) -> None:
        """What is left of it is the limit."""
        rig = Rig(self)
        rig.connection.close(1000, None, 0.25)
        began = rig.clock.now()
        rig.give(frame(3))
        rig.finish()
        self.assertEqual(rig.clock.now() - began, 0.25)

    def test_nothing_is_waited_for_when_the_peer_has_hung_up(self) -> None:
        """It reset the connection after our Close."""
        rig = Rig(self)
        rig.connection.close(1000, None, None)
        rig.stream.give_error()
        rig.settle()
        began, waits = rig.clock.now(), len(rig.stream.waits)
        rig.finish()
        self.assertEqual((rig.clock.now(), len(rig.stream.waits)), (began, waits))

    def test_a_peer_that_hangs_up_at_once_is_not_waited_for(self) -> None:
        """The end of the stream came with its Close: one look finds it."""
        rig = Rig(self)
        rig.stream.give(BYE)
        rig.stream.give_end()
        rig.settle()
        waits = len(rig.stream.waits)
        rig.finish()
        self.assertTrue(rig.verdict.clean)  # type: ignore[attr-defined]
        self.assertEqual(len(rig.stream.waits), waits)

    def test_there_is_nothing_to_wait_for_when_it_was_lost(self) -> None:
        """No lingering after the end of the stream, a reset or a broken write, nor without a Close of ours."""
        for break_it in ("give_end", "give_error"):
            rig = Rig(self)
            getattr(rig.stream, break_it)()
            rig.settle()
            began = rig.clock.now()
            rig.finish()
            self.assertEqual(rig.clock.now(), began)
        rig = Rig(self)
        rig.connection.end(ConnectionClosed("x"))
        rig.finish()
        self.assertEqual(rig.clock.now(), began)

    def test_a_failing_step_does_not_stop_the_next(self) -> None:
        """Invariant 12: whatever goes wrong at the end, all are answered and the descriptor is closed."""
        for step in ("_say_goodbye", "_linger"):
            rig = Rig(self)
            waiting = rig.receive(blocking=True)
            rig.connection.cancel()
            failing: Any = mock.patch.object(rig.engine, step, side_effect=OSError("boom"))
            with failing, self.assertLogs("wssync", logging.ERROR):
                rig.finish()
            self.assertIsInstance(waiting.error, Cancelled)
            self.assertTrue(rig.connection.gone.is_set())
            self.assertEqual(rig.stream.calls[-1], "close")

    def test_the_end_waits_for_those_who_read_and_write(self) -> None:
        """Invariant 10: both roles are held while the stream is closed."""
        rig = Rig(self)
        owned: List[bool] = []

        def close() -> None:
            for role in (rig.engine.reader.role, rig.connection.outbox.role):
                owned.append(role.lock._is_owned())

        rig.connection.cancel()
        with mock.patch.object(rig.stream, "close", close):
            rig.finish()
        self.assertEqual(owned, [True, True])

    def test_everything_is_answered_with_both_roles(self) -> None:
        """Engine 8: nobody is between fetching and publishing, or taking and recording, when the end comes."""
        rig = Rig(self)
        owned: List[bool] = []
        complete = rig.connection._complete

        def watched() -> None:
            for role in (rig.engine.reader.role, rig.connection.outbox.role):
                owned.append(role.lock._is_owned())
            complete()

        rig.connection.cancel()
        with mock.patch.object(rig.connection, "_complete", watched):
            rig.finish()
        self.assertEqual(owned, [True, True])


def _handler(order: List[str], name: str) -> Handler[Any]:
    return Handler(lambda completion: order.append(name))


class ThreadTests(unittest.TestCase):
    def test_it_is_a_daemon_with_a_name(self) -> None:
        """`wssync-read-N`; it does not keep a program alive, and is gone after the end."""
        rig = Rig(self, threaded=True)
        thread = rig.connection.thread
        assert thread is not None
        self.assertRegex(thread.name, r"^wssync-read-\d+$")
        self.assertTrue(thread.daemon)
        rig.connection.cancel()
        rig.wait(rig.connection.gone)
        thread.join(PATIENCE)
        self.assertFalse(thread.is_alive())

    def test_messages_both_ways(self) -> None:
        """The thread sleeps, is woken by what comes, and by what is to be sent."""
        rig = Rig(self, threaded=True)
        waiter: Waiter[Message] = Waiter()
        rig.connection.receive(waiter)
        rig.stream.give(frame(TEXT, b"a"))
        waiter.wait(PATIENCE)
        self.assertEqual(waiter.value, "a")
        rig.stream.takes = 0
        sent = rig.send("b", blocking=True).completion
        rig.stream.take()
        assert isinstance(sent, Waiter)
        sent.wait(PATIENCE)
        self.assertTrue(sent.done)
        rig.stream.give(BYE)
        rig.stream.give_end()
        rig.wait(rig.connection.gone)
        self.assertEqual(rig.connection.close_code, 1000)

    def test_a_thread_that_cannot_start(self) -> None:
        """The task has ended with that error, everything is answered, and the caller hears of it."""
        rig = Rig(self, opened=False)
        waiting = rig.receive(blocking=True)
        rig.connection.resume()
        failing: Any = mock.patch.object(threading.Thread, "start", side_effect=RuntimeError("can't start new thread"))
        with failing, self.assertRaisesRegex(RuntimeError, "can't start"):
            rig.engine.start()
        error = waiting.error
        assert error is not None
        self.assertIsInstance(error, ConnectionFailed)
        self.assertIsInstance(error.__cause__, RuntimeError)
        self.assertIsNone(rig.connection.thread)
        self.assertTrue(rig.connection.gone.is_set())
        self.assertEqual(rig.gate._rows, {}, "it has given its place up")

    def test_an_interrupt_while_the_thread_starts(self) -> None:
        """Ctrl-C before it runs: nobody says goodbye to it, or waits. After that it is as alive as any."""
        start = threading.Thread.start
        for has_begun in (False, True):
            rig = Rig(self, opened=False)
            rig.connection.resume()
            begun = threading.Event()

            def run(rig: Rig = rig, begun: threading.Event = begun) -> None:
                rig.engine._openings.pop()
                begun.set()

            def strike(thread: threading.Thread, is_made: bool = has_begun, begun: threading.Event = begun) -> None:
                if is_made:
                    start(thread)
                    begun.wait(PATIENCE)
                raise KeyboardInterrupt

            running = mock.patch.object(rig.engine, "run", run)
            with running, mock.patch.object(threading.Thread, "start", strike), self.assertRaises(KeyboardInterrupt):
                rig.engine.start()
            self.assertEqual(rig.connection in goodbye._connections, has_begun)
            self.assertEqual(rig.connection.thread is not None, has_begun)
            self.assertEqual(bool(rig.gate._rows), has_begun, "whoever will not open has given its place up")
            self.assertIs(rig.connection.phase, Phase.OPENING if has_begun else Phase.NEW)
            goodbye.forget_connection(rig.connection)

    def test_an_interrupt_before_there_is_a_thread(self) -> None:
        """Wherever it strikes: the task can be resumed again, or cancelled, and nothing stays of it."""
        for place in ("_make_opening", "make_thread", "line_up"):
            for ends in (False, True):
                rig = Rig(self, opened=False)
                early = rig.receive()
                rig.connection.resume()
                target: Any = {"_make_opening": Engine, "make_thread": loop, "line_up": Opening}[place]
                with mock.patch.object(target, place, side_effect=KeyboardInterrupt):
                    self.assertRaises(KeyboardInterrupt, rig.engine.start)
                self.assertEqual((rig.connection.phase, rig.connection.suspended), (Phase.NEW, True))
                self.assertEqual((rig.connection.thread, rig.connection.waker, rig.gate._rows), (None, None, {}))
                self.assertNotIn(rig.connection, goodbye._connections)
                if ends:
                    rig.connection.cancel()
                    self.assertIsInstance(early.error, Cancelled)
                else:
                    rig.engine = Engine(rig.connection, rig.plan)
                    rig.clock.attend(rig.engine._waker)
                    rig.open()
                    self.assertIs(rig.connection.phase, Phase.OPEN)

    def test_an_interrupt_of_the_start_of_one_that_was_cancelled(self) -> None:
        """It has ended."""
        rig = Rig(self, opened=False)
        early = rig.receive()
        rig.connection.resume()
        rig.connection.cancel()
        with mock.patch.object(loop, "make_thread", side_effect=KeyboardInterrupt):
            self.assertRaises(KeyboardInterrupt, rig.engine.start)
        self.assertTrue(rig.connection.gone.is_set())
        self.assertIsInstance(early.error, Cancelled)

    def test_a_thread_that_begins_after_all(self) -> None:
        """Who started it has given up, and perhaps started another: it leaves at once."""
        rig = Rig(self, opened=False)
        rig.connection.resume()
        rig.engine._openings.clear()
        rig.engine.run()
        self.assertEqual((rig.stream.calls, rig.connection.phase), ([], Phase.OPENING))

    def breaks(self, rig: Rig, error: BaseException) -> None:
        waiting = rig.receive(blocking=True)

        def fail() -> None:
            raise error

        rig.stream.before_wait = fail
        with self.assertLogs("wssync", logging.ERROR) as logged:
            rig.connection.wake()
            rig.wait(rig.connection.gone)
        self.assertIn("engine of a connection failed", logged.output[0])
        verdict = waiting.error
        assert isinstance(verdict, ConnectionClosed)
        self.assertIs(verdict.__cause__, error)
        self.assertEqual(rig.connection.close_code, 1006)

    def test_an_exception_in_the_thread_ends_the_connection(self) -> None:
        """Invariant 12: it never just dies; every answer is given, the log has the traceback."""
        for error in (OSError("bad descriptor"), MemoryError(), SystemExit()):
            self.breaks(Rig(self, threaded=True), error)

    def test_an_exception_while_opening(self) -> None:
        """The same, as an error of the opening."""
        rig = Rig(self, threaded=True, opened=False, answer=_raise)
        rig.connection.resume()
        with self.assertLogs("wssync", logging.ERROR):
            rig.engine.start()
            rig.wait(rig.connection.gone)
        self.assertIsInstance(rig.verdict, ConnectionFailed)
        self.assertEqual(rig.connection.close_code, 0)

    def test_a_pong_wakes_a_pinger(self) -> None:
        """A blocked ping is answered by the thread."""
        rig = Rig(self, threaded=True)
        waiter: Waiter[float] = Waiter()
        rig.connection.ping(b"p", waiter)
        rig.clock.advance(1)
        rig.stream.give(frame(PONG, b"p"))
        waiter.wait(PATIENCE)
        self.assertEqual(waiter.value, 1.0)

    def test_fragments_and_control_frames(self) -> None:
        """Rule 126: control frames between fragments are handled at once."""
        rig = Rig(self, threaded=True)
        rig.stream.give(frame(TEXT, b"a", fin=False) + frame(PING, b"p"))
        rig.stream.wait_until(lambda: bool(rig.stream.outgoing), "the pong")
        waiter: Waiter[Message] = Waiter()
        rig.connection.receive(waiter)
        rig.stream.give(frame(CONTINUATION, b"b"))
        waiter.wait(PATIENCE)
        self.assertEqual(waiter.value, "ab")


def _raise(head: bytes) -> List[bytes]:
    raise ZeroDivisionError

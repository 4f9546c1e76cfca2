"""What a borrower does with the read role: a long message, read to its end; all else is in `test_reader`."""

from __future__ import annotations

import socket
import unittest
from typing import Any, Callable, List, Optional, Tuple
from unittest import mock

from tests.protocol.wire import BINARY, TEXT, frame
from tests.support import cases, with_cases
from tests.threads import PATIENCE, Running
from wssync.engine.completions import Message, Waiter
from wssync.errors import ConnectionClosed, MessageTooBig
from wssync.protocol.closing import CloseCode

from .borrowing import SocketRig, in_each_form
from .test_schedules import Point, before

LONG = bytes(range(256)) * 2000
DATA = frame(BINARY, LONG)


class WholeTests(unittest.TestCase):
    """What comes of it, in each form."""

    def half_way(self, form: str) -> Tuple[SocketRig, Running[Message]]:
        """A borrower that waits for the rest: 100,000 bytes have come."""
        rig = SocketRig(self, form, threaded=True)
        receiving = rig.receiving()
        rig.say(DATA[:100_000])
        receiving.until(lambda: rig.connection.count_progress() == 100_000 - 10)
        return rig, receiving

    @in_each_form
    def test_it_is_read_to_its_end(self, form: str) -> None:
        """It comes faster than it is read, another behind it: counted, a sign of life, and the way is open again."""
        rig = SocketRig(self, form)
        for _ in range(2):
            rig.clock.advance(1)
            saying = Running(lambda: rig.say(DATA, frame(TEXT, b"a")))
            self.assertEqual(rig.receive_blocking(), LONG)
            self.assertEqual(rig.receive_blocking(), "a")
            saying.result()
        self.assertEqual(rig.connection.heartbeat.heard_at, rig.clock.now())
        tally = rig.connection.tally
        self.assertEqual((tally.received, tally.messages), (2 * len(LONG) + 2, 4))
        self.assertEqual(tally.wire, 2 * (len(DATA) + 3))
        self.assertEqual(rig.connection.unfinished, 0)
        rig.free()

    @in_each_form
    def test_a_text(self, form: str) -> None:
        """Rule 122: so is a text."""
        rig = SocketRig(self, form)
        saying = Running(lambda: rig.say(frame(TEXT, b"t" * 300_000)))
        self.assertEqual(rig.receive_blocking(), "t" * 300_000)
        saying.result()

    @in_each_form
    def test_a_limit(self, form: str) -> None:
        """Rule 128: a message of just so many bytes passes; a longer one fails with its header."""
        rig = SocketRig(self, form, threaded=True)
        rig.connection.size_limit = len(LONG)
        saying = Running(lambda: rig.say(DATA))
        self.assertEqual(rig.receive_blocking(), LONG)
        saying.result()
        rig.connection.size_limit = len(LONG) - 1
        rig.say(DATA[:5000])
        with self.assertRaises(MessageTooBig):
            rig.receive_blocking()

    @in_each_form
    def test_the_end_meanwhile(self, form: str) -> None:
        """Rule 176: the connection is lost, with all that had come of the message."""
        rig = SocketRig(self, form, threaded=True)
        saying = Running(lambda: rig.say(DATA[:300_000]))
        receiving = Running(rig.receive_blocking)
        saying.result()
        rig.peer.close()
        error = receiving.error()
        assert isinstance(error, ConnectionClosed)
        self.assertEqual(error.code, CloseCode.ABNORMAL_CLOSURE)

    @in_each_form
    def test_what_has_come_is_counted(self, form: str) -> None:
        """While it waits for the rest, too; each time that something comes is a sign of life."""
        rig = SocketRig(self, form, threaded=True)
        receiving = rig.receiving()
        for end in (100_000, 200_000):
            rig.clock.advance(1)
            rig.say(DATA[end - 100_000 : end])
            receiving.until(lambda end=end: rig.connection.count_progress() == end - 10)  # type: ignore[misc]
            receiving.until(lambda: rig.connection.heartbeat.heard_at == rig.clock.now())
        saying = Running(lambda: rig.say(DATA[200_000:]))
        self.assertEqual(receiving.result(), LONG)
        self.assertEqual(rig.connection.count_progress(), len(LONG))
        saying.result()

    @in_each_form
    def test_somebody_comes_meanwhile(self, form: str) -> None:
        """Who queues up while it waits for the rest stands before it in the row: there is no message yet."""
        rig, receiving = self.half_way(form)
        second = rig.receive(blocking=True)
        saying = Running(lambda: rig.say(DATA[100_000:], frame(TEXT, b"a")))
        self.assertEqual(receiving.result(), "a")
        saying.result()
        assert isinstance(second, Waiter)
        self.assertTrue(second.wait(PATIENCE))
        self.assertEqual(second.value, LONG)

    @in_each_form
    def test_a_suspended_task(self, form: str) -> None:
        """What comes is kept as it is; the message comes whole when the task goes on."""
        rig, receiving = self.half_way(form)
        rig.connection.suspend()
        rig.say(DATA[100_000:200_000])
        rig.connection.resume()
        saying = Running(lambda: rig.say(DATA[200_000:]))
        self.assertEqual(receiving.result(), LONG)
        saying.result()

    @in_each_form
    def test_suspended_before_the_first_byte(self, form: str) -> None:
        """It stands in the row as the first, before one that came while the task was suspended."""
        rig = SocketRig(self, form, threaded=True)
        receiving = rig.receiving()
        second = rig.receive(blocking=True)
        rig.connection.suspend()
        point = Point()
        before(rig.connection, "receive_in_turn", point)
        rig.say(DATA[:100_000])
        point.wait()
        self.assertEqual(rig.connection.tally.wire, 0)
        point.go()
        rig.connection.resume()
        saying = Running(lambda: rig.say(DATA[100_000:], frame(TEXT, b"a")))
        self.assertEqual(receiving.result(), LONG)
        saying.result()
        assert isinstance(second, Waiter)
        self.assertTrue(second.wait(PATIENCE))
        self.assertEqual(second.value, "a")

    @in_each_form
    def test_an_older_message_is_put_back(self, form: str) -> None:
        """By another receive that was interrupted: it comes first, whoever has read on meanwhile."""
        rig, receiving = self.half_way(form)
        rig.connection.put_back("older")
        saying = Running(lambda: rig.say(DATA[100_000:]))
        self.assertEqual(receiving.result(), "older")
        self.assertEqual(rig.receive_blocking(), LONG)
        saying.result()

    @in_each_form
    def test_a_limit_that_is_set_meanwhile(self, form: str) -> None:
        """Rule 129: it is for messages that begin afterwards, whoever reads this one to its end."""
        rig, receiving = self.half_way(form)
        rig.connection.size_limit = 1000
        second = rig.receive(blocking=True)
        saying = Running(lambda: rig.say(DATA[100_000:], frame(BINARY, b"b" * 1001)))
        assert isinstance(second, Waiter)
        self.assertTrue(second.wait(PATIENCE))
        self.assertEqual(second.value, LONG)
        saying.result()
        self.assertIsInstance(receiving.error(), MessageTooBig)


def interrupt() -> None:
    """Ctrl-C."""
    raise KeyboardInterrupt


@with_cases
class StepTests(unittest.TestCase):
    """Something happens between two reads, in the form without the accelerator."""

    def begin(self, *steps: Callable[[], object]) -> SocketRig:
        """The first part has come; before each read of the rest a part more comes, and behind it a step is done."""
        rig = SocketRig(self, "pure")
        self.places: List[int] = []
        fill, left = rig.reader._fill, list(steps)

        def fill_and_act(box: List[Any], room: memoryview, is_patient: bool) -> None:
            start = 5000 + 50_000 * len(self.places)
            self.places.append(start)
            rig.say(DATA[start : start + 50_000])
            fill(box, room, is_patient)
            if left:
                left.pop(0)()

        rig.say(DATA[:5000])
        rig.reader._most = (5000,)
        self.patch = mock.patch.object(rig.reader, "_fill", fill_and_act)
        self.patch.start()
        self.addCleanup(self.patch.stop)
        return rig

    def go_on(self, rig: SocketRig) -> None:
        """The rest comes, and something behind it: all is received, in its order, and counted once."""
        start = 5000 + 50_000 * len(self.places)
        saying = Running(lambda: rig.say(DATA[start:], frame(TEXT, b"a")))
        self.patch.stop()
        self.assertEqual([rig.receive_blocking(), rig.receive_blocking()], [LONG, "a"])
        saying.result()
        self.assertEqual(rig.connection.tally.wire, len(DATA) + 3)
        self.assertEqual(rig.connection.tally.received, len(LONG) + 1)
        self.assertEqual(rig.connection.tally.messages, 2)
        rig.free()

    @cases((str(count), count) for count in (1, 2, 5))
    def test_an_interrupt(self, count: int) -> None:
        """Ctrl-C between two reads: what came is in the box, and the next receive goes on from there."""
        rig = self.begin(*[lambda: None] * (count - 1), interrupt)
        with self.assertRaises(KeyboardInterrupt):
            rig.receive_blocking()
        rig.free()
        self.go_on(rig)

    @cases((str(count), count) for count in (0, 1, 3))
    def test_by_the_engine_thread(self, count: int) -> None:
        """The same, and then it is the engine thread that reads on."""
        rig = self.begin(*[lambda: None] * count, interrupt)
        with self.assertRaises(KeyboardInterrupt):
            rig.receive_blocking()
        rig.reader.role.attempt(rig.reader.read)
        self.go_on(rig)

    def test_nothing_yet(self) -> None:
        """What is read through TLS may come to nothing: then it is no message, short or long, and it waits again."""
        rig = SocketRig(self, "pure")
        patient, answers = rig.reader._patient, [None]
        assert patient is not None
        rig.reader._patient = lambda limit: answers.pop() if answers else patient(limit)
        rig.say(frame(TEXT, b"a"))
        self.assertEqual(rig.receive_blocking(), "a")
        self.assertEqual(answers, [])

    @cases((str(count), count) for count in (1, 2))
    def test_an_interrupt_within_a_read_into_memory(self, count: int) -> None:
        """TLS may have filled a part: who reads next has the same memory again, also where little is left."""
        data = frame(BINARY, b"x" * 70_000)
        rooms: List[int] = []
        struck: List[int] = []
        rig = SocketRig(self, "pure")
        direct = rig.reader._direct
        assert direct is not None
        rig.reader._direct, rig.reader._most = None, (40_000,)

        def recv_into(room: memoryview, patient: bool) -> int:
            if len(rooms) == count - 1 and not struck:
                struck.append(len(room))
                raise KeyboardInterrupt
            rooms.append(len(room))
            return direct.recv_into(room, min(len(room), 20_000), 0)

        rig.reader._recv_into = recv_into
        rig.say(data, frame(TEXT, b"a"))
        with self.assertRaises(KeyboardInterrupt):
            rig.receive_blocking()
        self.assertEqual([rig.receive_blocking(), rig.receive_blocking()], [b"x" * 70_000, "a"])
        self.assertEqual(rooms, [70_010 - 40_000, 70_010 - 60_000])
        self.assertEqual(struck, rooms[count - 1 : count])

    def test_an_alarm(self) -> None:
        """What a signal's handler raises may be an OSError: it is the caller's, and says nothing of the connection."""

        def alarm() -> None:
            raise TimeoutError("an alarm")

        rig = self.begin(alarm)
        with self.assertRaises(TimeoutError):
            rig.receive_blocking()
        self.assertIsNone(rig.connection.cause)
        self.go_on(rig)

    def lost(self, act: Callable[[SocketRig], object]) -> ConnectionClosed:
        """The error with which the connection ends when the peer does that in the middle of a message."""
        rig = SocketRig(self, "pure")
        rig.send("never read")
        rig.say(DATA[:5000])
        rig.reader._most = (4096,)
        fill = rig.reader._fill

        def act_first(box: List[Any], room: memoryview, is_patient: bool) -> None:
            act(rig)
            fill(box, room, is_patient)

        with mock.patch.object(rig.reader, "_fill", act_first):
            self.assertIsNone(rig.reader.borrow(None))
        assert isinstance(rig.connection.cause, ConnectionClosed)
        return rig.connection.cause

    def test_a_reset(self) -> None:
        """Rule 176: 1006, with the cause kept."""
        error = self.lost(lambda rig: rig.peer.close())
        self.assertEqual(error.code, CloseCode.ABNORMAL_CLOSURE)
        self.assertIsInstance(error.__cause__, ConnectionResetError)

    def test_the_end(self) -> None:
        """Rule 176: so is the end of the stream, which has no cause."""
        error = self.lost(lambda rig: rig.peer.shutdown(socket.SHUT_WR))
        self.assertEqual((error.code, error.__cause__), (CloseCode.ABNORMAL_CLOSURE, None))

    @cases(between=(2, None, [LONG]), behind_the_last=(-(-(len(DATA) - 5000) // 50_000), LONG, ["a"]))
    def test_the_way_closes(self, count: int, got: Optional[Message], handled: List[Message]) -> None:
        """A receive queues up, between two reads or behind the last: it is served first unless the message is whole."""
        saying: List[Running[None]] = []

        def come() -> None:
            self.patch.stop()
            rig.receive()
            saying.append(Running(lambda: rig.say(DATA[5000 + 50_000 * count :], frame(TEXT, b"a"))))

        rig = self.begin(*[lambda: None] * (count - 1), come)
        self.assertEqual(rig.reader.borrow(None), got)
        while rig.connection.tally.messages < 2:
            self.assertTrue(rig.stream.wait(True, False, PATIENCE)[0])
            rig.reader.role.attempt(rig.reader.read)
        saying[0].result()
        rig.run_callbacks()
        self.assertEqual([result.message for result in rig.results], handled)
        self.assertEqual(rig.take_all(), ["a"] if got is None else [])


if __name__ == "__main__":
    unittest.main()

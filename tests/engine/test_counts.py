"""What has gone over a connection, counted: the counters against the bytes that really went.

The property: whatever is said in whatever pieces, by whichever way, messages, payload, frames and bytes on the wire are
those of the conversation as it stands recorded on the other end.
"""

from __future__ import annotations

import random
import unittest
from typing import Any, Callable, Dict, List, Optional, Tuple

from tests.engine.borrowing import FORMS, SocketRig
from tests.engine.support import Frame, Rig, accepting, frames_in
from tests.interrupts import interrupted_at
from tests.protocol.wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame, header
from tests.support import cases, with_cases
from wssync.engine.completions import Waiter
from wssync.engine.tracing import Tracer
from wssync.protocol.deflate import Compressor, DeflateOptions, DeflateParameters
from wssync.protocol.frames import Opcode, Role

SEEDS = range(3)

SIZES = (0, 1, 125, 126, 5000, 65_535, 65_536, 65_537, 300_000)


class Conversation:
    """What a peer says, drawn at random, and what it amounts to."""

    def __init__(self, draw: random.Random, compressor: Optional[Compressor] = None) -> None:
        self._draw = draw
        self._compressor = compressor
        self.data = b""
        self.messages = self.payload = self.frames = 0

    def say_something(self) -> bytes:
        kind = self._draw.choice(("text", "text", "binary", "fragments", "ping", "pong"))
        if kind in ("ping", "pong"):
            self.frames += 1
            data = frame(PING if kind == "ping" else PONG, bytes(self._draw.choice((0, 5, 125))))
        else:
            data = self._message(kind, self._draw.choice(SIZES))
        self.data += data
        return data

    def _message(self, kind: str, size: int) -> bytes:
        payload = self._draw.choice((b"a", b"\xc3\xa4")) * size if kind == "text" else self._draw.randbytes(size)
        self.messages += 1
        self.payload += len(payload)
        opcode, rsv = TEXT if kind == "text" else BINARY, 0
        compressed = None if self._compressor is None else self._compressor.compress(payload)
        if compressed is not None:
            payload, rsv = compressed, 4
        if kind != "fragments":
            self.frames += 1
            return frame(opcode, payload, rsv=rsv)
        middle = self._draw.randrange(len(payload) + 1)
        self.frames += 3
        return (
            frame(opcode, payload[:middle], fin=False, rsv=rsv)
            + frame(CONTINUATION, b"", fin=False)
            + frame(CONTINUATION, payload[middle:])
        )


def received(rig: Rig) -> Tuple[int, int, int, int]:
    tally = rig.connection.tally
    return tally.messages, tally.received, tally.messages + rig.connection.others_received, tally.wire


def sent(rig: Rig) -> Tuple[int, int, int, int]:
    outbox = rig.connection.outbox
    return (
        outbox.counts.messages_sent,
        outbox.counts.sent,
        outbox.counts.messages_sent + outbox.others_sent,
        outbox.counts.wire_sent,
    )


def unlimited(case: unittest.TestCase, deflate: bool, hook: Optional[Callable[..., object]] = None) -> Rig:
    options = DeflateOptions() if deflate else None
    settings: Dict[str, Any] = {"compression": options, "maximum_message_size": None, "max_queue": None}
    rig = Rig(case, opened=False, answer=accepting(deflate=options), **settings)
    rig.connection.tracer = Tracer(None, hook)
    rig.open()
    return rig


VARIANTS = {"plain": (False, None), "compressed": (True, None), "traced": (True, lambda *event: None)}


@with_cases
class PropertyTests(unittest.TestCase):
    @cases(VARIANTS)
    def test_received(self, deflate: bool, hook: Optional[Callable[..., object]]) -> None:
        """Section 1.6: frames, messages, payload and wire are those of what the peer said, in whatever pieces it came:
        whole, fragmented, compressed.
        """
        for seed in SEEDS:
            draw = random.Random(seed)
            rig = unlimited(self, deflate, hook)
            compressor = Compressor(DeflateParameters(), Role.SERVER, DeflateOptions()) if deflate else None
            said = Conversation(draw, compressor)
            for _ in range(40):
                data = said.say_something()
                for size in (draw.choice((1, 2, 3, 100)), draw.choice((5, 70_000)), len(data)):
                    rig.give(data[:size])
                    data = data[size:]
            rig.send(b"")
            rig.connection.flush()
            self.assertEqual(received(rig), (said.messages, said.payload, said.frames, len(said.data)), seed)

    @cases(VARIANTS)
    def test_sent(self, deflate: bool, hook: Optional[Callable[..., object]]) -> None:
        """Section 1.6: the same of what was said to the peer, by the short way and by the queue, whatever the kernel
        takes at a time.
        """
        for seed in SEEDS:
            draw = random.Random(seed)
            rig = unlimited(self, deflate, hook)
            payloads = [bytes(draw.choice(SIZES)) if draw.random() < 0.5 else b"x" for _ in range(40)]
            for payload in payloads:
                rig.stream.take(draw.choice((None, 5000, 60_000)))
                rig.settle()
                if draw.random() < 0.7 and rig.send_at_once(0x82, payload):
                    continue
                rig.connection.send(Opcode.BINARY, payload, Waiter())
                if draw.random() < 0.3:
                    rig.ping()
            rig.stream.take()
            rig.settle()
            wire = bytes(rig.stream.outgoing)
            frames = len(self.whole(wire))
            begun = sum(map(len, payloads))
            self.assertEqual(sent(rig), (len(payloads), begun, frames, len(wire)), seed)

    def whole(self, wire: bytes) -> List[Frame]:
        frames, rest = frames_in(wire)
        self.assertEqual(rest, b"")
        return frames

    @cases((form, form) for form in FORMS)
    def test_received_by_borrowers(self, form: str) -> None:
        """Section 1.6: a message is counted by whoever reads it, one by one or a thousand at once."""
        rig = SocketRig(self, form, threaded=True, max_queue=None)
        wire = payload = count = 0
        for batch in ([b"one"], [b"x" * 126], [b"\xc3\xa4", b"", b"y" * 125], [b"z" * 40_000, b"1"], [b"last"]):
            for opcode in (TEXT, BINARY):
                data = b"".join(frame(opcode, message) for message in batch)
                rig.let_wait()  # it may have seen what was left of the last batch, and holds the role for a moment
                receiving = rig.receiving()
                rig.say(data)
                receiving.result()
                for _ in batch[1:]:
                    rig.receive_blocking()
                wire, payload, count = wire + len(data), payload + sum(map(len, batch)), count + len(batch)
        self.assertEqual(received(rig), (count, payload, count, wire))

    @cases((form, form) for form in FORMS)
    def test_sent_at_once(self, form: str) -> None:
        """Section 1.6: each of the short ways tells what its frames are on the wire."""
        rig = SocketRig(self, form)
        for size in (0, 125, 126, 60_000, 65_535, 65_536):
            before = sent(rig)
            self.assertTrue(rig.send_at_once(0x82, bytes(size)))
            length = header(BINARY, size, masked=True)
            rig.hear()
            self.assertEqual(sent(rig)[3] - before[3], len(length) + 4 + size)
        self.assertEqual(sent(rig)[0], 6)

    def test_a_rest_is_counted_once(self) -> None:
        """What the kernel took of a frame, and what it takes later, is the frame."""
        rig = Rig(self)
        rig.stream.room = 10
        message = rig.send_at_once(0x82, b"x" * 100)
        self.assertEqual(sent(rig), (0, 0, 0, 10))
        rig.stream.take()
        rig.settle()
        assert not isinstance(message, bool)
        self.assertTrue(message.completion.done)
        self.assertEqual(sent(rig), (1, 100, 1, 106))

    def test_interrupted_sends_are_not_counted_twice(self) -> None:
        """Wherever an interrupt strikes, the bytes on the wire are no fewer than those that were counted."""
        number = 0
        hit = True
        while hit and number < 500:
            rig = Rig(self)
            rig.stream.room = 10
            hit = interrupted_at(number, lambda rig=rig: rig.send_at_once(0x82, b"x" * 100))  # type: ignore[misc]
            rig.stream.take()
            if rig.connection.outbox.broken is None:
                rig.settle()
            self.assertLessEqual(rig.connection.outbox.counts.wire_sent, len(rig.stream.outgoing))
            number += 1
        self.assertGreater(number, 5)

    def test_a_fault(self) -> None:
        """What came before it counts."""
        rig = Rig(self)
        rig.give(frame(TEXT, b"one") + frame(PING) + frame(TEXT, b"two", rsv=1))
        self.assertEqual(received(rig)[:3], (1, 3, 2))

    def test_a_close(self) -> None:
        """It is a frame like others, both ways, and what follows it is none."""
        rig = Rig(self)
        rig.give(frame(CLOSE) + frame(TEXT, b"late"))
        rig.finish(rig.stream.give_end)
        self.assertEqual(received(rig)[:3], (0, 0, 1))
        self.assertEqual(sent(rig)[:3], (0, 0, 1))
        counts = rig.connection.count_traffic()
        self.assertEqual((counts["sent_close"], counts["received_close"]), ((1005, None), (1005, None)))


class ProgressTests(unittest.TestCase):
    def test_of_a_long_message_that_comes(self) -> None:
        """It moves with every piece of the message, never back, and at its end the message counts once."""
        for opening in (header(BINARY, 200_000), header(TEXT, 0, fin=False) + header(CONTINUATION, 200_000)):
            rig = Rig(self)
            rig.give(frame(TEXT, b"before"), opening)
            seen = [rig.connection.count_progress()]
            for _ in range(10):
                rig.give(b"x" * 20_000)
                seen.append(rig.connection.count_progress())
            self.assertEqual(seen, [6 + 20_000 * number for number in range(11)])
            self.assertEqual((rig.connection.tally.received, rig.connection.unfinished), (200_006, 0))

    def test_of_a_compressed_message_that_comes(self) -> None:
        """It counts what comes out."""
        rig = unlimited(self, True)
        payload = Compressor(DeflateParameters(), Role.SERVER, DeflateOptions()).compress(
            random.Random(1).randbytes(50_000) * 2
        )
        assert payload is not None
        whole = frame(BINARY, payload, rsv=4)
        rig.give(whole[:60_000])
        self.assertGreater(rig.connection.count_progress(), 0)
        rig.give(whole[60_000:])
        self.assertEqual(rig.connection.count_progress(), 100_000)

    def test_of_a_long_message_that_goes(self) -> None:
        """It moves with what the kernel takes, never back, and ends with the size of the message."""
        rig = Rig(self)
        rig.stream.room = 0
        rig.send(b"y" * 100)
        rig.send(b"x" * 600_000)
        seen = [0]
        while rig.connection.outbox.has_rest:
            rig.stream.take()
            rig.stream.room = 10_000
            rig.settle()
            seen.append(rig.connection.count_progress())
        self.assertEqual(seen, sorted(seen))
        self.assertGreater(len(set(seen)), 50)
        self.assertEqual(seen[-1], 600_100)
        self.assertEqual(rig.connection.outbox.leaving, 0)

    def test_of_short_messages_that_go_together(self) -> None:
        """Of those in one write, each counts as far as it has left."""
        rig = Rig(self)
        rig.stream.room = 0
        for _ in range(3):
            rig.send(b"x" * 100)
        rig.stream.room = 106 + 56
        rig.settle()
        self.assertEqual(rig.connection.outbox.counts.sent, 100)
        self.assertEqual(rig.connection.count_progress(), 150)

    def test_while_tls_holds_the_last_piece(self) -> None:
        """A message of which everything was taken and not all has reached the kernel counts once."""
        rig = Rig(self)
        rig.send(b"x" * 300_000)
        rig.stream.holds = True
        for _ in range(5):
            rig.connection.outbox.stalled = False
            rig.connection.outbox.pump(1_000_000)
            self.assertLessEqual(rig.connection.count_progress(), 300_000)
        self.assertEqual(rig.connection.outbox.counts.sent, 0)
        rig.stream.holds = False
        rig.stream.take()
        rig.settle()
        self.assertEqual(rig.connection.count_progress(), 300_000)

    def test_a_message_between_two_places(self) -> None:
        """An interrupt may leave it in both; it counts once."""
        rig = Rig(self)
        outbox = rig.connection.outbox
        rig.stream.takes = 1000
        rig.stream.room = 100_000
        rig.send(b"x" * 300_000)
        rig.settle()
        assert outbox._current is not None
        self.assertEqual(outbox.leaving, 100_000)
        outbox._in_flight.append((outbox._current[0], 14 + 300_000))
        self.assertEqual(outbox.leaving, 100_000 - 14)
        outbox._in_flight.clear()

    def test_at_the_end(self) -> None:
        """A message that was never sent whole is not one that was sent."""
        rig = Rig(self)
        rig.stream.room = 1000
        rig.send(b"x" * 300_000)
        rig.settle()
        self.assertEqual(rig.connection.count_progress(), 1000)
        rig.connection.cancel()
        rig.finish()
        self.assertEqual(rig.connection.count_progress(), 0)

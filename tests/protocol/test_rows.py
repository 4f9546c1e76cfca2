"""Rows, which messages are cut into with the accelerator: held against a list of the same messages.

Where the extension was not built, these are skipped.
"""

from __future__ import annotations

import operator
import random
import sys
import unittest
from itertools import chain
from typing import Any, Callable, Iterator, List, Optional

from tests.protocol.soups import cut_as_said, soup
from tests.protocol.test_messages import blurred, decoder, traffic
from tests.protocol.wire import BINARY, PING, TEXT, cuts, fed, frame, shown
from tests.support import cases, with_cases
from tests.threads import Running
from wssync.protocol.frames import Role
from wssync.protocol.messages import Decoder, Event
from wssync.protocol.speed import ROW, Row, cut_messages

GOOD = frame(TEXT, b"one") + frame(BINARY, b"two") + frame(TEXT, b"") + frame(TEXT, b"4") + frame(BINARY, bytes(300))
MESSAGES = ["one", b"two", "", "4", bytes(300)]


def row(*messages: object, data: bytes = b"", limit: Optional[int] = None) -> Row:
    """A row of what can be cut out of the data, and of these messages behind it."""
    assert ROW is not None
    made = ROW()
    cut_messages(data, 0, limit, made)
    made.extend(messages)
    return made


@unittest.skipIf(ROW is None, "wssync._speedups was not built")
class RowCase(unittest.TestCase):
    def assertHolds(self, victim: Row, expected: List[Any]) -> None:
        """It shows all of these, again and again, and gives them one by one, each of its own type."""
        self.assertEqual((list(victim), len(victim), bool(victim)), (expected, len(expected), bool(expected)))
        self.assertEqual([type(message) for message in victim], [type(message) for message in expected])
        self.assertEqual([victim.popleft() for _ in expected], expected)
        self.assertEqual((list(victim), len(victim), bool(victim)), ([], 0, False))


@with_cases
class RowTests(RowCase):
    def test_what_was_cut(self) -> None:
        """Text and bytes, the first of them at hand."""
        self.assertHolds(row(data=GOOD), MESSAGES)
        victim = row(data=GOOD)
        for expected in MESSAGES:
            self.assertEqual([victim[0], victim[0]], [expected, expected])
            del victim[0]
        self.assertHolds(victim, [])

    def test_behind_others(self) -> None:
        """Cut into a row that is not empty, they are behind what is there."""
        victim = row("before", data=frame(TEXT, "é".encode()) + GOOD)
        self.assertEqual(cut_messages(GOOD, 0, None, victim), (len(GOOD), 307))
        self.assertHolds(victim, ["é", *MESSAGES, "before", *MESSAGES])

    def test_behind_one_that_was_begun_before(self) -> None:
        """The one message of the last read goes first, and those of this one lie where they are."""
        victim = row(data=frame(TEXT, b"zero"))
        cut_messages(b"?" + GOOD, 1, None, victim)
        self.assertHolds(victim, ["zero", *MESSAGES])

    def test_other_text(self) -> None:
        """What is not ASCII is judged when it is cut; what is no text stays where it is."""
        good = frame(TEXT, b"a") + frame(TEXT, "\u20ac".encode()) + frame(TEXT, b"b")
        victim = row()
        self.assertEqual(cut_messages(good + frame(TEXT, b"\xff"), 0, None, victim), (len(good), 5))
        self.assertHolds(victim, ["a", "\u20ac", "b"])
        self.assertHolds(row(data=frame(TEXT, b"\xff")), [])

    def test_long_ones(self) -> None:
        """Whatever their length, within the limit."""
        long = [bytes([number]) * size for number, size in enumerate((65_535, 65_536, 65_537, 3))]
        data = b"".join(frame(BINARY, message) for message in long)
        self.assertHolds(row(data=data), list(long))
        self.assertHolds(row(data=data, limit=65_535), [long[0]])

    def test_at_either_end(self) -> None:
        """Put before all others, and behind."""
        victim = row(data=GOOD)
        victim.appendleft("first")
        victim.append("last")
        self.assertHolds(victim, ["first", *MESSAGES, "last"])
        victim = row("b", data=GOOD)
        self.assertEqual(victim[0], "one")  # so it is an object, and in the way
        victim.appendleft("a")
        self.assertHolds(victim, ["a", *MESSAGES, "b"])
        victim.appendleft("alone")
        self.assertHolds(victim, ["alone"])

    def test_a_rest_that_holds_nothing(self) -> None:
        """Made for what then was no text, or was not there: the row is empty, and goes on."""
        no_text = frame(TEXT, b"\xff")
        taken = row("one")
        taken.take(row(), 1)
        for victim, left in ((row(data=no_text), []), (taken, ["one"]), (row(data=no_text), ["two"])):
            victim.extend(left[len(victim) :])
            self.assertHolds(victim, left)
            with self.assertRaises(IndexError):
                victim.popleft()
            with self.assertRaises(IndexError):
                victim[0]
            cut_messages(no_text, 0, None, victim)
            cut_messages(GOOD, 0, None, victim)
            self.assertHolds(victim, MESSAGES)

    def test_clear(self) -> None:
        """Nothing is left of anything."""
        victim = row("behind", data=GOOD)
        self.assertEqual(victim[0], "one")
        victim.clear()
        self.assertHolds(victim, [])

    def test_an_iterator_that_breaks_off(self) -> None:
        """What it has given is here."""

        def giving() -> Iterator[str]:
            yield "a"
            self.assertEqual(list(victim), ["a"])
            yield "b"
            raise ArithmeticError

        victim = row()
        with self.assertRaises(ArithmeticError):
            victim.extend(giving())
        self.assertHolds(victim, ["a", "b"])

    def test_what_is_not_there(self) -> None:
        """An IndexError, and the row is as it was."""
        calls: List[Callable[[Row], object]] = [
            lambda victim: victim[1],
            lambda victim: victim.__delitem__(1),
            lambda victim: victim[7],
        ]
        for call in calls:
            victim = row(data=GOOD)
            with self.assertRaisesRegex(IndexError, "no such message"):
                call(victim)
            self.assertHolds(victim, MESSAGES)
        more: List[Callable[[Row], object]] = [lambda empty: empty[0], lambda empty: empty.__delitem__(0), popleft]
        for call in more:
            with self.assertRaisesRegex(IndexError, "no such message"):
                call(row())

    def test_refusals(self) -> None:
        """What it cannot do, and says."""
        victim: Any = row(data=GOOD)
        calls: List[Callable[[], object]] = [
            lambda: operator.setitem(victim, 0, "another"),
            lambda: victim.take(victim, 1),
            lambda: victim.take([], 1),
            lambda: victim.take(row(), "1"),
            lambda: victim.take(row()),
            lambda: victim.extend(1),
            lambda: type(victim)(1),
        ]
        for call in calls:
            with self.assertRaises(TypeError) as caught:
                call()
            self.assertTrue(str(caught.exception))
        self.assertHolds(victim, MESSAGES)


def popleft(victim: Row) -> object:
    return victim.popleft()


@with_cases
class TakeTests(RowCase):
    @cases({"all": 10, "as many as there are": 6, "some": 2, "one": 1, "none": 0, "fewer": -1})
    def test_from_another(self, count: int) -> None:
        """They are here, behind what was, and not there, wherever they lay."""
        for before in ([], ["here"]):
            for first_is_made in (False, True):
                one, other = row(*before), row("last", data=GOOD)
                if first_is_made:
                    self.assertEqual(other[0], "one")
                one.take(other, count)
                messages, count = [*MESSAGES, "last"], max(0, count)
                self.assertHolds(one, before + messages[:count])
                self.assertHolds(other, messages[count:])

    def test_among_themselves(self) -> None:
        """Rows are what else they were, after that."""
        one, other = row(), row(data=GOOD)
        one.take(other, 100)
        cut_messages(GOOD, 0, None, other)
        one.take(other, 1)
        self.assertHolds(one, [*MESSAGES, "one"])
        self.assertHolds(other, MESSAGES[1:])


@with_cases
class LikeAListTests(RowCase):
    @cases((f"seed {seed}", seed) for seed in range(60))
    def test_any_calls(self, seed: int) -> None:
        """Whatever is done to a row, it holds what a list would."""
        draw = random.Random(seed)
        victim = row()
        model: List[Any] = []
        for _ in range(400):
            self.step(draw, victim, model)
            self.assertEqual((list(victim), len(victim)), (model, len(model)))

    def step(self, draw: random.Random, victim: Row, model: List[Any]) -> None:
        kind = draw.randrange(8)
        if kind < 2:
            data, limit = soup(draw), draw.choice((None, None, 40))
            position, total, messages = cut_as_said(data, 0, limit)
            self.assertEqual(cut_messages(data, 0, limit, victim), (position, total))
            model += messages
        elif kind == 2:
            victim.append("appended")
            model.append("appended")
        elif kind == 3 and draw.random() < 0.3:
            victim.appendleft("put before")
            model.insert(0, "put before")
        elif kind == 4 and draw.random() < 0.05:
            victim.clear()
            model.clear()
        elif kind == 5:
            other, count = row(data=soup(draw)), draw.randrange(6)
            model += list(other)[:count]
            victim.take(other, count)
        elif model:
            for _ in range(draw.randrange(min(len(model), 9) + 1)):
                self.assertEqual(victim[0] if draw.random() < 0.2 else model[0], model[0])
                self.assertEqual(victim.popleft(), model.pop(0))

    def test_one_that_never_is_empty(self) -> None:
        """However many go through it, it keeps no more than those that are in it."""
        victim = row()
        kept = object()
        for number in range(300):
            victim.append(number)
        before = sys.getrefcount(kept)
        for number in range(5000):
            victim.append(kept if number % 2 else number + 300)
            victim.popleft()
        self.assertEqual(sys.getrefcount(kept), before + 150)
        self.assertEqual(len(victim), 300)


@with_cases
class DecodedTests(RowCase):
    """A decoder that has rows to decode into gives what one gives that has lists."""

    def assertLikeFed(self, make: Callable[[], Decoder], pieces: List[bytes]) -> None:
        """Each piece is decoded into a row of its own."""
        assert ROW is not None
        victim = make()
        got: List[Event] = []
        for piece in pieces:
            victim.last = victim.decode(victim.last, piece, ROW())
            got += victim.last.events
        self.assertEqual(blurred(shown(got)), blurred(fed(make(), *pieces)))

    @cases((f"seed {seed}", seed) for seed in range(60))
    def test_traffic(self, seed: int) -> None:
        """Good or broken, in random pieces."""
        role, stream = traffic(seed)
        draw = random.Random(seed)
        for _ in range(5):
            places = sorted(draw.randrange(len(stream) + 1) for _ in range(draw.randrange(1, 9)))
            pieces = [stream[start:stop] for start, stop in zip([0, *places], [*places, len(stream)])]
            self.assertLikeFed(lambda: decoder(role, 300, compressed=True), pieces)

    @cases(rows=True, lists=False)
    def test_a_message_that_lies_across(self, rows: bool) -> None:
        """What two reads bring of a message is joined, wherever it is cut, and the others are not."""
        assert ROW is not None
        stream = frame(BINARY, b"a" * 9) + frame(BINARY, b"b" * 300) + frame(TEXT, b"c") + frame(PING) + GOOD
        whole = fed(decoder(), stream)
        for pieces in cuts(stream):
            victim = decoder()
            got: List[Event] = []
            for piece in pieces:
                victim.last = victim.decode(victim.last, piece, ROW() if rows else [])
                got += victim.last.events
            self.assertEqual(shown(got), whole)
        self.assertEqual(decoder().decode(decoder().last, frame(BINARY, b"a" * 300)[:50], []).lacks, 254)

    def test_a_limit_that_came_between(self) -> None:
        """The message that was begun is judged by the one that holds when it is looked at, as if it were joined."""
        for limit, expected in ((100, [b"a" * 9]), (8, [])):
            victim = Decoder(Role.CLIENT, maximum_message_size=1000)
            stream = frame(BINARY, b"a" * 9) + frame(PING)
            self.assertEqual(victim.feed(stream[:5]), [])
            victim.maximum_message_size = limit
            self.assertEqual(victim.feed(stream[5:])[: len(expected)], expected)
            self.assertEqual(victim.failed, not expected)


class HoldingTests(RowCase):
    """What is counted by hand in C: who holds what."""

    def test_the_data(self) -> None:
        """It is held as long as something lies in it."""
        data = bytes(bytearray(GOOD))
        alone = sys.getrefcount(data)
        victim = row(data=data)
        self.assertEqual(sys.getrefcount(data), alone + 1)
        for _ in MESSAGES:
            victim.popleft()
        self.assertEqual(sys.getrefcount(data), alone)
        for end in (victim.clear, lambda: list(victim), lambda: row().take(victim, 9), lambda: victim[0]):
            cut_messages(data, 0, None, victim)
            end()
            victim.clear()
            self.assertEqual(sys.getrefcount(data), alone)
        held = [row(data=data) for _ in range(3)]
        held.clear()
        self.assertEqual(sys.getrefcount(data), alone)

    def test_messages(self) -> None:
        """A message that was taken is its taker's alone."""
        victim = row(data=GOOD + frame(TEXT, "\u20acuro".encode()))
        alone = sys.getrefcount(bytes(bytearray(b"nobody else's")))
        taken = [victim.popleft() for _ in range(6)]
        self.assertEqual([sys.getrefcount(taken[place]) for place in (0, 1, 4, 5)], [alone + 1] * 4)

    def test_the_type(self) -> None:
        """No row leaves anything behind."""
        kind = type(row())
        before = sys.getrefcount(kind)
        for _ in range(100):
            row("a", data=GOOD).appendleft("b")
        self.assertEqual(sys.getrefcount(kind), before)

    def test_threads_at_once(self) -> None:
        """Each message goes to one of them, in order."""
        count = 20_000
        victim = row(data=b"".join(frame(TEXT, b"%d" % number) for number in range(count)))

        def take() -> List[int]:
            got: List[int] = []
            try:
                while True:
                    got.append(int(victim.popleft()))
            except IndexError:
                return got

        shares = [running.result() for running in [Running(take) for _ in range(3)]]
        for share in shares:
            self.assertEqual(share, sorted(share))
        self.assertEqual(sorted(chain(*shares)), list(range(count)))


if __name__ == "__main__":
    unittest.main()

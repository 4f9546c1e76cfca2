"""What a connection finds around it can be replaced for a while."""

from __future__ import annotations

import unittest
from typing import Any, Tuple

from wssync.engine import surroundings
from wssync.transport.clock import Clock


class SurroundingsTests(unittest.TestCase):
    def test_the_real_ones(self) -> None:
        """Without anybody's doing it is the monotonic clock and the network."""
        self.assertIs(type(surroundings.current().clock), Clock)
        self.assertIs(surroundings.current().dial, surroundings.reach_it)
        stream: Any = object()
        self.assertIs(surroundings.dial("host", 80, None, url="ws://host/", reach=lambda: stream), stream)

    def test_a_replacement_ends_with_its_block(self) -> None:
        """Within the block the replacement is found, behind it, also after an exception, what was there before."""
        before, clock = surroundings.current(), Clock()
        with self.assertRaises(KeyError), surroundings.replaced(clock=clock):
            self.assertIs(surroundings.current().clock, clock)
            self.assertIs(surroundings.current().dial, before.dial)
            raise KeyError
        self.assertEqual(surroundings.current(), before)

    def test_dialling_is_looked_up_when_it_is_done(self) -> None:
        """A function that was taken before the replacement dials as is said now."""
        calls = []

        def dial(*arguments: Any, **keywords: Any) -> Any:
            calls.append((arguments, keywords))
            return "a stream"

        with surroundings.replaced(dial=dial):
            self.assertEqual(surroundings.dial("host", 80, tls=None), "a stream")
        self.assertEqual(calls, [(("host", 80), {"tls": None})])

    def test_blocks_that_overlap(self) -> None:
        """Blocks for different things may end in the order in which they began."""
        before = surroundings.current()
        clock = Clock()

        def dial(*arguments: Tuple[Any, ...]) -> Any: ...

        first, second = surroundings.replaced(clock=clock), surroundings.replaced(dial=dial)
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        self.assertEqual(surroundings.current(), surroundings.Surroundings(before.clock, dial))
        second.__exit__(None, None, None)
        self.assertEqual(surroundings.current(), before)

    def test_nested_blocks(self) -> None:
        """Blocks for the same thing give back what they found."""
        outer, inner = Clock(), Clock()
        with surroundings.replaced(clock=outer):
            with surroundings.replaced(clock=inner):
                self.assertIs(surroundings.current().clock, inner)
            self.assertIs(surroundings.current().clock, outer)

    def test_blocks_for_the_same_thing_that_overlap(self) -> None:
        """The block that began last counts, whichever ends first; behind both is what was there before.

        Two tests in two threads of one process do that.
        """
        before = surroundings.current()
        first, second = Clock(), Clock()
        one, other = surroundings.replaced(clock=first), surroundings.replaced(clock=second)
        one.__enter__()
        other.__enter__()
        self.assertIs(surroundings.current().clock, second)
        one.__exit__(None, None, None)
        self.assertIs(surroundings.current().clock, second)
        other.__exit__(None, None, None)
        self.assertEqual(surroundings.current(), before)

    def test_an_unknown_name(self) -> None:
        """It is refused, and nothing is replaced."""
        before = surroundings.current()
        with self.assertRaises((TypeError, ValueError)), surroundings.replaced(clock=Clock(), weather="fine"):
            self.fail("the block was entered")
        self.assertEqual(surroundings.current(), before)

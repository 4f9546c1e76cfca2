"""The rows of tasks that are opening to the same host."""

from __future__ import annotations

import unittest
from typing import List

from wssync.engine.gate import Gate, Ticket

from .support import line_up

HOST = ("example.test", 80)


class GateTests(unittest.TestCase):
    def setUp(self) -> None:
        self.woken: List[str] = []

    def enter(self, gate: Gate, name: str, port: int = 80) -> Ticket:
        return line_up(gate, ("example.test", port), lambda: self.woken.append(name))

    def test_as_many_as_the_limit_may_open_at_once(self) -> None:
        """The first six are admitted at once and nobody is woken for it; the seventh waits."""
        gate = Gate(6)
        tickets = [self.enter(gate, str(number)) for number in range(7)]
        self.assertEqual([ticket.granted for ticket in tickets], [True] * 6 + [False])
        self.assertEqual(self.woken, [])

    def test_the_next_one_is_admitted_and_woken(self) -> None:
        """First come, first served: a release admits the oldest that waits, and wakes nobody else."""
        gate = Gate(1)
        first, second, third = (self.enter(gate, name) for name in "abc")
        first.release()
        self.assertEqual((second.granted, third.granted, self.woken), (True, False, ["b"]))
        second.release()
        self.assertEqual((third.granted, self.woken), (True, ["b", "c"]))

    def test_giving_up_a_place_in_the_row_admits_nobody(self) -> None:
        """Who waits and gives up does not make room, and is not admitted later."""
        gate = Gate(1)
        first, second, third = (self.enter(gate, name) for name in "abc")
        second.release()
        self.assertEqual((third.granted, self.woken), (False, []))
        first.release()
        self.assertEqual((second.granted, third.granted, self.woken), (False, True, ["c"]))

    def test_releasing_again_does_nothing(self) -> None:
        """A second release of the same ticket admits nobody else; so does one when the row is gone."""
        gate = Gate(1)
        first, second, third = (self.enter(gate, name) for name in "abc")
        first.release()
        first.release()
        self.assertFalse(third.granted)
        second.release()
        third.release()
        third.release()
        self.assertEqual(gate._rows, {}, "an empty row is not kept")
        self.assertTrue(self.enter(gate, "d").granted)

    def test_hosts_and_ports_have_rows_of_their_own(self) -> None:
        """Another port is another row."""
        gate = Gate(1)
        self.enter(gate, "a")
        self.assertTrue(self.enter(gate, "b", port=81).granted)
        self.assertFalse(self.enter(gate, "c").granted)

    def test_a_row_that_is_empty_leaves_the_others(self) -> None:
        """The one host is done, the other is not; then there is no row."""
        gate = Gate(1)
        first, other = self.enter(gate, "a"), self.enter(gate, "b", port=81)
        first.release()
        self.assertEqual(list(gate._rows), [("example.test", 81)])
        other.release()
        self.assertEqual(gate._rows, {})

    def test_nobody_is_woken_with_the_lock_held(self) -> None:
        """Whoever is woken may use the gate at once."""
        gate = Gate(1)
        first = self.enter(gate, "a")
        second = line_up(gate, HOST, lambda: self.woken.append(f"free: {not gate._lock.locked()}"))
        first.release()
        self.assertTrue(second.granted)
        self.assertEqual(self.woken, ["free: True"])

"""Roles: had by one thread at a time, tried by all but the end of the connection."""

from __future__ import annotations

import threading
import unittest
from typing import List

from wssync.engine.roles import Role

from .support import PATIENCE, Running


class RoleTests(unittest.TestCase):
    def setUp(self) -> None:
        self.role = Role()
        self.log: List[str] = []

    def test_a_free_role_is_had(self) -> None:
        """The work is done, and the role is free again."""
        for _ in range(2):
            self.assertTrue(self.role.attempt(lambda: self.log.append("work")))
        self.assertEqual(self.log, ["work", "work"])

    def test_who_does_not_get_it_does_not_wait(self) -> None:
        """While another thread has it, `attempt` returns False at once and leaves the holder alone."""
        inside, leave = threading.Event(), threading.Event()

        def hold() -> None:
            inside.set()
            leave.wait(PATIENCE)

        holder = Running(lambda: self.role.attempt(hold))
        self.assertTrue(inside.wait(PATIENCE))
        self.assertFalse(self.role.attempt(lambda: self.log.append("work")))
        self.assertFalse(self.role.attempt(lambda: self.log.append("work")))
        leave.set()
        self.assertTrue(holder.result())
        self.assertEqual(self.log, [])
        self.assertTrue(self.role.attempt(lambda: self.log.append("work")))

    def test_it_is_not_had_twice_by_one_thread(self) -> None:
        """A signal handler inside the work does not get the role, and does not give it back."""

        def nested() -> None:
            self.log.append(f"nested: {self.role.attempt(lambda: self.log.append('no'))}")
            self.log.append(f"others: {Running(lambda: self.role.attempt(lambda: None)).result()}")

        self.assertTrue(self.role.attempt(nested))
        self.assertEqual(self.log, ["nested: False", "others: False"])
        self.assertTrue(Running(lambda: self.role.attempt(lambda: None)).result())

    def test_an_exception_gives_it_back(self) -> None:
        """Whatever the work raises goes through, and the role is free."""

        def fail() -> None:
            raise KeyboardInterrupt

        with self.assertRaises(KeyboardInterrupt):
            self.role.attempt(fail)
        with self.assertRaises(KeyboardInterrupt):
            self.role.occupy(fail)
        self.assertTrue(Running(lambda: self.role.attempt(lambda: None)).result())

    def test_the_end_waits_for_the_holder(self) -> None:
        """`occupy` runs its work after the holder has left, and keeps others out meanwhile."""
        inside, leave = threading.Event(), threading.Event()

        def hold() -> None:
            inside.set()
            leave.wait(PATIENCE)
            self.log.append("held")

        holder = Running(lambda: self.role.attempt(hold))
        self.assertTrue(inside.wait(PATIENCE))
        end = Running(lambda: self.role.occupy(lambda: self.log.append("end")))
        leave.set()
        holder.result()
        end.result()
        self.assertEqual(self.log, ["held", "end"])
        self.role.occupy(
            lambda: self.log.append(f"others: {Running(lambda: self.role.attempt(lambda: None)).result()}")
        )
        self.assertEqual(self.log[-1], "others: False")

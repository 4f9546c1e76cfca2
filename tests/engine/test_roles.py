"""Roles: had by one thread at a time, tried by all but the end of the connection."""

from __future__ import annotations

import threading
import unittest
from typing import List
from unittest import mock

from tests.interrupts import interrupted_at
from wssync.engine import roles
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

    def test_a_holder_that_waits_is_roused(self) -> None:
        """The end does not wait for the network: who does so in a role is made to leave, before the end's work."""
        inside, roused = threading.Event(), threading.Event()

        def hold() -> None:
            inside.set()
            self.assertTrue(roused.wait(PATIENCE))
            self.log.append("held")

        holder = Running(lambda: self.role.attempt(hold))
        self.assertTrue(inside.wait(PATIENCE))
        with mock.patch.object(roles, "AGAIN", 2 * PATIENCE):
            self.role.occupy(lambda: self.log.append("end"), roused.set)
        self.assertTrue(holder.result())
        self.assertEqual(self.log, ["held", "end"])
        self.assertTrue(Running(lambda: self.role.attempt(lambda: None)).result())

    def test_a_holder_that_was_roused_too_early_is_roused_again(self) -> None:
        """It may have begun to wait only afterwards."""
        inside, roused = threading.Event(), threading.Semaphore(0)

        def hold() -> None:
            inside.set()
            for _ in range(3):
                self.assertTrue(roused.acquire(timeout=PATIENCE))

        holder = Running(lambda: self.role.attempt(hold))
        self.assertTrue(inside.wait(PATIENCE))
        self.role.occupy(lambda: self.log.append("end"), roused.release)
        self.assertTrue(holder.result())
        self.assertEqual(self.log, ["end"])

    def test_nobody_is_roused_from_a_free_role(self) -> None:
        """Then there is no holder; the role is free again afterwards, after an exception too."""

        def fail() -> None:
            raise KeyboardInterrupt

        self.role.occupy(lambda: self.log.append("end"), lambda: self.log.append("roused"))
        with self.assertRaises(KeyboardInterrupt):
            self.role.occupy(fail, lambda: self.log.append("roused"))
        self.assertEqual(self.log, ["end"])
        self.assertTrue(Running(lambda: self.role.attempt(lambda: None)).result())

    def test_whose_it_is(self) -> None:
        """Its holder's alone, while it is held."""
        self.assertFalse(self.role.is_mine)
        self.role.attempt(
            lambda: self.log.extend([str(self.role.is_mine), str(Running(lambda: self.role.is_mine).result())])
        )
        self.assertEqual(self.log, ["True", "False"])
        self.assertFalse(self.role.is_mine)

    def test_no_interrupt_leaves_it_held(self) -> None:
        """Ctrl-C after any call within an attempt: the role is free for the next one."""
        number, hit = 0, True
        while hit:
            role = Role()
            hit = interrupted_at(number, lambda role=role: role.attempt(role.lock.__class__))  # type: ignore[misc]
            self.assertTrue(Running(lambda role=role: role.attempt(lambda: None)).result())  # type: ignore[misc]
            number += 1
        self.assertGreater(number, 3)

    def test_an_interrupt_on_the_way_to_the_release(self) -> None:
        """Where an interpreter has a place for it: the role is let go all the same, if it was had."""
        for had in (True, False):
            role = Role()
            lock = role.lock
            struck = mock.Mock(wraps=lock, _is_owned=lock._is_owned)
            struck.release.side_effect = [KeyboardInterrupt, mock.DEFAULT]
            struck.acquire.side_effect = None if had else [False]
            role.lock = struck
            with self.assertRaises(KeyboardInterrupt):
                role.attempt(lambda: None)
            role.lock = lock
            self.assertFalse(role.is_mine)

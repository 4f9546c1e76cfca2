"""Queues that are made when something is put in."""

from __future__ import annotations

import unittest
from collections import deque
from typing import Deque, List
from unittest import mock

from wssync.engine import queues
from wssync.engine.queues import EMPTY, EMPTY_LIST, MANY, basket, own, own_list, own_row
from wssync.protocol.speed import ROW


class OwnTests(unittest.TestCase):
    def test_a_queue_of_one_s_own_in_the_place_of_the_common_one(self) -> None:
        """What is put in is in no other."""
        first: Deque[int] = own(EMPTY)
        second: Deque[int] = own(EMPTY)
        first.append(1)
        self.assertEqual((list(first), list(second), list(EMPTY)), ([1], [], []))

    def test_a_queue_of_one_s_own_stays(self) -> None:
        """With what is in it."""
        queue: Deque[int] = deque()
        self.assertIs(own(queue), queue)

    def test_a_list_in_the_same_way(self) -> None:
        """What is put in one is in no other, and it stays."""
        first: List[int] = own_list(EMPTY_LIST)
        first.append(1)
        self.assertEqual((own_list(EMPTY_LIST), EMPTY_LIST), ([], []))
        self.assertIs(own_list(first), first)

    def test_a_queue_of_messages(self) -> None:
        """A row where there are any, else as the others; it stays."""
        for kind in {ROW, None}:
            with mock.patch.object(queues, "ROW", kind):
                made = own_row(EMPTY)
                self.assertIs(type(made), kind or deque)
                self.assertIs(own_row(made), made)
                self.assertEqual(len(made), 0)

    def test_what_messages_are_cut_into(self) -> None:
        """A list for few bytes, and where there are no rows."""
        for kind in {ROW, None}:
            with mock.patch.object(queues, "ROW", kind):
                self.assertIs(type(basket(MANY - 1)), list)
                self.assertIs(type(basket(MANY)), kind or list)


if __name__ == "__main__":
    unittest.main()

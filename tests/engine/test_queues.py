"""Queues that are made when something is put in."""

from __future__ import annotations

import unittest
from collections import deque
from typing import Deque, List

from wssync.engine.queues import EMPTY, EMPTY_LIST, own, own_list


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


if __name__ == "__main__":
    unittest.main()

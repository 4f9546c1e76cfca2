"""The rows of the benchmark fit together, and say what is to hold."""

from __future__ import annotations

import unittest

from tests.bench.rows import ACCELERATED, CASES, CLIENTS, GROWTHS, PURE, ROWS, Limit, chosen


class TableTests(unittest.TestCase):
    def test_every_case_is_shown_and_every_shown_case_exists(self) -> None:
        """No case is measured for nothing, and no row waits for a case that nobody measures."""
        shown = {row.case for row in ROWS} | {case for line in GROWTHS for case, _ in line.points}
        self.assertEqual(shown, set(CASES))

    def test_titles_are_unique(self) -> None:
        """A row is found by its title."""
        titles = [row.title for row in ROWS] + [line.title for line in GROWTHS]
        self.assertEqual(len(titles), len(set(titles)))

    def test_limits_are_to_clients_that_take_part(self) -> None:
        """A ratio is to a known client other than wssync, in a case that is not wssync's own."""
        for row in ROWS:
            for limit in row.limits:
                with self.subTest(row.title, than=limit.than):
                    self.assertIn(limit.than, {None, *CLIENTS} - {PURE, ACCELERATED})
                    self.assertFalse(CASES[row.case].ours)
                    self.assertTrue(limit.pure or limit.accelerated)

    def test_growth_goes_from_small_to_large(self) -> None:
        """Three points that differ in one thing."""
        for line in GROWTHS:
            with self.subTest(line.title):
                cases = [CASES[case] for case, _ in line.points]
                self.assertEqual(len(cases), 3)
                self.assertEqual(len({case.kind for case in cases}), 1)
                loads = [(case.size, case.fragments, case.many) for case in cases]
                self.assertEqual(loads, sorted(set(loads)))

    def test_a_limit_has_a_bound_for_each_build(self) -> None:
        """Pure Python and the accelerator are held to different ratios, and some ask nothing of one of them."""
        limit = Limit("raw", 1.5, None)
        self.assertEqual((limit.bound(PURE), limit.bound(ACCELERATED)), (1.5, None))

    def test_where_there_is_a_floor(self) -> None:
        """Where frames are sent that are masked whole, where long messages come, and where connections are opened."""
        floors = [name for name, case in CASES.items() if case.has_floor]
        echoes, sends = ["echo-16-one-core", "echo-16", "echo-64k"], ["send-16", "send-1k", "pipe-16"]
        sealed = ["wss-echo-16", "wss-receive-1m"]
        self.assertEqual(floors, [*echoes, "receive-1m", *sends, "connect", *sealed, "compressed-send-1k"])


class ChoiceTests(unittest.TestCase):
    names = ("echo-16", "echo-64k", "send-1m")

    def test_all(self) -> None:
        """No pattern means all of them."""
        self.assertEqual(chosen(self.names, None), list(self.names))

    def test_patterns(self) -> None:
        """Any of the patterns chooses, a name once, in the order of the names."""
        self.assertEqual(chosen(self.names, "send*, echo-16,*16"), ["echo-16", "send-1m"])

    def test_a_pattern_for_nothing(self) -> None:
        """It is named, with what there is."""
        with self.assertRaisesRegex(ValueError, "'pipe'; there are echo-16, echo-64k"):
            chosen(self.names, "echo*,pipe")


if __name__ == "__main__":
    unittest.main()

"""Medians, ratios, verdicts and growth of the benchmark."""

from __future__ import annotations

import unittest
from typing import Dict

from tests.bench.figures import LINEAR, Results, growth, judge, verdict
from tests.bench.rows import ACCELERATED, FLOOR, PURE, Growth, Limit, Row


def results(**figures: float) -> Results:
    """One round of the case "x", its figure "cpu", by client; "_" stands for "-" in a name."""
    found = Results()
    for client, figure in figures.items():
        found.add(client.replace("_", "-"), "x", {"figures": {"cpu": figure}})
    return found


class ResultsTests(unittest.TestCase):
    def test_the_median_over_the_rounds(self) -> None:
        """One round in which the machine did something else does not count."""
        found = Results()
        for figure in (3.0, 900.0, 1.0):
            found.add("raw", "x", {"figures": {"cpu": figure, "wire": 7}})
        self.assertEqual(found.value("raw", "x", "cpu"), 3.0)
        self.assertEqual(found.value("raw", "x", "wire"), 7)

    def test_what_was_not_measured(self) -> None:
        """It has no value, and before it was tried no reason."""
        found = results(raw=1)
        for client, case, figure in (("raw", "x", "p50"), ("raw", "y", "cpu"), ("picows", "x", "cpu")):
            self.assertIsNone(found.value(client, case, figure))
        self.assertFalse(found.has_given_up("picows", "x"))
        self.assertEqual(found.reasons(), {})

    def test_a_case_that_was_skipped(self) -> None:
        """It is not tried again, its reason is kept, and it is no failure."""
        found = Results()
        for case in ("x", "y"):
            found.add("picows", case, {"skipped": "not here"})
        self.assertTrue(found.has_given_up("picows", "x"))
        self.assertEqual(found.reasons(), {"picows: not here": ["x", "y"]})
        self.assertEqual(found.failures(), [])

    def test_a_case_that_failed(self) -> None:
        """It has a second chance; the failure tells who, what and why; an answer of another kind is one too."""
        found = Results()
        found.add("raw", "x", {"failed": "it broke"})
        self.assertFalse(found.has_given_up("raw", "x"))
        found.add("raw", "x", {})
        self.assertTrue(found.has_given_up("raw", "x"))
        self.assertEqual(found.failures(), ["raw, x: no answer"])
        self.assertEqual(found.reasons(), {"raw failed (2 times): no answer": ["x"]})

    def test_a_failure_beside_figures(self) -> None:
        """It is told of, and is none of the run's, unless it is wssync that fails."""
        for client, failures in (("websockets", []), (PURE, [f"{PURE}, x: it hung"])):
            with self.subTest(client):
                found = Results()
                found.add(client, "x", {"failed": "it hung"})
                found.add(client, "x", {"figures": {"cpu": 1}})
                self.assertEqual(found.reasons(), {f"{client} failed: it hung": ["x"]})
                self.assertEqual(found.failures(), failures)


class VerdictTests(unittest.TestCase):
    row = Row("X", "x", "cpu", "CPU us")
    limit = Limit("websockets", 0.5, 0.25)

    def test_in_words(self) -> None:
        """At the bound it holds."""
        self.assertEqual(verdict(0.3333, 0.35, "x raw"), "held: 0.333 <= 0.35 x raw")
        self.assertEqual(verdict(22, 22, "KiB"), "held: 22 <= 22 KiB")
        self.assertEqual(verdict(0.61, 0.55, "x raw"), "missed: 0.61 > 0.55 x raw")

    def test_a_near_miss_does_not_look_like_a_tie(self) -> None:
        """Where three digits would hide it, all are shown."""
        self.assertEqual(verdict(0.55004, 0.55, "x raw"), "missed: 0.55004 > 0.55 x raw")

    def test_each_build_has_its_own_bound(self) -> None:
        """The same ratio holds for one and not for the other."""
        found = results(websockets=10, wssync_pure=4, wssync_accelerated=4)
        self.assertEqual(judge(self.row, self.limit, PURE, found), "held: 0.4 <= 0.5 x websockets")
        self.assertEqual(judge(self.row, self.limit, ACCELERATED, found), "missed: 0.4 > 0.25 x websockets")

    def test_a_miss_is_beside_what_nobody_gets_round(self) -> None:
        """The bare socket for both builds; masking in Python for one; memory, zlib, threads for both."""
        figures: Dict[str, float] = {"websockets": 10, PURE: 9, ACCELERATED: 9, "raw": 2, FLOOR: 4}
        found = Results()
        for client, figure in figures.items():
            for case in ("x", "connect", "receive-1m", "compressed-x"):
                found.add(client, case, {"figures": {"cpu": figure}})
        raw, masked, thread = "the bare socket: 0.2", "masked in Python: 0.4", "with a thread: 0.4"
        for case, client, least in (
            ("x", PURE, f"{raw}, {masked}"),
            ("x", ACCELERATED, raw),
            ("connect", PURE, f"{raw}, {thread}"),
            ("connect", ACCELERATED, f"{raw}, {thread}"),
            ("receive-1m", ACCELERATED, f"{raw}, with memory for each: 0.4"),
            ("compressed-x", ACCELERATED, f"{raw}, with zlib: 0.4"),
        ):
            with self.subTest(case, client=client):
                said = judge(self.row._replace(case=case), self.limit, client, found)
                self.assertEqual(said.partition(" (")[2], f"{least})")
        said = judge(self.row, Limit("raw", 1.5, 1.5), PURE, found)
        self.assertEqual(said, "missed: 4.5 > 1.5 x raw (masked in Python: 2)")

    def test_no_bound_is_no_verdict(self) -> None:
        """Nothing is asked of that build."""
        self.assertEqual(judge(self.row, Limit("websockets", 0.5, None), ACCELERATED, Results()), "")

    def test_what_is_missing_is_said(self) -> None:
        """Whether it is wssync's figure or the other's; nothing is divided by zero."""
        self.assertEqual(judge(self.row, self.limit, PURE, results(websockets=10)), "not measured")
        self.assertEqual(judge(self.row, self.limit, PURE, results(wssync_pure=1)), "websockets not measured")
        found = results(wssync_pure=1, websockets=0)
        self.assertEqual(judge(self.row, self.limit, PURE, found), "websockets not measured")

    def test_an_absolute_bound(self) -> None:
        """It is on the figure itself."""
        row = self.row._replace(unit="KiB")
        limit = Limit(None, 22, 22)
        self.assertEqual(judge(row, limit, PURE, results(wssync_pure=23)), "missed: 23 > 22 KiB")


class GrowthTests(unittest.TestCase):
    line = Growth("G", "us", "cpu", (("small", 1), ("middle", 10), ("large", 100)))

    def costs(self, *figures: float) -> Results:
        found = Results()
        for (case, _), figure in zip(self.line.points, figures):
            found.add(PURE, case, {"figures": {"cpu": figure}})
        return found

    def test_a_linear_cost(self) -> None:
        """A unit costs the same whatever the amount."""
        self.assertEqual(growth(self.line, PURE, self.costs(3, 30, 300)), ([3, 3, 3], 1))

    def test_a_quadratic_cost(self) -> None:
        """A unit costs more the more there are."""
        found = growth(self.line, PURE, self.costs(3, 300, 30_000))
        assert found is not None
        self.assertGreater(found[1], LINEAR)

    def test_a_missing_point(self) -> None:
        """There is nothing to say."""
        self.assertIsNone(growth(self.line, PURE, self.costs(3, 30)))


if __name__ == "__main__":
    unittest.main()

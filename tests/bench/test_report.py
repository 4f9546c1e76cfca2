"""The report of the benchmark."""

from __future__ import annotations

import unittest

from tests.bench.figures import Results
from tests.bench.report import BEGIN, END, into_readme, number, render
from tests.bench.rows import ACCELERATED, CASES, PURE


class ReportTests(unittest.TestCase):
    def setUp(self) -> None:
        self.results = Results()
        self.results.versions = {PURE: "1.2", "raw": ""}
        for client, figure in ((PURE, 12.0), ("raw", 10.0), ("websocket-client", 20.0)):
            self.results.add(client, "echo-16-one-core", {"figures": {"p50": figure, "p99": 99}})

    def render(self, *cases: str) -> str:
        return render(self.results, cases, {"machine": "a small one"})

    def test_figures(self) -> None:
        """The facts, then a column for each client that has a figure, with its version."""
        report = self.render("echo-16-one-core")
        self.assertTrue(report.startswith("- machine: a small one\n\n"))
        self.assertIn("| row | unit | raw socket | wssync, pure Python 1.2 | websocket-client |\n", report)
        self.assertIn("\n| echo 16 B, one core, p50 | us | 10 | 12 | 20 |\n", report)

    def test_verdicts(self) -> None:
        """Each ratio for each build, with the floor where it is missed; what was not measured is said once."""
        pure = "held: 1.2 <= 1.5 x raw; missed: 0.6 > 0.55 x websocket-client (the bare socket: 0.5)"
        self.assertIn(f"| echo 16 B, one core, p50 | {pure} | not measured |", self.render("echo-16-one-core"))

    def test_only_the_chosen_rows(self) -> None:
        """Growth needs all its points; a row without limits has no line among the verdicts."""
        self.results.add(PURE, "callback-serial", {"figures": {"p50": 5, "p99": 6}})
        report = self.render("callback-serial", "grow-receive-64k")
        self.assertEqual(report.count("callback, SerialExecutor, p50"), 1)
        self.assertNotIn("with the accelerator", report)
        self.assertNotIn("growth", report)

    def test_growth(self) -> None:
        """The cost of a unit at each point, and what that means."""
        cases = ("grow-fragments-64", "grow-fragments-512", "grow-fragments-4096")
        for case in cases:
            fragments = CASES[case].fragments
            self.results.add(PURE, case, {"figures": {"cpu": 3.0 * fragments}})
            self.results.add(ACCELERATED, case, {"figures": {"cpu": 1.0 * fragments * fragments}})
        report = self.render(*cases)
        self.assertIn("| CPU us per fragment | 3, 3, 3 (linear) | 64, 512, 4,096 (not linear: 64 times) |", report)

    def test_reasons(self) -> None:
        """What is missing, and why; many cases are not listed one by one."""
        self.results.add("picows", "connect", {"skipped": "not here"})
        for case in list(CASES)[:7]:
            self.results.add("aiohttp", case, {"skipped": "nor this"})
        report = self.render("connect")
        self.assertIn("- picows: not here (connect)\n", report)
        self.assertIn("- aiohttp: nor this (7 cases)\n", report)

    def test_numbers(self) -> None:
        """Three digits, or all before the point."""
        values = (None, 0.00294, 0.1234, 12.345, 99.99, 123.4, 12345.6, 0)
        self.assertEqual(
            [number(value) for value in values], ["-", "0.00294", "0.123", "12.3", "100", "123", "12,346", "0"]
        )


class ReadmeTests(unittest.TestCase):
    def test_the_block_is_replaced(self) -> None:
        """What stands around the marks stays; doing it twice is doing it once."""
        text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
        once = into_readme(text, "new\n")
        self.assertEqual(once, f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n")
        self.assertEqual(into_readme(once, "new\n"), once)

    def test_marks_that_are_not_right(self) -> None:
        """Missing, twice or in the wrong order: nothing is guessed."""
        for text in ("", BEGIN, END, END + BEGIN, BEGIN + END + END, BEGIN + BEGIN + END, BEGIN + END + BEGIN):
            with self.subTest(text), self.assertRaisesRegex(ValueError, "once each"):
                into_readme(text, "new")


if __name__ == "__main__":
    unittest.main()

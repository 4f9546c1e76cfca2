"""The comparison with the golden files."""

from __future__ import annotations

import json
import tempfile
import unittest
from pathlib import Path

from tests.conformance.verdicts import Verdicts, chosen, compare, dump, parse_golden, parse_report, totals
from tests.runner import Counts

OK = ("OK", "OK")
GOLDEN = ("expected.json", "expected_server.json")


class ComparisonTests(unittest.TestCase):
    def test_equal_verdicts_pass(self) -> None:
        """A case whose two verdicts are the golden ones passes, whatever they are."""
        verdicts: Verdicts = {"1.1.1": OK, "7.1.6": ("INFORMATIONAL", "INFORMATIONAL")}
        self.assertEqual(compare(verdicts, verdicts, 2), (Counts(2, 0, 0), []))

    def test_a_difference_fails(self) -> None:
        """A worse verdict, a better one, and one on the closing alone are differences."""
        expected: Verdicts = {"1.1.1": OK, "1.1.2": ("FAILED", "OK"), "1.1.10": OK}
        found: Verdicts = {"1.1.10": ("OK", "UNCLEAN"), "1.1.1": ("NON-STRICT", "OK"), "1.1.2": OK}
        counts, lines = compare(expected, found, 3)
        self.assertEqual(counts, Counts(0, 3, 0))
        self.assertEqual(
            lines,
            [
                "1.1.1: expected OK / OK, found NON-STRICT / OK",
                "1.1.2: expected FAILED / OK, found OK / OK",
                "1.1.10: expected OK / OK, found OK / UNCLEAN",
            ],
        )

    def test_an_unknown_case_fails(self) -> None:
        """A case that the golden file lacks is a difference."""
        self.assertEqual(compare({}, {"1.1.1": OK}, 1)[1], ["1.1.1: expected nothing, found OK / OK"])

    def test_a_case_without_a_verdict_fails(self) -> None:
        """A case that was asked for but never judged fails; golden cases that were not asked for do not."""
        counts, lines = compare({"1.1.1": OK, "2.1": OK}, {"1.1.1": OK}, 3)
        self.assertEqual((counts, lines), (Counts(1, 2, 0), ["2 of 3 cases have no verdict"]))

    def test_what_cannot_be_judged_is_skipped(self) -> None:
        """UNIMPLEMENTED in the golden file and now is neither passed nor failed."""
        verdicts: Verdicts = {"13.1.1": ("UNIMPLEMENTED", "OK")}
        self.assertEqual(compare(verdicts, verdicts, 1)[0], Counts(0, 0, 1))

    def test_a_weakness_of_the_judge_is_skipped(self) -> None:
        """What the judge at hand says it cannot judge is skipped; a real difference fails all the same."""
        found: Verdicts = {"12.1.1": ("ERROR", "FAILED"), "13.2.1": ("UNIMPLEMENTED", "OK"), "1.1.1": ("FAILED", "OK")}
        expected = dict.fromkeys(found, OK)
        self.assertEqual(compare(expected, found, 3, ("ERROR", "UNIMPLEMENTED"))[0], Counts(0, 1, 2))
        self.assertEqual(compare(expected, found, 3)[0], Counts(0, 3, 0))


class FilesTests(unittest.TestCase):
    def test_the_report_is_read(self) -> None:
        """index.json of the judge maps names to cases to their verdicts; all names are the one judged."""
        report = {
            "wssync": {"1.1.1": {"behavior": "OK", "behaviorClose": "UNCLEAN", "duration": 2}},
            "127.0.0.1:4711": {"1.1.2": {"behavior": "ERROR", "behaviorClose": "FAILED", "duration": 0}},
        }
        self.assertEqual(parse_report(json.dumps(report)), {"1.1.1": ("OK", "UNCLEAN"), "1.1.2": ("ERROR", "FAILED")})

    def test_the_golden_file_is_written_in_the_order_of_numbers(self) -> None:
        """What is written reads back equal, a case a line, 1.1.2 before 1.1.10."""
        verdicts: Verdicts = {"1.1.10": OK, "1.1.2": ("FAILED", "OK"), "1.1.1": OK}
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "golden.json"
            dump(verdicts, file)
            text = file.read_text()
        self.assertEqual(parse_golden(text), verdicts)
        self.assertEqual([line.split(":")[0] for line in text.splitlines()[1:-1]], ['"1.1.1"', '"1.1.2"', '"1.1.10"'])

    def test_the_golden_files_have_no_failures(self) -> None:
        """No case of client or server is FAILED or NON-STRICT or badly closed, and none of the 517 is missing."""
        for name in GOLDEN:
            with self.subTest(file=name):
                golden = parse_golden(Path(__file__).with_name(name).read_text(encoding="utf-8"))
                self.assertEqual(len(golden), 517)
                self.assertEqual(set(golden.values()), {OK, ("INFORMATIONAL", "INFORMATIONAL")})

    def test_cases_are_chosen_by_number_or_pattern(self) -> None:
        """An asterisk stands for the rest of a number; a number without one is that case alone."""
        golden = dict.fromkeys(("1.1.1", "1.2.1", "10.1.1", "12.1.1", "12.1.10"), OK)
        self.assertEqual(chosen(golden, ["1.*", "12.1.1", "9.9.9"]), ["1.1.1", "1.2.1", "12.1.1"])
        self.assertEqual(chosen(golden, ["*"]), list(golden))

    def test_totals_count_both_verdicts(self) -> None:
        """The line of totals says how many cases got which verdict, and how they were closed."""
        found: Verdicts = {"1.1.1": OK, "1.1.2": OK, "2.1": ("FAILED", "OK")}
        self.assertEqual(totals(found), "behaviour: 2 OK, 1 FAILED; closing: 3 OK")

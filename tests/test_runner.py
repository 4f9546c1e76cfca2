"""The verdicts and the closing line of `tests.runner`."""

from __future__ import annotations

import io
import json
import os
import tempfile
import unittest
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import List
from unittest import mock

from tests.runner import COUNTS_VARIABLE, Counts, Options, Result, load, pick, report


class Fixture:
    """Holds test cases of every verdict, out of the reach of discovery."""

    class Mixed(unittest.TestCase):
        def test_good(self) -> None:
            self.assertTrue(True)

        def test_bad(self) -> None:
            self.fail("on purpose")

        def test_error(self) -> None:
            raise KeyError("on purpose")

        def test_three_bad_subtests(self) -> None:
            for number in range(3):
                with self.subTest(number=number):
                    self.fail("on purpose")

        def test_bad_and_skipped_subtests(self) -> None:
            with self.subTest(1):
                self.skipTest("on purpose")
            with self.subTest(2):
                self.fail("on purpose")

        def test_left_out(self) -> None:
            self.skipTest("on purpose")

        @unittest.expectedFailure
        def test_expected_failure(self) -> None:
            self.fail("on purpose")

        @unittest.expectedFailure
        def test_unexpected_success(self) -> None:
            self.assertTrue(True)

    class NoSetUp(unittest.TestCase):
        @classmethod
        def setUpClass(cls) -> None:
            raise OSError("on purpose")

        def test_never_run(self) -> None:
            self.fail("not reached")


def outcome(case: type) -> Counts:
    result = Result(unittest.runner._WritelnDecorator(io.StringIO()), True, 0)
    unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
    return result.counts()


class VerdictTests(unittest.TestCase):
    def test_every_test_has_one_verdict(self) -> None:
        """Failures, errors, bad subtests and unexpected successes fail once a test; expected failures pass."""
        self.assertEqual(outcome(Fixture.Mixed), Counts(passed=2, failed=5, skipped=1))

    def test_a_failing_class_set_up_is_a_failure(self) -> None:
        """A class whose tests never ran because its set-up failed does not vanish from the counts."""
        self.assertEqual(outcome(Fixture.NoSetUp), Counts(passed=0, failed=1, skipped=0))


class ExitStatusTests(unittest.TestCase):
    def test_success_needs_a_test_that_passed(self) -> None:
        """Only a run with a passed and without a failed test exits with 0."""
        self.assertEqual(Counts(1, 0, 5).exit_status, 0)
        self.assertEqual(Counts(0, 0, 5).exit_status, 1)
        self.assertEqual(Counts(0, 0, 0).exit_status, 1)
        self.assertEqual(Counts(3, 1, 0).exit_status, 1)


class ReportTests(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def test_the_closing_line(self) -> None:
        """The line printed is `N passed, N failed, N skipped`, and the status is that of the counts."""
        with redirect_stdout(io.StringIO()) as output, mock.patch.dict(os.environ):
            os.environ.pop(COUNTS_VARIABLE, None)
            status = report("tests", Counts(3, 1, 2))
        self.assertEqual(output.getvalue(), "3 passed, 1 failed, 2 skipped\n")
        self.assertEqual(status, 1)

    def test_counts_are_appended_to_the_file_named(self) -> None:
        """Each run adds one line of JSON to the file that WSSYNC_TEST_COUNTS names."""
        file = self.folder / "counts"
        with redirect_stdout(io.StringIO()), mock.patch.dict(os.environ, {COUNTS_VARIABLE: str(file)}):
            report("tests", Counts(3, 0, 2))
            report("interop", Counts(1, 1, 0))
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        self.assertEqual([line["suite"] for line in lines], ["tests", "interop"])
        self.assertEqual([line["passed"] for line in lines], [3, 1])
        self.assertEqual([line["failed"] for line in lines], [0, 1])
        self.assertEqual([line["skipped"] for line in lines], [2, 0])

    def test_a_folder_of_tests_that_is_no_package_is_refused(self) -> None:
        """Tests that unittest would silently pass over, for want of an __init__.py, are an error."""
        (self.folder / "inner").mkdir()
        (self.folder / "inner" / "test_lost.py").write_text("")
        with self.assertRaisesRegex(ValueError, r"inner has tests but no __init__\.py"):
            load([], None, self.folder)


class SelectionTests(unittest.TestCase):
    def test_names_choose_tests(self) -> None:
        """A dotted name loads that test alone."""
        self.assertEqual(load([f"{__name__}.ExitStatusTests"], None, Path()).countTestCases(), 1)

    def test_patterns_choose_tests(self) -> None:
        """-k keeps the tests whose name has the words in it."""
        options = Options("tests", "").parse_args(["-k", "closing_line", __name__])
        self.assertEqual(load(options.names, options.patterns, Path()).countTestCases(), 1)

    def test_parts_of_names_choose_cases(self) -> None:
        """A name picks each test that has it in its own name or in its case's; without names it is all of them."""
        module = ModuleType("cases")
        vars(module).update(__all__=["Mixed"], Mixed=Fixture.Mixed, Other=SelectionTests)
        picked = {test.rpartition(".")[2] for test in _identifiers(pick(module, ["good", "d.test_error"]))}
        self.assertEqual(picked, {"test_good", "test_error"})
        everything = unittest.TestLoader().getTestCaseNames(Fixture.Mixed)
        self.assertEqual(pick(module, []).countTestCases(), len(everything))

    def test_the_whole_suite_reaches_every_folder(self) -> None:
        """Without names, tests of the packages below are found too."""
        found = {name for name in _identifiers(load([], None, Path(__file__).parent)) if name.startswith("tests.")}
        self.assertIn(self.id(), found)
        self.assertTrue([name for name in found if name.startswith("tests.protocol.")])


def _identifiers(suite: unittest.TestSuite) -> List[str]:
    names = []
    for test in suite:
        names += _identifiers(test) if isinstance(test, unittest.TestSuite) else [test.id()]
    return names

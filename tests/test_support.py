"""The tables of `tests.support`: a row that got lost would be a test that cannot fail."""

from __future__ import annotations

import unittest
from typing import List, Tuple

from tests.support import cases, with_cases


def run(case: type) -> Tuple[List[str], unittest.TestResult]:
    """Run all tests of a class; return their names and the result."""
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(case)
    result = unittest.TestResult()
    names = sorted(test.id().rpartition(".")[2] for test in suite)  # type: ignore[union-attr]
    suite.run(result)
    return names, result


class CasesTests(unittest.TestCase):
    """`cases` and `with_cases`."""

    def test_makes_one_method_of_each_row(self) -> None:
        """Rows given as keywords, as a mapping and as pairs become methods with their names."""

        @with_cases
        class Sums(unittest.TestCase):
            @cases({"two words": (1, 1)}, [("3 = 3", (3, 3))], keyword=(2, 2))
            def test_equal(self, left: int, right: int) -> None:
                self.assertEqual(left, right)

            def test_plain(self) -> None:
                pass

        names, result = run(Sums)
        self.assertEqual(names, ["test_equal__3_3", "test_equal__keyword", "test_equal__two_words", "test_plain"])
        self.assertTrue(result.wasSuccessful())

    def test_a_bad_row_fails_alone(self) -> None:
        """Each row is run with its own arguments."""

        @with_cases
        class Sums(unittest.TestCase):
            @cases(good="a", bad="b")
            def test_letter(self, letter: str) -> None:
                self.assertEqual(letter, "a")

        names, result = run(Sums)
        self.assertEqual(len(names), 2)
        self.assertEqual([test.id().rpartition("__")[2] for test, _ in result.failures], ["bad"])

    def test_keeps_the_docstring(self) -> None:
        """The docstring of a method is that of each of its rows, with the row's name behind its first line."""

        @with_cases
        class Sums(unittest.TestCase):
            @cases(row=())
            def test_documented(self) -> None:
                """Rule 1: said here.

                And more.
                """

            @cases(row=())
            def test_bare(self) -> None:
                pass

        documented = Sums("test_documented__row").shortDescription()
        self.assertEqual(documented, "Rule 1: said here. [row]")
        self.assertIn("And more.", vars(Sums)["test_documented__row"].__doc__)
        self.assertEqual(Sums("test_bare__row").shortDescription(), "[row]")

    def test_two_rows_of_one_name_are_an_error(self) -> None:
        """A second row of the same name would replace the first in silence."""
        with self.assertRaisesRegex(ValueError, "two cases are called 'a_b'"):
            cases({"a b": 1}, a_b=2)

    def test_an_empty_table_is_an_error(self) -> None:
        """A table without rows would be a test that cannot fail."""
        with self.assertRaisesRegex(ValueError, "without cases"):
            cases([])

    def test_a_row_needs_a_name(self) -> None:
        """A name without a letter or digit makes no method."""
        with self.assertRaisesRegex(ValueError, "makes no name"):
            cases({"...": 1})


if __name__ == "__main__":
    unittest.main()

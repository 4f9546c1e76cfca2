"""The last line of every run: `N passed, N failed, N skipped`.

The suite, the conformance cases, the interop tests and the stress runs all end with that line, so that whoever reads
a log (a person, the continuous integration) reads one thing. `unittest` counts differently: it reports failures of
subtests one by one, and an error in `setUpClass` as one error without its tests. Here each test has one verdict: bad
if anything about it went wrong, a class whose set-up failed counts as one bad test, and an expected failure is a
success.

With the environment variable `WSSYNC_TEST_COUNTS` naming a file, each run appends one line of JSON to it; `.ci/run`
adds these lines up.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import os
import platform
import sys
import unittest
from pathlib import Path
from types import ModuleType
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Set

__all__ = ["COUNTS_VARIABLE", "Counts", "Options", "load", "pick", "report", "run", "run_modules", "watch"]

COUNTS_VARIABLE = "WSSYNC_TEST_COUNTS"

TIME_LIMIT = 600
"""Seconds after which a run that hangs prints the stack of every thread and dies: ten times what a run takes on a busy
machine, and little of the hour that the continuous integration has for all of them."""


class Counts(NamedTuple):
    """What a run came to: the number of tests of each verdict."""

    passed: int
    failed: int
    skipped: int

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"

    @property
    def exit_status(self) -> int:
        """0 if something ran and nothing failed, else 1: a run without tests is a failure."""
        return 0 if self.passed and not self.failed else 1


class Result(unittest.TextTestResult):
    """Collects the identifiers of the tests by verdict."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.good: Set[str] = set()
        self.bad: Set[str] = set()
        self.left_out: Set[str] = set()

    def counts(self) -> Counts:
        """Each test once, under its worst verdict."""
        return Counts(len(self.good - self.bad), len(self.bad), len(self.left_out - self.bad - self.good))

    def addSuccess(self, test: unittest.TestCase) -> None:
        super().addSuccess(test)
        self.good.add(test.id())

    def addExpectedFailure(self, test: unittest.TestCase, err: Any) -> None:
        super().addExpectedFailure(test, err)
        self.good.add(test.id())

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:
        super().addFailure(test, err)
        self.bad.add(test.id())

    def addError(self, test: unittest.TestCase, err: Any) -> None:
        super().addError(test, err)
        self.bad.add(test.id())

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        super().addUnexpectedSuccess(test)
        self.bad.add(test.id())

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.bad.add(test.id())

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        super().addSkip(test, reason)
        # A skipped subtest comes as an object of its own that knows its test.
        self.left_out.add(getattr(test, "test_case", test).id())


class Options(argparse.ArgumentParser):
    """The options that all runs share: those of `python -m unittest` that are about choosing and showing tests."""

    def __init__(self, program: str, description: str) -> None:
        super().__init__(prog=f"python -m {program}", description=description)
        self.add_argument("names", nargs="*", help="modules, classes or methods, dotted; default: all")
        self.add_argument("-v", "--verbose", action="store_true", help="name each test")
        self.add_argument("-q", "--quiet", action="store_true", help="no dots")
        self.add_argument("-f", "--failfast", action="store_true", help="stop at the first failure")
        self.add_argument("-b", "--buffer", action="store_true", help="show what a test printed only if it failed")
        self.add_argument("-k", dest="patterns", action="append", metavar="PATTERN", help="only tests that match")


def load(names: List[str], patterns: Optional[List[str]], folder: Path) -> unittest.TestSuite:
    """The tests called `names`, or all in `folder` and the packages below it, in as far as they match `patterns`.

    A folder of tests without `__init__.py` raises ValueError, since `unittest` would pass it over without a word.
    """
    loader = unittest.TestLoader()
    if patterns:
        loader.testNamePatterns = [pattern if "*" in pattern else f"*{pattern}*" for pattern in patterns]
    if names:
        return loader.loadTestsFromNames(names)
    for module in folder.rglob("test*.py"):
        if not (module.parent / "__init__.py").exists():
            raise ValueError(f"{module.parent} has tests but no __init__.py")
    return loader.discover(str(folder), top_level_dir=str(folder.parent))


def pick(module: ModuleType, names: List[str]) -> unittest.TestSuite:
    """The tests of the cases in `__all__` of a module whose `Case.test` contains one of the names (none: all)."""
    loader = unittest.TestLoader()
    suite = unittest.TestSuite()
    for kind in module.__all__:
        case = getattr(module, kind)
        for method in loader.getTestCaseNames(case):
            if not names or any(name in f"{kind}.{method}" for name in names):
                suite.addTest(case(method))
    return suite


def run(suite: unittest.TestSuite, options: Optional[argparse.Namespace] = None) -> Result:
    """Run `suite`, reporting on standard error as `unittest` does."""
    arguments = options or argparse.Namespace(verbose=False, quiet=False, failfast=False, buffer=False)
    runner = unittest.TextTestRunner(
        verbosity=0 if arguments.quiet else 1 + arguments.verbose,
        failfast=arguments.failfast,
        buffer=arguments.buffer,
        resultclass=Result,
    )
    result = runner.run(suite)
    assert isinstance(result, Result)
    return result


def report(suite: str, counts: Counts) -> int:
    """Print the closing line, note it in the file that WSSYNC_TEST_COUNTS names, and return the exit status."""
    file = os.environ.get(COUNTS_VARIABLE)
    if file:
        line = {"suite": suite, "python": platform.python_version(), **counts._asdict()}
        with open(file, "a", encoding="utf-8") as counted:
            counted.write(json.dumps(line) + "\n")
    sys.stderr.flush()
    print(counts, flush=True)
    return counts.exit_status


def run_modules(suite: str, description: str, modules: Sequence[ModuleType], arguments: Optional[List[str]]) -> int:
    """The command `python -m tests.SUITE`: run the tests named in `arguments`, or all of these modules, and tell what
    was skipped and why; the exit status.
    """
    options = Options(f"tests.{suite}", description).parse_args(arguments)
    watch()
    result = run(load(options.names or _cases_of(modules), options.patterns, Path()), options)
    for reason, tests in _skipped(result).items():
        print(f"skipped: {', '.join(tests)}: {reason}")
    return report(suite, result.counts())


def _cases_of(modules: Sequence[ModuleType]) -> List[str]:
    """The test cases of these modules, without the mixtures that some take from others."""
    return [
        f"{module.__name__}.{name}"
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, unittest.TestCase) and value.__module__ == module.__name__
    ]


def _skipped(result: Result) -> Dict[str, List[str]]:
    reasons: Dict[str, List[str]] = {}
    for test, reason in result.skipped:
        reasons.setdefault(reason, []).append(test.id())
    return reasons


def watch(seconds: float = TIME_LIMIT) -> None:
    """Have a run that hangs print the stacks of all threads and die, instead of eating the machine's hour."""
    faulthandler.enable()
    faulthandler.dump_traceback_later(seconds, exit=True)

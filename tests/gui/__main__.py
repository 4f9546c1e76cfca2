"""Run the GUI tests, or those named: `python -m tests.gui [NAMES...] [-k Wx]`."""

from __future__ import annotations

import sys
import unittest
from pathlib import Path
from typing import Dict, List, Optional

from tests.gui import loops
from tests.runner import Options, Result, load, report, run, watch

MODULES = (loops,)


def main(arguments: Optional[List[str]] = None) -> int:
    """The command; its exit status."""
    options = Options("tests.gui", "wssync in the loops of GUI toolkits.").parse_args(arguments)
    watch()
    result = run(load(options.names or _all(), options.patterns, Path()), options)
    for reason, tests in _skipped(result).items():
        print(f"skipped: {', '.join(tests)}: {reason}")
    return report("gui", result.counts())


def _all() -> List[str]:
    """The test cases of these modules, without the mixtures that some take from others."""
    return [
        f"{module.__name__}.{name}"
        for module in MODULES
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, unittest.TestCase) and value.__module__ == module.__name__
    ]


def _skipped(result: Result) -> Dict[str, List[str]]:
    reasons: Dict[str, List[str]] = {}
    for test, reason in result.skipped:
        reasons.setdefault(reason, []).append(test.id())
    return reasons


if __name__ == "__main__":
    sys.exit(main())

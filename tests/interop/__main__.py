"""Run the interop tests, or those named: `python -m tests.interop [NAMES...] [-k Nginx]`."""

from __future__ import annotations

import sys
import unittest
from pathlib import Path
from typing import Dict, List, Optional

from tests.interop import clients, openings, proxied, secured, servers
from tests.runner import Options, Result, load, report, run, watch

MODULES = (clients, servers, openings, proxied, secured)


def main(arguments: Optional[List[str]] = None) -> int:
    """The command; its exit status."""
    options = Options("tests.interop", "wssync against other people's servers and clients.").parse_args(arguments)
    watch()
    result = run(load(options.names or _all(), options.patterns, Path()), options)
    for reason, tests in _skipped(result).items():
        print(f"skipped: {', '.join(tests)}: {reason}")
    return report("interop", result.counts())


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

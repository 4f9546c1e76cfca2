"""The stress run: `python -m tests.stress [--schedules N] [NAMES...]`."""

from __future__ import annotations

import argparse
import sys
import time
from typing import List, Optional

from tests.runner import pick, report, run, watch
from tests.stress import cases

TIME_FOR_SCHEDULES = 400.0
"""Seconds after which no further schedule begins, however many are left."""


def main(arguments: Optional[List[str]] = None) -> int:
    """Run the cases whose names contain one of NAMES (default: all); the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.stress", description="Stress wssync.")
    parser.add_argument("names", nargs="*", help="parts of the names of cases, such as Flood; default: all")
    parser.add_argument("--schedules", type=int, default=10_000, metavar="N", help="how many random schedules to run")
    parser.add_argument("--seed", type=int, default=cases.ScheduleCases.seed, metavar="N", help="the first of them")
    options = parser.parse_args(arguments)
    watch()
    cases.ScheduleCases.schedules = options.schedules
    cases.ScheduleCases.seed = options.seed
    cases.ScheduleCases.until = time.monotonic() + TIME_FOR_SCHEDULES
    return report("stress", run(pick(cases, options.names)).counts())


if __name__ == "__main__":
    sys.exit(main())

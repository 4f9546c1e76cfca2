"""The sanitized run: `python -m tests.sanitize [--seconds N] [--seed N] [NAMES...]`.

Where a compiler or the sanitizers are missing all of it is skipped, with the reason, and that is no failure.
"""

from __future__ import annotations

import argparse
import sys
from typing import List, Optional

from tests.runner import pick, report, run, watch
from tests.sanitize import cases


def main(arguments: Optional[List[str]] = None) -> int:
    """Run the cases whose names contain one of NAMES (default: all); the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.sanitize", description="The accelerator under sanitizers.")
    parser.add_argument("names", nargs="*", help="parts of the names of cases, such as Planted; default: all")
    parser.add_argument("--seconds", type=float, default=30, metavar="N", help="how long to fuzz")
    parser.add_argument("--seed", type=int, default=None, metavar="N", help="of the fuzzing; default: a new one")
    options = parser.parse_args(arguments)
    watch()
    cases.SanitizerCase.seconds = options.seconds
    cases.SanitizerCase.seed = cases.new_seed() if options.seed is None else options.seed
    print(f"the fuzzing has --seed {cases.SanitizerCase.seed}", flush=True)
    counts = run(
        pick(cases, options.names), argparse.Namespace(verbose=True, quiet=False, failfast=False, buffer=False)
    )
    total = counts.counts()
    status = report("sanitize", total)
    return 0 if total.skipped and not total.failed else status


if __name__ == "__main__":
    sys.exit(main())

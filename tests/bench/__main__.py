"""The benchmark: `python -m tests.bench [--rounds N] [--rows PATTERNS] [--clients PATTERNS] [--output FILE]`."""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Dict, List, Optional

from tests.bench.report import into_readme, render
from tests.bench.rounds import Plan, run
from tests.bench.rows import CASES, CLIENTS, chosen

ROOT = Path(__file__).resolve().parents[2]

QUICK = (1, 0.02)
"""The rounds and seconds of `--quick`: what can fail does, but the figures are worth little."""


def main(arguments: Optional[List[str]] = None) -> int:
    """Run the benchmark; the exit status. A missed ratio is a result, a client that failed is a failure."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if sys.platform != "linux":
        parser.error("the benchmark runs on Linux alone")
    try:
        plan = Plan(
            chosen(list(CLIENTS), options.clients),
            chosen(list(CASES), options.rows),
            *(QUICK if options.quick else (options.rounds, options.seconds)),
        )
    except ValueError as error:
        parser.error(str(error))
    if options.nice:
        os.nice(options.nice)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="wssync-bench-") as folder:
        results = run(plan, Path(folder), _tell)
    facts = _facts(plan, time.monotonic() - begun)
    report = render(results, plan.cases, facts)
    if options.output:
        Path(options.output).write_text(report, encoding="utf-8")
    print(report)
    if options.readme:
        readme = ROOT / "README.md"
        readme.write_text(into_readme(readme.read_text(encoding="utf-8"), report), encoding="utf-8")
    failures = results.failures()
    for failure in failures:
        print(f"failed: {failure}", file=sys.stderr)
    return 1 if failures else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="How fast wssync is beside its peers.")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="how often each case is run (5)")
    parser.add_argument("--seconds", type=float, default=0.15, metavar="S", help="how long each time (0.15)")
    parser.add_argument("--rows", metavar="PATTERNS", help=f"cases, such as 'echo*,send-1m', of {', '.join(CASES)}")
    parser.add_argument(
        "--clients", metavar="PATTERNS", help=f"clients, such as 'raw,wssync*', of {', '.join(CLIENTS)}"
    )
    parser.add_argument("--output", metavar="FILE", help="write the report there too")
    parser.add_argument("--nice", type=int, default=0, metavar="N", help="added to the niceness; below 0 as root alone")
    parser.add_argument("--quick", action="store_true", help="one short round, to see that everything works")
    parser.add_argument("--readme", action="store_true", help="put the report between its marks in README.md")
    return parser


def _facts(plan: Plan, seconds: float) -> Dict[str, str]:
    return {
        "date": datetime.date.today().isoformat(),
        "machine": f"{_processor()}, {os.cpu_count()} cores",
        "system": f"{platform.system()} {platform.release()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "how": f"medians of {plan.rounds} rounds, {plan.seconds:g} s a case and round; {seconds / 60:.1f} minutes",
    }


def _processor() -> str:
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _tell(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

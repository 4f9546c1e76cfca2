"""Run the Autobahn Testsuite against wssync and compare with the golden files: `python -m tests.conformance`.

    --client, --server  the client alone, or `wssync.testing.Server` alone, instead of one after the other
    --cases 9.* 7.1.5   these instead of the bounded choice (numbers, or all that begin as before the asterisk)
    --full              all 517 cases: ten to twelve minutes for each of the two
    --update            write what was found into the golden files
    --tls               over wss

Without `--cases` or `--full` the families 12 and 13, ten minutes of a thousand compressed messages a case, are
represented by the smallest and one larger case of each of their sections.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence

from tests.conformance import client, server
from tests.conformance.autobahn import Judge, find_judge
from tests.conformance.verdicts import Verdicts, chosen, compare, dump, parse_golden, totals
from tests.processes import ProgramFailed, cache_folder
from tests.runner import Counts, report, watch

ALL = ("*",)
BOUNDED = (
    *(f"{family}.*" for family in (1, 2, 3, 4, 5, 6, 7, 9, 10)),  # there is no family 8
    *(f"12.{section}.{case}" for section in range(1, 6) for case in (1, 10)),
    *(f"13.{section}.{case}" for section in range(1, 8) for case in (1, 10)),
)
TIME_LIMIT = 3000
"""Seconds for each role, four times what all cases take."""


class Role(NamedTuple):
    """What is judged: a function that has the cases run and returns the verdicts, and what these should be."""

    judge: Callable[[Judge, Path, Sequence[str], bool], Verdicts]
    golden: Path


ROLES: Dict[str, Role] = {
    "client": Role(client.judge_client, Path(__file__).with_name("expected.json")),
    "server": Role(server.judge_server, Path(__file__).with_name("expected_server.json")),
}


def main(arguments: Optional[List[str]] = None) -> int:
    """The command; its exit status is 0 if every verdict is the golden one."""
    options = _options(arguments)
    try:
        judge = find_judge()
    except ProgramFailed as error:
        print(f"skipped: {error}")
        return _skipped()
    if options.tls and judge.name != "wstest":
        print("skipped: kosoku does not speak TLS")
        return _skipped()
    if options.update and judge.name != "wstest":
        raise SystemExit("the golden files are wstest's: kosoku may not write them")
    found = [_run(judge, name, options) for name in ([options.role] if options.role else ROLES)]
    return report("conformance", Counts(*map(sum, zip(*found))))


def _options(arguments: Optional[List[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=(__doc__ or "").split("\n")[0])
    roles = parser.add_mutually_exclusive_group()
    for name in ROLES:
        roles.add_argument(f"--{name}", dest="role", action="store_const", const=name, help=f"the {name} alone")
    parser.add_argument("--cases", nargs="+", metavar="CASE", help="these cases (9.* or 7.1.5)")
    parser.add_argument("--full", action="store_true", help="all cases")
    parser.add_argument("--update", action="store_true", help="write the verdicts into the golden files")
    parser.add_argument("--tls", action="store_true", help="over wss")
    return parser.parse_args(arguments)


def _skipped() -> int:
    report("conformance", Counts(0, 0, 1))
    return 0


def _run(judge: Judge, name: str, options: argparse.Namespace) -> Counts:
    """Have one role judged, compare with its golden file, and say what differs."""
    watch(TIME_LIMIT)
    role = ROLES[name]
    cases = options.cases or (ALL if options.full else BOUNDED)
    folder = cache_folder("wssync-autobahn", "WSSYNC_AUTOBAHN") / _report_name(name, tls=options.tls)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    print(f"{judge.name} judges the {name}", flush=True)
    found = role.judge(judge, folder, cases, options.tls)
    if options.update:
        _update(role.golden, found)
    golden = parse_golden(role.golden.read_text(encoding="utf-8"))
    counts, lines = compare(golden, found, len(chosen(golden, cases)), judge.unjudged)
    for line in lines:
        print(line)
    print(totals(found))
    print(f"the report: {folder / 'index.html'}")
    print(f"the {name}: {counts}", flush=True)
    return counts


def _report_name(role: str, *, tls: bool) -> str:
    return "-".join(["report", *(["server"] if role == "server" else []), *(["tls"] if tls else [])])


def _update(golden: Path, found: Verdicts) -> None:
    """Write what was found into the golden file; cases that did not run stay as they are."""
    before = parse_golden(golden.read_text(encoding="utf-8")) if golden.exists() else {}
    dump({**before, **found}, golden)
    print(f"wrote {golden}")


if __name__ == "__main__":
    sys.exit(main())

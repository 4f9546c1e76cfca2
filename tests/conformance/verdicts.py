"""Verdicts of the Autobahn Testsuite: reading its report, and comparing it with the golden file.

A case has two verdicts: on its behaviour (OK, NON-STRICT, INFORMATIONAL, UNIMPLEMENTED, FAILED, ...) and on how the
connection was closed.
"""

from __future__ import annotations

import fnmatch
import json
from collections import Counter
from pathlib import Path
from typing import Collection, Dict, List, Sequence, Tuple

from tests.runner import Counts

__all__ = ["Verdict", "Verdicts", "chosen", "compare", "dump", "parse_golden", "parse_report", "totals"]

Verdict = Tuple[str, str]
Verdicts = Dict[str, Verdict]
"""Case number, such as "9.1.1" -> (behaviour, behaviour when closing)."""


def _order(case: str) -> List[int]:
    return [int(part) for part in case.split(".")]


def parse_report(text: str) -> Verdicts:
    """The verdicts in the index.json that the judge writes.

    It sorts them by what the judged is called. There is one, but kosoku knows a server's name only where it came to
    its answer, and calls it by its address elsewhere.
    """
    agents = json.loads(text).values()
    return {case: (found["behavior"], found["behaviorClose"]) for cases in agents for case, found in cases.items()}


def parse_golden(text: str) -> Verdicts:
    """The verdicts of the golden file."""
    return {case: (behaviour, closing) for case, (behaviour, closing) in json.loads(text).items()}


def chosen(golden: Verdicts, cases: Sequence[str]) -> List[str]:
    """Those of the cases in the golden file that `cases` asks for: numbers, or patterns with an asterisk."""
    return [case for case in golden if any(fnmatch.fnmatchcase(case, pattern) for pattern in cases)]


def dump(verdicts: Verdicts, file: Path) -> None:
    """Write the golden file: a case a line, in the order of their numbers, so that its diff reads well."""
    lines = (f'"{case}": {json.dumps(verdicts[case])}' for case in sorted(verdicts, key=_order))
    file.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def compare(
    expected: Verdicts, found: Verdicts, count: int, unjudged: Collection[str] = ()
) -> Tuple[Counts, List[str]]:
    """Compare the verdicts `found` on `count` cases: the counts, and a line for each case that differs.

    A case whose behaviour is one of `unjudged`, a judge's own weaknesses, is skipped, and so is one that no judge ever
    judged (UNIMPLEMENTED in the golden file too). A case without a verdict failed: one side never
    came to it, or never to its end.
    """
    lines = []
    passed = skipped = 0
    for case in sorted(found, key=_order):
        golden = expected.get(case)
        if golden != found[case] and found[case][0] in unjudged:
            skipped += 1
        elif golden != found[case]:
            lines.append(f"{case}: expected {_words(golden)}, found {_words(found[case])}")
        elif golden[0] == "UNIMPLEMENTED":
            skipped += 1
        else:
            passed += 1
    failed = len(lines)
    if len(found) < count:
        lines.append(f"{count - len(found)} of {count} cases have no verdict")
        failed += count - len(found)
    return Counts(passed, failed, skipped), lines


def _words(verdict: object) -> str:
    return " / ".join(verdict) if isinstance(verdict, tuple) else "nothing"


def totals(found: Verdicts) -> str:
    """How many cases got each verdict, in one line."""
    behaviour = Counter(verdict[0] for verdict in found.values())
    closing = Counter(verdict[1] for verdict in found.values())
    return f"behaviour: {_tally(behaviour)}; closing: {_tally(closing)}"


def _tally(counter: Counter[str]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counter.most_common()) or "none"

"""From answers to verdicts: medians over the rounds, ratios, growth."""

from __future__ import annotations

import statistics
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

from tests.bench.rows import ACCELERATED, FLOOR, PURE, Growth, Limit, Row

__all__ = ["LINEAR", "Results", "growth", "judge", "verdict"]

LINEAR = 2.0
"""A unit of work of a large job may cost this many times that of a small one. Memory that no longer fits the caches
accounts for that much; what looks at everything again with each piece grows with the number of pieces."""

CHANCES = 2
"""Failures after which a client is not asked for a case again."""


class Results:
    """What all clients answered in all rounds."""

    def __init__(self) -> None:
        self._figures: Dict[Tuple[str, str, str], List[float]] = {}
        self._skipped: Dict[Tuple[str, str], str] = {}
        self._failed: Dict[Tuple[str, str], List[str]] = {}
        self.versions: Dict[str, str] = {}

    def add(self, client: str, case: str, answer: Mapping[str, Any]) -> None:
        """One client's answer to one case in one round: figures, or why there are none."""
        if "figures" in answer:
            for name, figure in answer["figures"].items():
                self._figures.setdefault((client, case, name), []).append(float(figure))
        elif "skipped" in answer:
            self._skipped[client, case] = str(answer["skipped"])
        else:
            self._failed.setdefault((client, case), []).append(str(answer.get("failed", "no answer")))

    def has_given_up(self, client: str, case: str) -> bool:
        """Whether to ask again is of no use."""
        return (client, case) in self._skipped or len(self._failed.get((client, case), ())) >= CHANCES

    def value(self, client: str, case: str, figure: str) -> Optional[float]:
        """The median over the rounds; `None` where there is none."""
        values = self._figures.get((client, case, figure))
        return statistics.median(values) if values else None

    def reasons(self) -> Dict[str, List[str]]:
        """Reason -> the cases that were not measured for it, or not in every round."""
        found: Dict[str, List[str]] = {}
        for (client, case), reason in self._skipped.items():
            found.setdefault(f"{client}: {reason}", []).append(case)
        for (client, case), whys in self._failed.items():
            times = "" if len(whys) == 1 else f" ({len(whys)} times)"
            found.setdefault(f"{client} failed{times}: {whys[-1]}", []).append(case)
        return found

    def failures(self) -> List[str]:
        """Every failure of wssync, and those of others for which there is no figure: one of them is known to hang now
        and then, which is nothing that whoever measures wssync could mend.
        """
        measured = {(client, case) for client, case, _ in self._figures}
        return [
            f"{client}, {case}: {whys[-1]}"
            for (client, case), whys in self._failed.items()
            if client in (PURE, ACCELERATED) or (client, case) not in measured
        ]


def judge(row: Row, limit: Limit, client: str, results: Results) -> str:
    """Whether `client`, one of the two builds of wssync, keeps the limit; empty if that asks nothing of it.

    Beside a ratio that was missed stands the bare socket's, what the system takes for the same bytes; and what it takes
    with masking in Python, memory for each message, zlib or a thread, where that build of wssync has them too.
    """
    bound = limit.bound(client)
    if bound is None:
        return ""
    mine = results.value(client, row.case, row.figure)
    if mine is None:
        return "not measured"
    if limit.than is None:
        return verdict(mine, bound, row.unit)
    other = results.value(limit.than, row.case, row.figure)
    if not other:
        return f"{limit.than} not measured"
    said = verdict(mine / other, bound, f"x {limit.than}")
    if mine / other <= bound:
        return said
    least = [
        f"{what}: {floor / other:.3g}" for what, floor in _floors(row, client, limit.than, results) if floor is not None
    ]
    return f"{said} ({', '.join(least)})" if least else said


def _floors(row: Row, client: str, than: str, results: Results) -> Iterator[Tuple[str, Optional[float]]]:
    raw, floor = (results.value(which, row.case, row.figure) for which in ("raw", FLOOR))
    if than != "raw":
        yield "the bare socket", raw
    if row.case == "connect":
        yield "with a thread", floor
    elif row.case.endswith("receive-1m"):
        yield "with memory for each", floor
    elif row.case.startswith("compressed"):
        yield "with zlib", floor
    elif client == PURE:
        yield "masked in Python", floor


def verdict(value: float, bound: float, unit: str) -> str:
    """In words: "held: 1.32 <= 1.5 x raw"."""
    said = f"{value:.3g}"
    if value > bound:
        return f"missed: {said if float(said) > bound else repr(value)} > {bound:g} {unit}"
    return f"held: {said} <= {bound:g} {unit}"


def growth(line: Growth, client: str, results: Results) -> Optional[Tuple[List[float], float]]:
    """The cost of a unit at each point, and how many times the last is of the first; `None` where one is missing."""
    costs = []
    for case, amount in line.points:
        value = results.value(client, case, line.figure)
        if value is None:
            return None
        costs.append(value / amount)
    return costs, costs[-1] / costs[0]

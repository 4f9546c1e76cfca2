"""The report in Markdown: figures, verdicts, growth, and where they come from; and its place in the README."""

from __future__ import annotations

from typing import Dict, Iterable, List, Mapping, Optional, Sequence

from tests.bench.figures import LINEAR, Results, growth, judge
from tests.bench.rows import ACCELERATED, CLIENTS, GROWTHS, PURE, ROWS, Growth, Row

__all__ = ["BEGIN", "END", "into_readme", "number", "render"]

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"

BUILDS = {PURE: "pure Python", ACCELERATED: "with the accelerator"}


def render(results: Results, cases: Sequence[str], facts: Mapping[str, str]) -> str:
    """The report on the rows of `cases`. `facts` are about the run: date, machine and so on."""
    rows = [row for row in ROWS if row.case in cases]
    lines = [line for line in GROWTHS if all(case in cases for case, _ in line.points)]
    parts = ["\n".join(f"- {name}: {fact}" for name, fact in facts.items())]
    if rows:
        parts += [_figures(rows, results), _verdicts(rows, results)]
    if lines:
        parts.append(_growth(lines, results))
    parts.append(_reasons(results.reasons()))
    return "\n\n".join(part for part in parts if part) + "\n"


def _figures(rows: Sequence[Row], results: Results) -> str:
    clients = [client for client in CLIENTS if any(_value(row, client, results) is not None for row in rows)]
    table = [["row", "unit", *(_heading(client, results) for client in clients)]]
    for row in rows:
        table.append([row.title, row.unit, *(number(_value(row, client, results)) for client in clients)])
    return _table(table, right_from=2)


def _heading(client: str, results: Results) -> str:
    return f"{CLIENTS[client]} {results.versions.get(client, '')}".strip()


def _value(row: Row, client: str, results: Results) -> Optional[float]:
    return results.value(client, row.case, row.figure)


def _verdicts(rows: Sequence[Row], results: Results) -> str:
    table = [["row", *BUILDS.values()]]
    for row in rows:
        cells = [[judge(row, limit, client, results) for limit in row.limits] for client in BUILDS]
        if row.limits:
            table.append([row.title, *("; ".join(filter(None, dict.fromkeys(cell))) for cell in cells)])
    return _table(table) if len(table) > 1 else ""


def _growth(lines: Iterable[Growth], results: Results) -> str:
    table = [["growth", "unit", *BUILDS.values()]]
    for line in lines:
        cells = []
        for client in BUILDS:
            found = growth(line, client, results)
            if found is None:
                cells.append("-")
                continue
            costs, factor = found
            judgement = "linear" if factor <= LINEAR else f"not linear: {factor:.2g} times"
            cells.append(", ".join(map(number, costs)) + f" ({judgement})")
        table.append([line.title, line.unit, *cells])
    return _table(table)


def _reasons(reasons: Dict[str, List[str]]) -> str:
    if not reasons:
        return ""
    lines = (
        f"- {reason} ({', '.join(cases) if len(cases) < 6 else f'{len(cases)} cases'})"
        for reason, cases in reasons.items()
    )
    return "Not measured, or not in every round:\n\n" + "\n".join(lines)


def _table(rows: Sequence[Sequence[str]], right_from: int = 99) -> str:
    marks = ["---:" if place >= right_from else "---" for place in range(len(rows[0]))]
    return "\n".join("| " + " | ".join(row) + " |" for row in [rows[0], marks, *rows[1:]])


def number(value: Optional[float]) -> str:
    """Three digits, as many as such measurements are worth."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def into_readme(text: str, report: str) -> str:
    """`text` with the report between the marks. ValueError where the marks are not there, once each and in order."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in before + after:
        raise ValueError(f"README.md must have {BEGIN} and {END} in it, once each")
    return f"{before}{BEGIN}\n\n{report}\n{END}{after}"

"""What a mismatch says: what the cassette has, what came instead, and where in a long text the two part.

Everything shown is bounded: a message may have megabytes, and a failure is read in a terminal.
"""

from __future__ import annotations

import difflib
from typing import List, Optional, Sequence

from ..protocol.headers import Headers
from ..protocol.http1 import RequestHead
from .masking import Masking
from .tape import Asked, Event, Said, describe, escape

__all__ = ["compare_requests", "show", "show_both", "show_pair"]

SHOWN = 160
"""Characters of one event, or of one line of it, that are shown."""

LINES = 24
"""Lines of a difference that are shown."""


def compare_requests(expected: Optional[Asked], request: RequestHead, masking: Masking) -> Optional[str]:
    """How the request differs from the one expected, or `None` if it does not."""
    if expected is None:
        return None
    before, now = f"{expected.method} {masking.url(expected.target)}", f"{request.method} {masking.url(request.target)}"
    if before != now:
        return show_pair(before, now)
    if expected.headers is None:
        return None
    old, new = masking.headers(expected.headers), masking.headers(request.headers)
    return None if old == new else "the header fields differ:\n" + "\n".join(_compare_fields(old, new))


def _compare_fields(old: Headers, new: Headers) -> List[str]:
    lines: List[str] = []
    for name in sorted({name.lower(): name for name in [*new, *old]}.values(), key=str.lower):
        before, now = old.get_all(name), new.get_all(name)
        if before != now:
            lines += [f"  recorded: {name}: {_cut(escape(value))}" for value in before or ["(no such field)"]]
            lines += [f"  came:     {name}: {_cut(escape(value))}" for value in now or ["(no such field)"]]
    return lines[:LINES]


def show_both(expected: Event, came: Event) -> str:
    """The two events, and where two long texts differ."""
    pair = show_pair(show(expected), show(came))
    if not isinstance(expected, Said) or not isinstance(came, Said):
        return pair
    before, now = expected.content, came.content
    if not isinstance(before, str) or not isinstance(now, str):
        return pair
    if "\n" in before or "\n" in now:
        return f"{pair}\n{_compare_lines(before, now)}"
    if max(len(before), len(now)) > SHOWN:
        return f"{pair}\n{_compare_characters(before, now)}"
    return pair


def show(event: Event) -> str:
    """The event as it stands in the file, cut if it is long."""
    return _cut(describe(event))


def show_pair(expected: str, came: str) -> str:
    """Both sides, one below the other."""
    return f"  recorded: {expected}\n  came:     {came}"


def _compare_lines(before: str, now: str) -> str:
    """A difference of lines, unless they are so long that it would show nothing and cost too much."""
    old, new = before.split("\n"), now.split("\n")
    start = max(0, _same(old, new) - 2)  # difflib takes quadratic time, so it sees no more than can be shown
    old, new = old[start : start + LINES], new[start : start + LINES]
    if max(map(len, (*old, *new)), default=0) > SHOWN:
        return _compare_characters(before, now)
    found = [f"  {escape(line.rstrip())}" for line in difflib.ndiff(old, new)]
    return "\n".join([f"  from line {start + 1}:", *found[:LINES]])


def _compare_characters(before: str, now: str) -> str:
    same = _same(before, now)
    start = max(0, same - 20)
    pair = show_pair(*(escape(text[start : start + SHOWN // 2]) for text in (before, now)))
    return f"  they differ at character {same + 1}:\n{pair}"


def _same(before: Sequence[str], now: Sequence[str]) -> int:
    """How many items at the beginning are the same."""
    pairs = enumerate(zip(before, now))
    return next((place for place, (one, other) in pairs if one != other), min(len(before), len(now)))


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else text[:SHOWN] + "..."

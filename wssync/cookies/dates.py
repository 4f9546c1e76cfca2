"""The date of an `Expires` attribute, read as tolerantly as RFC 6265 section 5.1.1 says."""

from __future__ import annotations

import re

from ..hints import Dict, Optional

__all__ = ["parse_cookie_date"]

_DELIMITERS = re.compile(r"[\t\x20-/;-@\[-`{-~]+")
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?![0-9])")
_DAY = re.compile(r"([0-9]{1,2})(?![0-9])")
_YEAR = re.compile(r"([0-9]{2,4})(?![0-9])")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_FIRST_YEAR = 1601


def parse_cookie_date(text: str) -> Optional[int]:
    """Seconds since the beginning of 1970, negative before it; `None` for what is no date."""
    found: Dict[str, int] = {}
    for token in _DELIMITERS.split(text):
        _read(token, found)
    if len(found) != 6:
        return None
    year = found["year"]
    if year < 100:
        year += 1900 if year >= 70 else 2000
    if year < _FIRST_YEAR:
        return None
    import datetime  # `http.cookiejar` has loaded it

    try:
        moment = datetime.datetime(
            year,
            found["month"],
            found["day"],
            found["hour"],
            found["minute"],
            found["second"],
            tzinfo=datetime.timezone.utc,
        )
    except ValueError:
        return None
    return int(moment.timestamp())


def _read(token: str, found: Dict[str, int]) -> None:
    """Add what `token` is: the first of the four that it can be and that is still missing."""
    time = None if "hour" in found else _TIME.match(token)
    if time:
        found.update(hour=int(time[1]), minute=int(time[2]), second=int(time[3]))
        return
    day = None if "day" in found else _DAY.match(token)
    if day:
        found["day"] = int(day[1])
        return
    month = token[:3].lower()
    if "month" not in found and month in _MONTHS:
        found["month"] = 1 + _MONTHS.index(month)
        return
    year = None if "year" in found else _YEAR.match(token)
    if year:
        found["year"] = int(year[1])

"""`wssync.cookies.dates`: RFC 6265 section 5.1.1. The dates of others are in `test_http_state`."""

from __future__ import annotations

import calendar
import unittest
from typing import Optional, Tuple

from tests.support import cases, with_cases
from wssync.cookies.dates import parse_cookie_date


@with_cases
class DateTests(unittest.TestCase):
    """`parse_cookie_date`."""

    @cases(
        as_http_has_it=("Sun, 06 Nov 1994 08:49:37 GMT", (1994, 11, 6, 8, 49, 37)),
        as_rfc_850_has_it=("Sunday, 06-Nov-94 08:49:37 GMT", (1994, 11, 6, 8, 49, 37)),
        as_asctime_has_it=("Sun Nov  6 08:49:37 1994", (1994, 11, 6, 8, 49, 37)),
        any_order=("1994 08:49:37 Nov 6", (1994, 11, 6, 8, 49, 37)),
        every_delimiter=("6\t/Nov!~{94@[`]8:49:37", (1994, 11, 6, 8, 49, 37)),
        no_zone_is_read=("6 Nov 1994 08:49:37 +0500", (1994, 11, 6, 8, 49, 37)),
        what_follows_a_number=("6th NOVember 1994th 8:4:7pm", (1994, 11, 6, 8, 4, 7)),
        a_second_number_is_the_year=("1 02 Jan Feb 1999 2001 1:1:1 2:2:2", (2002, 1, 1, 1, 1, 1)),
        two_digits_70=("1 Jan 70 0:0:0", (1970, 1, 1, 0, 0, 0)),
        two_digits_99=("1 Jan 99 0:0:0", (1999, 1, 1, 0, 0, 0)),
        two_digits_69=("1 Jan 69 0:0:0", (2069, 1, 1, 0, 0, 0)),
        two_digits_00=("1 Jan 00 0:0:0", (2000, 1, 1, 0, 0, 0)),
        three_digits=("1 Jan 999 0:0:0", None),
        leap_day=("29 Feb 2000 0:0:0", (2000, 2, 29, 0, 0, 0)),
        first_year=("1 Jan 1601 0:0:0", (1601, 1, 1, 0, 0, 0)),
        last_second=("31 Dec 9999 23:59:59", (9999, 12, 31, 23, 59, 59)),
        year_too_early=("31 Dec 1600 23:59:59", None),
        no_leap_day=("29 Feb 1900 0:0:0", None),
        day_0=("0 Jan 2000 0:0:0", None),
        day_32=("32 Jan 2000 0:0:0", None),
        hour_24=("1 Jan 2000 24:0:0", None),
        minute_60=("1 Jan 2000 0:60:0", None),
        second_60=("1 Jan 2000 0:0:60", None),
        time_of_three_digits=("1 Jan 2000 0:0:000", None),
        five_digits=("1 Jan 20000 0:0:0", None),
        no_time=("1 Jan 2000", None),
        no_day=("Jan 2000 0:0:0", None),
        no_month=("1 2000 0:0:0", None),
        no_year=("1 Jan 0:0:0", None),
        empty=("", None),
        other_digits=("\u00b9 Jan 2000 0:0:0", None),
    )
    def test_dates(self, text: str, expected: Optional[Tuple[int, ...]]) -> None:
        """Rule 90: the first of each of time, day, month and year counts; what does not exist is no date."""
        self.assertEqual(parse_cookie_date(text), expected and calendar.timegm((*expected, 0, 0, 0)))

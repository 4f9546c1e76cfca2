"""`wssync.cookies.ages`: which cookie is the older one."""

from __future__ import annotations

import unittest
from http.cookiejar import CookieJar

from tests.cookies.support import foreign
from tests.support import cases, with_cases
from wssync.cookies.ages import AGE_ATTRIBUTE, age_of, as_stored, make_age, with_ages


@with_cases
class AgeTests(unittest.TestCase):
    """Ages of cookies."""

    def test_made(self) -> None:
        """Rule 92: what is made later is younger, in the same second and in a later one."""
        texts = [make_age(7), make_age(7), make_age(8)]
        ages = [age_of(foreign("a", "b", rest={AGE_ATTRIBUTE: text})) for text in texts]
        known = [age for age in ages if age is not None]
        self.assertEqual(known, sorted(set(known)))
        self.assertEqual([seconds for seconds, _ in known], [7, 7, 8])

    @cases(
        nothing={}, none={AGE_ATTRIBUTE: None}, words={AGE_ATTRIBUTE: "old"}, endless={AGE_ATTRIBUTE: "9" * 5000 + ".1"}
    )
    def test_unknown(self, rest: object) -> None:
        """What others, servers among them, may have written there is no age."""
        self.assertIsNone(age_of(foreign("a", "b", rest=rest)))

    def test_as_stored(self) -> None:
        """Rule 92: the order of a jar is that in which domains, paths and names first came, not that of their names."""
        jar = CookieJar()
        for name, domain in (("z", "b.example"), ("y", "a.example"), ("x", "b.example"), ("z", "b.example")):
            jar.set_cookie(foreign(name, "", domain=domain))
        self.assertEqual([cookie.name for cookie in as_stored(jar)], ["z", "x", "y"])

    def test_of_a_jar(self) -> None:
        """Rule 92: one without an age is as old as the one before it with its domain and path, or older than all."""
        stored = [
            foreign("first", "", path="/a"),
            foreign("ours", "", path="/a", rest={AGE_ATTRIBUTE: "5.1"}),
            foreign("next", "", path="/a"),
            foreign("elsewhere", "", path="/b"),
        ]
        self.assertEqual([age for age, _ in with_ages(stored)], [(0, 0), (5, 1), (5, 1), (0, 0)])

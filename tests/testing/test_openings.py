"""Tests of `wssync.testing.openings`."""

from __future__ import annotations

import unittest
from typing import Any, Callable, Dict, List, Optional

from tests.support import cases, with_cases
from wssync.protocol.http1 import RequestHead
from wssync.testing import ServerConnection
from wssync.testing.handlers import Handler
from wssync.testing.openings import (
    at,
    inform,
    redirect,
    refuse,
    require_cookies,
    require_headers,
    set_cookies,
    turn_down,
)

from .asking import AskingCase


@with_cases
class RefuseTests(AskingCase):
    """`refuse`."""

    def test_by_default(self) -> None:
        """403 with the usual phrase, no body, and the end of the connection."""
        server = self.serve(opening=refuse())
        answer = self.ask(server)
        self.assertEqual((answer.status_code, answer.reason, answer.body), (403, "Forbidden", b""))
        self.assertEqual(dict(answer.headers), {"Connection": "close", "Content-Length": "0"})
        self.assertEqual((server.connections, len(server.requests), server.errors), ([], 1, []))

    def test_with_everything(self) -> None:
        """Reason, fields and body are sent as they are given; a field of the caller's is there once."""
        headers = [("connection", "Close"), ("X-Why", "a"), ("X-Why", "b")]
        answer = self.ask(self.serve(opening=refuse(503, "Not now", headers, b"\xffbody")))
        self.assertEqual((answer.status_code, answer.reason, answer.body), (503, "Not now", b"\xffbody"))
        expected = (("connection", "Close"), ("X-Why", "a"), ("X-Why", "b"), ("Content-Length", "5"))
        self.assertEqual(answer.headers.fields, expected)

    @cases(
        s401=(401, "WWW-Authenticate", 'Basic realm="wssync"'),
        s405=(405, "Allow", "GET"),
        s407=(407, "Proxy-Authenticate", 'Basic realm="wssync"'),
        s426=(426, "Upgrade", "websocket"),
    )
    def test_the_field_that_belongs_to_a_status(self, status: int, name: str, value: str) -> None:
        """RFC 9110 demands it; the caller's own stands in its place."""
        answer = self.ask(self.serve(opening=refuse(status)))
        self.assertEqual((answer.status_code, answer.headers[name]), (status, value))
        self.assertRegex(answer.headers["Connection"], r"(Upgrade, )?close$")
        self.assertEqual(answer.headers["Connection"] != "close", status == 426)
        own = self.ask(self.serve(opening=refuse(status, headers={name.lower(): "own"})))
        self.assertEqual(own.headers.get_all(name), ["own"])

    def test_an_unknown_status(self) -> None:
        """It has no phrase."""
        answer = self.ask(self.serve(opening=refuse(599)))
        self.assertEqual((answer.status_code, answer.reason), (599, ""))

    def test_wrong_arguments(self) -> None:
        """ValueError when it is made, not when a client comes."""
        wrong: List[Callable[[], Handler]] = [
            lambda: refuse(101),
            lambda: refuse(199),
            lambda: refuse(1000),
            lambda: refuse(403, "a\r\nb"),
            lambda: refuse(403, headers={"a b": "c"}),
        ]
        for call in wrong:
            with self.assertRaises(ValueError):
                call()

    def test_the_next_one_is_not_asked(self) -> None:
        """An answer ends the row."""
        server = self.serve(opening=[refuse(404), refuse(500)])
        self.assertEqual(self.ask(server).status_code, 404)

    def test_a_line_for_people(self) -> None:
        """`turn_down` says why, in UTF-8, with the fields given."""

        def opening(connection: ServerConnection) -> None:
            turn_down(connection, 400, "für dich", {"X-More": "1"})

        answer = self.ask(self.serve(opening=opening))
        self.assertEqual(answer.body.decode(), "für dich\n")
        self.assertEqual(answer.headers["Content-Type"], "text/plain; charset=utf-8")
        self.assertEqual(answer.headers["X-More"], "1")


@with_cases
class RedirectTests(AskingCase):
    """`redirect`."""

    @cases(relative="/new?a=b", absolute="wss://example.test/new", other="//example.test")
    def test_a_location(self, location: str) -> None:
        """It is sent as it is, with 302, and the connection ends."""
        answer = self.ask(self.serve(opening=redirect(location)))
        self.assertEqual((answer.status_code, answer.reason), (302, "Found"))
        self.assertEqual(dict(answer.headers), {"Connection": "close", "Location": location, "Content-Length": "0"})

    def test_a_location_for_each_request(self) -> None:
        """A function makes it of the request."""
        server = self.serve(opening=redirect(lambda request: request.target + "/more", 307))
        for target in ("/a", "/b?c"):
            answer = self.ask(server, target=target)
            self.assertEqual((answer.status_code, answer.headers["Location"]), (307, target + "/more"))

    @cases((str(status), status) for status in (300, 301, 303, 308, 399))
    def test_every_status_that_redirects(self, status: int) -> None:
        """From 300 to 399."""
        self.assertEqual(self.ask(self.serve(opening=redirect("/", status))).status_code, status)

    def test_wrong_arguments(self) -> None:
        """Another status, or no field: ValueError at once; from a function, among the server's errors."""
        wrong: List[Callable[[], Handler]] = [
            lambda: redirect("/", 299),
            lambda: redirect("/", 400),
            lambda: redirect("/a\r\nX: b"),
            lambda: redirect(lambda request: "/", 200),
        ]
        for call in wrong:
            with self.assertRaises(ValueError):
                call()
        server = self.serve(opening=redirect(lambda request: "/\n"))
        client = self.connect(server)
        with self.assertRaises(ConnectionError):
            client.upgrade()
        client.sock.close()
        server.close()
        self.assertEqual([type(error) for error in server.errors], [ValueError])


@with_cases
class RequireHeadersTests(AskingCase):
    """`require_headers`."""

    @cases(
        same=("X-Token: secret", None),
        other_case=("x-tOKEN: secret", None),
        among_others=("X-Token: a\r\nX-Token: secret", None),
        missing=("X-Other: secret", "the header field X-Token is missing\n"),
        empty=("X-Token:", "the header field X-Token has another value than it must have\n"),
        other_case_of_value=("X-Token: Secret", "the header field X-Token has another value than it must have\n"),
        longer=("X-Token: secrets", "the header field X-Token has another value than it must have\n"),
    )
    def test_a_value(self, field: str, complaint: Optional[str]) -> None:
        """It is compared exactly, its name without case; the complaint names the field and shows no value."""
        answer = self.ask(self.serve(opening=require_headers({"X-Token": "secret"})), field)
        if complaint is None:
            self.assertEqual(answer.status_code, 101)
        else:
            self.assertEqual((answer.status_code, answer.body.decode()), (400, complaint))
            self.assertEqual(answer.headers["Connection"], "close")

    def test_any_value(self) -> None:
        """`None` asks for the field alone."""
        server = self.serve(opening=require_headers({"Origin": None}))
        for field in ("Origin: http://a", "origin:"):
            self.assertEqual(self.ask(server, field).status_code, 101)
        self.assertEqual(self.ask(server).status_code, 400)

    def test_another_status(self) -> None:
        """With the fields that belong to it; all fields named must be there."""
        server = self.serve(opening=require_headers({"A": "1", "Authorization": "Bearer x"}, 401))
        self.assertEqual(self.ask(server, "A: 1", "Authorization: Bearer x").status_code, 101)
        answer = self.ask(server, "A: 1", "Authorization: Bearer y")
        self.assertEqual(answer.status_code, 401)
        self.assertIn("WWW-Authenticate", answer.headers)
        self.assertIn(b"Authorization", answer.body)
        self.assertNotIn(b"Bearer", answer.body)
        self.assertIn(b"A is missing", self.ask(server, "Authorization: Bearer x").body)

    def test_wrong_arguments(self) -> None:
        """ValueError when it is made. What is changed in the mapping later does not count."""
        for wrong in ({"a b": None}, {"A": "\n"}):
            with self.assertRaises(ValueError):
                require_headers(wrong)
        with self.assertRaises(ValueError):
            require_headers({"A": None}, 101)
        wanted: Dict[str, Optional[str]] = {"A": "1"}
        server = self.serve(opening=require_headers(wanted))
        wanted.clear()
        self.assertEqual(self.ask(server).status_code, 400)


@with_cases
class RequireCookiesTests(AskingCase):
    """`require_cookies`."""

    @cases(
        alone=("Cookie: id=1", True),
        among_others=("Cookie: a=b; id=1; c=d", True),
        twice=("Cookie: id=2; id=1", True),
        twice_the_other_way=("Cookie: id=1; id=2", True),
        without_blank=("Cookie: a=b;id=1", True),
        two_fields=("Cookie: a=b\r\nCookie: id=1", True),
        behind_rubbish=("Cookie: ;;rubbish; id=1", True),
        missing=("Cookie: a=b", False),
        no_field=("X: id=1", False),
        another_value=("Cookie: id=10", False),
        a_longer_value=("Cookie: id=1=1", False),
        quotes=('Cookie: id="1"', False),
        another_case=("Cookie: ID=1", False),
        no_value=("Cookie: id", False),
        within_a_value=("Cookie: a=id=1", False),
    )
    def test_a_value(self, field: str, passes: bool) -> None:
        """Name and value are compared exactly (RFC 6265 section 4.2)."""
        answer = self.ask(self.serve(opening=require_cookies({"id": "1"})), field)
        self.assertEqual(answer.status_code, 101 if passes else 400)
        if not passes:
            self.assertRegex(answer.body, rb"^the cookie id (is missing|has another value than it must have)\n$")

    def test_any_value(self) -> None:
        """`None` asks for the cookie alone."""
        server = self.serve(opening=require_cookies({"id": None}, 403))
        for value in ("", "x", "a=b"):
            self.assertEqual(self.ask(server, f"Cookie: id={value}").status_code, 101)
        self.assertEqual(self.ask(server).status_code, 403)
        self.assertEqual(self.ask(server, "Cookie: id").status_code, 403)

    def test_wrong_arguments(self) -> None:
        """ValueError when it is made."""
        for wrong in ({"a b": "c"}, {"": "c"}):
            with self.assertRaises(ValueError):
                require_cookies(wrong)
        with self.assertRaises(ValueError):
            require_cookies({"a": "b"}, 100)


class SetCookiesTests(AskingCase):
    """`set_cookies`."""

    def test_on_a_101(self) -> None:
        """One field for each, in order, and the connection opens."""
        cookies = set_cookies({"id": "1", "quoted": '"2"'}, "raw=3; Path=/; HttpOnly", "no cookie at all")
        server = self.serve(opening=cookies)
        answer = self.ask(server)
        self.assertEqual(answer.status_code, 101)
        expected = ["id=1", 'quoted="2"', "raw=3; Path=/; HttpOnly", "no cookie at all"]
        self.assertEqual(answer.headers.get_all("Set-Cookie"), expected)

    def test_on_other_answers(self) -> None:
        """Refusals and redirects have them too, the second server's connection as the first's."""
        for last in (refuse(404), redirect("/"), require_headers({"X": None})):
            server = self.serve(opening=[set_cookies({"a": "b"}), last])
            for _ in range(2):
                answer = self.ask(server)
                self.assertGreaterEqual(answer.status_code, 300)
                self.assertEqual(answer.headers.get_all("Set-Cookie"), ["a=b"])

    def test_not_on_an_informational_answer(self) -> None:
        """They wait for the final one."""
        answers = self.ask_all(self.serve(opening=[set_cookies({"a": "b"}), inform(103), refuse()]))
        self.assertEqual(["Set-Cookie" in answer.headers for answer in answers], [False, True])

    def test_wrong_arguments(self) -> None:
        """ValueError when it is made; the message shows no value."""
        for wrong in ({"a b": "c"}, {"a": "hidden;"}, {"a": '"hidden'}, {"a": "hidden value"}, {"a": "hiddenü"}):
            with self.assertRaises(ValueError) as caught:
                set_cookies(wrong)
            self.assertNotIn("hidden", str(caught.exception))
        with self.assertRaises(ValueError):
            set_cookies("a=b\r\nX: y")


@with_cases
class AtTests(AskingCase):
    """`at`."""

    @cases(
        same=("/old", "/old", True),
        query=("/old", "/old?a=b", True),
        empty_query=("/old", "/old?", True),
        slash=("/old", "/old/", False),
        longer=("/old", "/older", False),
        case=("/old", "/OLD", False),
        same_query=("/old?a", "/old?a", True),
        other_query=("/old?a", "/old?b", False),
        no_query=("/old?a", "/old", False),
        root=("/", "/?a", True),
        not_root=("/", "/a", False),
    )
    def test_a_path(self, path: str, target: str, hit: bool) -> None:
        """The openings are for this path alone; what does not match goes on."""
        server = self.serve(opening=[at(path, refuse(410)), refuse(404)])
        self.assertEqual(self.ask(server, target=target).status_code, 410 if hit else 404)

    def test_several(self) -> None:
        """In their order until one has answered; if none has, the row goes on."""
        inner: List[Handler] = [set_cookies({"a": "b"}), require_headers({"X": "1"}), require_headers({"Y": "1"})]
        server = self.serve(opening=[at("/private", *inner), set_cookies({"c": "d"})])
        self.assertEqual(self.ask(server, target="/private").body, b"the header field X is missing\n")
        answer = self.ask(server, "X: 1", "Y: 1", target="/private")
        self.assertEqual((answer.status_code, answer.headers["Set-Cookie"]), (101, "a=b, c=d"))
        self.assertEqual(self.ask(server).headers["Set-Cookie"], "c=d")
        self.assertEqual(server.errors, [])

    def test_a_redirect_from_one_path_to_another(self) -> None:
        """One server has both."""
        server = self.serve(opening=at("/old", redirect("/new", 301)))
        location = self.ask(server, target="/old").headers["Location"]
        self.assertEqual(self.ask(server, target=location).status_code, 101)

    def test_wrong_arguments(self) -> None:
        """A path begins with a slash."""
        for wrong in ("old", "", "*"):
            with self.assertRaises(ValueError):
                at(wrong)


class InformTests(AskingCase):
    """`inform`."""

    def test_before_the_answer(self) -> None:
        """Several may come, and the connection opens all the same."""
        server = self.serve(opening=[inform(headers={"Link": "</a>"}), inform(100), inform(199)])
        answers = self.ask_all(server)
        self.assertEqual([answer.status_code for answer in answers], [103, 100, 199, 101])
        self.assertEqual([answer.reason for answer in answers[:3]], ["Early Hints", "Continue", ""])
        self.assertEqual(dict(answers[0].headers), {"Link": "</a>"})
        self.assertEqual(server.errors, [])

    def test_wrong_arguments(self) -> None:
        """101 is an answer, and so is everything from 200 on."""
        for wrong in (99, 101, 200):
            with self.assertRaises(ValueError):
                inform(wrong)
        with self.assertRaises(ValueError):
            inform(103, {"a b": "c"})


class RecordTests(AskingCase):
    """What is kept of those who were refused."""

    def test_requests_are_recorded_as_they_came(self) -> None:
        """Their secrets are test data, there for the test to look at; `repr()` hides them all the same."""
        server = self.serve(opening=refuse())
        self.ask(server, "Authorization: Bearer hidden", "Cookie: id=hidden")
        (request,) = server.requests
        self.assertIsInstance(request, RequestHead)
        self.assertEqual(request.headers["Authorization"], "Bearer hidden")
        self.assertEqual(request.headers["Cookie"], "id=hidden")
        self.assertNotIn("hidden", repr(request))


class WrongTypeTests(unittest.TestCase):
    """What has the wrong type is told when the opening is made."""

    def test_wrong_types(self) -> None:
        """TypeError with a sentence; ValueError for a path at which nothing is to be done."""
        wrong: Any = 5
        mistakes: Dict[str, Callable[[], object]] = {
            "an opening is a function": lambda: at("/x", wrong),
            "a path is a str": lambda: at(wrong, refuse()),
            "a location is a str or a function": lambda: redirect(wrong),
            "not b'/x'": lambda: redirect(b"/x"),  # type: ignore[arg-type]
            "of a cookie are str, not int": lambda: require_cookies({"a": wrong}),
            "a cookie are str, not int": lambda: require_cookies({wrong: "a"}),
            "cookies are a str or a mapping": lambda: set_cookies(wrong),
            "not NoneType": lambda: set_cookies(None),  # type: ignore[arg-type]
            "cookie are str": lambda: set_cookies({"a": wrong}),
            "int": lambda: require_headers({"a": 0}),  # type: ignore[dict-item]
        }
        for text, make in mistakes.items():
            with self.subTest(text), self.assertRaisesRegex(TypeError, text):
                make()
        with self.assertRaisesRegex(ValueError, "nothing is to be done at '/x'"):
            at("/x")


if __name__ == "__main__":
    unittest.main()

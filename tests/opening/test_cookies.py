"""Cookies of the opening, from the outside: stored from every response, sent where they belong, kept where asked."""

from __future__ import annotations

import threading
from http.cookiejar import CookieJar
from typing import Any, List

import wssync
from tests.opening.support import PATIENCE, Delegate, OpeningTestCase, userinfo
from tests.support import cases, with_cases
from tests.tasks import Running, needs_trustme
from wssync import CookieAcceptPolicy, HandshakeError, Request, SessionConfiguration
from wssync.testing import Server, at, basic, redirect, refuse, require_cookies, set_cookies


def names(jar: Any) -> List[str]:
    """The names of the cookies in a jar."""
    return sorted(cookie.name for cookie in jar)


def cookies(server: Server) -> List[Any]:
    """The Cookie field of each request."""
    return [request.headers.get("Cookie") for request in server.requests]


@with_cases
class StoringTests(OpeningTestCase):
    """Rules 82 to 84."""

    @cases(accepted=(), refused=(refuse(503),), moved=(at("/", redirect("/x")),), asked=(basic("user", "pw"),))
    def test_from_any_response(self, *openings: Any) -> None:
        """Rule 82: those of a 101, a refusal, a redirect and a 401 are stored, and sent by the next task."""
        server = self.serve(opening=[set_cookies({"id": "1"}), *openings])
        session = self.session()
        for _ in range(2):
            task = session.websocket_task(userinfo(server.url, "user:pw"))
            task.resume()
            Running(lambda task=task: task.wait_until_open(PATIENCE)).failed()  # type: ignore[misc]
        self.assertEqual(cookies(server)[0], None)
        self.assertEqual(set(cookies(server)[1:]), {"id=1"})

    def test_before_any_delegate_call(self) -> None:
        """Rule 82: who hears of the opening or of its failure finds them in the jar."""
        for openings, name in (([], "did_open"), ([refuse(500)], "did_complete")):
            server = self.serve(opening=[set_cookies({"id": "1"}), *openings])
            found: List[str] = []
            jar = CookieJar()
            delegate = Delegate(**{name: lambda *_, found=found, jar=jar: found.extend(names(jar))})
            session = self.session(delegate=delegate, http_cookie_storage=jar)
            session.websocket_task(server.url).resume()
            delegate.wait_for(name)
            self.assertEqual(found, ["id"])

    @cases(
        policy={"http_cookie_accept_policy": CookieAcceptPolicy.NEVER},
        no_storage={"http_cookie_storage": None},
        not_set={"http_should_set_cookies": False},
    )
    def test_not(self, changes: Any) -> None:
        """Rules 83 and 85: neither stored (policy, no storage) nor sent (no storage, `http_should_set_cookies`)."""
        server = self.serve(opening=set_cookies({"id": "1"}))
        session = self.session(**changes)
        for _ in range(2):
            self.opened(session, server.url)
        self.assertEqual(cookies(server), [None, None])
        stores = "http_should_set_cookies" in changes
        self.assertEqual(names(session.configuration.http_cookie_storage or ()), ["id"] if stores else [])

    def test_a_request_that_handles_none(self) -> None:
        """Rule 83: `http_should_handle_cookies=False` neither sends nor stores."""
        server = self.serve(opening=[set_cookies("id=1; Path=/"), at("/x", set_cookies("more=1; Path=/"))])
        session = self.session()
        self.opened(session, server.url)
        task = session.websocket_task(Request(server.url_for("/x"), http_should_handle_cookies=False))
        task.resume()
        task.wait_until_open(PATIENCE)
        self.assertEqual(cookies(server), [None, None])
        self.assertEqual(names(session.configuration.http_cookie_storage), ["id"])

    def test_the_main_document(self) -> None:
        """Rule 84: without one all are accepted; with one, those that it would be sent as well."""
        server = self.serve(opening=set_cookies({"id": "1"}))
        for document, stored in (
            (None, ["id"]),
            ("http://127.0.0.1/page", ["id"]),
            ("http://example.org/page", []),
        ):
            with self.subTest(document):
                session = self.session()
                task = session.websocket_task(Request(server.url, main_document_url=document))
                task.resume()
                task.wait_until_open(PATIENCE)
                self.assertEqual(names(session.configuration.http_cookie_storage or ()), stored)


class SendingTests(OpeningTestCase):
    """Rules 85 to 88 as far as they are seen here."""

    def test_the_caller_s_own(self) -> None:
        """Rule 85: then the store is not consulted, for a field of the request and of the configuration."""
        server = self.serve(opening=set_cookies({"id": "1"}))
        session = self.session()
        self.opened(session, server.url)
        task = session.websocket_task(Request(server.url, headers={"Cookie": "mine=2"}))
        task.resume()
        task.wait_until_open(PATIENCE)
        self.opened(self.session(session.configuration, http_additional_headers={"cookie": "mine=3"}), server.url)
        self.assertEqual(cookies(server), [None, "mine=2", "mine=3"])

    def test_one_field(self) -> None:
        """Rule 85: all cookies are in one field, and it is made anew for each request."""
        server = self.serve(opening=[set_cookies({"a": "1"}), at("/x", set_cookies("b=2; Path=/x"))])
        session = self.session()
        for path in ("/", "/x", "/x/y", "/"):
            self.opened(session, server.url_for(path))
        fields = [request.headers.get_all("Cookie") for request in server.requests]
        self.assertEqual(fields, [[], ["a=1"], ["b=2; a=1"], ["a=1"]])

    def test_other_hosts(self) -> None:
        """Rule 86: a cookie without Domain is for its host alone, not for localhost; ports make no difference."""
        first, second = self.serve(opening=set_cookies({"id": "1"})), self.serve(opening=require_cookies({"id": "1"}))
        session = self.session()
        self.opened(session, first.url)
        self.opened(session, second.url)
        self.refused(session, second.url.replace("127.0.0.1", "localhost"), HandshakeError)

    @needs_trustme
    def test_secure_ones(self) -> None:
        """Rule 88: they go to wss alone, and ws cannot set them."""
        plain = self.serve(opening=set_cookies("bad=1; Secure"))
        secure = self.serve(tls=True, opening=set_cookies("good=1; Secure"))
        session = self.session()
        for url in (plain.url.replace("127.0.0.1", "localhost"), secure.url) * 2:
            self.opened(session, url)
        self.assertEqual((cookies(plain), cookies(secure)), ([None, None], [None, "good=1"]))


class SharingTests(OpeningTestCase):
    """Rules 94 to 96, and 221."""

    def setUp(self) -> None:
        super().setUp()
        self.setter = self.serve(opening=set_cookies({"id": "1"}, "long=2; Max-Age=1000"))

    def test_two_ephemeral_configurations(self) -> None:
        """Rule 95: they share nothing; `connect` has one of its own each time; its own copies share."""
        configuration = SessionConfiguration.ephemeral()
        for each in (configuration, SessionConfiguration.ephemeral(), configuration.replace(close_timeout=1)):
            self.opened(self.session(each), self.setter.url)
        wssync.connect(self.setter.url).close()
        self.assertEqual([bool(field) for field in cookies(self.setter)], [False, False, True, False])

    def test_default_configurations(self) -> None:
        """Rule 95: `.default()`, a session without one and `Session.shared()` have one jar."""
        sessions = [wssync.Session(SessionConfiguration.default()), wssync.Session()]
        for session in sessions:
            self.addCleanup(session.__exit__, None, None, None)
        self.addCleanup(sessions[0].reset)
        for session in (*sessions, wssync.Session.shared()):
            self.addCleanup(self.opened(session, self.setter.url).close)
        self.assertEqual([bool(field) for field in cookies(self.setter)], [False, True, True])

    def test_session_cookies(self) -> None:
        """Rule 94: they live until `reset`, which leaves open tasks alone (rule 221)."""
        session = self.session()
        task = self.opened(session, self.setter.url)
        self.opened(session, self.setter.url)
        session.reset()
        self.opened(session, self.setter.url)
        self.assertEqual([bool(field) for field in cookies(self.setter)], [False, True, False])
        task.send("open")
        self.assertReceives(task, "open")

    def test_a_jar_of_one_s_own(self) -> None:
        """Rules 96 and 221: one jar serves several sessions, and `reset` empties that one."""
        jar = CookieJar()
        first, second = (self.session(http_cookie_storage=jar) for _ in range(2))
        self.opened(first, self.setter.url)
        self.opened(second, self.setter.url)
        self.assertEqual(names(jar), ["id", "long"])
        first.reset()
        self.assertEqual(names(jar), [])

    def test_many_at_once(self) -> None:
        """Rule 96: tasks of many sessions store into one jar at once, and lose nothing."""
        jar = CookieJar()

        def name_it(connection: Any) -> None:
            set_cookies({connection.request.target[1:]: "x"})(connection)

        server = self.serve(opening=name_it)
        barrier = threading.Barrier(8)

        def open_some(number: int) -> None:
            session = self.session(http_cookie_storage=jar)
            barrier.wait(PATIENCE)
            for count in range(5):
                self.opened(session, server.url_for(f"/n{number}-{count}"))

        for running in [Running(lambda number=number: open_some(number)) for number in range(8)]:  # type: ignore[misc]
            running.result()
        self.assertEqual(len(names(jar)), 40)

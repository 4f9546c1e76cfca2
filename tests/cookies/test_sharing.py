"""One jar for several: other clients, files, and threads."""

from __future__ import annotations

import importlib
import importlib.util
import random
import tempfile
import threading
import unittest
import urllib.error
import urllib.request
from http.cookiejar import CookieJar, FileCookieJar, LWPCookieJar, MozillaCookieJar
from pathlib import Path
from typing import Any, Callable, List, Tuple, Type

from tests.cookies.support import NOW, Visitor, at_time
from tests.support import cases, with_cases
from wssync.cookies.storing import MOST_OF_A_DOMAIN
from wssync.testing import Server
from wssync.testing.openings import refuse

PATIENCE = 30
needs_requests = unittest.skipUnless(importlib.util.find_spec("requests"), "requests is not installed")
Get = Callable[[str], None]


def urllib_client() -> Tuple[CookieJar, Get]:
    """A jar, and a GET with it by the standard library."""
    jar = CookieJar()
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(jar), _Indifferent
    )
    return jar, lambda url: opener.open(url, timeout=PATIENCE).close()


class _Indifferent(urllib.request.HTTPErrorProcessor):
    """Takes every status for a good one."""

    def http_response(self, request: Any, response: Any) -> Any:
        return response


def requests_client() -> Tuple[CookieJar, Get]:
    """A session's jar, and a GET by the session."""
    session = importlib.import_module("requests").Session()
    session.trust_env = False

    def get(url: str) -> None:
        session.get(url, timeout=PATIENCE).close()

    return session.cookies, get


class OtherClientTests(unittest.TestCase):
    """What another client has stored is sent, and the other way round."""

    def test_urllib(self) -> None:
        """Rule 96: `urllib.request` and this library use one jar, for an address and for a name without a dot."""
        for host in ("127.0.0.1", "localhost"):
            self._try(host, *urllib_client())

    @needs_requests
    def test_requests(self) -> None:
        """Rule 96: the same with `requests.Session().cookies`."""
        for host in ("127.0.0.1", "localhost"):
            self._try(host, *requests_client())

    @needs_requests
    def test_cookies_of_a_session(self) -> None:
        """What a caller puts into the session's jar without a domain is sent to the host that he names."""
        jar, _ = requests_client()
        jar.set("token", "s3cret")  # type: ignore[attr-defined] # the jar of requests can do more
        visitor = Visitor(jar)
        self.assertEqual(visitor.says("ws://a.example"), "token=s3cret")
        self.assertIsNone(visitor.says("ws://b.example", first="ws://a.example"))

    @needs_requests
    def test_quotes(self) -> None:
        """The jar of requests may put a value right in its own way, and is not disturbed."""
        jar, _ = requests_client()
        visitor = Visitor(jar)
        visitor.hears("ws://a.example", 'a="b c"')
        self.assertEqual(visitor.says("ws://a.example"), 'a="b c"')

    def _try(self, host: str, jar: CookieJar, get: Get) -> None:
        fields = ["theirs=1; Path=/", "gone=1", "deep=1; Path=/deep", "safe=1; Secure"]
        with Server(opening=refuse(404, headers=[("Set-Cookie", field) for field in fields])) as server:
            url = server.url.replace("127.0.0.1", host).replace("ws:", "http:")
            visitor = Visitor(jar)
            get(url)
            websocket = url.replace("http:", "ws:")
            self.assertEqual(visitor.says(websocket), "theirs=1; gone=1")
            visitor.hears(websocket, "ours=2", "theirs=2; Path=/", "gone=; Max-Age=0")
            get(url)
            sent = server.requests[-1].headers["Cookie"]
        self.assertEqual(sorted(sent.split("; ")), ["ours=2", "theirs=2"])


@with_cases
class FileTests(unittest.TestCase):
    """Jars in files."""

    @cases(mozilla=MozillaCookieJar, lwp=LWPCookieJar)
    def test_round_trip(self, kind: Type[FileCookieJar]) -> None:
        """Rule 94: cookies with an end are kept, each for its host and path, in their order, and no others."""
        with tempfile.TemporaryDirectory() as folder, at_time(NOW):
            path = str(Path(folder, "cookies.txt"))
            visitor = Visitor(kind(path))
            visitor.hears(
                "wss://www.example.org/",
                "a=1; Max-Age=60; HttpOnly",
                'c="3 \xe9,\\"; Max-Age=60; Secure',
                "d=4; Max-Age=60; Path=/d",
                "e=; Max-Age=60; Path=/d",
                "session=5",
            )
            visitor.hears("ws://www.other.example/", "b=2; Max-Age=60; Domain=other.example")
            visitor.hears("ws://localhost:1/", "l=1; Max-Age=60")
            visitor.hears("ws://[::1]:1/", "v=6; Max-Age=60")
            self._save(visitor.jar)
            again = kind(path)
            again.load()
            self._check(Visitor(again))
            with at_time(NOW + 60):
                self.assertIsNone(Visitor(again).says("wss://www.example.org/d"))

    @cases(mozilla=MozillaCookieJar, lwp=LWPCookieJar)
    def test_hostile_values(self, kind: Type[FileCookieJar]) -> None:
        """No server can make the file unreadable, or put a line or a domain of its own into it."""
        generator = random.Random(94)
        parts = [
            "a",
            "=",
            "\t",
            " ",
            ",",
            '"',
            "\\",
            "#",
            "$",
            "\x85",
            "\xa0",
            "\xff",
            "/",
            ".",
            "TRUE",
            "path",
            "domain",
        ]
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder, "cookies.txt"))
            for _ in range(40):
                visitor = Visitor(kind(path))
                for _ in range(10):
                    name, value, place = ("".join(generator.choices(parts, k=generator.randrange(4))) for _ in range(3))
                    visitor.hears(
                        "ws://example.org", f"{name}={value}; Path=/{place}; Max-Age={generator.choice('69') * 9}"
                    )
                self._save(visitor.jar)
                again = kind(path)
                again.load()
                self.assertLessEqual({cookie.domain for cookie in again}, {"example.org"})
                if kind is MozillaCookieJar:  # the other has its own view of quotes and blanks
                    self.assertEqual(sorted(Visitor(again).holds()), sorted(visitor.holds()))

    def _save(self, jar: CookieJar) -> None:
        assert isinstance(jar, FileCookieJar)
        jar.save()

    def _check(self, visitor: Visitor) -> None:
        self.assertEqual(visitor.says("wss://www.example.org/d"), 'd=4; e=; a=1; c="3 \xe9,\\"')
        self.assertEqual(visitor.says("wss://sub.other.example/"), "b=2")
        self.assertEqual(visitor.says("ws://www.example.org/"), "a=1")
        self.assertEqual(visitor.says("ws://localhost:2/"), "l=1")
        self.assertEqual(visitor.says("ws://[::1]:2/"), "v=6")


class ThreadTests(unittest.TestCase):
    """Several tasks, sessions and others at once."""

    def test_all_at_once(self) -> None:
        """Rule 96: threads that store, delete, read and clear in one jar disturb neither each other nor the jar."""
        jar = CookieJar()
        failures: List[BaseException] = []
        begin = threading.Barrier(5, timeout=PATIENCE)

        def run(work: Callable[[int], object]) -> None:
            try:
                begin.wait()
                for turn in range(100):
                    work(turn)
            except BaseException as error:
                failures.append(error)

        mine, others = Visitor(jar), Visitor(jar)
        client = urllib.request.Request("http://www.example.org/")
        threads = [
            threading.Thread(target=run, args=(work,))
            for work in (
                lambda turn: mine.hears("ws://www.example.org", f"a{turn % 7}={turn}", "b=1; Domain=example.org"),
                lambda turn: others.hears("ws://www.example.org", f"a{turn % 5}=; Max-Age=0", f"c{turn}=1"),
                lambda turn: mine.says("ws://www.example.org"),
                lambda turn: jar.add_cookie_header(client),
                lambda turn: jar.clear_expired_cookies(),
            )
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        self.assertEqual(failures, [])
        self.assertIn("b=1", Visitor(jar).holds())
        self.assertLessEqual(len(Visitor(jar).holds()), MOST_OF_A_DOMAIN + 1)

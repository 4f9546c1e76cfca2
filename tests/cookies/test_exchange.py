"""`wssync.cookies.exchange`: what an opening asks for and tells."""

from __future__ import annotations

import subprocess
import sys
import threading
import unittest
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any, Dict, List, Optional
from unittest import mock

from tests.cookies.support import Visitor, answer
from tests.support import cases, with_cases
from wssync.cookies import CookieAcceptPolicy
from wssync.cookies.exchange import Cookies, LateJar
from wssync.errors import InvalidURL
from wssync.protocol.headers import Headers
from wssync.protocol.urls import parse_url

ROOT = Path(__file__).resolve().parents[2]
URL = "ws://www.example.org/chat"
ONLY_FROM_MAIN = CookieAcceptPolicy.ONLY_FROM_MAIN_DOCUMENT_DOMAIN


@with_cases
class SwitchTests(unittest.TestCase):
    """The switches of the configuration and the request."""

    def test_everything_on(self) -> None:
        """Rule 85: what was set is sent."""
        visitor = Visitor()
        visitor.hears(URL, "a=b", "c=d")
        self.assertEqual(visitor.says(URL), "a=b; c=d")

    @cases(switching_protocols=101, redirect=302, unauthorized=401, server_error=500)
    def test_every_status(self, status: int) -> None:
        """Rule 82: the header fields are all that is looked at, so no status is different."""
        visitor = Visitor()
        visitor.hears(URL, f"status={status}")
        self.assertEqual(visitor.says(URL), f"status={status}")

    def test_no_jar(self) -> None:
        """Rule 83: without a jar nothing is sent or stored."""
        cookies = Cookies(None)
        cookies.store(parse_url(URL), answer("a=b"))
        self.assertIsNone(cookies.header(parse_url(URL)))

    def test_not_handled(self) -> None:
        """Rule 83: a request that does not handle cookies neither sends nor stores them."""
        visitor = Visitor()
        visitor.hears(URL, "a=b")
        other = Visitor(visitor.jar, handles=False)
        other.hears(URL, "c=d")
        self.assertIsNone(other.says(URL))
        self.assertEqual(visitor.holds(), ["a=b"])

    def test_never(self) -> None:
        """Rule 83: the policy NEVER stores nothing, and leaves the sending alone."""
        visitor = Visitor()
        visitor.hears(URL, "a=b")
        other = Visitor(visitor.jar, policy=CookieAcceptPolicy.NEVER)
        other.hears(URL, "c=d")
        self.assertEqual(other.says(URL), "a=b")

    def test_should_not_set(self) -> None:
        """Rule 85: without `should_set` cookies are stored, and not sent."""
        visitor = Visitor(should_set=False)
        visitor.hears(URL, "a=b")
        self.assertEqual((visitor.says(URL), visitor.holds()), (None, ["a=b"]))


@with_cases
class MainDocumentTests(unittest.TestCase):
    """The policy ONLY_FROM_MAIN_DOCUMENT_DOMAIN."""

    @cases(
        no_document=(None, "a=b", True),
        same=("https://www.example.org/page#part", "a=b", True),
        same_in_capitals=("HTTPS://WWW.EXAMPLE.ORG:8443", "a=b", True),
        websocket=("ws://www.example.org", "a=b", True),
        below=("http://page.www.example.org", "a=b", True),
        sibling=("http://page.example.org", "a=b", False),
        sibling_and_domain=("http://page.example.org", "a=b; Domain=example.org", True),
        above=("http://example.org", "a=b", False),
        above_and_domain=("http://example.org", "a=b; Domain=example.org", True),
        other=("http://example.com", "a=b", False),
        no_label=("http://badwww.example.org", "a=b", False),
        address=("http://127.0.0.1", "a=b", False),
    )
    def test_match(self, document: Optional[str], field: str, stored: bool) -> None:
        """Rule 84: stored is what the main document would be sent too; without one, everything."""
        visitor = Visitor(policy=ONLY_FROM_MAIN, main_document_url=document)
        visitor.hears(URL, field)
        self.assertEqual(visitor.holds(), ["a=b"] if stored else [])

    def test_always(self) -> None:
        """Rule 84: other policies do not look at the document, not even whether it is a URL."""
        visitor = Visitor(policy=CookieAcceptPolicy.ALWAYS, main_document_url="nonsense")
        visitor.hears(URL, "a=b")
        self.assertEqual(visitor.holds(), ["a=b"])

    @cases(words="nonsense", no_host="http:///", file="file:///etc/passwd")
    def test_bad_url(self, document: str) -> None:
        """A main document URL that is none is refused at once."""
        with self.assertRaises(InvalidURL):
            Cookies(CookieJar(), ONLY_FROM_MAIN, main_document_url=document)


class LateJarTests(unittest.TestCase):
    """`LateJar`."""

    def test_made_once(self) -> None:
        """It is not there until somebody gets it, and then it stays the same."""
        late = LateJar()
        self.assertIsNone(late.peek())
        jar = late.get()
        self.assertIsInstance(jar, CookieJar)
        self.assertIs(late.get(), jar)
        self.assertIs(late.peek(), jar)

    def test_made_by_two_threads(self) -> None:
        """Rule 96: both get one jar, even if both have found none."""
        late = LateJar()
        meeting = threading.Barrier(2, timeout=10)
        found: List[CookieJar] = []

        def make() -> CookieJar:
            meeting.wait()
            return real()

        real = CookieJar
        with mock.patch("http.cookiejar.CookieJar", make):
            threads = [threading.Thread(target=lambda: found.append(late.get())) for _ in range(2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(10)
        self.assertEqual(len(found), 2)
        self.assertIs(found[0], found[1])

    def test_in_use(self) -> None:
        """The first cookie makes it; requests and responses without any do not."""
        late = LateJar()
        cookies = Cookies(late)
        url = parse_url(URL)
        cookies.store(url, Headers({"Server": "x"}))
        self.assertIsNone(cookies.header(url))
        self.assertIsNone(late.peek())
        cookies.store(url, answer("a=b"))
        self.assertEqual(cookies.header(url), "a=b")
        self.assertEqual([cookie.name for cookie in late.get()], ["a"])


class CostTests(unittest.TestCase):
    """What a connection without cookies pays."""

    def test_loads_nothing(self) -> None:
        """Without a cookie neither `http.cookiejar` nor the rest of this package is loaded."""
        script = (
            "import sys\n"
            "from wssync.cookies.exchange import Cookies, LateJar\n"
            "from wssync.protocol.headers import Headers\n"
            "from wssync.protocol.urls import parse_url\n"
            "cookies, url = Cookies(LateJar()), parse_url('ws://localhost/')\n"
            "assert cookies.header(url) is None\n"
            "cookies.store(url, Headers({'Upgrade': 'websocket'}))\n"
            "late = {'datetime', 'http.cookiejar', 'urllib.parse', 'urllib.request', 'wssync.cookies.storing'}\n"
            "print(sorted(set(sys.modules) & (late | {'wssync.cookies.sending'})))"
        )
        done = subprocess.run(
            [sys.executable, "-S", "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=60, check=True
        )
        self.assertEqual(done.stdout, "[]\n")

    def test_an_empty_jar(self) -> None:
        """An empty jar is looked into, and that is all."""
        with mock.patch("wssync.cookies.sending.cookie_header") as work:
            self.assertIsNone(Visitor().says(URL))
        self.assertFalse(work.called)


class SecrecyTests(unittest.TestCase):
    """Nothing shows values."""

    def test_repr(self) -> None:
        """Neither the exchange nor the late jar shows what is in the jar."""
        late = LateJar()
        cookies = Cookies(late)
        cookies.store(parse_url(URL), answer("a=s3cret"))
        shown: Dict[str, Any] = {"cookies": repr(cookies), "jar": repr(late)}
        for text in shown.values():
            self.assertNotIn("s3cret", text)

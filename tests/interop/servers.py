"""Which stranger is held to what as a visitor of `wssync.testing.Server`, in the clear and over TLS."""

from __future__ import annotations

from tests.interop.browser import PAGE, Chromium
from tests.interop.strangers import WebsocketClient, Websockets
from tests.interop.visits import (
    ClosingVisits,
    CompressedVisits,
    EchoVisits,
    MessageVisits,
    OpeningVisits,
    PasswordProxiedVisits,
    ProxiedVisits,
    RedirectedVisits,
    UncompressedVisits,
)
from wssync.testing.authentication import digest
from wssync.testing.openings import at, require_cookies, set_cookies


class VisitTests(EchoVisits, MessageVisits, OpeningVisits, ClosingVisits):
    """What every stranger does; not run by itself."""


class LibraryVisitTests(VisitTests, RedirectedVisits, PasswordProxiedVisits):
    """What libraries do besides; not run by itself."""


class WebsocketsVisitsTests(LibraryVisitTests, CompressedVisits):
    client = Websockets


class WebsocketsVisitsOverTLSTests(LibraryVisitTests):
    client = Websockets
    secure = True


class WebsocketClientVisitsTests(LibraryVisitTests, UncompressedVisits):
    client = WebsocketClient
    answer = 1000  # it answers every Close with its own


class WebsocketClientVisitsOverTLSTests(LibraryVisitTests):
    client = WebsocketClient
    answer = 1000
    secure = True


class BrowserVisitTests(VisitTests):
    """What a browser does besides; not run by itself."""

    client = Chromium

    def test_the_page_says_where_it_comes_from(self) -> None:
        """The Origin is that of the page; a server can ask for it."""
        server = self.serve()
        origin = server.url.replace("ws", "http", 1).rstrip("/")
        self.assertEchoed(self.visit(server), "from a page")
        self.assertEqual(server.connections[0].request.headers["Origin"], origin)

    def test_cookies_of_the_page_and_of_the_answer_come_back(self) -> None:
        """What was set with the page, and with the 101 of a WebSocket, comes with the next."""
        both = require_cookies({"page": "1", "socket": "2"}, 403)
        server = self.serve(
            opening=[at(PAGE, set_cookies({"page": "1"})), at("/", set_cookies({"socket": "2"})), at("/both", both)]
        )
        self.assertRefused(403, server, "/both")
        self.assertEchoed(self.visit(server, "/"), "set")
        self.assertEchoed(self.visit(server, "/both"), "inside")

    def test_digest_authentication(self) -> None:
        """The page's password is good for its WebSocket too, which is asked for it again."""
        for algorithm in ("MD5", "SHA-256"):
            with self.subTest(algorithm=algorithm):
                server = self.serve(opening=[digest("user", "secret", algorithm=algorithm)])
                self.assertRefused(401, server, credentials=("user", "guess"))
                self.assertEchoed(self.visit(server, credentials=("user", "secret")), "inside")
                answer = server.connections[0].request.headers["Authorization"]
                self.assertIn(f"algorithm={algorithm}", answer)


class ChromiumVisitsTests(BrowserVisitTests, CompressedVisits):
    pass


class ChromiumVisitsOverTLSTests(BrowserVisitTests, ProxiedVisits):
    secure = True


del VisitTests, LibraryVisitTests, BrowserVisitTests

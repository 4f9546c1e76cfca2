"""What is expected of `wssync.testing.Server` whoever visits it, as mixtures for test cases."""

from __future__ import annotations

import unittest
from contextlib import ExitStack
from typing import Any, Optional, Sequence, Type
from urllib.parse import urlsplit

from tests.interop.browser import show_page
from tests.interop.cases import SIZES, binary_of, text_of
from tests.interop.strangers import LIMIT, Destination, Message, Refused, Stranger, Visit
from tests.interop.tap import Conversation, Tap
from wssync.protocol.deflate import DeflateOptions
from wssync.testing import Handler, Server, ServerConnection, echo
from wssync.testing.authentication import basic
from wssync.testing.openings import at, redirect, refuse, require_cookies
from wssync.testing.tunnel import proxy

__all__ = [
    "ClosingVisits",
    "CompressedVisits",
    "EchoVisits",
    "MessageVisits",
    "OpeningVisits",
    "PasswordProxiedVisits",
    "ProxiedVisits",
    "RedirectedVisits",
    "StrangerTestCase",
    "UncompressedVisits",
]

COMPRESSIONS = (
    "deflate",
    DeflateOptions(server_no_context_takeover=True),
    DeflateOptions(server_max_window_bits=9),
    DeflateOptions(client_no_context_takeover=True, client_max_window_bits=10, level=9, threshold=0),
)
"""What servers may agree to: the usual, each side forgetful, each with a small window."""

REPETITIVE = "the same words over and over " * 1000


class StrangerTestCase(unittest.TestCase):
    """Has the stranger of the class, and a server for each test. The mixtures below bring the tests."""

    client: Type[Stranger]
    secure = False
    stranger: Stranger

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        stack = ExitStack()
        cls.addClassCleanup(stack.close)
        cls.stranger = cls.client(stack, cls.secure)

    def setUp(self) -> None:
        super().setUp()
        self.stack = ExitStack()
        self.addCleanup(self.stack.close)

    def serve(self, handler: Handler = echo, *, opening: Sequence[Handler] = (), **options: Any) -> Server:
        """A server for this test. It fails the test if a handler failed, or a stranger broke the protocol."""
        server = Server(handler, **{"tls": self.secure, "opening": [*opening, show_page], **options})
        self.stack.callback(lambda: self.assertEqual(server.errors, []))
        return self.stack.enter_context(server)

    def visit(self, server: Server, path: str = "/", *, port: Optional[int] = None, **options: Any) -> Visit:
        """Have the stranger open a WebSocket to the server, or to the `port` of what lies before it."""
        parts = urlsplit(server.url)
        url = parts._replace(netloc=f"{parts.hostname}:{port or parts.port}", path=path).geturl()
        return self.stranger.visit(self.stack, Destination(url, server.ca_file, **options))

    def assertRefused(self, status: int, server: Server, path: str = "/", **options: Any) -> None:
        """The stranger does not get in, and who can tell what it was answered tells this status."""
        with self.assertRaises(Refused) as caught:
            self.visit(server, path, **options)
        self.assertIn(caught.exception.status, (status, None))

    def assertEchoed(self, visit: Visit, message: Message) -> None:
        """The stranger sends the message, and receives the same."""
        visit.send(message)
        answer = visit.receive()
        self.assertIs(type(answer), type(message))
        self.assertEqual(len(answer), len(message))
        self.assertTrue(answer == message, "the echo differs")  # assertEqual would compare megabytes line by line


class EchoVisits(StrangerTestCase):
    def test_text_of_every_size_comes_back(self) -> None:
        """Text from nothing to 5 MiB, with each form of frame length, both ways."""
        visit = self.visit(self.serve())
        for size in SIZES:
            with self.subTest(size=size):
                self.assertEchoed(visit, text_of(size))

    def test_binary_of_every_size_comes_back(self) -> None:
        """Binary messages likewise, of bytes that do not compress."""
        visit = self.visit(self.serve())
        for size in SIZES:
            with self.subTest(size=size):
                self.assertEchoed(visit, binary_of(size))

    def test_a_server_without_compression(self) -> None:
        """A server that knows no extension agrees to none, and all sizes come back."""
        visit = self.visit(self.serve(compression=None))
        for size in SIZES:
            with self.subTest(size=size):
                self.assertEchoed(visit, text_of(size))
                self.assertEchoed(visit, binary_of(size))

    def test_a_burst_keeps_its_order(self) -> None:
        """Many small messages in a row come back in the same order."""
        visit = self.visit(self.serve())
        for number in range(300):
            visit.send(str(number))
        self.assertEqual([visit.receive() for _ in range(300)], [str(number) for number in range(300)])


class MessageVisits(StrangerTestCase):
    def test_fragments_are_one_message(self) -> None:
        """What the server sends in fragments, with a break inside of a character too, arrives as one message."""

        def handler(connection: ServerConnection) -> None:
            connection.send_fragments(["one ", "", "two"])
            connection.send_fragments([b"\xc3", b"\xa9"], text=True)
            connection.send_fragments([b"\x00\x01", b"\xff"])
            connection.receive()

        visit = self.visit(self.serve(handler))
        self.assertEqual([visit.receive() for _ in range(3)], ["one two", "\xe9", b"\x00\x01\xff"])

    def test_the_servers_ping_is_answered(self) -> None:
        """Pings between messages, with and without payload, come back as pongs, in order."""
        server = self.serve(self._ping)
        visit = self.visit(server)
        self.assertEqual(visit.receive(), "pinged")
        visit.send("heard")
        self.assertEqual(visit.receive(), "goodbye")
        self.assertEqual(server.connections[0].pongs, [b"", b"p" * 125])

    @staticmethod
    def _ping(connection: ServerConnection) -> None:
        connection.ping()
        connection.ping(b"p" * 125)
        connection.send("pinged")
        connection.receive(LIMIT)  # the pongs come before this message
        connection.send("goodbye")
        connection.receive()


class OpeningVisits(StrangerTestCase):
    def test_the_server_chooses_the_subprotocol(self) -> None:
        """The first of the client's subprotocols that the server knows, and both sides are told."""
        server = self.serve(protocols=["soap", "chat", "superchat"])
        visit = self.visit(server, protocols=["superchat", "chat"])
        self.assertEqual(visit.protocol, "superchat")
        self.assertEqual(server.connections[0].protocol, "superchat")

    def test_no_subprotocol_is_offered(self) -> None:
        """Who offers none gets none."""
        server = self.serve(protocols=["chat"])
        self.assertIsNone(self.visit(server).protocol)
        self.assertIsNone(server.connections[0].protocol)

    def test_a_refusal_is_told(self) -> None:
        """An answer that is not 101 opens nothing, and who can tell which it was tells it."""
        server = self.serve(opening=[at("/private", refuse(403, body=b"not you"))])
        self.assertRefused(403, server, "/private")
        self.assertEqual(server.connections, [])

    def test_a_cookie_is_asked_for(self) -> None:
        """Who brings it gets in."""
        server = self.serve(opening=[at("/private", require_cookies({"key": "4711"}, 403))])
        self.assertRefused(403, server, "/private", cookie="key=42")
        self.assertEchoed(self.visit(server, "/private", cookie="key=4711"), "inside")

    def test_basic_authentication(self) -> None:
        """Who knows the password gets in."""
        server = self.serve(opening=[basic("user", "secret")])
        self.assertRefused(401, server, credentials=("user", "guess"))
        self.assertEchoed(self.visit(server, credentials=("user", "secret")), "inside")


class ClosingVisits(StrangerTestCase):
    """`answer` is the code that the stranger answers our 4001 with (RFC 6455 section 5.5.1 wants an echo)."""

    answer = 4001

    def test_the_clients_close_is_told_and_answered(self) -> None:
        """The server knows its code and reason, and the client, if it can tell, the code it was answered with."""
        server = self.serve()
        visit = self.visit(server)
        self.assertEchoed(visit, "before the end")
        self.assertIn(visit.close(4000, "\xe9nough"), ((4000, ""), None))
        connection = server.connections[-1]
        connection.wait_until_closed(LIMIT)
        self.assertEqual((connection.close_code, connection.close_reason), (4000, "\xe9nough"))
        assert connection.end is not None
        self.assertEqual((connection.end.code, connection.end.clean), (4000, True))

    def test_the_servers_close_is_told_and_answered(self) -> None:
        """Code and reason arrive behind the last message, and the answer comes back."""

        def handler(connection: ServerConnection) -> None:
            connection.send("last words")
            connection.close(4001, "by\xe9", timeout=LIMIT)

        server = self.serve(handler)
        visit = self.visit(server)
        self.assertEqual(visit.receive(), "last words")
        self.assertEqual(visit.end(), (4001, "by\xe9"))
        connection = server.connections[-1]
        connection.wait_until_closed(LIMIT)
        self.assertEqual(connection.close_code, self.answer)

    def test_a_handler_that_returns_closes(self) -> None:
        """1000, after all that it has sent, however much that is."""
        server = self.serve(lambda connection: connection.send(binary_of(1_000_000)))
        visit = self.visit(server)
        self.assertTrue(visit.receive() == binary_of(1_000_000))
        self.assertEqual(visit.end(), (1000, ""))

    def test_a_server_that_stops_says_so(self) -> None:
        """1001 for all who are there."""
        server = self.serve()
        visit = self.visit(server)
        self.assertEchoed(visit, "here")
        server.close()
        self.assertEqual(visit.end(), (1001, ""))


class RedirectedVisits(StrangerTestCase):
    """For strangers that follow redirects; browsers are not allowed to (fetch.spec.whatwg.org, redirect mode error)."""

    def test_a_redirect_is_followed(self) -> None:
        """The second request is for the place that the first was sent to."""
        if not self.stranger.follows_redirects:
            self.skipTest(f"this version of {type(self.stranger).__name__} does not follow redirects")
        for status in (301, 302, 303, 307, 308):
            with self.subTest(status=status):
                server = self.serve_moved(status)
                self.assertEchoed(self.visit(server, "/old"), "moved")
                self.assertEqual([request.target for request in server.requests], ["/old", "/new"])

    def serve_moved(self, status: int) -> Server:
        """The address is absolute, since websocket-client takes no other."""
        server = self.serve(opening=[at("/old", redirect(lambda request: f"{server.url}new", status))])
        return server


class ProxiedVisits(StrangerTestCase):
    """For strangers that know CONNECT: a server is the proxy, and it alone knows where `port` leads."""

    port = 8765

    def serve_proxy(self, server: Server, *opening: Handler) -> Server:
        """A proxy, not over TLS, on the way to `server` and to nowhere else: browsers also visit their makers."""
        place = urlsplit(server.url)
        name = f"{place.hostname}:{self.port}"

        def refuse_others(connection: ServerConnection) -> None:
            if connection.request.target != name:
                refuse()(connection)

        return self.serve(tls=False, opening=[*opening, refuse_others, proxy({name: f"127.0.0.1:{place.port}"})])

    def test_through_a_proxy(self) -> None:
        """Messages of every size go through the tunnel, and the Close does."""
        server = self.serve()
        between = self.serve_proxy(server)
        visit = self.visit(server, port=self.port, proxy=between.url.replace("ws:", "http:"))
        for size in SIZES:
            with self.subTest(size=size):
                self.assertEchoed(visit, binary_of(size))
        visit.close(4000, "through")
        server.connections[-1].wait_until_closed(LIMIT)
        self.assertEqual(server.connections[-1].close_code, 4000)
        self.assertIn("CONNECT", [request.method for request in between.requests])


class PasswordProxiedVisits(ProxiedVisits):
    """For strangers that can be told the password of a proxy."""

    def test_a_proxy_with_a_password(self) -> None:
        """The proxy's password is for the proxy, and the server never hears of it."""
        server = self.serve()
        between = self.serve_proxy(server, basic("user", "secret", proxy=True))
        self.assertRefused(407, server, port=self.port, proxy=between.url.replace("ws://", "http://user:guess@"))
        visit = self.visit(server, port=self.port, proxy=between.url.replace("ws://", "http://user:secret@"))
        self.assertEchoed(visit, "through")
        self.assertNotIn("Proxy-Authorization", server.connections[0].request.headers)


class TappedTestCase(StrangerTestCase):
    """For what is on the wire, which can be read where there is no TLS."""

    def converse(self, server: Server, messages: Sequence[Message]) -> Conversation:
        """Have messages echoed, and return what was on the wire."""
        with Tap(urlsplit(server.url).port or 0) as tap:
            visit = self.visit(server, port=tap.port)
            for message in messages:
                self.assertEchoed(visit, message)
            visit.close(1000, "")
            return tap.upgraded[0]


class CompressedVisits(TappedTestCase):
    """For strangers that offer permessage-deflate (RFC 7692)."""

    def test_compression_is_agreed_and_used(self) -> None:
        """It is in request and answer, and both sides send compressed frames, much shorter than the messages."""
        for compression in COMPRESSIONS:
            with self.subTest(compression=compression):
                server = self.serve(compression=compression)
                wire = self.converse(server, [REPETITIVE, REPETITIVE.encode(), REPETITIVE])
                request = server.connections[0].request
                self.assertIn("permessage-deflate", request.headers["Sec-WebSocket-Extensions"])
                self.assertIn("sec-websocket-extensions: permessage-deflate", wire.response.lower())
                for frames in (wire.client_messages, wire.server_messages):
                    self.assertEqual([frame.compressed for frame in frames], [True] * 3)
                    self.assertLess(max(frame.length for frame in frames), len(REPETITIVE) // 10)

    def test_messages_that_go_uncompressed_are_marked_so(self) -> None:
        """A message below the server's threshold has no RSV1, and comes back all the same between those that have."""
        wire = self.converse(self.serve(), [REPETITIVE, "short", REPETITIVE])
        self.assertEqual([frame.compressed for frame in wire.server_messages], [True, False, True])


class UncompressedVisits(TappedTestCase):
    """For strangers that know no compression."""

    def test_nothing_is_compressed(self) -> None:
        """Who does not ask for it is neither answered with an extension nor sent a compressed frame."""
        server = self.serve()
        wire = self.converse(server, [REPETITIVE, REPETITIVE.encode()])
        self.assertNotIn("Sec-WebSocket-Extensions", server.connections[0].request.headers)
        self.assertNotIn("sec-websocket-extensions", wire.response.lower())
        self.assertEqual([frame.reserved for frame in wire.client_messages + wire.server_messages], [0] * 4)

"""Time limits of the opening, from the outside: what they count, and what they do not."""

from __future__ import annotations

import errno
import socket
import threading
from http.cookiejar import CookieJar
from typing import Any, Callable
from unittest import mock

import wssync
from tests.opening.support import PATIENCE, SECRET, Arrivals, Delegate, OpeningTestCase, userinfo
from tests.support import cases, with_cases
from tests.tasks import needs_trustme
from wssync import (
    ConnectionFailed,
    ConnectionRefused,
    HandshakeError,
    HostNotFound,
    Request,
    TaskState,
    TimedOut,
    WebSocketTask,
)
from wssync.testing import FakeClock, Server, ServerConnection, at, basic, digest, proxy, redirect, silent


class TimeoutTestCase(OpeningTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.clock = self.use_fake_clock()
        self.arrivals = Arrivals()

    def begin(self, url: Any, **changes: Any) -> WebSocketTask:
        """A task that has been resumed."""
        delegate = changes.pop("delegate", None)
        task = self.session(delegate=delegate, **changes).websocket_task(url)
        task.resume()
        return task

    def assertTakes(self, task: WebSocketTask, seconds: float) -> TimedOut:
        """It ends by a timeout then and not before."""
        self.clock.advance(seconds - 0.5)
        self.assertIs(task.state, TaskState.RUNNING)
        self.clock.advance(0.5)
        return self.ends(task, TimedOut, -1001)


def taking(clock: FakeClock, seconds: float) -> Callable[[ServerConnection], None]:
    """An opening: so much time passes before the answer."""
    return lambda connection: clock.advance(seconds)


class RequestTimerTests(TimeoutTestCase):
    """Rules 204 to 206."""

    def test_sixty_seconds(self) -> None:
        """Rule 204: a server that never answers: -1001 after 60 seconds, with the phase in the message."""
        task = self.begin(self.serve(opening=[self.arrivals, silent]).url)
        self.arrivals.wait()
        error = self.assertTakes(task, 60)
        self.assertIsInstance(error, TimeoutError)
        self.assertRegex(str(error), "60 seconds.*response")

    def test_the_request_s_own(self) -> None:
        """Rule 205: it replaces the configuration's, longer or shorter."""
        server = self.serve(opening=[self.arrivals, silent])
        for own, configured in ((5.0, 60.0), (100.0, 5.0), (7.5, None)):
            with self.subTest(own):
                task = self.begin(Request(server.url, timeout_interval=own), timeout_interval_for_request=configured)
                self.arrivals.wait()
                self.assertTakes(task, own)

    def test_none(self) -> None:
        """Rule 205: `None` is no bound of its own."""
        task = self.begin(self.serve(opening=[self.arrivals, silent]).url, timeout_interval_for_request=None)
        self.arrivals.wait()
        self.clock.advance(10_000)
        self.assertIs(task.state, TaskState.RUNNING)

    def test_bytes_that_trickle_in(self) -> None:
        """Rule 204: it bounds the exchange as a whole: they do not restart it."""

        def trickle(connection: ServerConnection) -> None:
            for byte in connection.regular_answer()[:6]:
                connection.send_raw(bytes([byte]))
                self.clock.advance(9)

        task = self.begin(self.serve(opening=[trickle, silent]).url, timeout_interval_for_request=50.0)
        self.ends(task, TimedOut, -1001)

    def test_the_resolver(self) -> None:
        """Rule 204: a name that is being looked up."""
        release, asked = threading.Event(), threading.Event()
        self.addCleanup(release.set)

        def resolve(*_: Any, **__: Any) -> Any:
            asked.set()
            release.wait(PATIENCE)
            raise socket.gaierror(socket.EAI_NONAME, "late")

        with mock.patch("socket.getaddrinfo", resolve):
            task = self.begin("ws://slow.test/", proxy=None)
            self.assertTrue(asked.wait(PATIENCE))
            self.assertTakes(task, 60)

    @needs_trustme
    def test_a_tls_handshake(self) -> None:
        """Rule 204: a server that takes the connection, and says nothing."""
        server = self.serve(tls=True)
        server.ignore_connections()
        task = self.begin(server.url)
        self.clock.advance(0)  # it waits by the clock when this returns
        self.assertTakes(task, 60)

    def test_a_proxy(self) -> None:
        """Rule 204: a proxy that never answers CONNECT."""
        through = self.serve(opening=[self.arrivals, silent])
        task = self.begin("ws://example.test/", proxy=through.url.replace("ws:", "http:"))
        self.arrivals.wait()
        self.assertTakes(task, 60)

    def test_once_open_it_is_off(self) -> None:
        """Rule 206: an open task is not ended by it."""
        task = self.begin(self.serve().url, ping_interval=None)
        task.wait_until_open(PATIENCE)
        self.clock.advance(1000)
        task.send("still there")
        self.assertReceives(task, "still there")

    def test_waiting_for_one_s_turn(self) -> None:
        """Rules 35 and 204: the timer does not run for whoever waits until another of the host has opened."""
        server = self.serve(opening=[self.arrivals, at("/first", silent)])
        session = self.session(http_maximum_connections_per_host=1, timeout_interval_for_request=1.0)
        first = session.websocket_task(Request(server.url_for("/first"), timeout_interval=1000.0))
        second = session.websocket_task(server.url)
        first.resume()
        self.arrivals.wait()
        second.resume()
        self.clock.advance(500)
        self.assertIs(second.state, TaskState.RUNNING)
        first.cancel()
        second.wait_until_open(PATIENCE)


@with_cases
class RestartTests(TimeoutTestCase):
    """Rules 207 and 208: exchanges, and all of them."""

    def rounds(self, kind: str) -> Server:
        """A server that needs three exchanges of 0.6 seconds each."""
        pause = taking(self.clock, 0.6)
        if kind == "redirects":
            return self.serve(opening=[pause, at("/", redirect("/2")), at("/2", redirect("/3"))])
        if kind == "challenges":
            return self.serve(opening=[pause, digest("user", SECRET), at("/", redirect("/2"))])
        return self.serve(opening=[pause, at("/", redirect("/2")), at("/2", basic("user", SECRET))])

    @cases(redirects="redirects", challenges="challenges", both="both")
    def test_the_request_timer_is_restarted(self, kind: str) -> None:
        """Rule 208: each redirect and each 401 has the whole of it."""
        task = self.begin(userinfo(self.rounds(kind).url), timeout_interval_for_request=1.0)
        task.wait_until_open(PATIENCE)

    @cases(redirects="redirects", challenges="challenges", both="both")
    def test_the_resource_timer_is_not(self, kind: str) -> None:
        """Rules 207 and 208: it bounds all of them."""
        task = self.begin(
            userinfo(self.rounds(kind).url), timeout_interval_for_request=1.0, timeout_interval_for_resource=1.5
        )
        self.ends(task, TimedOut, -1001)

    def test_a_407(self) -> None:
        """Rules 77 and 208: the same with a proxy's challenge."""
        target = self.serve(opening=taking(self.clock, 0.3))
        pause = taking(self.clock, 0.6)
        routes = {"example.test:80": target.url[5:-1]}
        through = self.serve(opening=[pause, basic("user", SECRET, proxy=True), proxy(routes)])
        own = userinfo(through.url.replace("ws:", "http:"))
        task = self.begin("ws://example.test/", proxy=own, timeout_interval_for_request=1.0)
        task.wait_until_open(PATIENCE)

    def test_the_nearer_one(self) -> None:
        """Rule 207: the resource timeout ends an exchange too, and says which limit it was."""
        task = self.begin(
            self.serve(opening=[self.arrivals, silent]).url,
            timeout_interval_for_request=60.0,
            timeout_interval_for_resource=5.0,
        )
        self.arrivals.wait()
        self.assertIn("5 seconds", str(self.assertTakes(task, 5)))

    def test_a_refusal_s_body(self) -> None:
        """Rule 45: the verdict is known by then: after 5 seconds the error comes with what there is of the body."""
        head = b"HTTP/1.1 403 Forbidden\r\nSet-Cookie: id=1\r\nContent-Length: 100\r\n\r\nthe begin"

        def answer(connection: ServerConnection) -> None:
            connection.send_raw(head)
            silent(connection)

        jar = CookieJar()
        stored = threading.Event()
        with mock.patch.object(jar, "set_cookie", lambda cookie: stored.set()):
            task = self.begin(self.serve(opening=answer).url, http_cookie_storage=jar)
            self.assertTrue(stored.wait(PATIENCE))  # the head was read
            self.clock.advance(0)
            self.assertIs(task.state, TaskState.RUNNING)
            self.clock.advance(5)
            error = self.ends(task, HandshakeError, -1011)
        self.assertEqual(getattr(error.response, "body", None), b"the begin")


class ConnectivityTests(TimeoutTestCase):
    """Rule 209: `waits_for_connectivity`."""

    def setUp(self) -> None:
        super().setUp()
        self.target = self.serve()
        self.url = self.target.url.replace("127.0.0.1", "flaky.test")
        self.tried = threading.Semaphore(0)
        self.failing = True

    def no_resolver(self, code: int = socket.EAI_AGAIN) -> None:
        """Names cannot be looked up, until `failing` is over."""
        real = socket.getaddrinfo

        def resolve(host: Any, *arguments: Any, **options: Any) -> Any:
            self.tried.release()
            if self.failing:
                raise socket.gaierror(code, "cannot")
            return real("127.0.0.1", *arguments, **options)

        patch = mock.patch("socket.getaddrinfo", resolve)
        patch.start()
        self.addCleanup(patch.stop)

    def no_route(self, code: int = errno.ENETUNREACH) -> None:
        """No connection can be made, until `failing` is over."""
        real = socket.socket.connect_ex

        def connect(sock: Any, address: Any) -> int:
            self.tried.release()
            return code if self.failing else real(sock, address)

        patch = mock.patch.object(socket.socket, "connect_ex", connect)
        patch.start()
        self.addCleanup(patch.stop)

    def wait_for_a_try(self) -> None:
        """Until one more was made."""
        self.assertTrue(self.tried.acquire(timeout=PATIENCE))

    def advance_to_a_try(self, seconds: float) -> None:
        """The next one comes so much later and not before."""
        self.clock.advance(seconds - 0.25)
        self.assertFalse(self.tried.acquire(blocking=False))
        self.clock.advance(0.25)
        self.wait_for_a_try()

    def test_it_comes_back(self) -> None:
        """Rule 209: the delegate is told once; it is tried again after 1, 2, 4 ... seconds, and opens."""
        self.no_route()
        delegate = Delegate()
        task = self.begin(self.target.url, waits_for_connectivity=True, delegate=delegate)
        self.wait_for_a_try()
        self.settle()
        delegate.wait_for("is_waiting_for_connectivity")
        for seconds in (1, 2, 4, 8):
            self.advance_to_a_try(seconds)
            self.settle()
        self.failing = False
        self.advance_to_a_try(16)
        task.wait_until_open(PATIENCE)
        delegate.wait_for("did_open")
        self.assertEqual(len(delegate.questions("is_waiting_for_connectivity")), 1)
        self.assertEqual(delegate.names, ["is_waiting_for_connectivity", "did_open"])

    def settle(self) -> None:
        """Who has failed waits by the clock when this returns."""
        self.clock.advance(0)

    def test_a_resolver(self) -> None:
        """Rule 209: names that cannot be looked up for lack of a network are such a failure too."""
        self.no_resolver()
        delegate = Delegate()
        task = self.begin(self.url, proxy=None, waits_for_connectivity=True, delegate=delegate)
        delegate.wait_for("is_waiting_for_connectivity")
        self.failing = False
        self.settle()
        self.clock.advance(1)
        task.wait_until_open(PATIENCE)

    def test_the_timers(self) -> None:
        """Rules 208 and 209: that of the request does not run meanwhile, that of the resource does."""
        self.no_route()
        delegate = Delegate()
        task = self.begin(
            self.target.url,
            waits_for_connectivity=True,
            delegate=delegate,
            timeout_interval_for_request=0.5,
            timeout_interval_for_resource=100.0,
        )
        self.wait_for_a_try()
        delegate.wait_for("is_waiting_for_connectivity")
        self.clock.advance(99)
        self.assertIs(task.state, TaskState.RUNNING)
        self.clock.advance(1)
        self.ends(task, TimedOut, -1001)

    def test_others_meanwhile(self) -> None:
        """Rules 35 and 209: whoever waits for a network keeps nobody of the host from trying."""
        self.no_route()
        session = self.session(http_maximum_connections_per_host=1, waits_for_connectivity=True)
        tasks = [session.websocket_task(self.target.url) for _ in range(2)]
        for task in tasks:
            task.resume()
            self.wait_for_a_try()
        self.failing = False
        self.settle()
        self.clock.advance(1)
        for task in tasks:
            task.wait_until_open(PATIENCE)

    def test_cancel_meanwhile(self) -> None:
        """Rule 155's neighbour: the wait ends at once."""
        self.no_route()
        delegate = Delegate()
        task = self.begin(self.target.url, waits_for_connectivity=True, delegate=delegate)
        delegate.wait_for("is_waiting_for_connectivity")
        task.cancel()
        self.ends(task, wssync.Cancelled, -999)

    def test_a_proxy(self) -> None:
        """Rule 209: the way to a proxy is a network as well."""
        through = self.serve(opening=proxy({"example.test:80": self.target.url[5:-1]}))
        self.no_route()
        delegate = Delegate()
        task = self.begin(
            "ws://example.test/",
            waits_for_connectivity=True,
            delegate=delegate,
            proxy=through.url.replace("ws:", "http:"),
        )
        delegate.wait_for("is_waiting_for_connectivity")
        self.failing = False
        self.settle()
        self.clock.advance(1)
        task.wait_until_open(PATIENCE)

    def test_by_default_it_fails(self) -> None:
        """Rule 209: -1009 at once without it."""
        self.no_route()
        self.ends(self.begin(self.target.url), ConnectionFailed, -1009)
        self.no_resolver()
        self.ends(self.begin(self.url, proxy=None), HostNotFound, -1003)

    def test_what_is_not_for_lack_of_a_network(self) -> None:
        """Rule 209: a refused connection, a name that is not there and TLS errors fail at once."""
        server = self.serve()
        server.refuse_connections()
        delegate = Delegate()
        options: Any = {"waits_for_connectivity": True, "delegate": delegate, "proxy": None}
        self.ends(self.begin(server.url, **options), ConnectionRefused, -1004)
        self.quiet()
        self.ends(self.begin(self.target.url.replace("ws:", "wss:"), **options), wssync.TLSError, -1200)
        self.target.take_errors()
        self.no_resolver(socket.EAI_NONAME)
        self.ends(self.begin(self.url, **options), HostNotFound, -1003)
        self.assertEqual(delegate.questions("is_waiting_for_connectivity"), [])

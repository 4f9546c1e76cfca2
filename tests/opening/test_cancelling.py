"""Cancelling at every step of an opening: each event that `trace` hears of is a moment at which the user gives up.

A first run of each scene tells its events. Then there is one run for each of them and each way of cancelling: inside
the event, on the connection's own thread, and right after it, from another thread.
"""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import Future
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional

import wssync
from tests.opening.support import DEFAULT, PATIENCE, SECRET, Delegate, OpeningTestCase, trusting, userinfo
from tests.support import cases, with_cases
from tests.tasks import Running, needs_trustme
from tests.transport.socks_server import SocksServer
from wssync import Cancelled, SessionConfiguration, TaskState, WebSocketTask
from wssync.testing import at, digest, proxy, redirect, set_cookies

HOST = "example.test"

LIMIT = 0.05
"""Seconds by the clock of the task within which it has ended."""


class Scene(NamedTuple):
    """What is opened, and with what."""

    url: str
    changes: Dict[str, Any]
    methods: Dict[str, Callable[..., Any]]


def _scene(url: str, methods: Optional[Dict[str, Callable[..., Any]]] = None, **changes: Any) -> Scene:
    return Scene(url, changes, methods or {})


def _routes(case: CancellingTests, url: str) -> Dict[str, str]:
    return {f"{HOST}:80": url[5:-1]}


def _direct(case: CancellingTests) -> Scene:
    return _scene(case.serve().url)


def _secure(case: CancellingTests) -> Scene:
    return _scene(case.trusted_server().url)


def _asked_about_trust(case: CancellingTests) -> Scene:
    server = case.secret_server(context=case.strange_context())

    def ask(session: Any, challenge: Any) -> Any:
        future: Future[Any] = Future()
        future.set_result(trusting(session, challenge))
        return future

    return _scene(server.url, {"session_did_receive_challenge": ask})


def _http_proxy(case: CancellingTests) -> Scene:
    routes = _routes(case, case.serve().url)
    through = case.serve(opening=[digest("user", SECRET, proxy=True), proxy(routes)])
    return _scene(f"ws://{HOST}/", proxy=userinfo(through.url.replace("ws:", "http:")))


def _https_proxy(case: CancellingTests) -> Scene:
    server = case.trusted_server()
    port = server.url[:-1].rpartition(":")[2]
    through = case.trusted_server(opening=proxy({f"localhost:{port}": f"127.0.0.1:{port}"}))
    return _scene(server.url, proxy=through.url.replace("wss:", "https:"))


def _socks(case: CancellingTests) -> Scene:
    place = case.serve().url[5:-1].split(":")
    server = case.resources.enter_context(
        SocksServer({f"{HOST}:80": (place[0], int(place[1]))}, user="user", password=SECRET)
    )
    return _scene(f"ws://{HOST}/", proxy=f"socks5://user:{SECRET}@127.0.0.1:{server.port}")


def _redirected(case: CancellingTests) -> Scene:
    server = case.serve()
    source = case.serve(opening=[at("/old", redirect("/new")), at("/new", redirect(server.url))])
    methods = {"will_perform_http_redirection": lambda session, task, response, request: request}
    return _scene(source.url_for("/old"), methods)


def _challenged(case: CancellingTests) -> Scene:
    server = case.serve(opening=digest("user", SECRET))
    return _scene(userinfo(server.url), {"did_receive_challenge": lambda *_: DEFAULT})


def _with_cookies(case: CancellingTests) -> Scene:
    server = case.serve(opening=[set_cookies({"id": "1"}), at("/old", redirect("/new"))])
    return _scene(server.url_for("/old"))


SCENES: Dict[str, Callable[[Any], Scene]] = {
    "ws": _direct,
    "wss": _secure,
    "trust": _asked_about_trust,
    "http_proxy_with_407": _http_proxy,
    "https_proxy": _https_proxy,
    "socks": _socks,
    "redirects": _redirected,
    "a_401": _challenged,
    "cookies": _with_cookies,
}


class Run:
    """One opening, and the event at which something is done."""

    def __init__(self, scene: Scene, index: Optional[int] = None, outside: bool = False) -> None:
        self.events: List[str] = []
        self._scene = scene
        self._index = index
        self._outside = outside
        self._reached = threading.Event()
        self.done = threading.Event()
        self.task: Optional[WebSocketTask] = None

    def hear(self, event: str, *_: object, **__: object) -> None:
        """What `trace` is: it is called as `trace(event, task, fields)`."""
        self.events.append(event)
        if len(self.events) - 1 == self._index:
            if self._outside:
                self._reached.set()
            else:
                self._cancel()

    def _cancel(self) -> None:
        assert self.task is not None
        self.task.cancel()
        self.done.set()

    def cancel_outside(self) -> None:
        """Wait for the event, and cancel."""
        if self._reached.wait(PATIENCE):
            self._cancel()

    @contextlib.contextmanager
    def opening(self) -> Iterator[WebSocketTask]:
        """The task, which has been resumed; at the end nothing of it is left."""
        delegate = Delegate(**self._scene.methods)
        configuration = SessionConfiguration.ephemeral().replace(trace=self.hear, **self._scene.changes)
        with wssync.Session(configuration, delegate=delegate) as session:
            self.task = session.websocket_task(self._scene.url)
            outside = Running(self.cancel_outside) if self._outside else None
            self.task.resume()
            yield self.task
            self.task.close()  # waits for its thread
            if outside is not None:
                outside.result()


@needs_trustme
@with_cases
class CancellingTests(OpeningTestCase):
    """Rule 155: cancelling before the task is open."""

    def setUp(self) -> None:
        super().setUp()
        self.resources = contextlib.ExitStack()
        self.addCleanup(self.resources.close)
        self.trust()

    def trusted_server(self, **options: Any) -> wssync.testing.Server:
        """One that a session believes without being asked."""
        return self.serve(tls=True, **options)

    def events(self, scene: Scene) -> List[str]:
        """What an opening that nobody cancels goes through."""
        run = Run(scene)
        with run.opening() as task:
            task.wait_until_open(PATIENCE)
            return list(run.events)

    @cases(SCENES)
    def test_at_every_event(self, make: Callable[[CancellingTests], Scene]) -> None:
        """Rule 155: `Cancelled` within 50 ms by the task's clock, at each event, from inside and from outside."""
        clock = self.use_fake_clock()
        scene = make(self)
        events = self.events(scene)
        self.assertGreater(len(events), 5, events)
        for index, event in enumerate(events):
            for outside in (False, True):
                with self.subTest(event, index=index, outside=outside):
                    begun = clock.now()
                    run = Run(scene, index, outside)
                    with run.opening() as task:
                        self.assertCancelled(task)
                        self.assertTrue(run.done.wait(PATIENCE))
                    self.assertLessEqual(clock.now() - begun, LIMIT)
                    self.assertEqual(run.events[: index + 1], events[: index + 1])
                    self.assertNothingRuns()

    def assertCancelled(self, task: WebSocketTask) -> None:
        """It ends with `Cancelled`, which is what its callers get."""
        self.assertClosed(task, timeout=PATIENCE)
        self.assertIs(task.state, TaskState.COMPLETED)
        self.assertIsInstance(task.error, Cancelled)
        with self.assertRaises(Cancelled) as caught:
            task.receive()
        self.assertIs(caught.exception, task.error)

    def assertNothingRuns(self) -> None:
        """Nobody is left of the task and its session."""
        names = [thread.name for thread in threading.enumerate()]
        self.assertFalse([name for name in names if name.startswith(("wssync-read", "wssync-session"))], names)

    def test_the_steps_are_there(self) -> None:
        """What is cancelled at are the steps of all that happens, and not those of a plain connection only."""
        found = {name: self.events(make(self)) for name, make in SCENES.items()}
        for name, wanted in (
            ("ws", ["connect_start", "connect_end", "request_start", "request_end", "response_start", "response_end"]),
            ("wss", ["resolve_start", "resolve_end", "tls_start", "tls_end"]),
            ("trust", ["tls_failed", "challenge"]),
            ("http_proxy_with_407", ["proxy"]),
            ("https_proxy", ["proxy", "tls_start"]),
            ("redirects", ["redirect"]),
        ):
            with self.subTest(name):
                self.assertEqual([event for event in wanted if event not in found[name]], [])
        self.assertEqual(found["redirects"].count("request_start"), 3)
        self.assertEqual(found["a_401"].count("request_start"), 2)
        self.assertEqual(found["http_proxy_with_407"].count("request_start"), 3)
        self.assertEqual(found["https_proxy"].count("tls_start"), 2)

"""A `unittest.TestCase` for code that talks to WebSocket servers: the server, the tasks, the time, and a check at the
end that nothing of all this was left behind.

    class EchoTests(wssync.testing.WebSocketTestCase):
        def test_it_echoes(self):
            task = self.connect()
            task.send("hello")
            self.assertReceives(task, "hello")

Whatever a test is given here is taken back by a cleanup, whether or not the test's `setUp` and `tearDown` call those of
their base class: there are none. The check for leaks is the cleanup that was added first, so it runs last.

How long an assertion waits for something is real time, also under a fake clock: a few seconds of patience with a busy
machine are not part of the story that the test tells.
"""

from __future__ import annotations

import contextlib
import ssl
import unittest
from typing import Any, ContextManager, List, Optional, Sequence, Union
from unittest.util import safe_repr

from ..configuration import SessionConfiguration
from ..engine import surroundings
from ..errors import WebSocketError
from ..protocol.http1 import Request
from ..protocol.urls import parse_url
from ..session import Session, connect
from ..task import WebSocketTask
from ..transport.clock import Clock
from .certificates import NAMES
from .clock import FakeClock
from .handlers import Handler, echo
from .leaks import Snapshot
from .server import Server

__all__ = ["WebSocketTestCase"]

__unittest = True  # so that unittest's report of a failed assertion ends where the test calls it

PATIENCE = 5.0
"""Seconds after which what should come counts as not coming: on the loopback it takes less than one of 5,000 parts."""

GLANCE = 0.1
"""Seconds in which no message comes. What is on its way over the loopback comes within a millisecond."""

OF_CONNECT = ("delegate", "executor", "headers")


class _Any:
    """Equal to everything. That of `unittest.mock` would load asyncio."""

    def __eq__(self, other: object) -> bool:
        return True

    def __repr__(self) -> str:
        return "ANY"


ANY: Any = _Any()


class WebSocketTestCase(unittest.TestCase):
    """A test with a server, tasks that end with it, assertions about messages, and a check for leaks.

    A test fails, besides its own reasons, when a handler of its servers has raised, and when it leaves a thread or a
    socket of this library open that was not there before it. What `setUpClass` opened was there.
    """

    leak_timeout: Optional[float] = 5.0
    """Seconds, all together, for the library's threads to end after the cleanups. `None` is no check for leaks: for
    tests that run at once in several threads of one process, where nobody can say whose a thread is."""

    def __init__(self, methodName: str = "runTest") -> None:
        super().__init__(methodName)
        self.__servers: List[Server] = []
        self.__server: Optional[Server] = None

    def run(self, result: Optional[unittest.TestResult] = None) -> Optional[unittest.TestResult]:
        """See `unittest.TestCase.run`."""
        self.__watch()
        return super().run(result)

    def debug(self) -> None:
        """See `unittest.TestCase.debug`."""
        self.__watch()
        super().debug()

    def __watch(self) -> None:
        if self.leak_timeout is not None:
            self.addCleanup(self.__check_leaks, Snapshot(), self.leak_timeout)

    def __check_leaks(self, before: Snapshot, timeout: float) -> None:
        left = before.leaks(timeout)
        if left:
            self.fail("\n  ".join(["the test has left behind:", *left]))

    # -- servers -------------------------------------------------------------------------------------------------------

    @property
    def server(self) -> Server:
        """The test's server: the first that `serve` has made, or else one by `make_server`, started at first use."""
        if self.__server is None:
            self.__start(self.make_server())
        assert self.__server is not None
        return self.__server

    def make_server(self) -> Server:
        """The server that `self.server` becomes, not started yet: one that echoes. To be overridden."""
        return Server()

    def serve(self, handler: Handler = echo, **options: Any) -> Server:
        """Start a server with this handler for the time of the test; keywords are those of `Server`.

        It becomes `self.server` unless there is one already.
        """
        return self.__start(Server(handler, **options))

    def __start(self, server: Server) -> Server:
        server.start()
        self.addCleanup(self.__stop, server)
        self.__servers.append(server)
        self.__server = self.__server or server
        return server

    def __stop(self, server: Server) -> None:
        server.close()
        self.__servers.remove(server)
        if self.__server is server:
            self.__server = None
        errors = server.take_errors()
        if errors:
            raise self.failureException(
                f"a server of the test has noticed errors (`take_errors` is for expected ones): {errors!r}"
            ) from errors[0]

    # -- clients -------------------------------------------------------------------------------------------------------

    def connect(
        self,
        url_or_request: Union[str, Request, None] = None,
        protocols: Sequence[str] = (),
        *,
        configuration: Optional[SessionConfiguration] = None,
        timeout: Optional[float] = PATIENCE,
        **options: Any,
    ) -> WebSocketTask:
        """Open a task, to `self.server` unless told otherwise, and cancel it at the end of the test.

        `delegate`, `executor` and `headers` are as in `wssync.connect`; every other keyword is a change of the
        configuration (`ping_interval=None`), which is an ephemeral one by default. Over TLS the test's own servers are
        trusted, unless there is an `ssl_context`. `timeout` is in seconds of real time. Raises what `wssync.connect`
        does.
        """
        target = self.server.url if url_or_request is None else url_or_request
        url = target.url if isinstance(target, Request) else target
        own = {name: options.pop(name) for name in OF_CONNECT if name in options}
        changed = self.__configure(configuration, options, url)
        with _real_time(surroundings.current().clock):
            task = connect(target, protocols, configuration=changed, timeout=timeout, **own)
        self.addCleanup(_end, task)
        return task

    def session(
        self,
        configuration: Optional[SessionConfiguration] = None,
        *,
        delegate: object = None,
        executor: Any = None,
        **changes: Any,
    ) -> Session:
        """A session for the time of the test; at its end, the session's tasks are cancelled.

        The configuration is as with `connect`; a TLS server is trusted if the test has started it before.
        """
        changed = self.__configure(configuration, changes, None)
        session = Session(changed, delegate=delegate, executor=executor)
        self.addCleanup(session.__exit__, None, None, None)
        return session

    def __configure(
        self, configuration: Optional[SessionConfiguration], changes: Any, url: Optional[str]
    ) -> SessionConfiguration:
        changed = (configuration or SessionConfiguration.ephemeral()).replace(**changes)
        trusted = [server for server in self.__servers if server.ca_file is not None and _is_at(server, url)]
        if changed.ssl_context is None and trusted:
            context: Optional[ssl.SSLContext] = trusted[0].client_ssl_context
            changed = changed.replace(ssl_context=context)
        return changed

    def use_fake_clock(self, *, patience: float = 30.0) -> FakeClock:
        """A clock that stands still, for the tasks that are made in the rest of the test; see `FakeClock`."""
        clock = FakeClock(patience=patience)
        clock.install()
        self.addCleanup(clock.uninstall)
        return clock

    # -- assertions ----------------------------------------------------------------------------------------------------

    def assertReceives(
        self, task: WebSocketTask, expected: Union[str, bytes], timeout: float = PATIENCE
    ) -> Union[str, bytes]:
        """The task's next message is this one, and comes within `timeout` real seconds; it is returned."""
        wanted = safe_repr(expected, short=True)
        try:
            with _real_time(task._connection.clock):
                message = task.receive(timeout=timeout)
        except WebSocketError as error:
            raise self.failureException(f"instead of {wanted} came the end of the task: {error!r}") from error
        except TimeoutError:
            raise self.failureException(f"{wanted} was expected, and nothing came in {timeout:g} seconds") from None
        self.assertEqual(message, expected, "the first message came, the second was expected")
        return message

    def assertNoMessage(self, task: WebSocketTask, within: float = GLANCE) -> None:
        """No message comes within so many real seconds.

        A task that has ended, or does so meanwhile, has no message either: whether it should have is for `assertClosed`
        to say.
        """
        try:
            with _real_time(task._connection.clock):
                message = task.receive(timeout=within)
        except (TimeoutError, WebSocketError):
            return
        self.fail(f"no message was expected, but {safe_repr(message, short=True)} came")

    def assertClosed(self, task: WebSocketTask, code: Any = ANY, reason: Any = ANY, timeout: float = PATIENCE) -> None:
        """The task ends within `timeout` real seconds, and has this `close_code` and `close_reason` then.

        Nothing is said about a code or reason that is not given. Unread messages stay: with too many of them the task
        does not come to read a Close.
        """
        try:
            with _real_time(task._connection.clock):
                task.wait_until_closed(timeout)
        except TimeoutError:
            raise self.failureException(
                f"the task had not ended after {timeout:g} seconds; it is {task.state.name}"
            ) from None
        found, expected = (task.close_code, task.close_reason), (code, reason)
        if found != expected:
            raise self.failureException(
                f"the task ended with {found[0]!r} and {found[1]!r}, not with {code!r} and {reason!r}: {task.error!r}"
            )


def _end(task: WebSocketTask) -> None:
    task.cancel()
    task._join()


def _is_at(server: Server, url: Optional[str]) -> bool:
    if url is None:
        return True
    parsed = parse_url(url)
    return parsed.host in NAMES and parsed.port == parse_url(server.url).port


def _real_time(clock: Clock) -> ContextManager[None]:
    return clock.real_time() if isinstance(clock, FakeClock) else contextlib.nullcontext()

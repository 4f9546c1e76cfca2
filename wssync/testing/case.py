"""A `unittest.TestCase` for code that talks to WebSocket servers: the server, the tasks, the time, and a check at the
end that nothing of all this was left behind.

    class EchoTests(wssync.testing.WebSocketTestCase):
        def test_it_echoes(self):
            task = self.connect()
            task.send("hello")
            self.assertReceives(task, "hello")

Whatever a test is given here is taken back by one cleanup, whether or not the test's `setUp` and `tearDown` call those
of their base class: there are none. It was added first, so it runs last, and the test's own cleanups find the servers
there. Its order is that of the proof: the tasks that the case gave away end, then no other client may be left while the
servers are still there (one whose server has gone ends by itself, and would pass for tidy), then the servers stop.

Whether a test has passed so far is known to `unittest` alone, under a private name. Here it is asked for in one place.

How long an assertion waits for something is real time, also under a fake clock: a few seconds of patience with a busy
machine are not part of the story that the test tells.
"""

from __future__ import annotations

import contextlib
import enum
import functools
import os
import ssl
import time
import unittest
from typing import Any, Callable, ContextManager, List, Optional, Sequence, Type, Union
from unittest.util import safe_repr

from ..configuration import SessionConfiguration
from ..engine import surroundings
from ..errors import WebSocketError
from ..protocol.http1 import Request
from ..protocol.urls import parse_url
from ..session import Session, connect
from ..task import WebSocketTask
from ..transport.clock import Clock
from .cassette import Cassette
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

    A test fails, besides its own reasons, when a handler of its servers has raised, and when it leaves a task, a thread
    or a socket of this library open that was not there before it. What `setUpClass` opened was there. A task that was
    left is ended, so that it is the business of one test alone.
    """

    leak_timeout: Optional[float] = 5.0
    """Seconds, all together, for the threads of clients to end after the cleanups, and again for those of servers.
    `None` is no check for leaks: for tests that run at once in several threads of one process, where nobody can say
    whose a thread is."""

    def __init__(self, methodName: str = "runTest") -> None:
        super().__init__(methodName)
        self.__servers: List[Server] = []
        self.__server: Optional[Server] = None
        self.__clients: List[Callable[[], object]] = []
        self.__before: Optional[Snapshot] = None
        self.__watched = False
        self.__passing = True

    # -- the course of a test ------------------------------------------------------------------------------------------

    def run(self, result: Optional[unittest.TestResult] = None) -> Optional[unittest.TestResult]:
        """See `unittest.TestCase.run`."""
        self.__begin()
        return super().run(result)

    def debug(self) -> None:
        """See `unittest.TestCase.debug`."""
        self.__begin()
        super().debug()

    def addCleanup(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> None:
        """See `unittest.TestCase.addCleanup`."""
        super().addCleanup(self.__clean_up, functools.partial(function, *args, **kwargs))

    def doCleanups(self) -> Any:
        """See `unittest.TestCase.doCleanups`."""
        self.__passing = _is_passing(self)
        return super().doCleanups()

    def __clean_up(self, function: Callable[[], object]) -> None:
        try:
            function()
        except BaseException:
            self.__passing = False
            raise

    def __begin(self) -> None:
        self.__passing = True
        self.__server = self.__servers[0] if self.__servers else None
        self.__watch(afresh=True)

    def __watch(self, afresh: bool = False) -> None:
        """Whatever is given away from now on is taken back by a cleanup."""
        if afresh or not self.__watched:
            self.__before = None if self.leak_timeout is None else Snapshot()
        if not self.__watched:
            self.__watched = True
            self.addCleanup(self.__end)

    def __end(self) -> None:
        before, timeout, self.__watched = self.__before, self.leak_timeout or 0.0, False
        trouble = _Trouble()
        while self.__clients:
            trouble.catch(self.__clients.pop())
        left = [] if before is None else before.end_clients(timeout)
        end = time.monotonic() + timeout
        while self.__servers:
            self.__stop(self.__servers.pop(), trouble)
        left += [] if before is None else before.leaks(max(0.0, end - time.monotonic()))
        if left:
            trouble.lines.append("\n  ".join(["the test has left behind:", *left]))
        trouble.tell(self.failureException)

    def __stop(self, server: Server, trouble: _Trouble) -> None:
        trouble.catch(server.close)
        errors = server.take_errors()
        if errors:
            trouble.causes += errors
            trouble.lines.append(
                f"a server of the test has noticed errors (`take_errors` is for expected ones): {errors!r}"
            )

    # -- servers -------------------------------------------------------------------------------------------------------

    @property
    def server(self) -> Server:
        """The test's server: the first that `serve` has made, or else one by `make_server`, started at first use.

        After the cleanups it is still the same one, closed: nobody answers at its URL.
        """
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
        self.__watch()
        server.start()
        if self.__server not in self.__servers:
            self.__server = server
        self.__servers.append(server)
        return server

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

        A URL that begins with a slash is a path (and query) of `self.server`.

        `delegate`, `executor` and `headers` are as in `wssync.connect`; every other keyword is a change of the
        configuration (`ping_interval=None`), which is an ephemeral one by default. Over TLS the test's own servers are
        trusted, unless there is an `ssl_context`. `timeout` is in seconds of real time. Raises what `wssync.connect`
        does.
        """
        target = "/" if url_or_request is None else url_or_request
        if isinstance(target, str) and target.startswith("/"):
            target = self.server.url_for(target)
        url = target.url if isinstance(target, Request) else target
        own = {name: options.pop(name) for name in OF_CONNECT if name in options}
        changed = self.__configure(configuration, options, url)
        self.__watch()
        with _real_time(surroundings.current().clock):
            task = connect(target, protocols, configuration=changed, timeout=timeout, **own)
        self.__clients.append(functools.partial(_end, task))
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
        self.__watch()
        session = Session(changed, delegate=delegate, executor=executor)
        self.__clients.append(functools.partial(session.__exit__, None, None, None))
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

    def use_cassette(self, path: Union[str, os.PathLike[str]], **options: Any) -> Cassette:
        """A cassette for the rest of the test, with the options of `Cassette`.

        If it records, the file is written at the end of a test that has passed: not if it has failed (even if that was
        expected) or was skipped, nor if one of its subtests has, or a cleanup that was added later. What the case
        itself finds after all cleanups, a leak or an error of a handler, comes too late to count.
        """
        cassette = Cassette(path, **options)
        cassette.__enter__()
        self.addCleanup(self.__end_cassette, cassette)
        return cassette

    def __end_cassette(self, cassette: Cassette) -> None:
        error = None if self.__passing else self.failureException("the test had not passed")
        cassette.__exit__(None if error is None else type(error), error, None)

    # -- assertions ----------------------------------------------------------------------------------------------------

    def assertReceives(
        self, task: WebSocketTask, expected: Union[str, bytes], timeout: float = PATIENCE, msg: Any = None
    ) -> Union[str, bytes]:
        """The task's next message is this one, and comes within `timeout` real seconds; it is returned.

        TypeError if `expected` is no message, or `task` no task.
        """
        _check_task(task)
        if not isinstance(expected, (str, bytes)):
            raise TypeError(f"a message is str or bytes, so {expected!r} never comes")
        wanted = safe_repr(expected, short=True)
        try:
            with _real_time(task._connection.clock):
                message = task.receive(timeout=timeout)
        except WebSocketError as error:
            standard = f"instead of {wanted} came the end of the task: {error!r}"
            raise self.failureException(self._formatMessage(msg, standard)) from error
        except TimeoutError:
            standard = f"{wanted} was expected, and nothing came in {timeout:g} seconds"
            raise self.failureException(self._formatMessage(msg, standard)) from None
        roles = "the first message came, the second was expected"
        self.assertEqual(message, expected, self._formatMessage(msg, roles) if self.longMessage else msg)
        return message

    def assertNoMessage(self, task: WebSocketTask, within: float = GLANCE, msg: Any = None) -> None:
        """No message comes within so many real seconds.

        A task that has ended, or does so meanwhile, has no message either: whether it should have is for `assertClosed`
        to say. TypeError if `task` is no task.
        """
        _check_task(task)
        try:
            with _real_time(task._connection.clock):
                message = task.receive(timeout=within)
        except (TimeoutError, WebSocketError):
            return
        self.fail(self._formatMessage(msg, f"no message was expected, but {safe_repr(message, short=True)} came"))

    def assertClosed(
        self, task: WebSocketTask, code: Any = ANY, reason: Any = ANY, timeout: float = PATIENCE, msg: Any = None
    ) -> None:
        """The task ends within `timeout` real seconds, and has this `close_code` and `close_reason` then.

        Nothing is said about a code or reason that is not given. Unread messages stay: with too many of them the task
        does not come to read a Close. TypeError if `task` is no task.
        """
        _check_task(task)
        try:
            with _real_time(task._connection.clock):
                task.wait_until_closed(timeout)
        except TimeoutError:
            standard = f"the task had not ended after {timeout:g} seconds; it is {task.state.name}"
            raise self.failureException(self._formatMessage(msg, standard)) from None
        if (task.close_code, task.close_reason) != (code, reason):
            known = ANY if task.close_reason is None and reason is ANY else task.close_reason
            found = _end_in_words(task.close_code, known)
            error = "" if task.error is None else f": {task.error!r}"
            standard = f"the task ended with {found}, not with {_end_in_words(code, reason)}{error}"
            raise self.failureException(self._formatMessage(msg, standard))


class _Trouble:
    """What was found at the end of a test: all of it is told, whatever came first."""

    def __init__(self) -> None:
        self.lines: List[str] = []
        self.causes: List[BaseException] = []

    def catch(self, function: Callable[[], object]) -> None:
        """Call it, and keep what it raises."""
        try:
            function()
        except Exception as error:
            self.lines.append(f"at the end of the test: {error!r}")
            self.causes.append(error)

    def tell(self, kind: Type[BaseException]) -> None:
        """Raise everything as one exception of that kind, from the first cause that there is."""
        if self.lines:
            raise kind("\n".join(self.lines)) from next(iter(self.causes), None)


def _is_passing(case: unittest.TestCase) -> bool:
    """Whether nothing has gone wrong in the test so far; to be asked between its parts, not in a cleanup.

    No public name tells. Should a later Python rename the private one, the answer is no: better no cassette than one of
    a test that has failed. While a test is debugged there is no outcome: it goes on only while all is well.
    """
    outcome = getattr(case, "_outcome", object())
    if outcome is None:
        return True
    return getattr(outcome, "success", False) is True and getattr(outcome, "expectedFailure", None) is None


def _check_task(task: object) -> None:
    if not isinstance(task, WebSocketTask):
        raise TypeError(f"a WebSocketTask is needed, as `connect` returns it, not {task!r}")


def _end_in_words(code: Any, reason: Any) -> str:
    """A close code and a reason, without what equals everything."""
    number = f"{int(code)} ({code.name})" if isinstance(code, enum.IntEnum) else repr(code)
    text = "no reason" if reason is None else f"the reason {reason!r}"
    return " and ".join(word for word, value in ((number, code), (text, reason)) if value != object())


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

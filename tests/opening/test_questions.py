"""A delegate that takes its time, as one that asks a user does: nothing else waits for it, and it may be forgotten."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Callable, Dict, List, NamedTuple
from unittest import mock

import wssync
from tests.opening.support import (
    DEFAULT,
    PATIENCE,
    SECRET,
    Arrivals,
    Delegate,
    OpeningTestCase,
    password,
    trusting,
    userinfo,
)
from tests.support import cases, with_cases
from tests.tasks import InlineExecutor, Running, needs_trustme
from wssync import (
    AuthenticationFailed,
    Cancelled,
    CertificateError,
    Credential,
    HandshakeError,
    TaskState,
    TimedOut,
)
from wssync.executors import QueueExecutor
from wssync.testing import Server, at, basic, proxy, redirect, silent

REDIRECT = "will_perform_http_redirection"
TASK = "did_receive_challenge"
SESSION = "session_did_receive_challenge"


class Scene(NamedTuple):
    """A question: the method that is asked, the server behind it, changes of the configuration, and a good answer."""

    method: str
    url: str
    changes: Dict[str, Any]
    answer: Callable[[Any], Any]
    server: Server


def _redirecting(case: OpeningTestCase) -> Scene:
    server = case.serve(opening=at("/old", redirect("/new")))
    return Scene(REDIRECT, server.url_for("/old"), {}, lambda request: request, server)


def _challenging(case: OpeningTestCase) -> Scene:
    server = case.serve(opening=at("/", basic("user", SECRET)))
    return Scene(TASK, server.url, {}, lambda challenge: password(), server)


def _challenging_proxy(case: OpeningTestCase) -> Scene:
    server = case.serve()
    name = f"example.test:{server.url[:-1].rpartition(':')[2]}"
    through = case.serve(opening=[basic("user", SECRET, proxy=True), proxy({name: server.url[5:-1]})])
    changes = {"proxy": through.url.replace("ws:", "http:")}
    return Scene(TASK, f"ws://{name}/", changes, lambda challenge: password(), server)


def _trusting(case: OpeningTestCase) -> Scene:
    server = case.secret_server(context=case.strange_context())
    return Scene(SESSION, server.url, {}, lambda challenge: trusting(None, challenge), server)


def _trusting_by_task(case: OpeningTestCase) -> Scene:
    return _trusting(case)._replace(method=TASK)


SCENES: Dict[str, Callable[[OpeningTestCase], Scene]] = {
    "redirect": _redirecting,
    "a_401": _challenging,
    "a_407": _challenging_proxy,
    "trust": _trusting,
    "trust_by_task": _trusting_by_task,
}

ALL = cases((name, scene) for name, scene in SCENES.items())


CALLS: Dict[str, Callable[[wssync.WebSocketTask], object]] = {
    "send": lambda task: task.send("hello"),
    "send_in_time": lambda task: task.send("hello", timeout=PATIENCE),
    "receive": lambda task: task.receive(),
    "receive_in_time": lambda task: task.receive(timeout=PATIENCE),
    "send_ping": lambda task: task.send_ping(),
    "wait_until_open": lambda task: task.wait_until_open(),
    "iterate": lambda task: next(iter(task)),
}
"""Calls that block."""

ANSWERS: Dict[str, Any] = {
    "nothing": None,
    "text": "yes",
    "true": True,
    "credential_alone": Credential("user", SECRET),
    "disposition_alone": wssync.AuthChallengeDisposition.USE_CREDENTIAL,
    "number": (0, Credential("user", SECRET)),
    "text_for_credential": (wssync.AuthChallengeDisposition.USE_CREDENTIAL, SECRET),
    "three": (*password(), "more"),
    "unknown": (17, None),
}
"""What answers no challenge."""


class TellingExecutor(QueueExecutor):
    """Tells when it has got work."""

    def __init__(self) -> None:
        super().__init__()
        self.submitted = threading.Event()

    def submit(self, fn: Callable[..., object], /, *args: Any) -> None:
        """See `QueueExecutor.submit`."""
        super().submit(fn, *args)
        self.submitted.set()


class QuestionTestCase(OpeningTestCase):
    """A task whose delegate has been asked, and has not answered."""

    def begin(self, make: Callable[[OpeningTestCase], Scene], executor: Any = None, **changes: Any) -> Asked:
        """A session, and a task of it that waits for its delegate."""
        scene = make(self)
        asked = Asked(self, scene, executor, changes)
        asked.task.resume()
        return asked

    def asked(self, make: Callable[[OpeningTestCase], Scene], executor: Any = None, **changes: Any) -> Asked:
        """The same, once the question has been put."""
        asked = self.begin(make, executor, **changes)
        asked.wait()
        return asked


class Asked:
    """The question, its future and its task."""

    def __init__(self, case: OpeningTestCase, scene: Scene, executor: Any, changes: Any) -> None:
        self.scene = scene
        self.future: Future[Any] = Future()
        self.delegate = Delegate(**{scene.method: self._ask})
        configuration = wssync.SessionConfiguration.ephemeral().replace(**{**scene.changes, **changes})
        self.session = wssync.Session(configuration, delegate=self.delegate, executor=executor)
        case.addCleanup(self.session.__exit__, None, None, None)
        self.task = self.session.websocket_task(scene.url)

    def _ask(self, *arguments: Any) -> Any:
        space = getattr(arguments[-1], "protection_space", None)
        if space is not None and space.authentication_method == wssync.AuthenticationMethod.CLIENT_CERTIFICATE:
            return DEFAULT
        return self.future

    def wait(self) -> Any:
        """Wait for the question, and return it."""
        count = 2 if self.scene.method == SESSION else 1
        return self.delegate.wait_for(self.scene.method, count)[-1]

    def answer(self) -> None:
        """Give the good answer."""
        self.future.set_result(self.scene.answer(self.wait()))


@needs_trustme
@with_cases
class PatienceTests(QuestionTestCase):
    """Rules 79 and 208: the timers meanwhile."""

    @ALL
    def test_ten_seconds(self, make: Any) -> None:
        """Rule 79: the timer of the request, one second, stands still while the user thinks for ten."""
        clock = self.use_fake_clock()
        asked = self.asked(make, timeout_interval_for_request=1.0)
        clock.advance(10)
        self.assertIs(asked.task.state, TaskState.RUNNING)
        asked.answer()
        asked.task.wait_until_open(PATIENCE)
        asked.task.send("hello")
        self.assertReceives(asked.task, "hello")

    @ALL
    def test_the_others_meanwhile(self, make: Any) -> None:
        """Rules 35 and 79: another task of the session opens, though one at a time may be opening to that host."""
        clock = self.use_fake_clock()
        asked = self.asked(make, timeout_interval_for_request=1.0, http_maximum_connections_per_host=1)
        other = asked.session.websocket_task(asked.scene.url if asked.scene.method == SESSION else self.free_url(asked))
        other.delegate = Delegate(**{asked.scene.method: lambda *arguments: asked.scene.answer(arguments[-1])})
        if asked.scene.method == SESSION:
            other.delegate = Delegate(**{SESSION: trusting})
        other.resume()
        other.wait_until_open(PATIENCE)
        clock.advance(10)
        self.assertIs(asked.task.state, TaskState.RUNNING)
        asked.answer()
        asked.task.wait_until_open(PATIENCE)

    def free_url(self, asked: Asked) -> str:
        """Another path of the same server."""
        return asked.scene.url.replace("/old", "/") + ("free" if asked.scene.method == TASK else "")

    @ALL
    def test_the_resource_timeout_goes_on(self, make: Any) -> None:
        """Rules 79 and 208: it bounds the user's thinking too: -1001."""
        clock = self.use_fake_clock()
        asked = self.asked(make, timeout_interval_for_resource=30.0)
        clock.advance(29)
        self.assertIs(asked.task.state, TaskState.RUNNING)
        clock.advance(1)
        self.ends(asked.task, TimedOut, -1001)
        asked.future.set_result(asked.scene.answer(asked.wait()))

    def test_what_was_left_of_the_timer(self) -> None:
        """Rule 79: it goes on after the answer, and is not begun again within one exchange."""
        clock = self.use_fake_clock()
        arrivals = Arrivals()
        asked = self.asked(
            lambda case: _trusting(case)._replace(url=self.silent_server(arrivals)), timeout_interval_for_request=1.0
        )
        clock.advance(10)
        asked.answer()
        arrivals.wait()
        clock.advance(0.9)
        self.assertIs(asked.task.state, TaskState.RUNNING)
        clock.advance(0.2)
        self.ends(asked.task, TimedOut, -1001)

    def silent_server(self, arrivals: Arrivals) -> str:
        """A server with a strange certificate that never answers a request."""
        return self.secret_server(context=self.strange_context(), opening=[arrivals, silent]).url

    @ALL
    def test_suspended_meanwhile(self, make: Any) -> None:
        """Rule 19's neighbour: an answer that comes while the task is suspended is taken up by `resume()`."""
        asked = self.asked(make)
        asked.task.suspend()
        asked.answer()
        self.assertIs(asked.task.state, TaskState.SUSPENDED)
        asked.task.resume()
        asked.task.wait_until_open(PATIENCE)

    def test_connect_s_own_timeout_goes_on(self) -> None:
        """`connect(timeout=)` counts wall-clock time, thinking included."""
        clock = self.use_fake_clock()
        scene = _challenging(self)
        delegate = Delegate(did_receive_challenge=lambda *_: Future())
        opening = Running(lambda: wssync.connect(scene.url, delegate=delegate, timeout=5))
        delegate.wait_for(TASK)
        clock.wait_for_sleepers()
        clock.advance(5)
        self.assertIsInstance(opening.error(), TimedOut)


@needs_trustme
@with_cases
class BlockingTests(QuestionTestCase):
    """Promise 7: who may wait for the opening while a delegate is asked, and who would wait for itself."""

    @cases(CALLS)
    def test_on_the_executor_s_thread_after_the_question(self, call: Callable[[wssync.WebSocketTask], object]) -> None:
        """Promise 7: RuntimeError, and the task goes on."""
        asked = self.asked(_challenging)
        error = self.on_the_executor(asked, lambda: call(asked.task)).error()
        self.assertIsInstance(error, RuntimeError)
        self.assertRegex(str(error), "wait for itself")
        asked.answer()
        asked.task.wait_until_open(PATIENCE)

    @cases(CALLS)
    def test_on_the_executor_s_thread_before_the_question(self, call: Callable[[wssync.WebSocketTask], object]) -> None:
        """Promise 7: it waits as long as there is no question, and raises when it comes."""
        begun = threading.Event()

        def hold(connection: Any) -> None:
            self.assertTrue(begun.wait(PATIENCE))

        server = self.serve(opening=[hold, basic("user", SECRET)])
        asked = self.begin(lambda case: Scene(TASK, server.url, {}, lambda challenge: password(), server))

        def work() -> None:
            begun.set()
            call(asked.task)

        self.assertIsInstance(self.on_the_executor(asked, work).error(), RuntimeError)
        asked.answer()
        asked.task.wait_until_open(PATIENCE)

    def on_the_executor(self, asked: Asked, work: Callable[[], object]) -> Running[object]:
        """Do it there; the result can be waited for."""
        future: Future[object] = Future()

        def run() -> None:
            try:
                future.set_result(work())
            except BaseException as error:
                future.set_exception(error)

        asked.session.executor.submit(run)
        return Running(lambda: future.result(PATIENCE))

    @ALL
    def test_inside_the_method(self, make: Any) -> None:
        """Promise 7: the delegate's own method may not wait for the opening that waits for it."""
        errors: List[BaseException] = []
        scene = make(self)

        def ask(*arguments: Any) -> Any:
            try:
                task.receive()
            except RuntimeError as error:
                errors.append(error)
            space = getattr(arguments[-1], "protection_space", None)
            if space is not None and space.authentication_method == wssync.AuthenticationMethod.CLIENT_CERTIFICATE:
                return DEFAULT
            return scene.answer(arguments[-1])

        for executor in (None, InlineExecutor(), ThreadPoolExecutor(2)):
            with self.subTest(type(executor).__name__):
                errors.clear()
                configuration = wssync.SessionConfiguration.ephemeral().replace(**scene.changes)
                session = wssync.Session(configuration, delegate=Delegate(**{scene.method: ask}), executor=executor)
                self.addCleanup(session.__exit__, None, None, None)
                task = session.websocket_task(scene.url)
                task.resume()
                task.wait_until_open(PATIENCE)
                self.assertGreaterEqual(len(errors), 1)
                task.close()
                if isinstance(executor, ThreadPoolExecutor):
                    executor.shutdown()

    @ALL
    def test_on_any_other_thread(self, make: Any) -> None:
        """Promise 7: there a blocking call waits for the answer, and succeeds."""
        asked = self.asked(make)
        calls: List[Running[Any]] = [
            Running(lambda: asked.task.send("hello")),
            Running(asked.task.wait_until_open),
            Running(lambda: asked.task.receive(timeout=PATIENCE)),
            Running(lambda: asked.task.send_ping(timeout=PATIENCE)),
        ]
        asked.answer()
        _, _, message, seconds = [each.result() for each in calls]
        self.assertEqual(message, "hello")
        self.assertIsInstance(seconds, float)

    def test_another_thread_of_a_pool(self) -> None:
        """Promise 7: a pool has threads to spare: a call on one that runs none of the task's callbacks waits."""
        pool = ThreadPoolExecutor(2)
        self.addCleanup(pool.shutdown)
        asked = self.asked(_challenging, pool)
        waiting = pool.submit(asked.task.wait_until_open, PATIENCE)
        asked.answer()
        waiting.result(PATIENCE)

    def test_a_call_with_a_timeout(self) -> None:
        """Promise 7: on another thread it is a TimeoutError, and the task is as it was."""
        clock = self.use_fake_clock()
        asked = self.asked(_challenging)
        waiting = Running(lambda: asked.task.receive(timeout=5))
        clock.wait_for_sleepers()
        clock.advance(5)
        self.assertIs(type(waiting.error()), TimeoutError)
        asked.answer()
        asked.task.wait_until_open(PATIENCE)

    def test_handlers(self) -> None:
        """Promises 1 and 7: the forms with handlers never wait, on whatever thread they are asked for."""
        asked = self.asked(_challenging)
        received: Future[Any] = Future()
        asked.session.executor.submit(lambda: asked.task.receive(lambda result: received.set_result(result.get())))
        asked.session.executor.submit(lambda: asked.task.send("hello", lambda error: None))
        asked.answer()
        self.assertEqual(received.result(PATIENCE), "hello")


class NonsenseTests(QuestionTestCase):
    """Delegates that do not keep to what was agreed: it is logged, and what is done is what the default is."""

    def test_challenges(self) -> None:
        """Rule 69: what cannot be understood is as if nobody had been asked; the log has no secret."""
        server = self.serve(opening=basic("user", SECRET))
        for name, answer in ANSWERS.items():
            for later in (False, True):
                with self.subTest(name, later=later), self.assertLogs("wssync", logging.ERROR) as logs:
                    self.fails(AuthenticationFailed, server.url, delegate=self.giving(TASK, answer, later))
                    self.assertNotIn(SECRET, "\n".join(logs.output))
                with self.subTest(name, later=later, proposed=True), self.assertLogs("wssync", logging.ERROR):
                    self.connect(userinfo(server.url), delegate=self.giving(TASK, answer, later))

    def giving(self, method: str, answer: Any, later: bool) -> Delegate:
        """A delegate that answers at once or by a future."""

        def ask(*_: Any) -> Any:
            if not later:
                return answer
            future: Future[Any] = Future()
            future.set_result(answer)
            return future

        return Delegate(**{method: ask})

    @needs_trustme
    def test_trust(self) -> None:
        """Rule 99: nonsense is no open door: the certificate stays refused."""
        server = self.secret_server(context=self.strange_context())
        for name, answer in ANSWERS.items():
            with self.subTest(name), self.assertLogs("wssync", logging.ERROR):
                session = self.plain_session(self.giving(SESSION, answer, False))
                self.refused(session, server.url, CertificateError, -1203)
        self.assertEqual(server.requests, [])

    def test_redirects(self) -> None:
        """Rule 52: a redirect is followed then."""
        server = self.serve(opening=at("/old", redirect("/new")))
        for answer in ("/elsewhere", True, 17, server.url):
            with self.subTest(answer), self.assertLogs("wssync", logging.ERROR):
                task = self.connect("/old", delegate=self.giving(REDIRECT, answer, False))
                self.assertEqual(task.current_request.url, server.url_for("/new"))

    def test_methods_that_raise(self) -> None:
        """Promise 6: logged with the traceback, and the default is done."""

        def broken(*_: Any) -> Any:
            raise ZeroDivisionError

        def failing(*_: Any) -> Any:
            future: Future[Any] = Future()
            future.set_exception(ZeroDivisionError())
            return future

        asking = self.serve(opening=basic("user", SECRET))
        moving = self.serve(opening=redirect("/new"), compression=None)
        for ask in (broken, failing):
            with self.subTest(ask.__name__):
                with self.assertLogs("wssync", logging.ERROR) as logs:
                    self.connect(userinfo(asking.url), delegate=Delegate(did_receive_challenge=ask))
                self.assertIn("ZeroDivisionError", "\n".join(logs.output))
                with self.assertLogs("wssync", logging.ERROR):
                    self.fails(
                        wssync.TooManyRedirects, moving.url, delegate=Delegate(will_perform_http_redirection=ask)
                    )

    def test_a_cancelled_future(self) -> None:
        """Rules 52 and 70: it is the user's "no": the challenge is cancelled, the redirect is not followed."""
        asked = self.asked(_challenging)
        asked.future.cancel()
        self.ends(asked.task, Cancelled, -999)
        asked = self.asked(_redirecting)
        asked.future.cancel()
        self.ends(asked.task, HandshakeError, -1011)
        self.assertEqual(len(asked.scene.server.requests), 1)

    @needs_trustme
    def test_a_cancelled_future_about_trust(self) -> None:
        """Rule 99: and the server is not accepted."""
        asked = self.asked(_trusting)
        asked.future.cancel()
        self.ends(asked.task, Cancelled, -999)
        self.assertEqual(asked.scene.server.requests, [])


@needs_trustme
@with_cases
class EndingTests(QuestionTestCase):
    """What ends a task while its delegate thinks."""

    @ALL
    def test_cancel(self, make: Any) -> None:
        """Rule 155's neighbour: it ends at once with `Cancelled`, and the late answer harms nothing."""
        asked = self.asked(make)
        waiting = Running(asked.task.wait_until_open)
        asked.task.cancel()
        error = self.ends(asked.task, Cancelled, -999)
        self.assertIs(waiting.error(), error)
        asked.delegate.wait_for("did_complete")
        before = len(asked.scene.server.requests)
        asked.answer()
        self.assertEqual(len(asked.scene.server.requests), before)
        self.assertEqual(asked.delegate.names[-1], "did_complete")

    @ALL
    def test_cancel_inside_the_method(self, make: Any) -> None:
        """Promise 2: no lock is held there: the method may cancel its task, or end its session, and answer too."""
        scene = make(self)
        tasks: List[wssync.WebSocketTask] = []
        for end in (lambda session, task: task.cancel(), lambda session, task: session.invalidate_and_cancel()):

            def ask(session: Any, *arguments: Any, end: Any = end) -> Any:
                end(session, tasks[-1])
                return scene.answer(arguments[-1])

            configuration = wssync.SessionConfiguration.ephemeral().replace(**scene.changes)
            delegate = Delegate(**{scene.method: ask})
            session = wssync.Session(configuration, delegate=delegate)
            self.addCleanup(session.__exit__, None, None, None)
            task = session.websocket_task(scene.url)
            tasks.append(task)
            task.resume()
            self.ends(task, Cancelled, -999)
            delegate.wait_for("did_complete")
            self.assertEqual(len(delegate.questions(scene.method)), 1)

    @ALL
    def test_close(self, make: Any) -> None:
        """Rule 149's neighbour: while opening `close()` is like `cancel()`, and returns though nobody has answered."""
        asked = self.asked(make)
        Running(asked.task.close).result()
        self.ends(asked.task, Cancelled, -999)

    @ALL
    def test_invalidation(self, make: Any) -> None:
        """Rule 214: the session's end ends it, and then the session is told."""
        asked = self.asked(make)
        asked.session.invalidate_and_cancel()
        self.ends(asked.task, Cancelled, -999)
        asked.delegate.wait_for("did_complete")
        asked.answer()

    def test_finishing(self) -> None:
        """Rule 212: `finish_tasks_and_invalidate` waits for the answer like everybody."""
        asked = self.asked(_challenging)
        asked.session.finish_tasks_and_invalidate()
        asked.answer()
        asked.task.wait_until_open(PATIENCE)

    @ALL
    def test_a_question_that_was_never_put(self, make: Any) -> None:
        """Rule 185's neighbour: what is still in the queue when the task ends is not asked any more."""
        executor = TellingExecutor()
        asked = self.begin(make, executor)
        self.assertTrue(executor.submitted.wait(PATIENCE))
        asked.task.cancel()
        self.assertClosed(asked.task)
        self.pump(executor, lambda: "did_complete" in asked.delegate.names)
        self.assertEqual(asked.delegate.questions(asked.scene.method), [])

    def pump(self, executor: QueueExecutor, done: Callable[[], bool]) -> None:
        """Be the loop of a GUI until it is done."""
        while not done():
            self.assertTrue(executor.run_pending(PATIENCE))

    def test_the_loop_of_a_gui(self) -> None:
        """Promise 7: the question comes by the loop, the loop goes on while the user thinks, then it opens."""
        executor = QueueExecutor()
        asked = self.begin(_challenging, executor)
        self.pump(executor, lambda: TASK in asked.delegate.names)
        ticks: List[int] = []
        for number in range(3):
            executor.submit(ticks.append, number)
        executor.run_pending()
        self.assertEqual(ticks, [0, 1, 2])
        asked.answer()
        self.pump(executor, lambda: "did_open" in asked.delegate.names)
        asked.session.invalidate_and_cancel()
        self.pump(executor, lambda: "did_complete" in asked.delegate.names)

    def test_an_executor_that_is_shut_down_meanwhile(self) -> None:
        """Promises 1 and 2: the task is cancelled, blocking callers are released, what was lost is logged once."""
        pool = ThreadPoolExecutor(1)
        self.addCleanup(pool.shutdown)
        asked = self.asked(_challenging, pool)
        waiting = Running(asked.task.receive)
        pool.shutdown()
        with self.assertLogs("wssync", logging.ERROR) as logs:
            asked.answer()
            self.assertIsInstance(waiting.error(), Cancelled)
            self.ends(asked.task, Cancelled, -999)
            asked.session.__exit__(None, None, None)
        self.assertEqual(len(logs.output), 1, logs.output)

    def test_an_executor_that_is_shut_down_before(self) -> None:
        """Promise 1: a question that the executor refuses ends the task, too."""
        pool = ThreadPoolExecutor(1)
        released = threading.Event()

        def hold(connection: Any) -> None:
            self.assertTrue(released.wait(PATIENCE))

        server = self.serve(opening=[hold, basic("user", SECRET)])
        self.quiet()
        asked = self.begin(lambda case: Scene(TASK, server.url, {}, lambda challenge: password(), server), pool)
        pool.shutdown()
        released.set()
        self.ends(asked.task, Cancelled, -999)
        self.assertEqual(asked.delegate.questions(TASK), [])

    def test_a_pool_that_drops_what_it_has(self) -> None:
        """Promise 1: a question that the pool had accepted and never asks ends the task as well."""
        pool = ThreadPoolExecutor(1)
        busy, release = threading.Event(), threading.Event()

        def occupy() -> None:
            busy.set()
            release.wait(PATIENCE)

        pool.submit(occupy)
        self.assertTrue(busy.wait(PATIENCE))
        arrivals = Arrivals()
        server = self.serve(opening=[arrivals, basic("user", SECRET)])
        self.quiet()
        submitted = threading.Event()
        submit = pool.submit

        def watch(*arguments: Any, **options: Any) -> Any:
            try:
                return submit(*arguments, **options)
            finally:
                submitted.set()

        with mock.patch.object(pool, "submit", watch):
            asked = self.begin(lambda case: Scene(TASK, server.url, {}, lambda challenge: password(), server), pool)
            self.assertTrue(submitted.wait(PATIENCE))
        pool.shutdown(wait=False, cancel_futures=True)
        self.ends(asked.task, Cancelled, -999)
        release.set()
        pool.shutdown()
        self.assertEqual(asked.delegate.questions(TASK), [])

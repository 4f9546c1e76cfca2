"""Sessions: what they hold, what they make, and how they end; and `wssync.connect`."""

from __future__ import annotations

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from http.cookiejar import MozillaCookieJar
from typing import Any, Dict, List, Optional
from unittest import mock

import wssync
from tests.tasks import PATIENCE, InlineExecutor, OnlineTestCase, RefusingExecutor, Running, names, needs_trustme
from wssync import SessionConfiguration, TaskState
from wssync.engine import loop
from wssync.executors import QueueExecutor, SerialExecutor
from wssync.session import Session, _shared_session
from wssync.testing import Recorder, ServerConnection, at, refuse, silent


class MakingTests(OnlineTestCase):
    def test_what_a_session_is_made_with(self) -> None:
        """Rule 3: the configuration it was given, a frozen value; by default the standard one, no delegate."""
        configuration = SessionConfiguration.default().replace(close_timeout=3.0)
        delegate, executor = Recorder(), QueueExecutor()
        session = Session(configuration, delegate=delegate, executor=executor)
        self.assertIs(session.configuration, configuration)
        self.assertIs(session.delegate, delegate)
        self.assertIs(session.executor, executor)
        plain = self.session(SessionConfiguration.default())
        self.assertEqual(plain.configuration, SessionConfiguration.default())
        self.assertEqual(Session().configuration, SessionConfiguration.default())
        self.assertIsNone(plain.delegate)
        self.assertIsInstance(plain.executor, SerialExecutor)
        self.assertIsNone(plain.session_description)

    def test_its_thread_is_there_for_callbacks_alone(self) -> None:
        """A blocking conversation starts none; a handler's is there before its answer, so that it can come at exit."""
        session = self.session()
        executor = session.executor
        assert isinstance(executor, SerialExecutor)
        with session.websocket_task(self.server.url) as task:
            task.resume()
            task.send("x")
            self.assertReceives(task, "x")
            self.assertIsNone(executor._thread)
            task.receive(lambda result: None)
            self.assertIsNotNone(executor._thread)

    def test_wrong_arguments(self) -> None:
        """TypeError at once."""
        wrong: List[Any] = [{"configuration": {}}, {"executor": object()}, {"executor": 5}]
        for arguments in wrong:
            with self.subTest(arguments), self.assertRaises(TypeError):
                Session(**arguments)

    def test_repr(self) -> None:
        """It tells the description, and how many tasks there are or that it is invalid."""
        session = self.session()
        self.assertEqual(repr(session), "<Session 0 tasks>")
        session.session_description = "chat"
        task = session.websocket_task("ws://h/")
        self.assertEqual(repr(session), "<Session chat 1 tasks>")
        task.cancel()
        session.invalidate_and_cancel()
        self.assertEqual(repr(session), "<Session chat invalid>")

    def test_the_shared_session(self) -> None:
        """Rules 13 and 215: one per process, which works without a delegate and cannot be invalidated."""
        self.addCleanup(_shared_session.cache_clear)
        session = Session.shared()
        self.addCleanup(session.executor.shutdown)  # type: ignore[attr-defined]
        self.assertIs(Session.shared(), session)
        session.invalidate_and_cancel()
        session.finish_tasks_and_invalidate()
        with session:
            pass
        task, told = session.websocket_task(self.server.url), Recorder()
        task.receive(told.handler("received"))
        task.resume()
        task.send("x")
        told.assert_next("received", "x")
        session.invalidate_and_cancel()
        self.assertIs(task.state, TaskState.RUNNING)
        task.close()


class TaskMakingTests(OnlineTestCase):
    def test_wrong_urls(self) -> None:
        """Rules 8 to 10: InvalidURL at once, -1002 for another scheme; TypeError for what is no `str`."""
        session = self.session()
        for url, code in (
            ("http://h/", -1002),
            ("ws://", -1000),
            ("ws://h:x/", -1000),
            ("ws://h/#f", -1000),
            ("", -1000),
        ):
            with self.subTest(url), self.assertRaises(wssync.InvalidURL) as caught:
                session.websocket_task(url)
            self.assertEqual(caught.exception.url_error_code, code)
        with self.assertRaises(TypeError):
            session.websocket_task(5)  # type: ignore[arg-type]
        self.assertEqual(session.tasks, [])

    def test_protocols(self) -> None:
        """Rules 4 to 6: one header in that order, or none; duplicates, non-tokens and a `str` are refused."""
        server = self.serve(protocols=("b",))
        for protocols, expected in ((["a", "b"], "a, b"), ([], None), (("b",), "b")):
            self.connect(protocols=protocols)
            self.assertEqual(server.requests[-1].headers.get("Sec-WebSocket-Protocol"), expected)
        session = self.session()
        for wrong, error in ((["a", "a"], ValueError), (["a b"], ValueError), ("chat", TypeError)):
            with self.subTest(wrong), self.assertRaises(error):
                session.websocket_task("ws://h/", wrong)
        self.assertEqual(session.tasks, [])

    def test_a_request_with_its_own_protocols(self) -> None:
        """Rule 7: the header goes out unchanged; together with `protocols` it is a ValueError."""
        server = self.serve(protocols=("b",))
        request = wssync.Request(server.url, headers={"Sec-WebSocket-Protocol": "a,b"})
        task = self.session().websocket_task(request)
        task.resume()
        task.wait_until_open(PATIENCE)
        self.assertEqual(task.protocol, "b")
        self.assertEqual(server.requests[0].headers["Sec-WebSocket-Protocol"], "a,b")
        with self.assertRaises(ValueError):
            self.session().websocket_task(request, ["b"])

    def test_forbidden_headers(self) -> None:
        """Rule 29: ValueError at once."""
        for name in ("Host", "connection", "Upgrade", "Sec-WebSocket-Key", "Sec-WebSocket-Version"):
            with self.subTest(name), self.assertRaises(ValueError):
                self.session().websocket_task(wssync.Request("ws://h/", headers={name: "x"}))

    def test_headers_of_the_configuration(self) -> None:
        """Rules 30, 32 and 33: the request's own win; User-Agent by default, Origin when asked for."""
        session = self.session(http_additional_headers={"X-A": "session", "X-B": "session"}, origin="http://o")
        task = session.websocket_task(wssync.Request(self.server.url, headers={"x-a": "request"}))
        task.resume()
        task.wait_until_open(PATIENCE)
        headers = self.server.requests[0].headers
        found = {name: headers.get_all(name) for name in ("X-A", "X-B", "Origin", "User-Agent")}
        self.assertEqual(
            found, {"X-A": ["request"], "X-B": ["session"], "Origin": ["http://o"], "User-Agent": ["wssync"]}
        )

    def test_no_delegate_method_may_stop_the_making(self) -> None:
        """Rule 178: an exception in `did_create_task` is logged."""

        class Delegate(wssync.WebSocketDelegate):
            def did_create_task(self, session: object, task: object) -> None:
                raise ZeroDivisionError

        with self.assertLogs("wssync", "ERROR") as logs:
            task = self.session(delegate=Delegate()).websocket_task("ws://h/")
        self.assertIn("ZeroDivisionError", logs.output[0])
        self.assertIs(task.state, TaskState.SUSPENDED)

    def test_an_invalidated_session(self) -> None:
        """Rule 12: SessionInvalidated."""
        session = self.session()
        session.finish_tasks_and_invalidate()
        with self.assertRaises(wssync.SessionInvalidated) as caught:
            session.websocket_task("ws://u:p@h/")
        self.assertEqual((caught.exception.url, caught.exception.url_error_code), ("ws://h/", -999))

    def test_tasks_are_those_that_have_not_completed(self) -> None:
        """In the order in which they were made."""
        session = self.session()
        tasks = [session.websocket_task(self.server.url) for _ in range(3)]
        tasks[1].resume()
        self.assertEqual(session.tasks, tasks)
        tasks[1].wait_until_open(PATIENCE)
        tasks[1].close()
        tasks[2].cancel()
        self.assertEqual(session.tasks, [tasks[0]])

    def test_after_a_fork_the_tasks_are_the_parents(self) -> None:
        """Rule 223: the child's copy has none, whatever its lock was doing."""
        session = self.session()
        task = session.websocket_task("ws://h/")
        with session._lock:
            session.abandon()
        self.assertEqual(session.tasks, [])
        task.cancel()

    def test_opening_one_after_the_other(self) -> None:
        """Rule 35: at most so many open to one host at a time; a failure lets the next one in."""
        entered: List[threading.Event] = [threading.Event() for _ in range(3)]
        leave: List[threading.Event] = [threading.Event() for _ in range(3)]

        def opening(connection: ServerConnection) -> None:
            number = int(connection.request.target[1:])
            entered[number].set()
            leave[number].wait(PATIENCE)

        server = self.serve(opening=[opening, at("/0", refuse(500))])
        session = self.session(http_maximum_connections_per_host=1)
        tasks = [session.websocket_task(f"{server.url}{number}") for number in range(3)]
        for task in tasks:
            task.resume()
        for number in range(3):
            self.assertTrue(entered[number].wait(PATIENCE))
            self.assertEqual([event.is_set() for event in entered].count(True), number + 1)
            leave[number].set()
        with self.assertRaises(wssync.HandshakeError):
            tasks[0].wait_until_open(PATIENCE)
        for task in tasks[1:]:
            task.wait_until_open(PATIENCE)


class InvalidationTests(OnlineTestCase):
    def test_without_tasks_it_comes_straight_away(self) -> None:
        """Rules 212, 213 and 216: once, with None, on the executor; then delegate and thread are let go."""
        for method in ("finish_tasks_and_invalidate", "invalidate_and_cancel"):
            with self.subTest(method):
                invalid: List[object] = []

                class Delegate:
                    @staticmethod
                    def session_did_become_invalid(session: object, error: object, told: Any = invalid) -> None:
                        told.append(session)

                told = Recorder(Delegate)
                session = Session(delegate=told)
                for _ in range(3):
                    getattr(session, method)()
                event = told.assert_next("session_did_become_invalid", None)
                self.assertTrue(session._wait_until_dissolved(PATIENCE))
                self.assertIsNone(session.delegate)
                told.assert_exhausted()
                self.assertEqual(invalid, [session])
                self.assertTrue(event.thread.startswith("wssync-session-"))

    def test_open_tasks_go_on(self) -> None:
        """Rule 212: `finish_tasks_and_invalidate` returns at once, the last message comes after the last task."""
        delegate = Recorder()
        session = self.session(delegate=delegate)
        running, fresh = session.websocket_task(self.server.url), session.websocket_task(self.server.url)
        running.resume()
        running.wait_until_open(PATIENCE)
        session.finish_tasks_and_invalidate()
        running.send("x")
        self.assertReceives(running, "x")
        running.close()
        fresh.resume()
        fresh.wait_until_open(PATIENCE)
        fresh.close()
        delegate.wait_for("session_did_become_invalid")
        one = ["did_open", "did_close", "did_complete"]
        self.assertEqual(names(delegate), [*one, *one, "session_did_become_invalid"])

    def test_a_task_that_is_never_resumed_holds_it_no_longer_than_it_lives(self) -> None:
        """Dropping the last one lets the session end."""
        over = threading.Event()

        class Delegate(wssync.WebSocketDelegate):
            def session_did_become_invalid(self, session: object, error: object) -> None:
                over.set()

        session = self.session(delegate=Delegate())
        task: Optional[wssync.WebSocketTask] = session.websocket_task("ws://h/")
        session.finish_tasks_and_invalidate()
        self.assertFalse(over.is_set())
        self.assertEqual(session.tasks, [task])
        del task
        self.assertTrue(over.wait(PATIENCE))

    def test_a_dropped_task_of_a_valid_session_changes_nothing(self) -> None:
        """Nor does one that outlives its session."""
        session = self.session()
        session.websocket_task("ws://h/")
        self.assertEqual(repr(session), "<Session 0 tasks>")
        other = Session()
        task = other.websocket_task("ws://h/")
        gone = weakref.ref(other)
        del other
        self.assertIsNotNone(gone())
        del task
        self.assertIsNone(gone())

    def test_cancelling_all(self) -> None:
        """Rules 186, 214, 217 and 218: each completes with Cancelled, `did_complete` before the last message."""
        delegate = Recorder()
        session = self.session(delegate=delegate)
        tasks = [session.websocket_task(self.server.url) for _ in range(3)]
        received = Recorder()
        for task in tasks[:2]:
            task.receive(received.handler("received"))
            task.resume()
            task.wait_until_open(PATIENCE)
        session.invalidate_and_cancel()
        delegate.wait_for("session_did_become_invalid")
        self.assertEqual(session.tasks, [])
        told = [name for name in names(delegate) if name != "did_open"]
        self.assertEqual(told, ["did_complete"] * 3 + ["session_did_become_invalid"])
        for task in tasks:
            self.assertIsInstance(task.error, wssync.Cancelled)
            self.assertEqual(task.error and task.error.url, self.server.url)
        errors = [event.arguments[0] for event in received.wait_for("received", 2)]
        self.assertEqual(set(errors), {task.error for task in tasks[:2]})

    def test_resuming_a_left_over_task(self) -> None:
        """Rule 219: it has completed as cancelled; nothing is sent."""
        session = self.session()
        task = session.websocket_task(self.server.url)
        session.invalidate_and_cancel()
        task.resume()
        self.assertIs(task.state, TaskState.COMPLETED)
        self.assertIsInstance(task.error, wssync.Cancelled)
        self.assertEqual(self.server.requests, [])

    def test_leaving_the_block(self) -> None:
        """It cancels and waits for the connections' threads and its own; the tasks have ended."""
        told = Recorder()
        with Session() as session:
            task = session.websocket_task(self.server.url)
            task.resume()
            task.wait_until_open(PATIENCE)
            task.receive(told.handler("received"))
            threads = [task._connection.thread]
            session._executor.submit(lambda: threads.append(threading.current_thread()))
        self.assertFalse([thread for thread in threads if thread is not None and thread.is_alive()])
        self.assertEqual(len(threads), 2)
        self.assertEqual([event.arguments for event in told.events], [(task.error,)])
        self.assertIsInstance(task.error, wssync.Cancelled)

    def test_leaving_it_when_a_task_has_just_ended(self) -> None:
        """Its thread is waited for as well: it may be about to close the socket."""
        closing, release = threading.Event(), threading.Event()

        def close(*connection: Any) -> None:
            closing.set()
            release.wait(PATIENCE)
            close_really(*connection)

        close_really = loop._close
        with mock.patch.object(loop, "_close", close), Session() as session:
            task = session.websocket_task(self.server.url)
            task.resume()
            task.wait_until_open(PATIENCE)
            task.cancel()
            self.assertTrue(closing.wait(PATIENCE))
            self.assertEqual((session.tasks, session._running), ([], {}))
            thread = task._connection.thread
            assert thread is not None
            join = thread.join

            def release_and_join(timeout: Optional[float] = None) -> None:
                release.set()
                join(timeout)

            thread.join = release_and_join  # type: ignore[method-assign]
        alive = thread.is_alive()
        release.set()
        self.assertFalse(alive)

    def test_leaving_it_on_a_task_s_thread(self) -> None:
        """A thread does not wait for itself."""
        session = self.session()
        session._leaving = [threading.current_thread()]
        with session:
            pass
        self.assertFalse(session.tasks)

    def test_leaving_it_on_its_own_executor(self) -> None:
        """A handler may leave the block: it does not wait for itself."""
        session = self.session()
        task = session.websocket_task("ws://127.0.0.1:9/")
        told = Recorder()

        def leave(error: object) -> None:
            with session:
                pass
            told.handler("left")()

        task.send("x", leave)
        task.cancel()
        told.assert_next("left")

    def test_it_never_waits_for_a_users_executor(self) -> None:
        """A queue that nobody runs does not hold it up."""
        executor, told = QueueExecutor(), Recorder()
        with Session(executor=executor) as session:
            task = session.websocket_task("ws://127.0.0.1:9/")
            task.send("x", told.handler("sent"))
            task.cancel()
        told.assert_exhausted()
        while executor.run_pending():
            pass
        told.assert_next("sent", task.error)
        self.assertIsInstance(task.error, wssync.Cancelled)

    def test_handlers_given_after_the_session_has_ended(self) -> None:
        """Promise 5: they are called all the same, once, on its executor."""
        session = self.session()
        task = session.websocket_task("ws://127.0.0.1:9/")
        task.cancel()
        session.invalidate_and_cancel()
        self.assertTrue(session._wait_until_dissolved(PATIENCE))
        told = Recorder()
        for _ in range(3):
            task.send("x", told.handler("sent"))
        for _ in range(3):
            event = told.assert_next("sent", task.error)
            self.assertTrue(event.thread.startswith("wssync-session-"))
        told.assert_exhausted()

    def test_session_and_tasks_are_freed_at_once(self) -> None:
        """No cycle holds a session that has ended."""
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        with Session(delegate=wssync.WebSocketDelegate()) as session:
            task = session.websocket_task("ws://127.0.0.1:9/")
            task.cancel()
        gone: List[Any] = [weakref.ref(session), weakref.ref(task), weakref.ref(session.executor)]
        del session, task
        self.assertEqual([reference() for reference in gone], [None] * 3)

    def test_a_task_that_a_signal_handler_cancels_while_it_is_taken_in(self) -> None:
        """It has ended before the session holds it, and is not held."""

        class Striking(Dict[int, Any]):
            def pop(self, *arguments: Any) -> Any:
                task.cancel()
                return super().pop(*arguments)

        session = wssync.Session()
        task = session.websocket_task("ws://localhost:1/")
        session._fresh = Striking(session._fresh)
        task.resume()
        self.assertIs(task.state, TaskState.COMPLETED)
        self.assertEqual((session.tasks, session._running), ([], {}))


class ResetAndFlushTests(OnlineTestCase):
    def test_handlers_run_on_the_executor(self) -> None:
        """Rule 221: open tasks are untouched, the handler is optional, both return at once."""
        session, told = self.session(), Recorder()
        for method in (session.reset, session.flush):
            method(told.handler("done"))
            self.assertTrue(told.assert_next("done").thread.startswith("wssync-session-"))
            method()
            with self.assertRaises(TypeError):
                method(5)  # type: ignore[arg-type]

    def test_a_jar_is_saved_first(self) -> None:
        """Then the handler is called, whatever the executor is, and whatever became of the saving."""
        order: List[str] = []

        class Jar(MozillaCookieJar):
            def save(self, *_: Any, **__: Any) -> None:
                order.append("saved")
                raise OSError("the disk is full")

        executor = QueueExecutor()
        session = self.session(SessionConfiguration(http_cookie_storage=Jar("unused")), executor=executor)
        session.flush(lambda: order.append("told"))
        self.assertEqual((order, len(executor)), ([], 1))  # one piece of work: a pool would run two at once
        with self.assertLogs("wssync", "ERROR"):
            executor.run_pending()
        self.assertEqual(order, ["saved", "told"])

    def test_nobody_changes_a_jar_that_is_being_saved(self) -> None:
        """Saving goes through the jar as it is, with the file emptied already: a cookie of a task must not break it."""
        changed: List[bool] = []

        class Jar(MozillaCookieJar):
            def save(self, *_: Any, **__: Any) -> None:
                lock = self._cookies_lock  # type: ignore[attr-defined] # which every change takes
                changed.append(Running(lambda: lock.acquire(blocking=False)).result())

        executor = QueueExecutor()
        session = self.session(SessionConfiguration(http_cookie_storage=Jar("unused")), executor=executor)
        session.flush()
        executor.run_pending()
        self.assertEqual(changed, [False])

    def test_exceptions_are_logged(self) -> None:
        """Rule 178."""
        executor = QueueExecutor()
        session = self.session(executor=executor)
        session.reset(lambda: 1 // 0)
        with self.assertLogs("wssync", "ERROR"):
            executor.run_pending()


class ExecutorTests(OnlineTestCase):
    def test_on_every_kind(self) -> None:
        """Rules 181 to 183: handlers come in order and never two at once, also in a pool of 32."""
        with ThreadPoolExecutor(32) as pool:
            for executor in (None, InlineExecutor(), pool):
                with self.subTest(executor):
                    self._talk(executor)

    def _talk(self, executor: Any) -> None:
        task = self.connect(executor=executor)
        order: List[int] = []
        overlaps: List[int] = []
        busy, done = threading.Lock(), threading.Event()

        def handle(number: int) -> None:
            if not busy.acquire(False):
                overlaps.append(number)
                return
            order.append(number)
            if number == 399:
                done.set()
            busy.release()

        for number in range(200):
            task.receive(lambda result, number=number: handle(2 * number + 1))  # type: ignore[misc]
        for number in range(200):
            task.send("x", lambda error, number=number: handle(2 * number))  # type: ignore[misc]
        self.assertTrue(done.wait(PATIENCE))
        self.assertEqual([number for number in order if number % 2], list(range(1, 400, 2)))
        self.assertEqual([number for number in order if not number % 2], list(range(0, 400, 2)))
        self.assertEqual(overlaps, [])

    def test_one_that_refuses(self) -> None:
        """The task is cancelled, blocking callers are released, what was lost is logged once with its number."""
        task, _ = self.pair(executor=RefusingExecutor())
        blocked = Running(task.receive)
        with self.assertLogs("wssync", "ERROR") as logs:
            task.send("x", lambda error: None)
            error = blocked.error()
            task._join()
        self.assertIsInstance(error, wssync.Cancelled)
        self.assertIs(error, task.error)
        self.assertIsInstance(error.__cause__, RuntimeError)
        self.assertEqual(len(logs.records), 1)
        self.assertIn("1 callbacks", logs.output[0])

    def test_a_pool_that_is_shut_down_with_cancelled_futures(self) -> None:
        """It has accepted a callback and never calls it: the same."""
        release = threading.Event()
        self.addCleanup(release.set)
        pool = ThreadPoolExecutor(1)
        pool.submit(release.wait, PATIENCE)
        task, _ = self.pair(executor=pool)
        blocked = Running(task.receive)
        with self.assertLogs("wssync", "ERROR"):
            task.send("x", lambda error: None)
            pool.shutdown(wait=False, cancel_futures=True)
            self.assertIsInstance(blocked.error(), wssync.Cancelled)
            task._join()
        release.set()
        pool.shutdown()


class ConnectTests(OnlineTestCase):
    def test_an_open_task_in_a_session_of_its_own(self) -> None:
        """The session ends with the task; headers are added, and replace those of a request."""
        server = self.serve(protocols=("chat",))
        delegate = Recorder()
        request = wssync.Request(server.url, headers={"X-A": "1", "X-B": "1"})
        with wssync.connect(request, ["chat"], headers={"x-a": "2"}, delegate=delegate, timeout=PATIENCE) as task:
            self.assertEqual(task.protocol, "chat")
            self.assertEqual(task.original_request.headers["X-A"], "2")
        headers = server.requests[0].headers
        self.assertEqual((headers.get_all("X-A"), headers.get_all("X-B")), (["2"], ["1"]))
        delegate.wait_for("session_did_become_invalid")

    def test_without_anything(self) -> None:
        """A URL is enough."""
        with wssync.connect(self.server.url) as task:
            task.send("x")
            self.assertReceives(task, "x")
            configuration = task._plan.configuration
            self.assertEqual(repr(configuration), repr(SessionConfiguration.ephemeral()))
            self.assertNotEqual(configuration, SessionConfiguration.default(), "it shares no cookies")

    def test_it_raises_why_it_did_not_open(self) -> None:
        """HandshakeError, InvalidURL, TypeError."""
        server = self.serve(opening=refuse(503))
        with self.assertRaises(wssync.HandshakeError) as caught:
            wssync.connect(server.url)
        self.assertEqual(getattr(caught.exception.response, "status_code", None), 503)
        with self.assertRaises(wssync.InvalidURL):
            wssync.connect("http://h/")
        with self.assertRaises(TypeError):
            wssync.connect("ws://h/", "chat")
        with self.assertRaises(ValueError):
            wssync.connect("ws://h/", headers={"Host": "other"})

    def test_its_timeout(self) -> None:
        """Wall-clock seconds, then TimedOut; nothing is left behind."""
        url = self.serve(opening=silent).url
        with self.assertRaises(wssync.TimedOut) as caught:
            wssync.connect(url, timeout=0.01)
        self.assertEqual((caught.exception.url, caught.exception.url_error_code), (url, -1001))

    def test_the_timer_of_the_configuration(self) -> None:
        """The task's own TimedOut comes through as it is."""
        self.serve(opening=silent)
        with self.assertRaises(wssync.TimedOut) as caught:
            self.connect(timeout_interval_for_request=0.01)
        self.assertIsNot(type(caught.exception.__cause__), TimeoutError)

    def test_an_interrupt(self) -> None:
        """Ctrl-C while it opens cancels the attempt."""
        with (
            mock.patch("wssync.task.wait_within", side_effect=KeyboardInterrupt),
            self.assertRaises(KeyboardInterrupt),
        ):
            wssync.connect(self.serve(opening=silent).url)

    @needs_trustme
    def test_over_tls(self) -> None:
        """wss: with the caller's context, or by the system's roots, which do not know this server."""
        session = self.session()  # made before the server: it does not know that either
        server = self.serve(tls=True)
        task = self.connect(ssl_context=server.client_ssl_context)
        task.send("x")
        self.assertReceives(task, "x")
        for _ in range(2):
            stranger = session.websocket_task(server.url)
            stranger.resume()
            with self.assertRaises(wssync.CertificateError):
                stranger.wait_until_open(PATIENCE)

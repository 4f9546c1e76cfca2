"""A test case for users: what it gives, what it asserts, and what it does not let pass."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
import threading
import types
import unittest
from typing import Any, Callable, List, Optional, Tuple, Type
from unittest import mock

import wssync
from tests.tasks import needs_trustme
from tests.threads import PATIENCE
from wssync.engine import surroundings
from wssync.testing import Cassette, Server, ServerConnection, leaks
from wssync.testing.case import ANY, WebSocketTestCase, _is_passing
from wssync.testing.clock import FakeClock
from wssync.testing.recorder import Recorder
from wssync.transport.waiting import Waker

Body = Callable[[WebSocketTestCase], object]


def run(body: Body, base: Type[WebSocketTestCase] = WebSocketTestCase) -> unittest.TestResult:
    """Run a test of such a case, and return what came of it."""

    class Inner(base):  # type: ignore[misc, valid-type]
        def test(self) -> None:
            body(self)

    result = unittest.TestResult()
    unittest.TestSuite([Inner("test")]).run(result)
    return result


def hold(connection: ServerConnection) -> None:
    """Neither read nor write."""
    connection.wait_until_closed(None)


class InnerTestCase(unittest.TestCase):
    """Looks at the results of inner tests."""

    def assertPasses(self, result: unittest.TestResult) -> None:
        self.assertEqual((result.testsRun, result.failures, result.errors), (1, [], []))

    def assertFails(self, result: unittest.TestResult, *patterns: str) -> None:
        """There are as many failures as patterns, in their order, and no errors."""
        self.assertEqual(result.errors, [])
        self.assertEqual(len(result.failures), len(patterns), result.failures)
        for (_test, text), pattern in zip(result.failures, patterns):
            self.assertRegex(text, pattern)

    def assertNothingLeft(self, before: leaks.Snapshot) -> None:
        self.assertEqual(before.leaks(PATIENCE), [])


class ServerTests(InnerTestCase):
    """The servers of a test."""

    def test_the_server_echoes(self) -> None:
        """It is there when it is first asked for, the same from then on, and closed at the end."""
        servers: List[Server] = []

        def body(case: WebSocketTestCase) -> None:
            servers.append(case.server)
            self.assertIs(case.server, servers[0])
            task = case.connect()
            task.send("hello")
            case.assertReceives(task, "hello")

        self.assertPasses(run(body))
        with self.assertRaises(OSError):
            socket.create_connection(("127.0.0.1", int(servers[0].url.rstrip("/").rpartition(":")[2])))

    def test_nobody_asks_for_a_server(self) -> None:
        """Then there is none."""

        class Case(WebSocketTestCase):
            def make_server(self) -> Server:
                raise AssertionError("a server was made")

        self.assertPasses(run(lambda case: None, Case))

    def test_a_server_of_ones_own_choice(self) -> None:
        """A subclass overrides `make_server`."""

        class Case(WebSocketTestCase):
            def make_server(self) -> Server:
                return Server(lambda connection: connection.send("welcome"), protocols=["chat"])

        def body(case: WebSocketTestCase) -> None:
            task = case.connect(protocols=["chat"])
            self.assertEqual(task.protocol, "chat")
            case.assertReceives(task, "welcome")

        self.assertPasses(run(body, Case))

    def test_the_first_server_that_is_served_is_the_server(self) -> None:
        """Later ones are not, nor is it when the server was asked for before."""

        def body(case: WebSocketTestCase) -> None:
            first = case.serve(lambda connection: connection.send("first"), protocols=["a"])
            second = case.serve(lambda connection: connection.send("second"))
            self.assertIs(case.server, first)
            case.assertReceives(case.connect(), "first")
            case.assertReceives(case.connect(second.url), "second")

        def other(case: WebSocketTestCase) -> None:
            first = case.server
            case.serve(hold)
            self.assertIs(case.server, first)

        self.assertPasses(run(body))
        self.assertPasses(run(other))

    def test_the_server_after_the_cleanups(self) -> None:
        """It is still the same, and closed, until one is served; the next run begins with none."""

        class Case(WebSocketTestCase):
            def test(case) -> None:
                case.assertNoMessage(case.connect(), 0)
                before = case.server
                case.doCleanups()
                self.assertIs(case.server, before)
                with self.assertRaises(wssync.ConnectionFailed):
                    case.connect()
                later = case.serve()
                self.assertIs(case.server, later)
                case.assertNoMessage(case.connect(), 0)
                servers.append(later)

        servers: List[Server] = []
        case = Case("test")
        for number in (1, 2):
            result = unittest.TestResult()
            case.run(result)
            self.assertPasses(result)
            self.assertEqual(len(set(servers)), number)
            self.assertIs(case.server, servers[-1])
            self.assertRegex(repr(case.server), "closed")

    def test_a_server_from_before_the_run(self) -> None:
        """It stays the server, and is closed with the test."""

        class Case(WebSocketTestCase):
            def test(self) -> None:
                self.connect()

        case = Case("test")
        server, result = case.server, unittest.TestResult()
        case.run(result)
        self.assertPasses(result)
        self.assertEqual(len(server.requests), 1)
        self.assertRegex(repr(server), "closed")

    def test_an_error_of_a_handler_fails_the_test(self) -> None:
        """With its traceback; and with the test's own failure before it, if there is one."""

        def raises(connection: ServerConnection) -> None:
            raise KeyError("the handler's")

        def body(case: WebSocketTestCase) -> None:
            case.serve(raises)
            case.assertClosed(case.connect(), 1011)

        def failing(case: WebSocketTestCase) -> None:
            body(case)
            case.fail("the test's own")

        with self.assertLogs("wssync.testing"):
            self.assertFails(run(body), r"(?s)raise KeyError.*has noticed errors .*KeyError\(\"the handler's\"\)")
            self.assertFails(run(failing), "the test's own", "the handler's")

    def test_an_error_that_was_expected(self) -> None:
        """Who has taken it has seen it."""

        def raises(connection: ServerConnection) -> None:
            raise KeyError

        def body(case: WebSocketTestCase) -> None:
            case.serve(raises)
            case.assertClosed(case.connect(), 1011)
            self.assertEqual(list(map(type, case.server.take_errors())), [KeyError])

        with self.assertLogs("wssync.testing"):
            self.assertPasses(run(body))


class ClientTests(InnerTestCase):
    """The tasks and sessions of a test."""

    def test_a_task_ends_with_the_test(self) -> None:
        """Also if the test fails, and if its `setUp` and `tearDown` do not call those of the base."""
        tasks: List[wssync.WebSocketTask] = []

        class Case(WebSocketTestCase):
            def setUp(self) -> None:
                tasks.append(self.connect())

            def tearDown(self) -> None:
                tasks.append(self.connect())

        self.assertFails(run(lambda case: case.fail("its own"), Case), "its own")
        self.assertPasses(run(lambda case: None, Case))
        self.assertEqual([task.state for task in tasks], [wssync.TaskState.COMPLETED] * 4)
        self.assertEqual([task._connection.gone.is_set() for task in tasks], [True] * 4)
        self.assertEqual([type(task.error) for task in tasks], [wssync.Cancelled] * 4)

    def test_the_thread_of_a_task_is_waited_for(self) -> None:
        """Who comes after the cleanups finds it gone."""
        found: List[bool] = []

        def body(case: WebSocketTestCase) -> None:
            task = case.connect()
            case.doCleanups()
            found.append(task._connection.gone.is_set())

        for _ in range(10):
            self.assertPasses(run(body))
        self.assertEqual(found, [True] * 10)

    def test_all_that_connect_takes(self) -> None:
        """The arguments of `wssync.connect`, and changes of the configuration that was given or is made."""
        recorder, executor = Recorder(), wssync.executors.QueueExecutor()
        given = wssync.SessionConfiguration(maximum_message_size=7, ping_interval=3)

        def body(case: WebSocketTestCase) -> None:
            case.serve(protocols=["chat"])
            task = case.connect(
                wssync.Request(case.server.url, headers={"X-Request": "yes"}),
                ["chat"],
                delegate=recorder,
                executor=executor,
                headers={"X-More": "too"},
                configuration=given,
                ping_interval=None,
                timeout=PATIENCE,
            )
            self.assertEqual(task.protocol, "chat")
            headers = case.server.requests[0].headers
            self.assertEqual((headers["X-Request"], headers["X-More"]), ("yes", "too"))
            self.assertEqual(task._plan.configuration, given.replace(ping_interval=None))
            self.assertTrue(executor.run_pending(PATIENCE))
            recorder.wait_for("did_open")
            plain = case.connect(ping_timeout=9)
            ephemeral = wssync.SessionConfiguration.ephemeral()
            self.assertEqual(repr(plain._plan.configuration), repr(ephemeral.replace(ping_timeout=9)))
            self.assertNotEqual(plain._plan.configuration, wssync.SessionConfiguration(ping_timeout=9))
            with self.assertRaises(TypeError):
                case.connect(pin_timeout=9)

        result = run(body)
        while executor.run_pending():
            pass
        self.assertPasses(result)

    def test_a_path_of_the_server(self) -> None:
        """What begins with a slash is put behind the address of the test's server."""

        def body(case: WebSocketTestCase) -> None:
            for target in ("/", "/chat", "/chat?room=1"):
                case.connect(target)
            self.assertEqual([request.target for request in case.server.requests], ["/", "/chat", "/chat?room=1"])

        self.assertPasses(run(body))

    def test_a_connection_that_fails(self) -> None:
        """`connect` raises what `wssync.connect` raises, and nothing is left."""

        def body(case: WebSocketTestCase) -> None:
            case.serve(opening=lambda connection: connection.respond(403))
            with self.assertRaises(wssync.HandshakeError):
                case.connect()
            silent = case.serve(opening=lambda connection: connection.receive_raw(1))
            with self.assertRaises(wssync.TimedOut):
                case.connect(silent.url, timeout=0.01)

        self.assertPasses(run(body))

    def test_a_session(self) -> None:
        """It ends with the test, and with it its tasks."""
        recorder = Recorder()
        tasks: List[wssync.WebSocketTask] = []

        executor = wssync.executors.SerialExecutor()
        self.addCleanup(executor.shutdown)
        executor.submit(int).result()  # its thread is there before the test

        def body(case: WebSocketTestCase) -> None:
            session = case.session(
                wssync.SessionConfiguration(ping_timeout=3), delegate=recorder, executor=executor, ping_interval=None
            )
            self.assertEqual(session.configuration, wssync.SessionConfiguration(ping_timeout=3, ping_interval=None))
            self.assertIs(session.executor, executor)
            tasks.append(session.websocket_task(case.server.url))
            tasks[0].resume()
            tasks[0].wait_until_open(PATIENCE)

        self.assertPasses(run(body))
        self.assertIs(tasks[0].state, wssync.TaskState.COMPLETED)
        recorder.wait_for("session_did_become_invalid")

    @needs_trustme
    def test_tls(self) -> None:
        """A server of the test is trusted, and no other one; a context of one's own judges alone."""
        own = wssync.transport.tls.make_context()

        def body(case: WebSocketTestCase) -> None:
            plain, server = case.serve(), case.serve(tls=True)
            for url in (server.url, server.url.replace("localhost", "127.0.0.1"), wssync.Request(server.url)):
                case.assertNoMessage(case.connect(url), 0)
            case.connect(plain.url)
            task = case.session().websocket_task(server.url)
            task.resume()
            task.wait_until_open(PATIENCE)
            with self.assertRaises(wssync.TLSError):
                case.connect(server.url, ssl_context=own)
            with Server(tls=True) as stranger, self.assertRaises(wssync.CertificateError):
                case.connect(stranger.url)
            configured = mock.Mock(side_effect=KeyError)
            with mock.patch("wssync.testing.case.connect", configured), self.assertRaises(KeyError):
                case.connect(server.url.replace("localhost", "example.test"))
            self.assertIsNone(configured.call_args.kwargs["configuration"].ssl_context)

        with self.assertLogs("wssync.testing", "INFO"):
            self.assertPasses(run(body))

    def test_a_fake_clock(self) -> None:
        """It is the time of the tasks made in the rest of the test, and of none after it."""
        before = surroundings.current()

        def body(case: WebSocketTestCase) -> None:
            early = case.connect()
            clock = case.use_fake_clock(patience=0.01)
            self.assertIsInstance(clock, FakeClock)
            late = case.connect(ping_interval=None)
            self.assertIs(late._connection.clock, clock)
            self.assertIsNot(early._connection.clock, clock)
            with self.assertRaisesRegex(AssertionError, "0.01 real seconds"):
                late.receive(timeout=1)
            silent = case.serve(opening=lambda connection: connection.receive_raw(1))
            with self.assertRaises(wssync.TimedOut):
                case.connect(silent.url, timeout=0.1)

        self.assertPasses(run(body))
        self.assertEqual(surroundings.current(), before)


class AssertionTests(InnerTestCase):
    """Each assertion passes and fails when it should, and says why."""

    def script(self, *messages: Any, code: int = 1000, reason: Optional[str] = None, fake: bool = False) -> Body:
        """The beginning of a test: a task whose server sends these messages and closes, or holds when `code` is 0."""

        def serve(connection: ServerConnection) -> None:
            for message in messages:
                connection.send(message)
            if code:
                connection.close(code, reason)
            else:
                hold(connection)

        def begin(case: WebSocketTestCase) -> wssync.WebSocketTask:
            if fake:
                case.use_fake_clock(patience=0.05)
            return case.connect(case.serve(serve).url, ping_interval=None)

        return begin

    def run_with(self, begin: Body, check: Callable[[WebSocketTestCase, Any], object]) -> unittest.TestResult:
        return run(lambda case: check(case, begin(case)))

    def test_a_message_is_received(self) -> None:
        """It is taken and returned, as text or binary."""

        def check(case: WebSocketTestCase, task: wssync.WebSocketTask) -> None:
            self.assertEqual(case.assertReceives(task, "one"), "one")
            self.assertEqual(case.assertReceives(task, b"two", timeout=PATIENCE), b"two")

        self.assertPasses(self.run_with(self.script("one", b"two"), check))

    def test_another_message_is_received(self) -> None:
        """The failure shows both; text is not binary."""
        result = self.run_with(self.script("one two three"), lambda case, task: case.assertReceives(task, "one three"))
        self.assertFails(result, r"(?s)'one two three' != 'one three'.*\n- one two three.*the second was expected")
        result = self.run_with(self.script(b"one"), lambda case, task: case.assertReceives(task, "one"))
        self.assertFails(result, "b'one' != 'one'")

    def test_no_message_is_received(self) -> None:
        """The failure says what was expected, and that nothing came."""
        result = self.run_with(self.script(code=0), lambda case, task: case.assertReceives(task, "one", timeout=0.01))
        self.assertFails(result, "'one' was expected, and nothing came in 0.01 seconds")

    def test_the_end_instead_of_a_message(self) -> None:
        """The failure shows the error."""
        result = self.run_with(
            self.script(code=1001, reason="tired"), lambda case, task: case.assertReceives(task, "one")
        )
        self.assertFails(result, "instead of 'one' came the end of the task: ConnectionClosed")

    def test_the_report_ends_in_the_test(self) -> None:
        """What the case does to find out is not in the traceback."""
        result = self.run_with(self.script(code=0), lambda case, task: case.assertReceives(task, "one", timeout=0.01))
        self.assertNotIn("testing/case.py", result.failures[0][1])

    def test_there_is_no_message(self) -> None:
        """None comes within the time, or the task has ended, or ends."""
        for code in (0, 1000, 1011):
            with self.subTest(code):
                result = self.run_with(self.script(code=code), lambda case, task: case.assertNoMessage(task, 0.01))
                self.assertPasses(result)

        def ended(case: WebSocketTestCase, task: wssync.WebSocketTask) -> None:
            case.assertClosed(task)
            case.assertNoMessage(task)

        self.assertPasses(self.run_with(self.script(), ended))

    def test_there_is_a_message(self) -> None:
        """The failure shows it, also if the end came behind it."""
        for code in (0, 1000):
            with self.subTest(code):
                result = self.run_with(
                    self.script("one", code=code), lambda case, task: case.assertNoMessage(task, PATIENCE)
                )
                self.assertFails(result, "no message was expected, but 'one' came")

    def test_the_task_is_closed(self) -> None:
        """With this code and reason, or with whatever it is."""

        def check(case: WebSocketTestCase, task: wssync.WebSocketTask) -> None:
            case.assertClosed(task)
            case.assertClosed(task, 4000)
            case.assertClosed(task, reason="enough")
            case.assertClosed(task, 4000, "enough", timeout=0)
            case.assertClosed(task, mock.ANY, mock.ANY)

        self.assertPasses(self.run_with(self.script(code=4000, reason="enough"), check))

    def test_the_task_is_closed_otherwise(self) -> None:
        """The failure shows what came and what was asked for, codes with their names, and the error if there is one."""
        for code, reason, wrong, text in (
            (4000, "enough", (4001,), "4000 and the reason 'enough', not with 4001"),
            (4000, "enough", (4000, "more"), "4000 and the reason 'enough', not with 4000 and the reason 'more'"),
            (4000, "enough", (4000, None), "4000 and the reason 'enough', not with 4000 and no reason"),
            (4000, "enough", (mock.ANY, "more"), "4000 and the reason 'enough', not with the reason 'more'"),
            (1000, None, (wssync.CloseCode.GOING_AWAY,), r"1000 \(NORMAL_CLOSURE\), not with 1001 \(GOING_AWAY\)"),
            (1000, None, (1000, "bye"), r"1000 \(NORMAL_CLOSURE\) and no reason, not with 1000 and the reason 'bye'"),
            (1001, "bye", (1000,), r"1001 \(GOING_AWAY\) and the reason 'bye', not with 1000"),
            (0, None, (1000,), r"1006 \(ABNORMAL_CLOSURE\), not with 1000: Cancelled\(.*\)"),
        ):
            with self.subTest(code=code, wrong=wrong):

                def check(case: WebSocketTestCase, task: Any, code: int = code, wrong: Any = wrong) -> None:
                    if not code:
                        task.cancel()
                    case.assertClosed(task, *wrong)

                result = self.run_with(self.script(code=code, reason=reason), check)
                self.assertFails(result, f"AssertionError: the task ended with {text}\n$")

    def test_a_message_of_ones_own(self) -> None:
        """It comes behind what each assertion says, or in its place without `longMessage`."""
        calls: List[Tuple[int, str, Callable[..., object]]] = [
            (0, "nothing came in 0.01 seconds", lambda *both: both[0].assertReceives(both[1], "x", 0.01, msg="mine")),
            (1000, "the end of the task: .*", lambda *both: both[0].assertReceives(both[1], "x", msg="mine")),
            (0, "the second was expected", lambda *both: both[0].assertReceives(both[1], "two", msg="mine")),
            (0, "but 'one' came", lambda *both: both[0].assertNoMessage(both[1], PATIENCE, msg="mine")),
            (0, "it is RUNNING", lambda *both: both[0].assertClosed(both[1], timeout=0.01, msg="mine")),
            (1000, "not with 4000", lambda *both: both[0].assertClosed(both[1], 4000, msg="mine")),
        ]
        for number, (code, text, check) in enumerate(calls):
            with self.subTest(number):
                begin = self.script(*(["one"] if number in (2, 3) else []), code=code)
                self.assertFails(self.run_with(begin, check), f"{text} : mine\n$")

                def short(case: WebSocketTestCase, task: object, check: Callable[..., object] = check) -> None:
                    case.longMessage = False
                    check(case, task)

                self.assertFails(self.run_with(begin, short), "AssertionError: mine\n$")

    def test_what_is_no_task_and_no_message(self) -> None:
        """TypeError at once, which says what is needed."""

        def check(case: WebSocketTestCase, task: wssync.WebSocketTask) -> None:
            nothing: Any = None
            for call in (
                lambda: case.assertReceives(nothing, "x"),
                lambda: case.assertNoMessage(nothing),
                lambda: case.assertClosed(nothing),
            ):
                with self.assertRaisesRegex(TypeError, "a WebSocketTask is needed, .*, not None"):
                    call()
            for wrong in (5, None, bytearray(b"x")):
                with self.assertRaisesRegex(TypeError, "a message is str or bytes"):
                    case.assertReceives(task, wrong)  # type: ignore[arg-type]

        self.assertPasses(self.run_with(self.script(code=0), check))

    def test_the_task_is_not_closed(self) -> None:
        """The failure shows its state."""
        result = self.run_with(self.script(code=0), lambda case, task: case.assertClosed(task, timeout=0.01))
        self.assertFails(result, "the task had not ended after 0.01 seconds; it is RUNNING")

    def test_all_times_are_real(self) -> None:
        """Under a clock that stands still too: what comes late comes, and what does not come is missed after a while,
        which nobody has to move the clock for.
        """

        def check(case: WebSocketTestCase, task: wssync.WebSocketTask) -> None:
            for wait in (
                lambda: case.assertReceives(task, "one", timeout=0.1),
                lambda: case.assertClosed(task, timeout=0.1),
            ):
                with self.assertRaisesRegex(AssertionError, "nothing came|had not ended"):
                    wait()
            case.assertNoMessage(task, 0.1)

        self.assertPasses(self.run_with(self.script(code=0, fake=True), check))

    def test_anything(self) -> None:
        """What is not given is equal to all, and shows so."""
        self.assertEqual(ANY, 7)
        self.assertEqual(repr(ANY), "ANY")


class LeakTests(InnerTestCase):
    """What a test leaves behind fails it."""

    def setUp(self) -> None:
        self.left: List[wssync.WebSocketTask] = []
        self.server = Server()
        self.server.start()
        self.addCleanup(self.server.close)
        self.addCleanup(self.end)

    def end(self) -> None:
        while self.left:
            task = self.left.pop()
            task.cancel()
            task._join()

    def leak(self, case: WebSocketTestCase) -> None:
        self.left.append(wssync.connect(self.server.url))

    class Impatient(WebSocketTestCase):
        """Looks at once."""

        leak_timeout = 0.01

    def test_a_task_that_is_left_open(self) -> None:
        """Its URL is told, and nothing else, and it is ended."""
        result = run(self.leak, self.Impatient)
        self.assertFails(result, rf"has left behind:\n  a task to {self.server.url} was left open\n$")
        self.assertIsInstance(self.left[0].error, wssync.Cancelled)
        self.assertTrue(self.left[0]._connection.gone.is_set())

    def test_a_task_to_the_servers_of_the_test(self) -> None:
        """It is found while they are there: when they have gone, it has ended by itself."""

        def body(case: WebSocketTestCase) -> None:
            self.left.append(wssync.connect(case.server.url))

        result = run(body, self.Impatient)
        self.assertFails(result, "has left behind:\n  a task to ws://127.* was left open\n$")

    def test_a_session_that_is_left_open(self) -> None:
        """With its task and its thread, also of a server of the test."""
        sessions: List[wssync.Session] = []

        def body(case: WebSocketTestCase) -> None:
            sessions.append(wssync.Session())
            task = sessions[0].websocket_task(case.server.url)
            task.resume()
            task.wait_until_open(PATIENCE)
            sessions[0].flush(int)

        with mock.patch.object(leaks, "SETTLING", 0.2):
            result = run(body, self.Impatient)
        name = sessions[0].executor._name  # type: ignore[attr-defined]
        thread = f"the thread {name} of a Session that was never invalidated"
        self.assertFails(result, f"behind:\n  a task to ws://127.* was left open\n  {thread}\n$")
        sessions[0].__exit__(None, None, None)

    def test_everything_is_told(self) -> None:
        """What a client left, what handlers raised, what a session raised at its end, in one failure, from the first of
        the exceptions.
        """

        def raises(connection: ServerConnection) -> None:
            raise KeyError("the handler's")

        def body(case: WebSocketTestCase) -> None:
            case.session()
            case.assertClosed(case.connect(case.serve(raises).url), 1011)
            self.left.append(wssync.connect(case.serve().url))
            waker = Waker()
            self.addCleanup(waker.close)

        ends = mock.patch.object(wssync.Session, "__exit__", side_effect=ValueError("the session's"))
        with self.assertLogs("wssync.testing"), ends:
            result = run(body, self.Impatient)
        self.assertFails(
            result,
            r"(?s)ValueError: the session's\n.* direct cause of .*at the end of the test: ValueError\(.*\n"
            r"a server of the test has noticed errors .*KeyError.*\n"
            r"the test has left behind:\n  a task to ws.* was left open\n  the sockets of a Waker\n$",
        )

    def test_a_handler_that_is_busy(self) -> None:
        """It has its time once, while the server is closed; then it is told what it is."""
        done = threading.Event()
        timeouts: List[float] = []
        find = leaks.Snapshot.leaks

        class Case(WebSocketTestCase):
            leak_timeout = 0.1

        def busy(connection: ServerConnection) -> None:
            done.wait(10 * PATIENCE)

        def note(snapshot: leaks.Snapshot, timeout: float) -> List[str]:
            timeouts.append(timeout)
            return find(snapshot, timeout)

        def body(case: WebSocketTestCase) -> None:
            case.connect(case.serve(busy).url)
            case.server.wait_for_connection()

        before = leaks.Snapshot()
        patch = mock.patch.object(leaks.Snapshot, "leaks", note)
        with mock.patch("wssync.testing.server.CLOSE_TIMEOUT", 0.1), patch, self.assertLogs("wssync.testing"):
            result = run(body, Case)
        done.set()
        self.assertFails(
            result, r"behind:\n  the thread wssync-testing-connection-\d+-1, a handler that is still busy\n"
        )
        self.assertEqual(timeouts, [0.0])
        self.assertNothingLeft(before)

    def test_a_cleanup_finds_the_server(self) -> None:
        """Also one that was added before the server was there."""
        clients: List[wssync.WebSocketTask] = []

        def body(case: WebSocketTestCase) -> None:
            case.addCleanup(lambda: clients[0].close())
            clients.append(wssync.connect(case.server.url))

        self.assertPasses(run(body))
        self.assertEqual(clients[0].close_code, 1000)

    def test_the_first_failure_comes_first(self) -> None:
        """A test that fails or errors, and leaks, shows both in this order."""

        def fails(case: WebSocketTestCase) -> None:
            self.leak(case)
            case.fail("its own")

        def errs(case: WebSocketTestCase) -> None:
            self.leak(case)
            raise KeyError("its own")

        self.assertFails(run(fails, self.Impatient), "its own", "has left behind")
        result = run(errs, self.Impatient)
        self.assertEqual((len(result.errors), len(result.failures)), (1, 1))
        self.assertIn("its own", result.errors[0][1])

    def test_the_check_comes_last(self) -> None:
        """After every cleanup, whoever added it, even before the test ran."""
        order: List[str] = []

        class Case(self.Impatient):  # type: ignore[name-defined, misc]
            def setUp(case) -> None:
                case.addCleanup(self.end)
                case.addCleanup(order.append, "cleanup")
                self.leak(case)

            def tearDown(self) -> None:
                order.append("tearDown")

        self.assertPasses(run(self.leak, Case))
        self.assertEqual(order, ["tearDown", "cleanup"])

    def test_what_was_there_before_the_test(self) -> None:
        """It is no leak of the test: `setUpClass` may have opened it."""
        self.left.append(wssync.connect(self.server.url))
        self.assertPasses(run(lambda case: None, self.Impatient))

        class Case(self.Impatient):  # type: ignore[name-defined, misc]
            @classmethod
            def setUpClass(cls) -> None:
                cls.task = wssync.connect(self.server.url)
                cls.addClassCleanup(cls.task.close)

            def test(self) -> None:
                self.task.send("hello")
                self.assertReceives(self.task, "hello")

        result = unittest.TestResult()
        unittest.defaultTestLoader.loadTestsFromTestCase(Case).run(result)
        self.assertPasses(result)

    def test_what_is_about_to_end(self) -> None:
        """The threads have their time to end."""

        def body(case: WebSocketTestCase) -> None:
            self.left.append(wssync.connect(self.server.url))
            timer = threading.Timer(0.02, self.end)
            self.addCleanup(timer.join)
            timer.start()

        self.assertPasses(run(body))

    def test_the_check_can_be_left_out(self) -> None:
        """With no time for it."""

        class Case(WebSocketTestCase):
            leak_timeout = None

        def body(case: WebSocketTestCase) -> None:
            self.left.append(wssync.connect(self.server.url))

        self.assertPasses(run(body, Case))

    def test_a_test_that_is_debugged(self) -> None:
        """`debug()` runs a test without a result: the leak is raised."""

        class Case(self.Impatient):  # type: ignore[name-defined, misc]
            def test(case) -> None:
                self.leak(case)

        with self.assertRaisesRegex(AssertionError, "has left behind"):
            Case("test").debug()

    def test_a_test_that_was_skipped_before(self) -> None:
        """Its run left a cleanup behind, which compares with the beginning of the next run."""

        class Case(self.Impatient):  # type: ignore[name-defined, misc]
            def test(self) -> None:
                pass

        case = Case("test")
        with mock.patch.object(Case, "__unittest_skip__", True, create=True):
            case.run(unittest.TestResult())
        self.leak(case)
        result = unittest.TestResult()
        case.run(result)
        self.assertPasses(result)

    def test_skipped_tests(self) -> None:
        """They are skipped, and nothing is asked of them."""

        def skip(case: WebSocketTestCase) -> None:
            case.skipTest("not today")

        result = run(skip)
        self.assertPasses(result)
        self.assertEqual(len(result.skipped), 1)


class CassetteTests(InnerTestCase):
    """A cassette for the rest of a test, written only if that passes."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "one.json")
        self.server = Server()
        self.server.start()
        self.addCleanup(self.server.close)

    def talk(self, case: WebSocketTestCase, message: str = "hello") -> Cassette:
        """Use a cassette, and have a conversation with the server."""
        cassette = case.use_cassette(self.path, secrets=["token"])
        with wssync.connect(f"{self.server.url}?token=s3cret") as task:
            task.send(message)
            self.assertEqual(task.receive(timeout=PATIENCE), message)
        return cassette

    def is_written(self) -> bool:
        return os.path.exists(self.path)

    def test_a_test_that_passes(self) -> None:
        """It is recorded, then replayed without the server; a difference is a failure."""
        recording: List[bool] = []
        for _ in range(2):
            self.assertPasses(run(lambda case: recording.append(self.talk(case).recording)))
            self.assertTrue(self.is_written())
        self.assertEqual(recording, [True, False])
        self.assertEqual(len(self.server.requests), 1)
        with open(self.path, encoding="utf-8") as file:
            self.assertNotIn("s3cret", file.read())
        result = run(lambda case: case.use_cassette(self.path))
        self.assertFails(result, "CassetteMismatch")

    def test_a_test_that_does_not_pass(self) -> None:
        """Nothing is written, and what it was is reported as ever, and alone."""

        def fails(case: WebSocketTestCase) -> None:
            self.talk(case)
            case.fail("its own")

        def errs(case: WebSocketTestCase) -> None:
            self.talk(case)
            raise KeyError("its own")

        def skips(case: WebSocketTestCase) -> None:
            self.talk(case)
            case.skipTest("not today")

        def fails_in_part(case: WebSocketTestCase) -> None:
            self.talk(case)
            for number in range(3):
                with case.subTest(number):
                    case.assertNotEqual(number, 1)

        def cleans_up(case: WebSocketTestCase) -> None:
            self.talk(case)
            case.addCleanup(int)
            case.addCleanup(case.fail, "its own")
            case.addCleanup(int)

        def cleans_up_early(case: WebSocketTestCase) -> None:
            self.talk(case)
            case.addCleanup(case.fail, "its own")
            case.doCleanups()

        for body, counts in (
            (fails, (1, 0, 0)),
            (errs, (0, 1, 0)),
            (skips, (0, 0, 1)),
            (fails_in_part, (1, 0, 0)),
            (cleans_up, (1, 0, 0)),
            (cleans_up_early, (1, 0, 0)),
        ):
            with self.subTest(body.__name__):
                result = run(body)
                self.assertEqual((len(result.failures), len(result.errors), len(result.skipped)), counts)
                self.assertFalse(self.is_written())

    def test_a_tear_down_that_fails(self) -> None:
        """Is part of the test."""

        class Case(WebSocketTestCase):
            def tearDown(self) -> None:
                self.fail("its own")

        self.assertFails(run(self.talk, Case), "its own")
        self.assertFalse(self.is_written())

    def test_a_failure_that_is_expected(self) -> None:
        """Is one."""

        class Case(WebSocketTestCase):
            @unittest.expectedFailure
            def test(case) -> None:
                self.talk(case)
                case.fail("its own")

        result = unittest.TestResult()
        Case("test").run(result)
        self.assertEqual(len(result.expectedFailures), 1)
        self.assertFalse(self.is_written())

    def test_cleanups_that_came_before(self) -> None:
        """They run later, and what they raise comes too late to count."""

        def body(case: WebSocketTestCase) -> None:
            case.addCleanup(case.fail, "too late")
            self.talk(case)

        self.assertFails(run(body), "too late")
        self.assertTrue(self.is_written())

    def test_a_test_that_fails_while_it_replays(self) -> None:
        """A difference is told beside the failure."""
        run(self.talk)

        def body(case: WebSocketTestCase) -> None:
            case.use_cassette(self.path)
            with contextlib.suppress(wssync.WebSocketError):
                wssync.connect(f"{self.server.url}elsewhere")
            case.fail("its own")

        self.assertFails(run(body), "its own", "(?s)the test had not passed.*CassetteMismatch")

    def test_the_next_run(self) -> None:
        """A case that has failed once may pass then."""
        bad = [True]

        class Case(WebSocketTestCase):
            def test(case) -> None:
                self.talk(case)
                case.assertFalse(bad.pop() if bad else False)

        case = Case("test")
        for written in (False, True):
            case.run(unittest.TestResult())
            self.assertEqual(self.is_written(), written)

    def test_a_test_that_is_debugged(self) -> None:
        """It records as well, also if it does its cleanups itself."""
        for early in (False, True):

            class Case(WebSocketTestCase):
                def test(case, early: bool = early) -> None:
                    self.talk(case)
                    if early:
                        case.doCleanups()

            with self.subTest(early=early):
                Case("test").debug()
                self.assertTrue(self.is_written())
                os.remove(self.path)

    def test_an_unknown_python(self) -> None:
        """Where it cannot be seen whether a test has passed, it has not."""
        for outcome in (object(), types.SimpleNamespace(success="?")):
            self.assertFalse(_is_passing(types.SimpleNamespace(_outcome=outcome)))  # type: ignore[arg-type]
        self.assertFalse(_is_passing(object()))  # type: ignore[arg-type]


class RunTests(InnerTestCase):
    def test_run_returns_the_result(self) -> None:
        """As `unittest.TestCase.run` does; without one it makes one."""

        class Case(WebSocketTestCase):
            def test(self) -> None:
                self.connect()

        result = Case("test").run()
        assert result is not None
        self.assertPasses(result)
        self.assertIs(Case("test").run(result), result)

    def test_several_at_once(self) -> None:
        """Tests in two threads of one process, which look for no leaks, do not disturb each other."""
        results: List[unittest.TestResult] = []

        class Case(WebSocketTestCase):
            leak_timeout = None

        def body(case: WebSocketTestCase) -> None:
            case.use_fake_clock()
            case.serve(hold)
            task = case.connect(ping_interval=None)
            case.assertNoMessage(task, 0.001)

        def several() -> None:
            for _ in range(10):
                results.append(run(body, Case))

        before = surroundings.current()
        threads = [threading.Thread(target=several) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(results), 20)
        for result in results:
            self.assertPasses(result)
        self.assertEqual(surroundings.current(), before)


if __name__ == "__main__":
    unittest.main()

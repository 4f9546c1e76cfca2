"""A test case for users: what it gives, what it asserts, and what it does not let pass."""

from __future__ import annotations

import socket
import threading
import unittest
from typing import Any, Callable, List, Optional, Type
from unittest import mock

import wssync
from tests.tasks import needs_trustme
from tests.threads import PATIENCE
from wssync.engine import surroundings
from wssync.testing import Server, ServerConnection, leaks
from wssync.testing.case import ANY, WebSocketTestCase
from wssync.testing.clock import FakeClock
from wssync.testing.recorder import Recorder

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
        """Who calls `doCleanups` in the middle of a test gets another one afterwards."""

        def body(case: WebSocketTestCase) -> None:
            before = case.server
            case.doCleanups()
            self.assertIsNot(case.server, before)
            case.doCleanups()

        self.assertPasses(run(body))

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
        """The cleanup that comes next finds it gone."""
        found: List[bool] = []

        def body(case: WebSocketTestCase) -> None:
            url = case.server.url
            case.addCleanup(lambda: found.append(task._connection.gone.is_set()))
            task = case.connect(url)

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
            self.assertEqual(plain._plan.configuration, ephemeral.replace(ping_timeout=9))
            with self.assertRaises(TypeError):
                case.connect(pin_timeout=9)

        result = run(body)
        while executor.run_pending():
            pass
        self.assertPasses(result)

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
        """The failure shows both codes and reasons."""
        for wrong, text in (
            ((4001,), r"ended with 4000 and 'enough', not with 4001 and ANY"),
            ((4000, "more"), r"ended with 4000 and 'enough', not with 4000 and 'more'"),
            ((4000, None), r"ended with 4000 and 'enough', not with 4000 and None"),
        ):
            with self.subTest(wrong):
                result = self.run_with(
                    self.script(code=4000, reason="enough"),
                    lambda case, task, wrong=wrong: case.assertClosed(task, *wrong),  # type: ignore[misc]
                )
                self.assertFails(result, text)

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
        """Its thread and its socket are named, with its URL."""
        result = run(self.leak, self.Impatient)
        self.assertFails(
            result, rf"(?s)has left behind:.*\n  the thread wssync-read-.*of the task to {self.server.url}"
        )

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

    def test_skipped_tests(self) -> None:
        """They are skipped, and nothing is asked of them."""

        def skip(case: WebSocketTestCase) -> None:
            case.skipTest("not today")

        result = run(skip)
        self.assertPasses(result)
        self.assertEqual(len(result.skipped), 1)


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

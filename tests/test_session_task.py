"""What all tasks have: what can be read, and how `resume`, `suspend` and `cancel` move them through their states."""

from __future__ import annotations

import copy
import datetime
import threading
import unittest
import unittest.mock
from typing import Any, List, Optional

import wssync
from tests.tasks import PATIENCE, OnlineTestCase, Running, names
from wssync import TaskState
from wssync.testing import Recorder, ServerConnection, silent


class AttributeTests(OnlineTestCase):
    def test_a_new_task(self) -> None:
        """Rules 1 and 23: suspended, with an identifier of its own, and nothing known yet."""
        session = self.session()
        task, other = session.websocket_task("ws://127.0.0.1:9/x"), session.websocket_task("ws://127.0.0.1:9/x")
        self.assertIs(task.state, TaskState.SUSPENDED)
        self.assertNotEqual(task.task_identifier, other.task_identifier)
        self.assertEqual(task.original_request, wssync.Request("ws://127.0.0.1:9/x"))
        self.assertIs(task.current_request, task.original_request)
        self.assertIsNone(task.response)
        self.assertIsNone(task.error)
        self.assertIsNone(task.task_description)
        self.assertIsNone(task.delegate)
        self.assertEqual(task.priority, 0.5)
        self.assertIsNone(task.local_address or task.remote_address or task.protocol or task.latency)
        self.assertEqual((task.extensions, task.buffered_amount), ((), 0))

    def test_its_weight(self) -> None:
        """An open one has no dictionary: a new name is one more slot, or a class's until somebody sets it."""
        self.assertEqual(vars(self.connect()), {})

    def test_an_interrupt_while_it_is_resumed(self) -> None:
        """Before anything of it runs: it is suspended as before, to be resumed again; or ended, if that was asked."""
        task = self.session().websocket_task(self.server.url)
        with unittest.mock.patch("wssync.session_task.Engine", side_effect=KeyboardInterrupt):
            self.assertRaises(KeyboardInterrupt, task.resume)
        self.assertIs(task.state, TaskState.SUSPENDED)
        task.resume()
        task.send("x")
        self.assertReceives(task, "x")
        other = self.session().websocket_task(self.server.url)

        def cancel(*arguments: object) -> None:
            other.cancel()
            raise KeyboardInterrupt

        with unittest.mock.patch("wssync.session_task.Engine", side_effect=cancel):
            self.assertRaises(KeyboardInterrupt, other.resume)
        self.assertIs(other.state, TaskState.COMPLETED)

    def test_counts_and_progress_of_a_task(self) -> None:
        """Payload bytes both ways, before compression; the total is -1 until the end, expectations are -1."""
        task = self.connect()
        progress = task.progress
        for message in ("x" * 5000, "\u20ac"):
            task.send(message)
            self.assertReceives(task, message)
        self.assertEqual((task.count_of_bytes_sent, task.count_of_bytes_received), (5003, 5003))
        self.assertEqual((progress.completed_unit_count, progress.total_unit_count), (10006, -1))
        self.assertEqual(progress.fraction_completed, 0.0)
        self.assertEqual((task.count_of_bytes_expected_to_send, task.count_of_bytes_expected_to_receive), (-1, -1))
        self.assertEqual(task.count_of_bytes_client_expects_to_send, -1)
        self.assertEqual(task.count_of_bytes_client_expects_to_receive, -1)
        task.close()
        self.assertEqual((progress.total_unit_count, progress.fraction_completed), (10006, 1.0))

    def test_progress_cancels(self) -> None:
        """`progress.cancel()` is `cancel()`."""
        task, _ = self.pair()
        task.progress.cancel()
        self.assertClosed(task)
        self.assertIsInstance(task.error, wssync.Cancelled)

    def test_messages_nobody_has_taken_are_counted(self) -> None:
        """What has arrived counts as received."""
        task, peer = self.pair()
        peer.send(b"1234567")
        peer.ping()
        self.assertReceives(task, b"1234567")
        self.assertEqual(task.count_of_bytes_received, 7)

    def test_tasks_are_themselves(self) -> None:
        """They hash and compare by identity, and a copy is the task itself."""
        session = self.session()
        task, other = session.websocket_task("ws://h/"), session.websocket_task("ws://h/")
        self.assertEqual(len({task, task, other}), 2)
        self.assertNotEqual(task, other)
        self.assertIs(copy.copy(task), task)
        self.assertIs(copy.deepcopy(task), task)

    def test_repr_tells_identifier_url_and_state_but_no_secret(self) -> None:
        """The password in a URL is shown nowhere, nor is a token in its query."""
        task = self.session().websocket_task("ws://me:secret@h/path")
        self.assertEqual(repr(task), f"<WebSocketTask {task.task_identifier} ws://h/path SUSPENDED>")
        task = self.session().websocket_task("ws://h/path?room=1&access_token=secret")
        self.assertRegex(repr(task), r"^<WebSocketTask \d+ ws://h/path\?room=1&access_token=\*\*\* SUSPENDED>$")
        self.assertNotIn("secret", repr(task.original_request))

    def test_values_of_the_states(self) -> None:
        """They are Apple's numbers."""
        self.assertEqual([state.value for state in TaskState], [0, 1, 2, 3])
        self.assertEqual([state.name for state in TaskState], ["RUNNING", "SUSPENDED", "CANCELING", "COMPLETED"])


class StateTests(OnlineTestCase):
    def test_resume_starts_and_more_of_it_does_nothing(self) -> None:
        """Rules 14 and 16: suspended, running, and running still; one connection."""
        task = self.session().websocket_task(self.server.url)
        task.resume()
        self.assertIs(task.state, TaskState.RUNNING)
        task.wait_until_open(PATIENCE)
        task.resume()
        task.resume()
        self.assertIs(task.state, TaskState.RUNNING)
        task.send("x")
        self.assertReceives(task, "x")
        self.assertEqual(len(self.server.connections), 1)

    def test_suspensions_are_counted(self) -> None:
        """Rule 15: after two suspends it takes three resumes to start."""
        task = self.session().websocket_task(self.server.url)
        task.suspend()
        task.suspend()
        for _ in range(2):
            task.resume()
            self.assertIs(task.state, TaskState.SUSPENDED)
            with self.assertRaises(RuntimeError):
                task.wait_until_open(0)
        task.resume()
        task.wait_until_open(PATIENCE)

    def test_a_never_resumed_task_can_be_cancelled(self) -> None:
        """Rules 18 and 156: no connection is made, it completes with Cancelled (-999)."""
        told = Recorder()
        task = self.session(delegate=told).websocket_task(self.server.url)
        task.send("x", told.handler("sent"))
        task.cancel()
        self.assertIs(task.state, TaskState.COMPLETED)
        error = task.error
        assert isinstance(error, wssync.Cancelled)
        self.assertEqual((error.url_error_code, error.url), (-999, self.server.url))
        told.assert_next("did_create_task")
        told.assert_next("sent", error)
        self.assertIs(told.assert_next("did_complete", error).task, task)
        told.assert_exhausted()
        self.assertEqual(self.server.requests, [])
        self.assertEqual(task.close_code, wssync.CloseCode.INVALID)

    def test_did_complete_comes_once_however_often_it_is_cancelled(self) -> None:
        """Rules 19, 20 and 186: once, and it is the last."""
        delegate = Recorder()
        session = self.session(delegate=delegate)
        task = session.websocket_task(self.server.url)
        task.resume()
        task.wait_until_open(PATIENCE)
        for _ in range(3):
            task.cancel()
        self.assertClosed(task)
        task.cancel()
        task.cancel(1000)
        task.close()
        session.invalidate_and_cancel()
        delegate.wait_for("session_did_become_invalid")
        self.assertEqual(names(delegate), ["did_open", "did_complete", "session_did_become_invalid"])

    def test_resume_and_suspend_after_the_end_do_nothing(self) -> None:
        """Rule 17: completed stays completed."""
        task, _ = self.pair()
        task.cancel()
        self.assertClosed(task)
        task.suspend()
        self.assertIs(task.state, TaskState.COMPLETED)
        task.resume()
        self.assertIs(task.state, TaskState.COMPLETED)

    def test_suspend_while_canceling_does_nothing(self) -> None:
        """Rules 17 and 22: a task that is closing goes on doing so; its state is CANCELING until the end."""
        task, peer = self.pair()
        task.cancel(1000)
        self.assertIs(task.state, TaskState.CANCELING)
        task.suspend()
        task.resume()
        self.assertIs(task.state, TaskState.CANCELING)
        self.assertIsNone(task.error)
        with self.assertRaises(wssync.ConnectionClosed):
            peer.receive(PATIENCE)
        self.assertClosed(task, 1000)
        self.assertIsNone(task.error)

    def test_a_received_close_sets_canceling_until_it_has_ended(self) -> None:
        """Rule 22: the peer's Close moves the state on, and COMPLETED comes after it."""
        task, peer = self.pair()
        told = Recorder()
        task.receive(lambda result: told.handler("received")(task.state))
        Running(lambda: peer.close(1000)).result()
        told.assert_next("received", TaskState.COMPLETED)
        self.assertClosed(task, 1000)
        self.assertIsNone(task.error)

    def test_the_state_is_completed_inside_did_complete(self) -> None:
        """Rules 21 and 23: state and error are set before the delegate hears of it."""
        told = Recorder()

        class Delegate(wssync.WebSocketDelegate):
            def did_complete(self, session: Any, task: Any, error: Any) -> None:
                told.handler("completed")(task.state, task.error is error)

        task, _ = self.pair(delegate=Delegate())
        task.cancel()
        told.assert_next("completed", TaskState.COMPLETED, True)
        task._join()
        told.assert_exhausted()
        self.assertIsNotNone(task.error)

    def test_the_handshake_timer_stands_still_while_suspended(self) -> None:
        """Rule 24: time that passes while a task is suspended does not count."""
        asked, answer = threading.Event(), threading.Event()

        def opening(connection: ServerConnection) -> None:
            asked.set()
            answer.wait(PATIENCE)

        clock = self.use_fake_clock()
        server = self.serve(opening=opening)
        task = self.session(timeout_interval_for_request=30.0).websocket_task(server.url)
        task.resume()
        self.assertTrue(asked.wait(PATIENCE))
        task.suspend()
        self.assertIs(task.state, TaskState.SUSPENDED)
        clock.advance(0)  # until its thread has seen that it is suspended
        clock.advance(31)
        answer.set()
        task.resume()
        task.wait_until_open(PATIENCE)

    def test_without_a_suspension_the_timer_runs(self) -> None:
        """Rule 204: the opening ends with TimedOut (-1001) when its time is over."""
        asked = threading.Event()
        clock = self.use_fake_clock()
        server = self.serve(opening=[lambda connection: asked.set(), silent])
        task = self.session(timeout_interval_for_request=30.0).websocket_task(server.url)
        task.resume()
        self.assertTrue(asked.wait(PATIENCE))
        clock.advance(30)
        with self.assertRaises(wssync.TimedOut) as caught:
            task.wait_until_open(PATIENCE)
        self.assertIs(caught.exception, task.error)
        self.assertEqual(caught.exception.url_error_code, -1001)

    def test_a_suspended_open_task_neither_reads_nor_writes(self) -> None:
        """Rule 25: a receive waits, a send stays queued, a ping is not answered; after `resume` all of it happens."""
        task, peer = self.pair()
        task.suspend()
        told = Recorder()
        task.send("queued", told.handler("sent"))
        task.receive(told.handler("received"))
        peer.ping(b"there?")
        peer.send("hello")
        self.assertEqual(task.buffered_amount, 6)
        with self.assertRaises(TimeoutError):
            task.receive(timeout=0)
        with self.assertRaises(TimeoutError):
            peer.receive_raw(1, timeout=0.02)
        connection = task._connection
        reader: Any = connection.reader
        assert connection.stream is not None
        connection.stream.wait(True, False, PATIENCE, owner=False)
        reader.role.attempt(reader.read)  # as a thread that was on its way to read
        self.assertEqual((told.events, task.count_of_bytes_received), ([], 0))
        task.resume()
        for name, value in (("received", "hello"), ("sent", None)):
            [event] = told.wait_for(name)
            self.assertEqual(event.arguments, (value,))
        self.assertEqual(peer.receive(PATIENCE), "queued")

    def test_messages_that_were_read_already_wait_too(self) -> None:
        """A blocking `receive` waits while the task is suspended, though a message is there."""
        task, peer = self.pair()
        peer.send("one")
        peer.send("two")
        self.assertReceives(task, "one")
        task.suspend()
        with self.assertRaises(TimeoutError):
            task.receive(timeout=0.01)
        task.resume()
        self.assertReceives(task, "two")

    def test_a_suspended_task_can_be_closed(self) -> None:
        """Then it moves again: what was queued goes out, then the Close."""
        task, told = self.connect(), Recorder()
        task.suspend()
        task.send("last", told.handler("sent"))
        task.close()
        told.assert_next("sent", None)
        self.assertEqual(self.server.connections[0].close_code, 1000)
        self.assertClosed(task, 1000)
        self.assertIsNone(task.error)

    def test_a_suspended_task_can_be_cancelled(self) -> None:
        """While open and while opening alike."""
        task, _ = self.pair()
        task.suspend()
        task.cancel()
        self.assertClosed(task)
        self.assertIsInstance(task.error, wssync.Cancelled)
        asked = threading.Event()
        server = self.serve(opening=[lambda connection: asked.set(), silent])
        task = self.session().websocket_task(server.url)
        task.resume()
        self.assertTrue(asked.wait(PATIENCE))
        task.suspend()
        task.cancel()
        self.assertClosed(task, wssync.CloseCode.INVALID)
        self.assertIsInstance(task.error, wssync.Cancelled)


class DelegateOfATaskTests(OnlineTestCase):
    def test_the_task_hears_first_and_the_session_what_it_lacks(self) -> None:
        """Rule 190: a method that the task's own delegate has is not called on the session's."""
        whole, own = Recorder(), Recorder()

        class Partial(wssync.TaskDelegate):
            def did_open(self, session: object, task: object, protocol: Optional[str]) -> None:
                own.did_open(session, task, protocol)

        task = self.session(delegate=whole).websocket_task(self.server.url)
        task.delegate = Partial()
        task.resume()
        task.wait_until_open(PATIENCE)
        task.close()
        whole.wait_for("did_complete")
        self.assertEqual((names(own), names(whole)), (["did_open"], ["did_close", "did_complete"]))

    def test_a_delegate_is_not_changed_while_it_is_looked_at(self) -> None:
        """Its methods are looked up once, at the start; what happens in that is too late for another delegate."""
        refused: List[RuntimeError] = []

        class Meddler:
            @property
            def did_open(self) -> None:
                try:
                    task.delegate = None
                except RuntimeError as error:
                    refused.append(error)

        task = self.session().websocket_task(self.server.url)
        task.delegate = Meddler()
        task.cancel()
        self.assertEqual(len(refused), 1)

    def test_it_cannot_be_changed_after_resume_and_is_let_go_at_the_end(self) -> None:
        """Rule 191: RuntimeError."""
        delegate = Recorder()
        task = self.session().websocket_task(self.server.url)
        task.delegate = delegate
        self.assertIs(task.delegate, delegate)
        task.resume()
        with self.assertRaisesRegex(RuntimeError, "delegate"):
            task.delegate = None
        task.wait_until_open(PATIENCE)
        task.close()
        delegate.wait_for("did_complete")
        self.session_is_idle(task)
        self.assertIsNone(task.delegate)

    def session_is_idle(self, task: wssync.WebSocketTask) -> None:
        """Wait until the session has let go of the task, which is what follows `did_complete`."""
        session = task._session
        assert isinstance(session, wssync.Session)
        session.finish_tasks_and_invalidate()
        self.assertTrue(session._wait_until_dissolved(PATIENCE))

    def test_one_set_in_did_create_task_takes_effect(self) -> None:
        """Rule 2: called inside `websocket_task()`, on the calling thread, before everything else."""
        own = Recorder()

        class Creator:
            def did_create_task(self, session: object, task: wssync.WebSocketTask) -> None:
                made.append(session)
                task.delegate = own

        made: List[object] = []
        told = Recorder(Creator())
        session = self.session(delegate=told)
        task = session.websocket_task("ws://127.0.0.1:9/")
        event = told.assert_next("did_create_task")
        self.assertEqual((made, event.task, event.thread), ([session], task, threading.current_thread().name))
        task.cancel()
        own.wait_for("did_complete")
        told.assert_exhausted()


class EarliestBeginDateTests(OnlineTestCase):
    def test_a_date_in_the_future_is_waited_for(self) -> None:
        """Nothing is sent before it, and a cancel does not wait for it."""
        task = self.session().websocket_task(self.server.url)
        date = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
        task.earliest_begin_date = date
        self.assertEqual(task.earliest_begin_date, date)
        task.resume()
        with self.assertRaises(TimeoutError):
            task.wait_until_open(0.05)
        self.assertEqual(self.server.requests, [])
        task.cancel()
        self.assertClosed(task)

    def test_one_in_the_past_changes_nothing(self) -> None:
        """It opens at once; so it does when the date is taken away."""
        for date in (datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc), None):
            with self.subTest(date):
                task = self.session().websocket_task(self.server.url)
                task.earliest_begin_date = date
                task.resume()
                task.wait_until_open(PATIENCE)

    def test_a_date_without_a_time_zone_is_refused(self) -> None:
        """ValueError, and the old one stays."""
        task = self.session().websocket_task("ws://h/")
        for wrong in (datetime.datetime(2030, 1, 1), 5.0):
            with self.subTest(wrong), self.assertRaises(ValueError):
                task.earliest_begin_date = wrong  # type: ignore[assignment]
        self.assertIsNone(task.earliest_begin_date)


class ThreadlessTests(OnlineTestCase):
    def test_a_process_without_threads_to_give(self) -> None:
        """`resume` raises, and the task has ended with that."""
        task = self.session().websocket_task("ws://127.0.0.1:9/")

        def refuse(thread: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        with unittest.mock.patch.object(threading.Thread, "start", refuse), self.assertRaises(RuntimeError):
            task.resume()
        self.assertIs(task.state, TaskState.COMPLETED)
        self.assertIsInstance(task.error, wssync.ConnectionFailed)
        task.close()

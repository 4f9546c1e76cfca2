"""What is left of openings: nothing, by reference counting alone, without the collector."""

from __future__ import annotations

import gc
import threading
import unittest
import weakref
from typing import Any, List, Optional

import wssync
from tests.opening.support import DEFAULT, REJECT, SECRET, Delegate, OpeningTestCase, password, trusting
from tests.tasks import PATIENCE, needs_trustme
from wssync.executors import SerialExecutor
from wssync.testing import ServerConnection, at, basic, proxy, redirect, refuse


def _hang_up(connection: ServerConnection) -> None:
    connection.abort()


class ReferenceTests(OpeningTestCase):
    def setUp(self) -> None:
        super().setUp()
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)

    def leaves_nothing(self, url: str, delegate: Optional[Delegate] = None, **changes: Any) -> None:
        """Task, connection and session of an opening to `url` are freed as soon as nobody holds them."""
        executor = SerialExecutor()
        self.addCleanup(executor.shutdown)
        gone = self.open_and_forget(url, delegate, executor, changes)
        for _ in range(2):  # until its last callback and what followed it are over
            executor.submit(int).result(PATIENCE)
        if delegate is not None:
            delegate.heard.clear()
        self.assertEqual([event.wait(1) for event in gone], [True] * len(gone))

    def open_and_forget(
        self, url: str, delegate: Optional[Delegate], executor: SerialExecutor, changes: Any
    ) -> List[threading.Event]:
        configuration = wssync.SessionConfiguration.ephemeral().replace(**changes)
        session = wssync.Session(configuration, delegate=delegate, executor=executor)
        task = session.websocket_task(url)
        gone = [threading.Event() for _ in range(3)]
        weakref.finalize(task, gone[0].set)
        weakref.finalize(task._connection, gone[1].set)
        weakref.finalize(session, gone[2].set)
        task.resume()
        session.finish_tasks_and_invalidate()
        thread = task._connection.thread
        assert thread is not None
        try:
            if delegate is not None and hasattr(delegate, "hesitates"):
                delegate.wait_for("did_receive_challenge")
                task.cancel()
            task.wait_until_open(PATIENCE)
            task.close()
        except wssync.WebSocketError:
            pass
        thread.join(PATIENCE)
        del task, session  # the error has passed through here
        return gone

    def test_several_exchanges(self) -> None:
        """A redirect, a password, and both refused."""
        moved = self.serve(opening=[at("/", redirect("/there"))]).url
        self.leaves_nothing(moved)
        self.leaves_nothing(moved, Delegate(will_perform_http_redirection=lambda *_: None))
        self.leaves_nothing(self.serve(opening=[redirect("/")]).url, max_redirects=2)
        locked = self.serve(opening=[basic("user", SECRET)]).url
        self.leaves_nothing(locked, Delegate(did_receive_challenge=lambda *_: password()))
        self.leaves_nothing(locked, Delegate(did_receive_challenge=lambda *_: password(secret="wrong")))

    def test_a_question_without_an_answer(self) -> None:
        """Its future is kept, the task was cancelled meanwhile."""
        future = self.future()
        delegate = Delegate(did_receive_challenge=lambda *_: future, hesitates=lambda: None)
        self.leaves_nothing(self.serve(opening=[basic("user", SECRET)]).url, delegate)
        self.assertFalse(future.done())

    def test_failures(self) -> None:
        """Nobody there, no such name, nobody who answers, a loss in the first exchange and in the second."""
        server = self.serve(opening=[at("/", redirect("/there")), _hang_up])
        self.leaves_nothing(server.url)
        self.leaves_nothing(server.url_for("/there"))
        silent = self.serve()
        silent.ignore_connections()
        self.leaves_nothing(silent.url, timeout_interval_for_request=0.01)
        silent.refuse_connections()
        self.leaves_nothing(silent.url)

    def test_proxies(self) -> None:
        """One that carries, one that refuses, one that hangs up."""
        url = self.serve().url
        for opening in (proxy(), refuse(403), refuse(407), _hang_up):
            self.leaves_nothing(url, proxy=self.serve(opening=[opening]).url.replace("ws:", "http:"))

    def test_a_trace(self) -> None:
        """The hook and the metrics, which are kept."""
        kept: List[Any] = []
        delegate = Delegate(did_finish_collecting_metrics=lambda session, task, metrics: kept.append(metrics))
        url = self.serve(opening=[at("/", redirect("/there"))]).url
        self.leaves_nothing(url, delegate, trace=lambda event, task, fields: kept.append(fields))

    @needs_trustme
    def test_tls(self) -> None:
        """A server that nobody knows, whatever the delegate says of it, and one that hangs up."""
        strange = self.secret_server(context=self.strange_context()).url
        self.leaves_nothing(strange)
        for answer in (trusting, lambda *_: REJECT, lambda *_: DEFAULT):
            self.leaves_nothing(strange, Delegate(session_did_receive_challenge=answer))
        self.leaves_nothing(self.secret_server(opening=[at("/", redirect("/there")), _hang_up]).url)

    @needs_trustme
    def test_a_challenge_that_is_kept(self) -> None:
        """With the verdict on the certificate, which has come from the depths of the opening."""
        kept: List[Any] = []

        def ask(session: Any, challenge: Any) -> Any:
            kept.append(challenge)
            return trusting(session, challenge)

        strange = self.secret_server(context=self.strange_context()).url
        self.leaves_nothing(strange, Delegate(session_did_receive_challenge=ask))
        self.assertIsInstance(kept[-1].error, wssync.CertificateError)


if __name__ == "__main__":
    unittest.main()

"""What is left is found and named; what is somebody else's, or was there before, is not."""

from __future__ import annotations

import gc
import os
import select
import socket
import threading
import unittest
from typing import Any, Callable, List
from unittest import mock

import wssync
from tests.threads import PATIENCE
from wssync.session import _shared_session
from wssync.testing import Server, ServerConnection
from wssync.testing import leaks as module
from wssync.testing.leaks import Snapshot
from wssync.testing.wire import Ending, Wire
from wssync.transport import waiting
from wssync.transport.stream import TCPStream
from wssync.transport.waiting import Waker

HAS_DESCRIPTORS = os.path.isdir(module._DESCRIPTORS)


def hold(connection: ServerConnection) -> None:
    """Neither read nor write."""
    connection.wait_until_closed(None)


class LeaksTestCase(unittest.TestCase):
    """What is opened here is closed with the test."""

    def serve(self) -> Server:
        server = Server(hold)
        server.start()
        self.addCleanup(server.close)
        return server

    def sockets(self) -> List[socket.socket]:
        one, other = socket.socketpair()
        self.addCleanup(one.close)
        self.addCleanup(other.close)
        return [one, other]


class ThreadTests(LeaksTestCase):
    """Threads of the library that run on."""

    def start(self, name: str) -> Callable[[], None]:
        """Start a thread with this name, and return how to end it."""
        done = threading.Event()
        thread = threading.Thread(target=done.wait, args=(PATIENCE,), name=name, daemon=True)

        def end() -> None:
            done.set()
            thread.join()

        thread.start()
        self.addCleanup(end)
        return end

    def test_a_new_thread(self) -> None:
        """It is named."""
        before = Snapshot()
        self.start("wssync-read-0")
        self.assertEqual(before.leaks(0), ["the thread wssync-read-0"])

    def test_a_thread_that_was_there_before(self) -> None:
        """It is nobody's leak."""
        self.start("wssync-read-0")
        self.assertEqual(Snapshot().leaks(0), [])

    def test_a_thread_that_is_about_to_end(self) -> None:
        """It is waited for; the threads together have the time that is given."""
        before = Snapshot()
        end = self.start("wssync-session-0")
        timer = threading.Timer(0.01, end)
        timer.start()
        self.assertEqual(before.leaks(PATIENCE), [])
        timer.join()

    def test_threads_of_other_kinds(self) -> None:
        """The user's own, and look-ups of names, which nobody can end, are not counted."""
        before = Snapshot()
        for name in ("worker", "wssync", "wssyncer-1", "wssync-resolver-7"):
            self.start(name)
        self.assertEqual(before.leaks(0), [])

    def test_the_shared_session(self) -> None:
        """Its thread stays as long as the process does, and is no leak of the test that used it first."""
        _shared_session.cache_clear()
        self.addCleanup(_shared_session.cache_clear)
        before = Snapshot()
        self.assertEqual(_shared_session.cache_info().currsize, 0)
        session = wssync.Session.shared()
        done = threading.Event()
        session.flush(done.set)
        self.assertTrue(done.wait(PATIENCE))
        self.assertEqual(before.leaks(0), [])
        session.executor.shutdown()  # type: ignore[attr-defined]

    def test_what_a_thread_is_for(self) -> None:
        """Those of sessions and of handlers are told by what keeps them."""
        session, done, began = wssync.Session(), threading.Event(), threading.Event()
        name = session.executor._name  # type: ignore[attr-defined]

        def wait() -> None:
            began.set()
            done.wait(PATIENCE)

        before = Snapshot()
        session.flush(wait)
        self.assertTrue(began.wait(PATIENCE))
        self.assertEqual(before.leaks(0), [f"the thread {name} of a Session that was never invalidated"])
        session.finish_tasks_and_invalidate()
        self.assertEqual(before.leaks(0), [f"the thread {name} of a Session, with a handler that is still busy"])
        done.set()
        self.assertEqual(before.leaks(PATIENCE), [])
        end = self.start("wssync-testing-connection-80-1")
        self.assertEqual(before.leaks(0), ["the thread wssync-testing-connection-80-1, a handler that is still busy"])
        end()
        executor = wssync.executors.SerialExecutor()
        executor.submit(int).result()
        self.assertEqual(before.leaks(0), [f"the thread {executor._name}"])
        executor.shutdown()

    def test_a_thread_of_the_library_asks(self) -> None:
        """It cannot wait for itself, and says that it is there."""
        found: List[str] = []
        before = Snapshot()
        thread = threading.Thread(target=lambda: found.extend(before.leaks(0)), name="wssync-self")
        thread.start()
        thread.join()
        self.assertEqual(found, ["the thread wssync-self"])


class ClientTests(LeaksTestCase):
    """What clients leave while the servers are there."""

    def test_servers_are_passed_over(self) -> None:
        """Their threads are there, and are not waited for."""
        before = Snapshot()
        server = self.serve()
        self.assertEqual(before.end_clients(10 * PATIENCE), [])
        server.close()

    def test_tasks_are_ended(self) -> None:
        """Each is told by its URL, once; nothing else of it is left."""
        server = self.serve()
        before = Snapshot()
        tasks = [wssync.connect(f"{server.url}{name}") for name in "ba"]
        self.assertEqual(before.end_clients(0), [f"a task to {server.url}{name} was left open" for name in "ab"])
        self.assertEqual([type(task.error) for task in tasks], [wssync.Cancelled] * 2)
        for task in tasks:
            self.assertTrue(task._connection.gone.wait(PATIENCE))
        self.assertEqual(before.end_clients(0), [])

    def test_tasks_that_were_there_before(self) -> None:
        """They are not touched."""
        server = self.serve()
        task = wssync.connect(server.url)
        self.assertEqual(Snapshot().end_clients(0), [])
        self.assertIs(task.state, wssync.TaskState.RUNNING)
        task.cancel()
        task._join()

    def test_a_task_whose_handler_is_busy(self) -> None:
        """On its own thread it ends when the handler does; it is told once, however long that takes."""

        class Inline:
            def submit(self, fn: Callable[..., object], /, *args: Any) -> None:
                fn(*args)

        class Delegate(wssync.WebSocketDelegate):
            def did_open(self, session: Any, task: Any, protocol: Any) -> None:
                began.set()
                done.wait(PATIENCE)

        began, done = threading.Event(), threading.Event()
        server, before = self.serve(), Snapshot()
        session = wssync.Session(delegate=Delegate(), executor=Inline())
        task = session.websocket_task(server.url)
        task.resume()
        self.assertTrue(began.wait(PATIENCE))
        with mock.patch.object(module, "SETTLING", 0.01):
            self.assertEqual(before.end_clients(0), [f"a task to {server.url} was left open"])
            self.assertEqual(before.end_clients(0), [])
        done.set()
        session.__exit__(None, None, None)

    def test_threads_of_sessions(self) -> None:
        """They are told once."""
        before = Snapshot()
        session = wssync.Session()
        session.flush(int)
        self.assertRegex("\n".join(before.end_clients(0)), "^the thread .* of a Session that was never invalidated$")
        self.assertEqual(before.leaks(0), [])
        session.__exit__(None, None, None)


class SocketTests(LeaksTestCase):
    """Sockets of the library that are open."""

    def test_a_task(self) -> None:
        """Its stream, with the addresses and the URL, in one line with its waker; and, in its own, the server's end."""
        server = self.serve()
        before = Snapshot()
        task = wssync.connect(server.url)
        self.addCleanup(task.cancel)
        server.wait_for_connection()
        assert task.local_address is not None and task.remote_address is not None
        local, remote = (f"{host}:{port}" for host, port in (task.local_address, task.remote_address))
        found = before.leaks(0)
        self.assertIn(f"the socket of a TCPStream, from {local} to {remote}, of the task to {server.url}", found)
        self.assertIn(f"the socket of a Wire, from {remote} to {local}", found)
        self.assertEqual(len([line for line in found if "socket" in line]), 2, found)
        task.cancel()
        task._join()
        server.close()
        self.assertEqual(before.leaks(PATIENCE), [])

    def test_a_task_that_is_still_opening(self) -> None:
        """It has a URL before it has a connection."""
        dialling = threading.Event()
        self.addCleanup(dialling.set)
        before = Snapshot()
        session = wssync.Session()
        self.addCleanup(session.__exit__, None, None, None)
        with mock.patch.object(socket, "getaddrinfo", side_effect=lambda *_, **__: dialling.wait(PATIENCE) and []):
            task = session.websocket_task("ws://somewhere.test/")
            task.resume()
            found = [line for line in before.leaks(0) if "socket" in line]
        self.assertEqual(found, ["the sockets of a Waker, of the task to ws://somewhere.test/"])

    def test_a_server(self) -> None:
        """It is found by the address it listens at."""
        before = Snapshot()
        server = self.serve()
        found = [line for line in before.leaks(0) if "socket" in line]
        self.assertEqual(len(found), 1, found)
        self.assertIn(f"at 127.0.0.1:{server.url.rstrip('/').rpartition(':')[2]}", found[0])

    def test_what_was_there_before(self) -> None:
        """It is not found, however much of it there is; what came afterwards is."""
        server = self.serve()
        task = wssync.connect(server.url)
        self.addCleanup(task.cancel)
        server.wait_for_connection()
        before = Snapshot()
        self.assertEqual(before.leaks(0), [])
        waker = Waker()
        self.addCleanup(waker.close)
        self.assertEqual(before.leaks(0), ["the sockets of a Waker"])
        waker.close()
        self.assertEqual(before.leaks(0), [])

    def test_a_number_that_is_used_again(self) -> None:
        """A new socket with the descriptor of an old one is a new one."""
        patch = mock.patch.object(waiting, "_new_eventfd", None)  # an eventfd may get the number and the identity
        patch.start()
        self.addCleanup(patch.stop)
        old = Waker()
        number, identity = old.fileno(), module._identity(old.fileno())
        before = Snapshot()
        old.close()
        new = Waker()
        self.addCleanup(new.close)
        if HAS_DESCRIPTORS:
            self.assertEqual(new.fileno(), number)
        if module._identity(number) == identity and before._descriptors is not None:
            self.skipTest("this system does not tell one socket from the next with its number")
        self.assertEqual(before.leaks(0), ["the sockets of a Waker"])

    @unittest.skipUnless(hasattr(select, "epoll"), "needs another descriptor that is no file")
    def test_a_descriptor_of_another_kind(self) -> None:
        """What is neither a socket nor an eventfd is not the library's."""
        with select.epoll() as other:
            self.assertIsNone(module._identity(other.fileno()))

    def test_other_sockets(self) -> None:
        """The user's own, and those that objects of the user's classes hold, are not the library's."""

        class OwnServer(Server):
            """Derived from one of the library's classes."""

        before = Snapshot()
        server: Any = OwnServer()
        server.sockets, server.socket = self.sockets(), self.sockets()[0]
        self.assertEqual(before.leaks(0), [])

    def test_sockets_that_cannot_be_asked(self) -> None:
        """One that is not connected has one address, one of another family shows it as it is, and one that was closed
        in this moment none.
        """
        first, _second = self.sockets()
        before = Snapshot()
        streams = [TCPStream(sock, mock.Mock()) for sock in self.sockets()]
        self.assertEqual(before.leaks(0)[0], f"the socket of a TCPStream, from {first.getsockname()!r} to ''")
        del streams
        closed = socket.socket()
        closed.close()
        self.assertEqual(module._addresses(closed), "closed meanwhile")

    def test_a_wire(self) -> None:
        """The test server's side of a connection, without a server."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        client = socket.create_connection(listener.getsockname())
        self.addCleanup(client.close)
        before = Snapshot()
        wire = Wire(listener.accept()[0])
        self.addCleanup(wire.end, Ending.FIN)
        self.assertRegex("\n".join(before.leaks(0)), "^the socket of a Wire, from 127.0.0.1:.* to 127.0.0.1:[0-9]+$")
        wire.end(Ending.FIN)
        self.assertEqual(before.leaks(0), [])


class SocketsWithoutDescriptorsTests(SocketTests):
    """The same where the system does not list the descriptors."""

    def setUp(self) -> None:
        patch = mock.patch.object(module, "_DESCRIPTORS", "/nowhere")
        patch.start()
        self.addCleanup(patch.stop)


@unittest.skipUnless(HAS_DESCRIPTORS, "descriptors cannot be listed here")
class CostTests(LeaksTestCase):
    """What a test without leaks pays."""

    def test_objects_are_looked_at_only_when_there_is_a_new_socket(self) -> None:
        """Of anybody's; other files do not count, nor do sockets that are gone."""
        before = Snapshot()
        with mock.patch.object(gc, "get_objects", side_effect=AssertionError), open(os.devnull):
            for sock in self.sockets():
                sock.close()
            self.assertEqual(before.leaks(0), [])
        self.sockets()
        with mock.patch.object(gc, "get_objects", side_effect=KeyError), self.assertRaises(KeyError):
            before.leaks(0)

    def test_descriptors_that_close_meanwhile(self) -> None:
        """Between the list and the look at each of them: they are no sockets, and no leaks."""
        closed = socket.socket()
        closed.close()
        self.assertFalse(Snapshot()._is_new(closed))
        known = self.sockets()[0]
        before = Snapshot()
        with mock.patch.object(module, "_identity", return_value=None):
            self.assertFalse(before._is_new(known))
        self.assertIsNone(module._event_identity(123456))
        with mock.patch.object(os, "listdir", return_value=["0", "123456"]):
            found = module._socket_descriptors()
        assert found is not None
        self.assertNotIn(123456, found)

    def test_what_is_about_to_end(self) -> None:
        """Sockets are looked at again as long as there is time: a server may have still to accept and to close."""
        before = Snapshot()
        left = [["the socket of a Wire"], ["the sockets of a Waker"], []]
        with mock.patch.object(before, "_new_sockets", side_effect=left):
            self.assertEqual(before.leaks(PATIENCE), [])
        with mock.patch.object(before, "_new_sockets", return_value=["the socket of a Wire"]):
            self.assertEqual(before.leaks(0.01), ["the socket of a Wire"])

    def test_a_port_that_was_there_before(self) -> None:
        """A server that refuses for a while has another socket for its port afterwards: no leak of this test."""
        server = self.serve()
        before = Snapshot()
        server.refuse_connections()
        server.accept_connections()
        self.assertEqual(before.leaks(0), [])

    def test_a_thread_that_is_being_started(self) -> None:
        """It cannot be joined yet, and counts as there."""
        before = Snapshot()
        young = threading.Thread(name="wssync-read-0")
        with mock.patch.object(threading, "enumerate", return_value=[young]):
            self.assertEqual(before.leaks(0), ["the thread wssync-read-0"])

    def test_a_thread_that_has_been_started_meanwhile(self) -> None:
        """It is joined as soon as it can be."""
        before = Snapshot()
        young = threading.Thread(name="wssync-read-0")
        joining = mock.patch.object(young, "join", side_effect=[RuntimeError("not started yet"), None])
        with mock.patch.object(threading, "enumerate", side_effect=[[young], []]), joining as join:
            self.assertEqual(before.leaks(PATIENCE), [])
        self.assertEqual(join.call_count, 2)

    def test_a_look_up_of_the_kit(self) -> None:
        """The proxy's resolver cannot be ended, as the library's own cannot."""
        before = Snapshot()
        busy = threading.Thread(name="wssync-testing-resolver-1")
        with mock.patch.object(threading, "enumerate", return_value=[busy]):
            self.assertEqual(before.leaks(0), [])

    def test_strange_classes(self) -> None:
        """A class need not say where it is from, or say it with a `str`."""
        self.assertFalse(module._is_ours(type("Strange", (), {"__module__": 7})))
        self.assertFalse(module._is_ours(type("Strange", (), {"__module__": "wssyncer.kit"})))
        self.assertTrue(module._is_ours(Waker))


if __name__ == "__main__":
    unittest.main()

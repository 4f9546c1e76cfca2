"""`fileno()`: loops of one's own that wait for a task, over the network, each with the call that it is made for."""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import os
import select
import selectors
import threading
import unittest
import unittest.mock
import warnings
from typing import Any, Callable, List, Optional

import wssync
from tests.protocol.wire import TEXT, frame
from tests.support import cases, with_cases
from tests.tasks import BAD_FRAME, HAS_TRUSTME, PATIENCE, OnlineTestCase, Running, needs_trustme, texts
from wssync.executors import QueueExecutor
from wssync.testing import ServerConnection, script
from wssync.testing.leaks import Snapshot
from wssync.transport import waiting

KINDS = cases(ws=(False, None), ws_deflate=(False, "deflate"), wss=(True, None), wss_deflate=(True, "deflate"))
"""Whether over TLS, and with which compression."""


def has(module: str) -> bool:
    """Whether a toolkit is installed."""
    return importlib.util.find_spec(module) is not None


def is_readable(task: wssync.WebSocketTask, patience: float = 0.0) -> bool:
    """A task is something that `select` takes."""
    return bool(select.select([task], [], [], patience)[0])


def is_open(number: int) -> bool:
    """Whether the number is a descriptor of this process."""
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def obey(connection: ServerConnection) -> None:
    """A server that sends what it is asked for."""
    while True:
        order, _, rest = str(connection.receive()).partition(" ")
        if order == "pings":
            for _ in range(20):
                connection.ping(b"x" * 100)
        elif order == "half":
            connection.send_raw(frame(TEXT, b"hello")[:4])
        elif order == "rest":
            connection.send_raw(frame(TEXT, b"hello")[4:])
        elif order == "large":
            connection.send("0123456789" * 100_000)
        elif order == "fragments":
            connection.send_fragments(["a"] * 50)
        elif order == "together":
            connection.send_raw(texts(*(b"%d" % number for number in range(int(rest)))))


class LoopTestCase(OnlineTestCase):
    """Loops as programs have them: each stops at the error that ends its task."""

    MESSAGES = 300

    def flood(self, connection: ServerConnection) -> None:
        """A server that sends so many numbered messages, of every size, and closes."""
        for number in range(self.MESSAGES):
            connection.send(f"{number} " + "x" * (number * 37 % 3000))
            if number % 10 == 0:
                connection.ping(b"between")
                connection.send_fragments([f"{number} ", "in ", "pieces"])

    def assertWhole(self, got: List[str]) -> None:
        """Each once, in order."""
        numbers: List[int] = []
        for number in range(self.MESSAGES):
            numbers += [number] * (2 if number % 10 == 0 else 1)
        self.assertEqual([int(message.split()[0]) for message in got], numbers)


@with_cases
class SelectTests(LoopTestCase):
    def opened(self, tls: bool, compression: Optional[str], handler: Any = obey) -> wssync.WebSocketTask:
        if tls and not HAS_TRUSTME:
            self.skipTest("trustme is not installed")
        return self.connect(self.serve(handler, tls=tls, compression=compression).url, compression=compression)

    @KINDS
    def test_a_loop(self, tls: bool, compression: Optional[str]) -> None:
        """`select` alone tells of messages: all come, and never was it readable for nothing."""
        task = self.opened(tls, compression, self.flood)
        got: List[str] = []
        with self.assertRaises(wssync.ConnectionClosed):
            while is_readable(task, PATIENCE):
                got.append(str(task.receive(timeout=0)))
        self.assertWhole(got)
        self.assertTrue(is_readable(task))

    @KINDS
    def test_what_is_no_message(self, tls: bool, compression: Optional[str]) -> None:
        """Pings, TLS's own records and half a frame: the socket is readable, and this is not."""
        task = self.opened(tls, compression)
        task.send("pings")
        task.send_ping(timeout=PATIENCE)  # its pong comes behind all of them
        self.assertFalse(is_readable(task))
        self.assertRaises(TimeoutError, task.receive, timeout=0)
        task.send("half")
        self._wait_for_half(task)
        self.assertFalse(is_readable(task))
        self.assertRaises(TimeoutError, task.receive, timeout=0)
        task.send("rest")
        self.assertTrue(is_readable(task, PATIENCE))
        self.assertEqual(task.receive(timeout=0), "hello")
        self.assertFalse(is_readable(task))

    def _wait_for_half(self, task: wssync.WebSocketTask) -> None:
        reader: Any = task._connection.reader
        pause = threading.Event()
        while reader._decoded[0].is_between:
            pause.wait(0.001)

    @KINDS
    def test_long_and_in_fragments_and_together(self, tls: bool, compression: Optional[str]) -> None:
        """A megabyte in a hundred records, fifty fragments, and a hundred messages of which one read knows."""
        task = self.opened(tls, compression)
        for order, count, size in (("large", 1, 1_000_000), ("fragments", 1, 50), ("together 100", 100, 190)):
            with self.subTest(order):
                task.send(order)
                got: List[str] = []
                for _ in range(count):
                    self.assertTrue(is_readable(task, PATIENCE))
                    got.append(str(task.receive(timeout=0)))
                self.assertEqual(sum(map(len, got)), size)
                self.assertFalse(is_readable(task))


class LoopTests(LoopTestCase):
    """The same with what else there is to wait with."""

    def looped(self) -> wssync.WebSocketTask:
        return self.connect(self.serve(self.flood).url)

    def drain(self, task: wssync.WebSocketTask, got: List[str]) -> bool:
        """What a callback does: one message; whether the task goes on."""
        try:
            got.append(str(task.receive(timeout=0)))
        except wssync.ConnectionClosed as error:
            # The task keeps it, and it the frames: a Tcl interpreter in them must not be collected by another thread.
            error.__traceback__ = None
            return False
        return True

    @unittest.skipUnless(hasattr(select, "poll"), "no poll here")
    def test_poll(self) -> None:
        """`select.poll`."""
        task = self.looped()
        got: List[str] = []
        poll = select.poll()
        poll.register(task, select.POLLIN)
        self.assertTrue(poll.poll(PATIENCE * 1000))
        while poll.poll(PATIENCE * 1000) and self.drain(task, got):
            pass
        self.assertWhole(got)

    def test_selectors(self) -> None:
        """`selectors`, several tasks at once, by the best that the system has."""
        tasks = [self.looped(), self.looped()]
        got: List[List[str]] = [[], []]
        with selectors.DefaultSelector() as selector:
            for task, mine in zip(tasks, got):
                selector.register(task, selectors.EVENT_READ, mine)
            while selector.get_map():
                found = selector.select(PATIENCE)
                self.assertTrue(found)
                for key, _ in found:
                    if not self.drain(key.fileobj, key.data):  # type: ignore[arg-type] # it is a task
                        selector.unregister(key.fileobj)
        for mine in got:
            self.assertWhole(mine)

    def test_asyncio(self) -> None:
        """`loop.add_reader`: messages arrive on the loop's thread, without another thread of one's own."""
        task = self.looped()
        got: List[str] = []

        async def main() -> None:
            loop = asyncio.get_running_loop()
            over = loop.create_future()

            def ready() -> None:
                if not self.drain(task, got):
                    loop.remove_reader(task)
                    over.set_result(None)

            loop.add_reader(task, ready)
            await asyncio.wait_for(over, PATIENCE)

        loop = asyncio.SelectorEventLoop()  # the one that watches descriptors, on Windows too
        try:
            loop.run_until_complete(main())
        finally:
            loop.close()
        self.assertWhole(got)

    @unittest.skipUnless(has("_tkinter") and os.name == "posix", "no Tk here, or none with file handlers")
    def test_tk(self) -> None:
        """Tk's `createfilehandler`, which needs no display."""
        import _tkinter

        task = self.looped()
        got: List[str] = []
        # Without `tkinter.Tk`, which is a circle: collected on another thread, its interpreter would end the process.
        interpreter: Any = _tkinter.create(None, "test", "Test", False, 1, False, False, None)
        over: List[bool] = []

        def ready(file: object, mask: int) -> None:
            if not self.drain(task, got):
                interpreter.deletefilehandler(task)
                over.append(True)

        interpreter.createfilehandler(task, _tkinter.READABLE, ready)
        while not over:
            interpreter.dooneevent(0)
        self.assertWhole(got)

    @unittest.skipUnless(has("gi"), "GLib's Python binding is not installed")
    def test_glib(self) -> None:
        """GLib's `unix_fd_add_full`."""
        from gi.repository import GLib  # type: ignore[import-not-found,import-untyped,unused-ignore]

        task = self.looped()
        got: List[str] = []
        loop = GLib.MainLoop()

        def ready(number: int, condition: object) -> bool:
            if self.drain(task, got):
                return True
            loop.quit()
            return False

        GLib.unix_fd_add_full(GLib.PRIORITY_DEFAULT, task.fileno(), GLib.IOCondition.IN, ready)
        loop.run()
        self.assertWhole(got)

    @unittest.skipUnless(has("PySide6") or has("PyQt6"), "Qt is not installed")
    def test_qt(self) -> None:
        """Qt's `QSocketNotifier`."""
        if has("PySide6"):
            from PySide6 import QtCore  # type: ignore[import-not-found,unused-ignore]
        else:
            from PyQt6 import QtCore  # type: ignore[import-not-found,no-redef,unused-ignore]

        task = self.looped()
        got: List[str] = []
        application: Any = QtCore.QCoreApplication.instance() or QtCore.QCoreApplication([])
        notifier = QtCore.QSocketNotifier(task.fileno(), QtCore.QSocketNotifier.Type.Read)

        def ready(*details: object) -> None:
            if not self.drain(task, got):
                notifier.setEnabled(False)
                application.quit()

        notifier.activated.connect(ready)
        application.exec()
        self.assertWhole(got)


class LifeTests(OnlineTestCase):
    def test_it_is_a_number_and_always_the_same(self) -> None:
        """From before the opening to after the end, from any thread."""
        task = self.session().websocket_task(self.serve(script(["hello"])).url)
        number = task.fileno()
        self.assertIsInstance(number, int)
        self.assertGreaterEqual(number, 0)
        self.assertFalse(is_readable(task), "never resumed")
        task.resume()
        self.assertTrue(is_readable(task, PATIENCE))
        self.assertEqual(task.receive(timeout=0), "hello")
        self.assertClosed(task)
        self.assertTrue(is_readable(task))
        self.assertEqual([Running(task.fileno).result(), task.fileno()], [number, number])

    def test_it_is_not_the_socket(self) -> None:
        """Whose bytes belong to the library."""
        task, _ = self.pair()
        stream = task._connection.stream
        assert stream is not None and stream.direct is not None
        self.assertNotEqual(task.fileno(), stream.direct.descriptor)

    def test_the_opening_fails(self) -> None:
        """Readable, and the receive raises why."""
        server = self.serve()
        server.close()
        task = self.session().websocket_task(server.url)
        self.assertFalse(is_readable(task))
        task.resume()
        self.assertTrue(is_readable(task, PATIENCE))
        with self.assertRaises(wssync.ConnectionFailed) as caught:
            task.receive(timeout=0)
        self.assertClosed(task, wssync.CloseCode.INVALID)
        self.assertIs(caught.exception, task.error)

    def test_each_end(self) -> None:
        """Whoever ends it, by whatever: readable, the messages first, then the error."""
        ends: List[Callable[[wssync.WebSocketTask, ServerConnection], object]] = [
            lambda task, peer: task.cancel(),
            lambda task, peer: task.close(timeout=0.01),
            lambda task, peer: peer.drop(),
            lambda task, peer: peer.abort(),
            lambda task, peer: peer.send_raw(frame(TEXT, b"x", fin=False) + BAD_FRAME),
        ]
        for end in ends:
            task, peer = self.pair()
            self.assertFalse(is_readable(task))
            end(task, peer)
            self.assertTrue(is_readable(task, PATIENCE))
            with self.assertRaises(wssync.WebSocketError):
                task.receive(timeout=0)
            with self.assertRaises(wssync.WebSocketError):
                task.receive(timeout=0)
            self.assertTrue(is_readable(task))

    def test_a_fault_behind_messages(self) -> None:
        """Readable for the messages, and then for the error, which the next receive raises at once."""
        task, peer = self.pair()
        peer.send_raw(texts(b"1", b"2") + BAD_FRAME)
        for message in ("1", "2"):
            self.assertTrue(is_readable(task, PATIENCE))
            self.assertEqual(task.receive(timeout=0), message)
        self.assertTrue(is_readable(task, PATIENCE))
        self.assertRaises(wssync.ProtocolError, task.receive, timeout=0)
        self.assertClosed(task, 1002)

    def test_suspended(self) -> None:
        """Not readable while nothing is received."""
        task, peer = self.pair()
        peer.send("one")
        self.assertTrue(is_readable(task, PATIENCE))
        task.suspend()
        self.assertFalse(is_readable(task))
        self.assertRaises(TimeoutError, task.receive, timeout=0)
        task.resume()
        self.assertTrue(is_readable(task, PATIENCE))
        self.assertEqual(task.receive(timeout=0), "one")

    def test_reading_stops_at_the_limit(self) -> None:
        """Rule 123: `max_queue` holds for those who watch too."""
        task, peer = self.pair(max_queue=(2, None))

        def send() -> None:
            for _ in range(300):
                peer.send("x" * 100_000)

        sending = Running(send)
        self.assertTrue(is_readable(task, PATIENCE))
        inbox = task._connection.inbox
        pause = threading.Event()
        while not inbox.paused:
            pause.wait(0.001)
        self.assertLessEqual(inbox.unread, 2 + 1)
        for _ in range(300):
            self.assertTrue(is_readable(task, PATIENCE))
            task.receive(timeout=0)
        sending.result()

    def test_beside_handlers(self) -> None:
        """Receives with handlers come first; what nobody has asked for is shown."""
        executor = QueueExecutor()
        task, peer = self.pair(executor=executor)
        got: List[object] = []
        task.receive(lambda result: got.append(result.get()))
        self.assertFalse(is_readable(task))
        peer.send_raw(texts(b"1", b"2"))
        self.assertTrue(is_readable(task, PATIENCE))
        self.assertEqual(task.receive(timeout=0), "2")
        executor.run_pending()
        self.assertEqual(got, ["1"])

    def test_it_is_closed_with_the_task_and_not_before(self) -> None:
        """A number that is still watched must not become another file's."""
        session = self.session()
        task: Any = session.websocket_task(self.serve(script([])).url)
        number = task.fileno()
        task.resume()
        self.assertClosed(task)
        task._join()
        self.assertTrue(is_open(number))
        while session.tasks:
            self.assertTrue(is_readable(task))
        self.assertTrue(is_open(number))
        del task
        gc.collect()
        self.assertFalse(is_open(number))

    def test_a_task_that_is_kept_is_no_leak(self) -> None:
        """Its descriptor is meant to be there, of either kind; `WebSocketTestCase` does not complain."""
        server = self.serve(script([]))
        for new in {waiting._new_eventfd, None}:
            with self.subTest(new), unittest.mock.patch.object(waiting, "_new_eventfd", new):
                before = Snapshot()
                task = self.connect(server.url)
                task.fileno()
                self.assertClosed(task)
                task._join()
                self.assertEqual(before.leaks(PATIENCE), [])
                self.assertTrue(is_readable(task))

    @needs_trustme
    def test_nothing_is_asked_of_the_network(self) -> None:
        """What one read has brought is shown without another: the socket says nothing of it."""
        server = self.serve(obey, tls=True, compression=None)
        task = self.connect(server.url)
        task.send("together 10")
        self.assertEqual(task.receive(timeout=PATIENCE), "0")
        task.suspend()
        task.resume()
        for number in range(1, 10):
            self.assertTrue(is_readable(task, PATIENCE))
            self.assertEqual(task.receive(timeout=0), str(number))
        self.assertFalse(is_readable(task))


@unittest.skipUnless(hasattr(os, "fork"), "no fork here")
class ForkTests(OnlineTestCase):
    """The child's copy is closed; an eventfd is one for both processes, so nothing may be written to it there."""

    def in_child(self, check: Callable[[], None]) -> None:
        """Run `check` in a child process, which must succeed."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads is what is tried here
            pid = os.fork()
        if not pid:  # pragma: no cover (coverage does not see this process)
            status = 1
            try:
                check()
                status = 0
            finally:
                os._exit(status)
        self.assertEqual(Running(lambda: os.waitpid(pid, 0)).result()[1], 0, "the child failed")

    def test_an_open_task(self) -> None:
        """In the child it has ended, and what it is asked for there is a descriptor that says so."""
        task, peer = self.pair()
        number = task.fileno()

        def check() -> None:
            assert not is_open(number)
            task.cancel()
            assert is_readable(task)
            try:
                task.receive(timeout=0)
            except wssync.ConnectionClosed:
                return
            raise AssertionError

        self.in_child(check)
        self.assertFalse(is_readable(task))
        self.assertEqual(task.fileno(), number)
        peer.send("mine")
        self.assertTrue(is_readable(task, PATIENCE))
        self.assertEqual(task.receive(timeout=0), "mine")

    def test_a_task_that_was_never_resumed(self) -> None:
        """It belongs to both processes, its descriptor to one."""
        task = self.session().websocket_task(self.serve(script(["hello"])).url)
        number = task.fileno()

        def check() -> None:
            assert not is_open(number)
            assert not is_readable(task)
            task.cancel()
            assert is_readable(task)

        self.in_child(check)
        self.assertFalse(is_readable(task))
        task.resume()
        self.assertTrue(is_readable(task, PATIENCE))
        self.assertEqual(task.receive(timeout=0), "hello")

"""Receives that read by themselves, many threads of them, struck by exceptions out of nowhere.

An exception that one thread sets in another (`PyThreadState_SetAsyncExc`) comes as soon as that thread runs Python
again: for one that waits in the kernel this is straight after the bytes have come, which is where most could be lost.
"""

from __future__ import annotations

import collections
import ctypes
import random
import threading
import time
from itertools import chain
from typing import Any, Callable, Counter, List, Optional

import wssync
from tests.stress.notes import is_free
from tests.threads import PATIENCE
from wssync.testing import Server, ServerConnection

__all__ = ["Hit", "Round"]


LENGTHS = (0, 0, 10, 200, 5000)
"""Of what follows the number of a message."""

MOMENT = 2.0
"""Seconds for the last callbacks to run, where they can."""

UNKNOWABLE = ("sending was interrupted", "an exception hit the decryption")
"""How a connection may end that was struck where it cannot be known what was done: in TLS, in a joined write."""


class Hit(BaseException):
    """What strikes."""


class Target:
    """A thread that receives until the task has ended, whatever strikes it."""

    def __init__(self, task: wssync.WebSocketTask, timeout: Optional[Callable[[], float]]) -> None:
        self.messages: List[Any] = []
        self.hits = 0
        self.error: Optional[BaseException] = None
        self._task = task
        self._timeout = timeout
        self._begun = 0
        self._is_open = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def hit(self) -> None:
        """Strike, if it has recovered from the last time."""
        if self._is_open and self._begun == self.hits and self.thread.ident is not None:
            self._begun += 1
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self.thread.ident), ctypes.py_object(Hit))

    def _receive(self, _: None) -> Any:
        return self._task.receive() if self._timeout is None else self._task.receive(timeout=self._timeout())

    def _run(self) -> None:
        while self.error is None:  # a hit that comes late may end the thread here, with all that counts done
            try:
                self._live()
            except Hit:
                self.hits = self._begun

    def _live(self) -> None:
        """Receive until it ends, or until something strikes."""
        try:
            self._is_open = True
            while True:
                try:
                    self.messages.extend(map(self._receive, (None,)))
                except TimeoutError:
                    pass
        except wssync.WebSocketError as error:
            self.error = error
        finally:
            self._is_open = False


class Round:
    """One connection, with two threads that receive, handlers, a sender, and something that ends it all."""

    def __init__(self, seed: int, *, tls: bool, seconds: float) -> None:
        self._choose = random.Random(seed)
        self._tls = tls
        self._seconds = seconds
        self._stop = threading.Event()
        self._sent = 0
        self._told = threading.Event()
        self.findings: List[str] = []
        self.received = self.lost = self.hits = 0

    def run(self, server: Server, context: Any) -> None:
        """Play it; `findings` tells what must not be."""
        choose = self._choose
        configuration = wssync.SessionConfiguration.ephemeral().replace(
            ssl_context=context,
            compression=choose.choice((None, "deflate")),
            max_queue=choose.choice(((16, None), None)),
        )
        task = wssync.connect(server.url, configuration=configuration, timeout=PATIENCE)
        handled: List[Any] = []
        targets = [Target(task, None), Target(task, lambda: choose.choice((0.0002, 0.001, 0.05)))]
        if choose.random() < 0.5:
            self._chain(task, handled)
        else:
            self._told.set()
        sender = threading.Thread(target=self._send, args=(task,), daemon=True)
        sender.start()
        end = choose.choice(("peer", "peer", "close", "cancel"))
        until = time.monotonic() + self._seconds
        while time.monotonic() < until:
            choose.choice(targets).hit()
            self._stop.wait(choose.uniform(0.0002, 0.003))
        self._stop.set()
        if end != "peer":
            getattr(task, end)()
        threads = [sender, *(target.thread for target in targets)]
        for thread in threads:
            thread.join(PATIENCE)
            if thread.is_alive():
                self.findings.append("a thread hangs")
                task.cancel()
        task.close()
        # The last message may still be on its way to its handler. Not all handlers hear of the end: a hit inside
        # `concurrent.futures` may leave the lock of a future held, at which the executor's thread then waits for ever.
        if not self._told.wait(MOMENT) and not task._connection.strand._busy.locked():
            self.findings.append("a handler never heard of the end")
        self._judge(task, targets, handled, whole=end == "peer")

    def pour(self, connection: ServerConnection) -> None:
        """The peer: numbered messages of all kinds, alone and in bursts, until it is told to stop."""
        choose = random.Random(self._choose.random())
        drain = threading.Thread(target=self._drain, args=(connection,), daemon=True)
        drain.start()
        try:
            while not self._stop.is_set():
                for _ in range(choose.choice((1, 1, 1, 2, 20))):
                    text = f"{self._sent} " + "x" * choose.choice(LENGTHS)
                    connection.send(text if choose.random() < 0.7 else text.encode())
                    self._sent += 1
                if choose.random() < 0.1:
                    connection.ping(b"?")
                self._stop.wait(choose.choice((0, 0, 0.0001, 0.001)))
            connection.close(1000)
        except (wssync.ConnectionClosed, OSError):
            pass

    def _drain(self, connection: ServerConnection) -> None:
        try:
            while True:
                connection.receive()
        except (wssync.ConnectionClosed, OSError):
            pass

    def _chain(self, task: wssync.WebSocketTask, handled: List[Any]) -> None:
        def handle(result: wssync.Result) -> None:
            if result.message is not None:
                handled.append(result.message)
                task.receive(handle)
            else:
                self._told.set()

        task.receive(handle)

    def _send(self, task: wssync.WebSocketTask) -> None:
        try:
            while not self._stop.wait(0.0005):
                task.send("x" * self._choose.choice((1, 100, 70_000)))
        except wssync.WebSocketError:
            pass

    def _judge(self, task: wssync.WebSocketTask, targets: List[Target], handled: List[Any], *, whole: bool) -> None:
        numbers: Counter[int] = collections.Counter()
        for message in chain(handled, *(target.messages for target in targets)):
            number, _, rest = (message if isinstance(message, str) else message.decode()).partition(" ")
            if number.isdigit() and len(rest) in LENGTHS and not rest.strip("x"):
                numbers[int(number)] += 1
            else:
                self.findings.append(f"not as it was sent: {number[:20]!r}, and {len(rest)} characters")
        self.received = len(numbers)
        self.hits = sum(target.hits for target in targets)
        doubled = [number for number, count in numbers.items() if count > 1]
        if doubled:
            self.findings.append(f"received twice: {doubled}")
        if whole and task.error is None:
            self.lost = self._sent - len(numbers)
            if self.lost > self.hits:
                self.findings.append(f"{self.lost} lost by {self.hits} hits")
        elif whole and not any(text in str(task.error) for text in UNKNOWABLE):
            self.findings.append(f"it ended with {task.error!r}")
        if any(target.error is None for target in targets):
            self.findings.append("a receive never heard of the end")
        connection = task._connection
        if not connection.outbox.role.attempt(lambda: None) or not is_free(connection.mutex):
            self.findings.append("a role or the mutex is held")

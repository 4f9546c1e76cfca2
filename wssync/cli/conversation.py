"""One conversation: the main thread sends what it is given, a handler on the executor shows what comes.

When the input is over, the order of the last steps decides whether anything is lost. A ping goes out behind the last
message; its pong stands behind everything the server had to say to that, and its handler runs when all of it has been
shown. Only then comes the Close, after which the library keeps just what its buffer holds.
"""

from __future__ import annotations

import threading
from typing import Callable, NamedTuple, Optional, Union

import wssync

from .console import wait_for

__all__ = ["Conversation", "Problem", "Status"]

HASTE = 1.0
"""Seconds for the closing handshake when nobody wants the rest."""

STALL = 2.0
"""Seconds of complete silence after which a server does not answer our ping, though it should."""


class Status:
    """The exit statuses."""

    CLEAN = 0
    FAILED = 1
    USAGE = 2
    INTERRUPTED = 130


class Problem(NamedTuple):
    """Why the command ends with another status than 0."""

    status: int
    text: str


class Conversation:
    """What both forms have in common; `converse` is what makes them differ.

    `show` writes one message and may raise OSError: then nobody reads any more, and the conversation is over.
    """

    def __init__(
        self, task: wssync.WebSocketTask, show: Callable[[Union[str, bytes]], None], *, wait: float = 0.0
    ) -> None:
        self.problem: Optional[Problem] = None
        self.output_error: Optional[OSError] = None
        self.over = threading.Event()
        self._task = task
        self._show = show
        self._wait = wait
        self._sent = False
        self._shown = 0
        self._showing = False
        self._last = threading.Event()

    def run(self) -> None:
        """Talk until the input or the connection ends, close, and return when everything has been shown."""
        with self._task:
            self._task.receive_each(self._receive)
            self.converse()
            if not self.over.is_set() and self._sent:
                self._catch_up()
            if self._wait:
                wait_for(self.over, self._wait)
            if self.output_error is not None:
                self._task.close(timeout=HASTE)
        wait_for(self._last)

    def converse(self) -> None:
        """Send the input with `send`; return at its end, or soon after `wake` was called."""
        raise NotImplementedError

    def wake(self) -> None:
        """The conversation is over; called on the executor."""
        raise NotImplementedError

    def send(self, message: Union[str, bytes]) -> bool:
        """Send a message, blocking; false if the connection has ended. ValueError for text that is none."""
        try:
            self._task.send(message)
        except wssync.WebSocketError:
            self.problem = Problem(Status.FAILED, "the connection was closed before everything was sent")
            return False
        self._sent = True
        return True

    def _receive(self, result: wssync.Result) -> None:
        """On the executor: every message, and at last the error that ended the task."""
        if result.message is None:
            self._last.set()
            self._finish()
        elif self.output_error is None:
            self._showing = True
            try:
                self._show(result.message)
            except OSError as error:
                self.output_error = error
                self._finish()
            self._shown += 1
            self._showing = False

    def _finish(self) -> None:
        self.over.set()
        self.wake()

    def _catch_up(self) -> None:
        """Wait for the pong behind everything; not when nothing moves, but as long as it takes while something does."""
        answered = threading.Event()
        self._task.send_ping(lambda error: answered.set())
        while True:
            shown = self._shown
            if wait_for(answered, STALL) or (shown == self._shown and not self._showing):
                return

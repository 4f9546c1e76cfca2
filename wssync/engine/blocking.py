"""The blocking calls: what a caller does until its answer is there, or its own time is over.

The fourth chapter of a connection (see `connection`). A call's own timeout raises the builtin `TimeoutError` and leaves
the connection as it is; an interrupt (Ctrl-C) takes back what was asked for.
"""

from __future__ import annotations

import functools
import threading

from ..hints import TYPE_CHECKING, Any, Callable, Optional, TypeVar, Union
from ..transport.clock import real_now
from .calls import Calls
from .completions import Completion, Latch, Message, Waiter, wait_within
from .state import Phase

if TYPE_CHECKING:
    from ..transport.clock import Clock
    from .outgoing import Message as Outgoing

__all__ = ["Blocking", "answer", "wait_or_withdraw"]

T = TypeVar("T")

SOON = 1.0
"""Seconds for the engine thread to end what has a cause. It takes a thousandth, for nothing of that waits for the
network; only a user's `trace` hook could hold it up.
"""


class Blocking(Calls):
    """Sending and receiving, waited for."""

    __slots__ = ()

    def await_opening(self, call: str, timeout: Optional[float]) -> Optional[float]:
        """Before a blocking `call`: on the executor's own thread wait until the connection is open, and return what is
        left of the timeout; on any other return at once, and where nothing is to be waited for.

        RuntimeError as soon as the opening asks a delegate: its answer could only come when this thread is done.
        """
        if self.phase is not Phase.OPENING or timeout == 0 or not self.strand.is_current():
            return timeout
        until = None if timeout is None else self.clock.now() + timeout
        left, latch = timeout, self._stand_by(call)
        while latch is not None:
            try:
                if left is None:
                    wait_within(latch, None)
                else:
                    self.clock.wait(functools.partial(wait_within, latch), left)
            finally:
                self._stand_down(latch)
            left = None if until is None else max(0.0, until - self.clock.now())
            latch = None if left == 0.0 else self._stand_by(call)
        return left

    def _stand_by(self, call: str) -> Optional[Latch]:
        """What is set when the opening is to be looked at again; `None` if it is over."""
        with self.mutex:
            if self.phase is not Phase.OPENING:
                return None
            if self.asking:
                raise RuntimeError(
                    f"{call}() would wait for itself: the opening waits for a delegate's answer, which cannot come "
                    "before the executor's thread is free"
                )
            latch = Latch()
            self.impatient = (*self.impatient, latch)
            return latch

    def _stand_down(self, latch: Latch) -> None:
        """It waits no more."""
        with self.mutex:
            self.impatient = tuple(other for other in self.impatient if other is not latch)

    def wait_until_sent(self, message: Outgoing, timeout: Optional[float]) -> None:
        """Block until the message was handed to the operating system; raises the error if it is not to be.

        Where this thread `is_within`, it is not waited for: it leaves as soon as the call that was interrupted goes on.
        """
        waiter = message.completion
        assert isinstance(waiter, Waiter)
        if self.is_within and not waiter.done:
            return
        try:
            timeout = self.await_opening("send", timeout)
        except BaseException as error:  # if it was sent all the same, that is what is told
            if self.withdraw_send(message) or not isinstance(error, RuntimeError):
                raise
        if wait_or_withdraw(self.clock, waiter, timeout, lambda: self.withdraw_send(message)):
            raise TimeoutError(f"the message was not sent within {timeout} seconds; it was withdrawn")
        if not waiter.done:
            raise TimeoutError(f"the message was not sent within {timeout} seconds; it has begun and still goes out")
        answer(waiter)

    def receive_now(self) -> Message:
        """The next message, if it is here or one read without waiting brings it."""
        message, reader = self.take(), self.reader
        if message is None and reader is not None:
            reader.read_now()
            message = self.take()
        if message is None and self.cause is not None and self._await_end():
            message = self.take()
        if message is None:
            raise TimeoutError("no message is there now")
        return message

    def _await_end(self) -> bool:
        """The end has a cause, as when `take` has come to a fault: it is awaited, so that the receive which came to it
        raises it, with all that a task shows of its end. False where this thread is in the way of the end.
        """
        if self.is_within or self.thread in (None, threading.current_thread()):
            return False
        return self.ended.wait(SOON)

    def receive_at_once(self, seconds: Optional[float]) -> Union[Message, Waiter[Message], None]:
        """Take the next message, or wait for it here, `seconds` at most, if no receive is before it.

        `None`, or a `Waiter` that stands in the row already: there is no message by then, and the caller queues up.
        """
        express = self.inbox.express
        if express:
            try:
                return express.popleft()
            except IndexError:
                pass  # another caller was quicker
        reader = self.reader
        return None if express is None or reader is None else reader.borrow(seconds)

    def receive_within(self, timeout: float) -> Message:
        """Block for the next message: here, if that can be, and for what is left of the time in the row."""
        message = self.take_first() if self.inbox.express is None else None
        if message is not None:
            return message
        self.refuse_inside("receive")
        until = self.clock.now() + timeout
        got: Union[Message, Waiter[Message], None] = None

        def attempt(seconds: float) -> bool:
            nonlocal got
            end = real_now() + seconds
            got = self.receive_at_once(seconds)
            return got is not None or real_now() < end  # before the time is over: somebody is before us

        self.clock.wait(attempt, timeout)
        if got is None or isinstance(got, Waiter):
            return self.receive_in_turn(got, max(0.0, until - self.clock.now()), timeout)
        return got

    def receive_in_turn(
        self, queued: Optional[Waiter[Message]], left: Optional[float], timeout: Optional[float]
    ) -> Message:
        """Block in the row of all receives, where `queued` stands already, as long as is `left` of the `timeout`."""
        waiter: Waiter[Message] = queued or Waiter()
        if queued is None:
            self.refuse_within("receive")
        try:
            if queued is None:
                self.receive(waiter)
            left = self.await_opening("receive", left)
            withdrawn = wait_or_withdraw(self.clock, waiter, left, lambda: self.withdraw_receive(waiter))
        except BaseException:  # it must not stay in the row, where it would take a message that nobody gets
            if not self.withdraw_receive(waiter) and waiter.value is not None:
                self.put_back(waiter.value)
            raise
        if withdrawn:
            raise TimeoutError(f"no message came within {timeout} seconds")
        message = answer(waiter)
        assert message is not None
        return message


def wait_or_withdraw(clock: Clock, waiter: Waiter[Any], timeout: Optional[float], withdraw: Callable[[], bool]) -> bool:
    """Wait for the answer; true if it did not come and the request was withdrawn. An interrupt withdraws it too."""
    try:
        if timeout is None:
            waiter.wait(None)
        else:
            clock.wait(waiter.wait, timeout)
    except BaseException:
        withdraw()
        raise
    return not waiter.done and withdraw()


def answer(completion: Completion[T]) -> Optional[T]:
    """What was answered; raises the error if that is it."""
    if completion.error is not None:
        raise completion.error.with_traceback(None)
    return completion.value

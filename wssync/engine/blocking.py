"""The blocking calls: what a caller does until its answer is there, or its own time is over.

The fourth chapter of a connection (see `connection`). A call's own timeout raises the builtin `TimeoutError` and leaves
the connection as it is; an interrupt (Ctrl-C) takes back what was asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar, Union

from ..transport.clock import real_now
from .completions import Completion, Message, Waiter
from .express import Express

if TYPE_CHECKING:
    from ..transport.clock import Clock
    from .outgoing import Message as Outgoing

__all__ = ["Blocking", "answer", "wait_or_withdraw"]

T = TypeVar("T")


class Blocking(Express):
    """Sending and receiving, waited for."""

    __slots__ = ()

    def wait_until_sent(self, message: Outgoing, timeout: Optional[float]) -> None:
        """Block until the message was handed to the operating system; raises the error if it is not to be."""
        waiter = message.completion
        assert isinstance(waiter, Waiter)
        if wait_or_withdraw(self.clock, waiter, timeout, lambda: self.withdraw_send(message)):
            raise TimeoutError(f"the message was not sent within {timeout} seconds; it was withdrawn")
        if not waiter.done:
            raise TimeoutError(f"the message was not sent within {timeout} seconds; it has begun and still goes out")
        answer(waiter)

    def receive_now(self) -> Message:
        """The next message, if it is here or one read without waiting brings it."""
        message = self.take()
        if message is None and self.reader is not None:
            self.reader.read_now()
            message = self.take()
        if message is None:
            raise TimeoutError("no message is there now")
        return message

    def receive_within(self, timeout: float) -> Message:
        """Block for the next message: here, if that can be, and for what is left of the time in the row."""
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
        try:
            if queued is None:
                self.receive(waiter)
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

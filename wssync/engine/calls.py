"""What a task asks of its connection: to send, to ping, to receive. Any thread may make these calls.

The third chapter of a connection (see `connection`). Each call queues what it asks for under the mutex and then, with
no lock held, writes what can be written at once and starts the handlers whose answers are there.
"""

from __future__ import annotations

import functools

from ..errors import SendQueueFull
from ..hints import TYPE_CHECKING, Any, Callable, Optional, Tuple
from ..strand import call
from .changes import Changes
from .completions import Completion, Message, Result
from .heartbeat import Ping
from .outbox import Message as Outgoing

if TYPE_CHECKING:
    from ..errors import WebSocketError
    from ..protocol.frames import Opcode
    from .readiness import Readiness

__all__ = ["Calls"]

PROMPT = 65_536
"""Bytes of a message that a caller with a handler writes itself: a GUI thread must not compress megabytes."""


class Calls(Changes):
    """Sending and receiving."""

    __slots__ = ()

    def _expect(self, completion: Completion[Any]) -> None:
        if not completion.blocking:
            self.strand.expect()

    # -- sending -------------------------------------------------------------------------------------------------------

    def send(self, opcode: Opcode, payload: bytes, completion: Completion[None]) -> Outgoing:
        """Queue a message and write what the kernel takes at once."""
        message = Outgoing(opcode, payload, completion)
        self._expect(completion)
        self.change(functools.partial(self._queue, message))
        if completion.blocking:
            self.flush(completion)
        elif message.size <= PROMPT:
            self.flush()
        else:
            self.wake()
            self.kick()
        return message

    def _queue(self, message: Outgoing) -> None:
        error = self.refusal()
        if error is None and self._is_over_limit(message.completion):
            error = SendQueueFull(f"{self.outbox.queued} bytes wait to be sent (write_limit)", url=self.url)
        if error is not None:
            message.completion.resolve(self.strand, error=error)
        elif self.cause is not None:
            self.outbox.append_too_late(message)
        else:
            self.outbox.append(message)

    def _is_over_limit(self, completion: Completion[None]) -> bool:
        if self.cause is not None or self.outbox.queued < self.configuration.write_limit:
            return False
        return self._holds_role or not completion.blocking  # nobody waits for it

    def withdraw_send(self, message: Outgoing) -> bool:
        """Take a message back that has not begun to leave."""
        with self.mutex:
            return self.outbox.withdraw(message)

    def ping(self, payload: Optional[bytes], completion: Completion[float]) -> Optional[Ping]:
        """Send a ping; its completion gets the round trip in seconds. `None` if it is made later, or not at all."""
        self._expect(completion)
        ping = self.change(functools.partial(self._ping, payload, completion))
        self.flush()
        return ping

    def _ping(self, payload: Optional[bytes], completion: Completion[float]) -> Optional[Ping]:
        error = self.refusal()
        if error is not None:
            completion.resolve(self.strand, error=error)
            return None
        ping = self.heartbeat.ping(payload, completion)
        if self.cause is None:
            self.outbox.ping(ping)
        self.after_demand()
        return ping

    def withdraw_ping(self, ping: Optional[Ping]) -> bool:
        """Stop waiting for a pong."""
        with self.mutex:
            return ping is not None and self.heartbeat.withdraw(ping)

    def pong(self, payload: bytes) -> None:
        """Send a pong that nobody asked for; raises when nothing can be sent any more."""
        error = self.change(functools.partial(self._pong, payload))
        if error is not None:
            raise error.with_traceback(None)
        self.flush()

    def _pong(self, payload: bytes) -> Optional[WebSocketError]:
        error = self.refusal() or self.cause
        if error is None:
            self.outbox.pong(payload)
        return error

    # -- receiving -----------------------------------------------------------------------------------------------------

    def receive(self, completion: Completion[Message]) -> None:
        """Ask for the next message."""
        self._expect(completion)
        self._ask(self.inbox.receive, completion, self.strand)

    def receive_each(self, handler: Callable[[Result], object]) -> None:
        """Ask for every message, and for the error at the end."""
        self.strand.expect()
        self._ask(self.inbox.receive_each, handler, self._ran_low, self.strand)

    def _ask(self, ask: Callable[..., object], *details: object) -> None:
        self.change(functools.partial(self._ask_now, ask, details))
        self.kick()

    def _ask_now(self, ask: Callable[..., object], details: Tuple[object, ...]) -> None:
        ask(*details)
        self.after_demand()

    def deliver(self, handler: Callable[[Result], object]) -> Callable[[Completion[Message]], None]:
        """Wrap the handler of one receive: what runs on the executor when it is answered."""
        return lambda completion: self._run(handler, Result(completion.value, completion.error))

    def _run(self, handler: Callable[[Result], object], result: Result) -> None:
        try:
            call(handler, result)
        finally:
            if result.message is not None:
                self._returned()

    def _ran_low(self) -> None:
        """Few messages are left on the executor: if somebody waits for that, they are looked at."""
        if self.inbox.paused or self.inbox.fault is not None:
            with self.mutex:
                self.after_demand()

    def _returned(self) -> None:
        """A handler has returned from a message, which makes room for another."""
        with self.mutex:
            self.inbox.returned()
            self.after_demand()

    def take_first(self) -> Optional[Message]:
        """The next message where the short way is closed, though nobody is before the caller; `None`: by another way.

        As long as plenty is left, reading waits as before, and nothing else is to be done: see `State.after_demand`.
        """
        inbox, message = self.inbox, None
        self.refuse_inside("receive")
        try:
            with self.mutex:
                ready = inbox.guarded
                if ready:
                    message = ready[0]
                    del ready[0]  # no call from the line before to here
                    if self.stands_aside or len(ready) < inbox.plenty:
                        self._after_taking(message)
            if self.late:
                self.make_late_changes()
        except BaseException:
            if message is not None:
                self.put_back(message)
            raise
        return message

    def _after_taking(self, message: Message) -> None:
        """There may be room again, or nothing left."""
        inbox = self.inbox
        if inbox.readiness is not None:
            inbox.readiness.show(inbox.has_answer)
        self.after_demand(message)

    def take(self) -> Optional[Message]:
        """The next unread message, or `None` if there is none now; raises the error once the messages are over."""
        express = self.inbox.express
        if express is None:
            message = self.take_first()
            if message is not None:
                return message
        elif express:
            try:
                return express.popleft()
            except IndexError:
                pass  # another caller was quicker
        self.refuse_inside("receive")
        with self.mutex:
            self.inbox.refuse_beside_each()
            message = self.inbox.take()
            if message is None and self.inbox.fault_is_next:
                self.fail(self.inbox.fault)
            self.after_demand()
            error = self.verdict
        if self.late:
            self.make_late_changes()
        if message is None and error is not None:
            raise error.with_traceback(None)
        return message

    def watch(self) -> Readiness:
        """What is readable whenever `take` would return a message or raise; made when it is first asked for.

        OSError if the process has no descriptor left to give.
        """
        from .readiness import Readiness

        self.refuse_inside("fileno")
        made = Readiness()  # before the mutex is held: a pair of sockets takes its time on Windows
        return self.change(functools.partial(self._watch, made)) or made

    def _watch(self, made: Readiness) -> Readiness:
        inbox = self.inbox
        readiness = inbox.readiness
        if readiness is None or readiness.fileno() < 0:
            readiness = inbox.readiness = made
            inbox.match(self.strand)
            self.after_demand()
        return readiness

    def withdraw_receive(self, completion: Completion[Message]) -> bool:
        """A blocked caller gave up; `False` if its message has come meanwhile."""
        with self.mutex:
            return self.inbox.withdraw(completion)

    def put_back(self, message: Message) -> None:
        """A blocked caller was interrupted after its message had come: it is the next one again."""
        with self.mutex:
            self.inbox.put_back(message, self.strand)
        self.strand.kick()

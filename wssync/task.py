"""A task: one WebSocket connection, from its request to its end (Apple: `URLSessionWebSocketTask`).

A task is made suspended by `Session.websocket_task()` and starts with `resume()`. Its states are Apple's four:

| state | what it means | what calls do |
| --- | --- | --- |
| SUSPENDED | never resumed, or suspended again | handlers are queued; blocking calls raise if it was never resumed |
| RUNNING | opening, or open | what is asked for before the opening is done runs after it, in order |
| CANCELING | it ends: `cancel`, `close`, a Close or a fault of the peer | sends fail, receives still get what arrives |
| COMPLETED | it has ended; `error` says why | unread messages can be received, then the error comes |

Every call may be made from any thread, also inside a handler. With a completion handler a call returns at once, and the
handler runs later on the session's executor: exactly once, in the order of the events, never two of one task at a time.
Without one the call blocks, and never waits for the executor.

`close()` is graceful: queued messages go out, then a Close frame; messages still in flight are received. `cancel()` is
abrupt: what was not sent or not read is dropped.
"""

from __future__ import annotations

import threading

from .engine.accelerated import shorten
from .engine.blocking import answer, wait_or_withdraw
from .engine.borrowed import BorrowedReader
from .engine.completions import Handler, Latch, Message, Result, ThreadEnd, Waiter, wait_within
from .engine.goodbye import remember_fork
from .engine.inbox import Inbox
from .engine.outgoing import Outgoing
from .engine.state import Phase, State
from .errors import ConnectionClosed, WebSocketError
from .hints import TYPE_CHECKING, Any, Callable, Iterator, Optional, Tuple, Type, Union, overload
from .protocol.closing import CloseCode, encode_close
from .protocol.frames import MAX_CONTROL_PAYLOAD, Opcode
from .session_task import SessionTask
from .transport.clock import Clock

if TYPE_CHECKING:
    import types

    from .engine.completions import Event
    from .engine.connection import Connection

__all__ = ["WebSocketTask"]

Data = Union[str, bytes, bytearray, memoryview]

QUIET_CODES = (CloseCode.NORMAL_CLOSURE, CloseCode.GOING_AWAY, CloseCode.NO_STATUS_RECEIVED)
"""How a conversation ends when nothing went wrong: iterating over the messages just stops."""

_WHOLE_TEXT, _WHOLE_BINARY = 0x80 | Opcode.TEXT, 0x80 | Opcode.BINARY  # first bytes of a frame that is a message

HASTE = 1.0
"""Seconds for a goodbye when the program is being stopped."""


class WebSocketTask(SessionTask):
    """One WebSocket connection (Apple: `URLSessionWebSocketTask`). Made by `Session.websocket_task()` or
    `wssync.connect()`.

    As a context manager it closes itself: with 1000, with 1011 when the block ends in an exception, with 1001 and at
    most one second of waiting when the program is being stopped. Iterating over it gives the messages.
    """

    # -- sending -------------------------------------------------------------------------------------------------------

    @overload
    def send(self, message: Data, completion_handler: None = None, *, timeout: Optional[float] = None) -> None: ...
    @overload
    def send(self, message: Data, completion_handler: Callable[[Optional[WebSocketError]], object]) -> None: ...

    def send(
        self,
        message: Data,
        completion_handler: Optional[Callable[[Optional[WebSocketError]], object]] = None,
        *,
        timeout: Optional[float] = None,
    ) -> None:
        """Send one message: a `str` as text, bytes or any contiguous buffer as binary (RFC 6455 section 5.6).

        Without a handler it blocks until the message was handed to the operating system, or raises why not. After
        `timeout` seconds it raises `TimeoutError`, which says whether the message was withdrawn or, having begun to
        leave, still goes out whole. With a handler it returns at once, and `completion_handler(error_or_None)` is
        called later; `SendQueueFull` when `write_limit` bytes wait already. Neither does it block in a signal handler
        that interrupted a call of this task in the same thread: what could not leave at once leaves when that goes on.

        `TypeError` for another type, `ValueError` for a `str` with lone surrogates: nothing is sent then.
        """
        first, payload = (_WHOLE_BINARY, message) if type(message) is bytes else _encode(message)
        if timeout is not None or completion_handler is not None:
            _check_timeout(timeout, completion_handler)
        connection = self._connection
        if completion_handler is not None:
            handler = completion_handler
            connection.send(Opcode(first & 0x0F), payload, Handler(lambda completion: handler(completion.error)))
            return
        express = connection.outbox.express
        sent = express is not None and express.send_at_once(first, payload)
        if sent is not True:
            _refuse_fresh(connection, "send")
            connection.wait_until_sent(sent or connection.send(Opcode(first & 0x0F), payload, Waiter()), timeout)

    def send_ping(
        self,
        pong_receive_handler: Optional[Callable[[Optional[WebSocketError]], object]] = None,
        *,
        payload: Optional[bytes] = None,
        timeout: Optional[float] = None,
    ) -> Optional[float]:
        """Send a ping (RFC 6455 section 5.5.2); without a handler, block until its pong and return the round trip in
        seconds.

        `timeout` is `ping_timeout` unless given; after it `TimeoutError`, and the task goes on. With a handler,
        `pong_receive_handler(error_or_None)` is called later. `payload` is at most 125 bytes; by default each ping has
        its own. `ValueError` for a longer one; `RuntimeError` for blocking in a signal handler that interrupted a call
        of this task.
        """
        data = None if payload is None else _control_payload(payload)
        _check_timeout(timeout, pong_receive_handler)
        if pong_receive_handler is not None:
            handler = pong_receive_handler
            self._connection.ping(data, Handler(lambda completion: handler(completion.error)))
            return None
        if timeout is None:
            timeout = self._plan.configuration.ping_timeout
        timeout = self._before_waiting("send_ping", timeout)
        waiter: Waiter[float] = Waiter()
        ping = self._connection.ping(data, waiter)
        if wait_or_withdraw(self._connection.clock, waiter, timeout, lambda: self._connection.withdraw_ping(ping)):
            raise TimeoutError(f"no pong came within {timeout} seconds")
        return answer(waiter)

    def send_pong(self, payload: bytes = b"") -> None:
        """Send a pong that nobody asked for (RFC 6455 section 5.5.3); it never blocks. `ValueError` over 125 bytes.

        Before the opening is done it is sent afterwards; at the end it raises the error that ended the task.
        """
        self._connection.pong(_control_payload(payload))

    # -- receiving -----------------------------------------------------------------------------------------------------

    @overload
    def receive(self, completion_handler: None = None, *, timeout: Optional[float] = None) -> Message: ...
    @overload
    def receive(self, completion_handler: Callable[[Result], object]) -> None: ...

    def receive(
        self, completion_handler: Optional[Callable[[Result], object]] = None, *, timeout: Optional[float] = None
    ) -> Optional[Message]:
        """Receive one whole message: `str` for text, `bytes` for binary.

        Without a handler it blocks until a message is there or the task has ended, whose error it then raises. After
        `timeout` seconds it raises `TimeoutError` and has consumed nothing; `timeout=0` takes what is there or what one
        non-blocking read brings. With a handler it returns at once, and `completion_handler(result)` is called later,
        once, for one message. Receives are first come, first served. `RuntimeError` for blocking in a signal handler
        that interrupted another receive of this task, unless the message is here.
        """
        connection = self._connection
        if completion_handler is not None:
            _check_timeout(timeout, completion_handler)
            connection.receive(Handler(connection.deliver(completion_handler)))
            return None
        if timeout is not None:
            _check_timeout(timeout, None)
            _refuse_fresh(connection, "receive")
            return connection.receive_within(timeout) if timeout else connection.receive_now()
        # From here on it is `receive_at_once`, without the call, for which every message would pay, and `take_first`.
        express = connection.inbox.express
        if express:
            try:
                return express.popleft()
            except IndexError:
                pass  # another caller was quicker
        reader = connection.reader
        got: Union[Message, Waiter[Message], None] = None
        if express is None:
            message = connection.take_first()
            if message is not None:
                return message
        elif reader is not None:
            got = reader.borrow(None)
        if got is None or isinstance(got, Waiter):
            _refuse_fresh(connection, "receive")
            return connection.receive_in_turn(got, None, None)
        return got

    def receive_each(self, handler: Callable[[Result], object]) -> None:
        """Give every message to `handler(result)`, in order, until the end; exactly one last call carries the error.

        Receives asked for earlier are served first. While it stands, other receiving raises `RuntimeError`.
        """
        _check_handler(handler)
        self._connection.receive_each(handler)

    def fileno(self) -> int:
        """A descriptor that is readable exactly when `receive(timeout=0)` would return a message, or raise what ended
        the task: for `select`, `poll`, `selectors`, asyncio's `add_reader`, Qt's notifiers, Tk's file handlers, GLib's
        watches, over TLS and with compression too.

        It is not the socket, and only to be waited for: whoever reads from it or closes it breaks that. From the first
        call on messages are read before anybody asks for them, up to `max_queue`. It may be asked for in any state,
        and always is the same. It stays unreadable until the task is open and a whole message is there, while the task
        is suspended, and while `receive_each` stands; readable once the task has ended. Take one message each time: it
        stays readable while there are more. `receive(timeout=0)` may still raise TimeoutError, where another thread
        was quicker. It is closed with the task object, so keep that as long as you watch the number; in a child process
        after a fork, ask anew. OSError if the process has no descriptor left to give; `RuntimeError` where it is not
        made yet, and this is a signal handler that struck the task in the middle of a change.
        """
        readiness = self._connection.inbox.readiness
        number = -1 if readiness is None else readiness.fileno()
        if number < 0:
            readiness = self._connection.watch()
            remember_fork(readiness)
            number = readiness.fileno()
        return number

    def __iter__(self) -> Iterator[Message]:
        """The messages as they come, blocking for each; ends quietly at 1000, 1001 and 1005, raises otherwise."""
        while True:
            try:
                message = self.receive()
            except ConnectionClosed as error:
                if error.clean and error.code in QUIET_CODES:
                    error.__traceback__ = None  # the task keeps the error, whose frames would keep the task
                    return
                raise
            yield message

    # -- ending --------------------------------------------------------------------------------------------------------

    def cancel(self, close_code: Optional[int] = None, reason: Union[str, bytes, None] = None) -> None:
        """End the task without waiting.

        Without a code it is abandoned at once (`Cancelled`): what was not sent or not read is dropped; an empty Close
        is tried if one write without waiting can do it. With a code it is `close()` without the waiting: queued
        messages go out, then a Close frame, and messages still in flight are received. `ValueError` for a code that
        must not be sent.
        """
        encode_close(close_code, reason)
        if close_code is None:
            super().cancel()
        else:
            self._begin_close(close_code, reason, None)

    def close(
        self,
        close_code: Optional[int] = CloseCode.NORMAL_CLOSURE,
        reason: Union[str, bytes, None] = None,
        *,
        timeout: Optional[float] = None,
    ) -> None:
        """Close gracefully: queued messages go out, then a Close frame, then the closing handshake is waited for.

        Blocks until the task is COMPLETED and its thread is gone, not for callbacks; it never raises because of what
        the peer did. After `timeout` seconds (default: `close_timeout`) the connection is cut. `None` as the code sends
        a Close without body. A task never resumed, or ended, returns at once; one still opening is cancelled. The code
        of the first call stands; a `cancel()` meanwhile cuts it short. `ValueError` for a code or reason that must not
        be sent. In a signal handler that interrupted a call of this task it only begins: what is left comes when that
        goes on.
        """
        encode_close(close_code, reason)
        _check_timeout(timeout, None)
        try:
            self._begin_close(close_code, reason, timeout, awaited=True)
            self._join(timeout)
        finally:
            self._connection.wake()  # an interrupt must not leave a deadline that nobody was told of

    def _begin_close(
        self, code: Optional[int], reason: Union[str, bytes, None], timeout: Optional[float], *, awaited: bool = False
    ) -> None:
        self._prepare()
        text = reason.decode() if isinstance(reason, bytes) else reason
        self._connection.close(code, text or None, timeout, awaited=awaited)

    def _join(self, timeout: Optional[float] = None) -> None:
        connection = self._connection
        thread = connection.thread
        if thread is None or thread is threading.current_thread() or connection.is_within or self._session._is_held:
            return
        seconds = self._plan.configuration.close_timeout if timeout is None else timeout
        is_over = False
        try:
            # By the clock first: if a test holds that still, it is told so, and does not hang.
            if thread.is_alive():
                is_over = _wait_for(connection.clock, ThreadEnd(thread), seconds)
            else:
                _wait_for(connection.clock, connection.gone, seconds)
        finally:
            connection.wake()  # it looks at the deadline that it may not have been told of
        if is_over:
            return
        wait_within(connection.gone, None)
        if thread.is_alive():  # else it is over, or the process had no thread to give
            thread.join()

    def wait_until_open(self, timeout: Optional[float] = None) -> None:
        """Block until the opening handshake is over; raises its error, or `TimeoutError` after `timeout` seconds.

        `RuntimeError` in a signal handler that interrupted a call of this task, which would have to go on.
        """
        _check_timeout(timeout, None)
        left = self._before_waiting("wait_until_open", timeout, self._connection.opened)
        connection = self._connection
        if not _wait_for(connection.clock, connection.opened, left):
            raise TimeoutError(f"the task was not open after {timeout} seconds")
        error = None if connection.was_open else connection.verdict
        del self, connection  # an error keeps the frames it passes through, and the connection keeps this one
        if error is not None:
            try:
                raise error.with_traceback(None)
            finally:
                del error

    def wait_until_closed(self, timeout: Optional[float] = None) -> None:
        """Block until the task has ended, without starting the end; `TimeoutError` after `timeout` seconds.

        `RuntimeError` in a signal handler that interrupted a call of this task, which would have to go on.
        """
        _check_timeout(timeout, None)
        left = self._before_waiting("wait_until_closed", timeout, self._connection.ended)
        if not _wait_for(self._connection.clock, self._connection.ended, left):
            raise TimeoutError(f"the task had not ended after {timeout} seconds")

    def __enter__(self) -> WebSocketTask:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[types.TracebackType],
    ) -> None:
        if kind is None:
            self.close()
        elif issubclass(kind, (KeyboardInterrupt, SystemExit, GeneratorExit)):
            self.close(CloseCode.GOING_AWAY, timeout=min(HASTE, self._plan.configuration.close_timeout))
        else:
            self.close(CloseCode.INTERNAL_SERVER_ERROR)

    def _before_waiting(self, call: str, timeout: Optional[float], event: Optional[Latch] = None) -> Optional[float]:
        """Refuse to wait for what cannot come, unless that is here; what is left of the timeout."""
        _refuse_fresh(self._connection, call)
        if event is None or not event.is_set():
            self._connection.refuse_within(call)
        return self._connection.await_opening(call, timeout)

    # -- what is known -------------------------------------------------------------------------------------------------

    @property
    def close_code(self) -> int:
        """`CloseCode.INVALID` while open and if never open; then the peer's code, or 1006 or our own (see `error`)."""
        return self._connection.close_code

    @property
    def close_reason(self) -> Optional[str]:
        """The reason in the peer's Close frame, or `None`."""
        return self._connection.close_reason

    @property
    def maximum_message_size(self) -> Optional[int]:
        """Bytes of one received message, after decompression, over all its fragments; exactly that many pass.

        `None` is no limit. It may be set at any time, for messages that begin later.
        """
        return self._connection.maximum_message_size

    @maximum_message_size.setter
    def maximum_message_size(self, size: Optional[int]) -> None:
        if size is not None and (isinstance(size, bool) or not isinstance(size, int)):
            raise TypeError(f"maximum_message_size must be an int or None, not {size!r}")
        if size is not None and size < 0:
            raise ValueError(f"maximum_message_size must not be negative: {size}")
        self._connection.maximum_message_size = size

    @property
    def protocol(self) -> Optional[str]:
        """The subprotocol the server chose, `None` if none or not open yet."""
        return self._connection.protocol

    @property
    def extensions(self) -> Tuple[str, ...]:
        """The extensions in use, as the server's response has them."""
        return self._connection.extensions

    @property
    def local_address(self) -> Optional[Tuple[str, int]]:
        """This end's IP address and port, once open."""
        stream = self._connection.stream
        return None if stream is None else stream.local_address

    @property
    def remote_address(self) -> Optional[Tuple[str, int]]:
        """The other end's IP address and port, once open."""
        stream = self._connection.stream
        return None if stream is None else stream.remote_address

    @property
    def latency(self) -> Optional[float]:
        """The last measured round trip of a ping in seconds, or `None`."""
        return self._connection.heartbeat.latency

    @property
    def buffered_amount(self) -> int:
        """Bytes of messages that are queued and not yet taken by the operating system."""
        return self._connection.outbox.buffered_amount


def _slots(*names: Tuple[type, str]) -> Tuple[Any, ...]:
    return tuple(vars(owner)[name] for owner, name in names)


def _shorten() -> None:
    send_way = _slots((SessionTask, "_connection"), (State, "outbox"), (Outgoing, "express"))
    receive_way = _slots((SessionTask, "_connection"), (State, "inbox"), (Inbox, "express"))
    borrow_way = _slots((SessionTask, "_connection"), (State, "reader"), (BorrowedReader, "_borrower"))
    shorten(WebSocketTask.send, send_way, WebSocketTask.receive, receive_way, borrow_way)


_shorten()


def _refuse_fresh(connection: Connection, call: str) -> None:
    if connection.phase is Phase.NEW:
        raise RuntimeError(f"{call}() would wait for ever: the task was never resumed")


def _encode(message: Data) -> Tuple[int, bytes]:
    """The first byte of a message's frame and its payload; a buffer is copied, for its owner may change it."""
    if isinstance(message, str):
        return _WHOLE_TEXT, message.encode()
    if isinstance(message, (bytes, bytearray, memoryview)):
        return _WHOLE_BINARY, bytes(message)
    try:
        view = memoryview(message)
    except TypeError:
        raise TypeError(f"a message is str, bytes or another buffer, not {type(message).__name__}") from None
    return _WHOLE_BINARY, bytes(view)


def _control_payload(payload: Data) -> bytes:
    if isinstance(payload, str):
        raise TypeError("the payload of a ping or pong is bytes, not str")
    _, data = _encode(payload)
    if len(data) > MAX_CONTROL_PAYLOAD:
        raise ValueError(f"the payload of a ping or pong has at most {MAX_CONTROL_PAYLOAD} bytes, not {len(data)}")
    return data


def _check_handler(handler: object) -> None:
    if not callable(handler):
        raise TypeError(f"a completion handler must be callable, not {handler!r}")


def _check_timeout(timeout: Optional[float], handler: object) -> None:
    if handler is not None:
        _check_handler(handler)
    if timeout is None:
        return
    if handler is not None:
        raise TypeError("timeout is for the blocking form: a call with a completion handler does not wait")
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise TypeError(f"timeout must be a number of seconds or None, not {timeout!r}")
    if not timeout >= 0:
        raise ValueError(f"timeout must not be negative: {timeout!r}")


def _wait_for(clock: Clock, event: Event, timeout: Optional[float]) -> bool:
    if timeout is None:
        return wait_within(event, None)
    return clock.wait(lambda seconds: wait_within(event, seconds), timeout)

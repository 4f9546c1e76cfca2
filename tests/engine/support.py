"""What the tests of `wssync.engine` share: a stream in memory, a clock in the hand, and an engine between the two.

Most tests are scripts on one thread. A `Rig` opens a connection without starting its thread: the test gives bytes to
the stream, lets the engine make its turns, moves the clock, and looks at what was sent and answered. The stream never
blocks then; where a real one would wait, `MemoryStream.idle` is called, which goes on with the script.

Some tests start the thread (`threaded=True`). Then the stream's `wait` sleeps until it is woken, and
`StillClock.advance` wakes it; tests wait for events, never for time, and each wait has an end.
"""

from __future__ import annotations

import threading
import unittest
from collections import deque
from typing import TYPE_CHECKING, Any, Callable, Deque, Iterable, List, Optional, Tuple, Union

from tests.clock import StillClock
from tests.threads import Running as Running
from wssync.configuration import SessionConfiguration
from wssync.engine.asking import NO_ANSWER
from wssync.engine.completions import Completion, Handler, Message, Result, Waiter
from wssync.engine.connection import Connection
from wssync.engine.gate import Gate, Ticket
from wssync.engine.heartbeat import Ping
from wssync.engine.loop import Engine
from wssync.engine.outbox import Message as Outgoing
from wssync.engine.plan import Plan
from wssync.engine.state import Phase
from wssync.errors import ConnectionClosed, WebSocketError
from wssync.executors import QueueExecutor
from wssync.protocol.deflate import DeflateOptions
from wssync.protocol.frames import Opcode, mask, read_header
from wssync.protocol.handshake import ServerAccepted, answer
from wssync.protocol.http1 import Request, parse_request_head
from wssync.transport.stream import Address, Buffer, Stream
from wssync.transport.waiting import Attempt, Waker, wait_for

if TYPE_CHECKING:
    from wssync.engine.completions import Event
    from wssync.strand import Executor

PATIENCE = 20.0
"""Seconds after which a test gives up on something that should come at once."""

URL = "ws://example.test/chat"

EPSILON = 0.001

Frame = Tuple[Opcode, bytes]


class MemoryStream(Stream):
    """A connection whose other end is the test.

    takes: bytes that one `send` takes at most; `None` is all, 0 is "would block".
    room: bytes that will be taken in all before it blocks; `None` is no bound.
    fails_at: the number of bytes sent after which sending fails.
    holds: TLS's case, what was taken has not reached the kernel; `flush` says False.
    gives: bytes that one `recv` gives at most.
    blocking: `wait` sleeps until it is woken (for engines with a thread).
    idle: called with the timeout where a wait would sleep (for scripts).
    """

    def __init__(self, clock: StillClock, *, blocking: bool = False) -> None:
        self.clock = clock
        self.blocking = blocking
        self.waker: Optional[Waker] = None
        self.takes: Optional[int] = None
        self.room: Optional[int] = None
        self.fails_at: Optional[int] = None
        self.holds = False
        self.gives: Optional[int] = None
        self.idle: Callable[[Optional[float]], None] = lambda timeout: None
        self.before_send: Callable[[], None] = lambda: None
        self.after_send: Callable[[], None] = lambda: None
        self.before_recv: Callable[[], None] = lambda: None
        self.after_recv: Callable[[], None] = lambda: None
        self.before_wait: Callable[[], None] = lambda: None
        self.answer: Optional[Callable[[bytes], Iterable[bytes]]] = None
        self.request = b""
        self.outgoing = bytearray()
        self.total = 0
        self.waits: List[Tuple[bool, bool, Optional[float]]] = []
        self.found = (False, False)
        self.calls: List[str] = []
        self._incoming: Deque[Union[bytes, BaseException]] = deque()
        self._changed = threading.Condition()

    # -- the test's side -----------------------------------------------------------------------------------------------

    def give(self, *pieces: bytes) -> None:
        """Let these bytes arrive."""
        self._incoming.extend(piece for piece in pieces if piece)
        self._wake()

    def give_end(self) -> None:
        """Let the peer close its half."""
        self._incoming.append(b"")
        self._wake()

    def give_error(self, error: Optional[BaseException] = None) -> None:
        """Let the next `recv` fail, by default as a reset does."""
        self._incoming.append(error or lost())
        self._wake()

    def take(self, takes: Optional[int] = None) -> None:
        """Let the kernel's buffer have room (again)."""
        self.takes, self.room = takes, None
        self._wake()

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until something that the engine does to this stream makes the condition true."""
        with self._changed:
            if not self._changed.wait_for(condition, PATIENCE):
                raise AssertionError(f"{what}: that did not happen")

    @property
    def unread(self) -> int:
        """How many pieces were not fetched yet."""
        return len(self._incoming)

    def _wake(self) -> None:
        if self.waker is not None:
            self.waker.wake()

    def _note(self, call: str) -> None:
        with self._changed:
            self.calls.append(call)
            self._changed.notify_all()

    # -- the engine's side ---------------------------------------------------------------------------------------------

    def wait(self, read: bool, write: bool, timeout: Optional[float], *, owner: bool = True) -> Tuple[bool, bool]:
        assert "close" not in self.calls, "waits for a closed stream"
        self.before_wait()
        self.waits.append((read, write, timeout))
        self.found = self._ready(read, write)
        self._note("wait")
        assert self.waker is not None
        if not any(self.found) and timeout != 0:
            if self.blocking:
                wait_for([self.waker], (), PATIENCE)
            else:
                self.idle(timeout)
            self.found = self._ready(read, write)
        self.waker.clear()
        return self.found

    def _ready(self, read: bool, write: bool) -> Tuple[bool, bool]:
        return read and bool(self._incoming), write and not self.holds and self.takes != 0 and self.room != 0

    def wake(self) -> None:
        self._wake()

    @property
    def pending(self) -> bool:
        return False

    def recv(self, limit: int) -> Optional[bytes]:
        assert "close" not in self.calls, "reads from a closed stream"
        self.before_recv()
        self._note("recv")
        if not self._incoming:
            return None
        piece = self._incoming[0]
        if isinstance(piece, BaseException):
            self._incoming.popleft()
            raise piece
        limit = min(limit, limit if self.gives is None else self.gives)
        if len(piece) > limit:
            self._incoming[0] = piece[limit:]
        elif piece:
            self._incoming.popleft()
        self.after_recv()
        return piece[:limit]

    def send(self, data: Buffer) -> int:
        assert "close" not in self.calls, "writes to a closed stream"
        self.before_send()
        size = min(len(data) if limit is None else limit for limit in (None, self.takes, self.room))
        size = min(size, len(data))
        if self.fails_at is not None and self.total + size >= self.fails_at:
            raise lost()
        self.total += size
        if self.room is not None:
            self.room -= size
        self._accept(bytes(data[:size]))
        self._note("send")
        self.after_send()
        return size

    def _accept(self, data: bytes) -> None:
        if self.answer is None:
            self.outgoing += data
            return
        self.request += data
        if self.request.endswith(b"\r\n\r\n"):
            answer, self.answer = self.answer, None
            self.give(*answer(self.request[:-4]))

    @property
    def has_output(self) -> bool:
        return self.holds

    def flush(self) -> bool:
        self._note("flush")
        return not self.holds

    def shutdown_write(self) -> None:
        raise AssertionError("the engine does not close one half")

    def shutdown_read(self) -> None:
        self._note("shutdown_read")
        self._wake()

    def shutdown(self) -> None:
        self._note("shutdown")

    def close(self) -> None:
        self._note("close")

    def abandon(self) -> None:
        self._note("abandon")

    @property
    def local_address(self) -> Optional[Address]:
        return "127.0.0.1", 50_000

    @property
    def remote_address(self) -> Optional[Address]:
        return "127.0.0.1", 80


def lost(why: str = "reset by peer") -> ConnectionClosed:
    """The error of a stream whose connection broke."""
    error = ConnectionClosed(f"the connection was lost: {why}")
    error.__cause__ = ConnectionResetError(why)
    return error


def accepting(
    *rest: bytes, deflate: Optional[DeflateOptions] = None, headers: Iterable[Tuple[str, str]] = ()
) -> Callable[[bytes], List[bytes]]:
    """A server that accepts the upgrade, and what it sends with the response."""

    def respond(head: bytes) -> List[bytes]:
        accepted = answer(parse_request_head(head), deflate=deflate, headers=list(headers))
        assert isinstance(accepted, ServerAccepted), accepted
        return [accepted.response + b"".join(rest[:1]), *rest[1:]]

    return respond


def frames_in(data: bytes) -> Tuple[List[Frame], bytes]:
    """The whole frames of a client in these bytes, unmasked, and the rest."""
    frames: List[Frame] = []
    while True:
        header = read_header(data)
        if header is None or len(data) < header.end + header.length:
            return frames, data
        assert header.key is not None and header.fin, "a client masks, and never fragments"
        end = header.end + header.length
        frames.append((Opcode(header.opcode), mask(data[header.end : end], header.key)))
        data = data[end:]


def close_body(code: Optional[int]) -> bytes:
    """The body of a Close frame."""
    return b"" if code is None else code.to_bytes(2, "big")


class Recorder:
    """A listener that keeps what it hears, in order."""

    def __init__(self) -> None:
        self.heard: List[Tuple[Any, ...]] = []
        self.is_finished = threading.Event()

    def callback(self, name: str) -> Optional[Callable[..., None]]:
        return lambda *details: self.heard.append((name, *details))

    def finished(self) -> None:
        self.is_finished.set()

    @property
    def names(self) -> List[str]:
        return [entry[0] for entry in self.heard]


class Questions:
    """In the place of the opening's own: a delegate that answers from a script, and keeps what it hears."""

    def __init__(self, **answers: Callable[..., Any]) -> None:
        self.answers = answers
        self.told: List[Tuple[Any, ...]] = []
        self.followed: List[Request] = []

    def follow(self, request: Request) -> None:
        self.followed.append(request)

    def has(self, name: str) -> bool:
        return name in self.answers

    def tell(self, name: str, *details: object) -> None:
        self.told.append((name, *details))

    def ask(self, name: str, attempt: Attempt, *details: object) -> Any:
        if name not in self.answers:
            return NO_ANSWER
        self.told.append((name, *details))
        return self.answers[name](*details)


def line_up(
    gate: Gate, host: Tuple[str, int] = ("example.test", 80), wake: Callable[[], None] = lambda: None
) -> Ticket:
    """Take a place in a row."""
    ticket = Ticket(gate, host, wake)
    gate.line_up(ticket)
    return ticket


class Rig:
    """One connection with its engine and the other end of its stream."""

    def __init__(
        self,
        case: unittest.TestCase,
        *,
        threaded: bool = False,
        opened: bool = True,
        executor: Optional[Executor] = None,
        answer: Optional[Callable[[bytes], Iterable[bytes]]] = None,
        **settings: Any,
    ) -> None:
        self.case = case
        self.clock = StillClock()
        self.stream = MemoryStream(self.clock, blocking=threaded)
        self.stream.answer = answer or accepting()
        self.script: Deque[Callable[[], None]] = deque()
        self.threaded = threaded
        self.callbacks = QueueExecutor()
        self.configuration = SessionConfiguration(**{"compression": None, "ping_interval": None, **settings})
        self.listener = Recorder()
        self.connection = Connection(URL, self.configuration, executor or self.callbacks, self.clock)
        self.connection.listener = self.listener
        self.results: List[Result] = []
        self.gate = Gate(6)
        self.plan = Plan(Request(URL), (), self.configuration, _no_tls, self.gate, self._dial)
        self.engine = Engine(self.connection, self.plan)
        self.clock.attend(self.engine._waker)
        case.addCleanup(self._tear_down)
        if opened:
            self.open()

    def _dial(self, host: str, port: int, attempt: Attempt, **kwargs: Any) -> Stream:
        self.stream.waker = attempt.waker
        return self.stream

    def _tear_down(self) -> None:
        self.stream.idle = lambda timeout: None
        self.connection.cancel()
        thread = self.connection.thread
        if thread is not None:
            thread.join(PATIENCE)
            self.case.assertFalse(thread.is_alive(), "the engine thread hangs")
        elif self.connection.phase < Phase.GONE:
            self.engine._finish()
        readiness = self.connection.inbox.readiness
        if readiness is not None:  # a task closes it when it goes; here it would stay open until garbage is collected
            readiness.close()

    def send_at_once(self, first: int, payload: bytes) -> Union[bool, Outgoing]:
        """What a task's `send` tries first."""
        express = self.connection.outbox.express
        return express is not None and express.send_at_once(first, payload)

    # -- driving -------------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Start the connection and wait until it is open."""
        self.case.assertTrue(self.connection.resume())
        if self.threaded:
            self.engine.start()
            self.wait(self.connection.opened)
        else:
            self.connection.waker = self.engine._waker
            self.stream.idle = self._pass_time
            self.engine._begin_open(self.engine._open())
            self.stream.idle = lambda timeout: None

    def wait(self, event: Event) -> None:
        self.case.assertTrue(event.wait(PATIENCE), "that did not happen")

    def settle(self) -> None:
        """Let the engine make its turns until it would sleep, or until there is a reason to end."""
        for _ in range(1000):
            if self.connection.cause is not None:
                return
            self.engine._turn()
            _, _, timeout = self.stream.waits[-1]
            if not any(self.stream.found) and timeout != 0:
                return
        self.case.fail("the engine does not come to rest")

    def give(self, *pieces: bytes) -> None:
        """Let bytes arrive, and let the engine see them."""
        self.stream.give(*pieces)
        self.settle()

    def advance(self, seconds: float) -> None:
        """Let time pass, and let the engine see it."""
        self.clock.advance(seconds)
        self.settle()

    def woken(self) -> bool:
        """Whether the engine was woken since it slept last."""
        return bool(wait_for([self.engine._waker], (), 0)[0])

    def finish(self, *script: Callable[[], None]) -> None:
        """Let the connection end; where it would wait, the script goes on, and after it time passes."""
        self.case.assertIsNotNone(self.connection.cause, "there is no reason to end")
        self.script.extend(script)
        self.stream.idle = self._pass_time
        self.engine._finish()

    def _pass_time(self, timeout: Optional[float]) -> None:
        if self.script:
            self.script.popleft()()
            return
        assert timeout is not None, "that would wait for ever"
        self.clock.advance(timeout)

    def run_callbacks(self) -> None:
        """Run everything that is queued on the executor."""
        while self.callbacks.run_pending():
            pass

    # -- what a task does ----------------------------------------------------------------------------------------------

    def send(self, message: Union[str, bytes], *, blocking: bool = False) -> Outgoing:
        """Send; look at `completion` for how it went."""
        completion: Completion[None] = Waiter() if blocking else Handler(lambda completion: None)
        if isinstance(message, str):
            return self.connection.send(Opcode.TEXT, message.encode(), completion)
        return self.connection.send(Opcode.BINARY, message, completion)

    def receive(self, *, blocking: bool = False) -> Completion[Message]:
        """Ask for a message; what handlers get is in `results` after `run_callbacks`."""
        completion: Completion[Message] = (
            Waiter() if blocking else Handler(self.connection.deliver(self.results.append))
        )
        self.connection.receive(completion)
        return completion

    def ping(self, payload: Optional[bytes] = None) -> Tuple[Optional[Ping], Completion[float]]:
        """Send a ping."""
        completion: Completion[float] = Handler(lambda completion: None)
        return self.connection.ping(payload, completion), completion

    # -- what can be seen ----------------------------------------------------------------------------------------------

    def sent(self) -> List[Frame]:
        """The frames sent since this was asked last; the bytes of an unfinished one stay."""
        frames, rest = frames_in(bytes(self.stream.outgoing))
        self.stream.outgoing[:] = rest
        return frames

    def texts(self) -> List[str]:
        """What was sent since this was asked last: the messages, or the names of control frames."""
        return [payload.decode() if opcode < Opcode.CLOSE else opcode.name for opcode, payload in self.sent()]

    def take_all(self) -> List[Message]:
        """All messages that can be taken."""
        messages: List[Message] = []
        while True:
            message = self.connection.take()
            if message is None:
                return messages
            messages.append(message)

    def take_all_before_the_end(self) -> List[Message]:
        """All messages that can be taken; what comes behind them is the verdict."""
        messages: List[Message] = []
        with self.case.assertRaises(WebSocketError) as caught:
            while True:
                message = self.connection.take()
                assert message is not None, "it has not ended"
                messages.append(message)
        self.case.assertIs(caught.exception, self.verdict)
        return messages

    @property
    def verdict(self) -> WebSocketError:
        verdict = self.connection.verdict
        assert verdict is not None, "it has not ended"
        return verdict


def _no_tls() -> Any:
    raise AssertionError("nobody asked for TLS")

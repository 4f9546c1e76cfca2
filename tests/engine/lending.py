"""Stand-ins for what the compiled borrower knows of a connection: they write down what it asks of them."""

from __future__ import annotations

from collections import deque
from functools import partial
from itertools import repeat
from typing import Any, Callable, Deque, List, Optional, Tuple

from wssync.transport.stream import Unsealing

__all__ = ["LITTLE", "MUCH", "Lender", "Unsealer", "slots"]

LITTLE, MUCH = 4096, 65_552


class Connection:
    """Of a connection: its limit and its counts."""

    __slots__ = ("closing_asked", "size_limit", "tally", "unfinished")

    def __init__(self, tally: Any) -> None:
        self.closing_asked = False
        self.size_limit: Any = None
        self.tally = tally
        self.unfinished = 0


class Inbox:
    """Of an inbox: the way that is open, and empty."""

    __slots__ = ("express", "has_had_messages")

    def __init__(self) -> None:
        self.express: Any = deque()
        self.has_had_messages = False


class Heartbeat:
    """Of a heartbeat: when something was heard."""

    __slots__ = ("heard_at",)

    def __init__(self) -> None:
        self.heard_at: Any = None


class Base:
    """The class that a reader is made from."""

    __slots__ = ("_box", "_connection", "_heartbeat", "_inbox", "_is_admitted", "_is_fresh", "_most", "_now", "_stream")


class Lender(Base):
    """A reader."""

    __slots__ = ("__dict__", "_descriptor", "_lock", "_unsealing", "_unsettled", "asleep", "lent")

    _little, _much = (LITTLE,), (MUCH,)

    def __init__(self, compiled: Any, descriptor: int) -> None:
        self.told: List[Tuple[Any, ...]] = []
        self.expected: List[int] = []
        self._box: List[Any] = []
        self._connection: Any = Told(compiled.Tally(), self)
        self._heartbeat: Any = Heartbeat()
        self._inbox: Any = Inbox()
        self._is_admitted = False
        self._is_fresh = True
        self._most: Any = self._little
        self._now: Callable[[], Any] = lambda: 5.0
        self._descriptor: Any = descriptor
        self._lock: Any = compiled.RoleLock()
        self._unsealing: Any = None
        self._stream: Any = None
        self._unsettled = self.asleep = self.lent = False

    def read_by(self, stream: Unsealer) -> None:
        """With TLS before the socket."""
        self._stream, self._unsealing = stream, stream.steps

    def go_on(self, error: Optional[BaseException]) -> Any:
        """See `Reader.go_on`."""
        assert self.lent and self._lock._is_owned()
        self.tell("go on", error, list(self._box))
        self.lent = False
        self._lock.release()
        return "gone on"

    def give_back(self, got: Any) -> None:
        """See `Reader.give_back`."""
        self.tell("give back", got)

    def _expect_blocks(self, size: int) -> None:
        """See `wssync.protocol.memory.expect_blocks`."""
        self.expected.append(size)

    def _note_interrupt(self) -> None:
        self.tell("struck", self._is_fresh)

    def tell(self, *what: Any) -> None:
        """Write something down."""
        self.told.append(what)

    @property
    def counts(self) -> Tuple[int, int, int, int]:
        """Messages, their bytes, those on the wire, and turns."""
        tally = self._connection.tally
        return tally.messages, tally.received, tally.wire, tally.turns

    @property
    def express(self) -> Deque[Any]:
        """The way that is open."""
        express: Deque[Any] = self._inbox.express
        return express


class Unsealer:
    """A stream with TLS, in a manner of speaking: each bit of the cipher text is the other one."""

    def __init__(self) -> None:
        self.is_clean: Any = True
        self.fetched: List[bytes] = []
        self.decrypted: List[bytes] = []
        nothing: Any = None
        self.steps: Any = Unsealing(nothing, self.fetched, self.decrypted, self.open)

    def be_simple(self) -> None:
        """From now on plain text is cipher text; to open it is one call of C, which nothing comes between."""
        self.steps = self.steps._replace(open=partial(next, map(self.fetched.pop, repeat(0))))

    def seal(self, data: bytes) -> bytes:
        """One for the other."""
        return bytes(0xFF ^ byte for byte in data)

    def open(self, limit: int) -> Optional[bytes]:
        """See `Unsealing.open`. A text that is longer than it may be is left to `recv`."""
        assert len(self.fetched) == 1 and not self.is_clean and not self.decrypted and limit > 0
        text = self.seal(self.fetched.pop())
        if not 0 < len(text) <= limit:
            self.decrypted.append(text)
            return None
        self.is_clean = True
        return text


class Told(Connection):
    """One that tells its reader when it is woken."""

    def __init__(self, tally: Any, lender: Lender) -> None:
        super().__init__(tally)
        self.lender = lender

    def wake(self) -> None:
        """See `State.wake`."""
        self.lender.tell("wake", self.lender.lent, self.lender._lock._is_owned())


def slots() -> Tuple[Any, ...]:
    """Those of them that a borrower is made with, in its order."""
    owned = (
        (Lender, ("asleep", "_descriptor", "lent", "_lock", "_unsealing", "_unsettled")),
        (
            Base,
            ("_box", "_connection", "_heartbeat", "_inbox", "_is_admitted", "_is_fresh", "_most", "_now", "_stream"),
        ),
        (Connection, ("closing_asked", "size_limit", "tally", "unfinished")),
        (Inbox, ("express", "has_had_messages")),
        (Heartbeat, ("heard_at",)),
    )
    return tuple(vars(owner)[name] for owner, names in owned for name in names)

"""Pings and pongs: the user's own, and the ones that find out whether the other side is still there.

After `interval` seconds in which nothing was received a ping goes out; if then nothing at all comes for `timeout`
seconds the connection is given up. Any byte received counts as life: a peer that is busy sending a long message may be
late with its pong. A pong answers its own ping and all earlier ones, since a peer may answer only the latest (RFC 6455
section 5.5.3); a pong that nobody asked for is ignored.

Methods need the connection's mutex, but `heard`, which only the holder of the read role calls (or sets `heard_at`, the
same without the call).
"""

from __future__ import annotations

import enum

from ..hints import List, Optional
from ..strand import Strand
from .completions import Completion
from .queues import EMPTY_LIST, own_list

__all__ = ["Heartbeat", "Ping", "Verdict"]


class Ping:
    """A ping on its way out (`sent_at` is `None`), or out and waiting for its pong."""

    __slots__ = ("completion", "payload", "sent_at")

    def __init__(self, payload: bytes, completion: Optional[Completion[float]]) -> None:
        self.payload = payload
        self.completion = completion
        self.sent_at: Optional[float] = None


class Verdict(enum.Enum):
    """What the clock says about the other side."""

    FINE = "nothing to do"
    ASK = "nothing was heard for a while: send a ping"
    DEAD = "nothing was heard since that ping either"


class Heartbeat:
    """The pings of one connection."""

    __slots__ = ("_asked_at", "_interval", "_number", "_outstanding", "_timeout", "heard_at", "latency")

    def __init__(self, interval: Optional[float], timeout: Optional[float]) -> None:
        self._interval = interval
        self._timeout = timeout
        self._outstanding: List[Ping] = EMPTY_LIST
        self._number = 0
        self._asked_at = 0.0
        self.heard_at: Optional[float] = 0.0
        """When something was received last; `None` if nothing was since a ping went out for that."""
        self.latency: Optional[float] = None

    def ping(self, payload: Optional[bytes], completion: Optional[Completion[float]] = None) -> Ping:
        """A ping to be sent; without a payload of its own it gets one that no other ping has."""
        if payload is None:
            self._number += 1
            payload = self._number.to_bytes(8, "big")
        ping = Ping(payload, completion)
        self._outstanding = own_list(self._outstanding)  # a deque, empty, would be heavier than all else here
        self._outstanding.append(ping)
        return ping

    def withdraw(self, ping: Ping) -> bool:
        """Its caller gave up; `False` if the pong has come meanwhile."""
        completion = ping.completion
        if completion is None or completion.done:
            return False
        completion.done = True
        return True

    def pong(self, payload: bytes, now: float, strand: Strand) -> None:
        """A pong arrived: it answers the ping with its payload, and every ping before that."""
        answered = next(
            (ping for ping in self._outstanding if ping.sent_at is not None and ping.payload == payload), None
        )
        if answered is None or answered.sent_at is None:
            return
        self.latency = now - answered.sent_at  # before anybody is told
        ping = None
        while ping is not answered:
            ping = self._outstanding[0]
            elapsed = now - (now if ping.sent_at is None else ping.sent_at)
            if ping.completion is not None and not ping.completion.done:
                ping.completion.resolve(strand, elapsed)
            del self._outstanding[0]  # last: an interrupt must find it again

    def fail(self) -> List[Completion[float]]:
        """The connection has ended: the pings that nobody answered, in order."""
        if not self._outstanding:
            return []
        pings = [ping.completion for ping in self._outstanding if ping.completion is not None]
        self._outstanding.clear()
        return [completion for completion in pings if not completion.done]

    @property
    def awaits_pong(self) -> bool:
        """Whether somebody waits for a pong, or for any other sign of life."""
        waiting = (ping.completion for ping in self._outstanding)
        return self.heard_at is None or any(completion and not completion.done for completion in waiting)

    def heard(self, now: float) -> None:
        """Something was received, whatever it is; or reading was paused until now, so that silence proves nothing."""
        self.heard_at = now

    def due(self) -> Optional[float]:
        """When `check` has something to say, if nothing is received until then."""
        if self._interval is None:
            return None
        heard_at = self.heard_at
        if heard_at is not None:
            return heard_at + self._interval
        return None if self._timeout is None else self._asked_at + self._timeout

    def check(self, now: float) -> Verdict:
        """Whether it is time to ask, or to give up."""
        due = self.due()
        if due is None or now < due:
            return Verdict.FINE
        if self.heard_at is None:
            return Verdict.DEAD
        self._asked_at, self.heard_at = now, None
        return Verdict.ASK

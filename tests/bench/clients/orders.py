"""What a client is told, how it measures, and what every client's loops share."""

from __future__ import annotations

import json
import random
import resource
import ssl
import statistics
import time
from types import TracebackType
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple, Type, Union

from tests.bench.rows import MIB, Case

__all__ = [
    "Counts",
    "Figures",
    "Line",
    "Meter",
    "Order",
    "Skip",
    "allow_many_files",
    "as_latency",
    "clock",
    "context",
    "memory_and_threads",
    "messages",
]

Figures = Dict[str, float]

WARM_UP = 50
"""Round trips before the first that counts: caches fill, and the interpreter specialises its code."""

LEAST = 16
"""Messages of a stream, however long they are: the memory of the first two comes from the system, and is dear."""

clock = time.perf_counter


class Skip(Exception):
    """The client cannot do this, and why."""


class Line(NamedTuple):
    """An open connection, as three calls."""

    send: Callable[[Any], Any]
    receive: Callable[[], Any]
    close: Callable[[], Any]


class Order(NamedTuple):
    """A case, where its server is (`ca` is a file, or `None` without TLS) and how long to measure."""

    case: Case
    url: str
    ca: Optional[str]
    seconds: float

    def at(self, path: str, until: int = 0) -> str:
        """The URL for this case; `until` is the number of messages that /count waits for."""
        case = self.case
        return (
            f"{self.url}{path}?size={case.size}&text={case.text:d}&fragments={case.fragments}"
            f"&deflate={case.deflate:d}&until={until}"
        )

    def word(self, number: int) -> Union[str, bytes]:
        """A number as a message of the case's kind."""
        return str(number) if self.case.text else b"%d" % number


class Meter:
    """CPU time of the process, all its threads, and wall time of a `with` block, in seconds."""

    cpu = wall = 0.0

    def __enter__(self) -> Meter:
        self._begun = clock(), time.process_time()
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.cpu = time.process_time() - self._begun[1]
        self.wall = clock() - self._begun[0]


class Counts:
    """How many messages a measurement takes so that it lasts as long as ordered: tried once for each case."""

    def __init__(self) -> None:
        self._known: Dict[Case, int] = {}

    def warm_up(self, case: Case) -> int:
        """How many messages to begin with."""
        return max(2, min(2000, 8 * MIB // case.size))

    def known(self, order: Order) -> Optional[int]:
        """The number that was found before."""
        return self._known.get(order.case)

    def learn(self, order: Order, wall: float) -> int:
        """The number to take, after the messages of the warm-up took `wall` seconds."""
        first = self.warm_up(order.case)
        most = max(first, min(1_000_000, 1024 * MIB // order.case.size))
        self._known[order.case] = max(first, LEAST, min(most, int(first / wall * order.seconds)))
        return self._known[order.case]


def as_latency(times: List[float]) -> Figures:
    """p50 and p99 in microseconds of times in seconds."""
    ordered = sorted(times)
    return {
        "p50": statistics.median(ordered) * 1e6,
        "p99": ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)] * 1e6,
    }


def messages(case: Case) -> List[Union[str, bytes]]:
    """What to send in turn: one message, or many different ones where they are compressed."""
    texts = _quotes(case.size) if case.deflate else [("0123456789abcdef" * (case.size // 16 + 1))[: case.size]]
    return [text if case.text else text.encode() for text in texts]


def _quotes(size: int) -> List[str]:
    """JSON of `size` characters, as a feed of prices has it: always the same names, always other numbers."""
    dice = random.Random(size)
    texts = []
    for number in range(64):
        trades: List[Dict[str, Any]] = []
        text = ""
        while len(text) < size:
            trade = {"id": 70_000 + 31 * number + len(trades), "price": round(dice.gauss(250, 4), 2)}
            trades.append({**trade, "volume": dice.randrange(1, 900), "side": dice.choice(["buy", "sell"])})
            text = json.dumps({"channel": "trades", "sequence": number, "trades": trades})
        texts.append(text[:size])
    return texts


def memory_and_threads() -> Tuple[int, int]:
    """Resident memory of this process in KiB, and its threads."""
    with open("/proc/self/status", encoding="ascii") as file:
        status = dict(line.split(":", 1) for line in file)
    return int(status["VmRSS"].split()[0]), int(status["Threads"])


def allow_many_files(count: int) -> None:
    """Let this process have `count` connections open; Skip if it may not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 4 * count + 100
    if soft < needed:
        if hard != resource.RLIM_INFINITY and hard < needed:
            raise Skip(f"{needed} open files are needed, and {hard} allowed (ulimit -Hn)")
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


_contexts: Dict[str, ssl.SSLContext] = {}


def context(order: Order) -> Optional[ssl.SSLContext]:
    """The context that trusts the server, one for all connections as a program would keep it; `None` without TLS."""
    if order.ca is None:
        return None
    if order.ca not in _contexts:
        _contexts[order.ca] = ssl.create_default_context(cafile=order.ca)
    return _contexts[order.ca]

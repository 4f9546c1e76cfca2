"""What is measured and what is to hold: cases, the rows of the table, limits.

A case is what a client is told to do, and answers with one or more figures. A row shows one figure of one case, and
may have limits: bounds on the figure of wssync itself, or on its ratio to another client's in the same case.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

__all__ = [
    "ACCELERATED",
    "CASES",
    "CLIENTS",
    "FLOOR",
    "GROWTHS",
    "PURE",
    "ROWS",
    "Case",
    "Growth",
    "Limit",
    "Row",
    "chosen",
]

PURE, ACCELERATED = "wssync-pure", "wssync-accelerated"
FLOOR = "floor"
"""The raw socket with what costs every client in Python something: masking without an accelerator, compression where it
is asked for, memory for each message that is a long one, and where connections are opened, a thread for each. For the
cases in which that is most of what comes on top."""

CLIENTS: Dict[str, str] = {
    "raw": "raw socket",
    FLOOR: "raw socket and what nobody gets round",
    PURE: "wssync, pure Python",
    ACCELERATED: "wssync, accelerated",
    "websocket-client": "websocket-client",
    "websockets": "websockets.sync",
    "websocket-client-wsaccel": "websocket-client with wsaccel",
    "picows": "picows",
    "aiohttp": "aiohttp",
    "websocket-rs": "websocket-rs",
}
"""Name -> heading. The order of the columns."""

KIB, MIB = 1024, 1024 * 1024

APART, SAME, FREE = "apart", "same", "free"
"""Client on core 0 and server on core 1; both on core 0; wherever the system puts them."""


class Case(NamedTuple):
    """What a client does: `kind` is the method that it runs, the rest is for that method.

    `many`: connections, or messages on their way at a time. `cores`: where client and server run. `fresh`: the process
    must have done nothing before. `ours`: wssync alone can do it.
    """

    kind: str
    size: int = 16
    text: bool = False
    tls: bool = False
    deflate: bool = False
    fragments: int = 1
    many: int = 0
    cores: str = APART
    fresh: bool = False
    ours: bool = False

    @property
    def has_floor(self) -> bool:
        """Whether `FLOOR` takes part."""
        if self.ours:
            return False
        if self.kind == "receive":
            return self.size == MIB
        return self.kind == "connect" or (self.kind in ("echo", "send", "pipe") and self.size <= 64 * KIB)


class Limit(NamedTuple):
    """The most that wssync's figure may be: times that of `than`, or absolutely where that is `None`.

    A bound that is `None` asks nothing of that build.
    """

    than: Optional[str]
    pure: Optional[float]
    accelerated: Optional[float]

    def bound(self, client: str) -> Optional[float]:
        """The bound for that one of the two builds."""
        return self.pure if client == PURE else self.accelerated


class Row(NamedTuple):
    """A line of the table: the figure `figure` of the case, in `unit`."""

    title: str
    case: str
    figure: str
    unit: str
    limits: Tuple[Limit, ...] = ()


class Growth(NamedTuple):
    """A line of the table of growth: a figure for one unit of work, at three amounts of it."""

    title: str
    unit: str
    figure: str
    points: Tuple[Tuple[str, float], ...]
    """(case, its amount), from small to large."""


CASES: Dict[str, Case] = {
    "echo-16-one-core": Case("echo", 16, cores=SAME),
    "echo-16": Case("echo", 16, cores=FREE),
    "echo-64k": Case("echo", 64 * KIB, cores=SAME),
    "receive-16": Case("receive", 16),
    "receive-128-text": Case("receive", 128, text=True),
    "receive-1k": Case("receive", KIB),
    "receive-1m": Case("receive", MIB),
    "handlers-16": Case("handlers", 16),
    "send-16": Case("send", 16),
    "send-1k": Case("send", KIB),
    "send-1m": Case("send", MIB),
    "pipe-16": Case("pipe", 16, many=64),
    "connect": Case("connect"),
    "wss-echo-16": Case("echo", 16, tls=True, cores=SAME),
    "wss-receive-1m": Case("receive", MIB, tls=True),
    "wss-send-1m": Case("send", MIB, tls=True),
    "compressed-send-1k": Case("send", KIB, text=True, deflate=True),
    "idle": Case("idle", many=1000, fresh=True),
    "import": Case("import"),
    "size": Case("size"),
    "callback-serial": Case("callback", cores=FREE, ours=True),
    "callback-queue": Case("callback_queue", cores=FREE, ours=True),
    "grow-receive-64k": Case("receive", 64 * KIB, ours=True),
    "grow-receive-1m": Case("receive", MIB, ours=True),
    "grow-receive-16m": Case("receive", 16 * MIB, ours=True),
    "grow-send-64k": Case("send", 64 * KIB, ours=True),
    "grow-send-1m": Case("send", MIB, ours=True),
    "grow-send-16m": Case("send", 16 * MIB, ours=True),
    "grow-fragments-64": Case("receive", 64 * KIB, fragments=64, ours=True),
    "grow-fragments-512": Case("receive", 512 * KIB, fragments=512, ours=True),
    "grow-fragments-4096": Case("receive", 4 * MIB, fragments=4096, ours=True),
    "grow-connections-10": Case("idle", many=10, fresh=True, ours=True),
    "grow-connections-100": Case("idle", many=100, fresh=True, ours=True),
    "grow-connections-1000": Case("idle", many=1000, fresh=True, ours=True),
}

_P50, _CPU = ("p50", "us"), ("cpu", "CPU us")

ROWS: Tuple[Row, ...] = (
    Row(
        "echo 16 B, one core, p50",
        "echo-16-one-core",
        *_P50,
        (Limit("raw", 1.5, 1.25), Limit("websocket-client", 0.55, None)),
    ),
    Row(
        "echo 16 B, nothing pinned, p50",
        "echo-16",
        *_P50,
        (Limit("raw", 1.6, 1.4), Limit("websocket-client", 0.55, None), Limit("websockets", 0.12, None)),
    ),
    Row(
        "echo 64 KiB, one core, p50",
        "echo-64k",
        *_P50,
        (Limit("websocket-client", 0.4, None), Limit("websockets", None, 0.65)),
    ),
    Row(
        "receive 16 B",
        "receive-16",
        *_CPU,
        (Limit("websockets", 0.07, None), Limit("picows", 0.8, None), Limit("websocket-rs", None, 0.75)),
    ),
    Row(
        "receive 128 B text",
        "receive-128-text",
        *_CPU,
        (Limit("websockets", 0.12, None), Limit("websocket-rs", None, 0.8)),
    ),
    Row("receive 1 KiB", "receive-1k", *_CPU, (Limit("websockets", 0.17, None), Limit("websocket-rs", None, 0.95))),
    Row("receive 1 MiB", "receive-1m", *_CPU, (Limit("raw", 1.35, 1.35), Limit("websockets", 0.25, 0.25))),
    Row("receive 16 B by handlers, SerialExecutor", "handlers-16", *_CPU, (Limit("websockets", 0.25, 0.15),)),
    Row("send 16 B", "send-16", *_CPU, (Limit("websockets", 0.35, 0.15),)),
    Row("send 1 KiB", "send-1k", *_CPU, (Limit("websockets", 0.8, 0.3),)),
    Row(
        "send 1 MiB",
        "send-1m",
        *_CPU,
        (Limit("websocket-client", 0.35, None), Limit("websockets", None, 1.0), Limit("websocket-rs", None, 1.5)),
    ),
    Row("pipelined echo 16 B, window 64", "pipe-16", *_CPU, (Limit("websockets", 0.35, 0.3),)),
    Row("connect and close", "connect", *_CPU, (Limit("websocket-client", 0.65, 0.65),)),
    Row("wss: echo 16 B, one core, p50", "wss-echo-16", *_P50, (Limit("websocket-client", 0.7, 0.7),)),
    Row("wss: receive 1 MiB", "wss-receive-1m", *_CPU, (Limit("websocket-client", 0.75, 0.7),)),
    Row("wss: send 1 MiB", "wss-send-1m", *_CPU, (Limit("websocket-client", 0.4, 0.2),)),
    Row("compressed send 1 KiB", "compressed-send-1k", *_CPU, (Limit("websockets", 0.5, 0.5),)),
    Row("compressed send 1 KiB: on the wire", "compressed-send-1k", "wire", "bytes", (Limit("websockets", 1.2, 1.2),)),
    Row("1,000 idle connections: memory each", "idle", "rss", "KiB", (Limit(None, 22, 22),)),
    Row("1,000 idle connections: threads each", "idle", "threads", "threads", (Limit(None, 1, 1),)),
    Row("import", "import", "import", "CPU ms", (Limit("websocket-client", 0.5, None),)),
    Row("installed, without the accelerator", "size", "size", "KiB", (Limit(None, 200, None),)),
    Row("callback, SerialExecutor, p50", "callback-serial", *_P50),
    Row("callback, SerialExecutor, p99", "callback-serial", "p99", "us"),
    Row("callback, QueueExecutor, p50", "callback-queue", *_P50),
    Row("callback, QueueExecutor, p99", "callback-queue", "p99", "us"),
)

GROWTHS: Tuple[Growth, ...] = (
    Growth(
        "receive 64 KiB, 1 MiB, 16 MiB",
        "CPU us per MiB",
        "cpu",
        (("grow-receive-64k", 1 / 16), ("grow-receive-1m", 1), ("grow-receive-16m", 16)),
    ),
    Growth(
        "send 64 KiB, 1 MiB, 16 MiB",
        "CPU us per MiB",
        "cpu",
        (("grow-send-64k", 1 / 16), ("grow-send-1m", 1), ("grow-send-16m", 16)),
    ),
    Growth(
        "receive a message of 64, 512, 4,096 fragments of 1 KiB",
        "CPU us per fragment",
        "cpu",
        (("grow-fragments-64", 64), ("grow-fragments-512", 512), ("grow-fragments-4096", 4096)),
    ),
    Growth(
        "open 10, 100, 1,000 connections",
        "CPU us per connection",
        "cpu",
        (("grow-connections-10", 1), ("grow-connections-100", 1), ("grow-connections-1000", 1)),
    ),
)


def chosen(names: Sequence[str], patterns: Optional[str]) -> List[str]:
    """Those of `names` that match one of the comma-separated shell patterns; all where there are none.

    ValueError names a pattern that matches nothing.
    """
    if not patterns:
        return list(names)
    found = set()
    for pattern in patterns.split(","):
        matches = {name for name in names if fnmatchcase(name, pattern.strip())}
        if not matches:
            raise ValueError(f"nothing is called {pattern!r}; there are {', '.join(names)}")
        found |= matches
    return [name for name in names if name in found]

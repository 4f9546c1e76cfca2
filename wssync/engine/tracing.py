"""The trace of a task: one statement where something happens feeds the log, the configuration's hook and the metrics.

| event | when | fields |
| --- | --- | --- |
| `waiting` | something is waited for before the work | `reason`: `turn`, `connectivity`, `begin_date`, `delegate` |
| `transaction_start` | an exchange begins: the first, one after a redirect, a 401 or 407 | `url`, `number` (from 1) |
| `proxy` | it goes by a proxy | `scheme`, `host`, `port` |
| `resolve_start` | a name is looked up | `host`, `port` |
| `resolve_end` | it was found | `addresses` |
| `connect_start` | an address is tried, perhaps beside another | `address` |
| `connect_failed` | it did not answer, or was given up | `address`, `error` |
| `connect_end` | there is a connection | `local`, `remote`: (address, port) |
| `tls_start` | the TLS handshake begins, with a proxy or the server | `server_hostname`, `is_proxy` |
| `tls_failed` | it failed | `error` |
| `tls_end` | it is done | `version`, `cipher`, `alpn` |
| `request_start` | a request is about to be sent: `GET`, or `CONNECT` to a proxy | `method`, `target` |
| `request_end` | it was handed to the operating system | `size` (bytes of its head) |
| `response_start` | the first byte of an answer has come | |
| `informational` | an informational response was read (1xx but 101) | `status` |
| `response_end` | the final response was read | `status`, `reason`, `size` (bytes of its head), `body_size` |
| `challenge` | it asks for a credential | `method`, `realm`, `is_proxy` |
| `redirect` | it leads elsewhere | `status`, `url` |
| `open` | messages flow | `protocol`, `extensions` |
| `frame_sent`, `frame_received` | the header of a frame has left, or come | `opcode`, `fin`, `compressed`, `size` |
| `close_sent`, `close_received` | it was that of a Close | `code`, `reason` |
| `end` | the task has ended | `error` (or `None`) |

Frames are traced for connections that somebody listened to when they opened: those go no short ways, so that each frame
is seen. `size` is the bytes of its payload on the wire.

**Threads.** An event is told by the thread that did it: the connection's own, or that of a caller whose blocking call
reads or writes. No lock is held, but that caller, or that connection, waits meanwhile. So a hook must not block; it may
call whatever does not.

**Secrets.** What leaves here are the fields of the table and no others, of which none is a header. Within the text of
one, userinfo of a URL becomes `***`, and so do the values of parameters in a query whose names speak of secrets
(`?access_token=***`). An event may carry more for the metrics alone, which are the delegate's: `request` with
`transaction_start`, `response` with `response_end`.
"""

from __future__ import annotations

import sys
from _weakref import ref  # what `weakref` has it from, without the classes of that

from ..hints import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, Tuple
from ..logs import log
from ..protocol.frames import read_header
from ..protocol.urls import mask_secrets
from ..transport.clock import Clock

if TYPE_CHECKING:
    import logging

    from ..metrics.collector import Collector
    from ..protocol.frames import Header

    Hook = Callable[[str, Any, Mapping[str, Any]], object]

__all__ = ["EVENTS", "FrameWatch", "Tracer", "make_tracer", "masked", "unheard"]

EVENTS: Dict[str, Tuple[str, ...]] = {
    "waiting": ("reason",),
    "transaction_start": ("url", "number"),
    "proxy": ("scheme", "host", "port"),
    "resolve_start": ("host", "port"),
    "resolve_end": ("addresses",),
    "connect_start": ("address",),
    "connect_failed": ("address", "error"),
    "connect_end": ("local", "remote"),
    "tls_start": ("server_hostname", "is_proxy"),
    "tls_failed": ("error",),
    "tls_end": ("version", "cipher", "alpn"),
    "request_start": ("method", "target"),
    "request_end": ("size",),
    "response_start": (),
    "informational": ("status",),
    "response_end": ("status", "reason", "size", "body_size"),
    "challenge": ("method", "realm", "is_proxy"),
    "redirect": ("status", "url"),
    "open": ("protocol", "extensions"),
    "frame_sent": ("opcode", "fin", "compressed", "size"),
    "frame_received": ("opcode", "fin", "compressed", "size"),
    "close_sent": ("code", "reason"),
    "close_received": ("code", "reason"),
    "end": ("error",),
}
"""The events, and what of their fields may be seen."""

DEBUG = 10
"""`logging.DEBUG`, without loading it."""

RSV1 = 4
"""The reserved bit of a compressed message (RFC 7692 section 6), among the three."""


class Tracer:
    """The trace of one task. Any thread; never with a lock held, for the hook may call the task.

    `hook` is the configuration's `trace`, `collector` what the metrics are made of; without them there is the log, at
    DEBUG level, if the program has loaded `logging` and wants to see that.
    """

    __slots__ = ("_clock", "_hook", "_hook_failed", "_task", "collector")

    def __init__(
        self,
        task: object = None,
        hook: Optional[Hook] = None,
        collector: Optional[Collector] = None,
        clock: Optional[Clock] = None,
    ) -> None:
        self._task = None if task is None else ref(task)  # which knows its connection, which knows this
        self._hook = hook
        self._hook_failed = False
        self._clock = Clock() if clock is None else clock
        self.collector = collector

    def emit(self, event: str, **fields: Any) -> None:
        """Tell of an event of the table above. Raises nothing but what interrupts the program."""
        if self.collector is not None:
            self.collector.note(event, self._clock.now(), fields)
        if self._hook is not None or _debug_log() is not None:
            self._tell(event, fields)

    @property
    def is_wanted(self) -> bool:
        """Whether anything comes of what is emitted now."""
        return self.collector is not None or self.is_heard

    @property
    def is_heard(self) -> bool:
        """Whether the hook or the log hears what is emitted now."""
        return self._hook is not None or _debug_log() is not None

    def _tell(self, event: str, fields: Mapping[str, Any]) -> None:
        seen = {name: masked(fields[name]) for name in EVENTS.get(event, ()) if name in fields}
        task = None if self._task is None else self._task()
        logger = _debug_log()
        if logger is not None:
            logger.debug("%r: %s %s", task, event, seen)
        if self._hook is None:
            return
        try:
            self._hook(event, task, seen)
        except Exception:
            if not self._hook_failed:
                self._hook_failed = True
                log().exception("wssync: the trace hook failed; that it fails again is not logged")


def make_tracer(
    task: object, clock: Clock, *, hook: Optional[Hook], wants_metrics: bool, created: Optional[float] = None
) -> Tracer:
    """The tracer of a task that begins now; `created` is when it was made, by its `clock`."""
    collector = None
    if wants_metrics:
        from ..metrics.collector import Collector  # most tasks have no use for it

        collector = Collector(clock.now, created)
    return Tracer(task, hook, collector, clock)


def unheard(event: str, **fields: object) -> None:
    """In the place of `Tracer.emit`, where nobody listens."""


class FrameWatch:
    """Finds the headers of frames in the bytes of one direction, however they are cut."""

    def __init__(self) -> None:
        self._begun = b""
        self._left = 0

    def see(self, data: bytes) -> List[Header]:
        """The bytes that follow, and the headers that are whole with them.

        They are returned, not told: whoever hears of them would be known to this, which he knows. And what an interrupt
        ends in there must not confuse the next bytes.
        """
        position = min(self._left, len(data))
        self._left -= position
        if self._begun:
            data, self._begun = self._begun + data, b""
        headers = []
        while position < len(data):
            header = read_header(data, position)
            if header is None:
                self._begun = data[position:]
                break
            end = header.end + header.length
            position = min(end, len(data))
            self._left = end - position
            headers.append(header)
        return headers

    def skip(self, count: int) -> None:
        """So many bytes follow, all of them payload."""
        self._left -= count


def frame_fields(header: Header) -> Dict[str, Any]:
    """The fields of `frame_sent` and `frame_received`."""
    return {
        "opcode": header.opcode,
        "fin": header.fin,
        "compressed": bool(header.rsv & RSV1),
        "size": header.length,
    }


def masked(value: Any) -> Any:
    """The value without the secrets that a text may hold; what is no text comes as it is."""
    return mask_secrets(value) if isinstance(value, str) else value


_logger: Optional[logging.Logger] = None


def _debug_log() -> Optional[logging.Logger]:
    """The logger, if it shows lines of this level. Nobody can have set it up without `logging`."""
    global _logger
    logger = _logger
    if logger is None:
        loaded = sys.modules.get("logging")
        if loaded is None or not hasattr(loaded, "getLogger"):
            return None
        logger = _logger = log()
    return logger if logger.isEnabledFor(DEBUG) else None

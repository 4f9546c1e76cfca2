"""How a session's tasks behave: a frozen value, read once when the session is made (Apple: `URLSessionConfiguration`).

Durations are seconds, sizes are bytes. Two ways lead to another value: the named constructors `default()` and
`ephemeral()`, and `replace()`.
"""

from __future__ import annotations

import dataclasses
import ssl
from dataclasses import dataclass
from typing import Any, Optional, Tuple, Union

from .protocol.deflate import DeflateOptions
from .protocol.handshake import check_headers
from .protocol.headers import Headers

__all__ = ["SessionConfiguration"]

SEVEN_DAYS = 604_800.0
"""Apple's `timeoutIntervalForResource`; a value that differs from it ends open tasks too."""


@dataclass(frozen=True)
class SessionConfiguration:
    """What a session and its tasks are made with. Frozen: changing it later is not possible, `replace()` makes another.

    timeout_interval_for_request: bounds the opening of a task as a whole, from resolving the name to the response head;
        not counted while the task waits its turn or is suspended. `None` = no bound.
    timeout_interval_for_resource: bounds the opening too; ends an *open* task only when it was set to something else
        than its default of 604,800 s (a Close 1001 is sent first).
    http_additional_headers: sent with every opening request that does not have a header of the same name itself.
    tls_minimum_supported_protocol_version, tls_maximum_supported_protocol_version: bounds for `wss:`, `ssl.TLSVersion`.
    http_maximum_connections_per_host: how many tasks of the session may be *opening* to one host and port at a time;
        1 is the letter of RFC 6455 section 4.1.
    maximum_message_size: one received message, after decompression, over all its fragments; `None` = no limit.
    compression: `"deflate"`, a `DeflateOptions`, or `None` for none (RFC 7692).
    ping_interval: a ping is sent when nothing was received for that long; `None` = never.
    ping_timeout: the connection is given up when nothing at all comes for that long after such a ping; `None` = never.
    close_timeout: how long a closing handshake may take before the connection is cut.
    max_queue: the receive buffer as (messages, bytes); reading stops above either, and goes on below both. `None`, for
        one or for both, is no limit. Messages handed to the executor count until their handler has returned.
    write_limit: a message is accepted whenever fewer bytes than this are queued; otherwise a blocking `send` waits and
        a handler gets `SendQueueFull`.
    ssl_context: an `ssl.SSLContext` of one's own, which then judges alone.
    proxy: `None`; connections are direct.
    origin, user_agent: the headers of that name; `None` sends none.

    Raises `TypeError` or `ValueError` for a value that makes no sense.
    """

    timeout_interval_for_request: Optional[float] = 60.0
    timeout_interval_for_resource: Optional[float] = SEVEN_DAYS
    http_additional_headers: Headers = dataclasses.field(default_factory=Headers)
    tls_minimum_supported_protocol_version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    tls_maximum_supported_protocol_version: Optional[ssl.TLSVersion] = None
    http_maximum_connections_per_host: int = 6
    maximum_message_size: Optional[int] = 1_048_576
    compression: Union[str, DeflateOptions, None] = "deflate"
    ping_interval: Optional[float] = 20.0
    ping_timeout: Optional[float] = 20.0
    close_timeout: float = 10.0
    max_queue: Optional[Tuple[Optional[int], Optional[int]]] = (16, 4 * 1_048_576)
    write_limit: int = 16 * 1_048_576
    ssl_context: Optional[ssl.SSLContext] = None
    proxy: None = None
    origin: Optional[str] = None
    user_agent: Optional[str] = "wssync"

    @classmethod
    def default(cls) -> SessionConfiguration:
        """The standard values (Apple: `.default`)."""
        return cls()

    @classmethod
    def ephemeral(cls) -> SessionConfiguration:
        """The standard values, sharing nothing with other sessions (Apple: `.ephemeral`)."""
        return cls()

    def replace(self, **changes: Any) -> SessionConfiguration:
        """This configuration with some values changed; `TypeError` for an unknown name."""
        return dataclasses.replace(self, **changes)

    @property
    def deflate(self) -> Optional[DeflateOptions]:
        """The compression to offer, or `None`."""
        return DeflateOptions() if isinstance(self.compression, str) else self.compression

    @property
    def queue_limits(self) -> Tuple[Optional[int], Optional[int]]:
        """`max_queue` as a pair."""
        return (None, None) if self.max_queue is None else self.max_queue

    @property
    def resource_timeout_when_open(self) -> Optional[float]:
        """The resource timeout as it bears on an open task: only one that was set explicitly."""
        timeout = self.timeout_interval_for_resource
        return None if timeout == SEVEN_DAYS else timeout

    @property
    def request_headers(self) -> Headers:
        """What goes into every opening request that does not have the header itself."""
        extra = self.http_additional_headers
        ours = (("User-Agent", self.user_agent), ("Origin", self.origin))
        return Headers([*((name, value) for name, value in ours if value and name not in extra), *extra.fields])

    def __post_init__(self) -> None:
        # A mapping or pairs will do, as wherever headers are given.
        object.__setattr__(self, "http_additional_headers", Headers(self.http_additional_headers))
        check_headers(self.http_additional_headers, ())
        for name in ("timeout_interval_for_request", "timeout_interval_for_resource", "ping_interval", "ping_timeout"):
            _check_seconds(name, getattr(self, name), optional=True)
        _check_seconds("close_timeout", self.close_timeout, optional=False)
        _check_size("maximum_message_size", self.maximum_message_size, optional=True, least=0)
        _check_size("write_limit", self.write_limit, optional=False, least=1)
        _check_size(
            "http_maximum_connections_per_host", self.http_maximum_connections_per_host, optional=False, least=1
        )
        self._check_queue()
        self._check_kinds()

    def _check_queue(self) -> None:
        limits: object = self.max_queue
        if limits is None:
            return
        if not isinstance(limits, tuple) or len(limits) != 2:
            raise TypeError("max_queue must be a pair (messages, bytes) or None")
        for limit in limits:
            _check_size("max_queue", limit, optional=True, least=1)

    def _check_kinds(self) -> None:
        if isinstance(self.compression, str) and self.compression != "deflate":
            raise ValueError(f'compression must be "deflate", a DeflateOptions or None, not {self.compression!r}')
        if not isinstance(self.compression, (str, DeflateOptions, type(None))):
            raise TypeError(f'compression must be "deflate", a DeflateOptions or None, not {self.compression!r}')
        if self.proxy is not None:
            raise ValueError("proxy must be None: connections are direct")
        if not isinstance(self.ssl_context, (ssl.SSLContext, type(None))):
            raise TypeError(f"ssl_context must be an ssl.SSLContext or None, not {self.ssl_context!r}")
        for name in ("origin", "user_agent"):
            value = getattr(self, name)
            if value is not None:
                Headers({name.replace("_", "-"): value})  # raises for CR, LF, NUL and for what is not a str


def _check_seconds(name: str, value: object, *, optional: bool) -> None:
    if value is None and optional:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number of seconds{' or None' if optional else ''}, not {value!r}")
    if not value >= 0:
        raise ValueError(f"{name} must not be negative: {value!r}")


def _check_size(name: str, value: object, *, optional: bool, least: int) -> None:
    if value is None and optional:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int{' or None' if optional else ''}, not {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, not {value!r}")

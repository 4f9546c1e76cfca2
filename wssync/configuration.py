"""How a session's tasks behave: a frozen value, read once when the session is made (Apple: `URLSessionConfiguration`).

Durations are seconds, sizes are bytes. Two ways lead to another value: the named constructors `default()` and
`ephemeral()`, and `replace()`.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Callable, Dict, Optional, Tuple, Union

from .frozen import Frozen, replace
from .protocol.deflate import DeflateOptions
from .protocol.handshake import check_headers
from .protocol.headers import Headers

if TYPE_CHECKING:
    import ssl

__all__ = ["SessionConfiguration"]


class _Oldest:
    """The default of the oldest TLS version, looked up when it is asked for: a `ws:` connection needs no `ssl`."""

    def __get__(self, configuration: object, kind: object) -> ssl.TLSVersion:
        import ssl

        return ssl.TLSVersion.TLSv1_2


_TLS_1_2: Any = _Oldest()

SEVEN_DAYS = 604_800.0
"""Apple's `timeoutIntervalForResource`; a value that differs from it ends open tasks too."""


class SessionConfiguration(Frozen):
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
    http_additional_headers: Headers = Headers()
    tls_minimum_supported_protocol_version: ssl.TLSVersion = _TLS_1_2
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
        return replace(self, **changes)

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

    @functools.cached_property
    def request_headers(self) -> Headers:
        """What goes into every opening request that does not have the header itself."""
        extra = self.http_additional_headers
        ours = (("User-Agent", self.user_agent), ("Origin", self.origin))
        return Headers([*((name, value) for name, value in ours if value and name not in extra), *extra.fields])

    def _check(self) -> None:
        given = vars(self)  # the defaults make sense
        if "http_additional_headers" in given:
            # A mapping or pairs will do, as wherever headers are given.
            given["http_additional_headers"] = Headers(given["http_additional_headers"])
            check_headers(given["http_additional_headers"], ())
        for name, value in given.items():
            if name in _CHECKS:
                _CHECKS[name](name, value)


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


def _check_queue(name: str, limits: object) -> None:
    if limits is None:
        return
    if not isinstance(limits, tuple) or len(limits) != 2:
        raise TypeError(f"{name} must be a pair (messages, bytes) or None")
    for limit in limits:
        _check_size(name, limit, optional=True, least=1)


def _check_compression(name: str, value: object) -> None:
    if isinstance(value, str) and value != "deflate":
        raise ValueError(f'{name} must be "deflate", a DeflateOptions or None, not {value!r}')
    if not isinstance(value, (str, DeflateOptions, type(None))):
        raise TypeError(f'{name} must be "deflate", a DeflateOptions or None, not {value!r}')


def _check_proxy(name: str, value: object) -> None:
    if value is not None:
        raise ValueError(f"{name} must be None: connections are direct")


def _check_context(name: str, value: object) -> None:
    if value is None:
        return
    import ssl

    if not isinstance(value, ssl.SSLContext):
        raise TypeError(f"{name} must be an ssl.SSLContext or None, not {value!r}")


def _check_header(name: str, value: Any) -> None:
    if value is not None:
        Headers({name.replace("_", "-"): value})  # raises for CR, LF, NUL and for what is not a str


_seconds_or_none = functools.partial(_check_seconds, optional=True)

_CHECKS: Dict[str, Callable[[str, Any], None]] = {
    "timeout_interval_for_request": _seconds_or_none,
    "timeout_interval_for_resource": _seconds_or_none,
    "ping_interval": _seconds_or_none,
    "ping_timeout": _seconds_or_none,
    "close_timeout": functools.partial(_check_seconds, optional=False),
    "http_maximum_connections_per_host": functools.partial(_check_size, optional=False, least=1),
    "maximum_message_size": functools.partial(_check_size, optional=True, least=0),
    "write_limit": functools.partial(_check_size, optional=False, least=1),
    "max_queue": _check_queue,
    "compression": _check_compression,
    "proxy": _check_proxy,
    "ssl_context": _check_context,
    "origin": _check_header,
    "user_agent": _check_header,
}

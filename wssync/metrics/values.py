"""The metrics of a task, as values: what Apple's `URLSessionTaskMetrics` has, and what a WebSocket can tell besides.

Dates are aware, in UTC. They are one look at the calendar, when the task was resumed, and differences of the monotonic
clock: so no interval is negative, and no setting of the clock shows in one.
"""

from __future__ import annotations

import enum

from ..frozen import Frozen
from ..hints import TYPE_CHECKING, NamedTuple, Optional, Tuple

if TYPE_CHECKING:
    import datetime

    from ..protocol.http1 import Request, Response

__all__ = ["Interval", "ResourceFetchType", "TaskMetrics", "TaskTransactionMetrics"]


class ResourceFetchType(enum.IntEnum):
    """Where a response came from (Apple: `URLSessionTaskMetrics.ResourceFetchType`). A WebSocket's is loaded."""

    UNKNOWN = 0
    NETWORK_LOAD = 1
    SERVER_PUSH = 2
    LOCAL_CACHE = 3


class Interval(NamedTuple):
    """Two aware dates in UTC, the later one second (Apple: `DateInterval`)."""

    start: datetime.datetime
    end: datetime.datetime

    @property
    def duration(self) -> float:
        """Seconds between the two."""
        return (self.end - self.start).total_seconds()


class TaskTransactionMetrics(Frozen):
    """One exchange of an opening (Apple: `URLSessionTaskTransactionMetrics`): the phases it went through, and by what.

    A redirect, a 401 and a 407 each begin another one. A date is `None` when its phase did not come, or was over
    before: a connection that is used again was not made again. Of a phase that failed only the start is there, and
    nothing of those behind it.

    Connecting is all that comes before the request: the addresses that were tried, the way through a proxy (the
    `CONNECT` and its response included) and TLS. The `secure_connection` dates, the TLS version and the cipher suite
    are those of the TLS with the server, never of that with a proxy. Where a proxy answers its `CONNECT` with 407, that
    exchange is a transaction of its own: its request dates and sizes are those of the `CONNECT`.

    `repr()` shows no secrets; `request` and `response` have them, as the task's have.
    """

    request: Optional[Request] = None
    """What was asked for."""
    response: Optional[Response] = None
    """What was answered at last; `None` if nothing was."""
    fetch_start_date: Optional[datetime.datetime] = None
    """When the exchange began."""
    domain_lookup_start_date: Optional[datetime.datetime] = None
    domain_lookup_end_date: Optional[datetime.datetime] = None
    connect_start_date: Optional[datetime.datetime] = None
    """When the first address was tried."""
    secure_connection_start_date: Optional[datetime.datetime] = None
    secure_connection_end_date: Optional[datetime.datetime] = None
    connect_end_date: Optional[datetime.datetime] = None
    """When the request could be sent, TLS included."""
    request_start_date: Optional[datetime.datetime] = None
    request_end_date: Optional[datetime.datetime] = None
    response_start_date: Optional[datetime.datetime] = None
    """When the first byte of the response came, be it an informational one."""
    response_end_date: Optional[datetime.datetime] = None
    """When the final response was read: its head, and as much of the body as is read of a refusal."""
    network_protocol_name: Optional[str] = None
    """What was agreed by ALPN (RFC 7301), else `http/1.1`; `None` if no request was sent."""
    is_proxy_connection: bool = False
    is_reused_connection: bool = False
    """Whether the connection was made for an earlier exchange of this task."""
    resource_fetch_type: ResourceFetchType = ResourceFetchType.NETWORK_LOAD
    count_of_request_header_bytes_sent: int = 0
    """Bytes of the request's head."""
    count_of_request_body_bytes_sent: int = 0
    """0: the request that opens a WebSocket has no body; so has the next."""
    count_of_request_body_bytes_before_encoding: int = 0
    count_of_response_header_bytes_received: int = 0
    """Bytes of the final response's head."""
    count_of_response_body_bytes_received: int = 0
    """Bytes read of the body of a refusal, at most 64 KiB; 0 for a 101."""
    count_of_response_body_bytes_after_decoding: int = 0
    local_address: Optional[str] = None
    """This end's IP address, `None` where there is no such thing."""
    local_port: Optional[int] = None
    remote_address: Optional[str] = None
    """The IP address of the other end: the proxy's, if there is one."""
    remote_port: Optional[int] = None
    negotiated_tls_protocol_version: Optional[int] = None
    """The two bytes that TLS has for it: 0x0303 is TLS 1.2, 0x0304 TLS 1.3 (RFC 8446 section 4.1.2)."""
    negotiated_tls_cipher_suite: Optional[int] = None
    """The two bytes of the registry of cipher suites (RFC 8446 section B.4)."""
    tls_protocol_version_name: Optional[str] = None
    """The same in words: `TLSv1.3`."""
    tls_cipher_suite_name: Optional[str] = None
    """The same as OpenSSL has it: `TLS_AES_256_GCM_SHA384`."""


class TaskMetrics(Frozen):
    """How a task went (Apple: `URLSessionTaskMetrics`), given once to `did_finish_collecting_metrics`.

    The counts are those of the open connection. `payload` is the bytes of messages, before compression and after
    decompression; `wire` is the bytes of all frames with their headers, control frames included, as they are before
    TLS encrypts them.
    """

    task_interval: Interval
    """From the creation of the task to just before it was completed."""
    redirect_count: int
    """Redirects that were followed."""
    transaction_metrics: Tuple[TaskTransactionMetrics, ...]
    """One for each exchange of the opening, in order. Of very many the first are left out."""
    count_of_messages_sent: int = 0
    count_of_messages_received: int = 0
    count_of_frames_sent: int = 0
    count_of_frames_received: int = 0
    count_of_payload_bytes_sent: int = 0
    count_of_payload_bytes_received: int = 0
    count_of_wire_bytes_sent: int = 0
    count_of_wire_bytes_received: int = 0
    latency: Optional[float] = None
    """Seconds of the last round trip of a ping, `None` if none was measured."""
    sent_close: Optional[Tuple[int, Optional[str]]] = None
    """Code and reason of the Close frame that was sent; 1005 if it was empty, `None` if there was none."""
    received_close: Optional[Tuple[int, Optional[str]]] = None
    """The same of the one that was received."""

    @property
    def compression_ratio_sent(self) -> Optional[float]:
        """Bytes of payload for each byte on the wire; `None` if nothing was sent."""
        return _ratio(self.count_of_payload_bytes_sent, self.count_of_wire_bytes_sent)

    @property
    def compression_ratio_received(self) -> Optional[float]:
        """The same of what was received."""
        return _ratio(self.count_of_payload_bytes_received, self.count_of_wire_bytes_received)


def _ratio(payload: int, wire: int) -> Optional[float]:
    return payload / wire if wire else None

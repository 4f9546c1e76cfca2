"""Close codes, the body of a Close frame, and the closing handshake (RFC 6455 sections 5.5.1 and 7).

A connection closes well when each side has sent one Close frame and has received one. That is a machine of four states
and three events, and it is written down here once, as `TRANSITIONS`; nobody else assigns the state. A cell that is not
in the table cannot happen unless our own code is wrong, hence `RuntimeError` and not one of the errors for the network.

What the state means for data is two questions: may a message still leave (`may_send_data`), and may one still arrive
(`may_receive_data`)? The answers are not each other's mirror: after our own Close the peer may go on sending until it
has read it, after the peer's Close nothing of it counts (section 1.4), and we send nothing but the answer.
"""

from __future__ import annotations

import enum

from wssync.errors import ProtocolError
from wssync.hints import TYPE_CHECKING, Dict, Optional, Tuple, Union

if TYPE_CHECKING:
    from wssync.errors import CloseStatus

__all__ = [
    "CloseCode",
    "ClosingEvent",
    "ClosingHandshake",
    "ClosingState",
    "MAX_REASON",
    "TRANSITIONS",
    "close_code",
    "decode_close",
    "encode_close",
    "may_be_sent",
]

MAX_REASON = 123
"""Bytes of a reason: a control frame carries 125 (RFC 6455 section 5.5), two of them are the code."""


class CloseCode(enum.IntEnum):
    """The close codes that have a name (RFC 6455 section 7.4.1, the IANA registry, and Apple's `INVALID`).

    `INVALID` means "still open"; `NO_STATUS_RECEIVED`, `ABNORMAL_CLOSURE` and `TLS_HANDSHAKE_FAILURE` are reported and
    never sent. Codes from 3000 to 4999 belong to libraries and applications and stay plain integers.
    """

    INVALID = 0
    NORMAL_CLOSURE = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS_RECEIVED = 1005
    ABNORMAL_CLOSURE = 1006
    INVALID_FRAME_PAYLOAD_DATA = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION_MISSING = 1010
    INTERNAL_SERVER_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014
    TLS_HANDSHAKE_FAILURE = 1015


_NAMED = {int(code): code for code in CloseCode}
_NAMED_TO_BE_SENT = frozenset(_NAMED) - {0, 1005, 1006, 1015}


def close_code(value: int) -> int:
    """Give the `CloseCode` member with this value where there is one, else the value itself."""
    return _NAMED.get(value, value)


def may_be_sent(code: int) -> bool:
    """Tell whether a Close frame may carry this code: 1000-1003, 1007-1014, 3000-4999 (RFC 6455 section 7.4).

    The same set is accepted from the peer: 1004 is reserved without a meaning, 1016 to 2999 wait for a later RFC.
    """
    return code in _NAMED_TO_BE_SENT or 3000 <= code <= 4999


def encode_close(code: Optional[int], reason: Union[str, bytes, None] = None) -> bytes:
    """Make the body of a Close frame; no code makes an empty one. An empty reason is no reason.

    Raises `TypeError` for a code that is no integer (a bool is none) or a reason that is neither `str` nor `bytes`, and
    `ValueError` for a code that must not be sent, a reason without a code, over `MAX_REASON` bytes or not UTF-8.
    """
    text = _encode_reason(reason)
    if code is None:
        if text:
            raise ValueError("a close reason needs a close code (RFC 6455 section 5.5.1)")
        return b""
    if isinstance(code, bool) or not isinstance(code, int):
        raise TypeError(f"a close code is an int, not {type(code).__name__}")
    if not may_be_sent(code):
        raise ValueError(f"close code {int(code)} must not be sent: use 1000-1003, 1007-1014 or 3000-4999")
    return code.to_bytes(2, "big") + text


def _encode_reason(reason: Union[str, bytes, None]) -> bytes:
    if reason is None:
        return b""
    if not isinstance(reason, (str, bytes)):
        raise TypeError(f"a close reason is a str or bytes, not {type(reason).__name__}")
    try:
        text = reason.encode() if isinstance(reason, str) else reason.decode().encode()
    except UnicodeError as exc:
        raise ValueError("a close reason must be valid UTF-8 (RFC 6455 section 5.5.1)") from exc
    if len(text) > MAX_REASON:
        raise ValueError(f"a close reason has at most {MAX_REASON} bytes of UTF-8, not {len(text)}")
    return text


def decode_close(payload: bytes) -> Tuple[int, Optional[str]]:
    """Read the body of a Close frame: code and reason; 1005 for an empty body, `None` for an empty reason.

    Raises `ProtocolError` with code 1002 for a body of one byte or a code that must not be on the wire, 1007 for a
    reason that is not UTF-8; its message shows the raw bytes.
    """
    if not payload:
        return CloseCode.NO_STATUS_RECEIVED, None
    if len(payload) == 1:
        raise ProtocolError("the body of a Close frame is one byte long (RFC 6455 section 5.5.1)")
    code = int.from_bytes(payload[:2], "big")
    if not may_be_sent(code):
        raise ProtocolError(f"close code {code} must not be on the wire (RFC 6455 section 7.4)")
    try:
        reason = payload[2:].decode()
    except UnicodeDecodeError as exc:
        raise ProtocolError(
            f"the reason of a Close frame is not UTF-8: {payload[2:]!r} (RFC 6455 section 5.5.1)", code=1007
        ) from exc
    return close_code(code), reason or None


class ClosingState(enum.Enum):
    """How far the closing handshake has come."""

    OPEN = "open"
    CLOSE_SENT = "close sent"
    CLOSE_RECEIVED = "close received"
    CLOSED = "closed"

    __hash__ = object.__hash__  # an enumeration's own, written in Python, is slow

    @property
    def may_send_data(self) -> bool:
        """No data frame follows our own Close (RFC 6455 section 5.5.1), and none answers the peer's."""
        return self is ClosingState.OPEN

    @property
    def may_receive_data(self) -> bool:
        """What the peer sent before its own Close counts, whatever we have sent (section 1.4)."""
        return self in (ClosingState.OPEN, ClosingState.CLOSE_SENT)


class ClosingEvent(enum.Enum):
    """What moves the closing handshake on."""

    CLOSE_SENT = "close sent"
    CLOSE_RECEIVED = "close received"
    CONNECTION_ENDED = "connection ended"

    __hash__ = object.__hash__


TRANSITIONS: Dict[Tuple[ClosingState, ClosingEvent], ClosingState] = {
    (ClosingState.OPEN, ClosingEvent.CLOSE_SENT): ClosingState.CLOSE_SENT,
    (ClosingState.OPEN, ClosingEvent.CLOSE_RECEIVED): ClosingState.CLOSE_RECEIVED,
    (ClosingState.OPEN, ClosingEvent.CONNECTION_ENDED): ClosingState.CLOSED,
    (ClosingState.CLOSE_SENT, ClosingEvent.CLOSE_RECEIVED): ClosingState.CLOSED,
    (ClosingState.CLOSE_SENT, ClosingEvent.CONNECTION_ENDED): ClosingState.CLOSED,
    (ClosingState.CLOSE_RECEIVED, ClosingEvent.CLOSE_SENT): ClosingState.CLOSED,
    (ClosingState.CLOSE_RECEIVED, ClosingEvent.CONNECTION_ENDED): ClosingState.CLOSED,
    (ClosingState.CLOSED, ClosingEvent.CONNECTION_ENDED): ClosingState.CLOSED,
}
"""The whole machine. Missing, hence illegal: a second Close in either direction, and any Close once all is over."""


class ClosingHandshake:
    """Where one connection stands in its closing handshake. Not thread-safe: its owner holds a lock or is alone.

    `sent` and `received` are the two Close frames as (code, reason), `None` where there was none; an empty one has code
    1005.
    """

    __slots__ = ("_state", "received", "sent")

    def __init__(self) -> None:
        self._state = ClosingState.OPEN
        self.sent: CloseStatus = None
        self.received: CloseStatus = None

    @property
    def state(self) -> ClosingState:
        """The present state; only `send`, `receive` and `end` change it."""
        return self._state

    @property
    def is_clean(self) -> bool:
        """Both Close frames were exchanged (RFC 6455 section 7.1.4)."""
        return self.sent is not None and self.received is not None

    def send(self, code: Optional[int] = None, reason: Union[str, bytes, None] = None) -> bytes:
        """Note that our Close goes out, and return the body of its frame.

        Raises what `encode_close` raises, and `RuntimeError` for a second one or after the end; nothing changes then.
        """
        body = encode_close(code, reason)
        self._advance(ClosingEvent.CLOSE_SENT)
        self.sent = decode_close(body) if code is None or reason else (close_code(code), None)
        return body

    def receive(self, code: int, reason: Optional[str] = None) -> None:
        """Note the peer's Close, as `decode_close` gave it. `RuntimeError` for a second one or after the end."""
        received = (close_code(code), reason)
        self._advance(ClosingEvent.CLOSE_RECEIVED)
        self.received = received  # with no call between the two: an interrupt finds both or none

    def answer(self) -> bytes:
        """Send the answer to the peer's Close: the same code, no reason, no body if it had none (section 5.5.1).

        Raises `RuntimeError` if none was received or ours has gone out already.
        """
        if self.received is None:
            raise RuntimeError("there is no Close frame to answer")
        code = self.received[0]
        return self.send(None if code == CloseCode.NO_STATUS_RECEIVED else code)

    def end(self) -> None:
        """Note that the connection is gone, however far the handshake has come. May be called again."""
        self._advance(ClosingEvent.CONNECTION_ENDED)

    def _advance(self, event: ClosingEvent) -> None:
        state = TRANSITIONS.get((self._state, event))
        if state is None:
            raise RuntimeError(f"{event.value} cannot happen in the state {self._state.value}")
        self._state = state

    def __repr__(self) -> str:
        return f"<ClosingHandshake {self._state.value} sent={self.sent} received={self.received}>"

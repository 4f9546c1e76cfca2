"""The rules that the header of a frame can break: what a `Decoder` looks at before it takes the frame.

A rule is judged as soon as the bits that break it are there.
"""

from __future__ import annotations

from wssync.errors import ProtocolError
from wssync.hints import Optional
from wssync.protocol.frames import MAX_CONTROL_PAYLOAD, Header, Opcode, Role

__all__ = ["check_length", "violation"]

_OPCODES = frozenset(Opcode)


def violation(first: int, second: int, role: Role, in_message: bool, may_inflate: bool) -> Optional[str]:
    """Name the rule that a frame with these first two bytes breaks, whatever the rest of it may be.

    `role` is who receives it, `in_message` whether a message has begun, `may_inflate` whether one may be compressed.
    """
    opcode = first & 0x0F
    if opcode not in _OPCODES:
        return f"opcode {opcode:#x} is reserved (RFC 6455 section 5.2)"
    if first & 0x70 and (first & 0x30 or not may_inflate):
        return "a reserved bit is set and no extension uses it (RFC 6455 section 5.2)"
    if first & 0x40 and opcode not in (Opcode.TEXT, Opcode.BINARY):
        return "RSV1 is set on a frame that does not begin a message (RFC 7692 section 6.1)"
    if bool(second & 0x80) is not (role is Role.SERVER):
        kind = "a masked" if second & 0x80 else "an unmasked"
        return f"the {role.peer.value} sent {kind} frame (RFC 6455 section 5.1)"
    if opcode >= Opcode.CLOSE:
        return _control_violation(first, second)
    return _order_violation(opcode, in_message)


def _control_violation(first: int, second: int) -> Optional[str]:
    if not first & 0x80:
        return "a control frame is fragmented (RFC 6455 section 5.5)"
    if second & 0x7F > MAX_CONTROL_PAYLOAD:
        return f"a control frame is longer than {MAX_CONTROL_PAYLOAD} bytes (RFC 6455 section 5.5)"
    return None


def _order_violation(opcode: int, in_message: bool) -> Optional[str]:
    if opcode == Opcode.CONTINUATION and not in_message:
        return "a continuation frame continues no message (RFC 6455 section 5.4)"
    if opcode != Opcode.CONTINUATION and in_message:
        return "a new message begins inside a fragmented one (RFC 6455 section 5.4)"
    return None


def check_length(header: Header) -> None:
    """Raise `ProtocolError` for a length that nobody may send in this form."""
    if not header.is_shortest:
        raise ProtocolError("a frame's length does not have its shortest form (RFC 6455 section 5.2)")
    if header.length >> 63:
        raise ProtocolError("a frame's length has its top bit set (RFC 6455 section 5.2)")

"""Text that arrives in pieces: is it still possible UTF-8? (RFC 6455 section 8.1; RFC 3629)

A receiver may wait for the end of a message before it looks at the text, and most do. Here a byte that no continuation
could make good fails the connection when it arrives, be the frame complete or not: the peer hears 1007 for the data it
has just sent, and nothing more of a hopeless message is kept in memory.

CPython's decoder does the work: told that more may come, it gives up at the first impossible byte (overlong forms and
what lies beyond U+10FFFF are seen at the second byte of the character) and leaves an unfinished character alone. All
but surrogates: for the sake of its `surrogatepass` it waits for their third byte, so their second is looked at here.
"""

from __future__ import annotations

from codecs import utf_8_decode

from wssync.errors import ProtocolError

__all__ = ["check_text", "decode_text"]


def check_text(data: bytes) -> bytes:
    """Check one piece of a text, and return the bytes of the character it leaves unfinished: none to three.

    The next piece is checked with those bytes before it. Raises `ProtocolError` with code 1007 at an impossible byte.
    """
    if data.isascii():
        return b""
    try:
        rest = data[utf_8_decode(data, "strict", False)[1] :]
    except UnicodeDecodeError as exc:
        problem = exc.reason
    else:
        if rest < b"\xed\xa0" or rest > b"\xed\xbf":
            return rest
        problem = "half of a surrogate pair"
    raise _not_text(problem)


def decode_text(data: bytes) -> str:
    """Decode a whole text. Raises `ProtocolError` with code 1007 if it is not UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError as exc:
        problem = exc.reason
    raise _not_text(problem)


def _not_text(problem: str) -> ProtocolError:
    """Make the error outside the `except`: a `UnicodeDecodeError` in its context would keep the whole text alive."""
    return ProtocolError(f"a text message is not UTF-8: {problem} (RFC 6455 section 8.1)", code=1007)

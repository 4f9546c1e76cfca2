"""Pins: which public keys a server may show (Apple has `NSPinnedDomains` for it, HTTP had RFC 7469).

A pin is the SHA-256 of a certificate's SubjectPublicKeyInfo, so it outlives the certificate when the key is kept. The
standard library does not give that field, so it is cut out of the DER here: eleven elements are looked at, whatever
the certificate's size, and only those that lead to the key from the inside (RFC 5280 section 4.1). What comes from a
server has passed OpenSSL by then, but is believed nothing all the same: lengths in the shortest form only (X.690
section 10.1), nothing outside of its parent, nothing behind the end.
"""

from __future__ import annotations

from ..errors import CertificateError
from ..hints import Iterable, Tuple

__all__ = ["check_pins", "pin_of", "public_key_of"]

_PREFIX = "sha256/"
_DIGEST = 32
"""Bytes of a SHA-256."""

_SEQUENCE, _INTEGER, _BIT_STRING, _VERSION = 0x30, 0x02, 0x03, 0xA0
_BEFORE_THE_KEY = (_INTEGER, _SEQUENCE, _SEQUENCE, _SEQUENCE, _SEQUENCE)
"""Serial number, signature algorithm, issuer, validity, subject."""


def check_pins(pins: object) -> Tuple[str, ...]:
    """The pins as a tuple, for a configuration: strings of the form `"sha256/<base64 of the 32 bytes>"`.

    TypeError for anything but an iterable of `str` (a single `str` is none), ValueError for one of another form. No
    pins at all are an empty tuple, which binds nobody.
    """
    if isinstance(pins, (str, bytes)) or not isinstance(pins, Iterable):
        raise TypeError(f"pins are a collection of str, not {type(pins).__name__}")
    found = tuple(pins)
    for pin in found:
        if not isinstance(pin, str):
            raise TypeError(f"a pin is a str, not {type(pin).__name__}")
        if not _is_pin(pin):
            raise ValueError(f'a pin has the form "sha256/<base64 of the SHA-256 of a public key>", not {pin[:80]!r}')
    return found


def _is_pin(pin: str) -> bool:
    import base64

    if not pin.startswith(_PREFIX):
        return False
    try:
        digest = base64.b64decode(pin[len(_PREFIX) :], validate=True)
    except ValueError:
        return False
    # Decoding forgives bits that are set behind the end; compared as text, such a pin would never match.
    return len(digest) == _DIGEST and _spell(digest) == pin


def _spell(digest: bytes) -> str:
    import base64

    return _PREFIX + base64.b64encode(digest).decode("ascii")


def pin_of(certificate: bytes) -> str:
    """The pin of a certificate (DER), as `certificate_pins` has it. `CertificateError` if it is not DER."""
    import hashlib

    return _spell(hashlib.sha256(public_key_of(certificate)).digest())


def public_key_of(certificate: bytes) -> bytes:
    """The SubjectPublicKeyInfo of a certificate, both DER. `CertificateError` if the certificate is no such thing."""
    try:
        start, end = _open(certificate, 0, len(certificate), _SEQUENCE)
        if end != len(certificate):
            raise ValueError("something follows the certificate")
        start, end = _open(certificate, start, end, _SEQUENCE)
        if start < end and certificate[start] == _VERSION:
            start = _open(certificate, start, end, _VERSION)[1]
        for tag in _BEFORE_THE_KEY:
            start = _open(certificate, start, end, tag)[1]
        inside, after = _open(certificate, start, end, _SEQUENCE)
        inside = _open(certificate, inside, after, _SEQUENCE)[1]  # the algorithm
        if _open(certificate, inside, after, _BIT_STRING)[1] != after:
            raise ValueError("something follows the key")
    except ValueError as error:
        raise CertificateError(f"the server's certificate cannot be read: {error}") from error
    return certificate[start:after]


def _open(data: bytes, start: int, end: int, tag: int) -> Tuple[int, int]:
    """Where the content of the element at `start` begins and ends. ValueError unless it is a `tag` and ends by `end`.

    Elements of a certificate up to its key have tags of one byte and lengths of at most four more.
    """
    if end - start < 2 or data[start] != tag:
        raise ValueError(f"no element {tag:#04x} at byte {start}")
    size, start = data[start + 1], start + 2
    if size >= 0x80:
        count = size - 0x80  # if it is more than there is, so is the size, below
        if not 1 <= count <= 4:
            raise ValueError(f"a bad length at byte {start}")
        size = int.from_bytes(data[start : start + count], "big")
        if size < 0x80 or size >> 8 * (count - 1) == 0:
            raise ValueError(f"a length that is not in the shortest form at byte {start}")
        start += count
    if size > end - start:
        raise ValueError(f"an element at byte {start} is longer than what it is in")
    return start, start + size

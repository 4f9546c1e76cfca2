"""The computation of Digest access authentication: RFC 7616, with RFC 2617 and RFC 2069 as its older forms.

It is the same for the side that answers and the side that judges, so it stands here once, and the vectors of the RFCs
hold it. Bytes in, lower-case hexadecimal out.
"""

from __future__ import annotations

from wssync.frozen import Frozen
from wssync.hints import Dict, Optional, Tuple

__all__ = ["ALGORITHMS", "Algorithm", "find_algorithm"]

_HASHES: Dict[str, Tuple[str, int]] = {"MD5": ("md5", 1), "SHA-256": ("sha256", 2), "SHA-512-256": ("sha512_256", 3)}
_SESSION = "-sess"

ALGORITHMS = tuple(_HASHES)
"""The names of RFC 7616 section 6.1, each of which may have "-sess" behind it."""


class Algorithm(Frozen):
    """One of the algorithms: its `name` as registered, OpenSSL's name for its hash, and how strong it is.

    `is_session` tells whether the secret is one of an authentication session ("-sess"). A larger `strength` is
    stronger.
    """

    name: str
    hash_name: str
    is_session: bool
    strength: int

    def hash(self, *parts: bytes) -> bytes:
        """The hash of the parts joined by colons; KD and H of RFC 7616 section 3.3 alike."""
        import hashlib

        return hashlib.new(self.hash_name, b":".join(parts), usedforsecurity=False).hexdigest().encode("ascii")

    def secret(self, user: bytes, realm: bytes, password: bytes) -> bytes:
        """H(A1) of section 3.4.2, but for what "-sess" makes of it."""
        return self.hash(user, realm, password)

    def session_secret(self, secret: bytes, nonce: bytes, cnonce: bytes) -> bytes:
        """H(A1) for "-sess": the secret bound to the session's first nonce and cnonce."""
        return self.hash(secret, nonce, cnonce)

    def response(self, secret: bytes, method: bytes, uri: bytes, *between: bytes) -> bytes:
        """The response (section 3.4.1).

        `between` is nonce, nc, cnonce and qop, or the nonce alone where there is no qop. With it, qop is "auth": the
        body is not hashed.
        """
        return self.hash(secret, *between, self.hash(method, uri))


def find_algorithm(name: str) -> Optional[Algorithm]:
    """The algorithm of that name, in any case; `None` if it is unknown, or this Python's OpenSSL has no such hash."""
    is_session = name.lower().endswith(_SESSION)
    plain = (name[: -len(_SESSION)] if is_session else name).upper()
    if plain not in _HASHES:
        return None
    algorithm = Algorithm(plain + _SESSION * is_session, _HASHES[plain][0], is_session, _HASHES[plain][1])
    try:
        algorithm.hash()
    except ValueError:
        return None
    return algorithm

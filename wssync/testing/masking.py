"""What of a conversation a cassette neither keeps, shows nor compares: secrets, and what is new each time.

Credentials do not belong in a file that is committed, and a key that is random by the rules of the protocol cannot be
expected twice. Both sides of every comparison go through here, the recorded one too: a secret that somebody wrote into
the file by hand, or that was recorded before it was called one, is not compared and not shown either.
"""

from __future__ import annotations

from typing import Iterable
from urllib.parse import unquote_plus

from ..protocol.headers import Headers

__all__ = ["Masking"]

SECRET = ("Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie")

VOLATILE = ("Host", "Sec-WebSocket-Key", "Sec-WebSocket-Accept", "User-Agent", "Date")
"""`Host` says what the URL says; the next two are random; the last two are about who and when."""

_WITH_URLS = frozenset(("location", "content-location", "referer"))


class Masking:
    """Leaves secrets out: the header fields `SECRET`, and the header fields and query parameters called `names`.

    The case of names does not matter. TypeError for anything but several `str`, also for one in the place of several.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        if isinstance(names, (str, bytes)) or not isinstance(names, Iterable):
            raise TypeError(f"secrets are names, each a str, in a list or the like, not one {type(names).__name__}")
        several = [*SECRET, *names]
        for name in several:
            if not isinstance(name, str):
                raise TypeError(f"secrets are names, each a str, and one of them is of type {type(name).__name__}")
        self._names = frozenset(name.lower() for name in several)

    def url(self, text: str) -> str:
        """A URL, or a request target, without its secret query parameters."""
        base, mark, query = text.partition("?")
        kept = [part for part in query.split("&") if unquote_plus(part.partition("=")[0]).lower() not in self._names]
        return base + (mark + "&".join(kept) if kept else "")

    def headers(self, headers: Headers) -> Headers:
        """Header fields without secrets and without what differs each time."""
        kept = headers.without(*self._names, *VOLATILE).fields
        return Headers([(name, self.url(value) if name.lower() in _WITH_URLS else value) for name, value in kept])

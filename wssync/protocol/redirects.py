"""Redirects of the opening handshake (RFC 9110 section 15.4): where one leads, and what may go along.

A redirect is a server's word about where the caller's secrets are to be sent next. So what crosses to another origin is
an allow-list: whatever a block-list forgets (`X-Api-Key`) is somebody's password. Following is the caller's decision;
here is only the proposal.
"""

from __future__ import annotations

from wssync.errors import HandshakeError, InsecureRedirect, InvalidURL
from wssync.hints import TYPE_CHECKING, AbstractSet, Iterable, Optional, Tuple
from wssync.protocol.headers import Headers
from wssync.protocol.http1 import Request, Response
from wssync.protocol.urls import WebSocketURL, mask_secrets, parse_url

if TYPE_CHECKING:
    from urllib.parse import SplitResult

__all__ = ["crossing", "is_redirect", "keep", "propose", "refuse_downgrade"]

_STATUSES = frozenset((301, 302, 303, 307, 308))
_CROSSING = ("User-Agent", "Origin", "Sec-WebSocket-Protocol")
_NO_LOCATION = -1010
_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}


def is_redirect(response: Response) -> bool:
    """Whether this response sends its reader elsewhere: 301, 302, 303, 307 or 308 with a Location (rule 51)."""
    return response.status_code in _STATUSES and "Location" in response.headers


def crossing(more: Iterable[str]) -> AbstractSet[str]:
    """The header fields that may go to another origin, in lower case: the list, and those the user names (rule 60)."""
    return frozenset(name.lower() for name in (*_CROSSING, *more))


def propose(request: Request, response: Response, allowed: AbstractSet[str]) -> Request:
    """The request that follows `request` when it was answered with this redirect.

    On another origin than that of `request` (scheme, host or port) it has the header fields in `allowed` alone. The
    time limit is inherited; userinfo is not, neither that of the old URL nor any that the server writes into the new
    one. HandshakeError (-1010) when Location is no usable URL, with the response.
    """
    url = _locate(request.parsed_url, response)
    headers = request.headers
    if url.origin != request.parsed_url.origin:
        headers = keep(headers, allowed)
    return request.replace(url=str(url), headers=headers)


def keep(headers: Headers, allowed: AbstractSet[str]) -> Headers:
    """Those header fields whose names are `allowed` (in lower case)."""
    return Headers([field for field in headers.fields if field[0].lower() in allowed])


def _locate(base: WebSocketURL, response: Response) -> WebSocketURL:
    """Where a redirect leads that answers a request for `base`, without userinfo and without a fragment.

    Relative references are resolved (RFC 3986 section 5); http and https mean ws and wss (rules 54 and 55).
    HandshakeError (-1010) when that is no usable URL.
    """
    locations = response.headers.get_all("Location")
    if len(set(locations)) != 1:
        raise _unusable("there is more than one Location", response)
    try:
        return _resolve(base, _decode(locations[0]))
    except (InvalidURL, ValueError) as error:
        raise _unusable(str(error), response) from error


def refuse_downgrade(old: WebSocketURL, new: WebSocketURL, response: Response) -> Optional[InsecureRedirect]:
    """The error for a redirect that leads from TLS to plain text, `None` for any other (rule 56)."""
    if not old.secure or new.secure:
        return None
    message = mask_secrets(f"the server redirects from {old} to {new}, without TLS")
    return InsecureRedirect(message, response=response)


def _decode(location: str) -> str:
    """A field is Latin-1 where it comes from the wire; servers that write other characters mean UTF-8."""
    try:
        return location.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return location


def _resolve(base: WebSocketURL, location: str) -> WebSocketURL:
    if not location.isprintable() or "\\" in location:
        # `urlsplit` would take the first out without a word; the second is where readers of URLs disagree.
        raise ValueError("it has control characters or backslashes")
    found, joined = _split(base, location)
    scheme = _SCHEMES.get(joined.scheme)
    if scheme is None:
        raise ValueError("a redirect leads to another protocol")
    if (found.scheme or location.lstrip().startswith("//")) and not found.netloc:
        # `urljoin` would put the old host there, browsers the first word of the path.
        raise ValueError("it names a scheme or an authority, and no host")
    authority = joined.netloc.rpartition("@")[2]
    query = f"?{joined.query}" if joined.query else ""
    return parse_url(f"{scheme}://{authority}{joined.path}{query}")


def _split(base: WebSocketURL, location: str) -> Tuple[SplitResult, SplitResult]:
    """The reference, and what it comes to."""
    from urllib.parse import urljoin, urlsplit

    try:
        # `urljoin` knows how references to http are resolved; that ws is like it, not every version does.
        return urlsplit(location), urlsplit(urljoin("http" + str(base)[2:], location))
    except ValueError:
        pass  # it may quote the userinfo, and would be the context of what is raised in here
    raise ValueError("it is no URL")


def _unusable(why: str, response: Response) -> HandshakeError:
    message = f"the server answered {response.status_code}, but its Location cannot be followed: {why}"
    return HandshakeError(message, url_error_code=_NO_LOCATION, response=response)

"""WebSocket URLs (RFC 6455 section 3), read once and strictly.

Most attacks through a URL live on two readers understanding it differently: one finds the host for the connection,
another the host for the certificate, the `Host` field or the cookies. So there is one parser; what it returns already
has the form that goes to the resolver, to TLS and on the wire, and whatever it would have to guess about is refused:

- control characters, backslashes, fragments, whitespace around the URL or in its authority, a second `@`;
- `%` in a host (zone ids too), and a host whose last label is a number but which is no plain IPv4 address (resolvers
  read `127.1` and `0x7f.1` as addresses);
- labels over 63 and names over 253 characters, before IDNA looks at them, whose cost grows faster than they do.

What has one meaning is put right instead: letter case, IDNA (UTS 46, non-transitional, as browsers do), the spelling of
IPv6 addresses, and spaces and non-ASCII in the path, which become percent-encoded UTF-8.
"""

from __future__ import annotations

import functools

from wssync.errors import InvalidURL
from wssync.frozen import Frozen
from wssync.hints import TYPE_CHECKING, List, NoReturn, Optional, Tuple
from wssync.protocol.headers import consists_of
from wssync.protocol.patterns import pattern

if TYPE_CHECKING:
    import re

__all__ = ["WebSocketURL", "mask_secrets", "parse_document_url", "parse_url"]

_DEFAULT_PORTS = {"ws": 80, "wss": 443}
_OF_DOCUMENTS = {"http": "ws", "https": "wss"}
_BAD_URL = -1000
_UNSUPPORTED_URL = -1002

# What the host and the target of a usual URL consist of, and how the last label of a name does not begin.
_USUAL_HOST = b"abcdefghijklmnopqrstuvwxyz0123456789-_."
_USUAL_TARGET = _USUAL_HOST + b"ABCDEFGHIJKLMNOPQRSTUVWXYZ~!$&'()*+,;=:@/?"
_NO_LETTER = ("-", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "")

_PCHAR = r"A-Za-z0-9\-._~!$&'()*+,;=:@/"
_SCHEME = pattern(r"[A-Za-z][A-Za-z0-9+.-]*(?=:)")
_AUTHORITY = pattern(r"//([^/?]*)")
_SCHEME_AND_SLASHES = pattern(r"[A-Za-z][A-Za-z0-9+.-]*://")
_WHITESPACE = pattern(r"\s")
_USERINFO = pattern(r"(?<=://)[^/?#\s]*@")
# No name has in it what one begins behind: so each character is looked at by one attempt alone.
_PARAMETER = pattern(r"(?<=[?&;])([^?=&;\s]+)=[^&;#\s'\"]*")
_SECRET_NAME = pattern(
    r"(?i)token|secret|passw|pwd|auth|api[-_.]?key|access[-_.]?key|signature|credential|session|jwt|ticket"
    r"|^(?:key|sig|code|sid|pass)$"
)
# One of these is in every name of which that says so. Most URLs have none, which is quickly seen.
_HINTS = ("token", "secret", "pass", "pwd", "auth", "key", "sig", "cred", "session", "jwt", "tick", "code", "sid")
# Lone surrogates are no characters (they cannot be encoded); the rest are the C0 and C1 controls and DEL.
_NO_TEXT = pattern("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_BAD_ESCAPE = pattern(r"%(?![0-9A-Fa-f]{2})")
# The four characters that UTS 46 takes for a dot.
_DOTS = pattern("[.\u3002\uff0e\uff61]")
# Everything but RFC 3986's pchar, "/" and "?": to be escaped, as is a "%" that begins no escape.
_TO_ESCAPE = pattern(rf"%(?![0-9A-Fa-f]{{2}})|[^{_PCHAR}?%]+")
_HOST_NAME = pattern(r"[a-z0-9_.-]+")
_OCTETS = frozenset(map(str, range(256)))
_NUMBER = pattern(r"[0-9]+|0x[0-9a-f]*")
# RFC 1035 section 2.3.4: 255 octets on the wire are 253 characters in writing.
_MAX_NAME = 253
_MAX_LABEL = 63
# As much of a bad URL as an error message shows.
_MAX_SHOWN = 200


class WebSocketURL(Frozen):
    """A checked and normalized URL, as `parse_url` returns it; two spellings of one URL compare equal.

    `scheme` is "ws" or "wss"; `host` lower-case ASCII (A-labels) or an IP address without brackets; `port` is always
    there; `target` is the request target in origin form, percent-encoded ASCII, "/" at least. `user` and `password` are
    percent-decoded, `None` where the URL has none. Neither `str()` nor `repr()` shows these two.
    """

    scheme: str
    host: str
    port: int
    target: str
    user: Optional[str] = None
    password: Optional[str] = None

    @property
    def secure(self) -> bool:
        """Whether TLS is to be used (`wss`)."""
        return self.scheme == "wss"

    @property
    def is_ip_address(self) -> bool:
        """Whether the host is an IPv4 or IPv6 address rather than a name."""
        return ":" in self.host or _is_ipv4(self.host)

    @property
    def host_header(self) -> str:
        """The value of the `Host` field: brackets for IPv6, a port unless it is the default (RFC 6455 section 4.1)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def server_name(self) -> str:
        """The host for SNI and for the check of the certificate: without the root's dot (RFC 6066 section 3)."""
        return self.host[:-1] if self.host.endswith(".") else self.host

    @property
    def origin(self) -> Tuple[str, str, int]:
        """Scheme, host and port: what must be the same for credentials to be sent again (RFC 6454 section 4)."""
        return self.scheme, self.host, self.port

    @functools.cached_property
    def _text(self) -> str:
        return f"{self.scheme}://{self.host_header}{self.target}"

    @functools.cached_property
    def shown(self) -> str:
        """The same as `str()`, for people and logs: see `mask_secrets`."""
        return mask_secrets(self._text)

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"WebSocketURL({self.shown!r})"


def parse_url(text: str) -> WebSocketURL:
    """Read a `ws:` or `wss:` URL.

    Raises TypeError for anything but a `str`, InvalidURL with `url_error_code` -1002 for another scheme and -1000 for
    every other fault. The error shows the URL without whatever may be userinfo.
    """
    if not isinstance(text, str):
        raise TypeError(f"a URL is a str, not {type(text).__name__}")
    url = _parse_usual(text)
    if url is not None:
        return url
    scheme = _scheme(text)
    try:
        _check_text(text)
        return _parse_rest(scheme, text[len(scheme) + 1 :])
    except ValueError as error:
        _refuse(text, str(error), _BAD_URL, error.__cause__)


def parse_document_url(text: str) -> WebSocketURL:
    """Read the URL of a page, `http:` or `https:` (or `ws:` or `wss:`), as if it were one of a WebSocket.

    Its fragment is dropped. Raises as `parse_url` does.
    """
    if not isinstance(text, str):
        raise TypeError(f"a URL is a str, not {type(text).__name__}")
    scheme, _, rest = text.partition(":")
    return parse_url(f"{_OF_DOCUMENTS.get(scheme.lower(), scheme)}:{rest.partition('#')[0]}")


def _parse_usual(text: str) -> Optional[WebSocketURL]:
    """A URL in which there is nothing to put right, as the long way reads it; `None` where only that can tell."""
    scheme, _, rest = text.partition("://")
    place, slash, target = rest.partition("/")
    host, colon, digits = place.partition(":")
    usual_port = _DEFAULT_PORTS.get(scheme)
    if usual_port is None or not _is_usual_host(host):
        return None
    if not consists_of(target, _USUAL_TARGET) or target.endswith("?"):
        return None
    if colon and not _is_usual_port(digits):
        return None
    port = int(digits) if colon else usual_port
    url = WebSocketURL(scheme, host, port, slash + target if slash else "/", None, None)
    if slash and _is_spelled(digits, usual_port):
        _keep(url, text)
    return url


def _keep(url: WebSocketURL, text: str) -> None:
    """This is how `str()` spells the URL, and how people may see it where there is nothing to mask."""
    known = vars(url)
    known["_text"] = text
    if "=" not in text and "@" not in text:
        known["shown"] = text


def _is_usual_port(digits: str) -> bool:
    return digits.isascii() and digits.isdigit() and len(digits) <= 5 and 0 < int(digits) < 65536


def _is_spelled(digits: str, default: int) -> bool:
    """Whether a port is spelled as `str()` of a URL would do it: not at all where it is the default."""
    return not digits or (digits[0] != "0" and int(digits) != default)


def _is_usual_host(host: str) -> bool:
    """A name whose last label does not begin as a number does, or an IPv4 address; no root's dot behind it."""
    if len(host) > _MAX_LABEL or not consists_of(host, _USUAL_HOST):
        return False
    if host.rpartition(".")[2][:1] in _NO_LETTER:
        return _is_ipv4(host)
    return ".." not in host and host[0] != "."


def mask_secrets(text: str) -> str:
    """A URL, or a text with URLs in it, for people and logs: `***` in place of userinfo, and of the values of those
    parameters in a query whose names speak of secrets (`?access_token=***`).

    It takes time that is linear in the text: a server writes some of them (Location).
    """
    if "@" in text:
        text = _USERINFO.sub("***@", text)
    # Other alphabets have letters that `re` takes for those of ASCII.
    if "=" in text and (not text.isascii() or any(map(text.lower().__contains__, _HINTS))):
        text = _PARAMETER.sub(_mask_parameter, text)
    return text


def _mask_parameter(found: re.Match[str]) -> str:
    return found[0] if _SECRET_NAME.search(found[1]) is None else f"{found[1]}=***"


def _refuse(text: str, why: str, code: int, cause: Optional[BaseException] = None) -> NoReturn:
    """Raise InvalidURL without the userinfo, which in a URL that cannot be read is anything before the last "@"."""
    start = _SCHEME_AND_SLASHES.match(text)
    bare = (start[0] if start and "@" in text else "") + text.rpartition("@")[2]
    bare = mask_secrets(bare)
    bare = _NO_TEXT.sub(lambda found: repr(found[0])[1:-1], bare)
    shown = bare if len(bare) <= _MAX_SHOWN else bare[:_MAX_SHOWN] + "..."
    raise InvalidURL(f"{why}: {shown!r}", url=shown, url_error_code=code) from cause


def _check_text(text: str) -> None:
    if text != text.strip():
        raise ValueError("a URL has no whitespace around it")
    if not (text.isascii() and text.isprintable()) and _NO_TEXT.search(text):
        raise ValueError("a URL has no control characters and no lone surrogates")
    if "\\" in text:
        raise ValueError("a URL has no backslashes")
    if "#" in text:
        raise ValueError("a WebSocket URL has no fragment (RFC 6455 section 3)")


def _scheme(text: str) -> str:
    found = _SCHEME.match(text)
    if found is None:
        _refuse(text, "a WebSocket URL begins with ws:// or wss://", _BAD_URL)
    scheme = found[0].lower()
    if scheme not in _DEFAULT_PORTS:
        _refuse(text, "the scheme of a WebSocket URL is ws or wss", _UNSUPPORTED_URL)
    return scheme


def _parse_rest(scheme: str, text: str) -> WebSocketURL:
    authority = _AUTHORITY.match(text)
    if authority is None:
        raise ValueError("there is no // after the scheme, and so no host")
    if _WHITESPACE.search(authority[1]):
        raise ValueError("there is whitespace in the host, the user name or the password")
    userinfo, at, address = authority[1].rpartition("@")
    user, password = _parse_userinfo(userinfo) if at else (None, None)
    host, port = _split_port(address)
    return WebSocketURL(
        scheme=scheme,
        host=_parse_host(host),
        port=_parse_port(port) if port else _DEFAULT_PORTS[scheme],
        target=_parse_target(text[authority.end() :]),
        user=user,
        password=password,
    )


def _parse_userinfo(text: str) -> Tuple[Optional[str], Optional[str]]:
    if "@" in text:
        raise ValueError("an @ in a user name or password is written %40")
    if _BAD_ESCAPE.search(text):
        raise ValueError("a % in a user name or password is written %25")
    user, colon, password = (_unescape(part) for part in text.partition(":"))
    return (user if text else None), (password if colon else None)


def _unescape(text: str) -> str:
    from urllib.parse import unquote_to_bytes  # few URLs need it, or any of the other modules that are loaded late

    # surrogateescape, because a UnicodeDecodeError would carry the password along.
    decoded = unquote_to_bytes(text).decode("utf-8", "surrogateescape")
    if _NO_TEXT.search(decoded):
        raise ValueError("an escape in the user name or password is no UTF-8 text")
    return decoded


def _split_port(address: str) -> Tuple[str, str]:
    if address.startswith("["):
        literal, bracket, rest = address.partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError("an IPv6 address stands between [ and ], followed by : and the port at most")
        return literal + bracket, rest[1:]
    host, _, port = address.partition(":")
    if ":" in port:
        raise ValueError("there are too many colons; an IPv6 address stands in brackets")
    return host, port


def _parse_port(text: str) -> int:
    # ASCII digits alone, and no int() of a thousand of them.
    significant = text.lstrip("0")
    if not (text.isascii() and text.isdigit()) or not 1 <= len(significant) <= 5 or int(significant) > 65535:
        raise ValueError("the port is no number from 1 to 65535")
    return int(significant)


def _parse_host(text: str) -> str:
    if not text:
        raise ValueError("there is no host")
    if "%" in text:
        raise ValueError("a host has no % in it, and an address no zone id")
    if text.startswith("["):
        return _parse_ipv6(text[1:-1])
    if _is_ipv4(text):
        return text
    _check_lengths(text.split(".") if text.isascii() else _DOTS.split(text))
    host = (text if text.isascii() else _to_ascii(text)).lower()
    if _HOST_NAME.fullmatch(host) is None:
        raise ValueError("the host has a character that no host name has")
    if _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]) and not _is_ipv4(host):
        raise ValueError("the host looks like an IPv4 address and is none")
    return host


def _is_ipv4(host: str) -> bool:
    """Four decimal numbers up to 255, none with a zero before it."""
    octets = host.split(".")
    return len(octets) == 4 and _OCTETS.issuperset(octets)


def _parse_ipv6(text: str) -> str:
    import ipaddress

    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        raise ValueError("what stands in brackets is no IPv6 address") from None
    if address.ipv4_mapped is not None:
        # Python 3.13 began to write these with dots; one spelling for all versions.
        high, low = divmod(int(address.ipv4_mapped), 0x10000)
        return f"::ffff:{high:x}:{low:x}"
    return str(address)


def _to_ascii(text: str) -> str:
    import idna

    try:
        return idna.encode(text, uts46=True).decode("ascii")
    except UnicodeError as error:
        raise ValueError(f"the host is no international domain name: {error}") from error


def _check_lengths(labels: List[str]) -> None:
    if not labels[-1]:
        labels = labels[:-1]
    if not all(labels):
        raise ValueError("a label of the host is empty")
    if max(map(len, labels)) > _MAX_LABEL:
        raise ValueError(f"a label of the host is longer than {_MAX_LABEL} characters")
    if sum(map(len, labels)) + len(labels) - 1 > _MAX_NAME:
        raise ValueError(f"the host is longer than {_MAX_NAME} characters")


def _parse_target(text: str) -> str:
    """Path and query as they go out: "/" for an empty path, no "?" before an empty query (RFC 6455 section 3)."""
    path, _, query = (_escape(text) if _TO_ESCAPE.search(text) else text).partition("?")
    return (path or "/") + (f"?{query}" if query else "")


def _escape(text: str) -> str:
    from urllib.parse import quote

    return _TO_ESCAPE.sub(lambda found: quote(found[0], safe=""), text)

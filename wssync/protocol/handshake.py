"""The opening handshake (RFC 6455 section 4): what a client asks, how it judges the answer, and the server's half.

Everything here is a function from values to values. `make_upgrade` writes the request; `judge` reads the response and
returns a verdict, one frozen class for each kind of end. A 101 that breaks any of the rules is a refusal like every
other status: nobody is served by a connection that one side believes to be a WebSocket. `judge` goes through the rules
in the order of section 4.1, and the reason it gives names the first one broken.

The server's half, `answer`, is the same rules read from section 4.2. It exists for the servers of tests.
"""

from __future__ import annotations

from binascii import b2a_base64

from wssync.frozen import Frozen
from wssync.hints import List, Optional, Sequence, Tuple, Union
from wssync.protocol.deflate import (
    EXTENSION,
    DeflateOptions,
    DeflateParameters,
    accept,
    agree,
    offer,
)
from wssync.protocol.headers import Headers, HeadersLike, is_token, printable, split_list
from wssync.protocol.http1 import RequestHead, Response, format_request, format_response
from wssync.protocol.patterns import pattern
from wssync.protocol.urls import WebSocketURL

try:
    from _sha1 import sha1  # type: ignore[import-not-found] # `hashlib` would load OpenSSL for sixty bytes
except ImportError:  # pragma: no cover - another Python than CPython
    from hashlib import sha1

__all__ = [
    "Accepted",
    "Refused",
    "ServerAccepted",
    "ServerRefused",
    "Upgrade",
    "Verdict",
    "accept_value",
    "answer",
    "check_headers",
    "check_protocols",
    "judge",
    "make_upgrade",
]

_VERSION = "13"
_UPGRADING = (("Upgrade", "websocket"), ("Connection", "Upgrade"))
_IN_VERSION = ("Sec-WebSocket-Version", _VERSION)
_NONCE_LENGTH = 16
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY = pattern(r"[A-Za-z0-9+/]{22}==")
_BAD_SERVER_RESPONSE = -1011
# A server's answer can name things of 8 KiB; a reason is for a line in a log.
_MAX_REASON = 300

# What the handshake writes itself, what would give the request a body, and what belongs to a proxy alone.
_FORBIDDEN = (
    "Host",
    "Connection",
    "Upgrade",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Version",
    "Sec-WebSocket-Accept",
    "Sec-WebSocket-Extensions",
    "Content-Length",
    "Transfer-Encoding",
    "Proxy-Authorization",
)
_FORBIDDEN_KEYS = frozenset(name.lower() for name in _FORBIDDEN)
_PROTOCOL_KEYS = frozenset(("sec-websocket-protocol",))
_TO_CHECK = _FORBIDDEN_KEYS | _PROTOCOL_KEYS


class Upgrade(Frozen):
    """A request to upgrade, ready to be sent, with what its answer has to be judged by.

    `fields` are all header fields in order, `protocols` the subprotocols they offer, `key` the Sec-WebSocket-Key,
    `deflate` the options whose offer they carry, or None.
    """

    url: WebSocketURL
    fields: Tuple[Tuple[str, str], ...]
    protocols: Tuple[str, ...]
    key: str
    deflate: Optional[DeflateOptions]

    def to_bytes(self) -> bytes:
        """The whole request; nothing else may be sent before the response is complete (RFC 6455 section 4.1)."""
        return format_request("GET", self.url.target, self.fields)

    def __repr__(self) -> str:
        return f"Upgrade({str(self.url)!r}, {Headers(self.fields)!r})"


class Accepted(Frozen):
    """The connection is open: its subprotocol, the parameters of compression, the extensions as the response has them.

    `protocol` and `deflate` are None, `extensions` empty, where nothing was agreed.
    """

    protocol: Optional[str]
    deflate: Optional[DeflateParameters]
    extensions: Tuple[str, ...]


class Refused(Frozen):
    """The connection has failed; `reason` is a sentence for people, `url_error_code` Foundation's number for it."""

    reason: str
    url_error_code: int


_PLAIN = Accepted(None, None, ())
# Without one of these nothing more was agreed than to upgrade.
_TO_JUDGE = frozenset(("sec-websocket-extensions", "sec-websocket-protocol", "transfer-encoding", "content-length"))

Verdict = Union[Accepted, Refused]
"""What `judge` comes to."""


class ServerAccepted(Frozen):
    """A server takes the connection: what was agreed, and the response to send."""

    protocol: Optional[str]
    deflate: Optional[DeflateParameters]
    response: bytes


class ServerRefused(Frozen):
    """A server refuses the connection: the response to send before closing it, and why."""

    response: bytes
    reason: str


def check_protocols(protocols: Sequence[str]) -> Tuple[str, ...]:
    """The subprotocols to offer, checked: tokens, each once (RFC 6455 section 4.1, item 10).

    Raises TypeError for a `str` (a list of letters is never meant) and for names that are none, else ValueError.
    """
    if protocols == ():
        return ()
    if isinstance(protocols, (str, bytes)):
        raise TypeError(f"protocols are a sequence of names, not one {type(protocols).__name__}")
    checked = tuple(protocols)
    for name in checked:
        if not isinstance(name, str):
            raise TypeError(f"the name of a subprotocol is a str, not {type(name).__name__}")
        if not is_token(name):
            raise ValueError(f"{printable(name)!r} is no name for a subprotocol (RFC 6455 section 4.1)")
    if len(set(checked)) < len(checked):
        raise ValueError("a subprotocol is offered twice (RFC 6455 section 4.1)")
    return checked


def check_headers(headers: Headers, protocols: Sequence[str]) -> None:
    """Raise ValueError for fields that a caller may not set.

    These are the handshake's own, those of a body, and Sec-WebSocket-Protocol where `protocols` are given as well or
    where its value is no list of subprotocols.
    """
    if headers.isdisjoint(_TO_CHECK):
        return
    if not headers.isdisjoint(_FORBIDDEN_KEYS):
        name = next(name for name in _FORBIDDEN if name in headers)
        raise ValueError(f"the header field {name} is not for callers to set")
    if _offered_protocols(headers) and protocols:
        raise ValueError("subprotocols are given twice: as protocols and in Sec-WebSocket-Protocol")


def make_upgrade(
    url: WebSocketURL,
    *,
    headers: Headers,
    additional: Headers,
    protocols: Sequence[str],
    deflate: Optional[DeflateOptions],
    nonce: bytes,
) -> Upgrade:
    """Write the request for `url` (RFC 6455 section 4.1).

    `headers` are the request's own; `additional` ones are sent too unless the request has the same name or says the
    same by `protocols`. `nonce` is 16 random bytes, fresh for every attempt. Raises ValueError or TypeError for
    whatever `check_headers` and `check_protocols` refuse.
    """
    if len(nonce) != _NONCE_LENGTH:
        raise ValueError(f"the nonce has {_NONCE_LENGTH} bytes (RFC 6455 section 4.1)")
    checked = check_protocols(protocols)
    own = headers.fields
    if own or checked:
        overruled = additional.without(*headers, *(["Sec-WebSocket-Protocol"] if checked else []))
        extra = Headers(own + overruled.fields)
    else:
        extra = additional
    check_headers(extra, checked)
    key = b2a_base64(nonce, newline=False).decode("ascii")
    fields = [("Host", url.host_header), *_UPGRADING, ("Sec-WebSocket-Key", key), _IN_VERSION]
    if checked:
        fields.append(("Sec-WebSocket-Protocol", ", ".join(checked)))
    if deflate is not None:
        fields.append(("Sec-WebSocket-Extensions", offer(deflate)))
    return Upgrade(url, (*fields, *extra.fields), checked or _offered_protocols(extra), key, deflate)


def accept_value(key: str) -> str:
    """The Sec-WebSocket-Accept that answers a Sec-WebSocket-Key (RFC 6455 section 4.2.2, item 5.4)."""
    digest = sha1(key.encode("latin-1") + _GUID, usedforsecurity=False).digest()
    return b2a_base64(digest, newline=False).decode("ascii")


def judge(upgrade: Upgrade, response: Response) -> Verdict:
    """Decide whether `response` opens the connection that `upgrade` asked for. Never raises because of the server."""
    headers = response.headers
    try:
        _check_status(response)
        _check_switch(headers)
        _check_accept(headers, upgrade.key)
        if headers.isdisjoint(_TO_JUDGE):
            return _PLAIN
        deflate, extensions = _judge_extensions(headers, upgrade.deflate)
        protocol = _judge_protocol(headers, upgrade.protocols)
        _check_no_body(headers)
    except ValueError as error:
        return Refused(str(error)[:_MAX_REASON], _BAD_SERVER_RESPONSE)
    return Accepted(protocol, deflate, extensions)


def _check_status(response: Response) -> None:
    if response.status_code != 101:
        answered = f"{response.status_code} {printable(response.reason)}".rstrip()
        raise ValueError(f"the server answered {answered} instead of 101")
    if response.http_version != "1.1":
        raise ValueError(f"the server answered 101 in HTTP/{response.http_version} (RFC 6455 section 4.1 asks for 1.1)")


def _check_switch(headers: Headers) -> None:
    upgrade = _single(headers, "Upgrade")
    if upgrade.lower() != "websocket":
        raise ValueError(f"the server upgrades to {printable(upgrade)!r} instead of websocket (RFC 6455 section 4.1)")
    if headers.get_only("Connection") != "Upgrade" and not _lists(headers, "Connection", "upgrade"):
        raise ValueError("Connection does not say Upgrade in the server's answer (RFC 6455 section 4.1)")


def _check_accept(headers: Headers, key: str) -> None:
    given = _single(headers, "Sec-WebSocket-Accept")
    if given != accept_value(key):
        raise ValueError("Sec-WebSocket-Accept does not answer our key (RFC 6455 section 4.1)")


def _judge_extensions(
    headers: Headers, options: Optional[DeflateOptions]
) -> Tuple[Optional[DeflateParameters], Tuple[str, ...]]:
    if "Sec-WebSocket-Extensions" not in headers:
        return None, ()
    from wssync.protocol.extensions import parse_extensions

    extensions = parse_extensions(headers["Sec-WebSocket-Extensions"])
    for name, _ in extensions:
        if name != EXTENSION or options is None:
            raise ValueError(
                f"the server uses an extension that was not offered: {printable(name)} (RFC 6455 section 4.1)"
            )
    if len(extensions) != 1 or options is None:
        raise ValueError("Sec-WebSocket-Extensions does not name one extension (RFC 7692 section 5.1)")
    _, parameters = extensions[0]
    text = "; ".join([EXTENSION, *(name if value is None else f"{name}={value}" for name, value in parameters)])
    return agree(options, parameters), (text,)


def _judge_protocol(headers: Headers, offered: Sequence[str]) -> Optional[str]:
    if "Sec-WebSocket-Protocol" not in headers:
        return None
    chosen = _single(headers, "Sec-WebSocket-Protocol")
    if chosen not in offered:
        raise ValueError(
            f"the server chose a subprotocol that was not offered: {printable(chosen)!r} (RFC 6455 section 4.1)"
        )
    return chosen


def _check_no_body(headers: Headers) -> None:
    # RFC 9112 section 6.1 forbids both in a 101; who believed them would read frames as a body, or a body as frames.
    if "Transfer-Encoding" in headers or set(headers.get_all("Content-Length")) - {"0"}:
        raise ValueError("a 101 has no body, but the server's answer announces one (RFC 9112 section 6)")


def _single(headers: Headers, name: str) -> str:
    value = headers.get_only(name)
    if value is None:
        raise ValueError(f"there is {'more than one' if name in headers else 'no'} {name} (RFC 6455 section 4)")
    return value


def _lists(headers: Headers, name: str, element: str) -> bool:
    return element in (each.lower() for each in split_list(headers.get_all(name)))


def _offered_protocols(headers: Headers) -> Tuple[str, ...]:
    if headers.isdisjoint(_PROTOCOL_KEYS):
        return ()
    fields = headers.get_all("Sec-WebSocket-Protocol")
    return check_protocols([name.strip(" \t") for value in fields for name in value.split(",")])


# The server's half


class _UpgradeRequired(ValueError):
    """A request that would be in order for another protocol or version (426, RFC 9110 section 15.5.22)."""


def answer(
    request: RequestHead,
    *,
    protocols: Sequence[str] = (),
    deflate: Optional[DeflateOptions] = None,
    headers: HeadersLike = None,
) -> Union[ServerAccepted, ServerRefused]:
    """Answer a request to upgrade as a server does (RFC 6455 section 4.2).

    `protocols` are those the server speaks: the client's first one among them is chosen. `deflate` allows compression.
    `headers` are added to the response. Never raises because of the client; ValueError or TypeError for bad arguments.
    """
    from wssync.protocol.extensions import parse_extensions

    spoken = check_protocols(protocols)
    extra = Headers(headers)
    try:
        _check_request(request)
        key = _request_key(request.headers)
        offered = _offered_protocols(request.headers)
        offers = parse_extensions(", ".join(request.headers.get_all("Sec-WebSocket-Extensions")))
    except ValueError as error:
        return _turn_down(error, extra)
    protocol = next((name for name in offered if name in spoken), None)
    chosen = accept(deflate, offers) if deflate is not None else None
    fields: List[Tuple[str, str]] = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", accept_value(key)),
    ]
    if protocol is not None:
        fields.append(("Sec-WebSocket-Protocol", protocol))
    if chosen is not None:
        fields.append(("Sec-WebSocket-Extensions", chosen[1]))
    response = format_response(101, "Switching Protocols", [*fields, *extra.fields])
    return ServerAccepted(protocol, chosen[0] if chosen else None, response)


def _check_request(request: RequestHead) -> None:
    if request.method != "GET":
        raise ValueError("the method is not GET")
    if request.http_version != "1.1":
        raise ValueError("the request is not HTTP/1.1")
    _single(request.headers, "Host")
    if not _lists(request.headers, "Upgrade", "websocket"):
        raise _UpgradeRequired("this is a WebSocket server")
    if not _lists(request.headers, "Connection", "upgrade"):
        raise ValueError("Connection does not say Upgrade")
    if _single(request.headers, "Sec-WebSocket-Version") != _VERSION:
        raise _UpgradeRequired("the version of the WebSocket protocol is 13")


def _request_key(headers: Headers) -> str:
    key = _single(headers, "Sec-WebSocket-Key")
    if _KEY.fullmatch(key) is None:
        raise ValueError("Sec-WebSocket-Key is not 16 bytes in base64")
    return key


def _turn_down(error: ValueError, extra: Headers) -> ServerRefused:
    body = f"{error}\n".encode("latin-1", "replace")
    fields = [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))]
    if isinstance(error, _UpgradeRequired):
        fields += [("Upgrade", "websocket"), ("Sec-WebSocket-Version", _VERSION), ("Connection", "Upgrade, close")]
        status, reason = 426, "Upgrade Required"
    else:
        fields.append(("Connection", "close"))
        status, reason = 400, "Bad Request"
    return ServerRefused(format_response(status, reason, [*fields, *extra.fields], body), str(error))

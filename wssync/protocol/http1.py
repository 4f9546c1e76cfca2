"""HTTP/1.1 as far as an opening handshake needs it (RFC 9112): heads in, heads out.

The opening is the one part of a WebSocket where a peer writes text, and text has always been read too kindly. So heads
are bounded in bytes, lines and length of line before anything is read into them; they are scanned once, however they
arrive; and what RFC 9112 calls obsolete or leaves to taste (folded lines, bare line feeds, blanks before a colon) is an
error: it is what requests are smuggled with. `format_request` and `format_response` are the only ways to the wire, and
they check again what they write.

Header fields are in `headers`, the body of a refusal is read by `bodies`.
"""

from __future__ import annotations

import functools
import math

from wssync.errors import HandshakeError
from wssync.frozen import Frozen
from wssync.hints import Iterable, List, NoReturn, Optional, Tuple, Union
from wssync.protocol.headers import Headers, HeadersLike, checked_fields, is_text, is_token, printable
from wssync.protocol.patterns import pattern
from wssync.protocol.urls import WebSocketURL, mask_secrets, parse_document_url, parse_url

__all__ = [
    "HeadReader",
    "Request",
    "RequestHead",
    "Response",
    "find_head",
    "format_request",
    "format_response",
    "parse_request_head",
    "parse_response_head",
]

_BAD_SERVER_RESPONSE = -1011
_CANNOT_PARSE_RESPONSE = -1017

_REQUEST_LINE = pattern(r"([^ ]+) ([\x21-\x7e]+) HTTP/(1\.[01])")


class _Keep:
    """The mark of a field that `Request.replace` leaves alone (None is a value of its own)."""


_KEEP = _Keep()


class Request(Frozen):
    """What to open, and how: a frozen value.

    `url` is checked by `parse_url` (InvalidURL, TypeError), `headers` become `Headers` (ValueError, TypeError), and
    `timeout_interval` is a number of seconds over 0, or None for that of the configuration (ValueError, TypeError).
    `http_should_handle_cookies` tells whether cookies are sent and stored, `main_document_url` is what the cookie
    policy compares with (Apple: `mainDocumentURL`; an `http:` or `https:` URL, InvalidURL for another).
    """

    url: str
    headers: Headers
    timeout_interval: Optional[float]
    http_should_handle_cookies: bool = True
    main_document_url: Optional[str] = None

    def __init__(
        self,
        url: str,
        *,
        headers: HeadersLike = None,
        timeout_interval: Optional[float] = None,
        http_should_handle_cookies: bool = True,
        main_document_url: Optional[str] = None,
    ) -> None:
        parsed = parse_url(url)
        _check_interval(timeout_interval)
        if main_document_url is not None:
            parse_document_url(main_document_url)
        super().__init__(url, Headers(headers), timeout_interval, bool(http_should_handle_cookies), main_document_url)
        vars(self)["parsed_url"] = parsed

    @functools.cached_property
    def parsed_url(self) -> WebSocketURL:
        """The URL as `parse_url` reads it, known since the check. It is a fact about `url`, no field of its own."""
        return parse_url(self.url)

    def forget_parsed(self) -> None:
        """Nobody will ask for the parsed URL soon: it weighs as much as all the rest, and can be had again."""
        vars(self).pop("parsed_url", None)

    def replace(
        self,
        *,
        url: Optional[str] = None,
        headers: Union[HeadersLike, _Keep] = _KEEP,
        timeout_interval: Union[float, _Keep, None] = _KEEP,
        http_should_handle_cookies: Optional[bool] = None,
        main_document_url: Union[str, _Keep, None] = _KEEP,
    ) -> Request:
        """A copy with these fields changed; each is checked as in the constructor."""
        handles = self.http_should_handle_cookies if http_should_handle_cookies is None else http_should_handle_cookies
        return Request(
            self.url if url is None else url,
            headers=self.headers if isinstance(headers, _Keep) else headers,
            timeout_interval=self.timeout_interval if isinstance(timeout_interval, _Keep) else timeout_interval,
            http_should_handle_cookies=handles,
            main_document_url=self.main_document_url if isinstance(main_document_url, _Keep) else main_document_url,
        )

    def __repr__(self) -> str:
        return (
            f"Request({mask_secrets(self.url)!r}, headers={self.headers!r}, timeout_interval={self.timeout_interval!r})"
        )


class Response(Frozen):
    """What a server answered: `status_code`, `reason`, `headers`, and of a refusal the first part of its `body`.

    `url` is the one that was asked for, `http_version` "1.1" or "1.0".
    """

    url: str
    status_code: int
    reason: str
    headers: Headers
    body: bytes = b""
    http_version: str = "1.1"

    def __repr__(self) -> str:
        status = f"{self.status_code} {printable(self.reason)}".rstrip()
        return f"<Response {status} from {mask_secrets(self.url)}>"


class RequestHead(Frozen):
    """What a client asked: the server half of `Response`."""

    method: str
    target: str
    headers: Headers = Headers()
    http_version: str = "1.1"

    @property
    def path(self) -> str:
        """The same as `target`, query included: the name that the library `websockets` has for it."""
        return self.target


_MAX_BYTES, _MAX_LINE, _MAX_LINES = 65536, 8192, 256


def find_head(
    data: bytes, max_line: int = _MAX_LINE, max_lines: int = _MAX_LINES, *, prefix: bytes = b""
) -> Optional[Tuple[bytes, bytes]]:
    """What a `HeadReader` with these limits gives for the first bytes of a head, in the usual case: that it comes at
    once, no longer than one line may be, and all is well with it. `None` where only that can tell.
    """
    end = data.find(b"\r\n\r\n", 0, max_line + 4)
    ends = data.count(b"\r\n", 0, end)
    if end <= 0 or ends >= max_lines or ends != data.count(b"\n", 0, end):
        return None
    if data.startswith(b"\r\n") or not data.startswith(prefix):
        return None
    return data[:end], data[end + 4 :]


class HeadReader:
    """Collects bytes until a head is complete; the same result and the same cost however they are cut.

    The limits: `max_bytes` for the whole head with its blank line (64 KiB is more than the 8 to 48 KiB that common
    servers accept themselves), `max_line` for one line and `max_lines` for their number, the first line included.
    `prefix` is what the head must begin with ("HTTP/" for a client): a peer that speaks something else is found out
    by its first byte, not by a timeout. `url` is for the errors.

    A reader is for one head. It holds no position in time: the caller's deadline stands over all of it.
    """

    def __init__(
        self,
        max_bytes: int = _MAX_BYTES,
        max_line: int = _MAX_LINE,
        max_lines: int = _MAX_LINES,
        *,
        prefix: bytes = b"",
        url: Optional[str] = None,
    ) -> None:
        self._max_bytes = max_bytes
        self._max_line = max_line
        self._max_lines = max_lines
        self._prefix = prefix
        self._url = url
        self._buffer = bytearray()
        self._line_start = 0
        self._scanned = 0
        self._lines = 0
        self._length: Optional[int] = None

    @property
    def received(self) -> int:
        """Bytes of the head so far; once it is complete, its whole length with the blank line."""
        return len(self._buffer) if self._length is None else self._length

    def feed(self, data: bytes) -> Optional[Tuple[bytes, bytes]]:
        """Take `data`; return the head without its last two CRLF, and the bytes behind it, once it is complete.

        Raises HandshakeError: -1011 over a limit, -1017 for a bare line feed or another beginning than `prefix`.
        RuntimeError after a head was returned.
        """
        if self._length is not None:
            raise RuntimeError("this head is complete")
        if not self._buffer:
            limit = min(self._max_line, self._max_bytes - 4)
            found = find_head(data, limit, self._max_lines, prefix=self._prefix)
            if found is not None:
                self._length = len(found[0]) + 4
                return found
        self._buffer += data
        self._check_prefix()
        while (end := self._buffer.find(b"\n", self._scanned, self._max_bytes)) >= 0:
            if self._end_line(end):
                self._length = end + 1
                head = bytes(self._buffer[: max(end - 3, 0)])
                return head, bytes(self._buffer[end + 1 :])
        self._scanned = len(self._buffer)
        self._check_rest()
        return None

    def _end_line(self, end: int) -> bool:
        """Close the line whose line feed is at `end`; True for the blank one."""
        has_cr = self._buffer.endswith(b"\r", self._line_start, end)
        length = end - self._line_start - has_cr
        if length > self._max_line:
            self._over(f"a line of the head is longer than {self._max_line} bytes")
        if not has_cr:
            _refuse("a line of the head ends without CR LF", self._url)
        self._line_start = self._scanned = end + 1
        if length == 0:
            return True
        self._lines += 1
        if self._lines > self._max_lines:
            self._over(f"the head has more than {self._max_lines} lines")
        return False

    def _check_prefix(self) -> None:
        if not self._buffer.startswith(self._prefix[: len(self._buffer)]):
            _refuse("the peer does not speak HTTP", self._url)

    def _check_rest(self) -> None:
        # The last byte may be the CR of the line's end, which does not count.
        if len(self._buffer) - self._line_start - self._buffer.endswith(b"\r") > self._max_line:
            self._over(f"a line of the head is longer than {self._max_line} bytes")
        if len(self._buffer) > self._max_bytes:
            self._over(f"the head is longer than {self._max_bytes} bytes")

    def _over(self, what: str) -> NoReturn:
        raise HandshakeError(what, url=self._url, url_error_code=_BAD_SERVER_RESPONSE)


def parse_response_head(head: bytes, url: str) -> Response:
    """Read the head of a response to a request for `url`, as `HeadReader` returns it.

    Raises HandshakeError (-1017) for anything but strict HTTP/1.1 or HTTP/1.0.
    """
    text = head.decode("latin-1")
    first = text.partition("\r\n")[0]
    start, digits, blank, reason = first[:9], first[9:12], first[12:13], first[13:]
    status = 101 if digits == "101" else int(digits) if digits.isascii() and digits.isdigit() else 0
    # RFC 9112 section 4 demands the blank before an empty reason, which servers forget.
    if start not in ("HTTP/1.1 ", "HTTP/1.0 ") or status < 100 or blank not in ("", " ") or not is_text(reason):
        _refuse(f"no HTTP/1.1 status line: {printable(first)!r}", url)
    fields = _parse_fields(text[len(first) :], url)
    return Response(url, status, reason.strip(" \t"), fields, b"", start[5:8])


def parse_request_head(head: bytes) -> RequestHead:
    """Read the head of a request, as `HeadReader` returns it: the server half of `parse_response_head`.

    Raises HandshakeError (-1017) for anything but strict HTTP/1.1 or HTTP/1.0.
    """
    text = head.decode("latin-1")
    first = text.partition("\r\n")[0]
    found = _REQUEST_LINE.fullmatch(first)
    if found is None or not is_token(found[1]):
        _refuse(f"no HTTP/1.1 request line: {printable(first)!r}")
    method, target, version = found.groups()
    return RequestHead(method, target, _parse_fields(text[len(first) :]), version)


def format_request(method: str, target: str, fields: HeadersLike) -> bytes:
    """Write the head of a request. Raises ValueError or TypeError rather than write what is no well-formed head."""
    if method != "GET" and not is_token(method):
        raise ValueError(f"{printable(method)!r} is no HTTP method")
    if not (target and str.isascii(target) and target.isprintable() and " " not in target):  # visible ASCII
        raise ValueError("the request target has a character that no target may have")
    return _format_head(f"{method} {target} HTTP/1.1", fields)


def format_response(status: int, reason: str, fields: HeadersLike, body: bytes = b"") -> bytes:
    """Write a response; `fields` are all of its fields, Content-Length included. Raises ValueError or TypeError."""
    if not 100 <= status <= 999:
        raise ValueError(f"{status!r} is no HTTP status")
    if not is_text(reason):
        raise ValueError("the reason has a character that no reason may have")
    return _format_head(f"HTTP/1.1 {status:d} {reason}", fields) + body


def _format_head(first: str, fields: HeadersLike) -> bytes:
    return "\r\n".join((first, *map(": ".join, checked_fields(fields)), "", "")).encode("latin-1")


def _parse_fields(lines: str, url: Optional[str] = None) -> Headers:
    """Read the lines behind the first one, each with the CR LF before it."""
    headers = Headers.from_lines(lines)
    if headers is not None:
        return headers
    try:
        return Headers(_split_fields(lines.split("\r\n")[1:]))  # which says what is wrong with them
    except ValueError as error:
        _refuse(str(error), url)


def _split_fields(lines: List[str]) -> Iterable[Tuple[str, str]]:
    for line in lines:
        name, colon, value = line.partition(":")
        if line.startswith((" ", "\t")):
            raise ValueError("a header field is folded (RFC 9112 section 5.2)")
        if not colon:
            raise ValueError(f"a header line without a colon: {printable(name)!r}")
        if name.endswith((" ", "\t")):
            raise ValueError("whitespace before the colon of a header field (RFC 9112 section 5.1)")
        yield name, value


def _refuse(why: str, url: Optional[str] = None) -> NoReturn:
    raise HandshakeError(why, url=url, url_error_code=_CANNOT_PARSE_RESPONSE)


def _check_interval(seconds: Optional[float]) -> None:
    if seconds is None:
        return
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(f"a timeout is a number of seconds, not {type(seconds).__name__}")
    if not 0 < seconds < math.inf:
        raise ValueError("a timeout is a finite number of seconds over 0")

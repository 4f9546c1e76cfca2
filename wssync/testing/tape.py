"""The file of a cassette: conversations as JSON that reads as a dialogue, and that one can write by hand.

    {
      "format": 1,
      "conversations": [
        {
          "url": "wss://example.com/chat?room=1",
          "request": {"method": "GET", "target": "/chat?room=1", "headers": {"Upgrade": "websocket", ...}},
          "response": {"status": 101, "reason": "Switching Protocols", "headers": {"Upgrade": "websocket", ...}},
          "events": [
            {"client": "hello"},
            {"server": {"base64": "AAE="}},
            {"client closes": [1000, "bye"]},
            {"server closes": [1000]}
          ]
        }
      ]
    }

One event is one line: a text message is its text, a binary one is base64, a Close its code and reason (`[]` for an
empty one). `{"server hangs up": "FIN"}` is the end of the connection without a Close frame, "RST" if it was reset.
`{"server raw": {"base64": ...}}` are bytes that are no WebSocket, sent as they are. Nothing may follow a side's last
word, and after the server's Close only the client's counts.

"request" may be left out, and each part of it: what is not there is not compared. A conversation without "response"
got none: the server is silent, or says what "events" say. Responses before the final one stand in "informational". A
refusal has a "body" instead of events. The right Sec-WebSocket-Accept goes with a 101 by itself; a wrong one stands
among the fields, and `[]` as its value means that there was none. A connection that never came about is `{"url": ...,
"failed": {"kind": "ConnectionRefused", "message": ..., "url_error_code": -1004}}` with the name of the error;
"Cancelled" is one that was given up before it was there.

What is read is checked piece by piece. People edit these files, and a slip must be told by its place in the file.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import os
import re
import secrets
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, NoReturn, Optional, Sequence, Tuple, TypeVar, Union

from .. import errors
from ..protocol.closing import encode_close
from ..protocol.headers import Headers
from ..protocol.http1 import format_request, format_response
from ..protocol.urls import parse_url

__all__ = [
    "Answer",
    "Asked",
    "CassetteError",
    "Closed",
    "Conversation",
    "Event",
    "Failure",
    "HungUp",
    "Raw",
    "Said",
    "describe",
    "escape",
    "load",
    "save",
]

T = TypeVar("T")

FORMAT = 1

EMPTY = 1005
"""The code of a Close that has none (RFC 6455 section 7.1.5)."""

ACCEPT = "Sec-WebSocket-Accept"


class CassetteError(ValueError):
    """A file that is no cassette; the message names the file, and the place in it."""


class Said(NamedTuple):
    """A message: `side` is "client" or "server", `content` text or bytes."""

    side: str
    content: Union[str, bytes]


class Closed(NamedTuple):
    """A Close frame; code 1005 if it was empty."""

    side: str
    code: int
    reason: Optional[str] = None


class Raw(NamedTuple):
    """What the server sent that is no WebSocket."""

    content: bytes
    side: str = "server"


class HungUp(NamedTuple):
    """The connection ended without a Close frame: `how` is "FIN" or "RST"."""

    how: str
    side: str = "server"


Event = Union[Said, Closed, Raw, HungUp]


class Failure(NamedTuple):
    """Why there was no connection: `kind` is the name of the class in `wssync.errors`."""

    kind: str
    message: str
    url_error_code: int


FAILURES = (
    "Cancelled",
    "TimedOut",
    "ConnectionFailed",
    "HostNotFound",
    "ConnectionRefused",
    "TLSError",
    "CertificateError",
)


class Asked(NamedTuple):
    """The client's request. `headers` is `None` where any will do."""

    method: str
    target: str
    headers: Optional[Headers] = None


class Answer(NamedTuple):
    """A response of the server. `has_accept` tells whether a 101 comes with the right Sec-WebSocket-Accept."""

    status: int
    reason: str
    headers: Headers
    body: bytes = b""
    http_version: str = "1.1"
    has_accept: bool = True


@dataclass
class Conversation:
    """One connection, or the attempt to have one."""

    url: str
    failed: Optional[Failure] = None
    request: Optional[Asked] = None
    informational: List[Answer] = field(default_factory=list)
    response: Optional[Answer] = None
    events: List[Event] = field(default_factory=list)


# Writing


def save(path: str, conversations: Sequence[Conversation]) -> None:
    """Write the file whole or not at all; missing folders are made. OSError."""
    text = _layout({"format": FORMAT, "conversations": [_conversation(one) for one in conversations]}) + "\n"
    folder, name = os.path.split(path)
    os.makedirs(folder or ".", exist_ok=True)
    temporary = os.path.join(folder, f".{name}.{secrets.token_hex(6)}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(text.encode())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.remove(temporary)
        raise


def describe(event: Event) -> str:
    """The event as it stands in the file."""
    return _line(_event(event))


def _conversation(one: Conversation) -> Dict[str, Any]:
    found: Dict[str, Any] = {"url": one.url}
    if one.failed is not None:
        found["failed"] = one.failed._asdict()
        return found
    if one.request is not None:
        found["request"] = {"method": one.request.method, "target": one.request.target}
        if one.request.headers is not None:
            found["request"]["headers"] = _fields(one.request.headers)
    if one.informational:
        found["informational"] = [_answer(answer) for answer in one.informational]
    if one.response is not None:
        found["response"] = _answer(one.response)
    if one.events or one.response is None or one.response.status == 101:
        found["events"] = [_event(event) for event in one.events]
    return found


def _answer(answer: Answer) -> Dict[str, Any]:
    found: Dict[str, Any] = {"status": answer.status, "reason": answer.reason, "headers": _fields(answer.headers)}
    if not answer.has_accept:
        found["headers"].setdefault(ACCEPT, [])
    if answer.http_version != "1.1":
        found["http_version"] = answer.http_version
    if answer.body:
        found["body"] = _body(answer.body)
    return found


def _body(body: bytes) -> Union[str, Dict[str, str]]:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return _content(body)


def _fields(headers: Headers) -> Dict[str, Any]:
    found: Dict[str, Any] = {}
    for name in headers:
        values = headers.get_all(name)
        found[name] = values[0] if len(values) == 1 else values
    return found


def _event(event: Event) -> Dict[str, Any]:
    if isinstance(event, Said):
        return {event.side: _content(event.content)}
    if isinstance(event, Closed):
        parts = [] if event.code == EMPTY else [int(event.code)] if event.reason is None else [event.code, event.reason]
        return {f"{event.side} closes": parts}
    if isinstance(event, Raw):
        return {"server raw": _content(event.content)}
    return {"server hangs up": event.how}


def _content(content: Union[str, bytes]) -> Union[str, Dict[str, str]]:
    return content if isinstance(content, str) else {"base64": base64.b64encode(content).decode("ascii")}


def _layout(value: Any, margin: str = "") -> str:
    """JSON with one thing a line, and an event is one thing."""
    inner = margin + "  "
    if isinstance(value, dict) and value:
        parts = [f"{_line(name)}: {_layout(part, inner)}" for name, part in value.items()]
        return "{\n" + ",\n".join(inner + part for part in parts) + f"\n{margin}}}"
    if isinstance(value, list) and value:
        parts = [_layout(part, inner) if isinstance(part, dict) and len(part) > 1 else _line(part) for part in value]
        return "[\n" + ",\n".join(inner + part for part in parts) + f"\n{margin}]"
    return _line(value)


def _line(value: Any) -> str:
    """JSON on one line."""
    return escape(json.dumps(value, ensure_ascii=False))


def escape(text: str) -> str:
    """The text with an escape for each character that a person could not see, or take for another, as in JSON."""
    return re.sub(r"[^\x20-\x7e]", _visible, text)


def _visible(found: re.Match[str]) -> str:
    return found[0] if found[0].isprintable() else json.dumps(found[0])[1:-1]


# Reading


def load(path: str) -> List[Conversation]:
    """Read and check the file. CassetteError if it is no cassette; OSError."""
    with open(path, "rb") as file:
        content = file.read()
    try:
        top = json.loads(content.decode("utf-8-sig"), object_pairs_hook=_without_twins)
    except (ValueError, RecursionError) as error:
        raise CassetteError(f"{path}: not a cassette, for it is no JSON: {error}") from error
    try:
        return list(_read_conversations(top))
    except _Misfit as misfit:
        raise CassetteError(f"{path}: {misfit}") from misfit.__cause__


class _Misfit(Exception):
    """Something in the file is not as it should be."""


def _without_twins(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    found: Dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name!r} stands twice in one object")
        found[name] = value
    return found


def _read_conversations(top: Any) -> Iterator[Conversation]:
    if not isinstance(top, dict) or "format" not in top:
        raise _Misfit('not a cassette, which is an object with "format" and "conversations"')
    if top["format"] != FORMAT or isinstance(top["format"], (bool, float)):
        raise _Misfit(f"format {_short(top['format'])} is unknown, this version reads format {FORMAT}")
    parts = _take(top, "the file", "format", "conversations")
    for number, value in enumerate(_list(parts.get("conversations"), '"conversations"'), 1):
        yield _read_conversation(value, f"conversation {number}")


def _read_conversation(value: Any, place: str) -> Conversation:
    parts = _take(value, place, "url", "failed", "request", "informational", "response", "events")
    url = _checked(place, lambda: str(parse_url(_text(parts.get("url"), f'{place}, "url"'))))
    found = Conversation(url)
    if "failed" in parts:
        if len(parts) > 2:
            raise _Misfit(f'{place}: what has "failed" has nothing else but its "url"')
        found.failed = _read_failure(parts["failed"], f'{place}, "failed"')
        return found
    if "request" in parts:
        found.request = _read_request(parts["request"], f'{place}, "request"', parse_url(url).target)
    for number, answer in enumerate(_list(parts.get("informational", []), f'{place}, "informational"'), 1):
        found.informational.append(_read_answer(answer, f"{place}, informational {number}", final=False))
    if "response" in parts:
        found.response = _read_answer(parts["response"], f'{place}, "response"', final=True)
    found.events = _read_events(_list(parts.get("events", []), f'{place}, "events"'), place)
    if found.events and found.response is not None and found.response.status != 101:
        raise _Misfit(f'{place}: a refusal has no "events"')
    return found


def _read_failure(value: Any, place: str) -> Failure:
    parts = _take(value, place, "kind", "message", "url_error_code")
    kind = _text(parts.get("kind"), f'{place}, "kind"')
    if kind not in FAILURES:
        raise _Misfit(f'{place}: "kind" is one of {", ".join(FAILURES)}, not {_short(kind)}')
    code = parts.get("url_error_code", getattr(errors, kind).default_url_error_code)
    return Failure(
        kind, _text(parts.get("message", ""), f'{place}, "message"'), _number(code, f'{place}, "url_error_code"')
    )


def _read_request(value: Any, place: str, target: str) -> Asked:
    parts = _take(value, place, "method", "target", "headers")
    method = _text(parts.get("method", "GET"), f'{place}, "method"')
    target = _text(parts.get("target", target), f'{place}, "target"')
    _checked(place, lambda: format_request(method, target, None))
    headers = _read_headers(parts["headers"], f'{place}, "headers"') if "headers" in parts else None
    return Asked(method, target, headers)


def _read_answer(value: Any, place: str, *, final: bool) -> Answer:
    parts = _take(value, place, "status", "reason", "headers", "http_version", "body")
    status = _number(parts.get("status"), f'{place}, "status"')
    reason = _text(parts.get("reason", ""), f'{place}, "reason"')
    if (status == 101 or status >= 200) is not final:
        raise _Misfit(f"{place}: {status} is {'not ' if final else ''}the status of a final response")
    fields = parts.get("headers", {})
    headers = _read_headers(fields, f'{place}, "headers"')
    _checked(place, lambda: format_response(status, reason, None))
    version = _text(parts.get("http_version", "1.1"), f'{place}, "http_version"')
    if version not in ("1.0", "1.1"):
        raise _Misfit(f'{place}: "http_version" is "1.0" or "1.1"')
    body = _read_content(parts.get("body", ""), f'{place}, "body"')
    has_accept = not any(name.lower() == ACCEPT.lower() for name in fields)
    return Answer(status, reason, headers, body.encode() if isinstance(body, str) else body, version, has_accept)


def _read_headers(value: Any, place: str) -> Headers:
    if not isinstance(value, dict):
        raise _Misfit(f"{place} should be an object of header fields, not {_short(value)}")
    fields: List[Tuple[str, str]] = []
    for name, values in value.items():
        several = values if isinstance(values, list) else [values]
        fields += [(name, one) for one in several]
    return _checked(place, lambda: Headers(fields))


def _read_events(values: Sequence[Any], place: str) -> List[Event]:
    found: List[Event] = []
    over: Dict[str, str] = {}
    for number, value in enumerate(values, 1):
        here = f"{place}, event {number}"
        event = _read_event(value, here)
        _refuse_after_the_end(event, over, here)
        found.append(event)
    return found


def _refuse_after_the_end(event: Event, over: Dict[str, str], place: str) -> None:
    """Whoever has closed says no more; what the client says after the server's end is not heard, but for its Close."""
    last = over.get(event.side) or (not isinstance(event, Closed) and over.get("server")) or over.get("both")
    if last:
        raise _Misfit(f"{place}: nothing may follow {last}")
    if isinstance(event, HungUp):
        over["both"] = "the end of the connection"
    elif isinstance(event, Closed):
        over[event.side] = f"the Close of the {event.side}"


def _read_event(value: Any, place: str) -> Event:
    if not isinstance(value, dict) or len(value) != 1:
        raise _Misfit(f"{place} should be an object with one entry, not {_short(value)}")
    what, content = next(iter(value.items()))
    if what in ("client", "server"):
        return Said(what, _read_content(content, place))
    if what in ("client closes", "server closes"):
        return _read_close(what.partition(" ")[0], content, place)
    if what == "server raw" and isinstance(content, dict):
        data = _read_content(content, place)
        assert isinstance(data, bytes)
        return Raw(data)
    if what == "server hangs up" and content in ("FIN", "RST"):
        return HungUp(content)
    raise _Misfit(f"{place}: {_short(value)} is no event")


def _read_close(side: str, content: Any, place: str) -> Closed:
    parts = _list(content, f"{place}: a Close")
    if not parts:
        return Closed(side, EMPTY)
    if len(parts) > 2:
        raise _Misfit(f"{place}: a Close is [code, reason], [code] or []")
    code = _number(parts[0], f"{place}: the code of a Close")
    reason = _text(parts[1], f"{place}: the reason of a Close") if len(parts) == 2 else ""
    _checked(place, lambda: encode_close(code, reason))
    return Closed(side, code, reason or None)


def _read_content(value: Any, place: str) -> Union[str, bytes]:
    if isinstance(value, dict):
        parts = _take(value, place, "base64")
        text = _text(parts.get("base64"), f'{place}, "base64"')
        try:
            return base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError) as error:
            raise _Misfit(f"{place}: {_short(text)} is no base64") from error
    return _text(value, place)


def _take(value: Any, place: str, *names: str) -> Dict[str, Any]:
    if not isinstance(value, dict):
        raise _Misfit(f"{place} should be an object, not {_short(value)}")
    for name in value:
        if name not in names:
            raise _Misfit(f"{place}: {_short(name)} is unknown there; known are {', '.join(names)}")
    return value


def _list(value: Any, place: str) -> List[Any]:
    if not isinstance(value, list):
        _refuse(place, "a list", value)
    return list(value)


def _text(value: Any, place: str) -> str:
    if not isinstance(value, str):
        _refuse(place, "a text", value)
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise _Misfit(f"{place} has half a surrogate pair, which is no character") from error
    return str(value)


def _number(value: Any, place: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        _refuse(place, "a whole number", value)
    return int(value)


def _refuse(place: str, kind: str, value: Any) -> NoReturn:
    raise _Misfit(f"{place} is missing" if value is None else f"{place} should be {kind}, not {_short(value)}")


def _checked(place: str, make: Callable[[], T]) -> T:
    try:
        return make()
    except (TypeError, ValueError) as error:
        raise _Misfit(f"{place}: {error}") from error


def _short(value: Any) -> str:
    text = _line(value)
    return text if len(text) <= 60 else text[:60] + "..."

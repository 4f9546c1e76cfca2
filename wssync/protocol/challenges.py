"""Challenges of HTTP authentication (RFC 9110 section 11): WWW-Authenticate and Proxy-Authenticate, read and quoted.

The grammar is the most awkward of HTTP: a comma stands between challenges and between the parameters of one challenge,
and whether a word is a scheme, a parameter or a token68 shows only behind it. Who reads it by splitting at commas or
with one pattern for everything is deceived by a comma in a realm, or is slow. Here each element is read once, by
patterns that have one way to match at most, so the time is linear in the text whatever the text is.

A challenge that is broken is left out, and those beside it are kept: a server that also offers something new must not
lock out those who know the old (section 11.6.1). Broken is what could be understood in two ways, too: a parameter that
is given twice, or one beside a token68.

What comes from the peer is bytes, seen through Latin-1 one character a byte as all header fields are. None of the
patterns lets a control character pass, so what is taken from a challenge can be written into a request.
"""

from __future__ import annotations

import re

from wssync.frozen import Frozen
from wssync.hints import Dict, Iterable, List, NamedTuple, Optional, Tuple

__all__ = [
    "MAX_CHALLENGES",
    "MAX_PARAMETERS",
    "Challenge",
    "Parameter",
    "check_text",
    "decode_text",
    "parse_challenges",
    "parse_parameters",
    "quote",
    "quote_octets",
    "read_parameter",
    "to_octets",
]

MAX_CHALLENGES = 32
"""Of one response; what comes behind them is not read. Servers send two or three."""

MAX_PARAMETERS = 32
"""Of one challenge, which is broken if it has more. Digest, the richest, has ten."""

_MAX_TEXT = 65_536
"""Characters of all fields together: as much as a whole head may have."""

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
# Tab, visible ASCII, space and obs-text; in a quoted pair as well (RFC 9110 section 5.6.4).
_QUOTED = (
    r"""[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]*(?:\\[\t\x20-\x7e\x80-\xff][\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]*)*"""
)
_PARAMETER = re.compile(rf'[ \t,]*({_TOKEN})[ \t]*=[ \t]*(?:({_TOKEN})|"({_QUOTED})")[ \t]*(?:,[ \t,]*|\Z)').match
_SCHEME = re.compile(rf"[ \t,]*({_TOKEN})(?:[ \t]+|(?=,)|\Z)").match
_TOKEN68 = re.compile(r"([A-Za-z0-9\-._~+/]+=*)[ \t]*(?:,[ \t,]*|\Z)").match
_END = re.compile(r"[ \t]*(?:,[ \t,]*|\Z)").match
# What a broken element is made of, when it is skipped up to a comma that is in no quoted string.
_PIECE = re.compile(rf'[^",]+|"{_QUOTED}"').match
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
# As source text, for who is loaded before anything is challenged: C0, DEL, C1; and lone surrogates, which are no text.
_NO_TEXT = "[\x00-\x1f\x7f-\x9f\ud800-\udfff]"


class Challenge(Frozen):
    """One challenge: its `scheme` as the server spells it, and either a `token` (token68) or `parameters`.

    Parameters are by their names in lower case; quotes and escapes are gone from their values, which are bytes seen
    through Latin-1.
    """

    scheme: str
    parameters: Tuple[Tuple[str, str], ...] = ()
    token: Optional[str] = None

    def get(self, name: str) -> Optional[str]:
        """The value of the parameter, `None` without one. `name` is in lower case."""
        return dict(self.parameters).get(name)


class Parameter(NamedTuple):
    """A parameter as `read_parameter` found it: its name in lower case, its value, and where the next one begins."""

    name: str
    value: str
    end: int


def read_parameter(text: str, position: int = 0) -> Optional[Parameter]:
    """The auth-param at that place with all commas and blanks around it; `None` if there is none, or a broken one."""
    found = _PARAMETER(text, position)
    if found is None:
        return None
    name, token, quoted = found.groups()
    return Parameter(name.lower(), _ESCAPE.sub(r"\1", quoted) if token is None else token, found.end())


def parse_parameters(values: Iterable[str]) -> Optional[Dict[str, str]]:
    """The parameters of all these fields together, as Authentication-Info has them (RFC 7616 section 3.5).

    `None` if they are broken, or one of them is given twice, or there are more than 32.
    """
    text, position = ", ".join(values), 0
    parameters: Dict[str, str] = {}
    while position < len(text):
        found = read_parameter(text, position)
        if found is None or found.name in parameters or len(parameters) == MAX_PARAMETERS:
            return None
        parameters[found.name] = found.value
        position = found.end
    return parameters


def parse_challenges(values: Iterable[str]) -> List[Challenge]:
    """The challenges of all fields of a response, in the order given; those that are broken are left out.

    Each field begins with a scheme. Takes any text, and time that is linear in it; at most 32 challenges are returned,
    and what is over 64 KiB is not read.
    """
    challenges: List[Challenge] = []
    left = _MAX_TEXT
    for value in values:
        left -= len(value)
        # Not half of a field either: its last value would be another one.
        if left < 0 or len(challenges) >= MAX_CHALLENGES:
            break
        challenges += _FieldReader(value, MAX_CHALLENGES - len(challenges)).read()
    return challenges[:MAX_CHALLENGES]


class _FieldReader:
    """Reads one field. The challenge under way is `None` where there is none or it is broken."""

    def __init__(self, text: str, most: int) -> None:
        self._text = text
        self._most = most
        self._position = 0
        self._found: List[Challenge] = []
        self._scheme: Optional[str] = None
        self._parameters: Dict[str, str] = {}
        self._token: Optional[str] = None

    def read(self) -> List[Challenge]:
        while self._position < len(self._text) and len(self._found) < self._most:
            if not (self._read_parameter() or self._read_scheme()):
                self._skip()
        self._finish()
        return self._found

    def _read_parameter(self) -> bool:
        found = read_parameter(self._text, self._position)
        if found is None:
            return False
        self._position = found.end
        if self._token is not None or found.name in self._parameters or len(self._parameters) == MAX_PARAMETERS:
            self._scheme = None
        self._parameters[found.name] = found.value
        return True

    def _read_scheme(self) -> bool:
        found = _SCHEME(self._text, self._position)
        if found is None:
            return False
        self._finish()
        self._position = found.end()
        self._scheme, self._parameters, self._token = found[1], {}, None
        token = _TOKEN68(self._text, self._position)
        if token is not None:
            self._token, self._position = token[1], token.end()
            return True
        # Behind the scheme stands a comma, the end, or the first parameter without a comma before it.
        end = _END(self._text, self._position)
        if end is not None:
            self._position = end.end()
            return True
        return self._read_parameter()

    def _skip(self) -> None:
        """Leave a broken element behind, and with it the challenge. An open quote takes the rest of the field."""
        self._scheme = None
        while (piece := _PIECE(self._text, self._position)) is not None:
            self._position = piece.end()
        end = _END(self._text, self._position)
        self._position = end.end() if end else len(self._text)

    def _finish(self) -> None:
        if self._scheme is not None:
            self._found.append(Challenge(self._scheme, tuple(self._parameters.items()), self._token))
        self._scheme = None


def check_text(what: str, text: str) -> None:
    """Raise ValueError for control characters, which neither credentials nor realms may have (RFC 7617 section 2), and
    for lone surrogates; TypeError for what is no text. The message does not show the text.
    """
    if not isinstance(text, str):
        raise TypeError(f"the {what} is a str, not {type(text).__name__}")
    if re.search(_NO_TEXT, text):
        raise ValueError(f"the {what} has a control character or half of one character")


def to_octets(text: str) -> bytes:
    """The bytes of this side's text: UTF-8 in normalization form C (RFC 7616 section 4)."""
    if text.isascii():
        return text.encode("ascii")
    import unicodedata

    return unicodedata.normalize("NFC", text).encode()


def decode_text(value: str) -> str:
    """The peer's bytes, seen through Latin-1, as text to be read: UTF-8 where they are that, else Latin-1.

    RFC 9110 section 5.5 leaves it open; UTF-8 is hardly ever met by accident.
    """
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return value


def quote(text: str) -> str:
    """This side's text as a quoted-string (RFC 9110 section 5.6.4), its UTF-8 seen through Latin-1."""
    return quote_octets(to_octets(text).decode("latin-1"))


def quote_octets(value: str) -> str:
    """Bytes seen through Latin-1, such as the peer sent them, as a quoted-string."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'

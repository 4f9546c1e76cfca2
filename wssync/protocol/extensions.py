"""The grammar of `Sec-WebSocket-Extensions` (RFC 6455 section 9.1), read by hand in linear time.

A peer chooses this text, so nothing here looks at a character more than a few times: no pattern can match in two ways,
and the reader only ever goes forwards.
"""

from __future__ import annotations

from wssync.hints import List, Optional, Tuple
from wssync.protocol.headers import is_token
from wssync.protocol.patterns import pattern

__all__ = ["Extension", "Parameter", "parse_extensions"]

Parameter = Tuple[str, Optional[str]]
"""A parameter of an extension and its value, `None` where it has none."""

Extension = Tuple[str, List[Parameter]]
"""One element of `Sec-WebSocket-Extensions`: its name and its parameters, in their order."""

# Each pattern has one way to match at most: linear in the text, whatever the text is.
_TOKEN = pattern(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_QUOTED = pattern(r'"((?:[^"\\]|\\.)*)"')
_ESCAPE = pattern(r"\\(.)")
_BLANKS = (" ", "\t")


def parse_extensions(text: str) -> List[Extension]:
    """Read the value of `Sec-WebSocket-Extensions` (RFC 6455 section 9.1), in time linear in its length.

    A quoted value is given unquoted; it must be a token then. Empty list elements are passed over (RFC 7230 section 7).
    Raises `ValueError` where the text does not follow the grammar.
    """
    return _read_unquoted(text) or _ExtensionReader(text).read()


def _read_unquoted(text: str) -> List[Extension]:
    """What the reader finds where each mark divides; an empty list where it has to look, and where all is empty."""
    found: List[Extension] = []
    for element in text.split(","):
        name, *parameters = [part.strip(" \t") for part in element.split(";")]
        if not (name or parameters):
            continue
        pairs = [parameter.partition("=") for parameter in parameters]
        split = [(key.rstrip(" \t"), value.lstrip(" \t") if mark else None) for key, mark, value in pairs]
        if not all(map(is_token, [name, *[word for pair in split for word in pair if word is not None]])):
            return []
        found.append((name, split))
    return found


class _ExtensionReader:
    """Walks once through the text; each method leaves `_position` behind what it has read and the blanks after it."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._skip(0)

    def read(self) -> List[Extension]:
        found: List[Extension] = []
        while self._position < len(self._text):
            if self._accept(","):
                continue
            found.append(self._extension())
            if self._position < len(self._text) and not self._accept(","):
                raise self._error()
        return found

    def _extension(self) -> Extension:
        name = self._name()
        parameters: List[Parameter] = []
        while self._accept(";"):
            parameters.append((self._name(), self._value() if self._accept("=") else None))
        return name, parameters

    def _name(self) -> str:
        found = _TOKEN.match(self._text, self._position)
        if found is None:
            raise self._error()
        self._skip(found.end())
        return found.group()

    def _value(self) -> str:
        quoted = _QUOTED.match(self._text, self._position)
        if quoted is None:
            return self._name()
        value = _ESCAPE.sub(r"\1", quoted.group(1))
        if not is_token(value):
            raise self._error()
        self._skip(quoted.end())
        return value

    def _accept(self, character: str) -> bool:
        if not self._text.startswith(character, self._position):
            return False
        self._skip(self._position + 1)
        return True

    def _skip(self, position: int) -> None:
        while self._text[position : position + 1] in _BLANKS:
            position += 1
        self._position = position

    def _error(self) -> ValueError:
        return ValueError(f"malformed Sec-WebSocket-Extensions at character {self._position} (RFC 6455 section 9.1)")

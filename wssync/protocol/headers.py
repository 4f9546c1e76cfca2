"""Header fields of HTTP (RFC 9110 section 5), and the few grammar rules that everything here needs.

`Headers` can hold nothing that would not be one well-formed field on the wire: it is checked when it is made, from a
caller's mapping as from a server's bytes, so that no CR or LF can reach a request by any way. Values are text in
Latin-1, one character a byte, as they came; that loses nothing and judges nothing.
"""

from __future__ import annotations

from collections.abc import Mapping as AbstractMapping
from itertools import repeat

from ..hints import AbstractSet, Any, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple, Union
from .patterns import pattern

__all__ = ["Headers", "HeadersLike", "checked_fields", "consists_of", "is_text", "is_token", "printable", "split_list"]

_TOKEN = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# Tab, visible ASCII and space, and the upper half of Latin-1 (obs-text, RFC 9110 section 5.5).
_TEXT = bytes([0x09, *range(0x20, 0x7F), *range(0x80, 0x100)])
_OWS = " \t"
_COLONS, _BLANKS = repeat(":"), repeat(_OWS)  # for `map`
# Fields whose values `repr()` hides: those of HTTP, and those that callers make up (X-Api-Key).
_SECRET = pattern(
    r"(?i)(?:proxy-)?authorization|(?:set-)?cookie2?|.*(?:token|secret|passw|api-?key|access-?key|auth-?key).*"
)
# As much of a peer's text as a message of ours repeats.
_MAX_SHOWN = 100


class Headers(Mapping[str, str]):
    """Header fields: an immutable mapping that ignores the case of names, and keeps order and repeats.

    Made of nothing, a mapping, (name, value) pairs or other `Headers`. Names must be tokens, values `str` in Latin-1
    without control characters but tab (RFC 9110 section 5.5); whitespace around values is dropped. Raises TypeError for
    what is no text and ValueError for what is no field; the messages name the field and never show its value.

    As a mapping it has each name once, spelled as first given, and its values joined by ", " (RFC 9110 section 5.3).
    Two are equal when each name has the same values in the same order. `repr()` hides credentials and cookies.
    """

    __slots__ = ("_fields", "_values")

    def __init__(self, fields: HeadersLike = None) -> None:
        self._fields: Tuple[Tuple[str, str], ...] = checked_fields(fields)
        self._values: _Values = _NONE
        if self._fields:
            self._values = fields._values if type(fields) is Headers else _by_name(self._fields)

    @classmethod
    def from_lines(cls, text: str) -> Optional[Headers]:
        """Those of a head, a CR LF before each line, if all is well with them; `None` if it is not."""
        lines = text.split("\r\n")[1:]
        names, colons, values = tuple(zip(*map(str.partition, lines, _COLONS))) or ((), (), ())
        if not (all(colons) and _are_fields(names, values)):
            return None
        headers = cls.__new__(cls)
        headers._fields = tuple(zip(names, map(str.strip, values, _BLANKS)))
        headers._values = _by_name(headers._fields)
        return headers

    @property
    def fields(self) -> Tuple[Tuple[str, str], ...]:
        """All fields as (name, value), in the order given, repeats included."""
        return self._fields

    def get_all(self, name: str) -> List[str]:
        """The values of all fields of that name, in order; an empty list if there is none."""
        return _all_of(self._values.get(name.lower(), []))

    def get_only(self, name: str) -> Optional[str]:
        """The value of the only field of that name; `None` if there is none, or more."""
        value = self._values.get(name.lower())
        return value if isinstance(value, str) else None

    def replace(self, fields: HeadersLike) -> Headers:
        """A copy where the fields of these names are replaced by these, which come last."""
        new = Headers(fields)
        return Headers(self.without(*new).fields + new.fields)

    def without(self, *names: str) -> Headers:
        """A copy without the fields of these names."""
        dropped = {name.lower() for name in names}
        return Headers(field for field in self._fields if field[0].lower() not in dropped)

    def __getitem__(self, name: str) -> str:
        return ", ".join(_all_of(self._values[name.lower()]))

    def isdisjoint(self, names: AbstractSet[str]) -> bool:
        """Whether none of the `names`, which are in lower case, is here."""
        return self._values.keys().isdisjoint(names)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._values

    def __iter__(self) -> Iterator[str]:
        spelled: Dict[str, str] = {}
        for name, _ in self._fields:
            spelled.setdefault(name.lower(), name)
        return iter(spelled.values())

    def __len__(self) -> int:
        return len(self._values)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Headers):
            return self._values == other._values
        if isinstance(other, AbstractMapping):
            try:
                return self == Headers(other)
            except (TypeError, ValueError):
                return False
        return NotImplemented

    def __hash__(self) -> int:
        return hash(frozenset((name, tuple(_all_of(values))) for name, values in self._values.items()))

    def __repr__(self) -> str:
        shown = [(name, "***" if _SECRET.fullmatch(name) else value) for name, value in self._fields]
        return f"Headers({shown!r})"


HeadersLike = Union[None, Headers, Mapping[str, str], Iterable[Tuple[str, str]]]
"""What `Headers` can be made of."""


_Values = Dict[str, Union[str, List[str]]]
"""By name in lower case, the value, or the values where there are several: for one alone a list would weigh more than
that, and an open connection keeps its response."""


_NONE: _Values = {}
"""Those of all that have none."""


def _by_name(fields: Sequence[Tuple[str, str]]) -> _Values:
    values: _Values = {name.lower(): value for name, value in fields}
    if len(values) == len(fields):
        return values
    values = {}
    for name, value in fields:
        key = name.lower()
        values[key] = [*_all_of(values[key]), value] if key in values else value
    return values


def _all_of(values: Union[str, List[str]]) -> List[str]:
    return [values] if isinstance(values, str) else [*values]


def is_token(text: str) -> bool:
    """Whether `text` is a token, the alphabet of names in HTTP (RFC 9110 section 5.6.2)."""
    return bool(text) and consists_of(text, _TOKEN)


def is_text(text: str) -> bool:
    """Whether `text` can be the value of a field, or the reason in a status line."""
    is_usual = str.isascii(text) and text.isprintable()  # TypeError for what is no text
    return is_usual or consists_of(text, _TEXT)


def consists_of(text: str, characters: bytes) -> bool:
    """Whether `text` has no other than these characters of Latin-1. As fast as a regular expression, with no `re`."""
    try:
        return not str.encode(text, "latin-1").translate(None, characters)
    except UnicodeEncodeError:
        return False


def split_list(values: Iterable[str]) -> List[str]:
    """The elements of a comma-separated list over all its fields, empty ones left out (RFC 9110 section 5.6.1)."""
    elements = (element.strip(_OWS) for value in values for element in value.split(","))
    return [element for element in elements if element]


def printable(text: str) -> str:
    """A peer's `text` for a message of ours: at most 100 characters, without control characters."""
    shown = text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "..."
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in shown)


_TUPLES, _TWO = {tuple}, {2}


def checked_fields(fields: HeadersLike) -> Tuple[Tuple[str, str], ...]:
    """The fields as (name, value), checked and trimmed like those of `Headers`, whose errors it raises."""
    if fields is None:
        return ()
    if type(fields) not in (list, tuple) and isinstance(fields, Headers):  # abstract classes are slow to answer that
        return fields.fields
    found: List[Any] = list(fields if type(fields) is tuple else _pairs(fields))
    if set(map(type, found)) == _TUPLES and set(map(len, found)) == _TWO:
        return _checked_at_once(found)
    return tuple(_checked_singly(found))


def _pairs(fields: Union[Mapping[str, str], Iterable[Tuple[str, str]]]) -> Iterable[object]:
    if type(fields) in (list, tuple):
        return fields
    if isinstance(fields, AbstractMapping):
        return fields.items()
    if isinstance(fields, (str, bytes)):
        raise TypeError(f"headers are a mapping or (name, value) pairs, not {type(fields).__name__}")
    return fields


def _checked_at_once(fields: List[Any]) -> Tuple[Tuple[str, str], ...]:
    """The usual case, that all is well."""
    names, values = zip(*fields)
    try:
        good = _are_fields(names, values)
    except TypeError:
        good = False
    if not good:
        return tuple(_checked_singly(fields))
    return tuple(zip(names, map(str.strip, values, _BLANKS)))


def _are_fields(names: Sequence[str], values: Sequence[str]) -> bool:
    """Both rules are about single characters, so all texts are checked as one. TypeError for what is no text."""
    name = "".join(names)
    is_usual = name.isascii() and name.replace("-", "").isalnum()
    return all(names) and (is_usual or consists_of(name, _TOKEN)) and is_text("".join(values))


def _checked_singly(fields: Iterable[object]) -> Iterator[Tuple[str, str]]:
    for field in fields:
        if not isinstance(field, (tuple, list)) or len(field) != 2:
            raise TypeError("a header field is a (name, value) pair")
        name = _check_name(field[0])
        yield name, _check_value(name, field[1])


def _check_name(name: object) -> str:
    if not isinstance(name, str):
        raise TypeError(f"the name of a header field is a str, not {type(name).__name__}")
    if not is_token(name):
        # What stands behind a colon may be a secret that was meant to be the value.
        raise ValueError(f"{printable(name.partition(':')[0])!r} is no name for a header field")
    return name


def _check_value(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"the value of {printable(name)} is a str, not {type(value).__name__}")
    if not is_text(value):
        raise ValueError(f"the value of {printable(name)} has a character that no header field may have")
    return value.strip(_OWS)

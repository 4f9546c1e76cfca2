"""UTF-8 at its edges: what is text, what is not, and at which byte that shows (RFC 3629 section 4)."""

from __future__ import annotations

from typing import Dict, Tuple

VALID: Dict[str, bytes] = {
    "U+0000": b"\x00",
    "U+0001": b"\x01",
    "last of one byte, U+007F": b"\x7f",
    "first of two bytes, U+0080": b"\xc2\x80",
    "last of two bytes, U+07FF": b"\xdf\xbf",
    "first of three bytes, U+0800": b"\xe0\xa0\x80",
    "U+0FFF": b"\xe0\xbf\xbf",
    "U+1000": b"\xe1\x80\x80",
    "euro sign": b"\xe2\x82\xac",
    "U+CFFF": b"\xec\xbf\xbf",
    "U+D000": b"\xed\x80\x80",
    "last below the surrogates, U+D7FF": b"\xed\x9f\xbf",
    "first above the surrogates, U+E000": b"\xee\x80\x80",
    "byte order mark": b"\xef\xbb\xbf",
    "replacement character": b"\xef\xbf\xbd",
    "non-character U+FFFE": b"\xef\xbf\xbe",
    "non-character U+FFFF": b"\xef\xbf\xbf",
    "first of four bytes, U+10000": b"\xf0\x90\x80\x80",
    "non-character U+1FFFF": b"\xf0\x9f\xbf\xbf",
    "smiley": b"\xf0\x9f\x98\x80",
    "U+3FFFF": b"\xf0\xbf\xbf\xbf",
    "U+40000": b"\xf1\x80\x80\x80",
    "U+FFFFF": b"\xf3\xbf\xbf\xbf",
    "U+100000": b"\xf4\x80\x80\x80",
    "last of all, U+10FFFF": b"\xf4\x8f\xbf\xbf",
    "Greek": "καλημέρα".encode(),
    "ASCII": b"Hello, world",
    "ASCII between others": "a€b😀c".encode(),
}
"""Name -> bytes that are text."""

INVALID: Dict[str, Tuple[bytes, int]] = {
    "first continuation byte alone": (b"\x80", 0),
    "last continuation byte alone": (b"\xbf", 0),
    "continuation byte after ASCII": (b"abc\x80", 3),
    "continuation byte too many": (b"\xc3\xa9\xa9", 2),
    "overlong lead C0": (b"\xc0", 0),
    "overlong lead C1": (b"\xc1", 0),
    "overlong slash in two bytes": (b"\xc0\xaf", 0),
    "overlong U+007F in two bytes": (b"\xc1\xbf", 0),
    "overlong slash in three bytes": (b"\xe0\x80\xaf", 1),
    "overlong U+07FF in three bytes": (b"\xe0\x9f\xbf", 1),
    "overlong slash in four bytes": (b"\xf0\x80\x80\xaf", 1),
    "overlong U+FFFF in four bytes": (b"\xf0\x8f\xbf\xbf", 1),
    "overlong NUL in five bytes": (b"\xf8\x80\x80\x80\x80", 0),
    "overlong NUL in six bytes": (b"\xfc\x80\x80\x80\x80\x80", 0),
    "first high surrogate, U+D800": (b"\xed\xa0\x80", 1),
    "last high surrogate, U+DBFF": (b"\xed\xaf\xbf", 1),
    "first low surrogate, U+DC00": (b"\xed\xb0\x80", 1),
    "last low surrogate, U+DFFF": (b"\xed\xbf\xbf", 1),
    "surrogate pair": (b"\xed\xa0\xbd\xed\xb8\x80", 1),
    "surrogate between ASCII": (b"Hello\xed\xa0\x80edited", 6),
    "first above Unicode, U+110000": (b"\xf4\x90\x80\x80", 1),
    "U+13FFFF": (b"\xf4\xbf\xbf\xbf", 1),
    "U+140000": (b"\xf5\x80\x80\x80", 0),
    "F6": (b"\xf6\x80\x80\x80", 0),
    "F7": (b"\xf7\xbf\xbf\xbf", 0),
    "five bytes": (b"\xf8\x88\x80\x80\x80", 0),
    "F9": (b"\xf9", 0),
    "FA": (b"\xfa", 0),
    "FB": (b"\xfb\xbf\xbf\xbf\xbf", 0),
    "six bytes": (b"\xfc\x84\x80\x80\x80\x80", 0),
    "FD": (b"\xfd\xbf\xbf\xbf\xbf\xbf", 0),
    "FE": (b"\xfe", 0),
    "FF": (b"\xff", 0),
    "byte order mark of UTF-16": (b"\xff\xfe", 0),
    "ASCII for the second of two": (b"\xc2 ", 1),
    "NUL for the second of two": (b"\xdf\x00", 1),
    "lead byte for the second of two": (b"\xc2\xc2", 1),
    "ASCII for the second of three": (b"\xe1A", 1),
    "ASCII for the third of three": (b"\xe2\x82A", 2),
    "lead byte for the third of three": (b"\xe2\x82\xe2", 2),
    "FF for the third of three": (b"\xef\xbf\xff", 2),
    "ASCII for the second of four": (b"\xf1A", 1),
    "ASCII for the third of four": (b"\xf0\x9fA", 2),
    "ASCII for the fourth of four": (b"\xf0\x9f\x98A", 3),
    "lead byte for the fourth of four": (b"\xf4\x8f\xbf\xc0", 3),
    "after good Greek": (b"\xce\xba\xce\xb5\xf4\x90\x80\x80", 5),
}
"""Name -> bytes that are no text, and the place of the first one that nothing could make good."""

UNFINISHED: Dict[str, bytes] = {
    f"{name}, {kept} of {len(data)}": data[:kept]
    for name, data in VALID.items()
    if data[0] >= 0xC2 and len(data) <= 4
    for kept in range(1, len(data))
}
"""Name -> the beginning of one character: text may end in it nowhere, and may go on from it."""

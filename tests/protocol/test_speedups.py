"""The functions with a compiled form, in both forms: wssync/_speedups.c and its twins in protocol/frames.py.

Each test runs once for either form and holds it against what the test itself works out, byte by byte; so the two agree
with each other too. Where the compiled form was not built, its tests are skipped.
"""

from __future__ import annotations

import array
import importlib
import random
import sys
import unittest
from types import ModuleType
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple, Type

from tests.protocol.soups import cut_as_said, noise, soup
from tests.protocol.utf8_vectors import INVALID, UNFINISHED, VALID
from tests.protocol.wire import BINARY, CLOSE, CONTINUATION, KEY, PING, PONG, TEXT, frame, header, xor
from tests.support import cases, with_cases
from tests.threads import Running
from wssync.protocol import frames


def compiled() -> Optional[ModuleType]:
    try:
        return importlib.import_module("wssync._speedups")
    except ImportError:
        return None


FORMS: Dict[str, Optional[ModuleType]] = {"pure": frames, "compiled": compiled()}
LONG = (1000, 1023, 1024, 1025, 4099, 65_535, 65_536, 65_537, 131_072, 262_147)

Table = Dict[str, Any]


def by_form(table: Optional[Table] = None) -> Iterator[Tuple[str, Tuple[Any, ...]]]:
    """Each row once for either form."""
    for form in FORMS:
        if table is None:
            yield form, (form,)
            continue
        for name, row in table.items():
            yield f"{name}, {form}", (form, *(row if isinstance(row, tuple) else (row,)))


class FormTestCase(unittest.TestCase):
    def form(self, name: str) -> Any:
        """The module with the functions in that form."""
        module = FORMS[name]
        if module is None:
            self.skipTest("wssync._speedups was not built")
        return module

    def assertRaisesLike(self, kind: Type[Exception], call: Callable[..., object], *arguments: object) -> None:
        """Exactly this type of error, with a sentence in it."""
        with self.assertRaises(kind) as caught:
            call(*arguments)
        self.assertIs(type(caught.exception), kind)
        self.assertTrue(str(caught.exception))


@with_cases
class MaskIntoTests(FormTestCase):
    @cases(by_form())
    def test_what_is_there_is_written_over(self, form: str) -> None:
        """Rule 111: the data masked, from that place on, and nothing else; for all small lengths and some long ones."""
        mask_into = self.form(form).mask_into
        draw = random.Random(7)
        for length in (*range(70), *LONG):
            data, key, before = noise(draw, length), noise(draw, 4), noise(draw, length + 40)
            for start in (0, 1, 14, 40):
                for given in (data, bytearray(data), memoryview(data)):
                    target = bytearray(before)
                    self.assertIsNone(mask_into(target, start, given, key))
                    self.assertEqual(target[start : start + length], xor(data, key))
                    self.assertEqual(target[:start], before[:start])
                    self.assertEqual(target[start + length :], before[start + length :])
                    target.append(0)  # nothing holds the memory any more

    @cases(by_form())
    def test_what_does_not_fit(self, form: str) -> None:
        """Not a byte is written beside the target; no other target, no other key."""
        mask_into = self.form(form).mask_into
        for start, length in ((0, 11), (10, 1), (-1, 1), (11, 0), (1 << 62, 1)):
            target = bytearray(10)
            self.assertRaisesLike(IndexError, mask_into, target, start, b"x" * length, KEY)
            self.assertEqual(target, bytes(10))
        self.assertIsNone(mask_into(bytearray(10), 10, b"", KEY))
        for other in (b"0123456789", memoryview(bytearray(10)), None):
            self.assertRaisesLike(TypeError, mask_into, other, 0, b"x", KEY)
        self.assertRaisesLike(TypeError, mask_into, bytearray(10), 0, "x", KEY)
        self.assertRaisesLike(TypeError, mask_into, bytearray(10), None, b"x", KEY)
        self.assertRaisesLike(TypeError, mask_into, bytearray(10), 0, b"x", None)
        self.assertRaisesLike(ValueError, mask_into, bytearray(10), 0, b"x", b"key")


@with_cases
class MaskTests(FormTestCase):
    @cases(by_form({f"offset {offset}": offset for offset in range(8)}))
    def test_all_lengths_at_each_alignment(self, form: str, offset: int) -> None:
        """Rule 111: lengths from 0 to 300, from each place in memory modulo 16, at each place in the key."""
        mask = self.form(form).mask
        draw = random.Random(offset)
        data, key = noise(draw, 320), noise(draw, 4)
        for start in range(16):
            view = memoryview(data)[start:]
            expected = xor(bytes(offset & 3) + data[start:], key)[offset & 3 :]
            for length in range(301):
                self.assertEqual(mask(view[:length], key, offset), expected[:length])

    @cases(by_form({f"{length} bytes": length for length in LONG}))
    def test_long_payloads(self, form: str, length: int) -> None:
        """Rule 111: with the GIL and without it."""
        mask = self.form(form).mask
        data = noise(random.Random(length), length)
        for offset in range(4):
            self.assertEqual(mask(data, KEY, offset), xor(bytes(offset) + data, KEY)[offset:])

    @cases(by_form({"negative": -3, "beyond 64 bits": (1 << 70) + 1, "below them": 1 - (1 << 70), "a bool": True}))
    def test_an_offset_is_any_integer(self, form: str, offset: int) -> None:
        """Only its place in the key counts; all of these are 1 after a multiple of 4."""
        self.assertEqual(self.form(form).mask(b"Hello", KEY, offset), self.form(form).mask(b"Hello", KEY, 1))

    @cases(
        by_form(
            {
                "text": ("Hello", KEY, 0, TypeError),
                "a list": ([1, 2], KEY, 0, TypeError),
                "a number": (5, KEY, 0, TypeError),
                "memory with gaps": (memoryview(b"Hello")[::2], KEY, 0, BufferError),
                "key of none": (b"Hello", None, 0, TypeError),
                "key of text": (b"Hello", "abcd", 0, TypeError),
                "key that may change": (b"Hello", bytearray(KEY), 0, TypeError),
                "no key": (b"Hello", b"", 0, ValueError),
                "short key": (b"Hello", b"abc", 0, ValueError),
                "long key": (b"Hello", b"abcde", 0, ValueError),
                "offset of a float": (b"Hello", KEY, 1.0, TypeError),
                "offset of none": (b"Hello", KEY, None, TypeError),
            }
        )
    )
    def test_refusals(self, form: str, data: Any, key: Any, offset: Any, kind: Type[Exception]) -> None:
        """What is no payload, no key, no offset."""
        self.assertRaisesLike(kind, self.form(form).mask, data, key, offset)

    @cases(by_form({"one": (b"",), "four": (b"", KEY, 0, 0)}))
    def test_a_wrong_number_of_arguments(self, form: str, *arguments: object) -> None:
        """Two or three, and none by name."""
        mask = self.form(form).mask
        self.assertRaisesLike(TypeError, mask, *arguments)
        with self.assertRaises(TypeError):
            mask(b"", KEY, offset=0)


def views(data: bytes) -> Dict[str, Any]:
    """The same bytes in memory of other kinds."""
    return {
        "bytes": data,
        "bytearray": bytearray(data),
        "memoryview": memoryview(data),
        "memoryview from the middle": memoryview(b"abc" + data + b"xyz")[3 : 3 + len(data)],
        "numbers of four bytes": memoryview(array.array("I", data)),
        "two dimensions": memoryview(data).cast("B", (len(data) // 4, 4)),
        "a subclass of bytes": type("Bytes", (bytes,), {})(data),
    }


@with_cases
class BufferTests(FormTestCase):
    @cases(by_form(views(b"one buffer, any kind")))
    def test_any_memory_that_is_in_one_piece(self, form: str, buffer: Any) -> None:
        """What a payload is made of makes no difference; a key may be of a subclass."""
        data = b"one buffer, any kind"
        module = self.form(form)
        key = type("Key", (bytes,), {})(KEY)
        for good in (KEY, key):
            self.assertEqual(module.mask(buffer, good), xor(data, KEY))
            self.assertEqual(module.encode_frame(0x82, buffer, good), header(2, 20, masked=True) + KEY + xor(data, KEY))

    @cases(by_form({"empty": 0, "short": 10, "long": 100_000}))
    def test_a_buffer_is_let_go(self, form: str, size: int) -> None:
        """After the call it can be resized, whether it went well or not."""
        module = self.form(form)
        buffer = bytearray(size)
        module.mask(buffer, KEY)
        module.encode_frame(0x82, buffer, None)
        for bad in (b"", None):
            with self.assertRaises((TypeError, ValueError)):
                module.mask(buffer, bad)
        with self.assertRaises(ValueError):
            module.encode_frame(0x82, buffer, b"")
        buffer.append(1)
        self.assertEqual(len(buffer), size + 1)

    @cases(by_form())
    def test_the_input_stays_as_it_is(self, form: str) -> None:
        """What comes out is new memory."""
        buffer = bytearray(b"as it is")
        masked = self.form(form).mask(buffer, KEY)
        self.form(form).encode_frame(0x82, buffer, KEY)
        self.assertEqual(buffer, b"as it is")
        buffer[:] = bytes(8)
        self.assertEqual(masked, xor(b"as it is", KEY))

    @cases(by_form())
    def test_memory_that_was_released(self, form: str) -> None:
        """A view that is no longer one is refused."""
        view = memoryview(b"Hello")
        view.release()
        self.assertRaisesLike(ValueError, self.form(form).mask, view, KEY)
        self.assertRaisesLike(ValueError, self.form(form).encode_frame, 0x82, view, None)


@with_cases
class EncodeFrameTests(FormTestCase):
    @cases(by_form())
    def test_all_short_lengths(self, form: str) -> None:
        """Rule 112: lengths from 0 to 300, masked and not, under any first byte."""
        encode_frame = self.form(form).encode_frame
        draw = random.Random(112)
        for length in range(301):
            data, key, first = noise(draw, length), noise(draw, 4), draw.randrange(256)
            start = bytes((first,)) + header(0, length)[1:]
            self.assertEqual(encode_frame(first, data, None), start + data)
            start = bytes((first,)) + header(0, length, masked=True)[1:]
            self.assertEqual(encode_frame(first, data, key), start + key + xor(data, key))

    @cases(by_form({f"{length} bytes": length for length in LONG}))
    def test_long_payloads(self, form: str, length: int) -> None:
        """Rule 112: each form of the length, with the GIL and without it."""
        encode_frame = self.form(form).encode_frame
        data = noise(random.Random(length), length)
        self.assertEqual(encode_frame(0x82, data, None), header(2, length) + data)
        expected = header(2, length, masked=True) + KEY + xor(data, KEY)
        self.assertEqual(encode_frame(0x82, data, KEY), expected)

    @cases(by_form())
    def test_lengths_about_a_page(self, form: str) -> None:
        """Rule 111: from where on whole cache lines are written, to behind any header."""
        encode_frame = self.form(form).encode_frame
        data = noise(random.Random(1024), 4200)
        for length in (*range(990, 1100), *range(4090, 4200)):
            expected = header(2, length, masked=True) + KEY + xor(data[:length], KEY)
            self.assertEqual(encode_frame(0x82, data[:length], KEY), expected)

    @cases(by_form())
    def test_it_is_header_and_mask_in_one(self, form: str) -> None:
        """The same bytes as from the two functions that do it in turn."""
        draw = random.Random(5)
        for _ in range(200):
            data = noise(draw, draw.choice((0, 1, 125, 126, draw.randrange(2000))))
            fin, rsv1, opcode = draw.random() < 0.5, draw.random() < 0.5, draw.choice(list(frames.Opcode))
            for key in (None, noise(draw, 4)):
                expected = frames.encode_header(fin, rsv1, opcode, len(data), key)
                expected += data if key is None else frames.mask(data, key)
                self.assertEqual(self.form(form).encode_frame(fin << 7 | rsv1 << 6 | opcode, data, key), expected)

    @cases(
        by_form(
            {
                "a first byte that is none": (256, b"", None, ValueError),
                "the same of a masked frame": (256, b"", b"abcd", ValueError),
                "the same of a long one": (-1, bytes(126), b"abcd", ValueError),
                "a negative one": (-1, b"", None, ValueError),
                "one beyond 64 bits": (1 << 70, b"", None, ValueError),
                "one below them": (-1 << 70, b"", None, ValueError),
                "a float": (129.0, b"", None, TypeError),
                "two that are wrong": (0x81, memoryview(b"Hello")[::2], b"", BufferError),
                "a byte of bytes": (b"\x81", b"", None, TypeError),
                "none": (None, b"", None, TypeError),
                "text": (0x81, "text", None, TypeError),
                "a list": (0x82, [1], KEY, TypeError),
                "memory with gaps": (0x82, memoryview(b"Hello")[::2], KEY, BufferError),
                "key of text": (0x82, b"", "abcd", TypeError),
                "key that may change": (0x82, b"", bytearray(KEY), TypeError),
                "no key at all": (0x82, b"", b"", ValueError),
                "short key": (0x82, b"", b"abc", ValueError),
                "long key": (0x82, b"", b"abcde", ValueError),
            }
        )
    )
    def test_refusals(self, form: str, first: Any, payload: Any, key: Any, kind: Type[Exception]) -> None:
        """What is no first byte, no payload, no key."""
        self.assertRaisesLike(kind, self.form(form).encode_frame, first, payload, key)

    @cases(by_form({"two": (0x81, b""), "four": (0x81, b"", None, None)}))
    def test_a_wrong_number_of_arguments(self, form: str, *arguments: object) -> None:
        """Three, and none by name."""
        self.assertRaisesLike(TypeError, self.form(form).encode_frame, *arguments)
        with self.assertRaises(TypeError):
            self.form(form).encode_frame(0x81, b"", key=None)


GOOD = frame(TEXT, b"before")
STOPS: Dict[str, bytes] = {
    "nothing": b"",
    "one byte": b"\x81",
    "a length that is not there": b"\x82\x7e",
    "half a length": b"\x82\x7e\x01",
    "a long length that is not there": b"\x82\x7f",
    "half a long length": b"\x82\x7f" + bytes(4) + b"\x00\x01\x00",
    "a payload that is not there": b"\x82\x01",
    "half a payload": header(2, 300) + bytes(299),
    "a long payload but for one byte": header(2, 65_536) + bytes(65_535),
    "125 in 16 bits": header(2, 125, form=16) + bytes(125),
    "65535 in 64 bits": header(2, 65_535, form=64) + bytes(65_535),
    "5 in 64 bits": header(1, 5, form=64) + b"Hello",
    "the longest length": header(2, (1 << 63) - 1) + bytes(100),
    "a length with the top bit": b"\x82\x7f\x80" + bytes(107),
    "all bits": b"\x82\x7f" + b"\xff" * 108,
    "a masked frame": header(2, 5, masked=True) + KEY + b"Hello",
    "a masked one of no length": header(2, 0, masked=True) + KEY,
    "a masked one of 16 bits": header(2, 300, masked=True) + KEY + bytes(300),
    "a masked one of 64 bits": header(2, 65_536, masked=True) + KEY + bytes(65_536),
    "a first fragment": frame(TEXT, b"Hel", fin=False),
    "a continuation": frame(CONTINUATION, b"lo"),
    "a compressed message": frame(TEXT, b"Hello", rsv=4),
    "a reserved bit": frame(BINARY, b"Hello", rsv=1),
    "a ping": frame(PING, b"Hello"),
    "a pong": frame(PONG),
    "a close": frame(CLOSE, b"\x03\xe8"),
    "a reserved opcode": frame(3, b"Hello"),
    "half a character": frame(TEXT, b"\xc3"),
    "no text in 16 bits": frame(TEXT, b"a" * 200 + b"\xff"),
    "no text in 64 bits": frame(TEXT, b"a" * 70_000 + b"\xff"),
    **{f"no text: {name}": frame(TEXT, row[0]) for name, row in INVALID.items()},
    **{f"unfinished: {name}": frame(TEXT, data) for name, data in UNFINISHED.items()},
}


class CutTestCase(FormTestCase):
    def assertCuts(self, form: str, data: bytes, position: int = 0, limit: Optional[int] = None) -> List[Any]:
        """It cuts what the plain reading of its docstring says; the messages."""
        messages: List[Any] = ["there already"]
        reached, total = self.form(form).cut_messages(data, position, limit, messages)
        expected = cut_as_said(data, position, limit)
        self.assertEqual((reached, total, messages[1:]), expected, (data[:400], position, limit))
        self.assertEqual([type(message) for message in messages[1:]], [type(message) for message in expected[2]])
        self.assertEqual(messages[0], "there already")
        return messages[1:]


@with_cases
class CutMessagesTests(CutTestCase):
    @cases(by_form(STOPS))
    def test_it_stops_in_front_of(self, form: str, stop: bytes) -> None:
        """Whatever is no whole message stays where it is, and what is behind it too."""
        cut_messages = self.form(form).cut_messages
        for before in (b"", GOOD, GOOD + frame(BINARY, bytes(300)) + frame(BINARY, bytes(70_000))):
            messages: List[Any] = []
            size = {0: 0, len(GOOD): 6}.get(len(before), 6 + 300 + 70_000)
            self.assertEqual(cut_messages(before + stop, 0, None, messages), (len(before), size))
            if len(stop) > 1 and not stop.startswith((b"\x82\x7e", b"\x82\x7f", b"\x82\x01")):
                self.assertEqual(cut_messages(before + stop + GOOD, 0, None, messages), (len(before), size))

    @cases(by_form(dict(VALID)))
    def test_text_of_every_kind(self, form: str, data: bytes) -> None:
        """Texts come as str, at each alignment in memory."""
        for shift in range(9):
            whole = frame(BINARY, bytes(shift)) + frame(TEXT, data) + frame(TEXT, b"a" * 40 + data)
            self.assertEqual(self.assertCuts(form, whole)[1:], [data.decode(), "a" * 40 + data.decode()])

    @cases(by_form())
    def test_a_character_at_each_place(self, form: str) -> None:
        """One that is no ASCII is found wherever it stands among ASCII, good or bad."""
        for size in (1, 2, 7, 8, 9, 31, 32, 33, 64, 70):
            for place in range(size):
                for other in (b"\xc3\xa9", b"\x80"):
                    self.assertCuts(form, frame(TEXT, b"a" * place + other + b"b" * (size - place - 1)))

    @cases(by_form())
    def test_one_size(self, form: str) -> None:
        """Many messages of one kind and size, with something else among them, before, behind, or nowhere."""
        for opcode, size in ((TEXT, 0), (BINARY, 1), (TEXT, 125), (BINARY, 126), (TEXT, 300), (BINARY, 9000)):
            one = frame(opcode, b"x" * size)
            for other in (
                *(b"", one[:-1], one[:1], frame(opcode, b"y" * (size + 1)), frame(BINARY + TEXT - opcode, b"z" * size)),
                *(frame(PING), one[:1] + b"\x7e\x00\x05short", frame(TEXT, b"\xff" * size), frame(opcode, b"y" * size)),
            ):
                for before, behind in ((0, 600), (1, 600), (7, 8), (300, 300), (600, 0)):
                    data = one * before + other + one * behind
                    messages = self.assertCuts(form, data)
                    self.assertGreaterEqual(len(messages), before)
                    self.assertCuts(form, b"?" + data, 1, size)
                    self.assertCuts(form, data, 0, max(0, size - 1))

    @cases(by_form())
    def test_each_length(self, form: str) -> None:
        """Rule 112: texts and bytes of all lengths from 0 to 300, and at the edges of what is long."""
        for length in (*range(301), *LONG):
            for opcode in (TEXT, BINARY):
                messages = self.assertCuts(form, frame(opcode, b"x" * length) + b"\x82")
                self.assertEqual([len(message) for message in messages], [length])

    @cases(by_form())
    def test_the_limit(self, form: str) -> None:
        """A message as long as it goes, a longer one does not; a negative limit lets nothing through."""
        data = frame(TEXT, b"") + frame(BINARY, bytes(5)) + frame(TEXT, b"a" * 200) + frame(BINARY, bytes(70_000))
        for limit in (None, -(1 << 70), -1, 0, 4, 5, 199, 200, 69_999, 70_000, 1 << 31, 1 << 70):
            self.assertCuts(form, data, 0, limit)

    @cases(by_form())
    def test_integers_of_other_classes(self, form: str) -> None:
        """A position and a limit may be of a subclass of int."""
        data = b"\x00" + frame(TEXT, b"a") + frame(TEXT, b"abcd")
        for limit in (True, frames.Opcode.CLOSE):
            self.assertCuts(form, data, True, limit)

    @cases(by_form())
    def test_every_cut_and_every_position(self, form: str) -> None:
        """However much of a soup is there, from wherever it is read."""
        draw = random.Random(6455)
        for _ in range(12):
            data = soup(draw)[:700]
            for end in range(len(data)):
                self.assertCuts(form, data[:end])
            for position in range(len(data) + 1):
                self.assertCuts(form, data, position, draw.choice((None, 0, 20, 126)))

    @cases(by_form({f"seed {seed}": seed for seed in range(8)}))
    def test_soups(self, form: str, seed: int) -> None:
        """Random frames, good and bad, short and long, under random limits."""
        draw = random.Random(seed)
        for _ in range(150):
            data = soup(draw, longest=70_001)
            self.assertCuts(form, data, 0, draw.choice((None, None, 0, 16, 125, 255, 65_536)))

    @cases(by_form({f"seed {seed}": seed for seed in range(4)}))
    def test_noise(self, form: str, seed: int) -> None:
        """Bytes that are no frames at all but by chance."""
        draw = random.Random(seed)
        for _ in range(1000):
            data = b"".join(draw.choice((b"\x81", b"\x82", noise(draw, 3))) for _ in range(draw.randrange(40)))
            self.assertCuts(form, data)

    @cases(
        by_form(
            {
                "data that may change": (bytearray(GOOD), 0, None, [], TypeError),
                "a view": (memoryview(GOOD), 0, None, [], TypeError),
                "text": ("\x81\x00", 0, None, [], TypeError),
                "a subclass": (type("Bytes", (bytes,), {})(GOOD), 0, None, [], TypeError),
                "no position": (GOOD, None, None, [], TypeError),
                "a position of a float": (GOOD, 0.0, None, [], TypeError),
                "one of a float where nothing is left": (b"", 0.0, None, [], TypeError),
                "a negative position": (GOOD, -1, None, [], ValueError),
                "a position too far": (GOOD, len(GOOD) + 1, None, [], ValueError),
                "one beyond 64 bits": (GOOD, 1 << 70, None, [], ValueError),
                "one below them": (GOOD, -1 << 70, None, [], ValueError),
                "a limit of a float": (GOOD, 0, 5.0, [], TypeError),
                "a limit of text": (GOOD, 0, "5", [], TypeError),
                "no list": (GOOD, 0, None, None, TypeError),
                "a tuple": (GOOD, 0, None, (), TypeError),
                "a list of another class": (GOOD, 0, None, type("List", (list,), {})(), TypeError),
            }
        )
    )
    def test_refusals(
        self, form: str, data: Any, position: Any, limit: Any, messages: Any, kind: Type[Exception]
    ) -> None:
        """What is no data, no position, no limit, no list; nothing was cut then."""
        self.assertRaisesLike(kind, self.form(form).cut_messages, data, position, limit, messages)
        self.assertFalse(messages)

    @cases(by_form({"three": (GOOD, 0, None), "five": (GOOD, 0, None, [], [])}))
    def test_a_wrong_number_of_arguments(self, form: str, *arguments: object) -> None:
        """Four, and none by name."""
        self.assertRaisesLike(TypeError, self.form(form).cut_messages, *arguments)
        with self.assertRaises(TypeError):
            self.form(form).cut_messages(GOOD, 0, None, messages=[])


@with_cases
class ThreadTests(FormTestCase):
    @cases(by_form())
    def test_threads_at_once(self, form: str) -> None:
        """Three threads at work on the same bytes, long enough for the GIL to be let go, do not disturb each other."""
        module = self.form(form)
        buffer = bytearray(noise(random.Random(3), 300_000))
        body = bytes(buffer)
        data = frame(BINARY, body) + frame(TEXT, b"a" * 70_000)

        def work() -> None:
            for _ in range(20):
                messages: List[Any] = []
                self.assertEqual(module.mask(module.mask(buffer, KEY, 1), KEY, 1), body)
                self.assertTrue(module.encode_frame(0x82, buffer, None).endswith(body))
                self.assertEqual(module.cut_messages(data, 0, None, messages), (len(data), 370_000))
                self.assertEqual(messages, [body, "a" * 70_000])

        for running in [Running(work) for _ in range(3)]:
            running.result()
        buffer.append(0)


@with_cases
class ReferenceTests(FormTestCase):
    """What is counted by hand in C: who holds what."""

    @cases(by_form())
    def test_arguments_are_not_held(self, form: str) -> None:
        """After many calls, good and bad, the same references are there as before."""
        module = self.form(form)
        data = frame(TEXT, b"some text") * 3 + frame(TEXT, b"\xff")
        objects: List[Any] = [data, bytes(bytearray(KEY)), bytearray(data), 1 << 70, [], object()]
        before = [sys.getrefcount(thing) for thing in objects]
        for _ in range(100):
            self.use(module, *objects)
        self.assertEqual([sys.getrefcount(thing) for thing in objects], before)

    def use(self, module: Any, data: Any, key: Any, buffer: Any, number: Any, messages: Any, wrong: Any) -> None:
        module.cut_messages(data, 0, number, messages)
        messages.clear()
        module.mask(buffer, key, number)
        module.encode_frame(0x82, buffer, key)
        for call, arguments in (
            (module.mask, (wrong, key, number)),
            (module.mask, (buffer, wrong, number)),
            (module.mask, (buffer, key, wrong)),
            (module.encode_frame, (wrong, data, key)),
            (module.encode_frame, (0x82, wrong, key)),
            (module.encode_frame, (0x82, data, wrong)),
            (module.cut_messages, (wrong, 0, None, messages)),
            (module.cut_messages, (data, wrong, None, messages)),
            (module.cut_messages, (data, 0, wrong, messages)),
            (module.cut_messages, (data, 0, None, wrong)),
        ):
            self.assertRaisesLike(TypeError, call, *arguments)

    @cases(by_form())
    def test_messages_are_held_by_the_list_alone(self, form: str) -> None:
        """And the pair by nobody but the caller."""
        messages: List[Any] = []
        pair = self.form(form).cut_messages(frame(TEXT, b"some text") + frame(BINARY, b"bytes"), 0, None, messages)
        alone = sys.getrefcount(bytes(bytearray(b"nobody else's")))
        self.assertEqual([sys.getrefcount(messages[0]), sys.getrefcount(messages[1])], [alone + 1, alone + 1])
        self.assertEqual(sys.getrefcount(pair), alone + 1)

"""The accelerator is clean under sanitizers, and they would notice if it were not."""

from __future__ import annotations

import random
import re
import tempfile
import unittest
from pathlib import Path

from tests.sanitize import build
from tests.support import cases, with_cases

__all__ = ["PlantedErrorCases", "SanitizedCases"]

PLANTED = {
    "half a length of 16 bits": ("if (left < 2) {", "if (left < 0) {"),
    "half a length of 64 bits": ("|| left < 8) {", "|| left < 3) {"),
    "one byte too many to mask": ("case 3:", "case 3: to[3] = from[3];"),
    "eight bytes where seven are left": ("for (; size >= 8; size -= 8, from", "for (; size >= 7; size -= 8, from"),
    "a frame without room for its key": (
        "frame = PyBytes_FromStringAndSize(NULL, header_size + size);",
        "frame = PyBytes_FromStringAndSize(NULL, header_size + size - (key ? 4 : 0));",
    ),
    "text that is looked at too far": (
        "for (; size > 0; size--, bytes++) {",
        "for (size += 2; size > 0; size--, bytes++) {",
    ),
    "a message that is let go twice": (
        "status = PyList_Append(messages, message);\n        Py_DECREF(message);\n",
        "status = PyList_Append(messages, message);\n        Py_DECREF(message); Py_DECREF(message);\n",
    ),
    "data that is let go too early": (
        "self->data = Py_NewRef(data);",
        "self->data = data;",
    ),
    "more bytes than there is room for": (
        "received = recv(descriptor, to, (size_t)most, 0);",
        "received = recv(descriptor, to, (size_t)most + LITTLE, 0);",
    ),
    "a message that is longer than it said": (
        "received = recv(descriptor, to + *filled, (size_t)(size - *filled), MSG_DONTWAIT);",
        "received = recv(descriptor, to + *filled, (size_t)(size - *filled) + 64, MSG_DONTWAIT);",
    ),
    "a long message that outgrows its memory": (
        "const Py_ssize_t room = PyBytes_GET_SIZE(came->payload) - came->filled;",
        "const Py_ssize_t room = came->length - came->filled;",
    ),
    "a frame that is too long for the stack": (
        "if (size > SHORT_FRAME - LONGEST_HEADER) {",
        "if (size > SHORT_FRAME) {",
    ),
    "a frame that is sent too far": (
        "accepted = send_without_waiting(self->descriptor, frame, frame_size, self->flags);",
        "accepted = send_without_waiting(self->descriptor, frame, frame_size + SHORT_FRAME, self->flags);",
    ),
    "a key behind the last": (
        "if (self->keys == NULL || self->keys_used + 4 > PyBytes_GET_SIZE(self->keys)) {",
        "if (self->keys == NULL || self->keys_used > PyBytes_GET_SIZE(self->keys)) {",
    ),
    "bytes that were given back": (
        "got = read_into(self, bytes, size, buffer);\n    Py_XDECREF(buffer);",
        "Py_XDECREF(buffer);\n    got = read_into(self, bytes, size, buffer);",
    ),
    "a length that overflows": (
        "*length = *length << 8 | from[i];",
        "*length = (uint64_t)((int64_t)*length * 256 + from[i]);",
    ),
}
"""What is wrong -> (a line of the C code, the same made wrong)."""

PLANTED_WITHIN = {
    "a message that is taken twice": (
        "        message = self->first;\n        self->first = NULL;\n",
        "        message = self->first;\n",
    ),
    "a message that is not all there": (
        "return came->payload != NULL && came->filled == came->length;",
        "return came->payload != NULL;",
    ),
    "a record that TLS does not see": (
        "status = PyList_Append(PyTuple_GET_ITEM(steps, FETCHED), data);",
        "status = steps == NULL ? -1 : 0;",
    ),
    "a message that lies nowhere": ("self->lying = found;", "self->lying = found + 1;"),
    "a payload longer than the data": (
        "if (length > (uint64_t)(end - *start) || (Py_ssize_t)length > limit) {",
        "if (length > (uint64_t)(end - *start) + 8 || (Py_ssize_t)length > limit) {",
    ),
}
"""The same for what may stay within memory that is there: a `bytes` has a zero behind it, a buffer to receive into has
room. Then it is the comparison with the pure form that notices.
"""


class SanitizerCase(unittest.TestCase):
    seconds = 30.0
    seed = 0

    def setUp(self) -> None:
        reason = build.missing()
        if reason:
            self.skipTest(reason)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)


class SanitizedCases(SanitizerCase):
    def test_clean(self) -> None:
        """The tests of the protocol and the fuzzing end well, without a word from the sanitizers."""
        extension = build.build(build.SOURCE, self.folder)
        options = ["--seconds", str(self.seconds), "--seed", str(self.seed)]
        done = build.start(extension, *options, seconds=self.seconds + 300)
        print(done.stdout)
        self.assertEqual(done.returncode, 0)
        self.assertNotRegex(done.stdout, build.RUNS_INTO)


@with_cases
class PlantedErrorCases(SanitizerCase):
    @cases(PLANTED)
    def test_caught(self, right: str, wrong: str) -> None:
        """An error in the C code stops the fuzzing: the sanitizers see it."""
        self._assert_stopped(right, wrong, build.RUNS_INTO)

    @cases(PLANTED_WITHIN)
    def test_noticed(self, right: str, wrong: str) -> None:
        """So does one that the sanitizers need not see: what it gives is not what the pure form gives."""
        self._assert_stopped(right, wrong, f"{build.RUNS_INTO}|AssertionError")

    def _assert_stopped(self, right: str, wrong: str, by: str) -> None:
        text = build.SOURCE.read_text(encoding="utf-8")
        self.assertEqual(text.count(right), 1, "the C code has no such line any more")
        source = self.folder / "_speedups.c"
        source.write_text(text.replace(right, wrong), encoding="utf-8")
        extension = build.build(source, self.folder)
        done = build.start(extension, "--fuzz-only", "--seconds", "30", "--seed", "0", seconds=300)
        self.assertNotEqual(done.returncode, 0)
        self.assertTrue(re.search(by, done.stdout), done.stdout[-1500:])


def new_seed() -> int:
    """A seed that no run had, for runs that are not told one."""
    return random.SystemRandom().randrange(1 << 32)

"""Tests of `wssync.cli.console`."""

from __future__ import annotations

import io
import os
import sys
import threading
import unittest
from typing import Optional, Union
from unittest import mock

from tests.cli.streams import FailingBytes, Terminal, console, reader, text_of, writer
from tests.support import cases, with_cases
from wssync.cli.console import Console, as_line, as_output, escape, wait_for


@with_cases
class WordsTests(unittest.TestCase):
    @cases(
        plain=("grüße 日本 😀 a\u00a0b", "grüße 日本 😀 a\u00a0b"),
        lines=("a\nb\r\tc", "a\\nb\\r\\tc"),
        escape_sequence=("\x1b[2J\x9b", "\\x1b[2J\\x9b"),
        direction=("\u202eabc\u2028", "\\u202eabc\\u2028"),
        surrogate=("\ud800", "\\ud800"),
    )
    def test_an_escaped_text_only_shows_itself(self, text: str, expected: str) -> None:
        """Controls, line ends, invisible formatting and lone surrogates become escapes, the rest stays."""
        self.assertEqual(escape(text), expected)

    @cases(
        text=("a\nb", "a\\nb"),
        empty=(b"", "<0 bytes>"),
        short=(b"\x00\xff", "<2 bytes: 00 ff>"),
        at_the_limit=(b"a" * 24, f"<24 bytes: {'61 ' * 23}61>"),
        long=(b"a" * 25, f"<25 bytes: {'61 ' * 23}61 ...>"),
    )
    def test_a_message_for_a_person(self, message: Union[str, bytes], expected: str) -> None:
        """Text is escaped, bytes are the beginning of a hex dump."""
        self.assertEqual(as_line(message), expected)

    @cases(text=("ä\n", b"\xc3\xa4\n\n"), binary=(b"\x00\n", b"\x00\n"))
    def test_a_message_for_a_program(self, message: Union[str, bytes], expected: bytes) -> None:
        """Text is a line, bytes are themselves."""
        self.assertEqual(as_output(message), expected)


class ReadingTests(unittest.TestCase):
    def test_bytes_come_as_soon_as_they_are_there(self) -> None:
        """One read brings what the pipe holds, though there is no line yet; then comes the end."""
        read, write = os.pipe()
        with os.fdopen(read) as stream:
            os.write(write, b"ab")
            self.assertEqual(Console(stream, None, None).read(), b"ab")
            os.close(write)
            self.assertEqual(Console(stream, None, None).read(), b"")

    def test_no_input_is_an_empty_one(self) -> None:
        """A process without standard input has nothing to send."""
        self.assertEqual(Console(None, None, None).read(), b"")

    @unittest.skipIf(sys.platform == "win32", "pipes cannot be set non-blocking there")
    def test_a_non_blocking_input_is_an_error(self) -> None:
        """Nothing there now is not taken for the end."""
        read, write = os.pipe()
        self.addCleanup(os.close, write)
        with os.fdopen(read) as stream:
            os.set_blocking(read, False)
            with self.assertRaises(BlockingIOError):
                Console(stream, None, None).read()


class WritingTests(unittest.TestCase):
    def test_a_pipe_gets_the_message_a_terminal_a_line(self) -> None:
        """What standard output is decides about the form."""
        pipe, terminal = writer(), Terminal(io.BytesIO(), encoding="utf-8")
        for stream in (pipe, terminal):
            Console(None, stream, None).show("\x1b")
            Console(None, stream, None).show(b"\x1b")
        self.assertEqual(text_of(pipe), "\x1b\n\x1b")
        self.assertEqual(text_of(terminal), "\\x1b\n<1 bytes: 1b>\n")

    def test_everything_is_written(self) -> None:
        """A stream that takes three bytes at a time gets all of them."""

        class Slow(io.BytesIO):
            def write(self, data: object) -> int:
                assert isinstance(data, memoryview)
                return super().write(data[:3])

        stream = io.TextIOWrapper(Slow(), encoding="utf-8")
        Console(None, stream, None).write(b"abcdefgh")
        self.assertEqual(text_of(stream), "abcdefgh")

    def test_a_non_blocking_output_is_an_error(self) -> None:
        """A stream that takes nothing now does not make the command spin."""

        class Full(io.BytesIO):
            def write(self, data: object) -> Optional[int]:  # type: ignore[override]  # as raw streams do
                return None

        with self.assertRaises(BlockingIOError):
            Console(None, io.TextIOWrapper(Full()), None).write(b"a")

    def test_lines_on_standard_error(self) -> None:
        """Reports and notes are one line each, whatever is in them."""
        streams = console()
        streams.report("a\nb")
        streams.note("c\x07")
        assert isinstance(streams.stderr, io.TextIOWrapper)
        self.assertEqual(text_of(streams.stderr), "wssync: a\\nb\n* c\\x07\n")

    def test_missing_and_broken_streams(self) -> None:
        """Without output, and with a standard error that fails, nothing is raised."""
        nothing = Console(None, None, None)
        nothing.write(b"a")
        nothing.report("a")
        broken = io.TextIOWrapper(FailingBytes(BrokenPipeError()), write_through=True)
        Console(None, None, broken).report("a")

    def test_only_two_terminals_are_interactive(self) -> None:
        """A person must sit at both ends."""
        terminal = Terminal(io.BytesIO())
        self.assertTrue(Console(terminal, terminal, None).is_interactive)
        self.assertFalse(Console(reader(), terminal, None).is_interactive)
        self.assertFalse(Console(terminal, writer(), None).is_interactive)
        self.assertFalse(Console(None, terminal, None).is_interactive)


class WaitingTests(unittest.TestCase):
    def test_an_event_that_is_set(self) -> None:
        """It is not waited for."""
        event = threading.Event()
        event.set()
        self.assertTrue(wait_for(event))
        self.assertTrue(wait_for(event, 0))

    def test_an_event_that_is_not_set(self) -> None:
        """After the time it is given up, and a wait of many slices is one wait."""
        with mock.patch("wssync.cli.console.SLICE", 0.001):
            self.assertFalse(wait_for(threading.Event(), 0.01))

    def test_an_endless_wait_goes_on_after_a_slice(self) -> None:
        """Without a time nothing ends it but the event."""
        event = mock.Mock(wait=mock.Mock(side_effect=[False, False, True]))
        self.assertTrue(wait_for(event))
        self.assertEqual(event.wait.call_count, 3)

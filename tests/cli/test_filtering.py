"""Tests of `wssync.cli.filtering`."""

from __future__ import annotations

import io
import os
import queue
import threading
import unittest
from typing import List
from unittest import mock

from tests.cli.streams import CommandCase, console, text_of, writer
from tests.support import cases, with_cases
from wssync.cli.console import Console
from wssync.cli.conversation import Status
from wssync.cli.filtering import Filter, LineSplitter
from wssync.executors import SerialExecutor
from wssync.testing import expect, script


@with_cases
class LineSplitterTests(unittest.TestCase):
    @cases(
        nothing=(b"", []),
        one=(b"a\n", [b"a"]),
        without_end=(b"a\nb", [b"a", b"b"]),
        empty_lines=(b"\n\na\n\n", [b"", b"", b"a", b""]),
        windows=(b"a\r\nb\r\n\r\n", [b"a", b"b", b""]),
        returns_inside=(b"a\rb\n\rc\n", [b"a\rb", b"\rc"]),
    )
    def test_lines(self, data: bytes, expected: List[bytes]) -> None:
        """LF and CR LF end a line and do not belong to it; in whatever pieces the bytes come."""
        for size in (1, 2, len(data) or 1):
            splitter = LineSplitter()
            lines = [line for i in range(0, len(data), size) for line in splitter.feed(data[i : i + size])]
            self.assertEqual(lines + splitter.finish(), expected, size)
            self.assertEqual(splitter.finish(), [])


class FilterTests(CommandCase):
    def setUp(self) -> None:
        self.executor = SerialExecutor()
        self.addCleanup(self.executor.shutdown)

    def filter(self, data: bytes, *, binary: bool = False) -> Filter:
        self.console = console(data)
        talk = Filter(self.connect(executor=self.executor), self.console, binary=binary)
        talk.run()
        return talk

    def output(self) -> str:
        assert isinstance(self.console.stdout, io.TextIOWrapper)
        return text_of(self.console.stdout)

    def test_lines_become_messages_and_messages_lines(self) -> None:
        """What an echo server makes of the input is the input."""
        self.filter("ä\n\nlast".encode())
        self.assertEqual(self.output(), "ä\n\nlast\n")

    def test_binary(self) -> None:
        """Any bytes can be sent, and come out as they are."""
        with mock.patch.object(Console, "show") as show:
            self.filter(b"\xff\n\x00", binary=True)
        self.assertEqual(show.call_args_list, [mock.call(b"\xff"), mock.call(b"\x00")])

    def test_a_line_that_is_not_utf_8(self) -> None:
        """It ends the input: its number is told, the lines before it are answered."""
        talk = self.filter(b"a\nb\xffc\nd\n")
        assert talk.problem is not None
        self.assertEqual(talk.problem.status, Status.USAGE)
        self.assertRegex(talk.problem.text, "line 2 .* not UTF-8 .* byte 2.*--binary")
        self.assertEqual(self.output(), "a\n")

    def test_an_input_that_fails(self) -> None:
        """It is the end of the input, and a failure."""
        with mock.patch.object(Console, "read", side_effect=[b"a\n", OSError(5, "no such luck")]):
            talk = self.filter(b"")
        assert talk.problem is not None
        self.assertEqual(tuple(talk.problem), (Status.FAILED, "the input cannot be read: no such luck"))
        self.assertEqual(self.output(), "a\n")

    def test_an_error_without_text(self) -> None:
        """Whatever the error says stands in the line."""
        with mock.patch.object(Console, "read", side_effect=OSError("odd")):
            talk = self.filter(b"")
        assert talk.problem is not None
        self.assertIn("odd", talk.problem.text)

    def test_a_server_that_hangs_up(self) -> None:
        """The command ends though the input does not; what comes later is not read."""
        self.serve(script(["bye"]))
        stdin, _ = self.open_pipe()
        output = writer()
        talk = Filter(self.connect(executor=self.executor), Console(stdin, output, None))
        talk.run()
        self.assertEqual(text_of(output), "bye\n")
        self.assertIsNone(talk.problem)

    def test_a_long_wait_is_many_short_ones(self) -> None:
        """A slice of the wait that brings nothing is followed by the next."""
        pieces = mock.Mock()
        pieces.get.side_effect = [queue.Empty, queue.Empty, None]
        with mock.patch("wssync.cli.filtering.queue", SimpleQueue=lambda: pieces, Empty=queue.Empty):
            talk = Filter(mock.Mock(), console())
            talk.converse()
        self.assertEqual(pieces.get.call_count, 3)

    def test_a_server_that_hangs_up_while_lines_are_left(self) -> None:
        """The rest of the input cannot be sent, which is a failure."""
        ended = threading.Event()

        def read(streams: Console) -> bytes:
            ended.wait(10)
            return b"a\n"

        def take(talk: Filter) -> None:
            ended.set()

        self.serve(script([]))
        talk = Filter(self.connect(executor=self.executor), console())
        with mock.patch.object(Console, "read", read), mock.patch.object(Filter, "wake", take):
            talk.run()
        assert talk.problem is not None
        self.assertEqual(talk.problem.status, Status.FAILED)

    def test_lines_are_sent_before_the_input_ends(self) -> None:
        """Each piece of the input is sent when it comes: the answer is there while the pipe is still open."""
        stdin, writers = self.open_pipe()
        self.serve(script([expect("first"), "answer", expect("second")]))
        task = self.connect(executor=self.executor)
        talk = Filter(task, Console(stdin, None, None))

        def show(message: object) -> None:
            self.assertEqual(message, "answer")
            os.write(writers[0], b"ond\n")

        os.write(writers[0], b"first\nsec")
        with mock.patch.object(talk, "_show", show):
            talk.run()
        self.assertEqual(task.close_code, 1000)

"""Tests of `wssync.cli.serving`."""

from __future__ import annotations

import io
import threading
import unittest
from typing import Optional
from unittest import mock

import wssync.testing
from tests.cli.streams import console, text_of
from wssync.cli import serving


class ServeTests(unittest.TestCase):
    def test_it_echoes_at_the_url_that_it_prints(self) -> None:
        """The URL is the first line of output; the server is there until the interrupt, and not longer."""
        streams = console()

        def interrupt(event: threading.Event, seconds: Optional[float] = None) -> None:
            assert isinstance(streams.stdout, io.TextIOWrapper)
            self.url = text_of(streams.stdout)[:-1]
            with wssync.connect(self.url) as task:
                task.send("hello")
                self.assertEqual(task.receive(timeout=10), "hello")
            raise KeyboardInterrupt

        with mock.patch.object(serving, "wait_for", interrupt), self.assertRaises(KeyboardInterrupt):
            serving.serve(streams)
        self.assertRegex(self.url, r"\Aws://127\.0\.0\.1:\d+/\Z")
        self.assertRaises(wssync.ConnectionRefused, wssync.connect, self.url)

    def test_a_port_of_ones_choice(self) -> None:
        """The port is the server's; one that is taken is an OSError."""
        with wssync.testing.Server() as other:
            port = int(other.url.rstrip("/").rpartition(":")[2])
            self.assertRaises(OSError, serving.serve, console(), port)
        streams = console()
        with mock.patch.object(serving, "wait_for", side_effect=KeyboardInterrupt):
            self.assertRaises(KeyboardInterrupt, serving.serve, streams, port)
        assert isinstance(streams.stdout, io.TextIOWrapper)
        self.assertEqual(text_of(streams.stdout), f"ws://127.0.0.1:{port}/\n")

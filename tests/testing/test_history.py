"""Tests of `wssync.testing.history`, through a running server."""

from __future__ import annotations

import threading
import unittest
from typing import List
from unittest import mock

from .client import TIMEOUT, ServerCase


class RecordTests(ServerCase):
    """What the server remembers."""

    def test_a_client_that_is_open_is_on_record(self) -> None:
        """Its request and its connection are there as soon as it has read the 101; the lists are the caller's own."""
        server = self.serve()
        for number in range(1, 30):
            self.open(server)
            self.assertEqual(len(server.connections), number)
            self.assertEqual(len(server.requests), number)
        for record in (server.requests, server.connections):
            record.clear()
        self.assertEqual(len(server.requests), 29)
        self.assertEqual(server.requests[0].headers["Sec-WebSocket-Version"], "13")
        self.assertEqual(server.connections[3].request, server.requests[3])

    def test_connections_are_handed_out_in_order(self) -> None:
        """Each once, those that came before the call first."""
        server = self.serve()
        self.open(server)
        self.open(server)
        first, second = server.connections
        self.assertIs(server.wait_for_connection(), first)
        self.assertIs(server.wait_for_connection(0), second)
        with self.assertRaises(TimeoutError):
            server.wait_for_connection(0)
        self.open(server)
        self.assertIs(server.wait_for_connection(0), server.connections[2])

    def test_waiting_for_a_connection(self) -> None:
        """It is released by the client, by its timeout, by the end of the server."""
        server = self.serve()
        found: List[object] = []

        def wait() -> None:
            try:
                found.append(server.wait_for_connection(3 * TIMEOUT))
            except RuntimeError as error:
                found.append(str(error))

        with self.assertRaisesRegex(TimeoutError, "within 0.01 seconds"):
            server.wait_for_connection(0.01)
        for release in (lambda: self.open(server), server.close):
            thread = threading.Thread(target=wait)
            thread.start()
            release()
            thread.join(TIMEOUT)
            self.assertFalse(thread.is_alive())
        self.assertEqual(found, [server.connections[0], "the server is closed, no connection will come"])


class ErrorTests(ServerCase):
    """What went wrong."""

    def test_taken_errors_are_forgotten(self) -> None:
        """Each is given out once by `take_errors`, and is in `errors` until then; the lists are the caller's own."""
        mistakes = [ValueError("one"), ValueError("two")]
        server = self.serve(mock.Mock(side_effect=mistakes))
        self.open(server).receive()
        server.errors.clear()
        self.assertEqual(server.errors, mistakes[:1])
        self.assertEqual(server.take_errors(), mistakes[:1])
        self.assertEqual((server.errors, server.take_errors()), ([], []))
        self.open(server).receive()
        taken = server.take_errors()
        self.assertEqual(taken, mistakes[1:])
        taken.append(ValueError("the caller's own"))
        server.close()
        self.assertEqual(server.errors, [])


if __name__ == "__main__":
    unittest.main()

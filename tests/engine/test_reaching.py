"""How a server is reached: directly, and when there is no network."""

from __future__ import annotations

import socket
import unittest
from typing import Any

from wssync.errors import (
    ConnectionFailed,
    ConnectionRefused,
    HostNotFound,
    TimedOut,
)
from wssync.protocol.urls import parse_url
from wssync.transport.stream import Stream

from .reachings import URL, ReachingTestCase
from .support import Running


class DirectTests(ReachingTestCase):
    def test_the_server_itself(self) -> None:
        """Without a proxy the host is connected to, from where the configuration says."""
        self.configuration = self.configuration.replace(source_address=("127.0.0.2", 0))
        self.assertIs(self.reach([]), self.streams[0])
        self.assertEqual(self.dialled, [("example.test", 8080)])
        self.assertEqual(self.options[0].source_address, ("127.0.0.2", 0))
        self.options[0].trace("connect_start", address=1)
        self.assertEqual(self.traced, [("connect_start", {"address": 1})])

    def test_a_unix_socket(self) -> None:
        """It goes before any proxy."""
        self.configuration = self.configuration.replace(unix_path="/run/x", proxy="http://proxy.test:3128")
        self.reach([])
        self.assertEqual((self.dialled, self.options[0].unix_path), ([("example.test", 8080)], "/run/x"))

    def test_a_failure(self) -> None:
        """It goes through as it is."""
        error = ConnectionRefused("no")
        self.assertIs(self.fails(ConnectionRefused, "no", error), error)


class NetworkTests(ReachingTestCase):
    """Rule 209."""

    def setUp(self) -> None:
        super().setUp()
        self.configuration = self.configuration.replace(waits_for_connectivity=True)
        self.down = ConnectionFailed("unreachable", url_error_code=-1009)
        self.no_names = HostNotFound("try again")
        self.no_names.__cause__ = socket.gaierror(socket.EAI_AGAIN, "try again")

    def waiting(self, *outcomes: Any) -> Running[Stream]:
        """It waits by a waker, in real time, on a thread of its own."""
        self.outcomes.extend(outcomes)
        reaching_it = self.reaching()
        return Running(lambda: reaching_it.reach(parse_url(URL)))

    def go_on(self, running: Running[Stream], step: float) -> None:
        while running.thread.is_alive():
            self.clock.advance(step)
            running.thread.join(0.001)

    def test_it_waits_for_one(self) -> None:
        """Until there is a network; the delegate hears of it once; the request's time begins then."""
        running = self.waiting(self.down, self.no_names, self.down, [])
        self.go_on(running, 0.5)
        self.assertIs(running.result(), self.streams[0])
        self.assertEqual(len(self.dialled), 4)
        self.assertEqual([name for name, *_ in self.delegate.told], ["is_waiting_for_connectivity"])
        self.assertEqual(self.traced, [("waiting", {"reason": "connectivity"})] * 3)
        self.assertEqual(self.aside, 3)

    def test_not_for_ever(self) -> None:
        """The resource timeout ends it."""
        running = self.waiting(*[self.down] * 1000)
        self.go_on(running, 10)
        with self.assertRaisesRegex(TimedOut, "after 1000 seconds"):
            running.result()

    def test_what_is_no_lack_of_a_network(self) -> None:
        """A host that refuses, or does not exist, fails at once; and so does everything without the switch."""
        unknown = HostNotFound("unknown")
        unknown.__cause__ = socket.gaierror(socket.EAI_NONAME, "unknown")
        for error in (ConnectionRefused("no"), unknown, HostNotFound("none")):
            self.assertIs(self.fails(ConnectionFailed, "", error), error)
        self.configuration = self.configuration.replace(waits_for_connectivity=False)
        self.fails(ConnectionFailed, "unreachable", self.down)


if __name__ == "__main__":
    unittest.main()

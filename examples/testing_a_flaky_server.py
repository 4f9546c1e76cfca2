"""A client that connects again, and its tests with a server that fails: `python testing_a_flaky_server.py`."""

import time
import unittest

import wssync
from wssync.testing import (
    ServerConnection,
    WebSocketTestCase,
    cut_after,
    half_a_head,
    in_turn,
    refuse,
    script,
    wrong_accept_key,
)


def follow(url, *, attempts=4, sleep=time.sleep):
    """Yield the lines of a feed until the server closes it; after a failure connect again, for the lines that follow.

    It waits 1, 2, 4 ... seconds between attempts, and gives up when so many have failed in a row.
    """
    seen = failures = 0
    while True:
        try:
            with wssync.connect(f"{url}?after={seen}", timeout=5) as task:
                for line in task:
                    seen, failures = seen + 1, 0
                    yield line
                return
        except wssync.WebSocketError:
            failures += 1
            if failures == attempts:
                raise
        sleep(2 ** (failures - 1))


class FollowTests(WebSocketTestCase):
    """Which lines the user gets, how often the client asks, and how long it waits in between."""

    def setUp(self):
        self.pauses = []

    def follow(self):
        return list(follow(self.server.url, sleep=self.pauses.append))

    def test_a_connection_that_is_cut(self):
        """The second line is cut off after five bytes, and comes whole on the next connection."""
        self.serve(in_turn(script(["one", cut_after(5), "two, and more"]), script(["two", "three"])))
        self.assertEqual(self.follow(), ["one", "two", "three"])
        self.assertEqual([request.target for request in self.server.requests], ["/?after=0", "/?after=1"])
        self.assertEqual(self.pauses, [1])

    def test_a_server_that_is_overloaded(self):
        """Two refusals in a row, then it works: the pauses grow."""
        self.serve(script(["one"]), opening=in_turn(refuse(503), refuse(503), ServerConnection.accept))
        self.assertEqual(self.follow(), ["one"])
        self.assertEqual(self.pauses, [1, 2])

    def test_answers_that_make_no_sense(self):
        """Whatever goes wrong before the connection is open is a reason to try again."""
        self.serve(script(["one"]), opening=in_turn(half_a_head, wrong_accept_key, ServerConnection.accept))
        self.assertEqual(self.follow(), ["one"])
        self.assertEqual(len(self.server.requests), 3)

    def test_a_server_that_is_down(self):
        """TCP refuses: after four attempts the user gets the error."""
        self.server.refuse_connections()
        with self.assertRaises(wssync.ConnectionRefused):
            self.follow()
        self.assertEqual(self.pauses, [1, 2, 4])

    def test_a_server_that_hangs(self):
        """TCP takes the connection and nothing comes: five seconds each time, which the clock lets pass at once."""
        clock = self.use_fake_clock()
        self.server.ignore_connections()
        for _ in range(4):
            clock.advance_on_wait(5)
        with self.assertRaises(wssync.TimedOut):
            self.follow()
        self.assertEqual(self.pauses, [1, 2, 4])


if __name__ == "__main__":
    unittest.main()

"""Test a function that talks to a server, without one: `python unittest_example.py [URL]`."""

import sys
import unittest

import wssync
from wssync.testing import Server


def ask(url, question):
    with wssync.connect(url, timeout=10) as task:
        task.send(question)
        return task.receive(timeout=10)


class AskTests(unittest.TestCase):
    """What `ask` does with a good answer, and without one."""

    def test_an_answer(self):
        """Whatever we say, an echo server says it again."""
        with Server() as server:
            url = sys.argv[1] if len(sys.argv) > 1 else server.url
            self.assertEqual(ask(url, "hello"), "hello")

    def test_a_server_that_is_going_away(self):
        """A Close instead of an answer is an error that carries its code."""
        with Server(lambda connection: connection.close(1001, "bye")) as server:
            self.assertRaisesRegex(wssync.ConnectionClosed, "1001", ask, server.url, "hello")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])

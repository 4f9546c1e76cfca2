"""Test a function that talks to a server, without one: `python unittest_example.py`."""

import unittest

import wssync
from wssync.testing import WebSocketTestCase


def ask(url, question):
    with wssync.connect(url, timeout=10) as task:
        task.send(question)
        return task.receive(timeout=10)


class AskTests(WebSocketTestCase):
    """What `ask` does with a good answer, and without one."""

    def test_an_answer(self):
        """Whatever we say, the server says it again, unless it is told what to do."""
        self.assertEqual(ask(self.server.url, "hello"), "hello")

    def test_a_server_that_is_going_away(self):
        """A Close instead of an answer is an error that carries its code."""
        self.serve(lambda connection: connection.close(1001, "bye"))
        self.assertRaisesRegex(wssync.ConnectionClosed, "1001", ask, self.server.url, "hello")


if __name__ == "__main__":
    unittest.main()

"""Tests of `wssync.testing.handlers`."""

from __future__ import annotations

import threading
import unittest
from typing import Any, List, Tuple
from unittest import mock

import wssync
from wssync.errors import ConnectionClosed
from wssync.protocol.frames import Opcode
from wssync.protocol.messages import Close, Pong
from wssync.testing import Server, ServerConnection
from wssync.testing.handlers import SHOWN, Handler, Step, echo, expect, in_turn, script

from .client import TIMEOUT, ServerCase, reset


class PlayCase(ServerCase):
    """A handler, a client that sends some messages, and what came of it."""

    def play(self, handler: Handler, *messages: Any) -> Tuple[List[object], Server]:
        """What the client received until the server's Close, which it answers; the server is closed then."""
        server = self.serve(handler)
        client = self.open(server)
        for message in messages:
            client.send(message)
        events: List[object] = [client.receive()]
        while not isinstance(events[-1], Close):
            events.append(client.receive())
        client.close()
        server.connections[0].wait_until_closed(TIMEOUT)
        server.close()
        return events, server

    def error(self, server: Server) -> AssertionError:
        (error,) = server.take_errors()
        assert isinstance(error, AssertionError), repr(error)
        return error


class EchoTests(ServerCase):
    """The echo."""

    def test_every_message_comes_back(self) -> None:
        """Text as text and binary as binary, until the client closes, which is no error."""
        server = self.serve(echo)
        client = self.open(server)
        for message in ("text", b"binary", ""):
            client.send(message)
            self.assertEqual(client.receive(), message)
        client.close()
        self.assertEqual(client.receive(), Close(1000, None))
        server.close()
        self.assertEqual(server.errors, [])


class ScriptTests(PlayCase):
    """Conversations by heart."""

    def test_messages_are_sent_and_callables_called(self) -> None:
        """In their order; then the connection closes with 1000."""
        called = mock.Mock()
        steps: List[Step] = [
            "text",
            b"bytes",
            bytearray(b"array"),
            memoryview(b"view"),
            called,
            script(["within"]),
            "last",
        ]
        events, server = self.play(script(steps))
        self.assertEqual(events, ["text", b"bytes", b"array", b"view", "within", "last", Close(1000, None)])
        called.assert_called_once_with(server.connections[0])
        self.assertEqual(server.errors, [])

    def test_each_connection_plays_it_from_the_start(self) -> None:
        """Also when the steps came from an iterator, which can be read only once."""
        server = self.serve(script(iter(["one", "two"])))
        for _ in range(2):
            client = self.open(server)
            self.assertEqual([client.receive() for _ in range(3)], ["one", "two", Close(1000, None)])

    def test_no_steps_are_a_script_too(self) -> None:
        """It closes at once."""
        self.assertEqual(self.play(script([]))[0], [Close(1000, None)])

    def test_what_is_no_step_is_refused(self) -> None:
        """TypeError when the script is made."""
        for wrong in (5, None, ["nested"]):
            with self.assertRaisesRegex(TypeError, "a step is a message or a callable"):
                script(["fine", wrong])  # type: ignore[list-item]  # the mistake under test

    def test_an_error_says_which_step_it_was(self) -> None:
        """The step's own error is the cause; the client gets 1011, and later steps are not taken."""
        mistake = ValueError("a mistake in the test")
        later = mock.Mock()
        events, server = self.play(script(["one", mock.Mock(side_effect=mistake), later]))
        self.assertEqual(events, ["one", Close(1011, None)])
        error = self.error(server)
        self.assertEqual(str(error), "step 2 of 3: a mistake in the test")
        self.assertIs(error.__cause__, mistake)
        later.assert_not_called()

    def test_an_error_without_a_message_shows_its_kind(self) -> None:
        """There must be something to read."""
        _, server = self.play(script([mock.Mock(side_effect=KeyError())]))
        self.assertEqual(str(self.error(server)), "step 1 of 1: KeyError()")

    def test_a_script_within_a_script_says_both_steps(self) -> None:
        """The outer one first."""
        _, server = self.play(script(["one", script([expect("x")])]), "y")
        self.assertEqual(str(self.error(server)), "step 2 of 2: step 1 of 1: expected 'x', received 'y'")

    def test_the_end_of_the_connection_is_no_failure(self) -> None:
        """`ConnectionClosed` of its own connection passes through as it is; another one's is a failure."""
        server = self.serve(script([ServerConnection.receive, "never"]))
        self.open(server).close(4000)
        server.connections[0].wait_until_closed(TIMEOUT)
        server.close()
        self.assertEqual(server.errors, [])
        other = ConnectionClosed("of somebody else's")
        _, server = self.play(script([mock.Mock(side_effect=other)]))
        self.assertIs(self.error(server).__cause__, other)


class ExpectTests(PlayCase):
    """Messages that must come."""

    def test_the_right_message_passes(self) -> None:
        """Text, bytes and all that is like bytes."""
        steps: List[Step] = [expect("text"), expect(b"\x00"), expect(bytearray(b"a")), expect(memoryview(b"v")), "done"]
        events, server = self.play(script(steps), "text", b"\x00", b"a", b"v")
        self.assertEqual((events, server.errors), (["done", Close(1000, None)], []))

    def test_another_message_shows_both_sides(self) -> None:
        """What was expected and what was received; text is never bytes."""
        for expected, received, text in (
            ("hi", "ho", "expected 'hi', received 'ho'"),
            ("hi", b"hi", "expected 'hi', received b'hi'"),
            (b"", "", "expected b'', received ''"),
        ):
            with self.subTest(text):
                _, server = self.play(expect(expected), received)
                self.assertEqual(str(self.error(server)), text)

    def test_a_long_message_is_shown_in_part(self) -> None:
        """Its beginning, its end and its length; a message that just fits is whole."""
        _, server = self.play(expect("x" * (SHOWN - 2)), "<" + "y" * 1000 + ">")
        text = str(self.error(server))
        self.assertEqual(text, f"expected '{'x' * 198}', received '<{'y' * 98}...{'y' * 98}>' (1002 characters)")
        _, server = self.play(expect("z"), bytes(1000))
        self.assertRegex(str(self.error(server)), r"received b'(\\x00)+\\?.*\.\.\..*' \(1000 bytes\)")

    def test_the_end_instead_of_a_message(self) -> None:
        """Whether the client closes, is lost, or the server's side ends it: the failure says which."""
        for end, text in (
            (lambda client, server: client.close(4000), "expected 'x', but the client closed .* code 4000"),
            (lambda client, server: reset(client.sock), "expected 'x', but the client was lost"),
            (lambda client, server: server.connections[0].drop(), "expected 'x', but this server dropped"),
        ):
            with self.subTest(text):
                server = self.serve(expect("x"))
                client = self.open(server)
                end(client, server)
                server.connections[0].wait_until_closed(TIMEOUT)
                server.close()
                error = self.error(server)
                self.assertRegex(str(error), text)
                self.assertIsInstance(error.__cause__, ConnectionClosed)

    def test_pings_are_answered_meanwhile(self) -> None:
        """A ping is no message."""
        client = self.open(self.serve(expect("x")))
        client.control(Opcode.PING, b"?")
        self.assertEqual(client.receive(), Pong(b"?"))
        client.send("x")
        self.assertEqual(client.receive(), Close(1000, None))

    def test_what_is_no_message_is_refused(self) -> None:
        """TypeError at once."""
        with self.assertRaisesRegex(TypeError, "a message is text or bytes, not 5"):
            expect(5)  # type: ignore[arg-type]  # the mistake under test


class InTurnTests(ServerCase):
    """One handler after the other."""

    def test_each_connection_has_its_own(self) -> None:
        """The first gets the first, and all later ones the last."""
        server = self.serve(in_turn(script(["one"]), script(["two"]), script(["last"])))
        self.assertEqual([self.open(server).receive() for _ in range(5)], ["one", "two", "last", "last", "last"])

    def test_openings_have_their_turn_too(self) -> None:
        """A server can be busy once and well afterwards."""
        server = self.serve(opening=in_turn(lambda connection: connection.respond(503), ServerConnection.accept))
        self.assertEqual([self.open(server).response.status_code for _ in range(3)], [503, 101, 101])

    def test_many_threads_at_once(self) -> None:
        """No handler is given out twice but the last one."""
        taken: List[int] = []
        handlers = [lambda connection, number=number: taken.append(number) for number in range(200)]
        handler = in_turn(*handlers)
        start = threading.Barrier(8)

        def call() -> None:
            start.wait(TIMEOUT)
            for _ in range(25):
                handler(mock.Mock())

        threads = [threading.Thread(target=call) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(TIMEOUT)
        self.assertEqual(sorted(taken), list(range(200)))

    def test_one_is_needed(self) -> None:
        """ValueError for none."""
        with self.assertRaises(ValueError):
            in_turn()


class UserTests(ServerCase):
    """What a user of the library writes, with wssync itself as the client."""

    def test_a_conversation(self) -> None:
        """Both sides say what the script has, and it ends with 1000."""
        server = self.serve(script([expect("hello"), "welcome", b"\x01", expect("bye")]))
        with wssync.connect(server.url, timeout=TIMEOUT) as task:
            task.send("hello")
            self.assertEqual(task.receive(timeout=TIMEOUT), "welcome")
            self.assertEqual(task.receive(timeout=TIMEOUT), b"\x01")
            task.send("bye")
            with self.assertRaises(wssync.ConnectionClosed) as caught:
                task.receive(timeout=TIMEOUT)
        self.assertEqual((caught.exception.code, caught.exception.clean), (1000, True))
        server.close()
        self.assertEqual(server.errors, [])


class WrongArgumentTests(unittest.TestCase):
    """Mistakes are told when the handler is made."""

    def test_what_is_no_list_of_steps(self) -> None:
        """One message, a mapping, a set, and what cannot be gone through."""
        wrong: List[Any] = ["hello", b"hello", bytearray(b"x"), {"a": "b"}, {"a"}, 5, echo]
        for steps in wrong:
            with self.subTest(steps), self.assertRaisesRegex(TypeError, "a script is a list of steps, not one"):
                script(steps)

    def test_what_has_no_turn(self) -> None:
        """Each must be a function."""
        wrong: Any = 5
        with self.assertRaisesRegex(TypeError, "a handler is a function of the connection, not 5"):
            in_turn(echo, wrong)


if __name__ == "__main__":
    unittest.main()

"""Recorded once with a real server, replayed without one: the program sees no difference, and every other does."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import socket
import ssl
import tempfile
import threading
import unittest
import warnings
from pathlib import Path
from typing import Any, AsyncIterator, Callable, Dict, Iterator, List
from unittest import mock

import wssync
from tests.support import cases, with_cases
from tests.tasks import PATIENCE, OnlineTestCase, needs_trustme
from tests.threads import Running
from wssync.engine import surroundings
from wssync.errors import (
    ConnectionClosed,
    ConnectionFailed,
    ConnectionRefused,
    HandshakeError,
    TimedOut,
    WebSocketError,
)
from wssync.testing import Recorder, Server, ServerConnection
from wssync.testing.cassette import Cassette, CassetteError, CassetteMismatch
from wssync.testing.clock import FakeClock
from wssync.testing.replaying import Replay
from wssync.transport.clock import Clock

Program = Callable[[str], Any]

GOLDEN = """
{
  "format": 1,
  "conversations": [
    {
      "url": "wss://golden.test/chat",
      "response": {
        "status": 101,
        "headers": {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Protocol": "chat"}
      },
      "events": [
        {"server": "Who is there?"},
        {"client": "me"},
        {"server": "Hello, me!"},
        {"server": {"base64": "AAE="}},
        {"client closes": [1000, "bye"]},
        {"server closes": [1000, "good bye"]}
      ]
    }
  ]
}
"""
"""Written by hand: neither the request nor anything that is new each time."""


class CassetteTestCase(OnlineTestCase):
    """A folder, and programs that are recorded and replayed."""

    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.path = self.folder / "a.json"

    def file(self) -> Dict[str, Any]:
        found: Dict[str, Any] = json.loads(self.path.read_text(encoding="utf-8"))
        return found

    def events(self, number: int = 0) -> List[Any]:
        found: List[Any] = self.file()["conversations"][number]["events"]
        return found

    def write(self, *events: Any, **parts: Any) -> None:
        """A cassette with one conversation that was accepted."""
        head = {"status": 101, "headers": {"Upgrade": "websocket", "Connection": "Upgrade"}}
        one = {"url": "ws://a.test/", "response": head, "events": list(events), **parts}
        self.path.write_text(json.dumps({"format": 1, "conversations": [one]}), encoding="utf-8")

    def open(self, url: str = "ws://a.test/", **options: Any) -> wssync.WebSocketTask:
        """An open task that ends with the test."""
        return self.connect(url, **options)

    def assertReplays(self, server: Server, program: Program, path: str = "", times: int = 3) -> Any:
        """The program sees the same on replay, without a server, as often as one likes."""
        url = server.url.rstrip("/") + (path or "/")
        with Cassette(self.path) as cassette:
            self.assertTrue(cassette.recording)
            seen = program(url)
        server.close()
        content = self.path.read_bytes()
        for _ in range(times):
            network = mock.patch.object(socket.socket, "connect_ex", side_effect=AssertionError("the network"))
            with network, Cassette(self.path) as cassette:
                self.assertFalse(cassette.recording)
                self.assertEqual(program(url), seen)
        self.assertEqual(self.path.read_bytes(), content)
        return seen


def look(error: BaseException) -> List[Any]:
    """What a program can see of an error."""
    found: List[Any] = [type(error), str(error), getattr(error, "url_error_code", None)]
    if isinstance(error, ConnectionClosed):
        found += [error.code, error.reason, error.clean, error.received_close, error.sent_close]
    if isinstance(error, HandshakeError) and isinstance(error.response, wssync.Response):
        response = error.response
        found += [response.status_code, response.reason, response.headers.without("Date"), response.body]
    return found


def attempt(call: Callable[[], Any]) -> Any:
    """The result, or what can be seen of the error."""
    try:
        return call()
    except WebSocketError as error:
        return look(error)


def read_all(task: wssync.WebSocketTask) -> List[Any]:
    """All messages, and the end."""
    found: List[Any] = []
    while True:
        try:
            found.append(task.receive(timeout=PATIENCE))
        except WebSocketError as error:
            return [*found, look(error)]


@with_cases
class RoundTripTests(CassetteTestCase):
    """Recorded against a server, replayed without it."""

    @cases(uncompressed=None, compressed="deflate", forgetful=wssync.DeflateOptions(server_no_context_takeover=True))
    def test_messages_of_every_kind(self, compression: Any) -> None:
        """Text, binary, empty, long ones; both directions; with and without compression, whose terms are the same."""

        def program(url: str) -> Any:
            with self.open(url) as task:
                seen: List[Any] = [task.response and task.response.headers.without("Sec-WebSocket-Accept")]
                for message in ("hello", b"\0\xff", "", "\xe9\U0001f600\0" * 50_000, b"x" * 300_000, "again" * 99):
                    task.send(message)
                    seen.append(task.receive(timeout=PATIENCE))
                task.send_ping()
            return [*seen, task.close_code, task.close_reason, task.error]

        seen = self.assertReplays(self.serve(compression=compression), program)
        self.assertEqual("Sec-WebSocket-Extensions" in seen[0], compression is not None)

    @needs_trustme
    def test_tls(self) -> None:
        """The plain text is recorded; on replay there is no TLS, and the certificate is not asked for."""
        server = self.serve(tls=True)
        context = server.client_ssl_context

        def program(url: str) -> Any:
            with self.open(url, ssl_context=context) as task:
                task.send("secret")
                return task.receive(timeout=PATIENCE)

        self.assertEqual(self.assertReplays(server, program), "secret")
        self.assertEqual(self.events()[:2], [{"client": "secret"}, {"server": "secret"}])

    def test_fragments_and_pings_of_the_server(self) -> None:
        """A message in pieces is one message; pings are answered by the library and left out."""

        def handler(connection: ServerConnection) -> None:
            connection.ping(b"1")
            connection.send_fragments(["a", "b", ""])
            connection.receive()

        def program(url: str) -> Any:
            with self.open(url) as task:
                return task.receive(timeout=PATIENCE)

        self.assertEqual(self.assertReplays(self.serve(handler), program), "ab")
        self.assertEqual(self.events(), [{"server": "ab"}, {"client closes": [1000]}, {"server closes": [1000]}])

    def test_subprotocols(self) -> None:
        """What was agreed is agreed again."""

        def program(url: str) -> Any:
            with self.open(url, protocols=["a", "b"]) as task:
                return task.protocol

        self.assertEqual(self.assertReplays(self.serve(protocols=["b"]), program), "b")

    def test_a_refusal(self) -> None:
        """Status, fields and body, which came in pieces, and informational responses before it."""

        def refuse(connection: ServerConnection) -> None:
            connection.respond(103, headers={"Link": "<a>"})
            connection.send_raw(b"HTTP/1.1 403 No\r\nX-Why: x\r\nX-Why: y\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(3):
                connection.send_raw(b"3\r\nno!\r\n")
            connection.send_raw(b"0\r\n\r\n")

        def program(url: str) -> Any:
            return attempt(lambda: self.open(url))

        seen = self.assertReplays(self.serve(opening=refuse), program)
        self.assertEqual(seen[3:], [403, "No", seen[5], b"no!no!no!"])
        self.assertEqual(self.file()["conversations"][0]["response"]["body"], "no!no!no!")
        self.assertEqual(self.file()["conversations"][0]["informational"][0]["status"], 103)

    @cases(
        wrong_accept=b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n",
        no_accept=b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        old=b"HTTP/1.0 101 x\r\nUpgrade: websocket\r\n\r\n",
        no_http=b"SSH-2.0-x\r\n",
        half_a_head=b"HTTP/1.1 101 x\r\nUpgr",
        nothing=b"",
    )
    def test_a_server_that_answers_wrongly(self, answer: bytes) -> None:
        """It does so on replay, and the error is the same."""

        def opening(connection: ServerConnection) -> None:
            connection.send_raw(answer)
            connection.hang_up()

        seen = self.assertReplays(self.serve(opening=opening), lambda url: attempt(lambda: self.open(url)))
        self.assertIs(seen[0], HandshakeError)

    @cases(
        close=lambda connection: connection.close(4001, "enough"),
        empty=lambda connection: connection.close(None),
        drop=lambda connection: connection.drop(),
        reset=lambda connection: connection.abort(),
        garbage=lambda connection: connection.send_raw(b"\x81\x01z\xf1\x00"),
        half_a_message=lambda connection: (connection.send_raw(b"\x01\x01a"), connection.drop()),
    )
    def test_a_server_that_ends_it(self, end: Callable[[ServerConnection], object]) -> None:
        """By a Close, without one, by a reset or a broken frame: messages and end are the same."""

        def handler(connection: ServerConnection) -> None:
            connection.send("1")
            connection.send(connection.receive())
            connection.receive()  # so that nothing is unread, which would be a reset
            end(connection)

        def program(url: str) -> Any:
            task = self.open(url)
            task.send("2")
            seen = [task.receive(timeout=PATIENCE), task.receive(timeout=PATIENCE)]
            task.send("3")
            seen += read_all(task)
            task.wait_until_closed(PATIENCE)
            return [*seen, task.close_code, task.close_reason]

        server = self.serve(handler)
        if end.__code__.co_names[0] == "send_raw" and "drop" not in end.__code__.co_names:
            self.quiet()
        self.assertEqual(self.assertReplays(server, program)[:2], ["1", "2"])

    def test_the_clients_close(self) -> None:
        """Its code and reason, the server's late messages and its answer."""

        def handler(connection: ServerConnection) -> None:
            connection.send("late")
            connection.close(1000, "done")

        def program(url: str) -> Any:
            task = self.open(url)
            seen = task.receive(timeout=PATIENCE)
            task.close(4000, "bye")
            return [seen, task.close_code, task.close_reason, task.error]

        self.assertReplays(self.serve(handler), program)

    def test_a_cancel(self) -> None:
        """Without waiting: whether its empty Close came is nobody's concern."""

        def program(url: str) -> Any:
            task = self.open(url)
            task.send("x")
            task.cancel()
            return "cancelled"

        for number in range(10):
            self.path = self.folder / f"{number}.json"
            self.assertReplays(self.serve(), program)

    def test_two_connections_at_once(self) -> None:
        """Each has its own conversation; what they say between each other may be in any order."""

        def program(url: str) -> Any:
            with self.open(url) as first, self.open(url + "?2") as second:
                for number in range(20):
                    first.send(f"first {number}")
                    second.send(f"second {number}")
                return [[task.receive(timeout=PATIENCE) for _ in range(20)] for task in (first, second)]

        self.assertReplays(self.serve(), program)

    def test_connecting_again_to_the_same_url(self) -> None:
        """The second connection gets the second conversation."""
        left = ["one", "two", "three"]

        def handler(connection: ServerConnection) -> None:
            connection.send(left.pop(0))
            connection.drop()

        def program(url: str) -> Any:
            return [read_all(self.open(url))[0] for _ in range(3)]

        self.assertEqual(self.assertReplays(self.serve(handler), program), ["one", "two", "three"])

    def test_handlers_and_sessions_of_other_threads(self) -> None:
        """A cassette holds for the whole process: a session's thread, a thread of the program, calls with handlers."""

        def program(url: str) -> Any:
            with wssync.Session() as session:
                task, told = session.websocket_task(url), Recorder()
                Running(task.resume).result()
                task.send("x", told.handler("sent"))
                task.receive(told.handler("received"))
                seen = [told.next(), told.next()]
                task.close()
            return sorted(map(str, seen))

        self.assertReplays(self.serve(), program)

    def test_a_connection_that_is_refused(self) -> None:
        """The failure is recorded and raised again, though somebody may listen there now."""
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            url = f"ws://127.0.0.1:{sock.getsockname()[1]}/"
            with Cassette(self.path):
                seen = attempt(lambda: self.open(url))
            self.assertIs(seen[0], ConnectionRefused)
            sock.listen()
            with Cassette(self.path):
                self.assertEqual(attempt(lambda: self.open(url)), seen)
        self.assertEqual(self.file()["conversations"][0]["failed"]["kind"], "ConnectionRefused")

    def test_schedules_make_no_difference(self) -> None:
        """A program that waits for nothing but answers replays every time, however its threads are switched."""

        def program(url: str) -> Any:
            with self.open(url) as task:
                for number in range(30):
                    task.send(f"{number}")
                    if task.receive(timeout=PATIENCE) != f"{number}":
                        return "another answer"
            return task.close_code

        for number in range(5):
            self.path = self.folder / f"{number}.json"
            self.assertEqual(self.assertReplays(self.serve(), program, times=10), 1000)


class GoldenTests(CassetteTestCase):
    """A cassette that was written by hand."""

    def setUp(self) -> None:
        super().setUp()
        self.path.write_text(GOLDEN, encoding="utf-8")

    def test_it_is_played(self) -> None:
        """With whatever request, and no network."""
        with Cassette(str(self.path)), self.open("wss://golden.test/chat", protocols=["chat"]) as task:
            self.assertEqual(task.protocol, "chat")
            self.assertEqual((task.local_address, task.remote_address), (None, None))
            self.assertEqual(task.receive(timeout=PATIENCE), "Who is there?")
            task.send("me")
            self.assertEqual(task.receive(timeout=PATIENCE), "Hello, me!")
            self.assertEqual(task.receive(timeout=PATIENCE), b"\0\1")
            task.close(1000, "bye")
            self.assertEqual((task.close_code, task.close_reason), (1000, "good bye"))

    def test_time_may_stand_still(self) -> None:
        """Nothing in a replay waits for a clock."""

        class Still(Clock):
            def now(self) -> float:
                return 1000.0

        with surroundings.replaced(clock=Still()):
            self.test_it_is_played()


@with_cases
class MismatchTests(CassetteTestCase):
    """What happens is not what was recorded."""

    def assertMismatch(self, program: Callable[[], Any], *texts: str) -> CassetteMismatch:
        """The block ends with a mismatch that says this."""
        with self.assertRaises(CassetteMismatch) as caught, Cassette(self.path):
            program()
        self.assertIsInstance(caught.exception, AssertionError)
        for text in texts:
            self.assertIn(text, str(caught.exception))
        return caught.exception

    def test_another_message(self) -> None:
        """Both are shown, with their place in the file; the error that followed from it is the cause."""
        self.write({"client": "hello"}, {"server": "well"})

        def program() -> None:
            task = self.open()
            task.send("hallo")
            task.receive(timeout=PATIENCE)

        error = self.assertMismatch(
            program,
            f"{self.path}: conversation 1 (ws://a.test/), event 1 is another one\n"
            '  recorded: {"client": "hello"}\n  came:     {"client": "hallo"}',
        )
        self.assertIsInstance(error.__cause__, ConnectionClosed)

    def test_one_message_more(self) -> None:
        """Also when nothing in the block notices."""
        self.write({"client": "a"})

        def program() -> None:
            task = self.open()
            task.send("a")
            task.send("b")

        error = self.assertMismatch(
            program,
            'event 1 was the last, and then came one more\n  recorded: nothing more\n  came:     {"client": "b"}',
        )
        self.assertIsNone(error.__cause__)

    def test_one_message_less(self) -> None:
        """At the end of the block."""
        self.write({"client": "a"}, {"client": "b"})
        self.assertMismatch(
            lambda: self.open().send("a"),
            'event 2 did not come:\n  recorded: {"client": "b"}\n  came:     nothing (the connection was still open',
        )

    def forget(self) -> None:
        """Forget to ask, and wait for the answer, with a keepalive."""
        self.open(ping_interval=0.01).receive()

    def assertMissed(self, **options: Any) -> None:
        """Waiting for ever is a mismatch."""
        self.write({"client": "a"}, {"server": "a"})
        with self.assertRaises(CassetteMismatch) as caught, Cassette(self.path, **options):
            self.forget()
        text = 'event 1 did not come:\n  recorded: {"client": "a"}\n  came:     nothing for 0.05 s'
        self.assertIn(text, str(caught.exception))
        self.assertIsInstance(caught.exception.__cause__, ConnectionClosed)

    def test_waiting_for_an_answer_to_nothing(self) -> None:
        """It ends with a mismatch when patience does, though the keepalive goes on."""
        self.assertMissed(patience=0.05)

    def test_patience_is_real_time(self) -> None:
        """It ends also where the program's own clock stands still."""
        with FakeClock():
            self.assertMissed(patience=0.05)

    def test_the_default_patience_is_thirty_seconds(self) -> None:
        """What is not given is not for ever."""
        self.write()
        with mock.patch("wssync.testing.cassette.Replay", wraps=Replay) as made, Cassette(self.path):
            self.open()
        self.assertEqual(made.call_args[0][3], 30.0)

    def test_another_close(self) -> None:
        """Code and reason are compared."""
        self.write({"client closes": [1000, "bye"]}, {"server closes": [1000]})
        self.assertMismatch(lambda: self.open().close(1000), 'recorded: {"client closes": [1000, "bye"]}\n  came:  ')

    def test_another_header_field(self) -> None:
        """The opening fails with the server's silence; the mismatch says why."""
        self.write(request={"headers": {"X-Room": "1"}})
        request = wssync.Request("ws://a.test/", headers={"X-Room": "2"})
        error = self.assertMismatch(lambda: wssync.connect(request, timeout=PATIENCE), "came:     X-Room: 2")
        self.assertIsInstance(error.__cause__, HandshakeError)

    def test_another_url(self) -> None:
        """A connection that was not recorded fails."""
        self.write()

        def program() -> None:
            self.open()
            with self.assertRaises(ConnectionFailed):
                self.open("ws://b.test/")

        self.assertMismatch(program, "  recorded: ws://a.test/\n  came:     ws://b.test/")

    def test_no_connection(self) -> None:
        """What was recorded must happen."""
        self.write()
        self.assertMismatch(
            lambda: None,
            "conversation 1 (ws://a.test/) was recorded, and nobody connected\n"
            "  recorded: a connection to ws://a.test/\n  came:     no connection to ws://a.test/",
        )

    def test_several(self) -> None:
        """The first is shown, the others are counted."""
        self.write()
        for _ in range(2):
            self.assertMismatch(lambda: [attempt(lambda: self.open("ws://b.test/")) for _ in range(3)], "(and 2 more)")

    def test_what_is_missing_does_not_hide_another_error(self) -> None:
        """A block that failed by itself has reasons to stop early."""
        self.write({"client": "a"})
        for error in (KeyError("x"), KeyboardInterrupt()):
            with self.assertRaises(type(error)) as caught, Cassette(self.path), self.open():
                raise error
            self.assertIs(caught.exception, error)

    @cases(interrupt=KeyboardInterrupt, exit=SystemExit)
    def test_an_exit_stays_one(self, kind: Any) -> None:
        """Nobody wants to see a failed assertion who has pressed Ctrl-C."""
        self.write({"client": "a"})
        with self.assertRaises(kind), Cassette(self.path):
            self.open().send("b")
            raise kind

    def test_secrets_are_not_shown(self) -> None:
        """Neither the values of secret fields nor those of secret parameters are in the failure."""
        self.write(url="ws://a.test/?token=hush1", request={"headers": {"Authorization": "hush2", "X-Key": "hush3"}})
        headers = {"X-Key": "hush4", "Cookie": "hush5", "X-Other": "seen"}
        request = wssync.Request("ws://user:hush6@a.test/?token=hush7", headers=headers)
        with self.assertRaises(CassetteMismatch) as caught, Cassette(self.path, secrets=["x-key", "TOKEN"]):
            wssync.connect(request, timeout=PATIENCE)
        self.assertIn("X-Other: seen", str(caught.exception))
        self.assertNotIn("hush", str(caught.exception))


class RecordingTests(CassetteTestCase):
    """What is written, and when."""

    def talk(self, url: str, **options: Any) -> None:
        with self.open(url, **options) as task:
            task.send("x")
            task.receive(timeout=PATIENCE)

    def test_the_file_reads_as_a_dialogue(self) -> None:
        """One line an event; nothing in it that is new each time."""
        server = self.serve()
        with Cassette(self.path):
            self.talk(server.url)
        text = self.path.read_text(encoding="utf-8")
        self.assertIn(
            '      "events": [\n        {"client": "x"},\n        {"server": "x"},\n'
            '        {"client closes": [1000]},\n        {"server closes": [1000]}\n      ]\n',
            text,
        )
        self.assertNotRegex(text, "(?i)sec-websocket-(key|accept)|user-agent|date|host")
        self.path.unlink()
        with Cassette(self.path):
            self.talk(server.url)
        self.assertEqual(self.path.read_text(encoding="utf-8"), text)

    def test_secrets_are_left_out(self) -> None:
        """Always and named ones, of both sides, in header fields, in the URL and in a Location."""

        def opening(connection: ServerConnection) -> None:
            fields = {"Set-Cookie": "hush", "X-Key": "hush", "Location": "/?token=hush&a=1", "X-Other": "seen"}
            connection.respond(302, headers=fields)

        server = self.serve(opening=opening)
        fields = {"Authorization": "hush", "Cookie": "hush", "x-key": "hush", "X-Mine": "mine"}
        url = server.url.replace("ws://", "ws://hush:hush@") + "?Token=hush&room=1"
        for _ in range(2):
            with Cassette(self.path, secrets=["X-Key", "token"]):
                attempt(lambda: wssync.connect(wssync.Request(url, headers=fields), timeout=PATIENCE))
            server.close()
        text = self.path.read_text(encoding="utf-8")
        self.assertNotIn("hush", text)
        for kept in ("seen", "mine", "room=1", "/?a=1"):
            self.assertIn(kept, text)

    def test_a_block_that_fails_writes_nothing(self) -> None:
        """What went wrong must not become the expectation."""
        server = self.serve()
        with self.assertRaises(KeyError), Cassette(self.path):
            self.talk(server.url)
            raise KeyError
        self.assertEqual(os.listdir(self.folder), [])

    def test_a_block_without_a_connection_writes_nothing(self) -> None:
        """There is nothing to expect."""
        with Cassette(self.path):
            pass
        self.assertEqual(os.listdir(self.folder), [])

    def test_a_task_that_is_still_open_goes_on(self) -> None:
        """Unrecorded from the end of the block."""
        server = self.serve()
        with Cassette(self.path):
            task = self.open(server.url)
            task.send("a")
            task.receive(timeout=PATIENCE)
        task.send("b")
        self.assertEqual(task.receive(timeout=PATIENCE), "b")
        self.assertEqual(self.events(), [{"client": "a"}, {"server": "a"}])
        with Cassette(self.path):
            task = self.open(server.url)
            task.send("a")
            self.assertEqual(task.receive(timeout=PATIENCE), "a")
        self.assertEqual(read_all(task)[0][0], ConnectionClosed)

    def test_a_dial_that_timed_out_is_recorded(self) -> None:
        """It fails at once on replay: time need not pass again."""
        hanging = mock.Mock(side_effect=TimedOut("the connection was not open after 60 seconds"))
        with surroundings.replaced(dial=hanging), Cassette(self.path):
            seen = attempt(lambda: self.open())
        with Cassette(self.path):
            self.assertEqual(attempt(lambda: self.open()), seen)
        self.assertIs(seen[0], TimedOut)

    def test_the_folder_is_made(self) -> None:
        """With the first cassette in it."""
        server = self.serve()
        path = self.folder / "new" / "a.json"
        with Cassette(path):
            self.talk(server.url)
        self.assertTrue(path.exists())

    def test_a_relative_path_is_of_the_beginning(self) -> None:
        """The block may change the working directory."""
        server = self.serve()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.folder)
        with Cassette("b.json") as cassette:
            self.talk(server.url)
            os.chdir("/")
        self.assertEqual(cassette.path, "b.json")
        self.assertTrue((self.folder / "b.json").exists())

    @unittest.skipUnless(hasattr(os, "fork"), "no fork here")
    def test_a_forked_process_writes_nothing(self) -> None:
        """It leaves the block like its parent, and has no part in the cassette."""
        server = self.serve()
        for name in ("recorded", "replayed"):
            with Cassette(self.path) as cassette:
                task = self.open(server.url)
                self.assertEqual(cassette.recording, name == "recorded")
                self.in_child(functools.partial(cassette.__exit__, None, None, None))
                self.assertEqual(self.path.exists(), name == "replayed")
                task.send("x")
                self.assertEqual(task.receive(timeout=PATIENCE), "x")
        self.assertEqual(self.events(), [{"client": "x"}, {"server": "x"}])

    def test_a_process_with_another_number_is_a_forked_one(self) -> None:
        """The same, seen from inside: it gives descriptors back and judges nothing."""
        server = self.serve()
        for name in ("recorded", "replayed"):
            if name == "replayed":
                self.write({"client": "x"})
            with contextlib.ExitStack() as pretended, Cassette(self.path):
                self.open(server.url if name == "recorded" else "ws://a.test/")
                pretended.enter_context(mock.patch.object(os, "getpid", return_value=-1))
            self.assertEqual(self.path.exists(), name == "replayed")

    def in_child(self, call: Callable[[], Any]) -> None:
        """Call it in a forked process, which must not fail."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads is what is tried here
            pid = os.fork()
        if not pid:
            status = 1
            try:
                call()
                status = 0
            finally:
                os._exit(status)
        self.assertEqual(Running(lambda: os.waitpid(pid, 0)).result()[1], 0, "the child failed")


def generate() -> Iterator[int]:
    """What pytest took for a test once."""
    yield 1


async def coroutine() -> None:
    """As of an IsolatedAsyncioTestCase."""


async def stream() -> AsyncIterator[int]:
    """Both."""
    yield 1


class Generating:
    """A method that generates, and an object that does when called."""

    def go(self) -> Iterator[int]:
        yield 1

    __call__ = go


class OfAClass:
    """Some method of one."""

    @classmethod
    def go(cls) -> None:
        """Do nothing."""


@with_cases
class UsingTests(CassetteTestCase):
    """Blocks, decorators, and their mistakes."""

    def test_a_decorator(self) -> None:
        """Of a test method: recorded by the first call, replayed by the next, as often as it is called."""
        server = self.serve()
        asked: List[Any] = []

        class Tests(unittest.TestCase):
            @Cassette(self.path)
            def test_it(inner) -> None:
                """Documented."""
                asked.append(len(server.requests))
                with self.open(server.url) as task:
                    task.send("x")
                    inner.assertEqual(task.receive(timeout=PATIENCE), "x")

            @Cassette(self.path)
            def test_other(inner) -> None:
                self.open(server.url).send("y")

        for _ in range(3):
            result = unittest.TestResult()
            Tests("test_it").run(result)
            self.assertTrue(result.wasSuccessful(), result)
        self.assertEqual(asked, [0, 1, 1])
        self.assertEqual(Tests.test_it.__doc__, "Documented.")
        result = unittest.TestResult()
        Tests("test_other").run(result)
        self.assertEqual((len(result.failures), len(result.errors)), (1, 0))

    @cases(
        test_case=(unittest.TestCase, "the class TestCase: decorate its test methods, or call use_cassette"),
        generator=(generate, "the generator function generate: use a `with` block inside"),
        coroutine=(coroutine, "the coroutine function coroutine: use a `with` block inside"),
        stream=(stream, "the generator function stream: use a `with` block inside"),
        method=(Generating().go, "the generator function Generating.go: use a `with` block inside"),
        partial=(functools.partial(generate), "the generator function functools.partial"),
        an_object=(Generating(), "the generator function <"),
        static=(staticmethod(len), "a staticmethod: put @staticmethod above it"),
        of_a_class=(vars(OfAClass)["go"], "a classmethod: put @classmethod above it"),
        number=(5, "5: call it with a path, and decorate a function"),
    )
    def test_what_cannot_be_decorated(self, thing: Any, text: str) -> None:
        """Whatever would run outside of the block, or not at all: TypeError at once, which says what to do."""
        text = f"a Cassette decorates functions that do their work when called, not {text}"
        with self.assertRaisesRegex(TypeError, "^" + re.escape(text)):
            Cassette(self.path)(thing)

    def test_any_other_function_can_be_decorated(self) -> None:
        """A method, an object that can be called, one that a mock has wrapped; what they return is returned."""
        self.write()
        for function in (lambda: self.open().response, functools.partial(self.open), mock.Mock(wraps=self.open)):
            self.assertIsNotNone(Cassette(self.path)(function)())

    @cases(negative=-1, a_little=-0.001, no_number=float("nan"))
    def test_patience_is_not_negative(self, patience: float) -> None:
        """ValueError that says what it may be; zero and None are good."""
        with self.assertRaisesRegex(ValueError, "^patience is a number of seconds, zero or more, or None, not "):
            Cassette(self.path, patience=patience)
        Cassette(self.path, patience=0)
        Cassette(self.path, patience=None)

    def test_one_object_for_many_blocks(self) -> None:
        """Not within itself; afterwards it is free again."""
        self.write()
        cassette = Cassette(self.path)
        for _ in range(2):
            with cassette:
                self.open()
                with self.assertRaisesRegex(RuntimeError, "is in use already"):
                    cassette.__enter__()
        self.assertEqual(repr(cassette), f"Cassette({str(self.path)!r})")
        with self.assertRaisesRegex(RuntimeError, "outside of its block"):
            print(cassette.recording)

    def test_it_is_free_again_after_an_error(self) -> None:
        """Of the file, or of the block."""
        self.path.write_text("no cassette")
        cassette = Cassette(self.path)
        with self.assertRaisesRegex(CassetteError, "a.json: not a cassette"):
            cassette.__enter__()
        self.write()
        with self.assertRaises(CassetteMismatch), cassette:
            pass
        with self.assertRaises(KeyError), cassette:
            raise KeyError
        with cassette:
            self.open()

    def test_the_network_is_back_after_the_block(self) -> None:
        """However it ended."""
        before = surroundings.current()
        self.write()
        with self.assertRaises(CassetteMismatch), Cassette(self.path):
            self.assertNotEqual(surroundings.current(), before)
        self.assertEqual(surroundings.current(), before)

    def test_cassettes_within_each_other(self) -> None:
        """The inner one has its block for itself; it records what the outer one plays."""
        self.write({"server": "x"}, {"client closes": [1000]}, {"server closes": [1000]})
        inner = self.folder / "b.json"
        with Cassette(self.path), Cassette(inner), self.open() as task:
            self.assertEqual(task.receive(timeout=PATIENCE), "x")
        with Cassette(inner), self.open() as task:
            self.assertEqual(task.receive(timeout=PATIENCE), "x")

    def test_without_recording_a_file_must_be_there(self) -> None:
        """A machine that reaches no network says so instead of trying."""
        with self.assertRaisesRegex(FileNotFoundError, r"there is no cassette .*a\.json, and it is not to be recorded"):
            Cassette(self.path, record=False).__enter__()
        self.write()
        with Cassette(self.path, record=False):
            self.open()

    def test_secrets_are_names(self) -> None:
        """One text is a mistake that would leave secrets in the file."""
        with self.assertRaisesRegex(TypeError, "^secrets are names, each a str, in a list or the like, not one str$"):
            Cassette(self.path, secrets="X-Key")
        numbers: Any = [5]
        with self.assertRaisesRegex(TypeError, "^secrets are names, each a str, and one of them is of type int$"):
            Cassette(self.path, secrets=numbers)

    def test_a_task_that_is_still_open_is_lost(self) -> None:
        """With the end of the block, which waits for nobody; threads and sockets are gone."""
        self.write({"server": "a"}, {"client": "b"})
        with self.assertRaises(CassetteMismatch), Cassette(self.path):
            task = self.open()
            waiting = Running(lambda: read_all(task))
        self.assertEqual(waiting.result()[0], "a")
        names = [thread.name for thread in threading.enumerate()]
        self.assertEqual([name for name in names if "testing-cassette" in name], [])

    def test_an_open_task_from_before_has_no_part(self) -> None:
        """It goes on with its server."""
        server = self.serve()
        task = self.open(server.url)
        self.write()
        with Cassette(self.path):
            self.open()
            task.send("x")
            self.assertEqual(task.receive(timeout=PATIENCE), "x")

    def test_a_context_that_is_no_good_is_not_asked(self) -> None:
        """On replay TLS is not set up."""
        self.write(url="wss://a.test/")
        context = mock.Mock(spec=ssl.SSLContext)
        with Cassette(self.path):
            self.open("wss://a.test/", ssl_context=context)
        context.wrap_bio.assert_not_called()

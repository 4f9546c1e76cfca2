"""Listening to a stream changes nothing about it, and what was heard makes a conversation in the right order."""

from __future__ import annotations

import os
import threading
import unittest
from typing import Any, Callable, List, Optional, Tuple, Union
from unittest import mock

from tests.support import cases, with_cases
from tests.threads import Running
from wssync.errors import (
    Cancelled,
    CertificateError,
    ConnectionClosed,
    ConnectionFailed,
    ConnectionRefused,
    HostNotFound,
    TimedOut,
)
from wssync.protocol.closing import encode_close
from wssync.protocol.deflate import Compressor, DeflateOptions, DeflateParameters
from wssync.protocol.encoder import Encoder
from wssync.protocol.frames import Opcode, Role, encode_header
from wssync.protocol.handshake import accept_value
from wssync.protocol.headers import Headers
from wssync.testing import recording
from wssync.testing.masking import Masking
from wssync.testing.recording import Notes, RecordedStream, Recording, agreed_deflate
from wssync.testing.tape import Answer, Closed, Conversation, Failure, HungUp, Raw, Said
from wssync.transport.stream import Address, Buffer, Stream

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
REQUEST = (
    f"GET /chat HTTP/1.1\r\nHost: a.test\r\nUpgrade: websocket\r\nSec-WebSocket-Key: {KEY}\r\nCookie: c=1\r\n\r\n"
).encode()
HEAD = (
    f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept_value(KEY)}\r\n".encode()
)
RESPONSE = HEAD + b"\r\n"
URL = "ws://a.test/chat"

Step = Union[bytes, int, None, BaseException, Callable[[], Any]]


class FakeStream(Stream):
    """Gives what it is told to, in order, and keeps what it is asked."""

    def __init__(self, *steps: Step) -> None:
        self.steps = list(steps)
        self.calls: List[Tuple[Any, ...]] = []
        self.fact = False

    def _next(self) -> Any:
        step = self.steps.pop(0)
        if isinstance(step, BaseException):
            raise step
        return step() if callable(step) else step

    def wait(self, read: bool, write: bool, timeout: Optional[float], *, owner: bool = True) -> Tuple[bool, bool]:
        self.calls.append(("wait", read, write, timeout, owner))
        return False, write

    def wake(self) -> None:
        self.calls.append(("wake",))

    @property
    def pending(self) -> bool:
        return self.fact

    def recv(self, limit: int) -> Optional[bytes]:
        result: Optional[bytes] = self._next()
        return result

    def send(self, data: Buffer) -> int:
        result: int = self._next()
        return result

    @property
    def remembers(self) -> bool:
        return self.fact

    @property
    def has_output(self) -> bool:
        return self.fact

    def flush(self) -> bool:
        return self.fact

    def shutdown_write(self) -> None:
        self.calls.append(("shutdown_write",))

    def shutdown_read(self) -> None:
        self.calls.append(("shutdown_read",))

    def shutdown(self) -> None:
        self.calls.append(("shutdown",))

    def close(self) -> None:
        self.calls.append(("close",))

    def abandon(self) -> None:
        self.calls.append(("abandon",))

    @property
    def local_address(self) -> Optional[Address]:
        return ("::1", 1)

    @property
    def remote_address(self) -> Optional[Address]:
        return ("::1", 2)


def said(*events: Any) -> List[Any]:
    """Short for messages: ("client", "text")."""
    return [Said(*event) if type(event) is tuple else event for event in events]


class Side:
    """Frames of one side."""

    def __init__(self, role: Role, parameters: Optional[DeflateParameters] = None) -> None:
        compressor = None if parameters is None else Compressor(parameters, role, DeflateOptions(threshold=0))
        self._encoder = Encoder(role, compressor)

    def message(self, content: Union[str, bytes]) -> bytes:
        opcode, payload = (Opcode.TEXT, content.encode()) if isinstance(content, str) else (Opcode.BINARY, content)
        return b"".join(map(bytes, self._encoder.pieces(opcode, payload)))

    def close(self, code: Optional[int] = 1000, reason: Optional[str] = None) -> bytes:
        return self._encoder.control(Opcode.CLOSE, encode_close(code, reason))

    def ping(self) -> bytes:
        return self._encoder.control(Opcode.PING, b"x")

    def pong(self) -> bytes:
        return self._encoder.control(Opcode.PONG, b"x")


class RecordingTestCase(unittest.TestCase):
    """Both sides' frames, and a way to read what was noted."""

    def setUp(self) -> None:
        self.client = Side(Role.CLIENT)
        self.server = Side(Role.SERVER)

    def read(self, *passed: Union[bytes, Tuple[bytes], str], size: int = 1 << 20) -> Conversation:
        """The conversation of these: `bytes` came from the server, `(bytes,)` from the client, a `str` is the end."""
        notes = Notes(URL)
        notes.connect()
        for one in passed:
            if isinstance(one, str):
                notes.hear(b"", one)
                continue
            data = one[0] if isinstance(one, tuple) else one
            for start in range(0, len(data), size):
                piece = data[start : start + size]
                if isinstance(one, tuple):
                    notes.begin_send()
                    notes.end_send(piece)
                else:
                    notes.hear(piece)
        return notes.read(Masking())

    def events(self, *passed: Union[bytes, Tuple[bytes], str]) -> List[Any]:
        """The events of an open connection, the same however the bytes are cut."""
        found = self.read((REQUEST,), RESPONSE, *passed).events
        self.assertEqual(self.read((REQUEST,), RESPONSE, *passed, size=1).events, found)
        return found


class ReadingTests(RecordingTestCase):
    """What is made of the bytes of both sides."""

    def test_the_opening(self) -> None:
        """Request and response as they were, without what is secret or differs each time."""
        for size in (1, 1000):
            found = self.read((REQUEST,), RESPONSE, size=size)
            self.assertEqual((found.url, found.failed, found.informational, found.events), (URL, None, [], []))
            assert found.request is not None
            self.assertEqual(found.request[:2], ("GET", "/chat"))
            self.assertEqual(found.request.headers, Headers({"Upgrade": "websocket"}))
            self.assertEqual(found.response, Answer(101, "Switching Protocols", Headers({"Upgrade": "websocket"})))

    def test_secrets_are_left_out_of_url_and_target(self) -> None:
        """Both are without the secret parameters."""
        notes = Notes("ws://a.test/chat?token=1&a=2")
        notes.connect()
        notes.begin_send()
        notes.end_send(REQUEST.replace(b"/chat", b"/chat?token=1&a=2"))
        found = notes.read(Masking(["token"]))
        assert found.request is not None
        self.assertEqual((found.url, found.request.target), ("ws://a.test/chat?a=2", "/chat?a=2"))

    def test_a_wrong_accept_value_is_kept(self) -> None:
        """A server that answers another key does so on replay; so does one that does not answer it at all."""
        for value in (b"x", accept_value(KEY).encode() + b"\r\nSec-WebSocket-Accept: x"):
            response = RESPONSE.replace(accept_value(KEY).encode(), value)
            found = self.read((REQUEST,), response).response
            assert found is not None
            self.assertFalse(found.has_accept)
            self.assertEqual(found.headers.get_all("Sec-WebSocket-Accept")[-1], "x")
        found = self.read((REQUEST,), b"HTTP/1.1 101 x\r\n\r\n").response
        self.assertEqual(found, Answer(101, "x", Headers(), has_accept=False))

    def test_a_response_before_the_request(self) -> None:
        """A server that does not wait cannot know the key."""
        found = self.read(RESPONSE)
        assert found.response is not None
        self.assertEqual((found.request, found.response.has_accept), (None, False))

    def test_messages_in_order(self) -> None:
        """Text, binary, and a Close of each side; pings and pongs are left out."""
        found = self.events(
            (self.client.message("a") + self.client.ping() + self.client.message(b"\0"),),
            self.server.message("\xe9" * 70_000) + self.server.ping() + self.server.pong(),
            (self.client.pong() + self.client.close(4000, "r"),),
            self.server.message("late") + self.server.close(None),
            "FIN",
        )
        expected = [("client", "a"), ("client", b"\0"), ("server", "\xe9" * 70_000), Closed("client", 4000, "r")]
        self.assertEqual(found, said(*expected, ("server", "late"), Closed("server", 1005)))

    def test_data_behind_the_response(self) -> None:
        """Frames in the packet of the 101 are the first events."""
        self.assertEqual(self.read((REQUEST,), RESPONSE + self.server.message("a")).events, said(("server", "a")))

    def test_fragments_are_one_message(self) -> None:
        """As the program hears it, also with a ping in the middle; it has its place where it became whole."""
        first, last = encode_header(False, False, 1, 1) + b"a", encode_header(True, False, 0, 1) + b"b"
        found = self.events(first + self.server.ping(), (self.client.message("c"),), last + self.server.message("d"))
        self.assertEqual(found, said(("client", "c"), ("server", "ab"), ("server", "d")))

    def test_compressed_messages_are_inflated(self) -> None:
        """By the parameters of the response, with the windows of both sides."""
        parameters = DeflateParameters(client_max_window_bits=9, server_no_context_takeover=True)
        response = (
            HEAD + b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=9; "
            b"server_no_context_takeover\r\n\r\n"
        )
        client, server = Side(Role.CLIENT, parameters), Side(Role.SERVER, parameters)
        frames = client.message("hello" * 100) + client.message("hello" * 100)
        self.assertLess(len(frames), 100)
        found = self.read((REQUEST,), response, (frames,), server.message(b"x" * 999) + server.message(b"x" * 999))
        expected = [("client", "hello" * 100)] * 2 + [("server", b"x" * 999)] * 2
        self.assertEqual(found.events, said(*expected))

    def test_the_end_without_a_close(self) -> None:
        """FIN or RST, once, and nothing after it; not after the server's Close, which explains it."""
        self.assertEqual(self.events("RST", "FIN", (self.client.close(),)), [HungUp("RST")])
        self.assertEqual(self.events((self.client.close(),), "FIN"), [Closed("client", 1000), HungUp("FIN")])
        self.assertEqual(self.events(self.server.close(), "FIN"), [Closed("server", 1000)])

    def test_after_the_servers_close_only_ours_counts(self) -> None:
        """What the client still said was not heard, so it is not expected again."""
        found = self.events(self.server.close(1001), (self.client.message("x"),), (self.client.close(1001),), "FIN")
        self.assertEqual(found, [Closed("server", 1001), Closed("client", 1001)])

    def test_closes_that_cross(self) -> None:
        """A client's Close that is no answer to the server's was said without hearing it, and what came before it too.

        So they stand before it: on replay nobody waits for the server's Close to say them.
        """
        for close in (self.client.close(4000, "bye"), self.client.close(1000, "bye"), self.client.close(4000)):
            with self.subTest(close=close):
                found = self.events(self.server.close(), (self.client.message("a"),), (close,))
                self.assertEqual([event.side for event in found], ["client", "client", "server"])
                self.assertEqual((found[0], found[2]), (Said("client", "a"), Closed("server", 1000)))
        found = self.events(self.server.close(), (self.client.message("a"),), (self.client.close(),))
        self.assertEqual(found, [Closed("server", 1000), Closed("client", 1000)])

    def test_bytes_after_a_close_are_nothing(self) -> None:
        """RFC 6455 section 5.5.1: nothing follows it."""
        self.assertEqual(self.events(self.server.close() + b"\xff" * 300), [Closed("server", 1000)])

    def test_partial_frames_at_the_end(self) -> None:
        """What never became a message is left out, whoever was saying it."""
        found = self.events((self.client.message("abc")[:-1],), self.server.message("abc")[:-1], "FIN")
        self.assertEqual(found, [HungUp("FIN")])

    def test_a_refusal_and_its_body(self) -> None:
        """The body without its framing, however it came; the end of the connection is not said again."""
        refusal = b"HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n"
        for size in (1, 1000):
            found = self.read((REQUEST,), refusal, "FIN", size=size)
            headers = Headers({"Transfer-Encoding": "chunked"})
            self.assertEqual(found.response, Answer(403, "Forbidden", headers, b"hello!"))
            self.assertEqual(found.events, [])

    def test_a_long_body_is_whole(self) -> None:
        """Where the client stops is its own affair."""
        found = self.read((REQUEST,), b"HTTP/1.0 500 x\r\n\r\n", b"y" * 200_000).response
        assert found is not None
        self.assertEqual((found.http_version, len(found.body)), ("1.0", 200_000))

    def test_informational_responses(self) -> None:
        """They come before the final one."""
        early = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\nDate: today\r\n\r\n"
        found = self.read((REQUEST,), b"HTTP/1.1 100 Continue\r\n\r\n" + early, RESPONSE)
        self.assertEqual([(one.status, one.headers) for one in found.informational], [(100, {}), (103, {"Link": "x"})])
        self.assertEqual(found.response and found.response.status, 101)

    def test_no_answer(self) -> None:
        """The connection ends in place of a response, at once or in the middle of it."""
        found = self.read((REQUEST,), "FIN")
        self.assertEqual((found.response, found.events), (None, [HungUp("FIN")]))
        found = self.read((REQUEST,), b"HTTP/1.1 10", "RST")
        self.assertEqual((found.response, found.events), (None, [Raw(b"HTTP/1.1 10"), HungUp("RST")]))

    def test_no_http(self) -> None:
        """Bytes that are no response are kept as they are, in one piece."""
        found = self.read((REQUEST,), b"SSH-2.0", b"-x\r\n", "FIN")
        self.assertEqual((found.response, found.events), (None, [Raw(b"SSH-2.0-x\r\n"), HungUp("FIN")]))
        found = self.read((REQUEST,), b"HTTP/1.1 x\r\n\r\n")
        self.assertEqual(found.events, [Raw(b"HTTP/1.1 x\r\n\r\n")])

    def test_a_request_that_cannot_be_read(self) -> None:
        """Nothing is expected then, and nothing fails."""
        self.assertIsNone(self.read((b"\n",), (REQUEST,), RESPONSE).request)
        self.assertIsNone(self.read((REQUEST[:-2],)).request)
        self.assertEqual(self.read((REQUEST,), (b"more",)).events, [])

    def test_a_server_that_breaks_the_protocol(self) -> None:
        """Good messages are messages; from the first bad one on, bytes are bytes. Our Close answers them."""
        for bad in (b"\xf1\x00", b"\x81\x02\xff\xff", b"\x01\x01a\x89\x00\x80\x02b\xff"):
            passed = (self.server.message("a") + bad, b"\x81\x01b", (self.client.close(1002),), "FIN")
            for size in (1, 1000):
                found = self.read((REQUEST,), RESPONSE, *passed, size=size).events
                expected = said(("server", "a"), Raw(bad + b"\x81\x01b"), Closed("client", 1002), HungUp("FIN"))
                self.assertEqual(found, expected)

    def test_a_client_that_breaks_the_protocol(self) -> None:
        """Cannot be; it would be left out from there on."""
        self.assertEqual(self.events((self.client.message("a") + b"\x81\x01a",)), said(("client", "a")))


@with_cases
class DeflateTests(unittest.TestCase):
    """`agreed_deflate`."""

    @cases(
        none=("", None),
        plain=("permessage-deflate", DeflateParameters()),
        windows=(
            "permessage-deflate; server_max_window_bits=10; client_max_window_bits=9",
            DeflateParameters(server_max_window_bits=10, client_max_window_bits=9),
        ),
        another=("x-other", None),
        second=("x-other, permessage-deflate", DeflateParameters()),
        broken=("permessage-deflate; x", None),
        no_list=(";;", None),
    )
    def test_the_answer_alone_says_it(self, value: str, expected: Optional[DeflateParameters]) -> None:
        """Whatever the client offered; what it could not agree to is nothing."""
        headers = Headers({"Sec-WebSocket-Extensions": value} if value else None)
        self.assertEqual(agreed_deflate(headers), expected)


class StreamTests(RecordingTestCase):
    """`RecordedStream`."""

    def stream(self, *steps: Step) -> Tuple[RecordedStream, FakeStream, Notes]:
        inner, notes = FakeStream(*steps), Notes(URL)
        return RecordedStream(inner, notes), inner, notes

    def test_everything_is_passed_on(self) -> None:
        """Each method of the contract reaches the stream, and its answer comes back."""
        stream, inner, _ = self.stream()
        self.assertEqual(stream.wait(True, True, 1.5, owner=False), (False, True))
        names = ("wake", "shutdown_write", "shutdown_read", "shutdown", "close", "abandon")
        for name in names:
            getattr(stream, name)()
        self.assertEqual(
            inner.calls,
            [("wait", True, True, 1.5, False), *((name,) for name in names)],
        )
        for fact in (False, True):
            inner.fact = fact
            self.assertEqual(
                (stream.pending, stream.remembers, stream.has_output, stream.flush()), (fact, fact, fact, fact)
            )
        self.assertEqual((stream.local_address, stream.remote_address), (("::1", 1), ("::1", 2)))

    def test_what_was_taken_counts(self) -> None:
        """Partial sends and sends of nothing: the bytes that the stream accepted, once."""
        frame = self.client.message("hello")
        stream, _, notes = self.stream(len(REQUEST), RESPONSE, 3, 0, 0, len(frame) - 3, len(frame))
        self.assertEqual(stream.send(REQUEST), len(REQUEST))
        self.assertEqual(stream.recv(10), RESPONSE)
        self.assertEqual(stream.send(memoryview(frame)), 3)
        for expected in (0, 0, len(frame) - 3):
            self.assertEqual(stream.send(bytearray(frame[3:])), expected)
        stream.send(frame)
        self.assertEqual(notes.read(Masking()).events, said(("client", "hello"), ("client", "hello")))

    def test_nothing_and_the_end(self) -> None:
        """`None` is not noted, the end is: as FIN, or as RST where it is an error."""
        stream, _, notes = self.stream(None, b"", b"")
        self.assertIsNone(stream.recv(1))
        self.assertEqual((stream.recv(1), stream.recv(1)), (b"", b""))
        self.assertEqual(notes.read(Masking()).events, [HungUp("FIN")])
        stream, _, notes = self.stream(ConnectionClosed("lost"))
        with self.assertRaisesRegex(ConnectionClosed, "lost"):
            stream.recv(1)
        self.assertEqual(notes.read(Masking()).events, [HungUp("RST")])

    def test_a_send_that_fails_said_nothing(self) -> None:
        """The error comes through, and the end of the block does not wait for it."""
        stream, _, notes = self.stream(ConnectionClosed("lost"))
        with self.assertRaisesRegex(ConnectionClosed, "lost"):
            stream.send(REQUEST)
        with mock.patch.object(recording, "PATIENCE", 1000):
            self.assertIsNone(notes.read(Masking()).request)

    def test_an_interrupted_send_that_is_remembered_counts_when_it_is_told(self) -> None:
        """The place is that of the first call, the bytes are those that the second one reports."""
        frame = self.client.message("a")
        stream, inner, notes = self.stream(len(REQUEST), RESPONSE, KeyboardInterrupt(), self.server.message("b"), 7)
        stream.send(REQUEST)
        stream.recv(1)
        with self.assertRaises(KeyboardInterrupt):
            stream.send(frame)
        inner.fact = True
        stream.recv(1)
        self.assertEqual(stream.send(frame), len(frame))
        self.assertEqual(notes.read(Masking()).events, said(("client", "a"), ("server", "b")))

    def test_an_interrupted_send_that_is_not_remembered_is_forgotten(self) -> None:
        """What follows is another one, in a place of its own."""
        frame = self.client.message("a")
        stream, _, notes = self.stream(len(REQUEST), RESPONSE, KeyboardInterrupt(), self.server.message("b"), 7)
        stream.send(REQUEST)
        stream.recv(1)
        with self.assertRaises(KeyboardInterrupt):
            stream.send(frame)
        stream.recv(1)
        stream.send(frame)
        self.assertEqual(notes.read(Masking()).events, said(("server", "b"), ("client", "a")))

    def test_bytes_survive_an_interrupt_while_they_are_noted(self) -> None:
        """They are pending then, `wait` says so at once, and the next `recv` returns them."""
        stream, inner, notes = self.stream(b"abc")
        with mock.patch.object(notes, "hear", side_effect=KeyboardInterrupt), self.assertRaises(KeyboardInterrupt):
            stream.recv(10)
        self.assertTrue(stream.pending)
        self.assertEqual(stream.wait(True, True, None, owner=False), (True, True))
        self.assertEqual(stream.wait(False, True, None), (False, True))
        self.assertEqual(inner.calls, [("wait", True, True, 0.0, False), ("wait", False, True, None, True)])
        self.assertEqual(stream.recv(10), b"abc")
        self.assertFalse(stream.pending)

    def test_an_answer_never_stands_before_its_question(self) -> None:
        """The answer may be received before `send` has returned; the question has its place already."""
        frame = self.client.message("question")

        def send() -> int:
            stream.recv(10)
            return len(frame)

        stream, _, notes = self.stream(len(REQUEST), RESPONSE, send, self.server.message("answer"))
        stream.send(REQUEST)
        stream.recv(1)
        stream.send(frame)
        self.assertEqual(notes.read(Masking()).events, said(("client", "question"), ("server", "answer")))

    def test_the_end_of_the_block_waits_for_a_send(self) -> None:
        """What the socket has taken and the thread has not told yet is part of the conversation."""
        begun, go_on = threading.Event(), threading.Event()

        def send() -> int:
            begun.set()
            go_on.wait(10)
            return len(REQUEST)

        stream, _, notes = self.stream(send)
        sending = Running(lambda: stream.send(REQUEST))
        begun.wait(10)
        reading = Running(lambda: notes.read(Masking()))
        go_on.set()
        sending.result()
        self.assertIsNotNone(reading.result().request)

    def test_a_send_that_never_ends_does_not_hold_the_block(self) -> None:
        """It was interrupted, or its thread has died: two seconds, and it said nothing."""
        stream, _, notes = self.stream(KeyboardInterrupt())
        with self.assertRaises(KeyboardInterrupt):
            stream.send(REQUEST)
        with mock.patch.object(recording, "PATIENCE", 0.01):
            self.assertIsNone(notes.read(Masking()).request)

    def test_nothing_is_noted_after_the_block(self) -> None:
        """The stream goes on, and keeps nothing in memory."""
        stream, _, notes = self.stream(len(REQUEST), b"x", len(REQUEST))
        notes.read(Masking())
        self.assertEqual(
            (stream.send(REQUEST), stream.recv(1), stream.send(REQUEST)), (len(REQUEST), b"x", len(REQUEST))
        )
        again = notes.read(Masking())
        self.assertEqual((again.request, again.events), (None, []))


class DialTests(unittest.TestCase):
    """`Recording.dial`."""

    def setUp(self) -> None:
        self.calls: List[Any] = []
        self.outcomes: List[Any] = []
        self.recording = Recording(self.real_dial, Masking(["token"]))

    def real_dial(self, *arguments: Any, **options: Any) -> Stream:
        self.calls.append((arguments, options))
        outcome = self.outcomes.pop(0) if self.outcomes else FakeStream()
        if callable(outcome):
            outcome = outcome()
        if isinstance(outcome, BaseException):
            raise outcome
        stream: Stream = outcome
        return stream

    def dial(self, url: str = URL) -> Stream:
        attempt: Any = "attempt"
        return self.recording.dial("a.test", 80, attempt, url=url, tls=None, server_hostname=None)

    def test_the_real_dial_is_asked(self) -> None:
        """With all that it was asked with, and its stream is listened to."""
        self.assertIsInstance(self.dial(), RecordedStream)
        options = {"url": URL, "tls": None, "server_hostname": None}
        self.assertEqual(self.calls, [(("a.test", 80, "attempt"), options)])

    def test_conversations_are_in_the_order_of_their_beginning(self) -> None:
        """Not in that of their success."""

        def slow() -> Stream:
            self.dial("ws://b.test/")
            return FakeStream()

        self.outcomes.append(slow)
        self.dial("ws://a.test/?token=1")
        self.assertEqual(self.recording.finish(), [Conversation("ws://a.test/"), Conversation("ws://b.test/")])

    def test_failures_are_recorded_and_raised(self) -> None:
        """Each error of the opening by its own name, with message and number; others as the engine reports them."""
        errors: List[Any] = [
            HostNotFound("a"),
            ConnectionRefused("b"),
            ConnectionFailed("c", url_error_code=-1009),
            CertificateError("d", url_error_code=-1203),
            TimedOut("e"),
            Cancelled("f"),
            RuntimeError("g"),
        ]
        self.outcomes += errors
        for error in errors:
            with self.assertRaises(type(error)) as caught:
                self.dial()
            self.assertIs(caught.exception, error)
        self.assertEqual(
            [conversation.failed for conversation in self.recording.finish()],
            [
                Failure("HostNotFound", "a", -1003),
                Failure("ConnectionRefused", "b", -1004),
                Failure("ConnectionFailed", "c", -1009),
                Failure("CertificateError", "d", -1203),
                Failure("TimedOut", "e", -1001),
                Failure("Cancelled", "f", -999),
                Failure("ConnectionFailed", "the connection's engine failed: RuntimeError('g')", -1004),
            ],
        )

    def test_a_dial_that_outlasts_the_block_was_given_up(self) -> None:
        """There is nothing else to say of it."""
        found: List[Conversation] = []

        def finish() -> Stream:
            found.extend(self.recording.finish())
            return FakeStream()

        self.outcomes.append(finish)
        self.dial()
        self.assertEqual(found, [Conversation(URL, failed=Failure("Cancelled", "", -999))])

    def test_after_the_block_nobody_listens(self) -> None:
        """The real stream is handed out as it is."""
        self.recording.finish()
        self.assertIsInstance(self.dial(), FakeStream)
        self.assertEqual(self.recording.finish(), [])

    def test_a_forked_process_is_not_listened_to(self) -> None:
        """Its connections are its own."""
        with mock.patch.object(os, "getpid", return_value=-1):
            self.assertIsInstance(self.dial(), FakeStream)
        self.assertEqual(self.recording.finish(), [])

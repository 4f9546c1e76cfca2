"""The server's part, played: what goes out when, what is compared, and how it ends."""

from __future__ import annotations

import os
import socket
import threading
from typing import Any, Callable, List, Optional, Sequence, Tuple
from unittest import mock

from tests.support import cases, with_cases
from tests.tasks import PATIENCE, OnlineTestCase
from tests.threads import Running
from wssync.errors import (
    Cancelled,
    ConnectionClosed,
    ConnectionFailed,
    ConnectionRefused,
    TimedOut,
)
from wssync.protocol.closing import encode_close
from wssync.protocol.deflate import Compressor, DeflateOptions, DeflateParameters, Inflater
from wssync.protocol.encoder import Encoder
from wssync.protocol.frames import Opcode, Role
from wssync.protocol.handshake import accept_value
from wssync.protocol.headers import Headers
from wssync.protocol.messages import Close as CloseFrame
from wssync.protocol.messages import Decoder, Event, Pong
from wssync.testing import replaying
from wssync.testing.masking import Masking
from wssync.testing.replaying import Mismatch, Player, Replay
from wssync.testing.tape import Answer, Asked, Closed, Conversation, Failure, HungUp, Raw, Said
from wssync.transport.clock import Clock, Deadline
from wssync.transport.stream import Stream
from wssync.transport.waiting import Attempt, Waker, wait_for

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
URL = "ws://a.test/chat"
REQUEST = f"GET /chat HTTP/1.1\r\nHost: a.test\r\nX: 1\r\nSec-WebSocket-Key: {KEY}\r\n\r\n".encode()
SWITCH = Answer(101, "Switching Protocols", Headers({"Upgrade": "websocket"}))
HEAD = (
    f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept_value(KEY)}\r\n\r\n"
).encode()


def conversation(*events: Any, **parts: Any) -> Conversation:
    """One that was accepted; ("client", "text") is short for a message."""
    said = [Said(*event) if type(event) is tuple else event for event in events]
    return Conversation(URL, **{"response": SWITCH, "events": said, **parts})


class Talk:
    """A client's raw end of one conversation."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self._encoder = Encoder(Role.CLIENT)
        self._decoder = Decoder(Role.CLIENT, maximum_message_size=None)

    def send(self, data: bytes) -> None:
        """All of it."""
        while data:
            data = data[self.stream.send(data) :]
            self.stream.wait(False, bool(data), 0)

    def say(self, text: str) -> None:
        """One message."""
        self.send(b"".join(map(bytes, self._encoder.pieces(Opcode.TEXT, text.encode()))))

    def ping(self, payload: bytes, before: bytes = b"") -> None:
        """One ping, in one packet with what is before it."""
        self.send(before + self._encoder.control(Opcode.PING, payload) + self._encoder.control(Opcode.PONG, payload))

    def close(self, code: Optional[int] = 1000) -> None:
        """One Close."""
        self.send(self._encoder.control(Opcode.CLOSE, encode_close(code)))

    def read(self) -> bytes:
        """What has come, or comes; b"" at the end."""
        while True:
            if not self.stream.wait(True, False, PATIENCE)[0]:
                raise AssertionError("nothing came")
            data = self.stream.recv(65536)
            if data is not None:
                return data

    def read_all(self) -> bytes:
        """Everything until the end."""
        parts = [self.read()]
        while parts[-1]:
            parts.append(self.read())
        return b"".join(parts)

    def open(self) -> Talk:
        """Ask, and take the answer."""
        self.send(REQUEST)
        data = b""
        while len(data) < len(HEAD):
            data += self.read()
        if not data.startswith(HEAD):
            raise AssertionError(data)
        self.events: List[Event] = self._decoder.feed(data[len(HEAD) :])
        return self

    def hear(self, count: int) -> List[Event]:
        """The next events of the server."""
        while len(self.events) < count:
            data = self.read()
            if not data:
                raise AssertionError(f"the end, after {self.events}")
            self.events += self._decoder.feed(data)
        heard, self.events = self.events[:count], self.events[count:]
        return heard

    def hear_end(self) -> None:
        """Nothing more but the end."""
        rest = self.read_all()
        if rest:
            raise AssertionError(rest)


class ReplayTestCase(OnlineTestCase):
    """Conversations that are played for the time of the test."""

    def play(
        self, *conversations: Conversation, secrets: Sequence[str] = (), patience: Optional[float] = None
    ) -> Replay:
        replay = Replay("a.json", conversations, Masking(secrets), patience)
        self.addCleanup(replay.finish)
        return replay

    def dial(self, replay: Replay, url: str = URL, check: Callable[[], None] = lambda: None) -> Talk:
        waker = Waker()
        self.addCleanup(waker.close)
        attempt = Attempt(waker, Deadline(Clock(), PATIENCE), check)
        stream = replay.dial("a.test", 80, attempt, url=url, tls=None, server_hostname=None)
        self.addCleanup(stream.close)
        return Talk(stream)

    def talk(self, *events: Any, **parts: Any) -> Tuple[Replay, Talk]:
        """One conversation, dialled."""
        replay = self.play(conversation(*events, **parts))
        return replay, self.dial(replay)

    def assertMismatch(self, replay: Replay, *texts: str) -> None:
        """Exactly these did not match."""
        found = replay.finish() or replay.missing()
        self.assertEqual(len(found), len(texts), found)
        for mismatch, text in zip(found, texts):
            self.assertIn(text, mismatch.text)

    def assertMatch(self, replay: Replay) -> None:
        """Everything was as recorded."""
        self.assertEqual(replay.finish(), [])
        self.assertEqual(replay.missing(), [])


class OpeningTests(ReplayTestCase):
    """The request, and the recorded answer."""

    def test_the_answer_has_the_accept_value_of_today(self) -> None:
        """The other fields are the recorded ones; the request may come in pieces."""
        replay, talk = self.talk(request=Asked("GET", "/chat", Headers({"x": "1"})))
        with mock.patch.object(replaying, "READ_SIZE", 1):
            talk.send(REQUEST)
            self.assertEqual(talk.read(), HEAD)
        talk.stream.close()
        self.assertMatch(replay)

    def test_a_request_in_one_packet_with_a_message(self) -> None:
        """What is behind the request is heard too."""
        replay, talk = self.talk(("client", "hello"), ("server", "well"))
        frame = b"".join(map(bytes, Encoder(Role.CLIENT).pieces(Opcode.TEXT, b"hello")))
        talk.send(REQUEST + frame)
        self.assertEqual(talk.read()[-4:], b"well")
        self.assertMatch(replay)

    def test_a_wrong_accept_value_is_answered_again(self) -> None:
        """The recorded one, or none."""
        for headers in (Headers({"Sec-WebSocket-Accept": "x"}), Headers()):
            _, talk = self.talk(response=Answer(101, "", headers, has_accept=False))
            talk.send(REQUEST)
            self.assertEqual(talk.read().count(b"Sec-WebSocket-Accept: x"), len(headers))

    def test_a_request_without_a_key_is_answered_too(self) -> None:
        """If it is as it was recorded."""
        _, talk = self.talk()
        talk.send(b"GET / HTTP/1.1\r\n\r\n")
        self.assertIn(accept_value("").encode(), talk.read())

    def test_informational_responses_come_first(self) -> None:
        """In their order."""
        _, talk = self.talk(informational=[Answer(100, "x", Headers()), Answer(103, "y", Headers())])
        talk.send(REQUEST)
        self.assertTrue(talk.read().startswith(b"HTTP/1.1 100 x\r\n\r\nHTTP/1.1 103 y\r\n\r\nHTTP/1.1 101 "))

    def test_a_refusal_and_the_end(self) -> None:
        """Status, fields, body and FIN; what the client says then is not heard."""
        answer = Answer(403, "Forbidden", Headers({"Content-Length": "2"}), b"no", http_version="1.0")
        replay, talk = self.talk(response=answer)
        talk.send(REQUEST)
        self.assertEqual(talk.read_all(), b"HTTP/1.0 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
        talk.send(b"more")
        self.assertMatch(replay)

    def test_a_chunked_body_is_chunked(self) -> None:
        """As its header field says; also an empty one."""
        for body, framed in ((b"x" * 17, b"11\r\n" + b"x" * 17 + b"\r\n0\r\n\r\n"), (b"", b"0\r\n\r\n")):
            answer = Answer(500, "x", Headers({"Transfer-Encoding": "Chunked"}), body)
            _, talk = self.talk(response=answer)
            talk.send(REQUEST)
            self.assertEqual(talk.read_all().partition(b"\r\n\r\n")[2], framed)

    def test_no_answer(self) -> None:
        """The server takes the request and hangs up, or says something else, or nothing at all."""
        _, talk = self.talk(HungUp("FIN"), response=None)
        talk.send(REQUEST)
        talk.hear_end()
        _, talk = self.talk(Raw(b"SSH"), HungUp("FIN"), response=None)
        talk.send(REQUEST)
        self.assertEqual(talk.read_all(), b"SSH")
        replay, talk = self.talk(response=None)
        talk.send(REQUEST + b"more")
        self.assertEqual(talk.stream.wait(True, False, 0.01), (False, False))
        self.assertMatch(replay)

    def test_another_request_is_a_mismatch(self) -> None:
        """The connection ends without an answer."""
        replay, talk = self.talk(("client", "x"), request=Asked("GET", "/chat", Headers({"X": "2"})))
        talk.send(REQUEST + b"more")
        talk.hear_end()
        self.assertMismatch(
            replay,
            "a.json: conversation 1 (ws://a.test/chat): the request is another one\nthe header fields differ:\n"
            "  recorded: X: 2\n  came:     X: 1",
        )

    def test_what_is_no_request_is_a_mismatch(self) -> None:
        """A client of this library would not say it."""
        replay, talk = self.talk(("client", "x"))
        talk.send(b"\n")
        talk.hear_end()
        self.assertMismatch(replay, "the request is no HTTP: a line of the head ends without CR LF")

    def test_a_request_that_does_not_come_is_a_mismatch(self) -> None:
        """Unless it was not recorded. Its secrets are not shown."""
        secret = Conversation(URL, request=Asked("GET", "/chat?token=hush&a"), response=SWITCH)
        replay = self.play(secret, secrets=["token"])
        self.dial(replay)
        self.assertMismatch(
            replay,
            "a.json: conversation 1 (ws://a.test/chat): the request did not come:\n"
            "  recorded: GET /chat?a\n  came:     nothing (the connection was still open at the end of the block)",
        )
        replay, _ = self.talk(response=None)
        self.assertMatch(replay)


@with_cases
class PlayingTests(ReplayTestCase):
    """An open connection."""

    def test_each_answer_waits_for_its_question(self) -> None:
        """What the server said goes out when all has come that the client said before, and not earlier."""
        replay, talk = self.talk(
            ("server", "welcome"), ("client", "a"), ("client", "b"), ("server", b"ab"), ("server", "!"), ("client", "c")
        )
        talk.open()
        self.assertEqual(talk.hear(1), ["welcome"])
        talk.say("a")
        self.assertEqual(talk.stream.wait(True, False, 0.01), (False, False))
        talk.say("b")
        self.assertEqual(talk.hear(2), [b"ab", "!"])
        talk.say("c")
        self.assertMatch(replay)

    def test_the_end_of_the_block_hears_what_was_said(self) -> None:
        """Everything that the kernel took before the end counts, each time."""
        for _ in range(50):
            replay, talk = self.talk(("client", "a"), ("server", "b"), ("client", "c"))
            talk.open()
            talk.say("a")
            talk.say("c")
            self.assertMatch(replay)

    def test_much_in_both_directions_at_once(self) -> None:
        """The player reads while it writes, so nobody waits for the other one's buffer."""
        much = "x" * 3_000_000
        replay, talk = self.talk(("server", much), ("client", much), ("server", "end"))
        talk.open()
        saying = Running(lambda: talk.say(much))
        saying.result()
        self.assertEqual(talk.hear(2), [much, "end"])
        self.assertMatch(replay)

    def test_compression_as_agreed(self) -> None:
        """The server compresses if the recorded response says so, and it understands a client that does."""
        headers = Headers({"Sec-WebSocket-Extensions": "permessage-deflate; client_no_context_takeover"})
        compressor = Compressor(DeflateParameters(client_no_context_takeover=True), Role.CLIENT, DeflateOptions())
        frames = Encoder(Role.CLIENT, compressor).pieces(Opcode.TEXT, b"y" * 1000)
        replay, talk = self.talk(
            ("client", "y" * 1000), ("server", "x" * 1000), HungUp("FIN"), response=Answer(101, "", headers)
        )
        talk.send(REQUEST + b"".join(frames))
        frame = talk.read_all().partition(b"\r\n\r\n")[2]
        self.assertEqual(frame[0], 0xC1)
        self.assertLess(len(frame), 50)
        inflater = Inflater(DeflateParameters(), Role.CLIENT)
        self.assertEqual(Decoder(Role.CLIENT, maximum_message_size=None, inflater=inflater).feed(frame), ["x" * 1000])
        self.assertMatch(replay)

    def test_pings_are_answered_and_not_compared(self) -> None:
        """Also between two messages; pongs are nothing."""
        replay, talk = self.talk(("client", "a"), ("server", "b"))
        talk.open().ping(b"1")
        self.assertEqual(talk.hear(1), [Pong(b"1")])
        talk.say("a")
        talk.ping(b"2")
        self.assertEqual(talk.hear(2), ["b", Pong(b"2")])
        self.assertMatch(replay)

    def test_the_clients_close_is_answered_as_recorded(self) -> None:
        """Close, Close, FIN."""
        replay, talk = self.talk(Closed("client", 1000), ("server", "late"), Closed("server", 4000, "bye"))
        talk.open().close()
        self.assertEqual(talk.hear(2), ["late", CloseFrame(4000, "bye")])
        talk.hear_end()
        self.assertMatch(replay)

    def test_the_servers_close_waits_for_the_answer(self) -> None:
        """FIN comes after the client's Close; messages meanwhile are not heard, pings not answered."""
        replay, talk = self.talk(Closed("server", 1005), Closed("client", 1005))
        talk.open()
        self.assertEqual(talk.hear(1), [CloseFrame(1005, None)])
        talk.say("not heard")
        talk.ping(b"")
        self.assertEqual(talk.stream.wait(True, False, 0.01), (False, False))
        talk.close(None)
        talk.hear_end()
        self.assertMatch(replay)

    def test_a_close_whose_answer_is_not_written_down(self) -> None:
        """FIN follows at once, and the answer is not looked at."""
        replay, talk = self.talk(Closed("server", 1001))
        talk.open()
        self.assertEqual(talk.hear(1), [CloseFrame(1001, None)])
        talk.hear_end()
        talk.close(1001)
        self.assertMatch(replay)

    def test_an_answer_to_the_servers_close_may_be_missing(self) -> None:
        """It is the library's, which may not have come to it."""
        replay, talk = self.talk(Closed("server", 1001), Closed("client", 1001))
        talk.open().hear(1)
        talk.stream.close()
        self.assertMatch(replay)

    def test_the_wrong_answer_to_the_servers_close_is_a_mismatch(self) -> None:
        """When it comes it is compared."""
        replay, talk = self.talk(Closed("server", 1001), Closed("client", 1001))
        talk.open().close(1000)
        self.assertMismatch(replay, 'event 2 is another one\n  recorded: {"client closes": [1001]}\n  came:')

    def test_the_farewell_of_a_cancel_is_optional(self) -> None:
        """An empty Close at the end is neither missed nor too much."""
        replay, talk = self.talk(("client", "a"), Closed("client", 1005))
        talk.open().say("a")
        self.assertMatch(replay)
        replay, talk = self.talk(("client", "a"))
        talk.open().say("a")
        talk.close(None)
        self.assertMatch(replay)

    def test_an_empty_close_may_be_a_question(self) -> None:
        """Then the server's Close answers it."""
        replay, talk = self.talk(Closed("client", 1005), Closed("server", 1000))
        talk.open().close(None)
        self.assertEqual(talk.hear(1), [CloseFrame(1000, None)])
        self.assertMatch(replay)

    @cases(fin="FIN", rst="RST")
    def test_the_end_without_a_close(self, how: str) -> None:
        """The end of the stream, or an error, after all that was said."""
        replay, talk = self.talk(("client", "a"), ("server", "b"), HungUp(how))
        talk.open().say("a")
        self.assertEqual(talk.hear(1), ["b"])
        if how == "FIN":
            talk.hear_end()
        else:
            with self.assertRaises(ConnectionClosed) as caught:
                talk.read()
            self.assertIsInstance(caught.exception.__cause__, ConnectionResetError)
            self.assertEqual(caught.exception.url_error_code, -1005)
        talk.say("not heard")
        self.assertMatch(replay)

    def test_raw_bytes_go_out_as_they_are(self) -> None:
        """A broken frame breaks the protocol again."""
        replay, talk = self.talk(("server", "a"), Raw(b"\xf1\x00"), Closed("client", 1002), HungUp("FIN"))
        talk.send(REQUEST)
        data = b""
        while len(data) < len(HEAD) + 5:
            data += talk.read()
        self.assertEqual(data, HEAD + b"\x81\x01a\xf1\x00")
        talk.close(1002)
        talk.hear_end()
        self.assertMatch(replay)

    def test_a_client_that_goes_early_has_not_said_the_rest(self) -> None:
        """The first thing that is missing is shown, and how many there are."""
        replay, talk = self.talk(("client", "a"), ("server", "b"), ("client", "c"), ("client", "d"))
        talk.open().say("a")
        talk.hear(1)
        talk.stream.close()
        self.assertMismatch(
            replay,
            "a.json: conversation 1 (ws://a.test/chat), event 3 did not come (and 1 more):\n"
            '  recorded: {"client": "c"}\n  came:     nothing (the client had hung up)',
        )

    def test_a_client_that_is_silent_has_not_said_the_rest(self) -> None:
        """At the end of the block what is missing is shown, and that the connection was open."""
        replay, talk = self.talk(("client", "a"))
        talk.open()
        self.assertMismatch(
            replay,
            "a.json: conversation 1 (ws://a.test/chat), event 1 did not come:\n"
            '  recorded: {"client": "a"}\n'
            "  came:     nothing (the connection was still open at the end of the block)",
        )

    def test_what_the_server_did_not_come_to_say_is_not_missing(self) -> None:
        """The client need not wait for it."""
        replay, talk = self.talk(("server", "x" * 3_000_000), HungUp("FIN"))
        talk.open()
        talk.stream.close()
        self.assertMatch(replay)

    @cases(
        another=("b", 'event 1 is another one\n  recorded: {"client": "a"}\n  came:     {"client": "b"}'),
        close=(None, 'event 1 is another one\n  recorded: {"client": "a"}\n  came:     {"client closes": [1000]}'),
    )
    def test_another_event_is_a_mismatch(self, text: Optional[str], message: str) -> None:
        """Both sides are shown, and the connection is lost at once; what follows is not heard."""
        replay, talk = self.talk(("client", "a"), ("server", "b"))
        talk.open()
        if text is None:
            talk.close()
        else:
            talk.say(text)
            talk.say(text)
        talk.hear_end()
        found = replay.finish()
        self.assertEqual([one.is_goodbye for one in found], [text is None])
        self.assertMismatch(replay, message)

    @cases(
        at_once=(
            (),
            ': there are no events, and then came one more\n  recorded: nothing more\n  came:     {"client": "x"}',
        ),
        later=(
            (("client", "a"),),
            ': event 1 was the last, and then came one more\n  recorded: nothing more\n  came:     {"client": "x"}',
        ),
    )
    def test_too_many_events_are_a_mismatch(self, events: Tuple[Any, ...], message: str) -> None:
        """The recorded program was silent here."""
        replay, talk = self.talk(*events)
        talk.open()
        for _, text in events:
            talk.say(text)
        talk.say("x")
        talk.hear_end()
        self.assertMismatch(replay, message)

    def test_a_broken_frame_is_a_mismatch(self) -> None:
        """No program of this library sends one."""
        replay, talk = self.talk(("client", "a"))
        talk.open().send(b"\x81\x01a")
        talk.hear_end()
        self.assertMismatch(replay, ": the client broke the protocol: the client sent an unmasked frame")

    def test_a_mistake_of_the_player_is_told(self) -> None:
        """A bug in here must not look like a silent server."""
        replay, talk = self.talk()
        with mock.patch.object(Player, "_take", side_effect=RuntimeError("oops")):
            talk.send(REQUEST)
            talk.hear_end()
        self.assertMismatch(replay, "the player failed: RuntimeError('oops')")

    def test_a_socket_that_fails_is_the_clients_end(self) -> None:
        """Where a pair is made of TCP sockets, a client can reset it."""
        sock = mock.Mock(**{"recv.side_effect": ConnectionResetError, "send.side_effect": BrokenPipeError})
        player = Player(conversation(), Masking(), "", self.fail, None)
        self.addCleanup(player.abandon)
        self.assertFalse(player._hear(sock))
        player._out += b"x"
        player._speak(sock)
        self.assertEqual(player._out, b"")

    def test_a_client_that_never_stops_does_not_hold_the_player(self) -> None:
        """After so many reads it looks up again."""
        sock = mock.Mock(**{"recv.return_value": b"x"})
        player = Player(conversation(), Masking(), "", self.fail, None)
        self.addCleanup(player.abandon)
        with mock.patch.object(player, "_take"):
            self.assertTrue(player._hear(sock))


class Watch:
    """The time that a player counts, which a test moves, and what it waits for."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timeouts: List[Optional[float]] = []

    def monotonic(self) -> float:
        """See `time.monotonic`."""
        return self.now

    def wait(self, read: Any, write: Any, timeout: Optional[float]) -> Any:
        """See `wait_for`."""
        self.timeouts.append(timeout)
        return wait_for(read, write, timeout)


@with_cases
class PatienceTests(ReplayTestCase):
    """A client that does not say what is due is waited for, but not for ever."""

    def setUp(self) -> None:
        super().setUp()
        self.watch = Watch()
        self.addCleanup(mock.patch.stopall)
        mock.patch.object(replaying, "time", self.watch).start()
        mock.patch.object(replaying, "wait_for", self.watch.wait).start()

    def talk(self, *events: Any, **parts: Any) -> Tuple[Replay, Talk]:
        """One conversation, open, with a patience of 30 seconds."""
        replay = self.play(conversation(*events, **parts), patience=30)
        return replay, self.dial(replay).open()

    def nudge(self, talk: Talk, payload: bytes, before: bytes = b"") -> None:
        """Have the player look at the time, by a ping, and see that it did."""
        talk.ping(payload, before)
        self.assertEqual(talk.hear(1), [Pong(payload)])

    def test_silence_is_a_mismatch(self) -> None:
        """Both sides are shown, and the connection is lost; what is missing besides is not shown again."""
        mock.patch.stopall()
        replay = self.play(conversation(("client", "a"), ("server", "b"), ("client", "c")), patience=0.02)
        talk = self.dial(replay).open()
        talk.hear_end()
        self.assertMismatch(
            replay,
            "a.json: conversation 1 (ws://a.test/chat), event 1 did not come:\n"
            '  recorded: {"client": "a"}\n  came:     nothing for 0.02 s',
        )

    def test_a_clients_close_may_be_due(self) -> None:
        """Also one by `cancel()`: who is still there after so long has not said it."""
        for code in (1000, 1005):
            replay, talk = self.talk(Closed("client", code))
            self.watch.now += 30
            talk.ping(b"")
            talk.hear_end()
            self.assertMismatch(replay, "event 1 did not come")

    def test_pings_are_no_sign_of_life(self) -> None:
        """Those are the library's: one within the time changes nothing about its end."""
        replay, talk = self.talk(("client", "a"))
        self.watch.now += 29.5
        self.nudge(talk, b"1")
        self.watch.now += 0.5
        talk.ping(b"2")
        talk.hear_end()
        self.assertMismatch(replay, '  recorded: {"client": "a"}\n  came:     nothing for 30 s')

    def test_every_message_is_a_sign_of_life(self) -> None:
        """The time counts from the last one, also from a part of one."""
        replay, talk = self.talk(("client", "a"), ("client", "bc"), ("client", "d"))
        talk.say("a")
        self.nudge(talk, b"1")
        for data in (b"\x01\x81\0\0\0\0b", b"\x80\x81\0\0\0\0c"):
            self.watch.now += 29.5
            self.nudge(talk, b"2", before=data)
            self.watch.now += 29.5
            self.nudge(talk, b"3")
        talk.say("d")
        self.assertMatch(replay)

    def test_reading_is_a_sign_of_life(self) -> None:
        """A client that takes what the server had to say has not come to its own turn yet."""
        replay, talk = self.talk(("server", "x" * 3_000_000), ("client", "a"))
        self.watch.now += 29.5
        self.assertEqual(len(str(talk.hear(1)[0])), 3_000_000)
        self.watch.now += 29.5
        self.nudge(talk, b"1")
        talk.say("a")
        self.assertMatch(replay)

    @cases(
        nothing_expected=[],
        after_the_end=[("server", "a"), HungUp("FIN")],
    )
    def test_where_nothing_is_due_nothing_is_missed(self, events: Any) -> None:
        """A connection may be idle, and one that has ended is."""
        replay, talk = self.talk(*events)
        self.watch.now += 100
        talk.ping(b"")
        self.assertMatch(replay)
        self.assertEqual({*self.watch.timeouts}, {None})

    def test_the_answer_to_the_servers_close_is_not_due(self) -> None:
        """It is heard whenever it comes, and nobody waits for it."""
        replay, talk = self.talk(Closed("server", 1001), Closed("client", 1001))
        self.watch.now += 100
        talk.close(1001)
        talk.hear(1)
        talk.hear_end()
        self.assertMatch(replay)
        self.assertEqual({*self.watch.timeouts}, {None})

    def test_without_a_limit_it_waits_for_ever(self) -> None:
        """`None`."""
        replay = self.play(conversation(("client", "a")), patience=None)
        talk = self.dial(replay).open()
        self.watch.now += 1e9
        self.nudge(talk, b"1")
        talk.say("a")
        self.assertMatch(replay)
        self.assertEqual({*self.watch.timeouts}, {None})


class DialTests(ReplayTestCase):
    """`Replay.dial`: which conversation it is."""

    def test_conversations_are_taken_in_order(self) -> None:
        """Each URL's own, each once."""
        other = Conversation("ws://b.test/", response=SWITCH, events=[Said("server", "other")])
        replay = self.play(conversation(("server", "1")), other, conversation(("server", "2")))
        heard = [self.dial(replay, url).open().hear(1)[0] for url in (URL, URL, "ws://b.test/")]
        self.assertEqual(heard, ["1", "2", "other"])
        self.assertMatch(replay)

    def test_secret_parameters_do_not_count(self) -> None:
        """Neither those of today nor those that somebody has written into the file."""
        secret = Conversation(URL + "?token=1", request=Asked("GET", "/chat?token=1"), response=SWITCH)
        replay = self.play(secret, secrets=["Token"])
        self.dial(replay, URL + "?token=2").open()
        self.assertMatch(replay)

    def test_another_url_is_a_mismatch(self) -> None:
        """The dial fails, and the URLs of the cassette are named, each once."""
        replay = self.play(conversation(), conversation(), secrets=["token"])
        with self.assertRaisesRegex(ConnectionFailed, "the cassette a.json has no such conversation$"):
            self.dial(replay, "ws://b.test/?token=secret")
        text = "a.json: a connection that was not recorded\n  recorded: ws://a.test/chat\n  came:     ws://b.test/"
        self.assertEqual(replay.finish(), [Mismatch(text)])

    def test_of_many_urls_a_few_are_shown(self) -> None:
        """A failure is to be read."""
        replay = self.play(*(Conversation(f"ws://a{number}.test/") for number in range(50)))
        with self.assertRaises(ConnectionFailed):
            self.dial(replay)
        self.assertEqual(len(replay.finish()[0].text.splitlines()), 12)

    def test_no_connection_at_all(self) -> None:
        """An empty cassette allows none."""
        replay = self.play()
        with self.assertRaises(ConnectionFailed):
            self.dial(replay)
        self.assertMismatch(replay, "  recorded: no connection\n  came:     ws://a.test/chat")

    def test_one_connection_more_is_a_mismatch(self) -> None:
        """Each conversation is had once."""
        replay = self.play(conversation())
        self.dial(replay)
        with self.assertRaisesRegex(ConnectionFailed, "has no such conversation again"):
            self.dial(replay)
        self.assertMismatch(replay, "  came:     ws://a.test/chat again")

    def test_one_connection_less_is_a_mismatch(self) -> None:
        """What nobody connected to is named, and whether there was a connection to that URL at all."""
        other = Conversation("ws://b.test/?token=hush", response=SWITCH)
        replay = self.play(conversation(), conversation(), other, secrets=["token"])
        self.dial(replay)
        self.assertMismatch(
            replay,
            "a.json: conversation 2 (ws://a.test/chat) was recorded, and nobody connected\n"
            "  recorded: a connection to ws://a.test/chat\n  came:     no other connection to ws://a.test/chat",
            "a.json: conversation 3 (ws://b.test/) was recorded, and nobody connected\n"
            "  recorded: a connection to ws://b.test/\n  came:     no connection to ws://b.test/",
        )

    def test_a_failure_is_raised_again(self) -> None:
        """The same kind, message and number; and it counts as had."""
        failures = [Failure("ConnectionRefused", "nobody", -1004), Failure("TimedOut", "late", -1001)]
        replay = self.play(*(Conversation(URL, failed=failure) for failure in failures))
        with self.assertRaises(ConnectionRefused) as caught:
            self.dial(replay)
        self.assertEqual((str(caught.exception), caught.exception.url_error_code), ("nobody", -1004))
        with self.assertRaises(TimedOut):
            self.dial(replay)
        self.assertMatch(replay)

    def given_up(self) -> Replay:
        return self.play(Conversation(URL, failed=Failure("Cancelled", "", -999)))

    def test_a_dial_that_was_given_up_is_given_up_again(self) -> None:
        """It hangs until then."""
        checks: List[None] = []

        def check() -> None:
            checks.append(None)
            if len(checks) > 3:
                raise Cancelled("enough")

        replay = self.given_up()
        waker = Waker()
        self.addCleanup(waker.close)
        waker.wake()
        with mock.patch.object(waker, "clear"), self.assertRaises(Cancelled):
            replay.dial("a.test", 80, Attempt(waker, Deadline(Clock(), None), check), url=URL)
        self.assertMatch(replay)

    def test_a_dial_that_hangs_ends_with_the_block(self) -> None:
        """Like everything else."""
        replay, hangs = self.given_up(), threading.Event()
        dialling = Running(lambda: self.dial(replay, check=hangs.set))
        self.assertTrue(hangs.wait(PATIENCE))
        self.assertMatch(replay)
        self.assertRegex(str(dialling.error()), "the block of the cassette a.json has ended")

    def test_after_the_block_there_is_no_connection(self) -> None:
        """A dial that comes late fails."""
        replay = self.play(conversation())
        replay.finish()
        with self.assertRaisesRegex(ConnectionFailed, "has ended"):
            self.dial(replay)

    def test_the_end_of_the_block_ends_open_connections(self) -> None:
        """The client sees it as lost, and the thread is gone."""
        replay, talk = self.talk(("client", "a"))
        talk.open()
        replay.finish()
        self.assertEqual([thread.name for thread in threading.enumerate() if "testing-cassette" in thread.name], [])
        talk.hear_end()

    def test_a_forked_process_has_no_part_in_it(self) -> None:
        """It gets no connection, and only gives its descriptors back."""
        replay, _ = self.talk()
        with mock.patch.object(os, "getpid", return_value=-1), self.assertRaisesRegex(ConnectionFailed, "parent"):
            self.dial(replay)

    def test_no_thread_to_be_had(self) -> None:
        """An error of the connection, and nothing is left."""
        replay = self.play(conversation())
        start = mock.patch("threading.Thread.start", side_effect=RuntimeError("no more"))
        with start, self.assertRaisesRegex(ConnectionFailed, "a cassette could not be played: no more"):
            self.dial(replay)

    def test_no_socket_to_be_had(self) -> None:
        """The same."""
        replay = self.play(conversation())
        waker = Waker()
        self.addCleanup(waker.close)
        attempt = Attempt(waker, Deadline(Clock(), None), lambda: None)
        player_waker = Waker()
        with mock.patch("wssync.testing.replaying.Waker", return_value=player_waker):
            pair = mock.patch.object(socket, "socketpair", side_effect=OSError("too many"))
            with pair, self.assertRaisesRegex(ConnectionFailed, "too many"):
                replay.dial("a.test", 80, attempt, url=URL)
        self.assertEqual(player_waker.fileno(), -1)
        self.assertMatch(replay)

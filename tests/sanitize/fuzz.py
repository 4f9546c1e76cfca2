"""Both forms of each function on random input, for as long as one likes: they must give the same. Those for sockets
have no other form; they are held against the function that they save a call of, and rows against deques.

Input that is not `bytes` lies in arrays, which end where their last number ends; a `bytes` has a zero behind it, where
reading one byte too far would not be seen.
"""

from __future__ import annotations

import array
import contextlib
import random
import socket
import threading
import time
from collections import deque
from typing import Any, Callable, Deque, List, Optional, Tuple

from tests.engine.lending import LITTLE, MUCH, Lender, Unsealer, slots
from tests.protocol.soups import noise, soup
from wssync.protocol import frames

__all__ = ["Outbox", "fuzz"]

Outcome = Tuple[object, ...]


def fuzz(compiled: Any, seed: int, seconds: float) -> int:
    """Compare for so many seconds; how many calls that were. Raises AssertionError where the forms differ."""
    draw = random.Random(seed)
    end = time.monotonic() + seconds
    rounds = 0
    while time.monotonic() < end:
        play = draw.choice((_mask, _encode, _cut, _cut, _row, _row, _send, _receive, _receive_with_tls, _receive_long))
        play(compiled, draw)
        rounds += 1
    return rounds


def _mask(compiled: Any, draw: random.Random) -> None:
    arguments = (_buffer(draw, _size(draw)), _key(draw), draw.choice((0, 1, 2, 3, draw.randrange(-(1 << 66), 1 << 66))))
    _compare(compiled.mask, frames.mask, arguments)


def _encode(compiled: Any, draw: random.Random) -> None:
    first = draw.randrange(256) if draw.random() < 0.95 else draw.choice((-1, 256, 1 << 70, None, 1.5))
    key = None if draw.random() < 0.3 else _key(draw)
    _compare(compiled.encode_frame, frames.encode_frame, (first, _buffer(draw, _size(draw)), key))


def _cut(compiled: Any, draw: random.Random) -> None:
    data = soup(draw, longest=70_001)
    position = 0 if draw.random() < 0.5 else draw.randrange(-2, len(data) + 3)
    limit = draw.choice((None, None, draw.randrange(-2, 300), 65_536, 1 << 70))
    messages: Tuple[List[Any], List[Any]] = ([], [])
    calls = [frames.cut_messages, compiled.cut_messages]
    outcomes = [_outcome(call, (data, position, limit, made)) for call, made in zip(calls, messages)]
    assert outcomes[0] == outcomes[1], (data, position, limit, outcomes)
    assert messages[0] == messages[1], (data, position, limit, messages)


def _row(compiled: Any, draw: random.Random) -> None:
    row = compiled.Row()
    model: Deque[Any] = deque()
    for _ in range(draw.randrange(1, 12)):
        data, cut = soup(draw, longest=70_001), row if draw.random() < 0.6 else compiled.Row()
        limit = draw.choice((None, None, 40))
        messages: List[Any] = []
        expected = frames.cut_messages(data, 0, limit, messages)
        assert compiled.cut_messages(data, 0, limit, cut) == expected, (data, limit)
        if cut is not row:
            most = draw.randrange(-1, len(messages) + 2)
            row.take(cut, most)
            assert list(cut) == messages[max(0, most) :], (data, limit, most)
            messages = messages[: max(0, most)]
        model.extend(messages)
        if draw.random() < 0.2:
            row.appendleft("a")
            model.appendleft("a")
        for _ in range(draw.randrange(len(model) + 1)):
            assert (row[0] if draw.random() < 0.3 else model[0]) == model[0]
            assert row.popleft() == model.popleft()
        assert list(row) == list(model), data


def _send(compiled: Any, draw: random.Random) -> None:
    size = draw.randrange(4070, 4110) if draw.random() < 0.3 else _size(draw)  # up to 4 KiB it is made on the stack
    first, payload, key = (
        draw.randrange(256),
        bytes(draw.choices(range(256), k=min(size, 1000))).ljust(size),
        draw.getrandbits(32).to_bytes(4, "big"),
    )
    before = draw.randrange(4)  # of three keys at a time
    compress = draw.choice((None, None, lambda message: None, lambda message: message[::-1] or None))
    with contextlib.ExitStack() as stack:
        here, there = _sockets(stack)
        outbox = Outbox()
        lock = draw.choice((threading.RLock, compiled.RoleLock))()
        seal, keep = draw.choice(((None, None), (None, None), (_seal, outbox.kept.append), (lambda frame: None, None)))
        express = compiled.Express(outbox, lock, int, lambda: key * 3, compress, here.fileno(), 0, seal, keep)
        outbox.express = express
        for _ in range(before if seal in (None, _seal) else 0):
            express.send_at_once(0x88, b"")
        outcome = express.send_at_once(first, payload)
        here.close()
        sent = b"".join(iter(lambda: there.recv(1 << 20), b""))
    if seal is _seal:
        sent = _seal(sent + b"".join(outbox.kept))
    sent = sent[6 * before :]
    if size > 65_536:
        assert (outcome, sent, outbox.rest) == (False, b"", None), size
        return
    changed = compress is not None and compress(payload) is not None
    expected = frames.encode_frame(first | 0x40 if changed else first, payload[::-1] if changed else payload, key)
    assert (outcome is True) is (outbox.rest is None), (size, outcome)
    accepted, made = outbox.rest or (len(sent), sent)
    assert sent == made[:accepted] and made == expected, (first, payload, key, accepted)


class Outbox:
    """What the compiled `Express` asks of one."""

    express: Any = None
    rest: Optional[Tuple[int, bytes]] = None

    def __init__(self) -> None:
        self.kept: List[bytes] = []

    def keep_rest(self, way: Any, first: int, payload: bytes) -> object:
        """Note what is left."""
        self.rest = way.rest()
        way.forget()
        return self

    def broke(self, way: Any, error: BaseException) -> bool:
        """Let the error go on."""
        way.forget()
        return False


def _seal(frame: bytes) -> bytes:
    """One for the other, in place of TLS."""
    return frame.translate(_TURNED)


_TURNED = bytes(range(255, -1, -1))


def _receive_with_tls(compiled: Any, draw: random.Random) -> None:
    data = soup(draw, longest=draw.choice((200, 5000)))[: LITTLE + 10]
    most, limit = draw.choice((1, 10, LITTLE)), draw.choice((None, None, draw.randrange(-2, 300)))
    got: List[Any] = []
    unsealer = Unsealer()
    with contextlib.ExitStack() as stack:
        here, there = _sockets(stack)
        if data:
            here.send(unsealer.seal(data))
        here.close()
        lender = Lender(compiled, there.fileno())
        lender.read_by(unsealer)
        lender._most, lender._connection.size_limit = (most,), limit
        lender._inbox.express = compiled.Row() if draw.random() < 0.8 else deque()
        compiled.Borrower(*slots()).receive(lender, got)
        left = unsealer.seal(b"".join(iter(lambda: there.recv(1 << 20), b"")))
    if not lender.told:
        messages: List[Any] = []
        assert frames.cut_messages(data, 0, limit, messages) == (len(data), lender.counts[1]), (data, most, limit)
        assert messages == [*got, *lender.express], (data, most, limit, got, list(lender.express))
    else:
        assert got == ["gone on"] and lender.counts[:3] == (0, 0, 0), (data, most, limit, got)
        assert b"".join([*lender._box, *unsealer.decrypted]) + left == data, (data, most, limit)


def _receive(compiled: Any, draw: random.Random) -> None:
    data = soup(draw, longest=draw.choice((200, 70_002)))
    most = draw.choice((1, 10, 1000, LITTLE, LITTLE + 1, MUCH))
    limit = draw.choice((None, None, draw.randrange(-2, 300), 65_536, 1 << 70))
    if draw.random() < 0.5:  # the first of the messages, as none comes alone by chance
        end = next((at for at in range(len(data)) if frames.cut_messages(data[:at], 0, None, [])[0]), len(data))
        data = data[:end]
    got: List[Any] = []
    with contextlib.ExitStack() as stack:
        here, there = _sockets(stack)
        data = data[: here.send(data)] if data else b""
        here.close()
        lender = Lender(compiled, there.fileno())
        lender._most, lender._connection.size_limit = (most,), limit
        lender._inbox.express = compiled.Row() if draw.random() < 0.8 else deque()
        compiled.Borrower(*slots()).receive(lender, got)
        left = b"".join(iter(lambda: there.recv(1 << 20), b""))
    if lender.told:
        assert got == ["gone on"], (data, most, limit, got)
        assert lender.counts[:3] == (0, 0, 0), lender.counts
        came = b"".join(lender._box)
    else:
        came = data[: lender.counts[2]]
        messages: List[Any] = []
        assert frames.cut_messages(came, 0, limit, messages) == (len(came), lender.counts[1]), (data, most, limit)
        assert messages == [*got, *lender.express], (data, most, limit, got, list(lender.express))
        assert lender.counts[0] == len(messages), lender.counts
    assert came + left == data, (data, most, limit, came, left)


def _receive_long(compiled: Any, draw: random.Random) -> None:
    """A message for whose end is waited, whether it comes or not: something more is sent before each wait."""
    payload = noise(draw, 1000) * draw.choice((300, 1049, 1500))
    data = b"\x82\x7f" + len(payload).to_bytes(8, "big") + payload
    end = draw.choice((len(data), draw.randrange(LITTLE, len(data))))
    got: List[Any] = []
    with contextlib.ExitStack() as stack:
        here, there = _sockets(stack)
        sent = here.send(data[:LITTLE])
        lender = Lender(compiled, there.fileno())

        def now() -> float:
            nonlocal sent
            with contextlib.suppress(BlockingIOError, OSError):  # there is enough, or no more to be sent
                sent += here.send(data[sent : min(end, sent + draw.randrange(1, 200_000))])
            if sent == end:
                here.close()
            return 5.0

        lender._now = now
        compiled.Borrower(*slots()).receive(lender, got)
    if end == len(data):
        assert got == [payload] and lender.counts[:3] == (1, len(payload), len(data)), (len(data), lender.counts)
    else:
        assert got == ["gone on"] and b"".join(lender._box) == data[:end], (len(data), end, got)


def _sockets(stack: contextlib.ExitStack) -> Tuple[socket.socket, socket.socket]:
    here, there = socket.socketpair()
    stack.enter_context(here)
    stack.enter_context(there)
    here.setblocking(False)
    return here, there


def _compare(compiled: Callable[..., Any], pure: Callable[..., Any], arguments: Tuple[Any, ...]) -> None:
    outcomes = _outcome(pure, arguments), _outcome(compiled, arguments)
    assert outcomes[0] == outcomes[1], (arguments, outcomes)


def _outcome(call: Callable[..., Any], arguments: Tuple[Any, ...]) -> Outcome:
    try:
        return ("gives", call(*arguments))
    except Exception as error:
        return ("raises", type(error))


def _size(draw: random.Random) -> int:
    if draw.random() < 0.02:
        return draw.choice((65_535, 65_536, 65_537, draw.randrange(200_000)))
    return draw.randrange(draw.choice((5, 40, 140, 2000)))


def _buffer(draw: random.Random, size: int) -> Any:
    data = noise(draw, size)
    kind = draw.randrange(6)
    if kind == 0:
        return data
    if kind == 1:
        return bytearray(data)
    if kind == 2 and size:
        return memoryview(data)[:: draw.choice((1, 1, 1, 2, -1))]
    exact = array.array("B", data)[:]  # a new array has room to grow, a slice of one has not
    return exact if kind < 5 else memoryview(exact)[draw.randrange(size + 1) :]


def _key(draw: random.Random) -> Optional[Any]:
    return noise(draw, 4) if draw.random() < 0.97 else draw.choice((b"", b"abc", b"abcde", None, "abcd", bytearray(4)))

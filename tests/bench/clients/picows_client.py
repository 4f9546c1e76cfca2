"""picows, by callbacks as its documentation advises; only where the loops wait for a message, through a future."""

from __future__ import annotations

import asyncio
import importlib
import importlib.metadata
import logging
from collections import deque
from typing import Any, Callable, Deque, Generator, List, Optional

from tests.bench.clients import orders
from tests.bench.clients.orders import Figures, Line, Meter, Order, Skip, clock
from tests.bench.clients.waiting import Waiting

__all__ = ["Client", "version"]

picows: Any = importlib.import_module("picows")
logging.disable(logging.WARNING)  # it warns of every full buffer

MUCH = 1024 * 1024
"""Its sends never wait: with this many bytes unsent, the event loop is given a turn."""

TEXT, BINARY, CLOSE = picows.WSMsgType.TEXT, picows.WSMsgType.BINARY, picows.WSMsgType.CLOSE


def version() -> str:
    """The version of the package."""
    return importlib.metadata.version("picows")


class _Listener(picows.WSListener):  # type: ignore[misc]  # the library is not there where the types are checked
    def __init__(self) -> None:
        self.take: Callable[[Any], object] = self.keep
        self.messages: Deque[Any] = deque()
        self.waiting: Optional[asyncio.Future[None]] = None

    def on_ws_frame(self, transport: Any, frame: Any) -> None:
        if frame.msg_type == CLOSE:
            transport.disconnect()
        else:
            self.take(frame)

    def keep(self, frame: Any) -> None:
        self.messages.append(_read(frame))
        if self.waiting is not None and not self.waiting.done():
            self.waiting.set_result(None)

    async def receive(self) -> Any:
        while not self.messages:
            self.waiting = asyncio.get_running_loop().create_future()
            await self.waiting
        return self.messages.popleft()


class _Turn:
    def __await__(self) -> Generator[None, None, None]:
        yield


def _read(frame: Any) -> Any:
    return frame.get_payload_as_utf8_text() if frame.msg_type == TEXT else frame.get_payload_as_bytes()


class Client(Waiting):
    """`ws_connect` with a listener."""

    async def open(self, order: Order, url: str) -> Line:
        if order.case.deflate:
            raise Skip("its callbacks do not inflate")
        transport, self._listener = await picows.ws_connect(
            _Listener, url, ssl_context=orders.context(order), max_frame_size=order.case.size + 1024
        )
        self._transport = transport
        kind = TEXT if order.case.text else BINARY

        async def send(message: Any) -> None:
            transport.send(kind, message.encode() if isinstance(message, str) else message)
            if transport.underlying_transport.get_write_buffer_size() > MUCH:
                await _Turn()

        async def close() -> None:
            transport.send_close(1000)
            await transport.wait_disconnected()

        return Line(send, self._listener.receive, close)

    async def stream(self, order: Order, line: Line, count: int) -> Meter:
        """The messages are made in the callback, and counted."""
        done = asyncio.get_running_loop().create_future()
        left = count
        text = order.case.text

        def take(frame: Any) -> None:
            nonlocal left
            frame.get_payload_as_utf8_text() if text else frame.get_payload_as_bytes()
            left -= 1
            if not left:
                done.set_result(None)

        self._listener.take = take
        with Meter() as meter:
            await line.send(order.word(count))
            await done
        return meter

    async def echo(self, order: Order) -> Figures:
        """The callback sends the next message."""
        line = await self.open(order, order.at("/echo"))
        [payload] = orders.messages(order.case)
        transport, done = self._transport, asyncio.get_running_loop().create_future()
        warm_up = orders.WARM_UP if order.case.size < 4096 else 5
        times: List[float] = []
        end = clock() + order.seconds
        before = clock()

        def take(frame: Any) -> None:
            nonlocal before
            frame.get_payload_as_bytes()
            after = clock()
            times.append(after - before)
            if after > end and len(times) >= 10 + warm_up:
                done.set_result(None)
                return
            before = clock()
            transport.send(BINARY, payload)

        self._listener.take = take
        transport.send(BINARY, payload)
        await done
        await line.close()
        return orders.as_latency(times[warm_up:])

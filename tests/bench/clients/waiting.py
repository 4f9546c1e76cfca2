"""The loops of a client of asyncio: those of `blocking`, with `await` in them."""

from __future__ import annotations

import asyncio
from typing import Any, List

from tests.bench.clients import orders
from tests.bench.clients.orders import Counts, Figures, Line, Meter, Order, Skip, clock

__all__ = ["Waiting"]


class Waiting:
    """A client of asyncio: a subclass says how it opens a connection. The calls of its `Line` are awaited."""

    def __init__(self) -> None:
        self.counts = Counts()

    async def open(self, order: Order, url: str) -> Line:
        """A new connection. Raises Skip for what the client cannot do."""
        raise NotImplementedError

    def run(self, order: Order) -> Figures:
        """Run the case in an event loop of its own."""
        method = getattr(self, order.case.kind, None)
        if method is None:
            raise Skip("not measured for a client of asyncio")
        figures: Figures = asyncio.run(self.begin(method(order)))
        return figures

    async def begin(self, case: Any) -> Any:
        """Run the case with what must be there around it."""
        return await case

    async def stream(self, order: Order, line: Line, count: int) -> Meter:
        """Ask for `count` messages and receive them."""
        message = None
        with Meter() as meter:
            await line.send(order.word(count))
            for _ in range(count):
                message = await line.receive()
        assert message is not None and len(message) == order.case.size, "a message of another length"
        return meter

    # -- kinds ---------------------------------------------------------------------------------------------------------

    async def echo(self, order: Order) -> Figures:
        """Round trips one after the other."""
        line = await self.open(order, order.at("/echo"))
        [payload] = orders.messages(order.case)
        times: List[float] = []
        warm_up = orders.WARM_UP if order.case.size < 4096 else 5
        end = clock() + order.seconds
        after = 0.0
        while after < end or len(times) < 10 + warm_up:
            before = clock()
            await line.send(payload)
            await line.receive()
            after = clock()
            times.append(after - before)
        await line.close()
        return orders.as_latency(times[warm_up:])

    async def receive(self, order: Order) -> Figures:
        """A stream of messages."""
        line = await self.open(order, order.at("/stream"))
        warm = await self.stream(order, line, self.counts.warm_up(order.case))
        count = self.counts.known(order) or self.counts.learn(order, warm.wall)
        meter = await self.stream(order, line, count)
        await line.close()
        return {"cpu": meter.cpu / count * 1e6}

    async def handlers(self, order: Order) -> Figures:
        """The same: its handlers are its callers."""
        return await self.receive(order)

    async def send(self, order: Order) -> Figures:
        """Many messages one way, until the server has counted them."""
        warm = (await self._send(order, self.counts.warm_up(order.case)))[0]
        count = self.counts.known(order) or self.counts.learn(order, warm.wall)
        meter, wire = await self._send(order, count)
        return {"cpu": meter.cpu / count * 1e6, "wire": wire / count}

    async def _send(self, order: Order, count: int) -> Any:
        line = await self.open(order, order.at("/count", count))
        payloads = orders.messages(order.case)
        batch = (payloads * (count // len(payloads) + 1))[:count]
        with Meter() as meter:
            for payload in batch:
                await line.send(payload)
            reply = await line.receive()
        await line.close()
        return meter, float(reply.split()[1])

    async def pipe(self, order: Order) -> Figures:
        """Round trips, with always `many` on their way."""
        line = await self.open(order, order.at("/echo"))
        warm = await self._pipe(order, line, self.counts.warm_up(order.case))
        count = self.counts.known(order) or self.counts.learn(order, warm.wall)
        meter = await self._pipe(order, line, count)
        await line.close()
        return {"cpu": meter.cpu / count * 1e6}

    async def _pipe(self, order: Order, line: Line, count: int) -> Meter:
        window = order.case.many
        [payload] = orders.messages(order.case)
        with Meter() as meter:
            for _ in range(window):
                await line.send(payload)
            for _ in range(count - window):
                await line.receive()
                await line.send(payload)
            for _ in range(window):
                await line.receive()
        return meter

    async def connect(self, order: Order) -> Figures:
        """Connections opened and closed, one after the other."""
        for _ in range(3):
            await (await self.open(order, order.at("/echo"))).close()
        done = 0
        with Meter() as meter:
            end = clock() + order.seconds
            while clock() < end or done < 5:
                await (await self.open(order, order.at("/echo"))).close()
                done += 1
        return {"cpu": meter.cpu / done * 1e6}

"""The loops of a client that blocks. A method is named as the kind of its cases, and returns figures."""

from __future__ import annotations

from typing import Any, List

from tests.bench.clients import orders
from tests.bench.clients.orders import Counts, Figures, Line, Meter, Order, Skip, clock

__all__ = ["Blocking"]


class Blocking:
    """A client that blocks: a subclass says how it opens a connection."""

    def __init__(self) -> None:
        self.counts = Counts()

    def open(self, order: Order, url: str) -> Line:
        """A new connection. Raises Skip for what the client cannot do."""
        raise NotImplementedError

    def prepare(self, message: Any) -> Any:
        """What `send` takes for this message; made before the clock runs."""
        return message

    def stream(self, order: Order, line: Line, count: int) -> Meter:
        """Ask for `count` messages and receive them."""
        go, receive = self.prepare(order.word(count)), line.receive
        message = None
        with Meter() as meter:
            line.send(go)
            for _ in range(count):
                message = receive()
        assert message is not None and len(message) == order.case.size, "a message of another length"
        return meter

    def run(self, order: Order) -> Figures:
        """Run the case."""
        figures: Figures = getattr(self, order.case.kind)(order)
        return figures

    # -- kinds ---------------------------------------------------------------------------------------------------------

    def echo(self, order: Order) -> Figures:
        """Round trips one after the other."""
        line = self.open(order, order.at("/echo"))
        send, receive = line.send, line.receive
        [payload] = [self.prepare(message) for message in orders.messages(order.case)]
        for _ in range(orders.WARM_UP if order.case.size < 4096 else 5):
            send(payload)
            receive()
        times: List[float] = []
        end = clock() + order.seconds
        after = 0.0
        while after < end or len(times) < 10:
            before = clock()
            send(payload)
            receive()
            after = clock()
            times.append(after - before)
        line.close()
        return orders.as_latency(times)

    def receive(self, order: Order) -> Figures:
        """A stream of messages."""
        line = self.open(order, order.at("/stream"))
        warm = self.stream(order, line, self.counts.warm_up(order.case))
        count = self.counts.known(order) or self.counts.learn(order, warm.wall)
        meter = self.stream(order, line, count)
        line.close()
        return {"cpu": meter.cpu / count * 1e6}

    def handlers(self, order: Order) -> Figures:
        """A stream of messages to handlers; for a client that has none, to the caller."""
        return self.receive(order)

    def send(self, order: Order) -> Figures:
        """Many messages one way, until the server has counted them."""
        warm = self._send(order, self.counts.warm_up(order.case))[0]
        count = self.counts.known(order) or self.counts.learn(order, warm.wall)
        meter, wire = self._send(order, count)
        return {"cpu": meter.cpu / count * 1e6, "wire": wire / count}

    def _send(self, order: Order, count: int) -> Any:
        line = self.open(order, order.at("/count", count))
        payloads = [self.prepare(message) for message in orders.messages(order.case)]
        batch = (payloads * (count // len(payloads) + 1))[:count]
        send = line.send
        with Meter() as meter:
            for payload in batch:
                send(payload)
            reply = line.receive()
        line.close()
        return meter, self.wire(reply)

    def wire(self, reply: Any) -> float:
        """The bytes of payload on the wire, out of the server's reply."""
        return float(reply.split()[1])

    def pipe(self, order: Order) -> Figures:
        """Round trips, with always `many` on their way."""
        line = self.open(order, order.at("/echo"))
        warm = self._pipe(order, line, self.counts.warm_up(order.case))
        count = self.counts.known(order) or self.counts.learn(order, warm.wall)
        meter = self._pipe(order, line, count)
        line.close()
        return {"cpu": meter.cpu / count * 1e6}

    def _pipe(self, order: Order, line: Line, count: int) -> Meter:
        send, receive, window = line.send, line.receive, order.case.many
        [payload] = [self.prepare(message) for message in orders.messages(order.case)]
        with Meter() as meter:
            for _ in range(window):
                send(payload)
            for _ in range(count - window):
                receive()
                send(payload)
            for _ in range(window):
                receive()
        return meter

    def connect(self, order: Order) -> Figures:
        """Connections opened and closed, one after the other."""
        for _ in range(3):
            self.open(order, order.at("/echo")).close()
        done = 0
        with Meter() as meter:
            end = clock() + order.seconds
            while clock() < end or done < 5:
                self.open(order, order.at("/echo")).close()
                done += 1
        return {"cpu": meter.cpu / done * 1e6}

    def idle(self, order: Order) -> Figures:
        """Connections that nobody uses. They stay open: the process ends after this."""
        count = order.case.many
        orders.allow_many_files(count)
        self.open(order, order.at("/echo")).close()
        memory, threads = orders.memory_and_threads()
        with Meter() as meter:
            self._idle = [self.open(order, order.at("/echo")) for _ in range(count)]
        memory_then, threads_then = orders.memory_and_threads()
        return {
            "rss": (memory_then - memory) / count,
            "threads": (threads_then - threads) / count,
            "cpu": meter.cpu / count * 1e6,
        }

    def callback(self, order: Order) -> Figures:
        """From the socket to a handler."""
        raise Skip("no handlers")

    callback_queue = callback

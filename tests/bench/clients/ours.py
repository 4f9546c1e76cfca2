"""wssync, with or without its accelerator: the process's environment says which."""

from __future__ import annotations

import threading
import time
from typing import Any, Callable, List, Optional

import wssync
from tests.bench.clients import orders
from tests.bench.clients.blocking import Blocking
from tests.bench.clients.orders import Figures, Line, Meter, Order, clock
from tests.bench.rows import MIB
from wssync.executors import QueueExecutor

__all__ = ["Client", "version"]

ANSWER_LIMIT = 30.0
"""Seconds after which a handler that did not run is a failure."""


def version() -> str:
    """The version of the package."""
    return wssync.__version__


class Client(Blocking):
    """The default configuration, but for the compression and for messages over the default limit."""

    def open(self, order: Order, url: str) -> Line:
        task = self.connect_task(order, url)
        return Line(task.send, task.receive, task.close)

    def connect_task(self, order: Order, url: str, executor: Any = None) -> wssync.WebSocketTask:
        """A new connection; its callbacks run on `executor`, by default on the session's own."""
        configuration = wssync.SessionConfiguration.ephemeral().replace(
            compression="deflate" if order.case.deflate else None, ssl_context=orders.context(order)
        )
        if order.case.size > MIB:
            configuration = configuration.replace(maximum_message_size=None)
        return wssync.connect(url, configuration=configuration, executor=executor)

    # -- handlers ------------------------------------------------------------------------------------------------------

    def handlers(self, order: Order) -> Figures:
        """A stream of messages to `receive_each`, whose handler counts them, while the caller waits for the last."""
        warm = self._handle(order, self.counts.warm_up(order.case))
        count = self.counts.known(order) or self.counts.learn(order, warm.wall)
        return {"cpu": self._handle(order, count).cpu / count * 1e6}

    def _handle(self, order: Order, count: int) -> Meter:
        task = self.connect_task(order, order.at("/stream"))
        done = threading.Event()
        left = count

        def handle(result: wssync.Result) -> None:
            nonlocal left
            if result.error is None:
                left -= 1
                if not left:
                    done.set()

        task.receive_each(handle)
        with Meter() as meter:
            task.send(order.word(count))
            finished = done.wait(ANSWER_LIMIT)
        task.close()
        assert finished, f"{left} of {count} messages did not come"
        return meter

    def callback(self, order: Order) -> Figures:
        """From the server's sending to the handler's running, on the session's own SerialExecutor."""
        return self._answer_times(order, None)

    def callback_queue(self, order: Order) -> Figures:
        """The same on a QueueExecutor, pumped by a thread that stands for the loop of a GUI."""
        executor, ended = QueueExecutor(), threading.Event()

        def pump() -> None:
            while not ended.is_set():
                executor.run_pending(None)

        loop = threading.Thread(target=pump, daemon=True)
        loop.start()
        try:
            return self._answer_times(order, executor)
        finally:
            ended.set()
            executor.submit(lambda: None)
            loop.join()

    def _answer_times(self, order: Order, executor: Optional[QueueExecutor]) -> Figures:
        task = self.connect_task(order, order.at("/stamp"), executor)
        times: List[float] = []
        answered = threading.Semaphore(0)
        now: Callable[[], int] = time.monotonic_ns

        def handle(result: wssync.Result) -> None:
            arrived = now()
            if result.error is None:
                times.append((arrived - int(result.get())) / 1e9)
                answered.release()

        task.receive_each(handle)
        end = clock() + order.seconds
        while clock() < end or len(times) < 2 * orders.WARM_UP:
            task.send(b"?")
            assert answered.acquire(timeout=ANSWER_LIMIT), "an answer did not come"
        task.close()
        return orders.as_latency(times[orders.WARM_UP :])

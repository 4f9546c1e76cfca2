"""Tasks beside `concurrent.futures` and `asyncio`: calls that are awaited, answers that come from a loop, and
`receive_each` on the executors that those have.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from typing import Any, Awaitable, Callable, List, Set, TypeVar

import wssync
from tests.opening.support import SECRET, password
from tests.tasks import PATIENCE, Box, OnlineTestCase, Running, texts
from wssync.executors import SerialExecutor
from wssync.testing import at, basic, redirect, script

T = TypeVar("T")


class LoopExecutor:
    """Callbacks on the thread of a running asyncio loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop

    def submit(self, fn: Callable[..., object], /, *args: Any) -> None:
        """Let the loop call it."""
        self.loop.call_soon_threadsafe(fn, *args)


class LoopTestCase(OnlineTestCase):
    """A test with a loop that runs on a thread of its own, and a pool."""

    def setUp(self) -> None:
        self.loop = asyncio.new_event_loop()
        thread = threading.Thread(target=self.loop.run_forever)
        thread.start()
        self.pool = ThreadPoolExecutor(4)
        self.addCleanup(self.loop.close)
        self.addCleanup(thread.join, PATIENCE)
        self.addCleanup(self.loop.call_soon_threadsafe, self.loop.stop)
        self.addCleanup(self.pool.shutdown)

    def run_in_loop(self, work: Awaitable[T]) -> T:
        """What comes of a coroutine."""

        async def bounded() -> T:
            return await asyncio.wait_for(work, PATIENCE)

        return asyncio.run_coroutine_threadsafe(bounded(), self.loop).result(2 * PATIENCE)


class AwaitingTests(LoopTestCase):
    """Every call of a task can be awaited: the loop goes on meanwhile."""

    def test_blocking_calls_on_a_pool(self) -> None:
        """`asyncio.wrap_future(pool.submit(task.receive))`, and `run_in_executor`, which is the same."""
        task, peer = self.pair()

        async def main() -> List[object]:
            receiving = asyncio.wrap_future(self.pool.submit(task.receive))
            await asyncio.wrap_future(self.pool.submit(len, ""))
            self.assertFalse(receiving.done())
            peer.send("one")
            first = await receiving
            peer.send("two")
            return [first, await self.loop.run_in_executor(self.pool, task.receive)]

        self.assertEqual(self.run_in_loop(main()), ["one", "two"])

    def test_handlers_that_fulfil_a_future(self) -> None:
        """No pool is needed: the handler answers a `Future`, with the message or the error."""
        task = self.connect()

        def receive() -> Future[Any]:
            future: Future[Any] = Future()

            def handle(result: wssync.Result) -> None:
                try:
                    future.set_result(result.get())
                except wssync.WebSocketError as error:
                    future.set_exception(error)

            task.receive(handle)
            return future

        async def main() -> object:
            sent: Future[object] = Future()
            ponged: Future[object] = Future()
            receiving = asyncio.wrap_future(receive())
            task.send("hello", sent.set_result)
            task.send_ping(ponged.set_result)
            self.assertEqual([await asyncio.wrap_future(future) for future in (sent, ponged)], [None, None])
            self.assertEqual(await receiving, "hello")
            failing = asyncio.wrap_future(receive())
            task.cancel()
            return await failing

        with self.assertRaises(wssync.Cancelled) as caught:
            self.run_in_loop(main())
        self.assertIs(caught.exception, task.error)

    def test_a_loop_that_gives_up(self) -> None:
        """The future is cancelled, the call goes on: nothing is lost, and `cancel()` sets the pool's thread free."""
        task, peer = self.pair()
        receiving = self.pool.submit(task.receive)
        later = self.pool.submit(task.receive)

        async def main() -> None:
            await asyncio.wait_for(asyncio.wrap_future(receiving), 0.01)

        with self.assertRaises(asyncio.TimeoutError):
            self.run_in_loop(main())
        peer.send("one")
        peer.send("two")
        self.assertEqual({receiving.result(PATIENCE), later.result(PATIENCE)}, {"one", "two"})
        last = self.pool.submit(task.receive)
        task.cancel()
        self.assertIsInstance(last.exception(PATIENCE), wssync.Cancelled)

    def test_several_tasks_at_once(self) -> None:
        """`as_completed`: whoever answers first."""
        pairs = [self.pair() for _ in range(3)]
        futures = {self.pool.submit(task.receive): number for number, (task, _) in enumerate(pairs)}
        for number in (2, 0, 1):
            pairs[number][1].send(str(number))
        done = {futures[future]: future.result() for future in as_completed(futures, PATIENCE)}
        self.assertEqual(done, {0: "0", 1: "1", 2: "2"})

    def test_the_executor_of_a_session(self) -> None:
        """`SerialExecutor` is a `concurrent.futures.Executor`: what runs there can be awaited like callbacks."""
        executor = SerialExecutor()
        self.addCleanup(executor.shutdown)
        task = self.connect(executor=executor)
        names: List[str] = []
        task.send("x", lambda error: names.append(threading.current_thread().name))

        async def main() -> str:
            return await asyncio.wrap_future(executor.submit(lambda: threading.current_thread().name))

        task.send("y")
        name = self.run_in_loop(main())
        self.assertTrue(name.startswith("wssync-session-"))
        self.assertEqual(names, [name])


class AnsweringTests(LoopTestCase):
    """A delegate's answer that is a future: a dialog in a loop takes a minute, and the opening waits for that alone."""

    def challenged(self, answer: Callable[[], Any], executor: Any = None) -> wssync.WebSocketTask:
        """A task that has asked for a password, or was opened."""

        class Delegate:
            """Has one method, and answers by it."""

            def did_receive_challenge(self, *_: object) -> Any:
                return answer()

        server = self.serve(opening=basic("user", SECRET))
        task = self.session(delegate=Delegate(), executor=executor).websocket_task(server.url)
        task.resume()
        return task

    def opens(self, answer: Callable[[], Any], executor: Any = None) -> None:
        """It opens with what was answered, and goes on."""
        task = self.challenged(answer, executor)
        task.wait_until_open(PATIENCE)
        task.send("hello")
        self.assertReceives(task, "hello")

    async def dialog(self) -> Any:
        """Asks a user, who thinks."""
        await asyncio.wrap_future(self.pool.submit(len, ""))
        return password()

    def test_a_coroutine_of_a_loop(self) -> None:
        """Rules 67 and 68: `asyncio.run_coroutine_threadsafe` gives such a future, from any thread."""
        self.opens(lambda: asyncio.run_coroutine_threadsafe(self.dialog(), self.loop))

    def test_work_of_a_pool(self) -> None:
        """Rules 67 and 68: and so does `submit` of every executor."""
        self.opens(lambda: self.pool.submit(password))

    def test_a_task_of_the_loop_that_runs_the_callbacks(self) -> None:
        """Rules 67 and 68: asyncio's own futures belong to their loop's thread; there they are as good."""
        self.opens(lambda: asyncio.ensure_future(self.dialog()), LoopExecutor(self.loop))

    def test_a_dialog_that_is_closed(self) -> None:
        """Rule 70: a cancelled future is the user's "no", of asyncio too."""
        cancelled: List[Callable[[], Any]] = [
            lambda: self.pool.submit(self._cancelled_future).result(PATIENCE),
            lambda: asyncio.run_coroutine_threadsafe(self._close(), self.loop),
        ]
        for answer in cancelled:
            task = self.challenged(answer)
            with self.assertRaises(wssync.Cancelled):
                task.wait_until_open(PATIENCE)

    def _cancelled_future(self) -> Future[Any]:
        future: Future[Any] = Future()
        future.cancel()
        return future

    async def _close(self) -> None:
        raise asyncio.CancelledError

    def test_nothing_else_waits(self) -> None:
        """Promise 7: while a dialog stands, other tasks of the session open, and the executor is free."""
        answered: Future[Any] = Future()
        asked = threading.Event()

        class Delegate:
            """Is asked for a password, and for nothing else."""

            def did_receive_challenge(self, *_: object) -> Any:
                asked.set()
                return answered

        closed = self.serve(opening=at("/closed", basic("user", SECRET)))
        session = self.session(delegate=Delegate())
        waiting = session.websocket_task(closed.url_for("/closed"))
        waiting.resume()
        self.assertTrue(asked.wait(PATIENCE))
        other = session.websocket_task(closed.url_for("/"))
        other.resume()
        told = Box()
        other.receive(lambda result: told(result.get()))
        other.send("free")
        self.assertEqual(told.wait(), ["free"])
        self.assertFalse(waiting._connection.opened.is_set())
        answered.set_result(password())
        waiting.wait_until_open(PATIENCE)

    def test_the_tasks_own_delegate_answers_first(self) -> None:
        """Rule 190: one that has only this method answers it by a future, the session's hears of all else."""
        heard: List[str] = []

        class Own:
            """Has an answer to redirects."""

            def will_perform_http_redirection(_, session: object, task: object, response: object, request: Any) -> Any:
                heard.append("own")
                return self.pool.submit(lambda: request)

        class Other:
            """Has another, which is not asked for, and hears of the opening."""

            def will_perform_http_redirection(self, *_: object) -> None:
                heard.append("other")

            def did_open(self, *_: object) -> None:
                heard.append("open")

        server = self.serve(opening=at("/old", redirect("/new")))
        task = self.session(delegate=Other()).websocket_task(server.url_for("/old"))
        task.delegate = Own()
        task.resume()
        task.wait_until_open(PATIENCE)
        task.close()
        self.session_is_idle(task)
        self.assertEqual(heard, ["own", "open"])

    def session_is_idle(self, task: wssync.WebSocketTask) -> None:
        """Wait until the last callback has run."""
        done = threading.Event()
        task._connection.strand.put(done.set)
        task._connection.strand.kick()
        self.assertTrue(done.wait(PATIENCE))


class EachTests(LoopTestCase):
    """`receive_each`, on executors whose threads could do it wrong."""

    COUNT = 500

    def flooding(self, executor: Any) -> wssync.WebSocketTask:
        """A task whose peer sends so many numbered messages and closes."""
        self.serve(script(map(str, range(self.COUNT))))
        return self.connect(self.server.url, executor=executor)

    def check(self, results: List[wssync.Result]) -> None:
        """All in order, then one error, and nothing behind it."""
        self.assertEqual([result.message for result in results[:-1]], [str(number) for number in range(self.COUNT)])
        self.assertEqual([result.error is not None for result in results], [False] * self.COUNT + [True])

    def test_a_pool(self) -> None:
        """Promises 1 and 3: never two at once, in order, whatever thread it is."""
        results: List[wssync.Result] = []
        inside: Set[int] = set()
        over = threading.Event()
        task = self.flooding(self.pool)

        def handle(result: wssync.Result) -> None:
            self.assertEqual(len(inside), 0)
            inside.add(threading.get_ident())
            results.append(result)
            inside.clear()
            if result.error is not None:
                over.set()

        task.receive_each(handle)
        self.assertTrue(over.wait(PATIENCE))
        self.check(results)

    def test_a_loop(self) -> None:
        """On the loop's thread alone."""
        results: List[wssync.Result] = []
        threads: Set[int] = set()
        over = threading.Event()
        task = self.flooding(LoopExecutor(self.loop))

        def handle(result: wssync.Result) -> None:
            threads.add(threading.get_ident())
            results.append(result)
            if result.error is not None:
                over.set()

        task.receive_each(handle)
        self.assertTrue(over.wait(PATIENCE))
        self.check(results)
        self.assertEqual(len(threads), 1)

    def test_a_handler_that_raises(self) -> None:
        """Promise 6: it is logged, and the next message comes all the same, up to the error."""
        results: List[wssync.Result] = []
        over = threading.Event()
        task, peer = self.pair()

        def handle(result: wssync.Result) -> None:
            results.append(result)
            if result.error is not None:
                over.set()
            raise ZeroDivisionError

        with self.assertLogs("wssync", "ERROR") as logs:
            task.receive_each(handle)
            peer.send_raw(texts(b"1", b"2", b"3"))
            Running(lambda: peer.close(1000)).result()
            self.assertTrue(over.wait(PATIENCE))
            task._join()
            self.session_is_idle(task)
        self.assertEqual([result.message for result in results], ["1", "2", "3", None])
        self.assertEqual(len([line for line in logs.output if "ZeroDivisionError" in line]), 4)

    def session_is_idle(self, task: wssync.WebSocketTask) -> None:
        """Wait until the last callback has run."""
        done = threading.Event()
        task._connection.strand.put(done.set)
        task._connection.strand.kick()
        self.assertTrue(done.wait(PATIENCE))

    def test_a_handler_that_calls(self) -> None:
        """It may call any method, the blocking ones too; receiving is refused to it as to all."""
        echoed: List[object] = []
        refused: List[BaseException] = []
        over = threading.Event()
        task = self.connect()

        def handle(result: wssync.Result) -> None:
            if result.error is not None:
                over.set()
                return
            echoed.append(result.message)
            try:
                task.receive(timeout=0)
            except RuntimeError as error:
                refused.append(error)
            if len(echoed) < 5:
                task.send(f"{len(echoed)}")
            else:
                task.send_ping(timeout=PATIENCE)
                task.close()

        task.receive_each(handle)
        task.send("0")
        self.assertTrue(over.wait(PATIENCE))
        self.assertEqual((echoed, len(refused)), (["0", "1", "2", "3", "4"], 5))
        self.assertIsNone(task.error)

    def test_a_handler_that_cancels(self) -> None:
        """One last call, with `Cancelled`; another `receive_each` then gets that at once, once."""
        results: List[wssync.Result] = []
        over = threading.Event()
        task, peer = self.pair(executor=self.pool)

        def handle(result: wssync.Result) -> None:
            results.append(result)
            if result.error is not None:
                over.set()
            else:
                task.cancel()

        task.receive_each(handle)
        peer.send("one")
        self.assertTrue(over.wait(PATIENCE))
        self.session_is_idle(task)
        self.assertEqual([result.message for result in results], ["one", None])
        self.assertIs(results[-1].error, task.error)
        told = Box()
        task.receive_each(told)
        self.assertEqual([result.error for result in told.wait()], [task.error])

    def test_suspended_meanwhile(self) -> None:
        """Rule 25: nothing is given while the task is suspended; then all of it."""
        told = Box()
        task, peer = self.pair()
        task.receive_each(lambda result: told(result.message))
        peer.send("one")
        told.wait()
        task.suspend()
        peer.send("two")
        self.session_is_idle(task)
        self.assertEqual(told.values, ["one"])
        task.resume()
        self.assertEqual(told.wait(2), ["one", "two"])

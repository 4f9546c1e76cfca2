"""Random schedules: two callers, a peer and a director, each with a list of things to do that one seed determines, all
at once on one task.

How the threads interleave is the operating system's affair; what they do is not, so a seed that finds something finds
it again after a few runs. At the end the director ends the task, in one of all the ways there are, and every promise of
the library is looked at in the record (`notes`).
"""

from __future__ import annotations

import contextlib
import logging
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Dict, Iterator, List, Optional

import wssync
from tests.stress.notes import Call, Notes, is_free
from tests.tasks import BAD_FRAME, HAS_TRUSTME, PATIENCE, InlineExecutor
from wssync.executors import QueueExecutor
from wssync.protocol.frames import Opcode
from wssync.session import Session
from wssync.testing import Server, ServerConnection

__all__ = ["Ground", "Schedule", "run_schedules"]

ACTS = ("send", "send", "send", "receive", "receive", "receive", "ping", "pong", "suspend", "size", "nested")
RARE_ACTS = ("cancel", "cancel_code", "close", "each", "iterate")
PEER_ACTS = ("message", "message", "message", "burst", "fragments", "ping", "pong", "big")
PEER_ENDS = ("close", "fault", "drop", "abort")
ENDS = ("cancel", "cancel_code", "close", "close_none", "peer_close", "peer_fault", "peer_drop", "peer_abort")
EXECUTORS = ("serial", "inline", "pool of 4", "pool of 32", "queue")
TIMEOUTS = (0, 0, 0.0005, 0.002, None)

MOMENT = 0.005
"""Seconds that the director lets the callers go on before it ends the task; nothing is asserted about it."""


class Peer:
    """The other end of one schedule, on a connection of the test server."""

    def __init__(self, *, refuses: bool, reads: bool) -> None:
        self.refuses = refuses
        self.reads = reads
        self.sent: List[object] = []
        self.uncertain = False
        self.delivered: List[object] = []
        self.connected = threading.Event()
        self.over = threading.Event()
        self.done = threading.Event()
        self.connection: Optional[ServerConnection] = None
        self._sending = threading.Lock()

    def open(self, connection: ServerConnection) -> None:
        """Answer the request."""
        if self.refuses:
            connection.respond(404)
            self.over.set()
            return
        self.connection = connection
        connection.accept()
        self.connected.set()

    def serve(self, connection: ServerConnection) -> None:
        """Take what comes, if this peer reads at all."""
        try:
            if not self.reads:
                self.done.wait(PATIENCE)
            while True:
                self.delivered.append(connection.receive())
        finally:
            self.over.set()

    def send(self, message: object, how: Callable[[], None]) -> None:
        """Note a message and send it; on an ended connection it may have gone or not."""
        with self._sending:
            self.sent.append(message)
            try:
                how()
            except wssync.ConnectionClosed:
                self.uncertain = True


class Ground:
    """What the schedules of one run share: servers, pools, a thread that runs the queues."""

    def __init__(self, *, tls: bool = False) -> None:
        self.tls = tls
        self.peers: Dict[str, Peer] = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Ground:
        self.server = self._stack.enter_context(Server(self._serve, tls=self.tls, opening=self._open))
        self.context = self.server.client_ssl_context
        self.pools = {
            size: self._stack.enter_context(ThreadPoolExecutor(size, thread_name_prefix="pool")) for size in (4, 32)
        }
        logger = logging.getLogger("wssync")
        self._stack.callback(logger.setLevel, logger.level)
        logger.setLevel(logging.CRITICAL + 1)
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def _open(self, connection: ServerConnection) -> None:
        self.peers[connection.request.target].open(connection)

    def _serve(self, connection: ServerConnection) -> None:
        self.peers[connection.request.target].serve(connection)


class Schedule:
    """One schedule; `run` returns what it found."""

    def __init__(self, ground: Ground, seed: int) -> None:
        self.random = random.Random(seed)
        self.seed = seed
        self._ground = ground
        choose = self.random
        self.executor_kind = choose.choice(EXECUTORS)
        self.notes = Notes(inline=self.executor_kind == "inline")
        self.peer = Peer(refuses=choose.random() < 0.03, reads=choose.random() < 0.9)
        self._path = f"/{seed}"
        self._abrupt = False
        self._fatal = False
        self._stop = threading.Event()

    # -- running -------------------------------------------------------------------------------------------------------

    def run(self) -> List[str]:
        """Play it and judge it."""
        ground = self._ground
        ground.peers[self._path] = self.peer
        with self._executor() as executor:
            session = Session(self._configuration(), delegate=self._delegate(), executor=executor)
            self.task = session.websocket_task(ground.server.url[:-1] + self._path)
            threads = self._cast()
            try:
                self._direct(threads)
                self._finish(session, threads)
            finally:
                self._stop.set()
        del ground.peers[self._path]
        return self.notes.judge(self.peer.sent, self.peer.delivered, whole=self._is_whole())

    def _configuration(self) -> wssync.SessionConfiguration:
        choose = self.random
        return wssync.SessionConfiguration.ephemeral().replace(
            ssl_context=self._ground.context,
            close_timeout=PATIENCE,
            compression=choose.choice(("deflate", None)),
            max_queue=choose.choice(((16, 4 * 2**20), (1, None), (3, 1000), None)),
            write_limit=choose.choice((1, 100, 2**24)),
        )

    @contextlib.contextmanager
    def _executor(self) -> Iterator[Any]:
        kind = self.executor_kind
        if kind == "serial":
            yield None
        elif kind == "inline":
            yield InlineExecutor()
        elif kind == "queue":
            with self._pumped() as executor:
                yield executor
        else:
            yield self._ground.pools[4 if kind == "pool of 4" else 32]

    @contextlib.contextmanager
    def _pumped(self) -> Iterator[QueueExecutor]:
        executor = QueueExecutor()

        def pump() -> None:
            while not over.is_set():
                executor.run_pending(timeout=None)

        over = threading.Event()
        thread = threading.Thread(target=pump, name="pump", daemon=True)
        thread.start()
        try:
            yield executor
        finally:
            over.set()
            executor.submit(lambda: None)
            thread.join(PATIENCE)

    def _delegate(self) -> Any:
        names = ("did_open", "did_close", "did_complete")
        return type("Delegate", (), {name: staticmethod(self.notes.method(name)) for name in names})

    def _cast(self) -> List[threading.Thread]:
        """The threads of the two callers and of the peer, with their parts learned."""
        choose = self.random
        parts: List[Callable[[], None]] = []
        for actor in ("A", "B"):
            acts = [choose.choice(ACTS if choose.random() < 0.96 else RARE_ACTS) for _ in range(choose.randint(2, 9))]
            parts.append(self._part(actor, acts, random.Random(choose.random())))
        acts = [choose.choice(PEER_ACTS) for _ in range(choose.randint(0, 9))]
        if choose.random() < 0.2:
            acts.append(choose.choice(PEER_ENDS))
        parts.append(self._peer_part(acts, random.Random(choose.random())))
        return [threading.Thread(target=part, name=f"caller-{self.seed}", daemon=True) for part in parts]

    def _direct(self, threads: List[threading.Thread]) -> None:
        choose = self.random
        early = choose.random() < 0.2
        if not early:
            self.task.resume()
        for thread in threads:
            thread.start()
        if early:
            self.task.resume()
        patience = time.monotonic() + MOMENT * choose.choice((0, 0.1, 1, 1, 1))
        for thread in threads:
            thread.join(max(0.0, patience - time.monotonic()))
        end = choose.choice(ENDS)
        if end.startswith("peer_"):
            if self._wait_for_peer():
                self._peer_act(end[5:], choose)
        else:
            self._act(end, "director", choose)

    def _finish(self, session: Session, threads: List[threading.Thread]) -> None:
        """Wait for the end, which cancelling brings about where nothing else does; then nothing may be left."""
        task, notes = self.task, self.notes
        try:
            task.wait_until_closed(MOMENT * 2)
        except TimeoutError:
            self._abrupt = True
            task.cancel()
        self.peer.done.set()
        begin = time.monotonic()
        task.close()
        if time.monotonic() - begin > PATIENCE / 2:
            notes.find("ending took too long")
        for thread in threads:
            thread.join(PATIENCE)
            if thread.is_alive():
                notes.find("a blocking call never returned")
        self._drain()
        if not notes.completed.wait(PATIENCE):
            notes.find("did_complete never came")
        missing = notes.wait_until_idle(PATIENCE)
        if missing:
            notes.find(missing)
        if self.peer.connected.is_set() and not self.peer.over.wait(PATIENCE):
            notes.find("the peer's side never ended")
        session.invalidate_and_cancel()
        self._look_round()

    def _drain(self) -> None:
        """Receive what is still there."""
        for _ in range(10_000):
            call = self._blocking("director", "receive")
            try:
                call.outcomes.append((0, self.task.receive(timeout=PATIENCE)))
            except wssync.WebSocketError as error:
                if error is not self.task.error and self.task.error is not None:
                    self.notes.find(f"the last error is {error!r}, task.error {self.task.error!r}")
                return
            except RuntimeError:  # receive_each stands: it has not heard of the end yet
                self.notes.completed.wait(PATIENCE)

    def _look_round(self) -> None:
        """All roles are free, and the thread is gone."""
        connection = self.task._connection
        thread = connection.thread
        if thread is not None and thread.is_alive():
            self.notes.find("the connection's thread is alive")
        if not connection.outbox.role.attempt(lambda: None):
            self.notes.find("the write role is not free")
        if not is_free(connection.mutex):
            self.notes.find("the mutex is held")
        if connection.stream is not None and connection.reader is not None:
            self.notes.find("the reader is still there")

    def _is_whole(self) -> bool:
        """Whether nothing may be missing: the peer's Close or fault came behind its messages, and nobody cut it."""
        task = self.task
        if self.peer.uncertain or self._abrupt or self._fatal:
            return False
        return task.error is None and not task._connection.closing_asked

    # -- the callers ---------------------------------------------------------------------------------------------------

    def _part(self, actor: str, acts: List[str], choose: random.Random) -> Callable[[], None]:
        def play() -> None:
            for act in acts:
                self._act(act, actor, choose)

        return play

    def _act(self, act: str, actor: str, choose: random.Random) -> None:
        try:
            getattr(self, f"_{act}")(actor, choose)
        except (wssync.WebSocketError, TimeoutError):
            pass
        except RuntimeError as error:
            if "never resumed" not in str(error) and "receive_each" not in str(error):
                self.notes.find(f"{act} raised {error!r}")
        except Exception as error:
            self.notes.find(f"{act} raised {error!r}")

    def _blocking(self, actor: str, kind: str) -> Call:
        call = self.notes.begin(actor, kind)
        call.blocking = True
        return call

    def _send(self, actor: str, choose: random.Random) -> None:
        padding = "x" * choose.choice((0, 0, 0, 10, 1000, 70_000, 300_000))
        if choose.random() < 0.5:
            call = self.notes.begin(actor, "send")
            text = f"{actor}:{call.number} {padding}"
            self.notes.register(call, lambda handler: self.task.send(text, handler), self.task)
            return
        call = self._blocking(actor, "send")
        try:
            self.task.send(f"{actor}:{call.number} {padding}", timeout=choose.choice(TIMEOUTS))
        except TimeoutError as error:
            call.outcomes.append((0, error))
            raise

    def _receive(self, actor: str, choose: random.Random) -> None:
        if choose.random() < 0.5:
            call = self.notes.begin(actor, "receive")
            self.notes.register(call, self.task.receive, self.task)
        else:
            call = self._blocking(actor, "receive")
            call.outcomes.append((0, self.task.receive(timeout=choose.choice(TIMEOUTS))))

    def _ping(self, actor: str, choose: random.Random) -> None:
        if choose.random() < 0.7:
            call = self.notes.begin(actor, "ping")
            self.notes.register(call, self.task.send_ping, self.task)
        else:
            self.task.send_ping(timeout=choose.choice((0, 0.001, 0.005)))

    def _pong(self, actor: str, choose: random.Random) -> None:
        self.task.send_pong(actor.encode())

    def _suspend(self, actor: str, choose: random.Random) -> None:
        self.task.suspend()
        self._act(
            choose.choice(("receive", "send", "ping", "pong")) if choose.random() < 0.2 else "pong", actor, choose
        )
        self.task.resume()

    def _size(self, actor: str, choose: random.Random) -> None:
        self.task.maximum_message_size = choose.choice((None, 2**20))

    def _nested(self, actor: str, choose: random.Random) -> None:
        """A handler that asks for the next message, and then raises."""
        call = self.notes.begin(actor, "receive")
        again = self.notes.begin(f"the handler of {call.number}", "receive")

        def arm(handler: Callable[[object], None]) -> None:
            def first(result: object) -> None:
                with self.notes.unsettled():
                    handler(result)
                    self.notes.register(again, self.task.receive, self.task)
                raise ZeroDivisionError

            self.task.receive(first)

        self.notes.register(call, arm, self.task)

    def _each(self, actor: str, choose: random.Random) -> None:
        call = self.notes.begin(actor, "each")
        self.notes.register(call, self.task.receive_each, self.task)

    def _iterate(self, actor: str, choose: random.Random) -> None:
        call = self._blocking(actor, "receive")
        for message in self.task:
            call.outcomes.append((0, message))

    def _cancel(self, actor: str, choose: random.Random) -> None:
        self._fatal = True
        self.task.cancel()

    def _cancel_code(self, actor: str, choose: random.Random) -> None:
        self.task.cancel(choose.choice((1000, 1001, 4321)), choose.choice((None, "bye")))

    def _close(self, actor: str, choose: random.Random) -> None:
        self.task.close(choose.choice((1000, 3000)), timeout=choose.choice((0, 0.001, 0.05)))

    def _close_none(self, actor: str, choose: random.Random) -> None:
        self.task.close(None, timeout=choose.choice((0.001, 0.05)))

    # -- the peer ------------------------------------------------------------------------------------------------------

    def _peer_part(self, acts: List[str], choose: random.Random) -> Callable[[], None]:
        def play() -> None:
            if self._wait_for_peer():
                for act in acts:
                    self._peer_act(act, choose)

        return play

    def _wait_for_peer(self) -> bool:
        """Wait until the peer is connected; false if it is not, or not soon."""
        for _ in range(20):
            if self.peer.connected.wait(MOMENT):
                return True
            if self.peer.refuses or self._stop.is_set() or self.task.state is wssync.TaskState.COMPLETED:
                return False
        return False

    def _peer_act(self, act: str, choose: random.Random) -> None:
        connection = self.peer.connection
        assert connection is not None
        try:
            getattr(self, f"_peer_{act}")(connection, choose)
        except (wssync.ConnectionClosed, OSError):
            pass

    def _number(self) -> int:
        return len(self.peer.sent)

    def _peer_message(self, connection: ServerConnection, choose: random.Random) -> None:
        text = f"message {self._number()} {choose.random()}"
        message: Any = text if choose.random() < 0.7 else text.encode()
        self.peer.send(message, lambda: connection.send(message))

    def _peer_big(self, connection: ServerConnection, choose: random.Random) -> None:
        message = f"big {choose.random()} " + "y" * choose.choice((1000, 70_000, 200_000))
        self.peer.send(message, lambda: connection.send(message))

    def _peer_burst(self, connection: ServerConnection, choose: random.Random) -> None:
        for _ in range(choose.randint(2, 30)):
            self._peer_message(connection, choose)

    def _peer_fragments(self, connection: ServerConnection, choose: random.Random) -> None:
        parts = [f"part {choose.random()}", "\u20ac", "", "end"]
        self.peer.send("".join(parts), lambda: connection.send_fragments(parts))

    def _peer_ping(self, connection: ServerConnection, choose: random.Random) -> None:
        connection.ping(b"?")

    def _peer_pong(self, connection: ServerConnection, choose: random.Random) -> None:
        connection.pong(b"!")

    def _peer_close(self, connection: ServerConnection, choose: random.Random) -> None:
        connection.close(choose.choice((1000, 1001, 1011, 4000)), "enough", timeout=0.05)

    def _peer_fault(self, connection: ServerConnection, choose: random.Random) -> None:
        connection.send_raw(choose.choice((BAD_FRAME, b"\x81\x01\xff", bytes([0x80 | Opcode.CONTINUATION, 0]))))

    def _peer_drop(self, connection: ServerConnection, choose: random.Random) -> None:
        connection.drop()

    def _peer_abort(self, connection: ServerConnection, choose: random.Random) -> None:
        connection.abort()


def run_schedules(seeds: Iterator[int], *, tls: bool = False, until: Optional[float] = None) -> Dict[int, List[str]]:
    """Run the schedules of these seeds, until the clock shows `until`; seed -> findings."""
    results: Dict[int, List[str]] = {}
    with Ground(tls=tls and HAS_TRUSTME) as ground:
        for seed in seeds:
            if until is not None and time.monotonic() > until:
                break
            results[seed] = Schedule(ground, seed).run()
    return results

"""The trace: who hears of an event, what of it may be seen, and that frames are told as they go by."""

from __future__ import annotations

import ast
import logging
import random
import subprocess
import sys
import unittest
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Tuple
from unittest import mock

import wssync
from tests.architecture import ROOT, modules_below
from tests.clock import StillClock
from tests.engine.support import Rig, accepting, frames_in
from tests.protocol.wire import BINARY, CLOSE, CONTINUATION, PING, TEXT, frame, header
from tests.support import cases, with_cases
from tests.threads import is_held
from wssync.engine import tracing
from wssync.engine.tracing import EVENTS, FrameWatch, Tracer, make_tracer, masked
from wssync.metrics.collector import Collector
from wssync.protocol.closing import encode_close
from wssync.protocol.deflate import DeflateOptions
from wssync.protocol.frames import Opcode

FOR_METRICS = {"request", "response"}
"""Fields that nobody else sees."""

Heard = List[Tuple[str, Dict[str, Any]]]


class Task:
    """What a hook is told of."""

    def __repr__(self) -> str:
        return "<a task>"


class Hook:
    """A hook that keeps what it hears."""

    def __init__(self) -> None:
        self.heard: Heard = []
        self.tasks: List[object] = []
        self.then: Callable[[str], object] = lambda event: None

    def __call__(self, event: str, task: object, fields: Mapping[str, Any]) -> None:
        self.heard.append((event, dict(fields)))
        self.tasks.append(task)
        self.then(event)

    def of(self, *events: str) -> Heard:
        return [(event, fields) for event, fields in self.heard if event in events]


def level(number: int) -> Any:
    """The logger of wssync shows lines of that level, for a while."""
    return mock.patch.object(logging.getLogger("wssync"), "isEnabledFor", lambda asked: asked >= number)


class TracerTests(unittest.TestCase):
    def setUp(self) -> None:
        self.hook = Hook()
        self.task = Task()

    def test_one_statement_feeds_all(self) -> None:
        """Hook, log and metrics hear of the same event, at the same moment."""
        clock = StillClock()
        collector = Collector(clock.now, wall=lambda: 0.0)
        tracer = Tracer(self.task, self.hook, collector, clock)
        clock.advance(2)
        with self.assertLogs("wssync", logging.DEBUG) as logged:
            tracer.emit("transaction_start", url="ws://example.test/", number=1)
        self.assertEqual(self.hook.heard, [("transaction_start", {"url": "ws://example.test/", "number": 1})])
        self.assertEqual(self.hook.tasks, [self.task])
        (line,) = logged.output
        self.assertEqual(line, "DEBUG:wssync:<a task>: transaction_start {'url': 'ws://example.test/', 'number': 1}")
        (transaction,) = collector.metrics().transaction_metrics
        assert transaction.fetch_start_date is not None
        self.assertEqual((transaction.fetch_start_date - collector.metrics().task_interval.start).total_seconds(), 2)

    def test_nobody_listens(self) -> None:
        """Then nothing is made of it."""
        with level(logging.INFO), mock.patch.object(Tracer, "_tell") as tell:
            tracer = Tracer()
            self.assertFalse(tracer.is_heard or tracer.is_wanted)
            self.assertTrue(Tracer(None, None, Collector(lambda: 0.0, None)).is_wanted)
            tracer.emit("open", protocol=None, extensions=())
        tell.assert_not_called()

    def test_the_log_is_asked_each_time(self) -> None:
        """A program may look closer while its tasks go on."""
        tracer = Tracer(self.task)
        with level(logging.INFO):
            self.assertFalse(tracer.is_heard)
        with level(logging.DEBUG):
            self.assertTrue(tracer.is_heard)

    def test_without_logging(self) -> None:
        """A program that has not loaded `logging` has no use for lines, and one that is about to load it has not yet;
        the logger is then found by the first event.
        """
        partial = type(sys)("logging")
        with mock.patch.object(tracing, "_logger", None):
            for module in (None, partial):
                with mock.patch.dict(sys.modules, {"logging": module}):
                    self.assertFalse(Tracer().is_heard)
            with level(logging.DEBUG):
                self.assertTrue(Tracer().is_heard)

    def test_a_trace_does_not_load_logging(self) -> None:
        """Nor does a hook, as long as it raises nothing, or whatever the metrics need."""
        program = (
            "import sys; from wssync.engine.tracing import make_tracer; from wssync.transport.clock import Clock\n"
            "heard, before = [], set(sys.modules)\n"
            "make_tracer(None, Clock(), hook=lambda *event: heard.append(event), wants_metrics=True).emit('open')\n"
            "loaded = set(sys.modules) - before\n"
            "print(heard, {'logging', 'datetime', 'wssync.metrics.values'} & loaded)"
        )
        ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
        self.assertEqual(ran.stdout.strip(), "[('open', None, {})] set()")

    def test_a_hook_that_raises(self) -> None:
        """It harms nothing, and is logged once."""
        self.hook.then = lambda event: 1 // 0
        tracer = Tracer(self.task, self.hook)
        with self.assertLogs("wssync", logging.ERROR) as logged:
            tracer.emit("open")
            tracer.emit("end", error=None)
        self.assertEqual(len(logged.records), 1)
        assert logged.records[0].exc_info is not None
        self.assertEqual(len(self.hook.heard), 2)

    def test_an_interrupt_in_the_hook(self) -> None:
        """Ctrl-C is the program's."""

        def interrupt(event: str) -> None:
            raise KeyboardInterrupt

        self.hook.then = interrupt
        with self.assertRaises(KeyboardInterrupt):
            Tracer(self.task, self.hook).emit("open")

    def test_a_task_that_is_gone(self) -> None:
        """A tracer keeps no task alive: its hook hears `None`."""
        tracer = Tracer(Task(), self.hook)
        tracer.emit("end", error=None)
        self.assertEqual(self.hook.tasks, [None])

    def test_making_one(self) -> None:
        """There is a collector for whoever wants metrics, which begin with the task."""
        clock = StillClock()
        self.assertIsNone(make_tracer(self.task, clock, hook=None, wants_metrics=False).collector)
        created = clock.now()
        clock.advance(5)
        collector = make_tracer(self.task, clock, hook=None, wants_metrics=True, created=created).collector
        assert collector is not None
        collector.finish(clock.now(), {})
        self.assertEqual(collector.metrics().task_interval.duration, 5)


@with_cases
class SecretTests(unittest.TestCase):
    @cases(
        userinfo=("ws://me:secret@example.test/", "ws://***@example.test/"),
        an_at_sign_in_it=("ws://me:se@cret@example.test/", "ws://***@example.test/"),
        none=("ws://example.test/@here?a=b", "ws://example.test/@here?a=b"),
        token=("/chat?a=1&access_token=secret&b=2", "/chat?a=1&access_token=***&b=2"),
        another_name=("/chat?X-Api-Key=secret", "/chat?X-Api-Key=***"),
        signature=("/?X-Amz-Signature=secret;sig=secret", "/?X-Amz-Signature=***;sig=***"),
        key=("/?key=secret&monkey=1", "/?key=***&monkey=1"),
        in_a_text=("go to wss://u:p@h/?ticket=secret 'now'", "go to wss://***@h/?ticket=*** 'now'"),
        plain=("a plain text", "a plain text"),
    )
    def test_masking(self, text: str, expected: str) -> None:
        """Userinfo, and parameters of a query whose names speak of secrets."""
        self.assertEqual(masked(text), expected)

    def test_what_is_no_text(self) -> None:
        """It comes as it is."""
        for value in (None, 7, ("a", 1), OSError("x")):
            self.assertIs(masked(value), value)

    def test_only_the_fields_of_the_table(self) -> None:
        """Headers, requests and responses never reach a hook or a log, whoever puts them in."""
        hook = Hook()
        request = wssync.Request("ws://u:secret@h/", headers={"Authorization": "secret", "Cookie": "secret"})
        headers = {"Set-Cookie": "secret", "Proxy-Authorization": "secret", "X-Token": "secret"}
        with self.assertLogs("wssync", logging.DEBUG) as logged:
            for event in EVENTS:
                Tracer(Task(), hook).emit(event, request=request, response=request, headers=headers, url=request.url)
            Tracer(Task(), hook).emit("no event of ours", url=request.url)
        self.assertNotIn("secret", repr(hook.heard) + "".join(logged.output))
        self.assertEqual(hook.heard[-1], ("no event of ours", {}))

    def test_every_statement_is_in_the_table(self) -> None:
        """What the library emits is an event of the table, and has no field beside it but those for the metrics."""
        found = list(_statements())
        self.assertGreater(len(found), 4)
        for where, event, fields in found:
            self.assertIn(event, EVENTS, where)
            self.assertLessEqual(set(fields), set(EVENTS[event]) | FOR_METRICS, where)

    def test_the_table_is_the_one_that_is_read(self) -> None:
        """The module's docstring names each event and field."""
        rows = [line for line in (tracing.__doc__ or "").splitlines() if line.startswith("| `")]
        written = {name: row for row in rows for name in EVENTS if f"`{name}`" in row.split("|")[1]}
        self.assertEqual(set(written), set(EVENTS))
        for name, fields in EVENTS.items():
            for field in fields:
                self.assertIn(f"`{field}`", written[name])


def _statements() -> Iterator[Tuple[str, str, List[str]]]:
    """Where something is emitted in the library, the event and its fields, as far as they are written out."""
    for module in modules_below(Path(ROOT) / "wssync"):
        for node in ast.walk(ast.parse(module.text)):
            if not (isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant)):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in ("emit", "trace", "_trace", "_emit") and isinstance(node.args[0].value, str):
                fields = [keyword.arg for keyword in node.keywords if keyword.arg is not None]
                yield f"{module.name}:{node.lineno}", node.args[0].value, fields


class FrameWatchTests(unittest.TestCase):
    def setUp(self) -> None:
        self.headers: List[Tuple[int, int]] = []
        self.watch = FrameWatch()

    def see(self, data: bytes) -> None:
        self.headers += [(header.opcode, header.length) for header in self.watch.see(data)]

    def test_however_it_is_cut(self) -> None:
        """Each header is found once, in one piece of bytes or in many."""
        draw = random.Random(5)
        frames = [(draw.choice((TEXT, BINARY, PING)), draw.choice((0, 1, 125))) for _ in range(30)]
        frames += [(BINARY, 126), (TEXT, 65_535), (BINARY, 70_000), (CLOSE, 2)]
        data = b"".join(frame(opcode, bytes(length)) for opcode, length in frames)
        for _ in range(20):
            self.setUp()
            position = 0
            while position < len(data):
                size = draw.choice((1, 2, 3, 10, 1000, 70_000))
                self.see(data[position : position + size])
                position += size
            self.assertEqual(self.headers, frames)

    def test_payload_that_is_not_seen(self) -> None:
        """What goes straight into a message is skipped."""
        self.see(header(BINARY, 100) + bytes(10))
        self.watch.skip(90)
        self.see(frame(TEXT))
        self.assertEqual(self.headers, [(BINARY, 100), (TEXT, 0)])


@with_cases
class ConnectionTests(unittest.TestCase):
    def rig(self, hook: Optional[Hook], **settings: Any) -> Rig:
        rig = Rig(self, opened=False, **settings)
        rig.connection.tracer = Tracer(rig, hook, None, rig.clock)
        rig.open()
        return rig

    def test_the_life_of_a_connection(self) -> None:
        """It opens, frames go both ways, and it ends; each in its place, and with no lock held."""
        hook = Hook()
        rig = self.rig(hook)
        hook.then = lambda event: self.assertFalse(is_held(rig.connection.mutex), event)
        self.assertFalse(rig.send_at_once(0x81, b"no short way"))
        rig.send("one")
        rig.connection.flush()
        rig.give(frame(TEXT, b"Hel", fin=False) + frame(PING, b"?") + frame(CONTINUATION, b"lo"))
        rig.give(frame(CLOSE, encode_close(1000, "bye")))
        rig.finish(rig.stream.give_end)
        whole = {"fin": True, "compressed": False}
        opening = ["transaction_start", "request_start", "request_end", "response_start", "response_end"]
        self.assertEqual([event for event, _ in hook.heard[:5]], opening)
        self.assertEqual(
            hook.heard[5:],
            [
                ("open", {"protocol": None, "extensions": ()}),
                ("frame_sent", {"opcode": TEXT, **whole, "size": 3}),
                ("frame_received", {"opcode": TEXT, "fin": False, "compressed": False, "size": 3}),
                ("frame_received", {"opcode": PING, **whole, "size": 1}),
                ("frame_received", {"opcode": CONTINUATION, **whole, "size": 2}),
                ("frame_sent", {"opcode": Opcode.PONG, **whole, "size": 1}),
                ("frame_received", {"opcode": CLOSE, **whole, "size": 5}),
                ("close_received", {"code": 1000, "reason": "bye"}),
                ("frame_sent", {"opcode": CLOSE, **whole, "size": 2}),
                ("close_sent", {"code": 1000, "reason": None}),
                ("end", {"error": None}),
            ],
        )

    def test_compressed_frames(self) -> None:
        """Sizes are those on the wire."""
        hook = Hook()
        rig = self.rig(hook, compression="deflate", answer=accepting(deflate=DeflateOptions()))
        rig.send("x" * 10_000)
        rig.connection.flush()
        ((_, fields),) = hook.of("frame_sent")
        self.assertTrue(fields["compressed"])
        self.assertLess(fields["size"], 100)

    def test_a_long_message(self) -> None:
        """It leaves in pieces and comes straight into its place: one frame each."""
        hook = Hook()
        rig = self.rig(hook)
        rig.stream.takes = 50_000
        rig.send(b"x" * 600_000)
        rig.settle()
        self.assertEqual([fields["size"] for _, fields in hook.of("frame_sent")], [600_000])
        self.assertEqual(len(frames_in(bytes(rig.stream.outgoing))[0]), 1)
        rig.give(header(BINARY, 200_000), bytes(100_000), bytes(100_000), frame(TEXT))
        self.assertEqual([fields["size"] for _, fields in hook.of("frame_received")], [200_000, 0])

    def test_nobody_listens(self) -> None:
        """Then the short ways are open, and no frame is looked for."""
        with level(logging.INFO):
            rig = self.rig(None)
        self.assertTrue(rig.send_at_once(0x81, b"short"))
        self.assertIsNone(rig.engine.reader._watch)

    def test_the_log_listens(self) -> None:
        """At DEBUG level frames are lines."""
        with self.assertLogs("wssync", logging.DEBUG) as logged:
            rig = self.rig(None)
            rig.give(frame(TEXT, b"hello"))
        self.assertTrue(any("frame_received {'opcode': 1" in line for line in logged.output), logged.output)

    def test_metrics_that_nobody_takes(self) -> None:
        """What was collected is left alone when there is no method for it."""
        rig = Rig(self, opened=False)
        collector = Collector(rig.clock.now)
        rig.connection.tracer = Tracer(rig, None, collector, rig.clock)
        with (
            mock.patch.object(rig.listener, "callback", return_value=None),
            mock.patch.object(collector, "finish") as end,
        ):
            rig.connection.cancel()
        end.assert_not_called()

    def test_metrics_of_a_connection(self) -> None:
        """Rule 184: they come behind `did_close`, before `did_complete`."""
        rig = Rig(self, opened=False)
        rig.connection.tracer = Tracer(rig, None, Collector(rig.clock.now), rig.clock)
        rig.open()
        rig.give(frame(CLOSE))
        rig.finish(rig.stream.give_end)
        rig.run_callbacks()
        self.assertEqual(rig.listener.names, ["did_open", "did_close", "did_finish_collecting_metrics", "did_complete"])

    def test_a_task_that_never_began(self) -> None:
        """Its end is told too, once."""
        hook = Hook()
        rig = Rig(self, opened=False)
        rig.connection.tracer = Tracer(rig, hook, None, rig.clock)
        rig.connection.cancel()
        rig.connection.cancel()
        ((event, fields),) = hook.heard
        self.assertEqual((event, fields["error"]), ("end", rig.connection.error))
        self.assertIsInstance(fields["error"], wssync.Cancelled)

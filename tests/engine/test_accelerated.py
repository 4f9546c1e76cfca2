"""The two short ways in their compiled form, over sockets; and when there is none.

What sends has tests of its own, in `test_express_forms`, and so has what receives, in `test_borrower`. Where the
extension was not built, most of these are skipped.
"""

from __future__ import annotations

import importlib.util
import sys
import sysconfig
import threading
import types
import unittest
from collections import deque
from typing import Any, Callable, Tuple, cast
from unittest import mock

from tests.tasks import OnlineTestCase, needs_trustme
from wssync import task
from wssync.engine import accelerated
from wssync.engine.accelerated import CompiledBorrower, CompiledExpress
from wssync.engine.express import Express
from wssync.engine.tally import Tally
from wssync.protocol import speed
from wssync.protocol.speed import ROW, Row
from wssync.testing import stop_reading


class ChoiceTests(unittest.TestCase):
    def load(self, is_accelerated: bool, *names: str) -> types.ModuleType:
        """The module as it is with an extension that has these."""
        extension = types.ModuleType("wssync._speedups")
        for name in names:
            setattr(extension, name, name)
        spec = importlib.util.spec_from_file_location("wssync.engine._again", str(accelerated.__file__))
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        there = mock.patch.dict(sys.modules, {extension.__name__: extension})
        with there, mock.patch.object(speed, "ACCELERATED", is_accelerated):
            spec.loader.exec_module(module)
        return module

    def assertHas(self, module: types.ModuleType, *expected: object) -> None:
        """These are its own, in the order of the alphabet."""
        self.assertEqual(
            (module.CompiledBorrower, module.CompiledExpress, module.RoleLock, module.make_tally), expected
        )

    def test_with_the_extension(self) -> None:
        """All are its own."""
        module = self.load(True, "Borrower", "Express", "RoleLock", "Tally", "shorten")
        self.assertHas(module, "Borrower", "Express", "RoleLock", "Tally")
        self.assertEqual(module.shorten, "shorten")

    def test_before_functions_can_be_shortened(self) -> None:
        """Until Python 3.12: all but that; it leaves them as they are."""
        module = self.load(True, "Borrower", "Express", "RoleLock", "Tally")
        self.assertHas(module, "Borrower", "Express", "RoleLock", "Tally")
        self.assertIsNone(module.shorten(module.shorten, (), module.shorten, (), ()))

    def test_without_a_global_lock(self) -> None:
        """Attributes are not to be read where they lie: what sends is its own, and what receives is not."""
        module = self.load(True, "Express", "RoleLock")
        self.assertHas(module, None, "Express", "RoleLock", Tally)
        self.assertIs(module.shorten, module._nothing)

    def test_with_one_that_has_no_sockets(self) -> None:
        """On Windows: none, and lock and tally are Python's."""
        self.assertHas(self.load(True), None, None, threading.RLock, Tally)

    def test_without_it(self) -> None:
        """None, also where it is there and not wanted."""
        module = self.load(False, "Borrower", "Express", "RoleLock", "Tally", "shorten")
        self.assertHas(module, None, None, threading.RLock, Tally)
        self.assertIs(module.shorten, module._nothing)

    def test_as_it_is_here(self) -> None:
        """Both or neither, as for the protocol's functions."""
        sends = speed.ACCELERATED and sys.platform != "win32"
        receives = sends and not sysconfig.get_config_var("Py_GIL_DISABLED")
        self.assertEqual((CompiledExpress is not None, CompiledBorrower is not None), (sends, receives))


class Step:
    """Something in a row of slots."""

    __slots__ = ("_slot",)

    def __init__(self, content: object) -> None:
        self._slot = content


WAY = (Step.__dict__["_slot"],) * 3
"""From one to the third behind it."""


def ready(*messages: str) -> Row:
    """A queue of these messages."""
    assert ROW is not None
    queue = ROW()
    queue.extend(messages)
    return queue


@unittest.skipIf(accelerated.shorten is accelerated._nothing, "functions are not shortened here")
class ShortenTests(unittest.TestCase):
    """See `tests.test_task_send` and `tests.test_task_receive` for what comes of it."""

    def setUp(self) -> None:
        if sys.gettrace() is not None:
            self.skipTest("nothing is gone past under a tracer")
        self.addCleanup(task._shorten)  # the ways of tasks are as they were

    def shortened(self) -> Tuple[Callable[..., Any], Callable[..., Any]]:
        """Two functions that say what they were called with."""

        def send(*arguments: object, **more: object) -> Any:
            return "send", arguments, more

        def receive(*arguments: object, **more: object) -> Any:
            return "receive", arguments, more

        accelerated.shorten(send, WAY, receive, WAY, WAY)
        return send, receive

    def test_refusals(self) -> None:
        """What is no function of Python, and no way of three slots."""

        def good() -> None: ...

        for wrong in (None, len, "send", type(self), self.test_refusals):
            with self.assertRaisesRegex(TypeError, "only functions"):
                accelerated.shorten(cast("Any", wrong), WAY, good, WAY, WAY)
            with self.assertRaisesRegex(TypeError, "only functions"):
                accelerated.shorten(good, WAY, cast("Any", wrong), WAY, WAY)
        for way in (WAY[:2], [*WAY], None, (*WAY, WAY[0])):
            with self.assertRaisesRegex(TypeError, "three|3"):
                accelerated.shorten(good, cast("Any", way), good, WAY, WAY)
        number = vars(type)["__dictoffset__"]
        for slot in (None, "_slot", property(), vars(ShortenTests)["setUp"], number):
            with self.assertRaisesRegex(TypeError, "a slot of a class"):
                accelerated.shorten(good, WAY, good, (WAY[0], slot, WAY[0]), WAY)
            with self.assertRaisesRegex(TypeError, "a slot of a class"):
                accelerated.shorten(good, WAY, good, WAY, (WAY[0], slot, WAY[0]))
        with self.assertRaises(TypeError):
            accelerated.shorten(good, WAY, good, WAY)  # type: ignore[call-arg]

    def test_other_forms_are_for_the_functions(self) -> None:
        """Whatever is not the plainest, or is called on something else."""
        send, receive = self.shortened()
        self.assertEqual(send(), ("send", (), {}))
        self.assertEqual(send(1, "2", "3"), ("send", (1, "2", "3"), {}))
        self.assertEqual(send(1, message="2"), ("send", (1,), {"message": "2"}))
        self.assertEqual(receive(1, 2), ("receive", (1, 2), {}))
        self.assertEqual(receive(1, timeout=2), ("receive", (1,), {"timeout": 2}))
        for one in (object(), Step(None), Step(object()), Step(Step(None)), Step.__new__(Step), None, 1):
            self.assertEqual(send(one, "text"), ("send", (one, "text"), {}))
            self.assertEqual(receive(one), ("receive", (one,), {}))

    def test_a_way_that_is_closed(self) -> None:
        """None, or something that is not compiled, or holds nothing: the functions see to it."""
        send, receive = self.shortened()
        for open_way in (None, deque(["one"]), ready()):
            one = Step(Step(Step(open_way)))
            self.assertEqual(send(one, "text"), ("send", (one, "text"), {}))
            self.assertEqual(send(one, b"bytes"), ("send", (one, b"bytes"), {}))
            self.assertEqual(receive(one), ("receive", (one,), {}))
        one = Step(Step(Step(Express)))
        self.assertEqual(send(one, "text"), ("send", (one, "text"), {}))

    def test_a_queue(self) -> None:
        """The first is taken, without the function, which sees to it when there is none."""
        _, receive = self.shortened()
        one = Step(Step(Step(ready("first", "second"))))
        self.assertEqual([receive(one), receive(one)], ["first", "second"])
        self.assertEqual(receive(one), ("receive", (one,), {}))

    def test_other_code(self) -> None:
        """Who gives a function other code means that to run; who profiles or traces means to see it."""
        _, receive = self.shortened()
        one = Step(Step(Step(ready("first", "second"))))
        sys.setprofile(lambda *event: None)
        try:
            got = receive(one)
        finally:
            sys.setprofile(None)
        self.assertEqual(got, ("receive", (one,), {}))
        self.assertEqual(receive(one), "first")
        receive.__code__ = (lambda one: "other").__code__
        self.assertEqual(receive(one), "other")

    def test_one_that_is_not_whole(self) -> None:
        """It sends nothing, and says so."""
        send, _ = self.shortened()
        assert CompiledExpress is not None
        kind: Any = CompiledExpress
        with self.assertRaisesRegex(TypeError, "whole"):
            send(Step(Step(Step(kind.__new__(kind)))), b"text")


class OpenTests(OnlineTestCase):
    """What an open connection makes use of."""

    @needs_trustme
    @unittest.skipIf(CompiledBorrower is None, "wssync._speedups was not built, or cannot borrow")
    def test_with_tls(self) -> None:
        """Both short ways are the compiled ones, and end at the socket."""
        server = self.serve(stop_reading, compression=None, tls=True)
        opened = self.connect(server.url, ssl_context=server.client_ssl_context)
        connection: Any = opened._connection
        reader, direct = connection.reader, connection.stream.unsealing.direct
        self.assertIsInstance(connection.outbox.express, cast("Any", CompiledExpress))
        self.assertIsInstance(reader._borrower, cast("Any", CompiledBorrower))
        self.assertEqual(reader._descriptor, direct.descriptor)


if __name__ == "__main__":
    unittest.main()

"""`TkExecutor` in a Tk that is a stand-in, where it watches descriptors and where it cannot."""

from __future__ import annotations

import types
import unittest
from typing import Any, Callable, Tuple

from tests.executors.loops import FakeLoop, LoopCases, fake_module
from wssync.executors import TkExecutor
from wssync.executors.looping import LoopExecutor


class FakeWidget(FakeLoop):
    """A window, and the loop that it lives in."""

    def __init__(self, watches: bool) -> None:
        super().__init__()
        self.tk: Any = self if watches else object()
        self.destroyed = False

    def bind(self, event: str, function: Callable[[Any], object], add: str) -> None:
        """As Tk's: that for <Destroy> is called for the widgets inside as well."""
        assert (event, add) == ("<Destroy>", "+")
        self.heard = function

    def after(self, milliseconds: int, function: Callable[[], object]) -> None:
        """Call it later."""
        assert not self.destroyed and milliseconds in (1, 10)
        self.post(function)

    def createfilehandler(self, file: Any, mask: int, function: Callable[[Any, int], object]) -> None:
        """Watch a file."""
        self.files[file] = lambda: function(file, mask)

    def deletefilehandler(self, file: Any) -> None:
        """Watch it no more."""
        del self.files[file]

    def end(self) -> None:
        """Destroy it, and before that what is in it."""
        if self.destroyed:
            return
        for widget in (object(), self):
            self.heard(types.SimpleNamespace(widget=widget))
        self.destroyed = True


class TkTests(LoopCases, unittest.TestCase):
    watches = True

    def make(self) -> Tuple[LoopExecutor, Any]:
        fake_module(self, "tkinter", READABLE=2)
        widget = FakeWidget(self.watches)
        executor = TkExecutor(widget)
        self.addCleanup(widget.end)
        return executor, widget


class TkElsewhereTests(TkTests):
    watches = False

    def test_it_looks_no_more_after_the_end(self) -> None:
        """The timer is not set again."""
        self.loop.end()
        while self.loop.step():
            pass


class BellTests(unittest.TestCase):
    def test_a_widget_inside_is_destroyed(self) -> None:
        """The window is not."""
        fake_module(self, "tkinter", READABLE=2)
        widget = FakeWidget(True)
        executor = TkExecutor(widget)
        widget.heard(types.SimpleNamespace(widget=object()))
        self.assertIsNone(executor.ended)
        bell = executor._bell
        assert bell is not None
        widget.end()
        self.assertEqual([end.fileno() for end in bell], [-1, -1])

    def test_a_bell_that_was_heard_already(self) -> None:
        """By a loop inside, or before the window was destroyed."""
        fake_module(self, "tkinter", READABLE=2)
        widget = FakeWidget(True)
        executor = TkExecutor(widget)
        executor._rang(None, 2)
        widget.end()
        executor._rang(None, 2)
        executor._wake()
        self.assertEqual(widget.files, {})

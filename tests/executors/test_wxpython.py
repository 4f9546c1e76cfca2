"""`WxExecutor` in a wx that is a stand-in."""

from __future__ import annotations

import unittest
from typing import Any, Callable, Tuple

from tests.executors.loops import FakeLoop, LoopCases, fake_module
from wssync.executors import WxExecutor
from wssync.executors.looping import LoopExecutor


class FakeApp(FakeLoop):
    """A `wx.App`, and its loop."""

    def OnExit(self) -> int:
        """What wx calls when the loop is over."""
        return 7

    def end(self) -> None:
        """The loop is over."""
        assert self.OnExit() == 7


class WxTests(LoopCases, unittest.TestCase):
    def make(self) -> Tuple[LoopExecutor, Any]:
        app = FakeApp()

        def call_later(milliseconds: int, function: Callable[[], object]) -> None:
            assert milliseconds == 1
            app.post(function)

        fake_module(self, "wx", GetApp=lambda: app, CallAfter=app.post, CallLater=call_later)
        return WxExecutor(), app

    def test_there_must_be_an_app(self) -> None:
        """Else there is nothing to run in."""
        fake_module(self, "wx", GetApp=lambda: None)
        with self.assertRaisesRegex(RuntimeError, "make that first"):
            WxExecutor()

"""`WxExecutor`: callbacks in the loop of wxPython."""

from __future__ import annotations

from ..hints import Any
from .looping import LoopExecutor, import_toolkit

__all__ = ["WxExecutor"]


class WxExecutor(LoopExecutor):
    """Runs callbacks in the `MainLoop` of the `wx.App`, which exists already.

    When that loop has ended, `submit` raises.
    """

    def __init__(self) -> None:
        super().__init__()
        remedy = "install wxPython, such as Debian's python3-wxgtk4.0"
        self._wx: Any = import_toolkit("wx", "WxExecutor", remedy)
        application = self._wx.GetApp()
        if application is None:
            raise RuntimeError("WxExecutor needs a wx.App: make that first")
        on_exit = application.OnExit

        def exits() -> Any:
            self._end("the loop of wx has ended")
            return on_exit()

        application.OnExit = exits  # wx calls it when MainLoop is over, and has no event for that

    def _wake(self) -> None:
        self._wx.CallAfter(self._turn)

    def _rest(self) -> bool:
        self._wx.CallLater(int(self.REST_SECONDS * 1000), self._go_on)
        return True

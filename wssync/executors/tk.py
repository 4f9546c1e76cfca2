"""`TkExecutor`: callbacks in the loop of Tk."""

from __future__ import annotations

import socket
import threading

from ..hints import Any, Optional, Tuple
from .looping import LoopExecutor, import_toolkit

__all__ = ["TkExecutor"]


class TkExecutor(LoopExecutor):
    """Runs callbacks in Tk's `mainloop`: `TkExecutor(widget)`, made on the thread that runs it.

    It lives as long as the widget, a window as a rule, or the root: when that is destroyed, `submit` raises. A
    `mainloop` that only `quit()` has ended cannot be told from one that pauses: `shutdown(cancel_futures=True)` says
    so. On POSIX Tk watches a socket; elsewhere, where Tk cannot, it looks every 10 ms (`POLL_SECONDS`).
    """

    POLL_SECONDS = 0.01

    def __init__(self, widget: Any) -> None:
        super().__init__()
        self._widget = widget
        self._bell: Optional[Tuple[socket.socket, socket.socket]] = None
        self._closing = threading.RLock()  # a finalizer that runs in the middle of `_wake` may submit
        tkinter = import_toolkit("tkinter", "TkExecutor", "install Tk for Python, such as Debian's python3-tk")
        widget.bind("<Destroy>", self._destroyed, add="+")
        if hasattr(widget.tk, "createfilehandler"):
            bell = self._bell = socket.socketpair()
            for end in bell:
                end.setblocking(False)
            widget.tk.createfilehandler(bell[0], tkinter.READABLE, self._rang)
        else:
            self._poll()

    def _wake(self) -> None:
        with self._closing:  # a byte must never go to whatever has the number of a descriptor that was closed
            if self._bell is not None:
                self._bell[1].send(b"\0")

    def _rang(self, file: object, mask: int) -> None:
        if self._bell is not None:
            try:
                self._bell[0].recv(4096)
            except BlockingIOError:
                pass  # a loop inside was faster
            self._turn()

    def _poll(self) -> None:
        if self.ended is None or self._work:
            self._widget.after(int(self.POLL_SECONDS * 1000), self._poll)
            self._turn()

    def _rest(self) -> bool:
        self._widget.after(int(self.REST_SECONDS * 1000), self._go_on)
        return True

    def _destroyed(self, event: Any) -> None:
        if event.widget is not self._widget:
            return  # one inside the window
        with self._closing:
            bell, self._bell = self._bell, None
        if bell is not None:
            self._widget.tk.deletefilehandler(bell[0])
            for end in bell:
                end.close()
        self._end("the Tk widget was destroyed")

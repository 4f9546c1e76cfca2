"""`GLibExecutor`: callbacks in the loop of GLib, which is that of GTK."""

from __future__ import annotations

from ..hints import Any
from .looping import LoopExecutor, import_toolkit

__all__ = ["GLibExecutor"]


class GLibExecutor(LoopExecutor):
    """Runs callbacks in whatever loop runs GLib's default main context: `GLib.MainLoop`, `Gtk.main`, an application.

    By PyGObject. Nothing tells when such a loop has quit, since it may run again: call
    `shutdown(cancel_futures=True)` behind it.
    """

    def __init__(self) -> None:
        super().__init__()
        remedy = "install PyGObject, such as Debian's python3-gi"
        self._glib: Any = import_toolkit("gi.repository.GLib", "GLibExecutor", remedy)

    def _wake(self) -> None:
        # The priority of idle sources would let a window that draws all the time starve the callbacks.
        self._glib.idle_add(self._once, self._turn, priority=self._glib.PRIORITY_DEFAULT)

    def _rest(self) -> bool:
        self._glib.timeout_add(int(self.REST_SECONDS * 1000), self._once, self._go_on)
        return True

    def _once(self, then: Any) -> bool:
        then()
        return False

"""`QtExecutor`: callbacks in the loop of Qt, by PySide6 or PyQt6."""

from __future__ import annotations

import importlib
import sys

from ..hints import Any, Tuple
from .looping import LoopExecutor

__all__ = ["QtExecutor"]

BINDINGS = ("PySide6", "PyQt6")


class QtExecutor(LoopExecutor):
    """Runs callbacks in the loop of the `QApplication` or `QCoreApplication`, which exists already.

    Made on the application's thread. PySide6 or PyQt6: whichever is imported, else the first that can be. When the
    application is about to quit, `submit` raises.
    """

    def __init__(self) -> None:
        super().__init__()
        core, slot = _binding()
        application = core.QCoreApplication.instance()
        if application is None:
            raise RuntimeError("QtExecutor needs a QApplication or QCoreApplication: make that first")
        self._queued = core.Qt.ConnectionType.QueuedConnection
        self._invoke = core.QMetaObject.invokeMethod
        self._receiver = self._make_receiver(core.QObject, slot)
        self._timer = core.QTimer(self._receiver)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._receiver.go_on)
        application.aboutToQuit.connect(self._quit)

    def _make_receiver(self, base: Any, slot: Any) -> Any:
        """What Qt delivers to on its own thread."""

        def turn(receiver: object) -> None:
            self._turn()

        def go_on(receiver: object) -> None:
            self._go_on()

        return type("Receiver", (base,), {"turn": slot()(turn), "go_on": slot()(go_on)})()

    def _wake(self) -> None:
        # Not by a signal: some versions of PySide6 count references wrong there, and the process dies of it.
        self._invoke(self._receiver, "turn", self._queued)

    def _rest(self) -> bool:
        self._timer.start(int(self.REST_SECONDS * 1000))
        return True

    def _quit(self) -> None:
        self._end("the Qt application quits")


def _binding() -> Tuple[Any, Any]:
    """The module QtCore, and its decorator for slots."""
    loaded = [name for name in BINDINGS if f"{name}.QtCore" in sys.modules]
    reasons = []
    for name in loaded or BINDINGS:
        try:
            core = importlib.import_module(f"{name}.QtCore")
        except ImportError as error:
            reasons.append(str(error))
        else:
            return core, core.Slot if name == "PySide6" else core.pyqtSlot
    raise ImportError(f"QtExecutor needs PySide6 or PyQt6 ({'; '.join(reasons)}): install one of them")

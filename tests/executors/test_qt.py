"""`QtExecutor` in a Qt that is a stand-in."""

from __future__ import annotations

import sys
import types
import unittest
import unittest.mock
from typing import Any, Callable, List, Optional, Tuple

from tests.executors.loops import FakeLoop, LoopCases, fake_module
from wssync.executors import QtExecutor
from wssync.executors.looping import LoopExecutor


class Signal:
    """Something to connect to."""

    def __init__(self) -> None:
        self.functions: List[Callable[[], object]] = []

    def connect(self, function: Callable[[], object]) -> None:
        """Call it each time."""
        self.functions.append(function)

    def emit(self) -> None:
        """This is the time."""
        for function in self.functions:
            function()


class FakeApplication(FakeLoop):
    """A `QCoreApplication`, and its loop."""

    def __init__(self) -> None:
        super().__init__()
        self.aboutToQuit = Signal()

    def end(self) -> None:
        """Quit."""
        self.aboutToQuit.emit()


def fake_qt(case: unittest.TestCase, binding: str, application: Optional[FakeApplication]) -> None:
    """A QtCore of that binding."""

    class QTimer:
        def __init__(self, parent: object) -> None:
            self.timeout = Signal()

        def setSingleShot(self, single: bool) -> None:
            assert single

        def start(self, milliseconds: int) -> None:
            assert application is not None and milliseconds == 1
            application.post(self.timeout.emit)

    def invoke(receiver: Any, name: str, connection: str) -> None:
        assert application is not None and connection == "queued"
        application.post(getattr(receiver, name))

    names = {
        "QObject": object,
        "QTimer": QTimer,
        "Qt": types.SimpleNamespace(ConnectionType=types.SimpleNamespace(QueuedConnection="queued")),
        "QMetaObject": types.SimpleNamespace(invokeMethod=invoke),
        "QCoreApplication": types.SimpleNamespace(instance=lambda: application),
        "Slot" if binding == "PySide6" else "pyqtSlot": lambda: lambda function: function,
    }
    fake_module(case, binding)
    fake_module(case, f"{binding}.QtCore", **names)


def without_qt(case: unittest.TestCase) -> None:
    """No binding was imported yet, whatever other tests did."""
    names = {name for name in sys.modules if name.partition(".")[0] in ("PySide6", "PyQt6")}
    patch = unittest.mock.patch.dict(sys.modules)
    patch.start()
    case.addCleanup(patch.stop)
    for name in names:
        del sys.modules[name]


class PySideTests(LoopCases, unittest.TestCase):
    binding = "PySide6"

    def make(self) -> Tuple[LoopExecutor, Any]:
        without_qt(self)
        application = FakeApplication()
        fake_qt(self, self.binding, application)
        return QtExecutor(), application


class PyQtTests(PySideTests):
    binding = "PyQt6"


class BindingTests(unittest.TestCase):
    def setUp(self) -> None:
        without_qt(self)

    def test_there_must_be_an_application(self) -> None:
        """Else there is nothing to run in."""
        fake_qt(self, "PySide6", None)
        with self.assertRaisesRegex(RuntimeError, "make that first"):
            QtExecutor()

    def test_neither_is_installed(self) -> None:
        """One sentence, with what was tried."""

        def absent(name: str) -> Any:
            raise ImportError(f"no {name}")

        with unittest.mock.patch("importlib.import_module", absent), self.assertRaises(ImportError) as caught:
            QtExecutor()
        self.assertEqual(
            str(caught.exception),
            "QtExecutor needs PySide6 or PyQt6 (no PySide6.QtCore; no PyQt6.QtCore): install one of them",
        )

    def test_the_first_that_can_be_imported(self) -> None:
        """If none is there yet."""
        application = FakeApplication()
        fake_qt(self, "PyQt6", application)
        core = sys.modules.pop("PyQt6.QtCore")

        def load(name: str) -> Any:
            if name == "PySide6.QtCore":
                raise ImportError(name)
            return core

        with unittest.mock.patch("importlib.import_module", load):
            QtExecutor().submit(print)
        self.assertEqual(application.posted, 1)

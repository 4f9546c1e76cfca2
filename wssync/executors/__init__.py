"""Where callbacks run.

Apple hands every completion handler and delegate call to the session's `delegateQueue`; here that queue is an executor:
anything with `submit(fn, *args)`. `SerialExecutor` is the default, `QueueExecutor` serves loops of one's own (tests,
games, toolkits without an adapter), every `concurrent.futures.Executor` will do, and for each of the toolkits there is
one that runs the callbacks in the toolkit's own loop, on its thread: `TkExecutor(widget)`, `QtExecutor()` (PySide6 or
PyQt6), `WxExecutor()`, `GLibExecutor()`, `AsyncioExecutor(loop=None)`. Their modules, and the toolkits, are imported by
whoever names the class or uses it.

This package is loaded when somebody names it, or when a session's first callback is in sight: with what it needs of the
standard library it takes as long to load as half of the rest.
"""

from __future__ import annotations

from ..hints import TYPE_CHECKING
from .queued import QueueExecutor
from .serial import SerialExecutor

__all__ = [
    "AsyncioExecutor",
    "GLibExecutor",
    "QtExecutor",
    "QueueExecutor",
    "SerialExecutor",
    "TkExecutor",
    "WxExecutor",
]

if TYPE_CHECKING:
    from .aio import AsyncioExecutor as AsyncioExecutor
    from .glib import GLibExecutor as GLibExecutor
    from .qt import QtExecutor as QtExecutor
    from .tk import TkExecutor as TkExecutor
    from .wxpython import WxExecutor as WxExecutor
else:
    _LATE = {
        "AsyncioExecutor": ".aio",
        "GLibExecutor": ".glib",
        "QtExecutor": ".qt",
        "TkExecutor": ".tk",
        "WxExecutor": ".wxpython",
    }

    def __getattr__(name):
        """An executor for a toolkit is loaded when it is named."""
        if name not in _LATE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import importlib

        return getattr(importlib.import_module(_LATE[name], __name__), name)

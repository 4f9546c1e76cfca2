"""The same small GUI program for every toolkit: a window, an executor, a timer, a loop, a way to close the window.

Each shell imports its toolkit when it is made; the executor is that of wssync, made as a program of that toolkit would.
"""

import asyncio
import sys

from wssync import executors


class Tk:
    """A window of Tk."""

    def __init__(self):
        import tkinter

        self.root = tkinter.Tk()
        self.label = tkinter.Label(self.root, text="wssync")
        self.label.pack()
        self.hide()
        self.executor = executors.TkExecutor(self.root)

    def show(self, text):
        """Touch the window."""
        self.label["text"] = text

    def hide(self):
        """Nothing of Tk's is hidden from the executor."""

    def every(self, milliseconds, function):
        """Call the function again and again."""

        def again():
            self.root.after(milliseconds, again)
            function()

        again()

    def when_idle(self, function):
        """Call it when there is nothing else to do: that is when Tk draws."""
        self.root.after_idle(function)

    def close(self):
        """What the button in the title bar does."""
        self.root.destroy()

    def run(self):
        """The loop, until the window is closed."""
        self.root.mainloop()


class TkWithoutFiles(Tk):
    """Tk as it is where it cannot watch descriptors."""

    def hide(self):
        """The executor finds no `createfilehandler`."""
        inner = self.root.tk

        class Elsewhere:
            def __getattr__(self, name):
                if name == "createfilehandler":
                    raise AttributeError(name)
                return getattr(inner, name)

        self.root.tk = Elsewhere()


class Qt:
    """A window of Qt, by PySide6."""

    binding = "PySide6"

    def __init__(self):
        import importlib

        self.core = importlib.import_module(f"{self.binding}.QtCore")
        widgets = importlib.import_module(f"{self.binding}.QtWidgets")
        self.application = widgets.QApplication([])
        self.window = widgets.QLabel("wssync")
        self.window.show()
        self.executor = executors.QtExecutor()
        self.timers = []

    def show(self, text):
        """Touch the window."""
        self.window.setText(text)

    def every(self, milliseconds, function):
        """Call the function again and again."""
        timer = self.core.QTimer()
        timer.setTimerType(self.core.Qt.TimerType.PreciseTimer)
        timer.timeout.connect(function)
        timer.start(milliseconds)
        self.timers.append(timer)

    def close(self):
        """What the button in the title bar does."""
        self.window.close()

    def run(self):
        """The loop, until the window is closed."""
        self.application.exec()


class PyQt(Qt):
    """A window of Qt, by PyQt6."""

    binding = "PyQt6"


class Wx:
    """A window of wxPython."""

    def __init__(self):
        import wx

        self.wx = wx
        self.application = wx.App(False)
        self.window = wx.Frame(None, title="wssync")
        self.window.Show()
        self.executor = executors.WxExecutor()
        self.timers = []

    def show(self, text):
        """Touch the window."""
        self.window.SetTitle(text)

    def every(self, milliseconds, function):
        """Call the function again and again."""

        class Timer(self.wx.Timer):
            def Notify(self):
                function()

        timer = Timer()
        timer.Start(milliseconds)
        self.timers.append(timer)

    def close(self):
        """What the button in the title bar does."""
        for timer in self.timers:
            timer.Stop()
        self.window.Close()

    def run(self):
        """The loop, until the window is closed."""
        self.application.MainLoop()


class GLib:
    """A main loop of GLib, without a window."""

    def __init__(self):
        from gi.repository import GLib

        self.glib = GLib
        self.loop = GLib.MainLoop()
        self.executor = executors.GLibExecutor()

    def show(self, text):
        """There is no window."""

    def every(self, milliseconds, function):
        """Call the function again and again."""

        def again():
            function()
            return True

        self.glib.timeout_add(milliseconds, again)

    def when_idle(self, function):
        """Call it behind all events: GTK draws a little before that."""
        self.glib.idle_add(function)

    def close(self):
        """The end of the loop."""
        self.loop.quit()

    def run(self):
        """The loop, and what a program of GLib does behind it."""
        self.loop.run()
        self.executor.shutdown(cancel_futures=True)


class Asyncio:
    """A loop of asyncio."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.executor = executors.AsyncioExecutor(self.loop)

    def show(self, text):
        """There is no window."""

    def every(self, milliseconds, function):
        """Call the function again and again."""

        def again():
            self.loop.call_later(milliseconds / 1000, again)
            function()

        self.loop.call_soon(again)

    def close(self):
        """The end of the loop."""
        self.loop.stop()

    def run(self):
        """The loop."""
        self.loop.run_forever()
        self.loop.close()


SHELLS = {
    "tk": Tk,
    "tk-without-files": TkWithoutFiles,
    "pyside6": Qt,
    "pyqt6": PyQt,
    "wx": Wx,
    "glib": GLib,
    "asyncio": Asyncio,
}

if __name__ == "__main__":  # can it be started at all?
    SHELLS[sys.argv[1]]()

"""Run an example with its window and take a picture of that: `python picture.py tk|pyside6 EXAMPLE FILE`.

The example's own program runs as it is; only where it would give itself to the loop, the picture is put into that loop.
"""

import runpy
import subprocess
import sys

LINES = ["Is anybody there?", "This window never waits for the network: every callback runs in the loop of Tk."]


def of_tk(file):
    """With a few lines typed in; by ImageMagick, from the X server."""
    import tkinter

    loop = tkinter.Tk.mainloop

    def turn(root, n=0):
        entry = next(child for child in root.winfo_children() if isinstance(child, tkinter.Entry))

        def type_in(line):
            entry.focus_force()  # there is no window manager that would give it
            entry.insert(0, line)
            entry.event_generate("<Return>")

        def take():
            subprocess.run(["import", "-window", str(root.winfo_id()), file], check=True)
            root.destroy()

        for number, line in enumerate(LINES):
            root.after(500 + 200 * number, type_in, line)
        root.after(1500, take)
        loop(root, n)

    tkinter.Tk.mainloop = turn


def of_qt(file):
    """By Qt itself, which draws into memory."""
    from PySide6 import QtCore, QtWidgets

    loop = QtWidgets.QApplication.exec

    def turn(application=None):
        def take():
            window = QtWidgets.QApplication.topLevelWidgets()[0]
            window.grab().save(file)
            window.close()

        QtCore.QTimer.singleShot(1500, take)
        return loop()

    QtWidgets.QApplication.exec = turn


toolkit, example, file = sys.argv[1:]
{"tk": of_tk, "pyside6": of_qt}[toolkit](file)
sys.argv[1:] = []
runpy.run_path(example, run_name="__main__")

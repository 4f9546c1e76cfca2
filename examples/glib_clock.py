"""A loop of GLib that asks ten times a second, and hears the answers in between: `python glib_clock.py [URL]`.

It is the loop of GTK as well, where a callback may touch the widgets.
"""

import datetime
import sys

from gi.repository import GLib

import wssync
from wssync.executors import GLibExecutor
from wssync.testing import Server

loop = GLib.MainLoop()
executor = GLibExecutor()
answers = []


def ask():
    """Called by GLib again and again, as long as it says so."""
    task.send(datetime.datetime.now().strftime("%H:%M:%S.%f"), failed)
    return True


def failed(error):
    if error is not None:
        print(error)
        loop.quit()


def received(result):
    """Called by wssync, in the same loop."""
    if result.error is not None:
        failed(result.error)
    else:
        answers.append(result.message)
        print(result.message)
    if len(answers) == 5:
        loop.quit()


with Server() as server, wssync.Session(executor=executor) as session:  # the server sends everything back
    task = session.websocket_task(sys.argv[1] if len(sys.argv) > 1 else server.url)
    task.receive_each(received)
    task.resume()
    GLib.timeout_add(100, ask)
    loop.run()
    executor.shutdown(cancel_futures=True)  # nothing else tells that a loop of GLib is over
    print("five answers")

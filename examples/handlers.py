"""Say hello with completion handlers; nothing blocks but the last line: `python handlers.py [URL]`."""

import sys
import threading

import wssync
from wssync.testing import Server

done = threading.Event()


class Delegate(wssync.WebSocketDelegate):
    """Hears how the task ends."""

    def did_complete(self, session, task, error):
        """Always the last call for a task."""
        print(f"failed: {error}" if error else f"closed with {task.close_code:d}")
        done.set()


def received(result):
    if result.error is None:  # else the task has ended, and did_complete tells why
        print(result.message)
        task.cancel(wssync.CloseCode.NORMAL_CLOSURE)


with Server() as server, wssync.Session(delegate=Delegate()) as session:
    task = session.websocket_task(sys.argv[1] if len(sys.argv) > 1 else server.url)
    task.send("hello", lambda error: None)  # queued until the connection is open
    task.receive(received)
    task.resume()
    done.wait()

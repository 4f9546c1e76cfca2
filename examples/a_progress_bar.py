"""A long message goes there and comes back, and a bar shows how far it is: `python a_progress_bar.py [URL]`."""

import sys
import threading

import wssync
from wssync.testing import Server

SIZE = 8_000_000


def show(done, total):
    width = 40 * done // total
    print(f"\r[{'#' * width}{' ' * (40 - width)}] {100 * done // total:3} %", end="", flush=True)


configuration = wssync.SessionConfiguration(maximum_message_size=2 * SIZE)
came = threading.Event()

with Server() as server:  # it sends everything back
    url = sys.argv[1] if len(sys.argv) > 1 else server.url
    with wssync.connect(url, configuration=configuration) as task:
        task.send(bytes(SIZE), lambda error: None)
        task.receive(lambda result: came.set())
        while not came.wait(0.05):
            show(task.progress.completed_unit_count, 2 * SIZE)  # bytes of messages, of unfinished ones too
        show(task.progress.completed_unit_count, 2 * SIZE)
    print("\ndone")

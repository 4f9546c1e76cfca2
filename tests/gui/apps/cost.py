"""What a callback costs in one loop: `python cost.py TOOLKIT` prints two numbers of microseconds as JSON.

Processor time for each of 100,000 callbacks of a task that were queued at once; and the median of the time from
`submit` in another thread until the callback runs, one at a time.
"""

import json
import statistics
import sys
import threading
import time

from shells import SHELLS

from wssync import executors
from wssync.strand import Strand

MANY = 100_000
SINGLE = 2_000


class Queue:
    """A loop of one's own."""

    def __init__(self):
        self.executor = executors.QueueExecutor()
        self.over = False

    def close(self):
        """The end of the loop."""
        self.over = True

    def run(self):
        """Round and round."""
        while not self.over:
            self.executor.run_pending(1)


class Serial:
    """No loop at all."""

    def __init__(self):
        self.executor = executors.SerialExecutor()
        self.ended = threading.Event()

    def close(self):
        """The end."""
        self.ended.set()

    def run(self):
        """Wait for it."""
        self.ended.wait()


def main(name):
    """Measure one after the other, then close the window."""
    shell = {**SHELLS, "queue": Queue, "serial": Serial}[name]()
    found = {}

    def flood():
        done = threading.Event()
        strand = Strand(shell.executor, print)
        numbers = iter(range(MANY))
        for _ in range(MANY):
            strand.put(next, numbers)
        strand.put(done.set)
        began = time.process_time()
        strand.kick()
        done.wait()
        return (time.process_time() - began) / MANY

    def alone():
        ran = threading.Event()
        began = time.perf_counter()
        shell.executor.submit(lambda: (times.append(time.perf_counter() - began), ran.set()))
        ran.wait()

    times = []

    def measure():
        flood()
        found["flood"] = flood() * 1e6
        for _ in range(SINGLE):
            alone()
        found["alone"] = statistics.median(times) * 1e6
        shell.executor.submit(shell.close)

    thread = threading.Thread(target=measure)
    thread.start()
    shell.run()
    thread.join()
    print(json.dumps(found))


main(sys.argv[1])

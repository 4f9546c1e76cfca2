"""A GUI program that talks to a server: `python program.py TOOLKIT SCENARIO URL`.

It prints what it saw as a line of JSON: how often a timer of 10 ms came in how many seconds, how many callbacks there
were, and on how many threads that are not the loop's. It ends when its window is closed.
"""

import json
import sys
import threading
import time
from concurrent.futures import Future

from shells import SHELLS

import wssync

MESSAGES = 100_000
SECONDS = 1.5


class Program(wssync.WebSocketDelegate):
    """What all scenarios share."""

    def __init__(self, shell, url):
        self.shell = shell
        self.url = url
        self.session = wssync.Session(delegate=self, executor=shell.executor)
        self.ticks = 0
        self.callbacks = 0
        self.elsewhere = 0
        self.errors = []
        self.began = time.monotonic()
        self.tasks = []
        self.found = {}

    def start(self):
        """Just before the loop."""
        if not self.tasks:
            self.begin()
        self.began = time.monotonic()
        self.shell.every(10, self.tick)

    def tick(self):
        """The loop turns."""
        self.ticks += 1
        if time.monotonic() - self.began > self.limit():
            self.finish()

    def limit(self):
        """Seconds until it ends by itself."""
        return SECONDS

    def heard(self):
        """A callback: on the right thread?"""
        self.callbacks += 1
        if threading.current_thread() is not threading.main_thread() or not self.shell.executor.is_current():
            self.elsewhere += 1

    def begin(self):
        """A task."""
        task = self.session.websocket_task(self.url)
        self.tasks.append(task)
        task.resume()
        return task

    def did_open(self, session, task, protocol):
        """The connection is there."""
        self.heard()

    def did_complete(self, session, task, error):
        """The connection is gone."""
        self.heard()
        self.errors.append(type(error).__name__)

    def finish(self):
        """Note what was seen, and close the window."""
        if self.found:
            return
        seconds = time.monotonic() - self.began
        self.found.update(
            ticks=self.ticks, seconds=seconds, callbacks=self.callbacks, elsewhere=self.elsewhere, errors=self.errors
        )
        self.note()
        self.shell.close()

    def note(self):
        """What else is to be told."""

    def after(self):
        """Behind the loop."""


class Flood(Program):
    """As many messages as the server can send."""

    def __init__(self, shell, url):
        super().__init__(shell, url)
        self.numbers = 0
        self.ordered = True
        self.idle = 0
        task = self.begin()
        task.receive_each(self.received)

    def tick(self):
        """Have there been moments without anything to do since?"""
        super().tick()
        if hasattr(self.shell, "when_idle") and not self.found:
            self.shell.when_idle(self.rest)

    def rest(self):
        """There was one."""
        self.idle += 1

    def limit(self):
        """As long as that takes."""
        return 60

    def received(self, result):
        """A message, which is its number."""
        self.heard()
        if result.error is None:
            self.ordered = self.ordered and int(result.message) == self.numbers
            self.numbers += 1
            if self.numbers == MESSAGES:
                self.finish()

    def note(self):
        """All came, in order."""
        self.found.update(messages=self.numbers, ordered=self.ordered)
        if hasattr(self.shell, "when_idle"):
            self.found["idle"] = self.idle


class FullFlow(Flood):
    """The window is closed in the middle of that."""

    def limit(self):
        """Soon."""
        return 0.4

    def received(self, result):
        """Also from inside of a callback; each touches the window, as programs do."""
        self.heard()
        self.shell.show(str(self.numbers))
        self.numbers += 1

    def note(self):
        """The clock of the system is the same for who waits for the end."""
        self.found["closed"] = time.time()


class FullFlowInside(FullFlow):
    """A callback closes the window."""

    def limit(self):
        """By itself, never."""
        return 60

    def received(self, result):
        """The 1,000th message is the one."""
        super().received(result)
        if self.numbers == 1_000:
            self.finish()


class Released(FullFlow):
    """Another thread waits for the task when the window is closed."""

    def start(self):
        """It waits from the beginning on."""
        super().start()
        self.thread = threading.Thread(target=self.tasks[0].wait_until_closed)
        self.thread.start()

    def after(self):
        """It is released, since the task was cancelled, and nothing is taken any more."""
        self.thread.join()
        task = self.session.websocket_task(self.url)
        task.resume()
        task.receive(lambda result: print("a callback without a loop"))
        task.wait_until_closed()
        self.found["errors"] = [type(self.tasks[0].error).__name__, type(task.error).__name__]


class Unread(Program):
    """The peer reads nothing, and the program sends and sends."""

    def did_open(self, session, task, protocol):
        """Begin."""
        self.heard()
        self.send(None)

    def send(self, error):
        """Another one, until the library takes no more."""
        self.heard()
        if error is None:
            self.tasks[0].send(b"x" * 1_000_000, self.send)


class Challenge(Program):
    """The server wants a password, and the user takes a while."""

    def limit(self):
        """Longer than the user."""
        return SECONDS if not self.tasks or self.tasks[0].state is not wssync.TaskState.COMPLETED else 0

    def did_receive_challenge(self, session, task, challenge):
        """A dialog: the answer comes from a timer of the loop."""
        self.heard()
        answer = Future()
        asked = time.monotonic()

        def look():
            if time.monotonic() - asked > 1 and not answer.done():
                answer.set_result((wssync.AuthChallengeDisposition.USE_CREDENTIAL, wssync.Credential("user", "secret")))

        self.shell.every(50, look)
        return answer

    def did_open(self, session, task, protocol):
        """It was right."""
        self.heard()
        self.opened = True

    opened = False

    def note(self):
        """Whether it was."""
        self.found["opened"] = self.opened


class Gone(Program):
    """The server resets the first connection and refuses all others; each end is followed by another attempt."""

    def did_complete(self, session, task, error):
        """Once more."""
        super().did_complete(session, task, error)
        if len(self.errors) < 200:
            self.begin()


class Ignored(Program):
    """The server takes the connection and says nothing."""


SCENARIOS = {
    "flood": Flood,
    "full-flow": FullFlow,
    "full-flow-inside": FullFlowInside,
    "released": Released,
    "unread": Unread,
    "challenge": Challenge,
    "gone": Gone,
    "ignored": Ignored,
}


def main(toolkit, scenario, url):
    """The program."""
    shell = SHELLS[toolkit]()
    program = SCENARIOS[scenario](shell, url)
    program.start()
    shell.run()
    program.after()
    print(json.dumps(program.found))


main(*sys.argv[1:])

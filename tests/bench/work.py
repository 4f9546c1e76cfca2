"""How much is done for a message, counted and not timed: calls, system calls, locks, memory that stays.

Times differ from run to run and from machine to machine, so no test can hold them. What a thread does to send and
receive a message does not differ much, and whatever makes a message dearer shows in one of these numbers:

- Python calls, and calls of functions in C by name, as `sys.setprofile` hears of them;
- system calls for the connection, those of sockets and pollers; a lock that must be waited for is one too, and shows
  only under strace;
- acquisitions of locks: `with lock:` is no call;
- blocks of memory that are allocated when all is over and were not before, with the garbage collector switched off.

Everything but the last is counted in the calling thread alone. The peer is a process of its own, so that it neither
allocates here nor competes for the interpreter. Which of two threads is faster is not always the same, so the counts
are medians.
"""

from __future__ import annotations

import _thread
import contextlib
import functools
import gc
import os
import re
import select
import socket
import statistics
import subprocess
import sys
import threading
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional
from typing import Counter as CounterOf
from unittest import mock

import wssync
from wssync.testing import Server
from wssync.transport import stream

__all__ = [
    "BATCH",
    "PAYLOAD",
    "Work",
    "connection_work",
    "counted_calls",
    "counted_inside",
    "excess",
    "peer",
    "traced_system_calls",
]

ROOT = Path(__file__).resolve().parents[2]

PAYLOAD = b"0123456789abcdef"
BATCH = 1000
"""Messages that arrive together: they fit in one read of 64 KiB."""

WARM_UP, TIMES = 400, 100
"""Echoes before those that count, and those that count. Masking keys are fetched in growing numbers until then."""

BATCHES = 5

CONNECTIONS = 20
"""Those that are opened to see what one costs."""

SOCKET_CALLS = ("recv", "recv_into", "recvmsg", "recvmsg_into", "send", "sendall", "sendmsg")

LOCKS = "lock acquisitions"

MARK = "getpgrp"
"""A system call that nothing makes by itself: it shows where in a trace the echoes begin and end."""

Counts = Dict[str, float]


class Work:
    """What is counted for a step that a client repeats: `step` does it once on an open task."""

    def __init__(self, url: str, step: Callable[[wssync.WebSocketTask], object], warm_up: int, times: int) -> None:
        self._url = url
        self._step = step
        self._warm_up = warm_up
        self._times = times

    @classmethod
    def echo(cls, url: str) -> Work:
        """One message sent, and its echo received."""
        return cls(url, _echo, WARM_UP, TIMES)

    @classmethod
    def batch(cls, url: str) -> Work:
        """1,000 messages asked for by one, and received one after the other."""
        return cls(url, _batch, 2, BATCHES)

    def count(self) -> Counts:
        """All numbers for one step."""
        return {**self._calls(), **self._inside(), "allocated blocks": self._blocks()}

    @contextlib.contextmanager
    def warm(self) -> Iterator[Callable[[], object]]:
        """The step on an open task, after it has been done a few times."""
        with wssync.connect(self._url, configuration=_uncompressed(), timeout=30) as task:
            for _ in range(self._warm_up):
                self._step(task)
            yield functools.partial(self._step, task)

    def _calls(self) -> Counts:
        with self.warm() as step:
            return _medians([counted_calls(step) for _ in range(self._times)])

    def _inside(self) -> Counts:
        seen = []
        with counted_inside() as counts, self.warm() as step:
            for _ in range(self._times):
                counts.clear()
                step()
                system = sum(count for name, count in counts.items() if name != LOCKS)
                seen.append(counts + Counter({"system calls": system}))
        return _medians(seen)

    def _blocks(self) -> float:
        with self.warm() as step:
            was_enabled = gc.isenabled()
            gc.collect()
            gc.disable()
            try:
                before = sys.getallocatedblocks()
                for _ in range(self._times):
                    step()
                return (sys.getallocatedblocks() - before) / self._times
            finally:
                if was_enabled:
                    gc.enable()


def _medians(seen: List[CounterOf[str]]) -> Counts:
    names = {name for counts in seen for name in counts}
    return {name: statistics.median(counts[name] for counts in seen) for name in names}


def _echo(task: wssync.WebSocketTask) -> None:
    task.send(PAYLOAD)
    task.receive()


def _batch(task: wssync.WebSocketTask) -> None:
    task.send(str(BATCH))
    for _ in range(BATCH):
        task.receive()


def counted_calls(step: Callable[[], object]) -> CounterOf[str]:
    """How many calls `step` makes in this thread, itself not included: of Python functions, of functions in C, of each
    of those ("deque.append").
    """
    names: List[str] = []
    python = 0

    def note(frame: object, event: str, function: Any) -> None:
        nonlocal python
        if event == "call":
            python += 1
        elif event == "c_call":
            names.append(_name(function))

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        step()
    finally:
        sys.setprofile(before)
    counts = Counter(names)
    del counts["sys.setprofile"]
    total = sum(counts.values())
    # `step` may be a Python function or a partial of one: that call is not its own.
    return Counter({**counts, "Python calls": python - 1, "C calls": total})


def connection_work(url: str) -> Counts:
    """What a connection costs from its making to the end of its thread, in both threads: calls as in `counted_calls`.
    And the bytes of memory that one takes in this process while it is open and idle, without its thread's stacks.
    """
    seen = [_connection_calls(url) for _ in range(CONNECTIONS)]
    return {**_medians(seen), "bytes": _connection_bytes(url)}


def _connection_calls(url: str) -> CounterOf[str]:
    events: List[str] = []

    def note(frame: object, event: str, function: object) -> None:
        events.append(event)  # one call: there are two threads

    before = sys.getprofile()
    threading.setprofile(note)
    sys.setprofile(note)
    try:
        wssync.connect(url, configuration=_uncompressed(), timeout=30).close()
    finally:
        sys.setprofile(before)
        threading.setprofile(before)
    return Counter({"Python calls": events.count("call"), "C calls": events.count("c_call")})


def _connection_bytes(url: str) -> float:
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tasks = [wssync.connect(url, configuration=_uncompressed(), timeout=30) for _ in range(CONNECTIONS)]
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    for task in tasks:
        task.close()
    return (after - before) / CONNECTIONS


def _uncompressed() -> wssync.SessionConfiguration:
    """And without a limit to what is unread: when the engine's thread comes to look at that is a matter of time."""
    return wssync.SessionConfiguration.ephemeral().replace(compression=None, max_queue=None)


def _name(function: Any) -> str:
    """The name of a function in C, with the module or the type that it belongs to."""
    owner = getattr(function, "__self__", None)
    if owner is None or isinstance(owner, type(sys)):
        place = function.__module__ or "builtins"
    else:
        kinds = (owner if isinstance(owner, type) else type(owner)).__mro__
        # The last that has it: the socket of the standard library, and not what is made of it.
        place = next((kind for kind in reversed(kinds) if function.__name__ in vars(kind)), kinds[0]).__name__
    return f"{place.lstrip('_')}.{function.__name__}"


class _Stand:
    """Stands for an object of which some calls are counted. What it does not know itself the object knows."""

    def __init__(self, inner: Any, note: Callable[[], None]) -> None:
        self._inner = inner
        self._note = note

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class _CountedLock(_Stand):
    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        self._note()
        taken: bool = self._inner.acquire(blocking, timeout)
        return taken

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *error: object) -> None:
        self._inner.release()


class _CountedPoll(_Stand):
    def poll(self, *timeout: Any) -> Any:
        self._note()
        return self._inner.poll(*timeout)


class _Tally:
    """Counts, by name, what this thread does."""

    def __init__(self) -> None:
        self.counts: CounterOf[str] = Counter()
        self._thread = threading.get_ident()

    def note(self, name: str) -> None:
        if threading.get_ident() == self._thread:
            self.counts[name] += 1

    def noting(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def noted(*arguments: Any, **options: Any) -> Any:
            self.note(name)
            return call(*arguments, **options)

        return noted

    def making(self, name: str, stand: Callable[..., _Stand], make: Callable[[], Any]) -> Callable[[], _Stand]:
        """`make`, with something around what it makes that notes its calls under `name`."""
        return lambda: stand(make(), functools.partial(self.note, name))


@contextlib.contextmanager
def counted_inside() -> Iterator[CounterOf[str]]:
    """Counts what no profile shows, for this thread: how often it takes locks that are made while this is open
    ("lock acquisitions"), and how often it asks the system, also where C calls C: the calls of any socket, by name, and
    those of pollers that are made meanwhile.
    """
    tally = _Tally()
    with contextlib.ExitStack() as stack:
        for make in {threading.Lock, threading.RLock, _thread.allocate_lock}:
            _replace(stack, make, tally.making(LOCKS, _CountedLock, make))
        for name in SOCKET_CALLS:
            noted = tally.noting(f"socket.{name}", getattr(socket.socket, name))
            stack.enter_context(mock.patch.object(socket.socket, name, noted))
        # A socket with a `recv` of its own, as it has now, would not be waited for in the kernel.
        stack.enter_context(mock.patch.object(stream, "_may_block", lambda sock: sys.platform == "linux"))
        _replace(stack, select.poll, tally.making("poll.poll", _CountedPoll, select.poll))
        _replace(stack, select.select, tally.noting("select.select", select.select))
        yield tally.counts


def _replace(stack: contextlib.ExitStack, original: Any, substitute: Any) -> None:
    """Put `substitute` in the place of `original` until the stack ends, under whatever name wssync has it."""
    ours = [module for name, module in sys.modules.items() if name.partition(".")[0] == "wssync"]
    for module in (threading, select, *ours):
        for name, value in list(vars(module).items()):
            if value is original:
                stack.enter_context(mock.patch.object(module, name, substitute))


def traced_system_calls(url: str, file: Path) -> CounterOf[str]:
    """The system calls of the calling thread in all the `TIMES` echoes, by name, as strace wrote them to `file`.

    OSError where strace is missing or may not trace.
    """
    words = ["strace", "-f", "-o", str(file), sys.executable, "-m", "tests.bench.work", url]
    done = subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise OSError(done.stdout)
    return _between_marks(file.read_text(encoding="utf-8", errors="replace"))


def _between_marks(trace: str) -> CounterOf[str]:
    calls = re.findall(r"^(\d+) +(\w+)\(", trace, re.MULTILINE)  # not the second line of a call that was interrupted
    begin, end = (place for place, (_, name) in enumerate(calls) if name == MARK)
    thread = calls[begin][0]
    return Counter(name for number, name in calls[begin + 1 : end] if number == thread)


def excess(counts: Mapping[str, float], bounds: Mapping[str, float]) -> List[str]:
    """A sentence for each number that is over its bound; what was not counted at all is none."""
    return [
        f"{counts[name]:g} {name}, at most {bound:g}" for name, bound in bounds.items() if counts.get(name, 0) > bound
    ]


# The peer: `python -m tests.bench.work` serves until its standard input ends.


@contextlib.contextmanager
def peer() -> Iterator[str]:
    """A server in a process of its own, and its URL. Bytes come back; a text "N" is answered by N messages."""
    words = [sys.executable, "-m", "tests.bench.work"]
    with subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()


def _answer(connection: Any) -> None:
    frame = bytes([0x82, len(PAYLOAD)]) + PAYLOAD
    while True:
        message = connection.receive()
        connection.send_raw(frame * int(message) if isinstance(message, str) else frame)


def main(url: Optional[str] = None) -> None:
    """Serve; or, with the URL of a peer, echo messages between two of the system calls that nothing else makes."""
    if url is None:
        with Server(_answer, compression=None) as server:
            print(server.url, flush=True)
            sys.stdin.read()
        return
    with Work.echo(url).warm() as step:
        os.getpgrp()
        for _ in range(TIMES):
            step()
        os.getpgrp()


if __name__ == "__main__":
    main(*sys.argv[1:])

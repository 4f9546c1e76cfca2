"""A conversation with a real server, recorded once and played back ever after without a network.

    with Cassette("tests/cassettes/greeting.json"):
        with wssync.connect("wss://example.com/chat") as task:
            task.send("hello")
            self.assertEqual(task.receive(), "hello yourself")

The first run talks to the server and writes the file, a dialogue in JSON (`tape` describes it). The later ones read it:
the server's part is played by a thread, the client's part is compared. What differs is a failure of the test.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import threading
from types import TracebackType
from typing import Any, Callable, Iterable, List, Optional, Type, TypeVar, Union

from ..engine import surroundings
from ..transport.stream import Stream
from .masking import Masking
from .recording import Recording
from .replaying import Mismatch, Replay
from .tape import CassetteError, load, save

__all__ = ["Cassette", "CassetteError", "CassetteMismatch"]

F = TypeVar("F", bound=Callable[..., Any])


class CassetteMismatch(AssertionError):
    """What happened is not what the cassette has; the message shows both."""


class Cassette(contextlib.ContextDecorator):
    """Records what the tasks opened inside the block say and hear if there is no file at `path`, else replays it.

    It is a context manager, and a decorator for a test method; it may be used again and again, but not within itself
    (RuntimeError). For a whole test there are also `WebSocketTestCase.use_cassette`, which knows how the test went, and
    pytest's fixture `websocket_cassette`. Not so `enterContext` or `__enter__` in `setUp`: there the block ends by a
    cleanup, which is not told that the test has failed, so a conversation that failed would be written. Nor does the
    decorator see a `subTest` that fails, since the method goes on after it.

    It holds for the whole process: a task is recorded or replayed whichever thread opens it. Tasks that were open
    before the block have no part in it. Errors of the file are CassetteError, a ValueError that names the place, and
    OSError.

    **Recording.** The file is written when the block has ended without an exception; folders are made. Otherwise, or
    if no connection was attempted, there is no file: a conversation that failed must not be what is expected later. A
    task that is still open goes on, unrecorded. To record again, remove the file. With `record=False` (for a machine
    that should reach no network) a file that is missing is FileNotFoundError.

    **Replaying.** A connection gets the first conversation with its URL that none has had yet. It is a
    `CassetteMismatch`, an AssertionError raised at the end of the block, if a request, a message or a Close differs,
    if there are more of them, or another connection; and, unless the block raised an exception, if there are fewer. The
    connection concerned is lost at that moment, and the exception that this leads to in the block is the mismatch's
    `__cause__`; KeyboardInterrupt and SystemExit are not replaced. All connections are lost at the end of the block.

    The messages of one connection are expected in the order of the recording, so a program that sends on one connection
    from several threads at once cannot be replayed. The order between different connections is not kept. Pings are
    answered and not compared, and a server that was slow is not: no time passes in a replay, except where the client
    itself waits for something that does not come.

    A program that forgets to say what was recorded, and waits for the answer, would wait for ever. So it is a mismatch
    too if the client is silent for `patience` seconds, pings aside, while the recording has an event of it next. That
    is a number that is not negative (ValueError), or `None` to wait as long as it takes, for instance in a debugger.
    They are real seconds, under a `FakeClock` too, and should be more than the program needs between two messages.

    **What is stored.** The messages as they are: if there are secrets in them, they are in the file. Of the URLs and
    header fields not the user name and password, not the fields Authorization, Proxy-Authorization, Cookie and
    Set-Cookie, and not the header fields and query parameters (also those of a Location) that are named in `secrets`,
    in whatever case. These are not compared either. What differs each time is treated alike: Sec-WebSocket-Key,
    Sec-WebSocket-Accept, User-Agent, Date; and Host, which the URL has.

    A process that is forked inside the block has no part in the cassette.
    """

    def __init__(
        self,
        path: Union[str, os.PathLike[str]],
        *,
        secrets: Iterable[str] = (),
        record: bool = True,
        patience: Optional[float] = 30.0,
    ) -> None:
        if patience is not None and not patience >= 0:  # so that a NaN is refused too
            raise ValueError(f"patience is a number of seconds, zero or more, or None, not {patience!r}")
        self._path = os.fspath(path)
        self._masking = Masking(secrets)
        self._record = record
        self._patience = patience
        self._in_use = threading.Lock()
        self._resources = contextlib.ExitStack()
        self._session: Union[_Recorder, _Replayer, None] = None

    def __repr__(self) -> str:
        return f"Cassette({self._path!r})"

    @property
    def path(self) -> str:
        """The file, as it was given; a relative path counts from the working directory at the start of the block."""
        return self._path

    @property
    def recording(self) -> bool:
        """Whether this block records. RuntimeError outside of one."""
        if self._session is None:
            raise RuntimeError("a cassette neither records nor replays outside of its block")
        return isinstance(self._session, _Recorder)

    def __call__(self, func: F) -> F:
        """The function with a block around each call: a test method, or any other that does its work when called.

        TypeError for everything else, which would end the block before the work is done, or hide the tests of a class.
        """
        _refuse_to_decorate(func)
        return super().__call__(func)

    def __enter__(self) -> Cassette:
        if not self._in_use.acquire(blocking=False):
            raise RuntimeError(f"the cassette {self._path} is in use already")
        try:
            session = self._begin(os.path.abspath(self._path))
            self._resources.enter_context(surroundings.replaced(dial=session.dial))
            self._session = session
        except BaseException:
            self._in_use.release()
            raise
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        session, self._session = self._session, None
        assert session is not None
        try:
            self._resources.close()
            session.finish(error)
        finally:
            self._in_use.release()

    def _begin(self, path: str) -> Union[_Recorder, _Replayer]:
        if os.path.exists(path):
            return _Replayer(path, self._path, self._masking, self._patience)
        if self._record:
            return _Recorder(path, self._masking)
        raise FileNotFoundError(f"there is no cassette {self._path}, and it is not to be recorded here (record=False)")


class _Recorder:
    """One block that records."""

    def __init__(self, path: str, masking: Masking) -> None:
        self._path = path
        self._process = os.getpid()
        self._recording = Recording(surroundings.current().dial, masking)
        self.dial: Callable[..., Stream] = self._recording.dial

    def finish(self, error: Optional[BaseException]) -> None:
        """Write what was heard."""
        if os.getpid() != self._process:
            return
        conversations = self._recording.finish()
        if conversations and error is None:
            save(self._path, conversations)


class _Replayer:
    """One block that replays."""

    def __init__(self, path: str, name: str, masking: Masking, patience: Optional[float]) -> None:
        self._process = os.getpid()
        self._replay = Replay(name, load(path), masking, patience)
        self.dial: Callable[..., Stream] = self._replay.dial

    def finish(self, error: Optional[BaseException]) -> None:
        """Raise what did not match."""
        if os.getpid() != self._process:
            self._replay.abandon()
            return
        found = self._replay.finish()
        if error is None:
            found = found or self._replay.missing()
        else:
            found = [mismatch for mismatch in found if not mismatch.is_goodbye]
        if found and (error is None or isinstance(error, Exception)):
            raise CassetteMismatch(_message(found)) from error


def _message(found: List[Mismatch]) -> str:
    more = f"\n(and {len(found) - 1} more)" if len(found) > 1 else ""
    return found[0].text + more


def _refuse_to_decorate(func: Any) -> None:
    """TypeError for what is no function, or one that returns before its body has run."""
    if isinstance(func, type):
        kind, advice = f"the class {func.__name__}", "decorate its test methods, or call use_cassette in its setUp"
    elif isinstance(func, (staticmethod, classmethod)):
        kind, advice = f"a {type(func).__name__}", f"put @{type(func).__name__} above it"
    elif not callable(func):
        kind, advice = f"{func!r}", "call it with a path, and decorate a function"
    elif _is_one(func, inspect.iscoroutinefunction):
        kind, advice = f"the coroutine function {_name(func)}", "use a `with` block inside"
    elif _is_one(func, inspect.isgeneratorfunction) or _is_one(func, inspect.isasyncgenfunction):
        kind, advice = f"the generator function {_name(func)}", "use a `with` block inside"
    else:
        return
    raise TypeError(f"a Cassette decorates functions that do their work when called, not {kind}: {advice}")


def _is_one(func: Callable[..., Any], check: Callable[[Any], bool]) -> bool:
    """Whether the function is such a one, or the method that makes the object callable."""
    return check(func) or check(type(func).__call__)


def _name(func: Any) -> str:
    return str(getattr(func, "__qualname__", repr(func)))

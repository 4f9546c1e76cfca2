"""From a host name to a connected stream, which can be given up at any moment.

Two things may take long: the resolver and the connects. All their waits are the `Attempt`'s, so all end at once when it
is cancelled or late, and what was begun is closed on the way out.

`getaddrinfo` cannot be interrupted, so it runs in a daemon thread of its own, which nobody waits for but through the
attempt's waker: if the attempt has ended, the thread ends some time later, by itself, its answer unread.

The addresses are tried as RFC 8305 says: the families in turn, the next one 250 ms after the last, or at once when one
has failed; the first that connects wins. With a source address only the families that it has are tried, and with a
source port, which two connections at once cannot have, one after the other.
"""

from __future__ import annotations

import errno
import itertools
import math
import os
import socket
import sys
import threading
from collections import deque

from ..errors import (
    ConnectionFailed,
    ConnectionRefused,
    HostNotFound,
    TimedOut,
)
from ..hints import TYPE_CHECKING, Any, Callable, Deque, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple
from .stream import Address, Stream, TCPStream

if TYPE_CHECKING:
    from .waiting import Attempt, Waker

__all__ = ["DialOptions", "dial"]

STAGGER = 0.25
"""Seconds before the next address is tried beside the last ("Connection Attempt Delay", RFC 8305 section 5)."""

PATH_AGAIN = 0.05
"""Seconds until a Unix socket is asked again whose queue was full: there the system does not tell when it has room."""

_NOT_BLOCKING = int(socket.SOCK_STREAM) | int(getattr(socket, "SOCK_NONBLOCK", 0))
"""The kind of a socket that does not block from the first, where the system has such: a system call less."""

# As numbers: those of an enumeration are slow.
_TCP, _NO_DELAY = int(socket.IPPROTO_TCP), int(socket.TCP_NODELAY)
_SOCKET, _KEEP_ALIVE = int(socket.SOL_SOCKET), int(socket.SO_KEEPALIVE)

_TELLS_AGAIN = sys.platform == "linux"
"""Whether a second `connect` of a socket tells how the first one stands. Elsewhere it may tell other things."""

_IN_PROGRESS = {errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EAGAIN, errno.EALREADY, errno.EINTR}
_NO_NETWORK = {errno.ENETUNREACH, errno.ENETDOWN}
_URL_ERROR_CODES = {errno.ENETUNREACH: -1009, errno.ENETDOWN: -1009, errno.ETIMEDOUT: -1001}
_serial = itertools.count(1)

Target = Tuple[int, Tuple[Any, ...]]
"""A family, and an address of it as `socket.connect` wants it."""

Connected = Tuple[socket.socket, Target]

Sources = Dict[int, Tuple[Any, ...]]
"""Families, and an address of each as `socket.bind` wants it."""

Failure = Tuple[Target, OSError]
"""An address that could not be connected to, and why."""

Trace = Callable[..., object]


class DialOptions(NamedTuple):
    """Where a connection starts from, whether it stays on this machine, and who hears of its steps.

    source_address: (host, port) to connect from, as in `socket.create_connection`: "" is any address, 0 any port.
    unix_path: connect to this Unix socket in the place of any host and port.
    trace: called on the dialling thread, must not block and must not raise, as
        `trace("resolve_start", host=, port=)` and `trace("resolve_end", addresses=)` where a name is looked up;
        `trace("connect_start", address=)` for each address that is tried;
        `trace("connect_failed", address=, error=)` with the OSError, for each that fails;
        `trace("connect_end", local=, remote=)` once, for the one that is used. One that another was quicker than, or
        that was pending at a cancel, is not heard of again. Addresses are (IP address, port), or the path of a Unix
        socket, whose `local` and `remote` are `None`.
    """

    source_address: Optional[Tuple[str, int]] = None
    unix_path: Optional[str] = None
    trace: Optional[Trace] = None


_PLAIN = DialOptions()


def dial(
    host: str,
    port: int,
    attempt: Attempt,
    *,
    url: Optional[str] = None,
    options: DialOptions = _PLAIN,
) -> Stream:
    """Connect to `host` (a name, or an IP address without brackets) and `port`; TLS is the matter of `trust`.

    The stream has the attempt's waker. `url`, which must hold no secret, goes into the errors. Names are looked up by
    `socket.getaddrinfo`, in a thread. With a Unix socket in the `options` nothing is looked up.

    HostNotFound, ConnectionRefused or ConnectionFailed, which name every address tried; TimedOut; whatever the
    attempt's `check` raises. No descriptor is left open then.
    """
    try:
        if options.unix_path is None:
            sock, target = _connect(host, port, attempt, options)
            return _connected(sock, attempt, options.trace, _peer_of(target))
        return _connected(_connect_to_path(options.unix_path, attempt, options.trace), attempt, options.trace)
    except (ConnectionFailed, TimedOut) as error:
        error.url = error.url or url
        raise


def _connected(
    sock: socket.socket, attempt: Attempt, trace: Optional[Trace], remote: Optional[Address] = None
) -> Stream:
    stream = TCPStream(sock, attempt.waker, remote)
    try:
        if trace is not None:
            trace("connect_end", local=stream.local_address, remote=stream.remote_address)
    except BaseException:
        stream.close()
        raise
    return stream


def _connect(host: str, port: int, attempt: Attempt, options: DialOptions) -> Connected:
    attempt.check()
    targets = _resolve(host, port, attempt, options.trace)
    if options.source_address is None:
        return _Race(targets, attempt, trace=options.trace).run(f"{host} port {port}")
    sources = _sources(*options.source_address, attempt)
    fitting = [target for target in targets if target[0] in sources]
    if not fitting:
        raise ConnectionFailed(f"{host} has no address of the family of the source address {options.source_address[0]}")
    return _Race(fitting, attempt, sources, options.trace).run(f"{host} port {port}")


def _sources(host: str, port: int, attempt: Attempt) -> Sources:
    """For each family the first address of `host` to start from."""
    if not host:
        return {socket.AF_INET: ("", port), socket.AF_INET6: ("", port, 0, 0)}
    try:
        found = _resolve(host, port, attempt)
    except HostNotFound as error:
        raise ConnectionFailed(f"the source address: {error}") from error
    return dict(reversed(found))  # so the first of a family stands


def _connect_to_path(path: str, attempt: Attempt, trace: Optional[Trace]) -> socket.socket:
    if not hasattr(socket, "AF_UNIX"):
        raise ConnectionFailed("this platform has no Unix sockets")
    attempt.check()
    if trace is not None:
        trace("connect_start", address=path)
    while True:
        try:
            return _connect_at_once(path)
        except BlockingIOError:
            pass
        except OSError as error:
            if trace is not None:
                trace("connect_failed", address=path, error=error)
            kind = ConnectionRefused if isinstance(error, ConnectionRefusedError) else ConnectionFailed
            raise kind(f"could not connect to the Unix socket {path!r}: {error.strerror or error}") from error
        attempt.wait(timeout=PATH_AGAIN)


def _connect_at_once(path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.connect(path)
        return sock
    except BaseException:
        sock.close()
        raise


def _resolve(host: str, port: int, attempt: Attempt, trace: Optional[Trace] = None) -> List[Target]:
    for family, rest in ((socket.AF_INET, ()), (socket.AF_INET6, (0, 0))):
        try:
            socket.inet_pton(family, host)
        except (OSError, ValueError):
            continue
        return [(int(family), (host, port, *rest))]
    if trace is not None:
        trace("resolve_start", host=host, port=port)
    answers = _ask_resolver(host, port, attempt)
    found = [(family, address) for family, _, _, _, address in answers]
    targets = [target for target in dict.fromkeys(found) if target[0] in (socket.AF_INET, socket.AF_INET6)]
    if not targets:
        raise HostNotFound(f"{host} has no address")
    targets = _interleave(targets)
    if trace is not None:
        trace("resolve_end", addresses=[_address(target) for target in targets])
    return targets


def _ask_resolver(host: str, port: int, attempt: Attempt) -> Sequence[Tuple[Any, ...]]:
    lookup = _Lookup(host, port, attempt.waker)
    try:
        threading.Thread(target=lookup.run, name=f"wssync-resolver-{next(_serial)}", daemon=True).start()
    except RuntimeError as error:
        raise ConnectionFailed(f"{host} could not be looked up: {error}") from error
    while not lookup.done:
        attempt.wait()
    if lookup.error is not None:
        raise HostNotFound(f"{host} could not be resolved: {lookup.error}") from lookup.error
    return lookup.answers


class _Lookup:
    """One question to the resolver. Its thread sets the fields, `done` last, and wakes; it knows nothing else."""

    def __init__(self, host: str, port: int, waker: Waker) -> None:
        self._question = host, port
        self._resolve = socket.getaddrinfo
        self._waker = waker
        self.answers: Sequence[Tuple[Any, ...]] = ()
        self.error: Optional[BaseException] = None
        self.done = False

    def run(self) -> None:
        try:
            self.answers = self._resolve(*self._question, type=socket.SOCK_STREAM)
        except BaseException as error:
            self.error = error
        self.done = True
        self._waker.wake()


def _interleave(targets: Iterable[Target]) -> List[Target]:
    """The families in turn, the first one first; within a family the resolver's order (RFC 8305 section 4)."""
    families: Dict[int, List[Target]] = {}
    for target in targets:
        families.setdefault(target[0], []).append(target)
    turns = itertools.zip_longest(*families.values())
    return [target for turn in turns for target in turn if target is not None]


class _Race:
    """The connects to all addresses of a host, from `sources` if there are such."""

    def __init__(
        self,
        targets: Iterable[Target],
        attempt: Attempt,
        sources: Optional[Sources] = None,
        trace: Optional[Trace] = None,
    ) -> None:
        self._attempt = attempt
        self._sources = sources or {}
        self._trace = trace
        has_port = bool(sources) and any(address[1] for address in self._sources.values())
        self._stagger = math.inf if has_port else STAGGER
        self._clock = attempt.deadline.clock
        self._waiting: Deque[Target] = deque(targets)
        self._pending: Dict[socket.socket, Target] = {}
        self._failures: List[Failure] = []
        self._next_start = self._clock.now()

    def run(self, place: str) -> Connected:
        """The first socket that is connected, and to what; all others are closed. `place` is for the message if there
        is none.
        """
        waiting, pending = self._waiting, self._pending
        try:
            while waiting or pending:
                begins = waiting and self._clock.now() >= self._next_start
                winner = self._start(waiting.popleft()) if begins else self._wait()
                if winner is not None:
                    return winner
        finally:
            for sock in pending:
                sock.close()
        raise _all_failed(place, self._failures)

    def _start(self, target: Target) -> Optional[Connected]:
        family, address = target
        if self._trace is not None:
            self._trace("connect_start", address=_address(target))
        try:
            sock = socket.socket(family, _NOT_BLOCKING)
        except OSError as error:
            self._record(target, error)
            return None
        self._pending[sock] = target
        try:
            if sock.gettimeout() != 0.0:
                sock.setblocking(False)
            sock.setsockopt(_TCP, _NO_DELAY, 1)
            sock.setsockopt(_SOCKET, _KEEP_ALIVE, 1)
            if family in self._sources:
                sock.bind(self._sources[family])
            code = sock.connect_ex(address)
            if code == errno.EINPROGRESS and _TELLS_AGAIN:
                code = sock.connect_ex(address)  # somebody on this machine has answered by now
        except OSError as error:
            self._fail(sock, error)
            return None
        if not code:
            return sock, self._pending.pop(sock)
        if code in _IN_PROGRESS:
            self._next_start = self._clock.now() + self._stagger
        else:
            self._fail(sock, _error(code))
        return None

    def _wait(self) -> Optional[Connected]:
        timeout = max(0.0, self._next_start - self._clock.now()) if self._waiting else None
        pending = list(self._pending)
        _, writable = self._attempt.wait((), pending, timeout)
        for sock in pending:
            if sock not in writable:
                continue
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if not code:
                return sock, self._pending.pop(sock)
            self._fail(sock, _error(code))
        return None

    def _fail(self, sock: socket.socket, error: OSError) -> None:
        target = self._pending.pop(sock)
        sock.close()
        self._next_start = self._clock.now()
        self._record(target, error)

    def _record(self, target: Target, error: OSError) -> None:
        self._failures.append((target, error))
        if self._trace is not None:
            self._trace("connect_failed", address=_address(target), error=error)


def _error(code: int) -> OSError:
    return OSError(code, os.strerror(code))


def _peer_of(target: Target) -> Optional[Address]:
    """Who answers there, if that can be said without asking the socket: not of addresses that stand for another."""
    host = str(target[1][0])
    return None if host in ("0.0.0.0", "::") or host.startswith("::ffff:") else _address(target)


def _address(target: Target) -> Address:
    host, port = target[1][:2]
    return str(host), int(port)


def _spell(family: int, address: Tuple[Any, ...]) -> str:
    host, port = address[:2]
    return f"[{host}]:{port}" if family == socket.AF_INET6 else f"{host}:{port}"


def _all_failed(place: str, failures: Sequence[Failure]) -> ConnectionFailed:
    """The last error decides (rule 107); but "no network", said of one family, does not hide another's answer."""
    answered = [error for _, error in failures if error.errno not in _NO_NETWORK]
    cause = (answered or [error for _, error in failures])[-1]
    tried = "; ".join(f"{_spell(*target)}: {error.strerror or error}" for target, error in failures)
    message = f"could not connect to {place} ({tried})"
    if isinstance(cause, ConnectionRefusedError):
        error: ConnectionFailed = ConnectionRefused(message)
    else:
        error = ConnectionFailed(message, url_error_code=_URL_ERROR_CODES.get(cause.errno or 0))
    error.__cause__ = cause
    return error

"""What the tests of `wssync.transport` share: connected sockets, certificates, and a check for leaks.

The certificates are made once a process, in a temporary directory that goes away with it.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import random
import signal
import socket
import ssl
import struct
import sys
import tempfile
import threading
import time
import unittest
from datetime import datetime, timedelta, timezone
from typing import Callable, List, Optional, Tuple
from unittest import mock

import trustme

from tests.threads import Running as Running
from wssync.errors import ConnectionClosed
from wssync.transport import waiting
from wssync.transport.clock import Clock, Deadline
from wssync.transport.stream import Stream, TCPStream
from wssync.transport.tls import make_context
from wssync.transport.waiting import Attempt, Waker

PATIENCE = 20.0
"""Seconds after which a test gives up on something that should come at once."""


class TransportTestCase(unittest.TestCase):
    """Fails when a test leaves a descriptor open, or a thread of wssync's running."""

    def setUp(self) -> None:
        certificate_authority()
        before = open_descriptors()
        self.addCleanup(lambda: self.assertEqual(open_descriptors(), before, "descriptors left open"))
        self.addCleanup(self._check_threads)

    def _check_threads(self) -> None:
        for thread in threading.enumerate():
            if thread.name.startswith("wssync"):
                thread.join(PATIENCE)
                self.assertFalse(thread.is_alive(), f"{thread.name} is left running")

    def waker(self) -> Waker:
        waker = Waker()
        self.addCleanup(waker.close)
        return waker

    def attempt(
        self,
        *,
        check: Callable[[], None] = lambda: None,
        seconds: Optional[float] = PATIENCE,
        clock: Optional[Clock] = None,
    ) -> Attempt:
        return Attempt(self.waker(), Deadline(clock or Clock(), seconds), check)

    def sockets(self) -> Tuple[socket.socket, socket.socket]:
        """Two ends of a TCP connection over loopback."""
        left, right = tcp_pair()
        self.addCleanup(left.close)
        self.addCleanup(right.close)
        return left, right

    def streams(self) -> Tuple[TCPStream, TCPStream]:
        left, right = self.sockets()
        return TCPStream(left, self.waker()), TCPStream(right, self.waker())

    def listener(self) -> Tuple[socket.socket, int]:
        """A listening socket and its port."""
        listener = socket.socket()
        self.addCleanup(listener.close)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        return listener, listener.getsockname()[1]

    def by_select(self) -> None:
        """Let this test wait with `select`, as on Windows."""
        patch = mock.patch.object(waiting, "_new_poll", None)
        patch.start()
        self.addCleanup(patch.stop)


def tcp_pair() -> Tuple[socket.socket, socket.socket]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        left = socket.create_connection(listener.getsockname(), PATIENCE)
        right, _ = listener.accept()
    right.settimeout(PATIENCE)
    return left, right


def reset(sock: socket.socket) -> None:
    """Close a connection with RST in the place of FIN."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def open_descriptors() -> Optional[int]:
    """How many there are, or `None` where that cannot be asked."""
    try:
        return len(os.listdir("/dev/fd"))
    except OSError:
        return None


@functools.cache
def certificate_authority() -> trustme.CA:
    return trustme.CA(key_type=trustme.KeyType.ECDSA)


@functools.cache
def ca_file() -> str:
    directory = tempfile.TemporaryDirectory(prefix="wssync-tests-")
    atexit.register(directory.cleanup)
    path = os.path.join(directory.name, "ca.pem")
    certificate_authority().cert_pem.write_to_path(path)
    return path


@functools.cache
def leaf(*names: str, first_day: int = 0, last_day: int = 2) -> trustme.LeafCert:
    """A certificate for `names`, valid between two days counted from today."""
    today = datetime.now(timezone.utc) - timedelta(hours=1)
    return certificate_authority().issue_cert(
        *names,
        not_before=today + timedelta(days=first_day),
        not_after=today + timedelta(days=last_day),
        key_type=trustme.KeyType.ECDSA,
    )


def server_context(
    *names: str,
    first_day: int = 0,
    last_day: int = 2,
    version: Optional[ssl.TLSVersion] = None,
    asks_for_certificate: bool = False,
) -> ssl.SSLContext:
    """A server's context with a certificate for `names`, by default localhost and the loopback addresses."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    names = names or ("localhost", "127.0.0.1", "::1")
    leaf(*names, first_day=first_day, last_day=last_day).configure_cert(context)
    if version is not None:
        context.minimum_version = context.maximum_version = version
    if asks_for_certificate:
        context.verify_mode = ssl.CERT_REQUIRED
        certificate_authority().configure_trust(context)
    return context


def client_context() -> ssl.SSLContext:
    return make_context(cafile=ca_file())


class Hit(Exception):
    """What `bombard` throws, as Ctrl-C throws KeyboardInterrupt."""


def bombard(case: unittest.TestCase, stream: Stream, peer: Stream, seconds: float = 0.4) -> Optional[BaseException]:
    """Read numbered bytes from `stream` in the main thread while a timer signal raises in it; none may be missing.

    Returns what ended the connection before its time, if anything did.
    """
    if sys.gettrace() is not None or "coverage" in sys.modules:
        case.skipTest("a tracer written in Python does not survive such exceptions: they leave its locks held")
    pattern = bytes(range(251)) * 64
    stop = threading.Event()

    def write() -> int:
        sent = 0
        while not stop.is_set():
            taken = peer.send(pattern[sent % 251 : sent % 251 + 3000])
            sent += taken
            if not taken:
                peer.wait(False, True, 0.01)
        while not peer.flush():
            peer.wait(False, True, 0.01)
        peer.shutdown_write()
        return sent

    def hit(*_: object) -> None:
        if live:
            raise Hit

    live = [True]
    writer = Running(write)
    chunks: List[Optional[bytes]] = []
    hits = 0
    ends = time.monotonic() + seconds
    previous = signal.signal(signal.SIGALRM, hit)
    try:
        while time.monotonic() < ends:
            try:
                # Again after 20 ms: a hit within a finalizer is swallowed.
                signal.setitimer(signal.ITIMER_REAL, random.uniform(5e-6, 3e-4), 0.02)
                while True:
                    # To be given a chunk and to store it is one C call here too, as it is in the engine.
                    chunks.extend(map(stream.recv, (2048,)))
            except Hit:
                hits += 1
    except (Hit, ConnectionClosed):
        pass  # the second comes again below
    finally:
        live.clear()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
        stop.set()
    error = None
    try:
        while b"" not in chunks[-1:]:
            stream.wait(True, False, PATIENCE)
            chunks.extend(map(stream.recv, (65536,)))
    except ConnectionClosed as closed:
        error = closed
        stream.shutdown()
    received = b"".join(filter(None, chunks))
    if error is None:
        case.assertEqual(len(received), writer.result(), f"bytes lost or doubled by {hits} exceptions")
    else:
        with contextlib.suppress(ConnectionClosed):
            writer.result()
    case.assertTrue(received == (pattern * (len(received) // len(pattern) + 1))[: len(received)], "not in order")
    case.assertGreater(hits, 0)
    return error

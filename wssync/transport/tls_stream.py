"""TLS over any stream, for two threads at once.

One `ssl.SSLSocket` used by a reading and a writing thread loses connections (and once crashed the interpreter):
OpenSSL's object is not made for it. So the object never sees a socket here. It works on two memory buffers, each call
of it under one lock that is held for that call alone, at most 64 KiB of data, never during a system call.

What must hold, and how:

- The order on the wire is the order of the calls of the object. It puts all it has to say into one buffer, a queue.
  Only the writing thread takes bytes out and hands them down; a reading thread whose call made output (the answer to a
  key update, an alert) leaves it there, `has_output` says so, and the writing thread's next `flush()` carries it.
- Memory is bounded: `send` takes at most 64 KiB, and nothing as long as earlier cipher text is not all handed down; one
  `recv` fetches at most 128 KiB of cipher text, and only after what came before was read.
- No byte is lost in silence. OpenSSL's call may lose a record when a signal's handler raises in it, which is not to be
  prevented; then the connection is treated as lost.
- Below may lie another `TLSStream`: that is TLS to a server through a TLS proxy.
"""

from __future__ import annotations

import ssl
import threading
from collections import deque
from typing import TYPE_CHECKING, List, Optional, Tuple

from ..errors import ConnectionClosed
from .stream import Address, Buffer, Stream, connection_lost

if TYPE_CHECKING:
    from .waiting import Attempt

__all__ = ["TLSStream"]

CIPHER_TEXT = 128 * 1024
"""Bytes of cipher text fetched at a time: 64 KiB of messages and more arrive in one piece (measured, for TLS alone)."""

PLAIN_TEXT = 64 * 1024
"""Bytes of plain text that one `send` takes at most."""

RECORD = 16 * 1024
"""The longest record (RFC 8446 section 5.1), which is what one call of the object reads or writes at most."""


class TLSStream(Stream):
    """TLS over the stream `lower`, which belongs to it from now on. First of all comes `handshake()`.

    `context` makes the TLS; `server_hostname` is the name that goes into SNI and that the certificate is checked
    against (RFC 6455 section 4.1). ValueError when that name is unusable, or missing although the context wants it
    checked. `server_side` is for tests, where it plays the server.
    """

    def __init__(
        self, lower: Stream, context: ssl.SSLContext, server_hostname: Optional[str], *, server_side: bool = False
    ) -> None:
        if context.check_hostname and not server_hostname and not server_side:
            raise ValueError("no name to check the certificate against")  # wrap_bio would check nothing
        self._lower = lower
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_side, server_hostname=server_hostname
        )
        self._lock = threading.Lock()  # around each call of the object and of the two buffers
        # The reading thread's, but for `shutdown_write`, which stores what it must not lose under the lock:
        self._fetched: List[Optional[bytes]] = []  # from below, not fed yet
        self._decrypted: List[bytes] = []  # not returned yet
        self._more = False  # the object may have more to decrypt
        self._ended = False  # the stream below has ended, or close_notify has come
        self._failure: Optional[OSError] = None  # told once what came before it has been returned
        # The writing thread's:
        self._unsent = memoryview(b"")  # taken from the outgoing buffer, goes first
        self._closing = False

    @property
    def ssl_object(self) -> ssl.SSLObject:
        """For questions about the handshake (version, cipher, certificate) once it is done; never to read or write."""
        return self._object

    def handshake(self, attempt: Attempt) -> None:
        """Do the TLS handshake, ending at once when the attempt does.

        `ssl.SSLError` as it is; `ConnectionClosed` when the connection broke, `ConnectionResetError` when it just
        ended.
        """
        while not self._step():
            flushed = self.flush()
            readable, _ = attempt.wait_stream(self._lower, True, not flushed)
            if readable and self._fetch() and self._ended:
                raise ConnectionResetError("the connection was closed during the TLS handshake")
        while not self.flush():
            attempt.wait_stream(self._lower, False, True)

    def _step(self) -> bool:
        try:
            with self._lock:
                self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError:
            try:
                self.flush()  # the alert that tells the peer what we did not like
            except ConnectionClosed:
                pass
            raise
        return True

    def wait(self, read: bool, write: bool, timeout: Optional[float], *, owner: bool = True) -> Tuple[bool, bool]:
        """See `Stream.wait`."""
        if read and self.pending:
            return True, self._lower.wait(True, write, 0.0, owner=owner)[1]
        return self._lower.wait(read, write, timeout, owner=owner)

    def wake(self) -> None:
        """See `Stream.wake`."""
        self._lower.wake()

    @property
    def pending(self) -> bool:
        """Whether something fetched is still to be read: plain text, the end, or what broke the connection."""
        return bool(self._more or self._decrypted or self._fetched or self._ended or self._failure)

    def recv(self, limit: int) -> Optional[bytes]:
        """Plain text; fetches 128 KiB of cipher text, whatever the `limit`, when the last has been read.

        `None` also when only part of a record has come, or records that carry no data.
        """
        if (self._fetched or not self.pending) and not self._fetch():
            return None
        size = 0
        while size < limit:
            with self._lock:
                count = self._decrypt(limit - size)
            if not count:
                break
            size += count
        # Both before the text is looked at: all that came before them is stored by then, even if by `shutdown_write`.
        ended, failure = self._ended, self._failure
        decrypted = self._decrypted
        count = len(decrypted)
        data = b"".join(decrypted[:count])
        first, rest = data[:limit], data[limit:]
        # No call from here to the return: after a call, even one of our own, an exception from outside may come.
        decrypted[:count] = [rest] if rest else []
        if first:
            return first
        if failure is not None:
            raise connection_lost(failure) from failure
        return b"" if ended else None

    def _fetch(self) -> bool:
        """Feed the object with what has come; whether that was anything, be it the end."""
        fetched = self._fetched
        if not fetched:
            fetched.extend(map(self._lower.recv, (CIPHER_TEXT,)))
        if fetched[0]:
            self._more = True
            with self._lock:
                # Out of the list and into the object in one C call: no exception from outside can fall between.
                deque(map(self._incoming.write, map(fetched.pop, (0,))), 0)  # type: ignore[arg-type]  # never None
            return True
        self._ended = self._ended or fetched[0] is not None
        del fetched[0]
        return self._ended

    def _decrypt(self, size: int) -> int:
        """Under the lock: store the text of one record, at most `size` bytes of it; how many, 0 if there are none."""
        if not self._more:
            return 0
        decrypted = self._decrypted
        before = len(decrypted)
        try:
            decrypted.extend(map(self._object.read, (min(size, RECORD),)))
        except ssl.SSLWantReadError:
            self._more = False
            return 0
        except ssl.SSLZeroReturnError:
            decrypted.append(b"")
        except ssl.SSLError as error:
            self._more, self._failure = False, error
            return 0
        except BaseException:
            # From outside, as a signal's handler raises it. The call drops what it has decrypted by then.
            if len(decrypted) == before:
                self._more, self._failure = False, InterruptedError("an exception hit the decryption of a record")
            raise
        count = len(decrypted[-1])
        if not count:
            self._more, self._ended = False, True
        elif not self._incoming.pending and not self._object.pending():
            self._more = False
        return count

    def send(self, data: Buffer) -> int:
        """Take at most 64 KiB, and nothing as long as earlier cipher text waits for the kernel."""
        if not self.flush():
            return 0
        view = memoryview(data)[:PLAIN_TEXT]
        taken = 0
        try:
            while taken < len(view):
                with self._lock:
                    taken += self._object.write(view[taken:])
        except ssl.SSLWantReadError:
            pass  # half a message of the TLS handshake has come, which must be read first
        except ssl.SSLError as error:
            raise connection_lost(error) from error
        self.flush()
        return taken

    @property
    def has_output(self) -> bool:
        """Whether there is cipher text that the kernel has not taken."""
        with self._lock:
            produced = self._outgoing.pending
        return bool(self._unsent or produced or self._lower.has_output)

    def flush(self) -> bool:
        """See `Stream.flush`."""
        while self._unsent or self._take():
            sent = self._lower.send(self._unsent)
            self._unsent = self._unsent[sent:]
            if self._unsent:
                return False
        if not self._lower.flush():
            return False
        if self._closing:
            self._lower.shutdown_write()
        return True

    def _take(self) -> bool:
        with self._lock:
            self._unsent = memoryview(self._outgoing.read())
        return bool(self._unsent)

    def shutdown_write(self) -> None:
        """Send close_notify, then FIN. `recv` goes on."""
        if self._closing:
            return
        self._closing = True
        with self._lock:
            # `unwrap` also looks for the peer's close_notify, and is broken for good by data that it finds instead.
            while self._decrypt(RECORD):
                pass
            try:
                self._object.unwrap()
            except ssl.SSLError:
                pass  # as a rule: the peer's has not come yet
        self.flush()

    def shutdown(self) -> None:
        """See `Stream.shutdown`."""
        self._lower.shutdown()

    def close(self) -> None:
        """See `Stream.close`."""
        self._lower.close()

    def abandon(self) -> None:
        """See `Stream.abandon`."""
        self._lower.abandon()

    @property
    def local_address(self) -> Optional[Address]:
        """See `Stream.local_address`."""
        return self._lower.local_address

    @property
    def remote_address(self) -> Optional[Address]:
        """See `Stream.remote_address`."""
        return self._lower.remote_address

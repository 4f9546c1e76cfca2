"""TLS over any stream, for two threads at once.

One `ssl.SSLSocket` used by a reading and a writing thread loses connections (and once crashed the interpreter):
OpenSSL's object is not made for it. So the object never sees a socket here. It works on two memory buffers, each call
of it under one lock that is held for what a frame of the short way or one fetch has at most, never during a system
call.

What must hold, and how:

- The order on the wire is the order of the calls of the object. It puts all it has to say into one buffer, a queue.
  Only the writing thread takes bytes out and hands them down; a reading thread whose call made output (the answer to a
  key update, an alert) leaves it there, `has_output` says so, and the writing thread's next `flush()` carries it.
- Memory is bounded: `send` encrypts at most 64 KiB at a time, the first step of `sealing` a record more, for a frame of
  them has a header; and nothing as long as earlier cipher text is not all handed down. One `recv` fetches at most 120
  KiB of cipher text, and only after what came before was read; a `recv_into` does so a few times, twice as much.
- No byte is lost in silence. OpenSSL's call may lose a record when a signal's handler raises in it, which is not to be
  prevented; then the connection is treated as lost.
- A signal handler may send, and receive, in the middle of a call that it interrupted. That one holds the lock and may
  be within OpenSSL: so nothing is taken as long as this very thread has it, as if the kernel were full, and to read is
  an error.
- Reading is in `decryption`, writing here.
- Below may lie another `TLSStream`: that is TLS to a server through a TLS proxy.
"""

from __future__ import annotations

import ssl
from itertools import repeat

from ..errors import ConnectionClosed
from ..hints import TYPE_CHECKING, Callable, Optional, Tuple
from .decryption import LITTLE, RECORD, Decryption
from .stream import Address, Buffer, Sealing, connection_lost

if TYPE_CHECKING:
    from .waiting import Attempt

__all__ = ["TLSStream"]

PLAIN_TEXT = 64 * 1024
"""Bytes of plain text that are encrypted in one hold of the lock, and before the kernel has taken what came before."""


class TLSStream(Decryption):
    """TLS over the stream `lower`, which belongs to it from now on. First of all comes `handshake()`.

    `context` makes the TLS; `server_hostname` is the name that goes into SNI and that the certificate is checked
    against (RFC 6455 section 4.1). ValueError when that name is unusable, or missing although the context wants it
    checked. `server_side` is for tests, where it plays the server.
    """

    @property
    def ssl_object(self) -> ssl.SSLObject:
        """For questions about the handshake (version, cipher, certificate) once it is done; never to read or write."""
        return self._object

    def handshake(self, attempt: Attempt, judge: Optional[Callable[[], None]] = None) -> None:
        """Do the TLS handshake, ending at once when the attempt does.

        `judge` is called when its outcome is known, and before its last part is sent; it raises what shall end it.
        `ssl.SSLError` as it is; `ConnectionClosed` when the connection broke, `ConnectionResetError` when it just
        ended.
        """
        while not self._step():
            flushed = self.flush()
            readable, _ = attempt.wait_stream(self._lower, True, not flushed)
            data = self._lower.recv(LITTLE) if readable else None
            if data:
                self._more = True
                with self._lock:
                    self._incoming.write(data)
            elif data is not None:
                raise ConnectionResetError("the connection was closed during the TLS handshake")
        if judge is not None:
            judge()
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
    def sealing(self) -> Optional[Sealing]:
        """See `Stream.sealing`. Where nothing but the socket is below."""
        direct = self._direct
        return None if direct is None else Sealing(self._seal, direct, self._keep)

    def _seal(self, data: bytes) -> Optional[bytes]:
        """All or nothing: what is too long for one hold of the lock is `send`'s, piece by piece."""
        size = len(data)
        if self._unsent or size > PLAIN_TEXT + RECORD or self._is_within():
            return None
        try:
            with self._lock:
                if size <= RECORD:
                    self._raw.write(data)
                else:
                    for start in range(0, size, RECORD):
                        self._raw.write(data[start : start + RECORD])
                return self._outgoing.read()
        except ssl.SSLWantReadError:
            return None  # see `send`
        except ssl.SSLError as error:
            raise connection_lost(error) from error

    def _keep(self, rest: bytes) -> None:
        self._unsent = rest

    def send(self, data: Buffer) -> int:
        """Take what the kernel takes, 64 KiB at a time, and as much once that it does not: nothing as long as earlier
        cipher text waits for it.
        """
        view = memoryview(data)
        taken, size = 0, len(view)
        while self.flush() and taken < size:
            piece = view[taken : taken + PLAIN_TEXT]
            sealed = self._seal_piece(piece)
            taken += sealed
            if sealed < len(piece):
                self.flush()
                break
        return taken

    def _seal_piece(self, piece: memoryview) -> int:
        """Encrypt a piece; less of it where half a message of the TLS handshake has come, which must be read first."""
        if self._is_within():
            return 0
        taken, size = 0, len(piece)
        try:
            with self._lock:
                while taken < size:
                    taken += self._raw.write(piece[taken:])
                self._unsent = self._outgoing.read()  # with the last record: the next may be another thread's
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            raise connection_lost(error) from error
        return taken

    @property
    def has_output(self) -> bool:
        """Whether there is cipher text that the kernel has not taken. Like `flush`, it asks without the lock."""
        if self._unsent or self._outgoing.pending:
            return True
        return self._direct is None and self._lower.has_output

    def flush(self) -> bool:
        """See `Stream.flush`."""
        while self._unsent or self._outgoing.pending:
            if not self._unsent and not self._take():
                return False
            sent = self._lower.send(self._unsent)
            if sent < len(self._unsent):
                self._unsent = memoryview(self._unsent)[sent:]
                return False
            self._unsent = b""
        if self._direct is None and not self._lower.flush():
            return False
        if self._closing:
            self._lower.shutdown_write()
        return True

    def _take(self) -> bool:
        if self._is_within():
            return False
        with self._lock:
            self._unsent = self._outgoing.read()
        return True

    def shutdown_write(self) -> None:
        """Send close_notify, then FIN. `recv` goes on."""
        if self._closing:
            return
        self._closing = True
        with self._lock:
            # `unwrap` also looks for the peer's close_notify, and is broken for good by data that it finds instead.
            while self._more:
                self._decrypt(self._decrypted, 1, map(self._raw.read, repeat(RECORD)))
            try:
                self._object.unwrap()
            except ssl.SSLError:
                pass  # as a rule: the peer's has not come yet
        self.flush()

    def shutdown_read(self) -> None:
        """See `Stream.shutdown_read`."""
        self._lower.shutdown_read()

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

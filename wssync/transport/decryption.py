"""The reading half of a `TLSStream`: from what the stream below gives to plain text. What must hold is said there.

An exception from outside (Ctrl-C in the thread that reads) may come after any call, our own included. So everything is
in one of three lists at any moment: fetched and not fed, decrypted, filled into memory. It goes from list to list in
one C call, and leaves the last one with the return.

The cipher text of a long message is fetched into memory that is used again and again, by all connections: to get 120
KiB from the system, touch them for the first time and give them back costs as much as to decrypt what they hold.
"""

from __future__ import annotations

import ssl
import threading
from itertools import accumulate, chain, islice, repeat

from ..hints import Any, Callable, Iterable, List, Optional, Tuple, Union
from .stream import Stream, connection_lost, is_of_socket

__all__ = ["LITTLE", "RECORD", "Decryption"]

CIPHER_TEXT = 120 * 1024
"""Bytes of cipher text fetched at a time once much comes: the more, the better (measured, for TLS alone). But from 128
KiB on the memory for them would be mapped and cleared anew for every read, where it has to be new for each.
"""

LITTLE = 4096
"""Bytes fetched at a time as long as little comes."""

FEW, MUCH, FIRST = (LITTLE,), (CIPHER_TEXT,), (0,)

ENOUGH = 4 * CIPHER_TEXT
"""Bytes of a long message after which a call returns though more has come: its thread may have other things to do."""

_spare: List[memoryview] = []
"""Memory for cipher text, kept for whoever receives a long message next."""

_MOST_SPARE = 4

RECORD = 16 * 1024
"""The longest record (RFC 8446 section 5.1), which is what one call of the object reads or writes at most."""

AT_ONCE = 4
"""Records that are decrypted in one hold of the lock: 64 KiB."""

Fetch = Callable[[int], Optional[bytes]]


class Decryption(Stream):
    """A `TLSStream` as far as its reading thread goes."""

    def __init__(
        self, lower: Stream, context: ssl.SSLContext, server_hostname: Optional[str], *, server_side: bool = False
    ) -> None:
        if context.check_hostname and not server_hostname and not server_side:
            raise ValueError("no name to check the certificate against")  # wrap_bio would check nothing
        self._lower = lower
        self._direct = lower.direct  # if there is one, nothing that was taken waits below
        self._patient = lower.patient_recv
        self._fetches: Tuple[Any, Any] = (lower.recv, self._patient)
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_side, server_hostname=server_hostname
        )
        # What the calls of the object consist of: straight to it no signal's handler runs before the outcome is stored.
        self._raw: Any = getattr(self._object, "_sslobj", self._object)
        self._lock = threading.Lock()  # around each call of the object and of the two buffers
        # The reading thread's, but for `shutdown_write`, which stores what it must not lose under the lock:
        self._fetched: List[Any] = []  # from below, not fed yet: bytes, a piece of the memory, or `None` for nothing
        self._memory: Optional[memoryview] = None  # what cipher text is fetched into, during a `recv_into`
        self._decrypted: List[bytes] = []  # not returned yet
        self._more = False  # the object may have more to decrypt
        self._filled: List[int] = []  # bytes in the memory of a `recv_into` that has not returned
        self._most = FEW
        self._ended = False  # the stream below has ended, or close_notify has come, or there is a failure
        self._failure: Optional[OSError] = None  # told once what came before it has been returned; set first
        # The writing thread's:
        self._unsent: Union[bytes, memoryview] = b""  # taken from the outgoing buffer, goes first
        self._closing = False

    @property
    def pending(self) -> bool:
        """Whether something fetched is still to be read: plain text, the end, or what broke the connection."""
        return bool(self._more or self._decrypted or self._filled or self._fetched or self._ended)

    def recv(self, limit: int) -> Optional[bytes]:
        """Plain text; fetches 120 KiB of cipher text, whatever the `limit`, when the last has been read.

        `None` also when only part of a record has come, or records that carry no data.
        """
        if not self._prepare(limit, self._lower.recv):
            return self._tell()
        data = self._decrypted[0]
        del self._decrypted[0]  # no call from here to the caller, for after one an exception from outside may come
        return data

    @property
    def patient_recv(self) -> Optional[Callable[[int], Optional[bytes]]]:
        """See `Stream.patient_recv`."""
        return None if self._patient is None else self._recv_patiently

    def _recv_patiently(self, limit: int) -> Optional[bytes]:
        assert self._patient is not None
        if not self._prepare(limit, self._patient):
            return self._tell()
        data = self._decrypted[0]
        del self._decrypted[0]  # as in `recv`
        return data

    @property
    def recv_into(self) -> Optional[Callable[[memoryview, bool], Optional[int]]]:
        """See `Stream.recv_into`."""
        return self._read_into

    def _prepare(self, limit: int, fetch: Fetch) -> bool:
        """Bring what is to be received to the head of what is decrypted; False if there is nothing.

        Nearly always one short record comes alone. So far there are few calls: each of them on the way from the socket
        to the message is felt.
        """
        fetched, decrypted = self._fetched, self._decrypted
        if not (self._more or decrypted or fetched or self._ended or self._filled):  # as `pending`
            fetched.extend(map(fetch, self._most))
        if fetched:
            self._feed_little()
        return (not self._more and len(decrypted) == 1 and len(decrypted[0]) <= limit) or self._collect(limit)

    def _feed_little(self) -> None:
        """The same as `_feed`, and decrypt too, in one piece of code, if it is little: a record that comes alone."""
        fetched, decrypted = self._fetched, self._decrypted
        size = len(fetched[0] or b"")
        if not 0 < size < LITTLE:
            self._feed()
            return
        with self._lock:
            self._more = True
            try:
                # From one list to the other in one C call: no exception from outside can fall between.
                decrypted.extend(map(self._raw.read, map(self._incoming.write, map(fetched.pop, FIRST))))
            except BaseException as error:
                self._explain(error, bool(decrypted))
            else:
                if self._incoming.pending or not 0 < len(decrypted[0]) < size:
                    self._look(decrypted, 0)
                else:
                    self._more = False  # in a record is less than the bytes that were fed for it: this is all of it
        self._most = FEW

    def _collect(self, limit: int) -> bool:
        """Decrypt what there is, as long as that is within the limit, and join it."""
        decrypted = self._decrypted
        if self._filled:
            raise connection_lost(InterruptedError("an exception hit a read into memory that nobody asked for again"))
        size = sum(map(len, decrypted))
        while self._more and size < limit:
            before, records = len(decrypted), min((limit - size) // RECORD, AT_ONCE) or 1
            with self._lock:
                self._decrypt(decrypted, records, repeat(min(limit - size, RECORD), records))
            size += sum(map(len, decrypted[before:]))
        count = len(decrypted)
        data = b"".join(decrypted[:count])
        first, rest = data[:limit], data[limit:]
        decrypted[:count] = [first, rest] if rest else [first] if first else []
        return bool(first)

    def _tell(self) -> Optional[bytes]:
        """What there is when there is no text. Whether there is some all the same, by `shutdown_write`, is looked at
        last: it comes before an end that was seen earlier.
        """
        ended, failure = self._ended, self._failure
        if self._decrypted:
            return None
        if failure is not None:
            raise connection_lost(failure) from failure
        return b"" if ended else None

    def _read_into(self, memory: memoryview, patient: bool) -> Optional[int]:
        """Decrypt straight into the memory. How much of it is filled is on record, should an exception come between."""
        decrypted, filled = self._decrypted, self._filled
        self._fill_whole(memory, patient)
        count, size = sum(filled), len(memory)
        ended, failure = self._ended, self._failure  # as in `_tell`
        if count:
            del filled[:]  # no call from here to the return
            return count
        if decrypted:
            text = decrypted[0]
            count = min(len(text), size)
            rest = text[count:]
            memory[:count] = text[:count]
            decrypted[:1] = [rest] if rest else []  # no call from here to the return
            return count
        if failure is not None:
            raise connection_lost(failure) from failure
        return 0 if ended else None

    def _fill_whole(self, memory: memoryview, patient: bool) -> None:
        """Fill the memory as long as there is room in it and more has come, up to `ENOUGH`."""
        fetched, decrypted, filled = self._fetched, self._decrypted, self._filled
        begun = count = sum(filled)
        size = len(memory)
        while count < size and not (decrypted or self._ended):
            if not (self._more or fetched):
                if count - begun >= ENOUGH:
                    break
                self._fetch(patient and not count)  # what is there is told before anything is waited for
                patient = False
            if fetched and not self._feed():
                break
            with self._lock:
                self._fill(memory, count, min(size, count + AT_ONCE * RECORD))
            count = sum(filled)
        self._hand_on()

    def _fill(self, memory: memoryview, count: int, end: int) -> None:
        """Under the lock: fill the memory from `count` on, not beyond `end`, as far as there is something.

        It is one C call for all records, which finds out by itself where the next of them begins: where those end whose
        sizes it has stored so far. Nobody holds a piece of the memory when it ends, however that is.
        """
        filled, records = self._filled, -((count - end) // RECORD)
        begins = accumulate(chain((count,), islice(filled, len(filled), None)))
        pieces = map(memory.__getitem__, map(slice, begins, repeat(end)))
        self._decrypt(filled, records, repeat(RECORD, records), pieces)

    def _fetch(self, patient: bool) -> None:
        """Fetch cipher text: from a socket without waiting into our own memory. In the same C call the piece of it that
        was filled is stored.
        """
        direct = self._direct
        if direct is None or patient:  # who waits is not to hold memory meanwhile
            self._fetched.extend(map(self._fetches[patient], self._most if direct is None else FEW))
            return
        memory = self._memory
        if memory is None:
            memory = self._memory = _spare.pop() if _spare else memoryview(bytearray(CIPHER_TEXT))
        try:
            counts = map(direct.recv_into, (memory,), (0,), (direct.recv_flags,))
            self._fetched.extend(map(memory.__getitem__, map(slice, counts)))
        except BlockingIOError:
            self._fetched.append(None)
        except OSError as error:
            if not is_of_socket(error):
                raise
            raise connection_lost(error) from error

    def _hand_on(self) -> None:
        """Let the next have the memory, whose contents are all fed."""
        memory = self._memory
        if memory is not None and not self._fetched:
            self._memory = None
            if len(_spare) < _MOST_SPARE:
                _spare.append(memory)

    def _feed(self) -> bool:
        """Feed the object with what was fetched; False if that was nothing, or the end."""
        fetched = self._fetched
        size = len(fetched[0] or b"")
        if not size:
            self._ended = self._ended or fetched[0] is not None
            del fetched[0]
            return False
        with self._lock:
            self._more = True
            # Out of the list and into the object in one C call: no exception from outside can fall between.
            sum(map(self._incoming.write, map(fetched.pop, FIRST)))
        self._most = MUCH if size >= LITTLE else FEW
        return True

    def _decrypt(self, store: List[Any], records: int, sizes: Iterable[int], *into: Iterable[memoryview]) -> bool:
        """Under the lock: store what is in so many records, of each the size given at most; False if they ended."""
        before = len(store)
        try:
            store.extend(map(self._raw.read, sizes, *into))
        except BaseException as error:
            self._explain(error, len(store) == before + records)
            return False
        return self._look(store, before)

    def _explain(self, error: BaseException, is_stored: bool) -> None:
        """Under the lock: see what it means that decrypting ended with an exception."""
        if isinstance(error, ssl.SSLZeroReturnError):
            self._more, self._ended = False, True
        elif isinstance(error, ssl.SSLError):
            self._more = False
            if not isinstance(error, ssl.SSLWantReadError):
                self._failure, self._ended = error, True
        else:
            # From outside, as a signal's handler raises it. The call drops what it has decrypted by then.
            if not is_stored:
                self._failure = InterruptedError("an exception hit the decryption of a record")
                self._more, self._ended = False, True
            raise error

    def _look(self, store: List[Any], before: int) -> bool:
        """Under the lock: after decrypting, see whether that was the end, and whether there may be more."""
        if not store[-1]:
            self._more, self._ended = False, True
            while len(store) > before and not store[-1]:
                del store[-1]
            return False
        if not self._incoming.pending and not self._raw.pending():
            self._more = False
        return True

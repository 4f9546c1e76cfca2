"""The reading half of a `TLSStream`: from what the stream below gives to plain text. What must hold is said there.

An exception from outside (Ctrl-C in the thread that reads) may come after any call, our own included. So everything is
in one of three lists at any moment: fetched and not fed, decrypted, filled into memory. It goes from list to list in
one C call, and leaves the last one with the return. Such a call is a `next` of an iterator that lasts as long as the
connection: `map` keeps nothing between two steps, so that one which failed is followed by the next as if it had not
been. To make it anew for each record cost more than to take the record in.

The cipher text of a long message is fetched into memory that is used again and again, by all connections: to get as
much from the system, touch it for the first time and give it back costs as much as to decrypt what it holds.
"""

from __future__ import annotations

import ssl
import threading
from functools import partial
from itertools import islice, repeat

from ..hints import Any, Callable, Iterator, List, Optional, Union
from .stream import Direct, Stream, Unsealing, connection_lost, is_of_socket

__all__ = ["LITTLE", "RECORD", "Decryption"]

CIPHER_TEXT = 120 * 1024
"""Bytes of cipher text fetched at a time once much comes: the more, the better (measured, for TLS alone). But from 128
KiB on the memory for them would be mapped and cleared anew for every read, where it has to be new for each.
"""

LITTLE = 4096
"""Bytes fetched at a time as long as little comes."""

MEMORY = 240 * 1024
"""Bytes of cipher text of a long message fetched at a time, into memory that is there."""

ENOUGH = 4 * MEMORY
"""Bytes of a long message after which a call returns though more has come: its thread may have other things to do."""

_spare: List[memoryview] = []
"""Memory for cipher text, kept for whoever receives a long message next."""

_MOST_SPARE = 4

RECORD = 16 * 1024
"""The longest record (RFC 8446 section 5.1), which is what one call of the object reads or writes at most."""

AT_ONCE = 4
"""Records that `recv` decrypts in one hold of the lock: 64 KiB."""

_DROPPED = InterruptedError("an exception hit the decryption of a record")
"""From outside, as a signal handler raises it. The call drops what it has decrypted by then."""

_WITHIN = "receive() in a signal handler that interrupted a call of the same TLS connection"
"""Why nothing is read where this very thread has the lock: the call that it interrupted may be within OpenSSL."""

Step = Iterator[None]
"""Each `next` of it does one thing from beginning to end: no exception from outside can fall between."""


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
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_side, server_hostname=server_hostname
        )
        # What the calls of the object consist of: straight to it no signal's handler runs before the outcome is stored.
        self._raw: Any = getattr(self._object, "_sslobj", self._object)
        self._lock = threading.RLock()  # around each call of the object and of the two buffers
        self._is_within: Callable[[], bool] = self._lock._is_owned  # type: ignore[attr-defined] # there is no public name
        # The reading thread's, but for `shutdown_write`, which stores what it must not lose under the lock:
        self._fetched: List[Any] = []  # from below, not fed yet: bytes, a piece of the memory, or `None` for nothing
        self._fetch_much: Optional[Step] = None  # into the memory, which is held during a `recv_into` alone
        self._memory: Optional[memoryview] = None
        self._decrypted: List[bytes] = []  # not returned yet
        self._more = False  # the object may have more to decrypt
        self._filled: List[int] = []  # bytes in the memory of a `recv_into` that has not returned
        self._most = [LITTLE]  # bytes to fetch next
        self.is_clean = False
        """Nothing is pending once all that is decrypted was returned, and little is to be fetched: the short way is
        open. The reading thread's.
        """
        self._fetch_now = self._fetching(lower.recv)
        self._feed_next: Iterator[int] = map(self._incoming.write, map(self._fetched.pop, repeat(0)))
        self._open_next: Step = map(self._decrypted.append, map(self._raw.read, self._feed_next))
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
        if not self._prepare(limit, self._fetch_now):
            return self._tell()
        text = self._decrypted[0]
        del self._decrypted[0]  # no call from here to the caller, for after one an exception from outside may come
        return text

    @property
    def patient_recv(self) -> Optional[Callable[[int], Optional[bytes]]]:
        """See `Stream.patient_recv`."""
        return None if self._patient is None else partial(self._recv_patiently, self._fetching(self._patient))

    def _recv_patiently(self, fetch: Step, limit: int) -> Optional[bytes]:
        if not self._prepare(limit, fetch):
            return self._tell()
        text = self._decrypted[0]
        del self._decrypted[0]  # as in `recv`
        return text

    @property
    def unsealing(self) -> Optional[Unsealing]:
        """See `Stream.unsealing`. Where nothing but the socket is below."""
        direct = self._direct
        return None if direct is None else Unsealing(direct, self._fetched, self._decrypted, self._open)

    def _open(self, limit: int) -> Optional[bytes]:
        if self._is_within():
            raise RuntimeError(_WITHIN)
        if not self._open_alone(limit):
            return None
        if self._outgoing.pending:  # an answer to what was decrypted: whoever asks for that once more sends it
            self.is_clean = False
            return None
        text = self._decrypted[0]
        del self._decrypted[0]  # as in `recv`
        return text

    @property
    def recv_into(self) -> Optional[Callable[[memoryview, bool], Optional[int]]]:
        """See `Stream.recv_into`."""
        return self._read_into

    def _fetching(self, fetch: Callable[[int], Optional[bytes]]) -> Step:
        return map(self._fetched.append, map(fetch, map(self._most.__getitem__, repeat(0))))

    def _prepare(self, limit: int, fetch: Step) -> bool:
        """Bring what is to be received to the head of what is decrypted; False if there is nothing."""
        if self._is_within():
            raise RuntimeError(_WITHIN)
        if self._decrypted or not self.is_clean:
            return self._prepare_all(limit, fetch)
        self.is_clean = False
        next(fetch)
        return self._open_alone(limit)

    def _open_alone(self, limit: int) -> bool:
        """The same when something has been fetched, and nothing else was there.

        Nearly always that is one short record alone. It is fed and decrypted here, with as few calls as it takes: each
        of them on the way from the socket to the message is felt.
        """
        decrypted, is_alone = self._decrypted, False
        data = self._fetched[0]
        if data and len(data) < LITTLE:
            with self._lock:
                self._more = True
                try:
                    next(self._open_next)
                except ssl.SSLError as error:
                    self._explain(error)
                except BaseException:
                    if not decrypted:  # no call before it is noted: another exception could take its place
                        self._failure, self._ended, self._more = _DROPPED, True, False
                    raise
                else:
                    if not self._incoming.pending and 0 < len(decrypted[0]) < len(data):
                        is_alone = True  # in a record is less than the bytes that were fed for it: this is all of it
                        self._more = False
                    else:
                        self._look(decrypted, 0)
        if not is_alone or len(decrypted[0]) > limit:
            return self._prepare_all(limit)
        self.is_clean = True
        return True

    def _prepare_all(self, limit: int, fetch: Optional[Step] = None) -> bool:
        """The same with all that may have come, or be left."""
        if fetch is not None and not self.pending:
            next(fetch)
        if self._fetched:
            with self._lock:
                self._feed()
        is_there = self._collect(limit)
        # `_more` first: when that is false, all is there that `shutdown_write` may have found.
        if not self._more and len(self._decrypted) == is_there and not (self._fetched or self._filled or self._ended):
            self.is_clean = self._most[0] == LITTLE
        return is_there

    def _collect(self, limit: int) -> bool:
        """Decrypt what there is, as long as that is within the limit, and join it."""
        decrypted = self._decrypted
        if self._filled:
            raise connection_lost(InterruptedError("an exception hit a read into memory that nobody asked for again"))
        size = sum(map(len, decrypted))
        while self._more and size < limit:
            before, records = len(decrypted), min((limit - size) // RECORD, AT_ONCE) or 1
            with self._lock:
                self._decrypt(decrypted, records, map(self._raw.read, repeat(min(limit - size, RECORD))))
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
        if self._is_within():
            raise RuntimeError(_WITHIN)
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
        fetched, filled = self._fetched, self._filled
        begun = count = sum(filled)
        size = len(memory)
        self.is_clean = False
        fill_next = self._filling(memory)
        while count < size and not (self._decrypted or self._ended):
            if not (self._more or fetched):
                if count - begun >= ENOUGH:
                    break
                self._fetch(patient and not count)  # what is there is told before anything is waited for
                patient = False
            with self._lock:
                if fetched and not self._feed():
                    break
                self._decrypt(filled, -((count - size) // RECORD), fill_next)
            count = sum(filled)
            if count:
                filled[:] = (count,)
        self._hand_on()

    def _filling(self, memory: memoryview) -> Iterator[int]:
        """Each step of it decrypts a record into the memory, behind all those whose sizes are stored by then. Nobody
        holds a piece of the memory when it ends, however that is.
        """
        pieces = map(memory.__getitem__, map(slice, map(sum, repeat(self._filled)), repeat(len(memory))))
        return map(self._raw.read, repeat(RECORD), pieces)

    def _fetch(self, patient: bool) -> None:
        """Fetch cipher text: from a socket into our own memory. In the same C call the piece of it that was filled is
        stored. Who has to wait holds no memory meanwhile.
        """
        direct = self._direct
        if direct is not None:
            try:
                next(self._fetch_much or self._take_memory(direct))
                return
            except BlockingIOError:
                self._most[0] = LITTLE
            except OSError as error:
                if not is_of_socket(error):
                    raise
                raise connection_lost(error) from error
            if not patient:
                self._fetched.append(None)
                return
            self._hand_on()
        next(self._fetching(self._patient) if patient and self._patient is not None else self._fetch_now)

    def _take_memory(self, direct: Direct) -> Step:
        try:
            memory = _spare.pop()
        except IndexError:  # asked first, another thread could take the last one in between
            memory = memoryview(bytearray(MEMORY))
        self._memory = memory
        counts = map(direct.recv_into, repeat(memory), repeat(0), repeat(direct.recv_flags))
        self._fetch_much = step = map(self._fetched.append, map(memory.__getitem__, map(slice, counts)))
        return step

    def _hand_on(self) -> None:
        """Let the next have the memory, whose contents are all fed."""
        memory = self._memory
        if memory is not None and not self._fetched:
            self._memory = self._fetch_much = None
            if len(_spare) < _MOST_SPARE:
                _spare.append(memory)

    def _feed(self) -> bool:
        """Under the lock: feed the object with what was fetched; False if that was nothing, or the end."""
        fetched = self._fetched
        size = len(fetched[0] or b"")
        if not size:
            self._ended = self._ended or fetched[0] is not None
            del fetched[0]
            return False
        self._more = True
        next(self._feed_next)
        self._most[0] = CIPHER_TEXT if size >= LITTLE else LITTLE
        return True

    def _decrypt(self, store: List[Any], records: int, read: Iterator[Any]) -> bool:
        """Under the lock: store what is in so many records, each a step of `read`; False if they ended."""
        before = len(store)
        try:
            store.extend(islice(read, records))
        except ssl.SSLError as error:
            self._explain(error)
            return False
        except BaseException:
            if not store[before + records - 1 :]:  # as in `_open_alone`
                self._failure, self._ended, self._more = _DROPPED, True, False
            raise
        return self._look(store, before)

    def _explain(self, error: ssl.SSLError) -> None:
        """Under the lock: see what it means that TLS has nothing more to give.

        Who asks without the lock asks for `_more` first, so that is false last.
        """
        if isinstance(error, ssl.SSLZeroReturnError):
            self._ended = True
        elif not isinstance(error, ssl.SSLWantReadError):
            self._failure, self._ended = error, True
        self._more = False

    def _look(self, store: List[Any], before: int) -> bool:
        """Under the lock: after decrypting, see whether that was the end, and whether there may be more."""
        if not store[-1]:
            self._ended, self._more = True, False
            while len(store) > before and not store[-1]:
                del store[-1]
            return False
        if not self._incoming.pending and not self._raw.pending():
            self._more = False
        return True

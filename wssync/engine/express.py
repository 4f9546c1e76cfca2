"""The short way of a send: a caller who finds nothing before its message writes it at once.

Nearly every send finds nothing queued. Going through the queue, the mutex and another thread would then cost several
times what the network costs. So the caller does the work itself, in the role of the one who writes, and asks for no
mutex:

| who        | first                                   | then                                                     |
| ---------- | --------------------------------------- | -------------------------------------------------------- |
| the caller | wins the role, looks whether            | lets the role go, looks at `Outbox.express` again: if    |
|            | `Outbox.express` is still open, does    | it is closed, does what others have left, like anybody   |
|            | the work                                |                                                          |
| another    | closes `Outbox.express` and leaves its  | tries the role; who does not get it knows that the       |
|            | work, under the mutex                   | holder looks again                                       |

Taking and letting go of a role is an operation of a lock, so that each of the two sees what the other did first, on
interpreters without a global lock too. (The short way of a receive is `Reader.borrow`.)

On a socket, plain or with one step of TLS before it, the accelerator does all of this in one call, `CompiledExpress`.
"""

from __future__ import annotations

from ..hints import TYPE_CHECKING, Callable, Optional, Protocol, Union
from .accelerated import CompiledExpress
from .ways import Begun, Way, choose

if TYPE_CHECKING:
    from ..protocol.encoder import Encoder
    from ..transport.stream import Stream
    from .outgoing import Message, ShortWay
    from .roles import Role

    class Owner(Protocol):
        """What it needs of the outbox, whose `express` it is while that is open. Write role, but for `role` itself."""

        role: Role
        express: Optional[ShortWay]
        struck: Optional[Begun]

        def keep_rest(self, way: Begun, first: int, payload: bytes) -> Message: ...

        def broke(self, way: Begun, error: BaseException) -> bool: ...


__all__ = ["Express", "make_express"]

SHORT = 65_536
"""Bytes of a message that is sent at once: what one system call is likely to take."""


class Express:
    """The short way of one connection, by whatever `way` there is to write."""

    __slots__ = ("_flush", "_lock", "_outbox", "_way", "messages_sent", "sent", "wire_sent")

    def __init__(self, outbox: Owner, flush: Callable[[], None], way: Way) -> None:
        self._outbox = outbox
        self._lock = outbox.role.lock
        self._flush = flush
        self._way = way
        self.sent = self.messages_sent = self.wire_sent = 0
        """Bytes of messages, messages, and bytes of frames that went this way. Write role."""

    def close(self) -> None:
        """Nothing is sent any more, by who is under way neither: for the compiled form, which has but the number of a
        socket that is closed by now.
        """

    def send_at_once(self, first: int, payload: bytes) -> Union[bool, Message]:
        """Send a message, whose frame begins with the byte `first`, if nothing is before it. Any thread.

        True: it was handed to the operating system. False: nothing happened. A message: part of it was handed over; the
        rest goes before all others, and its completion says when.
        """
        lock = self._lock
        size = len(payload)
        if size > SHORT or lock._is_owned():
            return False
        outbox = self._outbox
        way = None
        sent: Union[bool, Message] = False
        try:
            if lock.acquire(False) and outbox.express is not None:
                way = self._way
                on_wire = way.send(first, payload)
                if on_wire:
                    sent = True
                    self.sent += size
                    self.wire_sent += on_wire
                    self.messages_sent += 1
                else:
                    sent = outbox.keep_rest(way, first, payload)
        except BaseException as error:
            if way is None:
                raise
            outbox.express, outbox.struck = None, way  # before any call, at which something else could strike
            if not outbox.broke(way, error):
                raise
        finally:
            try:
                lock.release()
            except RuntimeError:
                pass  # another thread's: see `Role.attempt`
            finally:  # an interrupt of the release too must leave nothing behind
                if outbox.express is None:
                    self._flush()
        return sent


def make_express(outbox: Owner, encoder: Encoder, stream: Stream, flush: Callable[[], None]) -> ShortWay:
    """The quickest there is for this connection. `flush` does what others have left while the role was held."""
    direct, seal, keep = stream.direct, None, None
    if direct is None and stream.sealing is not None:
        seal, direct, keep = stream.sealing
    if CompiledExpress is None or direct is None:
        return Express(outbox, flush, choose(encoder, stream))
    compress = None if encoder.compressor is None else encoder.compressor.compress
    lock, keys = outbox.role.lock, encoder.fresh_keys
    return CompiledExpress(outbox, lock, flush, keys, compress, direct.descriptor, direct.send_flags, seal, keep)

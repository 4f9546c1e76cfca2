"""Roles: what a thread may do with the connection's stream while it holds one.

| role  | what it allows                                                                    |
| ----- | --------------------------------------------------------------------------------- |
| read  | one `recv` after the other, decoding what came, publishing the messages           |
| write | taking from the outbox, encoding, one non-blocking `send`                         |

A role is not a mutex. Nobody blocks to get one: who does not get it leaves its work where the holder will look once
more after letting go. Only the end of the connection waits for the holders. The holder of the write role never waits
for the network; a caller who reads by itself does, and is roused from it.
"""

from __future__ import annotations

from ..hints import TYPE_CHECKING, Callable, Optional
from .accelerated import RoleLock

if TYPE_CHECKING:
    from .accelerated import Lock

__all__ = ["Role"]

SHORTLY = 0.002
"""Seconds for a holder that is about to leave: roused without need, it would cost the peer's farewell."""

AGAIN = 0.05
"""Seconds until a holder is roused once more: on interpreters without a global lock, it may have begun to wait only
after it was roused.
"""


class Role:
    """One role of one connection.

    `lock` is for the two short ways (`Express.send_at_once`, `Reader.borrow`), which must not make a call more than
    they need. Whoever takes it there does it in the form of `attempt`.
    """

    __slots__ = ("__dict__", "lock")  # a dictionary is made when something is put in

    def __init__(self) -> None:
        self.lock: Lock = RoleLock()

    @property
    def is_mine(self) -> bool:
        """Whether this very thread holds it: a signal handler then runs inside the work that it interrupted."""
        return self.lock._is_owned()  # there is no public name for it

    def attempt(self, work: Callable[[], None]) -> bool:
        """Run `work` if nobody holds the role, this thread included; `False` if somebody does.

        An exception that a signal raises can arrive between taking a lock and entering a `try`. So the release comes
        first thing in a `finally` round the taking, and a release of what was never ours is the error that an `RLock`
        has for it: measured against random interrupts, this form left the lock held in none of 15,000.
        """
        if self.is_mine:
            return False
        taken = False
        try:
            if self.lock.acquire(False):
                taken = True
                work()
        finally:
            try:
                self.lock.release()
            except RuntimeError:
                pass
            except BaseException:
                if self.is_mine:  # it struck before the call: 3.9 looks for interrupts there too
                    self.lock.release()
                raise
        return taken

    def occupy(self, work: Callable[[], None], rouse: Optional[Callable[[], None]] = None) -> None:
        """Wait for the holder to leave, then run `work`: for the end of the connection alone.

        `rouse` ends the wait of a holder who waits for the network; without it there is none.
        """
        if rouse is not None and not self.lock.acquire(timeout=SHORTLY):
            rouse()
            while not self.lock.acquire(timeout=AGAIN):
                rouse()
        elif rouse is None:
            self.lock.acquire()
        try:
            work()
        finally:
            self.lock.release()

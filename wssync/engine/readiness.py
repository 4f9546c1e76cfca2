"""A descriptor that is readable exactly when `receive(timeout=0)` would return a message, or raise the final error.

The socket's own cannot be it. It is readable for a ping, for half a message, for a TLS record with no message in it:
then nobody gets anything, and a loop spins. And it is not readable when the message is here already, decoded with the
one before it: then the loop sleeps on it. So this is a descriptor of its own, an eventfd or one of a pair of sockets
(Windows, where `select` takes nothing else, and Python 3.9), which shows what the inbox holds.

**The invariant.** Whenever nobody holds the connection's mutex, the descriptor is readable if, and only if,
`Inbox.has_answer`. It is held by taking away every way past the mutex, not by a protocol between two threads:

- Once there is a descriptor, the short way (`Inbox.express`) is closed. So messages come and go under the mutex alone:
  published, handed to the receives that wait, taken, put back, held while the task is suspended, followed by an error.
- Each of these steps ends with `show`, in the same hold of the mutex that it changed things in. So there is no moment
  between the change and its showing, in which another's change could be shown first and overwritten: no lost wake.
  Steps that make several changes show the outcome alone: a message for a receive that waits already is never shown.
- A descriptor is a demand (`State.awaits_reading`), so the engine thread reads: it does not stand aside for borrowers,
  and takes over from one that was there before.

What a loop may still see, and only for the moment between: that it was readable, and another thread has taken the
message, or the task was suspended, before the loop came to `receive(timeout=0)`, which then raises TimeoutError.

| the connection                                  | readable                                                          |
| ----------------------------------------------- | ----------------------------------------------------------------- |
| never resumed, or opening                       | no                                                                |
| open                                            | while a whole message is unread                                   |
| open, the peer broke the protocol behind those  | still when the last was taken: the next receive raises that error |
| reading stopped at `max_queue`                  | yes: there are messages; it goes on when they are taken           |
| suspended                                       | no; after `resume()` as before                                    |
| `receive_each` stands                           | no: its handler gets everything                                   |
| ended, or failed to open                        | for ever: first the messages that are left, then the error        |

**An interrupt** (Ctrl-C) may come between a change and its showing. If a message was published, the engine thread
comes after to do it again; if one was taken, it is readable once too often, until the next call.

**Its life.** Made when it is first asked for: tasks that are never asked pay one look at `None` a step. It is closed by
whoever lets go of it last, with the task, not with the connection: a number that is still watched must not be another
file's. After a fork the child closes its copy unwritten, for an eventfd is one for both processes.
"""

from __future__ import annotations

from ..hints import Optional
from ..transport.waiting import Waker

__all__ = ["Readiness"]


class Readiness(Waker):
    """The descriptor, and what it shows. Only `fileno` is for those who do not hold the mutex."""

    def __init__(self) -> None:
        super().__init__()
        self._shown: Optional[bool] = False

    def show(self, ready: bool) -> None:
        """Be readable, or not; one system call if that is news."""
        if ready is not self._shown:
            self._shown = None  # an interrupt between here and the end must leave what the next call does again
            if ready:
                self.wake()
            else:
                self.clear()
            self._shown = ready

    def abandon(self) -> None:
        """This is a child process after a fork: what is written here would be read by the parent."""
        self.close()

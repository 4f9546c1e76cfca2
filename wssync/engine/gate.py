"""How many tasks may be opening to one host at a time (RFC 6455 section 4.1, item 2).

The RFC asks clients to open one connection to a host after the other, so that a page with a hundred sockets does not
look like an attack. Six at a time is what Apple's `httpMaximumConnectionsPerHost` allows by default. Open connections
do not count, only those on their way; tasks get their turn in the order in which they asked.
"""

from __future__ import annotations

import threading

from ..hints import Callable, Dict, List, Tuple

__all__ = ["Gate", "Ticket"]

Host = Tuple[str, int]


class Ticket:
    """One task's place in the row for its host; `granted` may be read by any thread."""

    __slots__ = ("_gate", "granted", "host", "wake")

    def __init__(self, gate: Gate, host: Host, wake: Callable[[], None]) -> None:
        self._gate = gate
        self.host = host
        self.wake = wake
        self.granted = False

    def release(self) -> None:
        """The opening is over, or given up: the next one's turn. Again does nothing."""
        self._gate.release(self)


_NO_ROWS: Dict[Host, List[Ticket]] = {}
"""Those of a session in which nothing is opening. Nothing is ever put in it."""


class Gate:
    """The rows of one session. Any thread may use it."""

    __slots__ = ("_limit", "_lock", "_rows")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._rows = _NO_ROWS

    def line_up(self, ticket: Ticket) -> None:
        """Take a place in the row; the ticket's `wake` is called, without a lock, when it is granted later on.

        It is made before: so an interrupt does not leave one in the row that nobody knows.
        """
        with self._lock:
            if self._rows is _NO_ROWS:
                self._rows = {}
            row = self._rows.setdefault(ticket.host, [])
            row.append(ticket)
            ticket.granted = len(row) <= self._limit

    def release(self, ticket: Ticket) -> None:
        """See `Ticket.release`."""
        with self._lock:
            row = self._rows.get(ticket.host)
            if row is None or ticket not in row:
                return
            row.remove(ticket)
            if not row:
                del self._rows[ticket.host]
                if not self._rows:
                    self._rows = _NO_ROWS  # an emptied one keeps its table
                return
            admitted = [other for other in row[: self._limit] if not other.granted]
            for other in admitted:
                other.granted = True
        for other in admitted:
            other.wake()

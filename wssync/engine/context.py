"""What all parts of one opening share."""

from __future__ import annotations

from ..hints import Callable, NamedTuple
from .asking import Questions
from .attempts import Attempts
from .plan import Plan

__all__ = ["Context"]


class Context(NamedTuple):
    """The opening that a part belongs to.

    `trace` hears of every step. `step_aside` lets others open who wait for their turn: it is called when this one waits
    for its user, or for a network. `take_turn` waits in the row again, for a connection that follows, with the
    request's time for itself. `begin_exchange` begins the next transaction, which takes a turn.
    """

    plan: Plan
    attempts: Attempts
    questions: Questions
    trace: Callable[..., None]
    step_aside: Callable[[], None]
    take_turn: Callable[[], None]
    begin_exchange: Callable[[], None]

"""Ctrl-C at a chosen moment: exceptions that come from outside, for the tests of what must survive them.

The interpreter looks for signals after calls, so that is where their exceptions strike: what was called has done its
work, and its result is stored nowhere. A profiling function hears of the same moments, may raise in the place of a
handler, and is not in the way of a tracer that measures coverage.
"""

from __future__ import annotations

import gc
import sys
from types import FrameType
from typing import Callable, List

from tests.threads import Running

__all__ = ["Interrupt", "interrupted_at"]


class Interrupt(BaseException):
    """What a test throws, as Ctrl-C throws KeyboardInterrupt."""


def interrupted_at(number: int, call: Callable[[], object]) -> bool:
    """Run `call`, and raise in it once the package has made `number` calls more; whether it made so many.

    Calls from within C code do not count: no signal is looked for there. Nor does what a finalizer calls whose object
    was lost in a cycle long before: nothing is collected meanwhile, for what strikes there goes no further, and `call`
    would not have been struck at all.
    """
    left = [number]
    in_c: List[FrameType] = []

    def profile(frame: FrameType, event: str, argument: object) -> None:
        if event == "c_call":
            in_c.append(frame)
        elif event == "c_exception":
            in_c.pop()
        elif event == "c_return":
            in_c.pop()
            count(frame)
        elif event == "return" and frame.f_back is not None and frame.f_back not in in_c[-1:]:
            count(frame.f_back)

    def count(caller: FrameType) -> None:
        if caller.f_globals.get("__name__", "").startswith("wssync."):
            left[0] -= 1
            if left[0] < 0:
                raise Interrupt

    collects = gc.isenabled()
    try:
        gc.disable()
        sys.unraisablehook = lambda unraisable: None  # of an object that `call` itself lets go of
        Running(lambda: _under(profile, call)).result()
    except Interrupt:
        pass
    finally:
        sys.unraisablehook = sys.__unraisablehook__
        if collects:
            gc.enable()
    return left[0] < 0


def _under(profile: Callable[[FrameType, str, object], None], call: Callable[[], object]) -> None:
    """In a thread of its own: what strikes in an `except` may leave the interpreter believing that its error is still
    being handled, and the next tests would find it in the context of theirs.
    """
    sys.setprofile(profile)
    try:
        call()
    finally:
        sys.setprofile(None)

"""Something that happens at a chosen place of the library's code, as signal handlers and exceptions from outside do.

The interpreter looks for those when a function begins, when a call has returned and before its result is stored, and
when a loop goes round. So the tracer here goes by the opcodes.
"""

from __future__ import annotations

import dis
import functools
import gc
import os
import sys
from types import CodeType, FrameType
from typing import Any, Callable, Dict, FrozenSet, List, Optional

import wssync

__all__ = ["Interrupted", "Striker", "call_under"]

LIBRARY = os.path.dirname(os.path.abspath(wssync.__file__)) + os.sep

PURE = os.path.join(LIBRARY, "protocol", "")
"""Nothing in there counts before it is done: its own tests strike there."""


class Interrupted(BaseException):
    """What strikes."""


def strike() -> None:
    """The usual thing to happen."""
    raise Interrupted


class Striker:
    """A tracer that calls `act` at the n-th place, counted from its beginning."""

    def __init__(self, place: int, act: Callable[[], object] = strike) -> None:
        self._left = place
        self._act = act
        self._called: Dict[FrameType, bool] = {}
        self.where = ""

    @property
    def has_struck(self) -> bool:
        """Whether there were so many places."""
        return self._left <= 0

    def __call__(self, frame: FrameType, event: str, argument: object) -> Optional[Striker]:
        file = frame.f_code.co_filename
        if not file.startswith(LIBRARY) or file.startswith(PURE):
            return None
        if event == "call":
            frame.f_trace = self  # 3.13 wants it before the next line
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
            self._come_by(frame)
        elif event == "opcode":
            if self._called.get(frame):
                self._come_by(frame)
            self._called[frame] = frame.f_lasti in _calls(frame.f_code)
        return self

    def _come_by(self, frame: FrameType) -> None:
        self._left -= 1
        if not self._left:
            self.where = f"{frame.f_code.co_name}:{frame.f_lineno}"
            self._act()


@functools.lru_cache(None)
def _calls(code: CodeType) -> FrozenSet[int]:
    """Where the interpreter looks whether something strikes, behind these instructions of the code.

    What strikes there belongs to the instruction, but the tracer strikes at the next one. Where that makes a difference
    (the call is the last thing in a `with`, from 3.11 on) the place is left out.
    """
    steps = list(dis.get_instructions(code))
    parse: Callable[[CodeType], List[Any]] = getattr(dis, "_parse_exception_table", lambda code: [])
    guarded = [(entry.start, entry.end, entry.target) for entry in parse(code)]

    def guard(offset: int) -> Optional[int]:
        return next((target for start, end, target in guarded if start <= offset < end), None)

    return frozenset(
        step.offset
        for step, following in zip(steps, steps[1:])
        if step.opname.startswith(("CALL", "JUMP_BACKWARD", "JUMP_ABSOLUTE", "SETUP_WITH"))
        and guard(step.offset) == guard(following.offset)
    )


def call_under(striker: Striker, call: Callable[[], Any]) -> Any:
    """Make the call with the tracer at work; what that returns. Nothing is collected meanwhile: what strikes in the
    finalizer of old garbage goes no further, and `call` would not be struck.
    """
    before = sys.gettrace()
    sys._getframe().f_trace_opcodes = True  # 3.12 looks for it in `settrace`
    gc.disable()
    sys.settrace(striker)
    try:
        return call()
    finally:
        sys.settrace(before)
        gc.enable()

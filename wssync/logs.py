"""The library's log. `logging` is loaded by the first line that is written: most programs never see one."""

from __future__ import annotations

from .hints import TYPE_CHECKING

if TYPE_CHECKING:
    import logging

__all__ = ["log"]


def log() -> logging.Logger:
    """The logger `wssync`. Any thread."""
    import logging

    return logging.getLogger("wssync")

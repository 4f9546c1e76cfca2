"""Regular expressions for what is rare: each is compiled, and `re` is loaded, by the first text that it is for.

A usual URL, an accepted handshake and all that follows do without: loading `re` and compiling half a dozen patterns was
a seventh of the time of `import wssync`. Modules that are loaded late themselves use `re` as everybody does.
"""

from __future__ import annotations

from ..hints import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import re

__all__ = ["pattern"]


class _Pattern:
    """Has the methods of a compiled one, each from when it was first asked for."""

    def __init__(self, source: str) -> None:
        self._source = source

    def __getattr__(self, name: str) -> Any:
        import re

        value = vars(self)[name] = getattr(re.compile(self._source), name)
        return value


def pattern(source: str) -> re.Pattern[str]:
    """What `re.compile` makes of the source, later."""
    return cast("re.Pattern[str]", _Pattern(source))

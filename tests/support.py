"""Tables of vectors as test methods.

A rule of a protocol is best stated by many small vectors, and each vector deserves a test of its own: with a name in
the report, run alone by that name, failing alone. `unittest` has `subTest`, which stops none of the others but is
counted and selected as one test. So a table becomes methods here:

    @with_cases
    class AddingTests(unittest.TestCase):
        @cases(zeros=(0, 0, 0), a_carry=(5, 5, 10))
        def test_sums(self, left, right, total):
            \"\"\"Rule 1: the sum is right.\"\"\"
            self.assertEqual(left + right, total)

makes `test_sums__zeros` and `test_sums__a_carry`. A table may also be a mapping or an iterable of (name, arguments),
where names are free text; arguments that are no tuple are the one argument.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, Iterable, Mapping, Tuple, Type, TypeVar, Union

__all__ = ["cases", "with_cases"]

T = TypeVar("T")
Table = Union[Mapping[str, Any], Iterable[Tuple[str, Any]]]
_ATTRIBUTE = "_wssync_cases"


def cases(*tables: Table, **rows: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Mark a test method as one test per row of `tables` and `rows`; `with_cases` on the class makes them.

    Two rows of the same name, or no row at all, raise ValueError: a vector would be lost in silence.
    """
    table: Dict[str, Tuple[Any, ...]] = {}
    for source in (*tables, rows):
        pairs = source.items() if isinstance(source, Mapping) else source
        for name, arguments in pairs:
            label = _identifier(name)
            if label in table:
                raise ValueError(f"two cases are called {label!r}")
            table[label] = arguments if isinstance(arguments, tuple) else (arguments,)
    if not table:
        raise ValueError("a table without cases")

    def mark(method: Callable[..., None]) -> Callable[..., None]:
        setattr(method, _ATTRIBUTE, table)
        return method

    return mark


def with_cases(cls: Type[T]) -> Type[T]:
    """Replace each method of the class that `cases` marked by one method per row."""
    for name, method in list(vars(cls).items()):
        table = getattr(method, _ATTRIBUTE, None)
        if table is None:
            continue
        delattr(cls, name)
        for label, arguments in table.items():
            setattr(cls, f"{name}__{label}", _bind(method, f"{name}__{label}", label, arguments))
    return cls


def _bind(method: Callable[..., None], name: str, label: str, arguments: Tuple[Any, ...]) -> Callable[..., None]:
    def test(self: object) -> None:
        method(self, *arguments)

    test.__name__ = name
    test.__qualname__ = method.__qualname__.rpartition(".")[0] + "." + name
    test.__module__ = method.__module__
    first, newline, rest = (method.__doc__ or "").strip().partition("\n")
    test.__doc__ = f"{first} [{label}]{newline}{rest}"
    return test


def _identifier(name: str) -> str:
    label = re.sub(r"\W+", "_", name).strip("_")
    if not label:
        raise ValueError(f"{name!r} makes no name for a test")
    return label

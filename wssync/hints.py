"""The words of annotations. To a type checker they are those of `typing`; a program that runs is spared that module.

Whoever wants to know a type while the program runs still can: `typing.get_type_hints` finds every word used here where
it looks for it, and its own meaning behind it. What it shows as `list[str]` or `str | None` may be spelled `List[str]`
or `Optional[str]` in the source, which is the same type. Loading `typing`, and what it does for each class and alias
that is made with it, was a quarter of the time of `import wssync`.

`wssync.testing` and the command line, which load much else, take their words from `typing` itself.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False

if TYPE_CHECKING or sys.version_info < (3, 11):  # pragma: no cover - they follow no forward reference in `list["X"]`
    from typing import (
        AbstractSet,
        Any,
        Callable,
        ClassVar,
        DefaultDict,
        Deque,
        Dict,
        FrozenSet,
        Generic,
        Iterable,
        Iterator,
        List,
        Mapping,
        NamedTuple,
        NoReturn,
        Optional,
        Protocol,
        Sequence,
        Set,
        Tuple,
        Type,
        TypeVar,
        Union,
        cast,
        overload,
    )
else:
    from collections import defaultdict, deque, namedtuple
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet
    from functools import reduce
    from operator import or_

    DefaultDict, Deque, Dict, FrozenSet, List = defaultdict, deque, dict, frozenset, list
    Set, Tuple, Type = set, tuple, type

    # A string is a forward reference: it is followed when somebody asks for the hints, not before.
    Any = "__import__('typing').Any"
    NoReturn = "__import__('typing').NoReturn"

    class ClassVar:
        """Stands in annotations of classes alone, which are read by those who have `typing`."""

        def __class_getitem__(cls, kind):
            import typing

            return typing.ClassVar[kind]

    class Union:
        """With `|`, which forward references do not know."""

        def __class_getitem__(cls, kinds):
            try:
                return reduce(or_, kinds)
            except TypeError:
                import typing

                return typing.Union[kinds]

    class Optional:
        """A union with `None`."""

        def __class_getitem__(cls, kind):
            return Union[kind, None]

    class Generic:
        """A class with parameters is, while the program runs, the class."""

        __slots__ = ()

        def __class_getitem__(cls, parameters):
            return cls

    class Protocol:
        """What a class fulfils by having the methods; only type checkers ask."""

        __slots__ = ()

    class _Fields(type):
        """Makes a named tuple of the annotations and values of a class, with the methods and the docstring of it."""

        def __new__(mcs, name, bases, namespace):
            if not bases:
                return super().__new__(mcs, name, bases, namespace)
            fields = namespace["__annotations__"]
            defaults = [namespace.pop(field) for field in fields if field in namespace]
            made = namedtuple(name, fields, defaults=defaults, module=namespace.pop("__module__"))
            for key, value in namespace.items():
                setattr(made, key, value)
            return made

    class NamedTuple(metaclass=_Fields):
        """`typing.NamedTuple` compiles each annotation, which is what makes it slow; nobody reads them here."""

    def TypeVar(name, *, bound=None):
        """Some type."""
        return Any

    def cast(kind, value):
        """The value."""
        return value

    def overload(function):
        """One signature of several; the function that does it follows, and takes the name."""
        return function


__all__ = [
    "TYPE_CHECKING",
    "AbstractSet",
    "Any",
    "Callable",
    "ClassVar",
    "DefaultDict",
    "Deque",
    "Dict",
    "FrozenSet",
    "Generic",
    "Iterable",
    "Iterator",
    "List",
    "Mapping",
    "NamedTuple",
    "NoReturn",
    "Optional",
    "Protocol",
    "Sequence",
    "Set",
    "Tuple",
    "Type",
    "TypeVar",
    "Union",
    "cast",
    "overload",
]

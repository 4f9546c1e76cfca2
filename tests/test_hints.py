"""The words of annotations: what they mean while the program runs, and to whoever asks for the hints."""

from __future__ import annotations

import collections.abc
import copy
import inspect
import pickle
import sys
import typing
import unittest
from collections import defaultdict, deque

import wssync
from wssync import hints
from wssync.hints import (
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

T = TypeVar("T", bound=object)
Text = Union[str, bytes]

KNOWN_WITHOUT_HINTS = {
    "HandshakeError.__init__": "ResponseLike",
    "ProxyError.__init__": "ResponseLike",
    "Credential.from_url": "WebSocketURL",
    "Session.__exit__": "types",
    "Session.__init__": "Executor",
    "Session.executor": "Executor",
    "SessionConfiguration": "ssl",
    "SessionConfiguration.cookie_jar": "CookieJar",
    "SessionDelegate.session_did_become_invalid": "WebSocketError",
    "SessionDelegate.session_did_receive_challenge": "AuthenticationChallenge",
    "SessionTask.__init__": "Owner",
    "SessionTask.earliest_begin_date": "datetime",
    "SessionTask.progress": "Progress",
    "TaskDelegate.did_complete": "WebSocketError",
    "TaskDelegate.did_finish_collecting_metrics": "TaskMetrics",
    "TaskDelegate.did_receive_challenge": "AuthenticationChallenge",
    "TaskDelegate.did_receive_informational_response": "Response",
    "TaskDelegate.will_perform_http_redirection": "Response",
    "TaskTransactionMetrics": "Request",
    "WebSocketTask.__exit__": "types",
    "connect": "Executor",
}
"""What speaks of a type that is loaded later or never -> the first such type."""


class Point(NamedTuple):
    """A place with a name."""

    x: int
    y: Optional[float] = None
    name: str = "here"

    def moved(self, by: int) -> Point:
        """Another."""
        return self._replace(x=self.x + by)

    def __repr__(self) -> str:
        return f"<{self.name}>"


class Shape(Protocol):
    """What has an area."""

    def area(self) -> int: ...


class Box(Generic[T]):
    """Has something in it."""

    __slots__ = ("content",)

    def __init__(self, content: T) -> None:
        self.content = content


class Crate(Box[T]):
    """A larger one."""

    __slots__ = ()


class Square:
    """Has an area."""

    sides: ClassVar[int] = 4

    def area(self) -> int:
        return 1


def everything(
    a: Any, b: Optional[Text], c: Callable[[int], Any], d: Dict[str, Any], e: Union[int, Any], f: List[Tuple[str, ...]]
) -> NoReturn:
    raise AssertionError


def collections_(
    a: AbstractSet[int],
    b: DefaultDict[str, int],
    c: Deque[int],
    d: FrozenSet[int],
    e: Iterable[int],
    f: Iterator[int],
    g: Mapping[str, int],
    h: Sequence[int],
    i: Set[int],
    j: Type[int],
) -> None: ...


class MeaningTests(unittest.TestCase):
    def test_a_word_has_the_meaning_that_typing_gives_it(self) -> None:
        """Bare, within others, and for what has no name of its own."""
        hinted = typing.get_type_hints(everything)
        self.assertIs(hinted["a"], typing.Any)
        self.assertEqual(hinted["b"], typing.Optional[typing.Union[str, bytes]])
        self.assertEqual(typing.get_args(hinted["c"]), ([int], typing.Any))
        self.assertEqual(typing.get_args(hinted["d"]), (str, typing.Any))
        self.assertEqual(hinted["e"], typing.Union[int, typing.Any])
        self.assertEqual(typing.get_args(hinted["f"])[0].__args__, (str, ...))
        self.assertIs(hinted["return"], typing.NoReturn)
        self.assertEqual(typing.get_type_hints(Square)["sides"], typing.ClassVar[int])

    def test_a_collection_is_the_class(self) -> None:
        """That of the language or the library."""
        found = [
            typing.get_origin(hint) for name, hint in typing.get_type_hints(collections_).items() if len(name) == 1
        ]
        abstract = collections.abc
        iterables = [abstract.Iterable, abstract.Iterator, abstract.Mapping, abstract.Sequence]
        self.assertEqual(found, [abstract.Set, defaultdict, deque, frozenset, *iterables, set, type])

    def test_the_hints_of_the_public_names(self) -> None:
        """They can be had for everything that speaks of no type which is loaded later."""
        without = {}
        for name, thing in self.public():
            try:
                typing.get_type_hints(thing)
            except NameError as error:
                without[name] = str(error).split("'")[1]
        self.assertEqual(without, KNOWN_WITHOUT_HINTS)

    @staticmethod
    def public() -> Iterator[Tuple[str, Any]]:
        for name in wssync.__all__:
            thing = getattr(wssync, name)
            yield name, thing
            for key, member in vars(thing).items() if inspect.isclass(thing) else ():
                function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
                if inspect.isfunction(function) and (not key.startswith("_") or key.endswith("__")):
                    yield f"{name}.{key}", function

    def test_every_word_is_one_of_typing(self) -> None:
        """For a type checker it is taken from there."""
        for word in hints.__all__:
            self.assertTrue(hasattr(typing, word), word)
        self.assertFalse(hints.TYPE_CHECKING)


class NamedTupleTests(unittest.TestCase):
    def test_it_is_a_named_tuple(self) -> None:
        """Fields in their order, defaults for the last of them, by position or by name."""
        self.assertEqual(Point(1), (1, None, "here"))
        self.assertEqual(Point(1, name="there", y=2.0), (1, 2.0, "there"))
        self.assertEqual((Point._fields, Point._field_defaults), (("x", "y", "name"), {"y": None, "name": "here"}))
        self.assertEqual(Point(1)._asdict(), {"x": 1, "y": None, "name": "here"})
        with self.assertRaises(TypeError):
            Point()  # type: ignore[call-arg] # the first field has no default

    def test_it_is_the_class_as_written(self) -> None:
        """With its methods, its docstring, its name and place, and its annotations."""
        self.assertEqual(Point(1).moved(2), Point(3))
        self.assertEqual(repr(Point(1)), "<here>")
        self.assertEqual(
            (Point.__doc__, Point.__module__, Point.__qualname__), ("A place with a name.", __name__, "Point")
        )
        self.assertEqual(typing.get_type_hints(Point)["y"], typing.Optional[float])

    def test_it_can_be_copied_and_pickled(self) -> None:
        """As any of them."""
        for copied in (copy.copy(Point(1)), pickle.loads(pickle.dumps(Point(1)))):
            self.assertEqual((copied, type(copied)), (Point(1), Point))


class RunTests(unittest.TestCase):
    def test_a_class_with_parameters(self) -> None:
        """It keeps its slots, and those that derive from it theirs."""
        crate: Crate[int] = Crate(3)
        self.assertEqual(crate.content, 3)
        self.assertFalse(hasattr(crate, "__dict__"))
        self.assertIsInstance(Crate[int](4), Box)

    def test_a_protocol(self) -> None:
        """Nothing derives from it that only has its methods."""
        shape: Shape = Square()
        self.assertEqual(shape.area(), 1)
        self.assertNotIn(Shape, type(shape).__mro__)

    def test_a_cast_is_the_value(self) -> None:
        """The very same."""
        value = object()
        self.assertIs(cast("int", value), value)

    def test_of_several_signatures_the_last_counts(self) -> None:
        """It is the function."""

        @overload
        def double(value: int) -> int: ...
        @overload
        def double(value: str) -> str: ...
        def double(value: Any) -> Any:
            return value + value

        self.assertEqual((double(2), double("a")), (4, "aa"))

    @unittest.skipIf(sys.version_info < (3, 11), "there the words are those of typing")
    def test_the_words_do_not_load_typing(self) -> None:
        """Unless somebody makes something of them that cannot be made without."""
        self.assertEqual(type(Text).__name__, "UnionType" if sys.version_info < (3, 14) else "Union")
        self.assertNotEqual(Generic, typing.Generic)

"""Values: a dataclass in all that can be asked of one, without its module."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import sys
import unittest

from wssync.frozen import Frozen, replace


class Point(Frozen):
    """Two coordinates and a name."""

    x: int
    y: int
    name: str = "here"


class Spot(Point):
    """A point in space."""

    z: int = 0


class Twin(Point):
    """The same by another name."""


class Even(Frozen):
    """A number that is even."""

    number: int = 0

    def _check(self) -> None:
        if self.number % 2:
            raise ValueError(f"{self.number} is odd")


class Other(Frozen):
    """Looks like a `Point`, and is none."""

    x: int
    y: int
    name: str = "here"


class FrozenTests(unittest.TestCase):
    def test_making_one(self) -> None:
        """By position, by name or both; defaults stand for what was not given."""
        for point in (Point(1, 2), Point(1, y=2), Point(y=2, x=1), Point(1, 2, "here")):
            self.assertEqual((point.x, point.y, point.name), (1, 2, "here"))

    def test_arguments_that_do_not_fit(self) -> None:
        """TypeError, which says what it is about."""
        for positional, named, message in (
            ((1, 2, "a", 4), {}, r"Point\(\) takes 3 arguments but 4 were given"),
            ((1,), {}, r"Point\(\) is missing required arguments: 'y'"),
            ((), {"name": "a"}, r"Point\(\) is missing required arguments: 'x', 'y'"),
            ((1, 2), {"x": 1}, r"Point\(\) got multiple values for argument 'x'"),
            ((1, 2), {"z": 3}, r"Point\(\) got an unexpected keyword argument 'z'"),
        ):
            with self.subTest(message), self.assertRaisesRegex(TypeError, message):
                Point(*positional, **named)

    def test_equality(self) -> None:
        """Of one class and the same fields, whether given or not; then the hashes are the same too."""
        self.assertEqual(Point(1, 2), Point(1, 2, "here"))
        self.assertEqual(len({Point(1, 2), Point(1, 2, "here"), Point(2, 1)}), 2)
        self.assertNotEqual(Point(1, 2), Point(1, 2, "there"))
        self.assertNotEqual(Point(1, 2), Other(1, 2))
        self.assertNotEqual(Point(1, 2), (1, 2, "here"))

    def test_repr(self) -> None:
        """As one would write it."""
        self.assertEqual(repr(Point(1, 2)), "Point(x=1, y=2, name='here')")

    def test_it_does_not_change(self) -> None:
        """No field is set or deleted, nor is anything added."""
        point = Point(1, 2)
        with self.assertRaisesRegex(dataclasses.FrozenInstanceError, "cannot assign to field 'x'"):
            point.x = 5  # type: ignore[misc]
        with self.assertRaisesRegex(dataclasses.FrozenInstanceError, "cannot delete field 'x'"):
            del point.x
        with self.assertRaises(AttributeError):
            point.z = 5
        self.assertEqual(point, Point(1, 2))

    def test_what_makes_no_sense(self) -> None:
        """`_check` refuses it, in a changed copy too."""
        with self.assertRaisesRegex(ValueError, "3 is odd"):
            Even(3)
        with self.assertRaisesRegex(ValueError, "5 is odd"):
            replace(Even(4), number=5)

    def test_replace(self) -> None:
        """A changed copy; TypeError for an unknown name."""
        point = Point(1, 2)
        self.assertEqual(replace(point, y=5, name="there"), Point(1, 5, "there"))
        self.assertEqual(point, Point(1, 2))
        with self.assertRaisesRegex(TypeError, "unexpected keyword argument 'z'"):
            replace(point, z=1)

    def test_copies(self) -> None:
        """Of every kind are equal."""
        point = Point(1, 2, "there")
        self.assertEqual(pickle.loads(pickle.dumps(point)), point)
        self.assertEqual(copy.copy(point), point)
        self.assertEqual(copy.deepcopy(point), point)
        if sys.version_info >= (3, 13):
            self.assertEqual(copy.replace(point, x=5), Point(5, 2, "there"))

    def test_it_is_a_dataclass(self) -> None:
        """For whoever asks the module."""
        self.assertTrue(dataclasses.is_dataclass(Point))
        fields = [(field.name, field.type, field.default) for field in dataclasses.fields(Point)]
        self.assertEqual(
            fields, [("x", "int", dataclasses.MISSING), ("y", "int", dataclasses.MISSING), ("name", "str", "here")]
        )
        self.assertEqual(dataclasses.replace(Point(1, 2), x=5), Point(5, 2))
        self.assertEqual(dataclasses.asdict(Point(1, 2)), {"x": 1, "y": 2, "name": "here"})
        self.assertEqual(Point.__match_args__, ("x", "y", "name"))

    def test_a_class_of_ones_own(self) -> None:
        """Inherits the fields, and may have more."""
        self.assertEqual(Spot(1, 2, "a", 3), Spot(x=1, y=2, name="a", z=3))
        self.assertEqual([field.name for field in dataclasses.fields(Spot)], ["x", "y", "name", "z"])
        self.assertEqual(repr(Twin(1, 2)), "Twin(x=1, y=2, name='here')")
        self.assertNotEqual(Twin(1, 2), Point(1, 2))

"""Values: objects whose fields are set when they are made, and never again.

A `Frozen` is a frozen dataclass in all that its users can ask of it, `dataclasses.fields` and `dataclasses.replace`
included. What it does not do is load the module `dataclasses`, which brings `inspect`, `ast` and `tokenize` along and
writes the source of each class's methods: that took a third of the time of `import wssync`.
"""

from __future__ import annotations

from .hints import TYPE_CHECKING, Any, ClassVar, Dict, FrozenSet, NoReturn, Tuple, TypeVar

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform

    T = TypeVar("T", bound="Frozen")

    @dataclass_transform(frozen_default=True)
    class _Base:
        """What tells a type checker that annotations are fields."""
else:
    _Base = object

__all__ = ["Frozen", "replace"]


class _DataclassFields:
    """What `dataclasses` asks a class for; it is there by then."""

    def __get__(self, value: object, kind: type[Frozen]) -> Dict[str, Any]:
        import dataclasses

        annotations: Dict[str, Any] = {}
        for base in reversed(kind.__mro__):
            annotations.update(getattr(base, "__annotations__", {}))
        fields = [
            (name, annotations[name], dataclasses.field(default=getattr(kind, name, dataclasses.MISSING)))
            for name in kind.__match_args__
        ]
        made: Dict[str, Any] = vars(dataclasses.make_dataclass(kind.__name__, fields))["__dataclass_fields__"]
        return made


class Frozen(_Base):
    """A value with the annotated fields of its class, of which those with a default stand last.

    Made with positional or keyword arguments, TypeError for one too many or too few. Two are equal when they are of one
    class and their fields are. `_check` is the place to refuse values that make no sense. Only what was given is stored
    in the object, the defaults stay in the class.
    """

    __match_args__: ClassVar[Tuple[str, ...]] = ()
    __dataclass_fields__: ClassVar[Any] = _DataclassFields()
    _known: ClassVar[FrozenSet[str]]
    _required: ClassVar[FrozenSet[str]]
    _is_checked: ClassVar[bool]

    def __init_subclass__(cls) -> None:
        inherited, own = cls.__match_args__, cls.__annotations__
        cls.__match_args__ = tuple(dict.fromkeys((*inherited, *own)))  # type: ignore[misc] # it says: the fields in order
        cls._known = frozenset(cls.__match_args__)
        cls._is_checked = cls._check is not Frozen._check
        cls._required = cls._known.difference(*map(vars, cls.__mro__))

    def __init__(self, *values: Any, **named: Any) -> None:
        names = self.__match_args__
        if len(values) == len(names) and not named:
            self.__dict__.update(zip(names, values))
        else:
            if values:
                named = self._named(values, named)
            if not self._required <= named.keys() <= self._known:
                self._refuse(named)
            self.__dict__.update(named)
        if self._is_checked:
            self._check()

    def _check(self) -> None:
        """Raise TypeError or ValueError for a value that makes no sense; `vars(self)` has those that were given."""

    def _named(self, values: Tuple[Any, ...], named: Dict[str, Any]) -> Dict[str, Any]:
        names = self.__match_args__
        if len(values) > len(names):
            raise TypeError(f"{type(self).__name__}() takes {len(names)} arguments but {len(values)} were given")
        positional = dict(zip(names, values))
        for name in named:
            if name in positional:
                raise TypeError(f"{type(self).__name__}() got multiple values for argument {name!r}")
        positional.update(named)
        return positional

    def _refuse(self, named: Dict[str, Any]) -> NoReturn:
        for name in named:
            if name not in self._known:
                raise TypeError(f"{type(self).__name__}() got an unexpected keyword argument {name!r}")
        missing = ", ".join(repr(name) for name in self.__match_args__ if name in self._required - named.keys())
        raise TypeError(f"{type(self).__name__}() is missing required arguments: {missing}")

    def _values(self) -> Tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self.__match_args__)

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self) -> int:
        return hash(self._values())

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in zip(self.__match_args__, self._values()))
        return f"{type(self).__qualname__}({fields})"

    def __setattr__(self, name: str, value: object) -> NoReturn:
        _refuse_change(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> NoReturn:
        _refuse_change(f"cannot delete field {name!r}")

    def __replace__(self: T, **changes: Any) -> T:  # what `copy.replace` calls, from Python 3.13
        return replace(self, **changes)


def replace(value: T, **changes: Any) -> T:
    """The value with these fields changed; TypeError for an unknown name."""
    fields = {name: stored for name, stored in vars(value).items() if name in value._known}
    return type(value)(**{**fields, **changes})


def _refuse_change(what: str) -> NoReturn:
    import dataclasses

    raise dataclasses.FrozenInstanceError(what)

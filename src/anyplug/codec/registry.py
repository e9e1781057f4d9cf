"""The classes whose instances the codec ``objects`` carries, by name.

A message names a class by the name that it is registered by, and that is all it can do: the receiver looks the name up
in a dictionary that its own program has filled. Nothing is imported.
"""

from __future__ import annotations

import dataclasses
from enum import Enum, Flag
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

import msgspec

from anyplug.codec.objects_check import conform_fields
from anyplug.codec.objects_fault import PartError, shown
from anyplug.errors import LocalError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Entry", "entry_named", "entry_of", "register"]

T = TypeVar("T")

NAME_MAX: Final = 200
"""Characters of a name, a count. It travels with every instance."""


class Entry:
    """One registered class."""

    def __init__(self, cls: type, name: str) -> None:
        self.cls = cls
        self.name = name
        self.fields = _fields(cls)
        """The names of its fields; none of an Enum."""
        self.is_enum = issubclass(cls, Enum)
        self.is_flag = issubclass(cls, Flag)
        config = getattr(cls, "__struct_config__", None)
        self._in_order = issubclass(cls, tuple) or (config is not None and config.array_like)
        self._encoded = dict(zip(self.fields, getattr(cls, "__struct_encode_fields__", self.fields), strict=True))

    @cached_property
    def fault(self) -> str:
        """Why its fields cannot be checked, or nothing. Only now their annotations can be known to mean something."""
        try:
            msgspec.msgpack.Decoder(self.cls)
        except Exception as error:  # noqa: BLE001 - annotations are code of the user
            return f"the fields of {self.name} cannot be checked: {error}"
        return ""

    @cached_property
    def bits(self) -> int:
        """Of a Flag, the bits that are members."""
        bits = 0
        for member in self.cls.__members__.values():  # type: ignore[attr-defined]
            bits |= member.value
        return bits

    def member(self, which: object) -> object:
        """The member of an Enum by its name, of a Flag by its bits.

        Raises:
            PartError: there is none.
        """
        if self.is_flag:
            if type(which) is not int or which < 0 or which & ~self.bits:
                raise PartError(f"a member of {self.name} is an integer with bits of {self.bits:#x}")
            return self.cls(which)
        if not self.is_enum or type(which) is not str or which not in self.cls.__members__:  # type: ignore[attr-defined]
            raise PartError(f"{shown(which)} is no member of {self.name}")
        return self.cls.__members__[which]  # type: ignore[attr-defined]

    def instance(self, values: dict[str, object]) -> object:
        """The instance with these fields, checked against their types.

        Raises:
            PartError: fields that the class does not have, lack, or are of another type; tells the path.
        """
        if self.is_enum:
            raise PartError(f"{self.name} is an Enum here, it has no fields")
        if self.fault:
            raise PartError(self.fault)
        if not self._encoded.keys() >= values.keys():
            unknown = next(name for name in values if name not in self._encoded)
            raise PartError(f"{self.name} has no field {shown(unknown)} here: register the same class on both ends")
        return conform_fields(self.cls, self._arguments(values), values)

    def _arguments(self, values: dict[str, object]) -> object:
        """The fields as `msgspec` takes them for the class: by their encoded names, or the first ones in order."""
        if not self._in_order:
            return {self._encoded[name]: value for name, value in values.items()}
        given = self.fields[: len(values)]
        missing = next((name for name in given if name not in values), None)
        if missing is not None:
            raise PartError(f"{self.name} lacks its field {missing!r}")
        return [values[name] for name in given]


def _fields(cls: Any) -> tuple[str, ...]:
    names: tuple[str, ...] = ()
    if issubclass(cls, msgspec.Struct):
        names = cls.__struct_fields__
    elif issubclass(cls, tuple):
        names = cls._fields
    elif not issubclass(cls, Enum):
        names = tuple(field.name for field in dataclasses.fields(cls))
    return names


_BY_NAME: Final[dict[str, Entry]] = {}
_BY_CLASS: Final[dict[type, Entry]] = {}


@overload
def register(cls: type[T], name: str | None = ...) -> type[T]: ...
@overload
def register(cls: None = ..., name: str | None = ...) -> Callable[[type[T]], type[T]]: ...
def register(cls: type[Any] | None = None, name: str | None = None) -> type[Any] | Callable[[type[T]], type[T]]:
    """Let instances of a class travel by the codec ``objects``. Returns the class; is a decorator as well::

        @anyplug.register
        @dataclass
        class Station:
            name: str
            readings: list[float]


        anyplug.register(Colour, "paint.Colour")

    The class is a `msgspec.Struct`, a dataclass, a `NamedTuple` or an Enum, and is registered on both ends, by the same
    `name`; by default that is the class's own (``__qualname__``, without the module). An instance travels as its
    fields; it comes back as an instance of the class registered there, with all fields checked against the types
    they are declared with. Fields that the sender does not have get their defaults; those that the receiver does not
    have are refused.

    The types of fields are those that `msgspec` can check: unions hold one dataclass or untagged Struct at most, Enums
    have values that are all texts or all integers. A class with others is refused when an instance is sent.

    A subclass of a registered class is a class of its own. Registering a class again changes nothing; a class that was
    defined anew in the same place takes the place of the older one.

    Raises:
        LocalError: no such class, no proper name, or another class has the name.
    """
    if cls is None:
        return lambda cls: register(cls, name)
    entry = Entry(_checked(cls), _checked_name(cls.__qualname__ if name is None else name))
    other, older = _BY_NAME.get(entry.name), _BY_CLASS.get(cls)
    if other is not None and not _same_place(other.cls, cls):
        raise LocalError(
            f"cannot register {_full_name(cls)}: the name {entry.name!r} is that of {_full_name(other.cls)}; "
            "give another one, register(cls, name)"
        )
    if older is not None and older.name != entry.name:
        raise LocalError(f"cannot register {_full_name(cls)} as {entry.name!r}: it is registered as {older.name!r}")
    if other is not None:
        del _BY_CLASS[other.cls]
    _BY_NAME[entry.name] = _BY_CLASS[cls] = entry
    return cls


def _checked(cls: Any) -> type:
    known = isinstance(cls, type) and (
        issubclass(cls, (msgspec.Struct, Enum))
        or dataclasses.is_dataclass(cls)
        or (issubclass(cls, tuple) and hasattr(cls, "_fields"))
    )
    if not known:
        raise LocalError(f"cannot register {cls!r}: it is no msgspec.Struct, dataclass, NamedTuple or Enum")
    _refuse_init_only(cls)
    return cls  # type: ignore[no-any-return]


def _refuse_init_only(cls: type) -> None:
    """`InitVar` fields are gone once the instance is made; nothing could be sent for them."""
    for field in getattr(cls, "__dataclass_fields__", {}).values():
        if repr(field._field_type) == "_FIELD_INITVAR":
            raise LocalError(f"cannot register {cls!r}: its field {field.name} is an InitVar, which no instance keeps")


def _checked_name(name: str) -> str:
    if not (0 < len(name) <= NAME_MAX and name.isprintable()):
        raise LocalError(f"cannot register a class as {name!r}: a name has 1 to {NAME_MAX} printable characters")
    return name


def _full_name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _same_place(one: type, other: type) -> bool:
    return one is other or _full_name(one) == _full_name(other)


def entry_of(cls: type) -> Entry | None:
    """The entry of exactly this class."""
    return _BY_CLASS.get(cls)


def entry_named(name: object) -> Entry:
    """The entry of this name.

    Raises:
        PartError: there is none.
    """
    if type(name) is not str:
        raise PartError(f"the name of a class is a text, got {type(name).__name__}")
    entry = _BY_NAME.get(name)
    if entry is None:
        raise PartError(f"no class is registered here as {shown(name)}: call anyplug.register on this end too")
    return entry

"""Whether values are of the types that a program has declared. `msgspec` judges, and its leniency is taken back.

Converting values into a type, `msgspec` also makes a list of a tuple or an Enum of a text, where the type wants one.
Values of the codec ``objects`` have their types already, so whatever has another one behind the conversion than before
is refused. Two differences are none: an int where a float is declared becomes the float (if that is equal), and where
a type names one of the abstract containers (``Sequence``, ``Mapping``) the container stays what it is.
"""

from __future__ import annotations

import collections.abc
import datetime as dt
from decimal import Decimal
from functools import cache
from operator import is_
from typing import TYPE_CHECKING, Any, Final, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec

from anyplug.codec.objects_fault import PartError
from anyplug.codec.typed import type_name
from anyplug.codec.where import key_step

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["conform", "conform_fields"]

_BUILTIN: Final = (bytes, bytearray, dt.datetime, dt.date, dt.time, dt.timedelta, UUID, Decimal)
"""Types that are never made of a text."""


def conform(value: object, kind: Any) -> object:
    """The value as one of this type.

    Raises:
        PartError: it is not; tells the path.
    """
    try:
        made: object = _convert(value, kind)
        wrong = _unlike(value, made)
        if wrong is not None:
            if not _is_abstract(kind):
                raise wrong
            return value
        return made
    except msgspec.ValidationError as error:
        raise _fault(error) from error


def conform_fields(cls: type, arguments: object, values: Mapping[str, object]) -> object:
    """The instance of a class with these fields. `arguments` are the same as `msgspec` takes them.

    Raises:
        PartError: a field is missing or of another type than it is declared with; tells the path.
    """
    try:
        made = _convert(arguments, cls)
    except msgspec.ValidationError as error:
        raise _fault(error) from error
    for name, value in values.items():
        wrong = _unlike(value, getattr(made, name))
        if wrong is not None:
            _keep(made, name, value, wrong.at(f".{name}"))
    return made


def _convert(value: object, kind: Any) -> object:
    return msgspec.convert(value, kind, builtin_types=_BUILTIN, dec_hook=_custom)


def _custom(kind: Any, value: object) -> object:
    """Types that `msgspec` does not know: a value is of it or not."""
    origin = get_origin(kind) or kind
    if isinstance(origin, type) and not isinstance(value, origin):
        raise TypeError(f"Expected `{type_name(kind)}`, got `{type(value).__name__}`")
    return value


def _fault(error: msgspec.ValidationError) -> PartError:
    """The words of `msgspec`, with its path made part of ours."""
    problem, _, path = str(error).partition(" - at `$")
    fault = PartError(problem)
    return fault.at(path.removesuffix("`")) if path else fault


# What a conversion has changed.


def _unlike(value: object, made: object) -> PartError | None:
    """The first part that has another type behind the conversion than before."""
    if value is made or (type(made) is float and type(value) is int and value == made):
        return None
    if type(value) is not type(made):
        return PartError(f"Expected `{type(made).__name__}`, got `{type(value).__name__}`")
    if isinstance(value, (list, tuple)) and isinstance(made, (list, tuple)):
        return None if all(map(is_, value, made)) else _first(enumerate(zip(value, made, strict=False)))
    if isinstance(value, dict) and isinstance(made, dict):
        if len(value) != len(made):
            return PartError("keys that differ become the same")
        pairs = zip(value.items(), made.items(), strict=True)
        wrong = _first((key, (key, other)) for (key, _), (other, _) in pairs)
        return wrong or _first((key, (value[key], part)) for key, part in made.items())
    if isinstance(value, (set, frozenset)) and isinstance(made, (set, frozenset)):
        there = {item: item for item in made}
        return _first((None, (item, there.get(item))) for item in value)
    return None


def _first(pairs: Iterable[tuple[object, tuple[object, object]]]) -> PartError | None:
    for step, (value, made) in pairs:
        wrong = _unlike(value, made)
        if wrong is not None:
            return wrong.at(key_step(step) if step is not None else "{…}")
    return None


def _keep(made: Any, name: str, value: object, wrong: PartError) -> None:
    """Give a field back the container it had, if an abstract one is declared."""
    cls: Any = type(made)
    if name not in _abstract_fields(cls):
        raise wrong
    if isinstance(made, msgspec.Struct):
        msgspec.structs.force_setattr(made, name, value)
    else:
        object.__setattr__(made, name, value)


@cache
def _abstract_fields(cls: type) -> frozenset[str]:
    return frozenset(name for name, kind in get_type_hints(cls).items() if _is_abstract(kind))


def _is_abstract(kind: Any) -> bool:
    origin = get_origin(kind) or kind
    return getattr(origin, "__module__", "") == collections.abc.__name__ or any(map(_is_abstract, get_args(kind)))

"""Taking values apart for MessagePack: every type that it lacks becomes an array behind a mark.

A container whose items are all scalars of `NATIVE`, which their types tell at once, is handed on as it is: the encoder
of MessagePack then writes it at its own speed. Everything else is rebuilt item by item. An encoder of MessagePack
would take a subclass, a tuple or an Enum for the nearest type it knows; here nothing but the very types in `ROWS`,
those of `objects_forms` and registered classes is written.

`pack` does not look at single integers and texts. The rare ones that MessagePack cannot hold make its encoder fail;
then `pack_carefully` looks at each, and writes long integers behind a mark or says where the trouble is.
"""

from __future__ import annotations

import sys
from collections import OrderedDict, deque
from dataclasses import is_dataclass
from datetime import UTC, datetime
from enum import Enum, Flag
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from anyplug.codec.nesting import CONTAINERS_MAX
from anyplug.codec.objects_arrays import array_parts, number_parts
from anyplug.codec.objects_fault import PartError
from anyplug.codec.objects_forms import FORMS, INT64, LATE_FORMS, READ
from anyplug.codec.objects_hashes import COLLISIONS_MAX, collisions
from anyplug.codec.objects_tags import MARKS, NATIVE, Tag
from anyplug.codec.registry import entry_of
from anyplug.codec.where import key_step

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from msgspec.msgpack import Ext

    from anyplug.codec.objects_forms import Form
    from anyplug.codec.registry import Entry

__all__ = ["pack", "pack_carefully", "travels"]

_TUPLE: Final = MARKS[Tag.TUPLE]
_OBJECT: Final = MARKS[Tag.OBJECT]


def travels(kind: object) -> bool:
    """Whether values of this class may be written, without a registration."""
    if not isinstance(kind, type):
        return False
    return kind in ROWS or kind.__module__ == "numpy" or (kind.__module__, kind.__qualname__) in LATE_FORMS


def pack(value: object, limit: int) -> object:
    """What the encoder of MessagePack writes for this value.

    Raises:
        PartError: a part is of a type that does not travel, or too deep.
    """
    return value if type(value) in NATIVE else _Packer(limit).pack(value, 1)


def pack_carefully(value: object, limit: int) -> object:
    """The same, with every integer and text looked at."""
    return _CarefulPacker(limit).part(value, 1)


class _Packer:
    """One value on its way out."""

    __slots__ = ("clashes", "left", "limit")

    plain = NATIVE
    """The types that are handed on without a look at the value."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.left = CONTAINERS_MAX
        self.clashes = COLLISIONS_MAX

    def pack(self, value: object, depth: int) -> object:
        """What stands for a value that becomes an array or a map at this level."""
        kind = type(value)
        self.left -= 1
        if depth > self.limit:
            raise PartError(f"it is nested deeper than {self.limit:,} levels, which is the limit (`nesting`)", value)
        if self.left < 0:
            raise PartError(f"the value has more than {CONTAINERS_MAX:,} containers, which is the limit", value)
        row = ROWS.get(kind)
        if row is not None:
            return row(self, value, depth)
        return _late(self, value, depth)

    def part(self, value: object, depth: int) -> object:
        """What stands for a value that is not `plain`."""
        return self.pack(value, depth)

    def has_plain_keys(self, value: dict[object, object]) -> bool:
        """Whether all keys may be keys of a map, where not all are `plain`."""
        return False

    def items(self, mark: Ext | None, values: Iterable[object], depth: int, step: str = "") -> list[object]:
        """An array: the mark, if any, and what stands for each of the values."""
        plain = self.plain
        out: list[object] = [] if mark is None else [mark]
        before = len(out)
        try:
            for value in values:
                out.append(value if type(value) in plain else self.part(value, depth + 1))  # noqa: PERF401
        except PartError as error:
            raise error.at(step or f"[{len(out) - before}]", values) from None
        return out

    def check_hashes(self, keys: Collection[object]) -> None:
        """Refuse keys that a reader refuses because too many have the same hash."""
        self.clashes -= collisions(keys)
        if self.clashes < 0:
            raise PartError(f"more than {COLLISIONS_MAX} keys or items share their hashes, which is the limit", keys)


class _CarefulPacker(_Packer):
    """One value on its way out, after the encoder has stumbled over it."""

    __slots__ = ()

    plain = NATIVE - {int, str}

    def part(self, value: object, depth: int) -> object:
        """What stands for a value that is not `plain`: integers, texts, and whatever is no scalar."""
        if type(value) is str:
            _check_text(value)
            return value
        if type(value) is int:
            return value if value in INT64 else self.pack(value, depth)
        return value if type(value) in NATIVE else self.pack(value, depth)

    def has_plain_keys(self, value: dict[object, object]) -> bool:
        try:
            for key in value:
                if type(key) is str:
                    _check_text(key)
                elif type(key) not in NATIVE or (type(key) is int and key not in INT64):
                    return False
        except PartError as error:
            raise error.in_key(error.part).at("", value) from None
        return True


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        reason = f"it holds half of a surrogate pair at index {error.start}, which UTF-8 has no form for"
        raise PartError(reason, text) from error


# Builtin containers.


if TYPE_CHECKING:
    Row = Callable[[_Packer, Any, int], object]


def _list(packer: _Packer, value: list[object], depth: int) -> object:
    return value if packer.plain.issuperset(map(type, value)) else packer.items(None, value, depth)


def _tuple(packer: _Packer, value: tuple[object, ...], depth: int) -> object:
    if packer.plain.issuperset(map(type, value)):
        return [_TUPLE, *value]
    return packer.items(_TUPLE, value, depth)


def _set(tag: Tag) -> Row:
    mark = MARKS[tag]

    def write(packer: _Packer, value: set[object], depth: int) -> object:
        packer.check_hashes(value)
        return packer.items(mark, value, depth, "{…}")

    return write


def _deque(packer: _Packer, value: deque[object], depth: int) -> object:
    out = packer.items(MARKS[Tag.DEQUE], value, depth)
    out.insert(1, value.maxlen)
    return out


def _dict(packer: _Packer, value: dict[object, object], depth: int) -> object:
    plain = packer.plain
    if not (plain.issuperset(map(type, value)) or packer.has_plain_keys(value)):
        return _pairs(packer, Tag.DICT, value, depth)
    if plain.issuperset(map(type, value.values())):
        return value
    out: dict[object, object] = {}
    key: object = None
    try:
        for key, part in value.items():
            out[key] = part if type(part) in plain else packer.part(part, depth + 1)
    except PartError as error:
        raise error.at(key_step(key), value) from None
    return out


def _ordered_dict(packer: _Packer, value: OrderedDict[object, object], depth: int) -> object:
    return _pairs(packer, Tag.ORDERED_DICT, value, depth)


def _pairs(packer: _Packer, tag: Tag, value: dict[object, object], depth: int) -> object:
    packer.check_hashes(value)
    plain = packer.plain
    out: list[object] = [MARKS[tag]]
    for key, part in value.items():
        try:
            out.append(key if type(key) in plain else packer.part(key, depth + 1))
        except PartError as error:
            raise error.in_key(key).at("", value) from None
        try:
            out.append(part if type(part) in plain else packer.part(part, depth + 1))
        except PartError as error:
            raise error.at(key_step(key), value) from None
    return out


def _form(form: Form) -> Row:
    mark, parts = MARKS[form.tag], form.parts

    def write(packer: _Packer, value: object, depth: int) -> object:
        return packer.items(mark, parts(value), depth)

    return write


_odd_datetime: Final = _form(FORMS[datetime])


def _datetime(packer: _Packer, value: datetime, depth: int) -> object:
    if value.tzinfo is not UTC or value.fold:
        return _odd_datetime(packer, value, depth)
    packer.left += 1  # MessagePack's own timestamp, no array, comes back as just this
    return value


ROWS: Final[dict[type, Row]] = {
    **{kind: _form(form) for kind, form in FORMS.items()},
    datetime: _datetime,
    int: _form(READ[Tag.INT]),
    list: _list,
    tuple: _tuple,
    dict: _dict,
    set: _set(Tag.SET),
    frozenset: _set(Tag.FROZENSET),
    OrderedDict: _ordered_dict,
    deque: _deque,
}
"""Type -> what writes a value of exactly that type. Forms of late types are added when the first value comes."""


# All other types.


def _late(packer: _Packer, value: object, depth: int) -> object:
    kind = type(value)
    entry = entry_of(kind)
    if entry is not None:
        return _member(entry, value) if isinstance(value, Enum) else _instance(packer, entry, value, depth)
    form = LATE_FORMS.get((kind.__module__, kind.__qualname__))
    if form is not None and kind is getattr(sys.modules[kind.__module__], kind.__qualname__, None):
        row = ROWS[kind] = _form(form)
        return row(packer, value, depth)
    for tag, parts in ((Tag.ARRAY, array_parts(value)), (Tag.NUMBER, number_parts(value))):
        if parts is not None:
            return [MARKS[tag], *parts]
    raise PartError(_remedy(value), value)


def _instance(packer: _Packer, entry: Entry, value: object, depth: int) -> object:
    if entry.fault:
        raise PartError(entry.fault, value)
    plain = packer.plain
    out: list[object] = [_OBJECT, entry.name]
    for name in entry.fields:
        try:
            part = getattr(value, name)
            out += (name, part if type(part) in plain else packer.part(part, depth + 1))
        except PartError as error:
            raise error.at(f".{name}", value) from None
        except AttributeError as error:
            raise PartError("the field has no value").at(f".{name}", value) from error
    return out


def _member(entry: Entry, value: Enum) -> object:
    if not isinstance(value, Flag):
        return [MARKS[Tag.ENUM], entry.name, value.name]
    if value.value not in range(entry.bits + 1) or value.value & ~entry.bits:
        raise PartError(f"it has bits that are no members of {entry.name}", value)
    return [MARKS[Tag.ENUM], entry.name, value.value]


BUILTINS: Final = (str, bytes, bytearray, int, float, complex, list, tuple, dict, set, frozenset, deque)


def _remedy(value: object) -> str:
    """Why a value of an unknown type cannot travel, and what to do."""
    kind = type(value)
    if isinstance(value, (Struct, Enum)) or is_dataclass(kind) or hasattr(kind, "_fields"):
        return f"the class is not registered: call anyplug.register({kind.__qualname__}) on both ends"
    base = next((base for base in chain(BUILTINS, (datetime,)) if issubclass(kind, base)), None)
    if base is not None:
        return f"a {base.__name__} of another class does not travel: send {base.__name__}(value)"
    if isinstance(value, memoryview):
        return "a view of memory does not travel: send bytes(value)"
    return "it does not travel: send its data, or make it a dataclass and call anyplug.register on both ends"

"""Making values of what the decoder of MessagePack has made: arrays behind a mark become what they stand for.

The decoder has built lists, dictionaries and scalars, and a `Mark` where there is one. `build` walks the containers
that hold others, from the inside out, and replaces arrays that begin with a mark. `READERS` has a row for every tag.
Scans have bounded depth and count before the decoder ran; nothing here makes more than what stands in the message.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Final

from anyplug.codec.objects_arrays import make_array, make_number
from anyplug.codec.objects_fault import PartError
from anyplug.codec.objects_forms import READ, Form
from anyplug.codec.objects_hashes import COLLISIONS_MAX, collisions
from anyplug.codec.objects_tags import NATIVE, SIGN, Tag
from anyplug.codec.registry import entry_named
from anyplug.codec.where import key_step
from anyplug.errors import Code

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

__all__ = ["READERS", "build", "mark_of"]


class Mark:
    """A mark in what the decoder has made. There is one of each tag."""

    __slots__ = ("read", "tag")

    def __init__(self, tag: Tag) -> None:
        self.tag = tag
        self.read = READERS[tag]


_NESTED: Final = frozenset({list, dict, Mark})
_TEXT: Final = frozenset({str})


def mark_of(code: int, data: memoryview) -> Mark:
    """The mark that an extension type stands for.

    Raises:
        PartError: it is no mark.
    """
    mark = _MARKS.get(code)
    if mark is None or len(data) != 1 or data[0] != SIGN[0]:
        raise PartError(f"extension type {code} with {len(data):,} bytes is no mark")
    return mark


def build(value: object) -> object:
    """The value that stands in what the decoder has made. It is changed on the way.

    Raises:
        PartError: a mark out of place, or what stands behind one is not what it needs; tells the path.
    """
    return _Builder().build(value) if type(value) in _NESTED else value


class _Builder:
    """One value on its way in."""

    __slots__ = ("clashes",)

    def __init__(self) -> None:
        self.clashes = COLLISIONS_MAX

    def build(self, value: object) -> object:
        """What a list, dictionary or mark stands for."""
        if type(value) is dict:
            return self.map(value)
        if type(value) is not list:
            raise PartError("a mark stands where none belongs: only arrays begin with one")
        if value and type(value[0]) is Mark:
            return self.marked(value.pop(0), value)
        if not _NESTED.isdisjoint(map(type, value)):
            self.items(value, None)
        return value

    def marked(self, mark: Mark, items: list[object]) -> object:
        """What the items behind a mark stand for."""
        if not _NESTED.isdisjoint(map(type, items)):
            self.items(items, mark.tag)
        try:
            return mark.read(self, items)
        except PartError:
            raise
        except Exception as error:  # registered classes run their own code
            raise PartError(f"no {mark.tag.name.lower()} can be made: {error}") from error

    def items(self, items: list[object], tag: Tag | None) -> None:
        """Replace the items of an array."""
        index = 0
        try:
            for index, item in enumerate(items):
                if type(item) in _NESTED:
                    items[index] = self.build(item)
        except PartError as error:
            raise error.at(_step(tag, items, index)) from None

    def map(self, value: dict[object, object]) -> object:
        """Replace the values of a map."""
        if not NATIVE.issuperset(map(type, value)):
            raise PartError("a key of a map is no scalar of MessagePack")
        if _NESTED.isdisjoint(map(type, value.values())):
            return value
        key: object = None
        try:
            for key, item in value.items():
                if type(item) in _NESTED:
                    value[key] = self.build(item)
        except PartError as error:
            raise error.at(key_step(key)) from None
        return value

    def check_hashes(self, keys: Collection[object]) -> None:
        """Refuse keys of which too many have the same hash."""
        self.clashes -= collisions(keys)
        if self.clashes < 0:
            problem = f"more than {COLLISIONS_MAX} keys or items share their hashes, which is the limit"
            raise PartError(problem, code=Code.TOO_LARGE)


def _step(tag: Tag | None, items: list[object], index: int) -> str:
    """The way to an item of an array."""
    if tag in {Tag.SET, Tag.FROZENSET}:
        return "{…}"
    if tag in {Tag.DICT, Tag.ORDERED_DICT}:
        return key_step(items[index - 1]) if index % 2 else "{…}"
    if tag is Tag.OBJECT and index and not index % 2:
        return key_step(items[index - 1])
    return f"[{index - (tag is Tag.DEQUE)}]"


# What stands behind each mark. The items are values already.

if TYPE_CHECKING:
    Reader = Callable[[_Builder, list[object]], object]


def _tuple(_builder: _Builder, items: list[object]) -> object:
    return tuple(items)


def _set(builder: _Builder, items: list[object]) -> set[object]:
    builder.check_hashes(items)
    made = set(items)
    if len(made) != len(items):
        raise PartError("an item stands in a set twice")
    return made


def _frozenset(builder: _Builder, items: list[object]) -> object:
    return frozenset(_set(builder, items))


def _dict(builder: _Builder, items: list[object]) -> dict[object, object]:
    if len(items) % 2:
        raise PartError("a key stands without a value")
    keys = items[::2]
    builder.check_hashes(keys)
    made = dict(zip(keys, items[1::2], strict=True))
    if len(made) != len(keys):
        raise PartError("a key stands in a dictionary twice")
    return made


def _ordered_dict(builder: _Builder, items: list[object]) -> object:
    return OrderedDict(_dict(builder, items))


def _deque(_builder: _Builder, items: list[object]) -> object:
    if not items or type(items[0]) not in {int, type(None)}:
        raise PartError("a deque begins with its longest length or nil")
    longest: int | None = items.pop(0)  # type: ignore[assignment]
    if longest is not None and longest < len(items):
        raise PartError(f"a deque of at most {longest:,} has {len(items):,} items")
    return deque(items, longest)


def _object(_builder: _Builder, items: list[object]) -> object:
    entry = entry_named(items[0] if items else None)
    if not len(items) % 2 or not _TEXT.issuperset(map(type, items[1::2])):
        raise PartError("fields are names, which are texts, each with its value")
    fields: dict[str, object] = dict(zip(items[1::2], items[2::2], strict=True))  # type: ignore[arg-type]
    if len(fields) != len(items) // 2:
        raise PartError("a field stands in an object twice")
    return entry.instance(fields)


def _enum(_builder: _Builder, items: list[object]) -> object:
    if len(items) != 2:
        raise PartError(f"a member of an Enum is the name of the class and the member, got {len(items):,} items")
    return entry_named(items[0]).member(items[1])


def _array(_builder: _Builder, items: list[object]) -> object:
    return make_array(*items)


def _number(_builder: _Builder, items: list[object]) -> object:
    return make_number(*items)


def _form(form: Form) -> Reader:
    _tag, _parts, shape, make = form

    def read(_builder: _Builder, items: list[object]) -> object:
        if shape is not None and tuple(map(type, items)) != shape:
            wanted = ", ".join(kind.__name__ for kind in shape) or "nothing"
            raise ValueError(f"it needs {wanted}, got {len(items):,} items: {_types(items)}")
        return make(*items)

    return read


def _types(items: list[object]) -> str:
    return ", ".join(type(item).__name__ for item in items[:8]) or "nothing"


READERS: Final[dict[Tag, Reader]] = {
    **{tag: _form(form) for tag, form in READ.items()},
    Tag.TUPLE: _tuple,
    Tag.SET: _set,
    Tag.FROZENSET: _frozenset,
    Tag.DICT: _dict,
    Tag.ORDERED_DICT: _ordered_dict,
    Tag.DEQUE: _deque,
    Tag.OBJECT: _object,
    Tag.ENUM: _enum,
    Tag.ARRAY: _array,
    Tag.NUMBER: _number,
}
"""Tag -> what makes the value of the items behind its mark."""

_MARKS: Final = {int(tag): Mark(tag) for tag in Tag}

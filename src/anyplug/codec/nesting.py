"""How deep a body nests, and how many containers it opens, found before a decoder builds anything of it.

Decoders recurse: input nested some hundred levels deep overruns the stack of a small thread and ends the process, with
no exception to catch. And an empty container is one byte on the wire but 56 bytes or more here. So both are bounded in
the bytes. Most bodies hold fewer openers than they may be deep, which one count tells; only the others are scanned, in
time linear in their length.

A scan judges a body up to its first fault: it passes nothing that is too deep before that, and refuses no valid body
that is not. Every other fault (truncated, malformed) is left to the decoder, which says it better.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Final

from anyplug.errors import Code, DecodeError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ARRAY_KEYS_MAX", "CONTAINERS_MAX", "scan_json", "scan_msgpack", "too_deep", "too_many"]

CONTAINERS_MAX: Final = 1_000_000
"""Containers in one message, a count. A million empty ones are 1 MB on the wire and at least 64 MB here."""

ARRAY_KEYS_MAX: Final = 128
"""Arrays as map keys in one MessagePack message, a count. They become tuples, whose hashes a peer can make collide at
will: some hundred thousand of such keys would keep one dictionary busy for hours. Texts, bytes and numbers cannot."""

UNIFORM_MIN: Final = 16
"""Containers of at least so many items are first tried as a row of items of one size, stepped over at once."""

PEELS: Final = 8
"""Innermost pairs are taken away so many times before what is left is counted one by one. Most values are flatter."""

CHUNK: Final = 1 << 16
"""Bytes that are split at once, which bounds the memory of the pieces."""


def too_deep(codec: str, limit: int) -> DecodeError:
    """The refusal of a body that nests deeper than `limit` levels."""
    return _excess(codec, f"nested deeper than {limit:,} levels, which is the limit (`nesting`)")


def too_many(codec: str, what: str, limit: int) -> DecodeError:
    """The refusal of a body with more than `limit` of something."""
    return _excess(codec, f"more than {limit:,} {what}, which is the limit")


def _excess(codec: str, problem: str) -> DecodeError:
    error = DecodeError(codec, problem)
    error.code = Code.TOO_LARGE
    return error


# JSON: brackets outside of strings are all that matters, and bytes.translate takes them out at the speed of memory.

_SQUARE: Final = bytes.maketrans(b"{}", b"[]")
_NOT_STRUCTURE: Final = bytes(set(range(256)) - set(b'[]{}"'))
_STEP: Final = [(code == ord("[")) - (code == ord("]")) for code in range(256)]


def scan_json(body: bytes, limit: int) -> None:
    """Refuse a JSON body deeper than `limit` levels or with more than `CONTAINERS_MAX` containers.

    Raises:
        DecodeError: it is; `DecodeError.code` is ``TOO_LARGE``.
    """
    if body.count(b"[") + body.count(b"{") <= limit:
        return
    brackets = _brackets(body)
    if brackets.count(b"[") > CONTAINERS_MAX:
        raise too_many("json", "arrays and objects", CONTAINERS_MAX)
    if _depth(brackets) > limit:
        raise too_deep("json", limit)


def _brackets(body: bytes) -> bytes:
    """The brackets of a body without what its strings hold, braces as square ones."""
    if b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    marks = body.translate(_SQUARE, _NOT_STRUCTURE)
    # Taking out two quotes in a row moves nothing into a string or out of one. What quotes are left then belong to
    # strings with brackets in them.
    marks = marks.replace(b'""', b"")
    return _outside_strings(marks) if b'"' in marks else marks


def _outside_strings(marks: bytes) -> bytes:
    kept: list[bytes] = []
    inside = 0
    for start in range(0, len(marks), CHUNK):
        pieces = marks[start : start + CHUNK].split(b'"')
        kept.append(b"".join(pieces[inside::2]))
        inside ^= (len(pieces) - 1) & 1
    return b"".join(kept)


def _depth(brackets: bytes) -> int:
    """The deepest level of a row of square brackets."""
    peeled = 0
    while peeled < PEELS and b"[]" in brackets:
        brackets = brackets.replace(b"[]", b"")
        peeled += 1
    return peeled + max(accumulate(map(_STEP.__getitem__, brackets)), default=0)


# MessagePack: containers state how many items they hold and strings how long they are, so each item is stepped over.

_NOT_OPENERS: Final = bytes(set(range(256)) - {*range(0x80, 0xA0), *range(0xDC, 0xE0)})

_STEPS: Final = [
    *[1] * 0x80,  # positive fixint
    *[0] * 0x20,  # fixmap, fixarray
    *range(1, 33),  # fixstr
    *[1, 0, 1, 1],  # nil, never used, false, true
    *[0] * 6,  # bin, ext
    *[5, 9],  # float
    *[2, 3, 5, 9] * 2,  # uint, int
    *[3, 4, 6, 10, 18],  # fixext
    *[0] * 7,  # str, array, map
    *[1] * 0x20,  # negative fixint
]
"""First byte of an item -> bytes of all of it, or 0 where that depends on what follows."""

_SIZED: Final[dict[int, tuple[int, int]]] = {
    **dict(zip((0xC4, 0xC5, 0xC6), ((1, 2), (2, 3), (4, 5)), strict=True)),  # bin
    **dict(zip((0xC7, 0xC8, 0xC9), ((1, 3), (2, 4), (4, 6)), strict=True)),  # ext: its type lies after the length
    **dict(zip((0xD9, 0xDA, 0xDB), ((1, 2), (2, 3), (4, 5)), strict=True)),  # str
}
"""First byte of a scalar that states its length -> bytes of the length, bytes before the content."""

_SMALL: Final[dict[int, tuple[int, bool, int]]] = {
    **{0x80 + count: (1, True, 2 * count) for count in range(16)},  # fixmap
    **{0x90 + count: (1, False, count) for count in range(16)},  # fixarray
}
"""First byte of a container -> bytes before its items, whether it is a map, its items (of a map, two per entry)."""

_LARGE: Final[dict[int, tuple[int, bool]]] = {0xDC: (2, False), 0xDD: (4, False), 0xDE: (2, True), 0xDF: (4, True)}
"""First byte of a container that states its count -> bytes of the count, whether it is a map."""


def scan_msgpack(body: bytes, limit: int) -> None:
    """Refuse a MessagePack body deeper than `limit` levels, with more than `CONTAINERS_MAX` containers, or with more
    than `ARRAY_KEYS_MAX` arrays as map keys.

    Raises:
        DecodeError: it is; `DecodeError.code` is ``TOO_LARGE``.
    """
    if len(body.translate(None, _NOT_OPENERS)) <= min(limit, ARRAY_KEYS_MAX):
        return
    try:
        _walk_msgpack(body, limit)
    except LookupError:
        return  # the body ends inside an item, or an item is of no known kind


def _walk_msgpack(body: bytes, limit: int) -> None:
    at = opened = array_keys = 0
    in_map = False
    items = iter(range(1))
    above: list[tuple[bool, Iterator[int]]] = []
    while True:
        for index in items:
            step = _STEPS[body[at]]
            if step:
                at += step
            elif body[at] in _SIZED:
                at += _content(body, at)
            else:
                opened += 1
                array_keys += in_map and not index & 1
                above.append((in_map, items))
                if len(above) > limit or opened > CONTAINERS_MAX or array_keys > ARRAY_KEYS_MAX:
                    raise _excess_msgpack(limit, opened=opened, array_keys=array_keys)
                head, in_map, count = _SMALL.get(body[at]) or _large(body, at)
                at += head
                skip = _uniform(body, at, count) if count >= UNIFORM_MIN else 0
                at += skip
                items = iter(range(0 if skip else count))
                break
        else:
            if not above:
                return
            in_map, items = above.pop()


def _content(body: bytes, at: int) -> int:
    """The bytes of the scalar at `at`, which states its length."""
    width, head = _SIZED[body[at]]
    return head + int.from_bytes(body[at + 1 : at + 1 + width], "big")


def _uniform(body: bytes, at: int, count: int) -> int:
    """The bytes of all `count` items at `at` if each begins with the same byte, as in an array of floats; else 0."""
    first = body[at]
    step = _STEPS[first]
    return step * count if step and body[at : at + step * count : step].count(first) == count else 0


def _large(body: bytes, at: int) -> tuple[int, bool, int]:
    """As `_SMALL`, for the container at `at` whose count lies in the bytes after its first."""
    width, in_map = _LARGE[body[at]]
    count = int.from_bytes(body[at + 1 : at + 1 + width], "big")
    return 1 + width, in_map, count * (1 + in_map)


def _excess_msgpack(limit: int, *, opened: int, array_keys: int) -> DecodeError:
    if opened > CONTAINERS_MAX:
        return too_many("msgpack", "arrays and maps", CONTAINERS_MAX)
    if array_keys > ARRAY_KEYS_MAX:
        return too_many("msgpack", "arrays as map keys", ARRAY_KEYS_MAX)
    return too_deep("msgpack", limit)

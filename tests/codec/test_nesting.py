"""The scans before decoding: depth and containers are found in the bytes, exactly for every valid body."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyplug.codec import make_codec
from anyplug.codec.nesting import CHUNK, CONTAINERS_MAX, scan_json, scan_msgpack
from anyplug.errors import Code, DecodeError
from anyplug.limits import Limits

Scan = Callable[[bytes, int], None]


def depth_by(scan: Scan, body: bytes) -> int:
    """The smallest limit that the scan lets the body pass with."""
    limit = 0
    while True:
        try:
            scan(body, limit)
            return limit
        except DecodeError:
            limit += 1


def depth_of(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth_of, [*value, *value.values()]), default=0)
    if isinstance(value, list | tuple):
        return 1 + max(map(depth_of, value), default=0)
    return 0


def nested(levels: int, inner: object = 1) -> object:
    for level in range(levels):
        inner = {"a": inner, "b": 5} if level % 2 else ["a", inner, 5]
    return inner


def padded(value: object, openers: int = 300) -> list[object]:
    """The value with so many openers beside it that counting alone does not do."""
    return [*([[]] * openers), value]


BRACKETS = ["[", "]", "{", "}", '"', "\\", '\\"', "[[[[", "]]]]", "a", "", '"["', "\\\\", "[" * 40, "]" * 40]
TREES = st.recursive(
    st.integers(-300, 70_000)
    | st.sampled_from(BRACKETS)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.none(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(BRACKETS), inner, max_size=4)
        | st.lists(st.just(1.5) | st.just("abc"), min_size=14, max_size=20)
    ),
    max_leaves=40,
)


@given(TREES)
def test_the_depth_of_json_is_exact(value: object) -> None:
    assert depth_by(scan_json, json.dumps(padded(value)).encode()) == depth_of(padded(value))


@given(TREES)
def test_the_depth_of_msgpack_is_exact(value: object) -> None:
    assert depth_by(scan_msgpack, msgspec.msgpack.encode(padded(value))) == depth_of(padded(value))


EXACT: list[tuple[bytes, int]] = [
    (b'"[[[[[["', 0),
    (b'["[", "{", "]"]', 1),
    (b'[["\\"[[["]]', 2),
    (b'[["\\\\", [1]]]', 3),
    (b'["\\\\\\"[", []]', 2),
    (b'{"[": {"]": {"}": 1}}}', 3),
    (b'["", "[", "", "]", [""]]', 2),
    (b"[[],[[]],[[[]]]]", 4),
    (b'["' + b"[" * 200 + b'", [1]]', 2),
    (b"[" + b'"[", ' * CHUNK + b"[[1]]]", 3),
    (b'["' + b'\\"[' * CHUNK + b'", [1]]', 2),
]


@pytest.mark.parametrize(("body", "depth"), EXACT, ids=range(len(EXACT)))
def test_brackets_in_strings_are_no_depth(body: bytes, depth: int) -> None:
    padding = b"[" + b"[]," * 300
    assert depth_by(scan_json, padding + body + b"]") == max(2, depth + 1)
    make_codec("json").decode(padding + body + b"]")


@pytest.mark.parametrize(
    "item",
    [
        *(
            0,
            127,
            -32,
            -33,
            128,
            2**16,
            2**32,
            -(2**40),
            1.5,
            None,
            True,
            "",
            "a" * 31,
            "a" * 32,
            "a" * 300,
            "a" * 70_000,
        ),
        *(b"", b"\x91" * 300, b"\x91" * 70_000, {}, [1] * 15, [1] * 16, ["ab"] * 20, [1, "a"] * 20, [[]] * 20),
        *([1.5] * 19 + [nested(9)], [*[1.5] * 10, nested(9), *[1.5] * 10]),
        *([1.5] * 70_000, ["\x81"] * 70_000, {index: index for index in range(16)}, dict.fromkeys(range(70_000), 5)),
    ],
    ids=range(31),
)
def test_every_kind_of_msgpack_item_is_stepped_over(item: object) -> None:
    value = padded([item, nested(7)])
    assert depth_by(scan_msgpack, msgspec.msgpack.encode(value)) == depth_of(value)


@pytest.mark.parametrize("code", [-128, 127])
@pytest.mark.parametrize("size", [1, 2, 4, 8, 16, 3, 300, 70_000])
def test_msgpack_extensions_are_stepped_over(code: int, size: int) -> None:
    extension = msgspec.msgpack.Ext(code, b"\x91" * size)
    value = padded([extension, nested(7)])
    assert depth_by(scan_msgpack, msgspec.msgpack.encode(value)) == depth_of(value)


@pytest.mark.parametrize("scan", [scan_json, scan_msgpack])
def test_what_is_cut_or_malformed_is_left_to_the_decoder(scan: Scan) -> None:
    encode = msgspec.json.encode if scan is scan_json else msgspec.msgpack.encode
    body = encode(padded(["abc", b"abc", 1.5, nested(5), {"a": [1.5] * 20}]))
    for end in range(0, len(body), 3):
        scan(body[:end], 20)
        scan(body[:end] + b"\xc1" * 200, 20)
        scan(body[end:], 128)


@pytest.mark.parametrize(("levels", "limit"), [(1, 1), (127, 128), (128, 128), (9, 9), (10, 10), (40, 40)])
@pytest.mark.parametrize("name", ["json", "msgpack"])
def test_as_deep_as_the_limit_is_not_too_deep(name: str, levels: int, limit: int) -> None:
    codec = make_codec(name, limits=Limits(nesting=limit))
    value = nested(levels)
    assert codec.decode(codec.encode(value)) == value


@pytest.mark.parametrize(("levels", "limit"), [(1, 0), (129, 128), (10, 9), (11, 10), (41, 40), (900, 128)])
@pytest.mark.parametrize("name", ["json", "msgpack"])
@pytest.mark.parametrize("kind", [Any, list[Any]])
def test_one_level_more_is_too_deep(name: str, levels: int, limit: int, kind: Any) -> None:
    body = make_codec(name).encode(padded(nested(levels - 1), 2 * limit + 2))
    with pytest.raises(DecodeError) as caught:
        make_codec(name, kind, limits=Limits(nesting=limit)).decode(body)
    assert caught.value.problem == f"nested deeper than {limit} levels, which is the limit (`nesting`)"
    assert caught.value.code is Code.TOO_LARGE


@pytest.mark.parametrize("limit", [5, 128, 300])
@pytest.mark.parametrize("scan", [scan_json, scan_msgpack])
def test_no_opener_more_than_the_limit_is_let_pass_by_counting(scan: Scan, limit: int) -> None:
    encode = msgspec.json.encode if scan is scan_json else msgspec.msgpack.encode
    scan(encode(nested(limit)), limit)
    with pytest.raises(DecodeError, match=f"nested deeper than {limit} levels"):
        scan(encode(nested(limit + 1)), limit)


@pytest.mark.parametrize("name", ["json", "msgpack"])
@pytest.mark.parametrize("count", [0, 1])
def test_containers_are_bounded_whatever_the_type(name: str, count: int) -> None:
    items = CONTAINERS_MAX - 1 + count
    if name == "json":
        body = b"[" + b",".join([b"[]"] * items) + b"]"
    else:
        body = b"\xdd" + items.to_bytes(4, "big") + b"\x90" * items
    if not count:
        (scan_json if name == "json" else scan_msgpack)(body, 128)
        return
    for kind in (Any, list[list[int]]):
        with pytest.raises(DecodeError, match="more than 1,000,000 arrays and") as caught:
            make_codec(name, kind).decode(body)
        assert caught.value.code is Code.TOO_LARGE


class Point(msgspec.Struct):
    x: int
    tags: list[str] = []


@pytest.mark.parametrize("name", ["json", "msgpack"])
def test_a_closed_type_needs_no_scan_and_skips_unknown_fields_however_deep(name: str) -> None:
    body = make_codec(name).encode({"x": 1, "unknown": nested(300), "tags": ["a"]})
    assert make_codec(name, Point).decode(body) == Point(1, ["a"])
    with pytest.raises(DecodeError, match="nested deeper than 128 levels"):
        make_codec(name).decode(make_codec(name).encode([nested(300)]))

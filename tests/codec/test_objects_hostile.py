"""The codec objects and bytes that nobody honest has written: an error each time, within bounds."""

from __future__ import annotations

import struct
import tracemalloc
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.msgpack import Ext

from anyplug.codec import make_codec
from anyplug.codec.objects_reader import READERS
from anyplug.codec.objects_tags import MARKS, Tag
from anyplug.errors import Code, DecodeError
from anyplug.limits import Limits
from tests.codec.exact import VALUES

CODEC = make_codec("objects")
PRIME = 2**61 - 1


def behind(tag: Tag, *items: object) -> bytes:
    """A body: these items behind the mark."""
    return msgspec.msgpack.encode([MARKS[tag], *items])


def refusal(body: bytes) -> DecodeError:
    with pytest.raises(DecodeError) as caught:
        CODEC.decode(body)
    assert caught.value.codec == "objects"
    assert caught.value.problem.isprintable()
    return caught.value


def decode(body: bytes) -> None:
    """Nothing but a value or a DecodeError."""
    with suppress(DecodeError):
        CODEC.decode(body)


T = Tag
BAD: list[tuple[bytes, str]] = [
    (b"\xd4\x01\xc1", "a mark stands where none belongs: only arrays begin with one"),
    (b"\x92\x01\xd4\x01\xc1", "a mark stands where none belongs: only arrays begin with one - at `$[1]`"),
    (b"\x81\xa1a\xd4\x01\xc1", "a mark stands where none belongs: only arrays begin with one - at `$.a`"),
    (b"\x81\xd4\x01\xc1\x01", "a key of a map is no scalar of MessagePack"),
    (b"\x82\x92\xd4\x01\xc1\x01\x02\xa1b\x03", "a key of a map is no scalar of MessagePack"),
    (b"\x92\xd4\x01\xc1\xd4\x02\xc1", "a mark stands where none belongs: only arrays begin with one - at `$[0]`"),
    (b"\x91\xd4\x01\xc2", "extension type 1 with 1 bytes is no mark"),
    (b"\x91\xc7\x00\x01", "extension type 1 with 0 bytes is no mark"),
    (b"\x91\xd5\x01\xc1\xc1", "extension type 1 with 2 bytes is no mark"),
    (b"\x91\xd4\x09\xc1", "extension type 9 with 1 bytes is no mark"),
    (b"\x91\xd4\x80\xc1", "extension type -128 with 1 bytes is no mark"),
    (behind(T.SET, 1, 1), "an item stands in a set twice"),
    (behind(T.SET, 1, True), "an item stands in a set twice"),
    (behind(T.FROZENSET, "a", "a"), "an item stands in a set twice"),
    (behind(T.SET, []), "no set can be made: unhashable type: 'list'"),
    (behind(T.DICT, 1), "a key stands without a value"),
    (behind(T.DICT, 1, 2, 1, 3), "a key stands in a dictionary twice"),
    (behind(T.DICT, [], 1), "no dict can be made: unhashable type: 'list'"),
    (behind(T.DICT, "a", [MARKS[T.SET], []]), "no set can be made: unhashable type: 'list' - at `$.a`"),
    (behind(T.DICT, [MARKS[T.SET], []], 1), "no set can be made: unhashable type: 'list' - at `${…}`"),
    (behind(T.FROZENSET, [MARKS[T.SET], []]), "no set can be made: unhashable type: 'list' - at `${…}`"),
    (behind(T.ORDERED_DICT, 1), "a key stands without a value"),
    (behind(T.DEQUE), "a deque begins with its longest length or nil"),
    (behind(T.DEQUE, "a"), "a deque begins with its longest length or nil"),
    (behind(T.DEQUE, 1, 2, 3), "a deque of at most 1 has 2 items"),
    (behind(T.DEQUE, -1), "a deque of at most -1 has 0 items"),
    (behind(T.DEQUE, 2**64 - 1), "no deque can be made: Python int too large to convert to C ssize_t"),
    (behind(T.DEQUE, None, [MARKS[T.DEQUE]]), "a deque begins with its longest length or nil - at `$[0]`"),
    (behind(T.INT, b""), "no int can be made: it has a shorter form"),
    (behind(T.INT, b"\x05"), "no int can be made: it has a shorter form"),
    (behind(T.INT, b"\x00" * 3 + b"\x7f" * 9), "no int can be made: it has a shorter form"),
    (behind(T.INT, b"\x7f" * 1_786), "no int can be made: it has 1,786 bytes, the limit is 1,785"),
    (behind(T.INT, 5), "no int can be made: it needs bytes, got 1 items: int"),
    (behind(T.COMPLEX, 1, 2.0), "no complex can be made: it needs float, float, got 2 items: int, float"),
    (behind(T.COMPLEX), "no complex can be made: it needs float, float, got 0 items: nothing"),
    (
        behind(T.COMPLEX, *range(20)),
        "no complex can be made: it needs float, float, got 20 items: " + "int, " * 7 + "int",
    ),
    (behind(T.BYTEARRAY, "a"), "no bytearray can be made: it needs bytes, got 1 items: str"),
    (behind(T.DECIMAL, "1_0"), "no decimal can be made: '1_0' is no number"),
    (behind(T.DECIMAL, " 1"), "no decimal can be made: ' 1' is no number"),
    (behind(T.DECIMAL, "١"), "no decimal can be made: '١' is no number"),
    (behind(T.DECIMAL, "1E+9999999999999999999"), "no decimal can be made: '1E+9999999999999999999' is no number"),
    (behind(T.DECIMAL, "1" * 4_301), "no decimal can be made: it has 4,301 characters, the limit is 4,300"),
    (behind(T.FRACTION, 1, 0), "no fraction can be made: Fraction(1, 0)"),
    (behind(T.FRACTION, 1, True), "no fraction can be made: it needs int, int, got 2 items: int, bool"),
    (behind(T.DATETIME, 2026, 13, 1, 0, 0, 0, 0, 0), "no datetime can be made: month must be in 1..12"),
    (behind(T.DATETIME, 2026, 1, 1), "no datetime can be made: it needs 8 integers first"),
    (behind(T.DATETIME, 2026, 1, 1, 0, 0, 0, 0, True), "no datetime can be made: it needs 8 integers first"),
    (behind(T.DATETIME, 2026, 1, 1, 0, 0, 0, 0, 2), "no datetime can be made: fold must be either 0 or 1"),
    (behind(T.DATETIME, *[2**64 - 1] * 8), "no datetime can be made: Python int too large to convert to C long"),
    (
        behind(T.DATETIME, 2026, 1, 1, 0, 0, 0, 0, 0, 1.5),
        "no datetime can be made: a zone is an offset",
    ),
    (
        behind(T.DATETIME, 2026, 1, 1, 0, 0, 0, 0, 0, 1, "a", 2),
        "no datetime can be made: a zone is an offset",
    ),
    (
        behind(T.DATETIME, 2026, 1, 1, 0, 0, 0, 0, 0, "UTC", 2),
        "no datetime can be made: a zone is an offset",
    ),
    (behind(T.TIME, 24, 0, 0, 0, 0), "no time can be made: hour must be in 0..23"),
    (behind(T.TIME, 1, 0, 0, 0), "no time can be made: it needs 5 integers first"),
    (behind(T.DATE, 0, 1, 1), "no date can be made: year 0 is out of range"),
    (behind(T.TIMEDELTA, 10**9, 0, 0), "no timedelta can be made: days=1000000000; must have magnitude <= 999999999"),
    (behind(T.TIMEZONE, 86_400_000_000), "no timezone can be made: offset must be a timedelta strictly between"),
    (behind(T.TIMEZONE, 0, "a" * 101), "no timezone can be made: the name of its zone has more than 100 characters"),
    (behind(T.TIMEZONE), "no timezone can be made: a zone is an offset in microseconds"),
    (behind(T.ZONE, 5), "no zone can be made: a zone is an offset in microseconds"),
    (behind(T.ZONE, "Nowhere/Town"), "no zone can be made: there is no time zone 'Nowhere/Town' here"),
    (behind(T.ZONE, "../../etc/passwd"), "no zone can be made: there is no time zone '../../etc/passwd' here"),
    (behind(T.ZONE, "/etc/localtime"), "no zone can be made: there is no time zone '/etc/localtime' here"),
    (behind(T.ZONE, "UTC\0"), "no zone can be made: there is no time zone 'UTC\\x00' here"),
    (behind(T.ZONE, "A" * 5_000), "no zone can be made: there is no time zone 'AAAA"),
    (behind(T.UUID, b"x"), "no uuid can be made: bytes is not a 16-char string"),
    (behind(T.RANGE, 1, 2, 0), "no range can be made: range() arg 3 must not be zero"),
    (behind(T.ELLIPSIS, 1), "no ellipsis can be made: it needs nothing, got 1 items: int"),
    (
        behind(T.IP, "address", "localhost"),
        "no ip can be made: 'localhost' does not appear to be an IP",
    ),
    (behind(T.IP, "network", "10.0.0.1/8"), "no ip can be made: 10.0.0.1/8 has host bits set"),
    (behind(T.IP, "host", "::1"), "no ip can be made: 'host' is none of address, network, interface"),
    (behind(T.IP, "address", "::1%" + "a" * 200), "no ip can be made: it has 204 characters, the limit is 100"),
    (behind(T.OBJECT), "the name of a class is a text, got NoneType"),
    (behind(T.OBJECT, 5), "the name of a class is a text, got int"),
    (
        behind(T.OBJECT, "os.system", "a", 1),
        "no class is registered here as 'os.system': call anyplug.register",
    ),
    (behind(T.OBJECT, "\x1b[2J"), "no class is registered here as '\\x1b[2J': call anyplug.register"),
    (behind(T.ENUM, "Nobody", "A"), "no class is registered here as 'Nobody'"),
    (behind(T.ENUM, "Nobody"), "a member of an Enum is the name of the class and the member, got 1 items"),
    (b"\x91\xc7\x0c\xff\x00\x00\x00\x00\x00\x00\x00\x3a\xff\xf4\x41\x80", "year 10000 is out of range"),
]


@pytest.mark.parametrize(("body", "problem"), BAD, ids=[problem[:60] for _, problem in BAD])
def test_what_is_no_value_is_refused_with_what_is_wrong(body: bytes, problem: str) -> None:
    assert refusal(body).problem.startswith(problem)
    assert refusal(b"\x81\xa3key" + body).problem.startswith(problem.partition(" - at")[0])


ITEMS: list[list[object]] = [
    [[]],
    [{}],
    [{"a": b"\xc1"}],
    [None] * 3,
    ["a", "b"],
    [-1, -1],
    [b"", b""],
    [2**64 - 1] * 9,
]


def test_every_tag_is_read_and_none_is_made_of_junk() -> None:
    assert set(READERS) == set(Tag) == set(MARKS)
    for tag in Tag:
        for items in ITEMS:
            decode(behind(tag, *items))


@given(st.sampled_from(list(Tag)), st.binary())
def test_any_bytes_behind_a_mark_are_a_value_or_an_error(tag: Tag, rest: bytes) -> None:
    decode(b"\x93\xd4" + bytes([tag]) + b"\xc1" + rest)


@given(st.integers(-128, 127), st.binary(max_size=20))
def test_every_extension_with_any_bytes_is_a_value_or_an_error(code: int, data: bytes) -> None:
    decode(msgspec.msgpack.encode(Ext(code, data)))
    decode(msgspec.msgpack.encode([Ext(code, data), "a", 1]))
    decode(msgspec.msgpack.encode({"a": [[Ext(code, data)]]}))


@given(st.binary())
def test_any_bytes_are_a_value_or_an_error(body: bytes) -> None:
    decode(body)


JUNK = st.recursive(
    st.none()
    | st.integers(-(2**63), 2**64 - 1)
    | st.text()
    | st.binary()
    | st.floats()
    | st.sampled_from([*MARKS.values()]),
    lambda inner: (
        st.lists(inner, max_size=6)
        | st.tuples(st.sampled_from([*MARKS.values()]), inner, inner).map(list)
        | st.dictionaries(st.text() | st.integers(0, 9), inner, max_size=3)
    ),
)


@given(JUNK)
def test_any_items_behind_any_marks_are_a_value_or_an_error(value: object) -> None:
    decode(msgspec.msgpack.encode(value))


def test_no_mark_is_ever_left_in_a_value() -> None:
    for head in (b"\xd4\x01", b"\xc7\x01\x01", b"\xc8\x00\x01\x01", b"\xc9\x00\x00\x00\x01\x01"):
        assert CODEC.decode(b"\x92" + head + b"\xc1\x05") == (5,)
        refusal(b"\x92\x05" + head + b"\xc1")


def test_a_body_cut_anywhere_is_refused() -> None:
    for value in VALUES:
        body = CODEC.encode(value)
        for end in {*range(min(len(body), 40)), *range(0, len(body), len(body) // 50 + 1)}:
            refusal(body[:end])


HUGE = [
    b"\xdd\xff\xff\xff\xff\xd4%c\xc1",
    b"\x92\xd4%c\xc1\xc6\xff\xff\xff\xff",
    b"\x92\xd4%c\xc1\xdb\xff\xff\xff\xff",
    b"\x92\xd4%c\xc1\xdf\xff\xff\xff\xff",
]


@pytest.mark.parametrize("tag", list(Tag))
def test_a_giant_length_takes_no_memory(tag: Tag) -> None:
    tracemalloc.start()
    try:
        for form in HUGE:
            refusal(form % tag + b"\x00" * 100)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 64 * 1024


@pytest.mark.parametrize(
    "step", [b"\x91", b"\x92\xd4\x01\xc1", b"\x92\xd4\x03\xc1", b"\x81\xa1a", b"\x93\xd4\x04\xc1\x01"]
)
def test_deep_nesting_is_refused_before_it_is_decoded(step: bytes) -> None:
    fine = CODEC.decode(step * 128 + b"\x01")
    assert CODEC.decode(CODEC.encode(fine)) == fine
    for levels in (129, 1_000, 100_000):
        error = refusal(step * levels + b"\x01")
        assert error.problem == "nested deeper than 128 levels, which is the limit (`nesting`)"
        assert error.code is Code.TOO_LARGE
    with pytest.raises(DecodeError, match="nested deeper than"):
        make_codec("objects", limits=Limits(nesting=1_000_000)).decode(step * 20_000 + b"\x01")


def test_too_many_containers_are_refused() -> None:
    body = b"\xdd" + struct.pack(">I", 1_000_001) + b"\x90" * 1_000_001
    assert refusal(body).problem == "more than 1,000,000 arrays and maps, which is the limit"


def test_arrays_as_keys_of_a_map_are_bounded() -> None:
    body = msgspec.msgpack.encode({(index, 0): index for index in range(129)})
    assert refusal(body).code is Code.TOO_LARGE


def long(value: int) -> list[object]:
    return [MARKS[Tag.INT], value.to_bytes(value.bit_length() // 8 + 1, "big")]


@pytest.mark.parametrize(
    "key",
    [
        lambda count: long((PRIME * count) << 64),
        lambda count: [MARKS[Tag.DECIMAL], str((PRIME * count) << 64)],
        lambda count: [MARKS[Tag.UUID], ((PRIME * count) << 20).to_bytes(16, "big")],
        lambda count: [MARKS[Tag.TUPLE], long((PRIME * count) << 64)],
        lambda count: [MARKS[Tag.FRACTION], long((PRIME * count) << 64), 1],
    ],
)
@pytest.mark.parametrize("tag", [Tag.SET, Tag.FROZENSET, Tag.DICT, Tag.ORDERED_DICT])
def test_keys_of_one_hash_are_bounded(tag: Tag, key: Any) -> None:
    def body(count: int) -> bytes:
        keys = [key(each) for each in range(1, count + 1)]
        pairs = [part for each in keys for part in (each, 1)]
        return behind(tag, *(keys if tag in {Tag.SET, Tag.FROZENSET} else pairs))

    assert len(CODEC.decode(body(100))) == 100
    error = refusal(body(140))
    assert error.problem == "more than 128 keys or items share their hashes, which is the limit"
    assert error.code is Code.TOO_LARGE
    two = b"\x92" + body(100) + body(100)
    assert refusal(two).problem.startswith("more than 128 keys")


def test_many_keys_of_different_hashes_are_fine() -> None:
    value = {(index, str(index)): (2**70 + index,) for index in range(5_000)}
    assert CODEC.decode(CODEC.encode(value)) == value


def test_what_the_peer_wrote_is_shown_cut() -> None:
    for body in (
        behind(Tag.DECIMAL, "x" * 4_000),
        behind(Tag.OBJECT, "x" * 100_000),
        behind(Tag.IP, "x" * 100_000, ""),
    ):
        assert "x" * 60 + "'…" in refusal(body).problem
        assert len(refusal(body).problem) < 200
    path = refusal(msgspec.msgpack.encode({"k" * 100_000: [MARKS[Tag.SET], []]})).problem
    assert len(path) < 150
    deep: object = [MARKS[Tag.SET], []]
    for _ in range(100):
        deep = {"k" * 40: deep}
    assert len(refusal(msgspec.msgpack.encode(deep)).problem) < 500

"""The codec msgpack: what MessagePack can say, and what it refuses."""

from __future__ import annotations

import datetime as dt
import math
import tracemalloc
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyplug.codec import make_codec
from anyplug.errors import Code, DecodeError, EncodeError
from anyplug.testing import check_codec

CODEC = make_codec("msgpack")

VALUES: list[object] = [
    *(None, True, False, 0, -1, 127, 128, -33, 2**16, 2**32, 2**64 - 1, -(2**63)),
    *(0.5, -0.0, math.nan, math.inf, "", "a" * 40, "有 \N{PERFORMING ARTS}", b"", b"\xff" * 300),
    *([], {}, [[]], [1, "a", None, [True]], {"a": {"b": [1.5]}, 1: b"x", None: 0, (1, 2): 3, 0.5: 1}),
    dt.datetime(2026, 11, 20, 13, 4, 5, tzinfo=dt.UTC),
]

NOT_MSGPACK: list[tuple[bytes, str]] = [
    (b"", "Input data was truncated"),
    (b"\x92\x01", "Input data was truncated"),
    (b"\xa5abc", "Input data was truncated"),
    (b"\xcb\x00", "Input data was truncated"),
    (b"\x01\x02", "MessagePack data is malformed: trailing characters (byte 1)"),
    (b"\xc1", "MessagePack data is malformed: invalid opcode '\\xc1' (byte 0)"),
    (b"\xa1\xff", "a text in it is not UTF-8: byte 0xff at byte 0 of that text"),
    (b"\x81\xa4caf\xe9\x01", "a text in it is not UTF-8: byte 0xe9 at byte 3 of that text"),
    (b"\x81\x80\x01", "MessagePack data is malformed: map keys must be hashable (byte 3)"),
    (b"\x81\x91\x80\x01", "MessagePack data is malformed: map keys must be hashable (byte 4)"),
    (b"\xd4\x01\x00", "extension type 1: extension types are refused"),
    (b"\xc7\x00\x7f", "extension type 127: extension types are refused"),
    (b"\x91\xd4\x80\x00", "extension type -128: extension types are refused"),
    (b"\xc7\x0c\xff\x00\x00\x00\x00\x00\x00\x00\x3a\xff\xf4\x41\x80", "year 10000 is out of range"),
    (b"\xd7\xff" + b"\xff" * 8, "Invalid MessagePack timestamp: nanoseconds out of range"),
]

GIANT = [
    b"\xdd\xff\xff\xff\xff",
    b"\xdf\xff\xff\xff\xff",
    b"\xc6\xff\xff\xff\xff",
    b"\xdb\xff\xff\xff\xff",
    b"\xc9\xff\xff\xff\xff",
]


def test_msgpack_keeps_the_contract_of_codecs() -> None:
    check_codec(lambda: make_codec("msgpack"), VALUES, [body for body, _ in NOT_MSGPACK] + GIANT)


ATOMS = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text() | st.binary()
)
MSGPACK = st.recursive(ATOMS, lambda inner: st.lists(inner) | st.dictionaries(ATOMS, inner))


@given(MSGPACK)
def test_any_value_of_msgpack_comes_back(value: object) -> None:
    assert CODEC.decode(CODEC.encode(value)) == value


@given(st.binary())
def test_any_bytes_are_a_value_or_an_error(body: bytes) -> None:
    try:
        CODEC.decode(body)
    except DecodeError:
        return


@pytest.mark.parametrize(("body", "problem"), NOT_MSGPACK)
def test_what_is_no_msgpack_is_refused_with_its_place(body: bytes, problem: str) -> None:
    with pytest.raises(DecodeError) as caught:
        CODEC.decode(body)
    assert str(caught.value) == f"not a valid msgpack message: {problem}"
    assert caught.value.code is Code.BAD_MESSAGE


@pytest.mark.parametrize("body", [head + b"\x00" * 100 for head in GIANT] + GIANT)
def test_a_giant_length_takes_no_memory(body: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(DecodeError, match="Input data was truncated"):
            CODEC.decode(body)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 64 * 1024


def test_extension_types_are_refused_below_any_in_a_type_too() -> None:
    with pytest.raises(DecodeError, match="extension type 5: extension types are refused"):
        make_codec("msgpack", dict[str, Any]).decode(b"\x81\xa1a\xd4\x05\x00")


def test_the_last_of_two_same_keys_wins() -> None:
    assert CODEC.decode(b"\x82\xa1a\x01\xa1a\x02") == {"a": 2}


@pytest.mark.parametrize(
    ("value", "back"),
    [((1, 2), [1, 2]), ({3}, [3]), (dt.date(2026, 11, 20), "2026-11-20")],
)
def test_what_msgpack_has_no_type_for_comes_back_as_documented(value: object, back: object) -> None:
    assert CODEC.decode(CODEC.encode(value)) == back


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ([1j], "`[0]` is of type complex: Encoding objects of type complex is unsupported"),
        ({"a": 2**64}, "`.a` is of type int: can't serialize ints < -2**63 or > 2**64 - 1"),
        ({2**64: "a"}, "a key of the value is of type int: can't serialize ints < -2**63 or > 2**64 - 1"),
        ({(1, 2j): "a"}, "a key of the value is of type tuple: Encoding objects of type complex is unsupported"),
    ],
)
def test_what_cannot_be_said_in_msgpack_is_refused_with_its_place(value: Any, problem: str) -> None:
    with pytest.raises(EncodeError) as caught:
        CODEC.encode(value)
    assert caught.value.problem == problem


def keyed(count: int) -> bytes:
    return msgspec.msgpack.encode({(index, 0): index for index in range(count)})


def test_arrays_as_keys_are_bounded_where_their_hashes_could_be_made_to_collide() -> None:
    assert len(CODEC.decode(keyed(128))) == 128
    with pytest.raises(DecodeError, match="more than 128 arrays as map keys, which is the limit") as caught:
        CODEC.decode(keyed(129))
    assert caught.value.code is Code.TOO_LARGE
    assert len(make_codec("msgpack", dict[tuple[int, int], int]).decode(keyed(1000))) == 1000

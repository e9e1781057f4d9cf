"""Arrays and scalars of NumPy by the codec objects; and what happens where there is no NumPy."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import msgspec
import pytest
from msgspec.msgpack import Ext

from anyplug.codec import make_codec
from anyplug.errors import DecodeError, EncodeError

np: Any = pytest.importorskip("numpy")

CODEC = make_codec("objects")

ARRAYS = [
    np.arange(12, dtype="<f8").reshape(3, 4),
    np.arange(12, dtype=">i4").reshape(2, 3, 2),
    np.array([1.5, np.nan, -np.inf], dtype="f2"),
    np.array([1 + 2j], dtype="c8"),
    np.array([True, False]),
    np.array(5),
    np.array([], dtype="u1"),
    np.zeros((0, 3), dtype="i2"),
    np.array([b"ab", b"c"]),
    np.array(["有", "a"]),
    np.array(["2026-11-20", "NaT"], dtype="M8[ns]"),
    np.array([5, -5], dtype="m8[25s]"),
    np.array([[1, 2], [3, 4]], order="F"),
    np.arange(20)[::3],
    np.arange(6).reshape(2, 3).T,
]


def back(value: object) -> Any:
    return CODEC.decode(CODEC.encode(value))


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{array.shape}")
def test_arrays_come_back_equal_writable_and_of_their_dtype(array: Any) -> None:
    found = back({"a": [array]})["a"][0]
    assert type(found) is np.ndarray
    assert found.dtype == array.dtype
    assert found.shape == array.shape
    assert found.flags.writeable
    np.testing.assert_array_equal(found, array)


SCALARS = [np.float64(1.5), np.float32(-0.0), np.int8(-5), np.uint64(2**64 - 1), np.bool_(True), np.complex128(1j)]
SCALARS += [np.str_("有"), np.bytes_(b"a"), np.datetime64("2026-11-20"), np.timedelta64(5, "s"), np.float16(2)]


@pytest.mark.parametrize("value", SCALARS, ids=repr)
def test_scalars_come_back_equal_and_of_their_type(value: Any) -> None:
    for found in (back(value), back([(value,)])[0][0], *back({value: 1})):
        assert type(found) is type(value)
        assert found == value
        assert repr(found) == repr(value)


class Own(np.ndarray):  # type: ignore[misc]
    pass


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (np.array([None]), "`[0]` is of type ndarray: arrays and numbers of dtype object do not travel"),
        (np.zeros(2, dtype="i4,f8"), "`[0]` is of type ndarray: arrays and numbers of dtype [("),
        (np.zeros(2, dtype="V5"), "`[0]` is of type ndarray: arrays and numbers of dtype |V5 do not travel"),
        (np.zeros(2, dtype=np.longdouble), "`[0]` is of type ndarray: arrays and numbers of dtype float128 do not"),
        (np.longdouble(1), "`[0]` is of type longdouble: arrays and numbers of dtype float128 do not travel"),
        (np.str_(""), "`[0]` is of type str_: arrays and numbers of dtype <U0 do not travel"),
        (np.longlong(5), "`[0]` is of type longlong: it comes back as numpy.int64: convert it to that"),
        (np.zeros(2).view(Own), "`[0]` is of type Own: it does not travel"),
        (np.ma.array([1]), "`[0]` is of type MaskedArray: it does not travel"),
        (np.dtype("f8"), "`[0]` is of type Float64DType: it does not travel"),
    ],
    ids=repr,
)
def test_what_has_no_bytes_of_its_own_is_refused(value: object, problem: str) -> None:
    with pytest.raises(EncodeError) as caught:
        CODEC.encode([value])
    assert caught.value.problem.startswith(problem)


def behind(code: int, *items: object) -> bytes:
    return msgspec.msgpack.encode([Ext(code, b"\xc1"), *items])


NO_DTYPES = ("O", "|O", "<f16", "|V8", "f8", "i4,f8", "", "|S0", "<U0", "<i3", "<M8[x]", "(2,)<f8", "<f8\n")

BAD = [
    (behind(32), "it needs a dtype, bytes and integers"),
    (behind(32, "<f8"), "it needs a dtype, bytes and integers"),
    (behind(32, "<f8", b"", 0.0), "it needs a dtype, bytes and integers"),
    (behind(32, "<f8", b"", True), "it needs a dtype, bytes and integers"),
    *((behind(32, dtype, b"", 0), f"{dtype!r} is no dtype that travels") for dtype in ("O", "|O", "<f16", "|V8", "f8")),
    *(
        (behind(32, dtype, b"", 0), f"'{dtype}' is no dtype that travels")
        for dtype in ("i4,f8", "", "|S0", "<U0", "<i3")
    ),
    (behind(32, "x" * 100_000, b"", 0), f"'{'x' * 60}'… is no dtype that travels"),
    (behind(32, "<f8", b"\0" * 8, 2), "shape (2,) of <f8 needs 16 bytes, it has 8"),
    (behind(32, "<f8", b"\0" * 8), ""),
    (behind(32, "<f8", b"\0" * 9), "shape () of <f8 needs 8 bytes, it has 9"),
    (behind(32, "|u1", b"\0", -1, -1), "a dimension is negative or too large"),
    (behind(32, "|u1", b"\0", 2**63), "a dimension is negative or too large"),
    (behind(32, "|u1", b"\0", *[2**62] * 32), "shape (4611686018427387904, "),
    (behind(32, "|u1", b"\0", *[1] * 33), "it has 33 dimensions, the limit is 32"),
    (behind(32, "|u1", b"", 0, 2**62, 2**62), ""),
    (behind(32, "<U999999999", b"", 2**60), "data type '<U999999999' not understood"),
    (behind(32, "|b1", b"\1\2", 2), "a boolean is neither 0 nor 1"),
    (behind(32, "<U1", b"\0\0\xff\xff", 1), "a text holds what is no character"),
    (behind(32, ">U1", b"\0\x11\0\0", 1), "a text holds what is no character"),
    (behind(33, "<f8", b"\0" * 9), "a number of <f8 needs 8 bytes and nothing more, it has 9"),
    (behind(33, "<f8", b"\0" * 8, 1), "a number of <f8 needs 8 bytes and nothing more, it has 8"),
    (behind(33, "|b1", b"\2"), "a boolean is neither 0 nor 1"),
    (behind(33, "<U1", b"\xff" * 4), "a text holds what is no character"),
]


@pytest.mark.parametrize(("body", "problem"), BAD)
def test_a_bad_array_is_refused(body: bytes, problem: str) -> None:
    try:
        CODEC.decode(body)
    except DecodeError as error:
        assert f" can be made: {problem}" in error.problem  # noqa: PT017 - some of them are arrays to some NumPy
        return
    assert not problem


def test_arrays_are_types_to_check() -> None:
    codec = make_codec("objects", np.ndarray)
    np.testing.assert_array_equal(codec.decode(CODEC.encode(np.arange(3))), np.arange(3))
    with pytest.raises(DecodeError, match=r"Expected `ndarray`, got `list`"):
        codec.decode(CODEC.encode([1]))


PROGRAM = """
import sys
from anyplug.codec import make_codec
from anyplug.errors import DecodeError

codec = make_codec("objects")
assert codec.decode(codec.encode([(1, 2)])) == [(1, 2)]
try:
    codec.encode([sys])
except ValueError:
    pass
except Exception as error:
    print(type(error).__name__)
assert "numpy" not in sys.modules
sys.modules["numpy"] = None
for code in (32, 33):
    try:
        codec.decode(b"\\x94\\xd4" + bytes([code]) + b"\\xc1\\xa3|u1\\xc4\\x01\\x05\\x01")
    except DecodeError as error:
        print(error.problem)
"""


def test_without_numpy_a_receiver_says_so_and_a_sender_never_loads_it() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], check=False, capture_output=True, text=True, timeout=30)
    assert done.stderr == ""
    assert (
        done.stdout.splitlines()
        == ["EncodeError"] + ["it is of numpy, which is not installed here: install it, or send lists"] * 2
    )

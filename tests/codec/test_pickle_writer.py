"""Writing pickles: what `pickle.loads` of every Python reads, of builtin values and nothing else."""

from __future__ import annotations

import collections
import enum
import math
import pickle
import pickletools
from typing import Any, NamedTuple

import pytest
from hypothesis import given

from anyplug.codec.pickle_reader import read_pickle
from anyplug.codec.pickle_writer import WRITERS, write_pickle
from anyplug.errors import EncodeError
from anyplug.limits import DEFAULTS, Limits
from anyplug.testing.codec import same
from tests.codec.test_pickle_reader import ANY, VALUES


def write(value: object, limits: Limits = DEFAULTS) -> bytes:
    return write_pickle(value, limits=limits)


def problem(value: object, limits: Limits = DEFAULTS) -> str:
    with pytest.raises(EncodeError) as caught:
        write(value, limits)
    assert caught.value.codec == "pickled"
    return caught.value.problem


BYTE_BY_BYTE: list[tuple[object, bytes]] = [
    (None, b"\x80\x02N."),
    (True, b"\x80\x02\x88."),
    (False, b"\x80\x02\x89."),
    (0, b"\x80\x02K\x00."),
    (255, b"\x80\x02K\xff."),
    (256, b"\x80\x02M\x00\x01."),
    (65_535, b"\x80\x02M\xff\xff."),
    (65_536, b"\x80\x02J\x00\x00\x01\x00."),
    (-1, b"\x80\x02J\xff\xff\xff\xff."),
    (-(2**31), b"\x80\x02J\x00\x00\x00\x80."),
    (2**31, b"\x80\x02\x8a\x05\x00\x00\x00\x80\x00."),
    (-(2**31) - 1, b"\x80\x02\x8a\x05\xff\xff\xff\x7f\xff."),
    (1.5, b"\x80\x02G\x3f\xf8\x00\x00\x00\x00\x00\x00."),
    ("a", b"\x80\x02X\x01\x00\x00\x00aq\x00."),
    (b"a", b"\x80\x03C\x01aq\x00."),
    ([], b"\x80\x02]q\x00."),
    ([1, 2], b"\x80\x02]q\x00(K\x01K\x02e."),
    ((), b"\x80\x02)."),
    ((1,), b"\x80\x02K\x01\x85q\x00."),
    ((1, 2, 3, 4), b"\x80\x02(K\x01K\x02K\x03K\x04tq\x00."),
    ({}, b"\x80\x02}q\x00."),
    ({1: 2}, b"\x80\x02}q\x00(K\x01K\x02u."),
    (set(), b"\x80\x04\x8fq\x00."),
    ({1}, b"\x80\x04\x8fq\x00(K\x01\x90."),
    (frozenset({1}), b"\x80\x04(K\x01\x91q\x00."),
    (1j, b"\x80\x03cbuiltins\ncomplex\nG" + bytes(8) + b"G\x3f\xf0" + bytes(6) + b"\x86R."),
]


@pytest.mark.parametrize(("value", "body"), BYTE_BY_BYTE, ids=[repr(value) for value, _ in BYTE_BY_BYTE])
def test_a_value_is_written_byte_by_byte(value: object, body: bytes) -> None:
    assert write(value) == body
    assert same(pickle.loads(body), value)


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_python_reads_what_is_written(value: object) -> None:
    body = write(value)
    assert same(pickle.loads(body), value)
    assert same(read_pickle(body, limits=DEFAULTS), value)
    pickletools.dis(body, out=open_nothing())


def open_nothing() -> Any:
    class Nothing:
        def write(self, text: str) -> None: ...

    return Nothing()


@given(ANY)
def test_python_reads_any_value(value: object) -> None:
    body = write(value)
    assert pickle.loads(body) == value
    assert read_pickle(body, limits=DEFAULTS) == value


@pytest.mark.parametrize(
    ("value", "protocol"),
    [
        ([None, True, 1, 2**100, 1.5, "a", (1,), {"a": []}], 2),
        ([b"bytes"], 3),
        ([1j], 3),
        ([b"bytes", {1}], 4),
        ([{1}, b"bytes"], 4),
        ([frozenset()], 4),
    ],
)
def test_the_lowest_protocol_that_can_is_used(value: object, protocol: int) -> None:
    body = write(value)
    assert body[:2] == bytes([0x80, protocol])
    needed = max(opcode.proto for opcode, _, _ in pickletools.genops(body))
    assert needed == protocol or b"cbuiltins\n" in body  # under this name since protocol 3


def test_no_global_is_needed_but_for_complex_numbers() -> None:
    values = [value for value in VALUES if not isinstance(value, complex)][:-1]
    assert not {"GLOBAL", "STACK_GLOBAL", "REDUCE"} & {op.name for op, _, _ in pickletools.genops(write(values))}


def test_every_type_has_a_row() -> None:
    assert set(WRITERS) == {
        *(type(None), bool, int, float, complex, str, bytes),
        *(list, tuple, dict, set, frozenset),
    }


# Shared parts.


def test_a_shared_part_is_written_once_and_stays_shared() -> None:
    part = ["a" * 1000]
    key = ("k", 1)
    value = {"one": part, "two": (part, [part]), key: {key: 1}}
    body = write(value)
    assert len(body) < 1200
    for back in (pickle.loads(body), read_pickle(body, limits=DEFAULTS)):
        assert back == value
        assert back["one"] is back["two"][0] is back["two"][1][0]


@pytest.mark.parametrize("part", ["text", b"bytes", [1], (1, 2, 3, 4), (1,), {"a": 1}, {1}, frozenset({1})], ids=repr)
def test_every_kind_of_part_can_be_shared(part: object) -> None:
    body = write([part, part])
    assert body.endswith((b"h\x01e.", b"h\x02e."))
    back = pickle.loads(body)
    assert back[0] is back[1]
    assert same(back, [part, part])


def test_more_than_256_shared_parts_are_told_apart() -> None:
    parts = [[index] for index in range(300)]
    value = [parts, parts[::-1]]
    back = pickle.loads(write(value))
    assert back == value
    assert all(one is other for one, other in zip(back[0], back[1][::-1], strict=True))
    assert same(read_pickle(write(value), limits=DEFAULTS), value)


def test_equal_parts_that_are_not_one_stay_apart() -> None:
    back = pickle.loads(write([[1], [1]]))
    assert back[0] is not back[1]


def test_values_that_contain_themselves_are_written() -> None:
    loop: list[Any] = [1]
    loop.append(loop)
    back = pickle.loads(write(loop))
    assert back[1] is back
    ring: dict[str, Any] = {}
    ring["list"] = [ring]
    back = pickle.loads(write(ring))
    assert back["list"][0] is back


@pytest.mark.parametrize("more", [(), (1,), (1, 2), (1, 2, 3, 4)])
def test_tuples_that_contain_themselves_are_written(more: tuple[int, ...]) -> None:
    inner: list[Any] = []
    value = (inner, *more)
    inner.append(value)
    back = pickle.loads(write([value, value]))[0]
    assert back[0][0] is back
    assert back[1:] == more


def test_depth_is_bounded_and_told() -> None:
    value: object = "leaf"
    for _ in range(128):
        value = [value]
    assert pickle.loads(write(value)) == value
    assert problem({"a": value}) == (
        "`.a" + "[0]" * 127 + "` is of type list: it is nested deeper than 128 levels, which is the limit (`nesting`)"
    )
    assert "nested deeper than 2 levels" in problem([[[]]], Limits(nesting=2))
    assert write([[]], Limits(nesting=2))


def test_depth_beyond_the_stack_of_python_is_told() -> None:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    sentence = problem(value, Limits(nesting=50_000))
    assert sentence.endswith("it is nested deeper than 50,000 levels, which is the limit (`nesting`)")


# What is refused.


class Colour(enum.IntEnum):
    RED = 1


class Pair(NamedTuple):
    left: int
    right: int


class Text(str):
    __slots__ = ()


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("this must not be written",))


KNOWN = "None, bool, int, float, complex, str, bytes, list, tuple, dict, set, frozenset"


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (object(), "object"),
        (Evil(), "Evil"),
        (Evil, "type"),
        (print, "builtin_function_or_method"),
        (bytearray(b"a"), "bytearray"),
        (range(3), "range"),
        (Colour.RED, "Colour"),
        (Pair(1, 2), "Pair"),
        (Text("a"), "Text"),
        (collections.OrderedDict(a=1), "OrderedDict"),
        (collections.defaultdict(list), "defaultdict"),
        (math, "module"),
        (..., "ellipsis"),
    ],
)
def test_what_is_not_exactly_a_builtin_value_is_refused_with_its_place(value: object, kind: str) -> None:
    reason = f"is of type {kind}: a pickle of plain data holds only {KNOWN}"
    assert problem(value) == f"the value {reason}"
    assert problem({"readings": [1, 2, 3, {"socket": value}]}) == f"`.readings[3].socket` {reason}"
    assert problem((1, [2, (3, 4, 5, value)])) == f"`[1][1][3]` {reason}"


def test_a_key_is_refused_as_a_key() -> None:
    assert problem({"a": {Evil: 1}}) == f"a key of `.a` is of type type: a pickle of plain data holds only {KNOWN}"
    assert problem({(1, Colour.RED): 1}) == (
        f"a key of the value is of type tuple: a pickle of plain data holds only {KNOWN}"
    )


@pytest.mark.parametrize(("text", "index"), [("\ud800", 0), ("abc\udfff", 3)])
def test_half_of_a_surrogate_pair_is_refused(text: str, index: int) -> None:
    reason = f"is of type str: it holds half of a surrogate pair at index {index}, which UTF-8 has no form for"
    assert problem([text]) == f"`[0]` {reason}"
    assert problem({text: 1}) == f"a key of the value {reason}"


@pytest.mark.parametrize("value", [2**14_280, -(2**14_280) - 1, 10**5000], ids=range(3))
def test_integers_that_python_would_not_print_are_refused(value: int) -> None:
    assert problem([value]) == "`[0]` is of type int: it has more than 4,299 digits, more than Python reads"


@pytest.mark.parametrize("value", [2**14_280 - 1 >> 1, -(2**14_279)], ids=range(2))
def test_the_largest_integers_are_written(value: int) -> None:
    assert pickle.loads(write(value)) == value
    assert str(value)

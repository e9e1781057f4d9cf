"""The codec pickled: plain values, for plain programs, both ways."""

from __future__ import annotations

import pickle
from typing import Any

import msgspec
import pytest

from anyplug.codec import make_codec
from anyplug.errors import Code, DecodeError, EncodeError
from anyplug.limits import Limits
from anyplug.testing import check_codec
from tests.codec.pickles import text
from tests.codec.test_pickle_reader import FAULTS, VALUES

CODEC = make_codec("pickled")


class Point(msgspec.Struct):
    x: int
    y: complex = 0j


class Tagged(msgspec.Struct):
    tags: set[str]
    data: bytes


class Tree(msgspec.Struct):
    children: list[Tree]


def test_pickled_keeps_the_contract_of_codecs() -> None:
    small = [value for value in VALUES if len(repr(value)) < 500]
    check_codec(lambda: make_codec("pickled"), small, [body for body, _ in FAULTS])


def test_the_object_of_the_lesson_goes_both_ways() -> None:
    value = {1: "Client", 2: "Server"}
    assert pickle.loads(CODEC.encode(value)) == value
    for protocol in range(6):
        assert CODEC.decode(pickle.dumps(value, protocol=protocol)) == value


@pytest.mark.parametrize(("kind", "value"), [(complex, 1 + 2j), (set[int], {1, 2}), (frozenset[str], frozenset({"a"}))])
def test_types_that_only_python_has_stay_themselves(kind: Any, value: object) -> None:
    codec = make_codec("pickled", kind)
    assert pickle.loads(codec.encode(value)) == value
    assert codec.decode(codec.encode(value)) == value


def test_structs_travel_as_dictionaries_of_their_fields() -> None:
    codec = make_codec("pickled", Tagged)
    value = Tagged({"a"}, b"\xff")
    assert pickle.loads(codec.encode(value)) == {"tags": ["a"], "data": b"\xff"}
    assert codec.decode(codec.encode(value)) == value
    assert codec.decode(pickle.dumps({"tags": {"a"}, "data": b"\xff"})) == value


def test_structs_need_the_type() -> None:
    with pytest.raises(EncodeError, match="the value is of type Tagged: a pickle of plain data holds only"):
        CODEC.encode(Tagged(set(), b""))


def test_what_a_field_cannot_hold_is_told_with_its_place() -> None:
    with pytest.raises(EncodeError, match=r"`\[0\]\.y` is of type complex: Encoding objects of type complex"):
        make_codec("pickled", list[Point]).encode([Point(1, 2j)])
    with pytest.raises(
        EncodeError, match=r"`\[0\]\.x` is of type int: the value is of type int: it has more than 4,299"
    ):
        make_codec("pickled", list[Any]).encode([Point(10**5000)])


def test_a_wrong_type_is_refused_with_its_path() -> None:
    with pytest.raises(DecodeError) as caught:
        make_codec("pickled", dict[str, list[int]]).decode(pickle.dumps({"a": [1, "2"]}))
    assert caught.value.problem == "Expected `int`, got `str` - at `$[...][1]`"
    assert caught.value.code is Code.BAD_MESSAGE


def test_the_limits_bound_depth_and_size() -> None:
    codec = make_codec("pickled", limits=Limits(nesting=2, message=10))
    assert codec.decode(pickle.dumps([[1]])) == [[1]]
    for value in ([[[1]]], (["abc"] * 1000)):
        with pytest.raises(DecodeError) as caught:
            codec.decode(pickle.dumps(value))
        assert caught.value.code is Code.TOO_LARGE


def test_a_value_too_deep_to_be_converted_is_a_decode_error() -> None:
    codec = make_codec("pickled", Tree, limits=Limits(nesting=1_000_000))
    levels = 10_000
    body = b"}" + text("children") + b"]" + (b"}" + text("children") + b"]") * levels + b"sa" * levels + b"s."
    with pytest.raises(DecodeError, match="nested deeper than") as caught:
        codec.decode(body)
    assert caught.value.code is Code.TOO_LARGE

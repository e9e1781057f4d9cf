"""What json, msgpack and pickled have in common: types are checked on the way in, and faults have a place."""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, NamedTuple, TypedDict

import msgspec
import pytest

from anyplug.codec import make_codec
from anyplug.errors import Code, DecodeError, EncodeError, LocalError
from anyplug.limits import Limits
from anyplug.testing import check_codec

STRUCTURED = ("json", "msgpack", "pickled")


class Point(msgspec.Struct):
    x: int
    y: int = 0


class Circle(msgspec.Struct, tag=True):
    radius: float


class Square(msgspec.Struct, tag=True):
    side: float


class Tree(msgspec.Struct):
    children: list[Tree] = []


class Strict(msgspec.Struct, forbid_unknown_fields=True):
    name: str


@dataclass
class Station:
    name: str
    readings: list[float]
    where: Point | None = None


class Options(TypedDict):
    depth: int


class Pair(NamedTuple):
    left: int
    right: str


class Colour(enum.Enum):
    RED = "red"


TYPED: list[tuple[Any, list[object], list[object]]] = [
    (Point, [Point(1), Point(1, 2)], [{"x": "1"}, {}, [1], "x", None]),
    (Station, [Station("a", [1.5]), Station("b", [], Point(1))], [{"name": "a"}, {"name": 1, "readings": []}]),
    (Options, [{"depth": 1}], [{"depth": 1.5}, {}]),
    (Pair, [Pair(1, "a")], [[1], ["a", 1], [1, "a", 2]]),
    (Circle | Square, [Circle(1.0), Square(2.0)], [{"type": "Oval"}, {"radius": 1.0}]),
    (int | str | None, [1, "a", None], [1.5, [1], True]),
    (list[Point], [[], [Point(1), Point(2)]], [{"x": 1}, [{"x": 1}, {}]]),
    (dict[str, list[int]], [{"a": [1]}], [{"a": 1}, [], {"a": ["1"]}]),
    (dict[int, str], [{1: "a"}], [{"a": "a"}]),
    (tuple[int, str], [(1, "a")], [[1], [1, 2]]),
    (set[int], [{1, 2}], [["a"]]),
    (frozenset[str], [frozenset({"a"})], [[1]]),
    (bytes, [b"", b"\xff\x00"], [1, [1]]),
    (dt.datetime, [dt.datetime(2026, 11, 20, tzinfo=dt.UTC)], ["yesterday", 1.5j and "x"]),
    (Decimal, [Decimal("1.50")], ["many"]),
    (uuid.UUID, [uuid.UUID(int=5)], ["5"]),
    (Colour, [Colour.RED], ["blue", 1]),
    (Literal["on", "off"], ["on"], ["maybe", 0]),
    (Tree, [Tree(), Tree([Tree(), Tree([Tree()])])], [{"children": [1]}]),
]


@pytest.mark.parametrize(("kind", "values", "bad"), TYPED)
@pytest.mark.parametrize("name", STRUCTURED)
def test_a_typed_codec_keeps_the_contract_of_codecs(
    name: str, kind: Any, values: list[object], bad: list[object]
) -> None:
    untyped = make_codec(name)
    check_codec(lambda: make_codec(name, kind), values, [untyped.encode(value) for value in bad])


@pytest.mark.parametrize("name", STRUCTURED)
@pytest.mark.parametrize(
    ("kind", "value", "problem"),
    [
        (dict[str, list[int]], {"users": [1, 2, 3, "4"]}, "Expected `int`, got `str` - at `$[...][3]`"),
        (list[Station], [{"name": "a", "readings": [1.5, "x"]}], "Expected `float`, got `str` - at `$[0].readings[1]`"),
        (Point, {"y": 1}, "Object missing required field `x`"),
        (Strict, {"name": "a", "nom": "b"}, "Object contains unknown field `nom`"),
        (Colour, "blue", "Invalid enum value 'blue'"),
    ],
)
def test_a_wrong_type_is_told_with_its_path(name: str, kind: Any, value: object, problem: str) -> None:
    with pytest.raises(DecodeError) as caught:
        make_codec(name, kind).decode(make_codec(name).encode(value))
    assert caught.value.problem == problem
    assert caught.value.codec == name
    assert caught.value.code is Code.BAD_MESSAGE


@pytest.mark.parametrize("name", STRUCTURED)
def test_what_the_peer_wrote_is_shown_escaped_and_cut(name: str) -> None:
    codec, plain = make_codec(name, Strict), make_codec(name)
    with pytest.raises(DecodeError) as caught:
        codec.decode(plain.encode({"name": "a", "\x1b[2J": 1}))
    assert caught.value.problem == "Object contains unknown field `\\x1b[2J`"
    with pytest.raises(DecodeError) as caught:
        codec.decode(plain.encode({"name": "a", "x" * 100_000: 1}))
    assert len(caught.value.problem) == 400


@pytest.mark.parametrize("name", STRUCTURED)
def test_encode_does_not_check_the_type(name: str) -> None:
    codec = make_codec(name, Point)
    wrong: Any = {"x": "no number"}
    with pytest.raises(DecodeError, match="Expected `int`, got `str`"):
        codec.decode(codec.encode(wrong))


@pytest.mark.parametrize("name", STRUCTURED)
@pytest.mark.parametrize("kind", [set, frozenset, set[Any]])
def test_items_that_cannot_be_in_a_set_are_refused(name: str, kind: Any) -> None:
    with pytest.raises(DecodeError, match="unhashable type: 'dict'"):
        make_codec(name, kind).decode(make_codec(name).encode([{"a": 1}, 2]))


class Handle:
    """Something that cannot travel."""


@pytest.mark.parametrize("name", STRUCTURED)
@pytest.mark.parametrize(
    ("value", "place"),
    [
        (Handle(), "the value is of type Handle: "),
        ({"readings": [1, 2, 3, {"socket": Handle()}]}, "`.readings[3].socket` is of type Handle: "),
        (Station("a", [1.0, Handle()]), "`.readings[1]` is of type Handle: "),  # type: ignore[list-item]
        ([Point(1), Point(Handle())], "`[1].x` is of type Handle: "),  # type: ignore[arg-type]
        ({"a b": {7: (1, Handle())}}, "`['a b'][7][1]` is of type Handle: "),
        ({"a": {Handle(): 1}}, "a key of `.a` is of type Handle: "),
    ],
)
def test_a_part_that_cannot_travel_is_told_with_its_path(name: str, value: object, place: str) -> None:
    with pytest.raises(EncodeError) as caught:
        make_codec(name, Any if name != "pickled" else dict[str, Any]).encode(value)
    assert caught.value.problem.startswith(place)
    assert caught.value.codec == name
    assert str(caught.value) == f"cannot be sent as {name}: {caught.value.problem}"


@pytest.mark.parametrize("name", ["json", "msgpack"])
def test_a_value_that_contains_itself_is_refused_with_the_place(name: str) -> None:
    inner: list[object] = [1]
    inner.append({"again": inner})
    with pytest.raises(EncodeError) as caught:
        make_codec(name).encode({"a": inner})
    assert caught.value.problem == "`.a[1].again` is of type list: it contains itself"


@pytest.mark.parametrize("name", ["json", "msgpack"])
def test_a_value_too_deep_to_be_encoded_is_refused_with_the_place(name: str) -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(EncodeError) as caught:
        make_codec(name, limits=Limits(nesting=3)).encode(deep)
    assert caught.value.problem == (
        "`[0][0][0]` is of type list: it is nested deeper than 3 levels, which is the limit (`nesting`)"
    )


@pytest.mark.parametrize("name", ["json", "msgpack"])
def test_a_field_without_value_is_refused(name: str) -> None:
    @dataclass
    class Half:
        done: int
        missing: int

    half = Half(1, 2)
    point = Point(1)
    del point.x
    del half.missing
    with pytest.raises(EncodeError, match=r"`\[0\]\.x` is of type object: the field has no value"):
        make_codec(name).encode([point])
    codec = make_codec(name)
    assert codec.decode(codec.encode(half)) == {"done": 1}


@pytest.mark.parametrize("name", STRUCTURED)
@pytest.mark.parametrize("kind", [5, "Point", Point | dict[str, int], Handle, list[5]])  # type: ignore[valid-type]
def test_what_is_no_type_is_refused_when_the_codec_is_made(name: str, kind: Any) -> None:
    with pytest.raises(LocalError, match=f"codec {name} cannot take type="):
        make_codec(name, kind)


@pytest.mark.parametrize("name", ["json", "msgpack"])
def test_memory_that_runs_out_is_a_decode_error(name: str) -> None:
    class Hungry:
        @staticmethod
        def decode(body: bytes) -> object:
            raise MemoryError

    codec: Any = make_codec(name)
    codec._decode = Hungry.decode
    with pytest.raises(DecodeError, match="it takes more memory than there is"):
        codec.decode(b"1")


@pytest.mark.parametrize("name", ["json", "msgpack"])
def test_a_decoder_that_recurses_too_deep_is_a_decode_error(name: str) -> None:
    codec = make_codec(name, limits=Limits(nesting=1_000_000))
    body = {"json": b"[" * 100_000 + b"]" * 100_000, "msgpack": b"\x91" * 100_000 + b"\x01"}[name]
    with pytest.raises(DecodeError, match="nested deeper than") as caught:
        codec.decode(body)
    assert caught.value.code is Code.TOO_LARGE

"""What a codec knows about its type: whether it can be decoded into, and whether it bounds its own depth."""

from __future__ import annotations

from typing import Any, NamedTuple, TypedDict

import msgspec
import pytest

from anyplug.codec.typed import check_type, is_closed, type_name
from anyplug.errors import LocalError


class Point(msgspec.Struct):
    x: int


class Line(msgspec.Struct):
    start: Point
    end: Point


class Tree(msgspec.Struct):
    children: list[Tree]


class Even(msgspec.Struct):
    odd: Odd | None


class Odd(msgspec.Struct):
    even: Even | None


class Note(msgspec.Struct):
    about: Any


class Pair(NamedTuple):
    left: Point
    right: int


class Options(TypedDict):
    depth: int


class Unknown:
    pass


@pytest.mark.parametrize(
    ("kind", "closed"),
    [
        (int, True),
        (str | None, True),
        (Point, True),
        (Line, True),
        (Pair, True),
        (Options, True),
        (list[dict[str, tuple[Point, int]]], True),
        (dict[tuple[int, int], set[str]], True),
        (Any, False),
        (list, False),
        (dict[str, Any], False),
        (Tree, False),
        (Even, False),
        (list[Note], False),
        (msgspec.Raw, False),
        (Unknown, False),
        (tuple[int, list[Any]], False),
    ],
)
def test_a_type_is_closed_if_it_has_no_place_for_anything_and_is_not_in_itself(kind: Any, closed: bool) -> None:
    assert is_closed(kind) is closed


@pytest.mark.parametrize(
    ("kind", "name"),
    [(int, "int"), (Point, "Point"), (int | None, "int | None"), (list[int], "list[int]"), (5, "5")],
)
def test_a_type_is_named_as_its_user_writes_it(kind: object, name: str) -> None:
    assert type_name(kind) == name


def test_a_class_of_no_known_shape_is_refused_with_the_remedy() -> None:
    with pytest.raises(LocalError) as caught:
        check_type("json", Unknown)
    assert str(caught.value) == (
        "codec json cannot take type=Unknown: a class of no known shape; make it a msgspec.Struct or a dataclass, or"
        " leave the type away"
    )


def test_a_class_that_the_codec_makes_itself_is_taken() -> None:
    check_type("pickled", complex, known=(complex,))
    with pytest.raises(LocalError):
        check_type("json", complex)


def test_why_a_type_cannot_be_taken_is_told() -> None:
    with pytest.raises(
        LocalError, match=r"codec json cannot take type=.*: Type unions may not contain more than one dict"
    ):
        check_type("json", Point | dict[str, int])
    with pytest.raises(LocalError, match="name 'Missing' is not defined"):
        check_type("json", msgspec.defstruct("Broken", [("field", "Missing")]))

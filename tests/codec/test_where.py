"""where_not: the first part of a value that cannot be encoded, and how to get there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import pytest

from anyplug.codec.where import Fault, where_not


class Bad:
    """What the encoder of these tests cannot encode."""


class Point(msgspec.Struct):
    x: object
    y: object = 0


@dataclass
class Box:
    lid: object


class Pair(NamedTuple):
    left: object
    right: object


class Names(dict[str, object]):
    pass


def refuse(part: object) -> str | None:
    return "no" if isinstance(part, Bad) else None


def refuse_key(key: object) -> str | None:
    return "no key" if isinstance(key, Bad) else None


def find(value: object, *, limit: int = 128, exact: bool = False) -> Fault | None:
    return where_not(value, refuse, refuse_key, limit=limit, exact=exact)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (Bad(), ""),
        ([1, Bad()], "[1]"),
        ((1, (2, Bad())), "[1][1]"),
        ({"a": {"b": Bad()}}, ".a.b"),
        ({"readings": [0, 1, 2, {"socket": Bad()}]}, ".readings[3].socket"),
        ({"a b": Bad()}, "['a b']"),
        ({"\x1b[2J": Bad()}, "['\\x1b[2J']"),
        ({"é": Bad()}, "['\\xe9']"),
        ({"k" * 50: Bad()}, "['" + "k" * 40 + "'…]"),
        ({b"key": Bad()}, "[b'key']"),
        ({7: Bad()}, "[7]"),
        ({True: Bad()}, "[True]"),
        ({None: Bad()}, "[None]"),
        ({0.5: Bad()}, "[0.5]"),
        ({2**100: Bad()}, "[int]"),
        ({(1, 2): Bad()}, "[tuple]"),
        ({Bad: 1, "a": {1, Bad()}}, ".a{…}"),
        (frozenset({Bad()}), "{…}"),
        (Point(1, Bad()), ".y"),
        (Box(Point(Box(Bad()))), ".lid.x.lid"),
        (Pair(1, Bad()), "[1]"),
        (Names(a=Bad()), ".a"),
    ],
)
def test_the_path_leads_to_the_part(value: object, path: str) -> None:
    assert find(value) == Fault(path, "Bad", "no")


def test_the_first_of_several_is_told() -> None:
    assert find({"a": [1], "b": [Bad()], "c": Bad()}) == Fault(".b[0]", "Bad", "no")


def test_a_key_is_told_as_a_key() -> None:
    fault = find({"a": {Bad(): 1}})
    assert fault == Fault(".a", "Bad", "no key", key=True)
    assert str(fault) == "a key of `.a` is of type Bad: no key"
    assert str(find({Bad(): 1})) == "a key of the value is of type Bad: no key"


def test_the_value_itself_and_a_part_read_as_sentences() -> None:
    assert str(find(Bad())) == "the value is of type Bad: no"
    assert str(find([Bad()])) == "`[0]` is of type Bad: no"


@pytest.mark.parametrize("value", [None, [], {}, [1, {"a": (2, {3})}], Point(1), Box(Point(Pair(1, 2))), Box])
def test_a_value_without_fault_has_none(value: object) -> None:
    assert find(value) is None


def test_only_exact_containers_are_walked_where_only_those_are_known() -> None:
    assert find([Point(Bad())]) == Fault("[0].x", "Bad", "no")
    assert find([Point(Bad())], exact=True) is None
    assert find([Names(a=Bad())], exact=True) is None
    assert find([{"a": Bad()}], exact=True) == Fault("[0].a", "Bad", "no")


def test_a_value_that_contains_itself_ends() -> None:
    again: list[object] = [1]
    again.append({"again": again})
    assert find([again]) == Fault("[0][1].again", "list", "it contains itself")


def test_a_shared_part_is_no_fault_and_is_walked_once() -> None:
    bomb: list[object] = []
    for _ in range(100):
        bomb = [bomb, bomb]
    assert find(bomb) is None
    assert find([bomb, Bad()]) == Fault("[1]", "Bad", "no")


def test_depth_is_a_fault_from_the_first_level_beyond_the_limit() -> None:
    value: list[object] = [[[]]]
    assert find(value, limit=3) is None
    assert find(value, limit=2) == Fault(
        "[0][0]", "list", "it is nested deeper than 2 levels, which is the limit (`nesting`)"
    )


def test_a_field_without_value_is_a_fault() -> None:
    point, box = Point(1), Box(1)
    del point.y
    del box.lid
    assert find([point]) == Fault("[0].y", "object", "the field has no value")
    assert find([box]) == Fault("[0].lid", "object", "the field has no value")

"""make_codec and default_codec: from a name to a codec, and from a type to a name."""

from __future__ import annotations

import inspect
from typing import Any

import msgspec
import pytest

from anyplug.codec import (
    CODECS,
    BytesCodec,
    Codec,
    JsonCodec,
    MsgpackCodec,
    PickledCodec,
    TextCodec,
    default_codec,
    make_codec,
)
from anyplug.codec.objects import ObjectsCodec
from anyplug.errors import DecodeError, LocalError
from anyplug.limits import DEFAULTS, Limits


class Point(msgspec.Struct):
    x: int
    y: int = 0


NAMES: list[tuple[str, type[Codec[Any]]]] = [
    ("bytes", BytesCodec),
    ("text", TextCodec),
    ("json", JsonCodec),
    ("msgpack", MsgpackCodec),
    ("pickled", PickledCodec),
    ("objects", ObjectsCodec),
]


@pytest.mark.parametrize(("name", "kind"), NAMES)
def test_each_name_makes_its_codec(name: str, kind: type[Codec[Any]]) -> None:
    assert type(make_codec(name)) is kind
    assert make_codec(name).name == name
    assert type(CODECS[name]()) is kind


def test_there_are_no_more_names() -> None:
    assert list(CODECS) == [name for name, _ in NAMES]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("jsn", "; did you mean json?"),
        ("msgpak", "; did you mean msgpack?"),
        ("pickle", "; did you mean pickled?"),
        ("utf8", ""),
        ("", ""),
    ],
)
def test_an_unknown_name_is_refused_with_the_known_ones_and_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(LocalError) as caught:
        make_codec(name)
    assert (
        str(caught.value) == f"no codec is named {name!r}: there are bytes, json, msgpack, objects, pickled, text{hint}"
    )


def test_a_codec_is_made_for_its_type_as_its_user_and_the_type_checker_see_it() -> None:
    codec: Codec[Point] = make_codec("json", Point)
    point: Point = codec.decode(b'{"x": 1}')
    assert point == Point(1)
    text: Codec[str] = make_codec("text")
    raw: Codec[bytes] = make_codec("bytes")
    some: Codec[Any] = make_codec("msgpack", int | str)
    assert (text.decode(b"a"), raw.decode(b"a"), some.decode(b"\xa1a")) == ("a", b"a", "a")


@pytest.mark.parametrize("name", ["json", "msgpack", "objects", "pickled"])
def test_limits_reach_the_codec(name: str) -> None:
    deep = make_codec(name).encode([[[]]])
    assert make_codec(name, limits=Limits(nesting=3)).decode(deep) == [[[]]]
    if name == "pickled":
        with pytest.raises(DecodeError, match="nests deeper than 2 levels"):
            make_codec(name, limits=Limits(nesting=2)).decode(deep)
    else:
        with pytest.raises(DecodeError, match="nested deeper than 2 levels"):
            make_codec(name, limits=Limits(nesting=2)).decode(deep)


@pytest.mark.parametrize("name", ["json", "msgpack", "objects", "pickled"])
def test_object_is_as_good_as_no_type(name: str) -> None:
    codec = make_codec(name, object)
    assert codec.decode(codec.encode({"a": [1]})) == {"a": [1]}


@pytest.mark.parametrize("name", list(CODECS))
def test_every_codec_takes_limits(name: str) -> None:
    assert make_codec(name, limits=DEFAULTS).name == name


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (str, "text"),
        (Any, "text"),
        (object, "text"),
        (None, "text"),
        (inspect.Parameter.empty, "text"),
        (bytes, "bytes"),
        (int, "json"),
        (Point, "json"),
        (dict[str, int], "json"),
        (int | str, "json"),
        (type(None), "json"),
    ],
)
def test_a_plain_listener_speaks_text_bytes_or_json_by_the_type(kind: Any, name: str) -> None:
    assert default_codec(kind) == name


def test_a_plain_listener_speaks_text_where_nothing_is_known() -> None:
    assert default_codec() == "text"

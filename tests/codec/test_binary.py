"""The codec bytes: what goes in comes out."""

from __future__ import annotations

from typing import Any

import pytest

from anyplug.codec import make_codec
from anyplug.errors import EncodeError, LocalError
from anyplug.testing import check_codec

CODEC = make_codec("bytes")


def test_bytes_keeps_the_contract_of_codecs() -> None:
    check_codec(lambda: make_codec("bytes"), [b"", b"a", bytes(range(256)), "有内".encode()])
    check_codec(lambda: make_codec("bytes", bytes), [b"a"])


def test_nothing_is_copied() -> None:
    body = b"x" * 1000
    bodies = [body, b"y"]
    assert CODEC.encode(body) is body
    assert CODEC.decode(body) is body
    assert CODEC.decode_many(bodies) is bodies


def test_a_batch_that_is_no_list_becomes_one() -> None:
    assert CODEC.decode_many((b"a", b"b")) == [b"a", b"b"]


@pytest.mark.parametrize("change", [bytearray(b"abc"), memoryview(bytearray(b"abc")), memoryview(b"a-b-c-")[::2]])
def test_what_may_change_is_copied(change: Any) -> None:
    body = CODEC.encode(change)
    assert type(body) is bytes
    assert body == bytes(change)


def test_a_subclass_of_bytes_becomes_bytes() -> None:
    class Name(bytes):
        __slots__ = ()

    assert type(CODEC.encode(Name(b"a"))) is bytes


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        ("text", "cannot be sent as bytes: expected bytes, got str: encode it, or use codec=text"),
        (5, "cannot be sent as bytes: expected bytes, got int: use codec=json for objects"),
        (None, "cannot be sent as bytes: expected bytes, got NoneType: use codec=json for objects"),
        ([b"a"], "cannot be sent as bytes: expected bytes, got list: use codec=json for objects"),
    ],
)
def test_what_is_no_bytes_is_refused_with_the_remedy(message: Any, sentence: str) -> None:
    with pytest.raises(EncodeError) as caught:
        CODEC.encode(message)
    assert str(caught.value) == sentence
    assert caught.value.codec == "bytes"


@pytest.mark.parametrize("kind", [str, int, bytearray, list[bytes], bytes | str])
def test_another_type_is_refused_when_the_codec_is_made(kind: Any) -> None:
    with pytest.raises(
        LocalError, match=r"codec bytes carries bytes, not .*: use codec=text for texts, json for objec"
    ):
        make_codec("bytes", kind)

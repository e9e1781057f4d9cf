"""The codec text: UTF-8, strictly."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyplug.codec import make_codec
from anyplug.errors import DecodeError, EncodeError, LocalError
from anyplug.testing import check_codec

CODEC = make_codec("text")

SAME_BOTH_WAYS: list[tuple[str, bytes]] = [
    ("", b""),
    ("hello, world", b"hello, world"),
    ("\x00\r\n\t", b"\x00\r\n\t"),
    ("é", b"\xc3\xa9"),
    ("有内鬼", b"\xe6\x9c\x89\xe5\x86\x85\xe9\xac\xbc"),
    ("\N{PERFORMING ARTS}", b"\xf0\x9f\x8e\xad"),
    ("\ufeffmark", b"\xef\xbb\xbfmark"),
    ("\U0010ffff", b"\xf4\x8f\xbf\xbf"),
]

BAD: list[tuple[bytes, str]] = [
    (b"\xff", "byte 0xff at offset 0 is not UTF-8 (invalid start byte)"),
    (b"caf\xe9", "byte 0xe9 at offset 3 is not UTF-8 (unexpected end of data)"),
    (b"caf\xe9 ", "byte 0xe9 at offset 3 is not UTF-8 (invalid continuation byte)"),
    (b"a\x80", "byte 0x80 at offset 1 is not UTF-8 (invalid start byte)"),
    (b"\xc0\xaf", "byte 0xc0 at offset 0 is not UTF-8 (invalid start byte)"),
    (b"\xed\xa0\x80", "byte 0xed at offset 0 is not UTF-8 (invalid continuation byte)"),
    (b"\xf4\x90\x80\x80", "byte 0xf4 at offset 0 is not UTF-8 (invalid continuation byte)"),
    ("有".encode()[:2], "byte 0xe6 at offset 0 is not UTF-8 (unexpected end of data)"),
]


def test_text_keeps_the_contract_of_codecs() -> None:
    check_codec(lambda: make_codec("text"), [text for text, _ in SAME_BOTH_WAYS], [body for body, _ in BAD])
    check_codec(lambda: make_codec("text", str), ["a"])


@pytest.mark.parametrize(("text", "body"), SAME_BOTH_WAYS)
def test_a_text_is_its_utf_8_both_ways(text: str, body: bytes) -> None:
    assert CODEC.encode(text) == body
    assert CODEC.decode(body) == text


@given(st.text())
def test_any_text_comes_back(text: str) -> None:
    assert CODEC.decode(CODEC.encode(text)) == text


@given(st.binary())
def test_any_bytes_are_a_text_or_an_error(body: bytes) -> None:
    try:
        text = CODEC.decode(body)
    except DecodeError:
        return
    assert CODEC.encode(text) == body


@pytest.mark.parametrize(("body", "problem"), BAD)
def test_a_bad_byte_is_told_with_its_offset(body: bytes, problem: str) -> None:
    for decode in (CODEC.decode, lambda body: CODEC.decode_many([b"good", body])):
        with pytest.raises(DecodeError) as caught:
            decode(body)
        assert str(caught.value) == f"not a valid text message: {problem}"
        assert (caught.value.codec, caught.value.problem) == ("text", problem)


@pytest.mark.parametrize(("text", "index", "half"), [("\ud800", 0, "U+D800"), ("abc\udfff", 3, "U+DFFF")])
def test_half_of_a_surrogate_pair_is_refused_with_its_index(text: str, index: int, half: str) -> None:
    with pytest.raises(EncodeError) as caught:
        CODEC.encode(text)
    assert caught.value.problem == (
        f"index {index} holds {half}, half of a surrogate pair, which UTF-8 has no form for"
    )


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        (b"bytes", "expected str, got bytes: use codec=bytes"),
        (bytearray(b"bytes"), "expected str, got bytearray: use codec=bytes"),
        (5, "expected str, got int: use codec=json for objects"),
        ({"a": 1}, "expected str, got dict: use codec=json for objects"),
    ],
)
def test_what_is_no_text_is_refused_with_the_remedy(message: Any, problem: str) -> None:
    with pytest.raises(EncodeError) as caught:
        CODEC.encode(message)
    assert caught.value.problem == problem


@pytest.mark.parametrize("kind", [bytes, int, list[str], str | None])
def test_another_type_is_refused_when_the_codec_is_made(kind: Any) -> None:
    with pytest.raises(
        LocalError, match=r"codec text carries str, not .*: use codec=json for objects, bytes for bytes"
    ):
        make_codec("text", kind)

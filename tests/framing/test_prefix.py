"""Prefix: u32 big-endian, then the payload."""

from __future__ import annotations

import struct

import pytest

from anyplug.errors import TooLarge
from anyplug.framing import Prefix
from anyplug.limits import DEFAULTS, PREFIX_MAX
from anyplug.testing import check_framing
from anyplug.testing.framing import MESSAGES
from tests.framing.feeding import Outcome, read_every_way

SAME_BOTH_WAYS: list[tuple[bytes, list[bytes]]] = [
    (b"", []),
    (b"\x00\x00\x00\x00", [b""]),
    (b"\x00\x00\x00\x00" * 3, [b"", b"", b""]),
    (b"\x00\x00\x00\x05hello", [b"hello"]),
    (b"\x00\x00\x00\x01a\x00\x00\x00\x00\x00\x00\x00\x02bc", [b"a", b"", b"bc"]),
    (b"\x00\x00\x00\x01\x00", [b"\x00"]),
    (b"\x00\x00\x00\x04\x00\x00\x00\x04", [b"\x00\x00\x00\x04"]),
    (b"\x00\x00\x01\x00" + b"x" * 256, [b"x" * 256]),
    (b"\x00\x00\x00\x06\xe6\x9c\x89\xe5\x86\x85", ["有内".encode()]),
    (b"\x00\x00\x00\x02\r\n", [b"\r\n"]),
]

TOO_LARGE = [1001, 0xFFFF, 2**24, 2**24 + 1, 2**31 - 1, 2**31, 2**32 - 1]


def test_prefix_keeps_the_contract_of_framings() -> None:
    check_framing(lambda limit: Prefix(limit=limit))
    check_framing(lambda limit: Prefix(limit=limit), messages=[*MESSAGES, b"", b"\n", b"line\r\n"])


@pytest.mark.parametrize(("stream", "messages"), SAME_BOTH_WAYS)
def test_a_message_stands_behind_its_length_both_ways(stream: bytes, messages: list[bytes]) -> None:
    framing = Prefix()
    assert b"".join(map(framing.encode, messages)) == stream
    assert framing.encode_many(messages) == stream
    assert read_every_way(framing, stream) == Outcome(messages, "", [])


@pytest.mark.parametrize("size", TOO_LARGE)
def test_a_length_above_the_limit_is_refused_from_the_length_alone(size: int) -> None:
    field = struct.pack(">I", size)
    sentence = (
        f"message too large: {size:,} bytes, the limit is 1,000 bytes"
        f" (the length header {field!r} at byte 9 of the stream)"
    )
    sound = b"\x00\x00\x00\x05hello"
    assert read_every_way(Prefix(limit=1000), sound + field) == Outcome([b"hello"], sentence, sentence)
    assert read_every_way(Prefix(limit=1000), sound + field + b"xy") == Outcome([b"hello"], sentence, sentence)


def test_the_fault_has_its_facts_as_attributes() -> None:
    decoder = Prefix().decoder()
    assert decoder.feed(b"GET / HTTP/1.1\r\n") == []
    assert isinstance(decoder.error, TooLarge)
    assert decoder.error.what == "message"
    assert decoder.error.size == int.from_bytes(b"GET ", "big")
    assert decoder.error.limit == DEFAULTS.message
    assert "b'GET ' at byte 0 " in str(decoder.error)


def test_a_length_of_just_the_limit_is_waited_for() -> None:
    decoder = Prefix().decoder()
    assert decoder.feed(struct.pack(">I", DEFAULTS.message)) == []
    assert decoder.error is None
    assert decoder.pending == 4


@pytest.mark.parametrize(
    ("stream", "came"),
    [
        (b"\x00", r"inside a length header, 1 of 4 bytes came: b'\x00'"),
        (b"\x00\x00\x00", r"inside a length header, 3 of 4 bytes came: b'\x00\x00\x00'"),
        (b"\x00\x00\x00\x05", "inside a message, 0 of 5 bytes came"),
        (b"\x00\x00\x00\x05hell", "inside a message, 4 of 5 bytes came"),
        (b"\x00\x00\x10\x00" + b"x" * 1234, "inside a message, 1,234 of 4,096 bytes came"),
    ],
)
def test_the_end_inside_a_message_says_how_much_of_it_came(stream: bytes, came: str) -> None:
    sentence = f"the connection broke: the stream ended {came}"
    assert read_every_way(Prefix(), stream) == Outcome([], "", sentence)
    assert read_every_way(Prefix(), b"\x00\x00\x00\x02ok" + stream) == Outcome([b"ok"], "", sentence)


def test_encode_knows_the_limit() -> None:
    framing = Prefix(limit=8)
    assert framing.encode(b"x" * 8) == b"\x00\x00\x00\x08xxxxxxxx"
    with pytest.raises(TooLarge, match=r"^message too large: 9 bytes, the limit is 8 bytes$"):
        framing.encode(b"x" * 9)
    with pytest.raises(TooLarge, match=r"^message too large: 9 bytes, the limit is 8 bytes$"):
        framing.encode_many([b"a", b"x" * 9])


def test_the_limit_is_never_more_than_a_u32_states() -> None:
    assert Prefix(limit=2**40).limit == PREFIX_MAX
    assert Prefix(limit=1000).limit == 1000

"""Header: the length in ASCII decimal digits in ten bytes, then the payload."""

from __future__ import annotations

import pytest

from anyplug.errors import ProtocolError, TooLarge
from anyplug.framing import Header
from anyplug.limits import DEFAULTS
from anyplug.testing import check_framing
from anyplug.testing.framing import MESSAGES
from tests.framing.feeding import Outcome, read_every_way

SAME_BOTH_WAYS: list[tuple[bytes, list[bytes]]] = [
    (b"", []),
    (b"0         ", [b""]),
    (b"5         hello", [b"hello"]),
    (b"1         a0         2         bc", [b"a", b"", b"bc"]),
    (b"12        " + b"x" * 12, [b"x" * 12]),
    (b"10        1         ", [b"1         "]),
    (b"2         \x00\x00", [b"\x00\x00"]),
    (b"6         \xe6\x9c\x89\xe5\x86\x85", ["有内".encode()]),
    (b"2         \r\n", [b"\r\n"]),
]

ONLY_READ = [b"         5", b"    5     ", b" 5        ", b"0000000005", b"05        ", b"     00005"]

BAD = [
    b"-5        ",
    b"+5        ",
    b"- 5       ",
    b"5_0       ",
    b"5 0       ",
    b"1 2 3 4 5 ",
    b"          ",
    b"\x00" * 10,
    b"5" + b"\x00" * 9,
    b"5\t        ",
    b"5        \n",
    b"\r5        ",
    b"0x10      ",
    b"1e3       ",
    b"3.5       ",
    b"five      ",
    b"b'5'      ",
    b"GET / HTTP",
    b"-999999999",
    b"\x1b[31m5    ",
    "٣        ".encode(),
    "5²       ".encode(),
    b"\xff" * 10,
]

TOO_LARGE = [1001, 65_535, 2**24, 2**24 + 1, 2**31 - 1, 2**31, 2**32 - 1, 10**10 - 1]


def test_header_keeps_the_contract_of_framings() -> None:
    check_framing(lambda limit: Header(limit=limit))
    check_framing(lambda limit: Header(limit=limit, width=4))
    check_framing(lambda limit: Header(limit=limit, width=20), messages=[*MESSAGES, b"", b"\n", b"line\r\n"])


@pytest.mark.parametrize(("stream", "messages"), SAME_BOTH_WAYS)
def test_a_message_stands_behind_its_length_both_ways(stream: bytes, messages: list[bytes]) -> None:
    framing = Header()
    assert b"".join(map(framing.encode, messages)) == stream
    assert framing.encode_many(messages) == stream
    assert read_every_way(framing, stream) == Outcome(messages, "", [])


@pytest.mark.parametrize("size", [0, 1, 9, 10, 99, 12_345])
def test_what_is_written_is_what_the_lessons_write_and_read(size: int) -> None:
    body = b"x" * size
    stream = Header().encode(body)
    assert stream == f"{len(body):<10}".encode() + body
    assert int(stream[:10]) == size


@pytest.mark.parametrize("field", ONLY_READ)
def test_digits_with_spaces_on_either_side_are_a_length(field: bytes) -> None:
    assert int(field) == 5
    stream = field + b"hello" + field + b"world"
    assert read_every_way(Header(), stream) == Outcome([b"hello", b"world"], "", [])


@pytest.mark.parametrize("field", BAD)
def test_anything_else_is_a_fault_that_shows_it_escaped_with_its_place(field: bytes) -> None:
    assert len(field) == 10
    sentence = (
        f"bad length header: {field!r} at byte 15 of the stream, expected 10 bytes: decimal digits, padded with spaces;"
        " does the peer send a length before each message?"
    )
    sound = b"5         hello"
    assert read_every_way(Header(), sound + field) == Outcome([b"hello"], sentence, sentence)
    assert read_every_way(Header(), sound + field + b"hello and more") == Outcome([b"hello"], sentence, sentence)
    assert sentence.isprintable()


def test_a_bad_header_is_a_protocol_error_and_not_one_of_size() -> None:
    decoder = Header().decoder()
    assert decoder.feed(b"-5        ") == []
    assert type(decoder.error) is ProtocolError


@pytest.mark.parametrize("size", TOO_LARGE)
def test_a_length_above_the_limit_is_refused_from_the_header_alone(size: int) -> None:
    field = b"%-10d" % size
    sentence = (
        f"message too large: {size:,} bytes, the limit is 1,000 bytes"
        f" (the length header {field!r} at byte 15 of the stream)"
    )
    sound = b"5         hello"
    assert read_every_way(Header(limit=1000), sound + field) == Outcome([b"hello"], sentence, sentence)
    assert read_every_way(Header(limit=1000), sound + field + b"xy") == Outcome([b"hello"], sentence, sentence)
    decoder = Header(limit=1000).decoder()
    decoder.feed(field)
    assert isinstance(decoder.error, TooLarge)
    assert (decoder.error.what, decoder.error.size, decoder.error.limit) == ("message", size, 1000)


def test_a_length_of_just_the_limit_is_waited_for() -> None:
    decoder = Header().decoder()
    assert decoder.feed(b"%-10d" % DEFAULTS.message) == []
    assert decoder.error is None
    assert decoder.pending == 10


@pytest.mark.parametrize(
    ("stream", "came"),
    [
        (b"1", "inside a length header, 1 of 10 bytes came: b'1'"),
        (b"hello\n", r"inside a length header, 6 of 10 bytes came: b'hello\n'"),
        (b"12       ", "inside a length header, 9 of 10 bytes came: b'12       '"),
        (b"5         ", "inside a message, 0 of 5 bytes came"),
        (b"5         hell", "inside a message, 4 of 5 bytes came"),
    ],
)
def test_the_end_inside_a_message_says_how_much_of_it_came(stream: bytes, came: str) -> None:
    sentence = f"the connection broke: the stream ended {came}"
    assert read_every_way(Header(), stream) == Outcome([], "", sentence)
    assert read_every_way(Header(), b"2         ok" + stream) == Outcome([b"ok"], "", sentence)


@pytest.mark.parametrize(
    ("width", "stream", "message"),
    [(1, b"3abc", b"abc"), (4, b"3   abc", b"abc"), (20, b"3" + b" " * 19 + b"abc", b"abc")],
)
def test_the_field_may_have_another_width(width: int, stream: bytes, message: bytes) -> None:
    framing = Header(width=width)
    assert framing.encode(message) == stream
    assert read_every_way(framing, stream * 2) == Outcome([message] * 2, "", [])


def test_the_limit_is_never_more_than_the_field_states() -> None:
    framing = Header(width=1)
    assert framing.limit == 9
    assert framing.encode(b"x" * 9) == b"9xxxxxxxxx"
    with pytest.raises(TooLarge):
        framing.encode(b"x" * 10)


def test_encode_knows_the_limit() -> None:
    framing = Header(limit=8)
    assert framing.encode(b"x" * 8) == b"8         xxxxxxxx"
    with pytest.raises(TooLarge, match=r"^message too large: 9 bytes, the limit is 8 bytes$"):
        framing.encode(b"x" * 9)
    with pytest.raises(TooLarge, match=r"^message too large: 9 bytes, the limit is 8 bytes$"):
        framing.encode_many([b"a", b"x" * 9])

"""Lines: LF or CRLF in, LF out; every delivery of a stream gives the same lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyplug.errors import EncodeError, TooLarge
from anyplug.framing import Lines
from anyplug.framing.lines import LinesDecoder
from anyplug.testing import check_framing
from tests.framing.feeding import Outcome, read, read_every_way, split

SAME_BOTH_WAYS: list[tuple[bytes, list[bytes]]] = [
    (b"", []),
    (b"\n", [b""]),
    (b"\n\n\n", [b"", b"", b""]),
    (b"hello\n", [b"hello"]),
    (b"one\ntwo\nthree\n", [b"one", b"two", b"three"]),
    (b"\none\n\n", [b"", b"one", b""]),
    (b"a\rb\n", [b"a\rb"]),
    (b"\ra\n", [b"\ra"]),
    (b"\x00\n\x00\x00\n", [b"\x00", b"\x00\x00"]),
    ("有内鬼, 终止交易! Over\n".encode(), ["有内鬼, 终止交易! Over".encode()]),
    ("\u2028\x0b\x0c\x1c\x85\n".encode(), ["\u2028\x0b\x0c\x1c\x85".encode()]),
    (b"\xff\xfe\xc3\n", [b"\xff\xfe\xc3"]),
]

ONLY_READ: list[tuple[bytes, list[bytes], list[bytes]]] = [
    (b"hello\r\n", [b"hello"], []),
    (b"one\r\ntwo\nthree\r\n", [b"one", b"two", b"three"], []),
    (b"\r\n\r\n", [b"", b""], []),
    (b"\n\r\n\n", [b"", b"", b""], []),
    (b"a\r\r\n", [b"a\r"], []),
    (b"a\r\r\r\nb\r\n", [b"a\r\r", b"b"], []),
    (b"\r\r\n\r\n", [b"\r", b""], []),
    (b"hello", [], [b"hello"]),
    (b"one\ntwo", [b"one"], [b"two"]),
    (b"one\r\ntwo\r", [b"one"], [b"two"]),
    (b"\r", [], [b""]),
    (b"a\r\r", [], [b"a\r"]),
    (b"\n\x00", [b""], [b"\x00"]),
]


def test_lines_keep_the_contract_of_framings() -> None:
    check_framing(lambda limit: Lines(limit=limit))


@pytest.mark.parametrize(("stream", "messages"), SAME_BOTH_WAYS)
def test_a_message_is_a_line_both_ways(stream: bytes, messages: list[bytes]) -> None:
    framing = Lines()
    assert b"".join(map(framing.encode, messages)) == stream
    assert framing.encode_many(messages) == stream
    assert read_every_way(framing, stream) == Outcome(messages, "", [])


@pytest.mark.parametrize(("stream", "messages", "end"), ONLY_READ)
def test_crlf_and_an_unfinished_last_line_are_read(stream: bytes, messages: list[bytes], end: list[bytes]) -> None:
    assert read_every_way(Lines(), stream) == Outcome(messages, "", end)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"two\nlines", "a line break at byte 3; send each line by itself, or use framing prefix"),
        (b"\n", "a line break at byte 0; send each line by itself, or use framing prefix"),
        (b"crlf\r\n", "a line break at byte 5; send each line by itself, or use framing prefix"),
        (b"cr\r", "the message ends in a CR, which reads as a line end; use framing prefix"),
        (b"\r", "the message ends in a CR, which reads as a line end; use framing prefix"),
    ],
)
def test_a_message_that_would_be_read_as_another_is_refused(body: bytes, problem: str) -> None:
    framing = Lines()
    with pytest.raises(EncodeError) as caught:
        framing.encode(body)
    assert str(caught.value) == f"cannot be sent as lines: {problem}"
    for bodies in ([b"sound", body], [body, b"sound"], [body]):
        with pytest.raises(EncodeError) as caught:
            framing.encode_many(bodies)
        assert caught.value.problem == problem


@pytest.mark.parametrize("mark", [b"\n", b"\r\n"])
@pytest.mark.parametrize("size", [0, 1, 7, 8])
def test_a_line_up_to_the_limit_is_taken_and_its_end_does_not_count(size: int, mark: bytes) -> None:
    line = b"x" * size
    assert read_every_way(Lines(limit=8), (line + mark) * 3) == Outcome([line] * 3, "", [])
    assert read_every_way(Lines(limit=8), line + mark[:-1]).error == ""


@pytest.mark.parametrize(
    "stream", [b"x" * 9, b"x" * 9 + b"\n", b"x" * 8 + b"\r\r\n", b"x" * 8 + b"\ry", b"x" * 100 + b"\n"]
)
def test_a_line_above_the_limit_is_a_fault_and_the_lines_before_it_are_kept(stream: bytes) -> None:
    sentence = "line too large: more, the limit is 8 bytes"
    framing = Lines(limit=8)
    assert read_every_way(framing, stream) == Outcome([], sentence, sentence)
    whole = b"one\r\n\n12345678\n"
    assert read_every_way(framing, whole + stream + b"\nlost\n") == Outcome(
        [b"one", b"", b"12345678"], sentence, sentence
    )


def test_a_line_is_too_large_as_soon_as_that_is_known() -> None:
    decoder = Lines(limit=8).decoder()
    assert decoder.feed(b"x" * 8) == []
    assert decoder.pending == 8
    assert decoder.feed(b"\r") == []  # it may still be the first half of a line end
    assert decoder.pending == 9
    assert decoder.feed(b"y") == []
    error: object = decoder.error
    assert isinstance(error, TooLarge)
    assert (error.what, error.size, error.limit) == ("line", None, 8)
    assert decoder.pending == 0


def test_encode_knows_the_limit_of_a_line() -> None:
    framing = Lines(limit=8)
    assert framing.encode(b"x" * 8) == b"x" * 8 + b"\n"
    assert framing.encode_many([b"x" * 8] * 3) == (b"x" * 8 + b"\n") * 3
    with pytest.raises(TooLarge, match=r"^line too large: 9 bytes, the limit is 8 bytes$"):
        framing.encode(b"x" * 9)
    with pytest.raises(TooLarge, match=r"^line too large: 9 bytes, the limit is 8 bytes$"):
        framing.encode_many([b"a", b"x" * 9])


class Unsearched(bytearray):
    """Bytes that are collected, and looked through by nobody."""

    def __contains__(self, what: object) -> bool:
        raise AssertionError("searched")

    find = index = split = count = partition = __contains__  # type: ignore[assignment]


def test_a_long_line_byte_by_byte_is_collected_in_place_and_never_searched_again() -> None:
    decoder = LinesDecoder(limit=10_000)
    held = decoder._held = Unsearched()
    for _ in range(10_000):
        assert decoder.feed(b"x") == []
        assert decoder._held is held
    assert decoder.feed(b"\n") == [b"x" * 10_000]


@given(st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a", b"bc", b"\x00", b"\xe6\x9c"]), max_size=40).map(b"".join))
def test_any_stream_gives_what_its_line_ends_say(stream: bytes) -> None:
    *lines, last = stream.split(b"\n")
    expected = [line.removesuffix(b"\r") for line in lines]
    end = [last.removesuffix(b"\r")] if last else []
    assert read_every_way(Lines(), stream) == Outcome(expected, "", end)


@given(
    st.lists(st.sampled_from([b"\r", b"\n", b"a", b"bc", b"defg"]), max_size=60).map(b"".join),
    st.lists(st.integers(min_value=0, max_value=300)),
    st.integers(min_value=1, max_value=12),
)
def test_any_delivery_gives_the_same_lines_and_the_same_fault(stream: bytes, cuts: list[int], limit: int) -> None:
    framing = Lines(limit=limit)
    assert read(framing, split(stream, cuts)) == read(framing, [stream])


@given(st.lists(st.binary(max_size=12)), st.integers(min_value=1, max_value=12))
def test_any_bytes_give_lines_or_a_fault_and_hold_no_more_than_the_limit(pieces: list[bytes], limit: int) -> None:
    decoder = Lines(limit=limit).decoder()
    for piece in pieces:
        assert all(len(line) <= limit for line in decoder.feed(piece))
        assert decoder.pending <= limit + 1
        if decoder.error is not None:
            return
    assert all(len(line) <= limit for line in decoder.feed_eof())

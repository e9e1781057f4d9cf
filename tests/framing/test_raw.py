"""Raw: what arrived is the message; text without split characters; a whole stream."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyplug.errors import EncodeError, LocalError, TooLarge
from anyplug.framing import Raw
from anyplug.testing import check_framing
from anyplug.testing.framing import deliveries
from tests.framing.feeding import Outcome, read, read_every_way, split

TEXT = "aé有𝄞\x00終\N{PERFORMING ARTS}!"
"""Characters of one, two, three and four bytes."""


def fed(framing: Raw, pieces: list[bytes]) -> list[list[bytes]]:
    """What each feed returned, and then what the end did."""
    decoder = framing.decoder()
    return [*map(decoder.feed, pieces), decoder.feed_eof()]


@pytest.mark.parametrize("utf8", [False, True])
@pytest.mark.parametrize("until", [None, "eof"])
def test_raw_keeps_the_contract_of_framings_but_for_boundaries(utf8: bool, until: str | None) -> None:
    check_framing(lambda limit: Raw(limit=limit, utf8=utf8, until=until), boundaries=False)


def test_what_arrived_is_the_message() -> None:
    assert fed(Raw(), [b"one", b"", b"two\n", b"\x00"]) == [[b"one"], [], [b"two\n"], [b"\x00"], []]
    assert fed(Raw(), []) == [[]]


def test_a_character_may_be_split_where_text_is_not_asked_for() -> None:
    assert fed(Raw(), [b"\xe6\x9c", b"\x89"]) == [[b"\xe6\x9c"], [b"\x89"], []]


@pytest.mark.parametrize("options", [{}, {"utf8": True}, {"until": "eof"}])
def test_encode_changes_nothing(options: dict[str, object]) -> None:
    framing = Raw(**options)  # type: ignore[arg-type]
    assert framing.encode(b"\x00 any\r\nbytes") == b"\x00 any\r\nbytes"
    assert framing.encode_many([b"a", b"b"]) == b"ab"


def test_an_empty_message_is_refused_because_nothing_would_travel() -> None:
    with pytest.raises(EncodeError) as caught:
        Raw().encode(b"")
    assert str(caught.value) == (
        "cannot be sent as raw: an empty message would not travel; use framing lines, header or prefix"
    )
    with pytest.raises(EncodeError):
        Raw().encode_many([b"a", b""])


def test_encode_knows_the_limit() -> None:
    framing = Raw(limit=8)
    assert framing.encode(b"x" * 8) == b"x" * 8
    with pytest.raises(TooLarge, match=r"^message too large: 9 bytes, the limit is 8 bytes$"):
        framing.encode(b"x" * 9)


@pytest.mark.parametrize("utf8", [False, True])
def test_a_piece_up_to_the_limit_is_a_message_and_a_larger_one_a_fault(utf8: bool) -> None:
    framing = Raw(limit=8, utf8=utf8)
    assert fed(framing, [b"x" * 7, b"y" * 8, b"z"]) == [[b"x" * 7], [b"y" * 8], [b"z"], []]
    decoder = framing.decoder()
    assert decoder.feed(b"sound\xe6") == [b"sound\xe6"[: 5 if utf8 else 6]]
    assert decoder.feed(b"x" * 9) == []
    assert isinstance(decoder.error, TooLarge)
    assert (decoder.error.what, decoder.error.size, decoder.error.limit) == ("message", 9, 8)
    assert decoder.pending == 0


def test_a_character_split_over_any_boundary_is_joined() -> None:
    stream = TEXT.encode()
    for pieces in deliveries(stream):
        decoder = Raw(utf8=True).decoder()
        came = b""
        for piece in pieces:
            came += piece
            messages = decoder.feed(piece)
            assert "".join(message.decode() for message in messages) in TEXT
            assert b"" not in messages
            whole = came.decode(errors="ignore").encode()
            assert decoder.pending == len(came) - len(whole)
        assert decoder.feed_eof() == []
        assert b"".join(read(Raw(utf8=True), pieces).messages).decode() == TEXT


@pytest.mark.parametrize("character", ["é", "有", "𝄞"])
def test_a_character_byte_by_byte_comes_with_its_last_byte(character: str) -> None:
    *first, last = [bytes((byte,)) for byte in character.encode()]
    decoder = Raw(utf8=True).decoder()
    for count, byte in enumerate(first, 1):
        assert decoder.feed(byte) == []
        assert decoder.pending == count
    assert decoder.feed(last) == [character.encode()]
    assert decoder.pending == 0


def test_the_beginning_of_a_character_at_the_end_of_the_stream_is_given_as_it_is() -> None:
    assert fed(Raw(utf8=True), [b"a\xe6\x9c"]) == [[b"a"], [b"\xe6\x9c"]]
    assert fed(Raw(utf8=True), [b"\xf0\x9f\x8e"]) == [[], [b"\xf0\x9f\x8e"]]


@pytest.mark.parametrize(
    "piece",
    [
        b"\x80",
        b"a\xbf\xbf\xbf",
        b"\xff",
        b"a\xfe",
        b"\xc0",
        b"\xc1",
        b"\xf5",
        b"\xe0\x80",
        b"\xf4\x90",
        b"\xe6a",
    ],
)
def test_bytes_that_begin_no_character_are_not_held_back(piece: bytes) -> None:
    assert fed(Raw(utf8=True), [piece, b"b"]) == [[piece], [b"b"], []]


def test_a_beginning_that_does_not_go_on_is_given_with_what_came() -> None:
    assert fed(Raw(utf8=True), [b"\xe6\x9c", b"abc"]) == [[], [b"\xe6\x9cabc"], []]
    assert fed(Raw(utf8=True), [b"\xed\xa0", b"\x80"]) == [[], [b"\xed\xa0\x80"], []]  # half a surrogate pair


def test_a_full_piece_after_a_held_beginning_is_two_messages_within_the_limit_and_no_fault() -> None:
    framing = Raw(limit=8, utf8=True)
    assert fed(framing, [b"\xe6\x9c", b"\x89abcdefg"]) == [[], ["有abcde".encode(), b"fg"], []]
    assert fed(framing, [b"\xe6", b"\x9c\x89abc\xe5\x86\x85"]) == [[], ["有abc".encode(), "内".encode()], []]
    assert fed(framing, [b"\xe6\x9c", b"x" * 6 + b"\xe5\x86"]) == [[], [b"\xe6\x9c" + b"x" * 6], [b"\xe5\x86"]]


@given(st.text(max_size=40), st.lists(st.integers(min_value=0, max_value=200)), st.integers(min_value=4, max_value=12))
def test_any_text_in_any_pieces_comes_in_whole_characters(text: str, cuts: list[int], limit: int) -> None:
    stream = text.encode()
    pieces = [piece[at : at + limit] for piece in split(stream, cuts) for at in range(0, len(piece), limit)]
    messages, error, end = read(Raw(limit=limit, utf8=True), pieces)
    assert (error, end) == ("", [])
    assert "".join(message.decode() for message in messages) == text
    assert all(0 < len(message) <= limit for message in messages)


@given(st.lists(st.binary(max_size=8)))
def test_any_bytes_as_text_go_through_unchanged(pieces: list[bytes]) -> None:
    decoder = Raw(limit=8, utf8=True).decoder()
    came = []
    for piece in pieces:
        came += decoder.feed(piece)
        assert decoder.pending <= 3
    came += decoder.feed_eof()
    assert decoder.error is None
    assert b"".join(came) == b"".join(pieces)
    assert all(0 < len(message) <= 8 for message in came)


@pytest.mark.parametrize("stream", [b"x", b"two\nlines", b"\x00\xff", TEXT.encode(), b"y" * 100])
def test_until_eof_the_whole_stream_is_one_message(stream: bytes) -> None:
    assert read_every_way(Raw(until="eof", limit=100), stream) == Outcome([], "", [stream])
    assert read_every_way(Raw(until="eof", utf8=True), stream[:-1] + b"\xe6").end == [stream[:-1] + b"\xe6"]


def test_until_eof_a_stream_without_bytes_holds_no_message() -> None:
    assert fed(Raw(until="eof"), [b"", b""]) == [[], [], []]


def test_until_eof_the_stream_is_bounded_by_the_limit() -> None:
    sentence = "message too large: more, the limit is 8 bytes"
    assert read_every_way(Raw(until="eof", limit=8), b"x" * 9) == Outcome([], sentence, sentence)
    assert read_every_way(Raw(until="eof", limit=8), b"x" * 30) == Outcome([], sentence, sentence)
    decoder = Raw(until="eof", limit=8).decoder()
    for count in range(1, 9):
        assert decoder.feed(b"x") == []
        assert decoder.pending == count
    assert decoder.feed(b"x") == []
    assert isinstance(decoder.error, TooLarge)
    assert decoder.pending == 0


def test_a_limit_below_one_character_is_refused_for_text() -> None:
    assert Raw(limit=4, utf8=True).limit == 4
    assert Raw(limit=1).limit == 1
    with pytest.raises(LocalError, match=r"^the limit of framing raw is 3, expected a whole number of at least 4$"):
        Raw(limit=3, utf8=True)

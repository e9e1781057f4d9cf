"""Frames: u8 kind, u24 length, payload; runs of one kind come together; a bad frame is known by its header."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyplug.errors import Code, ProtocolError, TooLarge
from anyplug.limits import DEFAULTS, FRAME_MAX, HELLO_MAX
from anyplug.testing.framing import deliveries
from anyplug.wire.frames import ID_SIZE, LENGTH_MAX, PING_MAX, PREFACE, FrameDecoder, Kind, encode_frame
from anyplug.wire.sender import ID_MAX, TEXT_MAX
from tests.wire.network import cut_at, header

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anyplug.wire.frames import Run

SAME_BOTH_WAYS = [
    (Kind.DATA, b"", "00000000"),
    (Kind.DATA, b"a", "00000001 61"),
    (Kind.DATA, b"\x00\x00\x00\x00", "00000004 00000000"),
    (Kind.HELLO, b"\x80", "01000001 80"),
    (Kind.WELCOME, b"\x80", "02000001 80"),
    (Kind.REFUSED, b"\x92\x01\xa0", "03000003 9201a0"),
    (Kind.REQUEST, b"\x00\x00\x00\x01hi", "04000006 00000001 6869"),
    (Kind.REPLY, b"\xff\xff\xff\xff", "05000004 ffffffff"),
    (Kind.ERROR, b"\x00\x00\x00\x00\x92\x1e\xa0", "06000007 00000000 921ea0"),
    (Kind.PING, b"", "07000000"),
    (Kind.PONG, b"12345678", "08000008 3132333435363738"),
    (Kind.BYE, b"\x92\x00\xa0", "09000003 9200a0"),
    (Kind.PART, b"x" * 256, "0a000100" + "78" * 256),
    (Kind.POST, b"\0\0\0\0\0\0\0\1hi", "0b00000a 0000000000000001 6869"),
    (Kind.ACK, bytes(7) + b"\1\0\0\0\2" + bytes(8) + b"\1", "0c000015 0000000000000001 00000002 0000000000000000 01"),
    (Kind.CONTENT, b"\0" * 40 + b"x", "0e000029" + "00" * 40 + "78"),
    (Kind.NACK, bytes(7) + b"\2\x92\x28\xa0", "0d00000b 0000000000000002 9228a0"),
]

LIMITS = {
    **dict.fromkeys((Kind.DATA, Kind.REQUEST, Kind.REPLY, Kind.PART, Kind.POST), FRAME_MAX),
    **dict.fromkeys((Kind.HELLO, Kind.WELCOME, Kind.REFUSED, Kind.ERROR, Kind.BYE, Kind.NACK), HELLO_MAX),
    **dict.fromkeys((Kind.PING, Kind.PONG), PING_MAX),
    Kind.ACK: 21,
    Kind.CONTENT: 40 + 1_048_576,
}


def decode(pieces: Iterable[bytes], *, message: int = DEFAULTS.message) -> tuple[list[Run], str, int]:
    """Runs with neighbours of one kind joined, the fault, and what is held at the end."""
    decoder = FrameDecoder(message)
    joined: list[Run] = []
    for piece in pieces:
        if decoder.error is not None:
            break
        for kind, payloads in decoder.feed(piece):
            if kind == Kind.CONTENT:
                payloads = [b"".join(payloads)]
            if joined and joined[-1][0] == kind:
                joined[-1][1].extend(payloads)
            else:
                joined.append((kind, list(payloads)))
    return joined, str(decoder.error or ""), decoder.pending


@pytest.mark.parametrize(("kind", "payload", "hexes"), SAME_BOTH_WAYS)
def test_a_frame_is_its_header_and_its_payload_both_ways(kind: Kind, payload: bytes, hexes: str) -> None:
    stream = bytes.fromhex(hexes)
    assert encode_frame(kind, payload) == stream
    for pieces in deliveries(stream):
        assert decode(pieces) == ([(kind, [payload])], "", 0)
    for cut in range(1, len(stream)):
        assert decode([stream + stream[:cut]]) == ([(kind, [payload])], "", cut)
        assert decode([stream + stream[:cut], stream[cut:]]) == ([(kind, [payload, payload])], "", 0)


def test_the_preface_shows_links_that_are_not_clean() -> None:
    assert PREFACE == b"\x89PLUG\r\n\n"
    assert not PREFACE.isascii()
    assert PREFACE != PREFACE.replace(b"\r\n", b"\n") != PREFACE.replace(b"\n", b"\r\n")


def test_the_limits_of_version_1_keep_their_values() -> None:
    assert (FRAME_MAX, HELLO_MAX, PING_MAX, LENGTH_MAX, ID_SIZE) == (262_144, 4_096, 64, 16_777_215, 4)
    assert (ID_MAX, TEXT_MAX) == (4_294_967_295, 1_000)


def test_kinds_keep_their_numbers() -> None:
    names = "DATA HELLO WELCOME REFUSED REQUEST REPLY ERROR PING PONG BYE PART POST ACK NACK CONTENT"
    assert [(kind.name, int(kind)) for kind in Kind] == [(name, at) for at, name in enumerate(names.split())]


def test_neighbours_of_one_kind_come_as_one_run_in_order() -> None:
    stream = b"".join(
        encode_frame(kind, payload)
        for kind, payload in [
            *[(Kind.DATA, b"1"), (Kind.DATA, b""), (Kind.DATA, b"2")],
            *[(Kind.PING, b""), (Kind.DATA, b"3"), (Kind.REQUEST, b"0001a"), (Kind.REQUEST, b"0002b")],
        ]
    )
    expected = [
        *[(Kind.DATA, [b"1", b"", b"2"]), (Kind.PING, [b""]), (Kind.DATA, [b"3"])],
        (Kind.REQUEST, [b"0001a", b"0002b"]),
    ]
    assert FrameDecoder().feed(stream) == expected
    for pieces in deliveries(stream):
        assert decode(pieces) == (expected, "", 0)


@pytest.mark.parametrize("kind", Kind)
def test_a_length_up_to_the_limit_is_taken_and_one_more_is_refused_by_the_header_alone(kind: Kind) -> None:
    limit = LIMITS[kind]
    for size in (0, 1, limit - 1, limit):
        payload = b"x" * size
        assert FrameDecoder().feed(encode_frame(kind, payload)) == [(kind, [payload])]
        assert decode([header(kind, size)], message=DEFAULTS.message)[1] == ""
    for size in (limit + 1, LENGTH_MAX):
        for pieces in deliveries(header(kind, size)):
            decoder = FrameDecoder()
            assert not any(decoder.feed(piece) for piece in pieces if decoder.error is None)
            assert isinstance(decoder.error, TooLarge)
            assert (decoder.error.what, decoder.error.size, decoder.error.limit) == (f"{kind.name} frame", size, limit)
            assert decoder.error.code is Code.TOO_LARGE
            assert decoder.pending == 0


@pytest.mark.parametrize(
    ("message", "kind", "most"),
    [
        (10, Kind.DATA, 10),
        (10, Kind.REQUEST, 10 + ID_SIZE),
        (10, Kind.REPLY, 10 + ID_SIZE),
        (10, Kind.POST, 10 + 8),
        (FRAME_MAX - 1, Kind.DATA, FRAME_MAX - 1),
        (FRAME_MAX - 5, Kind.REQUEST, FRAME_MAX - 1),
        (1, Kind.DATA, 1),
    ],
)
def test_a_limit_of_messages_below_that_of_frames_counts_for_frames_of_messages(
    message: int, kind: Kind, most: int
) -> None:
    assert decode([encode_frame(kind, b"x" * most)], message=message) == ([(kind, [b"x" * most])], "", 0)
    decoder = FrameDecoder(message)
    assert decoder.feed(header(kind, most + 1)) == []
    assert isinstance(decoder.error, TooLarge)
    assert (decoder.error.what, decoder.error.size, decoder.error.limit) == ("message", message + 1, message)


def test_a_part_may_hold_a_sequence_and_the_whole_message() -> None:
    assert decode([encode_frame(Kind.PART, b"x" * 18)], message=10) == ([(Kind.PART, [b"x" * 18])], "", 0)
    assert "11 bytes, the limit is 10 bytes" in decode([header(Kind.PART, 19)], message=10)[1]


def test_a_small_limit_of_messages_does_not_count_for_other_frames() -> None:
    for kind in (Kind.HELLO, Kind.WELCOME, Kind.REFUSED, Kind.ERROR, Kind.BYE, Kind.PING, Kind.PONG):
        payload = b"x" * LIMITS[kind]
        assert decode([encode_frame(kind, payload)], message=1) == ([(kind, [payload])], "", 0)


@pytest.mark.parametrize("number", range(15, 256))
def test_an_unknown_kind_is_a_fault_at_its_header(number: int) -> None:
    for length in (0, 1, LENGTH_MAX):
        decoder = FrameDecoder()
        assert decoder.feed(header(number, length)) == []
        assert str(decoder.error) == f"unknown frame kind {number}; known are 0 to 14"
        assert decoder.error is not None
        assert decoder.error.code is Code.PROTOCOL


def test_what_was_whole_before_a_fault_is_given_and_every_later_call_raises_it() -> None:
    stream = encode_frame(Kind.DATA, b"one") + encode_frame(Kind.PING, b"") + header(99, 5) + b"after"
    for pieces in deliveries(stream):
        decoder = FrameDecoder()
        runs: list[Run] = []
        for piece in pieces:
            if decoder.error is None:
                runs += decoder.feed(piece)
        assert runs == [(Kind.DATA, [b"one"]), (Kind.PING, [b""])]
        fault = decoder.error
        assert isinstance(fault, ProtocolError)
        assert decoder.pending == 0
        for data in (b"", b"more", encode_frame(Kind.DATA, b"x")):
            with pytest.raises(ProtocolError) as caught:
                decoder.feed(data)
            assert caught.value is fault


def test_what_is_held_is_counted_and_can_be_dropped() -> None:
    stream = encode_frame(Kind.DATA, b"hello")
    decoder = FrameDecoder()
    for size in range(1, len(stream)):
        decoder.feed(stream[size - 1 : size])
        assert decoder.pending == size
    decoder.drop()
    assert decoder.pending == 0
    assert decoder.feed(stream) == [(Kind.DATA, [b"hello"])]


def test_no_more_than_one_frame_is_ever_held() -> None:
    stream = encode_frame(Kind.DATA, b"x" * FRAME_MAX) * 2
    decoder = FrameDecoder()
    for at in range(0, len(stream), 65_536):
        decoder.feed(stream[at : at + 65_536])
        assert decoder.pending <= FRAME_MAX + 4


def test_an_empty_piece_changes_nothing() -> None:
    decoder = FrameDecoder()
    assert decoder.feed(b"") == []
    decoder.feed(b"\x00\x00")
    assert decoder.feed(b"") == []
    assert decoder.pending == 2
    assert decoder.feed(b"\x00\x01x") == [(Kind.DATA, [b"x"])]


FRAMES = st.tuples(st.sampled_from(Kind), st.binary(max_size=PING_MAX)).map(lambda pair: encode_frame(*pair))
STREAMS = st.lists(st.one_of(FRAMES, st.binary(max_size=20)), max_size=8).map(b"".join)


@given(STREAMS, st.lists(st.integers(0, 600), max_size=6), st.sampled_from([1, 16, FRAME_MAX, DEFAULTS.message]))
def test_any_bytes_in_any_pieces_come_to_the_same_and_raise_nothing(
    stream: bytes, cuts: list[int], message: int
) -> None:
    pieces = cut_at(stream, cuts)
    runs, fault, held = decode([stream], message=message)
    assert decode(pieces, message=message) == (runs, fault, held)
    whole = b"".join(encode_frame(Kind(kind), payload) for kind, payloads in runs for payload in payloads)
    assert stream.startswith(whole)
    assert fault or len(whole) + held == len(stream)


@pytest.mark.parametrize("piece", [1, 3, 1000, 4095, 4096, 5000, 16_384, 30_000])
def test_a_large_frame_between_small_ones_is_whole_in_pieces_of_any_size(piece: int) -> None:
    payloads = [b"a", bytes(range(256)) * 80, b"", b"z" * 5000]
    stream = b"".join(encode_frame(Kind.DATA, payload) for payload in payloads) + encode_frame(Kind.PING, b"p")
    pieces = [stream[at : at + piece] for at in range(0, len(stream), piece)]
    assert decode(pieces) == ([(Kind.DATA, payloads), (Kind.PING, [b"p"])], "", 0)


def test_a_frame_in_tiny_pieces_is_not_held_as_so_many_objects() -> None:
    decoder = FrameDecoder()
    stream = encode_frame(Kind.DATA, b"x" * 20_000)
    for at in range(20_000):
        decoder.feed(stream[at : at + 1])
    assert decoder.pending == 20_000
    assert len(decoder._held) <= 20_000 // 2048

"""What header and prefix have in common: no memory for a declared size, no cost of small pieces, any delivery alike."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyplug.errors import TooLarge
from anyplug.framing import Framing, Header, Prefix
from anyplug.framing.sized import SizedDecoder
from anyplug.limits import PREFIX_MAX
from tests.framing.feeding import read, split

if TYPE_CHECKING:
    from collections.abc import Callable

FOUR_GB = {"header": b"4294967295", "prefix": b"\xff\xff\xff\xff"}
FRAMINGS = pytest.mark.parametrize("kind", [Header, Prefix])
Kind = type[Header] | type[Prefix]

# Streams that are sound for a while: whole messages, lengths of all kinds, loose bytes.
PARTS = {
    "header": [
        b"0         ",
        b"3         abc",
        b"         2xy",
        b"12        ",
        b"9         ",
        b"-1        ",
        b"12",
        b" ",
    ],
    "prefix": [
        b"\x00\x00\x00\x00",
        b"\x00\x00\x00\x03abc",
        b"\x00\x00\x00\x0c",
        b"\x00\x00\x00",
        b"\x00",
        b"\x07",
        b"z",
    ],
}


def peak_of(action: Callable[[], object]) -> int:
    """The most memory the action takes at once, bytes."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@FRAMINGS
def test_a_declared_size_of_4_gb_is_refused_and_takes_no_memory(kind: Kind) -> None:
    decoder = kind().decoder()
    assert peak_of(lambda: decoder.feed(FOUR_GB[kind.name] + b"x" * 1000)) < 100_000
    assert isinstance(decoder.error, TooLarge)
    assert decoder.pending == 0


@FRAMINGS
def test_a_declared_size_of_4_gb_within_the_limit_takes_memory_only_for_what_came(kind: Kind) -> None:
    decoder = kind(limit=PREFIX_MAX).decoder()

    def feed() -> None:
        decoder.feed(FOUR_GB[kind.name])
        for _ in range(1000):
            decoder.feed(b"0123456789")

    assert peak_of(feed) < 100_000
    assert decoder.error is None
    assert decoder.pending == len(FOUR_GB[kind.name]) + 10_000


@FRAMINGS
def test_a_message_in_many_pieces_is_collected_in_place(kind: Kind) -> None:
    framing = kind()
    decoder = framing.decoder()
    assert isinstance(decoder, SizedDecoder)
    stream = framing.encode(b"x" * 10_000)
    assert decoder.feed(stream[:1]) == []
    held = decoder._held
    for at in range(1, len(stream) - 1):
        assert decoder.feed(stream[at : at + 1]) == []
        assert decoder._held is held
        assert decoder.pending == at + 1
    assert decoder.feed(stream[-1:]) == [b"x" * 10_000]
    assert decoder.pending == 0


@FRAMINGS
def test_whole_messages_of_a_piece_never_pass_through_the_store(kind: Kind) -> None:
    framing = kind()
    decoder = framing.decoder()
    assert isinstance(decoder, SizedDecoder)
    store = decoder._held
    assert decoder.feed(framing.encode_many([b"a", b"", b"bcd"] * 100)) == [b"a", b"", b"bcd"] * 100
    assert decoder._held is store


@FRAMINGS
def test_the_place_of_a_fault_counts_from_the_beginning_of_the_stream(kind: Kind) -> None:
    framing = kind(limit=1000)
    sound = framing.encode(b"x" * 990)
    stream = sound * 3 + FOUR_GB[kind.name]
    for size in (1, 10, 1000, 5000):
        decoder = framing.decoder()
        for at in range(0, len(stream), size):
            decoder.feed(stream[at : at + size])
        assert f" at byte {3 * len(sound):,} of the stream" in str(decoder.error)


@FRAMINGS
@given(data=st.data())
def test_any_delivery_gives_the_same_messages_and_the_same_fault(kind: Kind, data: st.DataObject) -> None:
    stream = data.draw(st.lists(st.sampled_from(PARTS[kind.name]), max_size=30).map(b"".join))
    cuts = data.draw(st.lists(st.integers(min_value=0, max_value=400)))
    framing = kind(limit=10)
    assert read(framing, split(stream, cuts)) == read(framing, [stream])


@FRAMINGS
@given(data=st.data())
def test_any_bytes_give_messages_or_a_fault_and_hold_no_more_than_the_limit(kind: Kind, data: st.DataObject) -> None:
    parts = st.one_of(st.binary(max_size=30), st.sampled_from(PARTS[kind.name]))
    decoder = kind(limit=10).decoder()
    for piece in data.draw(st.lists(parts)):
        assert all(len(message) <= 10 for message in decoder.feed(piece))
        assert decoder.pending <= 10 + len(FOUR_GB[kind.name])
        if decoder.error is not None:
            return


@FRAMINGS
@given(bodies=st.lists(st.binary(max_size=50)), cuts=st.lists(st.integers(min_value=0, max_value=2000)))
def test_any_messages_come_back_as_they_were_sent(kind: Kind, bodies: list[bytes], cuts: list[int]) -> None:
    framing: Framing = kind()
    stream = framing.encode_many(bodies)
    assert stream == b"".join(map(framing.encode, bodies))
    assert read(framing, split(stream, cuts)) == (bodies, "", [])

"""Chunks on their way: the same in a buffer as in pieces, and a buffer is never given to two."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from anyplug.limits import CHUNK_MAX
from anyplug.messages import Content
from anyplug.testing.framing import deliveries
from anyplug.wire.arriving import FILL_LEAST, KEPT, SPARE, Arriving, Buffers
from anyplug.wire.frames import CONTENT, FrameDecoder, Kind, encode_frame
from anyplug.wire.states import Role, State
from tests.wire.network import PING, frame, in_state

if TYPE_CHECKING:
    from anyplug.wire.plug import PlugSession

HEAD = CONTENT.pack(7, 3, b"d" * 32)
BODY = bytes(range(256)) * (FILL_LEAST // 256) + b"the end" * 300
STREAM = frame(Kind.CONTENT, HEAD + BODY)


def joined(pieces: list[bytes]) -> bytes:
    return b"".join(pieces)


def a_decoder(most: int = 1) -> tuple[FrameDecoder, Buffers]:
    decoder, buffers = FrameDecoder(), Buffers(most)
    decoder.buffers = buffers
    return decoder, buffers


def room_of(session: PlugSession | FrameDecoder) -> memoryview | None:
    """Where the next bytes may go, just now."""
    return session.room


def put(decoder: FrameDecoder, data: bytes) -> list[tuple[int, list[bytes]]]:
    """Put bytes where there is room, as a shell does."""
    room = decoder.room
    assert room is not None
    room[: len(data)] = data
    return decoder.filled(len(data))


# Buffers.


def test_a_buffer_is_free_again_when_the_last_view_of_it_is_gone() -> None:
    buffers = Buffers(1)
    whole = buffers.take()
    assert whole is not None
    assert len(whole) == CHUNK_MAX + SPARE
    part = whole[10:20]
    del whole
    assert buffers.take() is None
    del part
    assert buffers.take() is not None
    assert len(buffers) == 1


def test_no_buffer_is_given_to_two() -> None:
    buffers = Buffers(3)
    taken = [buffers.take() for _ in range(3)]
    views = [each for each in taken if each is not None]
    assert len(views) == 3
    for number, view in enumerate(views):
        view[:1] = bytes([number])
    assert [view[0] for view in views] == [0, 1, 2]
    assert buffers.take() is None
    del taken, view
    del views[1]
    again = buffers.take()
    assert again is not None
    again[:1] = b"x"
    assert [each[0] for each in views] == [0, 2]


def test_buffers_that_are_free_are_let_go_but_for_a_few() -> None:
    buffers = Buffers(KEPT + 4)
    taken = [buffers.take() for _ in range(KEPT + 4)]
    buffers.rest()
    assert len(buffers) == KEPT + 4
    used = taken[:2]
    del taken
    buffers.rest()
    assert len(buffers) == KEPT + len(used)
    del used
    buffers.rest()
    assert len(buffers) == KEPT
    buffers.rest()
    assert len(buffers) == KEPT


# One frame.


def test_a_chunk_goes_into_its_buffer_and_what_is_behind_it_is_told() -> None:
    arriving = Arriving(HEAD + BODY[:100], len(HEAD) + len(BODY), head=CONTENT.size, buffers=Buffers(1))
    room = arriving.room
    assert room is not None
    assert len(room) == len(BODY) - 100 + SPARE
    room[:50] = BODY[100:150]
    assert arriving.fill(50) == b""
    assert (arriving.here, arriving.missing) == (len(HEAD) + 150, len(BODY) - 150)
    arriving.add(BODY[150:200])
    room = arriving.room
    assert room is not None
    room[: len(BODY) - 200 + 5] = BODY[200:] + b"after"
    assert arriving.fill(len(BODY) - 200 + 5) == b"after"
    assert (arriving.here, arriving.missing, arriving.room) == (len(HEAD) + len(BODY), 0, None)
    assert [bytes(piece) for piece in arriving.pieces] == [HEAD, BODY]


@pytest.mark.parametrize(
    ("begin", "missing", "most"),
    [
        (HEAD[:-1], FILL_LEAST, 1),
        (HEAD, FILL_LEAST - 1, 1),
        (HEAD, FILL_LEAST, 0),
    ],
    ids=["its head is cut", "little is missing", "no buffer is free"],
)
def test_a_chunk_without_a_buffer_stays_in_pieces(begin: bytes, missing: int, most: int) -> None:
    arriving = Arriving(begin, len(begin) + missing, head=CONTENT.size, buffers=Buffers(most))
    assert arriving.room is None
    arriving.add(b"x" * 10)
    assert arriving.pieces == [begin, b"x" * 10]
    assert arriving.missing == missing - 10


def test_a_chunk_has_a_buffer_from_the_bound_on() -> None:
    assert Arriving(HEAD, len(HEAD) + FILL_LEAST, head=CONTENT.size, buffers=Buffers(1)).room is not None
    assert Arriving(HEAD, len(HEAD) + FILL_LEAST, head=CONTENT.size, buffers=None).room is None


# The decoder.


@pytest.mark.parametrize("most", [0, 1])
@pytest.mark.parametrize("size", [7, 43, 44, 45, 60, 1000, 65_000])
def test_chunks_fed_in_any_pieces_are_whole_with_a_buffer_and_without(size: int, most: int) -> None:
    stream = encode_frame(Kind.PING, b"1") + STREAM * 2 + encode_frame(Kind.PING, b"2") + STREAM
    decoder, _ = a_decoder(most)
    found: list[tuple[int, bytes]] = []
    for at in range(0, len(stream), size):
        for kind, pieces in decoder.feed(stream[at : at + size]):
            found += [(kind, joined(pieces))] if kind == Kind.CONTENT else [(kind, each) for each in pieces]
    content = (Kind.CONTENT, HEAD + BODY)
    assert found == [(Kind.PING, b"1"), content, content, (Kind.PING, b"2"), content]
    assert decoder.pending == 0


def test_what_is_put_into_the_room_is_as_if_it_was_fed() -> None:
    decoder, _ = a_decoder(2)
    assert decoder.room is None
    assert decoder.feed(STREAM[: 44 + 10]) == []
    assert put(decoder, BODY[10:1000]) == []
    assert decoder.pending == 44 + 1000
    assert decoder.feed(BODY[1000:2000]) == []
    ((kind, pieces), (other, pings)) = put(decoder, BODY[2000:] + encode_frame(Kind.PING, b"p"))
    assert (kind, [bytes(each) for each in pieces]) == (Kind.CONTENT, [HEAD, BODY])
    assert (other, pings) == (Kind.PING, [b"p"])
    assert (decoder.room, decoder.pending) == (None, 0)


def test_the_read_that_ends_a_chunk_can_begin_the_next() -> None:
    decoder, _ = a_decoder(2)
    decoder.feed(STREAM[:44])
    ((_, first),) = put(decoder, BODY + STREAM[:SPARE])
    ((_, second),) = put(decoder, STREAM[SPARE:])
    assert joined(first) == joined(second) == HEAD + BODY


def test_what_is_dropped_gives_its_buffer_back() -> None:
    decoder, buffers = a_decoder()
    decoder.feed(STREAM[:50])
    assert buffers.take() is None
    decoder.drop()
    assert decoder.room is None
    assert buffers.take() is not None


# The session.


def a_session() -> PlugSession:
    session = in_state(Role.SERVER, State.OPEN)
    session.lend(Buffers(1))
    return session


def test_a_session_has_room_while_a_chunk_is_on_its_way_and_hears_what_comes_behind() -> None:
    roomy = 0
    for pieces in deliveries(STREAM[:60], pieces=[7]):
        session = a_session()
        assert room_of(session) is None
        for piece in pieces:
            session.receive_data(piece)
        before = session.received
        room = room_of(session)
        if room is None:
            continue  # its head came cut: it stays in pieces
        roomy += 1
        rest = STREAM[60:] + frame(PING, b"now")
        room[: len(rest)] = rest
        session.receive_filled(len(rest))
        assert session.received == before + len(rest)
        (content,) = session.events()
        assert isinstance(content, Content)
        assert (content.transfer, content.index, content.digest, content.size) == (7, 3, b"d" * 32, len(BODY))
        assert b"".join(content.pieces) == BODY
        assert session.data_to_send() == frame(8, b"now")
        assert room_of(session) is None
    assert roomy > 10


def test_what_is_wrong_behind_a_chunk_ends_the_session_after_it() -> None:
    session = a_session()
    session.receive_data(STREAM[:44])
    room = room_of(session)
    assert room is not None
    rest = BODY + frame(99, b"")
    room[: len(rest)] = rest
    session.receive_filled(len(rest))
    content, fault = session.events()
    assert isinstance(content, Content)
    assert "unknown frame kind 99" in str(fault)
    assert not session.receiving


def test_bytes_that_come_after_the_end_are_counted_and_dropped() -> None:
    session = a_session()
    session.receive_data(STREAM[:44])
    session.receive_eof()
    session.events()
    before = session.received
    session.receive_filled(100)
    assert session.received == before + 100
    assert session.events() == []

"""The plug session as it hears posts, their verdicts, and chunks of files."""

from __future__ import annotations

import pytest

from anyplug.limits import Limits
from anyplug.messages import Content
from anyplug.wire import Role, State
from anyplug.wire.frames import FrameDecoder
from tests.wire.network import ACK, CONTENT, DATA, NACK, PART, POST, feed, frame, in_state, number, sequence
from tests.wire.test_plug import VALID, broken, fault, unbroken

CLIENT, SERVER = Role.CLIENT, Role.SERVER


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        (b"", "an ACK frame of 0 bytes, expected 21"),
        (VALID[ACK][:-1], "an ACK frame of 20 bytes, expected 21"),
        (sequence(0) + VALID[ACK][8:], "an ACK of 2 posts from 0, kept as 0: that cannot be"),
        (sequence(1) + bytes(4) + VALID[ACK][12:], "an ACK of 0 posts from 1, kept as 0: that cannot be"),
        (VALID[ACK][:-1] + b"\2", "an ACK of 2 posts from 3, kept as 2: that cannot be"),
    ],
)
def test_an_ack_that_says_nothing_sensible_is_a_fault(payload: bytes, says: str) -> None:
    assert broken(CLIENT, State.OPEN, frame(ACK, payload)) == fault(says)


@pytest.mark.parametrize("role", Role)
def test_a_chunk_may_be_empty_and_its_head_may_not_be_cut_short(role: Role) -> None:
    head = number(1) + number(2) + b"d" * 32
    assert unbroken(role, State.OPEN, frame(CONTENT, head)).facts == [("Content", 1, 2, b"d" * 32, b"")]
    for size in (0, 1, 39):
        says = f"a CONTENT frame of {size} bytes has no room for its transfer, chunk and digest"
        assert broken(role, State.OPEN, frame(CONTENT, head[:size])) == fault(says)


@pytest.mark.parametrize("size", range(8))
def test_a_nack_without_room_for_its_sequence_is_a_fault(size: int) -> None:
    text = f"a NACK frame of {size} bytes has no room for its sequence"
    assert broken(CLIENT, State.OPEN, frame(NACK, bytes(size))) == fault(text)


def test_chunks_come_in_order_with_all_else_and_are_never_mixed_with_parts() -> None:
    head = number(1) + number(2) + b"d" * 32
    stream = frame(CONTENT, head + b"x" * 100) * 2 + frame(DATA, b"a") + frame(CONTENT, head) + frame(DATA, b"b")
    names = [fact[0] for fact in unbroken(SERVER, State.OPEN, stream).facts]
    assert names == ["Content", "Content", "Data", "Content", "Data"]
    text = "a CONTENT frame between the parts of a message"
    assert broken(SERVER, State.OPEN, frame(PART, b"a") + frame(CONTENT, head)) == fault(text)


def test_the_bytes_of_a_chunk_are_not_copied_together() -> None:
    session = in_state(SERVER, State.OPEN)
    stream = frame(CONTENT, number(1) + number(2) + b"d" * 32 + b"x" * 1_000_000)
    for at in range(0, len(stream), 100_000):
        session.receive_data(stream[at : at + 100_000])
        assert session.pending in {0, at + 100_000}
    (content,) = session.events()
    assert isinstance(content, Content)
    assert (content.size, len(content.pieces)) == (1_000_000, 11)


def test_a_bad_sequence_is_a_fault_and_the_posts_before_it_are_kept() -> None:
    good = frame(POST, sequence(1) + b"a") + frame(POST, sequence(2**63 - 1))
    event = ("Posts", [(1, b"a"), (2**63 - 1, b"")])
    for size in range(8):
        outcome = unbroken(SERVER, State.OPEN, good + frame(POST, bytes(size)))
        assert outcome.facts == [event, fault(f"a sequence of {size} bytes, expected 8")]
    for value in (0, 2**63, 2**64 - 1):
        outcome = unbroken(SERVER, State.OPEN, good + frame(POST, sequence(value) + b"x") + good)
        says = f"the sequence {value}; sequences begin at 1 and end below 2^63"
        assert outcome.facts == [event, fault(says)]


def row(first: int, *bodies: bytes) -> bytes:
    """Posts with neighbouring sequences."""
    return b"".join(frame(POST, sequence(at) + body) for at, body in enumerate(bodies, first))


LAST = 2**63 - 1
LIMITS = Limits(message=100)

ROWS = {
    "one": row(1, b"a"),
    "several of one size": row(7, b"aa", b"bb", b"cc"),
    "empty ones": row(1, b"", b"", b""),
    "up to the last sequence": row(LAST - 1, b"a", b"b"),
    "of the largest size": row(1, b"x" * 100, b"y" * 100),
}

OTHERS = {
    "nothing": b"",
    "less than a header": row(1, b"a")[:3],
    "less than a sequence": row(1, b"a")[:11],
    "a sequence cut short": frame(POST, bytes(7)) * 12,
    "no sequence": frame(POST, b"") * 12,
    "a body cut short": row(1, b"aa", b"bb")[:-1],
    "two sizes": row(1, b"a", b"bb", b"a"),
    "two sizes that together are two of one": row(1, b"aaa", b"b", b"aa"),
    "another kind among them": row(1, b"a") + frame(DATA, sequence(2) + b"b") + row(3, b"c"),
    "another kind first": frame(DATA, sequence(1) + b"a") + row(2, b"b"),
    "another kind last": row(1, b"a") + frame(DATA, sequence(2) + b"b"),
    "parts": frame(PART, sequence(1) + b"a") + frame(POST, sequence(2) + b"b"),
    "an unknown kind": row(1, b"a").replace(b"\x0b", b"\x1f"),
    "a gap": row(1, b"a") + row(3, b"b"),
    "one twice": row(1, b"a") * 2,
    "backwards": row(2, b"a") + row(1, b"b"),
    "sequence 0": row(0, b"a", b"b"),
    "above the last sequence": row(LAST + 1, b"a"),
    "past the last sequence": row(LAST, b"a", b"b"),
    "above the limit": row(1, b"x" * 101, b"y" * 101),
}


@pytest.mark.parametrize("stream", [*ROWS.values(), *OTHERS.values()], ids=[*ROWS, *OTHERS])
def test_posts_say_the_same_however_they_come(stream: bytes) -> None:
    session = in_state(SERVER, State.OPEN, LIMITS)
    slowly = [stream[at : at + 1] for at in range(len(stream))]
    assert unbroken(SERVER, State.OPEN, stream, LIMITS) == feed(session, slowly)


@pytest.mark.parametrize("stream", ROWS.values(), ids=ROWS)
def test_whole_posts_of_one_size_are_cut_together(stream: bytes) -> None:
    found = FrameDecoder(LIMITS.message).posts(stream)
    assert found is not None
    assert b"".join(frame(POST, sequence(at) + body) for at, body in found) == stream


@pytest.mark.parametrize("stream", OTHERS.values(), ids=OTHERS)
def test_what_is_not_whole_posts_of_one_size_goes_the_long_way(stream: bytes) -> None:
    assert FrameDecoder(LIMITS.message).posts(stream) is None


@pytest.mark.parametrize("held", [frame(DATA, b"ab")[:5], frame(CONTENT, bytes(60))[:50]], ids=["frame", "chunk"])
def test_posts_are_not_cut_together_behind_half_a_frame(held: bytes) -> None:
    decoder = FrameDecoder(LIMITS.message)
    assert decoder.feed(held) == []
    assert decoder.posts(row(1, b"a", b"b")) is None


def test_a_client_is_not_posted_to_and_parts_are_not_forgotten() -> None:
    assert broken(CLIENT, State.OPEN, row(1, b"a", b"b"))[0] == "Fault"
    session = in_state(SERVER, State.OPEN)
    pieces = [frame(PART, sequence(1) + b"a"), frame(POST, sequence(2) + b"b")]
    assert feed(session, pieces, hurry=True).facts == [("Posts", [(1, b"a" + sequence(2) + b"b")])]

"""Parts: a message larger than a frame goes in pieces; bytes and parts are counted as they come."""

from __future__ import annotations

import pytest

from anyplug.errors import Code, TooLarge
from anyplug.limits import FRAME_MAX, Limits
from anyplug.wire.frames import FrameDecoder, Kind
from anyplug.wire.parts import Assembly, cut_ids, split
from tests.wire.network import number


def frames_of(kind: Kind, prefix: bytes, body: bytes) -> list[tuple[Kind, bytes]]:
    """The frames that `split` makes."""
    decoder = FrameDecoder()
    runs = decoder.feed(b"".join(split(kind, prefix, body)))
    assert decoder.error is None
    assert decoder.pending == 0
    return [(Kind(kind), payload) for kind, payloads in runs for payload in payloads]


@pytest.mark.parametrize(("kind", "prefix"), [(Kind.DATA, b""), (Kind.REQUEST, b"0001"), (Kind.REPLY, b"0002")])
@pytest.mark.parametrize("frames", [1, 2, 3])
@pytest.mark.parametrize("more", [-1, 0, 1, 2, 3, 4, 5])
def test_every_frame_but_the_last_is_full_and_together_they_are_the_payload(
    kind: Kind, prefix: bytes, frames: int, more: int
) -> None:
    body = bytes(range(256)) * ((frames * FRAME_MAX + more) // 256 + 1)
    body = body[: frames * FRAME_MAX + more]
    parts = frames_of(kind, prefix, body)
    assert [each for each, _ in parts] == [Kind.PART] * (len(parts) - 1) + [kind]
    assert {len(payload) for _, payload in parts[:-1]} <= {FRAME_MAX}
    assert 0 < len(parts[-1][1]) <= FRAME_MAX
    assert b"".join(payload for _, payload in parts) == prefix + body
    assert len(parts) == -(-(len(prefix) + len(body)) // FRAME_MAX)


def test_a_small_payload_is_one_frame_and_an_empty_one_too() -> None:
    assert frames_of(Kind.DATA, b"", b"") == [(Kind.DATA, b"")]
    assert frames_of(Kind.REPLY, b"0001", b"") == [(Kind.REPLY, b"0001")]
    assert frames_of(Kind.REQUEST, b"0001", b"hi") == [(Kind.REQUEST, b"0001hi")]


@pytest.mark.parametrize(
    ("kind", "parts", "last"),
    [
        (Kind.DATA, [b"a" * 60], b"b" * 40),
        (Kind.DATA, [b"a" * 100], b""),
        (Kind.DATA, [b"", b"a", b""], b"b"),
        (Kind.REQUEST, [b"0001", b"a" * 60], b"b" * 40),
        (Kind.REQUEST, [b"00"], b"01"),
        (Kind.REPLY, [b"0001" + b"a" * 99], b"b"),
    ],
)
def test_parts_up_to_the_limit_make_one_payload(kind: Kind, parts: list[bytes], last: bytes) -> None:
    assembly = Assembly(Limits(message=100))
    for part in parts:
        assembly.add(part)
    assert assembly.size == len(b"".join(parts))
    assert assembly.finish(kind, last) == b"".join([*parts, last])


@pytest.mark.parametrize(
    ("kind", "parts", "last"),
    [
        (Kind.DATA, [b"a" * 60], b"b" * 41),
        (Kind.DATA, [b"a" * 101], b""),
        (Kind.DATA, [b"a" * 104], b""),
        (Kind.REQUEST, [b"0001" + b"a" * 60], b"b" * 41),
        (Kind.REPLY, [b"0001" + b"a" * 100], b"b"),
        (Kind.POST, [b"00000001" + b"a" * 100], b"b"),
    ],
)
def test_one_byte_above_the_limit_is_too_large_at_the_last_frame(kind: Kind, parts: list[bytes], last: bytes) -> None:
    assembly = Assembly(Limits(message=100))
    for part in parts:
        assembly.add(part)
    with pytest.raises(TooLarge, match=r"message too large: 10[148] bytes, the limit is 100 bytes") as caught:
        assembly.finish(kind, last)
    assert caught.value.code is Code.TOO_LARGE


def test_parts_above_the_limit_of_any_kind_are_too_large_at_once() -> None:
    assembly = Assembly(Limits(message=100))
    assembly.add(b"a" * 108)
    with pytest.raises(TooLarge, match="101 bytes, the limit is 100 bytes"):
        assembly.add(b"a")


@pytest.mark.parametrize("part", [b"", b"a"])
def test_more_parts_than_the_limit_are_refused(part: bytes) -> None:
    assembly = Assembly(Limits(message=100, parts=3))
    for _ in range(3):
        assembly.add(part)
    with pytest.raises(TooLarge, match="4 parts, the limit is 3 parts"):
        assembly.add(part)


def test_a_message_in_full_frames_is_taken_whatever_the_limit_of_parts() -> None:
    full = b"x" * FRAME_MAX
    assembly = Assembly(Limits(message=5 * FRAME_MAX, parts=1))
    for _ in range(4):
        assembly.add(full)
    assert len(assembly.finish(Kind.DATA, full)) == 5 * FRAME_MAX
    assembly = Assembly(Limits(message=5 * FRAME_MAX, parts=1))
    for _ in range(5):
        assembly.add(full)
    assert len(assembly.finish(Kind.REQUEST, b"last")) == 5 * FRAME_MAX + 4


@pytest.mark.parametrize("value", [1, 2, 255, 256, 2**16, 2**31, 2**32 - 1])
def test_ids_stand_before_bodies(value: int) -> None:
    assert cut_ids([number(value) + b"body", number(value)]) == ([(value, b"body"), (value, b"")], None)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (b"", "a request id of 0 bytes, expected 4"),
        (b"\x00", "a request id of 1 bytes, expected 4"),
        (b"\x00\x00\x01", "a request id of 3 bytes, expected 4"),
        (b"\x00\x00\x00\x00", "the request id 0; ids begin at 1 and end below 2^63"),
        (b"\x00\x00\x00\x00body", "the request id 0; ids begin at 1 and end below 2^63"),
    ],
)
@pytest.mark.parametrize("before", [0, 1, 3])
def test_requests_before_a_bad_id_are_kept(bad: bytes, says: str, before: int) -> None:
    good = [number(at + 1) + b"x" for at in range(before)]
    items, fault = cut_ids([*good, bad, number(9)])
    assert items == [(at + 1, b"x") for at in range(before)]
    assert str(fault) == says

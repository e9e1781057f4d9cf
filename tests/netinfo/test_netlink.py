from __future__ import annotations

import pytest

from anyplug.netinfo.netlink import HEADER, NETLINK_ROUTE, attributes, dump, messages, request


def message(kind: int, body: bytes) -> bytes:
    whole = HEADER.pack(HEADER.size + len(body), kind, 0, 1, 0) + body
    return whole + bytes(-len(whole) % 4)


def test_a_request_asks_for_the_whole_table() -> None:
    assert HEADER.unpack(request(22, b"body")[:16]) == (20, 22, 0x301, 1, 0)
    assert request(22, b"body")[16:] == b"body"


def test_messages_are_parted_and_end_at_done() -> None:
    data = message(20, b"one") + message(20, b"") + message(3, bytes(4)) + message(20, b"behind")
    assert list(messages(data)) == [(20, b"one"), (20, b"")]


@pytest.mark.parametrize("data", [b"", b"short", HEADER.pack(3, 20, 0, 0, 0), bytes(16)])
def test_a_length_that_makes_no_sense_ends_the_messages(data: bytes) -> None:
    assert list(messages(message(20, b"x") + data)) == [(20, b"x")]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", {}),
        (b"\x08\0\x01\0abcd", {1: b"abcd"}),
        (b"\x05\0\x01\0a\0\0\0\x04\0\x02\0", {1: b"a", 2: b""}),
        (b"\x08\0\x01\x80abcd", {1: b"abcd"}),
        (b"\x03\0\x01\0", {}),
        (b"\x08\0\x01", {}),
    ],
)
def test_attributes(body: bytes, expected: dict[int, bytes]) -> None:
    if HEADER.pack(1, 0, 0, 0, 0)[:1] != b"\x01":
        pytest.skip("the bytes are written for a little-endian machine")
    assert attributes(b"head" + body, 4) == expected


def test_what_the_kernel_refuses_is_an_error() -> None:
    with pytest.raises(OSError, match="not supported"):
        dump(NETLINK_ROUTE, 0x7000, bytes(16))

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyplug.netinfo.icmp import (
    Echo,
    QueuedError,
    checksum,
    echo_data,
    echo_request,
    error_text,
    parse_echo,
    parse_queued_error,
    without_ip_header,
)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (bytes.fromhex("0001f203f4f5f6f7"), 0x220D),  # the example of RFC 1071, section 3
        (b"", 0xFFFF),
        (b"\x01", 0xFEFF),
        (b"\xff\xff" * 3, 0),
        (b"\xff" * 65507, 0x00FF),
    ],
)
def test_the_checksum_is_that_of_the_rfc(data: bytes, expected: int) -> None:
    assert checksum(data) == expected


@given(st.binary(max_size=200))
def test_a_request_with_its_checksum_sums_up_to_nothing(data: bytes) -> None:
    message = echo_request(4, identifier=7, sequence=9, data=data)
    assert checksum(message) == 0


def test_a_request_over_ipv4() -> None:
    message = echo_request(4, identifier=0x1234, sequence=1, data=b"abc")
    assert (message[:2], message[4:]) == (b"\x08\0", bytes.fromhex("12340001") + b"abc")


def test_a_request_over_ipv6_leaves_the_checksum_to_the_kernel() -> None:
    assert echo_request(6, identifier=0x1234, sequence=1, data=b"abc") == bytes.fromhex("80000000 12340001") + b"abc"


def test_a_sequence_begins_again_behind_its_16_bits() -> None:
    assert echo_request(6, identifier=1, sequence=65537, data=b"") == echo_request(
        6, identifier=1, sequence=1, data=b""
    )


@pytest.mark.parametrize(
    ("family", "message", "request_", "expected"),
    [
        (4, "0000ffff 12340001 6162", False, Echo(0x1234, 1, b"ab")),
        (6, "8100ffff 12340001 6162", False, Echo(0x1234, 1, b"ab")),
        (4, "0800ffff 12340001 6162", True, Echo(0x1234, 1, b"ab")),
        (6, "8000ffff 12340001", True, Echo(0x1234, 1, b"")),
        (4, "0800ffff 12340001", False, None),
        (4, "0000ffff 12340001", True, None),
        (4, "0001ffff 12340001", False, None),
        (6, "0000ffff 12340001", False, None),
        (4, "8100ffff 12340001", False, None),
        (4, "0000ffff 123400", False, None),
        (4, "", False, None),
    ],
)
def test_answers_are_told_from_everything_else(
    family: int, message: str, request_: bool, expected: Echo | None
) -> None:
    assert parse_echo(family, bytes.fromhex(message), request=request_) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("packet", "message"),
    [(b"\x45" + bytes(19) + b"icmp", b"icmp"), (b"\x46" + bytes(23) + b"icmp", b"icmp"), (b"\x45\0", b""), (b"", b"")],
)
def test_the_ip_header_goes_with_its_options(packet: bytes, message: bytes) -> None:
    assert without_ip_header(packet) == message


@pytest.mark.parametrize("size", [0, 3, 8, 9, 300, 65507])
def test_data_begins_with_the_token_and_has_its_size(size: int) -> None:
    data = echo_data(b"12345678", size)
    assert (len(data), data[:8]) == (size, b"12345678"[:size])


@pytest.mark.parametrize(
    ("origin", "kind", "code", "expected"),
    [
        (2, 3, 1, "host unreachable"),
        (2, 3, 13, "admin-prohibited"),
        (2, 11, 0, "too many hops"),
        (3, 1, 3, "host unreachable"),
        (3, 3, 0, "too many hops"),
        (2, 12, 7, "ICMP error of type 12, code 7"),
        (1, 0, 0, ""),
    ],
)
def test_a_record_of_the_error_queue(origin: int, kind: int, code: int, expected: str) -> None:
    record = struct.pack("=IBBBBII", 113, origin, kind, code, 0, 0, 0)
    assert parse_queued_error(record) == QueuedError(113, expected)
    assert parse_queued_error(record[:-1]) is None


def test_the_families_have_errors_of_their_own() -> None:
    assert (error_text(4, 3, 3), error_text(6, 3, 0)) == ("port unreachable", "too many hops")

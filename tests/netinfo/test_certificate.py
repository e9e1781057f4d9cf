from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyplug.netinfo.certificate import read_certificate
from anyplug.netinfo.check_types import Certificate

FOLDER = Path(__file__).parent / "certificates"


def der(name: str) -> bytes:
    return ssl.PEM_cert_to_DER_cert((FOLDER / f"{name}.pem").read_text(encoding="ascii"))


def seconds(text: str) -> float:
    return float(ssl.cert_time_to_seconds(text))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "good",
            Certificate(
                subject="localhost",
                issuer="An authority of tests",
                names=("localhost", "127.0.0.1", "::1"),
                not_before=seconds("Jan  1 00:00:00 2025 GMT"),
                not_after=seconds("Jan  1 00:00:00 2125 GMT"),
            ),
        ),
        (
            "other",  # no common name, and names of other kinds
            Certificate(
                subject="Nobody's name",
                issuer="An authority of tests",
                names=("other.example", "who@other.example", "https://other.example", "(a name of kind 8)"),
                not_before=seconds("Jan  1 00:00:00 2025 GMT"),
                not_after=seconds("Jan  1 00:00:00 2125 GMT"),
            ),
        ),
        (
            "expired",
            Certificate(
                subject="localhost",
                issuer="An authority of tests",
                names=("localhost", "127.0.0.1", "::1"),
                not_before=seconds("Jan  1 00:00:00 2020 GMT"),
                not_after=seconds("Jan  1 00:00:00 2021 GMT"),
            ),
        ),
    ],
)
def test_what_a_certificate_says(name: str, expected: Certificate) -> None:
    assert read_certificate(der(name)) == expected


def test_an_authority_needs_no_names() -> None:
    found = read_certificate(der("authority"))
    assert found is not None
    assert (found.subject, found.issuer, found.names) == ("An authority of tests", "An authority of tests", ())


def value(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    size = len(body)
    return bytes([tag, size]) + body if size < 128 else bytes([tag, 0x82]) + size.to_bytes(2, "big") + body


def name(tag: int, text: bytes, oid: str = "550403") -> bytes:
    return value(0x30, value(0x31, value(0x30, value(0x06, bytes.fromhex(oid)), value(tag, text))))


def made(
    *, subject: bytes = name(0x0C, b"me"), times: tuple[bytes, bytes] | None = None, version: bool = True
) -> bytes:
    begin, end = times or (value(0x17, b"500101000000Z"), value(0x18, b"20500101000000Z"))
    fields = [value(0x02, b"\1"), value(0x30), name(0x0C, b"they"), value(0x30, begin, end), subject, value(0x30)]
    return value(0x30, value(0x30, *([value(0xA0, value(0x02, b"\2"))] if version else []), *fields))


@pytest.mark.parametrize("version", [True, False])
def test_the_least_certificate(version: bool) -> None:
    found = read_certificate(made(version=version))
    assert found is not None
    assert (found.subject, found.issuer, found.names) == ("me", "they", ())
    assert found.not_before == seconds("Jan  1 00:00:00 1950 GMT")
    assert found.not_after == seconds("Jan  1 00:00:00 2050 GMT")


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        (name(0x1E, "名".encode("utf-16-be")), "名"),
        (name(0x1C, "名".encode("utf-32-be")), "名"),
        (name(0x14, b"\xff"), "\\xff"),
        (name(0x0C, b"org", "55040a"), "org"),
        (name(0x0C, b"unit", "55040b"), ""),
        (value(0x30), ""),
    ],
)
def test_names_in_every_alphabet(subject: bytes, expected: str) -> None:
    found = read_certificate(made(subject=subject))
    assert found is not None
    assert found.subject == expected


@pytest.mark.parametrize(
    "time",
    [
        value(0x17, b"5001010000Z"),
        value(0x17, b"50010100000xZ"),
        value(0x18, b"20501301000000Z"),
        value(0x18, b"\xff" * 14),
        value(0x0C, b"20500101000000Z"),
    ],
)
def test_times_that_are_none(time: bytes) -> None:
    assert read_certificate(made(times=(time, time))) is None


@pytest.mark.parametrize(
    "data",
    [b"", b"\x30", b"\x30\x80", b"\x30\x85\0\0\0\0\0", b"\x30\x05\0", b"\x04\0", b"\x30\0", b"\x30\x02\x30\0"],
)
def test_what_is_no_certificate(data: bytes) -> None:
    assert read_certificate(data) is None


def test_a_certificate_that_was_cut_is_none_or_says_the_same() -> None:
    data = der("other")
    assert {read_certificate(data[:size]) for size in range(len(data))} == {None}


@given(st.binary(max_size=300))
def test_nothing_that_comes_breaks_it(data: bytes) -> None:
    read_certificate(data)


@given(st.data())
def test_nothing_that_is_changed_breaks_it(data: st.DataObject) -> None:
    whole = bytearray(der("other"))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    read_certificate(bytes(whole))

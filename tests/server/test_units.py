"""Sizes and times with their units."""

from __future__ import annotations

import datetime as dt

import pytest

from anyplug.server.units import SECONDS_MAX, parse_seconds, parse_size


@pytest.mark.parametrize(
    ("written", "size"),
    [
        (0, 0),
        (65536, 65536),
        (-1, -1),
        ("1 B", 1),
        ("64 KiB", 65536),
        ("16MiB", 16 * 1024 * 1024),
        ("1.5 GiB", 3 * 512 * 1024 * 1024),
        ("64 kB", 64_000),
        ("64 KB", 64_000),
        (" 2 MB ", 2_000_000),
        ("1 GB", 1_000_000_000),
    ],
)
def test_a_size_is_a_number_or_has_a_unit(written: object, size: int) -> None:
    assert parse_size(written) == size


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("16 mib", "there is no unit 'mib'; did you mean \"16 MiB\"?"),
        ("16 m", "there is no unit 'm'; units are B, kB, KB, MB, GB, TB, KiB, MiB, GiB, TiB"),
        (
            "16",
            (
                "'16' has no unit; write it without quotation marks, or with one of B, kB, KB, MB, GB, TB, KiB, MiB, "
                "GiB, TiB"
            ),
        ),
        ("0.3 B", "'0.3 B' is no whole number of bytes"),
        ("-1 B", "expected bytes, such as 65536 or \"16 MiB\", found '-1 B'"),
        ("", "expected bytes, such as 65536 or \"16 MiB\", found ''"),
        ("²B", "expected bytes, such as 65536 or \"16 MiB\", found '²B'"),
        (1.5, 'expected bytes, such as 65536 or "16 MiB", found a fraction'),
        (True, 'expected bytes, such as 65536 or "16 MiB", found true'),
        ([], 'expected bytes, such as 65536 or "16 MiB", found an array'),
        ({}, 'expected bytes, such as 65536 or "16 MiB", found a table'),
        (dt.date(2026, 1, 1), 'expected bytes, such as 65536 or "16 MiB", found date'),
    ],
)
def test_what_is_no_size_is_refused_with_the_remedy(written: object, problem: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_size(written)
    assert str(caught.value) == problem


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (0, 0.0),
        (2.5, 2.5),
        (-1, -1.0),
        ("250 ms", 0.25),
        ("10s", 10.0),
        ("5 m", 300.0),
        ("5 min", 300.0),
        ("1.5 h", 5400.0),
        ("365 d", SECONDS_MAX),
    ],
)
def test_a_time_is_a_number_or_has_a_unit(written: object, seconds: float) -> None:
    assert parse_seconds(written) == seconds


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("10 S", "there is no unit 'S'; did you mean \"10 s\"?"),
        ("10 sec", "there is no unit 'sec'; units are ms, s, min, m, h, d"),
        ("10", "'10' has no unit; write it without quotation marks, or with one of ms, s, min, m, h, d"),
        ("soon", "expected seconds, such as 2.5 or \"5 m\", found 'soon'"),
        (False, 'expected seconds, such as 2.5 or "5 m", found false'),
        (float("inf"), "inf is too long; the longest time is 365 d, which is as good as for ever"),
        (float("nan"), "nan is too long; the longest time is 365 d, which is as good as for ever"),
        (10**400, f"{10**400} is too long; the longest time is 365 d, which is as good as for ever"),
        ("366 d", "366 d is too long; the longest time is 365 d, which is as good as for ever"),
    ],
)
def test_what_is_no_time_is_refused_with_the_remedy(written: object, problem: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_seconds(written)
    assert str(caught.value) == problem

"""Values of every type that the codec ``objects`` carries, and what it means that two are the same."""

from __future__ import annotations

import collections
import datetime as dt
import ipaddress
import math
import uuid
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from anyplug.testing.codec import same

__all__ = ["SCALARS", "VALUES", "exactly"]

BERN = ZoneInfo("Europe/Zurich")
OFFSET = dt.timezone(dt.timedelta(hours=5, minutes=30, microseconds=7))

SCALARS: list[Any] = [
    *(None, True, False, 0, -1, 127, 128, -(2**63), 2**64 - 1, 2**64, -(2**63) - 1, 2**200, -(2**14_270), 10**4_000),
    *(0.5, -0.0, math.inf, -math.inf, math.nan, 1j, complex(-0.0, math.nan), "", "有 \N{PERFORMING ARTS}", "a" * 300),
    *(b"", b"\xc1", b"\xff" * 300, bytearray(), bytearray(b"\xc1\xff"), ...),
    *map(Decimal, ("1.50", "-0", "0E-20", "1E+999999999999999999", "Infinity", "-Infinity", "9" * 4_000)),
    *(Fraction(1, 3), Fraction(-(2**100), 3**70), range(0), range(5), range(2**70, -5, -3)),
    *(dt.date(1, 1, 1), dt.date(9999, 12, 31), dt.timedelta.min, dt.timedelta.max, dt.timedelta(microseconds=-1)),
    *(dt.time(0), dt.time(23, 59, 59, 999_999, fold=1), dt.time(1, tzinfo=OFFSET), dt.time(1, tzinfo=BERN)),
    *(dt.datetime.fromisoformat(text) for text in ("0001-01-01", "2026-11-20T13:04:05.000006")),
    dt.datetime.fromisoformat("9999-12-31T23:59:59.999999").replace(fold=1),
    *(dt.datetime(1, 1, 1, tzinfo=dt.UTC), dt.datetime.max.replace(tzinfo=dt.UTC)),
    *(dt.datetime(2026, 11, 20, tzinfo=dt.UTC, fold=1), dt.datetime(2026, 11, 20, tzinfo=OFFSET)),
    *(dt.datetime(2026, 10, 25, 2, 30, tzinfo=BERN), dt.datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=BERN)),
    *(dt.UTC, OFFSET, dt.timezone(dt.timedelta(0), "Zulu"), BERN),
    *(uuid.UUID(int=0), uuid.UUID(int=2**128 - 1)),
    *map(ipaddress.ip_address, ("127.0.0.1", "::1", "fe80::1%eth0")),
    *map(ipaddress.ip_network, ("10.0.0.0/8", "2001:db8::/32")),
    *map(ipaddress.ip_interface, ("10.1.2.3/8", "2001:db8::1/32")),
]

CONTAINERS: list[Any] = [
    *([], (), {}, set(), frozenset(), [[]], ((),), ([],), [()], {"a": ()}, {1: {2: {3: (4,)}}}),
    *([1, "a", None], (1, "a", None), {1, "a", None}, frozenset({1, "a"}), {"a": [1.5, (2, {3})]}),
    {1: "int", "1": "text", b"1": "bytes", None: "none", 0.5: "float", True + 5: "six"},
    {(1, 2): "tuple", frozenset({3}): "frozenset", Decimal("1.5"): "decimal", 2**70: "long", ((),): "nested"},
    {dt.datetime(2026, 1, 1, tzinfo=dt.UTC): 1, uuid.UUID(int=5): 2, ...: 3},
    {(1, 2), (3, (4,)), frozenset({5}), 6},
    collections.OrderedDict([("b", 1), ("a", (2,)), (3, {4})]),
    collections.deque(),
    collections.deque([1, (2,)], 5),
    collections.deque(maxlen=0),
    [SCALARS[5:9], (2**64, [2**64, (2**65,)])],
    {
        "readings": [
            {"when": dt.datetime.fromisoformat("2026-01-01"), "value": Decimal("1.0")},
            {"tags": ({"a"}, frozenset({"b"}))},
        ]
    },
]

VALUES: list[Any] = [*SCALARS, *CONTAINERS, SCALARS, tuple(SCALARS)]


def exactly(one: Any, other: Any) -> bool:
    """As `same` says, and also in what the comparison of dates, zones, Decimals and orders leaves out."""
    if isinstance(one, Decimal) and isinstance(other, Decimal):
        return type(one) is type(other) and one.as_tuple() == other.as_tuple()
    if isinstance(one, dt.datetime | dt.time | dt.tzinfo):
        return type(one) is type(other) and repr(one) == repr(other)
    if isinstance(one, collections.OrderedDict | collections.deque):
        limits = getattr(one, "maxlen", None), getattr(other, "maxlen", None)
        pairs = [list(each.items() if isinstance(each, dict) else each) for each in (one, other)]
        return type(one) is type(other) and limits[0] == limits[1] and exactly(*pairs)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(exactly, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        pairs = [sorted(each.items(), key=repr) for each in (one, other)]
        return type(one) is type(other) and exactly(*pairs)
    return same(one, other)

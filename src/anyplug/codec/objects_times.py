"""Dates, times and their zones behind a mark.

A *zone* is nothing (naive), the offset from UTC in microseconds (`datetime.timezone`) and its name if it was given one,
or the key of a zone (`zoneinfo.ZoneInfo`). A key is looked up among the names of zones that there are on this machine,
and is never made part of a path before.
"""

from __future__ import annotations

import datetime as dt
import re
import sys
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from anyplug.codec.objects_fault import PartError, shown

if TYPE_CHECKING:
    from collections.abc import Sequence
    from zoneinfo import ZoneInfo

__all__ = [
    "datetime_parts",
    "make_datetime",
    "make_fixed_zone",
    "make_named_zone",
    "make_time",
    "time_parts",
    "zone_parts",
]

NAME_MAX: Final = 100
"""Characters of the name of a zone, a count. The longest key there is has 32."""

_MICROSECOND: Final = dt.timedelta(microseconds=1)
_KEY: Final = re.compile(rf"[A-Za-z0-9_+/-]{{1,{NAME_MAX}}}")


def datetime_parts(value: dt.datetime) -> Sequence[object]:
    """The parts of a datetime."""
    date = (value.year, value.month, value.day)
    return (*date, *_clock(value), *zone_parts(value.tzinfo))


def make_datetime(*parts: object) -> dt.datetime:
    """The datetime of these parts."""
    numbers = _numbers(parts, 8)
    return dt.datetime(*numbers[:7], tzinfo=_zone(parts[8:]), fold=numbers[7])  # type: ignore[arg-type, misc]


def time_parts(value: dt.time) -> Sequence[object]:
    """The parts of a time."""
    return (*_clock(value), *zone_parts(value.tzinfo))


def make_time(*parts: object) -> dt.time:
    """The time of these parts."""
    numbers = _numbers(parts, 5)
    return dt.time(*numbers[:4], tzinfo=_zone(parts[5:]), fold=numbers[4])  # type: ignore[arg-type, misc]


def _clock(value: dt.datetime | dt.time) -> tuple[int, ...]:
    return (value.hour, value.minute, value.second, value.microsecond, value.fold)


def _numbers(parts: Sequence[object], count: int) -> list[int]:
    numbers = [part for part in parts[:count] if type(part) is int]
    if len(numbers) < count:
        raise ValueError(f"it needs {count} integers first")
    return numbers


# Zones.


def zone_parts(zone: Any) -> Sequence[object]:
    """The parts of a zone; none of no zone.

    Raises:
        PartError: a class of zones that is neither of the two, or a ZoneInfo without a key.
    """
    if zone is None:
        return ()
    if type(zone) is dt.timezone:
        arguments: Any = zone.__reduce__()[1]  # the only place that tells a given name from a made one
        return (arguments[0] // _MICROSECOND, *arguments[1:])
    known = sys.modules.get("zoneinfo")
    if known is None or type(zone) is not known.ZoneInfo:
        raise PartError("only zones of datetime.timezone and zoneinfo.ZoneInfo travel: use astimezone() first", zone)
    if zone.key is None:
        raise PartError("a ZoneInfo made from a file has no key: make it with ZoneInfo(key)", zone)
    return (zone.key,)


def _zone(parts: Sequence[object]) -> dt.tzinfo | None:
    if not parts:
        return None
    return make_named_zone(*parts) if type(parts[0]) is str else make_fixed_zone(*parts)


def make_fixed_zone(*parts: object) -> dt.timezone:
    """The fixed offset of these parts."""
    if tuple(map(type, parts)) not in {(int,), (int, str)}:
        raise ValueError("a zone is an offset in microseconds, an offset and a name, or a key")
    offset, *name = parts
    if name and len(str(name[0])) > NAME_MAX:
        raise ValueError(f"the name of its zone has more than {NAME_MAX} characters")
    arguments: Any = (dt.timedelta(microseconds=offset), *name)  # type: ignore[arg-type]
    return dt.timezone(*arguments)


def make_named_zone(*parts: object) -> ZoneInfo:
    """The zone of this key."""
    if tuple(map(type, parts)) != (str,):
        raise ValueError("a zone is an offset in microseconds, an offset and a name, or a key")
    key = str(parts[0])
    if not _KEY.fullmatch(key) or key.removeprefix("posix/").removeprefix("right/") not in _keys():
        raise ValueError(f"there is no time zone {shown(key)} here (the package tzdata has them all)")
    from zoneinfo import ZoneInfo

    return ZoneInfo(key)


@cache
def _keys() -> frozenset[str]:
    """The keys of all zones there are; finding them opens some hundred files, once."""
    from zoneinfo import available_timezones

    return frozenset(available_timezones())

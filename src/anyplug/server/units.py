"""Sizes and times with their units, as people write them in a configuration: ``"16 MiB"``, ``"1.5 h"``."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SECONDS_MAX", "parse_seconds", "parse_size"]

_SIZES: Final = {
    "B": 1,
    "kB": 1000,
    "KB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "TB": 1000**4,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
    "TiB": 1024**4,
}

_TIMES: Final = {"ms": 0.001, "s": 1, "min": 60, "m": 60, "h": 3600, "d": 86400}

_WRITTEN: Final = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?) ?([A-Za-z]*)")

SECONDS_MAX: Final = 365.0 * 86400
"""The longest time that can be set, seconds. Event loops cannot count for ever."""


def parse_size(value: object) -> int:
    """A number of bytes, from a whole number or a text with a unit.

    Raises:
        ValueError: it is neither; says what was expected.
    """
    if isinstance(value, str):
        size = _with_unit(value, _SIZES, 'bytes, such as 65536 or "16 MiB"')
        if size != int(size):
            raise ValueError(f"{value!r} is no whole number of bytes")
        return int(size)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError(f'expected bytes, such as 65536 or "16 MiB", found {_kind(value)}')


def parse_seconds(value: object) -> float:
    """A number of seconds, from a number or a text with a unit.

    Raises:
        ValueError: it is neither, or longer than a year; says what was expected.
    """
    if isinstance(value, str):
        seconds = float(_with_unit(value, _TIMES, 'seconds, such as 2.5 or "5 m"'))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(min(value, 10**18))
    else:
        raise ValueError(f'expected seconds, such as 2.5 or "5 m", found {_kind(value)}')  # noqa: TRY004 - a value out of a file
    if math.isnan(seconds) or seconds > SECONDS_MAX:
        raise ValueError(f"{value} is too long; the longest time is 365 d, which is as good as for ever")
    return seconds


def _with_unit(text: str, units: Mapping[str, float], expected: str) -> float:
    found = _WRITTEN.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"expected {expected}, found {text!r}")
    number, unit = found.groups()
    if not unit:
        raise ValueError(f"{text!r} has no unit; write it without quotation marks, or with one of {', '.join(units)}")
    if unit not in units:
        guess = next((each for each in units if each.lower() == unit.lower()), "")
        hint = f'did you mean "{number} {guess}"?' if guess else f"units are {', '.join(units)}"
        raise ValueError(f"there is no unit {unit!r}; {hint}")
    return float(number) * units[unit]


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return {float: "a fraction", list: "an array", dict: "a table"}.get(type(value), type(value).__name__)

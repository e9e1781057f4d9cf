"""A row of small bars: how a number went, in one line of text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["milliseconds", "sparkline"]

_BARS: Final = "▁▂▃▄▅▆▇█"
_MISSING: Final = "×"


def sparkline(values: Sequence[float | None]) -> str:
    """A bar for each value, from the least at the bottom to the greatest at the top; ``×`` for one that is missing."""
    present = [value for value in values if value is not None]
    if not present:
        return _MISSING * len(values)
    least, width = min(present), max(present) - min(present)
    top = len(_BARS) - 1
    return "".join(
        _MISSING if value is None else _BARS[round((value - least) / width * top) if width else 0] for value in values
    )


def milliseconds(seconds: float | None) -> str:
    """A time in milliseconds with three digits that count; ``-`` where there is none."""
    if seconds is None:
        return "-"
    number = seconds * 1000
    return f"{number:.{3 if number < 1 else 2 if number < 10 else 1 if number < 100 else 0}f} ms"

"""The checks of a framing's own settings, which come from code, addresses and configuration files."""

from __future__ import annotations

from anyplug.errors import LocalError

__all__ = ["check_flag", "check_number"]


def check_number(what: str, value: object, *, least: int, most: int | None = None) -> int:
    """The value, if it is a whole number from `least` to `most` (None: no bound).

    Raises:
        LocalError: it is not; says what, the value and the range.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= least and (most is None or value <= most):
        return value
    span = f"of at least {least:,}" if most is None else f"from {least:,} to {most:,}"
    raise LocalError(f"{what} is {value!r}, expected a whole number {span}")


def check_flag(what: str, value: object) -> bool:
    """The value, if it is True or False.

    Raises:
        LocalError: it is not.
    """
    if isinstance(value, bool):
        return value
    raise LocalError(f"{what} is {value!r}, expected True or False")

"""Options that every command may have, apart from what they mean for a conversation: commands that hold none start
quicker without it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SECONDS", "json_option", "timeout_option"]

F = TypeVar("F", bound="Callable[..., Any]")


class _Seconds(click.ParamType[float]):
    """A time in seconds, more than 0."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number."""
        try:
            seconds = float(value)
        except ValueError:
            seconds = math.nan
        if not 0 < seconds < math.inf:
            self.fail(f"{value!r} is no time: expected a number of seconds above 0, such as 2.5.", param, ctx)
        return seconds


SECONDS: Final = _Seconds()
"""The type of options that are a time."""


def json_option(function: F) -> F:
    """The option --json."""
    return click.option("--json", is_flag=True, help="Say everything as JSON, one event a line.")(function)


def timeout_option(text: str) -> Callable[[F], F]:
    """The option --timeout."""
    return click.option("--timeout", type=SECONDS, metavar="SECONDS", help=text)

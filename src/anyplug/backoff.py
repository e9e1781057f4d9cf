"""How long to wait before trying again: longer each time, up to a bound, and never at the same moment as others.

The wait is anywhere between nothing and ``first * factor ** attempt`` ("full jitter"): a thousand clients of a server
that was restarted come back spread over that time, where equal waits would bring them all at once, again and again.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import msgspec

from anyplug.errors import Code, LocalError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FINAL", "Backoff"]

FINAL: Final[Mapping[Code, str]] = {
    Code.UNKNOWN_SERVICE: "the address names what is not there",
    Code.UNKNOWN_VERSION: "one of the two programs has to be replaced",
    Code.UNKNOWN_CODEC: "the service takes other codecs",
    Code.NOT_ALLOWED: "the token is wrong or missing",
    Code.UNSUPPORTED: "the service does not do what was asked for",
    Code.CONFLICT: "a copy of this producer has posted other messages under the same sequences",
    Code.TAKEN_OVER: "another process took this one's place, and would lose it in turn",
}
"""The codes with which a server refuses or ends a conversation, and after which trying again does not help until
somebody changes something; with the reason. After all others it helps, sooner or later."""


class Backoff(msgspec.Struct, frozen=True, kw_only=True):
    """When to try again after a failure. The defaults suit a person or a program that waits for the other end.

    Raises:
        LocalError: a value that makes no sense.
    """

    first: float = 0.1
    """The longest wait before the first attempt, seconds."""
    most: float = 30.0
    """The longest wait of all, seconds."""
    factor: float = 2.0
    """How much longer each attempt may wait than the one before."""
    patience: float | None = None
    """After so many seconds without success nothing more is tried; None tries for ever."""

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if not 0 < self.first <= self.most < math.inf:
            raise LocalError(f"a backoff from {self.first!r} to {self.most!r} s; expected 0 < first <= most")
        if not 1 <= self.factor < math.inf:
            raise LocalError(f"a backoff with the factor {self.factor!r}; expected at least 1")
        if self.patience is not None and not self.patience > 0:
            raise LocalError(f"a patience of {self.patience!r} s; expected more than 0, or None to try for ever")

    def bound(self, attempt: int) -> float:
        """The longest wait before an attempt, seconds; the first one is 0."""
        doublings = math.log(self.most / self.first, self.factor) if self.factor > 1 else math.inf
        return self.most if attempt >= doublings else min(self.most, self.first * self.factor**attempt)

    def delay(self, attempt: int, roll: float) -> float:
        """How long to wait before an attempt, seconds.

        Args:
            attempt: how many have failed before.
            roll: a random number from 0 to 1.
        """
        return roll * self.bound(attempt)

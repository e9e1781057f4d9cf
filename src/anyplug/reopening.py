"""When a conversation that ended is opened again: the rules, without a clock, dice or a socket.

A conversation ends for good when either side ended it on purpose, and when the server says that another attempt makes
no sense. In all other cases it is opened anew, after waits that grow. A connection that lasted longer than the wait
before it ends the row of failures: one that breaks as soon as it is open is not hammered.

What was under way when it broke is unknown and never said again by itself. Whoever receives is told of the break by one
`Reconnected`, behind all that came before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from anyplug.backoff import FINAL
from anyplug.errors import AnyplugError, Broken, Code, ConnectError, ConnectionClosed, LocalError, Refused, Timeout

if TYPE_CHECKING:
    from anyplug.backoff import Backoff

__all__ = ["LEAVES", "OLD_MOST", "SEND_TIMEOUT", "Reconnected", "Reopening", "heals"]

SEND_TIMEOUT: Final = 30.0
"""How long a send waits for a new connection, seconds, where nothing else is said."""

OLD_MOST: Final = 16
"""Broken connections whose messages nobody has received yet. Of one more the oldest is given up."""

LEAVES: Final = frozenset({Code.GOING_AWAY, Code.BUSY, Code.IDLE, Code.SLOW})
"""The codes with which a server ends a conversation that it would hold again. With any other it was over."""


class Reconnected(AnyplugError):
    """The conversation broke and was opened anew. Raised once, by the next receive; then it goes on.

    What was on its way when it broke is unknown: messages of either side may be missing. What the service knew of the
    old connection is gone.

    Attributes:
        same: whether it is the same incarnation of the server: the same process, with what it holds in memory. None
            where it does not say, as on plain connections.
        seconds: how long there was no connection.
        attempts: how many it took.
        breaks: how many breaks this tells of; more than one where nobody received meanwhile.
    """

    def __init__(self, *, same: bool | None, seconds: float, attempts: int, breaks: int = 1) -> None:
        super().__init__(same, seconds, attempts, breaks)
        self.same = same
        self.seconds = seconds
        self.attempts = attempts
        self.breaks = breaks

    def __str__(self) -> str:
        who = {True: "the same server", False: "a server that was started anew", None: "the server"}[self.same]
        attempts = "1 attempt" if self.attempts == 1 else f"{self.attempts} attempts"
        return f"reconnected to {who} after {self.seconds:.1f} s and {attempts}; what was on its way is unknown"

    def with_later(self, later: Reconnected) -> Reconnected:
        """This one and a later one, which nobody was told of separately, as one."""
        same = None if None in {self.same, later.same} else bool(self.same and later.same)
        return Reconnected(
            same=same,
            seconds=self.seconds + later.seconds,
            attempts=self.attempts + later.attempts,
            breaks=self.breaks + later.breaks,
        )


def heals(error: AnyplugError) -> bool:
    """Whether opening the conversation again makes sense after it ended, or could not be opened, with this error."""
    if isinstance(error, ConnectionClosed):
        return error.code in LEAVES
    if isinstance(error, Refused):
        return error.code not in FINAL
    return isinstance(error, (Broken, ConnectError, Timeout)) and not isinstance(error, LocalError)


class Reopening:
    """Breaks and attempts of one conversation.

    Args:
        backoff: how long to wait between attempts, and when to give up.
        incarnation: what the server calls its life in its WELCOME; empty where it does not say.
        now: the time in seconds, monotonic.
    """

    __slots__ = ("_attempts", "_backoff", "_failures", "_incarnation", "_opened_at", "_since", "news", "retry_at")

    def __init__(self, backoff: Backoff, *, incarnation: str, now: float) -> None:
        self._backoff = backoff
        self._incarnation = incarnation
        self._opened_at = now
        self._since = now
        self._attempts = 0
        self._failures = 0
        self.retry_at = now
        """When the next attempt is due."""
        self.news: Reconnected | None = None
        """What nobody was told of yet."""

    def broke(self, now: float, roll: float) -> None:
        """The connection has gone.

        Args:
            now: the time.
            roll: a random number from 0 to 1.
        """
        if now - self._opened_at > self._backoff.bound(self._failures):
            self._failures = 0
        self._since = now
        self._attempts = 0
        self._wait(now, roll)

    def failed(self, error: AnyplugError, now: float, roll: float) -> bool:
        """An attempt has failed; whether there is to be another one. The arguments are those of `broke`."""
        self._attempts += 1
        patience = self._backoff.patience
        if not heals(error) or (patience is not None and now - self._since >= patience):
            return False
        self._wait(now, roll)
        if patience is not None:
            self.retry_at = min(self.retry_at, self._since + patience)
        return True

    def opened(self, incarnation: str, now: float) -> None:
        """An attempt has succeeded; `news` tells of it."""
        same = incarnation == self._incarnation if incarnation and self._incarnation else None
        news = Reconnected(same=same, seconds=now - self._since, attempts=self._attempts + 1)
        self.news = news if self.news is None else self.news.with_later(news)
        self._incarnation = incarnation
        self._opened_at = now

    def _wait(self, now: float, roll: float) -> None:
        self.retry_at = now + self._backoff.delay(self._failures, roll)
        self._failures += 1

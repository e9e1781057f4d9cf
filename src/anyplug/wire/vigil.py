"""Deadlines of one connection: silence, and messages that do not get finished.

A vigil is asked at regular ticks (once a second will do) and looks at counters that the session keeps anyway, so that
watching costs nothing when bytes arrive. Rules:

1. A plug connection from which nothing came for ``ping`` seconds is asked with PING, again and again until something
   comes.
2. Nothing for ``dead`` seconds: broken. But not while this side cannot hear: it has stopped reading, or was itself held
   up (a blocked loop, a suspended machine: ticks more than ``ping`` apart), or the peer has said BYE and need not say
   more. It goes on sending PINGs then, and these tell the peer that it is alive.
3. A message that has begun must be whole within ``frame_time``, unless it keeps coming at ``rate`` on the average.
4. With ``idle`` set, a conversation in which no *message byte* came for so long is ended, unless this side cannot hear.
   A PONG does not count: it shows life, not talk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyplug.errors import Broken, Timeout

if TYPE_CHECKING:
    from anyplug.limits import Limits
    from anyplug.wire.session import Session

__all__ = ["Vigil"]


class Vigil:
    """The watch over one session."""

    __slots__ = (
        "_asked_at",
        "_batches",
        "_began_at",
        "_began_with",
        "_heard_at",
        "_limits",
        "_received",
        "_session",
        "_talked_at",
        "_ticked_at",
    )

    def __init__(self, session: Session, limits: Limits, now: float) -> None:
        """``now``: seconds of a monotonic clock, as in every later call."""
        self._session = session
        self._limits = limits
        self._received = session.received
        self._batches = session.batches
        self._heard_at = self._talked_at = self._asked_at = self._ticked_at = now
        self._began_at: float | None = None
        self._began_with = 0

    @property
    def heard(self) -> bool:
        """Whether anything came since the last tick."""
        return self._session.received != self._received

    def tick(self, now: float, *, reading: bool = True) -> None:
        """Look at the session, and have it send a PING where one is due.

        Args:
            now: the time, seconds.
            reading: False while this side does not read, so that silence says nothing.

        Raises:
            Broken: the peer is silent for too long.
            Timeout: a message does not get finished, or nothing was said for the idle time.
        """
        session = self._session
        hearing = reading and session.receiving and now - self._ticked_at <= self._limits.ping
        self._ticked_at = now
        heard = self.heard
        if session.batches != self._batches or not hearing:
            self._batches = session.batches
            self._talked_at = now
            self._began_at = None
        if heard:
            self._received = session.received
            self._heard_at = now
        elif session.has_requests:
            self._tick_silence(now, hearing=hearing)
        if not session.pending:
            self._began_at = None
        elif hearing:
            self._tick_message(now, heard=heard)
        idle = self._limits.idle
        if idle and now - self._talked_at >= idle:
            raise Timeout("a message of the peer", idle)

    def _tick_silence(self, now: float, *, hearing: bool) -> None:
        limits = self._limits
        quiet = now - self._heard_at
        if not hearing:
            self._heard_at = max(self._heard_at, now - limits.ping)
        elif quiet >= limits.dead:
            raise Broken(f"nothing came from the peer for {quiet:.0f} s, not even an answer to PING")
        if quiet >= limits.ping and now - self._asked_at >= limits.ping and self._session.send_ping():
            self._asked_at = now

    def _tick_message(self, now: float, *, heard: bool) -> None:
        if heard:
            self._talked_at = now
        if self._began_at is None:
            self._began_at = now
            self._began_with = self._received
            return
        took = now - self._began_at
        came = self._received - self._began_with
        if took >= self._limits.frame_time and came < took * self._limits.rate:
            what = f"the rest of a message of the peer ({came:,} bytes in {took:.0f} s)"
            raise Timeout(what, self._limits.frame_time)

"""How fast a scan goes: how many connections it tries at once, how long it waits for each, how often it tries again.

A scanner that goes too fast loses open ports: queues on the way overflow, and silence looks like a firewall's. Silence
alone proves nothing. But a port that was silent and answers when it is tried again proves that something was lost: then
half as many are tried at once, and silent ports are tried more often. So it slows down where packets are lost, and not
where they are dropped on purpose.

Pure: time is an argument.
"""

from __future__ import annotations

from typing import Final

__all__ = ["Pacer"]

FIRST_WAIT: Final = 1.0
"""How long the first answers are waited for, seconds. TCP itself repeats a SYN after one second (RFC 6298)."""
LEAST_WAIT: Final = 0.3
MOST_WAIT: Final = 1.5
"""Bounds of the wait for one answer, seconds, whatever round trips were measured."""
MOST_TRIES: Final = 8
"""How often a silent port is tried at most, where many packets are lost."""
LEAST_WINDOW: Final = 8
"""How many are tried at once at least."""
FIRST_WINDOW: Final = 64


class Pacer:
    """The pace of one scan.

    Args:
        most: connections at once at most, by the limit on open files.
        retries: how often a silent port is tried again at least.
        wait: how long an answer is waited for, seconds; 0 learns it from the answers.
        rate: connections a second at most; 0 is no limit.
    """

    __slots__ = ("_deviation", "_halved", "_least_tries", "_mean", "_next", "_rate", "_wait", "most", "tries", "window")

    def __init__(self, *, most: int, retries: int, wait: float = 0.0, rate: float = 0.0) -> None:
        self.most = max(most, 1)
        self.window = float(min(FIRST_WINDOW, self.most))
        """How many may be tried at once now."""
        self.tries = retries + 1
        """How often a silent port is tried in all."""
        self._least_tries = retries
        self._wait = wait
        self._rate = rate
        self._next = 0.0
        self._halved = -MOST_WAIT
        self._mean = 0.0
        self._deviation = 0.0

    @property
    def fixed(self) -> bool:
        """Whether the wait was given, and is not learned."""
        return self._wait > 0

    def answered(self, seconds: float, number: int, now: float = 0.0) -> None:
        """A port answered.

        Args:
            seconds: after how long.
            number: at which try, from 1.
            now: when. What was lost together counts once.
        """
        if number == 1:
            self._measure(seconds)
            self.window = min(self.window + (1.0 if self.window < 512 else 32.0 / self.window), self.most)
            return
        if now >= self._halved + self.wait(1):
            self._halved = now
            self.window = max(self.window / 2, min(LEAST_WINDOW, self.most))
        if self._least_tries:
            self.tries = min(max(self.tries, number + 2), MOST_TRIES)

    def _measure(self, seconds: float) -> None:
        """The mean round trip and its deviation (RFC 6298, section 2)."""
        if not self._mean:
            self._mean, self._deviation = seconds, seconds / 2
            return
        self._deviation += (abs(seconds - self._mean) - self._deviation) / 4
        self._mean += (seconds - self._mean) / 8

    def wait(self, number: int) -> float:
        """How long the answer of a try is waited for, seconds; longer at each further try."""
        if self._wait:
            return self._wait
        learned = self._mean + 4 * self._deviation
        first = min(max(3 * learned, LEAST_WAIT), FIRST_WAIT) if self._mean else FIRST_WAIT
        return min(first * (1 << (number - 1)), MOST_WAIT)

    def starved(self, under_way: int) -> None:
        """The system gave no more sockets: from now on no more than are under way."""
        self.most = max(under_way, 1)
        self.window = min(self.window, self.most)

    def pause(self, now: float) -> float:
        """How long the next try has to wait for its turn, seconds; 0 where it may go. Then its turn is taken."""
        if not self._rate:
            return 0.0
        if self._next > now:
            return self._next - now
        self._next = max(self._next, now - 0.01) + 1 / self._rate
        return 0.0

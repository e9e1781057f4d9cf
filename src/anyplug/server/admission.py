"""Who may come in: counts of connections, in all and per peer address.

The answer is prompt, and given before anything of the peer is read: one too many is told ``busy``.
"""

from __future__ import annotations

from collections import Counter

__all__ = ["Admission"]


class Admission:
    """The places of one server, or of one listener.

    Args:
        most: connections in all.
        most_per_host: connections per peer address.
    """

    __slots__ = ("_hosts", "_most_per_host", "most", "refused", "total")

    def __init__(self, most: int, most_per_host: int) -> None:
        self.most = most
        """Connections at once, in all."""
        self._most_per_host = most_per_host
        self._hosts: Counter[str] = Counter()
        self.total = 0
        """Connections inside now."""
        self.refused = 0
        """Connections turned away so far."""

    def enter(self, host: str) -> str:
        """Take a place. Returns an empty string, or why there is none."""
        if self.total >= self.most:
            self.refused += 1
            return f"all {self.most:,} places are taken; try again later"
        if self._hosts[host] >= self._most_per_host:
            self.refused += 1
            return f"all {self._most_per_host:,} places for {host} are taken; close some connections or try again later"
        self._hosts[host] += 1
        self.total += 1
        return ""

    def leave(self, host: str) -> None:
        """Give the place back."""
        self.total -= 1
        self._hosts[host] -= 1
        if not self._hosts[host]:
            del self._hosts[host]

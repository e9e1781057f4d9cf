"""What a scan tells."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

__all__ = ["Identity", "PortFound", "PortState", "ScanReport", "Target"]

PortState: TypeAlias = Literal["open", "closed", "unknown", "open|unknown"]
"""``closed`` is said only where the host itself refused. ``open|unknown`` is a UDP port that is silent: most programs
do not answer what they do not understand."""


class Target(msgspec.Struct, frozen=True):
    """One host to look at."""

    host: str
    """As it was named."""
    address: str
    """Its IP address."""
    family: Literal[4, 6]
    scope: int = 0
    """The number of the interface, for an address that is known on its link alone."""

    def sockaddr(self, port: int) -> tuple[str, int] | tuple[str, int, int, int]:
        """As the system takes it."""
        return (self.address, port) if self.family == 4 else (self.address, port, 0, self.scope)


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """What speaks at an open port, as far as it could be seen."""

    protocol: str
    """``anyplug``, ``tls``, ``http``, ``banner`` where it spoke first, or ``silent``."""
    detail: str = ""
    """What it said of itself; a stranger's words, to be escaped before they are shown."""


class PortFound(msgspec.Struct, frozen=True, kw_only=True):
    """One port of one host."""

    port: int
    state: PortState
    why: str = ""
    """Why nothing better is known: ``timed out``, ``unreachable``, ``admin-prohibited``, or the system's words."""
    seconds: float | None = None
    """How long its answer took; None where there was none."""
    tries: int = 1
    """How often it was asked."""
    service: str = ""
    """The usual service of that number."""
    identity: Identity | None = None


class ScanReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was found of one host."""

    target: Target
    protocol: Literal["tcp", "udp"]
    asked: int
    """Ports that were to be looked at."""
    found: tuple[PortFound, ...]
    """The ports that are not closed, by number."""
    closed: tuple[int, ...]
    """The ports that the host refused."""
    whole: bool = True
    """Whether every port was looked at; False after an interruption."""

"""Which ports of a host are open.

::

    from anyplug.netinfo.scan import ScanOptions, scan

    for report in scan("192.168.1.7", ports="1-1024"):
        print(report.target.address, [each.port for each in report.found if each.state == "open"])

Look only at machines that are yours, or whose owner has consented.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from anyplug.netinfo.pacing import Pacer
from anyplug.netinfo.ports import parse_ports, service_name
from anyplug.netinfo.scan_types import Identity, PortFound, PortState, ScanReport, Target
from anyplug.netinfo.targets import find_targets
from anyplug.netinfo.tcp_scan import Outcome, TcpScan
from anyplug.netinfo.udp_scan import UdpScan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = [
    "DEFAULT_OPTIONS",
    "Identity",
    "PortFound",
    "PortState",
    "Progress",
    "ScanOptions",
    "ScanReport",
    "Scanning",
    "Target",
    "find_targets",
    "scan",
]

_KEPT_FILES: Final = 16
"""Descriptors that are left to the rest of the program."""
_MOST_AT_ONCE: Final = 1000
"""Connections at once at most: more gain nothing, and fill the tables of routers on the way."""


class ScanOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to look."""

    retries: int = 3
    """How often a silent port is asked again; more often where packets are seen to be lost. 0 is honoured."""
    wait: float = 0.0
    """How long one answer is waited for, seconds; 0 learns it from the answers."""
    rate: float = 0.0
    """Connections a second at most; 0 is no limit."""
    at_once: int = 0
    """Connections at once at most; 0 is what the limit on open files allows, up to 1,000."""


DEFAULT_OPTIONS: Final = ScanOptions()
"""How to look where nothing is said."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a scan is."""

    done: int
    asked: int
    """Ports in all, of all hosts."""
    open: int

    def left(self, seconds: float) -> float | None:
        """How long it may still take, from how long it took so far; None as long as nothing can be said."""
        return seconds * (self.asked - self.done) / self.done if self.done else None


class Scanning:
    """A scan under way. What is known so far can be read at any time, after an interruption too.

    Args:
        targets: the hosts.
        ports: the ports of each.
        protocol: tcp or udp.
        options: how to look.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        ports: Sequence[int],
        *,
        protocol: Literal["tcp", "udp"] = "tcp",
        options: ScanOptions = DEFAULT_OPTIONS,
    ) -> None:
        self.protocol = protocol
        self.targets = list(targets)
        self.ports = ports
        self._found: list[dict[int, Outcome]] = [{} for _ in self.targets]
        self._closed = [bytearray(65536) for _ in self.targets]
        self._done = [0] * len(self.targets)
        self._open = 0
        most = options.at_once or min(_MOST_AT_ONCE, files_left())
        pacer = Pacer(most=most, retries=options.retries, wait=options.wait, rate=options.rate)
        self._scan = (TcpScan if protocol == "tcp" else UdpScan)(self.targets, ports, pacer)

    @property
    def progress(self) -> Progress:
        """How far it is."""
        return Progress(done=sum(self._done), asked=len(self.targets) * len(self.ports), open=self._open)

    def run(self) -> Iterator[list[tuple[Target, PortFound]]]:
        """Look; what was found that is not closed, in batches as it comes. Some batches are empty.

        Raises:
            LocalError: this machine has no sockets left for it.
        """
        for batch in self._scan.run():
            yield [found for outcome in batch if (found := self._take(outcome)) is not None]

    def _take(self, outcome: Outcome) -> tuple[Target, PortFound] | None:
        at = outcome.target
        self._done[at] += 1
        if outcome.state == "closed":
            self._closed[at][outcome.port] = 1
            return None
        self._open += outcome.state == "open"
        self._found[at][outcome.port] = outcome
        return self.targets[at], _port_found(outcome, self.protocol)

    def reports(self) -> list[ScanReport]:
        """What is known so far, by host."""
        return [
            ScanReport(
                target=target,
                protocol=self.protocol,
                asked=len(self.ports),
                found=tuple(_port_found(found[port], self.protocol) for port in sorted(found)),
                closed=tuple(port for port in self.ports if closed[port]),
                whole=done == len(self.ports),
            )
            for target, found, closed, done in zip(self.targets, self._found, self._closed, self._done, strict=True)
        ]


def scan(
    host: str,
    *,
    ports: str | Sequence[int] = "top",
    family: Literal[0, 4, 6] = 0,
    yes: bool = False,
    protocol: Literal["tcp", "udp"] = "tcp",
    options: ScanOptions = DEFAULT_OPTIONS,
    progress: Callable[[Progress], None] = lambda _: None,
) -> list[ScanReport]:
    """Which ports of a host are open, closed or unknown.

    Args:
        host: a name, an address, or a network such as ``192.168.1.0/24``.
        ports: as `anyplug.netinfo.ports.parse_ports` reads them, or numbers.
        family: 4 or 6; 0 is both.
        yes: networks larger than a /24 too.
        protocol: tcp, or udp, where silence is no proof.
        options: how to look.
        progress: is told how far it is, several times a second.

    Raises:
        LocalError: the ports or the network make no sense, or this machine has no sockets left.
        ConnectError: the name could not be looked up.
    """
    numbers = parse_ports(ports) if isinstance(ports, str) else tuple(ports)
    scanning = Scanning(find_targets(host, family=family, yes=yes), numbers, protocol=protocol, options=options)
    for _ in scanning.run():
        progress(scanning.progress)
    return scanning.reports()


def files_left() -> int:
    """How many descriptors the process may still open, less some for the rest of it."""
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _MOST_AT_ONCE
    try:
        used = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names are enough
    except OSError:
        used = 16
    return max(soft - used - _KEPT_FILES, 4)


def _port_found(outcome: Outcome, protocol: Literal["tcp", "udp"]) -> PortFound:
    return PortFound(
        port=outcome.port,
        state=outcome.state,  # type: ignore[arg-type]
        why=outcome.why,
        seconds=outcome.seconds,
        tries=outcome.tries,
        service=service_name(outcome.port, protocol),
    )

"""``anyplug scan``: which ports of a host are open."""

from __future__ import annotations

import sys
import time
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

import click

from anyplug.cli.faults import INTERRUPTED, OK
from anyplug.cli.flags import SECONDS, json_option
from anyplug.cli.output import Output
from anyplug.cli.scan_unix import names_unix, run
from anyplug.cli.table import Column, put_table
from anyplug.errors import LocalError
from anyplug.escape import escape
from anyplug.netinfo.ports import parse_ports, port_ranges
from anyplug.netinfo.scan import Scanning, ScanOptions, find_targets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anyplug.netinfo.scan import Identity, PortFound, ScanReport, Target

__all__ = ["command"]

_COLUMNS: Final = (Column("HOST"), Column("PORT", right=True), Column("STATE"), Column("SERVICE"), Column("WHY"))
_PORTS: Final = "top"
_TOLD_MOST: Final = 20
"""Unknown ports of one host and reason that are a line each; more are one line together."""
IDENTIFY_WAIT: Final = 1.0
"""How long each answer to --identify is waited for where nothing is said, seconds."""
_TURN: Final = 0.1
"""Seconds between two signs of progress."""


@click.command(
    "scan",
    short_help="Find the open ports of a host.",
    epilog="""\b
    Examples:
    anyplug scan 192.168.1.7
    anyplug scan localhost -p 1-1024,7584 --identify
    anyplug scan 192.168.1.0/24 -p 22 --json
    anyplug scan unix""",
)
@click.argument("hosts", nargs=-1, required=True, metavar="HOST...")
@click.option("--ports", "-p", default=_PORTS, help="Ports: 80, 1-1024, top, all, joined with commas; top.")
@click.option("--udp", is_flag=True, help="UDP in place of TCP. Most open ports are silent: open|unknown.")
@click.option("--ipv4", "-4", "family", flag_value=4, type=int, help="Only IPv4.")
@click.option("--ipv6", "-6", "family", flag_value=6, type=int, help="Only IPv6.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), metavar="N", help="Connections a second at most.")
@click.option("--at-once", type=click.IntRange(1), metavar="N", help="Connections at once at most.")
@click.option("--retries", type=click.IntRange(0, 7), default=3, help="How often a silent port is asked again; 3.")
@click.option("--timeout", type=SECONDS, metavar="SECONDS", help="How long each answer is waited for; it is learned.")
@click.option("--identify", is_flag=True, help="Ask each open port what it speaks.")
@click.option("--all", "closed", is_flag=True, help="List closed ports too.")
@click.option("--yes", is_flag=True, help="Scan networks larger than a /24.")
@json_option
def command(
    hosts: Sequence[str],
    ports: str,
    udp: bool,
    family: int | None,
    rate: float | None,
    at_once: int | None,
    retries: int,
    timeout: float | None,
    identify: bool,
    closed: bool,
    yes: bool,
    json: bool,
) -> int:
    """Find the open ports of each HOST: a name, an address, or a network such as 192.168.1.0/24.

    A port is open when it takes a connection, and closed when the host itself refuses one. Where nothing answers, or a
    router does, it is unknown, and why. Whoever scans machines of others needs their consent.

    With unix, the unix sockets that listen on this machine are tried, with unix:///path that one.
    """
    output = Output(json=json)
    if any(map(names_unix, hosts)):
        _check_unix(hosts, udp=udp, identify=identify, family=family, ports=ports)
        return run(hosts, output, closed=closed)
    if udp and identify:
        raise LocalError("--identify asks over TCP; leave out --udp or --identify")
    numbers = parse_ports(ports)
    targets = _targets(hosts, family or 0, yes=yes)
    options = ScanOptions(retries=retries, wait=timeout or 0.0, rate=rate or 0.0, at_once=at_once or 0)
    scanning = Scanning(targets, numbers, protocol="udp" if udp else "tcp", options=options)
    if not all(ip_address(target.address).is_loopback for target in targets):
        output.note("scan only machines that are yours, or whose owner has consented")
    return _Work(scanning, output, identify=(timeout or IDENTIFY_WAIT) if identify else 0.0, closed=closed).run()


def _check_unix(hosts: Sequence[str], *, udp: bool, identify: bool, family: int | None, ports: str) -> None:
    """Raise `LocalError` where what is asked for means nothing for unix sockets."""
    others = [host for host in hosts if not names_unix(host)]
    if others:
        raise LocalError(f"unix sockets are scanned by themselves; scan {', '.join(others)} with another command")
    if udp or identify or family or ports != _PORTS:
        raise LocalError("unix sockets have no ports, families or protocols; leave out all but --all and --json")


def _targets(hosts: Sequence[str], family: int, *, yes: bool) -> list[Target]:
    found = [target for host in hosts for target in find_targets(host, family=family, yes=yes)]  # type: ignore[arg-type]
    return list({(target.address, target.scope): target for target in found}.values())


class _Work:
    """A scan, and how it is told."""

    def __init__(self, scanning: Scanning, output: Output, *, identify: float, closed: bool) -> None:
        self._scanning = scanning
        self._output = output
        self._identify = identify
        self._closed = closed
        self._identities: dict[tuple[str, int], Identity] = {}
        self._began = time.monotonic()
        self._turn = self._began
        self._bar = not output.json and sys.stderr is not None and sys.stderr.isatty()

    def run(self) -> int:
        """Scan and tell. After Ctrl-C what is known so far is told too."""
        status = OK
        try:
            for batch in self._scanning.run():
                self._tell_batch(batch)
                self._show_progress()
            if self._identify:
                self._ask_identities()
        except KeyboardInterrupt:
            status = INTERRUPTED
        self._clear_progress()
        self._tell_end()
        return status

    def _tell_batch(self, batch: Sequence[tuple[Target, PortFound]]) -> None:
        if self._output.json and not self._identify:
            lines = [self._event(target, found) for target, found in batch]
            self._output.write(b"".join(lines))

    def _ask_identities(self) -> None:
        from anyplug.netinfo.identify import identify_all

        places = [
            (report.target, each.port)
            for report in self._scanning.reports()
            for each in report.found
            if each.state == "open"
        ]
        for target, port, identity in identify_all(places, wait=self._identify):
            self._identities[target.address, port] = identity

    def _event(self, target: Target, found: PortFound) -> bytes:
        identity = self._identities.get((target.address, found.port))
        facts: dict[str, Any] = {
            "host": target.host,
            "address": target.address,
            "protocol": self._scanning.protocol,
            "port": found.port,
            "state": found.state,
            "why": found.why or None,
            "service": found.service or None,
            "seconds": found.seconds,
            "tries": found.tries,
        }
        if self._identify:
            facts["identity"] = identity and {"protocol": identity.protocol, "detail": identity.detail}
        return self._output.event("port", **facts)

    # Progress.

    def _show_progress(self) -> None:
        now = time.monotonic()
        if not self._bar or now < self._turn + _TURN:
            return
        self._turn = now
        progress = self._scanning.progress
        left = progress.left(now - self._began)
        rest = f", about {left:.0f} s left" if left is not None and now > self._began + 1 else ""
        share = 100 * progress.done // max(progress.asked, 1)
        print(f"\r\x1b[K{share} % of {progress.asked:,} ports, {progress.open:,} open{rest}", end="", file=sys.stderr)
        sys.stderr.flush()

    def _clear_progress(self) -> None:
        if self._bar:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    # The end.

    def _tell_end(self) -> None:
        reports = self._scanning.reports()
        seconds = time.monotonic() - self._began
        if self._output.json:
            self._tell_events(reports, seconds)
            return
        rows = [row for report in reports for row in self._rows(report)]
        if rows:
            columns = (*_COLUMNS, Column("SPEAKS")) if self._identify else _COLUMNS
            put_table(self._output, columns, rows)
        for report in reports:
            if len(reports) <= _TOLD_MOST or report.found:
                self._output.note(_summary(report))
        self._output.note(f"{self._scanning.progress.done:,} ports in {seconds:.1f} s")

    def _tell_events(self, reports: Sequence[ScanReport], seconds: float) -> None:
        lines = []
        for report in reports:
            if self._identify:
                lines += [self._event(report.target, each) for each in report.found]
            facts: dict[str, Any] = {"host": report.target.host, "address": report.target.address}
            facts |= {"protocol": report.protocol, "asked": report.asked, "closed": len(report.closed)}
            facts |= {state: _count(report, state) for state in ("open", "unknown", "open|unknown")}
            if self._closed:
                facts["closed_ports"] = port_ranges(report.closed)
            lines.append(self._output.event("host", **facts, whole=report.whole, seconds=round(seconds, 3)))
        self._output.write(b"".join(lines))

    def _rows(self, report: ScanReport) -> list[tuple[str, ...]]:
        host = report.target.address
        rows = []
        by_reason: dict[tuple[str, str], list[PortFound]] = {}
        for each in report.found:
            if each.state == "open":
                rows.append(self._row(host, str(each.port), each.state, each.service, "", each.port))
            else:
                by_reason.setdefault((each.state, each.why), []).append(each)
        for (state, why), some in by_reason.items():
            if len(some) > _TOLD_MOST:
                rows.append(self._row(host, f"{len(some):,} ports", state, "", why, 0))
            else:
                rows += [self._row(host, str(each.port), state, each.service, why, each.port) for each in some]
        if self._closed and report.closed:
            rows.append(self._row(host, port_ranges(report.closed), "closed", "", "", 0))
        return rows

    def _row(self, host: str, ports: str, state: str, service: str, why: str, port: int) -> tuple[str, ...]:
        row = (host, ports, state, service or "-", why or "-")
        if not self._identify:
            return row
        identity = self._identities.get((host, port))
        speaks = f"{identity.protocol} {escape(identity.detail)}".strip() if identity is not None else "-"
        return (*row, speaks)


def _count(report: ScanReport, state: str) -> int:
    return sum(each.state == state for each in report.found)


def _summary(report: ScanReport) -> str:
    """One host in one sentence."""
    parts = [f"{_count(report, 'open'):,} open", f"{len(report.closed):,} closed"]
    parts += [f"{many:,} {state}" for state in ("unknown", "open|unknown") if (many := _count(report, state))]
    rest = report.asked - len(report.closed) - len(report.found)
    if rest:
        parts.append(f"{rest:,} not asked")
    name = "" if report.target.host == report.target.address else f" ({escape(report.target.host)})"
    return f"{report.target.address}{name}: {', '.join(parts)}"

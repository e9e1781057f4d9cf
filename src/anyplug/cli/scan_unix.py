"""``anyplug scan unix``: which unix sockets of this machine take a connection."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from anyplug.address import Address
from anyplug.cli.faults import INTERRUPTED, OK
from anyplug.cli.socket_rows import owners_text
from anyplug.cli.table import Column, put_table
from anyplug.escape import escape
from anyplug.netinfo.unix_scan import scan_unix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from anyplug.cli.output import Output
    from anyplug.netinfo.unix_scan import UnixFound

__all__ = ["names_unix", "run"]

_COLUMNS: Final = (Column("TYPE"), Column("STATE"), Column("PATH"), Column("PROCESS"), Column("WHY"))


def names_unix(host: str) -> bool:
    """Whether unix sockets are meant, and no host."""
    return host == "unix" or host.startswith("unix:")


def run(
    hosts: Sequence[str],
    output: Output,
    *,
    closed: bool,
    scan: Callable[[str], Iterator[UnixFound]] = scan_unix,
) -> int:
    """Try the unix sockets that are named; the exit status. After Ctrl-C what is known so far is told.

    Args:
        hosts: ``unix`` for all of them, ``unix:///path`` for one.
        output: where to.
        closed: tell those too that nobody listens at any more.
        scan: tries all of them, or the one at a path.

    Raises:
        AddressError: an address cannot be used.
    """
    paths = ["" if host in {"unix", "unix:", "unix://"} else Address.parse(host).path for host in hosts]
    began = time.monotonic()
    found: list[UnixFound] = []
    status = OK
    try:
        for path in paths:
            for each in scan(path):
                found.append(each)
                if output.json and (closed or path or each.state != "closed"):
                    output.write(_event(each, output))
    except KeyboardInterrupt:
        status = INTERRUPTED
    counts = {
        state: sum(each.state == state for each in found) for state in ("open", "open|unknown", "closed", "unknown")
    }
    if output.json:
        facts = {"whole": status == OK, "seconds": round(time.monotonic() - began, 3)}
        output.write(output.event("summary", **counts, **facts))
        return status
    shown = [each for each in found if closed or each.path in paths or each.state != "closed"]
    if shown:
        put_table(output, _COLUMNS, [_row(each) for each in shown])
    output.note(f"unix sockets: {', '.join(f'{many:,} {state}' for state, many in counts.items())}")
    return status


def _row(each: UnixFound) -> tuple[str, ...]:
    return (each.kind or "-", each.state, escape(each.path), owners_text(each.processes) or "-", each.why or "-")


def _event(each: UnixFound, output: Output) -> bytes:
    return output.event(
        "unix_socket",
        path=each.path,
        unix_type=each.kind or None,
        state=each.state,
        why=each.why or None,
        processes=each.processes and [{"pid": owner.pid, "name": owner.name} for owner in each.processes],
    )

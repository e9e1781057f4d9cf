"""``anyplug sockets``: what listens and what is connected on this machine."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from anyplug.cli.faults import INTERRUPTED, OK
from anyplug.cli.flags import SECONDS, json_option
from anyplug.cli.output import Output
from anyplug.cli.pause import pause
from anyplug.cli.socket_rows import COLUMNS, OWNER, owners_text, rows
from anyplug.cli.table import put_table
from anyplug.netinfo.changes import changes, look
from anyplug.netinfo.sockets import Wanted, list_sockets
from anyplug.netinfo.states import state_word

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anyplug.netinfo.changes import Change
    from anyplug.netinfo.sockets import Protocol, Socket

__all__ = ["command"]

INTERVAL: Final = 0.2
"""Seconds between two looks of --watch: short for a person, and long for a machine with many sockets."""

_ANY: Final = "*"
"""What --process means where no process is named."""


@click.command(
    "sockets",
    short_help="Show what listens and what is connected here.",
    epilog="""\b
    Examples:
    anyplug sockets --listening --process
    anyplug sockets --port 7584
    anyplug sockets --watch --tcp --port 7584""",
)
@click.option("--listening", "-l", is_flag=True, help="Only what waits for anybody: listeners, datagram sockets.")
@click.option("--port", type=click.IntRange(1, 65535), multiple=True, help="Only this port, at either end; repeatable.")
@click.option("--state", multiple=True, help="Only this state: listen, established, time-wait, ...; repeatable.")
@click.option(
    "--process",
    is_flag=False,
    flag_value=_ANY,
    metavar="[NAME|PID]",
    help="Also show which processes have each socket open; with a name or number only the sockets of those.",
)
@click.option("--tcp", is_flag=True, help="TCP.")
@click.option("--udp", is_flag=True, help="UDP.")
@click.option("--unix", is_flag=True, help="Unix sockets. Without one of these three: all.")
@click.option("--watch", is_flag=True, help="Show each change of a state as it happens; Ctrl-C ends.")
@click.option(
    "--interval", type=SECONDS, default=INTERVAL, metavar="SECONDS", help="Between two looks of --watch; 0.2."
)
@json_option
def command(watch: bool, interval: float, process: str | None, json: bool, **options: Any) -> int:
    """Show what listens and what is connected on this machine.

    Of processes that belong to other users only root is told; where nobody tells, the column is empty, and null in
    JSON. With --watch a line shows each change of a state: opening a connection takes three steps, closing it four. A
    state that ends before the next look is not seen.
    """
    processes = process is not None
    asked = _Asked(_wanted(process="" if process in {None, _ANY} else str(process), **options), processes=processes)
    output = Output(json=json)
    if watch:
        return _watch(asked, output, interval)
    _show(asked(), output, processes=processes)
    return OK


def _wanted(*, listening: bool, port: Sequence[int], state: Sequence[str], process: str, **protocols: bool) -> Wanted:
    named: list[Protocol] = [name for name in ("tcp", "udp", "unix") if protocols[name]]
    if port and not named:
        named = ["tcp", "udp"]
    return Wanted(
        protocols=tuple(named) or Wanted().protocols,
        listening=listening,
        ports=frozenset(port),
        states=frozenset(map(state_word, state)),
        process=process,
    )


class _Asked(NamedTuple):
    """What the command line asks for."""

    wanted: Wanted
    processes: bool

    def __call__(self) -> list[Socket]:
        return list_sockets(self.wanted, processes=self.processes)


def _show(sockets: Sequence[Socket], output: Output, *, processes: bool) -> None:
    if output.json:
        output.write(b"".join([output.event("socket", **_fields(each)) for each in sockets]))
        return
    if not sockets:
        output.note("there is no such socket")
        return
    put_table(output, (*COLUMNS, OWNER) if processes else COLUMNS, rows(sockets, processes=processes))


def _fields(each: Socket) -> dict[str, Any]:
    """A socket as an event has it."""
    return {
        "protocol": each.protocol,
        "family": each.family or None,
        "unix_type": each.kind or None,
        "state": each.state,
        "local": each.local,
        "local_port": each.local_port,
        "remote": each.remote,
        "remote_port": each.remote_port,
        "receiving": each.receiving,
        "sending": each.sending,
        "uid": each.uid,
        "inode": each.inode,
        "processes": each.processes and [{"pid": process.pid, "name": process.name} for process in each.processes],
    }


def _watch(asked: _Asked, output: Output, interval: float) -> int:
    """Show changes until Ctrl-C; then how many there were."""
    began = time.monotonic()
    seen = 0
    before = look(asked())
    output.note(f"{len(before):,} sockets now; each change is a line, Ctrl-C ends")
    if output.json:
        output.write(output.event("watching", sockets=len(before), interval=interval))
    try:
        while True:
            pause(interval)
            after = look(asked())
            found = changes(before, after)
            before = after
            seen += len(found)
            output.write(b"".join(_line(each, output) for each in found))
    except KeyboardInterrupt:
        seconds = time.monotonic() - began
        if output.json:
            output.write(output.event("summary", changes=seen, sockets=len(before), seconds=round(seconds, 3)))
        output.note(f"{seen:,} changes in {seconds:.1f} s; {len(before):,} sockets now")
        return INTERRUPTED


def _line(change: Change, output: Output) -> bytes:
    now = time.time()
    each = change.socket
    if output.json:
        return output.event("change", time=round(now, 3), old=change.old, new=change.new, socket=_fields(each))
    clock = time.strftime("%H:%M:%S", time.localtime(now)) + f".{int(now * 1000) % 1000:03d}"
    ((protocol, _, _, _, local, remote),) = rows([each])
    ends = f"{local} <-> {remote}" if each.remote is not None else local
    owner = f"  {owners_text(each.processes)}" if each.processes else ""
    return f"{clock}  {protocol}  {ends}  {change.old or '(new)'} -> {change.new or '(gone)'}{owner}\n".encode(
        "utf-8", "surrogateescape"
    )

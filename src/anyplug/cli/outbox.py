"""``anyplug outbox``: what waits in an outbox, what was refused, and its delivery."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from anyplug.cli.conversation import run
from anyplug.cli.faults import FAILURE, OK, printable
from anyplug.cli.flags import json_option, timeout_option
from anyplug.cli.options import read_token
from anyplug.cli.output import Output
from anyplug.cli.table import Column, put_table
from anyplug.escape import escape
from anyplug.outbox import Outbox, OutboxBusy, default_path, look

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from anyplug.outbox import Refusal, Status
    from anyplug.outbox.rows import Target

__all__ = ["command"]

_COLUMNS: Final = (
    Column("TARGET"),
    Column("WAITING", right=True),
    Column("DELIVERED", right=True),
    Column("REFUSED", right=True),
    Column("KEPT"),
    Column("LAST PROBLEM"),
)
_REFUSED: Final = (
    Column("NUMBER", right=True),
    Column("TARGET"),
    Column("POSTED"),
    Column("BYTES", right=True),
    Column("REASON"),
)

_KEEP: Final = "Refused messages are kept until they are tried again with --retry, or thrown away with --forget."


class _Wanted(NamedTuple):
    """What the command line asks for."""

    retry: tuple[int, ...]
    forget: tuple[int, ...]
    renew: tuple[str, ...]
    deliver: bool
    timeout: float | None
    token_file: str | None

    @property
    def changes(self) -> bool:
        """Whether anything is to be done but looking."""
        return self.deliver or bool(self.retry or self.forget or self.renew)


@click.command(
    "outbox",
    short_help="Show what waits to be delivered, and deliver it.",
    epilog="""\b
    Examples:
    anyplug post server/inbox/log "sooner or later" --outbox
    anyplug outbox
    anyplug outbox --deliver --timeout 60""",
)
@click.argument("path", required=False)
@click.option("--deliver", is_flag=True, help="Deliver now, until nothing waits any more.")
@click.option("--retry", type=int, multiple=True, metavar="NUMBER", help="Deliver a refused message after all.")
@click.option("--forget", type=int, multiple=True, metavar="NUMBER", help="Throw a refused message away.")
@click.option(
    "--renew",
    multiple=True,
    metavar="ADDRESS",
    help="Post there under a new identity: a copy of the outbox has the old.",
)
@click.option("--token-file", metavar="FILE", help="A file with the servers' token; or set ANYPLUG_TOKEN.")
@timeout_option("How long to deliver; without end where nothing is said.")
@json_option
def command(path: str | None, json: bool, **options: Any) -> int:
    """Show what waits in the outbox at PATH, what was delivered from it and what servers refused for good.

    Without PATH it is the user's own, which `anyplug post --outbox` fills. Ctrl-C and --timeout lose nothing: what is
    not delivered yet waits for the next time. Exit status 1 means that a server refused something, 124 that the time
    was over.
    """
    output = Output(json=json)
    where = Path(path) if path is not None else default_path(os.environ)
    wanted = _Wanted(**options)
    if not where.exists() and not wanted.changes:
        output.note(f"there is no outbox {escape(str(where))}: nothing was ever put in")
        return OK
    return run(partial(_work, where, wanted, output), output)


async def _work(path: Path, wanted: _Wanted, output: Output) -> int:
    outbox = Outbox(path, deliver=False, token=lambda where: read_token(where, wanted.token_file))
    try:
        await outbox.open()
    except OutboxBusy as error:
        if wanted.changes:
            raise
        output.note(f"{printable(error.problem)}: it delivers, and this is how it stands")
        await _put_targets(output, [_fields(target) for target in look(path).values()])
        return OK
    try:
        return await _change(outbox, wanted, output)
    finally:
        await outbox.close()


async def _change(outbox: Outbox, wanted: _Wanted, output: Output) -> int:
    """Do what is wanted, then show how it stands, whatever came of it."""
    for number in wanted.forget:
        await outbox.forget(number)
    for number in wanted.retry:
        await outbox.retry(number)
    for address in wanted.renew:
        await outbox.resume(address, anew=True)
    before = sum(status.refused for status in outbox.status())
    status = OK
    try:
        if wanted.deliver:
            await outbox.deliver(wanted.timeout)
            status = FAILURE if sum(each.refused for each in outbox.status()) > before else OK
    finally:
        await _show(outbox, output)
    return status


async def _show(outbox: Outbox, output: Output) -> None:
    await _put_targets(output, [_live(status) for status in outbox.status()])
    refused = [refusal async for refusal in _refusals(outbox)]
    if output.json:
        await output.put(b"".join(output.event("refused", **_refusal_fields(each)) for each in refused))
    elif refused:
        output.write(b"\n")
        put_table(output, _REFUSED, [_refusal_row(each) for each in refused])
        output.note(_KEEP)


async def _refusals(outbox: Outbox) -> AsyncIterator[Refusal]:
    after = 0
    while found := await outbox.refusals(after):
        for refusal in found:
            yield refusal
        after = found[-1].id


async def _put_targets(output: Output, targets: Sequence[Mapping[str, Any]]) -> None:
    if output.json:
        await output.put(b"".join(output.event("target", **fields) for fields in targets))
    elif not targets:
        output.note("nothing was ever put in")
    else:
        put_table(output, _COLUMNS, [_row(fields) for fields in targets])


def _live(status: Status) -> dict[str, Any]:
    fields = {name: getattr(status, name) for name in status.__struct_fields__}
    for name in ("connected", "next_attempt"):
        del fields[name]
    return {**fields, "stopped": status.stopped.word if status.stopped is not None else None}


def _fields(target: Target) -> dict[str, Any]:
    mark = target.mark
    return {
        "address": target.address,
        "waiting": target.waiting,
        "size": target.size,
        "delivered": mark.delivered,
        "refused": mark.refused,
        "kept": mark.kept,
        "renumbered": mark.renumbered,
        "problem": mark.problem,
        "stopped": mark.stop.word if mark.stop is not None else None,
    }


def _row(fields: Mapping[str, Any]) -> tuple[str, ...]:
    problem = printable(fields["problem"]) or "-"
    if fields["renumbered"] and problem == "-":
        problem = f"the server has forgotten messages {fields['renumbered']} times"
    numbers = [f"{fields[name]:,}" for name in ("waiting", "delivered", "refused")]
    return escape(fields["address"]), *numbers, fields["kept"] or "-", problem


def _refusal_fields(refusal: Refusal) -> dict[str, Any]:
    return {
        "number": refusal.id,
        "address": refusal.address,
        "code": refusal.code.word,
        "text": refusal.text,
        "codec": refusal.codec,
        "size": len(refusal.body),
        "posted": refusal.posted / 1e9,
        "time": refusal.time / 1e9,
    }


def _refusal_row(refusal: Refusal) -> tuple[str, ...]:
    posted = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(refusal.posted / 1e9))
    reason = f"{refusal.code.word}: {escape(refusal.text)}" if refusal.text else refusal.code.word
    return str(refusal.id), escape(refusal.address), posted, f"{len(refusal.body):,}", reason

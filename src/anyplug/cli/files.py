"""``anyplug files``: look after a server's folder of files, on the server's machine."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from anyplug.cli.faults import FAILURE, OK
from anyplug.cli.filing import run, sized
from anyplug.cli.flags import json_option
from anyplug.cli.output import Output
from anyplug.errors import LocalError
from anyplug.escape import escape
from anyplug.store.folder import FolderFiles

if TYPE_CHECKING:
    from anyplug.store.files import Finding, Transfer, Usage

__all__ = ["command"]


@click.command(
    "files",
    short_help="Look after a server's folder of files.",
    epilog="""\b
    Examples:
    anyplug files check /srv/uploads
    anyplug files check /srv/uploads --quick --json""",
)
@click.argument("action", type=click.Choice(["check"]))
@click.argument("folder")
@click.option("--quick", is_flag=True, help="Look at sizes and times alone, and read nothing.")
@json_option
def command(action: str, folder: str, quick: bool, json: bool) -> int:
    """Check a FOLDER of a files service, while no server has it: is every file there, and what was stored?

    Each byte is read and verified. What is damaged, missing or changed is named, and the exit status is 1 then. What is
    in the folder and was never stored by a server is named, too. Uploads that were broken off are counted.
    """
    del action  # there is one
    output = Output(json=json)
    path = Path(folder)
    if not path.is_dir():
        raise LocalError(f"{folder} is no folder")
    return run(lambda: _check(path, output, deep=not quick), output, interrupted=lambda: None)


async def _check(path: Path, output: Output, *, deep: bool) -> int:
    if not await asyncio.to_thread((path / ".anyplug").is_dir):
        raise LocalError(f"{path} is no folder of a files service: it has no .anyplug in it")
    store = await FolderFiles.open(path)
    try:
        findings = await store.check(deep=deep)
        transfers, usage = await store.transfers(), await store.usage()
    finally:
        await store.close()
    for finding in findings:
        _tell(finding, output)
    bad = sum(finding.kind != "unknown" for finding in findings)
    _sum(output, usage, list(transfers), bad=bad, unknown=len(findings) - bad)
    return FAILURE if bad else OK


def _tell(finding: Finding, output: Output) -> None:
    if output.json:
        output.write(output.event(finding.kind, name=finding.name, problem=finding.problem))
    else:
        text = f"{finding.kind}: {escape(finding.name)}: {escape(finding.problem)}\n"
        output.write(text.encode("utf-8", "surrogateescape"))


def _sum(output: Output, usage: Usage, transfers: list[Transfer], *, bad: int, unknown: int) -> None:
    if output.json:
        fields: dict[str, Any] = {"files": usage.files, "bytes": usage.bytes, "bad": bad, "unknown": unknown}
        output.write(output.event("checked", **fields, transfers=len(transfers)))
        return
    waiting = sum(each.received for each in transfers)
    output.note(
        f"{usage.files:,} files, {sized(usage.bytes)}: {bad:,} damaged, missing or changed; {unknown:,} unknown"
    )
    if transfers:
        output.note(f"{len(transfers):,} uploads were broken off, and keep {sized(waiting)} until they go on or expire")

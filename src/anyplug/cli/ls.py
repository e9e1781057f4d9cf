"""``anyplug ls``: list the files of a server."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import click

from anyplug.cli.faults import OK
from anyplug.cli.filing import file_fields, file_options, open_files, run, where
from anyplug.cli.output import Output
from anyplug.cli.table import Column, put_table
from anyplug.escape import escape

if TYPE_CHECKING:
    from anyplug.files import Files
    from anyplug.schemas.files import File

__all__ = ["command"]

COLUMNS: Final = (Column("size", right=True), Column("time"), Column("digest"), Column("name"))


@click.command(
    "ls",
    short_help="List the files of a server.",
    epilog="""\b
    Examples:
    anyplug ls 127.0.0.1
    anyplug ls server/files/2026 --long
    anyplug ls server --json""",
)
@click.argument("address")
@click.option("--long", "-l", is_flag=True, help="Show sizes, times and digests, too.")
@file_options
def command(address: str, long: bool, timeout: float | None, token_file: str | None, json: bool) -> int:
    """List the files at ADDRESS, HOST or HOST/files/FOLDER, and below, one a line.

    The digest is the BLAKE3 of the digests of the file's chunks, 1 MiB each: docs/protocol.md has it in full.
    """
    output = Output(json=json)
    files = open_files(where(address), timeout=timeout, token_file=token_file)

    async def listing() -> int:
        async with files:
            return await _show(files, output, long=long)

    return run(listing, output, interrupted=lambda: None)


async def _show(files: Files, output: Output, *, long: bool) -> int:
    rows: list[tuple[str, ...]] = []
    async for file in files.list():
        if output.json:
            await output.put(output.event("file", **file_fields(file)))
        elif long:
            rows.append(_row(file))
        else:
            await output.put(f"{escape(file.name)}\n".encode("utf-8", "surrogateescape"))
    if rows:
        put_table(output, COLUMNS, rows)
    elif not output.json and sys.stderr is not None and sys.stderr.isatty() and long:
        output.note("there are no files")
    return OK


def _row(file: File) -> tuple[str, ...]:
    return (f"{file.size:,}", f"{file.time.astimezone():%Y-%m-%d %H:%M}", file.digest.hex(), escape(file.name))

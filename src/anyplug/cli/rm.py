"""``anyplug rm``: delete a file of a server."""

from __future__ import annotations

import click

from anyplug.cli.faults import OK
from anyplug.cli.filing import file_fields, file_options, open_files, run, sized, split_name
from anyplug.cli.output import Output
from anyplug.escape import escape

__all__ = ["command"]


@click.command(
    "rm",
    short_help="Delete a file of a server.",
    epilog="""\b
    Example:
    anyplug rm 127.0.0.1/files/old.log""",
)
@click.argument("address", metavar="ADDRESS/NAME")
@file_options
def command(address: str, timeout: float | None, token_file: str | None, json: bool) -> int:
    """Delete the file at ADDRESS/NAME, HOST/files/NAME, for good."""
    output = Output(json=json)
    service, name = split_name(address)
    files = open_files(service, timeout=timeout, token_file=token_file)

    async def remove() -> int:
        async with files:
            gone = await files.remove(name)
        if output.json:
            output.write(output.event("removed", **file_fields(gone)))
        else:
            output.note(f"{escape(gone.name)} is deleted, {sized(gone.size)}")
        return OK

    return run(remove, output, interrupted=lambda: None)

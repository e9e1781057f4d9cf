"""``anyplug get``: fetch a file from a server."""

from __future__ import annotations

import os
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from anyplug.cli.bars import Bars
from anyplug.cli.faults import OK
from anyplug.cli.filing import file_fields, file_options, open_files, run, sized, split_name
from anyplug.cli.output import Output
from anyplug.errors import LocalError
from anyplug.escape import escape
from anyplug.names import safe

if TYPE_CHECKING:
    from anyplug.files import Files

__all__ = ["command"]

STDOUT: Final = "-"


@click.command(
    "get",
    short_help="Fetch a file from a server.",
    epilog="""\b
    Examples:
    anyplug get 127.0.0.1/files/big.bin
    anyplug get server/files/2026/photo.jpg -o copy.jpg
    anyplug get server/files/backups/shop.sql -o - | psql shop
    anyplug get server/files/big.bin -o - --offset 1048576 --length 100""",
)
@click.argument("address", metavar="ADDRESS/NAME")
@click.option("--output", "-o", "target", default="", metavar="PATH", help="Where to; by default its name, here.")
@click.option("--replace", is_flag=True, help="Take the place of a file that is there.")
@click.option("--offset", type=click.IntRange(min=0), default=0, metavar="N", help="From byte N on; with -o -.")
@click.option("--length", type=click.IntRange(min=0), metavar="N", help="N bytes; with -o -.")
@file_options
def command(
    address: str,
    target: str,
    replace: bool,
    offset: int,
    length: int | None,
    timeout: float | None,
    token_file: str | None,
    json: bool,
) -> int:
    """Fetch the file at ADDRESS/NAME: HOST/files/NAME.

    Each chunk is verified. The file gets its name when it is whole and on this disk; until then it is a hidden part
    beside it, and the same line goes on with it. With -o - it goes to standard output.
    """
    service, name = split_name(address)
    if target != STDOUT and (offset or length is not None):
        raise click.UsageError("--offset and --length go with -o -")
    if target == STDOUT and json:
        raise LocalError("-o - writes the file to standard output, where --json writes events; choose one")
    output = Output(json=json)
    work = _Getting(output, name, target, replace=replace, offset=offset, length=length)
    files = open_files(service, timeout=timeout, token_file=token_file)
    again = ["anyplug", "get", address, *(["-o", target] if target else []), *(["--replace"] if replace else [])]
    return run(lambda: work.get(files), output, interrupted=lambda: work.interrupted(shlex.join(again)))


class _Getting:
    """Gets one file."""

    def __init__(self, output: Output, name: str, target: str, **options: Any) -> None:
        self._output = output
        self._name = name
        self._target = target
        self._options = options
        self._bars = Bars(output, many=False)

    async def get(self, files: Files) -> int:
        """Get it; the exit status."""
        began = time.monotonic()
        path = _path(self._target, self._name) if self._target != STDOUT else None
        given = dict(self._options)
        if path is not None:
            del given["offset"], given["length"]
        async with files:
            with self._bars:
                file = await files.get(self._name, path or _Stdout(), progress=self._bars.report, **given)
        seconds = time.monotonic() - began
        output = self._output
        if output.json:
            output.write(output.event("fetched", **file_fields(file), path=str(path), seconds=round(seconds, 3)))
        elif path is not None:
            output.note(f"{escape(str(path))}: {sized(file.size)}, verified, in {seconds:.1f} s")
        return OK

    def interrupted(self, again: str) -> None:
        """Ctrl-C: tell how to go on."""
        output = self._output
        if output.json:
            output.write(output.event("interrupted", resume=again))
        elif self._target != STDOUT and self._bars.under_way:
            output.note(f"interrupted; what came is kept. This goes on with the rest: {escape(again)}")
        else:
            output.note("interrupted")


def _path(target: str, name: str) -> Path:
    """Where a file goes: into a folder under its own name, which is made safe."""
    own = safe(name).path.rpartition("/")[2]
    if not target:
        return Path(own)
    path = Path(target)
    return path / own if path.is_dir() else path


class _Stdout:
    """Standard output, as what takes bytes."""

    def write(self, data: bytes | memoryview, /) -> None:
        """Write all of it."""
        view = memoryview(data)
        fd = sys.stdout.fileno()
        while view:
            view = view[os.write(fd, view) :]

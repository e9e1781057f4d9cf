"""``anyplug put``: store files and folders on a server."""

from __future__ import annotations

import shlex
import time
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from anyplug.cli.bars import Bars
from anyplug.cli.faults import FAILURE, OK, explain
from anyplug.cli.filing import file_fields, file_options, open_files, run, sized, where
from anyplug.cli.output import Output
from anyplug.cli.put_plain import put_plain
from anyplug.cli.stdin import Stdin
from anyplug.errors import LocalError, Refused
from anyplug.escape import escape
from anyplug.limits import DEFAULTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anyplug.errors import AnyplugError
    from anyplug.files import Files
    from anyplug.schemas.files import File

__all__ = ["command"]

STDIN: Final = "-"


@click.command(
    "put",
    short_help="Store files and folders on a server.",
    epilog="""\b
    Examples:
    anyplug put big.bin 127.0.0.1
    anyplug put *.jpg photos/ server/files/2026
    pg_dump shop | anyplug put - server/files/backups --name shop.sql
    anyplug put photo.jpg tcp://127.0.0.1:8888""",
)
@click.argument("files", nargs=-1, required=True, metavar="FILE... ADDRESS")
@click.option("--name", default="", metavar="NAME", help="What it is to be called; for one FILE, and for -.")
@click.option("--replace", is_flag=True, help="Take the place of files of the same name; else a number is added.")
@click.option("--content-type", default="", metavar="TYPE", help="What it is, such as image/jpeg.")
@file_options
def command(
    files: tuple[str, ...],
    name: str,
    replace: bool,
    content_type: str,
    timeout: float | None,
    token_file: str | None,
    json: bool,
) -> int:
    """Store each FILE in the files service at ADDRESS: HOST, HOST/files or HOST/files/FOLDER.

    A file is there once it is whole, verified and on the server's disk. Folders keep their tree; symbolic links are
    left out. FILE - is standard input.

    Whatever breaks, the same line goes on with what is missing: the connection, this command, either machine. With
    tcp:// or unix:// the bytes go as they are to a server that knows nothing of Anyplug, until their end.
    """
    *sources, address = files
    if not sources:
        raise click.UsageError("put wants at least one FILE, and behind them the ADDRESS")
    if name and len(sources) > 1:
        raise click.UsageError("--name is for one FILE")
    output = Output(json=json)
    target = where(address) if "://" not in address or address.startswith("plug") else None
    if target is None or not target.is_plug:
        return put_plain(address, sources, output, timeout=timeout)
    work = _Putting(output, sources, name, replace=replace, content_type=content_type)
    service = open_files(target, timeout=timeout, token_file=token_file)
    again = ["anyplug", "put", *files]
    again += [*(["--name", name] if name else []), *(["--replace"] if replace else [])]
    return run(lambda: work.all(service), output, interrupted=lambda: work.interrupted(shlex.join(again)))


class _Putting:
    """Puts, and counts."""

    def __init__(self, output: Output, sources: Sequence[str], name: str, *, replace: bool, content_type: str) -> None:
        self._output = output
        self._sources = sources
        self._name = name
        self._replace = replace
        self._type = content_type
        self._folders = {each for each in sources if Path(each).is_dir()}
        self._bars = Bars(output, many=len(sources) > 1 or bool(self._folders))
        self._files = self._bytes = self._skipped = self._failed = 0

    async def all(self, service: Files) -> int:
        """Put everything; the exit status."""
        began = time.monotonic()
        async with service:
            with self._bars:
                for source in self._sources:
                    await self._one(service, source)
        self._sum(time.monotonic() - began)
        return FAILURE if self._failed else OK

    async def _one(self, service: Files, source: str) -> None:
        given: dict[str, Any] = {"replace": self._replace, "content_type": self._type, "progress": self._bars.report}
        path = Path(source)
        if source == STDIN:
            if not self._name:
                raise LocalError("what comes from standard input has no name: give it one with --name NAME")
            stdin = Stdin(DEFAULTS.message).pieces()
            self._stored(await service.put(stdin, self._name, **given), source)
        elif source in self._folders:
            await self._tree(service, path)
        elif len(self._sources) == 1:
            self._stored(await service.put(path, self._name, **given), source)
        else:
            await self._among(service, path)

    async def _among(self, service: Files, path: Path) -> None:
        """One of several: what is wrong with it alone does not keep the others."""
        try:
            file = await service.put(path, replace=self._replace, content_type=self._type, progress=self._bars.report)
        except (LocalError, Refused) as error:
            self._refused(error)
        else:
            self._stored(file, str(path))

    async def _tree(self, service: Files, path: Path) -> None:
        given: dict[str, Any] = {"replace": self._replace, "progress": self._bars.report}
        async with aclosing(service.put_tree(path, self._name, **given)) as tree:
            async for sent in tree:
                if sent.file is not None:
                    self._stored(sent.file, str(sent.path))
                elif sent.error is not None:
                    self._refused(sent.error)
                else:
                    self._left_out(sent.path, sent.skipped)

    def _stored(self, file: File, source: str) -> None:
        self._files += 1
        self._bytes += file.size
        if self._output.json:
            self._output.write(self._output.event("stored", **file_fields(file), path=source))
        elif file.name.rpartition("/")[2] != Path(source).name and source != STDIN:
            self._output.note(f"{escape(source)} is stored as {escape(file.name)}")

    def _left_out(self, path: Path, why: str) -> None:
        self._skipped += 1
        if self._output.json:
            self._output.write(self._output.event("skipped", path=str(path), reason=why))
        else:
            self._output.note(f"{escape(str(path))} is left out: {why}")

    def _refused(self, error: AnyplugError) -> None:
        self._failed += 1
        self._output.error(explain(error))

    def _sum(self, seconds: float) -> None:
        output = self._output
        if output.json:
            fields = {"files": self._files, "bytes": self._bytes, "skipped": self._skipped, "failed": self._failed}
            output.write(output.event("put", **fields, seconds=round(seconds, 3)))
            return
        files = "1 file" if self._files == 1 else f"{self._files:,} files"
        rate = f", {sized(self._bytes / seconds)}/s" if seconds > 0.5 else ""
        output.note(f"{files} stored and verified, {sized(self._bytes)} in {seconds:.1f} s{rate}")

    def interrupted(self, again: str) -> None:
        """Ctrl-C: tell how to go on."""
        output = self._output
        if output.json:
            output.write(output.event("interrupted", resume=again))
        elif self._bars.under_way - {self._name} or (self._bars.under_way and STDIN not in self._sources):
            output.note(f"interrupted; what was sent is kept. This goes on with the rest: {escape(again)}")
        else:
            output.note("interrupted")

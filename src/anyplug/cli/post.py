"""``anyplug post``: give a server something to keep."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any, Final

import click

from anyplug.cli.conversation import run
from anyplug.cli.faults import OK, Fault
from anyplug.cli.inboxes import INBOX_CODECS, inbox_options, open_inbox, without_parse
from anyplug.cli.options import Settings, address_argument, parse_option, timeout_option
from anyplug.cli.output import Output
from anyplug.cli.stdin import Stdin
from anyplug.cli.texts import argument_bytes, to_message
from anyplug.connection import POST_TIMEOUT
from anyplug.errors import AnyplugError, LocalError, PostRefused
from anyplug.limits import DEFAULTS
from anyplug.messages import Kept

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from anyplug.inbox import Inbox

__all__ = ["command", "gathering", "runs"]

AHEAD: Final = 16
"""Batches of lines that are read while others wait for the disk: 1 MiB or so."""


@click.command(
    "post",
    short_help="Post a message that the server keeps.",
    epilog="""\b
    Examples:
    anyplug post 127.0.0.1/inbox/log "the backup is done"
    journalctl -f | anyplug post 127.0.0.1/inbox/log --lines
    anyplug post server/inbox/log "sooner or later" --outbox""",
)
@address_argument
@click.argument("text", required=False)
@click.option("--lines", is_flag=True, help="Each line of standard input is a message.")
@parse_option
@click.option("--codec", type=click.Choice(INBOX_CODECS), help="How messages become bytes; msgpack.")
@click.option("--name", default="", metavar="NAME", help="What you call yourself, for those who read it.")
@click.option(
    "--outbox",
    is_flag=False,
    flag_value="",
    default=None,
    metavar="[PATH]",
    help="Keep it on this disk until the server has it, however long that takes; give PATH as --outbox=PATH.",
)
@timeout_option("How long to wait for the connection and for each acknowledgement; 10 and 30 where nothing is said.")
@inbox_options
def command(
    address: str, text: str | None, lines: bool, parse: bool, name: str, outbox: str | None, **options: Any
) -> int:
    """Post TEXT to the inbox at ADDRESS, HOST/inbox/TOPIC.

    The command ends when the server has it on its disk, synced. Without TEXT standard input is the message, or with
    --lines each line of it is one; they go out without waiting for each other.

    Exit status 1 means that something was not kept; it says how many were. After a broken connection what became of the
    last ones is unknown. With --outbox nothing is lost and nothing comes twice: messages wait on this disk, and what
    could not be delivered now goes out the next time.
    """
    settings = Settings.of(address, framing=None, parse=parse, **options)
    if lines and text is not None:
        raise LocalError("--lines posts the lines of standard input; leave TEXT out")
    output = Output(json=settings.json)
    if outbox is not None:
        from anyplug.cli.post_outbox import post_later

        if outbox and "/" not in outbox and not outbox.endswith(".db"):
            problem = f"--outbox takes the next word for its PATH, and {outbox!r} looks like none"
            raise LocalError(f"{problem}; put TEXT before --outbox, or name a file that ends in .db")
        if name:
            raise LocalError("an outbox delivers without a name; leave out --name or --outbox")
        source = _messages(settings, output, text, lines=lines)
        return run(lambda: post_later(settings, output, source, outbox), output)
    posting = _Posting(settings, output)
    return run(lambda: posting.post(text, name, lines=lines), output, advise=posting.advise)


class _Posting:
    """Posts, and counts what is kept."""

    def __init__(self, settings: Settings, output: Output) -> None:
        self._settings = settings
        self._output = output
        self._kept = 0
        self._many = False
        self._span = (0, 0)

    async def post(self, text: str | None, name: str, *, lines: bool) -> int:
        """Post everything; the exit status."""
        settings = self._settings
        self._many = lines
        timeout = settings.timeout or POST_TIMEOUT
        source = _messages(settings, self._output, text, lines=lines)
        first = None if lines else await anext(source)
        async with open_inbox(settings, name=name) as inbox:
            if first is not None:
                await self._count(inbox, [await inbox.post(first[0], timeout)])
            else:
                await self._post_all(inbox, source, timeout)
        await self._finish(inbox)
        return OK

    async def _post_all(self, inbox: Inbox, source: AsyncIterator[Sequence[Any]], timeout: float) -> None:
        try:
            async for messages in gathering(source):
                await self._post_many(inbox, messages, timeout)
        except AnyplugError:
            await self._tell_posted()
            raise

    async def _post_many(self, inbox: Inbox, messages: Sequence[Any], timeout: float) -> None:
        try:
            await self._count(inbox, await inbox.post_many(messages, timeout))
        except PostRefused as error:
            self._kept = error.sequence - 1  # nobody else posts on this connection, so sequences count from 1
            raise

    async def _count(self, inbox: Inbox, positions: Sequence[int]) -> None:
        output = self._output
        kept = _word(inbox.kept)
        self._kept += len(positions)
        self._span = (self._span[0] or positions[0], positions[-1])
        if output.json:
            events = [
                output.event("kept", position=first, last=last, messages=last - first + 1, kept=kept)
                for first, last in runs(positions)
            ]
            await output.put(b"".join(events))

    async def _finish(self, inbox: Inbox) -> None:
        output = self._output
        if self._many:
            await self._tell_posted()
        if sys.stderr is not None and sys.stderr.isatty() and self._kept and not output.json:
            first, last = self._span
            where = f"as {first:,}" if self._kept == 1 else f"{self._kept:,} messages, as {first:,} to {last:,}"
            output.note(f"kept {where} ({'on disk' if inbox.kept is Kept.SYNCED else 'in memory only'})")

    async def _tell_posted(self) -> None:
        if self._output.json:
            await self._output.put(self._output.event("posted", messages=self._kept))

    def advise(self, fault: Fault) -> Fault:
        """The fault, with what was kept before it."""
        fault = without_parse(fault)
        if not self._many:
            return fault
        return fault._replace(message=f"{fault.message}; kept before that: {self._kept:,}")


def _word(kept: Kept | None) -> str:
    return "memory" if kept is Kept.MEMORY else "disk"


async def _messages(
    settings: Settings, output: Output, text: str | None, *, lines: bool
) -> AsyncIterator[Sequence[Any]]:
    """What is to be posted, in batches."""
    if text is not None:
        yield [to_message(argument_bytes(text), settings)]
        return
    stdin = Stdin(DEFAULTS.message)
    if stdin.terminal:
        output.note("each line is a message; Ctrl-D ends" if lines else "what you type is the message; Ctrl-D ends")
    if not lines:
        yield [to_message(await stdin.whole(), settings)]
        return
    async for some in stdin.lines():
        yield [to_message(line, settings) for line in some]


async def gathering(source: AsyncIterator[Sequence[Any]]) -> AsyncIterator[list[Any]]:
    """The batches of a source, all that have come meanwhile as one; it is read on while one is dealt with, but not
    far.
    """
    queue: asyncio.Queue[Sequence[Any] | None] = asyncio.Queue(AHEAD)

    async def read() -> None:
        try:
            async for batch in source:
                await queue.put(batch)
        except asyncio.CancelledError:
            raise  # nobody takes anything any more
        except BaseException:
            await queue.put(None)
            raise
        await queue.put(None)

    reading = asyncio.create_task(read())
    try:
        more = True
        while more:
            batches = [await queue.get()]
            while not queue.empty():
                batches.append(queue.get_nowait())
            more = batches[-1] is not None
            messages = [each for batch in batches if batch is not None for each in batch]
            if messages:
                yield messages
        await reading
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


def runs(positions: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Neighbouring positions as pairs of the first and the last of a run."""
    start = 0
    for at in range(1, len(positions) + 1):
        if at == len(positions) or positions[at] != positions[at - 1] + 1:
            yield positions[start], positions[at - 1]
            start = at

"""``anyplug send``: say something one way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from anyplug.cli.conversation import linger, opened, run
from anyplug.cli.faults import OK
from anyplug.cli.options import Settings, address_argument, parse_option, speaking_options, timeout_option
from anyplug.cli.output import Output
from anyplug.cli.stdin import Stdin
from anyplug.cli.texts import argument_bytes, to_message
from anyplug.errors import ConnectionClosed, DecodeError
from anyplug.limits import DEFAULTS

if TYPE_CHECKING:
    from anyplug.connection import Connection

__all__ = ["command"]

LINGER = 2.0
"""How long the peer's end is waited for once everything was taken, seconds, where nothing else is said."""


@click.command(
    "send",
    short_help="Send a message, or standard input.",
    epilog="""\b
    Examples:
    anyplug send tcp://127.0.0.1:6666 hello
    anyplug send tcp://127.0.0.1:8888 --framing raw < picture.jpg
    journalctl -f | anyplug send 127.0.0.1/reply --lines""",
)
@address_argument
@click.argument("text", required=False)
@click.option("--lines", is_flag=True, help="Each line of standard input is a message.")
@parse_option
@speaking_options
@timeout_option("How long to wait for the connection, and at the end for the other side to close; 10 and 2.")
def command(address: str, text: str | None, lines: bool, parse: bool, **options: Any) -> int:
    """Send TEXT to ADDRESS, one way.

    Without TEXT standard input is sent: with framing lines, which is the default of plain streams, or with --lines
    each line is a message; with framing raw bytes go out as they come, however many; else all of it is one message.

    Then the other side is told the end: on a plain stream by closing this direction (half-close), on plug by BYE. The
    command ends when everything was taken and the other side has closed too; for one that stays open it waits 2
    seconds, so that nothing sent is lost. What the other side says meanwhile is dropped.
    """
    settings = Settings.of(address, parse=parse, **options)
    output = Output(json=settings.json)
    return run(lambda: _send(settings, output, text, lines=lines), output, advise=settings.advise)


async def _send(settings: Settings, output: Output, text: str | None, *, lines: bool) -> int:
    single = to_message(argument_bytes(text), settings) if text is not None else None
    async with opened(settings) as peer:
        hearing = asyncio.create_task(_hear(peer))
        try:
            if text is not None:
                await peer.send(single)
                count = 1
            else:
                count = await _send_stdin(peer, settings, output, lines=lines)
            await peer.send_eof()
            await _await_end(peer, hearing, settings)
        finally:
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)
        if output.json:
            await output.put(output.event("sent", messages=count, bytes=peer.stats.bytes_sent))
    return OK


async def _send_stdin(peer: Connection[Any], settings: Settings, output: Output, *, lines: bool) -> int:
    """Send standard input; returns the number of messages."""
    stdin = Stdin(DEFAULTS.message)
    if stdin.terminal:
        output.note("what you type is sent; Ctrl-D ends")
    if lines or settings.cut == "lines":
        count = 0
        async for some in stdin.lines():
            await peer.send_many([to_message(line, settings) for line in some])
            count += len(some)
        return count
    if settings.cut == "raw" and settings.codec_name == "bytes":
        async for piece in stdin.pieces():
            await peer.send(piece)
    else:
        await peer.send(to_message(await stdin.whole(), settings))
    return 1


async def _hear(peer: Connection[Any]) -> None:
    """Drop what the peer says, until it ends in order.

    Raises:
        Refused: it could not handle a message.
        Broken: the conversation ended in the middle.
    """
    while True:
        try:
            await peer.receive_many()
        except DecodeError:
            continue
        except ConnectionClosed:
            return


async def _await_end(peer: Connection[Any], hearing: asyncio.Task[None], settings: Settings) -> None:
    """Wait until everything was taken and the peer has ended, or stays open.

    Raises:
        AnyplugError: what `_hear` raises.
    """
    if settings.address.is_datagram:
        return
    await linger(hearing, lambda: peer.stats.bytes_queued > 0, settings.timeout or LINGER)
    if hearing.done():
        hearing.result()

"""``anyplug receive``: print what comes."""

from __future__ import annotations

from typing import Any

import click

from anyplug.cli.conversation import opened, run
from anyplug.cli.faults import FAILURE, OK, explain
from anyplug.cli.options import Settings, address_argument, speaking_options, timeout_option
from anyplug.cli.output import Output
from anyplug.cli.printer import LineEnd
from anyplug.errors import ConnectionClosed, DecodeError, LocalError

__all__ = ["command"]


@click.command(
    "receive",
    short_help="Print messages as they come.",
    epilog="""\b
    Examples:
    anyplug receive tcp://127.0.0.1:1234 --until eof
    anyplug receive tcp://127.0.0.1:2133 --framing header --codec pickled --count 1
    anyplug receive 127.0.0.1/greet --json""",
)
@address_argument
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="End after N messages.")
@click.option("--until", type=click.Choice(["eof"]), help="The whole stream, up to its end, is one message.")
@speaking_options
@timeout_option("How long to wait for the connection (10 where nothing is said) and for each message (no limit).")
def command(address: str, count: int | None, until: str | None, **options: Any) -> int:
    """Print the messages that come from ADDRESS, until it ends.

    Texts are printed as they are, one a line, other values as JSON, or as a Python literal where JSON would lose
    something. Bytes, and streams with --framing raw or --until eof, are printed byte for byte; on a terminal what it
    would obey is escaped.
    """
    settings = _with_until(Settings.of(address, **options), until)
    output = Output(json=settings.json)
    return run(lambda: _receive(settings, output, count, until), output, advise=settings.advise)


def _with_until(settings: Settings, until: str | None) -> Settings:
    """The settings for the whole stream.

    Raises:
        LocalError: messages are told apart there in another way.
    """
    if until is None:
        return settings
    if settings.address.is_plug or settings.address.is_packet or settings.address.is_datagram:
        raise LocalError(f"--until eof is for plain streams, and {settings.address} keeps messages apart; leave it out")
    named = settings.framing or settings.address.options.get("framing", "raw")
    if named != "raw":
        raise LocalError(f"--until eof makes the whole stream one message; leave out framing {named}")
    return settings._replace(framing="raw")


async def _receive(settings: Settings, output: Output, count: int | None, until: str | None) -> int:
    # What is printed byte for byte can be printed as it comes: a whole stream may then be longer than a message.
    whole = until is not None and (output.json or settings.codec_name != "bytes")
    status = OK
    printer = settings.printer(output, "message", pieces=LineEnd.NEVER)
    left = count if until is None or whole else None
    async with opened(settings, **({"until": "eof"} if whole else {})) as peer:
        while left is None or left > 0:
            try:
                messages = await peer.receive_many(settings.timeout)
            except ConnectionClosed as end:
                _tell_end(output, end, count, left)
                status = FAILURE if left else status
                break
            except DecodeError as error:
                output.error(settings.advise(explain(error)))
                status = FAILURE
                messages = []
            if left is not None:
                messages = messages[:left]
                left -= len(messages)
            await printer.print(messages)
    await printer.finish()
    return status


def _tell_end(output: Output, end: ConnectionClosed, count: int | None, left: int | None) -> None:
    if output.json:
        output.write(output.event("end", code=end.code.word, text=end.text))
    elif left:
        output.note(f"the other end closed after {(count or 0) - left} of {count} messages")
    elif end.code:
        output.note(explain(end).message)

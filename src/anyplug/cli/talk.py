"""``anyplug talk``: a conversation, line by line."""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import click

from anyplug.cli.conversation import opened, run
from anyplug.cli.faults import FAILURE, OK, explain
from anyplug.cli.options import Settings, address_argument, parse_option, speaking_options, timeout_option
from anyplug.cli.output import Output
from anyplug.cli.printer import LineEnd
from anyplug.cli.stdin import Stdin
from anyplug.cli.texts import to_message
from anyplug.errors import (
    AnyplugError,
    Broken,
    ConnectionClosed,
    DecodeError,
    EncodeError,
    LocalError,
    Refused,
    Timeout,
    TooLarge,
)
from anyplug.limits import DEFAULTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from anyplug.connection import Connection

__all__ = ["command"]

PATIENCE = 10.0
"""How long the peer may be silent before it ends, once this side has said all, seconds, where nothing else is said."""

PATIENCE_AT_PROMPT = 1.0
"""The same where somebody sits at a terminal and has said that it is over."""


class Face(Protocol):
    """Where lines come from, and who else writes there."""

    def lines(self) -> AsyncIterator[list[bytes]]:
        """The lines, until there are no more."""

    async def show(self, write: Callable[[], None]) -> None:
        """Let ``write`` write what came."""

    def stop(self) -> None:
        """Take no more lines."""


@click.command(
    "talk",
    short_help="Hold a conversation, line by line.",
    epilog="""\b
    Examples:
    anyplug talk 127.0.0.1/echo
    anyplug talk tcp://127.0.0.1:8080 --framing raw
    printf 'one\\ntwo\\n' | anyplug talk 127.0.0.1/echo""",
)
@address_argument
@parse_option
@speaking_options
@timeout_option("How long to wait for the connection, and at the end for the other side to close; 10 and 10.")
def command(address: str, parse: bool, **options: Any) -> int:
    """Hold a conversation with ADDRESS: a service, or any plain socket.

    On a terminal you type behind a prompt, and what comes is shown above it. An empty line or Ctrl-D ends.

    Otherwise each line of standard input is sent, up to its end or an empty line; then this side says that it is done
    (half-close, or BYE), and what comes is printed until the other side ends too.
    """
    settings = Settings.of(address, parse=parse, **options)
    output = Output(json=settings.json)
    return run(lambda: _talk(settings, output), output, advise=settings.advise)


async def _talk(settings: Settings, output: Output) -> int:
    typed = output.terminal and not output.json and sys.stdin is not None and sys.stdin.isatty()
    async with opened(settings) as peer:
        if typed:
            output.note(f"connected to {settings.address}; an empty line or Ctrl-D ends")
        talk = _Talk(peer, settings, output, _prompt() if typed else _Pipe())
        return await talk.hold(settings.timeout or (PATIENCE_AT_PROMPT if typed else PATIENCE), strict=not typed)


def _prompt() -> Face:
    from anyplug.cli.prompt import Prompt

    return Prompt()


class _Pipe:
    """Lines of standard input, without anybody who types."""

    def __init__(self) -> None:
        self._stdin = Stdin(DEFAULTS.message)

    def lines(self) -> AsyncIterator[list[bytes]]:
        return self._stdin.lines()

    async def show(self, write: Callable[[], None]) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        pass

"""``anyplug talk``: a conversation, line by line."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import click

from anyplug.cli.conversation import opened, run
from anyplug.cli.faults import FAILURE, OK, explain
from anyplug.cli.options import Settings, address_argument, parse_option, speaking_options, timeout_option
from anyplug.cli.output import Output
from anyplug.cli.printer import LineEnd
from anyplug.cli.room import as_room, is_welcome, room_lines, with_nick, without_nick
from anyplug.cli.stdin import Stdin
from anyplug.cli.texts import to_message
from anyplug.errors import (
    AnyplugError,
    Broken,
    Code,
    ConnectionClosed,
    DecodeError,
    LocalError,
    Refused,
    Timeout,
    TooLarge,
)
from anyplug.escape import escape
from anyplug.limits import DEFAULTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from anyplug.connection import Connection

__all__ = ["command"]

PATIENCE = 10.0
"""How long the peer may be silent before it ends, once this side has said all, seconds, where nothing else is said."""

PATIENCE_AT_PROMPT = 1.0
"""The same where somebody sits at a terminal and has said that it is over."""


_CANNOT_PROMPT = {"dumb", "unknown"}
"""Terminals that can only print. What is typed there is taken line by line, as the terminal gives it."""


class Face(Protocol):
    """Where lines come from, and where what comes is shown."""

    def lines(self) -> AsyncIterator[list[bytes]]:
        """The lines, until there are no more."""

    async def show(self, data: bytes) -> None:
        """Show what came."""

    async def tell(self, say: Callable[[], None]) -> None:
        """Let ``say`` say something on standard error."""

    def stop(self, saying: asyncio.Task[None]) -> None:
        """Take no more lines; ``saying`` is the task that takes them."""


@click.command(
    "talk",
    short_help="Hold a conversation, line by line.",
    epilog="""\b
    Examples:
    anyplug talk 127.0.0.1/lobby --nick ann
    anyplug talk 127.0.0.1/echo
    anyplug talk tcp://127.0.0.1:8080 --framing raw
    printf 'one\\ntwo\\n' | anyplug talk 127.0.0.1/echo""",
)
@address_argument
@click.option("--nick", metavar="NAME", default="", help="Your name in a room; a guest's where none is given.")
@parse_option
@speaking_options
@timeout_option("How long to wait for the connection, and at the end for the other side to close; 10 and 10.")
def command(address: str, nick: str, parse: bool, **options: Any) -> int:
    """Hold a conversation with ADDRESS: a service, a room, or any plain socket.

    HOST/NAME is the service NAME; where the server has none of that name it is the room NAME of its service talk, and
    HOST alone is the room of those who name none. HOST/talk/NAME is always the room. In a room /help tells what can be
    typed, and 886 leaves.

    On a terminal you type behind a prompt, and what comes is shown above it. An empty line or Ctrl-D ends.

    Otherwise each line of standard input is sent, up to its end or an empty line; then this side says that it is done
    (half-close, or BYE), and what comes is printed until the other side ends too.
    """
    settings = with_nick(Settings.of(address, parse=parse, **options), nick)
    output = Output(json=settings.json)
    return run(lambda: _talk(settings, output), output, advise=settings.advise)


async def _talk(settings: Settings, output: Output) -> int:
    typed = output.terminal and not output.json and sys.stdin is not None and sys.stdin.isatty()
    async with AsyncExitStack() as stack:
        peer, settings = await _enter(stack, settings)
        if typed:
            output.note(f"connected to {without_nick(settings.address)}; an empty line or Ctrl-D ends")
        prompted = typed and os.environ.get("TERM") not in _CANNOT_PROMPT
        talk = _Talk(peer, settings, output, _prompt(output) if prompted else _Pipe(output))
        return await talk.hold(settings.timeout or (PATIENCE_AT_PROMPT if typed else PATIENCE), strict=not typed)


async def _enter(stack: AsyncExitStack, settings: Settings) -> tuple[Connection[Any], Settings]:
    """Open the conversation: with the service of that name, else in the room of that name."""
    try:
        return await stack.enter_async_context(opened(settings)), settings
    except Refused as refused:
        room = as_room(settings)
        if room is None or refused.code is not Code.UNKNOWN_SERVICE:
            raise
        try:
            return await stack.enter_async_context(opened(room)), room
        except Refused as other:
            raise (refused if other.code is Code.UNKNOWN_SERVICE else other) from None


def _prompt(output: Output) -> Face:
    from anyplug.cli.prompt import Prompt

    return Prompt(output)


class _Pipe:
    """Lines of standard input, with nobody who types them."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._stdin = Stdin(DEFAULTS.message)

    def lines(self) -> AsyncIterator[list[bytes]]:
        return self._stdin.lines()

    async def show(self, data: bytes) -> None:
        await self._output.put(data)

    async def tell(self, say: Callable[[], None]) -> None:
        say()

    def stop(self, saying: asyncio.Task[None]) -> None:
        saying.cancel()


class _Talk:
    """One conversation: two tasks, one that says and one that hears."""

    def __init__(self, peer: Connection[Any], settings: Settings, output: Output, face: Face) -> None:
        self._peer = peer
        self._settings = settings
        self._output = output
        self._face = face
        pieces = LineEnd.MISSING if output.terminal else LineEnd.NEVER
        self._printer = settings.printer(output, "message", pieces=pieces)
        self._room: bool | None = None  # not known before the first message
        self._status = OK
        self._heard = 0

    async def hold(self, patience: float, *, strict: bool) -> int:
        """Hold the conversation to its end; the exit status.

        Args:
            patience: how long the peer may be silent before its end, once all is said here, seconds.
            strict: a peer that stays open then is an error, and so is one that ends for a reason.

        Raises:
            Broken: the conversation ended in the middle.
            Timeout: the peer stayed open.
        """
        hearing = asyncio.create_task(self._hear())
        saying = asyncio.create_task(self._say())
        try:
            await asyncio.wait({hearing, saying}, return_when=asyncio.FIRST_COMPLETED)
            first = not saying.done()
            if not first:
                with suppress(ConnectionClosed, Broken):  # the task that hears knows why
                    saying.result()
                await self._await_end(hearing, patience, strict=strict)
        finally:
            self._face.stop(saying)
            hearing.cancel()
            await asyncio.gather(saying, hearing, return_exceptions=True)
        await self._printer.finish()
        if not hearing.cancelled():
            end = hearing.result()
            if end.code and strict:  # nobody sees what is missing where lines come from a file
                self._status = FAILURE
            self._tell_end(end, first=first)
        return self._status

    async def _say(self) -> None:
        async for lines in self._face.lines():
            for line in lines:
                if not line:
                    return await self._peer.send_eof()
                try:
                    await self._peer.send(to_message(line, self._settings))
                except (LocalError, TooLarge) as error:
                    await self._complain(error)
        return await self._peer.send_eof()

    async def _hear(self) -> ConnectionClosed:
        """Show what comes, until the peer ends in order; returns its end."""
        while True:
            try:
                messages = await self._peer.receive_many()
            except ConnectionClosed as end:
                return end
            except (DecodeError, Refused) as error:
                await self._complain(error)
            else:
                self._heard += len(messages)
                await self._face.show(b"".join(map(self._render, messages)))

    def _render(self, message: Any) -> bytes:
        """What came, as it is shown: an event of a room as a line."""
        if self._room is None:
            self._room = not self._output.json and is_welcome(message)
        shown = room_lines(message) if self._room else None
        return self._printer.render(message) if shown is None else shown

    async def _complain(self, error: AnyplugError) -> None:
        self._status = FAILURE
        await self._face.tell(partial(self._output.error, self._settings.advise(explain(error))))

    async def _await_end(self, hearing: asyncio.Task[ConnectionClosed], patience: float, *, strict: bool) -> None:
        heard = -1
        while not hearing.done() and heard != self._heard:
            heard = self._heard
            await asyncio.wait({hearing}, timeout=patience)
        if not hearing.done() and strict and not self._settings.address.is_datagram:
            raise Timeout("the end of the conversation", patience)

    def _tell_end(self, end: ConnectionClosed, *, first: bool) -> None:
        if self._output.json:
            self._output.write(self._output.event("end", code=end.code.word, text=end.text))
        elif first or end.code:
            reason = f" ({end.code.word})" if end.code else ""
            text = f": {escape(end.text)}" if end.text else ""
            self._output.note(f"the other end closed the conversation{reason}{text}")

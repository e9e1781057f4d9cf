"""``anyplug ask``: say something, print the answer."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from anyplug.cli.conversation import opened, run
from anyplug.cli.faults import FAILURE, OK, Fault, explain
from anyplug.cli.options import Settings, address_argument, parse_option, speaking_options, timeout_option
from anyplug.cli.output import Output
from anyplug.cli.printer import LineEnd
from anyplug.cli.stdin import Stdin
from anyplug.cli.texts import argument_bytes, to_message
from anyplug.connection import ASK_TIMEOUT
from anyplug.errors import AnyplugError, DecodeError, Refused
from anyplug.limits import DEFAULTS

if TYPE_CHECKING:
    from anyplug.connection import Connection

__all__ = ["command"]

WINDOW = 256
"""Questions that wait for their answers at once."""


@click.command(
    "ask",
    short_help="Say something and print the answer.",
    epilog="""\b
    Examples:
    anyplug ask 127.0.0.1/echo hello
    anyplug ask tcp://127.0.0.1:9999 "I am client." --framing raw
    seq 1000 | anyplug ask 127.0.0.1/echo --parse""",
)
@address_argument
@click.argument("text", required=False)
@parse_option
@speaking_options
@timeout_option("How long to wait for the connection and for each answer; 10 and 30 where nothing is said.")
def command(address: str, text: str | None, parse: bool, **options: Any) -> int:
    """Say TEXT to ADDRESS and print the answer.

    Without TEXT each line of standard input is a question. Questions go out without waiting for one another; answers
    are printed in the order of the questions, one a line. Texts are printed as they are, other values as JSON, bytes
    raw.

    A plain socket (tcp://, unix://) is spoken to in lines; a server that answers without a line feed is heard when it
    closes, or at once with --framing raw.
    """
    settings = Settings.of(address, parse=parse, **options)
    output = Output(json=settings.json)
    work = _ask_lines if text is None else partial(_ask_one, typed=argument_bytes(text))
    return run(lambda: work(settings, output), output, advise=partial(advise, settings))


def advise(settings: Settings, fault: Fault) -> Fault:
    """The fault with a hint where one fits: an end without an answer may be that of a service that speaks first."""
    if fault.code == "closed" and not fault.hint:
        return fault._replace(hint=f"if the service speaks first, use `anyplug receive {settings.address}`")
    return settings.advise(fault)


async def _ask_one(settings: Settings, output: Output, *, typed: bytes) -> int:
    question = to_message(typed, settings)
    async with opened(settings) as peer:
        printer = settings.printer(output, "answer", pieces=LineEnd.MISSING)
        await output.put(printer.render(await peer.ask(question, settings.timeout or ASK_TIMEOUT)))
        await printer.finish()
    return OK


async def _ask_lines(settings: Settings, output: Output) -> int:
    stdin = Stdin(DEFAULTS.message)
    async with opened(settings) as peer:
        if stdin.terminal:
            output.note("each line is a question; Ctrl-D ends")
        return await _Questions(peer, settings, output).ask_all(stdin)


class _Questions:
    """Many questions over one connection; their answers are printed in order."""

    def __init__(self, peer: Connection[Any], settings: Settings, output: Output) -> None:
        self._peer = peer
        self._settings = settings
        self._output = output
        self._printer = settings.printer(output, "answer", pieces=LineEnd.MISSING)
        # Questions on a raw stream would melt together: there each waits for the answer to the one before.
        self._window = asyncio.Semaphore(1 if settings.cut == "raw" else WINDOW)
        self._asked: asyncio.Queue[asyncio.Task[Any] | None] = asyncio.Queue()
        self._ready: list[bytes] = []
        self._status = OK

    async def ask_all(self, stdin: Stdin) -> int:
        """Ask each line of the input. The exit status: 1 where a question was refused."""
        asking = asyncio.create_task(self._ask_lines(stdin))
        try:
            await self._print_answers()
            await asking
        finally:
            await self._give_up(asking)
        await self._printer.finish()
        return self._status

    async def _ask_lines(self, stdin: Stdin) -> None:
        seconds = self._settings.timeout or ASK_TIMEOUT
        try:
            async for lines in stdin.lines():
                for line in lines:
                    question = to_message(line, self._settings)
                    await self._window.acquire()
                    self._asked.put_nowait(asyncio.create_task(self._peer.ask(question, seconds)))
        finally:
            self._asked.put_nowait(None)

    async def _print_answers(self) -> None:
        number = 0
        while (answer := await self._next()) is not None:
            number += 1
            if not answer.done():
                await self._flush()
            try:
                self._ready.append(self._printer.render(await answer, question=number))
            except (Refused, DecodeError) as error:
                await self._flush()
                self._complain(number, error)
            self._window.release()
        await self._flush()

    async def _next(self) -> asyncio.Task[Any] | None:
        if self._asked.empty():
            await self._flush()
        return await self._asked.get()

    async def _flush(self) -> None:
        ready, self._ready = self._ready, []
        await self._output.put(b"".join(ready))

    def _complain(self, number: int, error: AnyplugError) -> None:
        fault = self._settings.advise(explain(error))
        self._output.error(fault._replace(message=f"question {number}: {fault.message}"))
        self._status = FAILURE

    async def _give_up(self, asking: asyncio.Task[None]) -> None:
        """End what is under way, and take what it raised."""
        tasks: list[asyncio.Task[Any]] = [asking]
        while not self._asked.empty():
            task = self._asked.get_nowait()
            tasks += [task] if task is not None else []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

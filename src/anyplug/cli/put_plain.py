"""``anyplug put`` to a plain server: the bytes as they are, until their end."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from anyplug.address import Address
from anyplug.cli.bars import Bars
from anyplug.cli.faults import OK
from anyplug.cli.filing import run, sized
from anyplug.cli.stdin import Stdin
from anyplug.client import CONNECT_TIMEOUT, connect
from anyplug.errors import ConnectionClosed, LocalError, Timeout
from anyplug.escape import escape
from anyplug.limits import DEFAULTS
from anyplug.transfers.progress import Progress
from anyplug.transfers.source import cannot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from anyplug.cli.output import Output
    from anyplug.connection import Connection

__all__ = ["put_plain"]

PIECE: Final = 256 * 1024
"""Bytes that are read and sent at a time."""

ANSWER: Final = 10.0
"""How long the server's end is waited for, seconds, where nothing else is said."""


def put_plain(address: str, sources: Sequence[str], output: Output, *, timeout: float | None) -> int:
    """Send each file over a connection of its own; the exit status.

    Raises:
        LocalError: there is a folder among them, which such a server could not tell from a file.
    """
    for source in sources:
        if source != "-" and Path(source).is_dir():
            raise LocalError(f"{source} is a folder; a plain server takes files: name them, or use plug://")
    where = Address.parse(address).connectable()
    bars = Bars(output, many=len(sources) > 1)

    async def all_of_them() -> int:
        with bars:
            for source in sources:
                await _one(where, source, output, bars, timeout)
        return OK

    return run(all_of_them, output, interrupted=lambda: output.note("interrupted; plain servers cannot go on"))


async def _one(where: Address, source: str, output: Output, bars: Bars, timeout: float | None) -> None:
    began = time.monotonic()
    size = None if source == "-" else _size(source)
    pieces = Stdin(DEFAULTS.message).pieces() if source == "-" else _pieces(source)
    sent = 0
    peer: Connection[Any]
    async with connect(where, type=bytes, framing="raw", timeout=timeout or CONNECT_TIMEOUT) as peer:
        async for piece in pieces:
            await peer.send(piece)
            sent += len(piece)
            bars.report(Progress(name=source, phase="sending", done=sent, size=size))
        await peer.send_eof()
        bars.report(Progress(name=source, phase="verifying", done=sent, size=size))
        answer = await _answer(peer, timeout or ANSWER)
    bars.report(Progress(name=source, phase="done", done=sent, size=size))
    seconds = time.monotonic() - began
    if output.json:
        fields = {"answer": answer} if answer else {}
        output.write(output.event("sent", path=source, size=sent, seconds=round(seconds, 3), **fields))
        return
    if answer:
        output.note(f"the server says: {escape(answer)}")
    output.note(f"{escape(source)}: {sized(sent)} sent; a plain server does not say what became of it")


def _size(source: str) -> int:
    try:
        return Path(source).stat().st_size
    except OSError as error:
        raise cannot(source, error) from error


async def _pieces(source: str) -> AsyncIterator[bytes]:
    try:
        with Path(source).open("rb", buffering=0) as file:  # noqa: ASYNC230 - pieces come from the page cache
            while piece := file.read(PIECE):
                yield piece
    except OSError as error:
        raise cannot(source, error) from error


async def _answer(peer: Connection[Any], seconds: float) -> str:
    """What the server says until it ends; empty where it says nothing in time."""
    said = b""
    try:
        async with asyncio.timeout(seconds):
            while len(said) < DEFAULTS.queue:
                said += await peer.receive()
    except (ConnectionClosed, Timeout, TimeoutError):
        pass
    return said.decode("utf-8", "replace").strip()

"""Giving a connected socket of a client to the event loop."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from anyplug.transport.packets import PacketTransport

if TYPE_CHECKING:
    import socket

    from anyplug.transport.link import Link

__all__ = ["join"]


async def join(loop: asyncio.AbstractEventLoop, sock: socket.socket, link: Link, *, packets: bool) -> None:
    """Join a connected, non-blocking socket to a link, and wait until the link is open.

    The loop owns the socket from then on. Not by ``create_connection``: uvloop 0.23 takes every socket for one of TCP
    there, and owns it only once the stream has been opened. What is meant for accepted sockets does neither.

    It is never cancelled half-way: uvloop would close the stream without telling the link. A stream that is opened for
    nobody is cut.

    Args:
        loop: the event loop.
        sock: the socket.
        link: what hears of it.
        packets: whether it carries datagrams or packets.

    Raises:
        OSError: the system refused; the socket is closed.
    """
    joining = loop.create_task(_join(loop, sock, link, packets=packets))
    try:
        await asyncio.shield(joining)
    except asyncio.CancelledError:
        joining.add_done_callback(partial(_leave, link))
        raise


async def _join(loop: asyncio.AbstractEventLoop, sock: socket.socket, link: Link, *, packets: bool) -> None:
    try:
        if not packets:
            await loop.connect_accepted_socket(lambda: link, sock)
            return
        PacketTransport(loop, sock, link)
    except BaseException:
        sock.close()
        raise
    await asyncio.sleep(0)  # a packet transport opens its link in the next turn


def _leave(link: Link, joining: asyncio.Task[None]) -> None:
    if not joining.cancelled() and joining.exception() is None:
        link.abort()

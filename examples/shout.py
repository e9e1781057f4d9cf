"""A server with two services of its own.

    python examples/shout.py
    anyplug ask 127.0.0.1/shout hello           (in a second terminal)
    nc 127.0.0.1 8080

Addresses can be given instead of these two.
"""

from __future__ import annotations

import sys

import anyplug

server = anyplug.Server()


@server.reply("shout")
def shout(message: str) -> str:
    """Answers in capitals"""
    return message.upper()


@server.service("countdown")
async def countdown(peer: anyplug.Connection[int]) -> None:
    """Counts down from every number"""
    async for n in peer:
        for i in reversed(range(n)):
            await peer.send(i)


if __name__ == "__main__":
    server.run(*(sys.argv[1:] or ("plug://127.0.0.1:7584", "tcp://127.0.0.1:8080/shout?framing=lines")))

"""A client of shout.py: many questions at once over one connection, and a conversation.

python examples/shout_client.py [HOST[:PORT]]
"""

from __future__ import annotations

import asyncio
import sys

import anyplug


async def main(place: str) -> None:
    async with anyplug.connect(f"plug://{place}/shout", type=str) as peer:
        print(await peer.ask("hello"))
        print(*await asyncio.gather(*(peer.ask(word) for word in ("one", "two", "three"))))

    async with anyplug.connect(f"plug://{place}/countdown", type=int) as counter:
        await counter.send(3)
        await counter.send_eof()
        print(*[number async for number in counter])


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"))

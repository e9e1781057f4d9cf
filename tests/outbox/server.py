"""A server process that keeps posts in a store, until it is killed.

``python server.py FOLDER PORT``: listens on 127.0.0.1, and says where on stdout.
"""

from __future__ import annotations

import asyncio
import sys

from anyplug.store import SqliteStore
from tests.outbox.keeping import Keeper, serve

__all__: list[str] = []


async def main() -> None:
    folder, port = sys.argv[1:]
    store = await SqliteStore.open(folder, reserve=0)
    async with serve(Keeper(store), f"plug://127.0.0.1:{port}") as address:
        print(address, flush=True)
        await asyncio.to_thread(sys.stdin.read)
    await store.close()


if __name__ == "__main__":
    asyncio.run(main())

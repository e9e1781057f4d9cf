"""A process that writes to a store, says on stdout what was acknowledged, and can be killed at any moment.

``python worker.py FOLDER many PRODUCER FIRST COUNT DEPTH``: append messages ``PRODUCER-n`` from FIRST on, DEPTH
at a time, and print each sequence and its position.
``python worker.py FOLDER batch PRODUCER FIRST COUNT``: append them all at once.
"""

from __future__ import annotations

import asyncio
import sys

from anyplug.errors import AnyplugError
from anyplug.store import Entry, Producer, SqliteStore

__all__: list[str] = []


def say(*words: object) -> None:
    print(*words, flush=True)


async def append(store: SqliteStore, producer: str, first: int, count: int) -> None:
    entries = [Entry(f"{producer}-{n}".encode(), n) for n in range(first, first + count)]
    try:
        receipt = await store.log.append("log", entries, producer=Producer(producer.encode(), first))
    except AnyplugError as error:
        say("error", type(error).__name__, store.state)
        return
    for n, position in enumerate(receipt.positions, first):
        say("ok", n, position)


async def main() -> None:
    folder, how, producer, *rest = sys.argv[1:]
    first, count, depth = (*map(int, rest), 1)[:3]
    try:
        store = await SqliteStore.open(folder, reserve=0)
    except AnyplugError as error:
        say("error", type(error).__name__, "opening")
        return
    say("open", (await store.log.span("log")).last)
    if how == "batch":
        await append(store, producer, first, count)
        await append(store, producer, first + count, 1)
    for start in range(first, first + count if how == "many" else first, depth):
        await asyncio.gather(*(append(store, producer, n, 1) for n in range(start, start + depth)))
    await store.close()
    say("closed", store.state)


if __name__ == "__main__":
    asyncio.run(main())

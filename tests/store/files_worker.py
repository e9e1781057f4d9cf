"""A process that stores files, says on stdout what was acknowledged, and can be killed at any moment.

``python files_worker.py FOLDER upload|replace|small|delete|many``: what does not fit is tried once more.

One thread does all that has to do with the disk, and one all that has to do with the index.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, TypeVar

from anyplug.errors import AnyplugError, StoreFull
from anyplug.store import CHUNK, FolderFiles, Offer, Small

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from anyplug.store import Lease

__all__ = ["DATA", "OLD", "SMALLS", "many"]

DATA = b"0" * CHUNK + b"1" * CHUNK + b"2" * 100
OLD = b"the old one"
SMALLS = [b"small %d" % n for n in range(5)]

T = TypeVar("T")


def say(*words: object) -> None:
    print(*words, flush=True)


async def tried(what: str, call: Callable[[], Coroutine[object, object, T]]) -> T:
    try:
        return await call()
    except StoreFull:
        say("full", what)
    return await call()


async def upload(store: FolderFiles, *, replace: bool) -> None:
    offer = Offer(label="d/photo.jpg", size=len(DATA), modified=10**18, replace=replace)
    lease: Lease = await tried("begin", lambda: store.begin(offer, now=1))
    say("id", lease.id)
    for index in (2, 0, 1):
        part = DATA[index * CHUNK : (index + 1) * CHUNK]
        await tried("write", lambda index=index, part=part: lease.write(index, part))  # type: ignore[misc]
        say("wrote", index)
        if index == 0:
            await tried("sync", lease.sync)
            say("synced")
    file = await tried("finish", lambda: lease.finish(now=2))
    say("ok", file.name)


async def small(store: FolderFiles) -> None:
    smalls = [Small(Offer(label=f"s/{n}"), data) for n, data in enumerate(SMALLS)]
    results = await store.put_many(smalls, now=1)
    if any(isinstance(each, StoreFull) for each in results):
        say("full", "small")
        results = await store.put_many(smalls, now=1)
    for each in results:
        say("error", type(each).__name__) if isinstance(each, Exception) else say("ok", each.name)


def many(number: int) -> bytes:
    """A file of four chunks, which no other is like."""
    return b"".join(b"%d" % digit * CHUNK for digit in range(number, number + 3)) + b"end %d" % number


async def one_of_many(store: FolderFiles, number: int) -> None:
    """Carry on an upload, or begin it."""
    data = many(number)
    label = f"m{number}"
    if label in {file.name for file in await store.list()}:
        return
    waiting = {each.offer.label: each.id for each in await store.transfers()}
    known = label in waiting
    lease = await (store.resume(waiting[label]) if known else store.begin(Offer(label=label, size=len(data)), now=1))
    for first, end in lease.missing():
        for index in range(first, end):
            await lease.write(index, data[index * CHUNK : (index + 1) * CHUNK])
            say("wrote", number, index)
    say("ok", (await lease.finish(now=2)).name)


async def main() -> None:
    folder, how = sys.argv[1:]
    store = None
    try:
        store = await FolderFiles.open(folder, reserve=0, threads=1)
        say("open")
        if how in {"upload", "replace"}:
            await upload(store, replace=how == "replace")
        elif how == "many":
            await asyncio.gather(*(one_of_many(store, number) for number in range(8)))
        elif how == "small":
            await small(store)
        else:
            await tried("delete", lambda: store.delete("d/photo.jpg"))
            say("ok", "deleted")
    except AnyplugError as error:
        say("error", type(error).__name__, error)
    if store is not None:
        try:
            await store.close()
        except AnyplugError as error:
            say("error", type(error).__name__, "closing", error)
        say("closed", store.state)


if __name__ == "__main__":
    asyncio.run(main())

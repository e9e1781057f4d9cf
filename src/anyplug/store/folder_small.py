"""Many small files at once: each is written to the staging area in one go, and all get their names together."""

from __future__ import annotations

import asyncio
import os
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from anyplug.errors import LocalError, PeerError, StoreError, StoreFailed
from anyplug.file_errors import Mismatch
from anyplug.store.chunks import CHUNK, chunk_digest, file_digest, split
from anyplug.store.disk import told, write_all
from anyplug.store.files import check_offer
from anyplug.store.folder_places import FILE_MODE
from anyplug.store.folder_rows import Ready
from anyplug.store.folder_transfer import ready, ready_row, set_facts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anyplug.store.files import Offer, Small, StoredFile
    from anyplug.store.folder_core import Core
    from anyplug.store.folder_placing import Placer

__all__ = ["put_many"]

GROUP: Final = 1_000
"""Files that one thread writes in one go. Two threads at a time mostly wait for each other."""

_Taken = tuple["Small", "Offer", int]


async def put_many(core: Core, placer: Placer, smalls: Sequence[Small], *, now: int) -> list[StoredFile | Exception]:
    """As `FileStore.put_many`."""
    disk = await core.run(core.disk.room)
    admitted = [_admit(core, small, disk) for small in smalls]
    taken = [each for each in admitted if not isinstance(each, Exception)]
    staged: list[Ready | Exception] = []
    try:
        groups = [taken[at : at + GROUP] for at in range(0, len(taken), GROUP)]
        for group in await asyncio.gather(*(core.run(_stage, core, group, now) for group in groups)):
            staged += group
        await placer.place([each for each in staged if isinstance(each, Ready)])
        await core.run(_clear, core, staged)
    finally:
        core.room.drop(sum([size for _, _, size in taken]), files=len(taken))
    outcomes = iter([_outcome(each) for each in staged])
    return [each if isinstance(each, Exception) else next(outcomes) for each in admitted]


def _admit(core: Core, small: Small, disk: int) -> _Taken | Exception:
    size = memoryview(small.data).nbytes
    try:
        offer = check_offer(small.offer, core.limits)
        if offer.size is not None and offer.size != size:
            raise Mismatch("size", expected=f"{offer.size:,} bytes, as offered", found=f"{size:,} bytes")
        core.room.take(size, files=1, disk=disk, free=core.free)
    except (LocalError, PeerError) as error:
        return error
    return small, offer, size


def _stage(core: Core, group: Sequence[_Taken], now: int) -> list[Ready | Exception]:
    names = secrets.token_hex(16 * len(group))
    staged: list[Ready | Exception] = []
    for at, (small, offer, size) in enumerate(group):
        try:
            staged.append(_stage_one(core, names[32 * at : 32 * at + 32], small, offer, size, now))
        except OSError as error:
            staged.append(_refusal(core, error))
        except PeerError as error:
            staged.append(error)
    return staged


def _refusal(core: Core, error: OSError) -> StoreError:
    """What an error of the system means for one file; raises what it means for all."""
    try:
        with told(core.path):
            raise error
    except StoreFailed:
        raise
    except StoreError as refusal:
        return refusal


def _stage_one(core: Core, name: str, small: Small, offer: Offer, size: int, now: int) -> Ready:
    digests = b"".join([chunk_digest([chunk]) for chunk in split(small.data)]) if size > CHUNK else _digest(small, size)
    digest = file_digest(digests, size)
    if small.digest is not None and small.digest != digest:
        raise Mismatch("digest", expected=small.digest.hex(), found=digest.hex())
    file = core.places.stage(name, FILE_MODE)
    try:
        if os.pwritev(file, [small.data], 0) != size:
            write_all(file, [small.data], 0)
        inode, mtime = set_facts(file, offer)
    except BaseException:
        with suppress(OSError):
            core.places.drop(name, journal=False)
        raise
    finally:
        os.close(file)
    row = ready_row(offer, size, digest, now=now, inode=inode, mtime=mtime)
    return ready(offer, name, row, digests)


def _digest(small: Small, size: int) -> bytes:
    """The digest of the only chunk; empty where there is none."""
    return chunk_digest([small.data]) if size else b""


def _clear(core: Core, staged: Sequence[Ready | Exception]) -> None:
    for each in staged:
        if isinstance(each, Ready) and each.error is not None:
            core.places.drop(each.staged, journal=False)


def _outcome(staged: Ready | Exception) -> StoredFile | Exception:
    if isinstance(staged, Exception):
        return staged
    return staged.error if staged.error is not None else (staged.same or staged.row).shown()

"""How a folder of files is opened: what a crash left is brought to an end, one way or the other.

A file that has its name and whose row says that it was about to get it, gets its row; one without the name does not. A
file whose row says that it was to go, goes. What lies in the staging area without a journal that can be read was never
acknowledged to anybody, and is removed.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from anyplug.errors import StoreError
from anyplug.names import key_of
from anyplug.store.disk import Disk, boot, lacking, open_folder, told, walk
from anyplug.store.files import Transfer
from anyplug.store.folder_core import Core
from anyplug.store.folder_index import Index, open_index
from anyplug.store.folder_places import FOLDER_MODE, JOURNAL, Places
from anyplug.store.folder_rows import PLACING, THERE, select
from anyplug.store.folder_transfer import Upload
from anyplug.store.sqlite_faults import told as told_of_index
from anyplug.store.sqlite_files import Files, sync_folder
from anyplug.store.sqlite_readers import Readers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor
    from pathlib import Path

    from anyplug.store.files import FileLimits

__all__ = ["HIDDEN", "open_core", "resting", "summary"]

HIDDEN: Final = ".anyplug"
"""The folder inside the folder that holds the index and the staging area. No safe name is hidden."""

STAGING: Final = "staging"

SIZES: Final = "SELECT count(*), coalesce(sum(size), 0) FROM file WHERE state = 1"

_ID: Final = re.compile(r"[0-9a-f]{32}")


def open_core(
    folder: Path, limits: FileLimits, pool: Executor, *, reserve: int, run: str | None
) -> tuple[Core, Files, list[Transfer]]:
    """Open a folder, or make one; with the transfers that wait in it.

    Raises:
        StoreBusy, StoreDamaged, StoreFull, StoreFailed, StoreError: as `FolderFiles.open`.
    """
    if missing := lacking():
        raise StoreError(str(folder), f"this system lacks {missing}; keep files on one that is like Linux")
    with told(str(folder)):
        made = [each for each in (folder, *folder.parents) if not each.exists()]
        folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        for each in made:
            sync_folder(each.parent)
        if (hidden := folder / HIDDEN).is_symlink() or (hidden.exists() and not hidden.is_dir()):
            raise StoreError(str(hidden), "it is no folder; remove it, or choose another folder")
    files = Files(folder / HIDDEN, free=limits.free, reserve=reserve).acquire()
    opened: list[int] = []
    try:
        with told(str(folder)):
            root = open_folder(str(folder))
            opened.append(root)
            opened.append(_staging(root))
        with told_of_index(str(files.database)), told(str(folder)):
            core = _core(folder, files, limits, pool, opened, run)
            try:
                waiting = resting(core)
            except BaseException:
                core.readers.close()
                core.index.close()
                raise
            core.start()
            return core, files, waiting
    except BaseException:
        for descriptor in opened:
            os.close(descriptor)
        files.release()
        raise


def _staging(root: int) -> int:
    hidden = walk(root, [HIDDEN])
    try:
        try:
            os.mkdir(STAGING, 0o700, dir_fd=hidden)
        except FileExistsError:
            pass
        else:
            os.fsync(hidden)
        return walk(hidden, [STAGING])
    finally:
        os.close(hidden)


def _core(
    folder: Path, files: Files, limits: FileLimits, pool: Executor, opened: Sequence[int], run: str | None
) -> Core:
    root, staging = opened
    connection = open_index(files)
    try:
        disk = Disk(str(folder), root)
        places = Places(str(folder), root, staging, disk)
        index = Index(connection, files)
        _recover(index, places)
        _sweep(index, places)
        readers = Readers(files.database)
        count, size = connection.execute(SIZES).fetchone()
    except BaseException:
        connection.close()
        raise
    size_of_disk = os.fstatvfs(root)
    core = Core(
        str(folder),
        root=root,
        pool=pool,
        disk=disk,
        places=places,
        index=index,
        readers=readers,
        limits=limits,
        free=min(limits.free, size_of_disk.f_blocks * size_of_disk.f_frsize // 20),
        boot=boot() if run is None else run,
    )
    core.room.change(files=count, size=size)
    return core


def _recover(index: Index, places: Places) -> None:
    """Bring to an end what was being done."""
    connection = index.connection
    replaced = f"WHERE state = {THERE} AND key = ? AND name = ?"
    connection.execute("BEGIN IMMEDIATE")
    for row in select(connection, index.path, f"WHERE state != {THERE} ORDER BY id"):
        if row.state == PLACING and places.has(row, itself=True, sync=True):
            for old in select(connection, index.path, replaced, key_of(row.name), row.name):
                index.remove(old.id)
            index.there(row)
        elif row.state == PLACING:
            index.remove(row.id)
        else:
            places.remove(row)
            index.remove(row.id)
    connection.execute("COMMIT")


def _sweep(index: Index, places: Places) -> None:
    """Remove from the staging area what is no transfer, or was one."""
    names = set(os.listdir(places.staging))  # noqa: PTH208  a descriptor
    for name in {each.removesuffix(JOURNAL) for each in names}:
        done = index.connection.execute("SELECT 1 FROM file WHERE transfer = ?", (name,)).fetchone()
        if done or not {name, name + JOURNAL} <= names or not _ID.fullmatch(name):
            places.drop(name)


def resting(core: Core) -> list[Transfer]:
    """The transfers that wait in the staging area, which count against the bounds of the store from now on."""
    found: list[Transfer] = []
    names = os.listdir(core.places.staging)  # noqa: PTH208  a descriptor
    for name in sorted(name for name in names if _ID.fullmatch(name)):
        upload = Upload.load(name, place=core.boot, places=core.places, disk=core.disk)
        if upload is None:
            core.places.drop(name)
            continue
        upload.close()
        found.append(summary(upload, core))
        core.room.reserved += upload.reserved
        core.room.written += upload.received
        core.room.transfers += 1
    return found


def summary(upload: Upload, core: Core) -> Transfer:
    """What is told of a transfer."""
    facts = os.stat(upload.id + JOURNAL, dir_fd=core.places.staging, follow_symlinks=False)
    held = upload.holder is not None
    return Transfer(id=upload.id, offer=upload.offer, received=upload.received, touched=facts.st_mtime_ns, held=held)

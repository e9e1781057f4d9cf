"""Every store of files keeps the contract, and so does what is left of it after a crash."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from anyplug.store import FolderFiles
from anyplug.store.memory_files import MemoryFiles
from anyplug.testing import check_file_store

if TYPE_CHECKING:
    from pathlib import Path

    from anyplug.store import FileLimits, FileStore


async def test_files_in_memory() -> None:
    async def make(limits: FileLimits) -> FileStore:
        return MemoryFiles(limits=limits)

    await check_file_store(make)


@pytest.fixture
def folders(folder: Path) -> list[Path]:
    return [folder]


async def test_files_in_a_folder(folder: Path) -> None:
    stores: list[tuple[Path, FolderFiles]] = []

    async def make(limits: FileLimits) -> FileStore:
        path = folder / str(len(stores))
        store = await FolderFiles.open(path, limits=limits, reserve=0)
        stores.append((path, store))
        return store

    async def crash(store: FileStore) -> FileStore:
        """What a kill leaves: the folder as it is, with its inodes."""
        ((path, old),) = [each for each in stores if each[1] is store]
        left = folder / str(len(stores))
        shutil.copytree(path, left, copy_function=link_or_copy)
        new = await FolderFiles.open(left, limits=store.limits, reserve=0)
        stores.append((left, new))
        await old.close()
        return new

    await check_file_store(make, crash=crash)
    assert {store.state for _, store in stores} == {"closed"}


def link_or_copy(source: str, target: str) -> None:
    """Data keeps its inode; what the old process goes on to write in place is copied."""
    import os

    if "/.anyplug/" in source and ("staging" not in source or source.endswith(".journal")):
        shutil.copy2(source, target)
    else:
        os.link(source, target)

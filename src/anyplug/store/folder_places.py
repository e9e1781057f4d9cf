"""Where files get their names, and lose them: the folder that people open, and the staging area beside it.

A file gets its name with one call: a link, which fails where the name is taken by anything, or a rename, where it was
said that it may replace. All folders that got a name are synced before anybody is told.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from anyplug.errors import StoreError, StoreFailed
from anyplug.names import sibling
from anyplug.store.disk import FOLDER, NEW, READ, told, walk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anyplug.store.disk import Disk
    from anyplug.store.folder_rows import Ready, Row

__all__ = ["FILE_MODE", "FOLDER_MODE", "JOURNAL", "Places"]

FILE_MODE: Final = 0o644
"""The mode of a file in the folder; what its sender had is not asked. In the staging area it has 0600."""

FOLDER_MODE: Final = 0o755

JOURNAL: Final = ".journal"
"""What the name of a transfer's journal ends with."""

OPEN_MANY: Final = 64
"""Folders that are open at once while files get their names."""

PROBES: Final = 1_000
"""Numbered names that are looked at in the folder before the index is asked for another."""

NO_FOLDER: Final = frozenset({errno.ENOTDIR, errno.ELOOP})


class _Blocked(Exception):
    """A folder cannot be had: something else has its name."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


class Places:
    """The folder and its staging area, by their descriptors. Calls block; paths are those of `anyplug.names`.

    Args:
        path: the folder, for what is told.
        root: its descriptor.
        staging: the descriptor of the staging area, on the same disk.
        disk: what syncs.
    """

    __slots__ = ("_disk", "_folders", "_touched", "path", "root", "staging")

    def __init__(self, path: str, root: int, staging: int, disk: Disk) -> None:
        self.path = path
        self.root = root
        self.staging = staging
        self._disk = disk
        self._folders: dict[str, int] = {}
        self._touched: set[int] = set()

    def give(self, items: Sequence[Ready]) -> None:
        """Give items their names. Where one is taken `Ready.avoid` says so, other errors are in `Ready.error`."""
        try:
            for item in items:
                if len(self._folders) > OPEN_MANY:
                    self._sync()
                try:
                    self._give_as_told(item)
                except _Blocked as blocked:
                    item.avoid.add(blocked.path)
                    item.again = True
                except FileNotFoundError:
                    item.again = True  # somebody moved a folder away under our hands
                except StoreFailed:
                    raise
                except StoreError as error:
                    item.error = error
            self._sync()
        finally:
            self._close()

    def _give_as_told(self, item: Ready) -> None:
        try:
            self._give(item)
        except FileNotFoundError:
            raise
        except OSError:
            with told(self.path):
                raise

    def _give(self, item: Ready) -> None:
        parent, _, name = item.row.name.rpartition("/")
        folder = self._folder(parent)
        try:
            if item.replaced is not None:
                os.replace(item.staged, name, src_dir_fd=self.staging, dst_dir_fd=folder)
            else:
                os.link(item.staged, name, src_dir_fd=self.staging, dst_dir_fd=folder, follow_symlinks=False)
        except (FileExistsError, IsADirectoryError):
            item.avoid.add(item.row.name)
            item.again = True
            self._probe(item, folder)
            return
        self._touched.add(folder)

    def _probe(self, item: Ready, folder: int) -> None:
        for number in range(2, PROBES):
            path = sibling(item.wanted, number)
            try:
                os.stat(path.rpartition("/")[2], dir_fd=folder, follow_symlinks=False)
            except FileNotFoundError:
                return
            item.avoid.add(path)

    def _folder(self, path: str) -> int:
        """A folder that is open, made where it is missing; it stays open until the batch is done."""
        if not path:
            return self.root
        if path in self._folders:
            return self._folders[path]
        parent, _, name = path.rpartition("/")
        at = self._folder(parent)
        try:
            below = self._enter(at, name)
        except OSError as error:
            if error.errno in NO_FOLDER:
                raise _Blocked(path) from error
            raise
        self._folders[path] = below
        return below

    def _enter(self, at: int, name: str) -> int:
        try:
            return os.open(name, FOLDER, dir_fd=at)
        except FileNotFoundError:
            with suppress(FileExistsError):
                os.mkdir(name, FOLDER_MODE, dir_fd=at)
            self._touched.add(at)
            return os.open(name, FOLDER, dir_fd=at)

    def _sync(self) -> None:
        """Sync what got names, and close it."""
        for folder in self._touched:
            self._disk.sync_folder(folder)
        self._close()

    def _close(self) -> None:
        for folder in self._folders.values():
            os.close(folder)
        self._folders.clear()
        self._touched.clear()

    def stage(self, name: str, mode: int = 0o600) -> int:
        """Make a file in the staging area and open it."""
        return os.open(name, NEW, mode, dir_fd=self.staging)

    def drop(self, name: str, *, journal: bool = True) -> None:
        """Remove a file from the staging area, and its journal."""
        for each in (name, name + JOURNAL) if journal else (name,):
            with suppress(FileNotFoundError):
                os.unlink(each, dir_fd=self.staging)

    def open(self, row: Row) -> int | None:
        """Open a file for reading; None where it is not the one of the row: gone, changed, or something else."""
        folder, name = self._enter_all(row.name)
        if folder is None:
            return None
        try:
            file = os.open(name, READ, dir_fd=folder)
        except OSError as error:
            if error.errno in {errno.ENOENT, errno.ENXIO, *NO_FOLDER}:
                return None
            raise
        finally:
            os.close(folder)
        found = os.fstat(file)
        if stat.S_ISREG(found.st_mode) and (found.st_size, found.st_mtime_ns) == (row.size, row.mtime):
            return file
        os.close(file)
        return None

    def exists(self, path: str) -> bool:
        """Whether anything has that name."""
        folder, name = self._enter_all(path)
        if folder is None:
            return False
        try:
            os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        finally:
            os.close(folder)
        return True

    def has(self, row: Row, *, itself: bool = False, sync: bool = False) -> bool:
        """Whether the file of the row has its name.

        Args:
            row: which file.
            itself: a copy of it, as from a backup, is not good enough.
            sync: make the name durable.
        """
        folder, name = self._enter_all(row.name)
        if folder is None:
            return False
        try:
            found = self._is(row, folder, name, itself=itself)
            if sync:
                self._disk.sync_folder(folder)
        finally:
            os.close(folder)
        return found

    def remove(self, row: Row) -> None:
        """Take the name away from the file of the row, durably, and remove the folders that are empty then. What has
        the name and is another file stays.
        """
        folder, name = self._enter_all(row.name)
        if folder is None:
            return
        try:
            if self._is(row, folder, name):
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=folder)
            self._disk.sync_folder(folder)
        finally:
            os.close(folder)
        empty = row.name.rpartition("/")[0]
        while empty and self._remove_empty(empty):
            empty = empty.rpartition("/")[0]

    def _remove_empty(self, path: str) -> bool:
        above, name = self._enter_all(path)
        if above is None:
            return False
        try:
            os.rmdir(name, dir_fd=above)
        except OSError as error:
            if error.errno in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT, errno.EBUSY, *NO_FOLDER}:
                return False
            raise
        finally:
            os.close(above)
        return True

    def _is(self, row: Row, folder: int, name: str, *, itself: bool = False) -> bool:
        inode = row.inode if itself else None
        return self._disk.same(folder, name, size=row.size, mtime=row.mtime, inode=inode)

    def _enter_all(self, path: str) -> tuple[int | None, str]:
        """The folder of a path, open, or None where there is none of ours; and the name in it."""
        *folders, name = path.split("/")
        try:
            return walk(self.root, folders), name
        except OSError as error:
            if error.errno in {errno.ENOENT, *NO_FOLDER}:
                return None, name
            raise

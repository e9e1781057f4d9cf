"""The folder of a store: its database, the lock that keeps other processes out, and the room that is kept free."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Final

from anyplug.errors import StoreBusy, StoreError, StoreFailed, StoreFull
from anyplug.store.wal import check_wal

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

__all__ = ["FREE", "RESERVE", "Files"]

FREE: Final = 256 * 1024 * 1024
"""Below so much free room writes are refused, bytes; but never more than a twentieth of the disk."""

RESERVE: Final = 4 * 1024 * 1024
"""The file that is given up when the disk is full after all, so that deleting and acknowledging go on, bytes."""


class Files:
    """The files of a store that is held by this process.

    Args:
        folder: where they are; made when it is not there.
        free: how many bytes of the disk are left free.
        reserve: how large the reserve file is, bytes; 0 for none.
    """

    __slots__ = ("_free", "_lock", "_reserve", "database", "folder", "reserve")

    def __init__(self, folder: Path, *, free: int = FREE, reserve: int = RESERVE) -> None:
        self.folder = folder
        self.database = folder / "anyplug.db"
        self.reserve = folder / "reserve"
        self._reserve = reserve
        self._free = free
        self._lock = -1

    def acquire(self) -> Self:
        """Make the folder, lock it, look at the write-ahead log.

        Raises:
            StoreBusy: another process holds it, or a store of this process does.
            StoreDamaged: the write-ahead log is.
            StoreError: the folder cannot be used.
        """
        try:
            made = [each for each in (self.folder, *self.folder.parents) if not each.exists()]
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for each in made:
                sync_folder(each.parent)
            self._lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._hold()
            check_wal(self.database.with_name("anyplug.db-wal"))
            disk = os.statvfs(self.folder)
        except OSError as error:
            self.release()
            raise StoreError(str(self.folder), f"it cannot be used: {error.strerror} ({error.filename})") from error
        except BaseException:
            self.release()
            raise
        self._free = min(self._free, disk.f_blocks * disk.f_frsize // 20)
        return self

    def _hold(self) -> None:
        import fcntl

        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(self._lock, 32, 0).decode(errors="replace").strip() or "unknown"
            raise StoreBusy(
                str(self.folder), f"process {holder} holds it; stop that one, or choose another folder"
            ) from error
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let the next one in."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def room(self) -> int:
        """Bytes free for us."""
        disk = os.statvfs(self.folder)
        return disk.f_bavail * disk.f_frsize

    def short(self) -> StoreFull | None:
        """The error where there is too little room to write, or None.

        Raises:
            StoreFailed: the folder is gone, or cannot be asked.
        """
        try:
            room = self.room()
        except OSError as error:
            raise StoreFailed(str(self.folder), f"its folder cannot be looked at: {error.strerror}") from error
        if room >= self._free:
            return None
        return StoreFull(str(self.folder), f"{room:,} bytes of the disk are free, {self._free:,} are left free")

    def keep_reserve(self) -> None:
        """Make the reserve file, where it is missing and there is room enough."""
        if not self._reserve or self.reserve.exists() or self.room() < self._free + 2 * self._reserve:
            return
        with open(self.reserve, "wb", buffering=0) as file:  # noqa: PTH123  no need for more of a file
            try:
                os.posix_fallocate(file.fileno(), 0, self._reserve)
            except OSError as error:
                if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EOPNOTSUPP, errno.EINVAL}:
                    raise
                os.ftruncate(file.fileno(), 0)

    def drop_reserve(self) -> bool:
        """Give the reserve file up; False where there was none."""
        try:
            held = self.reserve.stat().st_size
            self.reserve.unlink()
        except FileNotFoundError:
            return False
        return held > 0


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)

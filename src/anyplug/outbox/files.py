"""The file of an outbox: where it is by default, and the lock that keeps other processes out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from anyplug.errors import StoreBusy, StoreError
from anyplug.store.sqlite_files import sync_folder
from anyplug.store.wal import check_wal

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Held", "default_path"]


def default_path(environ: Mapping[str, str]) -> Path:
    """Where a user's outbox is, if no other place is named.

    The file ``anyplug/outbox.db`` in the folder for state: ``$XDG_STATE_HOME``, or ``~/.local/state`` (XDG Base
    Directory Specification).
    """
    folder = environ.get("XDG_STATE_HOME", "")
    state = Path(folder) if folder.startswith("/") else Path("~/.local/state").expanduser()
    return state / "anyplug" / "outbox.db"


class Held:
    """The file of an outbox while this process holds it.

    The lock is on a file beside it, ``NAME.lock``, so that no descriptor but SQLite's own is ever open on the database.

    Args:
        path: the file; made, with its folder, when it is not there. Links are followed, so that two names of one file
            have one lock.
    """

    __slots__ = ("_lock", "path")

    def __init__(self, path: Path) -> None:
        self.path = Path(os.path.realpath(path))
        self._lock = -1

    def acquire(self) -> None:
        """Make what is missing, lock it, look at the write-ahead log.

        Raises:
            StoreBusy: another process holds it, or an outbox of this process does.
            StoreDamaged: the write-ahead log is.
            StoreError: it cannot be used.
        """
        try:
            self._make_folder()
            self._lock = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._hold()
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            check_wal(self.path.with_name(f"{self.path.name}-wal"))
        except OSError as error:
            self.release()
            raise StoreError(str(self.path), f"it cannot be used: {error.strerror} ({error.filename})") from error
        except BaseException:
            self.release()
            raise

    def _make_folder(self) -> None:
        folder = self.path.parent
        made = [each for each in (folder, *folder.parents) if not each.exists()]
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for each in made:
            sync_folder(each.parent)

    def _hold(self) -> None:
        import fcntl

        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(self._lock, 32, 0).decode(errors="replace").strip() or "unknown"
            raise StoreBusy(
                str(self.path), f"process {holder} holds it; stop that one, or choose another file"
            ) from error
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let the next one in."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

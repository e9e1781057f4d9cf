"""The disk of a server fills up, with all of both programs: writes are refused with their reason, reads go on, and what
waited goes on by itself once there is room. The disk is a small one in memory, which only the server has mounted.
"""

from __future__ import annotations

import os
import random
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from anyplug import Code, Inbox, PostRefused, Refused, Shelf, Timeout
from anyplug.backoff import Backoff
from anyplug.files import Files
from anyplug.outbox import Outbox
from anyplug.store.chunks import CHUNK
from tests.crash.process import Victim
from tests.services.filing import names

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator

    from anyplug.transfers.progress import Progress

DISK = 64 * 1024 * 1024
LEFT_FREE = DISK // 20
"""Below so much room the server refuses to write, bytes."""
MOUNT = 'mkdir -p "$0" && mount -t tmpfs -o size="$1" tmpfs "$0" && shift && exec "$@"'


class Disk:
    """A server's disk, seen from outside its mount namespace."""

    def __init__(self, process: int, store: Path) -> None:
        self._root = Path(f"/proc/{process}/root{store}")
        self._hog = self._root / "hog"

    def fill(self, left: int) -> None:
        """Leave so many bytes free, at most."""
        file = os.open(self._hog, os.O_WRONLY | os.O_CREAT)
        try:
            while (more := self._room() - left) > 0:
                with suppress(OSError):  # the server has taken some of it meanwhile
                    os.posix_fallocate(file, os.fstat(file).st_size, more)
        finally:
            os.close(file)

    def _room(self) -> int:
        disk = os.statvfs(self._root)
        return disk.f_bavail * disk.f_frsize

    def free(self) -> None:
        """Make room again."""
        self._hog.unlink()

    def files(self) -> list[str]:
        """Files that anybody would see."""
        return [each for each in names(self._root / "files") if each != ".anyplug"]


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Victim]:
    store = tmp_path / "store"
    mount = ["unshare", "--mount", "sh", "-c", MOUNT, str(store), str(DISK)]
    if os.geteuid() != 0:
        pytest.skip("it takes root to mount a disk")
    tried = subprocess.run([*mount, "true"], capture_output=True, check=False)
    if tried.returncode:
        pytest.skip(f"no disk can be mounted here: {tried.stderr.decode()}")
    made = Victim(tmp_path, under=mount)
    made.start()
    yield made
    made.kill()


def disk_of(victim: Victim) -> Disk:
    return Disk(victim.process, victim.store)


async def refused(work: Awaitable[object]) -> str:
    """The sentence with which a write is refused for want of room."""
    with pytest.raises(Refused) as caught:
        await work
    assert caught.value.code is Code.STORE_FULL, caught.value
    return caught.value.text


@pytest.mark.parametrize("left", [0, LEFT_FREE // 2, LEFT_FREE + 512 * 1024])
async def test_on_a_full_disk_reads_go_on_and_writes_do_once_there_is_room(
    victim: Victim, tmp_path: Path, left: int
) -> None:
    """Nothing is left; less than is to be left free; or enough for the server to try, and too little for it all."""
    disk = disk_of(victim)
    inbox_at, shelf_at, files_at = (f"{victim.address}?service={name}" for name in ("inbox", "shelf", "files"))
    quick = Backoff(first=0.01, most=0.05)
    large = bytes(6 * 1024 * 1024)
    async with (
        Inbox(inbox_at, codec="bytes") as inbox,
        Shelf(shelf_at) as shelf,
        Files(files_at, notes=None) as files,
        Outbox(tmp_path / "o.db", backoff=quick) as outbox,
    ):
        assert await inbox.post_many([b"a", b"b"]) == [1, 2]
        await shelf.put("key", "before")
        await files.put(b"small", "before")

        disk.fill(left)
        with pytest.raises(PostRefused) as caught:
            await inbox.post(large)
        assert (caught.value.code, caught.value.sequence) == (Code.STORE_FULL, 3)
        assert "no room" in caught.value.text
        assert "no room" in await refused(shelf.put("key", large))
        assert "no room" in await refused(files.put(large, "large"))
        await outbox.post_many(inbox_at, [large, b"c"], codec="bytes")
        while not outbox.status()[0].problem:
            with suppress(Timeout):
                await outbox.drained(0.05)

        assert [each.body for each in (await inbox.read()).messages] == [b"a", b"b"]
        assert await shelf.get("key") == "before"
        assert await files.read("before") == b"small"
        assert [file.name async for file in files.list()] == disk.files() == ["before"]
        (waits,) = outbox.status()
        assert (waits.waiting, waits.delivered, waits.refused, waits.stopped) == (2, 0, 0, None)
        assert "no room" in waits.problem

        disk.free()
        await outbox.drained(20)
        assert await inbox.post(b"d") == 5
        await shelf.put("key", "after")
        await files.put(large, "large")
        assert [each.body for each in (await inbox.read()).messages] == [b"a", b"b", large, b"c", b"d"]
        assert [each.value for each in await shelf.history("key")] == ["after", "before"]
        assert await files.read("large") == large


async def test_an_upload_is_refused_on_its_way_and_goes_on_with_what_is_missing(victim: Victim, tmp_path: Path) -> None:
    disk = disk_of(victim)
    content = random.Random(1).randbytes(20 * CHUNK + 1)
    source = tmp_path / "big.bin"
    source.write_bytes(content)
    told: list[Progress] = []

    def report(progress: Progress) -> None:
        told.append(progress)
        assert disk.files() == [] or progress.phase == "done"
        if progress.phase == "sending" and not progress.resumed and progress.done == 8 * CHUNK:
            disk.fill(0)

    async with Files(f"{victim.address}?service=files", notes=tmp_path / "notes") as files:
        assert "no room" in await refused(files.put(source, progress=report))
        assert disk.files() == []
        again = len(told)
        disk.free()
        await files.put(source, progress=report)
        assert await files.read("big.bin") == content
    begun = told[again + 1]
    assert begun.phase == "resuming"
    assert begun.resumed >= 8 * CHUNK - 4 * CHUNK
    assert disk.files() == ["big.bin"]

"""The disk begins with a large file long before its last sync, and what that call says does not matter."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from anyplug.store.disk import begin_sync
from tests.store.test_files_order import read

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]

UPLOAD = """
import asyncio, sys
from anyplug.store import FileLimits, FolderFiles, Offer
from anyplug.store.chunks import CHUNK

async def main():
    store = await FolderFiles.open(sys.argv[1], limits=FileLimits(free=0), reserve=0)
    lease = await store.begin(Offer(label="large", size=17 * CHUNK), now=1)
    for index in range(17):
        await lease.write(index, bytes(CHUNK))
    await lease.finish(now=1)
    await store.close()

asyncio.run(main())
"""

DOWNLOAD = """
import sys
from pathlib import Path
from anyplug.schemas.files import File
from anyplug.store.chunks import CHUNK, chunk_digest, file_digest
from anyplug.transfers.download import Download
from anyplug.transfers.part import Part

chunk = bytes(CHUNK)
digests = chunk_digest([chunk]) * 17
download = Download(File(name="large", size=17 * CHUNK, digest=file_digest(digests, 17 * CHUNK), stored=1))
download.learn(digests)
part = Part(Path(sys.argv[1]) / "large", download, replace=False)
part.begin()
for index in range(17):
    part.take(index, [chunk])
part.finish()
"""


@pytest.mark.parametrize("script", [UPLOAD, DOWNLOAD], ids=["upload", "download"])
def test_the_disk_begins_after_each_eight_mebibytes(tmp_path: Path, program: Callable[[str], str], script: str) -> None:
    log = tmp_path / "trace"
    calls = "trace=pwritev2,pwritev,sync_file_range,fdatasync,fsync"
    command = [program("strace"), "-f", "-qq", "-y", "-o", str(log), "-e", calls, sys.executable, "-c", script]
    folder = tmp_path / "files"
    folder.mkdir()
    environ = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    subprocess.run([*command, str(folder)], check=True, capture_output=True, cwd=ROOT, env=environ, timeout=25)
    found = []
    for call in read(log.read_text("utf-8", "replace")):
        if call.name.startswith("pwritev") and call.result == 1 << 20:
            found.append("write")
        elif call.name == "sync_file_range":
            assert "SYNC_FILE_RANGE_WRITE)" in call.arguments + ")"
            assert call.result == 0
            found.append("begin")
    assert found == [*["write"] * 8, "begin", *["write"] * 8, "begin", "write"]


def test_what_goes_wrong_is_left_to_the_sync_to_tell(tmp_path: Path) -> None:
    begin_sync(-1)
    with (tmp_path / "file").open("wb") as file:
        begin_sync(file.fileno())
        begin_sync(file.fileno(), system="Darwin")

"""The blocking face of files."""

from __future__ import annotations

import asyncio
import io
import random
import threading
from typing import TYPE_CHECKING, Any

import pytest

import anyplug
from anyplug import LocalError, Refused, blocking
from anyplug.store.chunks import CHUNK
from tests.services.filing import digest_of, file_server

if TYPE_CHECKING:
    from pathlib import Path

BIG = random.Random(3).randbytes(3 * CHUNK + 77)


@pytest.fixture
def big(tmp_path: Path) -> Path:
    path = tmp_path / "big.bin"
    path.write_bytes(BIG)
    return path


@pytest.fixture
def place(tmp_path: Path) -> Any:
    """The address of a server in a thread."""
    started, ended = threading.Event(), threading.Event()
    found: list[str] = []

    async def main() -> None:
        async with file_server(tmp_path / "store") as (_, address):
            found.append(address)
            started.set()
            await asyncio.to_thread(ended.wait)

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    started.wait(10)
    yield found[0]
    ended.set()
    thread.join()


def test_the_blocking_face_does_the_same(place: str, tmp_path: Path, big: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "a").write_bytes(b"1")
    with blocking.Files(place, notes=None) as files:
        assert "open" in repr(files)
        assert files.put(big).digest == digest_of(BIG)
        assert files.put(io.BytesIO(b"a\nb\n"), "stream").size == 4
        assert files.put(b"x", "memory").name == "memory"
        assert files.get("big.bin", tmp_path / "copy").size == len(BIG)
        assert (tmp_path / "copy").read_bytes() == BIG
        assert files.read("big.bin", offset=5, length=5) == BIG[5:10]
        assert [each.name for each in files.put_tree(tmp_path / "tree")] == ["tree/a"]
        assert [each.name for each in files.list()] == ["big.bin", "memory", "stream", "tree/a"]
        for first in files.list():
            assert first.name == "big.bin"
            break
        assert files.info("memory").size == 1
        assert files.remove("memory").name == "memory"
        with pytest.raises(Refused):
            files.info("memory")
        with pytest.raises(LocalError, match="copied"):
            __import__("copy").copy(files)
    files.close()
    assert "closed" in repr(files)
    with pytest.raises(LocalError, match="closed"):
        files.info("big.bin")


def test_a_blocking_face_that_cannot_connect_ends_its_thread() -> None:
    before = threading.active_count()
    with pytest.raises(anyplug.ConnectError):
        blocking.Files("plug://127.0.0.1:1/files")
    assert threading.active_count() == before


def test_a_blocking_face_that_is_forgotten_warns(place: str) -> None:
    files = blocking.Files(place, notes=None)
    thread = files._thread
    with pytest.warns(ResourceWarning, match="unclosed"):
        del files
    assert thread is not None
    thread.join(10)

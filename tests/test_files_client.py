"""The two faces of files: what they put, get, list and remove, and how they go on after a break."""

from __future__ import annotations

import asyncio
import io
import os
import random
from typing import TYPE_CHECKING, Any

import pytest

import anyplug
from anyplug import Code, LocalError, Refused
from anyplug.file_errors import Mismatch, SourceChanged, SourceError
from anyplug.files import Files
from anyplug.schemas.files import SMALL_MAX, Offer, Transfer
from anyplug.store.chunks import CHUNK
from anyplug.transfers.notes import Content, Notes
from tests.services.filing import digest_of, file_server, names

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from anyplug.transfers.progress import Progress

BIG = random.Random(3).randbytes(3 * CHUNK + 77)


async def pieces(content: bytes, size: int = 300_000) -> AsyncIterator[bytes]:
    for at in range(0, len(content), size):
        yield content[at : at + size]


@pytest.fixture
def big(tmp_path: Path) -> Path:
    path = tmp_path / "big.bin"
    path.write_bytes(BIG)
    return path


@pytest.mark.parametrize("content", [b"", b"x", bytes(SMALL_MAX), bytes(SMALL_MAX + 1), BIG], ids=len)
async def test_what_is_put_comes_back_equal(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "source"
    path.write_bytes(content)
    async with file_server() as (_, address), Files(address, notes=None) as files:
        stored = [
            await files.put(content, "memory"),
            await files.put(path),
            await files.put(pieces(content), "stream"),
        ]
        assert [(file.name, file.digest) for file in stored] == [
            (name, digest_of(content)) for name in ("memory", "source", "stream")
        ]
        for file in stored:
            assert await files.read(file.name) == content
        target = tmp_path / "target"
        assert (await files.get("source", target)).size == len(content)
        assert target.read_bytes() == content
        assert target.stat().st_mtime_ns == path.stat().st_mtime_ns
    assert names(tmp_path) == ["source", "target"]


async def test_names_are_below_the_folder_of_the_address() -> None:
    async with file_server() as (_, address), Files(f"{address}/a/b", notes=None) as files:
        assert (await files.put(b"1", "c/d")).name == "a/b/c/d"
        assert await files.read("c/d") == b"1"
        assert [file.name async for file in files.list()] == ["a/b/c/d"]
        assert [file.name async for file in files.list("x")] == []
        assert (await files.info("c/d")).size == 1
        assert (await files.remove("c/d")).name == "a/b/c/d"
        with pytest.raises(Refused) as caught:
            await files.info("c/d")
        assert caught.value.code is Code.NOT_FOUND


async def test_all_files_are_listed_however_many_there_are() -> None:
    async with file_server() as (_, address), Files(address, notes=None) as files:
        for start in range(0, 1200, 200):
            await asyncio.gather(*(files.put(b"", f"{number:04}") for number in range(start, start + 200)))
        assert [file.name async for file in files.list()] == [f"{number:04}" for number in range(1200)]


async def test_progress_tells_of_each_phase(big: Path) -> None:
    told: list[Progress] = []
    async with file_server() as (_, address), Files(address, notes=None) as files:
        await files.put(big, progress=told.append)
        assert [each.phase for each in told] == ["beginning", "sending", *["sending"] * 4, "verifying", "done"]
        assert [each.done for each in told][-3:] == [len(BIG)] * 3
        assert {each.size for each in told} == {len(BIG)}
        told.clear()
        await files.get("big.bin", io.BytesIO(), progress=told.append)
        assert [each.phase for each in told] == ["beginning", "receiving", *["receiving"] * 4, "verifying", "done"]


@pytest.mark.parametrize(
    ("offset", "length"), [(0, 10), (CHUNK - 5, 10), (CHUNK, CHUNK), (len(BIG), None), (len(BIG) - 1, 99), (7, 0)]
)
async def test_a_range_can_be_read(offset: int, length: int | None) -> None:
    async with file_server() as (_, address), Files(address, notes=None) as files:
        await files.put(BIG, "big")
        end = None if length is None else offset + length
        assert await files.read("big", offset=offset, length=length) == BIG[offset:end]


async def test_a_range_that_is_not_there_is_told(tmp_path: Path) -> None:
    async with file_server() as (_, address), Files(address, notes=None) as files:
        await files.put(b"12", "a")
        with pytest.raises(LocalError, match="there are none"):
            await files.read("a", offset=3)
        with pytest.raises(LocalError, match="to a stream"):
            await files.get("a", tmp_path / "a", offset=1)


async def test_a_target_that_is_there_is_left_alone_unless_it_is_to_be_replaced(tmp_path: Path) -> None:
    target = tmp_path / "a"
    target.write_bytes(b"mine")
    async with file_server() as (_, address), Files(address, notes=None) as files:
        await files.put(b"theirs", "a")
        with pytest.raises(SourceError, match="already"):
            await files.get("a", target)
        assert target.read_bytes() == b"mine"
        await files.get("a", target, replace=True)
        assert target.read_bytes() == b"theirs"
        with pytest.raises(SourceError, match="no such file or directory"):
            await files.get("a", tmp_path / "none" / "a")


async def test_what_cannot_be_put_is_told(tmp_path: Path) -> None:
    async with file_server() as (_, address), Files(address, notes=None) as files:
        with pytest.raises(SourceError, match="no such file"):
            await files.put(tmp_path / "none")
        with pytest.raises(SourceError, match="a folder"):
            await files.put(tmp_path)
        with pytest.raises(LocalError, match="name"):
            await files.put(b"1")
        os.mkfifo(tmp_path / "fifo")
        with pytest.raises(SourceError, match="no ordinary file"):
            await files.put(tmp_path / "fifo")


async def test_a_refusal_is_raised(big: Path) -> None:
    async with file_server(file=SMALL_MAX) as (_, address), Files(address, notes=None) as files:
        for source in (big, BIG):
            with pytest.raises(Refused) as caught:
                await files.put(source, "big")
            assert caught.value.code is Code.TOO_LARGE
        with pytest.raises(Refused) as caught:
            await files.put(pieces(BIG), "stream")
        assert caught.value.code is Code.TOO_LARGE
    async with file_server(bytes=10) as (_, address), Files(address, notes=None) as files:
        with pytest.raises(Refused) as caught:
            await files.put(b"x" * 11, "small")
        assert caught.value.code is Code.STORE_FULL


# Breaks.


class Cutter:
    """Cuts the connection of the files when a transfer has come so far."""

    def __init__(self, files: Files, *at: int) -> None:
        self.files = files
        self.at = list(at)
        self.told: list[Progress] = []

    def __call__(self, progress: Progress) -> None:
        self.told.append(progress)
        if self.at and progress.done >= self.at[0]:
            self.at.pop(0)
            assert self.files._carriage is not None
            self.files._carriage.abort()

    @property
    def phases(self) -> set[str]:
        return {each.phase for each in self.told}


@pytest.mark.parametrize("kind", ["path", "memory", "stream"])
async def test_an_upload_goes_on_after_breaks(kind: str, big: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    async with file_server(tmp_path / "store") as (_, address), Files(address, notes=notes) as files:
        cutter = Cutter(files, CHUNK, 2 * CHUNK, 3 * CHUNK)
        source: Any = {"path": big, "memory": BIG, "stream": pieces(BIG)}[kind]
        stored = await files.put(source, "it", progress=cutter)
        assert stored.digest == digest_of(BIG)
        assert {"waiting", "done"} <= cutter.phases
    assert (tmp_path / "store" / "files" / "it").read_bytes() == BIG
    assert names(tmp_path / "notes") == []


@pytest.mark.parametrize("kind", ["path", "stream"])
async def test_a_download_goes_on_after_breaks(kind: str, tmp_path: Path) -> None:
    async with file_server(tmp_path / "store") as (_, address), Files(address, notes=None) as files:
        await files.put(BIG, "big")
        cutter = Cutter(files, CHUNK, 2 * CHUNK)
        target: Any = tmp_path / "copy" if kind == "path" else io.BytesIO()
        await files.get("big", target, progress=cutter)
        assert (target.read_bytes() if kind == "path" else target.getvalue()) == BIG
        assert {"waiting", "resuming", "done"} <= cutter.phases
        resumed = [each.done for each in cutter.told if each.phase == "resuming"]
        assert resumed[-1] >= 2 * CHUNK


async def test_questions_are_asked_again_after_a_break() -> None:
    async with file_server() as (_, address), Files(address, notes=None) as files:
        await files.put(b"1", "a")
        assert files._carriage is not None
        files._carriage.abort()
        await asyncio.sleep(0)
        assert (await files.info("a")).size == 1


async def test_a_server_that_does_not_come_back_is_told_when_patience_ends(big: Path, tmp_path: Path) -> None:
    async with file_server(tmp_path / "store") as (server, address):
        files = await Files(address, notes=tmp_path / "notes", patience=0.2)
        await server.drain(0)
        with pytest.raises(anyplug.AnyplugError) as caught:
            await files.put(big)
        assert isinstance(caught.value, anyplug.ConnectError | anyplug.Broken | anyplug.ConnectionClosed)
        await files.close()
        with pytest.raises(anyplug.ConnectionClosed):
            await files.info("a")


async def test_another_program_that_takes_the_transfer_over_ends_this_one(tmp_path: Path) -> None:
    """An id is known to one process alone; whoever learns it takes the transfer."""
    gate, taken = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield BIG[: 2 * CHUNK]
        gate.set()
        await taken.wait()
        yield BIG[2 * CHUNK :]

    async with file_server(tmp_path) as (_, address), Files(address, notes=None) as one, Files(address) as two:
        putting = asyncio.ensure_future(one.put(slow(), "big"))
        await gate.wait()
        (transfer,) = {name[:32] for name in names(tmp_path / "files" / ".anyplug" / "staging")}
        await two.ask(Transfer, Offer(name="big", resume=transfer))
        taken.set()
        with pytest.raises(Refused) as caught:
            await putting
        assert caught.value.code is Code.TAKEN_OVER


def rewrite(path: Path, content: bytes, *, same_time: bool = False) -> None:
    facts = path.stat()
    path.write_bytes(content)
    if same_time:
        os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))


# Another process goes on.


class Enough(Exception):
    """The program ends in the middle."""


def stop_at(size: int) -> Any:
    def report(progress: Progress) -> None:
        if progress.done >= size:
            raise Enough

    return report


async def test_another_program_goes_on_with_the_upload_and_hashes_nothing_again(big: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    async with file_server(tmp_path / "store") as (_, address):
        async with Files(address, notes=notes) as files:
            with pytest.raises(Enough):
                await files.put(big, progress=stop_at(2 * CHUNK))
        assert len(names(notes)) == 1
        told: list[Progress] = []
        async with Files(address, notes=notes) as files:
            await files.put(big, progress=told.append)
        first = next(each for each in told if each.phase == "resuming")
        assert first.resumed == first.done >= CHUNK
        assert names(notes) == []
    assert (tmp_path / "store" / "files" / "big.bin").read_bytes() == BIG


async def test_a_source_that_changed_between_attempts_is_told_and_begun_anew(big: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    async with file_server(tmp_path / "store") as (_, address):
        async with Files(address, notes=notes) as files:
            with pytest.raises(Enough):
                await files.put(big, progress=stop_at(2 * CHUNK))
        changed = bytes(len(BIG))
        rewrite(big, changed)
        told: list[Progress] = []
        async with Files(address, notes=notes) as files:
            await files.put(big, progress=told.append)
            assert await files.read("big.bin") == changed
        assert told[0].phase == "anew"
        assert "resuming" not in {each.phase for each in told}
    assert names(tmp_path / "store" / "files" / ".anyplug" / "staging") == []


async def test_a_source_that_says_it_did_not_change_is_begun_anew_all_the_same(big: Path, tmp_path: Path) -> None:
    """Same size, same time, same inode: only the bytes differ."""
    notes = tmp_path / "notes"
    async with file_server(tmp_path / "store") as (_, address):
        async with Files(address, notes=notes) as files:
            with pytest.raises(Enough):
                await files.put(big, progress=stop_at(2 * CHUNK))
        changed = bytes(len(BIG))
        rewrite(big, changed, same_time=True)
        async with Files(address, notes=notes) as files:
            told: list[Progress] = []
            await files.put(big, progress=told.append)
            assert await files.read("big.bin") == changed
        assert told[0].phase == "anew"


async def test_a_source_that_changes_while_it_is_sent_is_begun_anew(big: Path, tmp_path: Path) -> None:
    changes = [b"x" * len(BIG)]

    def change(progress: Progress) -> None:
        if progress.done >= CHUNK and changes:
            big.write_bytes(changes.pop())

    async with file_server() as (_, address), Files(address, notes=tmp_path / "notes") as files:
        await files.put(big, progress=change)
        assert await files.read("big.bin") == b"x" * len(BIG)


async def test_a_source_that_never_stays_the_same_is_given_up(big: Path, tmp_path: Path) -> None:
    def change(progress: Progress) -> None:
        if progress.phase == "sending":
            os.utime(big, ns=(0, progress.done + random.randrange(1 << 40)))

    async with file_server() as (_, address), Files(address, notes=tmp_path / "notes") as files:
        with pytest.raises(SourceChanged):
            await files.put(big, progress=change)


async def test_another_program_goes_on_with_the_download_and_reads_nothing_again(tmp_path: Path) -> None:
    target = tmp_path / "copy"
    async with file_server(tmp_path / "store") as (_, address):
        async with Files(address, notes=None) as files:
            await files.put(BIG, "big")
            with pytest.raises(Enough):
                await files.get("big", target, progress=stop_at(2 * CHUNK))
        assert not target.exists()
        told: list[Progress] = []
        async with Files(address, notes=None) as files:
            await files.get("big", target, progress=told.append)
        assert next(each for each in told if each.phase == "resuming").done >= 2 * CHUNK
    assert target.read_bytes() == BIG
    assert names(tmp_path) == ["copy", "store"]


async def test_a_part_of_another_file_is_begun_anew(tmp_path: Path) -> None:
    target = tmp_path / "copy"
    async with file_server() as (_, address), Files(address, notes=None) as files:
        await files.put(BIG, "big")
        with pytest.raises(Enough):
            await files.get("big", target, progress=stop_at(2 * CHUNK))
        other = bytes(len(BIG) + 5)
        await files.put(other, "big", replace=True)
        await files.get("big", target)
        assert target.read_bytes() == other


async def test_a_file_that_is_replaced_while_it_is_fetched_is_begun_anew(tmp_path: Path) -> None:
    other = bytes(len(BIG))
    async with file_server(tmp_path / "store") as (_, address):
        async with Files(address, notes=None) as files, Files(address, notes=None) as another:
            await files.put(BIG, "big")
            cutter = Cutter(files, 2 * CHUNK)
            fetching = asyncio.ensure_future(files.get("big", tmp_path / "copy", progress=cutter))
            while cutter.at:
                await asyncio.sleep(0)
            await another.put(other, "big", replace=True)
            await fetching
            assert (tmp_path / "copy").read_bytes() in {BIG, other}


# Addresses.


async def test_a_plain_address_is_refused() -> None:
    with pytest.raises(LocalError, match="plug://"):
        async with Files("tcp://127.0.0.1:1"):
            pass


async def test_the_service_is_files_where_none_is_named() -> None:
    async with file_server() as (_, address), Files(address.removesuffix("/files"), notes=None) as files:
        assert files.address.service == "files"
        assert "files" in repr(files)
        await files.put(b"1", "a")


async def test_notes_of_one_upload_are_one_process_at_a_time(tmp_path: Path) -> None:
    content = Content(size=1, mtime=2, ctime=2, inode=3, device=4)
    one = Notes(tmp_path, ["a"], content)
    one.begin("1" * 32)
    two = Notes(tmp_path, ["a"], content)
    assert two.transfer == ""
    two.begin("2" * 32)
    two.close()
    one.close()
    assert Notes(tmp_path, ["a"], content).transfer == "1" * 32


def test_errors_of_files_say_what_is_wrong() -> None:
    assert str(SourceError("a", "it is gone")) == "a: it is gone"
    assert "begin anew" in str(Mismatch("digest", expected="a", found="b"))

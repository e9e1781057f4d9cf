"""Servers that lie, lose what they had, or answer out of turn: the client believes none of it."""

from __future__ import annotations

import asyncio
import io
import random
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

import anyplug
from anyplug import Code, LocalError, ProtocolError, Refused
from anyplug.file_errors import Mismatch
from anyplug.files import Files
from anyplug.schemas import files as schema
from anyplug.services.base import visited
from anyplug.services.files import FilesOptions, FilesVisit, depot_of
from anyplug.store import MemoryStore
from anyplug.store.chunks import CHUNK
from anyplug.transfers.sending import CONFIRM
from tests.server.serving import serve
from tests.services.filing import PLUG, file_server, names

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from anyplug.services.visits import Guest
    from anyplug.transfers.progress import Progress

BIG = random.Random(3).randbytes(3 * CHUNK + 77)

Answer = Any


class LyingVisit(FilesVisit):
    """Answers as a files service does, but for what `lie` makes of a question."""

    lie: Callable[[Any], Any]

    async def answer(self, body: bytes) -> bytes:
        request = msgspec.msgpack.decode(body, type=schema.Request)
        answer = self.lie(request)
        if answer is None:
            return await super().answer(body)
        if isinstance(answer, Exception):
            raise answer
        if asyncio.iscoroutine(answer):
            answer = await answer
        return msgspec.msgpack.encode(answer)

    async def send(self, number: int, index: int, digest: bytes, data: bytes) -> None:
        await self._guest.send(number, index, digest, data)


@asynccontextmanager
async def lying(lie: Callable[[LyingVisit, Any], Any]) -> AsyncIterator[str]:
    """A server whose answers go through `lie`."""

    def set_up(server: anyplug.Server) -> None:
        facilities = server.facilities

        def opener(guest: Guest) -> LyingVisit:
            visit = LyingVisit(guest, depot_of(FilesOptions(), facilities), facilities, show="")
            visit.lie = partial(lie, visit)
            return visit

        server.add(visited("files", opener))

    async with serve(PLUG, set_up=set_up, store=MemoryStore()) as server:
        yield f"{server.addresses[0]}/files"


async def test_a_transfer_that_proves_wrong_at_the_end_is_begun_anew() -> None:
    wrong = [1]

    def lie(visit: LyingVisit, request: Any) -> Any:
        if isinstance(request, schema.Finish) and wrong:
            wrong.pop()
            return Refused(Code.INTEGRITY, "the digest is another")
        return None

    told: list[Progress] = []
    async with lying(lie) as address, Files(address, notes=None) as files:
        await files.put(BIG, "a", progress=told.append)
        assert await files.read("a") == BIG
    assert "anew" in {each.phase for each in told}


async def test_a_transfer_that_never_proves_right_is_given_up() -> None:
    def lie(visit: LyingVisit, request: Any) -> Any:
        return Refused(Code.INTEGRITY, "no") if isinstance(request, schema.Finish) else None

    async with lying(lie) as address, Files(address, notes=None) as files:
        with pytest.raises(Refused) as caught:
            await files.put(BIG, "a")
        assert caught.value.code is Code.INTEGRITY


@pytest.mark.parametrize("question", [schema.Offer, schema.Finish, schema.Open, schema.List, schema.Put])
async def test_an_answer_of_another_kind_is_a_fault(question: type) -> None:
    def lie(visit: LyingVisit, request: Any) -> Any:
        return schema.Done() if isinstance(request, question) else None

    async with lying(lie) as address, Files(address, notes=None) as files:
        with pytest.raises(ProtocolError):
            await files.put(BIG, "a")
            await files.put(b"1", "b")
            await files.read("a")
            async for _ in files.list():
                pass


async def test_runs_that_cannot_be_are_a_fault() -> None:
    def lie(visit: LyingVisit, request: Any) -> Any:
        if isinstance(request, schema.Offer):
            return schema.Transfer(number=1, id="x", missing=[(3, 1)])
        return None

    async with lying(lie) as address, Files(address, notes=None) as files:
        with pytest.raises(ProtocolError):
            await files.put(BIG, "a")


@pytest.mark.parametrize(
    ("index", "data", "kind"),
    [(0, bytes(CHUNK), Mismatch), (0, b"short", ProtocolError), (9, b"far", ProtocolError)],
)
async def test_a_chunk_that_is_not_the_files_is_never_given_out(
    index: int, data: bytes, kind: type[Exception], tmp_path: Path
) -> None:
    def lie(visit: LyingVisit, request: Any) -> Any:
        if isinstance(request, schema.Fetch):
            return wrong(visit, request)
        return None

    async def wrong(visit: LyingVisit, request: schema.Fetch) -> schema.Done:
        await visit.send(request.number, index, bytes(32), data)
        return schema.Done()

    async with lying(lie) as address, Files(address, notes=None) as files:
        await files.put(BIG, "a")
        for target in (io.BytesIO(), tmp_path / "a"):
            with pytest.raises(kind):
                await files.get("a", target)
        assert "a" not in names(tmp_path)


async def test_chunks_that_nobody_asked_for_are_passed_over() -> None:
    def lie(visit: LyingVisit, request: Any) -> Any:
        return more(visit) if isinstance(request, schema.Info) else None

    async def more(visit: LyingVisit) -> schema.Done:
        for index in range(3):
            await visit.send(77, index, bytes(32), bytes(CHUNK))
        return schema.Done()

    async with lying(lie) as address, Files(address, notes=None) as files:
        with pytest.raises(ProtocolError):
            await files.info("a")
        await files.put(BIG, "a")
        assert await files.read("a") == BIG


async def test_digests_that_are_not_the_files_are_found() -> None:
    def lie(visit: LyingVisit, request: Any) -> Any:
        if isinstance(request, schema.Open):
            file = schema.File(name="a", size=len(BIG), digest=bytes(32), stored=0)
            return schema.Opened(number=1, file=file, digests=bytes(64))
        return schema.DigestsOf(digests=bytes(64)) if isinstance(request, schema.Digests) else None

    async with lying(lie) as address, Files(address, notes=None) as files:
        with pytest.raises(Mismatch):
            await files.read("a")


async def test_a_refused_chunk_stops_the_upload_early() -> None:
    """The server says no to chunks; the next question tells why."""

    def lie(visit: LyingVisit, request: Any) -> Any:
        return Refused(Code.STORE_FULL, "no room") if isinstance(request, schema.Have) else None

    async with lying(lie) as address, Files(address, notes=None) as files:
        sent: list[int] = []

        def report(progress: Progress) -> None:
            sent.append(progress.done)
            if progress.phase == "sending" and progress.done == CHUNK:
                assert files._carriage is not None
                files._carriage.refusal = Refused(Code.STORE_FULL, "no room")

        with pytest.raises(Refused) as caught:
            await files.put(BIG, "a", progress=report)
        assert caught.value.code is Code.STORE_FULL
        assert max(sent) < len(BIG)


async def pieces(content: bytes, *, pause: Callable[[int], None] = lambda at: None) -> AsyncIterator[bytes]:
    for at in range(0, len(content), CHUNK):
        pause(at)
        yield content[at : at + CHUNK]


async def test_a_long_stream_is_kept_only_as_far_as_the_server_lacks_it() -> None:
    content = random.Random(5).randbytes((2 * CONFIRM + 1) * CHUNK)
    async with file_server() as (_, address), Files(address, notes=None) as files:

        def cut(at: int) -> None:
            if at == (CONFIRM + 2) * CHUNK:
                assert files._carriage is not None
                files._carriage.abort()

        stored = await files.put(pieces(content, pause=cut), "stream")
        assert stored.size == len(content)
        assert await files.read("stream") == content


async def test_a_stream_whose_beginning_the_server_has_lost_cannot_go_on(tmp_path: Path) -> None:
    content = random.Random(5).randbytes((CONFIRM + 4) * CHUNK)

    def lie(visit: LyingVisit, request: Any) -> Any:
        if isinstance(request, schema.Offer) and request.resume:
            return schema.Transfer(number=1, id="another", missing=[(0, 99)])
        return None

    async with lying(lie) as address, Files(address, notes=None) as files:

        def cut(at: int) -> None:
            if at == (CONFIRM + 2) * CHUNK:
                assert files._carriage is not None
                files._carriage.abort()

        with pytest.raises(Refused) as caught:
            await files.put(pieces(content, pause=cut), "stream")
        assert caught.value.code is Code.INTEGRITY


async def test_what_the_notes_lost_is_hashed_again(tmp_path: Path) -> None:
    """The server has chunks of which this machine has no digest any more."""
    source, notes = tmp_path / "big", tmp_path / "notes"
    source.write_bytes(BIG)

    class Enough(Exception):
        pass

    def stop(progress: Progress) -> None:
        if progress.done >= 3 * CHUNK:
            raise Enough

    async with file_server(tmp_path / "store") as (_, address):
        async with Files(address, notes=notes) as files:
            with pytest.raises(Enough):
                await files.put(source, progress=stop)
        (path,) = (notes / name for name in names(notes))
        data = path.read_bytes()
        path.write_bytes(data[: 4 + int.from_bytes(data[:4], "little")])
        told: list[Progress] = []
        async with Files(address, notes=notes) as files:
            await files.put(source, progress=told.append)
            assert await files.read("big") == BIG
        assert next(each for each in told if each.phase == "resuming").resumed > 0


async def test_a_stream_cannot_be_read_again() -> None:
    from anyplug.transfers.sending import _NoSource

    source = _NoSource()
    with pytest.raises(LocalError):
        source.read(0)
    source.check()
    source.close()

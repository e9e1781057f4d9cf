"""The files service over plug, question by question: what it stores, what it refuses, and what is there after it."""

from __future__ import annotations

import asyncio
import os
import random
from typing import TYPE_CHECKING, Any

import pytest

import anyplug
from anyplug import Code, Limits, Refused
from anyplug.schemas import files as schema
from anyplug.schemas.files import (
    Abandon,
    Digests,
    DigestsOf,
    Done,
    Failure,
    Fetch,
    File,
    Finish,
    Have,
    Info,
    Let,
    List,
    Listed,
    Offer,
    Open,
    Opened,
    Put,
    Puts,
    Remove,
    Small,
    Stored,
    Transfer,
)
from anyplug.services import Facilities, FilesOptions, make_files
from anyplug.services.files import OPEN_MOST
from anyplug.store import SqliteStore
from anyplug.store.chunks import CHUNK, chunk_digest
from tests.server.serving import LogRecords, serve
from tests.services.filing import PLUG, Shown, asking, digest_of, file_server, names

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from anyplug.transfers.carriage import Carriage

BIG = random.Random(1).randbytes(2 * CHUNK + 100)
SECOND = 10**9
MANY = 50


async def send(carriage: Carriage, number: int, index: int, chunk: bytes, digest: bytes | None = None) -> None:
    await carriage.say(number, index, chunk_digest([chunk]) if digest is None else digest, chunk)


async def begun(carriage: Carriage, name: str = "big", **fields: object) -> Transfer:
    return await carriage.ask(Transfer, Offer(name=name, **{"size": len(BIG), **fields}))  # type: ignore[arg-type]


async def send_all(carriage: Carriage, number: int, content: bytes = BIG) -> None:
    for index in range(-(-len(content) // CHUNK)):
        await send(carriage, number, index, content[index * CHUNK : (index + 1) * CHUNK])


def finish(number: int, content: bytes = BIG) -> Finish:
    return Finish(number=number, size=len(content), digest=digest_of(content))


async def refused(carriage: Carriage, question: schema.Request) -> Refused:
    with pytest.raises(Refused) as caught:
        await carriage.ask(object, question)
    return caught.value


@pytest.fixture(params=["memory", "folder"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path / "data" if request.param == "folder" else None


async def test_a_file_is_offered_sent_finished_and_fetched(folder: Path | None) -> None:
    async with file_server(folder) as (_, address), asking(address) as carriage:
        transfer = await begun(carriage, modified=5 * SECOND, content_type="image/jpeg")
        assert transfer.missing == [(0, 3)]
        await send_all(carriage, transfer.number)
        stored = await carriage.ask(Stored, finish(transfer.number))
        assert (stored.file.name, stored.file.size, stored.file.digest) == ("big", len(BIG), digest_of(BIG))
        assert (stored.file.modified, stored.file.content_type) == (5 * SECOND, "image/jpeg")
        assert stored.file.time.timestamp() == 5
        assert stored.synced is (folder is not None)
        opened = await carriage.ask(Opened, Open(name="big"))
        fetching = asyncio.ensure_future(carriage.ask(Done, Fetch(number=opened.number, first=1, end=3)))
        found = [content async for content in chunks(carriage, fetching)]
        assert found == [(1, BIG[CHUNK : 2 * CHUNK]), (2, BIG[2 * CHUNK :])]
        assert opened.digests == b"".join(chunk_digest([BIG[at : at + CHUNK]]) for at in range(0, len(BIG), CHUNK))
        assert await carriage.ask(DigestsOf, Digests(number=opened.number, first=2)) == DigestsOf(
            digests=opened.digests[64:]
        )
        assert await carriage.ask(Done, Let(number=opened.number)) == Done()
        assert (await refused(carriage, Fetch(number=opened.number, first=0, end=1))).code is Code.NOT_FOUND
    if folder is not None:
        assert (folder / "files" / "big").read_bytes() == BIG


async def chunks(carriage: Carriage, until: asyncio.Future[Done]) -> AsyncIterator[tuple[int, bytes]]:
    while (content := await carriage.hear(until)) is not None:
        yield content.index, b"".join(content.pieces)
    await until


async def test_nothing_has_the_name_before_it_is_finished(tmp_path: Path) -> None:
    async with file_server(tmp_path) as (_, address), asking(address) as carriage:
        transfer = await begun(carriage)
        await send_all(carriage, transfer.number)
        assert (await carriage.ask(Transfer, Have(number=transfer.number))).missing == []
        assert (await refused(carriage, Info(name="big"))).code is Code.NOT_FOUND
        assert names(tmp_path / "files") == [".anyplug"]


async def test_a_transfer_goes_on_over_another_connection_with_what_is_missing(folder: Path | None) -> None:
    async with file_server(folder) as (_, address):
        async with asking(address) as carriage:
            transfer = await begun(carriage)
            await send(carriage, transfer.number, 1, BIG[CHUNK : 2 * CHUNK])
            await carriage.ask(Transfer, Have(number=transfer.number))
        async with asking(address) as carriage:
            again = await begun(carriage, resume=transfer.id)
            assert (again.id, again.missing, again.received) == (transfer.id, [(0, 1), (2, 3)], CHUNK)
            await send(carriage, again.number, 0, BIG[:CHUNK])
            await send(carriage, again.number, 2, BIG[2 * CHUNK :])
            assert (await carriage.ask(Stored, finish(again.number))).file.name == "big"
            assert isinstance(await carriage.ask(Stored, Offer(name="big", size=len(BIG), resume=transfer.id)), Stored)


async def test_the_newest_connection_takes_a_stalled_transfer_over_at_once() -> None:
    async with file_server() as (_, address), asking(address) as old, asking(address) as new:
        transfer = await begun(old)
        taken = await begun(new, resume=transfer.id)
        await send(old, transfer.number, 0, BIG[:CHUNK])
        assert (await refused(old, Have(number=transfer.number))).code is Code.TAKEN_OVER
        assert old.refusal is not None
        assert old.refusal.code is Code.TAKEN_OVER
        await send_all(new, taken.number)
        assert (await new.ask(Stored, finish(taken.number))).file.size == len(BIG)


async def test_a_transfer_that_is_not_there_any_more_begins_anew() -> None:
    async with file_server() as (_, address), asking(address) as carriage:
        transfer = await begun(carriage, resume="0" * 32)
        assert transfer.id != "0" * 32
        assert transfer.missing == [(0, 3)]


async def test_a_file_of_unknown_size_ends_where_it_is_finished(folder: Path | None) -> None:
    async with file_server(folder) as (_, address), asking(address) as carriage:
        transfer = await begun(carriage, size=None)
        await send_all(carriage, transfer.number)
        assert (await carriage.ask(Stored, finish(transfer.number))).file.size == len(BIG)


async def test_an_empty_file_needs_no_chunk(folder: Path | None) -> None:
    async with file_server(folder) as (_, address), asking(address) as carriage:
        transfer = await begun(carriage, size=0)
        assert transfer.missing == []
        assert (await carriage.ask(Stored, finish(transfer.number, b""))).file.size == 0


# What lies.


@pytest.mark.parametrize(
    ("index", "chunk", "digest"),
    [
        (0, BIG[:CHUNK], bytes(32)),
        (0, BIG[: CHUNK - 1], None),
        (2, BIG[:CHUNK], None),
        (3, b"x", None),
        (2**32 - 1, b"x", None),
    ],
    ids=["digest", "short", "long", "beyond the end", "far beyond the end"],
)
async def test_a_chunk_that_is_none_of_the_file_is_refused_and_the_transfer_goes_on(
    index: int, chunk: bytes, digest: bytes | None
) -> None:
    async with file_server() as (_, address), asking(address) as carriage:
        transfer = await begun(carriage)
        await send(carriage, transfer.number, index, chunk, digest)
        assert (await refused(carriage, finish(transfer.number))).code is Code.INTEGRITY
        assert carriage.refusal is not None
        assert carriage.refusal.code is Code.INTEGRITY
        await send_all(carriage, transfer.number)
        assert (await carriage.ask(Stored, finish(transfer.number))).file.digest == digest_of(BIG)


@pytest.mark.parametrize("size", [len(BIG) - 1, len(BIG) + 1, 0])
async def test_a_lying_size_is_refused(size: int) -> None:
    async with file_server() as (_, address), asking(address) as carriage:
        transfer = await begun(carriage)
        await send_all(carriage, transfer.number)
        lie = Finish(number=transfer.number, size=size, digest=digest_of(BIG))
        assert (await refused(carriage, lie)).code is Code.INTEGRITY
        assert (await refused(carriage, Info(name="big"))).code is Code.NOT_FOUND


async def test_a_lying_digest_is_refused() -> None:
    async with file_server() as (_, address), asking(address) as carriage:
        transfer = await begun(carriage)
        await send_all(carriage, transfer.number)
        lie = Finish(number=transfer.number, size=len(BIG), digest=digest_of(b"other"))
        assert (await refused(carriage, lie)).code is Code.INTEGRITY
        assert (await refused(carriage, Info(name="big"))).code is Code.NOT_FOUND


async def test_a_file_that_lacks_chunks_is_not_finished() -> None:
    async with file_server() as (_, address), asking(address) as carriage:
        transfer = await begun(carriage)
        await send(carriage, transfer.number, 1, BIG[CHUNK : 2 * CHUNK])
        assert (await refused(carriage, finish(transfer.number))).code is Code.INTEGRITY


async def test_a_transfer_of_another_size_is_not_gone_on_with() -> None:
    async with file_server() as (_, address), asking(address) as carriage:
        transfer = await begun(carriage)
        no = await refused(carriage, Offer(name="big", size=5, resume=transfer.id))
        assert no.code is Code.INTEGRITY


async def test_a_chunk_of_no_transfer_is_refused() -> None:
    async with file_server() as (_, address), asking(address) as carriage:
        await send(carriage, 7, 0, b"x")
        assert (await refused(carriage, Have(number=7))).code is Code.NOT_FOUND
        assert carriage.refusal is not None


@pytest.mark.parametrize(
    ("options", "code"),
    [({"file": 1000}, Code.TOO_LARGE), ({"bytes": 1000}, Code.STORE_FULL), ({"files": 0}, Code.STORE_FULL)],
    ids=["file", "all", "count"],
)
async def test_ten_gibibytes_are_refused_before_a_byte_is_taken(
    options: dict[str, Any], code: Code, folder: Path | None
) -> None:
    async with file_server(folder, **options) as (_, address), asking(address) as carriage:
        assert (await refused(carriage, Offer(name="sparse", size=10 * 2**30))).code is code


async def test_too_many_transfers_of_one_connection_are_refused() -> None:
    async with file_server() as (_, address), asking(address) as carriage:
        for number in range(OPEN_MOST):
            assert (await begun(carriage, f"{number}", size=1)).number == number + 1
        assert (await refused(carriage, Offer(name="one", size=1))).code is Code.BUSY
        await carriage.ask(Done, Let(number=1))
        await begun(carriage, "one", size=1)
        await carriage.ask(Done, Abandon(number=2))
        await begun(carriage, "two", size=1)


# Small files.


def small(name: str, data: bytes, **fields: object) -> Small:
    return Small(name=name, data=data, **{"digest": digest_of(data), **fields})  # type: ignore[arg-type]


async def test_small_files_are_stored_each_by_itself(folder: Path | None) -> None:
    async with file_server(folder) as (_, address), asking(address) as carriage:
        wrong = small("wrong", b"x", digest=bytes(32))
        answer = await carriage.ask(Puts, Put(files=[small("a", b"1"), wrong, small("b/c", b"", modified=SECOND)]))
        first, refusal, last = answer.results
        assert isinstance(first, File)
        assert isinstance(last, File)
        assert isinstance(refusal, Failure)
        assert (first.name, last.name, last.modified) == ("a", "b/c", SECOND)
        assert refusal.error.code is Code.INTEGRITY
        assert [file.name for file in (await carriage.ask(Listed, List())).files] == ["a", "b/c"]


async def test_a_name_that_is_taken_gets_a_number_unless_it_is_to_be_replaced() -> None:
    async with file_server() as (_, address), asking(address) as carriage:

        async def put(data: bytes, **fields: object) -> File:
            (result,) = (await carriage.ask(Puts, Put(files=[small("a.txt", data, **fields)]))).results
            assert isinstance(result, File)
            return result

        assert (await put(b"1")).name == "a.txt"
        assert (await put(b"1")).name == "a.txt"
        numbered = await put(b"2")
        assert (numbered.name, numbered.label) == ("a (2).txt", "a.txt")
        assert (await put(b"3", replace=True)).name == "a.txt"


async def test_a_question_with_too_much_in_it_is_refused() -> None:
    async with file_server() as (_, address), asking(address) as carriage:
        large = small("a", bytes(schema.SMALL_MAX + 1))
        assert (await refused(carriage, Put(files=[large]))).code is Code.TOO_LARGE
        full = [small("a", bytes(schema.SMALL_MAX))] * (schema.PUT_BYTES // schema.SMALL_MAX + 1)
        assert (await refused(carriage, Put(files=full))).code is Code.TOO_LARGE
        assert (await carriage.ask(Listed, List())).files == []


# Looking and deleting.


async def test_a_listing_comes_in_pages() -> None:
    async with file_server() as (_, address), asking(address) as carriage:
        await carriage.ask(Puts, Put(files=[small(name, b"") for name in ("b", "A", "c/d", "c/e")]))
        first = await carriage.ask(Listed, List(limit=3))
        assert ([file.name for file in first.files], first.more) == (["A", "b", "c/d"], True)
        rest = await carriage.ask(Listed, List(after="c/d"))
        assert ([file.name for file in rest.files], rest.more) == (["c/e"], False)
        inside = await carriage.ask(Listed, List(folder="c"))
        assert [file.name for file in inside.files] == ["c/d", "c/e"]


async def test_a_listing_is_cut_to_what_the_client_takes() -> None:
    async with file_server() as (_, address):
        async with asking(address) as carriage:
            await carriage.ask(Puts, Put(files=[small(f"{n:03}{'x' * 100}", b"") for n in range(20)]))
        async with asking(address, limits=Limits(message=2000)) as carriage:
            answer = await carriage.ask(Listed, List())
            assert 0 < len(answer.files) < 20
            assert answer.more


async def test_a_file_is_deleted_for_good() -> None:
    async with file_server() as (_, address), asking(address) as carriage:
        await carriage.ask(Puts, Put(files=[small("a", b"1")]))
        assert (await carriage.ask(Stored, Remove(name="a"))).file.name == "a"
        assert (await refused(carriage, Remove(name="a"))).code is Code.NOT_FOUND
        assert (await refused(carriage, Open(name="a"))).code is Code.NOT_FOUND


async def test_a_file_stays_readable_as_it_was_while_its_name_gets_another(folder: Path | None) -> None:
    async with file_server(folder) as (_, address), asking(address) as carriage:
        await carriage.ask(Puts, Put(files=[small("a", b"old")]))
        opened = await carriage.ask(Opened, Open(name="a"))
        await carriage.ask(Puts, Put(files=[small("a", b"new", replace=True)]))
        fetching = asyncio.ensure_future(carriage.ask(Done, Fetch(number=opened.number, first=0, end=1)))
        assert [content async for content in chunks(carriage, fetching)] == [(0, b"old")]


@pytest.mark.parametrize(("first", "end"), [(0, 2), (1, 0), (2, 2)])
async def test_chunks_that_a_file_does_not_have_are_refused(first: int, end: int) -> None:
    async with file_server() as (_, address), asking(address) as carriage:
        await carriage.ask(Puts, Put(files=[small("a", b"1")]))
        opened = await carriage.ask(Opened, Open(name="a"))
        no = await refused(carriage, Fetch(number=opened.number, first=first, end=end))
        assert no.code is Code.BEYOND_END


async def test_a_damaged_file_is_never_served(tmp_path: Path) -> None:
    async with file_server(tmp_path) as (_, address), asking(address) as carriage:
        await carriage.ask(Puts, Put(files=[small("a", b"good")]))
        path = tmp_path / "files" / "a"
        facts = path.stat()
        path.write_bytes(b"evil")
        os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
        opened = await carriage.ask(Opened, Open(name="a"))
        assert (await refused(carriage, Fetch(number=opened.number, first=0, end=1))).code is Code.INTEGRITY


# Who may ask, and how.


async def test_what_is_no_question_is_refused() -> None:
    async with file_server() as (_, address):
        async with anyplug.connect(address) as peer:
            with pytest.raises(Refused) as caught:
                await peer.ask({"type": "list", "misspelt": 1})
            assert caught.value.code is Code.BAD_MESSAGE
            await peer.send("hello")
            with pytest.raises(Refused) as caught:
                await peer.receive(10)
            assert caught.value.code is Code.UNSUPPORTED
        with pytest.raises(Refused) as caught:
            await anyplug.connect(f"{address}?codec=text")
        assert caught.value.code is Code.UNKNOWN_CODEC
        with pytest.raises(Refused) as caught:
            await anyplug.connect(f"{address}/folder")
        assert caught.value.code is Code.UNSUPPORTED


async def test_questions_can_be_json() -> None:
    async with file_server() as (_, address), anyplug.connect(address, codec="json") as peer:
        assert await peer.ask({"type": "list"}) == {"type": "listed", "files": []}


async def test_a_server_without_a_store_keeps_no_files(tmp_path: Path) -> None:
    def set_up(server: anyplug.Server) -> None:
        server.add(make_files("files", FilesOptions(), server.facilities))

    async with serve(PLUG, set_up=set_up) as server:
        with pytest.raises(Refused) as caught:
            await anyplug.connect(f"{server.addresses[0]}/files")
        assert caught.value.code is Code.UNSUPPORTED
    store = await SqliteStore.open(tmp_path)
    async with serve(PLUG, set_up=set_up, store=store) as server:
        with pytest.raises(Refused):
            await anyplug.connect(f"{server.addresses[0]}/files")
    await store.close()


async def test_a_folder_that_another_process_holds_is_told_and_tried_again(tmp_path: Path) -> None:
    async with file_server(None, folder=str(tmp_path / "f")) as (_, first), asking(first) as carriage:
        await carriage.ask(Listed, List())
        async with file_server(None, folder=str(tmp_path / "f")) as (_, second), asking(second) as other:
            await refused(other, List())
    async with file_server(None, folder=str(tmp_path / "f")) as (_, second), asking(second) as other:
        assert (await other.ask(Listed, List())).files == []


async def test_services_of_one_folder_share_its_files(tmp_path: Path) -> None:
    def set_up(server: anyplug.Server) -> None:
        server.facilities.base = tmp_path
        for name in ("one", "two"):
            server.add(make_files(name, FilesOptions(folder="shared"), server.facilities))

    async with serve(PLUG, set_up=set_up) as server:
        async with asking(f"{server.addresses[0]}/one") as carriage:
            await carriage.ask(Puts, Put(files=[small("a", b"1")]))
        async with asking(f"{server.addresses[0]}/two") as carriage:
            assert (await carriage.ask(Stored, Info(name="a"))).file.size == 1
    assert (tmp_path / "shared" / "a").read_bytes() == b"1"


async def test_a_server_that_starts_again_has_its_files(tmp_path: Path) -> None:
    async with file_server(tmp_path) as (server, address):
        async with asking(address) as carriage:
            await carriage.ask(Puts, Put(files=[small("a", b"1")]))
        await server.drain(1)
        await server.start(PLUG)
        async with asking(f"{server.addresses[0]}/files") as carriage:
            assert (await carriage.ask(Stored, Info(name="a"))).file.size == 1


async def test_transfers_that_nobody_goes_on_with_are_forgotten(tmp_path: Path) -> None:
    records = LogRecords()
    async with file_server(tmp_path, keep=0.05, records=records) as (_, address):
        async with asking(address) as carriage:
            transfer = await begun(carriage)
            await send(carriage, transfer.number, 0, BIG[:CHUNK])
            await carriage.ask(Transfer, Have(number=transfer.number))
        assert (await records.wait_for("transfer_expired"))["name"] == "big"
        async with asking(address) as carriage:
            assert (await begun(carriage, resume=transfer.id)).id != transfer.id


async def test_what_was_stored_is_shown_where_that_is_wanted() -> None:
    shown = Shown()
    async with file_server(show=True, shown=shown) as (_, address), asking(address) as carriage:
        await carriage.ask(Puts, Put(files=[small("a", b"1")]))
        transfer = await begun(carriage)
        await send_all(carriage, transfer.number)
        await carriage.ask(Stored, finish(transfer.number))
        texts = await shown.until(2)
    assert texts[0].startswith("a, 1 bytes, from 127.0.0.1:")
    assert texts[1].startswith("big, 2,097,252 bytes, from 127.0.0.1:")


@pytest.mark.parametrize("options", [{"file": -1}, {"keep": -1.0}, {"name": "../x"}, {"name": ".hidden"}])
def test_options_that_cannot_work_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        FilesOptions(**options)  # type: ignore[arg-type]


async def test_many_clients_at_once_are_all_served(tmp_path: Path) -> None:
    content = random.Random(2).randbytes(CHUNK + 10)

    async def client(address: str, number: int) -> None:
        async with asking(address) as carriage:
            transfer = await begun(carriage, f"{number}", size=len(content))
            await send_all(carriage, transfer.number, content)
            assert (await carriage.ask(Stored, finish(transfer.number, content))).file.name == f"{number}"

    async with file_server(tmp_path) as (_, address):
        await asyncio.gather(*(client(address, number) for number in range(MANY)))
    assert len(names(tmp_path / "files")) == MANY + 1


def test_a_service_can_be_looked_at_without_a_server() -> None:
    assert make_files("files", FilesOptions()).about == "Takes files and gives them back; anyplug put FILE HOST"
    assert make_files("files", FilesOptions(), Facilities()).posts

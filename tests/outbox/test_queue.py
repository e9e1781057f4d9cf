"""What was put in is on disk, in order, once; one process holds it; what is damaged is named; what is full says so."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from anyplug.errors import Code, StoreError, StoreFailed, StoreFull
from anyplug.outbox import (
    OutboxBusy,
    OutboxDamaged,
    OutboxError,
    OutboxFailed,
    OutboxFull,
    default_path,
    look,
)
from anyplug.outbox.disk import CHECKPOINT_BYTES, Disk
from anyplug.outbox.queue import Queue, _prepare
from tests.store.test_crash import ROOT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

A, B = "plug://a:1/inbox/log", "plug://b:1/inbox/log"


def opening(path: Path, *, many: int = 1_000_000, size: int = 1 << 30, news: Any = None) -> Any:
    return Queue.open(path, many=many, size=size, news=news or (lambda _: None))


@pytest.fixture
async def queue(folder: Path) -> AsyncIterator[Queue]:
    queue = await opening(folder / "outbox.db")
    yield queue
    await queue.close()


async def bodies(queue: Queue, address: str = A) -> list[bytes]:
    return [parcel.body for parcel in await queue.load(address, 0, many=1_000, size=1 << 30)]


# Putting in, taking out.


async def test_messages_are_there_in_order_after_opening_again(folder: Path) -> None:
    queue = await opening(folder / "o.db")
    assert await queue.put(A, "text", [b"1", b"2"]) == [1, 2]
    assert await queue.put(B, "json", [b"3"]) == [3]
    assert await queue.put(A, "bytes", [b"4"]) == [4]
    producers = {address: target.mark.producer for address, target in queue.targets.items()}
    await queue.close()
    queue = await opening(folder / "o.db")
    assert [(p.id, p.codec, p.body) for p in await queue.load(A, 0, many=9, size=99)] == [
        (1, "text", b"1"),
        (2, "text", b"2"),
        (4, "bytes", b"4"),
    ]
    assert [(target.address, target.waiting, target.size) for target in queue.targets.values()] == [
        (A, 3, 3),
        (B, 1, 1),
    ]
    assert {address: target.mark.producer for address, target in queue.targets.items()} == producers
    assert producers[A] != producers[B]
    assert {len(producer) for producer in producers.values()} == {16}
    await queue.close()


async def test_a_number_is_never_given_twice(folder: Path) -> None:
    queue = await opening(folder / "o.db")
    await queue.put(A, "text", [b"1", b"2"])
    await queue.settle(A, 2, many=2, sequence=2, kept="disk")
    await queue.close()
    queue = await opening(folder / "o.db")
    assert await queue.put(A, "text", [b"3"]) == [3]
    await queue.close()


async def test_many_who_put_in_at_once_share_a_sync(queue: Queue) -> None:
    numbers = await asyncio.gather(*(queue.put(A, "text", [b"%d" % n]) for n in range(200)))
    assert numbers == [[n] for n in range(1, 201)]
    assert queue.commits <= 3


async def test_what_is_delivered_is_gone_and_counted(queue: Queue) -> None:
    await queue.put(A, "text", [b"one", b"two", b"three"])
    await queue.settle(A, 2, many=2, sequence=7, kept="memory")
    assert await bodies(queue) == [b"three"]
    target = queue.targets[A]
    assert (target.waiting, target.size, target.mark.delivered, target.mark.sequence) == (1, 5, 2, 7)
    assert target.mark.kept == "memory"


async def test_a_refused_message_is_kept_apart_with_its_reason(queue: Queue) -> None:
    await queue.put(A, "json", [b"[1]", b"[2]"])
    await queue.refuse(A, 1, Code.BAD_MESSAGE, "no list, please")
    assert await bodies(queue) == [b"[2]"]
    (refusal,) = await queue.refusals(0, 10)
    assert (refusal.id, refusal.address, refusal.code, refusal.text) == (1, A, Code.BAD_MESSAGE, "no list, please")
    assert (refusal.codec, refusal.body) == ("json", b"[1]")
    assert refusal.time >= refusal.posted > 0
    assert queue.targets[A].mark.refused == 1
    assert await queue.refusals(1, 10) == []


async def test_a_refused_message_can_be_put_in_again_behind_the_others_or_thrown_away(queue: Queue) -> None:
    await queue.put(A, "text", [b"1", b"2", b"3"])
    for number in (1, 2):
        await queue.refuse(A, number, Code.FAILED, "")
    assert await queue.retry(1) == 4
    assert await queue.forget(2)
    assert await bodies(queue) == [b"3", b"1"]
    assert await queue.refusals(0, 10) == []
    assert (await queue.retry(1), await queue.forget(2)) == (0, False)
    await queue.refuse(A, 3, Code.FAILED, "")
    assert await queue.retry(2) == 0


async def test_what_else_is_noted_of_a_target_is_there_after_opening_again(folder: Path) -> None:
    queue = await opening(folder / "o.db")
    await queue.put(A, "text", [b"1"])
    await queue.settle(A, 1, many=1, sequence=9, kept="disk")
    await queue.renumber(A, 3)
    await queue.note(A, "nobody answers")
    await queue.close()
    queue = await opening(folder / "o.db")
    mark = queue.targets[A].mark
    assert (mark.sequence, mark.renumbered, mark.problem) == (3, 1, "nobody answers")
    await queue.rename(A)
    assert queue.targets[A].mark.producer != mark.producer
    assert queue.targets[A].mark.sequence == 0
    await queue.close()


async def test_whoever_delivers_is_told_after_the_commit(folder: Path) -> None:
    told: list[list[str]] = []
    queue = await opening(folder / "o.db", news=told.append)
    await queue.put(A, "text", [b"1"])
    assert told == [[A]]
    await queue.load(A, 0, many=1, size=1)
    await queue.note(A, "x")
    assert told == [[A]]
    await queue.close()


async def test_reading_stops_at_its_bounds_but_gives_one(queue: Queue) -> None:
    await queue.put(A, "text", [b"large", b"1", b"2"])
    assert [p.body for p in await queue.load(A, 0, many=1, size=99)] == [b"large"]
    assert [p.body for p in await queue.load(A, 0, many=9, size=1)] == [b"large"]
    assert [p.body for p in await queue.load(A, 1, many=9, size=1)] == [b"1"]
    assert [p.body for p in await queue.load(A, 1, many=9, size=2)] == [b"1", b"2"]


async def test_the_file_does_not_keep_the_size_of_a_backlog(folder: Path) -> None:
    queue = await opening(folder / "o.db")
    body = bytes(64 * 1024)
    many = 2 * CHECKPOINT_BYTES // len(body)
    for first in range(1, many + 1, 16):
        await queue.put(A, "bytes", [body] * 16)
        log = (folder / "o.db-wal").stat().st_size
        assert log < 2 * CHECKPOINT_BYTES, first
    await queue.settle(A, many, many=many, sequence=many, kept="disk")
    large = (folder / "o.db").stat().st_size
    await queue.close()
    assert large > CHECKPOINT_BYTES
    assert (folder / "o.db").stat().st_size < 256 * 1024


# Bounds.


async def test_a_full_outbox_refuses_what_is_too_much_and_keeps_the_rest(folder: Path) -> None:
    queue = await opening(folder / "o.db", many=3, size=10)
    await queue.put(A, "text", [b"1234", b"56"])
    for more in ([b"x", b"y"], [b"12345"]):
        with pytest.raises(OutboxFull, match=r"o\.db is full: 2 messages of 6 bytes .* it takes 3 of 10 bytes"):
            await queue.put(B, "text", more)
    assert B not in queue.targets
    await queue.put(B, "text", [b"7890"])
    await queue.refuse(A, 1, Code.FAILED, "")
    with pytest.raises(OutboxFull):
        await queue.put(A, "text", [b""])
    await queue.forget(1)
    await queue.put(A, "text", [b""])
    await queue.settle(A, 2, many=1, sequence=1, kept="disk")
    await queue.put(A, "text", [b""])
    await queue.close()
    queue = await opening(folder / "o.db", many=3, size=10)
    with pytest.raises(OutboxFull):
        await queue.put(A, "text", [b""])
    await queue.close()


# Who may have it.


async def test_a_second_one_is_refused_with_the_reason_until_the_first_is_closed(folder: Path) -> None:
    first = await opening(folder / "o.db")
    (folder / "link.db").symlink_to(folder / "o.db")
    for name in ("o.db", "link.db"):
        with pytest.raises(OutboxBusy, match=rf"o\.db is in use: process {os.getpid()} holds it"):
            await opening(folder / name)
    await first.close()
    await (await opening(folder / "link.db")).close()


def test_another_process_is_refused_and_can_look(folder: Path) -> None:
    script = """
import asyncio, sys
from pathlib import Path
from anyplug.outbox.faults import of_outbox
from anyplug.outbox.queue import Queue, _prepare
async def main():
    queue = await Queue.open(Path(sys.argv[1]), many=9, size=99, news=lambda _: None)
    await queue.put("plug://a:1/inbox/log", "text", [b"12", b"3"])
    print("there", flush=True)
    sys.stdin.read()
    await queue.close()
asyncio.run(main())
"""
    command = [sys.executable, "-c", script, str(folder / "o.db")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"there\n"
        with pytest.raises(OutboxBusy, match=f"process {process.pid} holds it"):
            asyncio.run(opening(folder / "o.db"))
        (target,) = look(folder / "o.db").values()
        assert (target.address, target.waiting, target.size) == (A, 2, 3)
        process.communicate(timeout=20)
    assert look(folder / "o.db")[A].waiting == 2


def test_there_is_nothing_to_look_at_where_none_is(folder: Path) -> None:
    with pytest.raises(OutboxError, match="there is none"):
        look(folder / "o.db")
    assert not (folder / "o.db").exists()


async def test_files_are_for_their_user_alone(folder: Path) -> None:
    queue = await opening(folder / "a" / "b" / "o.db")
    await queue.put(A, "text", [b"1"])
    for name in ("o.db", "o.db-wal", "o.db.lock"):
        assert stat.S_IMODE((folder / "a" / "b" / name).stat().st_mode) == 0o600, name
    assert stat.S_IMODE((folder / "a" / "b").stat().st_mode) == 0o700
    await queue.close()


async def test_a_path_that_cannot_be_used_is_told(folder: Path) -> None:
    (folder / "file").write_text("x")
    for path in (folder / "file" / "o.db", folder):
        with pytest.raises(OutboxError, match="it cannot be used"):
            await opening(path)


async def test_after_closing_nothing_is_put_in(folder: Path) -> None:
    queue = await opening(folder / "o.db")
    await queue.close()
    with pytest.raises(OutboxError, match=r"the outbox .*o\.db: it is closed"):
        await queue.put(A, "text", [b"1"])


def test_the_users_outbox_is_in_the_folder_for_state() -> None:
    assert default_path({"XDG_STATE_HOME": "/s"}) == Path("/s/anyplug/outbox.db")
    home = Path("~/.local/state/anyplug/outbox.db").expanduser()
    assert default_path({}) == default_path({"XDG_STATE_HOME": "not/absolute"}) == home


async def test_what_was_delivered_or_refused_must_have_been_there(queue: Queue) -> None:
    await queue.put(A, "text", [b"1"])
    with pytest.raises(OutboxDamaged, match=r"1 messages wait for .* up to 5, 2 were delivered"):
        await queue.settle(A, 5, many=2, sequence=2, kept="disk")
    with pytest.raises(OutboxDamaged, match=r"message 9 for .* is gone"):
        await queue.refuse(A, 9, Code.FAILED, "")
    assert await bodies(queue) == [b"1"]


async def test_a_code_of_a_later_version_is_shown_as_failed(queue: Queue) -> None:
    await queue.put(A, "text", [b"1"])
    await queue.refuse(A, 1, 999, "?")  # type: ignore[arg-type]
    assert [refusal.code for refusal in await queue.refusals(0, 1)] == [Code.FAILED]


async def test_the_database_is_set_to_be_durable(queue: Queue) -> None:
    connection = queue._disk._connection
    found = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    assert found == ["wal", 2]


# A disk that fails.


async def test_an_error_of_the_database_in_a_job_stops_it_and_a_full_one_does_not(queue: Queue) -> None:
    disk = queue._disk

    def fail(code: int) -> Callable[[], None]:
        def job() -> None:
            error = sqlite3.OperationalError("no")
            error.sqlite_errorcode = code
            raise error

        return job

    with pytest.raises(StoreFull):
        disk.run(fail(sqlite3.SQLITE_FULL))
    with pytest.raises(StoreFailed):
        disk.run(fail(sqlite3.SQLITE_IOERR))
    assert not disk.make_room()


async def test_a_batch_that_finds_no_room_is_forgotten_as_a_whole(folder: Path) -> None:
    queue = await opening(folder / "o.db", many=2)
    begun, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        go_on.wait()

    def refuse() -> None:
        raise StoreFull("o.db", "no room")

    before = asyncio.ensure_future(queue._writer.submit(hold))
    await asyncio.to_thread(begun.wait)
    batch = asyncio.gather(queue.put(A, "text", [b"1"]), queue._writer.submit(refuse), return_exceptions=True)
    await asyncio.sleep(0)
    go_on.set()
    await before
    assert [type(each) for each in await batch] == [OutboxFull, StoreFull]
    assert [*queue.targets] == []
    assert await bodies(queue) == []
    await queue.put(A, "text", [b"2", b"3"])
    assert await bodies(queue) == [b"2", b"3"]
    assert queue.targets[A].waiting == 2
    await queue.close()


async def fail(queue: Queue) -> None:
    """Let the next commit fail."""
    with pytest.raises(StoreFailed):
        await queue._writer.submit(queue._disk._connection.close)


async def test_after_a_failure_nothing_is_acknowledged_and_it_stays_locked(folder: Path) -> None:
    told: list[list[str]] = []
    queue = await opening(folder / "o.db", news=told.append)
    await queue.put(A, "text", [b"1"])
    await fail(queue)
    with pytest.raises(OutboxFailed, match=r"o\.db has stopped: .*; mend the disk, then start this program again"):
        await queue.put(A, "text", [b"2"])
    with pytest.raises(OutboxFailed):
        await queue.put(A, "text", [b"3"])
    await queue.close()
    assert told == [[A], []]
    with pytest.raises(OutboxBusy):
        await opening(folder / "o.db")
    queue._held.release()


async def test_a_disk_without_room_refuses_and_goes_on_when_there_is_some(folder: Path) -> None:
    queue = await opening(folder / "o.db")
    await queue.put(A, "bytes", [b"1"])

    def room(pages: int) -> None:
        queue._disk._connection.execute(f"PRAGMA max_page_count = {pages}")

    await queue._writer.submit(lambda: room(16))
    large = bytes(100_000)
    with pytest.raises(OutboxFull, match=r"o\.db is full: database or disk is full"):
        await queue.put(B, "bytes", [large])
    with pytest.raises(OutboxFull):
        await queue.put(A, "bytes", [b"2", large])
    assert await bodies(queue) == [b"1"]
    assert [*queue.targets] == [A]
    await queue.put(A, "bytes", [b"3"])
    await queue._writer.submit(lambda: room(1 << 30))
    await queue.put(B, "bytes", [large])
    assert await bodies(queue) == [b"1", b"3"]
    assert queue.targets[B].size == 100_000
    await queue.close()
    queue = await opening(folder / "o.db", size=100_002)
    with pytest.raises(OutboxFull, match="3 messages of 100,002 bytes are in it"):
        await queue.put(A, "bytes", [b"4"])
    await queue.close()


def test_a_database_that_cannot_be_durable_is_refused(folder: Path) -> None:
    (folder / "o.db").touch()
    connection = sqlite3.connect(":memory:")
    with pytest.raises(StoreError, match="journal_mode is memory, it has to be wal; is this a network disk"):
        _prepare(connection, folder / "o.db")
    connection.close()


def test_a_disk_is_a_target_of_the_writer() -> None:
    assert Disk.__abstractmethods__ == frozenset()

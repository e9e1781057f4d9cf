"""What is no outbox, or a damaged one: it is named, and nothing of it is delivered."""

from __future__ import annotations

import asyncio
import copy
import shutil
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from anyplug.errors import Code, StoreBusy, StoreDamaged, StoreError, StoreFailed, StoreFull
from anyplug.outbox import OutboxDamaged, OutboxError, Undeliverable, look
from anyplug.outbox.faults import of_outbox
from tests.outbox.test_queue import A, B, bodies, opening

if TYPE_CHECKING:
    from pathlib import Path

    from anyplug.outbox.queue import Queue


async def test_a_file_of_another_program_or_a_later_version_is_refused(folder: Path) -> None:
    other = sqlite3.connect(folder / "other.db")
    other.execute("CREATE TABLE x (y)")
    other.close()
    with pytest.raises(OutboxError, match="a file of another program"):
        await opening(folder / "other.db")
    (folder / "text.db").write_text("no database at all, but long enough to be one" * 100)
    with pytest.raises(OutboxDamaged, match="not a database"):
        await opening(folder / "text.db")
    for version, kind, words in ((2, OutboxError, "use the newer program"), (0, OutboxDamaged, "never was")):
        path = folder / f"v{version}.db"
        await (await opening(path)).close()
        connection = sqlite3.connect(path)
        connection.execute(f"PRAGMA user_version = {version}")
        connection.close()
        with pytest.raises(kind, match=words):
            await opening(path)
        (folder / f"v{version}.db.lock").unlink()


async def filled(path: Path) -> dict[str, Any]:
    queue = await opening(path)
    for n in range(1, 40):
        await queue.put((A, B)[n % 2], "text", [b"%d " % n * n])
    await queue.refuse(A, 2, Code.FAILED, "broken")
    await queue.settle(B, 3, many=2, sequence=2, kept="disk")
    found = await look_all(queue)
    await queue.close()
    return found


async def look_all(queue: Queue) -> dict[str, Any]:
    """All that an outbox answers; a part that it says is damaged is left out."""
    parts: dict[str, Any] = {
        # how many bytes wait is only told, and each body is looked at when it is read
        "targets": {address: (each.mark, each.waiting) for address, each in queue.targets.items()},
        A: bodies(queue, A),
        B: bodies(queue, B),
        "refusals": queue.refusals(0, 99),
    }
    for name in [*parts][1:]:
        found = (await asyncio.gather(parts.pop(name), return_exceptions=True))[0]
        if not isinstance(found, BaseException):
            parts[name] = found
        else:
            assert isinstance(found, OutboxDamaged)
            assert "o.db" in str(found)
    return parts


async def test_a_flipped_byte_is_found_and_what_it_hit_is_never_delivered(folder: Path) -> None:
    right = await filled(folder / "good" / "o.db")
    good = (folder / "good" / "o.db").read_bytes()
    refused = partly = 0
    used = [place for place, byte in enumerate(good) if byte]
    for place in [*range(0, 100, 9), *used[10::29]]:
        (folder / "bad").mkdir()
        data = bytearray(good)
        data[place] ^= 0x55
        (folder / "bad" / "o.db").write_bytes(data)
        queue: Queue | BaseException
        (queue,) = await asyncio.gather(opening(folder / "bad" / "o.db"), return_exceptions=True)
        if isinstance(queue, BaseException):
            assert isinstance(queue, OutboxError)
            assert "o.db" in str(queue)
            refused += 1
        else:
            found = await look_all(queue)
            for name, value in found.items():
                # those before a damaged message are still good
                assert value == right[name] or (name in {A, B} and value == right[name][: len(value)]), place
            partly += any(found.get(name) != right[name] for name in right)
            await queue.close()
        shutil.rmtree(folder / "bad")
    assert refused > 20
    assert partly > 20


async def test_a_schema_that_is_no_text_any_more_is_told_as_damage(folder: Path) -> None:
    """SQLite quotes it in its error, and the quotation is no UTF-8."""
    await filled(folder / "o.db")
    good = (folder / "o.db").read_bytes()
    place = good.index(b"NOT NULL") + 6
    (folder / "o.db").write_bytes(good[:place] + b"\xcc" + good[place + 1 :])
    with pytest.raises(OutboxDamaged, match="malformed database schema"):
        await opening(folder / "o.db")
    (folder / "o.db.lock").unlink()
    with pytest.raises(OutboxDamaged, match="malformed database schema"):
        look(folder / "o.db")


async def test_a_file_cut_short_is_refused(folder: Path) -> None:
    await filled(folder / "o.db")
    good = (folder / "o.db").read_bytes()
    for size in (10, 99, 4096, len(good) // 2, len(good) - 4096, len(good) - 1):
        (folder / "o.db").write_bytes(good[:size])
        with pytest.raises(OutboxDamaged):
            await opening(folder / "o.db")


async def test_a_log_that_is_broken_before_its_last_commit_is_refused(folder: Path) -> None:
    queue = await opening(folder / "live" / "o.db")
    for n in range(5):
        await queue.put(A, "text", [b"%d" % n])
    shutil.copytree(folder / "live", folder / "killed")
    await queue.close()
    log = folder / "killed" / "o.db-wal"
    data = bytearray(log.read_bytes())
    data[200] ^= 1
    log.write_bytes(data)
    with pytest.raises(OutboxDamaged, match="commits follow it"):
        await opening(folder / "killed" / "o.db")


async def test_tables_and_rows_that_do_not_belong_together_are_refused(folder: Path) -> None:
    for change in ("DELETE FROM target", "ALTER TABLE refused RENAME TO r", "UPDATE target SET state = x'80'"):
        await filled(folder / "o.db")
        connection = sqlite3.connect(folder / "o.db")
        with connection:
            connection.execute(change)
        connection.close()
        with pytest.raises(OutboxDamaged):
            await opening(folder / "o.db")
        (folder / "o.db").unlink()


async def test_a_value_whose_type_was_damaged_is_found_too(folder: Path) -> None:
    await filled(folder / "o.db")
    connection = sqlite3.connect(folder / "o.db")
    with connection:
        connection.execute("UPDATE message SET body = CAST(body AS TEXT) WHERE id = 4")
    connection.close()
    queue = await opening(folder / "o.db")
    with pytest.raises(OutboxDamaged, match=r"message 4 for .* is not what was put in"):
        await queue.load(A, 2, many=9, size=99)
    await queue.rename(A)
    refused = {refusal.id: refusal for refusal in await queue.refusals(0, 9)}
    assert (refused[4].text, refused[4].body) == ("it was damaged on this disk", b"4 4 4 4 ")
    assert await bodies(queue) == [b"%d " % n * n for n in range(6, 40, 2)]
    await queue.close()


async def test_a_refused_message_that_is_damaged_is_named_and_not_given(folder: Path) -> None:
    await filled(folder / "o.db")
    connection = sqlite3.connect(folder / "o.db")
    with connection:
        connection.execute("UPDATE refused SET text = 'all is well'")
    connection.close()
    queue = await opening(folder / "o.db")
    for call in (queue.refusals(0, 9), queue.retry(2)):
        with pytest.raises(OutboxDamaged, match="the refused message 2 is not what was written"):
            await call
    assert queue.targets[A].mark.refused == 1
    await queue.close()


def test_errors_of_a_store_are_told_in_the_words_of_an_outbox() -> None:
    for error, words in (
        (StoreFull("o.db", "no room"), "the outbox o.db is full: no room"),
        (StoreFailed("o.db", "EIO"), "the outbox o.db has stopped: EIO; mend the disk, then start this program again"),
        (StoreBusy("o.db", "by 7"), "the outbox o.db is in use: by 7"),
        (StoreDamaged("o.db", "bits"), "the outbox file o.db is damaged: bits"),
        (StoreError("o.db", "closed"), "the outbox o.db: closed"),
    ):
        told = of_outbox(error)
        assert isinstance(told, OutboxError)
        assert isinstance(told, type(error))
        assert str(told) == str(copy.copy(told)) == words
        assert of_outbox(told) is told
    stopped = Undeliverable("plug://a", Code.NOT_ALLOWED, "", waiting=3)
    twin = copy.copy(stopped)
    assert str(twin) == str(stopped) == "3 messages for plug://a cannot be delivered (not_allowed)"
    assert (twin.address, twin.code, twin.waiting) == ("plug://a", Code.NOT_ALLOWED, 3)

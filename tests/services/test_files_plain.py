"""Plain uploads: all that a client sends until it ends is one new file, with a number and an ending by its content."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest

from anyplug.services.endings import HEAD, ending_of
from anyplug.store.chunks import CHUNK
from tests.server.serving import LogRecords, RawClient
from tests.services.filing import PLAIN, Shown, file_server, names

if TYPE_CHECKING:
    from pathlib import Path

JPEG = bytes.fromhex("ffd8ffe000104a46494600010100000100010000")


async def upload(address: str, content: bytes) -> bytes:
    """Send it, end, and hear the end."""
    client = await RawClient.to(address)
    await client.say(content)
    client.end()
    said = await client.hear_all()
    await client.close()
    return said


def files(folder: Path) -> dict[str, bytes]:
    inside = folder / "files"
    return {name: (inside / name).read_bytes() for name in names(inside) if name != ".anyplug"}


async def test_uploads_are_numbered_and_named_by_their_content(tmp_path: Path) -> None:
    big = JPEG + random.Random(1).randbytes(3 * CHUNK)
    async with file_server(tmp_path, PLAIN) as (server, _):
        plain = server.addresses[1]
        assert await upload(plain, JPEG + b"small") == b""
        assert await upload(plain, b"hello\n") == b""
        assert await upload(plain, big) == b""
        assert await upload(plain, bytes(range(256))) == b""
    found = {
        "file_1.jpg": JPEG + b"small",
        "file_2.txt": b"hello\n",
        "file_3.jpg": big,
        "file_4.bin": bytes(range(256)),
    }
    assert files(tmp_path) == found


async def test_a_client_that_says_nothing_leaves_nothing(tmp_path: Path) -> None:
    async with file_server(tmp_path, PLAIN) as (server, _):
        assert await upload(server.addresses[1], b"") == b""
        assert await upload(server.addresses[1], b"x") == b""
    assert list(files(tmp_path)) == ["file_1.txt"]


async def test_never_two_on_one_number(tmp_path: Path) -> None:
    contents = [JPEG + f"{number}".encode() * (number * 40_000) for number in range(20)]
    async with file_server(tmp_path, PLAIN) as (server, _):
        await asyncio.gather(*(upload(server.addresses[1], content) for content in contents))
    found = files(tmp_path)
    assert set(found) == {f"file_{number}.jpg" for number in range(1, 21)}
    assert sorted(found.values()) == sorted(contents)


async def test_numbers_go_on_after_a_new_start(tmp_path: Path) -> None:
    async with file_server(tmp_path, PLAIN) as (server, _):
        await upload(server.addresses[1], b"one")
        await upload(server.addresses[1], b"two")
    (tmp_path / "files" / "file_1.txt").unlink()
    async with file_server(tmp_path, PLAIN) as (server, _):
        await upload(server.addresses[1], JPEG)
    assert set(files(tmp_path)) == {"file_2.txt", "file_3.jpg"}


async def test_the_same_content_twice_is_two_files(tmp_path: Path) -> None:
    async with file_server(tmp_path, PLAIN) as (server, _):
        await upload(server.addresses[1], b"same")
        await upload(server.addresses[1], b"same")
    assert files(tmp_path) == {"file_1.txt": b"same", "file_2.txt": b"same"}


async def test_a_folder_and_another_name_can_be_set(tmp_path: Path) -> None:
    where = "tcp://127.0.0.1:0/files/up?framing=raw"
    async with file_server(tmp_path, where, name="photo ") as (server, _):
        await upload(server.addresses[1], JPEG)
        await upload(server.addresses[1], JPEG)
    assert names(tmp_path / "files" / "up") == ["photo 1.jpg", "photo 2.jpg"]


@pytest.mark.parametrize("size", [100, 2 * CHUNK + 100])
async def test_what_was_sent_before_a_reset_is_kept_aside_and_told(tmp_path: Path, size: int) -> None:
    records, shown = LogRecords(), Shown()
    content = JPEG + random.Random(1).randbytes(size)
    async with file_server(tmp_path, PLAIN, records=records, shown=shown, show=True) as (server, _):
        client = await RawClient.to(server.addresses[1])
        await client.say(content)
        while not server.connections:
            await asyncio.sleep(0)
        await heard(server, client, len(content))
        client.reset()
        event = await records.wait_for("upload_broken")
        assert event["name"] == "file_1.jpg"
        assert event["received"] == len(content)
        assert "broke off" in (await shown.until(1))[0]
        await upload(server.addresses[1], JPEG)
    assert list(files(tmp_path)) == ["file_2.jpg"]
    staged = tmp_path / "files" / ".anyplug" / "staging" / event["transfer"]
    assert staged.read_bytes() == content
    async with file_server(tmp_path, PLAIN) as (server, _):
        await upload(server.addresses[1], JPEG)
    assert set(files(tmp_path)) == {"file_2.jpg", "file_3.jpg"}


async def heard(server: object, client: RawClient, size: int) -> None:
    """Wait until the server has read so many bytes."""
    links = server._context.links  # type: ignore[attr-defined]
    async with asyncio.timeout(10):
        while sum(link.session.received for link in links) < size:
            await asyncio.sleep(0.001)


async def test_an_upload_under_way_when_the_server_stops_is_kept_aside(tmp_path: Path) -> None:
    records = LogRecords()
    async with file_server(tmp_path, PLAIN, records=records) as (server, _):
        client = await RawClient.to(server.addresses[1])
        await client.say(JPEG)
        await heard(server, client, len(JPEG))
        await server.drain(10)
    assert (await records.wait_for("upload_broken"))["received"] == len(JPEG)
    assert files(tmp_path) == {}
    await client.close()


@pytest.mark.parametrize("size", [100, CHUNK * 2])
async def test_a_client_is_told_that_there_is_no_room(tmp_path: Path, size: int) -> None:
    async with file_server(tmp_path, PLAIN, bytes=50) as (server, _):
        client = await RawClient.to(server.addresses[1])
        await client.say(bytes(size))
        client.end()
        assert (await client.hear_all()).startswith(b"store_full: ")
        await client.close()
    assert files(tmp_path) == {}


async def test_a_file_that_grows_too_large_is_refused_and_forgotten(tmp_path: Path) -> None:
    async with file_server(tmp_path, PLAIN, file=CHUNK) as (server, _):
        client = await RawClient.to(server.addresses[1])
        await client.say(bytes(3 * CHUNK))
        client.end()
        assert (await client.hear_all()).startswith(b"too_large: ")
        await client.close()
    assert files(tmp_path) == {}
    assert names(tmp_path / "files" / ".anyplug" / "staging") == []


@pytest.mark.parametrize(
    ("content", "ending"),
    [
        (JPEG, ".jpg"),
        (b"\x89PNG\r\n\x1a\n" + bytes(20), ".png"),
        (b"PK\x03\x04" + bytes(30), ".zip"),
        (b"%PDF-1.7\n", ".pdf"),
        (b"GIF89a" + bytes(20), ".gif"),
        (b"hello, wor\xcc\x88ld\n", ".txt"),
        (b"MZ is how this text begins", ".txt"),
        ("ä".encode() * HEAD, ".txt"),
        (b"x" + "ä".encode() * HEAD, ".txt"),
        (b"x" * HEAD + b"\xff\xff", ".txt"),
        (b"x" * 100 + b"\xff", ".bin"),
        (bytes(100), ".bin"),
        (b"bell \x07", ".bin"),
        (b"", ".bin"),
    ],
)
def test_endings_go_by_the_content(content: bytes, ending: str) -> None:
    assert ending_of(content) == ending

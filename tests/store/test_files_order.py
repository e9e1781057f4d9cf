"""In which order a file is written, synced and named, as the system sees it; and what of the system is asked at all."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from anyplug.store import FileLimits, FolderFiles, Offer, Small
from tests.store.files_worker import OLD

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROOT = Path(__file__).resolve().parents[2]
LINE = re.compile(r"^\d+\s+(\w+)\((.*)\)\s+= (-?\d+|\?)")
BEGUN = re.compile(r"^(\d+)\s+(\w+)\((.*) <unfinished \.\.\.>$")
ENDED = re.compile(r"^(\d+)\s+<\.\.\. (\w+) resumed>(.*)$")
CHUNK_RECORD, SYNC_RECORD = 51, 15
"""The sizes of these records of a journal, bytes."""


class Call(NamedTuple):
    """A system call that has ended."""

    name: str
    arguments: str
    result: int


def read(trace: str) -> list[Call]:
    """The calls, in the order they ended."""
    calls, begun = [], {}
    for line in trace.splitlines():
        if found := BEGUN.match(line):
            begun[found[1], found[2]] = found[3]
            continue
        if found := ENDED.match(line):
            line = f"{found[1]} {found[2]}({begun.pop((found[1], found[2]))}{found[3]}"
        if found := LINE.match(line):
            calls.append(Call(found[1], found[2], int(found[3].replace("?", "0"))))
    return calls


def traced(program: Callable[[str], str], folder: Path, how: str, *calls: str) -> list[Call]:
    """The calls of a worker, and what it said among them."""
    log = folder.parent / "trace"
    command = [program("strace"), "-f", "-qq", "-y", "-s", "64", "-o", str(log), "-e", f"trace={','.join(calls)}"]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    command += [sys.executable, "-m", "tests.store.files_worker", str(folder), how]
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT, env=environ, timeout=25)
    return read(log.read_text("utf-8", "replace"))


@pytest.fixture
async def filled(folder: Path) -> Path:
    store = await FolderFiles.open(folder / "filled", limits=FileLimits(free=0), reserve=0)
    await store.put_many([Small(Offer(label="d/photo.jpg"), OLD)], now=1)
    await store.close()
    return folder / "filled"


SYNCS = ("write", "pwritev2", "fdatasync", "fsync", "syncfs", "linkat", "renameat", "renameat2", "mkdirat")


def words(calls: Sequence[Call], folder: Path) -> list[str]:
    """What matters of the calls, a word each: ``data``, ``chunk record``, ``sync of d``, ``said ok``..."""
    found = []
    for call in calls:
        path = (re.search(r"<([^<>]*)>", call.arguments) or [""] * 2)[1].removeprefix(f"{folder}").strip("/")
        path = re.sub(r"[0-9a-f]{32}", "ID", path)
        path = path.removeprefix(".anyplug/").replace("staging/ID", "data").replace("data.journal", "journal") or "top"
        if call.name == "pwritev2" and path == "journal":
            found.append({CHUNK_RECORD: "chunk record", SYNC_RECORD: "sync record"}.get(call.result, "head record"))
        elif call.name == "pwritev2":
            found.append(path)
        elif call.name in {"fdatasync", "fsync"} and path != ".anyplug":
            found.append(f"sync of {path}")
        elif call.name == "syncfs":
            found.append("sync of all")
        elif call.name.startswith(("link", "rename")):
            found.append("name")
        elif call.name == "mkdirat":
            found.append("new folder")
        elif said := re.search(r'"(ok|wrote|synced)', call.arguments):
            found.append(f"said {said[1]}")
    # the first commit makes the log, and syncs the head of it and its folder, too
    return [word for word, before in zip(found, ["", *found], strict=False) if word != before or word != COMMIT]


COMMIT = "sync of anyplug.db-wal"
BEGIN = ["head record"]
WRITE = ["data", "chunk record", "said wrote"]
SYNC = ["sync of data", "sync record", "sync of journal", "sync of staging", "said synced"]


@pytest.mark.parametrize("how", ["upload", "replace"])
async def test_an_upload_is_written_then_synced_then_named_then_told(
    filled: Path, program: Callable[[str], str], how: str
) -> None:
    found = words(traced(program, filled, how, *SYNCS), filled)
    found = found[found.index("head record") : found.index("said ok") + 1]
    finish = ["sync of data", COMMIT, "name", "sync of d", COMMIT, "said ok"]
    assert found == [*BEGIN, *WRITE, *WRITE, *SYNC, *WRITE, *finish]


async def test_small_files_are_written_then_synced_then_named_then_told(
    filled: Path, program: Callable[[str], str]
) -> None:
    found = words(traced(program, filled, "small", *SYNCS), filled)
    found = found[found.index("data") : found.index("said ok") + 1]
    *first, one, other, commit, told = found
    assert first == [*["data"] * 5, "sync of all", COMMIT, "new folder", *["name"] * 5]
    assert {one, other} == {"sync of top", "sync of s"}
    assert (commit, told) == (COMMIT, "said ok")


CORPUS = """
import asyncio, json, sys
from anyplug.store import FileLimits, FolderFiles, Offer, Small
from anyplug.file_errors import NotThere
from tests.hostile import HOSTILE

async def main():
    store = await FolderFiles.open(sys.argv[1], limits=FileLimits(free=0), reserve=0)
    labels = [each if isinstance(each, str) else each.decode("utf-8", "surrogateescape") for each in HOSTILE]
    await store.put_many([Small(Offer(label="warm"), b"")], now=1)
    lease = await store.begin(Offer(label="warm", size=1), now=1)
    await lease.write(0, b"x")
    await lease.finish(now=1)
    print("begin", flush=True)
    await store.put_many([Small(Offer(label=label), b"small") for label in labels], now=1)
    for label in labels[::4]:
        lease = await store.begin(Offer(label=label, size=1, replace=True), now=1)
        await lease.write(0, b"x")
        await lease.finish(now=1)
    names = [file.name for file in await store.list()]
    for name in (*labels, *names):
        try:
            await (await store.reader(name)).close()
        except NotThere:
            assert name in labels
        await store.list(name)
        try:
            await store.resume(name)
        except NotThere:
            pass
    for name in names[::3]:
        await store.delete(name)
    print("end", flush=True)
    await store.close()

asyncio.run(main())
"""


def test_hostile_names_open_nothing_outside_the_folder(folder: Path, program: Callable[[str], str]) -> None:
    """Every call that takes a path, as the system saw it."""
    inside, log = folder / "store", folder / "trace"
    command = [program("strace"), "-f", "-qq", "-y", "-s", "4096", "-o", str(log), "-e", "trace=%file,write"]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    subprocess.run([*command, sys.executable, "-c", CORPUS, str(inside)], check=True, cwd=ROOT, env=environ, timeout=28)
    calls = read(log.read_text("utf-8", "replace"))
    begin, end = (
        next(n for n, call in enumerate(calls) if call.name == "write" and f'"{word}' in call.arguments)
        for word in ("begin", "end")
    )
    seen = 0
    for call in calls[begin + 1 : end]:
        # the database opens its own files by their paths, and their folder is asked how much room there is
        own = f'"{inside}/.anyplug' if call.name == "statfs" else f'"{inside}/.anyplug/anyplug.db'
        if call.name == "write" or own in call.arguments:
            continue
        pairs = re.findall(r'(AT_FDCWD|\d+)<([^<>]*)>, "((?:[^"\\]|\\.)*)"', call.arguments)
        assert pairs, call
        for _, base, name in pairs:
            seen += 1
            assert f"{base}/".startswith(f"{inside}/"), call
            assert name not in {"..", ".anyplug"}, call
            assert base != f"{inside}/.anyplug", call
            assert name or "AT_EMPTY_PATH" in call.arguments, call
            assert "/" not in name, call
        assert "O_NOFOLLOW" in call.arguments or call.name != "openat", call
        assert "AT_SYMLINK_FOLLOW" not in call.arguments, call
    assert seen > 2000
    assert sorted(path.name for path in folder.iterdir()) == ["store", "trace"]

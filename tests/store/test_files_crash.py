"""A process that stores files is killed, or its disk fails, at every call: what was acknowledged is there, whole."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from anyplug.store import CHUNK, FileLimits, FolderFiles, Offer, Small
from tests.store.files_worker import DATA, OLD, SMALLS, many

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROOT = Path(__file__).resolve().parents[2]
LIMITS = FileLimits(free=0)


def has_data(path: Path) -> bool:
    """Whether a file holds the data; a comparison in an assertion would be explained byte by byte, which takes long."""
    return path.read_bytes() == DATA


def uncovered() -> dict[str, str]:
    """A process that is killed leaves half a file of covered lines behind: none is better."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COV")}


def run(folder: Path, how: str, *under: str) -> tuple[int, list[str]]:
    """The exit status, and the lines that were said."""
    command = [*under, sys.executable, "-m", "tests.store.files_worker", str(folder), how]
    environ = uncovered() if any("KILL" in word for word in under) else None
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environ, timeout=25, check=False)
    assert done.returncode in {0, -signal.SIGKILL, 128 + signal.SIGKILL}, done.stderr
    return done.returncode, done.stdout.splitlines()


def injected(program: Callable[[str], str], folder: Path, call: str, fault: str) -> list[str]:
    """strace with a fault at a call that has to do with the folder: its files, its index, or their folders.

    Calls are counted in each thread alone. What concerns files is done by one thread, what concerns the index by
    another: a call that both make is told apart by the word ``index`` behind it.
    """
    paths = [folder, folder / "d", folder / "s", folder / ".anyplug", folder / ".anyplug/staging"]
    files = [folder / ".anyplug" / name for name in ("anyplug.db", "anyplug.db-wal")]
    words = [program("strace"), "-f", "-qqq", "-o", "/dev/null"]
    if "signal" not in fault:
        words.append("--seccomp-bpf")  # much faster; with it, signals come at the first call or never
    call, _, index = call.partition(" ")
    if index:
        words += [word for path in files for word in ("-P", str(path))]
    elif call == "openat":
        words += [word for path in paths if path.name != ".anyplug" for word in ("-P", str(path))]
    elif call not in {"pwritev2", "fdatasync", "fsync", "fchmod", "utimensat"}:
        words += [word for path in (*paths, *files) for word in ("-P", str(path))]
    return [*words, "-e", f"trace={call}", "-e", f"inject={call}:{fault}"]


@pytest.fixture
async def filled(folder: Path) -> Path:
    """A store with a file of the name that the workers use, closed."""
    store = await FolderFiles.open(folder / "filled", limits=LIMITS, reserve=0)
    await store.put_many([Small(Offer(label="d/photo.jpg"), OLD)], now=1)
    await store.close()
    return folder / "filled"


def visible(folder: Path) -> dict[str, bytes]:
    """What people see in the folder."""
    paths = [path for path in folder.rglob("*") if path.is_file() and ".anyplug" not in path.parts]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


async def judge(folder: Path, how: str, said: list[str]) -> set[str]:
    """Check what is left, carry on what was begun, and check again; return the names that were there."""
    mine = {"upload": "d/photo (2).jpg", "replace": "d/photo.jpg"}.get(how, "")
    whole = {"d/photo.jpg": [OLD], "d/photo (2).jpg": [DATA], **{f"s/{n}": [SMALLS[n]] for n in range(5)}}
    if how == "replace":
        whole["d/photo.jpg"].append(DATA)
    seen = visible(folder)
    assert all(content in whole[name] for name, content in seen.items()), "a name appeared before its file was whole"
    store = await FolderFiles.open(folder, limits=LIMITS, reserve=0)
    try:
        assert list(await store.check()) == []
        names = {file.name for file in await store.list()}
        assert names == set(visible(folder))
        acknowledged = {line.removeprefix("ok ") for line in said if line.startswith("ok ")}
        if how == "delete":
            assert not acknowledged or not names
            return names
        assert acknowledged <= names
        if mine and mine in acknowledged:
            assert has_data(folder / mine)
        if how == "small":
            again = [Small(Offer(label=f"s/{n}"), data) for n, data in enumerate(SMALLS)]
            assert [getattr(each, "name", each) for each in await store.put_many(again, now=3)] == [
                f"s/{n}" for n in range(5)
            ]
        else:
            await carry_on(store, said, replace=how == "replace")
            assert has_data(folder / mine)
        assert len(await store.list()) == {"upload": 2, "replace": 1, "small": 6}[how]
        assert list(await store.check()) == []
        assert list(await store.transfers()) == []
        assert list((folder / ".anyplug" / "staging").iterdir()) == []
    finally:
        await store.close()
    return names


async def carry_on(store: FolderFiles, said: list[str], *, replace: bool) -> None:
    """The same upload again: what was written is not asked for."""
    ids = [line.split()[1] for line in said if line.startswith("id ")]
    known = {each.id for each in await store.transfers()}
    if ids and await store.finished(ids[0]) is not None:
        assert not known
        return
    if not any(line.startswith("error") for line in said):
        assert set(ids) <= known
    wrote = {int(line.split()[1]) for line in said if line.startswith("wrote ")}
    synced = {0, 2} if "synced" in said else set()
    for each in known - set(ids):
        await (await store.resume(each)).abandon()
    if known & set(ids):
        lease = await store.resume(ids[0])
    else:
        lease = await store.begin(Offer(label="d/photo.jpg", size=len(DATA), replace=replace), now=1)
        wrote = synced = set()
    missing = {index for first, end in lease.missing() for index in range(first, end)}
    failed = any(line.startswith("error") for line in said)
    assert not missing & (synced if failed else wrote)
    for index in missing:
        await lease.write(index, DATA[index * CHUNK : (index + 1) * CHUNK])
    await lease.finish(now=3)


UPLOAD = ["pwritev2", "pwrite64 index", "fdatasync", "fdatasync index", "fsync", "linkat", "unlinkat"]
WALK = [
    *(("upload", call) for call in UPLOAD),
    *(("replace", call) for call in ("renameat", "renameat2", "fsync", "pwrite64 index", "unlinkat")),
    *(("small", call) for call in ("syncfs", "linkat", "fsync")),
    *(("delete", call) for call in ("unlinkat", "fsync")),
]
STEP = 3


def strides(walk: Sequence[tuple[str, str]]) -> list[tuple[str, str, int]]:
    """The long walks in parts: calls number 1, 4, 7..., then 2, 5, 8..., then 3, 6, 9..."""
    return [(how, call, first) for how, call in walk for first in (range(1, 1 + STEP) if "index" in call else (0,))]


ABSENT = {"renameat", "renameat2"}
"""One of them is what this system's library calls."""


@pytest.mark.parametrize(("how", "call", "first"), strides(WALK))
async def test_a_kill_at_any_call_loses_nothing(
    filled: Path, folder: Path, program: Callable[[str], str], how: str, call: str, first: int
) -> None:
    number, numbers, status = 0, count(first or 1, STEP if first else 1), -1
    while status != 0:
        number = next(numbers)
        copy = folder / "copy"
        shutil.copytree(filled, copy)
        status, said = run(copy, how, *injected(program, copy, call, f"signal=KILL:when={number}"))
        await judge(copy, how, said)
        shutil.rmtree(copy)
    assert number > max(first, 1) or call in ABSENT


BROKEN = [
    *(
        ("upload", call)
        for call in ("pwritev2", "fdatasync", "fsync", "linkat", "pwrite64 index", "unlinkat", "ftruncate")
    ),
    *(("replace", call) for call in ("renameat", "fsync")),
    *(("small", call) for call in ("syncfs", "linkat", "pwritev2")),
    *(("delete", call) for call in ("unlinkat", "fsync")),
]


@pytest.mark.parametrize(("how", "call", "first"), strides(BROKEN))
async def test_an_error_of_the_disk_at_any_call_stops_the_store(
    filled: Path, folder: Path, program: Callable[[str], str], how: str, call: str, first: int
) -> None:
    """Failing once: no acknowledgement after it, not even where the next call would succeed."""
    number, numbers, errors = 0, count(first or 1, STEP if first else 1), [""]
    while errors:
        number = next(numbers)
        copy = folder / "copy"
        shutil.copytree(filled, copy)
        _, said = run(copy, how, *injected(program, copy, call, f"error=EIO:when={number}"))
        errors = [line for line in said if line.startswith("error")]
        assert all(line.split()[1] in {"StoreFailed", "StoreError"} for line in errors), said
        if errors and "open" in said:
            assert not any(line.startswith("ok") for line in said[said.index(errors[0]) :]), said
            assert said[-1] == "closed failed" or "closing" in errors[0], said
        elif not errors:
            assert said[-1] == "closed closed"
            assert any(line.startswith("ok") for line in said)
        await judge(copy, how, said)
        shutil.rmtree(copy)
    assert number > max(first, 1)


FULL = [
    *(("upload", call) for call in ("pwritev2", "pwrite64 index", "linkat", "mkdirat", "openat")),
    *(("small", call) for call in ("pwritev2", "linkat", "mkdirat", "openat")),
    ("delete", "pwrite64 index"),
]


@pytest.mark.parametrize(("how", "call", "first"), strides(FULL))
async def test_no_room_at_any_call_refuses_and_goes_on_when_there_is_room(
    filled: Path, folder: Path, program: Callable[[str], str], how: str, call: str, first: int
) -> None:
    number, numbers, hit = 0, count(first or 1, STEP if first else 1), True
    while hit:
        number = next(numbers)
        copy = folder / "copy"
        shutil.copytree(filled, copy)
        _, said = run(copy, how, *injected(program, copy, call, f"error=ENOSPC:when={number}"))
        hit = any(line.startswith(("full", "error")) for line in said)
        if "open" in said:
            assert not any(line.startswith("error") for line in said if "small" not in how), said
            assert any(line.startswith("ok") for line in said), said
            assert said[-1] == "closed closed"
        await judge(copy, how, said)
        shutil.rmtree(copy)
    assert number > max(first, 1) or call == "mkdirat"


def killed(folder: Path, after: int) -> tuple[int, list[str]]:
    """Kill a worker when it has said so often that it wrote something; its status, and all that it said."""
    lines: list[str] = []
    command = [sys.executable, "-m", "tests.store.files_worker", str(folder), "many"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=uncovered()) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if sum(each.startswith("wrote") for each in lines) >= after:
                process.kill()
    return process.returncode, lines


async def test_what_was_written_before_a_kill_at_any_moment_is_never_asked_for(folder: Path) -> None:
    """Eight uploads at once, killed again and again; each run carries on where the one before was."""
    wrote, status = set[str](), -1
    for after in (1, 7, 9, 5, 10_000):
        status, lines = killed(folder / "store", after)
        again = {line for line in lines if line.startswith("wrote")}
        assert not again & wrote
        wrote |= again
    assert len(wrote) <= 8 * 4
    assert status == 0
    store = await FolderFiles.open(folder / "store", limits=LIMITS, reserve=0)
    assert {file.name: file.size for file in await store.list()} == {f"m{n}": len(many(n)) for n in range(8)}
    assert list(await store.check()) == []
    assert all((folder / "store" / f"m{n}").read_bytes() == many(n) for n in range(8))
    await store.close()

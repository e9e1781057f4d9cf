"""How the files of a folder are put together, and what becomes of those that change while they are."""

from __future__ import annotations

import asyncio
import os
import stat
from typing import TYPE_CHECKING, Any

import pytest

from anyplug.errors import Code, Refused
from anyplug.file_errors import SourceError
from anyplug.files import Files
from anyplug.schemas.files import PUT_BYTES, PUT_MANY, SMALL_MAX, Failure, File, Put, Puts
from anyplug.transfers.progress import silent
from anyplug.transfers.tree import BATCH_BYTES, TASKS, put_tree, walk
from anyplug.transfers.tree import _entry as entry_of
from tests.services.filing import file_server

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from anyplug.transfers.tree import Sent


class Service:
    """Takes all files, and remembers how they came."""

    def __init__(self, *, before_reading: Callable[[], None] = lambda: None) -> None:
        self.batches: list[list[str]] = []
        self.sizes: list[int] = []
        self.alone: list[str] = []
        self.waiting = 0
        self.cancelled = 0
        self.gate: asyncio.Event | None = None
        self._before_reading = before_reading

    async def ask(self, kind: type[Any], request: Any) -> Any:
        assert kind is Puts
        assert isinstance(request, Put)
        self.batches.append([each.name for each in request.files])
        self.sizes.append(sum(len(each.data) for each in request.files))
        return Puts(results=[File(name=each.name, size=0, digest=b"", stored=1) for each in request.files])

    async def put_path(self, path: Path, name: str, *, replace: bool, progress: Any, follow: bool) -> File:
        assert not follow
        self.alone.append(name)
        if self.gate is not None:
            self.waiting += 1
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        return File(name=name, size=path.stat().st_size, digest=b"", stored=1)  # noqa: ASYNC240

    def do(self, call: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
        if call.__name__ == "_read":
            self._before_reading()
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        future.set_result(call(*arguments))
        return future


async def put(service: Service, root: Path) -> list[Sent]:
    return [each async for each in put_tree(service, root, "t", replace=False, progress=silent)]


def fill(root: Path, sizes: dict[str, int]) -> Path:
    root.mkdir()
    for name, size in sizes.items():
        (root / name).write_bytes(bytes(size))
    return root


async def test_small_files_travel_together_up_to_a_number_and_a_size(tmp_path: Path) -> None:
    many = fill(tmp_path / "many", {f"{number:04}": 1 for number in range(PUT_MANY + 1)})
    service = Service()
    await put(service, many)
    assert list(map(len, service.batches)) == [PUT_MANY, 1]
    half = BATCH_BYTES // 4
    wide = fill(tmp_path / "wide", {"a": half, "b": half, "c": half, "d": half, "e": 1})
    service = Service()
    await put(service, wide)
    assert service.batches == [["t/a", "t/b", "t/c", "t/d"], ["t/e"]]
    assert service.alone == []


async def test_a_question_stays_below_what_is_decoded_without_a_look(tmp_path: Path) -> None:
    """With their names, too: a body of more than a million bytes is scanned before it is decoded."""
    sizes = {f"{number:04}" + "x" * 100: 10 * 1024 for number in range(100)}
    bodies: list[int] = []
    async with file_server() as (_, address), Files(address, notes=None) as files:
        ask = files.ask

        class Watched(Service):
            async def ask(self, kind: type[Any], request: Any) -> Any:
                answer = await ask(kind, request)
                bodies.append(sum(len(each.data) + len(each.name) + 64 for each in request.files))
                return answer

        sent = await put(Watched(), fill(tmp_path / "tree", sizes))
    assert all(each.file is not None for each in sent)
    assert len(bodies) == 2
    assert max(bodies) < 1_000_000


async def test_a_file_that_has_grown_travels_alone(tmp_path: Path) -> None:
    root = fill(tmp_path / "tree", {"a": 1, "b": 1, "c": 1})
    service = Service(before_reading=lambda: os.truncate(root / "b", SMALL_MAX + 1))
    sent = await put(service, root)
    assert service.batches == [["t/a", "t/c"]]
    assert service.alone == ["t/b"]
    assert [each.name for each in sent] == ["t/a", "t/b", "t/c"]
    assert sent[1].file is not None
    assert sent[1].file.size == SMALL_MAX + 1


async def test_files_that_have_all_grown_do_not_overrun_a_question(tmp_path: Path) -> None:
    names = [f"{number:02}" for number in range(10)]
    root = fill(tmp_path / "tree", dict.fromkeys(names, 1))

    def grow() -> None:
        for name in names:
            os.truncate(root / name, SMALL_MAX)

    service = Service(before_reading=grow)
    sent = await put(service, root)
    assert service.sizes == [PUT_BYTES]
    assert service.alone == [f"t/{name}" for name in names[PUT_BYTES // SMALL_MAX :]]
    assert all(each.file is not None for each in sent)


async def test_nothing_is_asked_where_every_file_has_gone(tmp_path: Path) -> None:
    root = fill(tmp_path / "tree", {"a": 1})
    service = Service(before_reading=(root / "a").unlink)
    (sent,) = await put(service, root)
    assert isinstance(sent.error, SourceError)
    assert "no such file" in str(sent.error)
    assert service.batches == []


async def test_a_small_file_that_is_refused_is_told_beside_the_others(tmp_path: Path) -> None:
    root = fill(tmp_path / "tree", {"a": 20, "b": 5})
    async with file_server(file=10) as (_, address), Files(address, notes=None) as files:
        sent = {each.name: each async for each in files.put_tree(root)}
    error = sent["tree/a"].error
    assert isinstance(error, Refused)
    assert error.code is Code.TOO_LARGE
    assert sent["tree/b"].file is not None


def test_a_refusal_with_a_code_that_is_not_known_is_a_failure() -> None:
    assert Failure(code=60_000, text="later").error.code is Code.FAILED


async def test_large_files_are_told_as_they_are_done_with(tmp_path: Path) -> None:
    names = [f"{number:02}" for number in range(TASKS + 2)]
    root = fill(tmp_path / "tree", dict.fromkeys(names, SMALL_MAX + 1))
    service = Service()
    tree = put_tree(service, root, "t", replace=False, progress=silent)
    first = await anext(tree)
    assert len(service.alone) == TASKS
    sent = [first, *[each async for each in tree]]
    assert sorted(each.name for each in sent) == [f"t/{name}" for name in names]
    assert service.batches == []


async def test_what_is_under_way_is_cancelled_when_nobody_wants_the_rest(tmp_path: Path) -> None:
    root = fill(tmp_path / "tree", {"a": SMALL_MAX + 1, "b": SMALL_MAX + 1})
    (root / "c").symlink_to("a")
    service = Service()
    service.gate = asyncio.Event()
    tree = put_tree(service, root, "t", replace=False, progress=silent)
    assert (await anext(tree)).skipped
    while service.waiting < 2:
        await asyncio.sleep(0)
    await tree.aclose()
    assert service.cancelled == 2


def test_an_entry_that_goes_away_meanwhile_is_told(tmp_path: Path) -> None:
    root = fill(tmp_path / "tree", {"a": 1, "b": 1, "c": 1})
    found = walk(root, "t")
    assert next(found).error is None
    (root / "b").unlink()
    gone = next(found)
    assert (gone.name, gone.path) == ("t/b", root / "b")
    assert isinstance(gone.error, SourceError)
    assert next(found).error is None
    assert next(found, None) is None


class Entry:
    """A folder when it was looked at, and gone when it is entered."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def stat(self, *, follow_symlinks: bool) -> os.stat_result:
        assert not follow_symlinks
        return os.stat_result((stat.S_IFDIR | 0o755, *[0] * 9))


def test_a_folder_that_cannot_be_entered_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    entry: Any = Entry(tmp_path / "none")
    (found,) = entry_of(entry, "t/none")
    assert isinstance(found.error, SourceError)
    assert found.name == "t/none"


@pytest.mark.parametrize("name", ["ä", "\udcff"])
def test_names_of_any_bytes_have_a_label(tmp_path: Path, name: str) -> None:
    (found,) = walk(fill(tmp_path / "tree", {name: 1}), "t")
    assert found.name == ("t/ä" if name == "ä" else "t/\ufffd")

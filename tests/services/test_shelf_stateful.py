"""A shelf, its clients and its watchers against a dictionary and a list, with restarts and broken connections."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import anyplug
from anyplug import Changed
from anyplug.schemas.shelf import Found, News, Stale, Written
from anyplug.schemas.shelving import Watching, Writing
from anyplug.store import MemoryStore, SqliteStore
from tests.loops import GuardedLoop
from tests.services.shelves import PLUG, shelf_server
from tests.store.conftest import MEMORY

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")

HISTORY = 3
KEYS = st.sampled_from(["x", "y", "x/z"])
SETS = st.frozensets(st.booleans())
VALUES = st.none() | st.integers() | st.text(max_size=3) | st.tuples(st.binary(max_size=3), SETS)
EXPECTED = st.none() | st.integers(0, 9) | st.just("right")


class Machine(RuleBasedStateMachine):
    """`changes` is all that ever happened: the change of version N is the Nth."""

    on_disk = True

    def __init__(self) -> None:
        super().__init__()
        self.loop = GuardedLoop()
        self.folder = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
        self.changes: list[tuple[str, Any, bool]] = []
        self.watching = Watching("", 0)
        self.delivered: set[int] = set()
        self.writing = Writing(b"12345678", anyplug.Limits())
        self.at = PLUG

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        done: T = self.loop.run_until_complete(asyncio.wait_for(work, 20))
        return done

    @initialize()
    def begin(self) -> None:
        self.do(self.start())

    async def start(self) -> None:
        self.store = await SqliteStore.open(self.folder, reserve=0, history=HISTORY) if self.on_disk else self.memory()
        self.context = shelf_server(self.store, at=self.at)
        server, self.address = await self.context.__aenter__()
        self.at = server.addresses[0]
        if not hasattr(self, "shelf"):
            self.shelf = await anyplug.Shelf(self.address)
        self.peer: Any = await anyplug.connect(self.address, type=Written | Stale | Found | News)

    def memory(self) -> Any:
        return MemoryStore(history=HISTORY)

    async def stop(self) -> None:
        await self.peer.close()
        if self.shelf._peer is not None:
            await self.shelf._drop(self.shelf._peer)
        await self.context.__aexit__(None, None, None)
        await self.store.close()

    # The model.

    def versions(self, key: str) -> list[int]:
        return [n for n, (each, _, _) in enumerate(self.changes, 1) if each == key]

    def head(self, key: str) -> int:
        versions = self.versions(key)
        return versions[-1] if versions and not self.changes[versions[-1] - 1][2] else 0

    def is_kept(self, version: int) -> bool:
        return version in self.versions(self.changes[version - 1][0])[-HISTORY:]

    # What happens.

    @rule(key=KEYS, value=VALUES, expected=EXPECTED)
    def put(self, key: str, value: Any, expected: Any) -> None:
        head = self.head(key)
        expected = head if expected == "right" else expected
        if expected is not None and expected != head:
            with pytest.raises(Changed) as caught:
                self.do(self.shelf.put(key, value, expected=expected))
            assert (caught.value.found, caught.value.expected) == (head, expected)
        else:
            self.changes.append((key, value, False))
            assert self.do(self.shelf.put(key, value, expected=expected)) == len(self.changes)

    @rule(key=KEYS, right=st.booleans())
    def delete(self, key: str, right: bool) -> None:
        head = self.head(key)
        if head:
            self.changes.append((key, None, True))
        version = self.do(self.shelf.delete(key, expected=head if right else None))
        assert version == (len(self.changes) if head else 0)

    @rule(key=KEYS)
    def update(self, key: str) -> None:
        before = self.changes[self.head(key) - 1][1] if self.head(key) else "none"
        after = self.do(self.shelf.update_with(key, lambda value: (value,), default="none"))
        assert after == (before,)
        self.changes.append((key, (before,), False))

    @rule(key=KEYS, value=VALUES, between=st.integers(0, HISTORY - 1))
    def write_twice_with_a_token(self, key: str, value: Any, between: int) -> None:
        """The second time nothing is written, whatever was written in between."""
        question = self.writing.put(key, value, None)
        self.changes.append((key, value, False))
        version = len(self.changes)
        assert self.do(self.peer.ask(question)).version == version
        self.write_often(key, between)
        assert self.do(self.peer.ask(question)).version == version

    def write_often(self, key: str, times: int) -> None:
        for _ in range(times):
            self.changes.append((key, "often", False))
            assert self.do(self.shelf.put(key, "often")) == len(self.changes)

    @rule(key=KEYS, times=st.integers(0, HISTORY + 2))
    def watch(self, key: str, times: int) -> None:
        """All that is new comes in order, without what the history has dropped, which is told."""
        self.write_often(key, times)
        start = self.watching.version
        answer = self.do(self.peer.ask(self.watching.more(wait=0)))
        found = self.watching.taken(answer)
        assert start is not None
        wanted = [n for n in range(start + 1, len(self.changes) + 1) if self.is_kept(n)]
        assert [(entry.version, entry.key, entry.value, entry.deleted) for entry in found] == [
            (n, *self.changes[n - 1]) for n in wanted
        ]
        assert self.watching.version == len(self.changes)
        for entry in found:
            before = [n for n in self.versions(entry.key) if n < entry.version]
            assert entry.missed == bool(before and before[-1] not in self.delivered)
            self.delivered.add(entry.version)

    @precondition(lambda self: self.on_disk)
    @rule()
    def restart(self) -> None:
        self.do(self.stop())
        self.do(self.start())

    @rule()
    def cut_the_connection(self) -> None:
        if self.shelf._peer is not None:
            self.shelf._peer.abort()

    # What is so.

    @invariant()
    def all_is_as_it_should_be(self) -> None:
        if not hasattr(self, "shelf"):
            return
        heads = {key: n for key in ("x", "x/z", "y") if (n := self.head(key))}
        listed = self.do(self.listed())
        assert [(entry.key, entry.version, entry.value) for entry in listed] == [
            (key, n, self.changes[n - 1][1]) for key, n in heads.items()
        ]
        assert self.do(self.shelf.version()) == len(self.changes)
        for key in ("x", "y"):
            entry = self.do(self.shelf.entry(key))
            assert (entry.version if entry else 0) == self.head(key)
            history = self.do(self.shelf.history(key))
            assert [each.version for each in history] == self.versions(key)[: -HISTORY - 1 : -1]

    async def listed(self) -> list[Any]:
        return [entry async for entry in self.shelf.listed()]

    def teardown(self) -> None:
        if hasattr(self, "shelf"):
            self.do(self.stop())
            self.do(self.shelf.close())
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()
        shutil.rmtree(self.folder)


class MemoryMachine(Machine):
    """The same without a disk, and without restarts."""

    on_disk = False


@pytest.mark.timeout(60)
class TestOnDisk(Machine.TestCase):  # type: ignore[misc,valid-type]
    """Run by pytest."""

    settings = settings(max_examples=15, stateful_step_count=15, deadline=None)


@pytest.mark.timeout(60)
class TestInMemory(MemoryMachine.TestCase):  # type: ignore[misc,valid-type]
    """Run by pytest."""

    settings = settings(max_examples=15, stateful_step_count=15, deadline=None)

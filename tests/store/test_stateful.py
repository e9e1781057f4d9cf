"""Any order of calls, closing and opening between them, against a model of lists and dicts."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from anyplug.errors import AnyplugError, BeyondEnd, Changed, Conflict, Gap
from anyplug.store import Entry, Producer, Retention, SqliteStore
from tests.store.conftest import MEMORY

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")
TOPICS = st.sampled_from(["a", "b"])
KEYS = st.sampled_from(["x", "y", "x/z"])
BODIES = st.lists(st.binary(max_size=8), max_size=4)
PRODUCERS = st.sampled_from([b"p", b"q"])


class Machine(RuleBasedStateMachine):
    """A store on disk, and what it should hold."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="anyplug-", dir=MEMORY if MEMORY.is_dir() else None))
        self.loop = asyncio.new_event_loop()
        self.opened = 0
        self.store = self.do(SqliteStore.open(self.folder / "0", reserve=0, history=3))
        self.topics: dict[str, list[bytes | None]] = {"a": [], "b": []}
        self.sequences: dict[bytes, list[tuple[str, bytes, int]]] = {b"p": [], b"q": []}
        self.cursors: dict[str, int] = {}
        self.changes: list[tuple[str, bytes | None]] = []

    def do(self, call: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(call)

    def raised(self, call: Coroutine[Any, Any, T]) -> T | type[AnyplugError]:
        try:
            return self.do(call)
        except AnyplugError as error:
            return type(error)

    def teardown(self) -> None:
        self.do(self.store.close())
        self.loop.close()
        shutil.rmtree(self.folder)

    @rule(topic=TOPICS, bodies=BODIES)
    def append(self, topic: str, bodies: list[bytes]) -> None:
        kept = self.topics[topic]
        receipt = self.do(self.store.log.append(topic, [Entry(body, 0) for body in bodies]))
        assert list(receipt.positions) == list(range(len(kept) + 1, len(kept) + len(bodies) + 1))
        kept += bodies

    @rule(topic=TOPICS, bodies=BODIES, producer=PRODUCERS, back=st.integers(-2, 3), again=st.booleans())
    def produce(self, topic: str, bodies: list[bytes], producer: bytes, back: int, again: bool) -> None:
        taken = self.sequences[producer]
        first = max(1, len(taken) + 1 - back)
        if again:
            bodies = [body for where, body, _ in taken[first - 1 :]] + bodies
        call = self.store.log.append(topic, [Entry(each, 0) for each in bodies], producer=Producer(producer, first))
        result = self.raised(call)
        before = taken[first - 1 : first - 1 + len(bodies)]
        if first > len(taken) + 1:
            assert result is Gap
        elif any(each[:2] != (topic, body) for each, body in zip(before, bodies, strict=False)):
            assert result is Conflict
        else:
            assert not isinstance(result, type)
            fresh = bodies[len(before) :]
            start = len(self.topics[topic]) + 1
            positions = [each[2] for each in before] + list(range(start, start + len(fresh)))
            assert list(result.positions) == positions
            assert result.duplicates == len(before)
            self.topics[topic] += fresh
            taken += [(topic, body, start + n) for n, body in enumerate(fresh)]

    @rule(topic=TOPICS, count=st.integers(0, 5))
    def trim(self, topic: str, count: int) -> None:
        kept = self.topics[topic]
        span = self.do(self.store.log.trim(topic, Retention(count=count), now=0))
        gone = max(0, len(kept) - count)
        kept[:gone] = [None] * gone
        assert span.count == sum(body is not None for body in kept)

    @rule(topic=TOPICS, position=st.integers(0, 12))
    def acknowledge(self, topic: str, position: int) -> None:
        result = self.raised(self.store.log.acknowledge(topic, "r", position))
        if position > len(self.topics[topic]):
            assert result is BeyondEnd
        else:
            self.cursors[topic] = max(self.cursors.get(topic, 0), position)

    @rule(key=KEYS, body=st.binary(max_size=4), expected=st.none() | st.integers(0, 9))
    def put(self, key: str, body: bytes, expected: int | None) -> None:
        head = self.head(key)
        result = self.raised(self.store.shelf.put(key, body, time=0, expected=expected))
        if expected is not None and expected != head:
            assert result is Changed
        else:
            self.changes.append((key, body))
            assert result == len(self.changes)

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        head = self.head(key)
        result = self.do(self.store.shelf.delete(key, time=0))
        if head:
            self.changes.append((key, None))
        assert result == (len(self.changes) if head else 0)

    def head(self, key: str) -> int:
        versions = [n for n, (each, _) in enumerate(self.changes, 1) if each == key]
        return versions[-1] if versions and self.changes[versions[-1] - 1][1] is not None else 0

    @rule()
    def reopen(self) -> None:
        self.do(self.store.close())
        self.store = self.do(SqliteStore.open(self.folder / str(self.opened), reserve=0, history=3))

    @precondition(lambda self: self.opened < 5)
    @rule()
    def crash(self) -> None:
        """What is on disk now goes on; the store it belonged to is no more."""
        old = self.folder / str(self.opened)
        self.opened += 1
        shutil.copytree(old, self.folder / str(self.opened))
        self.do(self.store.close())
        self.store = self.do(SqliteStore.open(self.folder / str(self.opened), reserve=0, history=3))

    @invariant()
    def the_log_is_as_it_should_be(self) -> None:
        for topic, kept in self.topics.items():
            batch = self.do(self.store.log.read(topic, 1))
            left = {n: body for n, body in enumerate(kept, 1) if body is not None}
            assert {message.position: message.body for message in batch.messages} == left
            assert batch.span.last == len(kept)
            assert self.do(self.store.log.cursor(topic, "r")).acknowledged == self.cursors.get(topic, 0)

    @invariant()
    def the_shelf_is_as_it_should_be(self) -> None:
        heads = {key: n for key in ("x", "y", "x/z") if (n := self.head(key))}
        values = self.do(self.store.shelf.list())
        assert {value.key: (value.version, value.body) for value in values} == {
            key: (n, self.changes[n - 1][1]) for key, n in heads.items()
        }
        assert self.do(self.store.shelf.version()) == len(self.changes)


@pytest.mark.timeout(60)
class TestMachine(Machine.TestCase):  # type: ignore[misc,valid-type]
    """Run by pytest."""

    settings = settings(max_examples=15, stateful_step_count=25, deadline=None)

"""Message logs and shelves that break one promise each. A crash leaves what they call their disk."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from anyplug.errors import BeyondEnd, Conflict, Gap, LocalError
from anyplug.store import Batch, Cursor, Entry, MemoryLog, MemoryShelf, Receipt, Span
from anyplug.store.base import READ_BYTES, READ_MANY
from anyplug.store.followers import Followers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

    from anyplug.store import Message, Producer, Retention, Value


class HonestLog(MemoryLog):
    """All that it knows is on its disk at once."""

    def __init__(self, state: dict[str, Any] | None = None) -> None:
        super().__init__()
        for name, value in copy.deepcopy(state or {}).items():
            setattr(self, name, value)
        self._followers = Followers({name: topic.span.last for name, topic in self._topics.items()})

    def disk(self) -> dict[str, Any]:
        """What a crash leaves."""
        return {"_topics": self._topics, "_marks": self._marks, "_cursors": self._cursors}

    async def crash(self) -> Self:
        """What is left, opened anew."""
        return type(self)(self.disk())


class AcknowledgesBeforeItCommits(HonestLog):
    """The last append is not on its disk."""

    _before: dict[str, Any] | None = None

    async def append(self, topic: str, entries: Sequence[Entry], *, producer: Producer | None = None) -> Receipt:
        self._before = copy.deepcopy(super().disk())
        return await super().append(topic, entries, producer=producer)

    def disk(self) -> dict[str, Any]:
        before = self._before or super().disk()
        return {**before, "_cursors": self._cursors}


class ForgetsTheWatermark(HonestLog):
    """Producers are known in memory alone."""

    def disk(self) -> dict[str, Any]:
        return {**super().disk(), "_marks": {}}


class ForgetsCursors(HonestLog):
    """Readers are known in memory alone."""

    def disk(self) -> dict[str, Any]:
        return {**super().disk(), "_cursors": {}}


class ReusesPositions(HonestLog):
    """A topic that was emptied begins anew after a restart."""

    def disk(self) -> dict[str, Any]:
        kept = super().disk()
        return {**kept, "_topics": {name: topic for name, topic in kept["_topics"].items() if topic.messages}}


class CountsOverTopics(HonestLog):
    """One counter for all topics."""

    _given = 0

    async def append(self, topic: str, entries: Sequence[Entry], *, producer: Producer | None = None) -> Receipt:
        receipt = await super().append(topic, entries, producer=producer)
        self._given += len(entries)
        return Receipt(range(self._given - len(entries) + 1, self._given + 1), receipt.duplicates)


class LosesOrder(HonestLog):
    """A batch is stored from its end."""

    async def append(self, topic: str, entries: Sequence[Entry], *, producer: Producer | None = None) -> Receipt:
        return await super().append(topic, list(reversed(entries)), producer=producer)


class TakesTwice(HonestLog):
    """Producers mean nothing to it."""

    async def append(self, topic: str, entries: Sequence[Entry], *, producer: Producer | None = None) -> Receipt:
        return await super().append(topic, entries)


class TakesTwiceFromWhoDoesNotWait(HonestLog):
    """Producers that do not wait mean nothing to it."""

    def append_soon(self, topic: str, entries: Sequence[Entry], done: Callable[..., None], **_: object) -> None:
        super().append_soon(topic, entries, done)


class TellsTwice(HonestLog):
    """Who does not wait is told again."""

    def append_soon(self, topic: str, entries: Sequence[Entry], done: Callable[..., None], **options: Any) -> None:
        super().append_soon(topic, entries, done, **options)
        done(Receipt([1]))


class TakesGaps(HonestLog):
    """What skips some is stored."""

    async def append(self, topic: str, entries: Sequence[Entry], *, producer: Producer | None = None) -> Receipt:
        try:
            return await super().append(topic, entries, producer=producer)
        except Gap:
            return await super().append(topic, entries)


class TakesConflictsForDuplicates(HonestLog):
    """A sequence is enough for it."""

    async def append(self, topic: str, entries: Sequence[Entry], *, producer: Producer | None = None) -> Receipt:
        try:
            return await super().append(topic, entries, producer=producer)
        except Conflict:
            return Receipt([0] * len(entries), len(entries))


class StoresHalfOfWhatItRefuses(HonestLog):
    """A refusal leaves a topic behind."""

    async def append(self, topic: str, entries: Sequence[Entry], *, producer: Producer | None = None) -> Receipt:
        try:
            return await super().append(topic, entries, producer=producer)
        except Gap:
            await super().append(topic, [])
            await super().append(topic, entries[:1])
            raise


class ForgetsSenders(HonestLog):
    """Names are not kept."""

    async def append(self, topic: str, entries: Sequence[Entry], *, producer: Producer | None = None) -> Receipt:
        bare = [Entry(each.body, each.received, each.content_type, each.sender) for each in entries]
        return await super().append(topic, bare, producer=producer)


class ReadsWithGaps(HonestLog):
    """Empty messages are left out."""

    async def read(self, topic: str, start: int, *, limit: int = READ_MANY, most: int = READ_BYTES) -> Batch:
        batch = await super().read(topic, start, limit=limit, most=most)
        messages: list[Message] = [each for each in batch.messages if each.body]
        return Batch(messages, batch.span, batch.missed)


class ReadsTheFuture(HonestLog):
    """What is not there yet is read as nothing."""

    async def read(self, topic: str, start: int, *, limit: int = READ_MANY, most: int = READ_BYTES) -> Batch:
        try:
            return await super().read(topic, start, limit=limit, most=most)
        except BeyondEnd:
            return Batch([], await self.span(topic))


class HidesWhatIsMissed(HonestLog):
    """A read of what is gone begins later without a word."""

    async def read(self, topic: str, start: int, *, limit: int = READ_MANY, most: int = READ_BYTES) -> Batch:
        batch = await super().read(topic, start, limit=limit, most=most)
        return Batch(batch.messages, batch.span)


class TrimsOneTooMany(HonestLog):
    """One more than it should is gone."""

    async def trim(self, topic: str, retention: Retention, *, now: int) -> Span:
        span = await super().trim(topic, retention, now=now)
        if span.count and span.first > 1:
            self._topics[topic].drop()
        return await self.span(topic)


class MovesCursorsBack(HonestLog):
    """The last word counts."""

    async def acknowledge(self, topic: str, reader: str, position: int) -> Cursor:
        await super().acknowledge(topic, reader, position)
        self._cursors[topic, reader] = Cursor(position, self._cursors[topic, reader].delivered)
        return self._cursors[topic, reader]


class TakesCursorsFromTheFuture(HonestLog):
    """Any position will do."""

    async def acknowledge(self, topic: str, reader: str, position: int) -> Cursor:
        try:
            return await super().acknowledge(topic, reader, position)
        except BeyondEnd:
            return Cursor(position, position)


class NeverWakes(HonestLog):
    """Who waits, waits."""

    async def append(self, topic: str, entries: Sequence[Entry], *, producer: Producer | None = None) -> Receipt:
        self._followers = Followers({})
        return await super().append(topic, entries, producer=producer)


class TakesAnyLabel(HonestLog):
    """An empty name is a name."""

    async def append(self, topic: str, entries: Sequence[Entry], *, producer: Producer | None = None) -> Receipt:
        try:
            return await super().append(topic, entries, producer=producer)
        except LocalError:
            return await super().append(topic or "-", entries, producer=producer)


class GoesOnAfterItsEnd(HonestLog):
    """Closing means nothing."""

    async def close(self) -> None:
        pass

    async def wait(self, topic: str, after: int) -> int:
        return after + 1 if topic == "never" else await super().wait(topic, after)


class HonestShelf(MemoryShelf):
    """All that it knows is on its disk at once."""

    def __init__(self, state: dict[str, Any] | None = None) -> None:
        super().__init__()
        for name, value in copy.deepcopy(state or {}).items():
            setattr(self, name, value)

    def disk(self) -> dict[str, Any]:
        """What a crash leaves."""
        return {"_values": self._values, "_version": self._version}

    async def crash(self) -> Self:
        """What is left, opened anew."""
        return type(self)(self.disk())


class SetsWithoutComparing(HonestShelf):
    """The last one wins."""

    async def put(
        self,
        key: str,
        body: bytes,
        *,
        time: int,
        content_type: str = "",
        expected: int | None = None,
        token: bytes = b"",
    ) -> int:
        return await super().put(key, body, time=time, content_type=content_type, token=token)


class WritesAgain(HonestShelf):
    """Tokens are kept, and not looked at."""

    def _write(self, value: Value, expected: int | None) -> int:
        version = super()._write(replace(value, token=b""), expected)
        if version:
            changes = self._values[value.key]
            changes[-1] = replace(changes[-1], token=value.token)
        return version


class ReadsAll(HonestShelf):
    """However many bytes that are."""

    async def list(
        self, prefix: str = "", *, after: str = "", limit: int = READ_MANY, most: int = READ_BYTES
    ) -> Sequence[Value]:
        return await super().list(prefix, after=after, limit=limit)


class KnowsNothingBefore(HonestShelf):
    """Each change seems to be the first of its key."""

    def _write(self, value: Value, expected: int | None) -> int:
        version = super()._write(value, expected)
        if version:
            changes = self._values[value.key]
            changes[-1] = replace(changes[-1], previous=0)
        return version


class CountsVersionsAnew(HonestShelf):
    """The counter is in memory alone."""

    def disk(self) -> dict[str, Any]:
        return {**super().disk(), "_version": 0}


class RaisesTheDead(HonestShelf):
    """Deletions are in memory alone."""

    def disk(self) -> dict[str, Any]:
        kept = super().disk()
        alive = {key: [each for each in values if not each.deleted] for key, values in kept["_values"].items()}
        return {**kept, "_values": alive}


class KeepsNoHistory(HonestShelf):
    """Only the newest is kept."""

    def __init__(self, state: dict[str, Any] | None = None) -> None:
        super().__init__(state)
        self._most = 1

"""``shelf``: named values, shared and watchable.

Over plug it answers the questions of `anyplug.schemas.shelf`; bodies are bytes to it. To plain clients it says one
object when they come, and keeps those that they send (`anyplug.services.shelf_plain`).
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from anyplug.address import SERVICE_NAME
from anyplug.codec import make_codec
from anyplug.errors import Changed, Code, LocalError, Refused
from anyplug.limits import DEFAULTS
from anyplug.schemas.shelf import (
    WAIT_MAX,
    Answer,
    Changes,
    Delete,
    Entry,
    Found,
    Get,
    History,
    List,
    News,
    Put,
    Request,
    Stale,
    Written,
)
from anyplug.services.base import Service, visited
from anyplug.services.facilities import Facilities
from anyplug.services.shelf_feed import Feed
from anyplug.services.shelf_plain import PlainVisit, largest_value, literal
from anyplug.services.visits import Guest, Visit
from anyplug.store import MemoryShelf
from anyplug.store.base import LABEL_MAX, READ_BYTES, READ_MANY, check_label

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from anyplug.codec import Codec
    from anyplug.store import Shelf, Value

__all__ = ["ShelfOptions", "make_shelf"]

T = TypeVar("T")

KEY_MAX: Final = LABEL_MAX - 65
"""The longest key of the configuration, bytes: the longest name of a shelf stands before it, and a slash."""

POLLS: Final = 8
"""Questions of one connection that wait for a change at once: half of what it may ask at once."""

SMALL: Final = 4096
"""Bytes of a question that is worth a look whether it can be answered at once: keys, and no body."""

CODECS: Final = ("msgpack", "json")
"""What questions can be written in."""


class ShelfOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What can be set."""

    space: str = ""
    """What the shelf is called in the store; by default as the service. Services of one space share their values."""
    message: int = 0
    """The largest value, bytes. 0 for as large as an answer can hold: three quarters of ``limits.message``, since
    answers may be JSON."""
    value: str = ""
    """What plain clients are sent when they come, as a Python literal: ``value = "{1: 'Client', 2: 'Server'}"``.
    Without it the shelf is for clients that speak plug alone."""
    key: str = "received"
    """Under which key the objects are kept that plain clients send."""
    show: bool = False
    """Show these on the server's terminal."""

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            ValueError: `value` is no literal of what plain clients can be sent, or `key` and `space` are no names.
        """
        if self.value:
            literal(self.value)
        try:
            check_label("key", self.key)
        except LocalError as error:
            raise ValueError(str(error)) from error
        if (size := len(self.key.encode())) > KEY_MAX:
            raise ValueError(f"key has {size} bytes; at most {KEY_MAX}, since the shelf's name stands before it")
        if self.space and not SERVICE_NAME.fullmatch(self.space):
            raise ValueError(f"space is {self.space!r}; expected a name as services have")
        if self.message < 0:
            raise ValueError(f"message is {self.message}; expected at least 0")


def make_shelf(name: str, options: ShelfOptions, facilities: Facilities | None = None) -> Service:
    """A shelf under this name."""
    given = facilities or Facilities()
    space = options.space or name

    def open_shelf(guest: Guest) -> Visit:
        """Keeps named values, to share and to watch"""
        shelf = given.durable.shelf
        if not guest.plug:
            return PlainVisit(guest, shelf, given, prefix=f"{space}/", name=name, options=options)
        if guest.codec.name not in CODECS:
            raise Refused(Code.UNKNOWN_CODEC, f"a shelf is asked in {' or '.join(CODECS)}, not {guest.codec.name}")
        feeds: dict[str, Feed] = given.shared(f"shelf {space}", dict)
        feed = feeds.get(space)
        if feed is None or feed.shelf is not shelf:
            feed = feeds[space] = Feed(shelf, f"{space}/")
        return ShelfVisit(guest, shelf, feed, prefix=f"{space}/", largest=options.message, now=given.now)

    return visited(name, open_shelf)


class ShelfVisit(Visit):
    """One connection, which asks.

    Args:
        guest: who visits.
        shelf: where values are.
        feed: its newest changes.
        prefix: what the keys of this shelf begin with in the store.
        largest: of a value, bytes; 0 where messages alone limit it.
        now: the time.
    """

    def __init__(
        self, guest: Guest, shelf: Shelf, feed: Feed, *, prefix: str, largest: int, now: Callable[[], int]
    ) -> None:
        self._shelf = shelf
        self._memory = isinstance(shelf, MemoryShelf)
        self._feed = feed
        self._prefix = prefix
        self._prefix = self._key(f"{guest.rest}/") if guest.rest else prefix
        self._now = now
        self._message = guest.message
        self._largest = largest_value(guest.limit, largest)
        self._most = min(READ_BYTES, guest.message)
        self._codec = _codec(guest.codec.name)
        self._polls = 0
        self._watching = False
        self._over = False

    async def say(self, bodies: list[bytes]) -> None:
        """A shelf is asked."""
        raise Refused(Code.UNSUPPORTED, "a shelf is asked, by requests; see docs/protocol.md")

    async def answer(self, body: bytes) -> bytes:
        """Answer a question."""
        return await self._respond(self._codec.decode(body))

    def answer_now(self, body: bytes) -> bytes | None:
        """Answer a question that needs no waiting: any but `Changes` where the store never waits, and `Get` where it
        has the values at hand.
        """
        waits = self._shelf.waits
        if waits and len(body) > SMALL:
            return None
        request = self._codec.decode(body)
        if not waits:
            return None if type(request) is Changes else _finished(self._respond(request))
        return self._known(request) if type(request) is Get else None

    def _known(self, get: Get) -> bytes | None:
        values: list[Value] = []
        for key in get.keys:
            value = self._shelf.known(self._key(key))
            if value is None:
                return None
            values.append(value)
        if sum(len(value.body) for value in values) > self._most // 2:
            return None
        entries = [None if value.deleted else self._entry(value, bodies=get.bodies) for value in values]
        answer = self._codec.encode(Found(entries=entries))
        return answer if len(answer) <= self._message else None

    async def _respond(self, request: Request) -> bytes:
        work: Callable[[ShelfVisit, Any], Coroutine[Any, Any, Answer]] = _WORK[type(request)]
        answer = await work(self, request)
        body = self._codec.encode(answer)
        while len(body) > self._message:
            answer = _halved(answer)
            body = self._codec.encode(answer)
        return body

    def closing(self) -> None:
        """The peer says no more: what waits for changes is answered now."""
        self._over = True
        if self._polls:
            self._feed.wake()

    def ended(self) -> None:
        """The peer is gone."""
        if self._watching:
            self._feed.leave()

    # Writing.

    async def _put(self, put: Put) -> Answer:
        key = self._key(put.key)
        if len(put.body) > self._largest:
            raise Refused(
                Code.TOO_LARGE, f"a value of {len(put.body):,} bytes; at most {self._largest:,} are kept here"
            )
        kind, expected, token = put.content_type, put.expected, put.token
        try:
            version = await self._shelf.put(
                key, put.body, time=self._now(), content_type=kind, expected=expected, token=token
            )
        except Changed as other:
            return Stale(key=put.key, expected=other.expected, found=other.found)
        return Written(version=version, memory=self._memory)

    async def _delete(self, delete: Delete) -> Answer:
        key = self._key(delete.key)
        try:
            version = await self._shelf.delete(key, time=self._now(), expected=delete.expected, token=delete.token)
        except Changed as other:
            return Stale(key=delete.key, expected=other.expected, found=other.found)
        return Written(version=version, memory=self._memory)

    # Reading.

    async def _get(self, get: Get) -> Answer:
        found: list[Entry | None] = []
        room = self._most
        for key in get.keys:
            value = await self._shelf.get(self._key(key))
            room -= len(value.body) if value is not None and get.bodies else 0
            if found and room < 0:
                break
            found.append(None if value is None else self._entry(value, bodies=get.bodies))
        return Found(entries=found, more=len(found) < len(get.keys))

    async def _list(self, question: List) -> Answer:
        limit = min(question.limit, READ_MANY)
        after = self._prefix + question.after if question.after else ""
        found = await self._shelf.list(self._prefix + question.prefix, after=after, limit=limit, most=self._most)
        return Found(entries=[self._entry(value, bodies=question.bodies) for value in found], more=bool(found))

    async def _history(self, question: History) -> Answer:
        limit = min(question.limit, READ_MANY)
        key = self._key(question.key)
        found = await self._shelf.history(key, before=question.before, limit=limit, most=self._most)
        return Found(entries=list(map(self._entry, found)), more=bool(found) and bool(found[-1].previous))

    # Watching.

    async def _changes(self, question: Changes) -> Answer:
        if question.after is None:
            return News(changes=[], version=await self._shelf.version())
        prefix = self._prefix + question.prefix
        read = partial(self._feed.read, prefix=prefix, limit=min(question.limit, READ_MANY), most=self._most)
        found, version = await read(question.after)
        if question.after > version and question.after > (newest := await self._shelf.version()):
            problem = f"version {question.after} does not exist yet, the newest is {newest}: was the store replaced?"
            raise Refused(Code.BEYOND_END, problem)
        if not found and question.wait:
            found, version = await self._wait(read, max(question.after, version), min(question.wait, WAIT_MAX))
        return News(changes=list(map(self._entry, found)), version=max(question.after, version))

    async def _wait(
        self, read: Callable[[int], Coroutine[Any, Any, tuple[list[Value], int]]], after: int, seconds: float
    ) -> tuple[list[Value], int]:
        """Read as soon as there is something, or when the time is over."""
        if self._polls >= POLLS:
            raise Refused(Code.BUSY, f"{POLLS} questions of this connection wait for changes already; open another")
        if not self._watching:
            self._watching = True
            self._feed.enter()
        self._polls += 1
        try:
            loop = asyncio.get_running_loop()
            over = loop.time() + seconds
            found: list[Value] = []
            while not (found or self._over) and (left := over - loop.time()) > 0:
                await self._feed.wait(after, left)
                found, version = await read(after)
                after = max(after, version)
            return found, after
        finally:
            self._polls -= 1

    # Keys.

    def _key(self, key: str) -> str:
        """The key in the store.

        Raises:
            Refused: it is no name.
        """
        full = self._prefix + key
        if key and len(full) <= LABEL_MAX and full.isascii() and full.isprintable():
            return full
        try:
            check_label("key", key)
            return check_label("key", full)
        except LocalError as error:
            raise Refused(Code.BAD_MESSAGE, str(error)) from error

    def _entry(self, value: Value, *, bodies: bool = True) -> Entry:
        return Entry(
            key=value.key[len(self._prefix) :],
            version=value.version,
            written=value.time,
            body=value.body if bodies else b"",
            content_type=value.content_type,
            deleted=value.deleted,
            previous=value.previous,
        )


_WORK: Final[Mapping[type, Callable[..., Coroutine[Any, Any, Answer]]]] = {
    Put: ShelfVisit._put,
    Delete: ShelfVisit._delete,
    Get: ShelfVisit._get,
    List: ShelfVisit._list,
    History: ShelfVisit._history,
    Changes: ShelfVisit._changes,
}


def _codec(name: str) -> Codec[Any]:
    """The codec of questions and answers."""
    codec: Codec[Any] = make_codec(name, Request, limits=DEFAULTS)
    return codec


def _halved(answer: Answer) -> Answer:
    """The first half of an answer that is too large for the peer.

    Raises:
        Refused: a single entry is.
    """
    if isinstance(answer, Found) and len(answer.entries) > 1:
        return Found(entries=answer.entries[: len(answer.entries) // 2], more=True)
    if isinstance(answer, News) and len(answer.changes) > 1:
        changes = answer.changes[: len(answer.changes) // 2]
        return News(changes=changes, version=changes[-1].version)
    raise Refused(Code.TOO_LARGE, "the value is larger than a message that you take; raise the limit of messages")


def _finished(work: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns that never waits."""
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    work.close()
    raise RuntimeError("a store that says it never waits did wait")

"""``inbox``: keeps every message, durably, by topic.

What is posted is acknowledged once it is synced to disk, in the order it came, each sequence of a producer once. What
is said without a post, as plain sockets do, is kept the same way and nobody is told. How it is read back is in
`anyplug.services.inbox_reading`, and what travels in `anyplug.schemas.inbox`.

The topic is what follows the service in the address: ``inbox/log``.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from anyplug.address import SERVICE_NAME
from anyplug.errors import Code, Conflict, DecodeError, Refused
from anyplug.messages import Acked, Kept, Nacked, Producer, Refusal
from anyplug.schemas.contents import content_type
from anyplug.services.base import Service, visited
from anyplug.services.facilities import Facilities
from anyplug.services.inbox_reading import Place, Reading, largest_body
from anyplug.services.inbox_showing import Showing
from anyplug.services.topics import label_of, topic_of
from anyplug.services.trimming import Trimmer
from anyplug.services.visits import Visit
from anyplug.store import Alike, MemoryStore, Retention

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from anyplug.services.visits import Guest
    from anyplug.store import Receipt

__all__ = ["InboxOptions", "make_inbox"]

PRODUCER_MAX: Final = 64
"""The longest identity of a producer, bytes."""

_Outcome: TypeAlias = "list[Acked | Nacked] | Exception"
"""What became of messages, in order, or why nothing is known of them."""

_TAKEN_OVER: Final = "a newer connection posts as this producer"
_FAREWELL: Final = "the conversation has ended with the farewell"


class InboxOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What can be set.

    Raises:
        ValueError: a name that cannot be, or a number below 0.
    """

    topic: str = "messages"
    """The topic of those who name none."""
    space: str = ""
    """Where topics are kept. Services with the same space share their topics; by default it is the service's name."""
    farewell: str = ""
    """A text that ends the conversation of whoever says it, such as ``886``. It is not kept itself. Empty for none."""
    show: bool = False
    """Show new messages on the server's terminal."""
    keep_age: float = 0.0
    """Keep messages for so many seconds; 0 for ever. What is older goes within a second or so, once somebody posts to
    the topic or reads it."""
    keep_count: int = 0
    """Keep so many of the newest of each topic; 0 for all."""
    keep_bytes: int = 0
    """Keep so many bytes of the newest of each topic; 0 for all."""
    message: int = 0
    """The largest message that is kept, bytes. 0 for as large as an answer can hold: three quarters of
    ``limits.message``, since answers may be JSON."""

    def __post_init__(self) -> None:
        for name in ("keep_age", "keep_count", "keep_bytes", "message"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; expected at least 0")
        if self.space and not SERVICE_NAME.fullmatch(self.space):
            raise ValueError(f"space is {self.space!r}; expected a name as services have")
        try:
            topic_of(self.topic)
        except Refused as error:
            raise ValueError(f"topic: {error.text}") from error

    @property
    def retention(self) -> Retention:
        """What is kept of each topic."""
        return Retention(age=self.keep_age or None, count=self.keep_count or None, bytes=self.keep_bytes or None)


def make_inbox(name: str, options: InboxOptions, facilities: Facilities | None = None) -> Service:
    """An inbox under this name."""
    given = facilities or Facilities()
    trimmer = Trimmer(given, options.retention)
    space = options.space or name
    posting: dict[bytes, _Visit] = given.shared("producers", dict)

    def inbox(guest: Guest) -> Visit:
        """Keeps every message; name a topic, as in: inbox log"""
        given.durable  # noqa: B018 - it refuses where nothing can be kept
        topic = topic_of(guest.rest) if guest.rest else options.topic
        place = Place(topic, space, f"{space}/{topic}", options, given)
        return _Visit(guest, place, Showing(place.label, given) if options.show else None, trimmer, posting)

    return visited(name, inbox)


class _Visit(Visit):
    """One connection."""

    __slots__ = (
        "_farewell",
        "_guest",
        "_how",
        "_kind",
        "_most",
        "_name",
        "_over",
        "_place",
        "_posting",
        "_reading",
        "_showing",
        "_trimmer",
    )

    def __init__(
        self,
        guest: Guest,
        place: Place,
        showing: Showing | None,
        trimmer: Trimmer,
        posting: dict[bytes, _Visit],
    ) -> None:
        self._guest = guest
        self._place = place
        self._showing = showing
        self._trimmer = trimmer
        self._posting = posting
        self._kind = content_type(guest.codec.name)
        self._name = label_of(guest.name, "the name of a sender") if guest.name else ""
        self._farewell = place.options.farewell.strip()
        self._most = largest_body(guest.limit, place.options.message)
        self._reading: Reading | None = None
        self._over: tuple[Code, str] | None = None
        self._how = Kept.MEMORY if isinstance(place.facilities.store, MemoryStore) else Kept.SYNCED
        trimmer.used(place.label)
        if guest.producer:
            self._take_over()

    def _take_over(self) -> None:
        """Be the one that posts as this producer."""
        producer = self._guest.producer
        if len(producer) > PRODUCER_MAX:
            problem = f"the identity of a producer has {PRODUCER_MAX} bytes at most, not {len(producer)}"
            raise Refused(Code.BAD_MESSAGE, problem)
        older = self._posting.get(producer)
        self._posting[producer] = self
        if older is not None:
            older.taken_over()

    def taken_over(self) -> None:
        """A newer connection posts as this producer: refuse what is still to be posted here, and end."""
        self._end(Code.TAKEN_OVER, _TAKEN_OVER)

    def _end(self, code: Code, text: str) -> None:
        """Take nothing more, and say so."""
        self._over = code or Code.GOING_AWAY, text
        self._guest.end(code, text)

    # Keeping.

    def post_soon(self, items: list[tuple[int, bytes]], done: Callable[[_Outcome], None]) -> bool:
        """Keep these; acknowledged once they are durable."""
        if self._over is not None:
            raise Refused(*self._over)
        first = items[0][0]
        bodies = [body for _, body in items]
        values, problem = self._values(bodies)
        if problem is None:
            self._keep(bodies, values, done, first=first)
            return True
        end = Nacked(first + len(values), problem)
        if values:
            self._keep(bodies[: len(values)], values, done, first=first, end=end)
        else:
            done([end])
        return True

    async def say(self, bodies: list[bytes]) -> None:
        """Keep what was said, up to the farewell.

        Raises:
            Refused: one of them cannot be kept; those before it are.
        """
        if self._over is not None:
            return
        values, problem = self._values(bodies)
        end = self._farewell_at(values)
        if values[:end]:
            kept: asyncio.Future[_Outcome] = asyncio.get_running_loop().create_future()
            self._keep(bodies[: len(values[:end])], values[:end], partial(_tell, kept))
            outcome = await kept
            if isinstance(outcome, Exception):
                raise outcome
        if end is not None:
            self._end(Code.OK, _FAREWELL)
        elif problem is not None:
            raise Refused(problem.reason, problem.text)

    def _values(self, bodies: Sequence[bytes]) -> tuple[list[Any], Refusal | None]:
        """The values in bodies up to the first that cannot be kept, and why it cannot."""
        codec, most = self._guest.codec, self._most
        problem = None
        if max(map(len, bodies)) > most:
            large = next(at for at, body in enumerate(bodies) if len(body) > most)
            text = f"a message of {len(bodies[large]):,} bytes, and {most:,} can be kept"
            problem = Refusal(Code.TOO_LARGE, text)
            bodies = bodies[:large]
        try:
            return codec.decode_many(bodies), problem
        except DecodeError:
            pass  # one of them: find out which
        values: list[Any] = []
        try:
            while True:
                values.append(codec.decode(bodies[len(values)]))
        except DecodeError as error:
            return values, Refusal(error.code, str(error))

    def _farewell_at(self, values: Sequence[Any]) -> int | None:
        word = self._farewell
        if word:
            for at, value in enumerate(values):
                text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
                if isinstance(text, str) and text.strip() == word:
                    return at
        return None

    def _keep(
        self,
        bodies: Sequence[bytes],
        values: Sequence[Any],
        done: Callable[[_Outcome], None],
        *,
        first: int = 0,
        end: Nacked | None = None,
    ) -> None:
        """Keep these bodies, which are sound.

        Args:
            bodies: as they came.
            values: what they hold.
            done: is told what became of them, once that is so.
            first: the sequence of the first, 0 where they have none.
            end: why what stands behind them is not taken.
        """
        guest, place = self._guest, self._place
        received = place.facilities.now()
        entries = Alike(bodies, received, content_type=self._kind, sender=guest.peer, name=self._name)
        producer = Producer(guest.producer, first) if first and guest.producer else None
        told = partial(self._kept, bodies, values, done, first, end)
        place.log.append_soon(place.label, entries, told, producer=producer)

    def _kept(
        self,
        bodies: Sequence[bytes],
        values: Sequence[Any],
        done: Callable[[_Outcome], None],
        first: int,
        end: Nacked | None,
        receipt: Receipt | Exception,
    ) -> None:
        """The store has said what became of them."""
        if isinstance(receipt, Conflict):
            sound = receipt.sequence - first
            refused = Nacked(receipt.sequence, Refusal(receipt.code, str(receipt)))
            if sound > 0:
                self._keep(bodies[:sound], values[:sound], done, first=first, end=refused)
            else:
                done([refused])
            return
        if isinstance(receipt, Exception):
            done(receipt)
            return
        self._trimmer.used(self._place.label)
        if self._showing is not None:
            fresh = receipt.duplicates
            self._showing.show(self._guest.peer, self._name, receipt.positions[fresh:], values[fresh:])
        verdicts: list[Acked | Nacked] = []
        if first:
            verdicts += _acked(first, receipt.positions, self._how)
        if end is not None:
            verdicts.append(end)
        done(verdicts)

    # Reading.

    async def answer(self, body: bytes) -> bytes:
        """Answer a question of `anyplug.schemas.inbox`."""
        self._trimmer.used(self._place.label)
        return await self._reader().answer(body)

    def _reader(self) -> Reading:
        """What answers; most connections only post."""
        if self._reading is None:
            self._reading = Reading(self._guest, self._place, self._trimmer.retention, self._most)
        return self._reading

    # The end.

    def closing(self) -> None:
        """The peer says no more: who waits for a message need not."""
        self._reader().hurry()

    def ended(self) -> None:
        """The connection is over."""
        if self._posting.get(self._guest.producer) is self:
            del self._posting[self._guest.producer]


def _tell(kept: asyncio.Future[_Outcome], outcome: _Outcome) -> None:
    if not kept.done():
        kept.set_result(outcome)


def _acked(first: int, positions: Sequence[int], kept: Kept) -> list[Acked]:
    """Acknowledgements of posts at these positions, one a run; 0 is a position that nobody remembers."""
    count = len(positions)
    if positions[0] and positions[-1] - positions[0] == count - 1:
        return [Acked(first, count, positions[0], kept)]
    runs: list[Acked] = []
    start = 0
    for at in range(1, count + 1):
        step = 1 if positions[start] else 0
        if at == count or positions[at] != positions[at - 1] + step:
            runs.append(Acked(first + start, at - start, positions[start], kept))
            start = at
    return runs

"""An outbox and a reader on one side, an inbox on the other, joined by a pipe that is cut where a test says.

Sessions, delivery, order of posts, inbox and store are the real ones; there is no socket, no event loop and no clock.
So a whole session takes a millisecond, and it can be cut at each of its bytes.
"""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, TypeVar

from anyplug.address import Address
from anyplug.codec import make_codec
from anyplug.errors import AnyplugError, Broken, Gap, Timeout
from anyplug.limits import DEFAULTS
from anyplug.messages import Ended, Fault, Hello, Nacked, Posts, Refusal, Requests, Welcome
from anyplug.outbox.plan import Delivery
from anyplug.outbox.steps import Load, Open, Parcel, Post, Refuse, Renumber, Rest, Settle, Shut, Stop
from anyplug.schemas.reading import Following, acknowledged, speech_of, starting
from anyplug.services import Facilities
from anyplug.services.inbox import InboxOptions, make_inbox
from anyplug.services.visits import Guest
from anyplug.store import MemoryStore
from anyplug.wire import PlugSession, Role, Vigil
from anyplug.wire.inbound import Inbound, Outcome
from anyplug.wire.order import PostOrder
from tests.outbox.world import BACKOFF, Disk

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from anyplug.codec import Codec
    from anyplug.messages import Acked, Event
    from anyplug.schemas.inbox import Message
    from anyplug.schemas.reading import Course
    from anyplug.services.base import Service
    from anyplug.services.visits import Visit

__all__ = ["Cut", "Piped"]

T = TypeVar("T")

ADDRESS = Address.parse("plug://127.0.0.1/inbox/log")
READER = "reader"
PRODUCER = b"the outbox"
AT_ONCE = 4
"""Messages that one question of the reader asks for."""

Kind: TypeAlias = Literal["reset", "eof", "silence"]
Side: TypeAlias = Literal["client", "server"]


class Cut(NamedTuple):
    """Where a session is cut."""

    side: Side
    """Who has said the bytes that are counted."""
    after: int
    """So many bytes of it arrive, over all connections."""
    how: Kind


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    work.close()
    raise AssertionError("it waits for something")


class Far:
    """The server's end of one connection."""

    def __init__(self, service: Service, now: float) -> None:
        self.session = PlugSession(Role.SERVER, DEFAULTS)
        self.vigil = Vigil(self.session, DEFAULTS, now)
        self._service = service
        self._visit: Visit | None = None
        self._order = PostOrder(producer=True)

    def hear(self, data: bytes) -> None:
        """Bytes came."""
        self.session.receive_data(data)
        self.handle()

    def handle(self) -> None:
        """Do what the server does with what happened."""
        for event in self.session.events():
            self._handle(event)

    def _handle(self, event: Event) -> None:
        if isinstance(event, Hello):
            self._visit = self._service.handler(self._guest(event))
            welcome = Welcome(service="inbox", codec=event.codec, asks=True, posts=True, message=DEFAULTS.message)
            self.session.send_welcome(welcome)
        elif isinstance(event, Posts):
            self._keep(event.items)
        elif isinstance(event, Requests):
            assert self._visit is not None
            for number, body in event.items:
                self.session.send_reply(number, at_once(self._visit.answer(body)))
        elif isinstance(event, (Ended, Fault)):
            self.gone()

    def _guest(self, hello: Hello) -> Guest:
        return Guest(
            peer="the pipe",
            local="here",
            rest=hello.rest,
            codec=_codec(hello.codec),
            plug=True,
            producer=hello.producer,
            name="",
            message=DEFAULTS.message,
            limit=DEFAULTS.message,
            say=lambda _: None,
            send=_sends_nothing,
            end=self.session.send_eof,
        )

    def _keep(self, items: list[tuple[int, bytes]]) -> None:
        assert self._visit is not None
        for step in self._order.admit(items):
            if isinstance(step, Nacked):
                self.session.send_nack(step.sequence, step.refusal.reason, step.refusal.text)
                continue
            kept: list[list[Acked | Nacked] | Exception] = []
            assert self._visit.post_soon(step, kept.append)
            (verdicts,) = kept
            if isinstance(verdicts, Gap):
                verdicts = [Nacked(verdicts.expected, Refusal(verdicts.code, str(verdicts)))]
            assert not isinstance(verdicts, Exception), verdicts
            for verdict in verdicts:
                if isinstance(verdict, Nacked):
                    self.session.send_nack(verdict.sequence, verdict.refusal.reason, verdict.refusal.text)
                    self._order.refused(verdict.sequence)
                    return
                self.session.send_ack(verdict)

    def gone(self) -> None:
        """The connection is over."""
        if self._visit is not None:
            self._visit.closing()
            self._visit.ended()
            self._visit = None


async def _sends_nothing(number: int, index: int, digest: bytes, chunk: bytes | memoryview) -> None:
    raise AssertionError("an inbox sends no files")


class Near:
    """The client's end of one connection."""

    def __init__(self, hello: Hello, first: int, now: float) -> None:
        self.session = PlugSession(Role.CLIENT, DEFAULTS)
        self.vigil = Vigil(self.session, DEFAULTS, now)
        self.inbound: Inbound[Any, str] = Inbound(_codec("bytes"), numbered=True, first=first)
        self.outcome: Outcome | None = None
        self.welcomed = False
        self.session.send_hello(hello)

    def hear(self, data: bytes) -> None:
        """Bytes came."""
        self.session.receive_data(data)
        self.handle()

    def handle(self) -> None:
        """Sort what happened."""
        events = self.session.events()
        self.welcomed = self.welcomed or any(isinstance(event, Welcome) for event in events)
        self._decide(self.inbound.take(events))

    def ask(self, body: bytes) -> None:
        """Say a question."""
        self.outcome = None
        self.session.send_request(self.inbound.asks.open("question"), body)

    def post(self, bodies: list[bytes]) -> None:
        """Say posts."""
        self.outcome = None
        self.session.send_posts(self.inbound.posts.open(len(bodies), "posts"), bodies)

    def lose(self, error: AnyplugError) -> None:
        """The connection is gone, as the shell sees it."""
        self._decide(self.inbound.finish(error))

    def _decide(self, decided: list[tuple[str, Outcome]]) -> None:
        for _, outcome in decided:
            self.outcome = outcome


class Piped:
    """One server, one outbox and one reader of what it posts; the connections between them."""

    def __init__(self, cut: Cut | None = None) -> None:
        self.store = MemoryStore()
        self.disk = Disk()
        self.read: dict[int, bytes] = {}
        """What the reader was given, by position."""
        self.connections = 0
        self.cuts = 0
        self.carried: dict[Side, int] = {"client": 0, "server": 0}
        self.now = 0.0
        self._cut = cut
        self._service = make_inbox("inbox", InboxOptions(), Facilities(store=self.store))
        self._ends: tuple[Near, Far] | None = None

    # The pipe.

    def _connect(self, *, producer: bytes = b"", first: int = 1) -> Near:
        """A connection; raises why there is none."""
        self.connections += 1
        near = Near(Hello(service="inbox", rest="log", producer=producer), first, self.now)
        before, self._ends = self._ends, (near, Far(self._service, self.now))
        self._carry()
        if before is not None:
            before[1].gone()  # a server whose peer fell silent finds that out when the next connection is there
        if not near.welcomed:
            assert near.inbound.end is not None
            raise near.inbound.end
        return near

    def _carry(self) -> None:
        """Let the two talk until both are quiet, or the connection is cut."""
        assert self._ends is not None
        near, far = self._ends
        ways: tuple[tuple[Side, Near | Far, Near | Far], ...] = (("client", near, far), ("server", far, near))
        while True:
            if self._is_due():
                return self._cut_now(near, far)
            if not (near.session.queued or far.session.queued):
                return None
            for side, a, b in ways:
                data = a.session.data_to_send() if a.session.queued else b""
                if self._cut is not None and self._cut.side == side:
                    data = data[: self._cut.after - self.carried[side]]
                self.carried[side] += len(data)
                if data:
                    b.hear(data)
                if self._is_due():
                    break

    def _is_due(self) -> bool:
        return self._cut is not None and self.carried[self._cut.side] == self._cut.after

    def _cut_now(self, near: Near, far: Far) -> None:
        assert self._cut is not None
        how, self._cut = self._cut.how, None
        self.cuts += 1
        if how == "eof":
            for end in (near, far):
                end.session.receive_eof()
                end.handle()
        elif how == "reset":
            near.lose(Broken("connection reset by peer"))
            far.gone()
        else:
            near.lose(self._silence(near.vigil))

    def _silence(self, vigil: Vigil) -> AnyplugError:
        """Let time pass until somebody notices that nothing comes."""
        for _ in range(10):
            self.now += DEFAULTS.ping
            try:
                vigil.tick(self.now)
            except AnyplugError as error:
                return Broken(str(error)) if isinstance(error, Timeout) else error  # as a link has it
        raise AssertionError("nobody notices the silence")

    def _question(self, near: Near, ask: Callable[[], None]) -> Outcome:
        """What comes of something that is said and wants an answer."""
        if near.inbound.end is not None:
            return near.inbound.end
        ask()
        self._carry()
        assert near.outcome is not None, "neither an answer nor an end"
        return near.outcome

    # The outbox.

    def post(self, bodies: list[bytes]) -> None:
        """Deliver these to the end."""
        for number, body in enumerate(bodies, 1):
            self.disk.put(number, body=body)
        delivery, near = Delivery(0, backoff=BACKOFF), None
        for _ in range(1000):
            step = delivery.next(self.now)
            if isinstance(step, Rest) and step.until is None:
                return
            assert not isinstance(step, Stop), step
            if isinstance(step, Rest):
                assert step.until is not None
                self.now = step.until
            elif isinstance(step, Load):
                delivery.loaded(self.disk.load(step))
            elif isinstance(step, Open):
                try:
                    near = self._connect(producer=PRODUCER, first=step.first)
                except AnyplugError as error:
                    delivery.failed(error, self.now, 0.5)
                else:
                    delivery.opened(step.codec, limit=DEFAULTS.message)
            elif isinstance(step, Shut):
                assert near is not None
                self._end(near)
                delivery.shut()
            elif isinstance(step, Post):
                assert near is not None
                self._post(delivery, near, step.parcels)
            else:
                assert isinstance(step, Settle | Refuse | Renumber)
                self.disk.record(step)
                delivery.recorded()
        raise AssertionError("it never comes to an end")

    def _post(self, delivery: Delivery, near: Near, parcels: list[Parcel]) -> None:
        outcome = self._question(near, partial(near.post, [parcel.body for parcel in parcels]))
        if isinstance(outcome, AnyplugError):
            delivery.failed(outcome, self.now, 0.5)
        else:
            delivery.posted()

    def _end(self, near: Near) -> None:
        """Say goodbye, where somebody hears it."""
        if near.inbound.end is None:
            near.session.send_eof()
            self._carry()

    # The reader.

    def follow(self, many: int) -> None:
        """Read so many messages, and acknowledge them; after a break go on where the server says."""
        near: Near | None = None
        following = Following(starting(reader=READER))
        acked = 0
        while acked < many or near is None:
            try:
                if near is None:
                    near = self._connect()
                    following = Following(starting(reader=READER))
                for message in self._ask(near, following.more(wait=0, limit=AT_ONCE)).messages:
                    self._take(message)
                acked = self._ask(near, acknowledged(READER, max(self.read)))
            except Broken:
                near = None
        self._end(near)

    def _take(self, message: Message) -> None:
        if message.position in self.read:
            assert message.redelivered, message
            assert message.body == self.read[message.position]
        self.read[message.position] = message.body

    def _ask(self, near: Near, course: Course[T]) -> T:
        speech, codec = _spoken()
        try:
            request = next(course)
            while True:
                outcome = self._question(near, partial(near.ask, codec.encode(speech.said(request))))
                if isinstance(outcome, AnyplugError):
                    raise outcome
                request = course.send(speech.heard(codec.decode(outcome)))
        except StopIteration as end:
            result: T = end.value
            return result

    # What came of it.

    def kept(self) -> list[bytes]:
        """What the store holds, in order."""
        return [message.body for message in at_once(self.store.log.read("inbox/log", 1)).messages]

    def cursor(self) -> int:
        """How far the reader has acknowledged, as the store says."""
        return at_once(self.store.log.cursor("inbox/log", READER)).acknowledged


@cache
def _codec(name: str) -> Codec[Any]:
    return make_codec(name)


@cache
def _spoken() -> tuple[Any, Any]:
    speech = speech_of(ADDRESS, None, limits=DEFAULTS)
    return speech, make_codec("msgpack", speech.type)

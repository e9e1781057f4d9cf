"""A disk, a server and a clock for the delivery of one target: all of them honest, and all in the test's hand."""

from __future__ import annotations

from anyplug.backoff import Backoff
from anyplug.errors import AnyplugError, Broken, Code, PostRefused
from anyplug.outbox.plan import Delivery
from anyplug.outbox.steps import Load, Open, Parcel, Post, Refuse, Renumber, Rest, Settle, Shut, Step, Stop

__all__ = ["BACKOFF", "GONE", "Blunt", "Disk", "Server", "World", "ready"]

BACKOFF = Backoff(first=1.0, most=8.0)
GONE = Broken("cut")


class Disk:
    """What would be on disk: a crash leaves it, and nothing else."""

    def __init__(self) -> None:
        self.waiting: list[Parcel] = []
        self.sequence = 0
        self.refused: list[tuple[int, Code]] = []
        self.delivered = 0
        self.renumbered = 0

    def put(self, number: int, *, codec: str = "msgpack", body: bytes = b"") -> None:
        self.waiting.append(Parcel(number, codec, body or b"%d" % number))

    def load(self, step: Load) -> list[Parcel]:
        return [parcel for parcel in self.waiting if parcel.id > step.after][: step.many]

    def record(self, step: Settle | Refuse | Renumber) -> None:
        if isinstance(step, Settle):
            done = [parcel for parcel in self.waiting if parcel.id <= step.last]
            assert len(done) == step.many
            del self.waiting[: step.many]
            self.sequence = step.sequence
            self.delivered += step.many
        elif isinstance(step, Refuse):
            assert self.waiting[0].id == step.id
            del self.waiting[0]
            self.refused.append((step.id, step.code))
        else:
            self.sequence = step.sequence
            self.renumbered += 1


class Server:
    """A server with a watermark: what it took, in order. Some bodies it never takes."""

    def __init__(self, poison: frozenset[bytes] = frozenset(), *, limit: int = 0) -> None:
        self.kept: list[bytes] = []
        self.sequence = 0
        self.poison = poison
        self.limit = limit

    def posted(self) -> int:
        """What it says of a producer in its WELCOME."""
        return self.sequence

    def post(self, first: int, bodies: list[bytes], *, room: int = 1 << 30) -> int:
        """How many of these were taken, now or before; raises the refusal of the next."""
        if first > self.sequence + 1:
            raise PostRefused(Code.GAP, "sequences are missing", sequence=self.sequence + 1)
        for sequence, body in enumerate(bodies, first):
            if sequence <= self.sequence:
                if self.kept[sequence - 1] != body:
                    raise PostRefused(Code.CONFLICT, "other content", sequence=sequence)
            elif body in self.poison:
                raise PostRefused(Code.BAD_MESSAGE, "no", sequence=sequence)
            elif not room:
                raise PostRefused(Code.STORE_FULL, "no room", sequence=sequence)
            else:
                room -= 1
                self.kept.append(body)
                self.sequence = sequence
        return len(bodies)


class World:
    """Disk, server and delivery, and a clock that moves when somebody waits."""

    def __init__(self, server: Server | None = None) -> None:
        self.disk = Disk()
        self.server = server or Server()
        self.now = 0.0
        self.codec: str | None = None
        self.start()

    def start(self) -> None:
        """The process starts: it knows what the disk does."""
        self.codec = None
        self.delivery = Delivery(self.disk.sequence, backoff=BACKOFF)

    def step(self, fault: AnyplugError | None = None, *, room: int = 1 << 30, lost: bool = False) -> Step:
        """Do the next step; with `fault` it fails, for a post after the server took `room` messages."""
        delivery = self.delivery
        step = delivery.next(self.now)
        assert delivery.next(self.now) == step
        if isinstance(step, Rest):
            self.now = step.until if step.until is not None else self.now
        elif isinstance(step, Load):
            delivery.loaded(self.disk.load(step))
        elif isinstance(step, Shut):
            self.codec = None
            delivery.shut()
        elif isinstance(step, Open):
            assert self.codec is None
            if fault is not None:
                delivery.failed(fault, self.now, 0.5)
            else:
                self.codec = step.codec
                delivery.opened(step.codec, limit=self.server.limit, posted=self.server.posted())
        elif isinstance(step, Post):
            assert {parcel.codec for parcel in step.parcels} == {self.codec}
            self._post(step, fault, room=room, lost=lost)
        elif isinstance(step, (Settle, Refuse, Renumber)):
            self.disk.record(step)
            delivery.recorded()
        return step

    def _post(self, step: Post, fault: AnyplugError | None, *, room: int, lost: bool) -> None:
        bodies = [parcel.body for parcel in step.parcels]
        try:
            if fault is not None:
                self.server.post(step.first, bodies[:room])
                raise fault
            self.server.post(step.first, bodies, room=room)
        except AnyplugError as error:
            self.delivery.failed(GONE if lost else error, self.now, 0.5)
        else:
            self.delivery.posted()

    def finish(self, most: int = 10_000) -> None:
        """Go on with nothing in the way until there is nothing to do."""
        for _ in range(most):
            step = self.step()
            if isinstance(step, Stop) or (isinstance(step, Rest) and step.until is None):
                return
        raise AssertionError("it never comes to an end")

    def until(self, kind: type[Step]) -> Step:
        """Go on until a step of this kind is next."""
        for _ in range(100):
            step = self.delivery.next(self.now)
            if isinstance(step, kind):
                return step
            self.step()
        raise AssertionError(f"there is no {kind}")


class Blunt(Server):
    """A server that refuses the whole batch for the sake of one message, and names the first. It does not say how far
    it is."""

    def posted(self) -> int:
        """Nothing."""
        return 0

    def post(self, first: int, bodies: list[bytes], *, room: int = 1 << 30) -> int:
        """As a server that appends all or nothing."""
        before = self.kept[:], self.sequence
        try:
            return super().post(first, bodies, room=room)
        except PostRefused as error:
            self.kept, self.sequence = before
            raise PostRefused(error.code, error.text, sequence=first) from None


def ready(*, many: int = 3, limit: int = 0) -> World:
    """A world whose next step is a post."""
    world = World(Server(limit=limit))
    for number in range(1, many + 1):
        world.disk.put(number)
    world.until(Post)
    return world

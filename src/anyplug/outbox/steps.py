"""What the delivery of one target wants done next. Whoever drives it does one step at a time, and reports back."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from anyplug.errors import Code

__all__ = ["Load", "Open", "Parcel", "Post", "Refuse", "Renumber", "Rest", "Settle", "Shut", "Step", "Stop"]


class Parcel(NamedTuple):
    """A message that waits, as the outbox holds it."""

    id: int
    codec: str
    body: bytes


class Load(NamedTuple):
    """Fetch waiting messages from the disk; report `Delivery.loaded`."""

    after: int
    """The id of the last message that was fetched before."""
    many: int
    """Messages at most."""
    size: int
    """Bytes at most, but at least one message."""


class Open(NamedTuple):
    """Connect; report `Delivery.opened` or `Delivery.failed`."""

    codec: str
    first: int
    """The sequence of the first post."""


class Shut(NamedTuple):
    """Give the connection up, where there still is one; report `Delivery.shut`."""


class Post(NamedTuple):
    """Post these, in order, and wait; report `Delivery.posted` or `Delivery.failed`."""

    first: int
    """The sequence of the first of them."""
    parcels: list[Parcel]


class Settle(NamedTuple):
    """Record on disk that messages were delivered; report `Delivery.recorded`."""

    last: int
    """The id of the newest of them; all up to there were."""
    many: int
    """How many they are."""
    sequence: int
    """The sequence of the newest of them."""


class Refuse(NamedTuple):
    """Record on disk that a message is refused for good; report `Delivery.recorded`."""

    id: int
    code: Code
    text: str


class Renumber(NamedTuple):
    """Record on disk that the server counts otherwise; report `Delivery.recorded`."""

    sequence: int
    """The last sequence that the server knows."""


class Rest(NamedTuple):
    """Nothing is to be done until this time, or until there are more messages."""

    until: float | None
    """None for as long as it takes."""
    retrying: bool
    """Whether it is the wait after a failure, which more messages do not cut short."""


class Stop(NamedTuple):
    """Nothing is to be done until somebody says `Delivery.resume`."""

    code: Code
    text: str


Step: TypeAlias = Load | Open | Shut | Post | Settle | Refuse | Renumber | Rest | Stop
"""One thing to do."""

"""``greet``: speaks first. It says its greeting, may take one receipt, and ends the conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from anyplug.errors import Refused
from anyplug.schemas.contents import content_type
from anyplug.services.base import Service, conversation
from anyplug.services.facilities import Facilities
from anyplug.services.inbox_showing import Showing
from anyplug.services.topics import topic_of
from anyplug.store import Entry

if TYPE_CHECKING:
    from anyplug.connection import Connection

__all__ = ["GreetOptions", "make_greet"]


class GreetOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What can be set.

    Raises:
        ValueError: `keep` is no topic of an inbox.
    """

    text: str = "Welcome to Anyplug!"
    """The greeting."""
    receipt: bool = False
    """Wait for one message of the peer after the greeting."""
    patience: float = 60.0
    """How long to wait for the receipt, seconds."""
    keep: str = ""
    """Keep receipts in this topic of an inbox, such as ``inbox/receipts``; they are on disk when the conversation
    ends."""
    show: bool = False
    """Show receipts on the server's terminal."""

    def __post_init__(self) -> None:
        if not self.keep:
            return
        space, slash, topic = self.keep.partition("/")
        if not space or not slash:
            raise ValueError(f"keep is {self.keep!r}; expected an inbox and a topic, as in inbox/receipts")
        try:
            topic_of(topic)
        except Refused as error:
            raise ValueError(f"keep: {error.text}") from error


def make_greet(name: str, options: GreetOptions, facilities: Facilities | None = None) -> Service:
    """A greeter under this name."""
    given = facilities or Facilities()
    showing = Showing(options.keep or name, given) if options.show else None

    async def greet(peer: Connection[Any]) -> None:
        """Says a greeting and ends"""
        await peer.send(options.text)
        if not options.receipt:
            return
        receipt = await peer.receive(options.patience)
        position = await _keep(given, options.keep, peer, receipt) if options.keep else 0
        if showing is not None:
            showing.show(peer.peer, "", [position], [receipt])

    service = conversation(name, greet, type=Any)
    service.alone = "it keeps receipts, and one process alone has the store" if options.keep else ""
    return service


async def _keep(facilities: Facilities, topic: str, peer: Connection[Any], receipt: Any) -> int:
    """Keep a receipt; its position."""
    codec = peer.codec
    entry = Entry(codec.encode(receipt), facilities.now(), content_type(codec.name), peer.peer)
    return (await facilities.durable.log.append(topic, [entry])).positions[0]

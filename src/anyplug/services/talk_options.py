"""What can be set of the service ``talk``."""

from __future__ import annotations

from typing import Literal

import msgspec

from anyplug.services.rooms import Rules

__all__ = ["TalkOptions"]

_AT_LEAST_ONE = ("queue", "message", "nick", "name", "names", "rooms", "members", "backlog")
_AT_LEAST_ZERO = ("history", "keep", "patience", "per_second", "kept")


class TalkOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What can be set; each is a bound with its reason, or a habit of the house.

    Raises:
        ValueError: a number is below its least value.
    """

    room: str = "lobby"
    """The room of those who name none."""
    farewell: str = "886"
    """The word that leaves; an empty text for none. Chinese readers hear "bye-bye" in it."""
    history: int = 20
    """Messages that a newcomer is told of what was said before."""
    slow: Literal["skip", "disconnect"] = "skip"
    """What becomes of a member that does not read: it is left out and told how much it missed, or it is told and cut
    with ``slow``."""
    queue: int = 256 * 1024
    """Bytes that wait for one member before it counts as one that does not read; at most ``limits.queue``."""
    message: int = 4096
    """The longest message, bytes of UTF-8: long for a chat, short for a terminal."""
    per_second: int = 0
    """Messages that one member may say in a second, after a burst of as many. What it says beyond that waits, and so
    does the member. 0 is no bound: whoever reads a flood too slowly misses some of it."""
    nick: int = 32
    """The longest name of a member, characters."""
    name: int = 64
    """The longest name of a room, characters."""
    names: int = 50
    """Names of members that are told at once; of the others only the number."""
    rooms: int = 1_000
    """Rooms at once. Where one more is wanted, the empty one that is forgotten first goes, or the newcomer is told
    ``busy``."""
    members: int = 10_000
    """Members of one room."""
    keep: float = 3600.0
    """How long an empty room is remembered that is on no disk, seconds."""
    kept: int = 100_000
    """Messages of one room that stay on disk; 0 keeps all. Older ones are removed now and then, and the log says so."""
    backlog: int = 4 * 1024 * 1024
    """Bytes of one room that wait for the disk. What is said beyond that is heard, and not kept."""
    patience: float = 5.0
    """How long the disk may take to bring what was said before, seconds."""

    def __post_init__(self) -> None:
        for least, names in ((1, _AT_LEAST_ONE), (0, _AT_LEAST_ZERO)):
            for name in names:
                if getattr(self, name) < least:
                    raise ValueError(f"{name} is {getattr(self, name)}; expected at least {least}")

    @property
    def rules(self) -> Rules:
        """What holds in each room."""
        return Rules(
            farewell=self.farewell,
            history=self.history,
            message=self.message,
            nick=self.nick,
            members=self.members,
            names=self.names,
        )

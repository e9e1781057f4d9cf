"""How the sockets of a machine change: two looks compared.

TCP has no messages for "now I am in that state"; whoever wants to see the three-way opening and the four-way closing
looks again and again. States that last for less than the time between two looks are not seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import msgspec

from anyplug.netinfo.socket_types import Socket

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Change", "Look", "changes", "look"]

Key: TypeAlias = tuple[object, ...]
"""What a socket is recognised by from one look to the next."""
Look: TypeAlias = dict[Key, Socket]
"""Sockets at one moment."""


class Change(msgspec.Struct, frozen=True):
    """A socket that is in another state than before."""

    socket: Socket
    """As it is now, or was last."""
    old: str | None
    """The state before; None where there was no such socket."""
    new: str | None
    """The state now; None where it is gone."""


def look(sockets: Iterable[Socket]) -> Look:
    """The sockets by what they are recognised by.

    TCP and UDP are recognised by their ends, for a socket in TIME-WAIT has no number any more, and one that is being
    opened has none yet; several listeners can share a port, so they are told apart by their number.
    """
    return {_key(each): each for each in sockets}


def _key(each: Socket) -> Key:
    if each.remote_port is None:
        return each.protocol, each.local, each.local_port, each.inode
    return each.protocol, each.local, each.local_port, each.remote, each.remote_port


def changes(before: Look, after: Look) -> list[Change]:
    """What changed from one look to the next: states, what is gone, what is new, in this order."""
    found = []
    for key, old in before.items():
        new = after.get(key)
        if new is None:
            found.append(Change(old, old.state, None))
        elif new.state != old.state:
            found.append(Change(new, old.state, new.state))
    found += [Change(new, None, new.state) for key, new in after.items() if key not in before]
    return found

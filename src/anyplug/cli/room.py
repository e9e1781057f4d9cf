"""Rooms of the service ``talk``, as ``anyplug talk`` goes into them and shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from anyplug.errors import LocalError
from anyplug.schemas.talk import NICK_MARK, Event, lines

if TYPE_CHECKING:
    from anyplug.address import Address
    from anyplug.cli.options import Settings

__all__ = ["as_room", "is_welcome", "room_lines", "with_nick", "without_nick"]

SERVICE: Final = "talk"
"""The service whose rooms are meant where an address names a room alone."""


def with_nick(settings: Settings, nick: str) -> Settings:
    """The settings of somebody who goes into a room by this name.

    Raises:
        LocalError: the address has no place for a name.
    """
    if not nick:
        return settings
    if not settings.address.is_plug:
        raise LocalError("--nick goes with plug addresses; on a plain socket say it in the room: /nick NAME")
    return _to(settings, settings.address.service, f"{settings.address.rest}{NICK_MARK}{nick}")


def without_nick(address: Address) -> Address:
    """The address without the name."""
    return msgspec.structs.replace(address, rest=address.rest.partition(NICK_MARK)[0])


def as_room(settings: Settings) -> Settings | None:
    """The same where what looks like a service is a room; None where it cannot be one."""
    address = settings.address
    room, mark, nick = address.rest.partition(NICK_MARK)
    if not address.is_plug or room or address.service == SERVICE:
        return None
    return _to(settings, SERVICE, f"{address.service}{mark}{nick}")


def is_welcome(message: Any) -> bool:
    """Whether a message is the first of a room."""
    return isinstance(message, dict) and message.get("type") == "welcome" and room_lines(message) is not None


def room_lines(message: Any) -> bytes | None:
    """An event of a room as it is shown, also on a terminal; None where it is none."""
    try:
        event: Event = msgspec.convert(message, Event)
    except msgspec.ValidationError:
        return None
    return "".join(f"{line}\n" for line in lines(event)).encode()


def _to(settings: Settings, service: str, rest: str) -> Settings:
    return settings._replace(address=msgspec.structs.replace(settings.address, service=service, rest=rest))

"""What is heard in a room of the service ``talk``, and what programs may say there.

Codecs of objects carry the structs as maps, told apart by ``type``; `anyplug.connect` with ``type=Event`` makes structs
of them again. For people `lines` writes an event as lines of text, in which nothing of what others wrote is obeyed by a
terminal.

To be said: a text, as somebody would type it, or one of two maps. ``{"say": text}`` says any text, also one that looks
like a command or a farewell; ``{"nick": name}`` takes a name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from anyplug.escape import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "NICK_MARK",
    "Event",
    "Here",
    "Joined",
    "Left",
    "Missed",
    "Notice",
    "Renamed",
    "Said",
    "Welcome",
    "lines",
]

NICK_MARK: Final = "?nick="
"""What stands between the room and the name to come in by, in what follows the service."""


class _Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=str.lower):
    """One thing that is heard."""


class Said(_Event, frozen=True, kw_only=True):
    """Somebody else said something."""

    position: int
    """Its place among all that was ever said in the room, from 1, without a gap."""
    nick: str
    """Who said it."""
    text: str
    """What, as it was said: to be escaped before it is shown."""
    time: int
    """When, nanoseconds since 1970 UTC."""


class Joined(_Event, frozen=True, kw_only=True):
    """Somebody came in."""

    nick: str
    here: int
    """How many are in the room now."""
    time: int


class Left(_Event, frozen=True, kw_only=True):
    """Somebody went out."""

    nick: str
    here: int
    """How many are in the room now."""
    time: int
    why: str = ""
    """The last words, or what cut the conversation."""


class Renamed(_Event, frozen=True, kw_only=True):
    """Somebody, or you, has another name from now on."""

    nick: str
    """The name so far."""
    to: str
    """The name from now on."""
    time: int


class Missed(_Event, frozen=True, kw_only=True):
    """You took too long to read: this much was left out here. With a count of 0 only joins and leaves were."""

    count: int
    """What the others said meanwhile, messages."""


class Welcome(_Event, frozen=True, kw_only=True):
    """The first event: you are in."""

    room: str
    nick: str
    """Your name."""
    nicks: tuple[str, ...]
    """Others who are here; some of them, where they are many."""
    here: int
    """How many are in the room now, you among them."""
    position: int
    """The position of what was said last; 0 where nothing was."""
    history: int
    """How many `Said` of before follow at once."""


class Notice(_Event, frozen=True, kw_only=True):
    """The room tells something to you alone."""

    text: str
    """To be escaped before it is shown: it may quote you."""


class Here(_Event, frozen=True, kw_only=True):
    """Who is here, the answer to ``/who``."""

    nicks: tuple[str, ...]
    """Their names, yours among them; some of them, where they are many."""
    here: int
    """How many."""


Event: TypeAlias = Said | Joined | Left | Renamed | Missed | Welcome | Notice | Here
"""Whatever is heard in a room."""


def lines(event: Event) -> list[str]:
    """The event for people: lines of text without their ends. What the room says begins with ``*``, which no name
    does.
    """
    return _WRITERS[type(event)](event)


def _said(event: Said) -> list[str]:
    return [f"{escape(event.nick)}: {escape(event.text, prose=True)}"]


def _joined(event: Joined) -> list[str]:
    return [f"* {escape(event.nick)} joined ({event.here:,} here)"]


def _left(event: Left) -> list[str]:
    why = f": {escape(event.why, prose=True)}" if event.why else ""
    return [f"* {escape(event.nick)} left ({event.here:,} here){why}"]


def _renamed(event: Renamed) -> list[str]:
    return [f"* {escape(event.nick)} is now {escape(event.to)}"]


def _missed(event: Missed) -> list[str]:
    if not event.count:
        return ["* you missed who came and went; /who tells who is here"]
    return [f"* you missed {event.count:,} {'message' if event.count == 1 else 'messages'}"]


def _welcome(event: Welcome) -> list[str]:
    first = f"* you are {escape(event.nick)} in {escape(event.room)}"
    others = f" with {_names(event.nicks, event.here - 1)}" if event.here > 1 else ", and nobody else is here"
    return [first + others, *([f"* said before ({event.history:,}):"] if event.history else [])]


def _notice(event: Notice) -> list[str]:
    return [f"* {escape(event.text, prose=True)}"]


def _here(event: Here) -> list[str]:
    return [f"* {event.here:,} here: {_names(event.nicks, event.here)}"]


def _names(nicks: tuple[str, ...], count: int) -> str:
    shown = ", ".join(map(escape, nicks))
    return f"{shown} and {count - len(nicks):,} more" if count > len(nicks) else shown


_WRITERS: Final[Mapping[type, Callable[..., list[str]]]] = {
    Said: _said,
    Joined: _joined,
    Left: _left,
    Renamed: _renamed,
    Missed: _missed,
    Welcome: _welcome,
    Notice: _notice,
    Here: _here,
}

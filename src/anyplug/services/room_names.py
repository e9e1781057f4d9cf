"""The names of rooms and of who is in them: what one may be called, and which names are the same.

Two names that people would take for one are twins: ``Ann``, ``ann`` and the full-width ``Ａｎｎ`` (compatibility forms
and case folded: Unicode Standard Annex 15, and chapter 3.13 of the standard). Letters of different scripts that look
alike are different.
"""

from __future__ import annotations

import unicodedata
from typing import Final

from anyplug.errors import Code, Refused
from anyplug.escape import escape

__all__ = ["BadName", "nick_of", "room_of", "twin"]

_SHOWN: Final = 40
"""Characters of a bad name that are shown."""

_ROOM_BYTES: Final = 190
"""The longest name of a room, bytes of UTF-8: with the service before it, it is the name of a topic in a store."""


class BadName(Refused):
    """A name that nobody can have."""

    def __init__(self, text: str) -> None:
        super().__init__(Code.BAD_MESSAGE, text)


def twin(name: str) -> str:
    """What all twins of a name have in common."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    return unicodedata.normalize("NFKC", folded)


def nick_of(text: str, *, most: int) -> str:
    """The name of somebody, composed (NFC).

    Args:
        text: as it was given.
        most: the longest that it may be, characters.

    Raises:
        BadName: it is none; says why.
    """
    name = _name(text, "a name", most)
    if any(each.isspace() or each in ":/,?" for each in name) or name.startswith("*"):
        raise BadName(f"a name has no spaces, none of : / , ? and no * at its beginning: {_shown(name)}")
    return name


def room_of(text: str, *, most: int) -> str:
    """The name of a room, composed (NFC); raises as `nick_of`."""
    name = _name(text, "the name of a room", most)
    if len(twin(name).encode()) > _ROOM_BYTES:
        raise BadName(f"the name of a room has {_ROOM_BYTES} bytes of UTF-8 at most: {_shown(name)}")
    if any(each in "/?" for each in name) or name != name.strip():
        raise BadName(f"the name of a room has no / or ?, and no space at its ends: {_shown(name)}")
    return name


def _name(text: str, what: str, most: int) -> str:
    if not text:
        raise BadName(f"{what} is empty")
    if len(text) > most:
        raise BadName(f"{what} has {most:,} characters at most, not {len(text):,}: {_shown(text)}")
    if escape(text) != text or "\\" in text:
        raise BadName(f"{what} holds only what can be seen, and no backslash: {_shown(text)}")
    name = unicodedata.normalize("NFC", text)
    if len(twin(name)) > most:
        raise BadName(f"{what} has {most:,} characters at most, each of its letters by itself: {_shown(name)}")
    if unicodedata.combining(name[0]):
        raise BadName(f"{what} begins with a letter, not with a mark on one: {_shown(name)}")
    return name


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"

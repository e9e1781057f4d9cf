"""The names of topics, readers and senders: what one may be called.

A name is shown to people, typed by them, and kept for years: it holds only what can be seen, in composed form (NFC).
"""

from __future__ import annotations

import unicodedata
from typing import Final

from anyplug.errors import Code, Refused
from anyplug.escape import escape

__all__ = ["NAME_MAX", "TOPIC_MAX", "label_of", "topic_of"]

TOPIC_MAX: Final = 190
"""The longest name of a topic, bytes of UTF-8: with the space before it, it is a label of a store."""

NAME_MAX: Final = 128
"""The longest name of a reader or a sender, bytes of UTF-8."""

_SHOWN: Final = 40


def topic_of(text: str) -> str:
    """The name of a topic. It may have parts with ``/`` between them, none of them empty or made of dots alone.

    Raises:
        Refused: it is none; says why.
    """
    name = label_of(text, "the name of a topic", most=TOPIC_MAX)
    if any(part in {"", ".", ".."} for part in name.split("/")):
        raise Refused(Code.BAD_MESSAGE, f"the parts of a topic are not empty, and no . or ..: {_shown(name)}")
    return name


def label_of(text: str, what: str, *, most: int = NAME_MAX) -> str:
    """The name of something.

    Args:
        text: as it was given.
        what: what it is, for the refusal.
        most: the longest that it may be, bytes of UTF-8.

    Raises:
        Refused: it is none; says why.
    """
    if not text:
        raise Refused(Code.BAD_MESSAGE, f"{what} is empty")
    if len(text) > most:
        raise _too_long(text, what, most)
    if escape(text) != text or "\\" in text:
        raise Refused(Code.BAD_MESSAGE, f"{what} holds only what can be seen, and no backslash: {_shown(text)}")
    name = unicodedata.normalize("NFC", text)
    if len(name.encode()) > most:
        raise _too_long(name, what, most)
    if name != name.strip():
        raise Refused(Code.BAD_MESSAGE, f"{what} has no space at its ends: {_shown(name)}")
    return name


def _too_long(text: str, what: str, most: int) -> Refused:
    size = len(text.encode("utf-8", "surrogatepass"))
    return Refused(Code.BAD_MESSAGE, f"{what} has {most} bytes at most, not {size:,}: {_shown(text)}")


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"

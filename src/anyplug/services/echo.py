"""``echo``: answers every message with itself."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec

from anyplug.services.base import Service, reply

if TYPE_CHECKING:
    from anyplug.services.facilities import Facilities

__all__ = ["EchoOptions", "make_echo"]


class EchoOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What can be set."""

    timestamp: bool = False
    """Put the local time before each answer: ``[Fri Nov 20 12:38:43 2026] hello`` (the form of C's ctime). Answers
    are text then."""


def make_echo(name: str, options: EchoOptions, facilities: Facilities | None = None) -> Service:
    """An echo under this name."""
    if options.timestamp:
        return reply(name, _stamped)
    return reply(name, _same, opaque=True)


def _same(body: bytes) -> bytes:
    """Answers every message with itself"""
    return body


def _stamped(message: Any) -> str:
    """Answers every message with itself and the time"""
    return f"[{time.ctime()}] {message}"

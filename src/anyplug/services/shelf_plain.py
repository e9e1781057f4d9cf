"""A shelf for plain clients: on connect they are sent one object, and what they send is kept under one key.

This is the exchange of a header and a pickle that tutorials teach. What they send is read by the codec of the listener,
which executes nothing, and kept as any other value.
"""

from __future__ import annotations

import ast
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from anyplug.codec import make_codec
from anyplug.errors import Code, EncodeError, Refused
from anyplug.schemas.contents import content_type
from anyplug.services.visits import Visit

if TYPE_CHECKING:
    from anyplug.services.facilities import Facilities
    from anyplug.services.shelf import ShelfOptions
    from anyplug.services.visits import Guest
    from anyplug.store import Shelf

__all__ = ["PlainVisit", "largest_value", "literal"]

ROOM: Final = 2048
"""Bytes of an answer beside the body: a key and a content type of the longest kind, numbers, names of fields."""

SHOWN_MAX: Final = 1_000
"""Characters of an object that are shown on the terminal."""

VALUES: Final = "objects"
"""The codec in which values are kept."""


@cache
def literal(text: str) -> Any:
    """The value of a Python literal: numbers, texts, bytes, booleans, None, and containers of them.

    Raises:
        ValueError: it is none, or one that plain clients cannot be sent.
    """
    try:
        value = ast.literal_eval(text)
        make_codec("pickled").encode(value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError, EncodeError) as error:
        example = "{1: 'Client', 2: 'Server'}"
        raise ValueError(f"the value {text[:60]!r} is no Python literal, such as {example!r}: {error}") from error
    return value


def largest_value(limit: int, wanted: int) -> int:
    """The largest value that fits an answer of ``limit`` bytes, also as base64; at most ``wanted``, if not 0."""
    most = max(0, limit - ROOM) // 4 * 3
    return min(most, wanted) if wanted else most


class PlainVisit(Visit):
    """One plain connection."""

    def __init__(
        self, guest: Guest, shelf: Shelf, facilities: Facilities, *, prefix: str, name: str, options: ShelfOptions
    ) -> None:
        if not options.value:
            raise Refused(Code.UNSUPPORTED, "this shelf speaks plug: use `anyplug shelf`, or anyplug.Shelf")
        self._guest = guest
        self._shelf = shelf
        self._facilities = facilities
        self._name = name
        self._key = prefix + options.key
        self._show = options.show
        self._most = largest_value(guest.limit, options.message)
        self._values = make_codec(VALUES)
        guest.say([guest.codec.encode(literal(options.value))])

    async def say(self, bodies: list[bytes]) -> None:
        """Objects came: keep each. One that cannot be read is told, and the others are kept all the same."""
        refusal: Exception | None = None
        for body in bodies:
            try:
                await self._keep(self._guest.codec.decode(body))
            except Exception as error:  # noqa: BLE001 - the first of them is raised behind the last body
                refusal = refusal or error
        if refusal is not None:
            raise refusal

    async def _keep(self, value: Any) -> None:
        body = self._values.encode(value)
        if len(body) > self._most:
            raise Refused(Code.TOO_LARGE, f"an object of {len(body):,} bytes; at most {self._most:,} are kept here")
        now = self._facilities.now()
        await self._shelf.put(self._key, body, time=now, content_type=content_type(VALUES))
        if self._show and self._facilities.show is not None:
            self._facilities.show(self._name, f"{self._guest.peer}: {value!r:.{SHOWN_MAX}}")

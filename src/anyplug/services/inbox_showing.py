"""New messages of an inbox, for whoever sits at the server: as texts that are not escaped yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anyplug.services.facilities import Facilities

__all__ = ["Showing"]

MANY: Final = 20
"""Messages of one batch that are shown; of the others only their number. Nobody reads more at once."""

LONG: Final = 1_000
"""Characters of one message that are shown."""


class Showing:
    """Shows the messages of one topic.

    Args:
        place: the service and the topic, as ``inbox/log``.
        facilities: of the server; its `show` takes them.
    """

    __slots__ = ("_facilities", "_place")

    def __init__(self, place: str, facilities: Facilities) -> None:
        self._place = place
        self._facilities = facilities

    def show(self, sender: str, name: str, positions: Sequence[int], values: Sequence[Any]) -> None:
        """These were kept."""
        show = self._facilities.show
        if show is None:
            return
        who = f"{sender} ({name})" if name else sender
        for position, value in zip(positions[:MANY], values, strict=False):
            show(f"{self._place} {position}", f"{who}: {_text(value)}")
        if len(positions) > MANY:
            show(f"{self._place} {positions[MANY]}", f"{who}: and {len(positions) - MANY:,} more")


def _text(value: Any) -> str:
    """A value as text, not too long; line ends at its end are left out."""
    if isinstance(value, bytes):
        text = value[: 4 * LONG].decode("utf-8", "backslashreplace")
    else:
        text = value if isinstance(value, str) else repr(value)
    text = text.rstrip("\r\n")
    return text if len(text) <= LONG else f"{text[:LONG]}…"

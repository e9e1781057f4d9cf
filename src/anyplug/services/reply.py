"""``reply``: answers messages from a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from anyplug.services.base import Service, conversation, reply

if TYPE_CHECKING:
    from anyplug.connection import Connection
    from anyplug.services.facilities import Facilities

__all__ = ["ReplyOptions", "make_reply"]


class ReplyOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What can be set."""

    answer: str = "I am server."
    """The answer to every message that is not in the table."""
    answers: dict[str, str] = {}
    """Answers to certain messages, by their exact text."""
    once: bool = False
    """End the conversation after the first answer."""


def make_reply(name: str, options: ReplyOptions, facilities: Facilities | None = None) -> Service:
    """A replier under this name."""

    def answer(message: Any) -> str:
        """Answers every message from a table"""
        return options.answers.get(message, options.answer) if isinstance(message, str) else options.answer

    async def answer_once(peer: Connection[Any]) -> None:
        """Answers one message from a table and ends"""
        async for message in peer:
            await peer.send(answer(message))
            return

    return conversation(name, answer_once, type=Any) if options.once else reply(name, answer)

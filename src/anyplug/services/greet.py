"""``greet``: speaks first. It says its greeting, may take one receipt, and ends the conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from anyplug.services.base import Service, conversation

if TYPE_CHECKING:
    from anyplug.connection import Connection

__all__ = ["GreetOptions", "make_greet"]


class GreetOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What can be set."""

    text: str = "Welcome to Anyplug!"
    """The greeting."""
    receipt: bool = False
    """Wait for one message of the peer after the greeting, and log it."""
    patience: float = 60.0
    """How long to wait for the receipt, seconds."""


def make_greet(name: str, options: GreetOptions) -> Service:
    """A greeter under this name."""

    async def greet(peer: Connection[Any]) -> None:
        """Says a greeting and ends"""
        await peer.send(options.text)
        if options.receipt:
            await peer.receive(options.patience)

    return conversation(name, greet, type=Any)

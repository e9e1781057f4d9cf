"""The services that come with Anyplug, one file each.

A service here is a function that makes a `Service` from a name and its options, which are a frozen struct: the
configuration file is decoded into it, so that a misspelt option is named with its line. `KINDS` is the table of them
all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from anyplug.services.echo import EchoOptions, make_echo
from anyplug.services.greet import GreetOptions, make_greet
from anyplug.services.reply import ReplyOptions, make_reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyplug.services.base import Service

__all__ = [
    "KINDS",
    "EchoOptions",
    "GreetOptions",
    "Kind",
    "ReplyOptions",
    "default_services",
    "make_echo",
    "make_greet",
    "make_reply",
]


class Kind(NamedTuple):
    """One kind of service."""

    options: type[Any]
    """The struct of its options."""
    make: Callable[[str, Any], Service]
    """Makes a service of this kind from its name and options."""


KINDS: dict[str, Kind] = {
    "greet": Kind(GreetOptions, make_greet),
    "reply": Kind(ReplyOptions, make_reply),
    "echo": Kind(EchoOptions, make_echo),
}
"""All kinds, by the name in ``kind = "echo"`` of the configuration."""


def default_services() -> list[Service]:
    """What a server offers where nothing is configured: one service of each kind, under the kind's name."""
    return [kind.make(name, kind.options()) for name, kind in KINDS.items()]

"""The services that come with Anyplug, one file each.

A service here is a function that makes a `Service` from a name and its options, which are a frozen struct: the
configuration file is decoded into it, so that a misspelt option is named with its line. `KINDS` is the table of them
all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from anyplug.services.echo import EchoOptions, make_echo
from anyplug.services.facilities import Facilities
from anyplug.services.files import FilesOptions, make_files
from anyplug.services.greet import GreetOptions, make_greet
from anyplug.services.inbox import InboxOptions, make_inbox
from anyplug.services.reply import ReplyOptions, make_reply
from anyplug.services.shelf import ShelfOptions, make_shelf
from anyplug.services.talk import TalkOptions, make_talk

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyplug.services.base import Service

__all__ = [
    "KINDS",
    "EchoOptions",
    "Facilities",
    "FilesOptions",
    "GreetOptions",
    "InboxOptions",
    "Kind",
    "ReplyOptions",
    "ShelfOptions",
    "TalkOptions",
    "default_services",
    "make_echo",
    "make_files",
    "make_greet",
    "make_inbox",
    "make_reply",
    "make_shelf",
    "make_talk",
]


class Kind(NamedTuple):
    """One kind of service."""

    options: type[Any]
    """The struct of its options."""
    make: Callable[[str, Any, Facilities], Service]
    """Makes a service of this kind from its name, its options, and what the server gives to it."""
    keeps: Callable[[Any], bool] = lambda options: True
    """Whether a service with these options keeps something, so that the server needs a store."""


def _nothing(options: object) -> bool:
    """Nothing is kept."""
    return False


KINDS: dict[str, Kind] = {
    "greet": Kind(GreetOptions, make_greet, keeps=lambda options: bool(options.keep)),
    "reply": Kind(ReplyOptions, make_reply, keeps=_nothing),
    "echo": Kind(EchoOptions, make_echo, keeps=_nothing),
    "inbox": Kind(InboxOptions, make_inbox),
    "shelf": Kind(ShelfOptions, make_shelf),
    "talk": Kind(TalkOptions, make_talk),
    "files": Kind(FilesOptions, make_files),
}
"""All kinds, by the name in ``kind = "echo"`` of the configuration."""


def default_services(facilities: Facilities | None = None) -> list[Service]:
    """What a server offers where nothing is configured: one service of each kind, under the kind's name."""
    shared = facilities or Facilities()
    return [kind.make(name, kind.options(), shared) for name, kind in KINDS.items()]

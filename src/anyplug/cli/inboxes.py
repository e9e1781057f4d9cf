"""An inbox, as commands open it, and the options they share."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from anyplug.cli.conversation import goodbye
from anyplug.cli.options import json_option
from anyplug.client import CONNECT_TIMEOUT
from anyplug.inbox import Inbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from anyplug.cli.faults import Fault
    from anyplug.cli.options import Settings

__all__ = ["INBOX_CODECS", "inbox_options", "open_inbox", "without_parse"]

F = TypeVar("F", bound="Callable[..., Any]")

INBOX_CODECS: Final = ("msgpack", "json", "text", "bytes")
"""Codecs that a text of the command line can be posted in."""


@asynccontextmanager
async def open_inbox(settings: Settings, *, name: str = "") -> AsyncIterator[Inbox]:
    """The inbox that the settings mean; it is closed at the end of the block. Raises as `Inbox`."""
    inbox = await Inbox(
        settings.address,
        codec=settings.codec_name,
        name=name,
        timeout=settings.timeout or CONNECT_TIMEOUT,
        token=settings.token,
    )
    try:
        yield inbox
    finally:
        await goodbye(inbox.connection)


def without_parse(fault: Fault) -> Fault:
    """The fault without the hint for services that want an object: what an inbox refuses so is a name."""
    return fault._replace(hint="") if fault.code == "refused/bad_message" else fault


def inbox_options(function: F) -> F:
    """The options of every command that speaks to an inbox."""
    token = click.option("--token-file", metavar="FILE", help="A file with the server's token; or set ANYPLUG_TOKEN.")
    return json_option(token(function))

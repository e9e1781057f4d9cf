"""``anyplug post --outbox``: messages that wait on this disk until their server has them."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anyplug.cli.faults import FAILURE, OK, explain
from anyplug.cli.options import read_token
from anyplug.errors import Refused, Timeout
from anyplug.outbox import Outbox, default_path

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from anyplug.address import Address
    from anyplug.cli.options import Settings
    from anyplug.cli.output import Output

__all__ = ["post_later"]


async def post_later(settings: Settings, output: Output, source: AsyncIterator[Sequence[Any]], path: str) -> int:
    """Put all messages into the outbox, and deliver as long as there is time; the exit status.

    Args:
        settings: where to; its timeout is for the delivery.
        output: where to tell how it goes.
        source: the messages, in batches.
        path: of the outbox; the user's own where it is empty.

    Raises:
        AnyplugError: as `Outbox`.
    """
    where = Path(path) if path else default_path(os.environ)
    async with Outbox(where, token=partial(_token, settings)) as outbox:
        put: set[int] = set()
        async for messages in source:
            put.update(await outbox.post_many(settings.address, messages, codec=settings.codec_name))
        if output.json:
            await output.put(output.event("waiting", messages=len(put), outbox=str(where)))
        try:
            await outbox.drained(settings.timeout, address=settings.address)
        except Timeout as error:
            output.error(explain(error)._replace(hint=f"they are safe in {where}, and go out with the next --outbox"))
            return explain(error).status
        refused = [each for each in await outbox.refusals(min(put, default=1) - 1) if each.id in put]
        for each in refused:
            output.error(explain(Refused(each.code, each.text)))
        if output.json:
            await output.put(output.event("delivered", messages=len(put) - len(refused)))
        return FAILURE if refused else OK


def _token(settings: Settings, where: Address) -> str:
    """The token that was given is for the server that was named, and for no other that something waits for."""
    named = settings.address
    same = (where.scheme, where.host, where.port, where.path) == (named.scheme, named.host, named.port, named.path)
    return settings.token if same else read_token(where, None)

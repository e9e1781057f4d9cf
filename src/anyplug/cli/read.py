"""``anyplug read``: read what a server has kept."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from anyplug.cli.conversation import run
from anyplug.cli.faults import OK
from anyplug.cli.inboxes import inbox_options, open_inbox, without_parse
from anyplug.cli.options import Settings, address_argument, timeout_option
from anyplug.cli.output import Output
from anyplug.cli.printer import LineEnd, Printer
from anyplug.errors import DecodeError, LocalError, Timeout
from anyplug.schemas.reading import MANY, POLL
from anyplug.server.units import parse_seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anyplug.inbox import Follow
    from anyplug.schemas.inbox import Message

__all__ = ["Reading", "command", "moment"]


class _Moment(click.ParamType[datetime]):
    """A time: so long ago, or a date and time."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The time."""
        try:
            return moment(str(value), datetime.now(UTC))
        except ValueError:
            self.fail(f"{value!r} is no time: expected one such as 5m, 2h, 2026-11-20 or 2026-11-20T16:30.", param, ctx)


def moment(text: str, now: datetime) -> datetime:
    """The time that a text means: so long before ``now``, or a date and time, of this machine's zone where it names
    none.

    Raises:
        ValueError: it means none.
    """
    try:
        ago = parse_seconds(text)
    except ValueError:
        return datetime.fromisoformat(text).astimezone()
    return now - timedelta(seconds=ago)


@click.command(
    "read",
    short_help="Read what a server has kept, and follow it.",
    epilog="""\b
    Examples:
    anyplug read 127.0.0.1/inbox/log --last 10
    anyplug read 127.0.0.1/inbox/log --since 5m --follow
    anyplug read 127.0.0.1/inbox/log --reader worker --follow --json""",
)
@address_argument
@click.option("--from", "start", type=click.IntRange(min=1), metavar="N", help="From position N on.")
@click.option("--last", type=click.IntRange(min=0), metavar="N", help="The last N; 0 with --follow: what is to come.")
@click.option("--since", type=_Moment(), metavar="TIME", help="From a time on: 5m ago, or 2026-11-20T16:30.")
@click.option("--follow", "-f", is_flag=True, help="Go on with each new message as it comes.")
@click.option("--reader", default="", metavar="NAME", help="Read on where a reader of this name has stopped.")
@click.option("--ack/--no-ack", default=None, help="Whether what a reader was shown is done with; it is.")
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="End after N messages.")
@timeout_option("How long to wait for the connection (10 where nothing is said) and with --follow for each message.")
@inbox_options
def command(
    address: str,
    start: int | None,
    last: int | None,
    since: datetime | None,
    follow: bool,
    reader: str,
    ack: bool | None,
    count: int | None,
    **options: Any,
) -> int:
    """Print the messages that the inbox at ADDRESS, HOST/inbox/TOPIC, has kept.

    Without --from, --last or --since it is all of them, from the first; or with --reader those that a reader of this
    name has not acknowledged yet. What was printed is acknowledged, unless with --no-ack.

    Texts are printed as they are, one a line; on a terminal what it would obey is escaped. --json tells the position,
    the time, the sender and the content type of each. How many messages are gone since nobody wanted to keep them is
    told too.
    """
    if ack and not reader:
        raise LocalError("--ack is for a reader who has a name; add --reader NAME")
    if sum(each is not None for each in (start, last, since)) > 1:
        raise LocalError("--from, --last and --since each say where to begin; give one of them")
    settings = Settings.of(address, framing=None, codec=None, **options)
    output = Output(json=settings.json)
    reading = Reading(
        settings.timeout, output, follow=follow, acknowledge=bool(reader) and ack is not False, count=count
    )

    async def read() -> int:
        async with open_inbox(settings) as inbox:
            return await reading.read(inbox.follow(start=start, last=last, since=since, reader=reader))

    return run(read, output, advise=without_parse)


class Reading:
    """Prints what comes, batch by batch.

    Args:
        patience: seconds to wait for each message when following, or None for no limit.
        output: where to.
        follow: whether to wait for what is still to come.
        acknowledge: whether what was printed is done with.
        count: messages, at most.
    """

    def __init__(
        self, patience: float | None, output: Output, *, follow: bool, acknowledge: bool, count: int | None
    ) -> None:
        self._patience = patience
        self._output = output
        self._follow = follow
        self._acknowledge = acknowledge
        self._left = count
        self._missed = 0
        self._printer = Printer(output, "message", line_end=LineEnd.MISSING, text=False)

    async def read(self, follow: Follow) -> int:
        """Print everything; the exit status."""
        end: int | None = None
        while self._left is None or self._left > 0:
            messages = await self._batch(follow)
            await self._tell_missed(follow, messages)
            await self._output.put(b"".join(map(self._render, messages)))
            if self._left is not None:
                self._left -= len(messages)
            if messages and self._acknowledge:
                await follow.acknowledge()
            end = follow.end if end is None else end
            if not self._follow and (not messages or follow.handed >= end):
                break
        await self._printer.finish()
        return OK

    async def _batch(self, follow: Follow) -> list[Message]:
        """The next messages; none where there are no more, and it is not to wait.

        Raises:
            Timeout: none came in time.
        """
        limit = MANY if self._left is None else min(MANY, self._left)
        if not self._follow:
            return await follow.batch(wait=0, limit=limit)
        patience = self._patience
        loop = asyncio.get_running_loop()
        until = None if patience is None else loop.time() + patience
        while True:
            wait = POLL if until is None else min(POLL, max(0.0, until - loop.time()))
            messages = await follow.batch(wait=wait, limit=limit)
            if messages:
                return messages
            if patience is not None and until is not None and loop.time() >= until:
                raise Timeout("a new message", patience)

    async def _tell_missed(self, follow: Follow, messages: Sequence[Message]) -> None:
        new = follow.missed - self._missed
        if not new:
            return
        self._missed = follow.missed
        first = messages[0].position if messages else follow.end + 1
        if self._output.json:
            await self._output.put(self._output.event("missed", messages=new, first=first))
        else:
            self._output.note(f"{new:,} messages before {first:,} are gone: the inbox keeps only so much")

    def _render(self, message: Message) -> bytes:
        try:
            value = message.value
        except DecodeError:  # it was checked when it came; but another version may have kept it
            value = message.body
        if not self._output.json:
            return self._printer.render(value)
        fields: dict[str, Any] = {"position": message.position, "received": _iso(message.time)}
        fields |= {"sender": message.sender, "name": message.name, "content_type": message.content_type}
        if message.redelivered:
            fields["redelivered"] = True
        return self._printer.render(value, **fields)


def _iso(time: datetime) -> str:
    return time.isoformat(timespec="microseconds").replace("+00:00", "Z")

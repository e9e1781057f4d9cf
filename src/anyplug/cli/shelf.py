"""``anyplug shelf``: look at shared values, set them, watch them."""

from __future__ import annotations

import ast
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from anyplug.cli.conversation import run
from anyplug.cli.faults import FAILURE, OK, Fault, explain
from anyplug.cli.flags import json_option, timeout_option
from anyplug.cli.options import address_argument, read_token
from anyplug.cli.output import Output
from anyplug.cli.printer import LineEnd, Printer
from anyplug.cli.shown import event_fields, object_text
from anyplug.cli.stdin import Stdin
from anyplug.cli.texts import argument_bytes
from anyplug.connection import ASK_TIMEOUT
from anyplug.errors import Changed, DecodeError, LocalError
from anyplug.escape import escape
from anyplug.limits import DEFAULTS
from anyplug.shelf import Shelf

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from anyplug.schemas.shelf import Entry

__all__ = ["command", "value_of"]

_UNREAD: Final = "cannot be read here"


@click.command(
    "shelf",
    short_help="Look at shared values, set them, watch them.",
    epilog="""\b
    Examples:
    anyplug shelf 127.0.0.1/shelf
    anyplug shelf 127.0.0.1/shelf put config '{"level": 3}'
    anyplug shelf 127.0.0.1/shelf get config
    anyplug shelf 127.0.0.1/shelf put count 8 --expected 41
    anyplug shelf 127.0.0.1/shelf watch --json""",
)
@address_argument
@click.argument("action", type=click.Choice(["list", "get", "put", "delete", "history", "watch"]), default="list")
@click.argument("key", required=False)
@click.argument("value", required=False)
@click.option("--text", is_flag=True, help="put: VALUE is a text as it stands.")
@click.option("--expected", type=click.IntRange(min=0), metavar="N", help="put, delete: only in place of version N.")
@click.option("--after", type=click.IntRange(min=0), metavar="N", help="watch: begin behind version N; 0 for all.")
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="watch: end after N changes.")
@timeout_option("How long to wait for the connection and for each answer; 10 and 30 where nothing is said.")
@click.option("--token-file", metavar="FILE", help="A file with the server's token; or set ANYPLUG_TOKEN.")
@json_option
def command(
    address: str,
    action: str,
    key: str | None,
    value: str | None,
    timeout: float | None,
    token_file: str | None,
    json: bool,
    **options: Any,
) -> int:
    """Use the shelf at ADDRESS, HOST/shelf.

    \b
    list [PREFIX]      every key with its version and value
    get KEY            the value
    put KEY VALUE      set it; VALUE is JSON or a Python literal, from standard input where it is left out
    delete KEY
    history KEY        its last changes, the newest first
    watch [PREFIX]     each change as it comes

    Values are printed as JSON where JSON can hold them, else as Python literals; what a terminal would obey is escaped.
    """  # noqa: D301 - click wants the character
    _check(action, key, value, options)
    output = Output(json=json)
    where = _address(address)
    token = read_token(where, token_file)
    shelf = Shelf(where, timeout=timeout or ASK_TIMEOUT, token=token)
    work = _Work(shelf, output, key or "", value, **options)

    async def use() -> int:
        async with shelf:
            try:
                return await _ACTIONS[action](work)
            except Changed as error:
                output.error(Fault("changed", escape(str(error)), "", FAILURE))
                return FAILURE

    return run(use, output, advise=_advise)


def _advise(fault: Fault) -> Fault:
    """The fault without a hint that is for other services."""
    return fault._replace(hint="") if fault.code == "refused/bad_message" else fault


def _address(address: str) -> Any:
    from anyplug.address import Address

    return Address.parse(address).connectable()


_TAKES: Final[Mapping[str, str]] = {
    "text": "put",
    "expected": "put delete",
    "after": "watch",
    "count": "watch",
}
"""Which actions take an option."""


def _check(action: str, key: str | None, value: str | None, options: Mapping[str, Any]) -> None:
    """Refuse words and options that do not fit together."""
    if key is None and action in {"get", "put", "delete", "history"}:
        raise click.UsageError(f"{action} wants a KEY")
    if value is not None and action != "put":
        raise click.UsageError(f"{action} takes no VALUE")
    for name, given in options.items():
        if given is not None and given is not False and action not in _TAKES[name].split():
            raise click.UsageError(f"--{name} is for {' and '.join(_TAKES[name].split())}")


def value_of(typed: bytes, *, text: bool) -> Any:
    """The value that somebody typed: the JSON or the Python literal in it, or the text itself.

    Raises:
        LocalError: it is neither.
    """
    try:
        typed_text = typed.decode()
    except UnicodeDecodeError as error:
        raise LocalError("the value is not UTF-8; write bytes as a Python literal, such as b'\\xff'") from error
    if text:
        return typed_text
    try:
        return msgspec.json.decode(typed)
    except (msgspec.DecodeError, RecursionError):
        pass
    try:
        return ast.literal_eval(typed_text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        shown = repr(typed_text if len(typed_text) <= 40 else typed_text[:39] + "…")
        raise LocalError(f"{shown} is neither JSON nor a Python literal; for a text add --text") from error


class _Work:
    """What is to be done, and how it is told."""

    def __init__(
        self,
        shelf: Shelf,
        output: Output,
        key: str,
        value: str | None,
        *,
        text: bool,
        expected: int | None,
        after: int | None,
        count: int | None,
    ) -> None:
        self._shelf = shelf
        self._output = output
        self._key = key
        self._value = value
        self._text = text
        self._expected = expected
        self._after = after
        self._count = count

    async def list(self) -> int:
        """Every key with its version and value."""
        async for entry in self._shelf.listed(self._key):
            await self._tell("entry", entry, keyed=True)
        return OK

    async def get(self) -> int:
        """One value."""
        entry = await self._shelf.entry(self._key)
        if entry is None:
            self._output.error(Fault("no_value", f"there is no value under {escape(self._key)}", "", FAILURE))
            return FAILURE
        printer = Printer(self._output, "value", line_end=LineEnd.ALWAYS, text=False)
        fields = {"key": entry.key, "version": entry.version, "time": _time(entry)}
        await self._output.put(printer.render(entry.value, **fields))
        await printer.finish()
        return OK

    async def put(self) -> int:
        """Set a value."""
        if self._value is not None:
            value = value_of(argument_bytes(self._value), text=self._text)
        else:
            value = value_of(await Stdin(DEFAULTS.message).whole(), text=self._text)
        version = await self._shelf.put(self._key, value, expected=self._expected)
        await self._written("put", version)
        return OK

    async def delete(self) -> int:
        """Delete a value."""
        version = await self._shelf.delete(self._key, expected=self._expected)
        if not version:
            self._output.error(Fault("no_value", f"there is no value under {escape(self._key)}", "", FAILURE))
            return FAILURE
        await self._written("deleted", version)
        return OK

    async def history(self) -> int:
        """The last changes of a key."""
        for entry in await self._shelf.history(self._key):
            await self._tell("change", entry, keyed=False)
        return OK

    async def watch(self) -> int:
        """Each change as it comes."""
        left = self._count
        async with aclosing(self._shelf.watch(self._key, after=self._after)) as changes:
            async for entry in changes:
                if entry.missed:
                    self._output.note(f"changes of {escape(entry.key)} before version {entry.version} are missed")
                await self._tell("change", entry, keyed=True)
                left = None if left is None else left - 1
                if left == 0:
                    break
        return OK

    async def _written(self, kind: str, version: int) -> None:
        if self._output.json:
            await self._output.put(self._output.event(kind, key=self._key, version=version))
        else:
            self._output.note(f"version {version}")

    async def _tell(self, kind: str, entry: Entry, *, keyed: bool) -> None:
        """One entry in one line."""
        try:
            value, problem = entry.value, ""
        except DecodeError as error:
            value, problem = None, explain(error).message
        if self._output.json:
            await self._output.put(self._event(kind, entry, value, problem))
            return
        if entry.deleted:
            shown = "(deleted)"
        elif problem:
            shown = f"({_UNREAD}: {problem})"
        else:
            shown = object_text(value)
        words = [escape(entry.key)] if keyed else []
        words += [str(entry.version)] if keyed else [str(entry.version), _time(entry)]
        await self._output.put("\t".join([*words, shown]).encode() + b"\n")

    def _event(self, kind: str, entry: Entry, value: Any, problem: str) -> bytes:
        fields: dict[str, Any] = {"key": entry.key, "version": entry.version, "time": _time(entry)}
        if entry.missed:
            fields["missed"] = True
        if entry.deleted:
            fields["deleted"] = True
        elif problem:
            fields["problem"] = problem
        else:
            fields |= event_fields(value)
        return self._output.event(kind, **fields)


def _time(entry: Entry) -> str:
    return entry.time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


_ACTIONS: Final[Mapping[str, Callable[[_Work], Awaitable[int]]]] = {
    "list": _Work.list,
    "get": _Work.get,
    "put": _Work.put,
    "delete": _Work.delete,
    "history": _Work.history,
    "watch": _Work.watch,
}

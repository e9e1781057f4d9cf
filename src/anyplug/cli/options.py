"""The options that commands share, and what they mean together: `Settings`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import click

from anyplug.address import Address
from anyplug.cli.flags import SECONDS, json_option, timeout_option
from anyplug.cli.printer import LineEnd, Printer
from anyplug.errors import LocalError
from anyplug.plan import PLUG_CODEC

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyplug.cli.faults import Fault
    from anyplug.cli.output import Output

__all__ = [
    "CODEC_NAMES",
    "FRAMING_NAMES",
    "SECONDS",
    "Settings",
    "address_argument",
    "json_option",
    "parse_option",
    "read_token",
    "speaking_options",
    "timeout_option",
]

F = TypeVar("F", bound="Callable[..., Any]")

FRAMING_NAMES: Final = ("raw", "lines", "header", "prefix")
CODEC_NAMES: Final = ("bytes", "text", "json", "msgpack", "objects", "pickled")


class Settings(NamedTuple):
    """Where to, and how to speak there."""

    address: Address
    framing: str | None
    codec: str | None
    timeout: float | None
    json: bool
    token: str
    parse: bool = False

    @classmethod
    def of(
        cls,
        address: str,
        *,
        framing: str | None,
        codec: str | None,
        timeout: float | None,
        json: bool,
        token_file: str | None,
        parse: bool = False,
    ) -> Settings:
        """From the command line.

        Raises:
            AddressError: the address cannot be used.
            LocalError: the token cannot be read, or options do not fit together.
        """
        where = Address.parse(address).connectable()
        token = read_token(where, token_file)
        settings = cls(where, framing, codec, timeout, json, token, parse)
        if parse and settings.codec_name in {"bytes", "text"}:
            given = "--codec" if codec or "codec" in where.options else "a plain connection without --codec"
            raise LocalError(
                f"--parse makes objects of JSON, and {given} carries {settings.codec_name}; add --codec json"
            )
        return settings

    @property
    def codec_name(self) -> str:
        """How objects become bytes. Plain connections carry bytes where nothing is said: texts pass as they are, and so
        does what is no text.
        """
        return self.codec or self.address.options.get("codec") or (PLUG_CODEC if self.address.is_plug else "bytes")

    @property
    def cut(self) -> str:
        """How messages are told apart: ``plug``, ``packets``, or the name of a framing."""
        options = self.address.options
        if self.address.is_plug:
            return "plug"
        if self.address.is_packet or self.address.is_datagram:
            return "packets"
        implied = "raw" if "until" in options else "header" if "width" in options else "lines"
        return self.framing or options.get("framing") or implied

    @property
    def plain_text(self) -> bool:
        """Whether bytes are what a peer wrote, in an encoding that nobody named."""
        unnamed = self.codec is None and "codec" not in self.address.options
        return not self.address.is_plug and (unnamed or (self.codec_name == "bytes" and self.cut == "lines"))

    def printer(self, output: Output, kind: str, *, pieces: LineEnd) -> Printer:
        """What prints messages that come from there.

        Args:
            output: where to.
            kind: the type of the JSON events.
            pieces: whether a line feed follows a piece of a raw stream.
        """
        line_end = {"raw": pieces, "packets": LineEnd.MISSING}.get(self.cut, LineEnd.ALWAYS)
        return Printer(output, kind, line_end=line_end, text=self.plain_text)

    def advise(self, fault: Fault) -> Fault:
        """The fault, with a better hint where the options give reason for one."""
        if fault.code == "timeout" and self.cut == "lines":
            return fault._replace(hint="if the server ends its messages with no line feed, try --framing raw")
        if fault.code == "bad_message" and self.codec_name == "text":
            return fault._replace(hint="if it is no text, try --codec bytes")
        return fault


def address_argument(function: F) -> F:
    """The argument ADDRESS."""
    return click.argument("address")(function)


def parse_option(function: F) -> F:
    """The option --parse."""
    text = "Send the JSON value that TEXT holds (a number, a list, ...) in place of TEXT itself."
    return click.option("--parse", is_flag=True, help=text)(function)


def speaking_options(function: F) -> F:
    """The options of every command that speaks to services and plain sockets."""
    framing = "How a plain stream is cut into messages; lines where nothing is said."
    codec = "How messages become bytes; msgpack on plug://, the bytes of the text elsewhere."
    for option in (
        json_option,
        click.option("--token-file", metavar="FILE", help="A file with the server's token; or set ANYPLUG_TOKEN."),
        click.option("--codec", type=click.Choice(CODEC_NAMES), help=codec),
        click.option("--framing", type=click.Choice(FRAMING_NAMES), help=framing),
    ):
        function = option(function)
    return function


def read_token(address: Address, file: str | None) -> str:
    """The token; that of the environment is for servers that may ask for one."""
    if file is None:
        return os.environ.get("ANYPLUG_TOKEN", "") if address.is_plug else ""
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise LocalError(f"the token file {file!r} cannot be read: {why}") from error

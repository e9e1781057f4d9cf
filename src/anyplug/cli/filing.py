"""What the commands for files share: their options, the service as they open it, and how they run."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
import msgspec

from anyplug.address import Address
from anyplug.cli.faults import FAILURE, INTERRUPTED, PIPE_CLOSED, OutputError, explain
from anyplug.cli.flags import json_option, timeout_option
from anyplug.cli.options import read_token
from anyplug.client import CONNECT_TIMEOUT
from anyplug.errors import AddressError, AnyplugError
from anyplug.escape import escape
from anyplug.files import PATIENCE, SERVICE, Files

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from anyplug.cli.output import Output
    from anyplug.schemas.files import File

__all__ = ["file_fields", "file_options", "loop", "open_files", "run", "sized", "split_name", "where"]

F = TypeVar("F", bound="Callable[..., Any]")

UNITS: Final = ("bytes", "KiB", "MiB", "GiB", "TiB")


def file_options(function: F) -> F:
    """The options of every command that speaks to a files service."""
    text = (
        f"How long to go on without any progress while the server is not there; {PATIENCE:g}. "
        f"Each attempt to connect has {CONNECT_TIMEOUT:g} at most."
    )
    token = click.option("--token-file", metavar="FILE", help="A file with the server's token; or set ANYPLUG_TOKEN.")
    return json_option(token(timeout_option(text)(function)))


def where(address: str) -> Address:
    """The address of a files service, with what follows it.

    Raises:
        AddressError: it cannot be used.
    """
    found = Address.parse(address).connectable()
    return found if found.service else msgspec.structs.replace(found, service=SERVICE)


def split_name(address: str) -> tuple[Address, str]:
    """The address of a service, and the name of a file in it.

    Raises:
        AddressError: it names no file.
    """
    found = where(address)
    if not found.rest.strip("/"):
        expected = "the name of a file behind the service, as in HOST/files/NAME"
        raise AddressError(address, part="path", found=f"/{found.service}", expected=expected)
    return msgspec.structs.replace(found, rest=""), found.rest


def open_files(address: Address, *, timeout: float | None, token_file: str | None) -> Files:
    """The service at an address; not connected yet. Raises as `Files`."""
    token = read_token(address, token_file)
    within = min(timeout or CONNECT_TIMEOUT, CONNECT_TIMEOUT)
    return Files(address, timeout=within, patience=timeout or PATIENCE, token=token)


def loop() -> asyncio.AbstractEventLoop:
    """An event loop that is quick with large writes."""
    try:
        import uvloop
    except ImportError:  # not on Windows
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def run(work: Callable[[], Coroutine[Any, Any, int]], output: Output, *, interrupted: Callable[[], None]) -> int:
    """Run the work of a command to its exit status.

    Args:
        work: does it; returns the status.
        output: where errors are told.
        interrupted: tells how to go on after Ctrl-C.
    """
    try:
        with asyncio.Runner(loop_factory=loop) as runner:
            return runner.run(work())
    except AnyplugError as error:
        fault = explain(error)
    except BrokenPipeError:
        return PIPE_CLOSED
    except KeyboardInterrupt:
        interrupted()
        return INTERRUPTED
    with suppress(BrokenPipeError, OutputError):
        output.error(fault)
    return fault.status or FAILURE


def sized(size: float) -> str:
    """A size for people: three digits or so, and a unit."""
    unit = 0
    while size >= 1000 and unit < len(UNITS) - 1:
        size /= 1024
        unit += 1
    return f"{size:.0f} {UNITS[unit]}" if unit == 0 or size >= 100 else f"{size:.3g} {UNITS[unit]}"


def file_fields(file: File) -> dict[str, Any]:
    """A file, for an event."""
    fields: dict[str, Any] = {"name": file.name, "size": file.size, "digest": file.digest.hex()}
    fields["time"] = file.time.isoformat()
    if file.content_type:
        fields["content_type"] = file.content_type
    if file.label:
        fields["label"] = file.label
    return fields


def shown_name(name: str) -> str:
    """A name that is fit for a terminal."""
    return escape(name)

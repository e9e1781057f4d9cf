"""What somebody typed, as a message of the codec that carries it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import msgspec

from anyplug.errors import LocalError

if TYPE_CHECKING:
    from anyplug.cli.options import Settings

__all__ = ["argument_bytes", "to_message"]


def argument_bytes(text: str) -> bytes:
    """A word of the command line, byte for byte as it was given."""
    return os.fsencode(text)


def to_message(typed: bytes, settings: Settings) -> Any:
    """The message in a text: bytes for codec bytes, the JSON value in it with ``--parse``, else the text.

    Raises:
        LocalError: it is not UTF-8, or not JSON.
    """
    if settings.parse:
        try:
            return msgspec.json.decode(typed)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise LocalError(f"--parse wants JSON, and {_start(typed)} is none: {error}") from error
    if settings.codec_name == "bytes":
        return typed
    try:
        return typed.decode()
    except UnicodeDecodeError as error:
        bad = f"byte 0x{typed[error.start]:02x} at offset {error.start}"
        raise LocalError(f"the text is not UTF-8 ({bad}); use --codec bytes for what is no text") from error


def _start(typed: bytes) -> str:
    text = typed.decode("utf-8", "replace")
    return repr(text if len(text) <= 40 else text[:39] + "…")

r"""Values as they are printed.

==================================  ================================================================
value                               is printed as
==================================  ================================================================
a text                              itself
bytes                               themselves
what JSON can hold without a loss   JSON in one line
anything else                       its Python literal: ``{1: 'Client', 2: 'Server'}``, ``(1, 2)``
==================================  ================================================================

On a terminal nothing of it is obeyed: texts and bytes are escaped by `anyplug.escape`, and JSON writes what cannot be
seen as ``\u001b``, which is JSON still. Into a pipe or a file texts and bytes go byte for byte.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from anyplug.escape import escape, escape_bytes

__all__ = ["event_fields", "is_json", "json_text", "object_text", "terminal_bytes", "terminal_text"]


def is_json(value: object) -> bool:
    """Whether JSON gives the value back as it is: no tuples, no sets, no keys but texts, no NaN."""
    if value is None or isinstance(value, (bool, int, str)):
        return True
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, list):
        return all(map(is_json, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) for key in value) and all(map(is_json, value.values()))
    return False


def json_text(value: object) -> str:
    """A value that `is_json`, in one printable line. Half of a surrogate pair is written as an escape too."""
    try:
        text = msgspec.json.encode(value).decode()
    except (UnicodeEncodeError, OverflowError):
        import json

        text = json.dumps(value)
    return text if text.isascii() and "\x7f" not in text else "".join(map(_json_character, text))


def object_text(value: object) -> str:
    """A value that is neither text nor bytes, in one printable line."""
    return json_text(value) if is_json(value) else "\\".join(map(escape, repr(value).split("\\")))


def event_fields(value: object, *, text: bool = False) -> dict[str, Any]:
    """How a value stands in a JSON event: under ``value`` where JSON can hold it, else under ``base64`` or ``literal``.

    Args:
        value: the value.
        text: bytes are text where they are UTF-8.
    """
    if isinstance(value, bytes):
        if text:
            try:
                return {"value": value.decode()}
            except UnicodeDecodeError:
                pass
        from base64 import b64encode

        return {"base64": b64encode(value).decode()}
    return {"value": value} if is_json(value) else {"literal": object_text(value)}


def terminal_text(text: str) -> str:
    """A text of a peer on lines of its own."""
    return escape(text.replace("\r\n", "\n"), newlines=True, prose=True)


def terminal_bytes(data: bytes) -> str:
    """Bytes of a peer on lines of their own: as text where they are UTF-8."""
    try:
        return terminal_text(data.decode())
    except UnicodeDecodeError:
        return "\n".join(map(escape_bytes, data.replace(b"\r\n", b"\n").split(b"\n")))


def _json_character(character: str) -> str:
    if character == "\\" or (character.isprintable() and escape(character) == character):
        return character
    number = ord(character)
    if number < 0x10000:
        return f"\\u{number:04x}"
    number -= 0x10000
    return f"\\u{0xD800 | number >> 10:04x}\\u{0xDC00 | number & 0x3FF:04x}"

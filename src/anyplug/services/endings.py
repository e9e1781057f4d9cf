"""The ending of a file's name by what the file begins with: ``.jpg``, ``.txt``, ``.bin``."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["ending_of"]

HEAD: Final = 64 * 1024
"""Bytes that are looked at."""

SURE: Final = 0.25
"""The least confidence that counts: marks of three bytes or more. Two bytes are a matter of chance."""

_USUAL: Final = (".jpg", ".zip", ".mp3", ".tif", ".html", ".xml")
"""What one of these kinds is called, where the library knows several names for it."""

_ENDING: Final = re.compile(r"\.[a-z0-9]{1,8}")
_CONTROLS: Final = re.compile("[\0-\x08\x0e-\x1a\x1c-\x1f\x7f]")


def ending_of(data: bytes) -> str:
    """The ending, with its dot, for a file that begins so: ``.bin`` where nobody knows."""
    head = data[:HEAD]
    found = _known(head)
    if found:
        return found
    return ".txt" if _is_text(head, whole=len(data) <= HEAD) else ".bin"


def _known(head: bytes) -> str:
    import puremagic  # takes a while to import, and most servers never need it

    try:
        matches = puremagic.magic_string(head)
    except (puremagic.PureError, ValueError):
        return ""
    best = max((each.confidence for each in matches), default=0.0)
    names = [each.extension.lower() for each in matches if each.confidence == best >= SURE]
    names = [each for each in names if _ENDING.fullmatch(each) and each != ".xxx"]
    return next((each for each in _USUAL if each in names), names[0] if names else "")


def _is_text(head: bytes, *, whole: bool) -> bool:
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        if whole or error.start < len(head) - 3:
            return False
        text = head[: error.start].decode()
    return bool(text) and not _CONTROLS.search(text)

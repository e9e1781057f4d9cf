r"""The one place that turns a name from a peer into one that may be opened.

A peer's name for a file is a *label*: any text or bytes, with ``/`` between folders. It is kept as it came, and never
used to open anything. `safe` makes a path of it that is fit for every disk: relative, made of plain components, none
of them hidden or reserved. Two labels that a disk could take for one have the same `SafeName.key`; who gives the
second one a place asks for a `sibling`.

==========================================================  ===========================================================
empty parts and ``.``: ``/a//./b``                          left out: ``a/b``; nothing is left: ``unnamed``
``..``                                                      ``_``: never resolved, ``a/../b`` becomes ``a/_/b``
a dot, ``~`` or ``-`` in front (hidden, home, an option)    ``_``: ``.git`` becomes ``_git``
``<>:"|?*`` and the backslash, controls (C0, C1, DEL),      ``_``: ``C:\x`` becomes ``C__x``
line and paragraph separators, controls of direction,
half, private and unassigned characters, broken UTF-8
``~`` before a digit (short names: ``GIT~1``)               ``_``
joiners, fillers, variation selectors: what is not seen     left out
any other space than U+0020                                 U+0020
spaces in front, spaces and dots behind                     left out
names of devices with any ending (``nul.txt``, ``COM1``),   ``_`` in front
and of the files that folders obey (``desktop.ini``)
decomposed characters (NFD)                                 composed (NFC)
more than 255 bytes                                         cut between two characters, the ending is kept
more than 16 folders deep                                   the deepest folders are left out
==========================================================  ===========================================================

`safe` of a path that it made is that path. It fails for nothing. The key is the path without case (full case folding,
Unicode 3.13 D145), so that what APFS, NTFS, or a case-folding ext4 take for one name has one key.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

import msgspec

__all__ = ["COMPONENT_MAX", "DEPTH_MAX", "LABEL_MAX", "PATH_MAX", "SafeName", "key_of", "label_of", "safe", "sibling"]

COMPONENT_MAX: Final = 255
"""The longest name in a folder, bytes of UTF-8: what Linux, macOS and Windows all take."""

PATH_MAX: Final = 1024
"""The longest path, bytes of UTF-8: a quarter of what Linux takes, so that the folder may itself lie deep."""

DEPTH_MAX: Final = 16
"""The most components of a path."""

LABEL_MAX: Final = 4096
"""The longest label that is kept, characters; of a longer one the ending is kept."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_ ().,+=@-]*[A-Za-z0-9_)])?", re.ASCII)
"""A component that needs no change, unless it is long or reserved: what most names are."""

_WORD: Final = (
    r"(?!(?:con|prn|aux|nul|com[0-9]|lpt[0-9]|clock|desktop|thumbs|autorun)(?![A-Za-z0-9_-]))"
    r"[A-Za-z0-9_](?:[A-Za-z0-9_ ().,+=@-]*[A-Za-z0-9_)])?"
)
_SAFE: Final = re.compile(rf"{_WORD}(?:/{_WORD}){{0,{DEPTH_MAX - 1}}}", re.ASCII | re.IGNORECASE)
"""A short path of plain components, none of them near to a reserved one: it stays as it is."""

_FORBIDDEN: Final = re.compile(r"[<>:\"|?*\\]|~(?=[0-9])")
_INVISIBLE: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef"
    "\xad\u200b-\u200d\u2060-\u2064\ufeff\u061c]"
)
_KINDS: Final = {"Cc": "_", "Cs": "_", "Co": "_", "Cn": "_", "Cf": "_", "Zl": "_", "Zp": "_", "Zs": " "}
"""What becomes of characters by their general category."""

_DEVICES: Final = frozenset(
    {"con", "prn", "aux", "nul", "conin$", "conout$", "clock$"}
    | {f"{port}{number}" for port in ("com", "lpt") for number in "0123456789¹²³"}
)
_OBEYED: Final = frozenset({"desktop.ini", "thumbs.db", "autorun.inf"})

_ENDING: Final = re.compile(r"(?:\.[^.\s]{1,16}){1,2}\Z")
"""What is kept of a name that is cut: ``.jpg``, ``.tar.gz``."""

_TAR: Final = re.compile(r"(?:\.tar)?\.[^.\s]{1,16}\Z", re.IGNORECASE)
"""What a number stands before."""


class SafeName(msgspec.Struct, frozen=True, gc=False):
    """What became of a label."""

    path: str
    """A relative path that may be opened, ``/`` between its components."""
    key: str
    """The same for all paths that some disk takes for one."""


def safe(label: str | bytes) -> SafeName:
    """A path for a label. The head of the module has the rules."""
    if isinstance(label, str) and len(label) <= COMPONENT_MAX and _SAFE.fullmatch(label):
        return SafeName(label, label.lower())
    text = label.decode("utf-8", "replace").replace("\ufffd", "_") if isinstance(label, bytes) else label
    parts = [each for each in text.split("/") if each and each != "."]
    if len(parts) > DEPTH_MAX:
        parts = [*parts[: DEPTH_MAX - 1], parts[-1]]
    made = [each for each in map(_component, parts) if each] or ["unnamed"]
    room = COMPONENT_MAX
    while sum(map(_size, made)) + len(made) - 1 > PATH_MAX:
        room = min(room - 1, max(map(_size, made)) - 1)
        made = [_component(each, room) for each in made]
    path = "/".join(made)
    return SafeName(path, key_of(path))


def key_of(path: str) -> str:
    """The same key for all paths that some disk takes for one."""
    if path.isascii():
        return path.lower()
    decomposed = unicodedata.normalize("NFD", path)
    folded = unicodedata.normalize("NFD", decomposed.casefold())
    return unicodedata.normalize("NFC", folded.casefold())


def sibling(path: str, number: int, *, depth: int | None = None) -> str:
    """The path beside `path` that has a number: ``photo.jpg`` and 2 give ``photo (2).jpg``.

    Args:
        path: a path that `safe` made.
        number: 2 or more.
        depth: which component gets the number, from 0; the last one where nothing else is said. Folders have no ending.
    """
    parts = path.split("/")
    place = len(parts) - 1 if depth is None else depth
    name = parts[place]
    ending = found[0] if place == len(parts) - 1 and (found := _TAR.search(name, 1)) else ""
    mark = f" ({number})"
    stem = _cut(name[: len(name) - len(ending)], COMPONENT_MAX - _size(mark) - _size(ending))
    parts[place] = f"{stem}{mark}{ending}"
    return "/".join(parts)


def label_of(label: str | bytes) -> str:
    """The label as text that can be kept: broken UTF-8 and half characters are U+FFFD, and the length is bounded."""
    text = label.decode("utf-8", "replace") if isinstance(label, bytes) else label
    if len(text) > LABEL_MAX:
        text = text[-LABEL_MAX:]
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _component(name: str, room: int = COMPONENT_MAX) -> str:
    """One component; empty where nothing of it is left."""
    while True:
        made = _reserved(_stripped(_visible(name)))
        if _size(made) > room:
            made = _stripped(_shortened(made, room))
        if made == name:
            return made
        name = made


def _visible(name: str) -> str:
    if _PLAIN.fullmatch(name):
        return name
    text = _INVISIBLE.sub("", unicodedata.normalize("NFC", _FORBIDDEN.sub("_", name)))
    if not text.isprintable() or not text.isascii():
        text = "".join([_KINDS.get(unicodedata.category(each), each) if each != " " else each for each in text])
    return text


def _stripped(name: str) -> str:
    name = name.lstrip(" ")
    if name[:1] in {".", "~", "-"}:
        name = f"_{name[1:]}"
    return name.rstrip(" .")


def _reserved(name: str) -> str:
    folded = name.casefold()
    return f"_{name}" if folded.partition(".")[0].rstrip(" ") in _DEVICES or folded in _OBEYED else name


def _shortened(name: str, room: int) -> str:
    ending = found[0] if (found := _ENDING.search(name, 1)) and _size(found[0]) < room // 2 else ""
    return _cut(name[: len(name) - len(ending)], room - _size(ending)) + ending


def _cut(text: str, room: int) -> str:
    """As many whole characters of the text as `room` bytes hold, without the marks of one that is cut off."""
    if _size(text) <= room:
        return text
    kept = whole = text.encode()[: max(room, 1)].decode("utf-8", "ignore")
    while kept and unicodedata.combining(text[len(kept)]):
        kept = kept[:-1]
    return kept or whole


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())

r"""The one place that makes text from a peer fit to be shown: on a terminal, in a log line, in an error.

What a terminal would obey, what would turn the order of a line round, and what cannot be seen at all is written as an
escape. Everything else stays as it is, in every script.

========================================================  ==========================================================
line feed, carriage return, tab                           ``\n``, ``\r``, ``\t``
other controls (C0, DEL, C1 with CSI)                     ``\x1b``, ``\x7f``, ``\x9b``
controls of direction, joiners and other format           ``\u202e``, ``\u200d``, ``\U000e0041``
characters (Cf); line and paragraph separators
characters without a picture: fillers, variation          ``\u3164``, ``\ufe0f``
selectors, the grapheme joiner
spaces other than U+0020                                  ``\xa0``, ``\u3000``
lone surrogates, private use, unassigned, non-characters  ``\udcff``, ``\ue000``, ``\U0010ffff``
========================================================  ==========================================================

**Backslashes.** A backslash stays single unless it could be read as the beginning of an escape: before ``n``, ``r``,
``t``, another backslash, ``x`` with two, ``u`` with four or ``U`` with eight hexadecimal digits, and before a character
that is itself escaped. There it is doubled. So ``C:\Music`` and ``\d+`` stay as they are, ``C:\new`` is shown as
``C:\\new``, and two different texts are never shown alike. It follows that a text is escaped once, where it is shown:
escaping it again doubles backslashes.

**Prose.** ``prose=True`` is for the bodies of messages that people write to each other. It lets three more things pass
that ordinary writing is full of: the no-break and the ideographic space; the joiners between emoji, and between the
letters of Arabic and Indic scripts; the variation selectors behind a symbol. Names, addresses and log lines do without:
there every output is `str.isprintable`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["escape", "escape_bytes"]

_INVISIBLE: Final = "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef"
"""Characters that Unicode counts as printable, and that show nothing: the rest of ``Default_Ignorable_Code_Point`` is
unprintable by its category already."""

_SUSPECT: Final = re.compile(rf"[\\{_INVISIBLE}]")
"""What may need a change in a text that is printable."""

_PIECE: Final = re.compile("([ -\\[\\]-~\u00c0-\u024f\u4e00-\u9fff\uac00-\ud7a3]+)|.", re.DOTALL)
"""A run of characters that need no change, by the blocks that most texts are made of; or one character of any kind."""

_ESCAPE_LIKE: Final = re.compile(r"\\(?:[\\nrt]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})")
"""A backslash and what makes it look like an escape."""

_AHEAD: Final = len("U00000000")
"""How many characters behind a backslash may decide about it."""

_SYMBOLS: Final = "\u2190-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
_JOINING: Final = "\u0600-\u06ff\u0750-\u077f\u08a0-\u08ff\u0900-\u0dff"
_PROSE: Final = re.compile(
    rf"[\xa0\u3000]"
    rf"|(?<=[{_SYMBOLS}\ufe0f])\u200d(?=[{_SYMBOLS}])"
    rf"|(?<=[{_JOINING}])[\u200c\u200d](?=[{_JOINING}])"
    rf"|(?<=[{_SYMBOLS}0-9#*\xa9\xae\u203c\u2049\u2122\u2139])[\ufe0e\ufe0f]"
)
"""What prose may hold beyond what is printable. Joiners and selectors only where they join or select something: they
would tell apart texts that look the same anywhere else, or carry what nobody sees."""

_SHORT: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def escape(text: str, *, limit: int | None = None, newlines: bool = False, prose: bool = False) -> str:
    """Make a text from a peer fit to be shown. The head of the module has the rules.

    Args:
        text: any text.
        limit: the most characters to return. A longer text is cut between two characters of it, never inside an escape,
            and ends with ``…``. No more of `text` is looked at than is shown.
        newlines: let line feeds pass, for a text that is shown on lines of its own. Anywhere else it could forge lines.
        prose: let pass what ordinary writing needs beyond printable characters.
    """
    shown = text if limit is None else text[: max(limit, 0) + _AHEAD + 1]
    if shown.isprintable() and not _SUSPECT.search(shown):
        return shown if limit is None or len(shown) <= limit else _cut(iter(shown), limit)
    atoms = _atoms(shown, keep=_kept(shown, newlines=newlines, prose=prose), c1="\\x{:02x}")
    return "".join(atoms) if limit is None else _cut(atoms, limit)


def escape_bytes(data: bytes | bytearray | memoryview, *, limit: int | None = None) -> str:
    r"""Show bytes: as text where they are UTF-8, and byte by byte (``\xff``) where they are not.

    Different bytes are never shown alike: a character from U+0080 to U+00FF that needs an escape is ``\u0085`` here, as
    ``\x85`` is the byte.

    Args:
        data: any bytes.
        limit: the most characters to return, as for `escape`.
    """
    head = bytes(data if limit is None else data[: 4 * (max(limit, 0) + _AHEAD + 1)])
    text = head.decode("utf-8", "surrogateescape")
    atoms = _atoms(text, keep=frozenset(), c1="\\u{:04x}", raw=True)
    return "".join(atoms) if limit is None else _cut(atoms, limit)


def _kept(text: str, *, newlines: bool, prose: bool) -> frozenset[int]:
    """Where characters stand that pass though they are not printable."""
    places = [match.start() for match in _PROSE.finditer(text)] if prose else []
    if newlines:
        places += [match.start() for match in re.finditer("\n", text)]
    return frozenset(places)


def _atoms(text: str, *, keep: frozenset[int], c1: str, raw: bool = False) -> Iterator[str]:
    """The text as it is shown, in parts: an escape is one part, a run of plain characters may be one."""
    for match in _PIECE.finditer(text):
        piece, place = match[0], match.start()
        if piece == "\\":
            yield "\\\\" if _needs_doubling(text, place, keep) else "\\"
        elif match.lastindex or place in keep or _is_plain(piece):
            yield piece
        else:
            yield _written(piece, c1=c1, raw=raw)


def _is_plain(character: str) -> bool:
    return character.isprintable() and not _SUSPECT.match(character)


def _needs_doubling(text: str, place: int, keep: frozenset[int]) -> bool:
    if _ESCAPE_LIKE.match(text, place):
        return True
    following = text[place + 1 : place + 2]
    return bool(following) and place + 1 not in keep and not _is_plain(following)


def _written(character: str, *, c1: str, raw: bool) -> str:
    """The escape of one character. `raw` shows what ``surrogateescape`` made of a byte as that byte."""
    number = ord(character)
    if character in _SHORT:
        return _SHORT[character]
    if number < 0x80:
        return f"\\x{number:02x}"
    if raw and 0xDC80 <= number <= 0xDCFF:
        return f"\\x{number - 0xDC00:02x}"
    if number < 0x100:
        return c1.format(number)
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _cut(atoms: Iterator[str], limit: int) -> str:
    """At most `limit` characters of the parts, with ``…`` at the end where some are missing."""
    shown: list[str] = []
    size = 0
    for atom in atoms:
        for part in (atom,) if atom.startswith("\\") else atom:
            shown.append(part)
            size += len(part)
            if size > limit:
                while shown and size >= limit:
                    size -= len(shown.pop())
                return "".join(shown) + "…"[: max(limit, 0)]
    return "".join(shown)

"""Where things stand in a TOML text: a map from dotted keys to lines.

`tomllib` gives values without their places. This reads the text a second time, only for the places; it is for texts
that tomllib has accepted, and takes the shortcuts that this allows: whatever stands between two marks is a value.

A key is a tuple of names and, for the members of arrays, numbers: ``("listeners", 0, "address")``.
"""

from __future__ import annotations

import re
import tomllib

__all__ = ["Key", "dotted", "toml_lines"]

Key = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r"'''.*?'''(?:'{0,2})"
    r'|"""(?:[^\\]|\\.)*?"""(?:"{0,2})'
    r"|'[^'\n]*'"
    r'|"(?:[^"\\\n]|\\.)*"',
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\n]*")


def toml_lines(text: str) -> dict[Key, int]:
    """The line of every key, table and array member of a valid TOML text, counted from 1.

    A table that has no line of its own (``a`` of ``[a.b]``) gets that of the first that mentions it.
    """
    return _Places(text).read()


def dotted(key: Key) -> str:
    """The key as TOML and people write it: ``listeners[0].address``."""
    shown = ""
    for part in key:
        if isinstance(part, int):
            shown += f"[{part}]"
        else:
            name = part if _BARE.fullmatch(part) else f'"{part}"'
            shown += f".{name}" if shown else name
    return shown


class _Places:
    """One walk through a text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1
        self._counted = 0
        self._lines: dict[Key, int] = {}
        self._counts: dict[Key, int] = {}
        """How many members each array of tables has so far."""

    def read(self) -> dict[Key, int]:
        table: Key = ()
        self._skip(_BLANK)
        while self._at < len(self._text):
            if self._next("["):
                table = self._header()
            else:
                self._pair(table)
            self._skip(_BLANK)
        return self._lines

    def _header(self) -> Key:
        """``[a.b]`` or ``[[a.b]]``; returns the key of the table that begins."""
        array = self._text.startswith("[[", self._at)
        self._at += 2 if array else 1
        names = self._key()
        self._at += 2 if array else 1
        key: Key = ()
        for index, name in enumerate(names):
            key = (*key, name)
            self._note(key)
            if array and index == len(names) - 1:
                self._counts[key] = self._counts.get(key, 0) + 1
            if key in self._counts:
                key = (*key, self._counts[key] - 1)
                self._note(key)
        return key

    def _pair(self, table: Key) -> None:
        """``a.b = value``."""
        key = table
        for name in self._key():
            key = (*key, name)
            self._note(key)
        self._at += 1
        self._skip(_SPACE)
        self._value(key)

    def _key(self) -> list[str]:
        """A dotted key, up to ``=`` or ``]``."""
        names = []
        while True:
            self._skip(_SPACE)
            bare = _BARE.match(self._text, self._at)
            if bare:
                names.append(bare[0])
                self._at = bare.end()
            else:
                names.append(self._quoted())
            self._skip(_SPACE)
            if not self._next("."):
                return names
            self._at += 1

    def _quoted(self) -> str:
        found = _STRING.match(self._text, self._at)
        written = found[0] if found else ""
        self._at += max(len(written), 1)
        return str(tomllib.loads(f"{written} = 0").popitem()[0]) if written else ""

    def _value(self, key: Key) -> None:
        if self._next("["):
            self._array(key)
        elif self._next("{"):
            self._inline(key)
        elif self._next("'") or self._next('"'):
            self._skip(_STRING)
        else:
            self._skip(_SCALAR)

    def _array(self, key: Key) -> None:
        self._at += 1
        index = 0
        while True:
            self._skip(_BLANK)
            if self._end("]"):
                return
            self._note((*key, index))
            self._value((*key, index))
            index += 1
            self._skip(_BLANK)
            if self._next(","):
                self._at += 1

    def _inline(self, key: Key) -> None:
        self._at += 1
        while True:
            self._skip(_BLANK)
            if self._end("}"):
                return
            self._pair(key)
            self._skip(_BLANK)
            if self._next(","):
                self._at += 1

    def _end(self, mark: str) -> bool:
        """Whether the closing mark comes now, or the text has ended; steps over it."""
        if self._at < len(self._text) and not self._next(mark):
            return False
        self._at += 1
        return True

    def _next(self, mark: str) -> bool:
        return self._text.startswith(mark, self._at)

    def _skip(self, pattern: re.Pattern[str]) -> None:
        found = pattern.match(self._text, self._at)
        if found:
            self._at = found.end()

    def _note(self, key: Key) -> None:
        if key not in self._lines:
            self._line += self._text.count("\n", self._counted, self._at)
            self._counted = self._at
            self._lines[key] = self._line

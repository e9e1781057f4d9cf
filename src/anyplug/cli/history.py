"""What was typed in conversations before, for the up arrow: a file of this user alone."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from prompt_toolkit.history import History

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["ENTRIES", "LineHistory", "history_file"]

ENTRIES = 1000
"""Lines that are kept. Up to twice as many stand in the file before it is cut."""


def history_file(environ: Mapping[str, str]) -> Path:
    """Where it is kept: below ``XDG_STATE_HOME``, by default ``~/.local/state`` (XDG Base Directory Specification)."""
    base = environ.get("XDG_STATE_HOME", "")
    state = Path(base) if base.startswith("/") else Path.home() / ".local" / "state"
    return state / "anyplug" / "talk.history"


class LineHistory(History):
    """A line of the file for each line that was typed. Where it cannot be read or written, there is none, silently.

    Args:
        path: the file; it is made when the first line is kept, readable for its owner alone.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def load_history_strings(self) -> Iterable[str]:
        """The lines, the newest first."""
        lines = self._read()
        if len(lines) > 2 * ENTRIES:
            lines = lines[-ENTRIES:]
            with suppress(OSError):
                self._write(lines, os.O_TRUNC)
        return lines[: -ENTRIES - 1 : -1]

    def store_string(self, string: str) -> None:
        """Keep a line."""
        with suppress(OSError):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._write([string.replace("\n", " ")], os.O_APPEND)

    def _read(self) -> list[str]:
        try:
            return self._path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]
        except OSError:
            return []

    def _write(self, lines: list[str], how: int) -> None:
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | how, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write("".join(f"{line}\n" for line in lines).encode("utf-8", "replace"))

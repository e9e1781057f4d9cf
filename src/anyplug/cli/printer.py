"""The printer of what a peer said: one message after the other on standard output.

Where messages come one by one, each is followed by a line feed. Where they are pieces of a stream, nothing is put
between them: what comes out of a pipe is what came in. On a terminal a piece never splits a character.
"""

from __future__ import annotations

import codecs
from enum import Enum
from typing import TYPE_CHECKING, Any

from anyplug.cli.shown import event_fields, object_text, terminal_bytes, terminal_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anyplug.cli.output import Output

__all__ = ["LineEnd", "Printer"]


class LineEnd(Enum):
    """Whether a line feed follows each message."""

    ALWAYS = "always"
    MISSING = "missing"
    """Only where the message does not end in one."""
    NEVER = "never"


class Printer:
    """Prints messages.

    Args:
        output: where to.
        kind: the type of the JSON events: ``message`` or ``answer``.
        line_end: whether a line feed follows each text.
        text: bytes are texts of a peer whose encoding is not known, not bytes that somebody asked for.
    """

    __slots__ = ("_decoder", "_fresh", "_kind", "_line_end", "_output", "_text")

    def __init__(self, output: Output, kind: str, *, line_end: LineEnd, text: bool) -> None:
        self._output = output
        self._kind = kind
        self._line_end = line_end
        self._text = text
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._fresh = True  # whether the cursor stands at the beginning of a line

    async def print(self, messages: Sequence[Any]) -> None:
        """Print these."""
        await self._output.put(b"".join(map(self.render, messages)))

    async def finish(self) -> None:
        """There are no more: end the last line on a terminal."""
        if self._output.terminal and not self._output.json:
            rest = terminal_text(self._decoder.decode(b"", final=True))
            if rest or not self._fresh:
                await self._output.put(f"{rest}\n".encode())
            self._fresh = True

    def render(self, message: Any, **fields: Any) -> bytes:
        """One message as it is printed; ``fields`` go into its JSON event before it."""
        if self._output.json:
            return self._output.event(self._kind, **fields, **event_fields(message, text=self._text))
        if self._output.terminal:
            shown = self._on_terminal(message)
            self._fresh = shown.endswith("\n") if shown else self._fresh
            return shown.encode()
        return self._plain(message)

    def _plain(self, message: Any) -> bytes:
        if isinstance(message, bytes):
            return self._ended(message) if self._text else message
        if isinstance(message, str):
            return self._ended(message.encode("utf-8", "surrogatepass"))
        return f"{object_text(message)}\n".encode()

    def _ended(self, data: bytes) -> bytes:
        if self._line_end is LineEnd.NEVER or (self._line_end is LineEnd.MISSING and data.endswith(b"\n")):
            return data
        return data + b"\n"

    def _on_terminal(self, message: Any) -> str:
        if self._line_end is LineEnd.NEVER and isinstance(message, (bytes, str)):
            data = message.encode("utf-8", "surrogatepass") if isinstance(message, str) else message
            return terminal_text(self._decoder.decode(data))
        if isinstance(message, str):
            shown = terminal_text(message)
        elif isinstance(message, bytes):
            shown = terminal_bytes(message)
        else:
            return f"{object_text(message)}\n"
        always = self._line_end is LineEnd.ALWAYS and (self._text or isinstance(message, str))
        return f"{shown}\n" if always or not shown.endswith("\n") else shown

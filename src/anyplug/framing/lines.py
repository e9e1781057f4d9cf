"""The framing `lines`: a message is a line. LF or CRLF ends one that is read, LF one that is written.

For people with a terminal and for programs that read and write text. Bodies are bytes; a text codec gives them their
characters. An empty line is an empty message. A CR counts as part of the line end only right before the LF, and only
one. The end of the stream ends the last line as an LF would, as every text tool has it: so ``printf hello | nc`` is
heard.

A decoder looks at each byte once, however the stream is cut: what is held of an unfinished line is never searched
again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from anyplug.errors import EncodeError, TooLarge
from anyplug.framing.base import Decoder, Framing
from anyplug.framing.options import check_number
from anyplug.limits import DEFAULTS

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Lines", "LinesDecoder"]

_LF, _CR = b"\n\r"  # as numbers: `in` finds a number in bytes several times faster than bytes


class Lines(Framing):
    """Messages as lines of text.

    Args:
        limit: the longest line without its end, bytes, in either direction.

    Raises:
        LocalError: the limit is less than 1.
    """

    __slots__ = ("limit",)

    name = "lines"
    options: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *, limit: int = DEFAULTS.message) -> None:
        self.limit = check_number("the limit of framing lines", limit, least=1)

    def decoder(self) -> LinesDecoder:
        """A new decoder for one stream."""
        return LinesDecoder(limit=self.limit)

    def encode(self, body: bytes) -> bytes:
        """The message and an LF.

        Raises:
            EncodeError: it holds an LF, or ends in a CR: the other end would read another message.
            TooLarge: it is longer than the limit.
        """
        if len(body) > self.limit or _LF in body or _CR in body:
            self._check(body)
        return body + b"\n"

    def encode_many(self, bodies: Sequence[bytes]) -> bytes:
        """Several messages, an LF after each; the errors of `encode`, then nothing is encoded."""
        joined = b"\n".join((*bodies, b""))
        if len(joined) <= self.limit and _CR not in joined and joined.count(b"\n") == len(bodies):
            return joined
        return super().encode_many(bodies)

    def _check(self, body: bytes) -> None:
        """Look closer at a message that is not plainly a line; raises as `encode`."""
        if len(body) > self.limit:
            raise TooLarge("line", size=len(body), limit=self.limit)
        if _LF in body:
            at = body.index(b"\n")
            raise EncodeError("lines", f"a line break at byte {at:,}; send each line by itself, or use framing prefix")
        if body.endswith(b"\r"):
            raise EncodeError("lines", "the message ends in a CR, which reads as a line end; use framing prefix")


class LinesDecoder(Decoder):
    """The reading side of `Lines`."""

    __slots__ = ("_held", "_limit")

    def __init__(self, *, limit: int) -> None:
        self.error = None
        self._limit = limit
        self._held = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes of the stream; return all lines that are whole now, in order.

        Raises:
            ProtocolError: an earlier call found a fault; the stream cannot go on.
        """
        if self.error is not None:
            raise self.error.with_traceback(None)
        lines = data.split(b"\n")
        tail = lines.pop()
        if not tail and not self._held and len(data) <= self._limit:  # whole lines only: the commonest case
            return [line.removesuffix(b"\r") for line in lines] if _CR in data else lines
        return self._feed_pieces(lines, tail)

    def _feed_pieces(self, lines: list[bytes], tail: bytes) -> list[bytes]:
        """Join what is held to the first line, and hold the tail."""
        held = self._held
        if not lines:
            held += tail
        else:
            if held:
                held += lines[0]
                lines[0] = bytes(held)
            self._held = bytearray(tail)
            lines = [line.removesuffix(b"\r") for line in lines]
        return self._within_limit(lines)

    def feed_eof(self) -> list[bytes]:
        """The stream has ended; return the last line if no LF ended it.

        Raises:
            ProtocolError: an earlier call found a fault.
        """
        if self.error is not None:
            raise self.error.with_traceback(None)
        return self.feed(b"\n") if self._held else []

    @property
    def pending(self) -> int:
        """Bytes held of a line that is not whole yet; at most the limit, and one for a CR."""
        return len(self._held)

    def _within_limit(self, lines: list[bytes]) -> list[bytes]:
        """The lines up to the first one that is too long; then that fault is kept, and nothing else."""
        limit, held = self._limit, self._held
        good = next((index for index, line in enumerate(lines) if len(line) > limit), len(lines))
        if good < len(lines) or len(held) - held.endswith(b"\r") > limit:
            self.error = TooLarge("line", size=None, limit=limit)
            self._held = bytearray()
        return lines[:good]

"""The framing `raw`: what arrived is the message.

Plain sockets have no boundaries: what one end sends in one piece may arrive in several, or joined to the next. Where
that does not matter, or where the end of the stream is the only boundary there is, raw is the right framing. Three ways
to read:

- as it comes: each piece is a message;
- ``utf8=True``: the same for text, where no character is ever split. The bytes of an unfinished character at the end of
  a piece are held back and go before the next one. What is not UTF-8 goes through unchanged;
- ``until="eof"``: the whole stream is one message. A stream without bytes holds none.
"""

from __future__ import annotations

from codecs import utf_8_decode
from typing import ClassVar

from anyplug.errors import EncodeError, LocalError, TooLarge
from anyplug.framing.base import Decoder, Framing
from anyplug.framing.options import check_flag, check_number
from anyplug.limits import DEFAULTS

__all__ = ["Raw", "RawDecoder", "RawTextDecoder", "RawWholeDecoder"]

_CHARACTER_MAX = 4  # the longest UTF-8 character, bytes (RFC 3629, section 3)


class Raw(Framing):
    """Messages without any mark between them.

    Args:
        limit: the largest message, bytes, in either direction; at least 4 with `utf8`, the longest character.
        until: ``"eof"`` makes the whole stream one message; None takes each piece as it comes.
        utf8: hold back an unfinished character at the end of a piece. Without effect when the whole stream is one
            message.

    Raises:
        LocalError: an option that cannot be used.
    """

    __slots__ = ("limit", "until", "utf8")

    name = "raw"
    options: ClassVar[tuple[str, ...]] = ("until", "utf8")

    def __init__(self, *, limit: int = DEFAULTS.message, until: str | None = None, utf8: bool = False) -> None:
        if until not in {None, "eof"}:
            raise LocalError(f"the option until of framing raw is {until!r}, expected 'eof' or nothing")
        self.until = until
        self.utf8 = check_flag("the option utf8 of framing raw", utf8)
        self.limit = check_number("the limit of framing raw", limit, least=_CHARACTER_MAX if utf8 else 1)

    def decoder(self) -> Decoder:
        """A new decoder for one stream."""
        if self.until is not None:
            return RawWholeDecoder(limit=self.limit)
        return RawTextDecoder(limit=self.limit) if self.utf8 else RawDecoder(limit=self.limit)

    def encode(self, body: bytes) -> bytes:
        """The message as it is.

        Raises:
            EncodeError: it is empty: nothing would travel.
            TooLarge: it is larger than the limit.
        """
        if not body:
            raise EncodeError("raw", "an empty message would not travel; use framing lines, header or prefix")
        if len(body) > self.limit:
            raise TooLarge("message", size=len(body), limit=self.limit)
        return body


class RawDecoder(Decoder):
    """Each piece is a message."""

    __slots__ = ("_limit",)

    def __init__(self, *, limit: int) -> None:
        self.error = None
        self._limit = limit

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes of the stream; return them as one message.

        Raises:
            ProtocolError: an earlier call found a fault; the stream cannot go on.
        """
        if self.error is not None:
            raise self.error.with_traceback(None)
        if len(data) > self._limit:
            self.error = TooLarge("message", size=len(data), limit=self._limit)
            return []
        return [data] if data else []

    def feed_eof(self) -> list[bytes]:
        """The stream has ended; nothing is left.

        Raises:
            ProtocolError: an earlier call found a fault.
        """
        if self.error is not None:
            raise self.error.with_traceback(None)
        return []

    @property
    def pending(self) -> int:
        """Nothing is ever held."""
        return 0


class RawTextDecoder(Decoder):
    """Each piece is a message, cut between two UTF-8 characters.

    A piece may be as large as the limit. With what was held back before it, it would be up to three bytes too large for
    one
    message: then it becomes two.
    """

    __slots__ = ("_held", "_limit")

    def __init__(self, *, limit: int) -> None:
        self.error = None
        self._limit = limit
        self._held = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes of the stream; return its whole characters.

        Raises:
            ProtocolError: an earlier call found a fault; the stream cannot go on.
        """
        if self.error is not None:
            raise self.error.with_traceback(None)
        if len(data) > self._limit:
            self.error = TooLarge("message", size=len(data), limit=self._limit)
            self._held = b""
            return []
        text = self._held + data
        whole = len(text) - _unfinished(text)
        self._held = text[whole:]
        return self._parts(text[:whole])

    def feed_eof(self) -> list[bytes]:
        """The stream has ended; return what was held back, as it is.

        Raises:
            ProtocolError: an earlier call found a fault.
        """
        if self.error is not None:
            raise self.error.with_traceback(None)
        rest, self._held = self._held, b""
        return [rest] if rest else []

    @property
    def pending(self) -> int:
        """Bytes held of an unfinished character, at most three."""
        return len(self._held)

    def _parts(self, text: bytes) -> list[bytes]:
        limit, parts = self._limit, []
        while len(text) > limit:
            cut = limit - _unfinished(text[:limit])
            parts.append(text[:cut])
            text = text[cut:]
        if text:
            parts.append(text)
        return parts


class RawWholeDecoder(Decoder):
    """The whole stream is one message."""

    __slots__ = ("_held", "_limit")

    def __init__(self, *, limit: int) -> None:
        self.error = None
        self._limit = limit
        self._held = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes of the stream; there is no message before its end.

        Raises:
            ProtocolError: an earlier call found a fault; the stream cannot go on.
        """
        if self.error is not None:
            raise self.error.with_traceback(None)
        if len(self._held) + len(data) > self._limit:
            self.error = TooLarge("message", size=None, limit=self._limit)
            self._held = bytearray()
        else:
            self._held += data
        return []

    def feed_eof(self) -> list[bytes]:
        """The stream has ended; return all of it as one message, or nothing if it had no bytes.

        Raises:
            ProtocolError: an earlier call found a fault.
        """
        if self.error is not None:
            raise self.error.with_traceback(None)
        whole, self._held = bytes(self._held), bytearray()
        return [whole] if whole else []

    @property
    def pending(self) -> int:
        """Bytes of the stream so far."""
        return len(self._held)


def _unfinished(data: bytes) -> int:
    """How many bytes at the end of `data` begin a UTF-8 character without ending it: 0 to 3.

    The decoder leaves just those unread when told that more may come; bytes that cannot be part of any character it
    replaces.
    """
    tail = data[1 - _CHARACTER_MAX :]
    _, read = utf_8_decode(tail, "replace", False)
    return len(tail) - read

"""Framings that tell the truth, in a form whose every part can be replaced by a lie."""

from __future__ import annotations

from anyplug.framing import Decoder, Framing, Prefix, Raw


class HonestDecoder(Decoder):
    """Hands everything on."""

    __slots__ = ("calls", "inner", "limit")

    def __init__(self, inner: Decoder, limit: int) -> None:
        self.error = None
        self.inner = inner
        self.limit = limit
        self.calls: list[bytes] = []

    def feed(self, data: bytes) -> list[bytes]:
        messages = self.inner.feed(data)
        self.error = self.inner.error
        return messages

    def feed_eof(self) -> list[bytes]:
        return self.inner.feed_eof()

    @property
    def pending(self) -> int:
        return self.inner.pending


class Honest(Framing):
    """Prefix, told by another; a liar replaces a method, or the `Liar` it hands out."""

    __slots__ = ("inner", "limit")

    name = "honest"

    class Liar(HonestDecoder):
        """The decoder it hands out."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.inner = self.make_inner(limit)

    def make_inner(self, limit: int) -> Framing:
        return Prefix(limit=limit)

    def decoder(self) -> Decoder:
        return self.Liar(self.inner.decoder(), self.limit)

    def encode(self, body: bytes) -> bytes:
        return self.inner.encode(body)


class HonestRaw(Honest):
    """Raw, in the same form."""

    __slots__ = ()

    def make_inner(self, limit: int) -> Framing:
        return Raw(limit=limit)

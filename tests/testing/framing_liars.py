"""Framings that lie, each in one way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyplug.errors import Broken, EncodeError, ProtocolError, TooLarge
from anyplug.framing import Decoder, Framing, Lines, Prefix, Raw
from tests.testing.framing_honest import Honest, HonestDecoder, HonestRaw

if TYPE_CHECKING:
    from collections.abc import Sequence


# Lies of encode.


class RefusesSoundMessages(Honest):
    def encode(self, body: bytes) -> bytes:
        if b"\x00" in body:
            raise EncodeError("honest", "no NUL, please")
        return super().encode(body)


class RaisesInEncode(Honest):
    def encode(self, body: bytes) -> bytes:
        return super().encode(body.decode().encode())


class ForgetsTheLastOfMany(Honest):
    def encode_many(self, bodies: Sequence[bytes]) -> bytes:
        return super().encode_many(bodies[:-1])


class SendsSomethingForNothing(Honest):
    def encode_many(self, bodies: Sequence[bytes]) -> bytes:
        return super().encode_many(bodies or [b""])


class EncodesMoreThanTheLimit(Honest):
    def encode(self, body: bytes) -> bytes:
        return Prefix().encode(body)


class EncodesManyMoreThanTheLimit(Honest):
    def encode_many(self, bodies: Sequence[bytes]) -> bytes:
        return Prefix().encode_many(bodies)


class EncodesOneByteLess(Honest):
    def encode(self, body: bytes) -> bytes:
        if len(body) == self.limit == 64:
            raise TooLarge("message", size=len(body), limit=self.limit)
        return super().encode(body)


class StripsWhatItCannotCarry(Honest):
    def encode(self, body: bytes) -> bytes:
        return super().encode(body.replace(b"\n", b""))


class RefusesAloneAndNotAmongMany(Honest):
    def encode(self, body: bytes) -> bytes:
        if b"\n" in body:
            raise EncodeError("honest", "no line breaks")
        return super().encode(body)

    def encode_many(self, bodies: Sequence[bytes]) -> bytes:
        return self.inner.encode_many(bodies)


class RefusesLineBreaks(Honest):
    def encode(self, body: bytes) -> bytes:
        if b"\n" in body:
            raise EncodeError("honest", "no line breaks")
        return super().encode(body)


# Lies of decoders: each framing hands out one.


class LosesAByte(Honest):
    class Liar(HonestDecoder):
        def feed(self, data: bytes) -> list[bytes]:
            return [message[:-1] for message in super().feed(data)]


class LosesAByteWhereTwoPiecesMeet(Honest):
    class Liar(HonestDecoder):
        def feed(self, data: bytes) -> list[bytes]:
            return super().feed(data.lstrip(b"e") if self.pending > 7 else data)


class TurnsABatchAround(Honest):
    class Liar(HonestDecoder):
        def feed(self, data: bytes) -> list[bytes]:
            return super().feed(data)[::-1]


class GivesByteArrays(Honest):
    class Liar(HonestDecoder):
        def feed(self, data: bytes) -> list[bytes]:
            return [bytearray(message) for message in super().feed(data)]  # type: ignore[misc]


class GivesAMessageForNothing(Honest):
    class Liar(HonestDecoder):
        def feed(self, data: bytes) -> list[bytes]:
            return super().feed(data) if data else [b""]


class KeepsAMessageUntilTheNext(Honest):
    class Liar(HonestDecoder):
        def feed(self, data: bytes) -> list[bytes]:
            self.calls += super().feed(data)
            messages = self.calls[:-1]
            del self.calls[:-1]
            return messages

        def feed_eof(self) -> list[bytes]:
            messages = self.calls[:]
            self.calls.clear()
            return messages


class UsesOneListAgain(Honest):
    class Liar(HonestDecoder):
        def feed(self, data: bytes) -> list[bytes]:
            self.calls[:] = super().feed(data)
            return self.calls


class SharesOneDecoder(Honest):
    __slots__ = ("only",)

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.only = self.inner.decoder()

    def decoder(self) -> Decoder:
        if self.only.pending or self.only.error:
            self.only = self.inner.decoder()
        return self.only


class IgnoresTheLimit(Honest):
    def decoder(self) -> Decoder:
        return Prefix().decoder()


class TakesOneByteMore(Honest):
    def decoder(self) -> Decoder:
        return Prefix(limit=self.limit + 1).decoder()


class TakesOneByteLess(Honest):
    def decoder(self) -> Decoder:
        return Prefix(limit=self.limit if self.limit > 64 else 63).decoder()


class FindsOutTooLate(Honest):
    class Liar(HonestDecoder):
        def feed(self, data: bytes) -> list[bytes]:
            messages = super().feed(data)
            if any(len(message) > self.limit for message in messages):
                self.error = TooLarge("message", size=None, limit=self.limit)
                return []
            return messages

    def decoder(self) -> Decoder:
        return self.Liar(Prefix().decoder(), self.limit)


class RaisesAtOnce(Honest):
    class Liar(HonestDecoder):
        def feed(self, data: bytes) -> list[bytes]:
            messages = super().feed(data)
            if self.error is not None:
                raise self.error
            return messages


class LosesWhatWasWholeBeforeAFault(Honest):
    class Liar(HonestDecoder):
        def feed(self, data: bytes) -> list[bytes]:
            messages = super().feed(data)
            return [] if self.error is not None else messages


class HasTheWrongFault(Honest):
    class Liar(HonestDecoder):
        def feed(self, data: bytes) -> list[bytes]:
            messages = super().feed(data)
            self.error = self.error and ProtocolError("something is wrong")
            return messages


class GoesOnAfterAFault(Honest):
    class Liar(HonestDecoder):
        def feed(self, data: bytes) -> list[bytes]:
            return [data] if self.error is not None else super().feed(data)


class ForgetsItsFaultForNoData(Honest):
    class Liar(HonestDecoder):
        def feed(self, data: bytes) -> list[bytes]:
            return super().feed(data) if data else []


class ForgetsItsFaultAtTheEnd(Honest):
    class Liar(HonestDecoder):
        def feed_eof(self) -> list[bytes]:
            return [] if self.error is not None else super().feed_eof()


class RaisesAnotherFaultLater(Honest):
    class Liar(HonestDecoder):
        def feed(self, data: bytes) -> list[bytes]:
            if self.error is not None:
                raise ProtocolError("the stream has failed before")
            return super().feed(data)


class HoldsBytesAfterAFault(Honest):
    class Liar(HonestDecoder):
        @property
        def pending(self) -> int:
            return 5 if self.error is not None else super().pending


class EndsSilentlyInsideAMessage(Honest):
    class Liar(HonestDecoder):
        def feed_eof(self) -> list[bytes]:
            try:
                return super().feed_eof()
            except Broken:
                return []


class GivesTheHalfMessageAtTheEnd(Honest):
    class Liar(HonestDecoder):
        def feed(self, data: bytes) -> list[bytes]:
            self.calls.append(data)
            return super().feed(data)

        def feed_eof(self) -> list[bytes]:
            try:
                return super().feed_eof()
            except Broken:
                rest = b"".join(self.calls)[4:]
                self.calls.clear()
                return [rest] if rest else []


class CompletesTheLastLineItself(Honest):
    class Liar(HonestDecoder):
        def feed_eof(self) -> list[bytes]:
            if self.pending != 5:
                return super().feed_eof()
            return [line + b"?" for line in super().feed_eof()]

    def make_inner(self, limit: int) -> Framing:
        return Lines(limit=limit)


class IsBrokenOnlyOnce(Honest):
    class Liar(HonestDecoder):
        def feed_eof(self) -> list[bytes]:
            self.calls.append(b"eof")
            return super().feed_eof() if len(self.calls) == 1 else []


class IsBrokenAtABoundary(Honest):
    class Liar(HonestDecoder):
        def feed_eof(self) -> list[bytes]:
            super().feed_eof()
            raise Broken("the stream ended")


class RaisesAtTheEnd(Honest):
    class Liar(HonestDecoder):
        def feed_eof(self) -> list[bytes]:
            super().feed_eof()
            raise EOFError


class RaisesAtTheSecondEnd(Honest):
    class Liar(HonestDecoder):
        def feed_eof(self) -> list[bytes]:
            self.calls.append(b"eof")
            if len(self.calls) > 1:
                raise EOFError
            return super().feed_eof()


class SaysNothingIsPending(Honest):
    class Liar(HonestDecoder):
        @property
        def pending(self) -> int:
            return 0


class SaysTooMuchIsPending(Honest):
    class Liar(HonestDecoder):
        @property
        def pending(self) -> int:
            return super().pending + 1


class HoldsMoreThanTheLimit(Honest):
    class Liar(HonestDecoder):
        @property
        def pending(self) -> int:
            return super().pending * 4


class RaisesForSoundInput(Honest):
    class Liar(HonestDecoder):
        def feed(self, data: bytes) -> list[bytes]:
            if data.startswith(b"\xff"):
                raise ValueError("0xff")
            return super().feed(data)


# Lies of a framing without boundaries.


class RawLosesNuls(HonestRaw):
    class Liar(HonestDecoder):
        def feed(self, data: bytes) -> list[bytes]:
            return super().feed(data.rstrip(b"\x00"))


class RawAddsAByte(HonestRaw):
    def encode(self, body: bytes) -> bytes:
        return super().encode(body) + b"\n"


class RawForgetsTheEnd(HonestRaw):
    class Liar(HonestDecoder):
        def feed(self, data: bytes) -> list[bytes]:
            return super().feed(data[:-1]) if len(data) > 20 else super().feed(data)


class RawIgnoresTheLimit(HonestRaw):
    def decoder(self) -> Decoder:
        return Raw().decoder()


class RawIsShared(HonestRaw):
    class Liar(HonestDecoder):
        def feed(self, data: bytes) -> list[bytes]:
            self.calls.append(data)
            return []

        def feed_eof(self) -> list[bytes]:
            whole = b"".join(self.calls)
            self.calls.clear()
            return [whole] if whole else []

    __slots__ = ("only",)

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.only = self.Liar(self.inner.decoder(), self.limit)

    def decoder(self) -> Decoder:
        return self.only


class RawRaisesAtOnce(HonestRaw):
    class Liar(HonestDecoder):
        def feed(self, data: bytes) -> list[bytes]:
            messages = super().feed(data)
            if self.error is not None:
                raise self.error
            return messages


class RawInventsAMessageAtTheEnd(HonestRaw):
    class Liar(HonestDecoder):
        def feed_eof(self) -> list[bytes]:
            self.calls.append(b"eof")
            return [b"bye"] if len(self.calls) == 1 else []

"""A codec that tells the truth, and codecs that lie in one thing each."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

from anyplug.codec import Codec
from anyplug.errors import DecodeError, EncodeError

if TYPE_CHECKING:
    from collections.abc import Sequence


class Honest(Codec[Any]):
    """Integers, floats, booleans, texts, lists, tuples, sets, complex numbers, by a notation of its own."""

    name = "honest"

    def encode(self, message: Any) -> bytes:
        return json.dumps(self.tell(message)).encode()

    def decode(self, body: bytes) -> Any:
        try:
            return self.hear(json.loads(body))
        except (ValueError, TypeError, RecursionError) as error:
            raise DecodeError(self.name, f"no notation: {error}") from error

    def tell(self, value: Any) -> Any:
        if isinstance(value, list | tuple | set | frozenset):
            return [type(value).__name__, *map(self.tell, value)]
        if isinstance(value, dict):
            return ["dict", *(self.tell(list(item)) for item in value.items())]
        return ["complex", value.real, value.imag] if isinstance(value, complex) else value

    def hear(self, told: Any) -> Any:
        if not isinstance(told, list):
            if isinstance(told, dict):
                raise ValueError("a dict")
            return told
        if not told or told[0] not in ("list", "tuple", "set", "frozenset", "dict", "complex"):
            raise ValueError("no kind")
        makes = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset, "dict": dict}
        return complex(*told[1:]) if told[0] == "complex" else makes[told[0]](map(self.hear, told[1:]))


class HasNoName(Honest):
    name = ""


class RefusesSoundValues(Honest):
    def encode(self, message: Any) -> bytes:
        raise EncodeError(self.name, "not today")


class CannotReadItself(Honest):
    def decode(self, body: bytes) -> Any:
        raise DecodeError(self.name, "not today")


class GivesByteArrays(Honest):
    def encode(self, message: Any) -> Any:
        return bytearray(super().encode(message))


class ChangesValues(Honest):
    def hear(self, told: Any) -> Any:
        return "something else" if told == "text" else super().hear(told)


class MakesTuplesLists(Honest):
    def hear(self, told: Any) -> Any:
        value = super().hear(told)
        return list(value) if isinstance(value, tuple) else value


class MakesTrueOne(Honest):
    def hear(self, told: Any) -> Any:
        return 1 if told is True else super().hear(told)


class MakesFrozensetsSets(Honest):
    def hear(self, told: Any) -> Any:
        value = super().hear(told)
        return set(value) if isinstance(value, frozenset) else value


class MakesKeysOtherTypes(Honest):
    def hear(self, told: Any) -> Any:
        value = super().hear(told)
        return {float(key): item for key, item in value.items()} if isinstance(value, dict) else value


class MakesItemsOfSetsOtherTypes(Honest):
    def hear(self, told: Any) -> Any:
        value = super().hear(told)
        return {float(item) for item in value} if isinstance(value, set) else value


class LosesTheSignOfZero(Honest):
    def hear(self, told: Any) -> Any:
        return 0.0 if told == 0 and isinstance(told, float) else super().hear(told)


class LosesTheSignOfComplexZero(Honest):
    def hear(self, told: Any) -> Any:
        value = super().hear(told)
        return complex(value.real, abs(value.imag)) if isinstance(value, complex) else value


class LosesTheLastItem(Honest):
    def hear(self, told: Any) -> Any:
        value = super().hear(told)
        return value[:-1] if isinstance(value, list) else value


class RemembersWhatItSent(Honest):
    def __init__(self) -> None:
        self.sent: list[Any] = []

    def encode(self, message: Any) -> bytes:
        self.sent.append(message)
        return super().encode(len(self.sent) - 1)

    def decode(self, body: bytes) -> Any:
        index = super().decode(body)
        if not isinstance(index, int) or not 0 <= index < len(self.sent):
            raise DecodeError(self.name, "not sent")
        return self.sent[index]


class ReadsOnlyAfterItWrote(Honest):
    def __init__(self) -> None:
        self.wrote = False

    def encode(self, message: Any) -> bytes:
        self.wrote = True
        return super().encode(message)

    def decode(self, body: bytes) -> Any:
        return super().decode(body) if self.wrote else "what"


class LosesOneOfABatch(Honest):
    def decode_many(self, bodies: Sequence[bytes]) -> list[Any]:
        return super().decode_many(bodies[:3])


class TurnsABatchRound(Honest):
    def decode_many(self, bodies: Sequence[bytes]) -> list[Any]:
        return super().decode_many(bodies)[::-1]


class GivesBatchesAsTuples(Honest):
    def decode_many(self, bodies: Sequence[bytes]) -> Any:
        return tuple(super().decode_many(bodies))


class CannotDoEmptyBatches(Honest):
    def decode_many(self, bodies: Sequence[bytes]) -> list[Any]:
        assert bodies[0] is not None
        return super().decode_many(bodies)


class TakesAnything(Honest):
    def decode(self, body: bytes) -> Any:
        try:
            return super().decode(body)
        except DecodeError:
            return None


class TakesAnythingInBatches(Honest):
    def decode_many(self, bodies: Sequence[bytes]) -> list[Any]:
        try:
            return super().decode_many(bodies)
        except DecodeError:
            return []


class RaisesSomethingElse(Honest):
    def decode(self, body: bytes) -> Any:
        return self.hear(json.loads(body))


class RaisesSomethingElseInBatches(Honest):
    def decode_many(self, bodies: Sequence[bytes]) -> list[Any]:
        return [self.hear(json.loads(body)) for body in bodies]


class RaisesUnderAnotherName(Honest):
    def decode(self, body: bytes) -> Any:
        try:
            return super().decode(body)
        except DecodeError as error:
            raise DecodeError("another", error.problem) from error


class RaisesWithoutAProblem(Honest):
    def decode(self, body: bytes) -> Any:
        try:
            return super().decode(body)
        except DecodeError as error:
            raise DecodeError(self.name, "") from error


class RaisesSomethingElseForACutBody(Honest):
    def decode(self, body: bytes) -> Any:
        if body.endswith(b"tex"):
            raise IndexError("out of range")
        return super().decode(body)


class RaisesSomethingElseForAChangedByte(Honest):
    def decode(self, body: bytes) -> Any:
        if body.startswith(b"\xdd"):
            raise KeyError(0xDD)
        return super().decode(body)


class BelongsToOneThread(Honest):
    def __init__(self) -> None:
        self.thread = threading.get_ident()

    def encode(self, message: Any) -> bytes:
        if threading.get_ident() != self.thread:
            raise EncodeError(self.name, "another thread")
        return super().encode(message)

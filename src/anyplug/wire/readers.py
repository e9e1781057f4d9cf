"""What the payloads of frames mean, where that does not depend on the state of a session: payloads in, one event out.

A reader takes neighbouring payloads of one kind (of CONTENT the pieces of one payload). It gives the event of those
that are well, and what is wrong with the first that is not. `PlugSession` has the readers that change its state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, TypeVar

import msgspec

from anyplug.errors import Code, ProtocolError
from anyplug.messages import Acked, Content, Failed, Kept, Nacked, Pong, Posts, Refusal, Replies, Requests
from anyplug.wire.frames import ACK, CONTENT, HEADER, ID_SIZE, SEQUENCE, Kind
from anyplug.wire.parts import cut_ids, cut_sequences

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyplug.messages import Event

__all__ = ["READERS", "VERSION", "decode", "read_content", "read_numbered"]

VERSION = 1
"""The version of the protocol."""

_S = TypeVar("_S", bound=msgspec.Struct)
_Read: TypeAlias = "tuple[Event | None, ProtocolError | None]"
_ID_END = HEADER.size + ID_SIZE
_unpack_id = HEADER.unpack_from
_KEPT = {int(kept): kept for kept in Kept}


def _read_requests(payloads: list[bytes]) -> _Read:
    items, fault = cut_ids(payloads)
    return (Requests(items) if items else None), fault


def _read_replies(payloads: list[bytes]) -> _Read:
    items, fault = cut_ids(payloads)
    return (Replies(items) if items else None), fault


def _read_posts(payloads: list[bytes]) -> _Read:
    items, fault = cut_sequences(payloads)
    return (Posts(items) if items else None), fault


def _read_acks(payloads: list[bytes]) -> _Read:
    payload = payloads[0]
    if len(payload) != ACK.size:
        return None, ProtocolError(f"an ACK frame of {len(payload)} bytes, expected {ACK.size}")
    first, count, position, kept = ACK.unpack(payload)
    if not first or not count or kept not in _KEPT:
        return None, ProtocolError(f"an ACK of {count} posts from {first}, kept as {kept}: that cannot be")
    return Acked(first, count, position, _KEPT[kept]), None


def _read_nacks(payloads: list[bytes]) -> _Read:
    payload = payloads[0]
    if len(payload) < SEQUENCE.size:
        return None, ProtocolError(f"a NACK frame of {len(payload)} bytes has no room for its sequence")
    (sequence,) = SEQUENCE.unpack_from(payload)
    return Nacked(sequence, decode(Refusal, payload[SEQUENCE.size :], Kind.NACK)), None


def _read_errors(payloads: list[bytes]) -> _Read:
    payload = payloads[0]
    if len(payload) < ID_SIZE:
        return None, ProtocolError(f"an ERROR frame of {len(payload)} bytes has no room for its id")
    (number,) = HEADER.unpack_from(payload)
    return Failed(number, decode(Refusal, payload[ID_SIZE:], Kind.ERROR)), None


def _read_pongs(payloads: list[bytes]) -> _Read:
    return Pong(payloads[0]), None


READERS: dict[str, Callable[[list[bytes]], _Read]] = {
    "requests": _read_requests,
    "replies": _read_replies,
    "posts": _read_posts,
    "acks": _read_acks,
    "nacks": _read_nacks,
    "errors": _read_errors,
    "pongs": _read_pongs,
}
"""By the names that rows of `anyplug.wire.states` have for them."""


def read_numbered(frame: bytes) -> tuple[int, bytes] | None:
    """The id and the body of a REQUEST or REPLY, from its whole frame; None where it has no valid id: `READERS` say it
    in words.
    """
    if len(frame) < _ID_END:
        return None
    (number,) = _unpack_id(frame, HEADER.size)
    return (number, frame[_ID_END:]) if number else None


def read_content(pieces: list[bytes]) -> Content:
    """A chunk, from the pieces of one payload.

    Raises:
        ProtocolError: it has no room for what stands before the bytes.
    """
    if len(pieces[0]) < CONTENT.size:
        pieces = [b"".join(pieces)]  # its head was cut; that is rare
    head = pieces[0]
    if len(head) < CONTENT.size:
        raise ProtocolError(f"a CONTENT frame of {len(head)} bytes has no room for its transfer, chunk and digest")
    transfer, index, digest = CONTENT.unpack_from(head)
    rest = head[CONTENT.size :]
    return Content(transfer, index, digest, [rest, *pieces[1:]] if rest else [*pieces[1:]])


class _Versioned(msgspec.Struct):
    """What HELLO and WELCOME of every version hold."""

    version: int = VERSION


def decode(kind: type[_S], payload: bytes, frame: Kind) -> _S:
    """The payload of a control frame.

    Raises:
        ProtocolError: it is not what it should be.
    """
    try:
        if frame is Kind.HELLO or frame is Kind.WELCOME:
            _check_version(payload)
        return msgspec.msgpack.decode(payload, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"a {frame.name} frame that cannot be read: {error}") from error


def _check_version(payload: bytes) -> None:
    """The version is judged before all else: the fields of another one may have other types."""
    found = msgspec.msgpack.decode(payload, type=_Versioned).version
    if found != VERSION:
        raise ProtocolError(f"protocol version {found}, known here is {VERSION}", code=Code.UNKNOWN_VERSION)

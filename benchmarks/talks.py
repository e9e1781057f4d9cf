"""What the load in C says and expects to hear, for each protocol: bytes, known beforehand.

A `Talk` is one protocol with one question. The length of the greeting that a server answers a client's greeting with is
found out by one connection, since a server may say more in it than a constant.
"""

from __future__ import annotations

import base64
import socket
from dataclasses import dataclass
from struct import pack
from typing import TYPE_CHECKING

import msgspec

from anyplug.errors import Code
from anyplug.limits import Limits
from anyplug.messages import Hello, Refusal
from anyplug.wire import PlugSession, Role
from anyplug.wire.frames import HEADER, PREFACE, Kind, encode_frame

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Talk", "lines", "plug", "plug_data", "scalability", "websocket", "zmtp"]

PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class Talk:
    """One protocol, one question (or a batch of them), its answer."""

    question: bytes
    answer: bytes
    count: int = 1
    """How many questions `question` holds."""
    hello: bytes = b""
    farewell: bytes = b""
    welcomed: Callable[[bytes], bool] | None = None
    """Whether these bytes are a whole greeting of a server."""

    def options(self, port: str) -> list[str]:
        """The options of load.c."""
        given = {"p": port, "g": str(self._welcome(int(port)))}
        given |= {"h": self.hello.hex(), "q": self.question.hex(), "a": self.answer.hex(), "e": self.farewell.hex()}
        return [part for name, value in given.items() for part in (f"-{name}", value) if value]

    def _welcome(self, port: int) -> int:
        """How long the greeting is."""
        if self.welcomed is None:
            return 0
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as sock:
            sock.sendall(self.hello)
            heard = b""
            while not self.welcomed(heard):
                piece = sock.recv(1)
                assert piece, f"the server ended after {heard!r}"
                heard += piece
        return len(heard)


def body(size: int) -> bytes:
    return b"q" * size


def lines(size: int, count: int = 1) -> Talk:
    """Lines, or whatever goes back as it came."""
    question = (body(size) + b"\n") * count
    return Talk(question, question, count)


def plug(size: int, count: int = 1) -> Talk:
    """Requests with an id over the plug protocol."""

    def frames(kind: Kind) -> bytes:
        return b"".join(encode_frame(kind, pack(">I", number + 1) + body(size)) for number in range(count))

    return Talk(frames(Kind.REQUEST), frames(Kind.REPLY), count, *_plug_ends(), welcomed=_is_welcome)


def plug_data(size: int, count: int = 1) -> Talk:
    """Messages over the plug protocol, each answered by one."""
    question = encode_frame(Kind.DATA, body(size)) * count
    return Talk(question, question, count, *_plug_ends(), welcomed=_is_welcome)


def _plug_ends() -> tuple[bytes, bytes]:
    session = PlugSession(Role.CLIENT, Limits())
    session.send_hello(Hello(service="echo", codec="bytes"))
    return session.data_to_send(), encode_frame(Kind.BYE, msgspec.msgpack.encode(Refusal(Code.OK)))


def _is_welcome(heard: bytes) -> bool:
    """The server's preface and one frame."""
    start = len(PREFACE) + HEADER.size
    if len(heard) < start:
        return False
    head: int = HEADER.unpack_from(heard, len(PREFACE))[0]
    assert heard.startswith(PREFACE), f"no preface: {heard!r}"
    assert head >> 24 == Kind.WELCOME, f"no welcome: {heard!r}"
    return len(heard) - start == (head & 0xFFFFFF)


def websocket(size: int, count: int = 1) -> Talk:
    """Binary messages over WebSocket (RFC 6455), ours masked with zeros."""
    length = pack(">BH", 126, size) if size > 125 else pack("B", size)
    masked = bytes([length[0] | 0x80]) + length[1:] + bytes(4)
    key = base64.b64encode(bytes(16)).decode()
    head = ["GET / HTTP/1.1", "Host: 127.0.0.1", "Upgrade: websocket", "Connection: Upgrade"]
    head += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", "", ""]
    return Talk(
        (b"\x82" + masked + body(size)) * count,
        (b"\x82" + length + body(size)) * count,
        count,
        "\r\n".join(head).encode(),
        welcomed=lambda heard: heard.endswith(b"\r\n\r\n"),
    )


def zmtp(size: int, count: int = 1) -> Talk:
    """REQ of ZeroMQ (ZMTP 3.0, RFC 23): an empty frame, then the question."""
    ready = b"\x05READY\x0bSocket-Type" + pack(">I", 3) + b"REQ"
    greeting = b"\xff" + bytes(8) + b"\x7f" + b"\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
    frame = b"\x00" + pack("B", size) if size < 256 else b"\x02" + pack(">Q", size)
    question = (b"\x01\x00" + frame + body(size)) * count
    hello = greeting + b"\x04" + pack("B", len(ready)) + ready
    return Talk(
        question, question, count, hello, welcomed=lambda heard: len(heard) > 65 and len(heard) == 66 + heard[65]
    )


def scalability(size: int, count: int = 1) -> Talk:
    """REQ of nanomsg and nng (SP over TCP): a header of eight bytes each side; each question has an id."""
    question = (pack(">QI", 4 + size, 0x8000_0001) + body(size)) * count
    return Talk(question, question, count, b"\0SP\0\x00\x30\0\0", welcomed=lambda heard: len(heard) == 8)

"""The sending half of the plug session: what this side may say when, and how it looks on the wire.

Every call checks first and writes then: a call that raises has said nothing. Messages can be said from the end of the
handshake to `PlugSender.send_eof`.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

import msgspec

from anyplug.errors import Code, EncodeError, LocalError, TooLarge
from anyplug.limits import CHUNK_MAX, FRAME_MAX, HELLO_MAX
from anyplug.messages import Hello, Refusal, Welcome
from anyplug.wire.frames import ACK, CONTENT, HEADER, ID_SIZE, PREFACE, SEQUENCE, SEQUENCE_MAX, Kind, encode_frame
from anyplug.wire.parts import split
from anyplug.wire.session import Session
from anyplug.wire.states import TAKES, Role, State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anyplug.limits import Limits
    from anyplug.messages import Acked

__all__ = ["ID_MAX", "TEXT_MAX", "PlugSender"]

ID_MAX = (1 << 32) - 1
"""The largest id of a request."""

TEXT_MAX = 1000
"""The longest sentence in REFUSED, ERROR and BYE, characters: it fits a control frame in any script."""

_HEAD_AND_ID = Struct(">II")
_HEAD_AND_SEQUENCE = Struct(">IQ")
_HEAD_AND_ACK = Struct(">IQIQB")
_ACK_HEAD = Kind.ACK << 24 | ACK.size
_CLIENT, _SERVER = Role.CLIENT, Role.SERVER  # a member looked up on its class costs more than the rest of the check
_REQUEST, _REPLY = Kind.REQUEST << 24, Kind.REPLY << 24
_SHUT = -1
"""Instead of the largest message, while the handshake is not finished: every message is above it."""


class PlugSender(Session):
    """What both roles say on a plug connection."""

    __slots__ = ("_greeted", "_largest", "_limits", "_takes", "peer_limit", "role", "state")

    has_requests = True

    def __init__(self, role: Role, limits: Limits) -> None:
        super().__init__()
        self.role = role
        self._enter(State.PREFACE)
        self.peer_limit = limits.message
        """The largest message both sides take, bytes."""
        self._limits = limits
        self._largest = _SHUT
        self._greeted = False

    @property
    def opened(self) -> bool:
        """Whether the handshake has come to WELCOME."""
        return self._largest != _SHUT

    # The handshake.

    def send_hello(self, hello: Hello) -> None:
        """A client's first words, once. Where ``hello.message`` is 0 it becomes this side's limit.

        Raises:
            TooLarge: HELLO would be larger than `HELLO_MAX`.
            EncodeError: it holds text that is no Unicode.
        """
        if self.role is not Role.CLIENT or self._greeted:
            raise LocalError("HELLO is what a client says first, and once")
        self._greet(Kind.HELLO, hello)

    def send_welcome(self, welcome: Welcome) -> None:
        """A server's yes to a `Hello` event; the conversation is open from here.

        Says nothing where the conversation has failed meanwhile: then a `Fault` is among the events. Where
        ``welcome.message`` is 0 it becomes this side's limit. Raises as `send_hello`.
        """
        if not self.sending:
            return
        if self.role is not Role.SERVER or self.state is not State.VERDICT:
            raise LocalError("WELCOME is a server's answer to HELLO, and no HELLO waits for one")
        self._greet(Kind.WELCOME, welcome)
        self._open(State.OPEN)

    def send_refused(self, code: Code, text: str) -> None:
        """A server's no, also before any HELLO came; the last frame. Says nothing after the end of the conversation."""
        if not self.sending:
            return
        if self.role is not Role.SERVER or self.opened:
            raise LocalError("REFUSED is a server's answer to HELLO; an open conversation ends with send_eof")
        self._put(PREFACE + encode_frame(Kind.REFUSED, _refusal(code, text)))
        self.sending = False
        self._enter(State.ENDED)
        self._end()

    # The conversation.

    def send_data(self, body: bytes) -> None:
        """Say one message."""
        size = len(body)
        if size > self._largest or not self.sending:
            self._send_large(Kind.DATA, b"", body)
            return
        self._out.append(HEADER.pack(size))
        self._out.append(body)
        self.queued += size + 4

    def encode_data(self, body: bytes) -> bytes:
        """One message as it goes on the network."""
        size = len(body)
        if size <= self._largest and self.sending:
            return HEADER.pack(size) + body
        self._send_large(Kind.DATA, b"", body)
        return self.data_to_send()

    def send_many(self, bodies: Sequence[bytes]) -> None:
        """Say several messages, in order."""
        largest = max(map(len, bodies), default=0)
        if largest > self._largest or not self.sending:
            self.check_message(largest)
            for body in bodies:
                self.send_data(body)
            return
        pack = HEADER.pack
        self._put(b"".join([piece for body in bodies for piece in (pack(len(body)), body)]))

    def send_request(self, number: int, body: bytes) -> None:
        """Say a message that wants an answer, as a client.

        Args:
            number: its id, 1 to `ID_MAX`, not in use by an unanswered request.
            body: the message.
        """
        if self.role is not _CLIENT:
            raise LocalError("REQUEST goes from client to server; a server says messages")
        self._send_numbered(Kind.REQUEST, number, body)

    def send_reply(self, number: int, body: bytes) -> None:
        """The answer to the request ``number``, as a server."""
        if self.role is not _SERVER:
            raise LocalError("REPLY goes from server to client; a client says messages")
        self._send_numbered(Kind.REPLY, number, body)

    def encode_numbered(self, number: int, body: bytes) -> bytes:
        """A client's REQUEST, or a server's REPLY, as it goes on the network; as `encode_data`."""
        size = len(body) + ID_SIZE
        if 0 < number <= ID_MAX and size <= self._largest and self.sending:
            return _HEAD_AND_ID.pack((_REPLY if self.role is _SERVER else _REQUEST) + size, number) + body
        self._send_numbered(Kind.REPLY if self.role is _SERVER else Kind.REQUEST, number, body)
        return self.data_to_send()

    def send_error(self, number: int, code: Code, text: str) -> None:
        """Say, as a server, that the request ``number`` (or, with 0, a message) could not be handled."""
        if self.role is not _SERVER:
            raise LocalError("ERROR goes from server to client; a client that cannot go on ends the conversation")
        if not 0 <= number <= ID_MAX:
            raise LocalError(f"the request id {number}, expected 0 to {ID_MAX}")
        self.check_message(0)
        self._put(encode_frame(Kind.ERROR, HEADER.pack(number) + _refusal(code, text)))

    def send_posts(self, first: int, bodies: Sequence[bytes]) -> None:
        """Say, as a client, messages that are to be kept; all or none.

        Args:
            first: the place of the first of them among this producer's posts, 1 to `SEQUENCE_MAX`.
            bodies: the messages.
        """
        if self.role is not _CLIENT:
            raise LocalError("POST goes from client to server; a server says messages")
        if not 0 < first <= SEQUENCE_MAX - len(bodies):
            raise LocalError(f"the sequence {first}, expected 1 to {SEQUENCE_MAX - len(bodies)}")
        self.check_message(max(map(len, bodies), default=0))
        pack, size, most = _HEAD_AND_SEQUENCE.pack, SEQUENCE.size, FRAME_MAX - SEQUENCE.size
        pieces: list[bytes | memoryview] = []
        for sequence, body in enumerate(bodies, first):
            if len(body) > most:
                pieces += split(Kind.POST, SEQUENCE.pack(sequence), body)
            else:
                pieces += (pack(Kind.POST << 24 | len(body) + size, sequence), body)
        self._put(b"".join(pieces))

    def send_ack(self, acked: Acked) -> None:
        """Say, as a server, that posts are kept."""
        if self.role is not _SERVER:
            raise LocalError("ACK goes from server to client")
        self.check_message(0)
        self._put(_HEAD_AND_ACK.pack(_ACK_HEAD, acked.first, acked.count, acked.position, acked.kept))

    def send_nack(self, sequence: int, code: Code, text: str) -> None:
        """Say, as a server, that a post was not taken, and which sequence is the next that will be."""
        if self.role is not _SERVER:
            raise LocalError("NACK goes from server to client")
        self.check_message(0)
        self._put(encode_frame(Kind.NACK, SEQUENCE.pack(sequence) + _refusal(code, text)))

    def content_head(self, transfer: int, index: int, digest: bytes, size: int) -> bytes:
        """What stands on the network before a chunk of so many bytes; the shell puts the bytes right behind it.

        They are not said here, so that a chunk is never copied. What is `queued` has to go before.
        """
        self.check_message(0)
        if not 0 <= size <= CHUNK_MAX:
            raise TooLarge("chunk", size=size, limit=CHUNK_MAX)
        return HEADER.pack(Kind.CONTENT << 24 | CONTENT.size + size) + CONTENT.pack(transfer, index, digest)

    def send_ping(self) -> bool:
        """Ask for a sign of life; the answer is heard like any other frame.

        After the peer's BYE nothing answers any more, but the PING still shows the peer that this side lives.
        """
        if not self.opened or not self.sending:
            return False
        self._put(encode_frame(Kind.PING, b""))
        return True

    def send_eof(self, code: Code = Code.OK, text: str = "") -> None:
        """BYE: this side sends no more. A server that owes its answer to HELLO says REFUSED instead."""
        if not self.sending:
            return
        if self.role is Role.SERVER and not self.opened:
            self.send_refused(code, text)
            return
        self.sending = False
        if self._greeted and self.state is not State.PREFACE:
            self._put(encode_frame(Kind.BYE, _refusal(code, text)))

    # Inside.

    def _enter(self, state: State) -> None:
        self.state = state
        self._takes = TAKES[self.role][state]

    def _end(self) -> None:
        """The peer is heard no more."""
        self.receiving = False

    def _open(self, state: State) -> None:
        """The handshake is finished: messages may be said from here."""
        self._enter(state)
        self._largest = min(self.peer_limit, FRAME_MAX)

    def _greet(self, kind: Kind, greeting: Hello | Welcome) -> None:
        if not greeting.message:
            greeting = msgspec.structs.replace(greeting, message=self._limits.message)
        self._put(PREFACE + _greeting(kind, greeting))
        self._greeted = True

    def _send_numbered(self, kind: Kind, number: int, body: bytes) -> None:
        if not 0 < number <= ID_MAX:
            raise LocalError(f"the request id {number}, expected 1 to {ID_MAX}")
        size = len(body) + ID_SIZE
        if size > self._largest or not self.sending:
            self._send_large(kind, HEADER.pack(number), body)
            return
        self._out.append(_HEAD_AND_ID.pack(kind << 24 | size, number))
        self._out.append(body)
        self.queued += size + 4

    def _send_large(self, kind: Kind, prefix: bytes, body: bytes) -> None:
        self.check_message(len(body))
        pieces = list(split(kind, prefix, body))
        self._out += pieces
        self.queued += sum(map(len, pieces))

    def check_message(self, size: int) -> None:
        """Raise what a message of so many bytes would raise now."""
        self._check_sending()
        if not self.opened:
            raise LocalError("the handshake is not finished; messages can be said after WELCOME")
        if size > self.peer_limit:
            raise TooLarge("message", size=size, limit=self.peer_limit)


def _greeting(kind: Kind, greeting: Hello | Welcome) -> bytes:
    try:
        payload = msgspec.msgpack.encode(greeting)
    except UnicodeEncodeError as error:
        raise EncodeError("msgpack", f"{kind.name} holds text that is no Unicode: {error}") from error
    if len(payload) > HELLO_MAX:
        raise TooLarge(f"{kind.name} frame", size=len(payload), limit=HELLO_MAX)
    return encode_frame(kind, payload)


def _refusal(code: Code, text: str) -> bytes:
    """The payload of REFUSED and BYE. Half characters, which no peer could read, become question marks."""
    return msgspec.msgpack.encode(Refusal(code, text[:TEXT_MAX].encode("utf-8", "replace").decode()))

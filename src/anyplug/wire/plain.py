"""A plain session: one framing on a byte stream, for peers that know nothing of Anyplug."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyplug.errors import AnyplugError, Code
from anyplug.messages import Data, Ended, Fault, Refusal
from anyplug.wire.session import Session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anyplug.framing import Decoder, Framing

__all__ = ["PlainSession"]


class PlainSession(Session):
    """Messages cut by a framing. There is no handshake, no request id and no reason at the end."""

    __slots__ = ("_decoder", "framing")

    def __init__(self, framing: Framing) -> None:
        super().__init__()
        self.framing = framing
        """How messages are cut."""
        self._decoder: Decoder | None = framing.decoder()

    @property
    def pending(self) -> int:
        """Bytes held of a message that is not whole yet."""
        return self._decoder.pending if self._decoder is not None else 0

    def receive_data(self, data: bytes) -> None:
        """Take the next bytes of the stream. After a fault or the end they are dropped."""
        before = len(self.happened)
        bodies = self.receive_messages(data)
        if bodies:
            self.happened.insert(before, Data(bodies))

    def receive_messages(self, data: bytes) -> list[bytes]:
        """The same; returns the messages, which are not reported as an event then."""
        self.received += len(data)
        decoder = self._decoder
        if decoder is None:
            return []
        bodies = decoder.feed(data)
        if bodies:
            self.batches += 1
        if decoder.error is not None:
            self._fail(decoder.error)
        return bodies

    def receive_eof(self) -> None:
        """The stream has ended: cleanly at a boundary, `Broken` inside a message."""
        decoder = self._decoder
        if decoder is None:
            return
        try:
            bodies = decoder.feed_eof()
        except AnyplugError as error:
            self._fail(error)
            return
        if bodies:
            self.batches += 1
            self.happened.append(Data(bodies))
        self._decoder = None
        self.receiving = False
        self.happened.append(Ended(Refusal(Code.OK)))

    def send_data(self, body: bytes) -> None:
        """Say one message."""
        if not self.sending:
            self._check_sending()
        data = self.framing.encode(body)
        self._out.append(data)
        self.queued += len(data)

    def encode_data(self, body: bytes) -> bytes:
        """One message as it goes on the network."""
        if not self.sending:
            self._check_sending()
        return self.framing.encode(body)

    def send_many(self, bodies: Sequence[bytes]) -> None:
        """Say several messages."""
        self._check_sending()
        data = self.framing.encode_many(bodies)
        if data:
            self._put(data)

    def send_eof(self, code: Code = Code.OK, text: str = "") -> None:
        """Say no more. A plain stream carries no reason; ending the stream is the shell's task."""
        self.sending = False

    def _fail(self, error: AnyplugError) -> None:
        """Nothing can be read any more; what went wrong can still be said in a last message."""
        self._decoder = None
        self.receiving = False
        self.happened.append(Fault(error))

"""What every session offers: a conversation as bytes and events, without any input or output.

A session stands between a byte stream and the two ends of a conversation. Four verbs make its boundary:

- `Session.receive_data` and `Session.receive_eof` take what the network brought. They never raise: a fault is the last
  event.
- ``send_*`` take what this side says.
- `Session.events` gives what happened since the last call. Call it after each ``receive_*``.
- `Session.data_to_send` gives the bytes to put on the network. Call it after ``receive_*`` and ``send_*`` when
  `Session.queued` is not 0.

The async and the blocking ends are shells around these verbs. A shell whose network takes no more bytes leaves them
here and stops reading: what a peer can make a session say by itself is then bounded, too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from anyplug.errors import Code, ConnectionClosed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anyplug.messages import Event

__all__ = ["Session"]


class Session(ABC):
    """One end of one conversation."""

    __slots__ = ("_out", "_why", "batches", "happened", "queued", "received", "receiving", "sending")

    has_requests: bool = False
    """Whether requests carry ids on a session of this kind. Without ids an answer is the next message."""

    def __init__(self) -> None:
        self.happened: list[Event] = []
        """What `events` will give; look whether there is anything."""
        self._out: list[bytes | memoryview] = []
        self._why = (Code.OK, "this side has ended the conversation")
        self.queued = 0
        """Bytes that wait for `data_to_send`."""
        self.received = 0
        """Bytes received in all."""
        self.batches = 0
        """Batches of whole messages received in all."""
        self.sending = True
        """Whether this side may still send messages."""
        self.receiving = True
        """Whether the peer may still say something: it has neither ended the conversation nor broken it."""

    def events(self) -> list[Event]:
        """All that happened since the last call, in order."""
        events = self.happened
        if events:
            self.happened = []
        return events

    def data_to_send(self) -> bytes:
        """The bytes to put on the network now, in one piece."""
        data = b"".join(self._out)
        self._out = []
        self.queued = 0
        return data

    @property
    def room(self) -> memoryview | None:
        """Where a shell may put the next bytes of the stream instead of giving them to `receive_data`; then it calls
        `receive_filled`. None where there is no such place: that is so unless a large chunk of a file is on its way.
        """
        return None

    def receive_filled(self, count: int) -> None:
        """So many bytes were put into `room`; the same as to receive them."""
        raise NotImplementedError  # a session that has room has this

    @property
    @abstractmethod
    def pending(self) -> int:
        """Bytes held of a message that is not whole yet; 0 once the peer has ended."""

    @abstractmethod
    def receive_data(self, data: bytes) -> None:
        """Take the next bytes of the stream. After the end or a fault they are counted and dropped."""

    def receive_messages(self, data: bytes) -> list[bytes]:
        """The same as `receive_data` for a shell in a hurry: messages that came before anything else are returned.

        They are not reported as an event then; what else happened is in `events`. Handle the messages first.
        """
        self.receive_data(data)
        return []

    def receive_answer(self, data: bytes) -> tuple[int, bytes] | None:
        """The same as `receive_data` for an asker in a hurry: the id and the body of an answer that comes alone and
        whole. None where these bytes are anything else; then nothing was taken.
        """
        return None

    @abstractmethod
    def receive_eof(self) -> None:
        """The stream has ended. A second call does nothing."""

    @abstractmethod
    def send_data(self, body: bytes) -> None:
        """Say one message.

        Raises:
            TooLarge: above the limit of either side.
            EncodeError: the framing cannot carry it.
            ConnectionClosed: this side has said that it sends no more, or the conversation has failed.
        """

    @abstractmethod
    def encode_data(self, body: bytes) -> bytes:
        """One message as it goes on the network, for a shell that puts it there at once; `queued` must be 0.

        Raises as `send_data`.
        """

    @abstractmethod
    def send_many(self, bodies: Sequence[bytes]) -> None:
        """Say several messages, in order; raises as `send_data`, and then has said none."""

    @abstractmethod
    def send_eof(self, code: Code = Code.OK, text: str = "") -> None:
        """Say that this side sends no more, and why. A second call does nothing."""

    def send_ping(self) -> bool:
        """Ask for a sign of life. False where the session has none to ask for."""
        return False

    def _put(self, data: bytes) -> None:
        self._out.append(data)
        self.queued += len(data)

    def _check_sending(self) -> None:
        if not self.sending:
            raise ConnectionClosed(*self._why)

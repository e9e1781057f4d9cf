"""A session over packets: each packet is one message, and its bounds are the network's."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from anyplug.wire.plain import PlainSession

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anyplug.framing import Framing

__all__ = ["PacketSession"]


class PacketSession(PlainSession):
    """A plain session that never joins messages: `data_to_send` gives one packet; call it while `queued` is not 0."""

    __slots__ = ("_packets",)

    def __init__(self, framing: Framing) -> None:
        super().__init__(framing)
        self._packets: deque[bytes] = deque()

    def data_to_send(self) -> bytes:
        """The next packet."""
        packet = self._packets.popleft()
        self.queued -= len(packet)
        return packet

    def send_data(self, body: bytes) -> None:
        """Say one message."""
        self.send_many([body])

    def send_many(self, bodies: Sequence[bytes]) -> None:
        """Say several messages, in order."""
        self._check_sending()
        packets = list(map(self.framing.encode, bodies))
        self._packets.extend(packets)
        self.queued += sum(map(len, packets))

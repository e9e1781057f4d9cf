"""Transports in memory that each break one rule of the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from anyplug.transport import MemoryTransport

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable

    Data = bytes | bytearray | memoryview

__all__ = ["join"]


def join(
    kind: type[MemoryTransport], a: asyncio.Protocol, b: asyncio.Protocol, loop: asyncio.AbstractEventLoop
) -> tuple[MemoryTransport, MemoryTransport]:
    """As `memory_pair`, with another class."""
    ends = kind(loop, a, "memory:a", None), kind(loop, b, "memory:b", None)
    ends[0]._join(ends[1])
    ends[1]._join(ends[0])
    a.connection_made(ends[0])
    b.connection_made(ends[1])
    return ends


class MakesTwice(MemoryTransport):
    def _join(self, peer: MemoryTransport) -> None:
        super()._join(peer)
        self._protocol.connection_made(self)


class HasNoNames(MemoryTransport):
    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default


class KnowsNoDefault(MemoryTransport):
    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return super().get_extra_info(name)


class ForgetsItsProtocol(MemoryTransport):
    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._peer._protocol


class DropsAWrite(MemoryTransport):
    def write(self, data: Data) -> None:
        if len(data) != 8:
            super().write(data)


class WritesTwice(MemoryTransport):
    def write(self, data: Data) -> None:
        super().write(data)
        if len(data) == 8:
            super().write(data)


class SwapsWrites(MemoryTransport):
    def write(self, data: Data) -> None:
        super().write(data)
        if len(self._way) > 1:
            self._way[-1], self._way[-2] = self._way[-2], self._way[-1]


class ForgetsTheLastOfMany(MemoryTransport):
    def writelines(self, list_of_data: Iterable[Data]) -> None:
        super().writelines(list(list_of_data)[:-1])


class GivesByteArrays(MemoryTransport):
    def write(self, data: Data) -> None:
        super().write(data)
        if self._way:
            self._way[-1] = bytearray(self._way[-1])  # type: ignore[assignment]


class NeverPauses(MemoryTransport):
    def write(self, data: Data) -> None:
        self._high = self._low = 1 << 62
        super().write(data)


class PausesForEachWrite(MemoryTransport):
    def write(self, data: Data) -> None:
        super().write(data)
        if self._paused:
            self._protocol.pause_writing()


class NeverResumes(MemoryTransport):
    def _tell_resume(self) -> None:
        pass


class ResumesAtOnce(MemoryTransport):
    def write(self, data: Data) -> None:
        super().write(data)
        if self._paused:
            self._paused = False
            self._protocol.resume_writing()


class SaysItsBufferIsEmpty(MemoryTransport):
    def get_write_buffer_size(self) -> int:
        return 0


class KeepsItsLimits(MemoryTransport):
    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = 1 << 62


class IgnoresAPauseOfReading(MemoryTransport):
    def pause_reading(self) -> None:
        self._loop.call_later(0.01, self.resume_reading)
        self._shown = True
        super().pause_reading()
        self._loop.call_soon(super().resume_reading)


class SaysItReads(MemoryTransport):
    def is_reading(self) -> bool:
        return True


class LosesWhatComesInAPause(MemoryTransport):
    def resume_reading(self) -> None:
        peer = self._peer
        peer._way.clear()
        peer._queued = 0
        peer._tell_resume()
        super().resume_reading()


class HasNoEnd(MemoryTransport):
    def _deliver_eof(self) -> None:
        pass


class EndsTwice(MemoryTransport):
    def _deliver_eof(self) -> None:
        if not self._eof_delivered:
            self._peer._protocol.eof_received()
        super()._deliver_eof()


class EndsBeforeTheLastBytes(MemoryTransport):
    def write_eof(self) -> None:
        self._way.clear()
        super().write_eof()


class WritesAfterTheEnd(MemoryTransport):
    def write(self, data: Data) -> None:
        if not self._eof_sent:
            super().write(data)


class ClosesBothHalves(MemoryTransport):
    def write_eof(self) -> None:
        super().write_eof()
        self._read_paused = True


class DeniesHalfClose(MemoryTransport):
    def can_write_eof(self) -> bool:
        return False


class ClosesWithoutDelivering(MemoryTransport):
    def close(self) -> None:
        self._way.clear()
        super().close()


class ClosesWithAnError(MemoryTransport):
    def _lose(self, error: Exception | None) -> None:
        super()._lose(error or OSError("closed"))


class SaysItIsOpen(MemoryTransport):
    def is_closing(self) -> bool:
        return False


class LosesAtOnce(MemoryTransport):
    def close(self) -> None:
        if self._lost or self._way:
            super().close()
            return
        self._closing = self._lost = True
        self._deliver_eof()
        self._protocol.connection_lost(None)


class LosesTwice(MemoryTransport):
    def _lose(self, error: Exception | None) -> None:
        super()._lose(error)
        self._loop.call_soon(self._protocol.connection_lost, error)


class DeliversAfterItsEnd(MemoryTransport):
    def _lose(self, error: Exception | None) -> None:
        first = not self._lost
        super()._lose(error)
        if first:
            self._loop.call_soon(self._protocol.data_received, b"late")


class RaisesAfterClose(MemoryTransport):
    def write(self, data: Data) -> None:
        if self._closing:
            raise RuntimeError("closed")
        super().write(data)


class AbortsAtOnce(MemoryTransport):
    def abort(self) -> None:
        if not self._lost:
            self._lost = self._closing = True
            self._protocol.connection_lost(None)
            self._peer._lose(None)


class CannotAbort(MemoryTransport):
    def abort(self) -> None:
        self._closing = True


class AbortsWithRubbish(MemoryTransport):
    def abort(self) -> None:
        if not self._lost:
            self._peer._protocol.data_received(b"rubbish")
        super().abort()


class KeepsItsBufferAfterAnAbort(MemoryTransport):
    def get_write_buffer_size(self) -> int:
        return self._high + 1 if self._lost else super().get_write_buffer_size()


class StatesNoLargestPacket(MemoryTransport):
    def writelines(self, list_of_data: Iterable[Data]) -> None:
        for data in list_of_data:
            self.write(data)


class TakesAnyPacket(StatesNoLargestPacket):
    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return 1000 if name == "packet_max" else super().get_extra_info(name, default)


class CarriesOnlySmallWrites(MemoryTransport):
    def write(self, data: Data) -> None:
        super().write(data[: 1 << 20])

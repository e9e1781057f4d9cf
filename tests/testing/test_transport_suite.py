"""The conformance suite of transports catches each kind of lie, and says what was wrong."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import pytest

from anyplug.testing import check_transport
from anyplug.transport import MemoryTransport, memory_pair
from tests.testing import transport_liars as liars

if TYPE_CHECKING:
    from anyplug.testing.transport import Connect

PATIENCE = 0.1
"""How long the suite waits for a liar, seconds."""

LIARS: list[tuple[type[MemoryTransport], str]] = [
    (liars.MakesTwice, "calls at end a once it is connected"),
    (liars.HasNoNames, "get_extra_info('peername') is there"),
    (liars.KnowsNoDefault, "get_extra_info of an unknown name"),
    (liars.ForgetsItsProtocol, "get_protocol"),
    (liars.DropsAWrite, "from a to b"),
    (liars.WritesTwice, "from a to b"),
    (liars.SwapsWrites, "from a to b"),
    (liars.ForgetsTheLastOfMany, "from a to b"),
    (liars.GivesByteArrays, "the type of what data_received gets"),
    (liars.NeverPauses, "expected 'pause_writing'"),
    (liars.PausesForEachWrite, "pause_writing and resume_writing in turns"),
    (liars.NeverResumes, "resume_writing"),
    (liars.ResumesAtOnce, "resume_writing while nothing is read"),
    (liars.SaysItsBufferIsEmpty, "get_write_buffer_size while paused"),
    (liars.KeepsItsLimits, "expected 'pause_writing'"),
    (liars.IgnoresAPauseOfReading, "pause"),
    (liars.SaysItReads, "pause"),
    (liars.LosesWhatComesInAPause, "after a pause of writing"),
    (liars.HasNoEnd, "for eof_received"),
    (liars.EndsTwice, "eof_received twice"),
    (liars.EndsBeforeTheLastBytes, "before the end of the stream"),
    (liars.WritesAfterTheEnd, "write after write_eof"),
    (liars.ClosesBothHalves, "to an end that has said everything"),
    (liars.DeniesHalfClose, "write_eof where can_write_eof is False"),
    (liars.ClosesWithoutDelivering, "before close"),
    (liars.ClosesWithAnError, "the error of connection_lost"),
    (liars.SaysItIsOpen, "is_closing after close"),
    (liars.LosesAtOnce, "calls during close"),
    (liars.LosesTwice, "connection_lost"),
    (liars.DeliversAfterItsEnd, "the last call"),
    (liars.RaisesAfterClose, "write after close raised"),
    (liars.AbortsAtOnce, "connection_lost during abort"),
    (liars.CannotAbort, "for connection_lost"),
    (liars.AbortsWithRubbish, "what arrives before an abort"),
    (liars.KeepsItsBufferAfterAnAbort, "get_write_buffer_size after an abort"),
    (liars.CarriesOnlySmallWrites, "of the largest write"),
]


PACKET_LIARS: list[tuple[type[MemoryTransport], str]] = [
    (liars.StatesNoLargestPacket, "get_extra_info('packet_max')"),
    (liars.TakesAnyPacket, "write of 1001 bytes with a packet_max of 1000"),
]


@pytest.mark.parametrize(("liar", "says"), PACKET_LIARS, ids=[liar.__name__ for liar, _ in PACKET_LIARS])
async def test_a_lie_about_packets_is_caught_and_named(liar: type[MemoryTransport], says: str) -> None:
    with pytest.raises(AssertionError) as caught:
        await check_transport(_connect(liar), packets=True, patience=PATIENCE)
    assert says in str(caught.value)


@pytest.mark.parametrize(("liar", "says"), LIARS, ids=[liar.__name__ for liar, _ in LIARS])
async def test_a_lie_is_caught_and_named(liar: type[MemoryTransport], says: str) -> None:
    with pytest.raises(AssertionError) as caught:
        await check_transport(_connect(liar), patience=PATIENCE)
    assert says in str(caught.value)


async def test_the_honest_one_the_liars_come_from_passes() -> None:
    await check_transport(_connect(MemoryTransport))


@pytest.mark.parametrize(("piece", "says"), [(3, "from a to b"), (None, "packets from a to b")])
async def test_a_stream_is_not_taken_for_packets(piece: int | None, says: str) -> None:
    async def connect(a: asyncio.Protocol, b: asyncio.Protocol) -> tuple[asyncio.Transport, asyncio.Transport]:
        return memory_pair(a, b, piece=piece)

    with pytest.raises(AssertionError) as caught:
        await check_transport(connect, packets=True, patience=PATIENCE)
    assert says in str(caught.value)


def test_every_liar_is_in_the_table() -> None:
    known = {each for each in vars(liars).values() if isinstance(each, type) and issubclass(each, MemoryTransport)}
    assert known - {MemoryTransport} == {liar for liar, _ in (*LIARS, *PACKET_LIARS)}


def _connect(kind: type[MemoryTransport]) -> Connect:
    async def connect(a: asyncio.Protocol, b: asyncio.Protocol) -> tuple[asyncio.Transport, asyncio.Transport]:
        return partial(liars.join, kind)(a, b, asyncio.get_running_loop())

    return connect

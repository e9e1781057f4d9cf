"""A client and a server joined in memory: both real, only the network is not."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from anyplug import Connection, Limits, Server
from anyplug.codec import make_codec
from anyplug.framing import make_framing
from anyplug.intake import Intake
from anyplug.messages import Hello
from anyplug.server.reception import Reception
from anyplug.transport.link import Link
from anyplug.transport.memory import Cut, MemoryTransport, memory_pair
from anyplug.wire import PlainSession, PlugSession, Role, Session
from tests.server.serving import LogRecords

if TYPE_CHECKING:
    from anyplug.services.base import Service

__all__ = ["Joined"]


class Joined:
    """One conversation with a service, both ends in hand.

    Attributes:
        peer: the client's end; on plug it is usable once `welcomed` has returned.
        client: the client's link, `far` the server's.
        near, away: their transports.
        records: the server's log.
    """

    def __init__(
        self,
        service: Service,
        *,
        plain: str = "",
        codec: str = "text",
        near_codec: str = "",
        limits: Limits | None = None,
        piece: int | None = None,
        cut: tuple[str, int, Cut] | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.loop = asyncio.get_running_loop()
        self.records = LogRecords()
        self.server = Server(limits=self.limits, log=self.records.log())
        self.server.add(service)
        self.context = self.server._context
        found: Any = make_codec(near_codec or codec, service.type if plain and not near_codec else Any)
        self.intake: Intake[Any] = Intake(found)
        self.client = self._link(self._client_session(service, plain, codec), self.intake.attach)
        opener: Any = partial(Reception, self.context)
        far_session: Session = PlugSession(Role.SERVER, self.limits)
        if plain:
            opener = partial(self.context.open, self.context.services[service.name], codec=codec)
            far_session = PlainSession(make_framing(plain, limit=self.limits.message))
        else:
            self.intake.opening = self.loop.create_future()
        self.far = self._link(far_session, opener, links=self.context.links, on_lost=self.context.changed)
        self._cut = cut
        self.near, self.away = self._join(piece)
        self.peer: Connection[Any] = Connection(self.client, self.intake, found, peer="memory", service=service.name)

    def _client_session(self, service: Service, plain: str, codec: str) -> Session:
        if plain:
            return PlainSession(make_framing(plain, limit=self.limits.message))
        session = PlugSession(Role.CLIENT, self.limits)
        session.send_hello(Hello(service=service.name, codec=codec))
        return session

    def _link(self, session: Session, opener: Any, **more: Any) -> Link:
        return Link(session, opener, limits=self.limits, loop=self.loop, **more)

    def _join(self, piece: int | None) -> tuple[MemoryTransport, MemoryTransport]:
        near, away = memory_pair(self.client, self.far, loop=self.loop, piece=piece)
        if self._cut is not None:
            side, after, how = self._cut
            (near if side == "near" else away).cut_after(after, how=how)
        return near, away

    async def welcomed(self) -> Joined:
        """The handshake is done; raises what ended it."""
        if self.intake.opening is not None:
            async with asyncio.timeout(10):
                await self.intake.opening
        return self

    async def over(self) -> None:
        """Wait until the server has nothing left of it."""
        if not await self.context.ended(10):
            raise AssertionError(f"the server still holds {self.context.links} {self.context.conversations}")

"""What all parts of one server share, and how a service is opened on a link."""

from __future__ import annotations

import asyncio
import difflib
from functools import partial
from typing import TYPE_CHECKING, Any

from anyplug.connection import Connection
from anyplug.errors import Broken, Code, ConnectionClosed, PeerError, Timeout
from anyplug.intake import Intake
from anyplug.server.arrivals import Traffic
from anyplug.server.replying import DirectSink, TaskSink, complain
from anyplug.server.visiting import VisitSink
from anyplug.services.base import Mode
from anyplug.services.facilities import Facilities
from anyplug.services.visits import Guest
from anyplug.transport.turns import Crowd
from anyplug.wire import PlugSession

if TYPE_CHECKING:
    from anyplug.codec import Codec
    from anyplug.limits import Limits
    from anyplug.server.admission import Admission
    from anyplug.server.logs import Log
    from anyplug.services.base import Service
    from anyplug.transport.link import Link, Sink

__all__ = ["STOPPING", "Context"]

STOPPING = "the server is stopping"
"""What peers are told when the server drains."""


def _say(link: Link, bodies: list[bytes]) -> None:
    """Say messages, unless nothing can be said any more; they go to the kernel at the end of this turn."""
    if link.session.sending:
        link.session.send_many(bodies)
        link.flush_soon()


async def _send_chunk(link: Link, transfer: int, index: int, digest: bytes, chunk: bytes | memoryview) -> None:
    """Say a chunk of a file, when the peer takes it."""
    await link.room()
    session = link.session
    if isinstance(session, PlugSession):
        link.say_content(session.content_head(transfer, index, digest, len(chunk)), chunk)


class Context:
    """The services, limits, log and open conversations of one server.

    Args:
        limits: the server's bounds.
        log: where events go.
        token: what entitles clients; empty where nothing is asked for.
        incarnation: a word that is new each time the server starts.
        admission: the places of the whole server.
    """

    def __init__(self, *, limits: Limits, log: Log, token: str, incarnation: str, admission: Admission) -> None:
        self.limits = limits
        self.log = log
        self.token = token
        self.incarnation = incarnation
        self.admission = admission
        self.facilities = Facilities(log=log, incarnation=incarnation)
        """What services share."""
        self.services: dict[str, Service] = {}
        """By name. Conversations keep the service they began with when this changes."""
        self.traffic = Traffic()
        """Chunks of files under way."""
        self.draining = False
        """No new conversation begins."""
        self.links = Crowd()
        """All open streams."""
        self.conversations: set[asyncio.Future[None]] = set()
        """Running conversation handlers, and openings that wait for the store."""
        self._change: asyncio.Future[None] | None = None

    async def ended(self, seconds: float) -> bool:
        """Wait until no stream is open and no handler runs, for so long at most. Returns whether that is so."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while (self.links or self.conversations) and loop.time() < deadline:
            self._change = loop.create_future()
            await asyncio.wait([self._change], timeout=deadline - loop.time())
        return not self.links and not self.conversations

    def changed(self) -> None:
        """A stream or a handler has ended."""
        if self._change is not None and not self._change.done():
            self._change.set_result(None)

    def find(self, name: str) -> Service | None:
        """The service of that name."""
        return self.services.get(name)

    def unknown(self, name: str) -> str:
        """The sentence for a service that is not offered."""
        near = difflib.get_close_matches(name, self.services, n=1)
        hint = f"did you mean {near[0]}?" if near else f"offered: {', '.join(sorted(self.services)) or 'none'}"
        return f"no service {name!r} here; {hint}"

    def open(
        self, service: Service, link: Link, *, codec: str, rest: str = "", producer: bytes = b"", name: str = ""
    ) -> Sink:
        """Begin the service on a link; returns the sink for the link's events from now on.

        Raises:
            Refused: the service takes no such conversation.
        """
        found = service.codec(codec)
        if service.mode is Mode.VISIT:
            return self._visit(service, link, found, rest=rest, producer=producer, name=name)
        if service.mode is Mode.DIRECT:
            return DirectSink(service, found, link, self.log)
        if service.mode is not Mode.CONVERSATION:
            return TaskSink(service, found, link, self.log)
        intake = Intake(found).attach(link)
        peer, local = link.names
        connection = Connection(link, intake, found, peer=peer, local=local, service=service.name, rest=rest)
        self.keep(link.loop.create_task(self._hold(service, connection, link, found)))
        return intake

    def keep(self, task: asyncio.Future[None]) -> None:
        """Hold on to a task of a conversation until it ends."""
        self.conversations.add(task)
        task.add_done_callback(self._conversation_done)

    def _visit(
        self, service: Service, link: Link, codec: Codec[Any], *, rest: str, producer: bytes, name: str
    ) -> VisitSink:
        peer, local = link.names
        session = link.session
        guest = Guest(
            peer=peer,
            local=local,
            rest=rest,
            codec=codec,
            plug=session.has_requests,
            producer=producer,
            name=name,
            message=session.peer_limit if isinstance(session, PlugSession) else self.limits.message,
            limit=self.limits.message,
            say=partial(_say, link),
            send=partial(_send_chunk, link),
            end=lambda code, text: link.sink.drain(code, text),  # noqa: PLW0108 - the sink is not there yet
        )
        visit = service.handler(guest)
        if isinstance(session, PlugSession):
            session.lend(self.traffic.buffers)
        known = bool(producer)
        return VisitSink(visit, service, codec, link, self.log, producer=known, hold=self.keep, traffic=self.traffic)

    def _conversation_done(self, task: asyncio.Future[None]) -> None:
        self.conversations.discard(task)
        self.changed()

    async def _hold(self, service: Service, connection: Connection[Any], link: Link, codec: Codec[Any]) -> None:
        """Run a conversation handler to its end."""
        try:
            await service.handler(connection)
        except (ConnectionClosed, Broken):
            link.finish()
        except (PeerError, Timeout) as error:
            self.log.info("peer_error", service=service.name, peer=connection.peer, problem=str(error))
            link.finish(Code.SLOW if isinstance(error, Timeout) else error.code, str(error))
        except Exception as error:  # noqa: BLE001 - whatever a handler raises ends here
            self.log.failure("handler_failed", error, service=service.name, peer=connection.peer)
            self._say_failed(link, codec)
        else:
            link.finish()

    def _say_failed(self, link: Link, codec: Codec[Any]) -> None:
        text = "the service failed in this conversation"
        if not link.session.has_requests and link.session.sending and not link.transport.is_closing():
            complain(link, codec, Code.FAILED, text)
        link.finish(Code.FAILED, text)

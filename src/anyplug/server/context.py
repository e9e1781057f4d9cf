"""What all parts of one server share, and how a service is opened on a link."""

from __future__ import annotations

import asyncio
import difflib
from typing import TYPE_CHECKING, Any

from anyplug.connection import Connection
from anyplug.errors import Broken, Code, ConnectionClosed, PeerError, Timeout
from anyplug.intake import Intake
from anyplug.server.replying import DirectSink, TaskSink, complain
from anyplug.services.base import Mode

if TYPE_CHECKING:
    from anyplug.codec import Codec
    from anyplug.limits import Limits
    from anyplug.server.admission import Admission
    from anyplug.server.logs import Log
    from anyplug.services.base import Service
    from anyplug.transport.link import Link, Sink

__all__ = ["Context"]


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
        self.services: dict[str, Service] = {}
        """By name. Conversations keep the service they began with when this changes."""
        self.draining = False
        """No new conversation begins."""
        self.links: set[Link] = set()
        """All open streams."""
        self.conversations: set[asyncio.Task[None]] = set()
        """Running conversation handlers."""
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

    def open(self, service: Service, link: Link, *, codec: str, rest: str = "") -> Sink:
        """Begin the service on a link; returns the sink for the link's events from now on."""
        found = service.codec(codec)
        if service.mode is Mode.DIRECT:
            return DirectSink(service, found, link, self.log)
        if service.mode is not Mode.CONVERSATION:
            return TaskSink(service, found, link, self.log)
        intake = Intake(found).attach(link)
        peer, local = link.names
        connection = Connection(link, intake, found, peer=peer, local=local, service=service.name, rest=rest)
        task = link.loop.create_task(self._hold(service, connection, link, found))
        self.conversations.add(task)
        task.add_done_callback(self._conversation_done)
        return intake

    def _conversation_done(self, task: asyncio.Task[None]) -> None:
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

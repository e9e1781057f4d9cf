"""The first sinks of a connection on a plug listener: who are you, and what do you want?

`Reception` hears a HELLO and answers it; `Menu` does the same for people with ``nc``, whose first line names the
service. Both hand the link over to the service, and both stand under a deadline, so that a peer that never gets to
the point does not hold a place.
"""

from __future__ import annotations

import hmac
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, cast

from anyplug._version import __version__
from anyplug.codec import default_codec
from anyplug.errors import AnyplugError, Code, LocalError, Refused
from anyplug.messages import Hello, Welcome

if TYPE_CHECKING:
    import asyncio

    from anyplug.messages import Event
    from anyplug.server.context import Context
    from anyplug.services.base import Service
    from anyplug.store import Store
    from anyplug.transport.link import Link
    from anyplug.wire import PlugSession

__all__ = ["MENU_TIME", "Menu", "Reception"]

MENU_TIME = 60.0
"""How long somebody who was shown the menu may take to name a service, seconds: people type."""

_TRIES = 8
"""Lines that name no service before the conversation ends."""

_NO_STORE = "the server's store cannot say what it has of this producer; try again in a while"
"""What peers are told of a store that refuses; where it lies on the server's disk is not for them."""


class _Desk(ABC):
    """What both share: the deadline."""

    __slots__ = ("_context", "_link", "_timer")

    def __init__(self, context: Context, link: Link, seconds: float) -> None:
        self._context = context
        self._link = link
        self._timer: asyncio.TimerHandle = link.loop.call_later(seconds, self._too_late, seconds)

    def writable(self) -> None:  # noqa: B027 - nothing waits for room at a desk, and that is final
        """Nothing waits for room here."""

    def lost(self) -> None:
        """The stream is gone."""
        self._timer.cancel()

    def drain(self, code: Code, text: str) -> None:
        """No conversation has begun: say why there will be none."""
        self._timer.cancel()
        if self._link.session.sending:
            self._refuse(code, text)

    def _too_late(self, seconds: float) -> None:
        self._refuse(Code.SLOW, f"no service was named within {seconds:g} s")

    @abstractmethod
    def _refuse(self, code: Code, text: str) -> None:
        """Say no, and end."""


class Reception(_Desk):
    """Hears HELLO; answers WELCOME or REFUSED.

    Who names a producer is told how far the store is with it, and the store is asked off the loop: such a WELCOME takes
    a moment, within the same deadline.
    """

    __slots__ = ("_looking",)

    def __init__(self, context: Context, link: Link) -> None:
        super().__init__(context, link, context.limits.handshake)
        self._looking: asyncio.Task[None] | None = None

    def messages(self, bodies: list[bytes]) -> None:
        """Never called: the session lets no message through before WELCOME."""

    def handle(self, event: Event) -> None:
        """One event of the session; everything but a HELLO ends it, and the session has said why."""
        if isinstance(event, Hello):
            self._decide(event)
        else:
            self._leave()
        if self._looking is None:
            self._timer.cancel()

    def lost(self) -> None:
        """The stream is gone."""
        super().lost()
        self._leave()

    def drain(self, code: Code, text: str) -> None:
        """This server stops."""
        self._leave()
        super().drain(code, text)

    def _leave(self) -> None:
        """Nobody waits for the WELCOME any more."""
        looking, self._looking = self._looking, None
        if looking is not None:
            looking.cancel()

    def _too_late(self, seconds: float) -> None:
        if self._looking is None:
            super()._too_late(seconds)
            return
        self._leave()
        self._refuse(Code.BUSY, f"the store did not answer within {seconds:g} s; try again in a while")

    def _decide(self, hello: Hello) -> None:
        context = self._context
        if context.draining:
            self._refuse(Code.GOING_AWAY, "this server is stopping; try again in a while")
            return
        if not self._entitled(hello):
            self._refuse(Code.NOT_ALLOWED, "the token is missing or wrong")
            return
        service = context.find(hello.service)
        if service is None:
            self._refuse(Code.UNKNOWN_SERVICE, context.unknown(hello.service))
            return
        try:
            if hello.codec == "pickled":
                raise LocalError("the codec 'pickled' is for plain sockets; use msgpack or json")
            service.codec(hello.codec)
        except LocalError as error:
            self._refuse(Code.UNKNOWN_CODEC, str(error))
            return
        store = context.facilities.store
        if hello.producer and service.posts and store is not None:
            self._looking = self._link.loop.create_task(self._look(store, service, hello))
            context.keep(self._looking)
        else:
            self._welcome(service, hello)

    async def _look(self, store: Store, service: Service, hello: Hello) -> None:
        """Find out how far the store is with this producer, and go on."""
        context = self._context
        try:
            posted = await store.log.watermark(hello.producer)
        except AnyplugError as error:
            self._looking = None
            self._timer.cancel()
            context.log.warning("store_refused", service=service.name, problem=str(error))
            self._refuse(error.code or Code.GOING_AWAY, _NO_STORE)
            return
        self._looking = None
        self._timer.cancel()
        try:
            self._welcome(service, hello, posted)
        except BaseException:
            self._link.abort()
            raise
        self._link.flush_soon()

    def _welcome(self, service: Service, hello: Hello, posted: int = 0) -> None:
        context, link = self._context, self._link
        try:
            sink = context.open(
                service, link, codec=hello.codec, rest=hello.rest, producer=hello.producer, name=hello.name
            )
        except Refused as no:
            self._refuse(no.code, no.text)
            return
        store = context.facilities.store
        cast("PlugSession", link.session).send_welcome(
            Welcome(
                service=service.name,
                codec=hello.codec,
                message=context.limits.message,
                asks=service.asks,
                posts=service.posts,
                generation=store.generation if store is not None and service.posts else "",
                posted=posted,
                incarnation=context.incarnation,
                agent=f"anyplug/{__version__}",
            )
        )
        link.sink = sink

    def _entitled(self, hello: Hello) -> bool:
        token = self._context.token
        return not token or hmac.compare_digest(token.encode(), hello.token.encode("utf-8", "surrogatepass"))

    def _refuse(self, code: Code, text: str) -> None:
        cast("PlugSession", self._link.session).send_refused(code, text)
        self._context.log.info("refused", code=code.word, problem=text)
        self._link.finish(code, text)


class Menu(_Desk):
    """Hears a line that names a service (``talk lobby``); anything else gets the menu."""

    __slots__ = ("_tries",)

    def __init__(self, context: Context, link: Link, *, silent: bool = False) -> None:
        """``silent``: the peer has said nothing yet, so it gets the menu at once."""
        super().__init__(context, link, MENU_TIME if silent else context.limits.handshake)
        self._tries = 0
        if silent:
            self._show()

    def handle(self, event: Event) -> None:
        """The end, before a service was named."""
        self._timer.cancel()
        self._link.finish()

    def messages(self, lines: list[bytes]) -> None:
        """Lines came: the first that names a service begins it, with the rest of them."""
        for at, line in enumerate(lines):
            service, rest = self._parse(line)
            if service is not None:
                self._timer.cancel()
                self._begin(service, rest, lines[at + 1 :])
                return
            self._tries += 1
            if self._tries >= _TRIES or self._context.draining or self._context.token:
                break
            self._show()
        else:
            self._restart()
            return
        self._timer.cancel()
        self._refuse(*self._why())

    def _why(self) -> tuple[Code, str]:
        if self._context.draining:
            return Code.GOING_AWAY, "this server is stopping; try again in a while"
        if self._context.token:
            return Code.NOT_ALLOWED, "this server asks for a token; connect with anyplug"
        return Code.UNKNOWN_SERVICE, "too many lines that name no service"

    def _parse(self, line: bytes) -> tuple[Service | None, str]:
        name, _, rest = line.decode("utf-8", "replace").strip().partition(" ")
        if self._context.token or self._context.draining:
            return None, ""
        name, slash, deeper = name.partition("/")
        return self._context.find(name), deeper if slash else rest.strip()

    def _begin(self, service: Service, rest: str, lines: list[bytes]) -> None:
        link = self._link
        try:
            link.sink = self._context.open(service, link, codec=default_codec(service.type), rest=rest)
        except Refused as no:
            self._refuse(no.code, no.text)
            return
        if lines:
            link.sink.messages(lines)

    def _show(self) -> None:
        self._link.session.send_many([line.encode() for line in self._menu()])
        self._link.flush_soon()

    def _menu(self) -> list[str]:
        services = sorted(self._context.services.values(), key=lambda service: service.name)
        width = max((len(service.name) for service in services), default=0)
        rows = [f"  {service.name:<{width}}  {service.about}".rstrip() for service in services]
        return [f"anyplug {__version__}: name a service, then say what you have to say", *rows]

    def _restart(self) -> None:
        self._timer.cancel()
        self._timer = self._link.loop.call_later(MENU_TIME, self._too_late, MENU_TIME)

    def _refuse(self, code: Code, text: str) -> None:
        if self._link.session.sending:
            self._link.session.send_data(f"{code.word}: {text}".encode())
        self._context.log.info("refused", code=code.word, problem=text)
        self._link.finish(code, text)

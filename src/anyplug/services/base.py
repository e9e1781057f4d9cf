"""A service: a name, and what the server does with a connection that asks for it.

Three kinds. A *reply* is a function from a message to its answer; a *conversation* is a coroutine that holds the
connection. Both know the type of their messages from the annotation of the handler, and check what comes against it.
A *visited* service keeps something: it makes a `Visit` for each connection, which hears messages, requests and posts.
"""

from __future__ import annotations

import inspect
import typing
from enum import Enum
from typing import TYPE_CHECKING, Any

from anyplug.address import check_service_name
from anyplug.codec import make_codec
from anyplug.errors import LocalError
from anyplug.limits import DEFAULTS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from anyplug.codec import Codec
    from anyplug.connection import Connection
    from anyplug.limits import Limits
    from anyplug.services.visits import Guest, Visit

    ReplyHandler = Callable[[Any], Any]
    ConversationHandler = Callable[[Connection[Any]], Awaitable[None]]

__all__ = ["Mode", "Service", "conversation", "reply", "visited"]


class Mode(Enum):
    """Where a handler runs."""

    DIRECT = "direct"
    """A ``def`` reply, in the event loop itself: the fast path."""
    TASK = "task"
    """An ``async def`` reply, each in a task."""
    THREAD = "thread"
    """A ``def`` reply with ``blocking=True``, in a thread."""
    CONVERSATION = "conversation"
    """A coroutine that holds the connection."""
    VISIT = "visit"
    """An object made for each connection, which keeps what is posted to it."""


class Service:
    """What one name stands for. Made by `reply` and `conversation`; one object serves all connections."""

    __slots__ = ("_codecs", "_limits", "about", "alone", "handler", "mode", "name", "opaque", "type")

    def __init__(
        self,
        name: str,
        handler: Callable[[Any], Any],
        *,
        mode: Mode,
        type: Any,
        opaque: bool = False,
        limits: Limits = DEFAULTS,
    ) -> None:
        check_service_name(name)
        self.name = name
        self.handler = handler
        self.mode = mode
        self.type = type
        self.opaque = opaque
        """Bodies pass as they are, whatever the codec: the handler gets and gives bytes."""
        self.about = (inspect.getdoc(handler) or "").partition("\n")[0]
        """One line for menus."""
        self.alone = ""
        """Why one process alone can serve it; empty where several can, each for its own connections."""
        self._limits = limits
        self._codecs: dict[str, Codec[Any]] = {}

    @property
    def asks(self) -> bool:
        """Whether requests are answered by id."""
        return self.mode is not Mode.CONVERSATION

    @property
    def posts(self) -> bool:
        """Whether posts are taken."""
        return self.mode is Mode.VISIT

    def codec(self, name: str) -> Codec[Any]:
        """The codec of that name for this service's messages; one object for all connections.

        Raises:
            LocalError: no codec of that name, or it cannot carry the type.
        """
        codec = self._codecs.get(name)
        if codec is None:
            codec = make_codec(name, Any if self.opaque else self.type, limits=self._limits)
            if self.opaque:
                codec = make_codec("bytes")
            self._codecs[name] = codec
        return codec

    def with_limits(self, limits: Limits) -> Service:
        """The same service under other limits."""
        same = Service(self.name, self.handler, mode=self.mode, type=self.type, opaque=self.opaque, limits=limits)
        same.about, same.alone = self.about, self.alone
        return same

    def __repr__(self) -> str:
        """For logs."""
        return f"<Service {self.name}, {self.mode.value}>"


def reply(
    name: str, handler: ReplyHandler, *, blocking: bool = False, type: Any = None, opaque: bool = False
) -> Service:
    """A service that answers each message by what ``handler`` returns; None is no answer.

    Args:
        name: the service's name.
        handler: ``def`` or ``async def``, with one argument.
        blocking: run a ``def`` handler in a thread, since it waits or computes for long.
        type: what messages are; by default the annotation of the handler's argument.
        opaque: the handler gets and gives the bytes of bodies, whatever the codec.

    Raises:
        LocalError: the handler does not take exactly one message.
    """
    _check_signature(name, handler)
    if inspect.iscoroutinefunction(handler):
        if blocking:
            raise LocalError(f"service {name!r}: blocking=True is for def handlers, this is an async def: leave it out")
        mode = Mode.TASK
    else:
        mode = Mode.THREAD if blocking else Mode.DIRECT
    found = type if type is not None or opaque else _annotation(name, handler)
    return Service(name, handler, mode=mode, type=bytes if opaque else found, opaque=opaque)


def conversation(name: str, handler: ConversationHandler, *, type: Any = None, opaque: bool = False) -> Service:
    """A service whose ``handler``, an ``async def`` with one argument, holds each connection until it returns.

    Args:
        name: the service's name.
        handler: gets a `Connection`; its annotation ``Connection[int]`` says what messages are.
        type: what messages are, where the annotation does not say.
        opaque: messages are the bytes of bodies, whatever the codec.

    Raises:
        LocalError: the handler is no coroutine function of one argument.
    """
    _check_signature(name, handler)
    if not inspect.iscoroutinefunction(handler):
        raise LocalError(f"service {name!r}: a conversation handler is an async def; for a def use server.reply")
    found = type
    if type is None and not opaque:
        inner = typing.get_args(_annotation(name, handler))
        found = inner[0] if inner else Any
    return Service(name, handler, mode=Mode.CONVERSATION, type=bytes if opaque else found, opaque=opaque)


def visited(name: str, opener: Callable[[Guest], Visit], *, type: Any = Any, about: str = "") -> Service:
    """A service that keeps something.

    Args:
        name: the service's name.
        opener: makes the visit of one connection; raises `Refused` where there is none to make.
        type: what messages are, which says the codec of plain clients.
        about: one line for menus; by default the first of the opener's docstring.
    """
    service = Service(name, opener, mode=Mode.VISIT, type=type)
    service.about = about or service.about
    service.alone = "one process alone has what it keeps"
    return service


def _check_signature(name: str, handler: Callable[..., Any]) -> None:
    names = list(_required(handler))
    if len(names) != 1:
        called = getattr(handler, "__name__", repr(handler))
        found = ", ".join(names) or "nothing"
        raise LocalError(f"service {name!r}: the handler takes exactly one argument, but {called} takes {found}")


def _required(handler: Callable[..., Any]) -> list[str]:
    """The names of the arguments that a handler must get."""
    parameters = inspect.signature(handler).parameters.values()
    collecting = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in collecting]


def _annotation(name: str, handler: Callable[..., Any]) -> Any:
    """The annotation of the handler's one argument, `Any` where there is none."""
    try:
        hints = typing.get_type_hints(handler)
    except (NameError, TypeError) as error:
        problem = f"service {name!r}: the annotations of the handler cannot be read: {error}; give type= instead"
        raise LocalError(problem) from error
    found = hints.get(_required(handler)[0], Any)
    return Any if found is object else found

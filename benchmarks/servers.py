"""Every server that can be asked: what starts it, what it speaks, and what must be installed for it."""

from __future__ import annotations

import importlib.util
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks import talks
from benchmarks.echoes import PLAIN, PLUG
from benchmarks.processes import COMPILER, build, role

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.talks import Talk

__all__ = ["SERVERS", "Server", "missing"]


def missing(modules: tuple[str, ...] = (), programs: tuple[str, ...] = ()) -> str:
    """What of these is not installed, in words; empty where all is there."""
    lack = [each for each in modules if importlib.util.find_spec(each) is None]
    lack += [each for each in programs if shutil.which(each) is None]
    return f"{', '.join(lack)} {'is' if len(lack) == 1 else 'are'} not installed" if lack else ""


@dataclass(frozen=True, slots=True)
class Server:
    """A server and how it is spoken to."""

    arguments: tuple[str, ...]
    """The module and its role; empty for the echo in C."""
    talk: Callable[..., Talk] = talks.lines
    """What the load says to it, by the size of a question and how many go at once."""
    needs: tuple[str, ...] = ()
    """Modules without which it is left out."""

    def command(self) -> list[str]:
        return role(*self.arguments) if self.arguments else [build("echo.c")]

    @property
    def missing(self) -> str:
        """Why it cannot be measured here; empty where it can."""
        return missing(self.needs, (COMPILER,))


def _plain(*arguments: str, needs: tuple[str, ...] = ()) -> Server:
    return Server(("echoes", *arguments), needs=needs)


SERVERS = {
    "epoll in C": Server(()),
    "anyplug lines, bytes": _plain("anyplug_reply", PLAIN),
    "anyplug lines, str": _plain("anyplug_reply", PLAIN, "str"),
    "anyplug lines, conversation": _plain("anyplug_conversation", PLAIN),
    "uvloop Protocol": _plain("protocol", "uvloop", needs=("uvloop",)),
    "asyncio Protocol": _plain("protocol", "asyncio"),
    "aiofastnet Protocol on uvloop": _plain("aiofastnet_protocol", "uvloop", needs=("uvloop", "aiofastnet")),
    "asyncio streams on uvloop": _plain("streams", "uvloop", needs=("uvloop",)),
    "asyncio streams": _plain("streams", "asyncio"),
    "anyio on uvloop": _plain("anyio_streams", needs=("anyio", "uvloop")),
    "trio": _plain("trio_streams", needs=("trio",)),
    "Twisted": _plain("twisted_protocol", needs=("twisted",)),
    "anyplug plug, requests": Server(("echoes", "anyplug_reply", PLUG), talks.plug),
    "anyplug plug, messages": Server(("echoes", "anyplug_reply", PLUG), talks.plug_data),
    "anyplug plug, conversation": Server(("echoes", "anyplug_conversation", PLUG), talks.plug_data),
    "zmq.asyncio REP": Server(("framed_echoes", "zmq_asyncio"), talks.zmtp, ("zmq", "uvloop")),
    "pyzmq REP, blocking": Server(("framed_echoes", "zmq_blocking"), talks.zmtp, ("zmq",)),
    "pynng REP, blocking": Server(("framed_echoes", "nng_blocking"), talks.scalability, ("pynng",)),
    "websockets": Server(("framed_echoes", "websockets_echo"), talks.websocket, ("websockets", "uvloop")),
    "picows": Server(("framed_echoes", "picows_echo"), talks.websocket, ("picows", "uvloop")),
}

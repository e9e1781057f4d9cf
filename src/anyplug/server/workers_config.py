"""What several processes can share of a configuration or a server, and what each of them is configured as.

They share the listeners and nothing else: no memory and no store. A service that keeps something, or that brings its
peers together, belongs into one process.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import msgspec

from anyplug.errors import ConfigError, LocalError
from anyplug.services import KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anyplug.address import Address
    from anyplug.server.config import Config
    from anyplug.server.config_reader import ConfigText
    from anyplug.services.base import Service

__all__ = ["check_services", "check_workers", "share_of"]

_WHY: Final[Mapping[str, str]] = {
    "greet": "it keeps receipts, and one process alone has the store",
    "talk": "its rooms are in the memory of one process",
    "files": "one process alone has its folder",
}
"""Why a kind of service cannot be shared, where the reason is not the usual one."""

_USUAL: Final = "one process alone has the store"


def check_workers(config: Config, text: ConfigText | None = None, *, count: int, platform: str = sys.platform) -> None:
    """Refuse several workers where they cannot do what one does.

    Args:
        config: what is to be served.
        text: where it was read from, to name lines.
        count: how many workers there are, or are to be.
        platform: as `sys.platform`.

    Raises:
        ConfigError: a service cannot be shared, or the system spreads no connections over processes.
    """
    if count == 1:
        return
    if platform != "linux":
        raise _mistake(config, text, "", _no_linux(platform))
    kept = [name for name, service in config.services.items() if service.keeps]
    if not kept:
        return
    many = f"{count} workers cannot share"
    if text is None or "services" not in text.data:
        free = ", ".join(kind for kind, each in KINDS.items() if not each.keeps(each.options()))
        problem = (
            f"{many} {', '.join(kept)}, which are there where no services are named; "
            f"name some that keep nothing in [services] ({free}), or use 1 worker"
        )
        raise _mistake(config, text, "", problem)
    name = kept[0]
    why = _WHY.get(config.services[name].kind, _USUAL)
    remedy = "serve it from another `anyplug serve` with a file of its own, or use 1 worker"
    raise _mistake(config, text, name, f"{many} this service: {why}; {remedy}")


def check_services(services: Sequence[Service], *, store: str, count: int, platform: str = sys.platform) -> None:
    """The same for services that a program has made.

    Args:
        services: what is to be served.
        store: the server's, as `Server.store`.
        count: how many workers there are to be.
        platform: as `sys.platform`.

    Raises:
        LocalError: a service or the store cannot be shared, or the system spreads no connections over processes.
    """
    if platform != "linux":
        raise LocalError(_no_linux(platform))
    for service in services:
        if service.alone:
            remedy = "serve it from a program of its own, or use 1 worker"
            raise LocalError(f"{count} workers cannot share the service {service.name!r}: {service.alone}; {remedy}")
    if store:
        problem = f"{count} workers cannot share the store {store!r}: one process alone has it"
        raise LocalError(f"{problem}; make the Server without store=, or use 1 worker")


def _no_linux(platform: str) -> str:
    problem = f"{platform} does not spread the connections of one port over processes (SO_REUSEPORT of Linux does)"
    return f"{problem}; use 1 worker"


def _mistake(config: Config, text: ConfigText | None, service: str, problem: str) -> ConfigError:
    if text is None:
        return ConfigError(config.file or "--workers", where="", problem=problem)
    return text.mistake(("services", service) if service else ("workers",), problem)


def share_of(config: Config, addresses: Sequence[Address], *, count: int) -> Config:
    """What one worker of several is configured as: its share of the places, at the addresses as bound.

    Places are divided and rounded up, those for one address too: all workers together let in what one process would,
    and one address gets the same part of them. Connections fall on workers by chance, so that one may be full a little
    before all are.

    Args:
        config: of the whole server.
        addresses: where each listener listens, in order.
        count: how many workers there are.
    """
    limits = msgspec.structs.replace(
        config.limits,
        connections=-(-config.limits.connections // count),
        connections_per_address=-(-config.limits.connections_per_address // count),
    )
    listeners = tuple(
        msgspec.structs.replace(
            listener,
            address=address,
            connections=None if listener.connections is None else -(-listener.connections // count),
        )
        for listener, address in zip(config.listeners, addresses, strict=True)
    )
    socket = msgspec.structs.replace(config.socket, reuse_port=True)
    return msgspec.structs.replace(config, limits=limits, listeners=listeners, socket=socket, warnings=())

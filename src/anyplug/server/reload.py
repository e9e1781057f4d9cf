"""From a configuration to a server, and to another configuration while it runs."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from anyplug.errors import AnyplugError
from anyplug.server.config import Config, load
from anyplug.server.listeners import Changes, Want
from anyplug.server.logs import Log
from anyplug.server.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Outcome", "Reloader", "apply", "build"]


_AT_START: Final = ("log", "announce", "announce_name")
"""Keys of ``[server]`` that count from the next start."""


class Outcome(NamedTuple):
    """What came of reading the configuration again."""

    error: Exception | None = None
    """Why everything stayed as it was; None where it did not."""
    changes: Changes = Changes([], [])
    """Listeners that were opened and closed."""
    restart: tuple[str, ...] = ()
    """Keys whose new values count from the next start."""


def build(config: Config, *, log: Log | None = None) -> Server:
    """A server as it is configured; it listens on nothing yet."""
    server = Server(
        limits=config.limits,
        options=config.socket,
        token=config.token,
        insecure=config.server.insecure,
        log=log,
        store=config.keeping,
    )
    server.facilities.base = Path(config.file).parent
    return server


def apply(server: Server, config: Config) -> Changes:
    """Offer the configured services on the configured listeners, and no others; all of it or nothing. The loop of the
    server is to run.

    Raises:
        AddressError, BindError: a listener cannot be opened, and where it is configured. Everything is as it was.
    """
    services = [service.make(name, server.facilities) for name, service in config.services.items()]
    wanted = [Want(each.address, each.connections, each.place) for each in config.listeners]
    return server.rearrange(services, wanted, token=config.token, insecure=config.server.insecure)


class Reloader:
    """Reads the configuration again when it is called, as on SIGHUP.

    Listeners are opened and closed, and new conversations meet the services, the token and ``insecure`` as they are
    configured now. Limits, socket options, workers, the form of the log and what is announced are those of the start; a
    warning names what differs.
    Where anything fails, everything stays as it was, and the log says why.

    Args:
        make: makes the server be as a configuration says, or raises and leaves it as it was: `apply`.
        path: of the configuration file.
        config: what the server was started with.
        read: reads the configuration; by default the file alone, without what the command line says.
        log: where it is told.
        told: gets each outcome.
    """

    __slots__ = ("_config", "_log", "_make", "_path", "_read", "_told")

    def __init__(
        self,
        make: Callable[[Config], Changes],
        path: str,
        config: Config,
        *,
        read: Callable[[], Config] | None = None,
        log: Log | None = None,
        told: Callable[[Outcome], None] | None = None,
    ) -> None:
        self._make = make
        self._path = path
        self._config = config
        self._read = read or partial(load, path)
        self._log = log or Log()
        self._told = told

    def __call__(self) -> None:
        """Read the file, and make the server so. Never raises."""
        try:
            outcome = self._reload()
        except AnyplugError as error:
            self._log.warning("reload_failed", file=self._path, problem=str(error))
            outcome = Outcome(error)
        except Exception as error:  # noqa: BLE001 - the server goes on as it was, whatever it is
            self._log.failure("reload_failed", error, file=self._path)
            outcome = Outcome(error)
        if self._told is not None:
            self._told(outcome)

    def _reload(self) -> Outcome:
        config = self._read()
        changes = self._make(config)
        restart = _differing(self._config, config)
        for warning in config.warnings:
            self._log.warning("config_warning", file=self._path, problem=warning)
        if restart:
            advice = "restart the server: these count from the next start"
            self._log.warning("restart_needed", keys=", ".join(restart), advice=advice)
        self._log.info("reloaded", file=self._path, opened=len(changes.opened), closed=len(changes.closed))
        return Outcome(None, changes, restart)


def _differing(old: Config, new: Config) -> tuple[str, ...]:
    """The keys that differ between two configurations and count from the next start only."""
    pairs = [
        ("limits", old.limits, new.limits),
        ("socket", old.socket, new.socket),
        ("store", old.store, new.store),
    ]
    keys = [
        f"{section}.{field.name}"
        for section, before, after in pairs
        for field in msgspec.structs.fields(before)
        if getattr(before, field.name) != getattr(after, field.name)
    ]
    own = [f"server.{name}" for name in _AT_START if getattr(old.server, name) != getattr(new.server, name)]
    return (*keys, *own, *(["workers"] if old.workers != new.workers else []))

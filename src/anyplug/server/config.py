"""The configuration of a server: one TOML file, read into frozen structs.

::

    listen = ["plug://127.0.0.1:7584"]  # every service, to clients that speak plug, and to nc
    workers = 4  # processes; or "auto", one for each processor

    [server]
    token_file = "token"  # what entitles clients; beside this file
    insecure = false  # listen beyond this machine without a token
    log = "line"  # or "json"
    announce = true  # tell the local network, for `anyplug find`
    announce_name = "kitchen"  # by default the name of this machine

    [limits]  # anyplug.Limits
    message = "16 MiB"

    [socket]  # anyplug.SocketOptions
    backlog = 4096

    [store]
    folder = "data"  # beside this file; or kind = "memory"

    [services.clock]
    kind = "echo"  # one of anyplug.services.KINDS
    timestamp = true  # and the options of that kind

    [[listeners]]  # one service, to any socket
    address = "tcp://127.0.0.1:8080"
    service = "clock"
    framing = "raw"
    codec = "text"
    connections = 6  # at once; the seventh is told so

Everything may be left out. Without ``[services]`` there is one of each kind, under the kind's name; without a listener,
the server listens on `DEFAULT_ADDRESS`. `load` finds every mistake that can be found without listening.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from anyplug.address import check_service_name
from anyplug.announcement import check_name
from anyplug.errors import AddressError, ConfigError, LocalError
from anyplug.limits import DEFAULTS, Limits
from anyplug.server.config_listeners import DEFAULT_ADDRESS, ListenerConfig, read_listeners
from anyplug.server.config_reader import ConfigText, choose, nearest, read_text
from anyplug.server.workers_count import read_workers
from anyplug.services import KINDS, Facilities
from anyplug.store import MemoryStore
from anyplug.transport.options import DEFAULT_OPTIONS, SocketOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anyplug.server.toml_lines import Key
    from anyplug.services.base import Service
    from anyplug.store import Store

__all__ = [
    "DEFAULT_ADDRESS",
    "Config",
    "ListenerConfig",
    "ServerConfig",
    "ServiceConfig",
    "StoreConfig",
    "default_services",
    "load",
    "read_config",
    "read_token",
    "state_folder",
]

TOKEN_MAX: Final = 1024
"""The longest token, bytes: a HELLO has to hold it."""

_SECTIONS: Final = ("listen", "workers", "server", "limits", "socket", "store", "services", "listeners")

_AT_LEAST_ONE: Final = ("message", "parts", "nesting", "queue", "requests", "connections", "connections_per_address")

_LEAST_LIMITS: Final[Mapping[str, float]] = {
    **dict.fromkeys(_AT_LEAST_ONE, 1),
    **dict.fromkeys(("rate", "datagrams_per_source"), 1),
    **dict.fromkeys(("handshake", "frame_time", "ping", "dead", "write"), 0.001),
}
"""The least value of each limit. 0 means something only for the others: ``idle = 0`` is no limit, ``drain = 0`` cuts at
once."""

_LEAST_SOCKET: Final = dict.fromkeys(("keepalive_idle", "keepalive_interval", "keepalive_count", "backlog"), 1)


class Secret(str):
    """A text that does not show itself where a struct is printed."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'" if self else "''"


class ServerConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[server]``: what belongs to the whole server."""

    token_file: str = ""
    """The file with the token that clients of plug listeners must show, relative to the folder of the configuration. By
    default nothing is asked for."""
    insecure: bool = False
    """Listen beyond this machine although nothing protects it."""
    log: Literal["line", "json"] = "line"
    """The form of the log."""
    announce: bool = False
    """Announce the server in the local network (`anyplug.netinfo.announce`)."""
    announce_name: str = ""
    """Its name there; by default that of this machine."""


class StoreConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[store]``: where messages and values are kept."""

    kind: Literal["sqlite", "memory"] = "sqlite"
    """``sqlite`` keeps them in a folder, synced before anything is acknowledged; ``memory`` loses them with the
    server, and says so in each acknowledgement."""
    folder: str = ""
    """The folder, relative to that of the configuration. By default it is ``anyplug/data`` in the user's folder for
    state (``$STATE_DIRECTORY``, ``$XDG_STATE_HOME``, ``~/.local/state``)."""

    def open(self, file: str) -> Store | Path:
        """What `Server` takes for its store.

        Args:
            file: the configuration file, or an empty string.
        """
        if self.kind == "memory":
            return MemoryStore()
        if self.folder:
            return Path(file).parent / Path(self.folder).expanduser()
        return state_folder() / "data"


def state_folder() -> Path:
    """Where this user's programs keep what should outlive them (XDG Base Directory Specification; systemd.exec(5))."""
    if service := os.environ.get("STATE_DIRECTORY", "").partition(":")[0]:
        return Path(service)
    base = os.environ.get("XDG_STATE_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".local" / "state") / "anyplug"


class ServiceConfig(msgspec.Struct, frozen=True):
    """``[services.NAME]``: one service."""

    kind: str
    """One of `anyplug.services.KINDS`."""
    options: Any
    """The kind's own options, as its struct."""

    def make(self, name: str, facilities: Facilities | None = None) -> Service:
        """The service under this name; without `facilities` only its shape can be looked at."""
        return KINDS[self.kind].make(name, self.options, facilities or Facilities())

    @property
    def keeps(self) -> bool:
        """Whether it keeps something, so that the server needs a store."""
        return KINDS[self.kind].keeps(self.options)


def default_services() -> Mapping[str, ServiceConfig]:
    """One service of each kind, under the kind's name."""
    return MappingProxyType({name: ServiceConfig(name, kind.options()) for name, kind in KINDS.items()})


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """A whole configuration, checked. The defaults are those of a server without a file."""

    file: str = ""
    """The file it was read from, as it was named."""
    server: ServerConfig = ServerConfig()
    limits: Limits = DEFAULTS
    socket: SocketOptions = DEFAULT_OPTIONS
    store: StoreConfig = StoreConfig()
    services: Mapping[str, ServiceConfig] = msgspec.field(default_factory=default_services)
    """By name. Read-only."""
    listeners: tuple[ListenerConfig, ...] = ()
    """Those of ``listen``, then those of ``[[listeners]]``."""
    workers: int = 1
    """Processes that serve; see `anyplug.server.workers_config` for what they can share."""
    token: str = ""
    """What the token file holds."""
    warnings: tuple[str, ...] = ()
    """What is no mistake, and should not stay as it is."""

    @property
    def keeping(self) -> Store | Path | None:
        """What `Server` takes for its store; None where no service keeps anything."""
        return self.store.open(self.file) if any(each.keeps for each in self.services.values()) else None


_STRUCTS: Final = (("store", StoreConfig), ("socket", SocketOptions), ("limits", Limits), ("server", ServerConfig))


def _places() -> Mapping[str, str]:
    """Every key of every section, to point to from another: name to dotted key."""
    found: dict[str, str] = {}
    for section, kind in _STRUCTS:
        found |= {field.name: f"{section}.{field.name}" for field in msgspec.structs.fields(kind)}
    return found


_ELSEWHERE: Final = _places()
"""Every key of every section, to point to from another: name to dotted key."""


def load(path: str) -> Config:
    """Read a configuration file, and the token file it names.

    Raises:
        ConfigError: any mistake, with the file, the line, the key, and what would be right.
    """
    return read_config(ConfigText(path, read_text(path)))


def read_config(text: ConfigText) -> Config:
    """The configuration in a text; raises as `load`."""
    data = text.data
    text.check_keys(data, _SECTIONS, (), elsewhere=_ELSEWHERE)
    server = text.struct(ServerConfig, data.get("server", {}), ("server",), elsewhere=_ELSEWHERE)
    _check_announcement(text, server)
    limits = _read_limits(text)
    services = _read_services(text)
    made = {name: each.make(name).with_limits(limits) for name, each in services.items()}
    warnings: list[str] = []
    return Config(
        file=text.file,
        server=server,
        limits=limits,
        socket=_read_socket(text),
        store=text.struct(StoreConfig, data.get("store", {}), ("store",), elsewhere=_ELSEWHERE),
        services=services,
        listeners=read_listeners(text, made, limits),
        workers=_read_workers(text),
        token=_read_token(text, server.token_file, warnings),
        warnings=tuple(warnings),
    )


def _read_workers(text: ConfigText) -> int:
    try:
        return read_workers(text.data.get("workers", 1))
    except ValueError as error:
        raise text.mistake(("workers",), str(error)) from None


def _check_announcement(text: ConfigText, server: ServerConfig) -> None:
    try:
        check_name(server.announce_name or "anyplug")
    except LocalError as error:
        raise text.mistake(("server", "announce_name"), str(error)) from error


def _read_limits(text: ConfigText) -> Limits:
    limits = text.struct(Limits, text.data.get("limits", {}), ("limits",), elsewhere=_ELSEWHERE, least=_LEAST_LIMITS)
    if limits.dead <= limits.ping:
        problem = (
            f"limits.dead, {limits.dead:g} s, is not more than limits.ping, {limits.ping:g} s: no peer could answer"
        )
        raise text.mistake(("limits", "dead" if "dead" in text.data["limits"] else "ping"), problem)
    return limits


def _read_socket(text: ConfigText) -> SocketOptions:
    key: Key = ("socket",)
    options = text.struct(SocketOptions, text.data.get("socket", {}), key, elsewhere=_ELSEWHERE, least=_LEAST_SOCKET)
    if options.mode > 0o777:
        digits = str(options.mode)
        hint = f"; did you mean 0o{digits}?" if set(digits) <= set("01234567") and len(digits) == 3 else ""
        raise text.mistake((*key, "mode"), f"{digits} is no mode of a file, 0o000 to 0o777{hint}")
    return options


def _read_services(text: ConfigText) -> Mapping[str, ServiceConfig]:
    if "services" not in text.data:
        return default_services()
    table = text.table(text.data["services"], ("services",))
    return MappingProxyType({name: _read_service(text, name, each) for name, each in table.items()})


def _read_service(text: ConfigText, name: str, data: object) -> ServiceConfig:
    key: Key = ("services", name)
    try:
        check_service_name(name)
    except AddressError as error:
        hint = f"; did you mean {error.nearest}?" if error.nearest else ""
        raise text.mistake(key, f"{name!r} is no name of a service: expected {error.expected}{hint}") from None
    table = text.table(data, key)
    if "kind" not in table:
        meant = next((each for each in table if nearest(each, ("kind",))), "")
        if meant:
            raise text.mistake((*key, meant), "there is no such key; did you mean `kind`?")
        example = name if name in KINDS else "echo"
        raise text.mistake(key, f'it does not say its kind, one of {", ".join(KINDS)}; add kind = "{example}"')
    kind = text.convert(table["kind"], str, (*key, "kind"))
    if kind not in KINDS:
        raise text.mistake((*key, "kind"), choose(f"there is no kind {kind!r}", kind, KINDS, kind="kinds"))
    return ServiceConfig(kind, text.struct(KINDS[kind].options, table, key, ignore=frozenset({"kind"})))


def _read_token(text: ConfigText, name: str, warnings: list[str]) -> str:
    if not name:
        return ""
    try:
        token, warning = read_token(str(Path(text.file).parent / Path(name).expanduser()))
    except ConfigError as error:
        raise text.mistake(("server", "token_file"), f"{error.file}: {error.problem}") from error.__cause__
    if warning:
        warnings.append(warning)
    return token


def read_token(path: str) -> tuple[str, str]:
    """The token in a file, without the white space around it, and a warning where others can read the file.

    Raises:
        ConfigError: it is not there, cannot be read, is empty, or holds what is no token.
    """
    try:
        with Path(path).open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            data = file.read(TOKEN_MAX + 1)
    except OSError as error:
        problem = "the token file cannot be read"
        raise ConfigError(path, where="", problem=f"{problem}: {(error.strerror or str(error)).lower()}") from error
    try:
        token = data.decode().strip()
    except UnicodeDecodeError:
        token = "\0"  # noqa: S105 - nothing that can be a token
    if not token:
        raise ConfigError(path, where="", problem="the token file is empty; put a long random text into it")
    if len(data) > TOKEN_MAX or not token.isprintable():
        problem = f"the token file holds no token; expected one line of text, {TOKEN_MAX} bytes at most"
        raise ConfigError(path, where="", problem=problem)
    if mode & 0o077:
        return Secret(token), f"others can read the token file {path} (mode {mode:04o}); run: chmod 600 {path}"
    return Secret(token), ""

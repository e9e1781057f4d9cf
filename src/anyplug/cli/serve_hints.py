"""What somebody types in a second terminal to try a server: one line for each listener."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from anyplug.address import DEFAULT_PORT, Address
from anyplug.codec import default_codec
from anyplug.errors import LocalError
from anyplug.plan import plain_framing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anyplug.services.base import Service

__all__ = ["Row", "hint", "row"]

_FIRST: Final = ("echo", "reply", "greet")
"""Kinds in the order in which they are shown to somebody who tries a server for the first time."""

_SPEAKS_FIRST: Final = ("greet", "shelf")
"""Kinds that plain clients listen to."""

_COMMANDS: Final = {"greet": "receive", "talk": "talk", "inbox": "post", "shelf": "shelf", "files": "ls"}
"""What a kind is tried with on a plug listener; the others with a question."""


class Row(NamedTuple):
    """One listener in the table."""

    address: str
    service: str
    speaks: str
    """The framing and codec; ``plug`` where the protocol has its own."""


def row(address: Address, services: Sequence[Service]) -> Row:
    """The listener as the table shows it."""
    bare = str(msgspec.structs.replace(address, service="", rest="", options={}))
    if address.is_plug:
        return Row(bare, ", ".join(service.name for service in services) or "-", "plug, or lines")
    service = next((each for each in services if each.name == address.service), None)
    codec = address.options.get("codec") or default_codec(None if service is None else service.type)
    if address.is_packet or address.is_datagram:
        return Row(bare, address.service, f"packets, {codec}")
    return Row(bare, address.service, f"{_framing(address)}, {codec}")


def hint(address: Address, kinds: Mapping[str, str]) -> str:
    """What to type to try a listener; an empty string where there is nothing to try.

    Args:
        address: where it listens, as bound.
        kinds: the kind of each service, by its name.
    """
    if address.scheme == "fd":
        return ""
    if address.is_plug:
        return _plug_hint(address, kinds)
    where = _reachable(address)
    kind = kinds.get(address.service, "")
    if kind in _SPEAKS_FIRST:
        return f"anyplug receive {_quoted(where)}{_how(address)}"
    if kind == "files":
        return f"anyplug put FILE {_quoted(where)}"
    if kind == "inbox" and not _typed(address):
        return f"anyplug send {_quoted(where)} hello"
    if address.is_datagram and not address.is_unix:
        return f"nc -u {where.host} {where.port}"
    if address.is_packet or address.is_unix:
        return _unix_hint(where)
    if _typed(address):
        return f"nc {where.host} {where.port}"
    return f"anyplug ask {_quoted(where)} hello"


def _typed(address: Address) -> bool:
    """Whether what somebody types with nc arrives line by line."""
    return _framing(address) in {"raw", "lines"} and "until" not in address.options


def _how(address: Address) -> str:
    """How a greeting is read: to the end of the stream where nothing marks its own, else one message of its codec."""
    if _framing(address) in {"raw", "lines"}:
        return " --until eof"
    codec = address.options.get("codec")
    return f" --count 1{f' --codec {codec}' if codec else ''}"


def _plug_hint(address: Address, kinds: Mapping[str, str]) -> str:
    if not kinds:
        return ""
    rank = {kind: number for number, kind in enumerate(_FIRST)}
    name = min(kinds, key=lambda each: rank.get(kinds[each], len(rank)))
    command = _COMMANDS.get(kinds[name], "ask")
    text = " hello" if command in {"ask", "post"} else ""
    return f"anyplug {command} {_short(_reachable(address).with_service(name))}{text}"


def _unix_hint(where: Address) -> str:
    """Streams are for nc, but for abstract names, which not every nc knows."""
    if where.kind == "stream" and not where.is_abstract and _framing(where) in {"raw", "lines"}:
        return f"nc -U {shlex.quote(where.path)}"
    return f"anyplug ask {_quoted(where)} hello"


def _reachable(address: Address) -> Address:
    """Where a client of this machine finds the listener."""
    if address.is_unix or address.host:
        return address
    return msgspec.structs.replace(address, host="::1" if address.family == 6 else "127.0.0.1")


def _short(address: Address) -> str:
    """A plug address as people type it."""
    text = str(address)
    if address.is_unix:
        return shlex.quote(text)
    main = text.partition("://")[2]
    return main.replace(f":{DEFAULT_PORT}/", "/", 1) if address.port == DEFAULT_PORT else main


def _quoted(address: Address) -> str:
    """A plain address for a command: the service is the listener's affair, its framing is not."""
    options = {name: value for name, value in address.options.items() if name != "codec"}
    return shlex.quote(str(msgspec.structs.replace(address, service="", rest="", options=options)))


def _framing(address: Address) -> str:
    try:
        return plain_framing(address).name
    except LocalError:
        return "-"

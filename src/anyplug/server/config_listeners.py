"""The listeners of a configuration: ``listen = [...]`` and ``[[listeners]]``, checked against the services.

What a listener says beside its address goes into the address, which is all a server needs to know of it.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from anyplug.address import Address
from anyplug.codec import CODECS, default_codec
from anyplug.errors import AddressError, LocalError
from anyplug.framing import FRAMINGS
from anyplug.plan import check_scheme, plain_framing
from anyplug.server.config_reader import ConfigText, choose
from anyplug.server.listeners import spot_of
from anyplug.services.base import Mode

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from anyplug.limits import Limits
    from anyplug.server.toml_lines import Key
    from anyplug.services.base import Service

__all__ = ["DEFAULT_ADDRESS", "ListenerConfig", "read_address", "read_listeners"]

DEFAULT_ADDRESS: Final = "plug://127.0.0.1:7584"
"""Where a server listens when nothing is said."""


_KEYS: Final = ("address", "service", "framing", "codec")
"""What a mistake can be in."""


class ListenerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One listener."""

    address: Address
    """Where, and for a plain listener which service, framing and codec."""
    connections: int | None = None
    """The most at once, beside the server's limit."""
    place: str = ""
    """Where it was configured, for people: ``anyplug.toml:12``."""


class _Written(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[[listeners]]`` as it is written."""

    address: str = ""
    service: str = ""
    framing: str = ""
    codec: str = ""
    connections: int | None = None


class _Task(NamedTuple):
    """What is needed to check listeners."""

    text: ConfigText
    services: Mapping[str, Service]
    limits: Limits


def read_listeners(text: ConfigText, services: Mapping[str, Service], limits: Limits) -> tuple[ListenerConfig, ...]:
    """All listeners, in order.

    Raises:
        ConfigError: the first mistake.
    """
    task = _Task(text, services, limits)
    found = [(key, _read_short(task, value, key)) for key, value in _short(text)]
    for index, data in enumerate(_long(text)):
        key: Key = ("listeners", index)
        found.append(((*key, "address"), _read_long(task, data, key)))
    _check_twice(text, found)
    if not found and "listen" not in text.data:
        return (ListenerConfig(address=Address.parse(DEFAULT_ADDRESS)),)
    return tuple(listener for _, listener in found)


def read_address(
    written: str, services: Mapping[str, Service], limits: Limits, *, file: str = "--listen"
) -> ListenerConfig:
    """A listener that is given by its address alone, beside a file.

    Args:
        written: the address.
        services: what is offered.
        limits: the server's bounds.
        file: where it is given, for people.

    Raises:
        AddressError: it is no address.
        ConfigError: it does not fit the services.
    """
    task = _Task(ConfigText(f"{file} {written}", ""), services, limits)
    address = Address.parse(written)
    check_scheme(address)
    _check(task, address, dict.fromkeys(_KEYS, ()))
    return ListenerConfig(address=address, place=file)


def _short(text: ConfigText) -> Iterable[tuple[Key, object]]:
    value = text.data.get("listen", [])
    if isinstance(value, str):
        return [(("listen",), value)]
    if not isinstance(value, list):
        raise text.mistake(("listen",), f'expected an array of addresses, such as ["{DEFAULT_ADDRESS}"]')
    return [(("listen", index), each) for index, each in enumerate(value)]


def _long(text: ConfigText) -> list[object]:
    value = text.data.get("listeners", [])
    if isinstance(value, list):
        return value
    problem = "expected an array of tables: write [[listeners]], with two brackets, before each"
    raise text.mistake(("listeners",), problem)


def _read_short(task: _Task, value: object, key: Key) -> ListenerConfig:
    address = _parse(task, task.text.convert(value, str, key), key)
    _check(task, address, dict.fromkeys(_KEYS, key))
    return ListenerConfig(address=address, place=_place(task, key))


def _read_long(task: _Task, data: object, key: Key) -> ListenerConfig:
    text = task.text
    written = text.struct(_Written, data, key, least=MappingProxyType({"connections": 1}))
    table = text.table(data, key)
    if "address" not in table:
        raise text.mistake(key, 'it has no address; add address = "tcp://127.0.0.1:8080"')
    keys: dict[str, Key] = {name: (*key, name if name in table else "address") for name in _KEYS}
    address = _joined(task, _parse(task, written.address, keys["address"]), written, keys)
    _check(task, address, keys)
    if address.is_datagram and written.connections is not None:
        raise text.mistake((*key, "connections"), "datagrams come without a connection; leave it out")
    return ListenerConfig(address=address, connections=written.connections, place=_place(task, keys["address"]))


def _place(task: _Task, key: Key) -> str:
    return f"{task.text.file}:{task.text.line(key)}"


def _parse(task: _Task, written: str, key: Key) -> Address:
    try:
        address = Address.parse(written)
        check_scheme(address)
    except AddressError as error:
        raise task.text.mistake(key, str(error)) from error
    return address


def _joined(task: _Task, address: Address, written: _Written, keys: Mapping[str, Key]) -> Address:
    """The address with what was written beside it."""
    options = dict(address.options)
    for name in ("framing", "codec"):
        value = getattr(written, name)
        if value and name in options:
            raise task.text.mistake(keys[name], f"the address says {name}={options[name]} already; say it once")
        if value:
            options[name] = value
    if written.service and address.service:
        problem = f"the address names the service {address.service!r} already; say it once"
        raise task.text.mistake(keys["service"], problem)
    service, _, rest = written.service.partition("/")
    changed = msgspec.structs.replace(address, options=options)
    return msgspec.structs.replace(changed, service=service, rest=rest) if service else changed


def _check(task: _Task, address: Address, keys: Mapping[str, Key]) -> None:
    """Whether the listener can do what it says, as far as that is known without listening."""
    mistake = task.text.mistake
    if address.is_plug:
        needless = [name for name in ("framing", "codec") if name in address.options]
        if address.service or needless:
            name = "service" if address.service else needless[0]
            problem = f"a plug listener offers every service, in frames of its own; leave the {name} out"
            raise mistake(keys[name], problem)
        return
    service = _service(task, address, keys)
    codec = address.options.get("codec", default_codec(service.type))
    _check_name(task, "codec", codec, CODECS, keys)
    if "framing" in address.options:
        _check_name(task, "framing", address.options["framing"], FRAMINGS, keys)
    try:
        plain_framing(address, limits=task.limits, text=codec == "text")
    except LocalError as error:
        raise mistake(keys["framing"], str(error)) from error
    try:
        service.codec(codec)
    except LocalError as error:
        raise mistake(keys["codec"], str(error)) from error


def _service(task: _Task, address: Address, keys: Mapping[str, Key]) -> Service:
    mistake, services = task.text.mistake, task.services
    if not address.service:
        example = next(iter(services), "echo")
        how = (
            f'add service = "{example}"'
            if keys["service"][:1] == ("listeners",)
            else f"as in {_named(address, example)}"
        )
        raise mistake(keys["service"], f"a plain listener carries one service: name it, {how}")
    service = services.get(address.service)
    if service is None:
        problem = f"no service {address.service!r} is defined"
        raise mistake(keys["service"], choose(problem, address.service, services, kind="services"))
    if address.is_datagram and service.mode is Mode.CONVERSATION:
        problem = f"datagrams are single messages, and {service.name!r} holds conversations; use a kind that answers"
        raise mistake(keys["service"], problem)
    return service


def _named(address: Address, service: str) -> str:
    return str(msgspec.structs.replace(address, service=service))


def _check_name(task: _Task, what: str, name: str, known: Collection[str], keys: Mapping[str, Key]) -> None:
    if name not in known:
        raise task.text.mistake(keys[what], choose(f"there is no {what} {name!r}", name, known, kind=f"{what}s"))


def _check_twice(text: ConfigText, found: Iterable[tuple[Key, ListenerConfig]]) -> None:
    seen: dict[tuple[Any, ...], Key] = {}
    for key, listener in found:
        address = listener.address
        spot = spot_of(address)
        any_port = address.fd < 0 and not address.is_unix and address.port == 0
        if spot in seen and not any_port:
            raise text.mistake(key, f"line {text.line(seen[spot])} listens there already")
        seen.setdefault(spot, key)

"""What several workers can share of a configuration."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec
import pytest

from anyplug import ConfigError, Limits, LocalError
from anyplug.address import Address
from anyplug.server.config import Config, ListenerConfig, ServiceConfig, read_config
from anyplug.server.config_reader import ConfigText
from anyplug.server.workers_config import check_services, check_workers, share_of
from anyplug.server.workers_count import WORKERS_MAX, read_workers
from anyplug.services import KINDS

if TYPE_CHECKING:
    from anyplug.services.base import Service

FREE = ('kind = "echo"', 'kind = "reply"\nanswer = "x"', 'kind = "greet"')

KEPT = {
    'kind = "inbox"': "one process alone has the store",
    'kind = "shelf"': "one process alone has the store",
    'kind = "talk"': "its rooms are in the memory of one process",
    'kind = "files"': "one process alone has its folder",
    'kind = "greet"\nkeep = "inbox/receipts"': "it keeps receipts, and one process alone has the store",
}


def refused(text: str, *, count: int = 2, platform: str = "linux") -> str:
    read = ConfigText("a.toml", text)
    with pytest.raises(ConfigError) as caught:
        check_workers(read_config(read), read, count=count, platform=platform)
    return str(caught.value)


@pytest.mark.parametrize("text", FREE)
def test_what_keeps_nothing_can_be_shared(text: str) -> None:
    read = ConfigText("a.toml", f"[services.a]\n{text}\n")
    check_workers(read_config(read), read, count=2, platform="linux")


def test_one_worker_may_keep_everything_on_any_system() -> None:
    check_workers(Config(), count=1, platform="plan9")


@pytest.mark.parametrize(("text", "why"), KEPT.items())
def test_what_keeps_something_is_named_with_its_line_the_reason_and_what_to_do(text: str, why: str) -> None:
    assert refused(f'[services.free]\nkind = "echo"\n[services.kept]\n{text}\n', count=3) == (
        f"a.toml:3: services.kept: 3 workers cannot share this service: {why}; "
        "serve it from another `anyplug serve` with a file of its own, or use 1 worker"
    )


def test_every_kind_is_one_or_the_other() -> None:
    kinds = {text.split('"')[1] for text in (*FREE, *KEPT)}
    assert kinds == set(KINDS)


def test_services_that_are_there_where_none_are_named() -> None:
    assert refused("\nworkers = 2\n").startswith(
        "a.toml:2: workers: 2 workers cannot share inbox, shelf, talk, files, which are there where no services are"
    )


def test_services_that_were_given_otherwise() -> None:
    config = Config(services={"box": ServiceConfig("inbox", KINDS["inbox"].options())})
    with pytest.raises(ConfigError, match=r"^--workers: 2 workers cannot share box, which"):
        check_workers(config, count=2, platform="linux")


def test_a_system_that_spreads_nothing_is_named() -> None:
    assert refused("workers = 2\n[services.a]\nkind = 'echo'\n", platform="darwin") == (
        "a.toml:1: workers: darwin does not spread the connections of one port over processes "
        "(SO_REUSEPORT of Linux does); use 1 worker"
    )


def made(text: str) -> Service:
    (config,) = read_config(ConfigText("a.toml", f"[services.a]\n{text}\n")).services.values()
    return config.make("a")


def test_services_that_a_program_has_made_can_be_shared_where_they_keep_nothing() -> None:
    check_services([made(text) for text in FREE], store="", count=2, platform="linux")


@pytest.mark.parametrize("text", KEPT)
def test_services_that_a_program_has_made_and_that_keep_something_are_named(text: str) -> None:
    kept = made(text).with_limits(Limits())
    with pytest.raises(LocalError) as caught:
        check_services([made('kind = "echo"'), kept], store="memory", count=3, platform="linux")
    assert str(caught.value) == (
        f"3 workers cannot share the service 'a': {kept.alone}; serve it from a program of its own, or use 1 worker"
    )


def test_the_store_of_a_program_is_for_one_process_too() -> None:
    with pytest.raises(LocalError, match=r"^2 workers cannot share the store 'memory': one process alone has it; make"):
        check_services([made('kind = "echo"')], store="memory", count=2, platform="linux")


def test_a_program_on_a_system_that_spreads_nothing_is_told() -> None:
    with pytest.raises(LocalError, match=r"^darwin does not spread the connections .*; use 1 worker$"):
        check_services([], store="", count=2, platform="darwin")


@pytest.mark.parametrize(
    ("connections", "per_address", "most", "count", "share"),
    [
        (10_000, 1_000, None, 2, (5_000, 500, None)),
        (10_000, 1_000, 6, 4, (2_500, 250, 2)),
        (1, 1, 1, 8, (1, 1, 1)),
        (11, 7, 7, 3, (4, 3, 3)),
    ],
)
def test_places_are_divided_and_rounded_up(
    connections: int, per_address: int, most: int | None, count: int, share: tuple[int, int, int | None]
) -> None:
    config = Config(
        limits=Limits(connections=connections, connections_per_address=per_address),
        listeners=(ListenerConfig(address=Address.parse("tcp://127.0.0.1:0/echo"), connections=most),),
        warnings=("a",),
    )
    found = share_of(config, [Address.parse("tcp://127.0.0.1:7000/echo")], count=count)
    assert (found.limits.connections, found.limits.connections_per_address, found.listeners[0].connections) == share
    assert found.listeners[0].address.port == 7000
    assert found.socket == msgspec.structs.replace(config.socket, reuse_port=True)
    assert found.warnings == ()


@pytest.mark.parametrize("count", [1, 2, WORKERS_MAX])
def test_a_number_of_workers(count: int) -> None:
    assert read_workers(count) == count
    assert read_config(ConfigText("a.toml", f"workers = {count}\n")).workers == count


def test_as_many_as_this_process_has_processors() -> None:
    assert read_workers("auto") == len(os.sched_getaffinity(0))


@pytest.mark.parametrize("value", [0, -1, WORKERS_MAX + 1, True, 1.0, "2", "", None, [1]])
def test_what_is_no_number_of_workers(value: object) -> None:
    with pytest.raises(ValueError, match=r'expected a whole number from 1 to 256, or "auto", found '):
        read_workers(value)

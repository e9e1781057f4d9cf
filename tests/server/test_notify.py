"""The service manager hears what sd_notify(3) says it should."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING

import pytest

from anyplug.server.notify import Notifier

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    name = str(tmp_path / "notify") if request.param == "path" else f"@anyplug-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("\0" + name[1:] if name.startswith("@") else name)
        sock.settimeout(5)
        yield name, sock


def test_the_manager_hears_every_stage(manager: tuple[str, socket.socket]) -> None:
    name, sock = manager
    environment = {"NOTIFY_SOCKET": name, "OTHER": "x"}
    notifier = Notifier.from_environment(environment)
    assert environment == {"OTHER": "x"}
    notifier.ready("plug://127.0.0.1:7584")
    assert sock.recv(500) == b"READY=1\nSTATUS=serving plug://127.0.0.1:7584"
    notifier.ready()
    assert sock.recv(500) == b"READY=1"
    notifier.reloading()
    assert sock.recv(500).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
    notifier.stopping()
    assert sock.recv(500) == b"STOPPING=1\nSTATUS=draining"


def test_without_a_manager_nothing_is_said() -> None:
    Notifier.from_environment({}).ready()


def test_a_manager_that_is_gone_is_no_failure(tmp_path: Path) -> None:
    Notifier(str(tmp_path / "gone")).ready()


async def test_the_watchdog_is_fed_only_when_it_wants_to_be(manager: tuple[str, socket.socket]) -> None:
    name, sock = manager
    await Notifier(name).feed_watchdog()
    other = {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "20000", "WATCHDOG_PID": "1"}
    await Notifier.from_environment(other).feed_watchdog()
    mine = {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "20000", "WATCHDOG_PID": str(os.getpid())}
    task = asyncio.create_task(Notifier.from_environment(mine).feed_watchdog())
    loop = asyncio.get_running_loop()
    for _ in range(2):
        assert await loop.run_in_executor(None, sock.recv, 500) == b"WATCHDOG=1"
    task.cancel()

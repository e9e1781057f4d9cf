"""`anyplug serve --announce`: found while it serves, and not any more from the moment it drains."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.cli.commands import PATIENCE, anyplug, start
from tests.cli.serving import Serving, port_of
from tests.netinfo.nearby import new_name, seen

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.may_bind("", "0.0.0.0", "::")

FREE = ("--listen", "plug://127.0.0.1:0")

WAITING = """
listen = ["plug://127.0.0.1:0"]
[server]
announce = true
announce_name = "{name}"
[limits]
drain = 60
[services.guest]
kind = "greet"
receipt = true
"""


async def test_it_is_found_until_it_drains(tmp_path: Path) -> None:
    """Conversations that still go on keep the server, but not its announcement."""
    name = new_name()
    file = tmp_path / "a.toml"
    file.write_text(WAITING.format(name=name))
    with Serving(str(file)) as serving:
        event = serving.event()
        assert event["type"] == "announced"
        found = await seen(name)
        assert found is not None
        assert (found.port, found.services, found.token) == (event["port"], ("guest",), False)
        words = ("talk", f"127.0.0.1:{event['port']}/guest")
        with start(*words) as guest:
            assert guest.stdout is not None
            guest.stdout.readline()
            serving.signal(signal.SIGTERM)
            assert serving.event() == {"type": "stopping", "conversations": 1, "seconds": 60.0}
            while await seen(name, seconds=0.5) is not None:
                pass
            guest.communicate(b"bye\n", timeout=PATIENCE)
        assert serving.event()["type"] == "stopped"
        assert serving.end()[0] == 0


async def test_what_changes_while_it_runs_is_announced(tmp_path: Path) -> None:
    name = new_name()
    file = tmp_path / "a.toml"
    file.write_text(WAITING.format(name=name))
    with Serving(str(file)) as serving:
        assert serving.event()["type"] == "announced"
        file.write_text(WAITING.format(name=new_name()) + '[services.more]\nkind = "echo"\n')
        serving.signal(signal.SIGHUP)
        event = serving.event()
        assert (event["type"], event["restart"]) == ("reloaded", ["server.announce_name"])
        assert serving.event()["name"] == name
        found = await seen(name)
        assert found is not None
        assert found.services == ("guest", "more")
        file.write_text("nonsense")
        serving.signal(signal.SIGHUP)
        assert serving.event()["type"] == "reload_failed"
        serving.signal(signal.SIGTERM)
        assert serving.event()["type"] == "stopping"
        assert serving.end()[0] == 0


def test_people_are_told_where_a_taken_name_went_and_that_loopback_is_for_nobody_else() -> None:
    name = new_name()
    with Serving(*FREE, "--announce-name", name) as first:
        assert first.event()["name"] == name
        with start("serve", *FREE, "--announce-name", name) as second:
            assert second.stderr is not None
            lines = [""]
            while not lines[-1].startswith("Nobody"):
                lines.append(second.stderr.readline().decode())
            port = port_of(lines[2])
            second.send_signal(signal.SIGINT)
            _, rest = second.communicate(timeout=PATIENCE)
    assert lines[-2] == f"Announced as '{name}-2' with port {port} of 127.0.0.1, for '{name}' is taken.\n"
    assert lines[-1].startswith("Nobody else can use that: only this machine can reach 127.0.0.1; others need another")
    assert (second.returncode, rest) == (0, b"Stopping.\nStopped.\n")


def test_a_server_without_a_listener_for_it_says_so_and_goes_on() -> None:
    with Serving("--listen", "tcp://127.0.0.1:0/echo?framing=raw", "--announce") as serving:
        event = serving.event()
        assert event == {
            "type": "announce_failed",
            "problem": "no listener takes clients that speak plug over TCP",
        }
        serving.signal(signal.SIGTERM)
        assert [serving.event()["type"] for _ in range(2)] == ["stopping", "stopped"]
        status, err = serving.end()
    assert status == 0
    assert "WARNING announce_failed problem=" in err


def test_a_name_that_cannot_be_is_a_mistake_on_the_command_line() -> None:
    done = anyplug("serve", *FREE, "--announce-name", "a.b")
    assert (done.status, done.out) == (2, b"")
    assert done.err.startswith(b"error: 'a.b' cannot be a server's name in the network: expected printable text")


def test_nothing_is_imported_for_it_where_nobody_asks() -> None:
    with start("serve", *FREE, "-v", env={**os.environ, "PYTHONPROFILEIMPORTTIME": "1"}) as process:
        assert process.stderr is not None
        seen_lines = []
        while not (line := process.stderr.readline()).startswith(b"Ready"):
            seen_lines.append(line)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
    assert any(b"anyplug.server.server" in line for line in seen_lines)
    assert not any(b"zeroconf" in line for line in seen_lines)

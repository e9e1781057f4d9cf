from __future__ import annotations

import json
import os
import socket
from typing import TYPE_CHECKING

import pytest

from anyplug.cli.output import Output
from anyplug.cli.scan_unix import run
from tests.cli.commands import call

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from anyplug.netinfo.unix_scan import UnixFound


@pytest.fixture
def path(tmp_path: Path) -> Iterator[str]:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tmp_path / "a\x1b"))
        made.listen()
        yield str(tmp_path / "a\x1b")


def test_each_that_listens_is_a_line_with_its_process(path: str) -> None:
    done = call("scan", "unix")
    head, *lines = done.out.decode().splitlines()
    assert head.split() == ["TYPE", "STATE", "PATH", "PROCESS", "WHY"]
    (line,) = [each for each in lines if path.replace("\x1b", "\\x1b") in each]
    assert line.split()[:2] == ["stream", "open"]
    assert f"[{os.getpid()}]" in line
    assert done.err.startswith(b"-- unix sockets: ")
    assert (done.status, b"\x1b" in done.out) == (0, False)


def test_one_can_be_named(tmp_path: Path) -> None:
    place = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(place))
        made.listen()
        one, summary = [json.loads(line) for line in call("scan", f"unix://{place}", "--json").out.splitlines()]
    assert one["processes"]
    assert {**one, "processes": None} == {
        "type": "unix_socket",
        "path": str(place),
        "unix_type": "stream",
        "state": "open",
        "why": None,
        "processes": None,
    }
    assert summary.pop("seconds") >= 0
    assert summary == {"type": "summary", "open": 1, "open|unknown": 0, "closed": 0, "unknown": 0, "whole": True}


def test_one_that_is_named_is_told_though_it_is_closed(tmp_path: Path) -> None:
    place = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(place))
    done = call("scan", f"unix://{place}")
    assert done.out.decode().splitlines()[1].split() == ["-", "closed", str(place), "-", "nobody", "listens"]
    assert b'"state":"closed"' in call("scan", f"unix://{place}", "--json").out.replace(b" ", b"")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["unix", "127.0.0.1"], "error: unix sockets are scanned by themselves; scan 127.0.0.1 with another command"),
        (["unix", "--udp"], "error: unix sockets have no ports, families or protocols"),
        (["unix", "-p", "80"], "error: unix sockets have no ports"),
        (["unix", "-4"], "error: unix sockets have no ports"),
        (["unix:x"], "error: "),
    ],
)
def test_bad_words(words: list[str], message: str) -> None:
    done = call("scan", *words)
    assert (done.status, done.out) == (2, b"")
    assert done.err.decode().startswith(message)


@pytest.mark.parametrize("json_too", [True, False])
def test_ctrl_c_tells_what_is_known(capfd: pytest.CaptureFixture[str], json_too: bool) -> None:
    from anyplug.netinfo.unix_scan import UnixFound

    def interrupted(path: str) -> Iterator[UnixFound]:
        yield UnixFound("/a", "stream", "open")
        yield UnixFound("/b", "", "closed", "nobody listens")
        raise KeyboardInterrupt

    assert run(["unix"], Output(json=json_too), closed=False, scan=interrupted) == 130
    out = capfd.readouterr().out
    assert "/a" in out
    assert "/b" not in out
    assert ('"whole":false' in out.replace(" ", "")) == json_too


def test_nothing_at_all_is_no_table(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["unix"], Output(), closed=False, scan=lambda _: iter(())) == 0
    assert capfd.readouterr() == ("", "-- unix sockets: 0 open, 0 open|unknown, 0 closed, 0 unknown\n")

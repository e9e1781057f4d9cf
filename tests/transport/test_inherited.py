"""Sockets that a service manager passed."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from anyplug.errors import BindError
from anyplug.transport import inherited_sockets
from anyplug.transport.inherited import VARIABLES, adopt
from tests.transport.processes import run_python

if TYPE_CHECKING:
    from collections.abc import Iterator

PID = 4711


@pytest.fixture
def listeners() -> Iterator[list[socket.socket]]:
    """Two listeners on neighbouring descriptors, as a manager passes them."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        for fd in range(100, 200):
            if not any(Path(f"/proc/self/fd/{each}").exists() for each in (fd, fd + 1)):
                break
        passed = [socket.socket(fileno=os.dup2(each.fileno(), fd + n)) for n, each in enumerate((one, two))]
        yield passed
        for each in passed:
            each.detach()


def environment(count: int | str, names: str | None = None, pid: int = PID) -> dict[str, str]:
    found = {"LISTEN_PID": str(pid), "LISTEN_FDS": str(count), "HOME": "/"}
    return found if names is None else {**found, "LISTEN_FDNAMES": names}


def test_the_sockets_come_with_their_names(listeners: list[socket.socket]) -> None:
    environ = environment(2, "web:talk")
    found = inherited_sockets(environ, PID, first=listeners[0].fileno())
    assert [name for name, _ in found] == ["web", "talk"]
    for (_, sock), passed in zip(found, listeners, strict=True):
        assert sock.getsockname() == passed.getsockname()
        assert not sock.get_inheritable()
        assert not sock.getblocking()
        sock.close()
    assert environ == {"HOME": "/"}


@pytest.mark.parametrize(("names", "expected"), [(None, ["", ""]), ("web", ["web", ""]), ("a:b:c", ["a", "b"])])
def test_names_may_be_missing(listeners: list[socket.socket], names: str | None, expected: list[str]) -> None:
    found = inherited_sockets(environment(2, names), PID, first=listeners[0].fileno())
    assert [name for name, _ in found] == expected
    for _, sock in found:
        sock.close()


@pytest.mark.parametrize(
    "environ",
    [{}, environment(2, pid=PID + 1), environment(0), {"LISTEN_FDS": "1"}, {"LISTEN_PID": str(PID), "LISTEN_FDS": "0"}],
)
def test_without_a_manager_there_are_none_and_the_variables_go(environ: dict[str, str]) -> None:
    assert inherited_sockets(environ, PID, first=3) == []
    assert not environ.keys() & set(VARIABLES)


@pytest.mark.parametrize("count", ["", "two", "-1", "70000"])
def test_a_count_that_makes_no_sense_is_an_error(count: str) -> None:
    environ = environment(count)
    with pytest.raises(BindError, match="expected how many sockets were passed"):
        inherited_sockets(environ, PID)
    assert environ == {"HOME": "/"}


def test_a_closed_descriptor_is_an_error() -> None:
    with pytest.raises(
        BindError, match=r"cannot listen on fd://9999: descriptor 9999 is not open here \(the service man"
    ):
        inherited_sockets(environment(1), PID, first=9999)


def test_what_is_no_socket_is_an_error_and_stays_open(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file:
        with pytest.raises(BindError, match=rf"descriptor {file.fileno()} is not a socket$"):
            adopt(file.fileno(), address="fd://N")
        file.write("still open")


def test_a_started_process_finds_its_sockets_from_descriptor_3_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        code = """
            import json, os, sys
            from anyplug.transport import inherited_sockets
            os.dup2(int(sys.argv[1]), 3)
            os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="web")
            [(name, sock)] = inherited_sockets(os.environ, os.getpid())
            print(json.dumps([name, sock.getsockname(), sock.fileno(), "LISTEN_FDS" in os.environ]))
            sock.close()
        """
        assert run_python(code, sock.fileno(), pass_fds=(sock.fileno(),)) == ["web", list(sock.getsockname()), 3, False]

from __future__ import annotations

import os
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from anyplug.netinfo.socket_types import Process, Socket
from anyplug.netinfo.unix_scan import UnixFound, scan_unix, try_unix

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KINDS = {"stream": socket.SOCK_STREAM, "seqpacket": socket.SOCK_SEQPACKET, "datagram": socket.SOCK_DGRAM}


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


def bound(stack: ExitStack, path: str, kind: str = "stream", *, most: int | None = 5) -> socket.socket:
    """A socket at a path; it listens unless ``most`` is None."""
    made = stack.enter_context(socket.socket(socket.AF_UNIX, KINDS[kind]))
    made.bind(f"\0{path[1:]}" if path.startswith("@") else path)
    if kind != "datagram" and most is not None:
        made.listen(most)
    return made


@pytest.mark.parametrize("kind", ["stream", "seqpacket"])
def test_what_takes_connections_is_open(stack: ExitStack, tmp_path: Path, kind: str) -> None:
    path = str(tmp_path / "s")
    bound(stack, path, kind)
    (found,) = scan_unix(path)
    assert (found.path, found.kind, found.state, found.why) == (path, kind, "open", "")
    assert found.processes is not None
    assert os.getpid() in {each.pid for each in found.processes}
    assert found in list(scan_unix())


def test_a_datagram_socket_is_left_as_it_is(stack: ExitStack, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    bound(stack, path, "datagram")
    for _ in range(2):
        assert next(scan_unix(path))[1:4] == ("datagram", "open|unknown", "not tried")
    guest = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
    guest.connect(path)  # somebody else does what the scan does not
    assert next(scan_unix(path)).state == "open|unknown"


def test_one_that_is_bound_and_does_not_listen_is_closed(stack: ExitStack, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    bound(stack, path, most=None)
    assert next(scan_unix(path))[1:4] == ("stream", "closed", "nobody listens")


def test_conversations_are_no_listeners(stack: ExitStack, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    made = bound(stack, path)
    stack.enter_context(socket.socket(socket.AF_UNIX)).connect(path)
    stack.enter_context(made.accept()[0])
    made.close()
    assert [each.state for each in scan_unix(path)] == ["closed"]


def test_an_abstract_name_is_tried_too(stack: ExitStack) -> None:
    name = f"@anyplug-scan-{os.getpid()}"
    bound(stack, name)
    assert next(scan_unix(name)).state == "open"


def test_nothing_that_was_connected_stays_connected(stack: ExitStack, tmp_path: Path) -> None:
    made = bound(stack, str(tmp_path / "s"))
    list(scan_unix(str(tmp_path / "s")))
    made.settimeout(5)
    with made.accept()[0] as guest:
        assert guest.recv(1) == b""


def test_a_queue_that_is_full_is_unknown(stack: ExitStack, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    bound(stack, path, most=0)
    waiting = stack.enter_context(socket.socket(socket.AF_UNIX))
    waiting.connect(path)
    assert next(scan_unix(path))[2:4] == ("unknown", "as many wait there as may")


def test_a_socket_that_its_program_left_behind_is_closed(stack: ExitStack, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    bound(stack, path).close()
    assert list(scan_unix(path)) == [UnixFound(path, "", "closed", "nobody listens")]


def test_a_path_that_was_removed_is_unknown(stack: ExitStack, tmp_path: Path) -> None:
    path = tmp_path / "s"
    bound(stack, str(path))
    path.unlink()
    assert next(scan_unix(str(path)))[2:4] == ("unknown", "no such path here")


def test_another_type_at_the_path_is_closed(stack: ExitStack, tmp_path: Path) -> None:
    bound(stack, str(tmp_path / "s"))
    assert try_unix(str(tmp_path / "s"), "seqpacket") == ("closed", "a socket of another type is there")


def test_one_that_nobody_lists_is_tried_by_every_type(stack: ExitStack, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    bound(stack, path, "seqpacket")
    assert list(scan_unix(path, listing=lambda *_, **__: [])) == [UnixFound(path, "seqpacket", "open")]


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("relative/path", "its path begins in a folder that nobody tells"),
        ("/" + "x" * 200, "File name too long"),
        ("/nowhere/s", "no such path here"),
    ],
)
def test_what_cannot_be_tried_is_unknown_and_says_why(path: str, why: str) -> None:
    assert try_unix(path, "stream") == ("unknown", why)


@pytest.mark.skipif(os.geteuid() != 0, reason="it takes root to become somebody else")
def test_what_is_not_allowed_is_unknown(stack: ExitStack, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    bound(stack, path)
    os.chmod(path, 0)  # noqa: PTH101 - a socket, which Path.chmod takes as well
    found = []
    os.seteuid(65534)
    try:
        found.append(try_unix(path, "stream"))
    finally:
        os.seteuid(0)
    assert found == [("unknown", "not allowed")]


def test_two_listeners_of_one_path_are_one_line() -> None:
    facts = (None, None, None, None, None, None)
    listed = [
        Socket("unix", 0, "listen", "/nowhere/s", *facts, inode, "stream", (Process(inode, "x"),)) for inode in (1, 2)
    ]
    found = list(scan_unix(listing=lambda *_, **__: listed))
    assert found == [UnixFound("/nowhere/s", "stream", "unknown", "no such path here", (Process(1, "x"),))]

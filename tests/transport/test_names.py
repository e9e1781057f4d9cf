"""What the ends of sockets are called."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from anyplug.transport import host_of, name_of

if TYPE_CHECKING:
    from pathlib import Path

    from anyplug.transport import SockAddr

V4, V6, UNIX = socket.AF_INET, socket.AF_INET6, socket.AF_UNIX
LO = socket.if_nametoindex("lo")

CASES: list[tuple[SockAddr, int, str, str]] = [
    (("127.0.0.1", 5000), V4, "127.0.0.1:5000", "127.0.0.1"),
    (("::1", 5000, 0, 0), V6, "[::1]:5000", "::1"),
    (("2001:db8::7", 80, 0, 0), V6, "[2001:db8::7]:80", "2001:db8::7"),
    (("fe80::1%eth0", 80, 0, 2), V6, "[fe80::1%eth0]:80", "fe80::1%eth0"),
    (("::ffff:192.0.2.1", 80, 0, 0), V6, "192.0.2.1:80", "192.0.2.1"),
    (("fe80::1", 80, 0, LO), V6, "[fe80::1%lo]:80", "fe80::1%lo"),
    (("fe80::1", 80, 0, 1 << 20), V6, "[fe80::1%1048576]:80", "fe80::1%1048576"),
    (("::ffff:1:2:3", 80, 0, 0), V6, "[::ffff:1:2:3]:80", "::ffff:1:2:3"),
    ("/run/anyplug.sock", UNIX, "unix:/run/anyplug.sock", "unix"),
    (b"/run/anyplug.sock", UNIX, "unix:/run/anyplug.sock", "unix"),
    (b"\0talk", UNIX, "unix:@talk", "unix"),
    ("", UNIX, "unix", "unix"),
    (b"", UNIX, "unix", "unix"),
    (None, UNIX, "unix", "unix"),
    ("/run/\x1b[31mred", UNIX, "unix:/run/%1B[31mred", "unix"),
    (b"\0a\xff\n", UNIX, "unix:@a%FF%0A", "unix"),
    ("/run/房间", UNIX, "unix:/run/房间", "unix"),
    (None, V4, "unknown", "unix"),
]


@pytest.mark.parametrize(("sockaddr", "family", "name", "host"), CASES)
def test_an_end_has_a_name_for_people_and_a_key_for_admission(
    sockaddr: SockAddr, family: int, name: str, host: str
) -> None:
    assert name_of(sockaddr, family) == name
    assert host_of(sockaddr) == host


def test_the_names_of_real_sockets(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(UNIX) as bound, socket.socket(UNIX) as unnamed:
        bound.bind(path)
        assert name_of(bound.getsockname(), UNIX) == f"unix:{path}"
        assert name_of(unnamed.getsockname(), UNIX) == "unix"

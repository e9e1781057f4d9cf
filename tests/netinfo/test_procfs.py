from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Literal

import pytest

from anyplug.netinfo.procfs import parse_host, parse_inet_table, parse_unix_table, proc_sockets
from anyplug.netinfo.socket_types import Socket

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
TAIL = "00:00000000 00000000  1000        0 12345 1 0000000000000000 100 0 0 10 0"


@pytest.mark.parametrize(
    ("word", "byteorder", "host"),
    [
        ("0100007F", "little", "127.0.0.1"),
        ("7F000001", "big", "127.0.0.1"),
        ("00000000", "little", "0.0.0.0"),
        ("0F02000A", "little", "10.0.2.15"),
        ("00000000000000000000000001000000", "little", "::1"),
        ("00000000000000000000000000000001", "big", "::1"),
        ("0000000000000000FFFF00000100007F", "little", "::ffff:127.0.0.1"),
        ("B80D0120000000000000000042000000", "little", "2001:db8::42"),
    ],
)
def test_a_host_is_read_in_the_byte_order_of_the_machine(
    word: str, byteorder: Literal["little", "big"], host: str
) -> None:
    assert parse_host(word, byteorder=byteorder) == host


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            f"   0: 0100007F:1F90 00000000:0000 0A 00000000:00000003 {TAIL}",
            Socket("tcp", 4, "listen", "127.0.0.1", 8080, None, None, 3, None, 1000, 12345),
        ),
        (
            f"   1: 0100007F:1F90 0100007F:C350 01 00000005:00000007 {TAIL}",
            Socket("tcp", 4, "established", "127.0.0.1", 8080, "127.0.0.1", 50000, 7, 5, 1000, 12345),
        ),
        (
            "   2: 0100007F:1F90 0100007F:C350 06 00000000:00000000 03:00001750 00000000     0        0 0 3 00000000",
            Socket("tcp", 4, "time-wait", "127.0.0.1", 8080, "127.0.0.1", 50000, 0, 0, 0, 0),
        ),
        (
            f"   3: {'0' * 24}01000000:0050 {'0' * 32}:0000 0A 00000000:00000000 {TAIL}",
            Socket("tcp", 6, "listen", "::1", 80, None, None, 0, None, 1000, 12345),
        ),
        (
            f"   4: 0100007F:1F90 00000000:0000 7F 00000000:00000000 {TAIL}",
            Socket("tcp", 4, "state-127", "127.0.0.1", 8080, None, None, 0, 0, 1000, 12345),
        ),
    ],
)
def test_a_line_of_a_table_is_a_socket(line: str, expected: Socket) -> None:
    assert parse_inet_table("tcp", HEAD + line + "\n", byteorder="little") == [expected]


@pytest.mark.parametrize(
    ("number", "word"),
    [
        *(("01", "established"), ("02", "syn-sent"), ("03", "syn-received"), ("04", "fin-wait-1")),
        *(("05", "fin-wait-2"), ("06", "time-wait"), ("07", "closed"), ("08", "close-wait"), ("09", "last-ack")),
        *(("0A", "listen"), ("0B", "closing"), ("0C", "syn-received")),
    ],
)
def test_every_state_of_tcp_has_its_word(number: str, word: str) -> None:
    line = f"   0: 0100007F:1F90 00000000:0000 {number} 00000000:00000000 {TAIL}\n"
    assert parse_inet_table("tcp", HEAD + line, byteorder="little")[0].state == word


def test_a_datagram_socket_without_a_peer_is_unconnected() -> None:
    line = f"  10: 0100007F:1F90 00000000:0000 07 00000000:00000000 {TAIL}\n"
    assert parse_inet_table("udp", HEAD + line, byteorder="little") == [
        Socket("udp", 4, "unconnected", "127.0.0.1", 8080, None, None, 0, 0, 1000, 12345)
    ]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "   0:",
        "   0: 0100007F 00000000:0000 0A",
        f"   0: 0100:1F90 00000000:0000 0A 00000000:00000000 {TAIL}",
        f"   0: xyz:1F90 00000000:0000 0A 00000000:00000000 {TAIL}",
        f"   0: 0100007F:1F90 00000000:0000 0A 00000000 {TAIL}",
        "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000",
    ],
)
def test_a_line_that_is_no_socket_is_left_out(line: str) -> None:
    good = f"   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 {TAIL}"
    assert len(parse_inet_table("tcp", f"{HEAD}{line}\n{good}\n", byteorder="little")) == 1


UNIX_HEAD = "Num       RefCount Protocol Flags    Type St Inode Path\n"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("0000000000000000: 00000002 00000000 00010000 0001 01  577 /run/a b", ("stream", "listen", "/run/a b", 577)),
        ("0000000000000000: 00000003 00000000 00000000 0001 03 89963", ("stream", "established", "", 89963)),
        ("0000000000000000: 00000002 00000000 00010000 0005 01 1 @name", ("seqpacket", "listen", "@name", 1)),
        (
            "0000000000000000: 00000002 00000000 00000000 0002 01 22 /dev/log",
            ("datagram", "unconnected", "/dev/log", 22),
        ),
        ("0000000000000000: 00000002 00000000 00000000 0009 07 22", ("", "state-7", "", 22)),
    ],
)
def test_a_line_of_the_unix_table_is_a_socket(line: str, expected: tuple[str, str, str, int]) -> None:
    found = parse_unix_table(f"{UNIX_HEAD}junk\n{line}\n")
    assert [(each.kind, each.state, each.local, each.inode) for each in found] == [expected]


def test_a_system_without_ipv6_has_its_ipv4_sockets(tmp_path: Path) -> None:
    (tmp_path / "tcp").write_text(f"{HEAD}   0: 0100007F:1F90 00000000:0000 0A 0:0 {TAIL}\n")
    assert [each.local_port for each in proc_sockets("tcp", 0, root=tmp_path)] == [8080]


def test_no_table_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no table of unix sockets"):
        proc_sockets("unix", 0, root=tmp_path)


def test_the_tables_of_this_machine_hold_a_socket_made_here() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        found = [each for each in proc_sockets("tcp", 0) if (each.state, each.local_port) == ("listen", port)]
    assert [each.local for each in found] == ["127.0.0.1"]

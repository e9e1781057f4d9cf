from __future__ import annotations

import os
import re
import socket
import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from anyplug.errors import LocalError
from anyplug.netinfo.diag import parse_inet, parse_unix
from anyplug.netinfo.owners import owners
from anyplug.netinfo.procfs import proc_sockets
from anyplug.netinfo.socket_types import Process, Socket, end_text
from anyplug.netinfo.sockets import SOURCES, Wanted, list_sockets
from anyplug.netinfo.states import WORDS, state_mask, state_word

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from anyplug.netinfo.socket_types import Protocol


class Made:
    """Sockets of every kind that this test made."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        def keep(made: socket.socket) -> socket.socket:
            return stack.enter_context(made)

        self.listener = keep(socket.create_server(("127.0.0.1", 0)))
        self.listener6 = keep(socket.create_server(("::1", 0), family=socket.AF_INET6))
        self.client = keep(socket.create_connection(self.listener.getsockname()))
        self.server = keep(self.listener.accept()[0])
        self.udp = keep(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self.udp.bind(("127.0.0.1", 0))
        self.udp_client = keep(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self.udp_client.connect(self.udp.getsockname())
        self.path = str(folder / "a socket")
        self.unix = keep(socket.socket(socket.AF_UNIX))
        self.unix.bind(self.path)
        self.unix.listen()
        self.unix_client = keep(socket.socket(socket.AF_UNIX))
        self.unix_client.connect(self.path)
        self.unix_server = keep(self.unix.accept()[0])
        self.ports = frozenset(
            each.getsockname()[1] for each in (self.listener, self.listener6, self.client, self.udp, self.udp_client)
        )


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    with ExitStack() as stack:
        yield Made(stack, tmp_path)


def inode(of: socket.socket) -> int:
    return os.fstat(of.fileno()).st_ino


def by_inode(found: list[Socket]) -> dict[int, Socket]:
    return {each.inode: each for each in found}


def test_every_kind_of_socket_is_listed(made: Made) -> None:
    found = by_inode(list_sockets())
    host = "127.0.0.1"
    port, peer = made.listener.getsockname()[1], made.client.getsockname()[1]
    listener = found[inode(made.listener)]
    assert (listener.protocol, listener.family, listener.state) == ("tcp", 4, "listen")
    assert (listener.local, listener.local_port, listener.remote, listener.remote_port) == (host, port, None, None)
    assert (listener.uid, listener.processes) == (os.getuid(), None)
    client = found[inode(made.client)]
    assert (client.state, client.local_port, client.remote, client.remote_port) == ("established", peer, host, port)
    six = found[inode(made.listener6)]
    assert (six.family, six.state, six.local) == (6, "listen", "::1")
    assert (found[inode(made.udp)].protocol, found[inode(made.udp)].state) == ("udp", "unconnected")
    assert found[inode(made.udp_client)].state == "established"


def test_a_unix_socket_knows_its_peer_by_name(made: Made) -> None:
    found = by_inode(list_sockets(Wanted(protocols=("unix",))))
    listener, client = found[inode(made.unix)], found[inode(made.unix_client)]
    assert (listener.kind, listener.state, listener.local, listener.remote) == ("stream", "listen", made.path, None)
    assert (client.state, client.local, client.remote) == ("established", "", made.path)


def test_an_abstract_name_starts_with_an_at() -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(f"\0anyplug-test-{os.getpid()}")
        made.listen()
        found = by_inode(list_sockets(Wanted(protocols=("unix",))))[inode(made)]
    assert found.local == f"@anyplug-test-{os.getpid()}"


def test_bytes_that_wait_are_counted(made: Made) -> None:
    made.client.send(b"seven..")
    assert by_inode(list_sockets(Wanted(protocols=("tcp",))))[inode(made.server)].receiving == 7


def without_room(each: Socket) -> Socket:
    """/proc/net does not tell how many connections may wait at a listener."""
    return each._replace(sending=None) if each.state == "listen" else each


def test_the_slow_source_is_asked_where_the_quick_one_does_not_answer(made: Made) -> None:
    def silent(protocol: Protocol, states: int) -> list[Socket]:
        raise OSError(93, "Protocol not supported")

    found = list_sockets(Wanted(ports=made.ports), sources=(silent, SOURCES[1]))
    assert {inode(made.listener), inode(made.client), inode(made.udp)} <= by_inode(found).keys()


def test_both_sources_tell_the_same(made: Made) -> None:
    protocols: tuple[Protocol, ...] = ("tcp", "udp")
    for wanted in (Wanted(ports=made.ports, protocols=protocols), Wanted(listening=True, ports=made.ports)):
        quick, slow = list_sockets(wanted), list_sockets(wanted, sources=(proc_sockets,))
        assert set(map(without_room, quick)) == set(map(without_room, slow))
        assert len(quick) > 0


@pytest.mark.parametrize("conditions", [{"process": str(os.getpid())}, {}])
def test_processes_are_told_when_asked_for(made: Made, conditions: dict[str, str]) -> None:
    found = by_inode(list_sockets(Wanted(**conditions), processes=True))  # type: ignore[arg-type]
    processes = found[inode(made.listener)].processes
    assert processes is not None
    assert os.getpid() in {each.pid for each in processes}


def test_a_process_is_found_by_its_name(made: Made) -> None:
    processes = by_inode(list_sockets(processes=True))[inode(made.listener)].processes
    assert processes is not None
    name = next(each.name for each in processes if each.pid == os.getpid())
    assert inode(made.listener) in by_inode(list_sockets(Wanted(process=name)))
    assert list_sockets(Wanted(process="no process is called so")) == []


def test_nobody_is_told_where_proc_cannot_be_read(made: Made, tmp_path: Path) -> None:
    found = by_inode(list_sockets(processes=True, proc=str(tmp_path / "absent")))
    assert found[inode(made.listener)].processes is None


def test_a_process_that_ends_or_hides_is_left_out(tmp_path: Path) -> None:
    for pid, links in {"7": ["socket:[11]", "/dev/null"], "9": ["socket:[11]"], "8": ["socket:[12]"]}.items():
        (tmp_path / pid / "fd").mkdir(parents=True)
        for number, target in enumerate(links):
            (tmp_path / pid / "fd" / str(number)).symlink_to(target)
    (tmp_path / "7" / "comm").write_text("seven\n")
    (tmp_path / "self").mkdir()
    (tmp_path / "10").mkdir()
    (tmp_path / "8" / "fd" / "1").write_text("no link")
    assert owners(str(tmp_path)) == {11: (Process(7, "seven"), Process(9, "")), 12: (Process(8, ""),)}


def made_up(**changes: object) -> Socket:
    facts: dict[str, object] = {
        "protocol": "tcp",
        "family": 4,
        "state": "established",
        "local": "127.0.0.1",
        "local_port": 80,
        "remote": "127.0.0.1",
        "remote_port": 999,
        "receiving": 0,
        "sending": 0,
        "uid": 0,
        "inode": 1,
    }
    return Socket(**{**facts, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wanted", "one", "fits"),
    [
        (Wanted(), made_up(), True),
        (Wanted(ports=frozenset({80})), made_up(), True),
        (Wanted(ports=frozenset({999})), made_up(), True),
        (Wanted(ports=frozenset({81})), made_up(), False),
        (Wanted(states=frozenset({"established"})), made_up(), True),
        (Wanted(states=frozenset({"listen"})), made_up(), False),
        (Wanted(listening=True), made_up(), False),
        (Wanted(listening=True), made_up(state="listen"), True),
        (Wanted(listening=True), made_up(protocol="udp", state="unconnected"), True),
        (Wanted(listening=True), made_up(protocol="udp", state="unconnected", local_port=0), False),
        (Wanted(listening=True), made_up(protocol="unix", state="unconnected", local="/x", local_port=None), True),
        (Wanted(listening=True), made_up(protocol="unix", state="unconnected", local="", local_port=None), False),
        (Wanted(listening=True, states=frozenset({"listen"})), made_up(protocol="udp", state="unconnected"), False),
        (Wanted(process="12"), made_up(processes=(Process(12, "x"),)), True),
        (Wanted(process="1"), made_up(processes=(Process(12, "x"),)), False),
        (Wanted(process="ser"), made_up(processes=(Process(12, "server"),)), True),
        (Wanted(process="ser"), made_up(), False),
    ],
)
def test_conditions(wanted: Wanted, one: Socket, fits: bool) -> None:
    assert wanted.chosen([one]) == ([one] if fits else [])


def test_what_no_source_tells_is_an_error() -> None:
    def deaf(protocol: Protocol, states: int) -> list[Socket]:
        raise PermissionError(13, "Permission denied")

    with pytest.raises(LocalError, match=r"tcp sockets .* cannot be listed \(Permission denied\); it takes Linux"):
        list_sockets(sources=(deaf,))
    assert list_sockets(Wanted(protocols=("udp",)), sources=(deaf, lambda _, __: [made_up()])) == [made_up()]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        *((word, word) for word in WORDS),
        *(("ESTAB", "established"), ("LISTENING", "listen"), ("SYN_RECV", "syn-received"), ("time wait", "time-wait")),
    ],
)
def test_states_are_read_as_people_write_them(text: str, word: str) -> None:
    assert state_word(text) == word


@pytest.mark.parametrize(("text", "remedy"), [("lsten", "did you mean listen?"), ("7", "one of established, ")])
def test_an_unknown_state_is_named(text: str, remedy: str) -> None:
    with pytest.raises(LocalError, match=re.escape(f"{text!r} is no state of a socket; {remedy}")):
        state_word(text)


def test_states_are_bits_for_the_kernel() -> None:
    assert state_mask(frozenset({"listen", "established"})) == 1 << 10 | 1 << 1
    assert state_mask(frozenset()) == 0xFFFFFFFF


@pytest.mark.parametrize(
    ("end", "text"), [(("::1", 80), "[::1]:80"), (("127.0.0.1", 0), "127.0.0.1:0"), (("/a", None), "/a")]
)
def test_ends_are_written_as_in_addresses(end: tuple[str, int | None], text: str) -> None:
    assert end_text(*end) == text


@pytest.mark.parametrize("data", [b"", b"\x10", bytes(40), bytes(200)])
def test_an_answer_that_is_cut_holds_no_sockets(data: bytes) -> None:
    assert parse_inet("tcp", [data]) == []
    assert parse_unix([data]) == []


# Beside ss.


def of_ss(program: Callable[[str], str], *words: str) -> dict[int, tuple[str, ...]]:
    """What ss says, by inode."""
    out = subprocess.run([program("ss"), "-neH", *words], capture_output=True, text=True, check=True).stdout
    found = {}
    for line in out.splitlines():
        number = re.search(r"\bino:(\d+)", line)
        if number is not None:
            found[int(number[1])] = tuple(line.split()[:6])
    return found


STATES_OF_SS = {"ESTAB": "established", "LISTEN": "listen", "UNCONN": "unconnected"}


def test_the_same_as_ss(made: Made, program: Callable[[str], str]) -> None:
    theirs, ours = of_ss(program, "-tuan"), by_inode(list_sockets())
    sockets = (made.listener, made.listener6, made.client, made.server, made.udp, made.udp_client)
    for number in map(inode, sockets):
        protocol, state, receiving, sending, local, remote = theirs[number]
        each = ours[number]
        assert (each.protocol, each.state) == (protocol, STATES_OF_SS[state])
        assert (each.receiving, each.sending) == (int(receiving), int(sending))
        assert end_text(each.local, each.local_port) == local
        assert (end_text(each.remote, each.remote_port) if each.remote is not None else "*") in {remote, remote[-1]}


def test_the_same_unix_sockets_and_processes_as_ss(made: Made, program: Callable[[str], str]) -> None:
    out = subprocess.run([program("ss"), "-xanpH"], capture_output=True, text=True, check=True).stdout
    line = next(line for line in out.splitlines() if f" {inode(made.unix)} " in line)
    each = by_inode(list_sockets(Wanted(protocols=("unix",)), processes=True))[inode(made.unix)]
    assert line.split()[:4] == ["u_str", "LISTEN", str(each.receiving), str(each.sending)]
    assert each.local in line
    assert each.processes is not None
    assert all(f'("{process.name}",pid={process.pid},' in line for process in each.processes)

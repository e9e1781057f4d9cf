from __future__ import annotations

import socket
from contextlib import ExitStack
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from anyplug.netinfo.check import Checking, CheckOptions, check
from anyplug.netinfo.check_path import interface_of, is_own
from anyplug.netinfo.check_types import Answered, Closed, Connected, Listeners
from anyplug.netinfo.scan_types import Target
from anyplug.transport.resolve import Candidate
from tests.cli.peers import serving
from tests.netinfo.checks import (
    QUICK,
    by_name,
    echoing,
    server_on,
    states,
    unix_server,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


# The way there.


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_refused_and_what_listens_here() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        here = listener.getsockname()[1]
        steps = by_name(f"127.0.0.1:{closed_port()}")
    assert states(steps)["connect"] == "failed"
    assert steps["connect"].message.startswith("refused: nothing listens on 127.0.0.1:")
    assert steps["connect"].remedy == "start the server, or check the port"
    assert isinstance(steps["connect"].facts, Listeners)
    assert any(each.startswith(f"127.0.0.1:{here} ") for each in steps["connect"].facts.listening)


def test_refused_in_one_family_and_taken_in_the_other() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener, server_on(listener, echoing):
        here = listener.getsockname()[1]
        report = check(f"tcp://localhost:{here}")
    by_end = {(step.end, step.step): step for step in report.steps}
    assert by_end[f"[::1]:{here}", "close"].state == "ok"
    refused = by_end[f"127.0.0.1:{here}", "connect"]
    assert refused.message.startswith(f"refused: nothing listens on 127.0.0.1:{here}, but on [::1]:{here} ")
    assert refused.remedy == "connect to an address that it has, or let it listen on this one"
    assert not report.ok
    assert by_end[f"127.0.0.1:{here}", "speaks"].message == "not reached"


def test_a_server_that_accepts_nobody_is_late() -> None:
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        number = listener.getsockname()[1]
        step = by_name(f"tcp://127.0.0.1:{number}", options=CheckOptions(timeout=0.05))["connect"]
    assert step.state == "failed"
    assert step.message == f"no answer from 127.0.0.1:{number} within 0.05 s"
    assert step.remedy.endswith("`anyplug ping 127.0.0.1` tells whether the host is there")


def names(*hosts: str) -> Callable[[str, int, int, int], list[Candidate]]:
    def lookup(_: str, port: int, __: int, kind: int) -> list[Candidate]:
        six = int(socket.AF_INET6)
        return [
            Candidate(six, kind, (host, port, 0, 0)) if ":" in host else Candidate(2, kind, (host, port))
            for host in hosts
        ]

    return lookup


def test_a_name_that_does_not_resolve_and_then_nothing() -> None:
    def lookup(*_: object) -> list[Candidate]:
        raise socket.gaierror(socket.EAI_NONAME, "no")

    steps = by_name("no.example", lookup=lookup)
    assert steps["resolve"].state == "failed"
    assert (steps["resolve"].message, steps["resolve"].remedy) == (
        "the name no.example is not known",
        "check its spelling",
    )
    rest = [step for name, step in steps.items() if name != "resolve"]
    assert [step.step for step in rest] == ["route", "connect", "handshake", "echo", "close"]
    assert {(step.state, step.message) for step in rest} == {("skipped", "not reached")}


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (("127.0.0.1",), "a.example is 127.0.0.1; IPv4 only"),
        (("::1",), "a.example is ::1; IPv6 only"),
        (("::1", "127.0.0.1", "::1"), "a.example is ::1, 127.0.0.1"),
    ],
)
def test_every_address_of_a_name_is_told(found: tuple[str, ...], message: str) -> None:
    checking = Checking("tcp://a.example:1", lookup=names(*found))
    steps = list(checking.run())
    assert steps[0].message == message
    assert [step.end for step in steps if step.step == "connect"] == [
        f"[{host}]:1" if ":" in host else f"{host}:1" for host in dict.fromkeys(found)
    ]


def test_a_few_addresses_of_each_family_are_enough() -> None:
    lookup = names("127.0.0.1", "127.0.0.2", "127.0.0.3", "::1")
    checking = Checking("tcp://a.example:1", lookup=lookup, options=CheckOptions(ends=2))
    ends = [step.end for step in checking.run() if step.step == "connect"]
    assert ends == ["127.0.0.1:1", "127.0.0.2:1", "[::1]:1"]


def test_one_family_alone() -> None:
    checking = Checking("tcp://localhost:1", family=6)
    assert {step.end for step in checking.run()} == {"", "[::1]:1"}
    assert {step.end for step in Checking("tcp4://localhost:1").run()} == {"", "127.0.0.1:1"}


def test_a_broadcast_address_is_forbidden_on_the_way() -> None:
    step = by_name("tcp://127.255.255.255:1")["route"]
    assert (step.state, step.message) == ("failed", "this machine forbids connections to 127.255.255.255:1")


def test_which_addresses_are_ours() -> None:
    assert is_own(Target("h", "127.0.0.5", 4))
    assert interface_of("::1") == "lo"
    assert interface_of("127.0.0.99") == ""


# Unix sockets and datagrams.


def test_a_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with unix_server(path, echoing):
        steps = by_name(f"unix://{path}")
    assert states(steps) == dict.fromkeys(("path", "connect", "echo", "close"), "ok")
    assert steps["path"].message.startswith(f"{path} is a socket of user ")
    assert "] listens" in steps["path"].message
    assert steps["close"].facts == Closed(first="this side", how="end of stream")
    assert steps["connect"].facts == Connected("unix", f"unix:{path}", None, None, None)


def test_an_abstract_name_and_packets() -> None:
    with unix_server("\0anyplug check test", echoing, kind=socket.SOCK_SEQPACKET):
        steps = by_name("unix+seqpacket://@anyplug%20check%20test")
    assert states(steps) == dict.fromkeys(("path", "connect", "echo", "close"), "ok")
    assert steps["path"].message.startswith("@anyplug check test is an abstract name, which has no file; ")


def test_anyplug_over_a_unix_socket(tmp_path: Path) -> None:
    with serving(f"plug+unix://{tmp_path}/s") as addresses:
        steps = by_name(addresses[0])
    assert states(steps) == dict.fromkeys(("path", "connect", "handshake", "echo", "close"), "ok")


def test_paths_that_are_no_sockets(tmp_path: Path) -> None:
    file = tmp_path / "file"
    assert by_name(f"unix://{file}")["path"].message == f"there is no unix:{file}"
    file.touch()
    steps = by_name(f"unix://{file}")
    assert (steps["path"].state, steps["path"].message) == ("failed", f"{file} is there and is no socket")
    assert states(steps)["connect"] == "skipped"


def test_a_socket_that_its_server_has_left(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(tmp_path / "s"))
    steps = by_name(f"unix://{tmp_path}/s")
    assert steps["path"].state == "ok"
    assert "listens" not in steps["path"].message
    assert steps["connect"].message == f"nothing listens on unix:{tmp_path}/s any more"


def test_a_unix_server_that_accepts_nobody(tmp_path: Path) -> None:
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(str(tmp_path / "s"))
        listener.listen(0)
        for _ in range(2):
            filler = stack.enter_context(socket.socket(socket.AF_UNIX))
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        step = by_name(f"unix://{tmp_path}/s", options=CheckOptions(timeout=0.05))["connect"]
    assert step.message == f"no answer from unix:{tmp_path}/s within 0.05 s"
    assert step.remedy == "the server accepts nobody: it is stuck or overloaded"


def answering_datagrams(sock: socket.socket) -> None:
    data, source = sock.recvfrom(1000)
    sock.sendto(data, source)


def test_datagrams_that_are_answered() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far:
        far.bind(("127.0.0.1", 0))
        thread = Thread(target=answering_datagrams, args=(far,))
        thread.start()
        steps = by_name(f"udp://127.0.0.1:{far.getsockname()[1]}")
        thread.join()
    assert states(steps) == dict.fromkeys(("resolve", "route", "connect", "echo"), "ok")
    assert steps["echo"].facts == Answered(13, 13, True)


def test_datagrams_that_nobody_answers_are_open_or_unknown() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far:
        far.bind(("127.0.0.1", 0))
        step = by_name(f"udp://127.0.0.1:{far.getsockname()[1]}", options=QUICK)["echo"]
    assert (step.state, step.message) == ("unknown", "no answer within 0.05 s: open|unknown")


def test_datagrams_that_are_refused() -> None:
    datagram = (socket.AF_INET, socket.SOCK_DGRAM)
    with socket.socket(*datagram) as other, socket.socket(*datagram) as gone:
        other.bind(("127.0.0.1", 0))
        gone.bind(("127.0.0.1", 0))
        here, number = other.getsockname()[1], gone.getsockname()[1]
        gone.close()
        step = by_name(f"udp://127.0.0.1:{number}")["echo"]
    assert step.state == "failed"
    assert step.message.startswith(f"refused: nothing listens on 127.0.0.1:{number}; here listen ")
    assert isinstance(step.facts, Listeners)
    assert any(each.startswith(f"127.0.0.1:{here} ") for each in step.facts.listening)


def test_unix_datagrams(tmp_path: Path) -> None:
    path = str(tmp_path / "d")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as far:
        far.bind(path)
        thread = Thread(target=answering_datagrams, args=(far,))
        thread.start()
        steps = by_name(f"unix+dgram://{path}")
        thread.join()
    assert states(steps) == dict.fromkeys(("path", "connect", "echo"), "ok")


def test_unix_datagrams_whose_server_goes_meanwhile(tmp_path: Path) -> None:
    path = str(tmp_path / "d")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as far:
        far.bind(path)
        steps = Checking(f"unix+dgram://{path}").run()
        assert [next(steps).state for _ in range(2)] == ["ok", "ok"]
    step = next(steps)
    assert (step.step, step.state, step.message) == ("echo", "failed", f"nothing listens on unix:{path} any more")
    steps.close()  # type: ignore[attr-defined]

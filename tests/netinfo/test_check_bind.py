from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from anyplug.errors import AddressError
from anyplug.netinfo.check_bind import CheckingListener
from anyplug.netinfo.check_types import Found, Listeners

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from anyplug.netinfo.check_types import Step
    from anyplug.transport.resolve import Candidate


def steps_of(address: str, lookup: Callable[..., list[Candidate]] | None = None) -> dict[str, Step]:
    checking = CheckingListener(address, **({} if lookup is None else {"lookup": lookup}))
    steps: dict[str, Step] = {step.step: step for step in checking.run()}
    report = checking.report()
    assert (report.whole, report.steps) == (True, tuple(steps.values()))
    return steps


def test_loopback_is_ours_and_free() -> None:
    steps = steps_of("tcp://localhost:0")
    assert {name: step.state for name, step in steps.items()} == dict.fromkeys(("resolve", "address", "bind"), "ok")
    assert steps["resolve"].facts == Found(("::1", "127.0.0.1"))
    assert steps["address"].message == "this machine has ::1 on lo, 127.0.0.1 on lo; nobody else reaches it there"
    assert steps["bind"].message.startswith("a listener can be opened on 127.0.0.1:")


def test_an_address_of_somebody_else() -> None:
    steps = steps_of("tcp://120.0.0.1:80")
    assert steps["address"].state == "failed"
    assert steps["address"].message == "120.0.0.1 is not an address of this machine, so nothing can listen there"
    assert steps["address"].remedy.startswith("it has 127.0.0.1, ")
    assert steps["address"].remedy.endswith("; or listen on every interface: tcp://*:80")
    assert (steps["bind"].state, steps["bind"].message, steps["bind"].seconds) == ("skipped", "not reached", None)


@pytest.mark.may_bind("0.0.0.0", "::")
def test_every_interface() -> None:
    steps = steps_of("udp://*:0")
    assert [step.state for step in steps.values()] == ["ok"] * 3
    assert steps["resolve"].message == "every interface"
    assert steps["address"].message.startswith("others reach it at every address of this machine")


@pytest.mark.parametrize(("scheme", "kind"), [("tcp", socket.SOCK_STREAM), ("udp", socket.SOCK_DGRAM)])
def test_a_port_that_is_taken_and_by_whom(scheme: str, kind: int) -> None:
    with socket.socket(socket.AF_INET, kind) as holder:
        holder.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            holder.listen()
        port = holder.getsockname()[1]
        step = steps_of(f"{scheme}://127.0.0.1:{port}")["bind"]
    assert step.state == "failed"
    assert step.message.startswith(f"port {port} is taken by another program: 127.0.0.1:{port} ")
    assert step.remedy.endswith("or choose another port, 0 for any")
    assert isinstance(step.facts, Listeners)
    assert step.facts.listening[0].startswith(f"127.0.0.1:{port} ")


def test_a_name_that_is_not_known() -> None:
    def lookup(*_: object) -> list[Candidate]:
        raise socket.gaierror(socket.EAI_NONAME, "no")

    steps = steps_of("tcp://no.example:80", lookup)
    assert [step.state for step in steps.values()] == ["failed", "skipped", "skipped"]
    assert steps["resolve"].message == "the name no.example is not known"


def test_a_unix_socket_is_opened_and_removed(tmp_path: Path) -> None:
    steps = steps_of(f"unix://{tmp_path}/s")
    assert (list(steps), steps["bind"].state) == (["bind"], "ok")
    assert list(tmp_path.iterdir()) == []


def test_a_unix_socket_without_a_folder(tmp_path: Path) -> None:
    step = steps_of(f"unix://{tmp_path}/no/s")["bind"]
    assert (step.state, step.message, step.remedy) == (
        "failed",
        f"the folder {tmp_path}/no does not exist",
        "create it first",
    )


def test_what_is_no_address() -> None:
    with pytest.raises(AddressError):
        CheckingListener("tcp://127.0.0.1:99999")

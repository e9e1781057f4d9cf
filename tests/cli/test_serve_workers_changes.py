"""What `anyplug serve` with several workers refuses, and what it does when its file has changed."""

from __future__ import annotations

import os
import re
import resource
import signal
import socket
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.cli.commands import PATIENCE, start
from tests.cli.crews import TEXT, Crew, asked, clients_of_all, descriptors
from tests.cli.serving import port_of
from tests.netinfo.nearby import new_name, seen

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "workers.toml"
    file.write_text(TEXT)
    return file


# Reading the configuration again.


def test_every_worker_reads_the_configuration_again(file: Path, tmp_path: Path) -> None:
    path = tmp_path / "new.sock"
    with Crew(str(file)) as crew:
        clients = clients_of_all(crew, 2, b"Hi")
        file.write_text(
            TEXT.replace('"Hi"', '"Hello"')
            .replace('address = "tcp://127.0.0.1:0"\nservice = "echo"', f'address = "unix://{path}"\nservice = "echo"')
            .replace("[services.echo]", "[limits]\nmessage = 100\n[services.echo]")
            .replace("workers = 2", "workers = 3")
        )
        crew.signal(signal.SIGHUP)
        event = crew.event()
        assert (event["type"], event["restart"]) == ("reloaded", ["limits.message", "workers"])
        assert (len(event["opened"]), event["closed"]) == (1, [crew.addresses[1]]), "the port of the guests is kept"
        with pytest.raises(ConnectionRefusedError):
            crew.connect(1)
        with socket.socket() as other:  # nobody keeps the port, not the workers either
            other.bind(("127.0.0.1", port_of(crew.addresses[1])))
        for client in clients.values():
            client.sendall(b"still here")
            assert client.recv(1024) == b""
            client.close()
        for client in clients_of_all(crew, 2, b"Hello").values():
            client.close()
        for stopped in crew.workers:
            os.kill(stopped, signal.SIGSTOP)
            try:
                with socket.socket(socket.AF_UNIX) as client:
                    client.connect(str(path))
                    assert asked(client) == b"hello\n"
            finally:
                os.kill(stopped, signal.SIGCONT)
        os.kill(crew.workers[0], signal.SIGKILL)
        assert crew.event()["type"] == "worker_lost"
        crew.workers[0] = crew.event()["pid"]
        for client in clients_of_all(crew, 2, b"Hello").values():
            client.close()
        os.kill(crew.workers[1], signal.SIGSTOP)
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(path))
                long = b"x" * 200 + b"\n"
                assert asked(client, long) == long, "a replacement has the limits of the start"
        finally:
            os.kill(crew.workers[1], signal.SIGCONT)
        crew.signal(signal.SIGTERM)
        status, err = crew.end()
    assert status == 0
    assert err.count("WARNING restart_needed keys=") == 1


def test_a_worker_that_cannot_follow_is_replaced(file: Path) -> None:
    """Its descriptors are all in use, which the others do not know of."""
    with Crew(str(file)) as crew:
        number = len(descriptors(crew.workers[0]))
        resource.prlimit(crew.workers[0], resource.RLIMIT_NOFILE, (number, number))
        text = TEXT.replace('"plug:', '"tcp4://localhost:0/echo", "tcp4://127.0.0.2:0/echo", "plug:')
        file.write_text(text)
        crew.signal(signal.SIGHUP)
        events = [crew.event() for _ in range(3)]
        assert {event["type"] for event in events} == {"reloaded", "worker_lost", "worker_replaced"}
        reloaded, lost, replaced = sorted(events, key=lambda event: event["type"])
        assert (len(reloaded["opened"]), lost["how"]) == (2, "ended with status 0")
        crew.workers[0] = replaced["pid"]
        crew.addresses = reloaded["opened"]
        for client in clients_of_all(crew, 0).values():
            client.close()
        crew.signal(signal.SIGTERM)
        status, err = crew.end()
    assert status == 0
    assert re.search(r'WARNING worker_reload_failed worker=1 problem=".*too many', err)


def test_a_mistake_in_the_new_file_leaves_every_worker_as_it_was(file: Path) -> None:
    with Crew(str(file)) as crew:
        for text, problem in (
            (f"{TEXT}[limits]\nmassage = 1\n", "there is no such key; did you mean `message`?"),
            (TEXT.replace("workers = 2", "") + '[services.inbox]\nkind = "inbox"\n', "2 workers cannot share"),
            (TEXT.replace("127.0.0.1:0", f"127.0.0.1:{port_of(crew.addresses[1])}", 1), "is taken by another program"),
        ):
            file.write_text(text)
            crew.signal(signal.SIGHUP)
            event = crew.event()
            assert (event["type"], problem in event["message"]) == ("reload_failed", True), event
        for client in clients_of_all(crew, 1).values():
            client.close()
        crew.signal(signal.SIGTERM)
        status, err = crew.end()
    assert status == 0
    assert err.count("WARNING reload_failed file=") == 3


# What cannot be.


def failure(*words: str, descriptors: int = 0) -> tuple[int, str]:
    """Start a server that cannot be, perhaps with so few descriptors; its status, and what it said."""
    few = partial(resource.setrlimit, resource.RLIMIT_NOFILE, (descriptors, descriptors)) if descriptors else None
    with start("serve", *words, preexec_fn=few) as process:
        try:
            _, err = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    return process.returncode, err.decode()


def test_a_service_that_keeps_something_is_refused_with_its_line(file: Path) -> None:
    file.write_text(f'{TEXT}[services.box]\nkind = "inbox"\n')
    line = TEXT.count("\n") + 1
    problem = "2 workers cannot share this service: one process alone has the store"
    remedy = "serve it from another `anyplug serve` with a file of its own, or use 1 worker"
    assert failure(str(file)) == (2, f"error: {file}:{line}: services.box: {problem}; {remedy}\n")


def test_without_a_file_there_are_services_that_cannot_be_shared() -> None:
    problem = "2 workers cannot share inbox, shelf, talk, files, which are there where no services are named"
    remedy = "name some that keep nothing in [services] (greet, reply, echo), or use 1 worker"
    assert failure("--workers", "2") == (2, f"error: --workers: {problem}; {remedy}\n")


@pytest.mark.parametrize("word", ["0", "-1", "257", "many"])
def test_a_number_that_is_none(word: str) -> None:
    status, err = failure(f"--workers={word}")
    assert status == 2
    assert 'expected a whole number from 1 to 256, or "auto", found' in err


def test_a_port_that_is_taken_is_refused_although_workers_would_share_it(file: Path) -> None:
    with Crew(str(file)) as crew:
        address = f"tcp://127.0.0.1:{port_of(crew.addresses[1])}/echo"
        status, err = failure(str(file), "--listen", address)
        assert status == 1
        assert err.startswith(f"error: cannot listen on {address}: ")


def needs(file: Path, listeners: int) -> tuple[int, int]:
    """Write a configuration; how many descriptors its supervisor and its workers have."""
    listen = ", ".join(["'tcp://127.0.0.1:0/echo'"] * listeners)
    file.write_text(f"listen = [{listen}]\nworkers = 2\n[services.echo]\nkind = 'echo'\n")
    with Crew(str(file)) as crew:
        supervisor, worker = (len(descriptors(pid)) for pid in (crew.process.pid, crew.workers[0]))
    return supervisor, worker


def test_a_worker_that_cannot_listen_says_why(tmp_path: Path) -> None:
    _, worker = needs(tmp_path / "ten.toml", 10)
    status, err = failure(str(tmp_path / "ten.toml"), descriptors=worker - 4)
    assert status == 1
    address = r"tcp://127\.0\.0\.1:[0-9]+/echo"
    assert re.fullmatch(f"error: cannot listen on {address}: too many files are open here; .*\n", err)


def test_a_worker_that_cannot_start_at_all_is_named(tmp_path: Path) -> None:
    supervisor, _ = needs(tmp_path / "one.toml", 1)
    status, err = failure(str(tmp_path / "one.toml"), descriptors=supervisor + 1)
    assert status == 1
    assert "OSError: [Errno 24] Too many open files" in err
    assert re.search("error: worker [12] ended with status 1 before it served anybody; what it said is above\n", err)


@pytest.mark.may_bind("", "0.0.0.0", "::")
async def test_the_server_is_announced_once_and_again_by_the_worker_that_replaces_another(tmp_path: Path) -> None:
    name = new_name()
    file = tmp_path / "a.toml"
    file.write_text(f'{TEXT}[server]\nannounce = true\nannounce_name = "{name}"\n')
    with Crew(str(file)) as crew:
        announced = crew.event()
        assert (announced["type"], announced["name"]) == ("announced", name)
        found = await seen(name)
        assert found is not None
        assert found.port == port_of(crew.addresses[0])
        file.write_text(f'{TEXT}[server]\nannounce = true\nannounce_name = "{name}"\n[services.more]\nkind = "echo"\n')
        crew.signal(signal.SIGHUP)
        assert sorted([crew.event()["type"], crew.event()["type"]]) == ["announced", "reloaded"]
        os.kill(crew.workers[0], signal.SIGKILL)
        assert [crew.event()["type"] for _ in range(3)] == ["worker_lost", "worker_replaced", "announced"]
        found = await seen(name)
        assert found is not None
        assert found.services == ("echo", "guest", "more")
        crew.signal(signal.SIGTERM)
        assert crew.event()["type"] == "stopping"
        assert crew.end()[0] == 0

"""A program's own services in several processes: `Server.run` with `workers`."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from anyplug import AnyplugError, BindError, LocalError, Server
from anyplug.blocking import connect
from anyplug.server.logs import Log
from anyplug.server.workers_run import Foreman
from anyplug.services.base import visited
from tests.cli.crews import descriptors, wait_for_end, watched

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType
    from typing import Self

PATIENCE = 20.0

PROGRAM = """
import atexit, os, sys
import anyplug

if sys.argv[1] == "passed":
    os.dup2(int(sys.argv.pop(2)), 3)
    os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
if sys.argv[1] == "stillborn":
    os.register_at_fork(after_in_child=lambda: os._exit(3))

server = anyplug.Server(limits=anyplug.Limits(connections=2 if sys.argv[1] == "narrow" else 100))
begun = f"by {os.getpid()}"
answered = []
atexit.register(print, "cleaned up")

@server.reply("who")
def who(message: str) -> str:
    answered.append(message)
    return f"{os.getpid()} {begun} {len(answered)} {server.connections}"

@server.service("guest")
async def guest(peer: anyplug.Connection[str]) -> None:
    async for message in peer:
        if message == "leave":
            sys.exit(5)
        await peer.send(str(os.getpid()))
        if message == "bye":
            print("a worker prints")
            return

print("begins")
try:
    server.run(*sys.argv[2:], workers=2)
finally:
    print("ends", flush=True)
"""

WHO = "tcp://127.0.0.1:0/who?framing=lines"
GUEST = "tcp://127.0.0.1:0/guest?framing=lines"


class Program:
    """The program, ready, with the addresses it listens on, as bound, and the log before the last event."""

    def __init__(self, kind: str, *addresses: str, fds: tuple[int, ...] = ()) -> None:
        name = f"anyplug-test-{os.getpid()}-{id(self)}"
        self._log = b""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(f"\0{name}")
            manager.settimeout(PATIENCE)
            self.process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, kind, *map(str, fds), *addresses],
                env={**BUFFERED, "NOTIFY_SOCKET": f"@{name}"},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=fds,
            )
            try:
                status = manager.recv(4096).decode()
            except BaseException:
                self.process.kill()
                print(self.process.communicate())
                raise
        assert status.startswith("READY=1\nSTATUS=serving ")
        self.addresses = status.removeprefix("READY=1\nSTATUS=serving ").split(", ")
        self.before = ""
        self.workers = list(map(int, self.event("workers_ready")["pids"].split()))

    def event(self, name: str) -> dict[str, str]:
        """The fields of the next event of this name in the log."""
        assert self.process.stderr is not None
        while True:
            while b"\n" not in self._log:
                assert select.select([self.process.stderr], [], [], PATIENCE)[0], f"no {name}"
                data = os.read(self.process.stderr.fileno(), 65536)
                assert data, f"no {name} until the end"
                self._log += data
            line, _, self._log = self._log.partition(b"\n")
            self.before += f"{line.decode()}\n"
            if f" {name} ".encode() in line:
                return {key: value.strip('"') for key, value in re.findall(r'(\w+)=("[^"]*"|\S+)', line.decode())}

    def connect(self, index: int = 0) -> socket.socket:
        """A connection to one of its addresses."""
        port = int(self.addresses[index].split("127.0.0.1:")[1].split("/")[0])
        return socket.create_connection(("127.0.0.1", port), PATIENCE)

    def ask_all(self) -> dict[int, list[str]]:
        """What each worker that there is answers; connections fall on them by chance."""
        found: dict[int, list[str]] = {}
        for _ in range(200):
            with self.connect() as client:
                pid, *rest = said(client, b"hello\n").decode().split()
            found.setdefault(int(pid), rest)
            if len(found) == 2:
                return found
        raise AssertionError(f"{found} had all of 200 connections")

    def end(self) -> tuple[int, str, str]:
        """Its status, what it printed, and the rest of its log."""
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out.decode(), (self._log + err).decode()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        with self.process:
            pass


def said(client: socket.socket, question: bytes) -> bytes:
    """What comes after this; nothing where the server has hung up."""
    with suppress(ConnectionError):
        client.sendall(question)
        return client.recv(1024)
    return b""


BUFFERED = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
OUT = "begins\nends\ncleaned up\n"


def test_the_handlers_of_the_program_answer_in_two_processes_and_it_goes_on_once() -> None:
    with Program("plain", WHO) as program:
        found = program.ask_all()
        assert sorted(found) == sorted(program.workers)
        assert program.process.pid not in found
        begun = ["by", str(program.process.pid)]
        assert all(words[:2] == begun for words in found.values()), "made before the workers were"
        assert sum(words[2] == "1" for words in found.values()) == 2, "they share no memory"
        assert all(words[3] == "1" for words in found.values()), "the server of the program is the worker's"
        program.process.send_signal(signal.SIGTERM)
        status, out, log = program.end()
        assert (status, out) == (0, OUT)
        assert sorted(re.findall(r"listener_closed worker=(\d)", log)) == ["1", "2"]
        assert "WARNING" not in log


def test_a_worker_that_is_killed_is_replaced() -> None:
    with Program("plain", WHO) as program:
        first, second = program.workers
        os.kill(first, signal.SIGKILL)
        lost = program.event("worker_lost")
        assert lost == {"worker": "1", "pid": str(first), "how": "was ended by SIGKILL", "again": "0 s"}
        replaced = program.event("worker_replaced")
        assert replaced["worker"] == "1"
        assert sorted(program.ask_all()) == sorted([second, int(replaced["pid"])])
        program.process.send_signal(signal.SIGINT)
        assert program.end()[:2] == (0, OUT)


def test_a_handler_that_ends_its_process_ends_one_worker_without_the_programs_clean_up() -> None:
    with Program("plain", GUEST) as program:
        with program.connect() as client:
            assert said(client, b"leave\n") == b""
        program.event("worker_failed")
        assert program.event("worker_lost")["how"] == "ended with status 1"
        program.event("worker_replaced")
        program.process.send_signal(signal.SIGTERM)
        assert program.end()[:2] == (0, OUT)


def test_a_signal_lets_conversations_end() -> None:
    with Program("plain", GUEST) as program, program.connect() as client:
        pid = int(said(client, b"hello\n"))
        assert pid in program.workers
        program.process.send_signal(signal.SIGTERM)
        program.event("listener_closed")
        program.event("listener_closed")
        assert said(client, b"bye\n") == b"%d\n" % pid
        assert client.recv(1024) == b""
        client.close()
        status, out, log = program.end()
        assert (status, out) == (0, OUT.replace("begins", "begins\na worker prints"))
        assert "drain_cut" not in log


def test_a_second_signal_ends_at_once() -> None:
    with Program("plain", GUEST) as program, program.connect() as client:
        assert said(client, b"hello\n")
        program.process.send_signal(signal.SIGTERM)
        program.event("listener_closed")
        program.process.send_signal(signal.SIGINT)
        assert client.recv(1024) == b""
        client.close()
        status, out, log = program.end()
        assert (status, out) == (0, OUT)
        assert "drain_cut" in log


def test_workers_end_with_their_supervisor() -> None:
    with Program("plain", WHO) as program, watched(*program.workers) as fds:
        sockets = {each for each in descriptors(program.process.pid) if each.startswith("socket:")}
        assert not any(sockets & set(descriptors(pid)) for pid in program.workers), "they hold nothing of it"
        program.process.kill()
        wait_for_end(fds)
        assert program.end()[1] == "begins\n"


def test_places_are_divided() -> None:
    with Program("narrow", GUEST, GUEST) as program:
        held: dict[int, socket.socket] = {}
        for _ in range(200):
            client = program.connect()
            answer = said(client, b"hello\n")
            if answer.strip().isdigit():
                assert int(answer) not in held, "of two places each has one"
                held[int(answer)] = client
            else:
                client.close()
            if len(held) == 2:
                break
        assert sorted(held) == sorted(program.workers)
        for index in (0, 1, 1, 1, 1):
            with program.connect(index) as client:
                assert not said(client, b"hello\n").strip().isdigit(), "there is no third place"
        program.process.send_signal(signal.SIGTERM)
        for client in held.values():
            client.close()
        assert program.end()[0] == 0


def test_each_worker_is_known_to_have_begun_by_itself() -> None:
    with Program("plain", "plug://127.0.0.1:0") as program:
        found: dict[str, str] = {}
        while len(found) < 2:
            with connect(f"{program.addresses[0]}/who", type=str) as peer:
                assert peer.welcome is not None
                pid = peer.ask("hello").split()[0]
                assert found.setdefault(pid, peer.welcome.incarnation) == peer.welcome.incarnation
        assert len(set(found.values())) == 2
        program.process.send_signal(signal.SIGTERM)
        assert program.end()[0] == 0


def test_a_path_is_shared_and_gone_in_the_end(tmp_path: Path) -> None:
    path = tmp_path / "s"

    def answer() -> int:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE)
            client.connect(str(path))
            return int(said(client, b"hello\n").split()[0])

    with Program("plain", f"unix://{path}?service=who&framing=lines") as program:
        first = answer()
        os.kill(first, signal.SIGSTOP)
        second = answer()
        os.kill(first, signal.SIGCONT)
        assert sorted([first, second]) == sorted(program.workers)
        program.process.send_signal(signal.SIGTERM)
        assert program.end()[0] == 0
        assert not path.exists()


@pytest.fixture
def passed() -> Iterator[tuple[int, int]]:
    """A descriptor and a port, as a service manager passes them."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        fd = os.dup2(sock.fileno(), 100)
        port = sock.getsockname()[1]
    yield fd, port
    os.close(fd)


def test_a_socket_of_the_service_manager_is_shared(passed: tuple[int, int]) -> None:
    fd, port = passed
    with Program("passed", f"tcp://127.0.0.1:{port}/who?framing=lines", fds=(fd,)) as program:
        with program.connect() as client:
            assert int(said(client, b"hello\n").split()[0]) in program.workers
        program.process.send_signal(signal.SIGTERM)
        status, _, log = program.end()
        assert (status, "WARNING" in log) == (0, False)


def test_a_socket_of_the_service_manager_that_is_not_wanted_is_named(passed: tuple[int, int]) -> None:
    fd, port = passed
    with Program("passed", WHO, fds=(fd,)) as program:
        assert f"127.0.0.1:{port}" in program.before
        assert "socket_unused" in program.before
        program.process.send_signal(signal.SIGTERM)
        assert program.end()[0] == 0


def test_workers_that_cannot_begin_are_an_error_of_the_call() -> None:
    command = [sys.executable, "-c", PROGRAM, "stillborn", WHO]
    done = subprocess.run(command, env=BUFFERED, capture_output=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stdout.decode()) == (1, OUT)
    last = done.stderr.decode().splitlines()[-1]
    assert re.fullmatch(
        r"anyplug\.errors\.LocalError: worker \d ended with status 3 before it served anybody; the log says why", last
    )


# What is refused before anything is forked.


def opener(guest: Any) -> Any:
    raise NotImplementedError


def test_a_service_that_keeps_something_is_named_with_what_to_do() -> None:
    server = Server()
    server.reply("who")(lambda message: message)
    server.add(visited("box", opener))
    with pytest.raises(LocalError) as caught:
        server.run(WHO, workers=3)
    assert str(caught.value) == (
        "3 workers cannot share the service 'box': one process alone has what it keeps; "
        "serve it from a program of its own, or use 1 worker"
    )


def test_a_store_is_refused(tmp_path: Path) -> None:
    server = Server(store=tmp_path / "data")
    server.reply("who")(lambda message: message)
    with pytest.raises(LocalError, match=r"^2 workers cannot share the store .*data': one process alone has it; make"):
        server.run(WHO, workers=2)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("workers", [0, True, "many", 257])
def test_a_wrong_number_of_workers(workers: Any) -> None:
    with pytest.raises(LocalError, match=r'^workers: expected a whole number from 1 to 256, or "auto", found'):
        Server().run(WHO, workers=workers)


def test_a_worker_for_each_processor_is_a_number_too() -> None:
    with pytest.raises(BindError, match="no service 'who' here"):
        Server().run(WHO, workers="auto")


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:0/nobody", "tcp://0.0.0.0:0/who", "tcp:127.0.0.1"])
def test_an_address_that_cannot_be_is_the_error_that_one_worker_has(address: str) -> None:
    errors = []
    for workers in (1, 2):
        server = Server()
        server.reply("who")(lambda message: message)
        with pytest.raises(AnyplugError) as caught:
            server.run(address, workers=workers)
        errors.append(caught.value)
    assert type(errors[0]) is type(errors[1])
    assert str(errors[0]) == str(errors[1])


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_loop_that_runs_already_is_an_error(workers: int) -> None:
    with pytest.raises(LocalError, match=r"and one runs here already; use `await server\.start"):
        Server().run(WHO, workers=workers)


@pytest.mark.parametrize("workers", [1, 2])
def test_another_thread_than_the_main_one_is_an_error(workers: int) -> None:
    errors: list[str] = []

    def call() -> None:
        try:
            Server().run(WHO, workers=workers)
        except LocalError as error:
            errors.append(str(error))

    thread = threading.Thread(target=call, name="side")
    thread.start()
    thread.join()
    assert len(errors) == 1
    assert errors[0].startswith("run heeds signals, which the main thread alone can, and this is the thread 'side'; ")


def test_threads_that_the_workers_would_not_have_are_named() -> None:
    done = threading.Event()
    thread = threading.Thread(target=done.wait, name="meter")
    thread.start()
    try:
        with pytest.raises(LocalError, match=r"would not have the threads that run here: .*meter.*; end them before"):
            Server().run(workers=2)
    finally:
        done.set()
        thread.join()


# What no process can be made to do in time.


def test_a_worker_that_does_not_obey_or_dies_at_the_end_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    foreman = Foreman(Log(), status=str)
    foreman.overdue(2, 77)
    foreman.lost(2, 77, "was ended by SIGKILL", None)
    foreman.lost(1, 76, "ended with status 0", None)
    problem = "it did not do in time what it was told, and is killed"
    assert [(record.getMessage(), record.__dict__["fields"]) for record in caplog.records] == [
        ("worker_overdue", {"worker": 2, "pid": 77, "problem": problem}),
        ("worker_lost", {"worker": 2, "pid": 77, "how": "was ended by SIGKILL"}),
    ]

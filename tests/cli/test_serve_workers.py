"""`anyplug serve` with several workers, as users and service managers have it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from anyplug.blocking import connect
from tests.cli.commands import PATIENCE, Terminal, environment, start
from tests.cli.crews import TEXT, Crew, asked, clients_of_all, server_of, wait_for_end, watched
from tests.cli.serving import port_of
from tests.cli.test_serve import PASS_ON


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "workers.toml"
    file.write_text(TEXT)
    return file


# Serving.


def test_all_workers_answer_on_one_port(file: Path) -> None:
    with Crew(str(file)) as crew:
        clients = clients_of_all(crew, 1)
        assert sorted(clients) == sorted(crew.workers)
        assert crew.process.pid not in crew.workers
        for client in clients.values():
            assert asked(client) == b"hello\n"
            client.close()
        with connect(f"{crew.addresses[0]}/echo") as peer:
            assert peer.ask("plug") == "plug"
        crew.signal(signal.SIGTERM)
        assert crew.event() == {"type": "stopping", "conversations": 0, "seconds": 10.0}
        assert crew.event() == {"type": "stopped", "cut": 0, "forced": False}
        assert crew.end() == (0, "")


def test_the_command_line_says_how_many(file: Path) -> None:
    with Crew(str(file), "--workers", "3") as crew:
        assert len(crew.workers) == 3


def test_one_worker_is_one_process(file: Path) -> None:
    with Crew(str(file), "--workers", "1") as crew:
        assert crew.workers == []
        assert not Path(f"/proc/{crew.process.pid}/task/{crew.process.pid}/children").read_text()


def test_people_see_the_workers(file: Path) -> None:
    process = start("serve", str(file))
    assert process.stderr is not None
    lines: list[str] = []
    while not lines or not lines[-1].startswith("Ready."):
        lines.append(process.stderr.readline().decode())
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=PATIENCE)
    (said,) = re.findall(r"2 workers: processes ([0-9]+), ([0-9]+)\.\n", "".join(lines))
    assert len(set(said)) == 2
    assert (process.returncode, out, err) == (0, b"", b"Stopping.\nStopped.\n")


def test_the_log_says_which_worker(file: Path) -> None:
    process = start("serve", "--log", "json", str(file))
    assert process.stderr is not None
    found = [json.loads(process.stderr.readline()) for _ in range(6)]
    assert {each["event"] for each in found} == {"listening"}
    assert sorted(each["worker"] for each in found) == [1, 1, 1, 2, 2, 2]
    assert len({each["address"] for each in found}) == 3, "both have the same three"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0


def test_unix_sockets_and_datagrams_are_shared(tmp_path: Path) -> None:
    file = tmp_path / "shared.toml"
    path = tmp_path / "sock"
    file.write_text(
        "workers = 2\n[services.echo]\nkind = 'echo'\n"
        f"[[listeners]]\naddress = 'unix://{path}'\nservice = 'echo'\n"
        "[[listeners]]\naddress = 'udp://127.0.0.1:0'\nservice = 'echo'\n"
    )
    with Crew(str(file)) as crew:
        address = ("127.0.0.1", port_of(crew.addresses[1]))
        os.kill(crew.workers[0], signal.SIGSTOP)  # the other one serves alone
        try:
            with socket.socket(socket.AF_UNIX) as client, socket.socket(type=socket.SOCK_DGRAM) as sender:
                client.connect(str(path))
                assert asked(client) == b"hello\n"
                sender.connect(address)
                sender.settimeout(PATIENCE)
                assert asked(sender) == b"hello\n"
        finally:
            os.kill(crew.workers[0], signal.SIGCONT)
        crew.signal(signal.SIGTERM)
        assert crew.end()[0] == 0
    assert not path.exists()


def test_sockets_of_a_service_manager_are_shared(tmp_path: Path) -> None:
    file = tmp_path / "manager.toml"
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        port, unused = one.getsockname()[1], other.getsockname()[1]
        fds = [os.dup2(sock.fileno(), 100 + number) for number, sock in enumerate((one, other))]
    file.write_text(
        f"listen = 'tcp://127.0.0.1:{port}/echo?framing=lines'\nworkers = 2\n[services.echo]\nkind = 'echo'\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", PASS_ON, ",".join(map(str, fds)), str(file)],
        pass_fds=fds,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    for fd in fds:
        os.close(fd)
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["type"] == "listening"
    workers = json.loads(process.stdout.readline())["workers"]
    with watched(workers[0]) as ends, socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
        assert asked(client) == b"hello\n"
        os.kill(workers[0], signal.SIGKILL)
        wait_for_end(ends)
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
        assert asked(client) == b"hello\n"
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert err.count(f"WARNING socket_unused address=127.0.0.1:{unused} problem=".encode()) == 1


def test_what_a_worker_shows_is_shown(file: Path) -> None:
    file.write_text(TEXT.replace("receipt = true", "receipt = true\nshow = true"))
    with Crew(str(file)) as crew:
        for client in clients_of_all(crew, 2, b"Hi").values():
            client.sendall(b"bye")
            assert client.recv(1024) == b""
            client.close()
            event = crew.event()
            assert (event["type"], event["topic"].split()[0]) == ("shown", "guest")
            assert event["message"].endswith("bye")


# What several workers share of the limits.


def test_places_are_divided(tmp_path: Path) -> None:
    file = tmp_path / "few.toml"
    file.write_text(f"{TEXT}connections = 3\n[limits]\nconnections = 20\n")
    with Crew(str(file)) as crew:
        held: list[socket.socket] = []
        taken = dict.fromkeys(crew.workers, 0)
        while len(held) < 4:
            client = crew.connect(2)
            word = client.recv(1024)
            pid = server_of(client, crew.workers) if word == b"Hi" else 0
            if pid:
                taken[pid] += 1
                held.append(client)
            else:
                assert b"busy" in word
                assert b"all 2 places are taken" in word, "3 of 2 workers are 2 for each, rounded up"
                client.close()
        assert set(taken.values()) == {2}
        for client in held:
            client.close()


# Deaths.


def test_a_worker_that_dies_is_named_and_replaced(file: Path) -> None:
    with Crew(str(file)) as crew:
        clients = clients_of_all(crew, 1)
        dead, alive = crew.workers
        os.kill(dead, signal.SIGKILL)
        lost = {"type": "worker_lost", "worker": 1, "pid": dead, "how": "was ended by SIGKILL", "again": 0.0}
        assert crew.event() == lost
        replaced = crew.event()
        assert (replaced["type"], replaced["worker"]) == ("worker_replaced", 1)
        assert asked(clients[alive]) == b"hello\n", "the other one goes on"
        assert clients[dead].recv(1024) == b""
        crew.workers = [replaced["pid"], alive]
        for client in clients_of_all(crew, 1).values():
            client.close()
        for client in clients.values():
            client.close()
        crew.signal(signal.SIGTERM)
        status, err = crew.end()
    assert status == 0
    assert f'WARNING worker_lost worker=1 pid={dead} how="was ended by SIGKILL" again="0 s"' in err


def test_one_worker_may_be_told_to_end(file: Path) -> None:
    with Crew(str(file)) as crew:
        clients = clients_of_all(crew, 2, b"Hi")
        os.kill(crew.workers[1], signal.SIGTERM)
        client = clients[crew.workers[1]]
        client.sendall(b"bye")
        assert client.recv(1024) == b"", "its conversation has ended in order"
        client.close()
        assert crew.event()["how"] == "ended with status 0"
        assert crew.event()["type"] == "worker_replaced"
        clients[crew.workers[0]].close()


def test_workers_end_when_their_supervisor_is_killed(file: Path) -> None:
    with Crew(str(file)) as crew, watched(*crew.workers) as ends:
        clients = clients_of_all(crew, 2, b"Hi")
        crew.signal(signal.SIGKILL)
        for client in clients.values():
            client.sendall(b"bye")
            assert client.recv(1024) == b"", "its conversation has ended in order"
            client.close()
        wait_for_end(ends)
        assert crew.end()[0] == -signal.SIGKILL
        with pytest.raises(ConnectionRefusedError):
            crew.connect(1)


# The end.


def test_conversations_of_every_worker_may_end_before_the_server_does(file: Path) -> None:
    with Crew(str(file)) as crew:
        clients = clients_of_all(crew, 2, b"Hi")
        crew.signal(signal.SIGTERM)
        assert crew.event() == {"type": "stopping", "conversations": 2, "seconds": 10.0}
        crew.signal(signal.SIGHUP)
        with pytest.raises(ConnectionRefusedError):
            crew.connect(2)
        for client in clients.values():
            client.sendall(b"bye")
            assert client.recv(1024) == b""
            client.close()
        assert crew.event() == {"type": "stopped", "cut": 0, "forced": False}
        assert crew.end() == (0, "")


def test_a_second_signal_cuts_the_conversations_of_every_worker(file: Path) -> None:
    with Crew(str(file)) as crew:
        clients = clients_of_all(crew, 2, b"Hi")
        crew.signal(signal.SIGINT)
        assert crew.event()["type"] == "stopping"
        crew.signal(signal.SIGINT)
        for client in clients.values():
            assert client.recv(1024) == b""
            client.close()
        assert crew.event() == {"type": "stopped", "cut": 2, "forced": True}
        assert crew.end()[0] == 130


def test_signals_for_the_whole_group_drain_once(file: Path) -> None:
    with Crew(str(file), start_new_session=True) as crew:
        clients = clients_of_all(crew, 2, b"Hi")
        os.killpg(crew.process.pid, signal.SIGTERM)
        assert crew.event()["type"] == "stopping"
        for pid in crew.workers:  # as a service manager does, which signals all of them
            os.kill(pid, signal.SIGTERM)
            os.kill(pid, signal.SIGINT)
            os.kill(pid, signal.SIGHUP)
        for client in clients.values():
            client.sendall(b"bye")
            assert client.recv(1024) == b""
            client.close()
        assert crew.event() == {"type": "stopped", "cut": 0, "forced": False}
        assert crew.end() == (0, "")


def test_ctrl_c_on_a_terminal(file: Path) -> None:
    with Terminal("serve", str(file)) as terminal:
        terminal.wait_for("Ready. Ctrl-C stops.")
        terminal.enter("\x03")
        terminal.wait_for("Stopped.")
        assert terminal.end() == 0


# The service manager.


def test_a_service_manager_is_told_once(file: Path, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(PATIENCE)
        env = environment({"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "60000000"})
        with Crew(str(file), env=env) as crew:
            status = f"STATUS=serving {', '.join(crew.addresses)}"
            assert manager.recv(4096) == b"WATCHDOG=1"
            assert manager.recv(4096).decode().split("\n") == ["READY=1", status]
            crew.signal(signal.SIGHUP)
            assert re.fullmatch(rb"RELOADING=1\nMONOTONIC_USEC=[0-9]+", manager.recv(4096))
            assert manager.recv(4096).decode().split("\n") == ["READY=1", status]
            crew.signal(signal.SIGTERM)
            assert manager.recv(4096) == b"STOPPING=1\nSTATUS=draining"
            assert crew.end()[0] == 0
            manager.setblocking(False)
            with pytest.raises(BlockingIOError):
                manager.recv(4096)

"""`anyplug serve` as a user and a service manager have it: a process with its streams and signals."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from anyplug import Refused
from anyplug.blocking import connect
from anyplug.services import KINDS
from tests.cli.commands import PATIENCE, Terminal, anyplug, environment, start
from tests.cli.serving import Serving, port_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OFFERED = ", ".join(sorted(KINDS))

FREE = ("--listen", "plug://127.0.0.1:0")

WAITING = """
listen = ["plug://127.0.0.1:0", "tcp://127.0.0.1:0/guest?framing=raw"]
[services.guest]
kind = "greet"
text = "Hi"
receipt = true
[services.echo]
kind = "echo"
"""
"""A service whose conversation lasts until its guest says something or goes."""


def guest_of(serving: Serving) -> socket.socket:
    """A conversation with the service of `WAITING` that has begun."""
    sock = socket.create_connection(("127.0.0.1", port_of(serving.addresses[1])), PATIENCE)
    assert sock.recv(2) == b"Hi"
    return sock


@pytest.fixture
def waiting(tmp_path: Path) -> str:
    file = tmp_path / "waiting.toml"
    file.write_text(WAITING)
    return str(file)


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """The socket of a service manager that wants to be told."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(PATIENCE)
        yield sock


# Ready.


def test_events_name_every_listener_then_readiness(tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    words = ["--listen", "127.0.0.1:0", "--listen", "tcp://127.0.0.1:0/greet?framing=raw", "--store", store]
    process = start("serve", "--json", *words)
    assert process.stdout is not None
    events = [json.loads(process.stdout.readline()) for _ in range(3)]
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=PATIENCE)
    ports = [port_of(event["address"]) for event in events[:2]]
    assert events == [
        {
            "type": "listening",
            "address": f"plug://127.0.0.1:{ports[0]}",
            "service": OFFERED,
            "speaks": "plug, or lines",
            "try": f"anyplug ask 127.0.0.1:{ports[0]}/echo hello",
        },
        {
            "type": "listening",
            "address": f"tcp://127.0.0.1:{ports[1]}/greet?framing=raw",
            "service": "greet",
            "speaks": "raw, text",
            "try": f"anyplug receive 'tcp://127.0.0.1:{ports[1]}?framing=raw' --until eof",
        },
        {"type": "ready", "store": store},
    ]
    assert [json.loads(line) for line in out.splitlines()] == [
        {"type": "stopping", "conversations": 0, "seconds": 10.0},
        {"type": "stopped", "cut": 0, "forced": False},
    ]
    assert (process.returncode, err) == (0, b"")


def test_people_get_a_table_and_the_lines_to_type() -> None:
    process = start("serve", *FREE, "--listen", "tcp://127.0.0.1:0/echo?framing=raw", "--store", "memory")
    assert process.stderr is not None
    lines: list[str] = []
    while not lines or not lines[-1].startswith("Ready."):
        lines.append(process.stderr.readline().decode())
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=PATIENCE)
    ports = [port_of(line) for line in lines[1:3]]
    shown = re.sub(r" +", " ", "".join(lines))
    assert shown == (
        "address service framing, codec\n"
        f"plug://127.0.0.1:{ports[0]} {OFFERED} plug, or lines\n"
        f"tcp://127.0.0.1:{ports[1]} echo raw, bytes\n"
        "\n"
        "Messages and values are kept in memory: they are gone when the server ends.\n"
        "\n"
        "In a second terminal:\n"
        f" anyplug ask 127.0.0.1:{ports[0]}/echo hello\n"
        f" nc 127.0.0.1 {ports[1]}\n"
        "\n"
        "Ready. Ctrl-C stops.\n"
    )
    assert (process.returncode, out, err) == (0, b"", b"Stopping.\nStopped.\n")


def test_a_terminal_gets_the_same_and_ctrl_c_stops() -> None:
    with Terminal("serve", *FREE) as terminal:
        terminal.wait_for("address")
        terminal.wait_for("echo")
        terminal.wait_for("In a second terminal:")
        terminal.wait_for("Ready. Ctrl-C stops.")
        terminal.process.send_signal(signal.SIGINT)
        terminal.wait_for("Stopped.")
        assert terminal.end() == 0


def test_the_line_to_type_works() -> None:
    process = start("serve", "--json", *FREE)
    assert process.stdout is not None
    words = json.loads(process.stdout.readline())["try"].split()
    assert anyplug(*words[1:]) == (0, b"hello\n", b"")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0


def test_quiet_says_nothing(manager: socket.socket) -> None:
    process = start("serve", "--quiet", *FREE, env=environment({"NOTIFY_SOCKET": manager.getsockname()}))
    assert manager.recv(4096).startswith(b"READY=1")
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=PATIENCE) == (b"", b"")
    assert process.returncode == 0


def test_a_log_of_json_is_nothing_but_json() -> None:
    process = start("serve", "--log", "json", *FREE)
    assert process.stderr is not None
    first = json.loads(process.stderr.readline())
    assert (first["event"], first["level"]) == ("listening", "info")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert [json.loads(line)["event"] for line in err.splitlines()] == ["listener_closed"]


def test_a_verbose_log_has_what_goes_well() -> None:
    with Serving("--verbose", *FREE) as serving:
        serving.signal(signal.SIGTERM)
        status, err = serving.end()
    assert status == 0
    assert re.search(rf"INFO listening address={re.escape(serving.addresses[0])}\n", err)


# Where the configuration comes from.


def test_the_file_of_the_folder_is_used(tmp_path: Path) -> None:
    (tmp_path / "anyplug.toml").write_text('listen = "tcp4://127.0.0.1:0/echo"\n')
    with Serving(cwd=tmp_path) as serving:
        assert serving.addresses[0].startswith("tcp4://127.0.0.1:")
        serving.signal(signal.SIGTERM)
        assert serving.end()[0] == 0


def test_without_a_file_it_is_the_port_that_spells_plug(tmp_path: Path) -> None:
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    with holder:
        try:
            holder.bind(("127.0.0.1", 7584))
            holder.listen()
        except OSError:
            pass  # somebody else has it, which is as good
        process = start("serve", cwd=tmp_path)
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert err.decode().startswith("error: cannot listen on plug://127.0.0.1:7584: ")


def test_addresses_of_the_command_line_stand_beside_the_file(waiting: str) -> None:
    with Serving(waiting, "--listen", "tcp4://127.0.0.1:0/echo") as serving:
        assert [address.partition(":")[0] for address in serving.addresses] == ["plug", "tcp", "tcp4"]
        serving.signal(signal.SIGHUP)
        assert serving.event() == {"type": "reloaded", "opened": [], "closed": [], "restart": []}
        serving.signal(signal.SIGTERM)
        assert serving.end()[0] == 0


def test_an_address_that_both_name_is_as_the_command_line_says(tmp_path: Path) -> None:
    file = tmp_path / "one.toml"
    file.write_text(f'listen = "unix://{tmp_path}/sock?service=echo"\n')
    with Serving(str(file), "--listen", f"unix://{tmp_path}/sock?service=greet") as serving:
        assert serving.addresses == [f"unix://{tmp_path}/sock?service=greet"]
        serving.signal(signal.SIGTERM)
        assert serving.end()[0] == 0


def test_a_token_is_asked_for(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret\n")
    token.chmod(0o644)
    with Serving(*FREE, "--token-file", str(token)) as serving:
        address = f"{serving.addresses[0]}/echo"
        with connect(address, token="secret") as peer:
            assert peer.ask("hello") == "hello"
        with pytest.raises(Refused, match="the token is missing or wrong"):
            connect(address)
        serving.signal(signal.SIGTERM)
        status, err = serving.end()
    assert status == 0
    assert f'config_warning problem="others can read the token file {token} (mode 0644); run: chmod 600' in err


# What can be wrong.


def failure(*words: str, cwd: Path | None = None) -> tuple[int, str]:
    """A command that does not get to serve: its status and its sentences."""
    process = start("serve", *words, cwd=cwd)
    out, err = process.communicate(timeout=PATIENCE)
    assert out == b""
    return process.returncode, err.decode()


def test_a_mistake_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text('[[listeners]]\nadress = "x"\n')
    problem = "listeners[0].adress: there is no such key; did you mean `address`?"
    assert failure(str(file)) == (2, f"error: {file}:2: {problem}\n")
    done = anyplug("serve", "--json", str(file))
    assert (done.status, json.loads(done.out)["code"], done.err) == (2, "bad_config", b"")


def test_a_file_that_is_not_there() -> None:
    assert failure("nothing.toml") == (2, "error: nothing.toml: there is no such file\n")


def test_a_token_file_that_is_not_there() -> None:
    sentence = "nothing: the token file cannot be read: no such file or directory"
    assert failure(*FREE, "--token-file", "nothing") == (2, f"error: {sentence}\n")


def test_an_address_that_is_none() -> None:
    status, err = failure("--listen", "tpc://127.0.0.1:1")
    assert status == 2
    assert "error: 'tpc://127.0.0.1:1' is not an address" in err
    assert "hint: did you mean tcp://127.0.0.1:1?" in err


def test_a_plain_address_without_a_service() -> None:
    sentence = "a plain listener carries one service: name it, as in tcp://127.0.0.1:0/greet"
    assert failure("--listen", "tcp://127.0.0.1:0") == (2, f"error: --listen tcp://127.0.0.1:0: {sentence}\n")


def test_an_address_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"plug://127.0.0.1:{other.getsockname()[1]}"
        status, err = failure("--listen", address)
    assert status == 1
    assert err.startswith(f"error: cannot listen on {address}: ")


def test_an_address_that_others_reach_needs_protection() -> None:
    status, err = failure("--listen", "tcp://*:0/echo")
    assert status == 1
    assert "other machines could connect, and nothing protects it" in err


@pytest.mark.may_bind("0.0.0.0", "::")
def test_insecure_is_said_in_red() -> None:
    with Terminal("serve", "--listen", "tcp4://*:0/echo", "--insecure") as terminal:
        terminal.wait_for("\x1b[1;31mINSECURE: other machines can connect to tcp4://")
        terminal.wait_for(", and nothing is asked of them.\x1b[0m")
        terminal.wait_for("Ready.")
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.end() == 0


@pytest.mark.may_bind("0.0.0.0", "::")
def test_insecure_is_an_event_and_a_warning_too() -> None:
    process = start("serve", "--json", "--listen", "tcp4://*:0/echo", "--insecure")
    assert process.stdout is not None
    events = [json.loads(process.stdout.readline()) for _ in range(3)]
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=PATIENCE)
    assert events[1] == {"type": "insecure", "addresses": [events[0]["address"]]}
    assert b"WARNING insecure addresses=" in err


# The end.


def test_a_conversation_may_end_before_the_server_does_and_no_reload_comes_between(waiting: str) -> None:
    with Serving(waiting) as serving, guest_of(serving) as guest:
        serving.signal(signal.SIGTERM)
        assert serving.event() == {"type": "stopping", "conversations": 1, "seconds": 10.0}
        serving.signal(signal.SIGHUP)
        guest.sendall(b"bye")
        assert guest.recv(1024) == b""
        guest.close()
        assert serving.event() == {"type": "stopped", "cut": 0, "forced": False}
        assert serving.end() == (0, "")


def test_a_second_signal_ends_at_once(waiting: str) -> None:
    process = start("serve", waiting)
    assert process.stderr is not None
    lines: list[str] = []
    while not lines or not lines[-1].startswith("Ready."):
        lines.append(process.stderr.readline().decode())
    with socket.create_connection(("127.0.0.1", port_of(lines[2])), PATIENCE) as guest:
        assert guest.recv(2) == b"Hi"
        process.send_signal(signal.SIGINT)
        stopping = process.stderr.readline().decode()
        assert stopping == "Stopping: 1 conversation may end within 10 s; Ctrl-C again ends at once\n"
        process.send_signal(signal.SIGINT)
        assert guest.recv(1024) == b""
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert err.decode().endswith("Stopped; 1 conversation was cut.\n")


def test_conversations_are_cut_when_the_time_is_over(tmp_path: Path) -> None:
    file = tmp_path / "short.toml"
    file.write_text(f"{WAITING}[limits]\ndrain = 0\n")
    with Serving(str(file)) as serving, guest_of(serving) as guest:
        serving.signal(signal.SIGTERM)
        assert serving.event()["type"] == "stopping"
        assert guest.recv(1024) == b""
        guest.close()
        assert serving.event() == {"type": "stopped", "cut": 1, "forced": False}
        assert serving.end()[0] == 0


def test_a_server_outlives_whoever_reads_its_events(waiting: str) -> None:
    with Serving(waiting) as serving:
        assert serving.process.stdout is not None
        with guest_of(serving) as guest:
            serving.process.stdout.close()
            serving.process.stdout = None
            serving.signal(signal.SIGHUP)
            serving.signal(signal.SIGTERM)
            guest.sendall(b"bye")
            assert guest.recv(1024) == b""
        assert serving.end()[0] == 0


def test_a_server_outlives_whoever_reads_its_words(waiting: str) -> None:
    process = start("serve", waiting)
    assert process.stderr is not None
    while not process.stderr.readline().startswith(b"Ready."):
        pass
    process.stderr.close()
    process.stderr = None
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0


# SIGHUP.


def test_a_signal_makes_it_read_the_file_again(waiting: str) -> None:
    with Serving(waiting) as serving, guest_of(serving) as guest:
        text = WAITING.replace("/guest?framing=raw", "/echo?framing=raw").replace(
            '"plug:', '"tcp4://127.0.0.1:0/echo", "plug:'
        )
        with open(waiting, "w", encoding="utf-8") as file:  # noqa: PTH123 - the path is a text here
            file.write(f"{text}[limits]\nmessage = 100\n")
        serving.signal(signal.SIGHUP)
        event = serving.event()
        assert (event["type"], event["closed"], event["restart"]) == ("reloaded", [], ["limits.message"])
        (opened,) = event["opened"]
        for port in (port_of(opened), port_of(serving.addresses[1])):
            with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
                client.sendall(b"hello\n")
                assert client.recv(1024) == b"hello\n"
        guest.sendall(b"still here")
        assert guest.recv(1024) == b""
        guest.close()
        serving.signal(signal.SIGTERM)
        status, err = serving.end()
    assert status == 0
    assert "WARNING restart_needed keys=limits.message advice=" in err


def test_people_are_told_of_a_reload(waiting: str) -> None:
    process = start("serve", waiting)
    assert process.stderr is not None
    while not process.stderr.readline().startswith(b"Ready."):
        pass
    process.send_signal(signal.SIGHUP)
    assert process.stderr.readline().decode() == f"Reloaded {waiting}.\n"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE)


def test_a_mistake_in_the_new_file_leaves_everything_as_it_was(waiting: str) -> None:
    with Serving(waiting) as serving:
        with open(waiting, "a", encoding="utf-8") as file:  # noqa: PTH123 - as above
            file.write("[limits]\nmassage = 1\n")
        serving.signal(signal.SIGHUP)
        event = serving.event()
        assert event["type"] == "reload_failed"
        assert event["message"].endswith("limits.massage: there is no such key; did you mean `message`?")
        guest_of(serving).close()
        serving.signal(signal.SIGTERM)
        status, err = serving.end()
    assert status == 0
    assert "WARNING reload_failed file=" in err


# The service manager.


def test_a_service_manager_is_told(manager: socket.socket, waiting: str) -> None:
    env = environment({"NOTIFY_SOCKET": manager.getsockname()})
    with Serving(waiting, env=env) as serving:
        status = f"STATUS=serving {', '.join(serving.addresses)}"
        assert manager.recv(4096).decode().split("\n") == ["READY=1", status]
        serving.signal(signal.SIGHUP)
        assert re.fullmatch(rb"RELOADING=1\nMONOTONIC_USEC=[0-9]+", manager.recv(4096))
        assert manager.recv(4096).decode().split("\n") == ["READY=1", status]
        serving.signal(signal.SIGTERM)
        assert manager.recv(4096) == b"STOPPING=1\nSTATUS=draining"
        assert serving.end()[0] == 0


PASS_ON = """
import os, sys
for number, fd in enumerate(map(int, sys.argv[1].split(",")), 3):
    os.dup2(fd, number)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(sys.argv[1].split(",")))}
os.execv(sys.executable, [sys.executable, "-m", "anyplug", "serve", "--json", *sys.argv[2:]])
"""


def test_sockets_of_a_service_manager_are_served() -> None:
    with socket.create_server(("127.0.0.1", 0)) as wanted, socket.create_server(("127.0.0.1", 0)) as other:
        ports = [sock.getsockname()[1] for sock in (wanted, other)]
        # Above those the wrapper makes of them, so that none is overwritten before it is passed on.
        fds = [os.dup2(sock.fileno(), 100 + number) for number, sock in enumerate((wanted, other))]
        process = subprocess.Popen(
            [sys.executable, "-c", PASS_ON, ",".join(map(str, fds)), "--listen", f"tcp://127.0.0.1:{ports[0]}/echo"],
            pass_fds=fds,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for fd in fds:
            os.close(fd)
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["address"] == f"tcp://127.0.0.1:{ports[0]}/echo"
    assert json.loads(process.stdout.readline())["type"] == "ready"
    with socket.create_connection(("127.0.0.1", ports[0]), PATIENCE) as client:
        client.sendall(b"hello\n")
        assert client.recv(1024) == b"hello\n"
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert f"WARNING socket_unused address=127.0.0.1:{ports[1]} problem=".encode() in err

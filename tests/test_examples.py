"""Every example runs, and does what it says."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from anyplug.blocking import connect
from anyplug.limits import DEFAULTS
from anyplug.server.config import load
from anyplug.services import KINDS
from anyplug.transport.options import DEFAULT_OPTIONS
from tests.cli.serving import Serving

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = Path(__file__).parent.parent / "examples"
PATIENCE = 25.0


def python(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a Python program at the root of the project to its end."""
    return subprocess.run(
        [sys.executable, *words], cwd=EXAMPLES.parent, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def test_every_example_has_a_test_here() -> None:
    names = {path.name for path in EXAMPLES.iterdir() if path.is_file()}
    programs = {"shout.py", "shout_client.py", "blocking_client.py", "primes.py", "demo.py"}
    assert names == {"anyplug.toml", "tutorial.toml", *programs}


@pytest.fixture(scope="module")
def shout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The server of the examples; its HOST:PORT by scheme."""
    addresses = ["plug://127.0.0.1:0", "tcp://127.0.0.1:0/shout?framing=lines"]
    with served("shout.py", *addresses, folder=tmp_path_factory.mktemp("shout")) as found:
        yield found


@contextmanager
def served(name: str, *addresses: str, folder: Path) -> Iterator[dict[str, str]]:
    """A server of the examples, ready; its HOST:PORT by scheme."""
    path = str(folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(PATIENCE)
        command = [sys.executable, str(EXAMPLES / name), *addresses]
        with subprocess.Popen(command, env={**os.environ, "NOTIFY_SOCKET": path}) as process:
            try:
                status = manager.recv(4096).decode()
                yield dict(re.findall(r"(plug|tcp)://(127\.0\.0\.1:[0-9]+)", status))
                process.send_signal(signal.SIGTERM)
                assert process.wait(PATIENCE) == 0
            finally:
                process.kill()


@pytest.mark.parametrize("name", ["shout_client.py", "blocking_client.py"])
def test_the_clients_of_shout(shout: dict[str, str], name: str) -> None:
    done = python(f"examples/{name}", shout["plug"])
    assert (done.stdout, done.stderr, done.returncode) == ("HELLO\nONE TWO THREE\n2 1 0\n", "", 0)


def test_shout_is_there_for_plain_sockets_too(shout: dict[str, str]) -> None:
    host, _, port = shout["tcp"].rpartition(":")
    with socket.create_connection((host, int(port)), PATIENCE) as client, client.makefile("rb") as lines:
        client.sendall(b"hello\r\nthere\n")
        assert [lines.readline(), lines.readline()] == [b"HELLO\n", b"THERE\n"]


def test_primes_are_counted_by_two_processes(tmp_path: Path) -> None:
    processes: set[int] = set()
    with served("primes.py", "plug://127.0.0.1:0", folder=tmp_path) as found:
        for _ in range(200):
            with connect(f"plug://{found['plug']}/primes") as peer:
                answer = peer.ask(100_000)
                assert answer["primes"] == 9592
                processes.add(answer["process"])
            if len(processes) == 2:
                break
    assert len(processes) == 2


def test_the_commented_configuration_holds_every_section_and_the_defaults() -> None:
    config = load(str(EXAMPLES / "anyplug.toml"))
    assert (config.limits, config.socket) == (DEFAULTS, DEFAULT_OPTIONS)
    assert {service.kind for service in config.services.values()} == set(KINDS)
    assert [str(each.address) for each in config.listeners] == [
        "plug://127.0.0.1:7584",
        "tcp://127.0.0.1:7001/oracle?codec=text&framing=lines",
        "udp://127.0.0.1:7001/echo",
    ]


def test_the_tutorial_listens_where_the_lessons_do() -> None:
    config = load(str(EXAMPLES / "tutorial.toml"))
    assert [str(each.address) for each in config.listeners] == [
        "plug://127.0.0.1:7584",
        "tcp://127.0.0.1:1234/greeting?framing=raw",
        "tcp://127.0.0.1:2121/receipt?framing=raw",
        "tcp://127.0.0.1:2133/object?codec=pickled&framing=header",
        "tcp://127.0.0.1:5050/oneway?codec=text&framing=raw&until=eof",
        "tcp://127.0.0.1:6666/dialogue?codec=text&framing=raw",
        "tcp://127.0.0.1:8080/clock?framing=raw",
        "tcp://127.0.0.1:8888/files?framing=raw",
        "tcp://127.0.0.1:9999/answer?framing=raw",
    ]


@pytest.mark.parametrize("name", ["anyplug.toml", "tutorial.toml"])
def test_the_configurations_are_served(tmp_path: Path, name: str) -> None:
    text = re.sub(r"(127\.0\.0\.1):[0-9]+", r"\1:0", (EXAMPLES / name).read_text(encoding="utf-8"))
    (tmp_path / name).write_text(text, encoding="utf-8")
    with Serving(str(tmp_path / name)) as serving:
        assert len(serving.addresses) == text.count('127.0.0.1:0"') + text.count("127.0.0.1:0?")
        serving.signal(signal.SIGTERM)
        assert serving.end() == (0, "")


def test_the_tour_is_as_expected() -> None:
    done = python("examples/demo.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "server | I am server." in done.stdout
    assert done.stdout.endswith("\nEverything was as expected.\n")


def test_the_tour_fails_where_an_answer_is_another() -> None:
    program = (
        "import sys; from examples import demo; "
        "sys.exit(demo.main((demo.HERE / 'tutorial.toml').read_text().replace('I am server.', 'I am nobody.')))"
    )
    done = python("-c", program)
    assert done.returncode == 1
    assert done.stderr == "\nThis is not as it should be: expected 'I am server.', got 'I am nobody.'\n"

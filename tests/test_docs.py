"""The documents say what is so: generated parts are fresh, and the example client of the protocol works as printed."""

from __future__ import annotations

import importlib.util
import re
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from anyplug.errors import Code
from anyplug.limits import DEFAULTS, FRAME_MAX
from anyplug.messages import Data, Ended, Hello, Refusal, Welcome
from anyplug.wire import PlugSession, Role

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from anyplug.messages import Event

ROOT = Path(__file__).parent.parent
PROTOCOL = ROOT / "docs" / "protocol.md"


def generate(*arguments: str) -> tuple[int, str]:
    """Run the generator; its exit code and what it complains about."""
    command = [sys.executable, str(ROOT / "docs" / "generate.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == ""
    return done.returncode, done.stderr


@pytest.fixture
def document(tmp_path: Path) -> Path:
    """A copy of the protocol's page."""
    return Path(shutil.copy(PROTOCOL, tmp_path / "protocol.md"))


def test_the_generated_parts_of_the_documents_are_fresh() -> None:
    assert generate("--check") == (0, "")


def test_a_stale_part_is_named_and_written_anew(document: Path) -> None:
    fresh = document.read_text(encoding="utf-8")
    stale = fresh.replace("| 1 | `busy` |", "| 1 | `lazy` |")
    assert stale != fresh
    document.write_text(stale, encoding="utf-8")
    assert generate("--check", str(document)) == (1, f"{document}: codes is stale; run make docs\n")
    assert document.read_text(encoding="utf-8") == stale
    assert generate(str(document)) == (0, "")
    assert document.read_text(encoding="utf-8") == fresh
    assert generate("--check", str(document)) == (0, "")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "<!-- generated: codes -->",
            "<!-- generated: cods -->",
            "no generated part is called 'cods'; there are codes",
        ),
        ("<!-- end -->", "", "ends with <!-- end -->"),
        ("<!-- generated: codes -->", "", "begins with <!-- generated: NAME -->"),
    ],
)
def test_a_wrong_marker_is_named_and_nothing_is_written(document: Path, old: str, new: str, says: str) -> None:
    text = document.read_text(encoding="utf-8").replace(old, new, 1)
    document.write_text(text, encoding="utf-8")
    for arguments in ((), ("--check",)):
        status, complaint = generate(*arguments, str(document))
        assert status == 1
        assert says in complaint
    assert document.read_text(encoding="utf-8") == text


def test_every_link_within_the_page_leads_somewhere() -> None:
    text = PROTOCOL.read_text(encoding="utf-8")
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    places = {re.sub(r"[^\w -]", "", head).lower().replace(" ", "-") for head in heads}
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert {link[1:] for link in links if link.startswith("#")} <= places
    assert all((PROTOCOL.parent / link).is_file() for link in links if not link.startswith("#"))
    assert len(links) > 10


# The bytes that the page shows.


@pytest.mark.parametrize(
    "line",
    re.findall(r"^((?:[0-9a-f]{2} +){4,}) *(?:[A-Z]{3,}|\"|\\x)", PROTOCOL.read_text(encoding="utf-8"), re.MULTILINE),
)
def test_the_bytes_shown_are_whole_frames(line: str) -> None:
    data = bytes.fromhex(line)
    data = data.removeprefix(b"\x89PLUG\r\n\n")
    if data and data[0] <= 10:
        assert len(data) == 4 + int.from_bytes(data[1:4], "big")


# The example, exactly as it is printed.


@pytest.fixture
def example(tmp_path: Path) -> ModuleType:
    """The smallest client, from the page."""
    (code,) = re.findall(r"^```python\n(.+?)^```$", PROTOCOL.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    path = tmp_path / "smallest_client.py"
    path.write_text(code, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("smallest_client", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class EchoServer:
    """A plug server for one connection on a blocking socket: a session, and what it does at each event."""

    def __init__(self, sock: socket.socket, *, refuse: bool = False) -> None:
        self.heard: list[Event] = []
        self._sock = sock
        self._refuse = refuse
        self._session = PlugSession(Role.SERVER, DEFAULTS)

    def run(self) -> None:
        with self._sock as sock:
            while data := sock.recv(100):
                self._session.receive_data(data)
                for event in self._session.events():
                    self._handle(event)
                if self._session.queued:
                    sock.sendall(self._session.data_to_send())
                if not self._session.sending:
                    break

    def _handle(self, event: Event) -> None:
        self.heard.append(event)
        session = self._session
        if isinstance(event, Hello) and self._refuse:
            session.send_refused(Code.BUSY, "full")
        elif isinstance(event, Hello):
            session.send_welcome(Welcome(service=event.service, codec=event.codec))
        elif isinstance(event, Data):
            session.send_ping()
            session.send_many(event.bodies)
        elif isinstance(event, Ended):
            session.send_eof()


@pytest.fixture
def serve() -> Iterator[Callable[..., tuple[socket.socket, EchoServer, threading.Thread]]]:
    """Starts an echo server on one end of a socket pair; gives the other end."""
    started: list[tuple[socket.socket, threading.Thread]] = []

    def start(**options: Any) -> tuple[socket.socket, EchoServer, threading.Thread]:
        ours, theirs = socket.socketpair()
        for sock in (ours, theirs):
            sock.settimeout(10)
        server = EchoServer(theirs, **options)
        thread = threading.Thread(target=server.run)
        thread.start()
        started.append((ours, thread))
        return ours, server, thread

    yield start
    for sock, thread in started:
        sock.close()
        thread.join()


@pytest.mark.parametrize("text", ["hello", "", "有内鬼, 终止交易!", "x" * (FRAME_MAX - 1)])
def test_the_smallest_client_asks_and_says_goodbye(
    example: ModuleType, serve: Callable[..., tuple[socket.socket, EchoServer, threading.Thread]], text: str
) -> None:
    sock, server, thread = serve()
    assert example.ask(sock, text) == text
    thread.join()
    hello, *_, ended = server.heard
    assert hello == Hello(service="echo", codec="text")
    assert ended == Ended(Refusal(0, ""))


def test_the_smallest_client_joins_parts(example: ModuleType) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(bytes.fromhex("0a000002 6865 07000001 78 0a000002 6c6c 00000001 6f"))
        assert example.receive(ours) == (0, b"hello")
        assert theirs.recv(100) == bytes.fromhex("08000001 78")


def test_the_smallest_client_hears_a_refusal_and_a_stranger(
    example: ModuleType, serve: Callable[..., tuple[socket.socket, EchoServer, threading.Thread]]
) -> None:
    sock, _, _ = serve(refuse=True)
    with pytest.raises(ConnectionError, match=r"refused: .*full"):
        example.ask(sock, "hello")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"220 mail\r\n")
        with pytest.raises(ConnectionError, match="no plug server"):
            example.ask(ours, "hello")

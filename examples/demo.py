"""A tour: one server, and every conversation it can hold, from real clients.

    make demo

Starts ``anyplug serve`` on free ports, with the services of tutorial.toml and a few more, talks to it in every way
there is, and prints what was said. Exits with 0, or with 1 where an answer is not the expected one.
"""

from __future__ import annotations

import asyncio
import json
import pickle
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyplug
from anyplug import blocking
from anyplug.codec import make_codec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent

MORE = """
[services.echo]
kind = "echo"

[[listeners]]
address = "plug://127.0.0.1:0"

[[listeners]]
address = "tcp://127.0.0.1:0"
service = "echo"
framing = "header"
codec = "pickled"

[[listeners]]
address = "tcp://127.0.0.1:0"
service = "echo"
connections = 6

[[listeners]]
address = "unix://{folder}/stream"
service = "echo"

[[listeners]]
address = "unix+seqpacket://{folder}/packets"
service = "echo"

[[listeners]]
address = "udp://127.0.0.1:0"
service = "echo"
"""

GREETING, ANSWER, CLOCK, PLUG, OBJECTS, SIX, UNIX, PACKETS, UDP = range(9)
"""The listeners, in the order of the configuration."""

PATIENCE = 20.0


class Mismatch(Exception):
    """An answer that is not the expected one."""


def heading(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}")


def said(who: str, words: object) -> None:
    print(f"  {who:>8} | {words}")


def expect(got: object, wanted: object, who: str = "server") -> None:
    """Print an answer, which is to be this."""
    said(who, got)
    if got != wanted:
        raise Mismatch(f"expected {wanted!r}, got {got!r}")


class Server:
    """``anyplug serve`` in a process."""

    def __init__(self, config: str, folder: Path) -> None:
        file = folder / "demo.toml"
        file.write_text(config, encoding="utf-8")
        command = [sys.executable, "-m", "anyplug", "serve", "--json", str(file)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        self.addresses: list[str] = []
        while (event := self.event())["type"] != "ready":
            if event["type"] == "listening":
                self.addresses.append(event["address"])
                said("server", f"listening on {event['address']}")

    def event(self) -> dict[str, Any]:
        """The next line that it says."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise Mismatch(f"the server has ended with {self.process.wait()}")
        event: dict[str, Any] = json.loads(line)
        return event

    def port(self, number: int) -> int:
        return int(self.addresses[number].split("/")[2].rpartition(":")[2])

    def place(self, number: int) -> str:
        return f"127.0.0.1:{self.port(number)}"

    def stop(self) -> None:
        """Ask it to stop, and see that it does in order."""
        self.process.send_signal(signal.SIGTERM)
        expect(self.event()["type"], "stopping")
        expect(self.event(), {"type": "stopped", "cut": 0, "forced": False})
        expect(self.process.wait(PATIENCE), 0, "status")


@contextmanager
def plain(server: Server, number: int) -> Iterator[socket.socket]:
    """A socket of the standard library, connected."""
    with socket.create_connection(("127.0.0.1", server.port(number)), PATIENCE) as sock:
        yield sock


# The scenes.


def greeting(server: Server) -> None:
    """A greeting, read 7 bytes at a time (socket)"""
    pieces = []
    with plain(server, GREETING) as sock:
        while piece := sock.recv(7):
            said("server", piece)
            pieces.append(piece)
    expect(b"".join(pieces).decode(), "Socket Programming in Python", "in all")


def request(server: Server) -> None:
    """One question, one answer (socket)"""
    with plain(server, ANSWER) as sock:
        said("client", "I am client.")
        sock.send(b"I am client.")
        expect(sock.recv(1024).decode(), "I am server.")
        expect(sock.recv(1024), b"", "end")


def clock(server: Server) -> None:
    """An echo with the time (socket)"""
    with plain(server, CLOCK) as sock:
        for words in ("hello", "你好"):
            said("client", words)
            sock.send(words.encode())
            answer = sock.recv(1024).decode()
            said("server", answer)
            stamp, _, echoed = answer.partition("] ")
            time.strptime(stamp, "[%a %b %d %H:%M:%S %Y")
            expect(echoed, words, "of it")


def objects(server: Server) -> None:
    """A Python object behind a header of ten bytes, both ways (socket; written by pickle, read by no pickle)"""
    value = {1: "Client", 2: "Server"}
    body = pickle.dumps(value)
    with plain(server, OBJECTS) as sock:
        said("client", value)
        sock.sendall(f"{len(body):<10}".encode() + body)
        with sock.makefile("rb") as stream:
            size = int(stream.read(10))
            expect(make_codec("pickled").decode(stream.read(size)), value)


def seven(server: Server) -> None:
    """Six at a time, the seventh is told so (socket)"""
    guests = [socket.create_connection(("127.0.0.1", server.port(SIX)), PATIENCE) for _ in range(6)]
    for guest in guests:
        guest.sendall(b"in\n")
        if guest.recv(1024) != b"in\n":
            raise Mismatch("one of six was not served")
    said("clients", "six are in")
    with plain(server, SIX) as late:
        expect(late.recv(1024).decode().strip(), "busy: all 6 places are taken; try again later")
    for guest in guests:
        guest.close()


def async_client(server: Server) -> None:
    """Many questions at once over one connection (anyplug.connect)"""

    async def talk() -> None:
        async with anyplug.connect(f"plug://{server.place(PLUG)}/echo") as peer:
            said("client", {"any": ["object", 1, None]})
            expect(await peer.ask({"any": ["object", 1, None]}), {"any": ["object", 1, None]})
            answers = await asyncio.gather(*(peer.ask(number) for number in range(1000)))
            said("client", "0 to 999, all at once")
            expect(sum(answers), 499_500, "sum")

    asyncio.run(talk())


def blocking_client(server: Server) -> None:
    """The same without async (anyplug.blocking)"""
    with blocking.connect(f"plug://{server.place(PLUG)}/echo") as peer:
        said("client", "hello")
        expect(peer.ask("hello"), "hello")
        try:
            with blocking.connect(f"plug://{server.place(PLUG)}/ecco"):
                raise Mismatch("a service that is not there was served")
        except anyplug.Refused as refusal:
            expect(str(refusal), "refused (unknown_service): no service 'ecco' here; did you mean echo?")


def unix(server: Server) -> None:
    """Over unix sockets, a stream and packets"""
    for number in (UNIX, PACKETS):
        address = server.addresses[number].partition("?")[0]
        with blocking.connect(address, type=str) as peer:
            said("client", f"hello, {address.partition(':')[0]}")
            expect(peer.ask("hello"), "hello")


def udp(server: Server) -> None:
    """In datagrams (socket)"""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(PATIENCE)
        said("client", "is anybody there?")
        sock.sendto(b"is anybody there?", ("127.0.0.1", server.port(UDP)))
        expect(sock.recv(1024).decode(), "is anybody there?")


def command(server: Server) -> None:
    """The command anyplug"""
    lines = (
        (["ask", f"{server.place(PLUG)}/echo", "hello"], "hello\n"),
        (["receive", f"tcp://{server.place(GREETING)}", "--until", "eof"], "Socket Programming in Python"),
        (["ask", f"tcp://{server.place(ANSWER)}", "I am client.", "--framing", "raw"], "I am server."),
    )
    for words, wanted in lines:
        said("$", f"anyplug {shlex.join(words)}")
        done = subprocess.run(
            [sys.executable, "-m", "anyplug", *words], capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        expect(done.stdout.rstrip("\n"), wanted.rstrip("\n"), "prints")
        expect(done.returncode, 0, "status")


def netcat(server: Server) -> None:
    """People with nc, on the same port: the first line names the service"""
    nc = shutil.which("nc")
    if nc is None:
        said("-", "nc is not installed here")
        return
    said("$", f"printf 'echo\\nhello\\n' | nc 127.0.0.1 {server.port(PLUG)}")
    with subprocess.Popen(
        [nc, "127.0.0.1", str(server.port(PLUG))], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"echo\nhello\n")
        process.stdin.flush()
        expect(process.stdout.readline().decode().strip(), "hello", "prints")
        process.terminate()


SCENES: tuple[Callable[[Server], None], ...] = (
    greeting,
    request,
    clock,
    objects,
    seven,
    async_client,
    blocking_client,
    unix,
    udp,
    command,
    netcat,
)


def main(tutorial: str | None = None) -> int:
    """The whole tour; the exit status.

    Args:
        tutorial: the configuration to begin with, by default that of tutorial.toml.
    """
    text = (HERE / "tutorial.toml").read_text(encoding="utf-8") if tutorial is None else tutorial
    with tempfile.TemporaryDirectory() as name:
        heading("anyplug serve")
        config = re.sub(r"(tcp://127\.0\.0\.1):[0-9]+", r"\1:0", text) + MORE.format(folder=name)
        server = Server(config, Path(name))
        try:
            for scene in SCENES:
                heading(scene.__doc__ or scene.__name__)
                scene(server)
            heading("SIGTERM: conversations may end, then the server does")
            server.stop()
        except Mismatch as error:
            print(f"\nThis is not as it should be: {error}", file=sys.stderr)
            return 1
        finally:
            if server.process.poll() is None:
                server.process.kill()
            server.process.communicate()
    print("\nEverything was as expected.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

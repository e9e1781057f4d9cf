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

UNIX, PACKETS, UDP = "unix", "unix+seqpacket", "udp"
"""Listeners beside those of tutorial.toml, which are named by their ports there."""

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
        wanted = re.findall(r'"(?:plug|tcp)://127\.0\.0\.1:(\d+)', config)
        names = [*map(int, wanted), UNIX, PACKETS, UDP]
        config = re.sub(r'("(?:plug|tcp)://127\.0\.0\.1):\d+', r"\1:0", config)
        file = folder / "demo.toml"
        file.write_text(config, encoding="utf-8")
        command = [sys.executable, "-m", "anyplug", "serve", "--json", str(file)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        addresses: list[str] = []
        while (event := self.event())["type"] != "ready":
            if event["type"] == "listening":
                addresses.append(event["address"])
                said("server", f"listening on {event['address']}")
        self.addresses = dict(zip(names, addresses, strict=True))

    def event(self) -> dict[str, Any]:
        """The next line that it says."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise Mismatch(f"the server has ended with {self.process.wait()}")
        event: dict[str, Any] = json.loads(line)
        return event

    def port(self, name: int | str) -> int:
        return int(re.split(r"[:/?]", self.addresses[name])[4])

    def place(self, name: int | str) -> str:
        return f"127.0.0.1:{self.port(name)}"

    def stop(self) -> None:
        """Ask it to stop, and see that it does in order."""
        self.process.send_signal(signal.SIGTERM)
        while (event := self.event())["type"] == "shown":
            said("screen", f"{event}")
        expect(event["type"], "stopping")
        expect(self.event(), {"type": "stopped", "cut": 0, "forced": False})
        expect(self.process.wait(PATIENCE), 0, "status")


@contextmanager
def plain(server: Server, port: int) -> Iterator[socket.socket]:
    """A socket of the standard library, connected."""
    with socket.create_connection(("127.0.0.1", server.port(port)), PATIENCE) as sock:
        yield sock


# The scenes.


def greeting(server: Server) -> None:
    """A greeting, read 7 bytes at a time (socket)"""
    pieces = []
    with plain(server, 1234) as sock:
        while piece := sock.recv(7):
            said("server", piece)
            pieces.append(piece)
    expect(b"".join(pieces).decode(), "Socket Programming in Python", "in all")


def request(server: Server) -> None:
    """One question, one answer (socket)"""
    with plain(server, 9999) as sock:
        said("client", "I am client.")
        sock.send(b"I am client.")
        expect(sock.recv(1024).decode(), "I am server.")
        expect(sock.recv(1024), b"", "end")


def clock(server: Server) -> None:
    """An echo with the time (socket)"""
    with plain(server, 8080) as sock:
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
    with plain(server, 2133) as sock:
        with sock.makefile("rb") as stream:
            size = int(stream.read(10))
            expect(make_codec("pickled").decode(stream.read(size)), {1: "Client", 2: "Server"})
        value = {"name": "apple", 3: [1.5, None, (True, b"x")]}
        said("client", value)
        body = pickle.dumps(value)
        sock.sendall(f"{len(body):<10}".encode() + body)
        sock.shutdown(socket.SHUT_WR)
        expect(sock.recv(1024), b"", "end")
    with blocking.Shelf(f"plug://{server.place(7584)}/object") as shelf:
        expect(shelf["received"], value, "shelf")


def receipt(server: Server) -> None:
    """A welcome, and a receipt that is kept (socket)"""
    with plain(server, 2121) as sock:
        expect(sock.recv(1024).decode(), "Welcome to study socket!")
        said("client", "有内鬼, 终止交易! Over")
        sock.send("有内鬼, 终止交易! Over".encode())
        expect(sock.recv(1024), b"", "end")
    expect(kept(server, "receipts", 1), ["有内鬼, 终止交易! Over"], "inbox")


def seven(server: Server) -> None:
    """One way, six at a time: the seventh is told so (socket)"""
    guests = [socket.create_connection(("127.0.0.1", server.port(5050)), PATIENCE) for _ in range(6)]
    said("clients", "six are in")
    with plain(server, 5050) as late:
        expect(late.recv(1024).decode().strip(), "busy: all 6 places are taken; try again later")
    for number, guest in enumerate(guests):
        guest.sendall(f"hello from {number}".encode())
        guest.close()
    expect(sorted(kept(server, "oneway", 6)), [f"hello from {number}" for number in range(6)], "inbox")


def dialogue(server: Server) -> None:
    """One long conversation, until 886 (socket)"""
    with plain(server, 6666) as sock:
        for count, words in enumerate(("hello", "还在吗"), 1):
            said("client", words)
            sock.send(words.encode())
            expect(kept(server, "dialogue", count)[-1], words, "inbox")
        said("client", "886")
        sock.send(b"886")
        expect(sock.recv(1024), b"", "end")


def kept(server: Server, topic: str, many: int) -> list[str]:
    """The first so many texts of a topic of the inbox, as soon as they are there."""
    with blocking.Inbox(f"plug://{server.place(7584)}/inbox/{topic}") as inbox:
        texts: list[str] = []
        for message in inbox.follow(start=1):
            texts.append(message.value)
            if len(texts) == many:
                break
        return texts


def inbox(server: Server) -> None:
    """Messages that are on the server's disk before they are acknowledged (anyplug.Inbox)"""

    async def post_and_read() -> None:
        async with anyplug.Inbox(f"plug://{server.place(7584)}/inbox/log") as box:
            said("client", "a thousand lines")
            positions = await box.post_many([f"line {number}" for number in range(1, 1001)])
            expect((positions[0], positions[-1]), (1, 1000), "kept as")
            expect([message.value for message in await box.last(2)], ["line 999", "line 1000"])

    asyncio.run(post_and_read())


def shelf(server: Server) -> None:
    """Named Python values, shared, of the same types on both ends (anyplug.blocking.Shelf)"""
    address = f"plug://{server.place(7584)}/shelf"
    with blocking.Shelf(address) as ours, blocking.Shelf(address) as theirs:
        ours["config"] = {"limits": (1, 2), "names": {"ann", "bob"}, 3: 1j}
        said("client", "shelf['config'] = {'limits': (1, 2), 'names': {'ann', 'bob'}, 3: 1j}")
        expect(theirs["config"], {"limits": (1, 2), "names": {"ann", "bob"}, 3: 1j}, "another")


def room(server: Server) -> None:
    """Two in a room, and a third with nothing but a socket"""
    address = f"plug://{server.place(7584)}/talk/kitchen"
    with (
        blocking.connect(address, type=str, codec="text") as ann,
        socket.create_connection(("127.0.0.1", server.port(7584)), PATIENCE) as raw,
        raw.makefile("r", encoding="utf-8") as lines,
    ):
        ann.send("/nick ann")
        raw.sendall(b"talk kitchen\n/nick bob\n")
        while "bob" not in (line := lines.readline()):
            said("bob", line.rstrip())
        said("ann", "is anybody here?")
        ann.send("is anybody here?")
        while "is anybody here?" not in (line := lines.readline()):
            said("bob", line.rstrip())
        expect(line.rstrip(), "ann: is anybody here?", "bob")
        raw.sendall(b"I am\n")
        while not (heard := ann.receive(PATIENCE)).startswith("bob: "):
            said("ann", heard)
        expect(heard, "bob: I am", "ann")


def async_client(server: Server) -> None:
    """Many questions at once over one connection (anyplug.connect)"""

    async def talk() -> None:
        async with anyplug.connect(f"plug://{server.place(7584)}/echo") as peer:
            said("client", {"any": ["object", 1, None]})
            expect(await peer.ask({"any": ["object", 1, None]}), {"any": ["object", 1, None]})
            answers = await asyncio.gather(*(peer.ask(number) for number in range(1000)))
            said("client", "0 to 999, all at once")
            expect(sum(answers), 499_500, "sum")

    asyncio.run(talk())


def blocking_client(server: Server) -> None:
    """The same without async (anyplug.blocking)"""
    with blocking.connect(f"plug://{server.place(7584)}/echo") as peer:
        said("client", "hello")
        expect(peer.ask("hello"), "hello")
        try:
            with blocking.connect(f"plug://{server.place(7584)}/ecco"):
                raise Mismatch("a service that is not there was served")
        except anyplug.Refused as refusal:
            expect(str(refusal), "refused (unknown_service): no service 'ecco' here; did you mean echo?")


def unix(server: Server) -> None:
    """Over unix sockets, a stream and packets"""
    for name in (UNIX, PACKETS):
        address = server.addresses[name].partition("?")[0]
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
        (["ask", f"{server.place(7584)}/echo", "hello"], "hello\n"),
        (["receive", f"tcp://{server.place(1234)}", "--until", "eof"], "Socket Programming in Python"),
        (["ask", f"tcp://{server.place(9999)}", "I am client.", "--framing", "raw"], "I am server."),
        (["post", f"{server.place(7584)}/inbox/notes", "remember the milk"], ""),
        (["read", f"{server.place(7584)}/inbox/notes"], "remember the milk\n"),
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
    said("$", f"printf 'echo\\nhello\\n' | nc 127.0.0.1 {server.port(7584)}")
    with subprocess.Popen(
        [nc, "127.0.0.1", str(server.port(7584))], stdin=subprocess.PIPE, stdout=subprocess.PIPE
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
    receipt,
    seven,
    dialogue,
    async_client,
    blocking_client,
    inbox,
    shelf,
    room,
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
        server = Server(text + MORE.format(folder=name), Path(name))
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

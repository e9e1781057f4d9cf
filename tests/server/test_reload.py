"""A server takes another configuration while it runs: all of it, or nothing."""

from __future__ import annotations

import socket
from functools import partial
from typing import TYPE_CHECKING

import msgspec
import pytest

from anyplug import BindError, ConfigError, Limits, LocalError, Refused, connect
from anyplug.address import Address
from anyplug.server import Server
from anyplug.server.config import Config, ListenerConfig, load
from anyplug.server.listeners import Changes
from anyplug.server.reload import Outcome, Reloader, apply, build
from anyplug.transport.inherited import inherited_sockets
from tests.server.serving import LogRecords, RawClient, port_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

SERVICES = """
[services.ping]
kind = "reply"
answer = "ping"
[services.pong]
kind = "reply"
answer = "pong"
"""


def listener(address: str, service: str, more: str = "") -> str:
    return f'[[listeners]]\naddress = "{address}"\nservice = "{service}"\n{more}\n'


class Running:
    """A server that was started by a file, and what is logged and told of it."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.records = LogRecords()
        self.outcomes: list[Outcome] = []
        self.server = Server(log=self.records.log())

    def start(self, text: str, change: Callable[[Config], Config] | None = None) -> list[str]:
        self.file.write_text(text)
        config = load(str(self.file))
        self.server = build(config, log=self.records.log())
        self.reloader = Reloader(
            partial(apply, self.server),
            str(self.file),
            config,
            read=None if change is None else lambda: change(load(str(self.file))),
            log=self.records.log(),
            told=self.outcomes.append,
        )
        return apply(self.server, config).opened

    def reload(self, text: str | None) -> Outcome:
        if text is not None:
            self.file.write_text(text)
        self.reloader()
        return self.outcomes[-1]


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    running = Running(tmp_path / "anyplug.toml")
    yield running
    await running.server.drain(0)


async def answer_of(address: str, data: bytes = b"?\n") -> bytes:
    """What one line is answered by a new connection."""
    client = await RawClient.to(address)
    await client.say(data)
    answer = await client.hear_line()
    await client.close()
    return answer


async def test_another_service_at_the_same_address(running: Running) -> None:
    (address,) = running.start(SERVICES + listener("tcp://127.0.0.1:0", "ping"))
    old = await RawClient.to(address)
    await old.say(b"?\n")
    assert await old.hear_line() == b"ping\n"
    outcome = running.reload(SERVICES + listener("tcp://127.0.0.1:0", "pong"))
    assert outcome == Outcome(None, Changes([], []), ())
    (now,) = running.server.addresses
    assert now == address.replace("/ping", "/pong")
    assert await answer_of(now) == b"pong\n"
    await old.say(b"?\n")
    assert await old.hear_line() == b"ping\n"
    await old.close()
    assert running.records.events("reloaded") == [{"file": str(running.file), "opened": 0, "closed": 0}]


async def test_another_framing_at_the_same_address(running: Running) -> None:
    (address,) = running.start(SERVICES + listener("tcp://127.0.0.1:0", "ping"))
    running.reload(SERVICES + listener("tcp://127.0.0.1:0", "ping", 'framing = "header"'))
    client = await RawClient.to(address)
    await client.say(b"1         ?")
    assert await client.hear() == b"4         ping"
    await client.close()


async def test_a_plain_address_becomes_a_plug_address_and_back(running: Running) -> None:
    (address,) = running.start(SERVICES + listener("tcp://127.0.0.1:0", "ping"))
    port = port_of(address)
    running.reload(SERVICES + f'[[listeners]]\naddress = "plug://127.0.0.1:{port}"\n')
    assert running.outcomes[-1].error is not None  # port 0 and this port are two places: the second cannot be opened
    running.reload(SERVICES + '[[listeners]]\naddress = "plug://127.0.0.1:0"\n')
    assert running.server.addresses == [f"plug://127.0.0.1:{port}"]
    async with connect(f"plug://127.0.0.1:{port}/pong") as peer:
        assert await peer.ask("?") == "pong"
    running.reload(SERVICES + listener("tcp://127.0.0.1:0", "pong"))
    assert await answer_of(running.server.addresses[0]) == b"pong\n"


async def test_a_datagram_address_gets_another_service(running: Running) -> None:
    (address,) = running.start(SERVICES + listener("udp://127.0.0.1:0", "ping"))
    running.reload(SERVICES + listener("udp://127.0.0.1:0", "pong", 'codec = "text"'))
    async with connect(f"udp://127.0.0.1:{port_of(address)}", type=str) as peer:
        assert await peer.ask("long enough") == "pong"


async def test_new_listeners_open_and_others_close(running: Running, tmp_path: Path) -> None:
    path = tmp_path / "pong.sock"
    first, second = running.start(
        SERVICES + listener("tcp://127.0.0.1:0", "ping") + listener("tcp4://127.0.0.1:0", "pong")
    )
    outcome = running.reload(SERVICES + listener("tcp://127.0.0.1:0", "ping") + listener(f"unix://{path}", "pong"))
    assert outcome.changes == Changes([f"unix://{path}?service=pong"], [second])
    assert running.server.addresses == [first, f"unix://{path}?service=pong"]
    assert await answer_of(f"unix://{path}") == b"pong\n"
    with pytest.raises(ConnectionRefusedError):
        await RawClient.to(second)


async def test_another_most_counts_for_those_inside(running: Running) -> None:
    (address,) = running.start(SERVICES + listener("tcp://127.0.0.1:0", "ping"))
    inside = await RawClient.to(address)
    await inside.say(b"?\n")
    assert await inside.hear_line() == b"ping\n"
    running.reload(SERVICES + listener("tcp://127.0.0.1:0", "ping", "connections = 1"))
    other = await RawClient.to(address)
    assert (await other.hear_all()).startswith(b"busy: ")
    await other.close()
    running.reload(SERVICES + listener("tcp://127.0.0.1:0", "ping"))
    assert await answer_of(address) == b"ping\n"
    await inside.close()


async def test_another_token_counts_from_the_next_conversation(running: Running, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.touch(mode=0o600)
    token.write_text("old")
    text = 'listen = "plug://127.0.0.1:0"\n[server]\ntoken_file = "token"\n'
    (address,) = running.start(text)
    async with connect(f"{address}/echo", token="old") as peer:
        token.write_text("new")
        running.reload(text)
        async with connect(f"{address}/echo", token="new") as other:
            assert await other.ask("?") == "?"
        assert await peer.ask("?") == "?"


async def test_a_mistake_in_the_file_changes_nothing(running: Running) -> None:
    (address,) = running.start(SERVICES + listener("tcp://127.0.0.1:0", "ping"))
    outcome = running.reload(SERVICES + listener("tcp://127.0.0.1:0", "pinh"))
    assert isinstance(outcome.error, ConfigError)
    assert running.server.addresses == [address]
    assert await answer_of(address) == b"ping\n"
    (event,) = running.records.events("reload_failed")
    assert event["problem"].endswith("listeners[0].service: no service 'pinh' is defined; did you mean \"ping\"?")


async def test_a_file_that_is_gone_changes_nothing(running: Running) -> None:
    (address,) = running.start(SERVICES + listener("tcp://127.0.0.1:0", "ping"))
    running.file.unlink()
    assert str(running.reload(None).error) == f"{running.file}: there is no such file"
    assert await answer_of(address) == b"ping\n"


async def test_an_address_that_cannot_be_had_changes_nothing(running: Running) -> None:
    (address,) = running.start(SERVICES + listener("tcp://127.0.0.1:0", "ping"))
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        wanted = [("tcp://127.0.0.1:0", "pong"), ("tcp4://127.0.0.1:0", "pong"), (f"tcp://127.0.0.1:{taken}", "pong")]
        outcome = running.reload(SERVICES.replace("ping", "pang") + "".join(listener(*each) for each in wanted))
        assert isinstance(outcome.error, BindError)
        assert outcome.error.address == f"tcp://127.0.0.1:{taken}/pong"
        assert running.server.addresses == [address]
        assert [service.name for service in running.server.services] == ["ping", "pong"]
        assert await answer_of(address) == b"ping\n"
    assert len(running.records.events("listening")) == 1


@pytest.mark.may_bind("0.0.0.0")
async def test_a_token_that_goes_does_not_leave_a_listener_open_to_all(running: Running, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.touch(mode=0o600)
    token.write_text("secret")
    (address,) = running.start('listen = "plug4://*:0"\n[server]\ntoken_file = "token"\n')
    assert isinstance(running.reload('listen = "plug4://*:0"\n').error, BindError)
    assert running.server.addresses == [address]
    with pytest.raises(Refused):
        await connect(f"plug://127.0.0.1:{port_of(address)}/echo")


async def test_a_failure_of_our_own_changes_nothing(running: Running) -> None:
    def broken(config: Config) -> Config:
        raise RuntimeError("a bug")

    (address,) = running.start(SERVICES + listener("tcp://127.0.0.1:0", "ping"), broken)
    assert isinstance(running.reload(None).error, RuntimeError)
    assert await answer_of(address) == b"ping\n"
    assert running.records.events("reload_failed") == [{"file": str(running.file)}]


async def test_limits_wait_for_the_next_start_and_a_warning_says_so(running: Running, tmp_path: Path) -> None:
    running.start('listen = "plug://127.0.0.1:0"\n')
    token = tmp_path / "token"
    token.write_text("x")
    token.chmod(0o644)
    more = '[server]\nlog = "json"\ntoken_file = "token"\n[limits]\nmessage = 7\n[socket]\nbacklog = 3\n'
    outcome = running.reload('listen = "plug://127.0.0.1:0"\n' + more)
    assert outcome == Outcome(None, Changes([], []), ("limits.message", "socket.backlog", "server.log"))
    (event,) = running.records.events("restart_needed")
    assert event["keys"] == "limits.message, socket.backlog, server.log"
    (event,) = running.records.events("config_warning")
    assert "chmod 600" in event["problem"]


async def test_what_the_command_line_said_stays(running: Running) -> None:
    def change(config: Config) -> Config:
        extra = ListenerConfig(address=Address.parse("tcp4://127.0.0.1:0/echo"))
        return msgspec.structs.replace(config, listeners=(*config.listeners, extra))

    running.start('listen = "plug://127.0.0.1:0"\n', change)
    assert len(running.reload(None).changes.opened) == 1
    assert running.reload(None).changes == Changes([], [])


async def test_a_server_that_stops_is_not_changed_any_more(running: Running) -> None:
    running.start('listen = "plug://127.0.0.1:0"\n')
    await running.server.drain(0)
    assert isinstance(running.reload(None).error, LocalError)
    assert running.server.addresses == []


async def test_a_service_that_goes_while_its_listener_stays_says_so() -> None:
    async with Server(log=LogRecords().log()) as server:
        server.reply("ping")(lambda message: message)
        address = server.listen("tcp://127.0.0.1:0/ping")
        server.replace_services([])
        client = await RawClient.to(address)
        assert await client.hear_all() == b"unknown_service: no service 'ping' here; offered: none\n"
        await client.close()


async def test_a_listener_that_is_not_there_cannot_be_closed() -> None:
    async with Server(log=LogRecords().log()) as server:
        with pytest.raises(LocalError) as caught:
            server.unlisten("plug://127.0.0.1:1")
        assert str(caught.value) == "not listening on plug://127.0.0.1:1; listening on: nothing"
        address = server.listen("plug://127.0.0.1:0")
        with pytest.raises(LocalError, match=f"listening on: {address}$"):
            server.unlisten("plug://127.0.0.1:1")


@pytest.mark.parametrize("address", ["plugs://127.0.0.1:0", "tls://127.0.0.1:0/echo", "ws://127.0.0.1:0/echo"])
async def test_a_scheme_that_is_not_spoken_is_not_listened_on_in_the_clear(address: str) -> None:
    async with Server(log=LogRecords().log()) as server:
        with pytest.raises(ValueError, match="does not speak them yet"):
            server.listen(address)


class Manager:
    """What a service manager does: sockets of ours at descriptors from some number on."""

    def __init__(self, *sockets: socket.socket) -> None:
        self._sockets = sockets

    def pass_to(self, server: Server) -> None:
        """Pass all of them, one after the other."""
        for sock in self._sockets:
            environ = {"LISTEN_PID": "7", "LISTEN_FDS": "1"}
            server.adopt(inherited_sockets(environ, 7, first=sock.detach()))


async def test_sockets_of_a_service_manager_are_used_where_they_fit() -> None:
    records = LogRecords()
    stream = socket.create_server(("127.0.0.1", 0))
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 0))
    unused = socket.create_server(("127.0.0.1", 0))
    ports = [sock.getsockname()[1] for sock in (stream, udp, unused)]
    async with Server(log=records.log()) as server:
        server.reply("ping")(lambda message: message)
        Manager(stream, udp, unused).pass_to(server)
        address = server.listen(f"tcp://127.0.0.1:{ports[0]}/ping")
        server.listen(f"udp://127.0.0.1:{ports[1]}/ping")
        assert await answer_of(address) == b"?\n"
        server.disown()
        assert [event["address"] for event in records.events("socket_unused")] == [f"127.0.0.1:{ports[2]}"]
        with pytest.raises(ConnectionRefusedError):
            await RawClient.to(f"tcp://127.0.0.1:{ports[2]}")


async def test_an_address_may_name_the_descriptor_itself() -> None:
    sock = socket.create_server(("127.0.0.1", 0))
    port, fd = sock.getsockname()[1], sock.fileno()
    async with Server(log=LogRecords().log()) as server:
        server.reply("ping")(lambda message: message)
        Manager(sock).pass_to(server)
        assert server.listen(f"fd://{fd}?service=ping") == f"fd://{fd}?service=ping"
        server.disown()
        assert await answer_of(f"tcp://127.0.0.1:{port}") == b"?\n"


async def test_a_descriptor_of_datagrams_is_to_be_named_by_its_address() -> None:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    async with Server(log=LogRecords().log()) as server:
        server.reply("ping")(lambda message: message)
        with pytest.raises(BindError, match="it is a datagram socket; name the address it is bound to"):
            server.listen(f"fd://{sock.detach()}?service=ping")


async def test_all_listeners_are_closed_at_once() -> None:
    async with Server(limits=Limits(drain=0), log=LogRecords().log()) as server:
        await server.start("plug://127.0.0.1:0", "plug4://127.0.0.1:0")
        assert len(server.addresses) == 2
    assert server.addresses == []

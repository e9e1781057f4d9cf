"""What a supervisor holds of the addresses, and what its workers find."""

from __future__ import annotations

import resource
import socket
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from anyplug import AddressError, BindError
from anyplug.address import Address
from anyplug.server.config import Config, ListenerConfig, ServerConfig
from anyplug.server.workers_places import Places

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anyplug.transport.inherited import Inherited


def wanting(*addresses: str, token: str = "", insecure: bool = False) -> Config:
    listeners = tuple(
        ListenerConfig(address=Address.parse(each), place=f"a.toml:{line}") for line, each in enumerate(addresses, 1)
    )
    return Config(listeners=listeners, token=token, server=ServerConfig(insecure=insecure))


@contextmanager
def places(inherited: Inherited | None = None) -> Iterator[Places]:
    held = Places(Config(), [] if inherited is None else inherited)
    try:
        yield held
    finally:
        held.close()


def worker(address: tuple[str, int], family: int = socket.AF_INET) -> socket.socket:
    """A socket as a worker opens it."""
    sock = socket.socket(family)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(address)
    sock.listen()
    return sock


def test_a_port_is_kept_and_nobody_listens_but_the_workers() -> None:
    with places() as held:
        found = held.rearrange(wanting("tcp://127.0.0.1:0/echo"))
        (address,) = found.addresses
        place = (address.host, address.port)
        assert found.sockets == held.sockets == [], "each worker has its own"
        assert found.changes.opened == held.addresses == [f"tcp://127.0.0.1:{address.port}/echo"]
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(place)
        with pytest.raises(OSError, match="in use"), socket.socket() as other:
            other.bind(place)
        with worker(place), worker(place), socket.create_connection(place) as client:
            assert client.getpeername() == place
    with socket.socket() as other:
        other.bind(place)


def test_both_families_keep_one_port() -> None:
    with places() as held:
        (address,) = held.rearrange(wanting("tcp://localhost:0/echo")).addresses
        with worker(("127.0.0.1", address.port)), worker(("::1", address.port), socket.AF_INET6):
            pass


def test_a_worker_keeps_nothing_reserved() -> None:
    with places() as held:
        (address,) = held.rearrange(wanting("tcp://127.0.0.1:0/echo")).addresses
        held.leave()
        with socket.socket() as other:
            other.bind((address.host, address.port))


def test_datagrams_and_unix_sockets_are_shared(tmp_path: Path) -> None:
    path = tmp_path / "sock"
    with places() as held:
        found = held.rearrange(wanting("udp://127.0.0.1:0/echo", f"unix://{path}?service=echo"))
        datagrams, streams = held.sockets
        assert found.sockets == held.sockets
        assert datagrams.getsockname() == ("127.0.0.1", found.addresses[0].port)
        assert streams.getsockname() == str(path)
        assert streams.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    assert not path.exists()


def test_sockets_of_a_service_manager_are_shared_and_the_rest_is_told() -> None:
    wanted, unused = socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0))
    with unused, places([("a", wanted), ("b", unused)]) as held:
        address = f"tcp://127.0.0.1:{wanted.getsockname()[1]}/echo"
        assert held.rearrange(wanting(address)).sockets == [wanted]
        assert held.addresses == [address]
        name = "{}:{}".format(*unused.getsockname())
        assert held.left_over() == [name]
        assert held.left_over() == []
        assert unused.fileno() < 0


def test_an_address_may_name_the_descriptor_itself() -> None:
    first, second = socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0))
    inherited: Inherited = [("", second), ("", first)]
    with second, places(inherited) as held:
        address = f"fd://{first.fileno()}?service=echo"
        found = held.rearrange(wanting(address))
        assert (found.sockets, held.addresses) == ([], [address]), "a worker finds it by its number"
        assert inherited == [("", second)]
        assert first.fileno() < 0


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_SEQPACKET])
def test_a_descriptor_of_another_kind_is_refused(kind: socket.SocketKind, tmp_path: Path) -> None:
    sock = socket.socket(socket.AF_UNIX, kind)
    sock.bind(str(tmp_path / "sock"))
    if kind == socket.SOCK_SEQPACKET:
        sock.listen()
    with places() as held, pytest.raises(BindError, match=r"name the address it is bound to.*\(a\.toml:1\)$"):
        held.rearrange(wanting(f"fd://{sock.detach()}/echo"))


def test_what_is_still_wanted_is_kept_and_the_rest_goes_when_it_is_told(tmp_path: Path) -> None:
    path = tmp_path / "sock"
    with places() as held:
        before = held.rearrange(wanting("tcp://127.0.0.1:0/echo", f"unix://{path}?service=echo")).addresses
        found = held.rearrange(wanting("udp://127.0.0.1:0/echo", "tcp://127.0.0.1:0/shout"))
        assert found.addresses[1].port == before[0].port
        assert held.addresses[1] == f"tcp://127.0.0.1:{before[0].port}/shout"
        assert found.changes.closed == [str(before[1])]
        assert found.changes.opened == [str(found.addresses[0])]
        assert found.sockets == held.sockets
        assert path.exists()
        for each in found.gone:
            each.close()
        assert not path.exists()


def test_two_free_ports_are_two() -> None:
    with places() as held:
        one, other = held.rearrange(wanting("tcp://127.0.0.1:0/a", "tcp://127.0.0.1:0/b")).addresses
        again = held.rearrange(wanting("tcp://127.0.0.1:0/a", "tcp://127.0.0.1:0/b")).addresses
        assert one.port != other.port
        assert again == [one, other]


@pytest.mark.parametrize(
    ("address", "error"),
    [
        ("tcp://0.0.0.0:0/echo", BindError),
        ("tls://127.0.0.1:0/echo", AddressError),
        ("fd://1000/echo", BindError),
    ],
)
def test_what_cannot_be_had_changes_nothing(address: str, error: type[Exception]) -> None:
    with places() as held:
        before = held.rearrange(wanting("tcp://127.0.0.1:0/echo"))
        free = len(list(Path("/proc/self/fd").iterdir()))
        with pytest.raises(error):
            held.rearrange(wanting("tcp://127.0.0.1:0/echo", "udp://127.0.0.1:0/echo", address))
        assert held.addresses == [str(each) for each in before.addresses]
        assert len(list(Path("/proc/self/fd").iterdir())) == free


def test_a_port_that_cannot_be_reserved_says_why_and_leaves_nothing_open() -> None:
    """The socket that tries the address is the last descriptor there is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as next_one:
        number = next_one.fileno()
    with places() as held:
        resource.setrlimit(resource.RLIMIT_NOFILE, (number + 1, hard))
        try:
            with pytest.raises(BindError, match=r"too many files are open here.*\(a\.toml:1\)$"):
                held.rearrange(wanting("tcp4://127.0.0.1:0/echo"))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        with socket.socket() as next_one:
            assert next_one.fileno() == number


def test_an_address_that_becomes_open_to_all_is_refused() -> None:
    """The listener is there; what protected it is not wanted any more."""
    with places() as held:
        config = wanting("plug://[::1]:0", token="secret")
        held.rearrange(config)
        exposed = msgspec.structs.replace(
            config, token="", listeners=(ListenerConfig(address=Address.parse("plug://0.0.0.0:0"), place="a.toml:9"),)
        )
        with pytest.raises(BindError, match=r"nothing protects it.*\(a\.toml:9\)$"):
            held.rearrange(exposed)


def test_a_port_of_another_server_is_refused_although_it_shares() -> None:
    with worker(("127.0.0.1", 0)) as other, places() as held:
        address = f"tcp://127.0.0.1:{other.getsockname()[1]}/echo"
        with pytest.raises(BindError, match="taken"):
            held.rearrange(wanting(address))

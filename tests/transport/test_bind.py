"""Listeners from addresses."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from anyplug.address import Address
from anyplug.errors import BindError
from anyplug.transport import SocketOptions, bind, dial_blocking
from anyplug.transport.bind import ONE_PORT_TRIES
from anyplug.transport.inherited import take, takes_both
from anyplug.transport.resolve import Candidate
from tests.transport.pairs import needs_ipv6
from tests.transport.processes import needs_root, run_python

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anyplug.transport import Inherited

V4, V6 = int(socket.AF_INET), int(socket.AF_INET6)
STREAM, DGRAM = int(socket.SOCK_STREAM), int(socket.SOCK_DGRAM)


def parse(text: str) -> Address:
    return Address.parse(text)


@pytest.mark.parametrize("scheme", ["tcp", "plug", "tls", "ws"])
def test_a_stream_listener_listens_and_tells_its_port(scheme: str) -> None:
    with bind(parse(f"{scheme}://127.0.0.1:0")) as bound:
        [sock] = bound.sockets
        assert bound.kind == "stream"
        assert bound.address == parse(f"{scheme}://127.0.0.1:{sock.getsockname()[1]}")
        assert bound.names == [f"127.0.0.1:{bound.address.port}"]
        assert not sock.getblocking()
        assert not sock.get_inheritable()
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        dial_blocking(bound.address).close()
    assert sock.fileno() == -1


def test_a_datagram_listener_is_bound_and_shares_its_port_with_nobody() -> None:
    with bind(parse("udp://127.0.0.1:0")) as bound:
        assert bound.kind == "datagram"
        with pytest.raises(BindError, match="ss -lunp sport"):
            bind(bound.address)


@needs_ipv6
@pytest.mark.parametrize("text", ["tcp://localhost:0", "udp://localhost:0"])
def test_localhost_is_bound_in_both_families_on_one_port(text: str) -> None:
    with bind(parse(text)) as bound:
        port = bound.address.port
        assert port != 0
        assert bound.names == [f"127.0.0.1:{port}", f"[::1]:{port}"]
        assert bound.address.host == "localhost"
        with bind(parse(text)) as another:
            assert another.address.port != port


@needs_ipv6
@pytest.mark.may_bind("0.0.0.0", "::")
@pytest.mark.parametrize("text", ["tcp://*:0", "plug://:0", "udp://*:0"])
def test_every_interface_is_bound_in_both_families_on_one_port(text: str) -> None:
    with bind(parse(text)) as bound:
        port = bound.address.port
        assert bound.names == [f"0.0.0.0:{port}", f"[::]:{port}"]
        assert all(sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) for sock in bound.sockets[1:])
        with bind(bound.address.with_port(0)) as again:
            assert again.address.port != port


@pytest.mark.parametrize(
    ("text", "host"), [("tcp4://localhost:0", "127.0.0.1"), pytest.param("tcp6://localhost:0", "::1", marks=needs_ipv6)]
)
def test_a_pinned_family_is_the_only_one(text: str, host: str) -> None:
    with bind(parse(text)) as bound:
        assert [sock.getsockname()[0] for sock in bound.sockets] == [host]
        assert bound.address.family == parse(text).family


def test_a_port_in_use_is_named_with_the_remedy() -> None:
    with bind(parse("tcp://127.0.0.1:0")) as bound:
        port = bound.address.port
        with pytest.raises(BindError) as caught:
            bind(bound.address)
        assert str(caught.value) == (
            f"cannot listen on tcp://127.0.0.1:{port}: port {port} is taken by another program; "
            f"stop it (`ss -ltnp sport = :{port}` names it), or choose another port, 0 for any"
        )
        assert caught.value.errno == errno.EADDRINUSE
        assert isinstance(caught.value.__cause__, OSError)


@needs_ipv6
def test_a_port_taken_in_one_family_leaves_nothing_open_in_the_other() -> None:
    with bind(parse("tcp6://localhost:0")) as taken:
        address = parse(f"tcp://localhost:{taken.address.port}")
        with pytest.raises(BindError, match="is taken by another program"):
            bind(address)
        with bind(parse(f"tcp4://localhost:{taken.address.port}")):
            pass


def test_several_processes_share_a_port_where_all_ask_for_it() -> None:
    options = SocketOptions(reuse_port=True)
    with bind(parse("tcp://127.0.0.1:0"), options=options) as bound, bind(bound.address, options=options) as other:
        assert other.address == bound.address


@pytest.mark.may_bind("120.0.0.1")
def test_an_address_of_another_machine_is_told_apart_from_loopback() -> None:
    with pytest.raises(BindError) as caught:
        bind(parse("tcp://120.0.0.1:0"))
    assert str(caught.value) == (
        "cannot listen on tcp://120.0.0.1:0: 120.0.0.1 is not an address of this machine; 127.0.0.1 is"
    )
    assert caught.value.errno == errno.EADDRNOTAVAIL


@needs_root
def test_a_privileged_port_is_named_with_the_remedy() -> None:
    code = """
        import json, os
        from anyplug.address import Address
        from anyplug.errors import BindError
        from anyplug.transport import bind
        with open("/proc/sys/net/ipv4/ip_unprivileged_port_start") as file:
            port = int(file.read()) - 1
        os.setuid(65534)
        try:
            bind(Address.parse(f"tcp://127.0.0.1:{port}")).close()
        except BindError as error:
            print(json.dumps([port, error.problem]))
        else:
            print(json.dumps([port, "bound"]))
    """
    port, problem = run_python(code, measured=False)
    if port < 1:
        pytest.skip("this machine has no privileged ports")
    assert problem.startswith(f"this user may not use port {port}; choose one from 1024 on")


def test_a_name_that_is_not_known_is_an_error() -> None:
    def unknown(*_: object) -> list[Candidate]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.raises(BindError) as caught:
        bind(parse("tcp://nowhere.example:0"), lookup=unknown)
    assert str(caught.value) == (
        "cannot listen on tcp://nowhere.example:0: the name nowhere.example is not known; check its spelling"
    )


def test_a_name_is_bound_at_all_its_addresses_on_one_port() -> None:
    ends = [Candidate(V4, STREAM, ("127.0.0.2", 0)), Candidate(V4, STREAM, ("127.0.0.3", 0))]
    with bind(parse("tcp://here.example:0"), lookup=lambda *_: ends) as bound:
        port = bound.address.port
        assert bound.names == [f"127.0.0.2:{port}", f"127.0.0.3:{port}"]


@pytest.mark.may_bind("2001:db8::1")
def test_the_ipv6_half_of_a_name_may_be_missing_but_not_all_of_it() -> None:
    v4, v6 = Candidate(V4, STREAM, ("127.0.0.1", 0)), Candidate(V6, STREAM, ("2001:db8::1", 0, 0, 0))
    with bind(parse("tcp://here.example:0"), lookup=lambda *_: [v6, v4]) as bound:
        assert [sock.family for sock in bound.sockets] == [socket.AF_INET]
    for text, ends in (("tcp://here.example:0", [v6]), ("tcp6://here.example:0", [v6])):
        with pytest.raises(BindError):
            bind(parse(text), lookup=lambda *_, ends=ends: ends)


class Counting(list[tuple[str, socket.socket]]):
    """Inherited sockets that count how often they are looked through."""

    often = 0

    def __iter__(self) -> Iterator[tuple[str, socket.socket]]:
        self.often += 1
        return super().__iter__()


def test_a_port_that_is_never_free_for_all_ends_is_given_up() -> None:
    """Two ends on the same address can never share a port: the retries end, and leave nothing open."""
    twice = [Candidate(V4, STREAM, ("127.0.0.1", 0))] * 2
    looked = Counting()
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(BindError, match="no free port is left"):
        bind(parse("tcp://here.example:0"), inherited=looked, lookup=lambda *_: twice)
    assert looked.often == 2 * ONE_PORT_TRIES
    assert len(list(Path("/proc/self/fd").iterdir())) == before


# Inherited sockets.


def passed(family: int, kind: int, sockaddr: object, *, listen: bool = True, both: bool = False) -> socket.socket:
    sock = socket.socket(family, kind)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not both)
    sock.bind(sockaddr)  # type: ignore[arg-type]
    if listen and kind != socket.SOCK_DGRAM:
        sock.listen()
    return sock


@pytest.mark.parametrize(("scheme", "kind"), [("tcp", STREAM), ("plug", STREAM), ("udp", DGRAM)])
def test_an_inherited_socket_is_taken_for_its_address(scheme: str, kind: int) -> None:
    sock = passed(V4, kind, ("127.0.0.1", 0))
    other = passed(V4, kind, ("127.0.0.1", 0))
    inherited: Inherited = [("other", other), ("mine", sock)]
    with bind(parse(f"{scheme}://127.0.0.1:{sock.getsockname()[1]}"), inherited=inherited) as bound:
        assert bound.sockets == [sock]
    assert inherited == [("other", other)]
    other.close()


def test_an_inherited_socket_of_another_kind_or_one_that_does_not_listen_is_left() -> None:
    with (
        closing(passed(V4, DGRAM, ("127.0.0.1", 0))) as udp,
        closing(passed(V4, STREAM, ("127.0.0.1", 0), listen=False)) as idle,
        closing(passed(V4, STREAM, ("127.0.0.2", 0))) as elsewhere,
    ):
        inherited: Inherited = [("", udp), ("", idle), ("", elsewhere)]
        before = list(inherited)
        for _, sock in inherited:
            assert take(inherited, Candidate(V4, STREAM, ("127.0.0.1", sock.getsockname()[1]))) is None
        assert inherited == before
        with pytest.raises(BindError, match="is taken"):
            bind(parse(f"tcp://127.0.0.1:{idle.getsockname()[1]}"), inherited=inherited)


@needs_ipv6
def test_what_the_manager_did_not_open_of_an_address_is_opened_here() -> None:
    sock = passed(V4, STREAM, ("127.0.0.1", 0))
    port = sock.getsockname()[1]
    with bind(parse(f"tcp://localhost:{port}"), inherited=[("", sock)]) as bound:
        assert bound.names == [f"127.0.0.1:{port}", f"[::1]:{port}"]


@needs_ipv6
@pytest.mark.may_bind("0.0.0.0", "::")
def test_one_inherited_socket_for_both_families_is_all_there_is() -> None:
    sock = passed(V6, STREAM, ("::", 0), both=True)
    assert takes_both(sock)
    port = sock.getsockname()[1]
    with bind(parse(f"tcp://*:{port}"), inherited=[("", sock)]) as bound:
        assert bound.sockets == [sock]
        assert bound.address.port == port


@pytest.mark.parametrize("name", ["{}/passed.sock", "@{}/passed"])
def test_an_inherited_unix_socket_is_never_unlinked(tmp_path: Path, name: str) -> None:
    path = name.format(tmp_path)
    sock = passed(socket.AF_UNIX, STREAM, b"\0" + path[1:].encode() if path[0] == "@" else path)
    inherited: Inherited = [("", sock)]
    with bind(parse(f"unix://{path}"), inherited=inherited) as bound:
        assert bound.sockets == [sock]
    assert inherited == []
    assert (tmp_path / "passed.sock").exists() == (path[0] != "@")


# Descriptors by number.


@pytest.mark.parametrize("kind", ["stream", "packet", "datagram"])
def test_a_descriptor_is_taken_over(kind: str, tmp_path: Path) -> None:
    number = {"stream": socket.SOCK_STREAM, "packet": socket.SOCK_SEQPACKET, "datagram": socket.SOCK_DGRAM}[kind]
    path = tmp_path / "s"
    fd = passed(socket.AF_UNIX, number, str(path)).detach()
    with bind(parse(f"fd://{fd}")) as bound:
        assert bound.kind == kind
        assert bound.sockets[0].fileno() == fd
        assert not bound.sockets[0].getblocking()
        assert str(bound.address) == f"fd://{fd}"
    assert path.exists()


def test_a_bound_udp_descriptor_is_taken_over() -> None:
    fd = passed(V4, DGRAM, ("127.0.0.1", 0)).detach()
    with bind(parse(f"fd://{fd}")) as bound:
        assert bound.kind == "datagram"


def test_a_descriptor_that_cannot_serve_is_an_error_and_stays_open(tmp_path: Path) -> None:
    with (
        (tmp_path / "file").open("w") as file,
        socket.socket(V4, STREAM) as idle,
        socket.socket(V4, DGRAM) as unbound,
        socket.socket(socket.AF_UNIX, DGRAM) as unnamed,
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW) as strange,
    ):
        cases = [
            (9999, "descriptor 9999 is not open here"),
            (file.fileno(), f"descriptor {file.fileno()} is not a socket"),
            (idle.fileno(), "is a socket that does not listen; pass one that was bound and listens"),
            (unbound.fileno(), "is a datagram socket that is not bound"),
            (unnamed.fileno(), "is a datagram socket that is not bound"),
            (strange.fileno(), "is a socket of a type that carries no messages here"),
        ]
        for fd, problem in cases:
            with pytest.raises(BindError) as caught:
                bind(parse(f"fd://{fd}"))
            assert problem in str(caught.value)
            assert str(caught.value).startswith(f"cannot listen on fd://{fd}: descriptor {fd}")
        for each in (idle, unbound, unnamed, strange):
            os.fstat(each.fileno())

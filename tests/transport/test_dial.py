"""Connecting: from a loop, on uvloop and on plain asyncio, and from a thread. One table of cases for all of them."""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from anyplug.address import Address
from anyplug.errors import AddressError, ConnectError
from anyplug.transport import SocketOptions, bind, dial, dial_blocking
from anyplug.transport.resolve import Candidate
from tests.transport.pairs import address, listening, needs_ipv6
from tests.transport.processes import run_python

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    Dial = Callable[..., Awaitable[socket.socket]]

V4, V6 = int(socket.AF_INET), int(socket.AF_INET6)
STREAM = int(socket.SOCK_STREAM)

both_loops = pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"])


async def in_thread(where: Address, **options: Any) -> socket.socket:
    """`dial_blocking`, without holding up the loop."""
    return await asyncio.to_thread(partial(dial_blocking, where, **options))


@pytest.fixture(params=["async", "blocking"])
def connect(request: pytest.FixtureRequest) -> Dial:
    return dial if request.param == "async" else in_thread


def parse(text: str) -> Address:
    return Address.parse(text)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def end(port: int, host: str = "127.0.0.1") -> Candidate:
    return Candidate(V4, STREAM, (host, port))


@contextmanager
def black_hole() -> Iterator[int]:
    """A port that never answers: its backlog is full, so the kernel drops what comes."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            yield port


@contextmanager
def closed_port() -> Iterator[int]:
    """A port that is bound, so that nobody else gets it, and refuses."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


# What works.


@both_loops
@pytest.mark.parametrize(
    "kind", ["tcp4", pytest.param("tcp6", marks=needs_ipv6), "udp", "path", "abstract", "seqpacket", "dgram"]
)
async def test_every_kind_of_address_can_be_connected(kind: str, connect: Dial, tmp_path: Path) -> None:
    with listening(kind, tmp_path) as bound, await connect(bound.address, timeout=5) as sock:
        assert sock.getpeername() == bound.sockets[0].getsockname()
        assert sock.type == bound.sockets[0].type
        assert sock.getblocking() == (connect is in_thread)
        assert not sock.get_inheritable()
        sock.send(b"hello")


@pytest.mark.parametrize("scheme", ["plug", "plugs", "tls", "ws", "wss"])
async def test_every_scheme_over_tcp_is_tcp_below(scheme: str, connect: Dial, tmp_path: Path) -> None:
    with listening("tcp4", tmp_path) as bound:
        port = bound.address.port
        with await connect(parse(f"{scheme}://127.0.0.1:{port}"), timeout=5) as sock:
            assert sock.getpeername() == ("127.0.0.1", port)
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1


async def test_the_options_are_set(connect: Dial, tmp_path: Path) -> None:
    with listening("tcp4", tmp_path) as bound:
        options = SocketOptions(nodelay=False, send_buffer=20_000)
        with await connect(bound.address, options=options) as sock:
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 0
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 40_000


async def test_a_unix_datagram_client_can_be_answered(connect: Dial, tmp_path: Path) -> None:
    with listening("dgram", tmp_path) as bound, await connect(bound.address) as sock:
        sock.setblocking(True)
        sock.settimeout(5)
        sock.send(b"question")
        question, sender = bound.sockets[0].recvfrom(100)
        bound.sockets[0].sendto(question + b" and answer", sender)
        assert sock.recv(100) == b"question and answer"


async def test_this_sides_address_can_be_chosen(connect: Dial, tmp_path: Path) -> None:
    with listening("tcp4", tmp_path) as bound, closed_port() as port:
        with await connect(bound.address, local=("127.0.0.3", 0)) as sock:
            assert sock.getsockname()[0] == "127.0.0.3"
        with pytest.raises(ConnectError) as caught:
            await connect(bound.address, local=("127.0.0.1", port))
        assert caught.value.problem == f"this side's own address for 127.0.0.1:{bound.address.port} is taken"
    with listening("udp", tmp_path) as bound, await connect(bound.address, local=("127.0.0.3", 0)) as sock:
        assert sock.getsockname()[0] == "127.0.0.3"
    with listening("path", tmp_path) as bound, await connect(bound.address, local=("127.0.0.1", 0)) as sock:
        assert sock.getsockname() == ""


async def test_a_port_of_this_side_can_be_used_again_at_once(connect: Dial, tmp_path: Path) -> None:
    with listening("tcp4", tmp_path) as bound:
        with await connect(bound.address, local=("127.0.0.1", 0)) as sock:
            port = sock.getsockname()[1]
            sock.shutdown(socket.SHUT_RDWR)  # this side ends first, and its port stays in TIME-WAIT
            peer, _ = await asyncio.to_thread(bound.sockets[0].accept)
            peer.close()
        with bind(parse("tcp://127.0.0.2:0")) as other, await connect(other.address, local=("127.0.0.1", port)):
            pass


@needs_ipv6
async def test_only_ends_of_this_sides_family_are_tried(connect: Dial) -> None:
    with bind(parse("tcp://localhost:0")) as bound:
        for host in ("127.0.0.1", "::1"):
            with await connect(bound.address, local=(host, 0)) as sock:
                assert sock.getpeername()[0] == host
        with closed_port() as closed:
            with pytest.raises(ConnectError) as caught:
                await connect(parse(f"tcp://localhost:{closed}"), local=("127.0.0.1", 0))
            assert caught.value.problem == f"nothing listens on 127.0.0.1:{closed}"
        with bind(parse("tcp4://localhost:0")) as only4:
            with pytest.raises(ConnectError) as caught:
                await connect(only4.address, local=("::1", 0))
            assert caught.value.step == "connect"


@needs_ipv6
async def test_localhost_finds_a_server_of_either_family(connect: Dial) -> None:
    for scheme, host in (("tcp4", "127.0.0.1"), ("tcp6", "::1")):
        with bind(parse(f"{scheme}://localhost:0")) as bound:
            with await connect(parse(f"tcp://localhost:{bound.address.port}")) as sock:
                assert sock.getpeername()[0] == host


# Several ends.


@both_loops
async def test_the_next_end_is_tried_at_once_where_the_first_refuses(connect: Dial, tmp_path: Path) -> None:
    with listening("tcp4", tmp_path) as bound, closed_port() as closed:
        ends = [end(closed), end(bound.address.port)]
        with await connect(parse("tcp://two.example:1"), lookup=lambda *_: ends) as sock:
            assert sock.getpeername() == ends[1].sockaddr


@both_loops
async def test_a_black_hole_is_passed_by(connect: Dial, tmp_path: Path) -> None:
    with listening("tcp4", tmp_path) as bound, black_hole() as hole:
        before = open_files()
        ends = [end(hole), end(bound.address.port)]
        with await connect(parse("tcp://two.example:1"), timeout=20, lookup=lambda *_: ends) as sock:
            assert sock.getpeername() == ends[1].sockaddr
            if connect is dial:  # a thread may still have files of its own open
                assert open_files() == before + 1


async def test_all_ends_are_named_with_what_became_of_them(connect: Dial) -> None:
    with black_hole() as hole, closed_port() as closed:
        ends = [end(closed), end(closed, "127.0.0.2"), end(hole)]
        with pytest.raises(ConnectError) as caught:
            await connect(parse("tcp://three.example:1"), timeout=0.5, lookup=lambda *_: ends)
        assert str(caught.value) == (
            f"cannot connect to tcp://three.example:1: no answer from 127.0.0.1:{hole} within 0.5 s; "
            f"nothing listens on 127.0.0.1:{closed} or 127.0.0.2:{closed} (step: connect); "
            "start the server, or check the port"
        )


# What fails.


@both_loops
async def test_a_refusal_says_what_to_do(connect: Dial) -> None:
    with closed_port() as port:
        with pytest.raises(ConnectError) as caught:
            await connect(parse(f"plug://127.0.0.1:{port}/echo"))
        error = caught.value
        assert (error.address, error.step, error.errno) == (
            f"plug://127.0.0.1:{port}/echo",
            "connect",
            errno.ECONNREFUSED,
        )
        assert error.problem == f"nothing listens on 127.0.0.1:{port}"
        assert error.remedy == "start the server, or check the port"


@needs_ipv6
async def test_a_refusal_of_localhost_names_both_families(connect: Dial) -> None:
    with closed_port() as port:
        with pytest.raises(ConnectError, match=rf"nothing listens on \[::1\]:{port} or 127.0.0.1:{port}"):
            await connect(parse(f"tcp://localhost:{port}"))


@both_loops
async def test_an_end_that_never_answers_runs_out_of_time(connect: Dial) -> None:
    with black_hole() as port:
        before = open_files()
        with pytest.raises(ConnectError) as caught:
            await connect(parse(f"tcp://127.0.0.1:{port}"), timeout=0.05)
        assert str(caught.value) == (
            f"cannot connect to tcp://127.0.0.1:{port}: no answer from 127.0.0.1:{port} within 0.05 s "
            "(step: connect); packets are dropped on the way: a firewall, or a wrong address"
        )
        assert caught.value.errno == errno.ETIMEDOUT
        if connect is dial:
            assert open_files() == before


async def test_a_socket_that_got_connected_to_itself_is_no_connection(connect: Dial) -> None:
    """With nobody listening, TCP connects a port that calls itself; a retry in a loop finds that sooner or later."""
    with closed_port() as port:
        pass
    with pytest.raises(ConnectError, match=f"nothing listens on 127.0.0.1:{port}"):
        await connect(parse(f"tcp://127.0.0.1:{port}"), local=("127.0.0.1", port))


UNIX_CASES = [
    ("unix", "nothing", "there is no unix:{}"),
    ("unix", "file", "unix:{} is not a socket"),
    ("unix", "file/below", "there is no unix:{}: a part of the path is not a directory"),
    ("unix", "dead", "nothing listens on unix:{} any more"),
    ("unix", "packets", "unix:{} is a socket of another type"),
    ("unix+seqpacket", "stream", "unix:{} is a socket of another type"),
    ("unix+dgram", "stream", "unix:{} is a socket of another type"),
    ("unix+dgram", "dead", "unix:{} is a socket of another type"),
    ("unix", "@nobody", "nothing listens on unix:{}"),
]


@pytest.mark.parametrize(("scheme", "name", "problem"), UNIX_CASES)
async def test_what_is_wrong_with_a_unix_path_is_told(
    scheme: str, name: str, problem: str, connect: Dial, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "dead"))
    path = f"@{tmp_path}/nobody" if name == "@nobody" else str(tmp_path / name)
    if (scheme, name) == ("unix+dgram", "dead"):
        problem = "nothing listens on unix:{} any more"
    with bind(parse(f"unix+seqpacket://{tmp_path}/packets")), bind(parse(f"unix://{tmp_path}/stream")):
        with pytest.raises(ConnectError) as caught:
            await connect(parse(f"{scheme}://{path}"))
    assert caught.value.problem == problem.format(path)


async def test_a_path_that_is_too_long_is_told(connect: Dial) -> None:
    with pytest.raises(ConnectError, match="is too long"):
        await connect(Address(scheme="unix", path="/" + "x" * 200))


@both_loops
async def test_a_unix_server_with_a_full_backlog_is_waited_for(connect: Dial, tmp_path: Path) -> None:
    """The kernel says "again" and gives no event: that is neither a connection nor a refusal."""
    with bind(address("path", tmp_path), options=SocketOptions(backlog=0)) as bound:
        first = await connect(bound.address)
        with pytest.raises(ConnectError) as caught:
            await connect(bound.address, timeout=0.05)
        assert caught.value.problem == f"no answer from {bound.names[0]} within 0.05 s"
        assert caught.value.remedy == "the server accepts nobody: it is stuck or overloaded"
        second = asyncio.ensure_future(connect(bound.address, timeout=20))
        await asyncio.sleep(0)
        bound.sockets[0].accept()[0].close()
        (await second).close()
        first.close()


# Names.


async def test_a_name_that_is_not_known_fails_in_its_step(connect: Dial) -> None:
    def unknown(*_: object) -> list[Candidate]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.raises(ConnectError) as caught:
        await connect(parse("tcp://nowhere.example:1"), lookup=unknown)
    assert str(caught.value) == (
        "cannot connect to tcp://nowhere.example:1: the name nowhere.example is not known (step: resolve); "
        "check its spelling"
    )
    assert isinstance(caught.value.__cause__, socket.gaierror)


async def test_a_zone_that_does_not_exist_fails_in_that_step_too(connect: Dial) -> None:
    with pytest.raises(ConnectError, match=r"the name fe80::1%nosuch0 is not known \(step: resolve\)"):
        await connect(parse("tcp://[fe80::1%nosuch0]:1"))


@both_loops
async def test_a_lookup_has_the_same_deadline(connect: Dial) -> None:
    over = threading.Event()

    def slow(*_: object) -> list[Candidate]:
        over.wait()
        return []

    with pytest.raises(ConnectError) as caught:
        await connect(parse("tcp://slow.example:1"), timeout=0.02, lookup=slow)
    over.set()
    assert caught.value.step == "resolve"
    assert caught.value.problem == "the name slow.example could not be looked up in time"
    assert caught.value.errno == errno.ETIMEDOUT


async def test_a_lookup_gets_the_pinned_family(connect: Dial, tmp_path: Path) -> None:
    asked: list[tuple[object, ...]] = []

    def note(*args: object) -> list[Candidate]:
        asked.append(args)
        return [end(bound.address.port)]

    with listening("tcp4", tmp_path) as bound:
        (await connect(parse("tcp4://four.example:5"), lookup=note)).close()
        (await connect(parse("plug://any.example"), lookup=note)).close()
    assert asked == [("four.example", 5, V4, STREAM), ("any.example", 7584, 0, STREAM)]


async def test_a_name_without_any_address_is_an_error(connect: Dial) -> None:
    with pytest.raises(ConnectError) as caught:
        await connect(parse("tcp://empty.example:1"), lookup=lambda *_: [])
    assert caught.value.problem == "the name empty.example has no address of the family asked for"
    assert caught.value.step == "resolve"


def test_a_loop_that_closes_during_a_lookup_is_left_alone() -> None:
    begun, over = threading.Event(), threading.Event()

    def slow(*_: object) -> list[Candidate]:
        begun.set()
        over.wait()
        return []

    async def main() -> None:
        task = asyncio.ensure_future(dial(parse("tcp://slow.example:1"), lookup=slow))
        while not begun.is_set():
            await asyncio.sleep(0)
        task.cancel()

    asyncio.run(main())
    [thread] = [each for each in threading.enumerate() if each.name == "lookup slow.example"]
    over.set()
    thread.join()  # an exception in it would fail the test as a warning


# What cannot be connected to.


@pytest.mark.parametrize(
    ("text", "part"), [("tcp://127.0.0.1:0", "port"), ("plug://*:7584", "host"), ("fd://3", "scheme")]
)
async def test_an_address_for_listeners_is_refused(text: str, part: str, connect: Dial) -> None:
    with pytest.raises(AddressError) as caught:
        await connect(parse(text))
    assert caught.value.part == part


# Cancelling, and running out of files.


@both_loops
async def test_cancelling_closes_every_socket() -> None:
    with black_hole() as one, black_hole() as other:
        before = open_files()
        ends = [end(one), end(other)]
        task = asyncio.ensure_future(dial(parse("tcp://two.example:1"), timeout=20, lookup=lambda *_: ends))
        while open_files() < before + 2:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert open_files() == before


def test_too_many_open_files_are_told() -> None:
    code = """
        import json, resource
        from anyplug.address import Address
        from anyplug.errors import ConnectError
        from anyplug.transport import dial_blocking
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
        try:
            dial_blocking(Address.parse("tcp://127.0.0.1:9"))
        except ConnectError as error:
            print(json.dumps([error.problem, error.remedy, error.errno]))
    """
    problem = ["too many files are open here", "close some, or raise the limit with `ulimit -n`", errno.EMFILE]
    assert run_python(code, measured=False) == problem


def test_what_a_client_sends_over_a_blocking_socket_arrives(tmp_path: Path) -> None:
    with listening("path", tmp_path) as bound, closing(dial_blocking(bound.address)) as sock:
        assert sock.gettimeout() is None
        peer, _ = bound.sockets[0].accept()
        with peer:
            sock.sendall(b"hello")
            assert peer.recv(10) == b"hello"

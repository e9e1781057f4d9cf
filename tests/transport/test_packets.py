"""What is particular to packets; the rest is in the conformance suite."""

from __future__ import annotations

import asyncio
import socket
from errno import ECONNREFUSED, ENOBUFS, EPIPE
from typing import TYPE_CHECKING, Any

import pytest

from anyplug.errors import EncodeError, TooLarge
from anyplug.transport import PACKET_MAX, PacketTransport
from anyplug.transport.packets import BATCH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

both_loops = pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"])

Pair = tuple[socket.socket, socket.socket]


class Recorder(asyncio.Protocol):
    """Remembers what it is told."""

    def __init__(self, *, keep_open: bool = False) -> None:
        self.packets: list[bytes] = []
        self.calls: list[str] = []
        self.error: Exception | None = None
        self.keep_open = keep_open
        self.transport: asyncio.BaseTransport | None = None
        self.then: Callable[[], object] = lambda: None
        self._news = asyncio.Event()

    def _note(self, call: str) -> None:
        self.calls.append(call)
        self._news.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._note("made")

    def data_received(self, data: bytes) -> None:
        self.packets.append(data)
        self._note("data")
        self.then()

    def eof_received(self) -> bool:
        self._note("eof")
        return self.keep_open

    def connection_lost(self, exc: Exception | None) -> None:
        self.error = exc
        self._note("lost")

    def pause_writing(self) -> None:
        self._note("pause")

    def resume_writing(self) -> None:
        self._note("resume")

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._news.clear()
            await self._news.wait()

    async def lost(self) -> None:
        await self.until(lambda: "lost" in self.calls)


def connected(kind: int, family: int = socket.AF_UNIX) -> Pair:
    one, other = socket.socketpair(family, kind)
    one.setblocking(False)
    other.setblocking(False)
    return one, other


@pytest.fixture
def pair() -> Iterator[Pair]:
    one, other = connected(socket.SOCK_SEQPACKET)
    with one, other:
        yield one, other


@pytest.fixture(params=[socket.SOCK_SEQPACKET, socket.SOCK_DGRAM], ids=["seqpacket", "dgram"])
def any_pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    one, other = connected(request.param)
    with one, other:
        yield one, other


async def over(sock: socket.socket, protocol: Recorder) -> PacketTransport:
    transport = PacketTransport(asyncio.get_running_loop(), sock, protocol)
    await protocol.until(lambda: "made" in protocol.calls)
    return transport


@both_loops
async def test_it_reads_many_packets_a_wake_but_not_for_ever(any_pair: Pair) -> None:
    """Between two batches the loop serves others."""
    sock, peer = any_pair
    recorder = Recorder()
    sent = []
    for number in range(BATCH + 10):
        try:
            peer.send(b"%d" % number)
        except BlockingIOError:
            break
        sent.append(b"%d" % number)
    seen: list[int] = []
    recorder.then = lambda: asyncio.get_running_loop().call_soon(lambda: seen.append(len(recorder.packets)))
    transport = await over(sock, recorder)
    await recorder.until(lambda: len(recorder.packets) == len(sent))
    assert recorder.packets == sent
    if len(sent) > BATCH:
        assert min(seen) <= BATCH
    transport.abort()
    await recorder.lost()


@both_loops
async def test_an_empty_packet_is_refused_where_it_would_mean_the_end(pair: Pair) -> None:
    recorder = Recorder()
    transport = await over(pair[0], recorder)
    with pytest.raises(EncodeError, match="it is empty, which here means the end; send at least one byte"):
        transport.write(b"")
    transport.write(b"x")
    assert pair[1].recv(10) == b"x"
    transport.abort()
    await recorder.lost()


@both_loops
async def test_an_empty_datagram_is_a_message() -> None:
    sock, peer = connected(socket.SOCK_DGRAM)
    recorder = Recorder()
    transport = await over(sock, recorder)
    transport.write(b"")
    assert peer.recv(10) == b""
    peer.send(b"")
    peer.send(b"x")
    await recorder.until(lambda: len(recorder.packets) == 2)
    assert recorder.packets == [b"", b"x"]
    transport.abort()
    await recorder.lost()
    peer.close()


@both_loops
async def test_a_packet_above_the_largest_breaks_the_connection(pair: Pair) -> None:
    """The kernel would cut it off silently."""
    sock, peer = pair
    try:
        peer.setsockopt(socket.SOL_SOCKET, getattr(socket, "SO_SNDBUFFORCE", 32), 4 * PACKET_MAX)
    except PermissionError:
        pytest.skip("only a privileged program can send packets so large")
    recorder = Recorder()
    peer.send(bytes(PACKET_MAX))
    transport = await over(sock, recorder)
    await recorder.until(lambda: recorder.packets != [])
    assert recorder.packets == [bytes(PACKET_MAX)]
    peer.send(bytes(PACKET_MAX + 1))
    await recorder.lost()
    assert isinstance(recorder.error, TooLarge)
    assert "packet too large" in str(recorder.error)
    assert len(recorder.packets) == 1
    assert transport.is_closing()


@both_loops
async def test_what_a_peer_sent_before_it_closed_on_us_still_arrives(pair: Pair) -> None:
    """It closed with packets of ours unread, which is a reset; its own packets are behind that in the kernel."""
    sock, peer = pair
    peer.send(b"an answer")
    peer.send(b"another")
    sock.send(b"never read")
    peer.close()
    recorder = Recorder()
    await over(sock, recorder)
    await recorder.lost()
    assert recorder.packets == [b"an answer", b"another"]
    assert isinstance(recorder.error, ConnectionResetError)
    assert "eof" not in recorder.calls


class Resetting(socket.socket):
    """A socket whose reading says that the connection was reset, for ever."""

    def recv_into(self, *args: Any) -> int:
        raise ConnectionResetError(104, "reset")


@both_loops
@pytest.mark.parametrize("kind", [socket.SOCK_SEQPACKET, socket.SOCK_DGRAM])
async def test_a_reset_that_stays_ends_the_connection(kind: int) -> None:
    one, other = connected(kind)
    with other, Resetting(fileno=one.detach()) as sock:
        other.send(b"x")
        recorder = Recorder()
        await over(sock, recorder)
        await recorder.lost()
        assert isinstance(recorder.error, ConnectionResetError)


@both_loops
async def test_writing_to_a_peer_that_is_gone_ends_the_connection(pair: Pair) -> None:
    recorder = Recorder(keep_open=True)
    transport = await over(pair[0], recorder)
    pair[1].close()
    await recorder.until(lambda: "eof" in recorder.calls)
    assert not transport.is_reading()
    transport.resume_reading()
    transport.write(b"x")
    await recorder.lost()
    assert isinstance(recorder.error, BrokenPipeError)
    assert recorder.calls.count("eof") == 1


@both_loops
async def test_the_end_is_sent_behind_what_waits(pair: Pair) -> None:
    sock, peer = pair
    recorder = Recorder()
    transport = await over(sock, recorder)
    sent = 0
    while "pause" not in recorder.calls:
        transport.write(b"x" * 1000)
        sent += 1
    transport.write_eof()
    transport.write_eof()
    with pytest.raises(RuntimeError, match="write after write_eof"):
        transport.write(b"y")
    loop = asyncio.get_running_loop()
    received = 0
    while await loop.sock_recv(peer, 2000):
        received += 1
    assert received == sent
    assert "lost" not in recorder.calls
    peer.send(b"an answer")
    await recorder.until(lambda: recorder.packets == [b"an answer"])
    peer.close()
    await recorder.lost()
    assert recorder.error is None


@both_loops
async def test_a_packet_does_not_overtake_those_that_wait(pair: Pair) -> None:
    sock, peer = pair
    recorder = Recorder()
    transport = await over(sock, recorder)
    sent = 0
    while "pause" not in recorder.calls:
        transport.write(b"%d" % sent * 1000)
        sent += 1
    assert peer.recv(10000) == b"0" * 1000  # there is room now, and packets that have waited longer
    transport.write(b"last")
    loop = asyncio.get_running_loop()
    received = [await loop.sock_recv(peer, 10000) for _ in range(sent)]
    assert received == [*(b"%d" % number * 1000 for number in range(1, sent)), b"last"]
    assert not loop.remove_writer(sock)  # nothing waits: nobody waits for room
    transport.abort()
    await recorder.lost()


@both_loops
async def test_what_is_written_after_close_is_not_sent(pair: Pair) -> None:
    recorder = Recorder()
    transport = await over(pair[0], recorder)
    transport.write(b"before")
    transport.close()
    transport.write(b"after")
    await recorder.lost()
    assert pair[1].recv(10) == b"before"
    assert pair[1].recv(10) == b""


@both_loops
async def test_connected_udp_that_nobody_hears_is_lost() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.bind(("127.0.0.1", 0))
        where = gone.getsockname()
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.connect(where)
    recorder = Recorder()
    transport = await over(sock, recorder)
    assert transport.get_extra_info("packet_max") == 65507
    assert transport.get_extra_info("peername") == where
    transport.write(b"anybody?")
    await recorder.lost()
    assert isinstance(recorder.error, ConnectionRefusedError)
    assert recorder.error.errno == ECONNREFUSED


class Moody(socket.socket):
    """A socket whose `send` fails as often as it is told to."""

    moods: list[int]

    def send(self, data: object, flags: int = 0) -> int:
        if self.moods:
            raise OSError(self.moods.pop(0), "moody")
        return super().send(data, flags)  # type: ignore[arg-type]


def moody(sock: socket.socket, moods: list[int]) -> Moody:
    found = Moody(fileno=sock.detach())
    found.setblocking(False)
    found.moods = moods
    return found


@both_loops
@pytest.mark.parametrize("then", ["open", "close"])
async def test_without_memory_for_a_packet_it_is_tried_again(then: str, pair: Pair) -> None:
    recorder = Recorder()
    transport = await over(moody(pair[0], [ENOBUFS, ENOBUFS]), recorder)
    transport.write(b"one")
    transport.write(b"two")
    assert transport.get_write_buffer_size() == 6
    if then == "close":
        transport.close()
    loop = asyncio.get_running_loop()
    assert [await loop.sock_recv(pair[1], 10) for _ in range(2)] == [b"one", b"two"]
    assert transport.get_write_buffer_size() == 0
    transport.abort()
    await recorder.lost()


@both_loops
async def test_an_error_while_packets_wait_ends_the_connection(pair: Pair) -> None:
    recorder = Recorder()
    transport = await over(moody(pair[0], [ENOBUFS, EPIPE]), recorder)
    transport.write(b"one")
    transport.write(b"two")
    await recorder.lost()
    assert isinstance(recorder.error, BrokenPipeError)
    assert transport.get_write_buffer_size() == 0


@both_loops
async def test_an_abort_while_waiting_for_memory_leaves_nothing_behind(pair: Pair) -> None:
    recorder = Recorder()
    transport = await over(moody(pair[0], [ENOBUFS]), recorder)
    transport.write(b"one")
    transport.abort()
    await recorder.lost()
    assert recorder.error is None


@both_loops
async def test_a_pause_or_an_end_from_the_callback_holds_at_once(pair: Pair) -> None:
    sock, peer = pair
    recorder = Recorder()
    for number in range(4):
        peer.send(b"%d" % number)
    transport = PacketTransport(asyncio.get_running_loop(), sock, recorder)
    recorder.then = transport.pause_reading
    await recorder.until(lambda: recorder.packets == [b"0"])
    transport.resume_reading()
    await recorder.until(lambda: recorder.packets == [b"0", b"1"])
    recorder.then = transport.close
    transport.resume_reading()
    await recorder.lost()
    assert recorder.packets == [b"0", b"1", b"2"]


@both_loops
async def test_reading_can_be_paused_before_it_begins_and_a_closed_one_never_begins(pair: Pair) -> None:
    recorder = Recorder()
    pair[1].send(b"early")
    transport = PacketTransport(asyncio.get_running_loop(), pair[0], recorder)
    transport.pause_reading()
    await recorder.until(lambda: "made" in recorder.calls)
    await asyncio.sleep(0)
    assert recorder.packets == []
    transport.resume_reading()
    await recorder.until(lambda: recorder.packets == [b"early"])
    transport.abort()
    await recorder.lost()


@both_loops
async def test_the_limits_of_the_write_buffer(pair: Pair) -> None:
    recorder = Recorder()
    transport = await over(pair[0], recorder)
    assert transport.get_write_buffer_limits() == (16384, 65536)
    for given, expected in (((1000, 10), (10, 1000)), ((1000, None), (250, 1000)), ((None, 10), (10, 40))):
        transport.set_write_buffer_limits(*given)
        assert transport.get_write_buffer_limits() == expected
    transport.set_write_buffer_limits()
    assert transport.get_write_buffer_limits() == (16384, 65536)
    for high, low in ((1, 2), (1, -1)):
        with pytest.raises(ValueError, match="must be at least"):
            transport.set_write_buffer_limits(high, low)
    transport.abort()
    await recorder.lost()


@both_loops
async def test_another_protocol_can_take_over(pair: Pair) -> None:
    first, second = Recorder(), Recorder()
    transport = await over(pair[0], first)
    transport.set_protocol(second)
    assert transport.get_protocol() is second
    pair[1].send(b"for the second")
    await second.until(lambda: second.packets == [b"for the second"])
    assert repr(transport) == "<PacketTransport open queued=0>"
    transport.close()
    assert "closed" in repr(transport)
    await second.lost()
    assert first.packets == []


@both_loops
async def test_a_socket_without_a_peer_has_no_peername() -> None:
    one, other = connected(socket.SOCK_DGRAM)
    other.close()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as unconnected:
        unconnected.setblocking(False)
        recorder = Recorder()
        transport = await over(unconnected, recorder)
        assert transport.get_extra_info("peername") is None
        transport.abort()
        await recorder.lost()
    one.close()

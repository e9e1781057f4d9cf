"""The plug session: the native protocol, both roles, over `frames`, `parts` and the table of `states`.

The client says preface and HELLO; the server answers preface and WELCOME or REFUSED; then both talk. Payloads of DATA
are bodies as they are. REQUEST and REPLY begin with the request's id (u32, not 0), POST with its sequence (u64, not 0).
PING is answered with PONG by the session itself. BYE is the last frame of its sender. A server that hears it may still
finish what it was asked; a client that hears it answers BYE at once, for the server listens no more. Whoever breaks the
protocol is told why in a BYE and is not listened to any more.

Rule: a run of DATA, REQUEST, REPLY or POST frames is handled at once; every other kind is handled frame by frame, since
it may change the state. What is whole before a fault is reported before it, however the stream was cut.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from anyplug.errors import AnyplugError, Broken, Code, ProtocolError
from anyplug.messages import Data, Ended, Fault, Hello, Posts, Refusal, Requests, Welcome
from anyplug.wire.frames import HEADER, PREFACE, FrameDecoder, Kind, encode_frame
from anyplug.wire.parts import Assembly
from anyplug.wire.readers import READERS, VERSION, decode, read_content, read_numbered
from anyplug.wire.sender import PlugSender
from anyplug.wire.states import TAKES, Role, State

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyplug.limits import Limits
    from anyplug.wire.arriving import Buffers
    from anyplug.wire.frames import Run

__all__ = ["VERSION", "PlugSession"]

T = TypeVar("T")

_DATA, _REQUEST, _REPLY, _CONTENT = int(Kind.DATA), int(Kind.REQUEST), int(Kind.REPLY), int(Kind.CONTENT)
_POST = int(Kind.POST)
_OPEN = State.OPEN  # a member looked up on its class costs more than the rest of the test
_MESSAGES = frozenset({Kind.DATA, Kind.REQUEST, Kind.REPLY, Kind.POST})
_AMONG_PARTS = frozenset({Kind.PING, Kind.PONG, Kind.ERROR, Kind.ACK, Kind.NACK, Kind.PART}) | _MESSAGES
_CUT = {
    State.PREFACE: "before the end of the preface",
    State.HELLO: "before its HELLO",
    State.VERDICT: "before its HELLO was answered",
    State.ANSWER: "before it answered HELLO",
    State.OPEN: "without a BYE",
}


class PlugSession(PlugSender):
    """One end of a plug connection.

    Args:
        role: client or server. A client says `send_hello` first; a server answers the `Hello` event with
            `send_welcome` or `send_refused`.
        limits: the bounds of this side.
    """

    __slots__ = ("_assembly", "_decoder", "_farewell", "_preface")

    def __init__(self, role: Role, limits: Limits) -> None:
        super().__init__(role, limits)
        self._preface: bytes | None = b""  # as far as it came; None once it is whole
        self._decoder = FrameDecoder(limits.message)
        self._assembly: Assembly | None = None
        self._farewell = b""  # the last frame after a fault; what is still said goes before it

    @property
    def pending(self) -> int:
        """Bytes held of a message that is not whole yet; 0 once the peer has ended."""
        held = self._decoder.pending + len(self._preface or b"")
        return held + self._assembly.size if self._assembly is not None else held

    def receive_data(self, data: bytes) -> None:
        """Take the next bytes. After BYE, REFUSED or a fault they are dropped."""
        self.received += len(data)
        if not self.receiving:
            return
        if self._preface is not None:
            data = self._read_preface(self._preface, data)
        self._receive(self._decoder.feed, data)

    @property
    def room(self) -> memoryview | None:
        """As `Session.room`."""
        return self._decoder.room

    def receive_filled(self, count: int) -> None:
        """As `Session.receive_filled`."""
        self.received += count
        if self.receiving:
            self._receive(self._decoder.filled, count)

    def lend(self, buffers: Buffers) -> None:
        """Chunks of files may be put here from now on."""
        self._decoder.buffers = buffers

    def _receive(self, take: Callable[[T], list[Run]], what: T) -> None:
        try:
            for kind, payloads in take(what):
                if not self._receive_run(kind, payloads):
                    return
        except ProtocolError as error:
            self._fail(error)
        else:
            if self._decoder.error is not None:
                self._fail(self._decoder.error)

    def receive_messages(self, data: bytes) -> list[bytes]:
        """The same. A message that comes alone and whole, as most do, goes the short way, and so do whole posts of one
        size; all else goes the long one.
        """
        if self.state is _OPEN and self._assembly is None:
            kind = self._decoder.whole(data)
            if kind == _DATA:
                self.received += len(data)
                self.batches += 1
                return [data[HEADER.size :]]
            if kind == _REQUEST and kind in self._takes:
                item = read_numbered(data)
                if item is not None:
                    self.received += len(data)
                    self.batches += 1
                    self.happened.append(Requests([item]))
                    return []
            if _POST in self._takes and (items := self._decoder.posts(data)) is not None:
                self.received += len(data)
                self.batches += 1
                self.happened.append(Posts(items))
                return []
        self.receive_data(data)
        return []

    def receive_answer(self, data: bytes) -> tuple[int, bytes] | None:
        """The id and the body of a REPLY that comes alone and whole; None where it is anything else."""
        if _REPLY not in self._takes or self._assembly is not None or self._decoder.whole(data) != _REPLY:
            return None
        answer = read_numbered(data)
        if answer is not None:
            self.received += len(data)
            self.batches += 1
        return answer

    def receive_eof(self) -> None:
        """The stream has ended. Without a BYE before it this is `Broken`: the native protocol always says goodbye."""
        if not self.receiving:
            return
        inside = self.state is State.OPEN and (self.pending or self._assembly is not None)
        where = "inside a message" if inside else _CUT[self.state]
        self._stop(Broken(f"the peer closed the stream {where}"))

    def _read_preface(self, had: bytes, data: bytes) -> bytes:
        """Take what belongs to the preface; returns the rest."""
        missing = len(PREFACE) - len(had)
        have = had + data[:missing]
        if not PREFACE.startswith(have):
            found = (had + data)[:32]  # nothing is said to it: what it speaks is not known
            self._stop(ProtocolError(f"the peer does not speak the plug protocol: it sent {found!r}"))
            return b""
        if len(have) < len(PREFACE):
            self._preface = have
            return b""
        self._preface = None
        self._enter(State.HELLO if self.role is Role.SERVER else State.ANSWER)
        return data[missing:]

    def _receive_run(self, kind: int, payloads: list[bytes]) -> bool:
        """Take neighbouring frames of one kind; False when nothing after them counts any more."""
        row = self._takes.get(kind)
        if row is None:
            raise _out_of_place(self, kind)
        if kind == _CONTENT:
            if self._assembly is not None:
                raise _out_of_place(self, kind)
            content = read_content(payloads)
            self.batches += 1
            self.happened.append(content)
            return True
        reader = _READERS[row.reader]
        if kind in _MESSAGES:
            self.batches += 1
            if self._assembly is not None:
                assembly, self._assembly = self._assembly, None
                payloads[0] = assembly.finish(kind, payloads[0])
            reader(self, payloads)
            return True
        for payload in payloads:
            if self._takes.get(kind) is not row or (self._assembly is not None and kind not in _AMONG_PARTS):
                raise _out_of_place(self, kind)
            if row.next is not self.state:
                self._enter(row.next)
            reader(self, [payload])
            if not self.receiving:
                break
        return self.receiving

    # The readers that the rows of the table name.

    def _read_hello(self, payloads: list[bytes]) -> None:
        hello = decode(Hello, payloads[0], Kind.HELLO)
        self._agree(hello.message)
        self.happened.append(hello)

    def _read_welcome(self, payloads: list[bytes]) -> None:
        welcome = decode(Welcome, payloads[0], Kind.WELCOME)
        self._agree(welcome.message)
        self._open(State.OPEN)
        self.happened.append(welcome)

    def _read_refused(self, payloads: list[bytes]) -> None:
        refusal = decode(Refusal, payloads[0], Kind.REFUSED)
        self.sending = False
        self._why = (refusal.reason, "the peer has refused it")
        self._end()
        self.happened.append(refusal)

    def _read_data(self, payloads: list[bytes]) -> None:
        self.happened.append(Data(payloads))

    def _read_parts(self, payloads: list[bytes]) -> None:
        if self._assembly is None:
            self._assembly = Assembly(self._limits)
        self._assembly.add(payloads[0])

    def _read_pings(self, payloads: list[bytes]) -> None:
        # A peer that does not read what is said to it needs no PONG, and must not be able to pile them up.
        if self.sending and self.queued < self._limits.queue:
            self._put(encode_frame(Kind.PONG, payloads[0]))

    def _read_bye(self, payloads: list[bytes]) -> None:
        refusal = decode(Refusal, payloads[0], Kind.BYE)
        if self.role is Role.CLIENT:
            self.send_eof()
        self._end()
        self.happened.append(Ended(refusal))

    # The end.

    def data_to_send(self) -> bytes:
        """The bytes to put on the network now. After a fault its reason is the last of them; nothing is said then."""
        if self._farewell:
            self._out.append(self._farewell)
            self._farewell = b""
            self.sending = False
        return super().data_to_send()

    def send_eof(self, code: Code = Code.OK, text: str = "") -> None:
        """BYE: this side sends no more. After a fault its reason is said already."""
        if not self._farewell:
            super().send_eof(code, text)

    # Inside.

    def _agree(self, theirs: int) -> None:
        if theirs > 0:
            self.peer_limit = min(self._limits.message, theirs)

    def _fail(self, error: ProtocolError) -> None:
        """The peer broke the protocol: hear it no more, and tell it why, behind the answers to what came before."""
        before = len(self._out)
        self.send_eof(error.code, str(error))
        if self.opened:
            self._farewell = b"".join(self._out[before:])
            del self._out[before:]
        self._stop(error.with_traceback(None))
        self.sending = bool(self._farewell)

    def _stop(self, error: AnyplugError) -> None:
        self.sending = False
        self._why = (error.code, f"it has failed: {error}")
        self._enter(State.FAULTY)
        self._end()
        self.happened.append(Fault(error))

    def _end(self) -> None:
        """The peer is heard no more; what is held of it will never be whole."""
        super()._end()
        self._preface = None
        self._assembly = None
        self._decoder.drop()


def _out_of_place(session: PlugSession, kind: int) -> ProtocolError:
    found, takes = f"a {Kind(kind).name} frame", TAKES[session.role][session.state]
    if kind in takes:
        return ProtocolError(f"{found} between the parts of a message")
    expected = ", ".join(Kind(each).name for each in takes) or "nothing yet"
    where = f"in the state {session.state.value!r} of a {session.role.value}"
    return ProtocolError(f"{found} {where}, expected {expected}")


def _reporting(name: str) -> Callable[[PlugSession, list[bytes]], None]:
    """A reader that reports an event and changes nothing else."""
    read = READERS[name]

    def report(session: PlugSession, payloads: list[bytes]) -> None:
        event, fault = read(payloads)
        if event is not None:
            session.happened.append(event)
        if fault is not None:
            raise fault

    return report


_READERS: dict[str, Callable[[PlugSession, list[bytes]], None]] = {
    "hello": PlugSession._read_hello,
    "welcome": PlugSession._read_welcome,
    "refused": PlugSession._read_refused,
    "data": PlugSession._read_data,
    "parts": PlugSession._read_parts,
    "pings": PlugSession._read_pings,
    "bye": PlugSession._read_bye,
    **{name: _reporting(name) for name in READERS},
}
"""The readers that the rows of the table name."""

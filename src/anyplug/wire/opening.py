"""A client's opening: HELLO has been said, and something comes back, or nothing.

What comes back may be anything, since an address can be wrong: a web server, a mail server, silence. `Opening` tells from the first bytes
what the peer probably is, and makes one `ConnectError` of it that says what to try instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyplug.errors import AnyplugError, Broken, ConnectError, ProtocolError, Refused
from anyplug.escape import escape_bytes
from anyplug.messages import Fault, Refusal, Welcome
from anyplug.wire.frames import PREFACE

if TYPE_CHECKING:
    from anyplug.messages import Event, Hello
    from anyplug.wire.session import Session

__all__ = ["Opening", "describe"]

_KEPT = 64
"""First bytes of the peer that are kept for the error, bytes."""

_SHOWN = 48
"""The most characters of them that the error shows."""

_SIGNS: tuple[tuple[bytes, str, str], ...] = (
    (b"HTTP/", "a web server (HTTP)", "use a browser or curl, or name the port of the plug listener"),
    (b"SSH-", "an SSH server", "name the port of the plug listener"),
    (b"\x15\x03", "a TLS server", "use plugs:// instead of plug://"),
    (b"\x16\x03", "a TLS client or server", "use plugs:// instead of plug://"),
    (b"220", "a mail or FTP server", "name the port of the plug listener"),
    (b"* OK", "a mail server (IMAP)", "name the port of the plug listener"),
    (b"+OK", "a mail server (POP3)", "name the port of the plug listener"),
    (b"-ERR", "a Redis or mail server", "name the port of the plug listener"),
    (b"RFB ", "a VNC server", "name the port of the plug listener"),
    (b"INFO {", "a NATS server", "name the port of the plug listener"),
    (b"AMQP", "an AMQP broker", "name the port of the plug listener"),
    (PREFACE, "a plug peer of another version", "use the same version of Anyplug at both ends"),
    (PREFACE[1:], "a plug listener behind a link that strips bytes", "use a link that passes bytes unchanged"),
)
"""How a stranger's first bytes begin, what it is then, and what to do."""


def describe(first: bytes) -> tuple[str, str]:
    """What a peer probably is that begins with these bytes, and what to try instead."""
    for sign, what, remedy in _SIGNS:
        if first.startswith(sign):
            return what, remedy
    head = first.lstrip()[:1]
    if head == b"<":
        return "a web server (HTML)", "use a browser or curl, or name the port of the plug listener"
    if first.isascii() and first.replace(b"\n", b"").replace(b"\r", b"").replace(b"\t", b"").decode().isprintable():
        return "a plain service", "use tcp:// for a service of plain text, or name the port of the plug listener"
    return "not known here", "name the address of a plug listener, or use tcp:// for a plain service"


class Opening:
    """The handshake of one client connection.

    Args:
        session: the session that has said HELLO.
        hello: what it said.
        address: where to, for errors.
    """

    __slots__ = ("_address", "_first", "_hello", "_session", "rest")

    def __init__(self, session: Session, hello: Hello, address: str) -> None:
        self._session = session
        self._hello = hello
        self._address = address
        self._first = b""
        self.rest: list[Event] = []
        """Events that came right behind the welcome; they belong to the conversation."""

    def receive_data(self, data: bytes) -> Welcome | None:
        """Take the next bytes; returns the welcome once it is there.

        Raises:
            Refused: the server says no, and why.
            ConnectError: what came is no answer to HELLO.
        """
        if len(self._first) < _KEPT:
            self._first += data[:_KEPT]
        self._session.receive_data(data)
        return self._verdict()

    def receive_eof(self) -> None:
        """The peer has closed.

        Raises:
            ConnectError: always: there was no answer.
        """
        self._session.receive_eof()
        raise self.cut("the peer closed the connection")

    def cut(self, how: str) -> ConnectError:
        """The error for a stream that ended or broke before the answer came."""
        if not self._first:
            remedy = "the peer may not speak the plug protocol (use tcp:// for a plain service), or may be overloaded"
            return self._error(f"{how} without an answer", remedy)
        return self._error(f"{how} in the middle of its answer, after {self._quoted()}", "try again")

    def timed_out(self, seconds: float) -> ConnectError:
        """The error for a peer that does not answer in time."""
        if not self._first:
            remedy = "the peer may be a plain service that waits for text (use tcp://), or may be overloaded"
            return self._error(f"connected, but nothing came for {seconds:g} s", remedy)
        return self._error(
            f"no whole answer within {seconds:g} s, only {self._quoted()}", "try again with a longer timeout"
        )

    def _verdict(self) -> Welcome | None:
        events = self._session.events()
        if not events:
            return None
        answer, self.rest = events[0], events[1:]
        if isinstance(answer, Welcome):
            self._check(answer)
            return answer
        if isinstance(answer, Refusal):
            raise Refused(answer.reason, answer.text)
        error = answer.error if isinstance(answer, Fault) else ProtocolError(f"{type(answer).__name__} before WELCOME")
        raise self._stranger(error) from error

    def _check(self, welcome: Welcome) -> None:
        if welcome.codec != self._hello.codec:
            found, asked = escape_bytes(welcome.codec.encode(), limit=_SHOWN), self._hello.codec
            raise self._error(f"the server answers in codec {found!r}, asked for was {asked!r}", f"use codec={found!r}")

    def _stranger(self, error: AnyplugError) -> ConnectError:
        first = self._first
        if first.startswith(PREFACE) and not isinstance(error, Broken):
            return self._error(
                f"the answer breaks the plug protocol: {error}", "use the same version of Anyplug at both ends"
            )
        what, remedy = describe(first)
        return self._error(f"the peer does not speak the plug protocol: it sent {self._quoted()}; it is {what}", remedy)

    def _quoted(self) -> str:
        more = "…" if len(self._first) >= _KEPT else ""
        return f"'{escape_bytes(self._first, limit=_SHOWN)}{more}'"

    def _error(self, problem: str, remedy: str) -> ConnectError:
        return ConnectError(self._address, step="handshake", problem=problem, remedy=remedy)

"""What went wrong between a connected stream and an open conversation, in a sentence with its remedy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyplug.errors import AnyplugError, Broken, ConnectError, ConnectionClosed, ProtocolError

if TYPE_CHECKING:
    from anyplug.messages import Welcome

__all__ = ["check_codec", "handshake_error"]

_OTHERS = (
    ("b'HTTP/", "an HTTP server answers there; is the port right?"),
    ("b'SSH-", "an SSH server answers there; is the port right?"),
    ("b'220 ", "a mail or FTP server answers there; is the port right?"),
    ("b'\\x15\\x03", "a TLS server answers there; try plugs://"),
    ("b'\\x16\\x03", "a TLS server answers there; try plugs://"),
)
"""How others begin, as a `ProtocolError` of the preface shows it, and what to try then."""

_PLAIN = "if the server is no Anyplug server, use tcp:// with the right --framing"


def check_codec(welcome: Welcome, asked: str, address: str) -> None:
    """Refuse a server that answers in another codec than it was asked for.

    Raises:
        ConnectError: it does.
    """
    if welcome.codec != asked:
        problem = f"the server answers in codec {welcome.codec!r}, asked for was {asked!r}"
        raise ConnectError(address, step="handshake", problem=problem, remedy=f"connect with codec={welcome.codec!r}")


def handshake_error(address: str, error: BaseException, seconds: float) -> ConnectError:
    """The error to raise when HELLO got no WELCOME.

    Args:
        address: where to.
        error: what happened: a fault of the session, its end, or a time-out.
        seconds: how long was waited.
    """
    if isinstance(error, ProtocolError):
        remedy = next((remedy for mark, remedy in _OTHERS if mark in error.problem), _PLAIN)
        return ConnectError(address, step="handshake", problem=error.problem, remedy=remedy)
    if isinstance(error, (ConnectionClosed, Broken)):
        problem = f"the server took the connection and ended it before it answered ({error})"
        return ConnectError(address, step="handshake", problem=problem, remedy=f"look at the server's log; {_PLAIN}")
    if isinstance(error, AnyplugError):
        return ConnectError(address, step="handshake", problem=str(error), remedy=_PLAIN)
    problem = f"something took the connection and said nothing within {seconds:g} s"
    return ConnectError(address, step="handshake", problem=problem, remedy=f"the server may be overloaded; {_PLAIN}")

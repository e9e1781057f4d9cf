"""What went wrong before a conversation was open: the whole sentence for each case."""

from __future__ import annotations

import pytest

from anyplug import Broken, ConnectError, ConnectionClosed, LocalError, ProtocolError
from anyplug.transport.handshake import handshake_error

NOT = "the peer does not speak the plug protocol: it sent "
PLAIN = "if the server is no Anyplug server, use tcp:// with the right --framing"
HEAD = "cannot connect to plug://h:1: "

STEP = "(step: handshake); "
ENDED = "the server took the connection and ended it before it answered"
OTHER = "answers there; is the port right?"

CASES: list[tuple[BaseException, str]] = [
    (ProtocolError(f"{NOT}b'HTTP/1.1 400'"), f"{NOT}b'HTTP/1.1 400' {STEP}an HTTP server {OTHER}"),
    (ProtocolError(f"{NOT}b'SSH-2.0'"), f"{NOT}b'SSH-2.0' {STEP}an SSH server {OTHER}"),
    (ProtocolError(f"{NOT}b'220 x'"), f"{NOT}b'220 x' {STEP}a mail or FTP server {OTHER}"),
    (ProtocolError(f"{NOT}b'\\x15\\x03'"), f"{NOT}b'\\x15\\x03' {STEP}a TLS server answers there; try plugs://"),
    (ProtocolError(f"{NOT}b'hello'"), f"{NOT}b'hello' {STEP}{PLAIN}"),
    (Broken("reset"), f"{ENDED} (the connection broke: reset) {STEP}look at the server's log; {PLAIN}"),
    (ConnectionClosed(), f"{ENDED} (the connection is closed) {STEP}look at the server's log; {PLAIN}"),
    (LocalError("odd"), f"odd {STEP}{PLAIN}"),
    (
        TimeoutError(),
        f"something took the connection and said nothing within 2.5 s {STEP}the server may be overloaded; {PLAIN}",
    ),
]


@pytest.mark.parametrize(("error", "sentence"), CASES, ids=[str(case[0]) for case in CASES])
def test_each_case_says_what_happened_and_what_to_try(error: BaseException, sentence: str) -> None:
    found = handshake_error("plug://h:1", error, 2.5)
    assert isinstance(found, ConnectError)
    assert found.step == "handshake"
    assert str(found) == HEAD + sentence

"""Errors as the command line tells them: a sentence, what to try next, a stable code, and an exit status.

======================  ======  ====================================================================================
code                    status  what
======================  ======  ====================================================================================
``usage``               2       words or options that do not exist, or do not fit together
``bad_address``         2       an address that cannot be used
``bad_config``          2       a mistake in the configuration file
``cannot_listen``       1       a listener that cannot be opened
``cannot_encode``       1       a value that cannot travel
``connect/STEP``        1, 124  no conversation could be opened; STEP is resolve, connect or handshake
``refused/CODE``        1       the other end said no; CODE is a word of `anyplug.Code`: ``refused/unknown_service``
``protocol``            1       bytes that break the framing or the protocol
``too_large``           1       more than a limit allows
``bad_message``         1       a whole message that is not what was agreed
``closed``              1       the other end ended in order before it had said what it was to say
``broken``              1       the connection ended in the middle
``timeout``             124     a time was over
``nothing_found``       1       `anyplug find` found no server
``no_value``            1       `anyplug shelf` found no value under the key
``changed``             1       `anyplug shelf` found another version than was expected
``file``                1       a file here that cannot be read, or a target here that cannot be written
``integrity``           1       what came is not what was stored or announced
``output``              1       standard output cannot be written to
``failed``              1       anything else
======================  ======  ====================================================================================
"""

from __future__ import annotations

from errno import ETIMEDOUT
from typing import TYPE_CHECKING, Final, NamedTuple

from anyplug.errors import (
    AddressError,
    AnyplugError,
    BindError,
    Broken,
    Code,
    ConfigError,
    ConnectError,
    ConnectionClosed,
    DecodeError,
    EncodeError,
    LocalError,
    ProtocolError,
    Refused,
    Timeout,
)
from anyplug.escape import escape
from anyplug.file_errors import Mismatch, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "FAILURE",
    "INTERRUPTED",
    "OK",
    "PIPE_CLOSED",
    "TIMED_OUT",
    "USAGE",
    "Fault",
    "OutputError",
    "explain",
    "printable",
]

OK: Final = 0
FAILURE: Final = 1
USAGE: Final = 2
TIMED_OUT: Final = 124
"""As of ``timeout`` (GNU coreutils)."""
INTERRUPTED: Final = 130
"""128 and the number of SIGINT, as shells have it."""
PIPE_CLOSED: Final = 141
"""128 and the number of SIGPIPE."""


class OutputError(LocalError):
    """Standard output cannot be written to.

    Attributes:
        problem: what the system says.
    """

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return f"standard output cannot be written to: {self.problem}"


class Fault(NamedTuple):
    """What is told of an error."""

    code: str
    """A stable word for programs."""
    message: str
    """One sentence for people, fit for a terminal."""
    hint: str = ""
    """What to try next, or an empty string."""
    status: int = FAILURE
    """The exit status of a command that fails with it."""


_REFUSED: Final[Mapping[Code, str]] = {
    Code.BUSY: "try again in a while",
    Code.GOING_AWAY: "the server restarts or stops; try again",
    Code.NOT_ALLOWED: "give the server's token with --token-file FILE, or in ANYPLUG_TOKEN",
    Code.UNKNOWN_CODEC: "choose another with --codec",
    Code.BAD_MESSAGE: "a service that wants a number or an object gets it with --parse, which reads TEXT as JSON",
    Code.FAILED: "the server's log has the details",
    Code.STORE_FULL: "free some room on the server's disk, or let it keep less; reading goes on, try again later",
    Code.STORE_FAILED: "the server has to be started again once its disk is mended; its log has the details",
    Code.GAP: "send again from the sequence that is expected",
    Code.CONFLICT: "a producer that was restored from a copy needs a new identity",
    Code.CHANGED: "somebody else was quicker: read the value again, and decide anew",
    Code.BEYOND_END: "leave --from out to read all that is there; --follow waits for more",
    Code.TAKEN_OVER: "another program posts under this identity, or sends this file; let one of them do it",
    Code.NOT_FOUND: "`anyplug ls` shows what is there",
    Code.INTEGRITY: "send it again, once it does not change any more",
}
"""What to try after a refusal."""


def explain(error: AnyplugError) -> Fault:
    """What to tell of an error."""
    for kind in type(error).__mro__:
        if kind is LocalError and kind is not type(error):
            break  # a kind of its own that has no row is no mistake on the command line
        tell = _TELLERS.get(kind)
        if tell is not None:
            return tell(error)
    return Fault("failed", printable(str(error)))


def printable(sentence: str) -> str:
    """A sentence of ours that may hold text of a peer, fit for a terminal.

    Backslashes are left alone: what of the sentence was escaped before is not escaped again.
    """
    return "\\".join(map(escape, sentence.split("\\")))


def _address(error: AddressError) -> Fault:
    bare = AddressError(error.address, part=error.part, found=error.found, expected=error.expected)
    hint = f"did you mean {error.nearest}?" if error.nearest else ""
    return Fault("bad_address", printable(str(bare)), printable(hint), USAGE)


def _connect(error: ConnectError) -> Fault:
    message = f"cannot connect to {error.address}: {error.problem} (step: {error.step})"
    late = error.errno == ETIMEDOUT or isinstance(error.__cause__, TimeoutError)
    status = TIMED_OUT if late else FAILURE
    return Fault(f"connect/{error.step}", printable(message), printable(error.remedy), status)


def _refused(error: Refused) -> Fault:
    message = str(Refused(error.code, escape(error.text)))
    return Fault(f"refused/{error.code.word}", message, _REFUSED.get(error.code, ""))


def _closed(error: ConnectionClosed) -> Fault:
    message = str(ConnectionClosed(error.code, escape(error.text)))
    return Fault("closed", message, _REFUSED.get(error.code, ""))


def _timeout(error: Timeout) -> Fault:
    return Fault("timeout", printable(str(error)), "--timeout SECONDS waits longer", TIMED_OUT)


def _plainly(code: str, status: int = FAILURE) -> Callable[[AnyplugError], Fault]:
    return lambda error: Fault(code, printable(str(error)), status=status)


def _by_code(error: ProtocolError) -> Fault:
    return Fault(error.code.word, printable(str(error)))


_TELLERS: Final[Mapping[type, Callable[..., Fault]]] = {
    AddressError: _address,
    ConfigError: _plainly("bad_config", USAGE),
    BindError: _plainly("cannot_listen"),
    EncodeError: _plainly("cannot_encode"),
    LocalError: _plainly("usage", USAGE),
    OutputError: _plainly("output"),
    SourceError: _plainly("file"),
    Mismatch: _plainly("integrity"),
    ConnectError: _connect,
    Refused: _refused,
    ProtocolError: _by_code,
    DecodeError: _plainly("bad_message"),
    ConnectionClosed: _closed,
    Broken: _plainly("broken"),
    Timeout: _timeout,
}
"""How each kind of error is told; the most derived kind counts, and `LocalError` for nothing derived from it."""

"""Every error Anyplug raises, by whose fault it is.

::

    AnyplugError
    ├── LocalError              you: an argument, a file or a call is wrong; trying again does not help
    │   ├── AddressError        an address that cannot be used (also a ``ValueError``)
    │   ├── ConfigError         a mistake in the configuration file
    │   ├── EncodeError         a value that cannot travel; nothing was sent
    │   ├── BindError           a listener that cannot be opened
    │   ├── StoreError          what a store cannot do: closed, of another version, not a store
    │   │   ├── StoreFailed     it stopped after a disk error; nothing is acknowledged any more
    │   │   ├── StoreFull       no room to write; reads go on, and writing resumes by itself
    │   │   ├── StoreBusy       another process has it
    │   │   └── StoreDamaged    a file of it does not hold what was written; never served
    │   ├── Gap                 a producer's sequence that is not the next one
    │   ├── Conflict            a producer's sequence that came before with other content
    │   ├── BeyondEnd           a position or cursor from the future
    │   └── Changed             a shelf value that has another version than was expected
    ├── PeerError               they: what the other end sent or said
    │   ├── ProtocolError       bytes that break the protocol or the framing
    │   │   └── TooLarge        more than a limit allows, known before memory was taken
    │   ├── DecodeError         a whole message that is not what was agreed
    │   └── Refused             a definite no, with its code
    │       └── PostRefused     to a message that should have been kept
    ├── ConnectionClosed        the conversation ended cleanly; there is nothing more to read
    ├── Broken                  it ended in the middle: reset, cut inside a message, or silence
    ├── ConnectError            no conversation could be opened; says which step failed
    └── Timeout                 a deadline passed; what it waited for may still happen (also a ``TimeoutError``)

An error holds its facts as attributes and makes its sentence from them: what, where, got against expected, and the
remedy. `Code` is the closed set of reasons that cross the wire. A number is never used again for another meaning.
"""

from __future__ import annotations

from anyplug.codes import Code

__all__ = [
    "AddressError",
    "AnyplugError",
    "BeyondEnd",
    "BindError",
    "Broken",
    "Changed",
    "Code",
    "ConfigError",
    "Conflict",
    "ConnectError",
    "ConnectionClosed",
    "DecodeError",
    "EncodeError",
    "Gap",
    "LocalError",
    "PeerError",
    "PostRefused",
    "ProtocolError",
    "Refused",
    "StoreBusy",
    "StoreDamaged",
    "StoreError",
    "StoreFailed",
    "StoreFull",
    "Timeout",
    "TooLarge",
]


class AnyplugError(Exception):
    """The root of all errors of Anyplug."""

    code: Code = Code.OK

    def __reduce__(self) -> tuple[object, ...]:
        """Errors can be copied, and sent between processes that trust each other."""
        return _restore, (type(self), self.args, dict(vars(self)))


def _restore(kind: type[AnyplugError], args: tuple[object, ...], facts: dict[str, object]) -> AnyplugError:
    error = kind.__new__(kind, *args)
    vars(error).update(facts)
    return error


class LocalError(AnyplugError):
    """A mistake on this side: an argument, a configuration or a call out of place."""


class AddressError(LocalError, ValueError):
    """An address that cannot be used.

    Attributes:
        address: the address as it was given, shortened, and with secrets masked.
        part: which part is wrong: ``text``, ``scheme``, ``host``, ``port``, ``path``, ``fd``, ``service``, ``option``
            or ``fragment``.
        found: what that part holds.
        expected: what it should hold.
        nearest: the nearest valid address or part, or ``""`` when there is none.
    """

    def __init__(self, address: str, *, part: str, found: str, expected: str, nearest: str = "") -> None:
        super().__init__(address, part, found, expected, nearest)
        self.address = address
        self.part = part
        self.found = found
        self.expected = expected
        self.nearest = nearest

    def __str__(self) -> str:
        hint = f"; did you mean {self.nearest}?" if self.nearest else ""
        found = f"{self.found!r}" if self.found else "nothing"
        return f"{self.address!r} is not an address: the {self.part} is {found}, expected {self.expected}{hint}"


class ConfigError(LocalError):
    """A mistake in a configuration file.

    Attributes:
        file: the file's name.
        line: the line of the mistake, counted from 1, or 0 where it is not known.
        where: the key in TOML's dotted form: ``listeners[0].adress``.
        problem: what is wrong, with the remedy.
    """

    def __init__(self, file: str, *, where: str, problem: str, line: int = 0) -> None:
        super().__init__(file, where, problem, line)
        self.file = file
        self.line = line
        self.where = where
        self.problem = problem

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.where}: {self.problem}" if self.where else f"{place}: {self.problem}"


class EncodeError(LocalError):
    """A value that cannot travel. Nothing of it was sent.

    Attributes:
        codec: the codec's name.
        problem: what cannot be encoded, where in the value, and the remedy.
    """

    def __init__(self, codec: str, problem: str) -> None:
        super().__init__(codec, problem)
        self.codec = codec
        self.problem = problem

    def __str__(self) -> str:
        return f"cannot be sent as {self.codec}: {self.problem}"


class BindError(LocalError):
    """A listener that cannot be opened.

    Attributes:
        address: the address to listen on.
        problem: why not, and the remedy.
        errno: the system's error number, or 0.
    """

    def __init__(self, address: str, problem: str, *, errno: int = 0) -> None:
        super().__init__(address, problem, errno)
        self.address = address
        self.problem = problem
        self.errno = errno

    def __str__(self) -> str:
        return f"cannot listen on {self.address}: {self.problem}"


class StoreError(LocalError):
    """What a store cannot do: it is closed, of another version, or no store at all.

    Attributes:
        path: the folder of the store, or the file that is meant.
        problem: what is wrong, and the remedy.
    """

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(path, problem)
        self.path = path
        self.problem = problem

    def __str__(self) -> str:
        return f"the store {self.path}: {self.problem}"


class StoreFailed(StoreError):
    """The store stopped after an error of the disk, and acknowledges nothing any more.

    What was under way is unknown: it may be there after a restart or not. Sending it again under the same sequence is
    safe.
    """

    code = Code.STORE_FAILED

    def __str__(self) -> str:
        return f"the store {self.path} has stopped: {self.problem}; mend the disk, then start the server again"


class StoreFull(StoreError):
    """There is no room to write. Nothing was stored; reads go on, and writing resumes by itself. Try again later."""

    code = Code.STORE_FULL

    def __str__(self) -> str:
        return f"the store {self.path} is full: {self.problem}; reads go on, free some room and try again"


class StoreBusy(StoreError):
    """Another process has the store. There is one server process to a store."""

    def __str__(self) -> str:
        return f"the store {self.path} is in use: {self.problem}"


class StoreDamaged(StoreError):
    """A file of the store does not hold what was written to it. Nothing of the damaged part is served."""

    code = Code.STORE_FAILED

    def __str__(self) -> str:
        return f"the store file {self.path} is damaged: {self.problem}; restore it from a backup"


class Gap(LocalError):
    """A producer's sequence that is not the next one. Nothing was stored.

    Attributes:
        producer: the producer's identity, in hexadecimal.
        expected: the sequence that comes next.
        found: the sequence that came.
    """

    code = Code.GAP

    def __init__(self, producer: str, *, expected: int, found: int) -> None:
        super().__init__(producer, expected, found)
        self.producer = producer
        self.expected = expected
        self.found = found

    def __str__(self) -> str:
        return f"producer {self.producer}: sequence {self.found} came, expected {self.expected}; send again from there"


class Conflict(LocalError):
    """A producer's sequence that came before with other content. Nothing was stored.

    Attributes:
        producer: the producer's identity, in hexadecimal.
        sequence: the sequence that was used twice.
    """

    code = Code.CONFLICT

    def __init__(self, producer: str, *, sequence: int) -> None:
        super().__init__(producer, sequence)
        self.producer = producer
        self.sequence = sequence

    def __str__(self) -> str:
        return (
            f"producer {self.producer}: sequence {self.sequence} came before with other content; a producer restored "
            "from a copy needs a new identity"
        )


class BeyondEnd(LocalError):
    """A position or a cursor that does not exist yet.

    Attributes:
        topic: where.
        position: the position asked for.
        last: the last one there is, or 0.
    """

    code = Code.BEYOND_END

    def __init__(self, topic: str, *, position: int, last: int) -> None:
        super().__init__(topic, position, last)
        self.topic = topic
        self.position = position
        self.last = last

    def __str__(self) -> str:
        return f"topic {self.topic!r}: position {self.position} does not exist yet, the last one is {self.last}"


class Changed(LocalError):
    """A shelf value that has another version than the write expected. Nothing was written.

    Attributes:
        key: the value's name.
        expected: the version that was expected, 0 for no value.
        found: the version that is there, 0 for no value.
    """

    code = Code.CHANGED

    def __init__(self, key: str, *, expected: int, found: int) -> None:
        super().__init__(key, expected, found)
        self.key = key
        self.expected = expected
        self.found = found

    def __str__(self) -> str:
        return f"key {self.key!r} has version {self.found}, expected {self.expected}; read it again"


class PeerError(AnyplugError):
    """A fault of the other end: what it sent, or what it said about our request."""

    code = Code.PROTOCOL


class ProtocolError(PeerError):
    """Bytes that break the protocol or the framing. The connection cannot go on after it.

    Attributes:
        problem: what was found against what was expected.
        code: the code to tell the peer.
    """

    def __init__(self, problem: str, *, code: Code = Code.PROTOCOL) -> None:
        super().__init__(problem, code)
        self.problem = problem
        self.code = code

    def __str__(self) -> str:
        return self.problem


class TooLarge(ProtocolError):
    """More than a limit allows, refused before memory is taken for it.

    Attributes:
        what: what is too large: ``message``, ``frame``, ``line``, ``nesting``.
        size: the size found, or None where only "more" is known.
        limit: the limit.
        unit: the unit of both, ``bytes`` by default.
    """

    def __init__(self, what: str, *, size: int | None, limit: int, unit: str = "bytes") -> None:
        self.what = what
        self.size = size
        self.limit = limit
        self.unit = unit
        found = "more" if size is None else f"{size:,} {unit}"
        super().__init__(f"{what} too large: {found}, the limit is {limit:,} {unit}", code=Code.TOO_LARGE)


class DecodeError(PeerError):
    """A whole message that is not what was agreed. The conversation can go on after it.

    Attributes:
        codec: the codec's name.
        problem: what was found against what was expected, with its place: a byte offset or a path such as
            ``$.users[3]``.
    """

    code = Code.BAD_MESSAGE

    def __init__(self, codec: str, problem: str) -> None:
        super().__init__(codec, problem)
        self.codec = codec
        self.problem = problem

    def __str__(self) -> str:
        return f"not a valid {self.codec} message: {self.problem}"


class Refused(PeerError):
    """A definite no from the other end.

    Attributes:
        code: why, from the closed set `Code`.
        text: the peer's sentence, for people. It is the peer's text: escape it before it goes to a terminal.
    """

    def __init__(self, code: Code, text: str = "") -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text

    def __str__(self) -> str:
        return f"refused ({self.code.word}): {self.text}" if self.text else f"refused ({self.code.word})"


class PostRefused(Refused):
    """A message that the server did not keep.

    What was posted behind it on this connection was not kept either.

    Attributes:
        sequence: the sequence that the server takes next; everything below it is kept.
    """

    def __init__(self, code: Code, text: str = "", *, sequence: int) -> None:
        super().__init__(code, text)
        self.sequence = sequence


class ConnectionClosed(AnyplugError):
    """The conversation ended cleanly, at a message boundary; or it was closed on this side before.

    Attributes:
        code: the reason the closing side gave.
        text: its sentence, or ``""``.
    """

    def __init__(self, code: Code = Code.OK, text: str = "") -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text

    def __str__(self) -> str:
        why = f" ({self.code.word})" if self.code else ""
        return f"the connection is closed{why}: {self.text}" if self.text else f"the connection is closed{why}"


class Broken(AnyplugError):
    """The conversation ended in the middle: reset, cut inside a message, or silent for too long.

    What was on its way then is unknown: it may have arrived or not.

    Attributes:
        problem: what happened.
    """

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return f"the connection broke: {self.problem}"


class ConnectError(AnyplugError):
    """No conversation could be opened.

    Attributes:
        address: where to.
        step: the step that failed: ``resolve``, ``connect`` or ``handshake``.
        problem: what happened in that step.
        remedy: what to try next.
        errno: the system's error number, or 0.
    """

    def __init__(self, address: str, *, step: str, problem: str, remedy: str, errno: int = 0) -> None:
        super().__init__(address, step, problem, remedy, errno)
        self.address = address
        self.step = step
        self.problem = problem
        self.remedy = remedy
        self.errno = errno

    def __str__(self) -> str:
        return f"cannot connect to {self.address}: {self.problem} (step: {self.step}); {self.remedy}"


class Timeout(AnyplugError, TimeoutError):
    """A deadline passed.

    Attributes:
        what: what was waited for.
        seconds: how long.
    """

    def __init__(self, what: str, seconds: float) -> None:
        super().__init__(f"{what}: no answer within {seconds:g} s")
        self.what = what
        self.seconds = seconds

    def __str__(self) -> str:
        return f"{self.what}: no answer within {self.seconds:g} s"

"""Using a shelf, without waiting for anything: which question comes next, and what the answers mean together.

Both faces drive the same generators: each gives a question, is sent its answer, and returns the result in the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from anyplug.backoff import Backoff
from anyplug.codec import make_codec
from anyplug.errors import (
    AnyplugError,
    Broken,
    Changed,
    Code,
    ConnectError,
    ConnectionClosed,
    LocalError,
    ProtocolError,
    Refused,
)
from anyplug.messages import Kept
from anyplug.schemas.contents import content_type
from anyplug.schemas.shelf import (
    KEYS_MAX,
    Answer,
    Changes,
    Delete,
    Entry,
    Found,
    Get,
    History,
    List,
    News,
    Put,
    Request,
    Stale,
    Written,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from typing import TypeAlias

    from anyplug.address import Address
    from anyplug.limits import Limits

    T = TypeVar("T")
    Course: TypeAlias = Generator[Request, Answer, T]

__all__ = [
    "BACKOFF",
    "PAGE",
    "POLL",
    "QUESTIONS",
    "SERVICE",
    "TRIES",
    "VALUES",
    "Watching",
    "Writing",
    "check_key",
    "entries",
    "expect",
    "history",
    "listed",
    "newest",
    "page",
    "single",
    "transient",
    "updated",
    "where",
]

K = TypeVar("K")

PAGE: Final = 1_000
"""Entries that are asked for at once."""

POLL: Final = 30.0
"""How long one question of a watcher waits for a change, seconds. Below what a middlebox takes for an idle stream."""

TRIES: Final = 100
"""How often `update_with` tries before it gives up: each time another has written in between."""

VALUES: Final = "objects"
"""The codec of values."""


QUESTIONS: Final = "msgpack"
"""The codec of questions and answers."""

SERVICE: Final = "shelf"
"""The service where an address names none."""

BACKOFF: Final = Backoff(first=0.05, most=2.0)
"""How long a call waits before it connects again."""


def where(address: Address) -> Address:
    """The address of a shelf.

    Raises:
        LocalError: nobody can ask anything there.
    """
    if not address.is_plug:
        raise LocalError(f"{address} is a plain connection, which cannot be asked; use plug:// for a shelf")
    return address if address.service else msgspec.structs.replace(address, service=SERVICE)


def transient(error: AnyplugError) -> bool:
    """Whether asking again, over another connection, may help: the other end is gone, or about to be."""
    if isinstance(error, Refused):
        return error.code in (Code.GOING_AWAY, Code.BUSY)
    return isinstance(error, (Broken, ConnectionClosed, ConnectError))


class Writing:
    """Who writes: it gives each write its token, so that sending it again is safe.

    Args:
        identity: random bytes, as no other writer has.
        limits: the bounds of values.
    """

    __slots__ = ("_codec", "_identity", "_number", "_type", "kept")

    def __init__(self, identity: bytes, limits: Limits) -> None:
        self._identity = identity
        self._number = 0
        self._codec = make_codec(VALUES, limits=limits)
        self._type = content_type(VALUES)
        self.kept: Kept | None = None
        """How the server has kept the last write; None before the first."""

    def put(self, key: str, value: object, expected: int | None) -> Put:
        """Set a value.

        Raises:
            EncodeError: the value cannot travel; says where in it, and the remedy.
            LocalError: the key is no text, or the version none.
        """
        body = self._codec.encode(value)
        token = self._token(key, expected)
        return Put(key=key, body=body, content_type=self._type, expected=expected, token=token)

    def delete(self, key: str, expected: int | None) -> Delete:
        """Delete a value; raises as `put`."""
        return Delete(key=key, expected=expected, token=self._token(key, expected))

    def done(self, answer: Answer) -> int:
        """The version of a write.

        Raises:
            Changed: another version was there than expected.
        """
        if type(answer) is Stale:
            raise Changed(answer.key, expected=answer.expected, found=answer.found)
        written = expect(Written, answer)
        self.kept = Kept.MEMORY if written.memory else Kept.SYNCED
        return written.version

    def _token(self, key: str, expected: int | None) -> bytes:
        check_key(key)
        if expected is not None and (type(expected) is not int or expected < 0):
            raise LocalError(f"expected={expected!r} is no version; give that of an entry, 0 for no value, or None")
        self._number += 1
        return self._identity + self._number.to_bytes(8)


def check_key(key: object) -> None:
    """Refuse what is no text.

    Raises:
        LocalError: it is none.
    """
    if type(key) is not str:
        raise LocalError(f"a key of a shelf is a str, not {type(key).__name__}: {key!r:.100}")


def newest(answer: Answer) -> int:
    """The version of the newest change."""
    return expect(News, answer).version


def single(answer: Answer) -> Entry | None:
    """The entry of one key."""
    (entry,) = expect(Found, answer).entries
    return entry


def entries(keys: Iterable[str]) -> Course[dict[str, Entry]]:
    """The entries of these keys; those without a value are left out."""
    left = list(dict.fromkeys(keys))
    for key in left:
        check_key(key)
    found: dict[str, Entry] = {}
    while left:
        answer = expect(Found, (yield Get(keys=left[:KEYS_MAX])))
        if not answer.entries:
            raise ProtocolError("the server gives none of the entries that it was asked for")
        found |= {entry.key: entry for entry in answer.entries if entry is not None}
        left = left[len(answer.entries) :]
    return found


def updated(writing: Writing, key: str, function: Callable[[Any], Any], default: Any) -> Course[Any]:
    """Set a value to what a function makes of the one that is there; returns it.

    Raises:
        Changed: another has written in between, `TRIES` times.
    """
    check_key(key)
    tries = 0
    while True:
        entry = single((yield Get(keys=[key])))
        value = function(default if entry is None else entry.value)
        answer = yield writing.put(key, value, 0 if entry is None else entry.version)
        tries += 1
        if type(answer) is not Stale or tries == TRIES:
            writing.done(answer)
            return value


def page(prefix: str, after: str, *, bodies: bool = True) -> List:
    """Ask for entries behind a key."""
    check_key(prefix)
    return List(prefix=prefix, after=after, limit=PAGE, bodies=bodies)


def listed(answer: Answer) -> tuple[list[Entry], str | None]:
    """The entries of a page, and the key behind which to go on; None at the end."""
    found = expect(Found, answer)
    shown = [entry for entry in found.entries if entry is not None]
    return shown, shown[-1].key if found.more and shown else None


def history(key: str, limit: int) -> Course[list[Entry]]:
    """The last changes of a key, the newest first: as many as wanted, or as are kept."""
    check_key(key)
    if limit < 1:
        raise LocalError(f"limit is {limit}, expected a number of changes")
    found: list[Entry] = []
    before: int | None = None
    more = True
    while more and len(found) < limit:
        answer = expect(Found, (yield History(key=key, before=before, limit=limit - len(found))))
        found += [entry for entry in answer.entries if entry is not None]
        more = answer.more and bool(answer.entries)
        before = found[-1].version if found else None
    return found


class Watching:
    """Where a watcher is, and what it has missed.

    Args:
        prefix: of the keys that are watched.
        after: the version to begin behind; None to begin now.
    """

    __slots__ = ("_prefix", "_seen", "_start", "version")

    def __init__(self, prefix: str, after: int | None) -> None:
        check_key(prefix)
        self._prefix = prefix
        self._start = self.version = after
        self._seen: dict[str, int] = {}

    def more(self, wait: float = POLL) -> Changes:
        """Ask for what comes next."""
        wait = 0.0 if self.version is None else wait
        return Changes(after=self.version, prefix=self._prefix, limit=PAGE, wait=wait)

    def taken(self, answer: Answer) -> list[Entry]:
        """What is new, each with whether something is missing before it."""
        news = expect(News, answer)
        self.version = news.version
        if self._start is None:
            self._start = news.version
        return [self._marked(entry, self._start) for entry in news.changes]

    def _marked(self, entry: Entry, start: int) -> Entry:
        """A change that is neither the first of its key nor follows what was seen of it, or what was before the
        start, has lost the one between.
        """
        known = self._seen.get(entry.key, start)
        self._seen[entry.key] = entry.version
        return msgspec.structs.replace(entry, missed=True) if entry.previous > known else entry


def expect(kind: type[K], answer: Any) -> K:
    """The answer, which is of this kind.

    Raises:
        ProtocolError: it is not.
    """
    if not isinstance(answer, kind):
        raise ProtocolError(f"the server answers with {type(answer).__name__} where {kind.__name__} was expected")
    return answer

"""The blocking face of a shelf: a dictionary that programs share.

::

    with Shelf("plug://127.0.0.1/shelf") as shelf:
        shelf["config"] = {"level": 3}
        print(shelf["config"], len(shelf), list(shelf))
        shelf.update_with("hits", lambda hits: hits + 1, default=0)
        for entry in shelf.watch():
            print(entry.key, entry.version, entry.value)
"""

from __future__ import annotations

import secrets
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from anyplug.address import Address
from anyplug.blocking.client import CONNECT_TIMEOUT, connect
from anyplug.blocking.connection import ASK_TIMEOUT
from anyplug.blocking.shelf_asking import Asker
from anyplug.blocking.shelf_dictionary import Dictionary
from anyplug.limits import DEFAULTS
from anyplug.schemas import shelving
from anyplug.schemas.shelf import Answer, Entry, Get
from anyplug.transport.options import DEFAULT_OPTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType
    from typing import Self

    from anyplug.limits import Limits
    from anyplug.messages import Kept
    from anyplug.transport.options import SocketOptions

__all__ = ["Shelf"]

HISTORY: Final = 1_000
"""Changes of `Shelf.history`, at most, where nothing else is said; servers keep 16 of a key by default."""


class Shelf(Dictionary):
    """The values of one shelf, as a dictionary; open from the start. ``with Shelf(address) as shelf`` closes it at the
    end of the block. Threads may share it.

    Values come back equal and of the same types, as the codec ``objects`` carries them; a value that was got is a copy.
    What a write returned is on the server's disk, unless `kept` says otherwise. Where the connection breaks, or the
    server is started anew, the call at hand connects again and asks again, until its time is over. A write is made once
    all the same, since each has its token; unless more changes of the key were made meanwhile than are kept of it.

    A single call is made as a whole; of several (``shelf["n"] += 1``) others may come between: use `update_with` or
    `put` with ``expected``.

    Args:
        address: the service: ``plug://127.0.0.1/shelf``. What follows the service is put before each key, with a slash.
        timeout: seconds for each call. After a `Timeout` it is unknown whether a write was made.
        limits: the bounds of this side.
        token: what entitles this client.
        options: of the socket.

    Raises:
        LocalError, AddressError: the arguments do not fit together.
        ConnectError, Refused: as `anyplug.blocking.connect`.
    """

    def __init__(
        self,
        address: str | Address,
        *,
        timeout: float = ASK_TIMEOUT,
        limits: Limits = DEFAULTS,
        token: str = "",
        options: SocketOptions = DEFAULT_OPTIONS,
    ) -> None:
        where = shelving.where(address if isinstance(address, Address) else Address.parse(address))
        self._where = where
        given: dict[str, Any] = {"limits": limits, "token": token, "options": options}
        self._another = partial(Shelf, where, timeout=timeout, **given)
        within = min(timeout, CONNECT_TIMEOUT)
        self._writing = shelving.Writing(secrets.token_bytes(8), limits)
        self._asker = Asker(
            partial(connect, where, type=Answer, codec=shelving.QUESTIONS, timeout=within, **given), timeout
        )

    def __enter__(self) -> Self:
        """The shelf itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close in order."""
        self.close()

    def close(self) -> None:
        """End the conversation in order; never raises."""
        self._asker.close()

    # A dictionary.

    def __getitem__(self, key: str) -> Any:
        """The value of a key; raises KeyError where there is none, otherwise as `get`."""
        entry = self.entry(key)
        if entry is None:
            raise KeyError(key)
        return entry.value

    def __setitem__(self, key: str, value: Any) -> None:
        """Set a value; raises as `put`."""
        self.put(key, value)

    def __delitem__(self, key: str) -> None:
        """Delete a value; raises KeyError where there is none, otherwise as `put`."""
        if not self.delete(key):
            raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        """Whether there is a value; raises as `get`."""
        shelving.check_key(key)
        question = Get(keys=[str(key)], bodies=False)
        return shelving.single(self._asker.ask(question)) is not None

    def __iter__(self) -> Iterator[str]:
        """All keys, in order; changes meanwhile may show or not. Raises as `get`."""
        return (entry.key for entry in self.listed(bodies=False))

    def __len__(self) -> int:
        """How many values there are; all keys are looked at. Raises as `get`."""
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        """For logs; the server is not asked."""
        return f"<anyplug.blocking.Shelf {self._where}{', closed' if self._asker.closed else ''}>"

    # Reading.

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key, or the default where there is none.

        Raises:
            Refused: the key is no name, or the server cannot read; its code says why.
            DecodeError: the value is none that this program can read; says why.
            Timeout, Broken, ConnectionClosed, ConnectError: no answer came in time, from nobody.
        """
        entry = self.entry(key)
        return default if entry is None else entry.value

    def entry(self, key: str) -> Entry | None:
        """The value of a key with its version and time, or None where there is none; raises as `get`."""
        shelving.check_key(key)
        return shelving.single(self._asker.ask(Get(keys=[key])))

    def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        """The values of these keys; those without a value are left out. Raises as `get`."""
        found = self._asker.run(shelving.entries(keys))
        return {key: entry.value for key, entry in found.items()}

    def listed(self, prefix: str = "", *, bodies: bool = True) -> Iterator[Entry]:
        """All entries whose key begins with a prefix, in order; raises as `get`. Without bodies they have no value."""
        after: str | None = ""
        while after is not None:
            found, after = shelving.listed(self._asker.ask(shelving.page(prefix, after, bodies=bodies)))
            yield from found

    def history(self, key: str, limit: int = HISTORY) -> list[Entry]:
        """The last changes of a key that are kept, deletions among them, the newest first; raises as `get`."""
        return self._asker.run(shelving.history(key, limit))

    def version(self) -> int:
        """The version of the newest change of all; raises as `get`."""
        return shelving.newest(self._asker.ask(shelving.Watching("", None).more()))

    # Writing.

    @property
    def kept(self) -> Kept | None:
        """How the server has kept the last write: `Kept.SYNCED` on its disk, or the weaker way it was configured for;
        None before the first.
        """
        return self._writing.kept

    def put(self, key: str, value: Any, *, expected: int | None = None) -> int:
        """Set a value; return its version once it is durable.

        Args:
            key: its name.
            value: whatever the codec ``objects`` carries.
            expected: the version that has to be there, 0 for no value; None sets it whatever is there.

        Raises:
            Changed: another version is there than was expected. Nothing was written.
            EncodeError: the value cannot travel; says where in it, and the remedy. Nothing was written.
            Refused: the server did not write it; its code says why.
            Timeout, Broken, ConnectionClosed, ConnectError: no answer came in time: whether it was written is unknown.
        """
        return self._writing.done(self._asker.ask(self._writing.put(key, value, expected)))

    def delete(self, key: str, *, expected: int | None = None) -> int:
        """Delete a value; return the version of the deletion once it is durable, 0 where there was no value. Raises as
        `put`.
        """
        return self._writing.done(self._asker.ask(self._writing.delete(key, expected)))

    def update_with(self, key: str, function: Callable[[Any], Any], default: Any = None) -> Any:
        """Set a value to what a function makes of the one that is there (of the default where there is none); return
        it. Where another writes in between, the function is called again, with the newer value.

        Raises as `put`; `Changed` after `anyplug.schemas.shelving.TRIES` attempts.
        """
        return self._asker.run(shelving.updated(self._writing, key, function, default))

    # Watching.

    def watch(self, prefix: str = "", *, after: int | None = None) -> Iterator[Entry]:
        """Each change, deletions among them, in order, as it comes; without an end.

        It uses a connection of its own. Each change is seen once, unless more changes of one key were made than are
        kept of it before they could be read: the next one says `Entry.missed` then. A key's newest value always comes.

        Args:
            prefix: of the keys.
            after: the version to begin behind: 0 for all that is kept, None for what changes from the first step on.

        Raises:
            Refused: ``beyond_end``: that version does not exist, as when the server's store was replaced.
            Broken, ConnectionClosed, ConnectError: the server was not there for as long as a call may take.
        """
        watching = shelving.Watching(prefix, after)
        with self._another() as own:
            while True:
                yield from watching.taken(own._asker.ask(watching.more(), shelving.POLL))

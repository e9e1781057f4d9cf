"""The async face of a shelf: named values, shared and watchable.

::

    async with anyplug.Shelf("plug://127.0.0.1/shelf") as shelf:
        await shelf.put("config", {"level": 3})
        print(await shelf.get("config"))
        async for entry in shelf.watch():
            print(entry.key, entry.version, entry.value)
"""

from __future__ import annotations

import asyncio
import random
import secrets
from typing import TYPE_CHECKING, Any, Final

from anyplug.address import Address
from anyplug.client import CONNECT_TIMEOUT, connect
from anyplug.connection import ASK_TIMEOUT
from anyplug.errors import AnyplugError, ConnectionClosed
from anyplug.limits import DEFAULTS
from anyplug.schemas import shelving
from anyplug.schemas.shelf import Answer, Entry, Get
from anyplug.transport.options import DEFAULT_OPTIONS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterable
    from types import TracebackType
    from typing import Self, TypeVar

    from anyplug.connection import Connection
    from anyplug.limits import Limits
    from anyplug.messages import Kept
    from anyplug.schemas.shelf import Request
    from anyplug.schemas.shelving import Course
    from anyplug.transport.options import SocketOptions

    T = TypeVar("T")

__all__ = ["Shelf"]

HISTORY: Final = 1_000
"""Changes of `Shelf.history`, at most, where nothing else is said; servers keep 16 of a key by default."""


class Shelf:
    """The values of one shelf. Use it as ``async with Shelf(address) as shelf``, or as ``shelf = await Shelf(address)``
    and close it yourself. Tasks may share it.

    Values come back equal and of the same types, as the codec ``objects`` carries them. What a write returned is on the
    server's disk, unless `kept` says otherwise. Where the connection breaks, or the server is started anew, the call at
    hand connects again and asks again, until its time is over. A write is made once all the same, since each has its
    token; unless more changes of the key were made meanwhile than are kept of it.

    Args:
        address: the service: ``plug://127.0.0.1/shelf``. What follows the service is put before each key, with a slash.
        timeout: seconds for each call. After a `Timeout` it is unknown whether a write was made.
        limits: the bounds of this side.
        token: what entitles this client.
        options: of the socket.

    Raises:
        LocalError, AddressError: the arguments do not fit together.
    """

    __slots__ = ("_closed", "_connecting", "_lock", "_options", "_peer", "_timeout", "_where", "_writing")

    def __init__(
        self,
        address: str | Address,
        *,
        timeout: float = ASK_TIMEOUT,
        limits: Limits = DEFAULTS,
        token: str = "",
        options: SocketOptions = DEFAULT_OPTIONS,
    ) -> None:
        self._where = shelving.where(address if isinstance(address, Address) else Address.parse(address))
        self._timeout = timeout
        self._options: dict[str, Any] = {"limits": limits, "token": token, "options": options}
        within = min(timeout, CONNECT_TIMEOUT)
        self._connecting = connect(self._where, type=Answer, codec=shelving.QUESTIONS, timeout=within, **self._options)
        self._writing = shelving.Writing(secrets.token_bytes(8), limits)
        self._lock = asyncio.Lock()
        self._peer: Connection[Any] | None = None
        self._closed = False

    def __await__(self) -> Generator[Any, None, Self]:
        """The open shelf; close it when it is done. Raises as `anyplug.connect`."""
        return self._open().__await__()

    async def _open(self) -> Self:
        self._peer = await self._connecting
        return self

    async def __aenter__(self) -> Self:
        """The open shelf; it is closed at the end of the block. Raises as `anyplug.connect`."""
        return await self._open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close in order."""
        await self.close()

    async def close(self) -> None:
        """End the conversation in order; never raises."""
        self._closed = True
        peer, self._peer = self._peer, None
        if peer is not None:
            await peer.close()

    # Reading.

    async def get(self, key: str, default: Any = None) -> Any:
        """The value of a key, or the default where there is none.

        Raises:
            Refused: the key is no name, or the server cannot read; its code says why.
            DecodeError: the value is none that this program can read; says why.
            Timeout, Broken, ConnectionClosed, ConnectError: no answer came in time, from nobody.
        """
        entry = await self.entry(key)
        return default if entry is None else entry.value

    async def entry(self, key: str) -> Entry | None:
        """The value of a key with its version and time, or None where there is none; raises as `get`."""
        shelving.check_key(key)
        return shelving.single(await self._ask(Get(keys=[key])))

    async def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        """The values of these keys; those without a value are left out. Raises as `get`."""
        found = await self._run(shelving.entries(keys))
        return {key: entry.value for key, entry in found.items()}

    def __aiter__(self) -> AsyncIterator[str]:
        """All keys, in order; as `keys`."""
        return self.keys()

    async def keys(self, prefix: str = "") -> AsyncGenerator[str, None]:
        """All keys that begin with a prefix, in order; raises as `get`. Changes meanwhile may show or not."""
        async for entry in self.listed(prefix, bodies=False):
            yield entry.key

    async def items(self, prefix: str = "") -> AsyncGenerator[tuple[str, Any], None]:
        """All keys that begin with a prefix, in order, with their values; raises as `get`."""
        async for entry in self.listed(prefix):
            yield entry.key, entry.value

    async def listed(self, prefix: str = "", *, bodies: bool = True) -> AsyncGenerator[Entry, None]:
        """All entries whose key begins with a prefix, in order; raises as `get`. Without bodies they have no value."""
        after: str | None = ""
        while after is not None:
            found, after = shelving.listed(await self._ask(shelving.page(prefix, after, bodies=bodies)))
            for entry in found:
                yield entry

    async def history(self, key: str, limit: int = HISTORY) -> list[Entry]:
        """The last changes of a key that are kept, deletions among them, the newest first; raises as `get`."""
        return await self._run(shelving.history(key, limit))

    async def version(self) -> int:
        """The version of the newest change of all; raises as `get`."""
        return shelving.newest(await self._ask(shelving.Watching("", None).more()))

    # Writing.

    @property
    def kept(self) -> Kept | None:
        """How the server has kept the last write: `Kept.SYNCED` on its disk, or the weaker way it was configured for;
        None before the first.
        """
        return self._writing.kept

    async def put(self, key: str, value: Any, *, expected: int | None = None) -> int:
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
        return self._writing.done(await self._ask(self._writing.put(key, value, expected)))

    async def delete(self, key: str, *, expected: int | None = None) -> int:
        """Delete a value; return the version of the deletion once it is durable, 0 where there was no value. Raises as
        `put`.
        """
        return self._writing.done(await self._ask(self._writing.delete(key, expected)))

    async def update_with(self, key: str, function: Callable[[Any], Any], default: Any = None) -> Any:
        """Set a value to what a function makes of the one that is there (of the default where there is none); return
        it. Where another writes in between, the function is called again, with the newer value.

        Raises as `put`; `Changed` after `anyplug.schemas.shelving.TRIES` attempts.
        """
        return await self._run(shelving.updated(self._writing, key, function, default))

    # Watching.

    async def watch(self, prefix: str = "", *, after: int | None = None) -> AsyncGenerator[Entry, None]:
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
        async with Shelf(self._where, timeout=self._timeout, **self._options) as own:
            while True:
                for entry in watching.taken(await own._ask(watching.more(), shelving.POLL)):
                    yield entry

    # Asking.

    async def _run(self, course: Course[T]) -> T:
        """Ask all questions of a course."""
        answer: Any = None
        try:
            while True:
                answer = await self._ask(course.send(answer))
        except StopIteration as end:
            result: T = end.value
            return result

    async def _ask(self, question: Request, wait: float = 0.0) -> Answer:
        """Ask, and where the connection breaks ask again, as long as there is time."""
        loop = asyncio.get_running_loop()
        over = loop.time() + self._timeout + wait
        attempt = 0
        while True:
            peer = self._peer
            try:
                if peer is None:
                    peer = await self._again()
                return await peer.ask(question, max(over - loop.time(), 0))  # type: ignore[no-any-return]
            except AnyplugError as error:
                pause = shelving.BACKOFF.delay(attempt, random.random())  # noqa: S311 - no secret
                if self._closed or not shelving.transient(error) or loop.time() + pause > over:
                    raise
                await self._drop(peer)
            await asyncio.sleep(pause)
            attempt += 1

    async def _again(self) -> Connection[Any]:
        """Connect again, unless another task has."""
        async with self._lock:
            if self._peer is None and not self._closed:
                self._peer = await self._connecting
            peer = self._peer
            if self._closed:
                await self.close()
            if peer is None or self._closed:
                raise ConnectionClosed(text="the shelf was closed on this side")
            return peer

    async def _drop(self, peer: Connection[Any] | None) -> None:
        """This connection is of no use any more."""
        if peer is not None and self._peer is peer:
            self._peer = None
            peer.abort()

"""What the writer's thread does to the file of an outbox.

The methods of the first part are jobs of one batch: a job looks first and changes then, so that one that raises has
changed nothing. Many jobs share one commit, and so one sync. What is known of targets is what was
committed; the batch at hand has its own copies, which are forgotten with it.
"""

from __future__ import annotations

import secrets
import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec

from anyplug.codes import Code
from anyplug.errors import StoreDamaged, StoreFailed, StoreFull
from anyplug.outbox.faults import OutboxFull
from anyplug.outbox.rows import Mark, Refusal, Target, code_of
from anyplug.outbox.schema import seal
from anyplug.outbox.steps import Parcel
from anyplug.store import writer
from anyplug.store.sqlite_faults import meaning, told
from anyplug.store.sqlite_readers import open_connection

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

__all__ = ["Disk", "read_targets"]

CHECKPOINT_BYTES: Final = 4 * 1024 * 1024
"""About so much is written to the write-ahead log before it is written back."""

_ROW_BYTES: Final = 4096
"""What a small change costs in the log: a page."""

_FREE_PAGES: Final = 256
"""So many unused pages are given back to the file system when the outbox is closed."""

_WAITING = "SELECT target, count(*), sum(length(body)) FROM message GROUP BY target"
_BEFORE = "SELECT count(*), coalesce(sum(length(body)), 0) FROM message WHERE target = ? AND id <= ?"
_NEXT = "SELECT id, codec, posted, seal, body FROM message WHERE target = ? AND id > ? ORDER BY id LIMIT ?"
_REFUSED = (
    "SELECT id, target, codec, posted, time, code, text, seal, body FROM refused WHERE id > ? ORDER BY id LIMIT ?"
)


def read_targets(connection: sqlite3.Connection, path: str) -> dict[str, Target]:
    """All targets by address, with what waits for them.

    Raises:
        StoreDamaged: a row is not what was written.
    """
    waiting = {target: (many, size) for target, many, size in connection.execute(_WAITING)}
    found = {}
    for number, address, state, sealed in connection.execute("SELECT id, address, state, seal FROM target ORDER BY id"):
        if seal(state, number, address) != sealed:
            raise StoreDamaged(path, f"the row of target {address!r} is not what was written")
        mark = msgspec.msgpack.decode(state, type=Mark)
        found[address] = Target(number, address, mark, *waiting.pop(number, (0, 0)))
    if waiting:
        raise StoreDamaged(path, f"{sum(many for many, _ in waiting.values())} messages belong to no target")
    return found


class Disk(writer.Target):
    """The database behind a `Writer`.

    Args:
        connection: the one that writes; the tables are there.
        path: the file.
        many: how many messages it takes, waiting and refused ones together.
        size: how many bytes of bodies.
        news: called after a commit with the addresses that have new messages, and with none after a failure; from the
            writer's thread.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: Path,
        *,
        many: int,
        size: int,
        news: Callable[[list[str]], None],
    ) -> None:
        self.path = str(path)
        self._connection = connection
        # The last connection to be closed writes the log back. After a failure nobody may: this one cannot.
        self._guard = open_connection(path, mode="ro")
        self._guard.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        self._bounds = many, size
        self._news = news
        self._logged = 0
        self.targets = read_targets(connection, self.path)
        """The targets as they were committed."""
        last = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'message'").fetchone()
        self._last: int = last[0] if last else 0
        self._last_target = max((target.id for target in self.targets.values()), default=0)
        self._total = self._counted()
        self._committed = self._total
        self._start()

    def _counted(self) -> tuple[int, int]:
        row = self._connection.execute("SELECT count(*), coalesce(sum(length(body)), 0) FROM refused").fetchone()
        many = sum(target.waiting for target in self.targets.values())
        return row[0] + many, row[1] + sum(target.size for target in self.targets.values())

    def _start(self) -> None:
        self._changed: dict[str, Target] = {}
        self._added: list[str] = []

    # The jobs.

    def put(self, address: str, codec: str, bodies: Sequence[bytes], now: int) -> list[int] | OutboxFull:
        """Keep messages; their numbers. The error, as an answer, where there is no room for all of them."""
        many, size = self._total[0] + len(bodies), self._total[1] + sum(map(len, bodies))
        if many > self._bounds[0] or size > self._bounds[1]:
            held = f"{self._total[0]:,} messages of {self._total[1]:,} bytes are in it"
            bound = f"it takes {self._bounds[0]:,} of {self._bounds[1]:,} bytes"
            return OutboxFull(self.path, f"{held}, {bound}; deliver some, or forget refused ones, then try again")
        return self._insert(address, codec, bodies, now)

    def _insert(self, address: str, codec: str, bodies: Sequence[bytes], now: int) -> list[int]:
        target = self._target(address)
        first = self._last + 1
        rows = [
            (number, target.id, codec, now, seal(body, number, target.id, codec, now), body)
            for number, body in enumerate(bodies, first)
        ]
        self._connection.executemany("INSERT INTO message VALUES (?, ?, ?, ?, ?, ?)", rows)
        self._last += len(rows)
        self._grow(target, len(rows), sum(map(len, bodies)))
        self._added.append(address)
        return list(range(first, first + len(rows)))

    def load(self, address: str, after: int, many: int, size: int) -> list[Parcel]:
        """The next messages of a target that wait, in order.

        Raises:
            StoreDamaged: one is not what was put in. Those before it come first, by themselves.
        """
        target = self._target(address)
        parcels: list[Parcel] = []
        for number, codec, posted, sealed, body in self._connection.execute(_NEXT, (target.id, after, many)):
            if seal(body, number, target.id, codec, posted) != sealed:
                if parcels:
                    break
                raise StoreDamaged(self.path, f"message {number} for {address} is not what was put in")
            size -= len(body)
            if parcels and size < 0:
                break
            parcels.append(Parcel(number, codec, body))
        return parcels

    def settle(self, address: str, last: int, many: int, sequence: int, kept: str) -> None:
        """Messages up to number `last` were delivered, and are kept so; an empty `kept` says nothing new.

        Raises:
            StoreDamaged: they are not there.
        """
        target = self._target(address)
        found, size = self._connection.execute(_BEFORE, (target.id, last)).fetchone()
        if found != many:
            raise StoreDamaged(self.path, f"{found} messages wait for {address} up to {last}, {many} were delivered")
        self._connection.execute("DELETE FROM message WHERE target = ? AND id <= ?", (target.id, last))
        mark = target.mark
        mark = msgspec.structs.replace(
            mark, sequence=sequence, delivered=mark.delivered + many, kept=kept, problem="", stopped=0
        )
        self._grow(msgspec.structs.replace(target, mark=mark), -many, -size)

    def refuse(self, address: str, number: int, code: Code, text: str, now: int) -> None:
        """A waiting message is refused for good: it is kept apart.

        Raises:
            StoreDamaged: it is not there.
        """
        target = self._target(address)
        query = "SELECT codec, posted, body FROM message WHERE id = ? AND target = ?"
        row = self._connection.execute(query, (number, target.id)).fetchone()
        if row is None:
            raise StoreDamaged(self.path, f"message {number} for {address} is gone")
        codec, posted, body = row
        if type(body) is not bytes:  # damage can change the type of a value
            codec, posted, body = str(codec), 0, str(body).encode(errors="replace")
        fields = (number, target.id, codec, posted, now, int(code), text)
        self._connection.execute(
            "INSERT INTO refused VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (*fields, seal(body, *fields), body)
        )
        self._connection.execute("DELETE FROM message WHERE id = ?", (number,))
        mark = msgspec.structs.replace(target.mark, refused=target.mark.refused + 1)
        self._grow(msgspec.structs.replace(target, mark=mark), -1, -len(body))
        self._total = self._total[0] + 1, self._total[1] + len(body)

    def renumber(self, address: str, sequence: int) -> None:
        """The server knows no sequence of ours beyond this one."""
        target = self._target(address)
        mark = msgspec.structs.replace(target.mark, sequence=sequence, renumbered=target.mark.renumbered + 1)
        self._grow(msgspec.structs.replace(target, mark=mark))

    def rename(self, address: str, now: int) -> None:
        """Post under a new identity from now on. Waiting messages that are damaged are put to the refused ones."""
        found = self._connection.execute(_NEXT, (self._target(address).id, 0, -1))
        damaged = [row[0] for row in found if seal(row[4], row[0], self._target(address).id, row[1], row[2]) != row[3]]
        for number in damaged:
            self.refuse(address, number, Code.FAILED, "it was damaged on this disk", now)
        target = self._target(address)
        mark = msgspec.structs.replace(target.mark, producer=secrets.token_bytes(16), sequence=0)
        self._grow(msgspec.structs.replace(target, mark=mark))

    def note(self, address: str, problem: str, stopped: int) -> None:
        """Keep what went wrong, for people who look later."""
        target = self._target(address)
        mark = msgspec.structs.replace(target.mark, problem=problem, stopped=stopped)
        self._grow(msgspec.structs.replace(target, mark=mark))

    def refusals(self, after: int, many: int) -> list[Refusal]:
        """The messages that were refused, past number `after`.

        Raises:
            StoreDamaged: one is not what was written.
        """
        addresses = {target.id: target.address for target in (*self.targets.values(), *self._changed.values())}
        found = []
        for *fields, sealed, body in self._connection.execute(_REFUSED, (after, many)):
            number, target, codec, posted, time, code, text = fields
            if seal(body, *fields) != sealed:
                raise StoreDamaged(self.path, f"the refused message {number} is not what was written")
            found.append(Refusal(number, addresses[target], code_of(code), text, codec, body, posted, time))
        return found

    def retry(self, number: int) -> int:
        """Put a refused message in again, behind all that wait for its target; its new number, 0 if there is none."""
        for refusal in self.refusals(number - 1, 1):
            if refusal.id == number:
                self.forget(number)
                return self._insert(refusal.address, refusal.codec, [refusal.body], refusal.posted)[0]
        return 0

    def forget(self, number: int) -> bool:
        """Forget a refused message; False if there is none of that number."""
        row = self._connection.execute("SELECT length(body) FROM refused WHERE id = ?", (number,)).fetchone()
        if row is None:
            return False
        self._connection.execute("DELETE FROM refused WHERE id = ?", (number,))
        self._total = self._total[0] - 1, self._total[1] - row[0]
        self._logged += _ROW_BYTES
        return True

    def _target(self, address: str) -> Target:
        """A target; one that is new is not kept until it has grown."""
        known = self._changed.get(address) or self.targets.get(address)
        return known or Target(self._last_target + 1, address, Mark(secrets.token_bytes(16)))

    def _grow(self, target: Target, many: int = 0, size: int = 0) -> None:
        """The target has changed, and so many messages came to it."""
        self._last_target = max(self._last_target, target.id)
        self._changed[target.address] = msgspec.structs.replace(
            target, waiting=target.waiting + many, size=target.size + size
        )
        self._total = self._total[0] + many, self._total[1] + size
        self._logged += _ROW_BYTES + max(size, 0)

    # For the writer.

    def begin(self) -> StoreFull | None:
        """Begin a transaction."""
        with told(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
        return None

    def run(self, apply: Callable[[], object]) -> object:
        """Let a job work; an error of the database under it is one of the batch."""
        try:
            return apply()
        except sqlite3.Error as error:
            told_as = meaning(error, self.path)
            raise told_as if isinstance(told_as, StoreFull) else StoreFailed(self.path, str(told_as)) from error

    def commit(self) -> None:
        """Commit, which syncs; then tell who delivers."""
        rows = []
        for target in self._changed.values():
            state = msgspec.msgpack.encode(target.mark)
            rows.append((target.id, target.address, state, seal(state, target.id, target.address)))
        with told(self.path):
            self._connection.executemany("INSERT OR REPLACE INTO target VALUES (?, ?, ?, ?)", rows)
            self._connection.execute("COMMIT")
        if self._changed:
            self.targets = {**self.targets, **self._changed}
        self._committed = self._total
        added = self._added
        self._start()
        if added:
            self._news(added)

    def rollback(self) -> None:
        """Forget the batch."""
        with told(self.path):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        self._total = self._committed
        self._start()

    def make_room(self) -> bool:
        """There is no reserve: a delivery that cannot be recorded now is recorded later, and comes again if need be."""
        return False

    def tidy(self) -> None:
        """Write the log back when it has grown."""
        if self._logged >= CHECKPOINT_BYTES:
            self._logged = 0
            with suppress(StoreFull), told(self.path):
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def failed(self, error: StoreFailed) -> None:
        """Leave the files as they are, for the next start to look at."""
        with suppress(sqlite3.Error):
            self._connection.close()
            self._guard.close()
        self._news([])

    def close(self) -> None:
        """Give unused pages back, write the log back, where there is room for that, and close."""
        with told(self.path):
            with suppress(StoreFull), told(self.path):
                (free,) = self._connection.execute("PRAGMA freelist_count").fetchone()
                if free >= _FREE_PAGES:
                    self._connection.executescript("PRAGMA incremental_vacuum")
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._guard.close()
            self._connection.close()

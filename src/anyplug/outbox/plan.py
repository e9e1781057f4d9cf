"""The delivery of one target as a state machine: what to do next, and what follows from what happened.

It does nothing itself, knows no clock and rolls no dice: times and random numbers are arguments, and all it wants done
is a `Step`. Whoever drives it asks `Delivery.next`, does that, and reports.

What makes a message arrive once. The sequence of a message is nothing but its place: the last sequence that is recorded
as delivered, plus one for each message that waits before it. So after a crash on either side everything that is not
recorded goes out again under the same sequences, and the server drops what it has. Three things move places, and each
is recorded on disk before anything else is said: messages were delivered, a message was refused for good, the server
has forgotten sequences. After a refusal the server takes nothing that was sent behind it, so nobody else holds the
place that the next message gets.

A batch that came through doubles the next one, a broken connection halves it: over a connection that breaks after every
few bytes a single message still gets through. And a message is only blamed for a refusal when it was sent alone: some
services refuse a batch for the sake of one message in it.

A server may have more than is recorded here: what was under way when the connection broke. It says so at the opening,
and then only the last message of those is sent again. Where the server finds its content equal, all up to it were
delivered. Where it does not, or has more than waits here, this is an older copy of the outbox, restored or at work
beside another, and nothing tells which of its messages were taken. Then the target stops and says so: to go on would
lose what is new, or repeat what is not.
"""

from __future__ import annotations

from collections import deque
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from anyplug.errors import AnyplugError, Code, ConnectionClosed, LocalError, PostRefused, Refused
from anyplug.outbox.steps import Load, Open, Post, Refuse, Renumber, Rest, Settle, Shut, Stop
from anyplug.outbox.verdicts import Verdict, opening_verdict, posting_rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anyplug.backoff import Backoff
    from anyplug.outbox.steps import Parcel, Step

__all__ = ["BATCH_BYTES", "BATCH_MANY", "LINGER", "TAKEOVERS", "TRIES", "Delivery"]

BATCH_MANY: Final = 1_000
"""Messages that are posted together, at most: as many as a server commits together."""

BATCH_BYTES: Final = 1024 * 1024
"""Bytes that are posted together, at most, but at least one message."""

TRIES: Final = 8
"""How often a message on which the service fails is tried, before it counts as refused."""

TAKEOVERS: Final = 2
"""How often another connection may take this one's place before the target stops. Once, it can be an earlier
connection of our own, whose opening came late."""

LINGER: Final = 10.0
"""How long a connection with nothing to deliver is kept for more, seconds, where nothing else is said."""


_BLAMES: Final = frozenset({Verdict.REFUSE, Verdict.PERHAPS})


class Delivery:
    """One target.

    Args:
        acked: the last sequence that is recorded as delivered.
        backoff: how long to wait after failures.
        linger: how long a connection with nothing to deliver is kept for more, seconds.
    """

    __slots__ = (
        "_acked",
        "_after",
        "_asked",
        "_backoff",
        "_codec",
        "_disk_at",
        "_expected",
        "_limit",
        "_linger",
        "_more",
        "_news",
        "_out",
        "_posted",
        "_quota",
        "_record",
        "_rest",
        "_takeovers",
        "_tries",
        "_waiting",
        "failures",
        "problem",
        "retry_at",
        "stopped",
    )

    def __init__(self, acked: int, *, backoff: Backoff, linger: float = LINGER) -> None:
        self._acked = acked
        self._backoff = backoff
        self._linger = linger
        self._waiting: deque[Parcel] = deque()
        self._out: list[Parcel] = []
        self._after = 0
        self._more = True
        self._news = 0
        self._asked = 0
        self._codec: str | None = None
        self._limit = 0
        self._expected = 0
        self._posted = 0
        self._quota = BATCH_MANY
        self._record: deque[Settle | Refuse | Renumber] = deque()
        self._rest: float | None = None
        self._disk_at: float | None = None
        self._takeovers = 0
        self._tries = 0
        self.failures = 0
        """Failures in a row, since something was last delivered."""
        self.problem = ""
        """What went wrong last; empty once something was delivered after it."""
        self.retry_at: float | None = None
        """When the next attempt is due, after a failure."""
        self.stopped: Stop | None = None
        """Why nothing is tried any more."""

    @property
    def connected(self) -> bool:
        """Whether there is a connection."""
        return self._codec is not None

    # What to do.

    def next(self, now: float) -> Step:
        """The next step. Asked again without a report in between, it is the same.

        Args:
            now: the time in seconds, of any clock that never goes back.
        """
        if self._disk_at is not None and now < self._disk_at:
            return Rest(self._disk_at, retrying=True)
        if self._record:
            return self._record[0]
        if self.stopped is not None:
            return Shut() if self.connected else self.stopped
        if self.retry_at is not None and now < self.retry_at:
            return Shut() if self.connected else Rest(self.retry_at, retrying=True)
        if not self._waiting:
            return self._load_or_rest(now)
        return self._compare() if self._posted > self._acked else self._post()

    def _compare(self) -> Step:
        """Have the server compare the last message that it says it has."""
        ahead = self._posted - self._acked
        if ahead > len(self._waiting) and ahead <= BATCH_MANY and self._more:
            return self._load()
        if ahead > len(self._waiting):
            self._forked()
            return self.next(0.0)
        last = self._waiting[ahead - 1]
        if self._codec is None:
            return Open(last.codec, self._posted)
        if self._codec != last.codec or self._expected != self._posted:
            return Shut()
        self._out = [last]
        return Post(self._posted, self._out)

    def _post(self) -> Step:
        head = self._waiting[0]
        if self._codec is None:
            return Open(head.codec, self._acked + 1)
        if self._codec != head.codec or self._expected != self._acked + 1:
            return Shut()
        if self._limit and len(head.body) > self._limit:
            text = f"it has {len(head.body):,} bytes, the server takes {self._limit:,}"
            self._record.append(Refuse(head.id, Code.TOO_LARGE, text))
            return self._record[0]
        self._out = self._batch()
        return Post(self._acked + 1, self._out)

    def _load_or_rest(self, now: float) -> Step:
        if self._more:
            return self._load()
        if not self.connected:
            return Rest(None, retrying=False)
        if self._rest is None:
            self._rest = now + self._linger
        return Shut() if now >= self._rest else Rest(self._rest, retrying=False)

    def _load(self) -> Load:
        self._asked = self._news
        self._rest = None
        return Load(self._after, BATCH_MANY, BATCH_BYTES)

    def _batch(self) -> list[Parcel]:
        """The messages from the first on that go together: of one codec, none too large, as many as the quota says."""
        codec, most = self._codec, self._limit or None
        batch: list[Parcel] = []
        size = 0
        fitting = takewhile(
            lambda parcel: parcel.codec == codec and (most is None or len(parcel.body) <= most), self._waiting
        )
        for parcel in fitting:
            size += len(parcel.body)
            if batch and (len(batch) >= self._quota or size > BATCH_BYTES * self._quota // BATCH_MANY):
                break
            batch.append(parcel)
        return batch

    # What happened.

    def news(self) -> None:
        """There are more messages on the disk."""
        self._more = True
        self._news += 1

    def loaded(self, parcels: Sequence[Parcel]) -> None:
        """These came from the disk; none of them if there are no more."""
        if parcels:
            self._waiting.extend(parcels)
            self._after = parcels[-1].id
        elif self._news == self._asked:
            self._more = False

    def opened(self, codec: str, *, limit: int, posted: int = 0) -> None:
        """There is a connection.

        Args:
            codec: its codec.
            limit: the largest message that the server takes, bytes; 0 where it does not say.
            posted: the last sequence that the server has of this outbox; 0 where it has none, or does not say.
        """
        self._codec = codec
        self._limit = limit
        self._expected = max(self._posted, self._acked + 1)
        self._posted = posted
        self.retry_at = None

    def shut(self) -> None:
        """There is no connection any more."""
        self._codec = None
        self._rest = None

    def posted(self) -> None:
        """All of the batch are kept by the server."""
        if self._posted > self._acked:
            self._delivered(self._posted - self._acked)
            return
        self._quota = min(2 * self._quota, BATCH_MANY)
        self._delivered(len(self._out))

    def recorded(self) -> None:
        """The disk has what was to be recorded."""
        self._disk_at = None
        record = self._record.popleft()
        if isinstance(record, Settle):
            for _ in range(record.many):
                self._waiting.popleft()
            self._acked = record.sequence
        elif isinstance(record, Refuse):
            self._waiting.popleft()
        else:
            self._acked = self._posted = record.sequence

    def unrecorded(self, error: AnyplugError, now: float, roll: float) -> None:
        """The disk had no room for it, or could not be read: it is tried again; nothing else is done before.

        The arguments are those of `failed`.
        """
        self._disk_at = now + self._backoff.delay(self.failures, roll)
        self.failures += 1
        self.problem = str(error)

    def damaged(self, error: AnyplugError) -> None:
        """A message on the disk is not what was put in. It may have been sent before, so nobody else gets its place."""
        self._stop(Code.STORE_FAILED, str(error), error)

    def failed(self, error: AnyplugError, now: float, roll: float) -> None:
        """Opening, posting or recording went wrong.

        Args:
            error: what happened.
            now: the time, as for `next`.
            roll: a random number from 0 to 1.
        """
        if isinstance(error, PostRefused):
            self._refused(error, now, roll)
        elif isinstance(error, (Refused, ConnectionClosed)):
            self._judge(opening_verdict(error.code), error, now, roll)
        elif isinstance(error, LocalError):
            self._stop(error.code or Code.UNSUPPORTED, str(error), error)
        else:
            self._back_off(error, now, roll)

    def resume(self) -> None:
        """Somebody has changed something: try again at once."""
        self.stopped = None
        self._posted = 0
        self.retry_at = self._disk_at = None
        self.failures = self._tries = self._takeovers = 0

    # What follows.

    def _delivered(self, count: int) -> None:
        sequence = self._acked + count
        self._record.append(Settle(self._waiting[count - 1].id, count, sequence))
        self._expected = sequence + 1
        self.failures = self._tries = 0
        self.retry_at = None
        self.problem = ""

    def _refused(self, error: PostRefused, now: float, roll: float) -> None:
        """A post was not taken: those before it were, those behind it were not."""
        taken = error.sequence - self._acked - 1
        if error.code is Code.GAP and taken < 0:
            self._record.append(Renumber(error.sequence - 1))
            self._expected = error.sequence
            self.problem = f"{error}; counting on from {error.sequence}: the server's store was replaced or restored"
            return
        if self._posted > self._acked:
            self._not_compared(error, now, roll)
            return
        if 0 < taken <= len(self._out):
            self._delivered(taken)
        head = self._out[taken] if 0 <= taken < len(self._out) else None
        verdict = posting_rule(error.code).verdict
        if head is not None and len(self._out) > 1 and (error.code is Code.CONFLICT or verdict in _BLAMES):
            self._quota = 1
            self._expected = error.sequence
            return
        if verdict is Verdict.PERHAPS:
            self._tries += 1
            verdict = Verdict.RETRY if self._tries < TRIES else Verdict.REFUSE
        if verdict is Verdict.REFUSE and head is not None:
            self._record.append(Refuse(head.id, error.code, error.text))
            self._tries = 0
            self.problem = str(error)
            return
        self._judge(verdict, error, now, roll)

    def _not_compared(self, error: PostRefused, now: float, roll: float) -> None:
        """The server did not say that it has this message."""
        verdict = posting_rule(error.code).verdict
        if verdict is Verdict.RENUMBER:  # its store was restored meanwhile: it will say at the next opening what it has
            verdict = Verdict.RETRY
        if verdict is Verdict.PERHAPS:
            self._tries += 1
            verdict = Verdict.RETRY if self._tries < TRIES else Verdict.REFUSE
        if verdict is Verdict.REFUSE or error.code is Code.CONFLICT:
            self._forked()
        else:
            self._judge(verdict, error, now, roll)

    def _forked(self) -> None:
        """The server has messages of this outbox that this outbox does not know."""
        many = self._posted - self._acked
        problem = (
            f"the server has {many:,} more of this outbox's messages than are recorded here as delivered, and they are "
            "not those that wait: an older copy of the outbox was restored, or two are in use; to post what waits "
            "under a new identity, where some of it may come twice, renew it (anyplug outbox --renew)"
        )
        self._stop(Code.CONFLICT, problem, PostRefused(Code.CONFLICT, problem, sequence=self._posted))

    def _judge(self, verdict: Verdict, error: Refused | ConnectionClosed, now: float, roll: float) -> None:
        if error.code is Code.TAKEN_OVER:
            self._takeovers += 1
            if self._takeovers < TAKEOVERS:
                verdict = Verdict.RETRY
        if verdict is Verdict.STOP:
            self._stop(error.code, error.text, error)
        else:
            self._back_off(error, now, roll)

    def _stop(self, code: Code, text: str, error: AnyplugError) -> None:
        self.stopped = Stop(code, text)
        self.problem = str(error)
        self._expected = 0

    def _back_off(self, error: AnyplugError, now: float, roll: float) -> None:
        """Try again later, over a new connection, with a smaller batch."""
        self.retry_at = now + self._backoff.delay(self.failures, roll)
        self.failures += 1
        self.problem = str(error)
        self._quota = max(1, self._quota // 2)
        self._expected = 0

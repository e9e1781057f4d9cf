"""What can be wrong with an outbox: the errors of a store, in the words of one who has an outbox."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from anyplug.errors import Code, Refused, StoreBusy, StoreDamaged, StoreError, StoreFailed, StoreFull

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "OutboxBusy",
    "OutboxDamaged",
    "OutboxError",
    "OutboxFailed",
    "OutboxFull",
    "Undeliverable",
    "counted",
    "in_words",
    "of_outbox",
]


class OutboxError(StoreError):
    """What an outbox cannot do: it is closed, of another version, or no outbox at all.

    Attributes:
        path: its file.
        problem: what is wrong, and the remedy.
    """

    def __str__(self) -> str:
        return f"the outbox {self.path}: {self.problem}"


class OutboxFull(OutboxError, StoreFull):
    """It takes no more messages. This one was not put in; those that are in it stay and are delivered."""

    def __str__(self) -> str:
        return f"the outbox {self.path} is full: {self.problem}"


class OutboxFailed(OutboxError, StoreFailed):
    """It stopped after an error of the disk. What was being put in is unknown; what was put in before stays."""

    def __str__(self) -> str:
        return f"the outbox {self.path} has stopped: {self.problem}; mend the disk, then start this program again"


class OutboxBusy(OutboxError, StoreBusy):
    """Another process has it, or another `Outbox` of this one."""

    def __str__(self) -> str:
        return f"the outbox {self.path} is in use: {self.problem}"


class OutboxDamaged(OutboxError, StoreDamaged):
    """Its file does not hold what was written to it. Nothing of the damaged part is delivered."""

    def __str__(self) -> str:
        return f"the outbox file {self.path} is damaged: {self.problem}"


class Undeliverable(Refused):
    """A server takes no message of this outbox, and waiting does not help. The messages are kept.

    Attributes:
        address: the target.
        code: why.
        text: the sentence that belongs to it, partly the server's: escape it before it goes to a terminal.
        waiting: how many messages wait for that target.
    """

    def __init__(self, address: str, code: Code, text: str, *, waiting: int) -> None:
        super().__init__(code, text)
        self.args = (address, code, text, waiting)
        self.address = address
        self.waiting = waiting

    def __reduce__(self) -> tuple[object, ...]:
        """Keep all facts in a copy."""
        return (_undeliverable, self.args)

    def __str__(self) -> str:
        why = f"{self.code.word}: {self.text}" if self.text else self.code.word
        return f"{counted(self.waiting)} for {self.address} cannot be delivered ({why})"


def counted(messages: int) -> str:
    """So many messages, in words."""
    return "1 message" if messages == 1 else f"{messages:,} messages"


def _undeliverable(address: str, code: Code, text: str, waiting: int) -> Undeliverable:
    return Undeliverable(address, code, text, waiting=waiting)


_KINDS: tuple[tuple[type[StoreError], type[OutboxError]], ...] = (
    (StoreFull, OutboxFull),
    (StoreFailed, OutboxFailed),
    (StoreBusy, OutboxBusy),
    (StoreDamaged, OutboxDamaged),
)


def of_outbox(error: StoreError) -> OutboxError:
    """The error of a store as one of an outbox."""
    if isinstance(error, OutboxError):
        return error
    kind = next((mine for theirs, mine in _KINDS if isinstance(error, theirs)), OutboxError)
    return kind(error.path, error.problem)


@contextmanager
def in_words() -> Iterator[None]:
    """Errors of a store, raised within, come out as errors of an outbox."""
    try:
        yield
    except OutboxError:
        raise
    except StoreError as error:
        raise of_outbox(error) from error

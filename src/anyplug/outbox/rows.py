"""What an outbox keeps of each target, and of each message that was refused for good."""

from __future__ import annotations

import msgspec

from anyplug.codes import Code

__all__ = ["Mark", "Refusal", "Target", "code_of"]


class Mark(msgspec.Struct, frozen=True):
    """One target as it is on disk. Fields may be added at the end, with a default."""

    producer: bytes
    """The identity under which this outbox posts there, chosen at random."""
    sequence: int = 0
    """The last sequence that the server is known to have."""
    delivered: int = 0
    """Messages delivered, in all."""
    refused: int = 0
    """Messages refused for good, in all."""
    renumbered: int = 0
    """How often the server had forgotten sequences."""
    kept: str = ""
    """How the server keeps messages: ``disk``, or the weaker way it was configured for; empty before the first one."""
    problem: str = ""
    """What went wrong last, until something was delivered after it."""
    stopped: int = 0
    """The code for which nothing more was tried, or 0."""

    @property
    def stop(self) -> Code | None:
        """The code for which nothing more was tried; one of a later version counts as ``failed``."""
        return code_of(self.stopped) if self.stopped else None


def code_of(number: int) -> Code:
    """The code of that number; one that a later version wrote counts as ``failed``."""
    try:
        return Code(number)
    except ValueError:
        return Code.FAILED


class Target(msgspec.Struct, frozen=True):
    """One target with what waits for it."""

    id: int
    address: str
    mark: Mark
    waiting: int = 0
    """Messages."""
    size: int = 0
    """Their bytes."""


class Refusal(msgspec.Struct, frozen=True):
    """A message that its server refused for good."""

    id: int
    """The number that `Outbox.post` gave it."""
    address: str
    """Where it was to go."""
    code: Code
    """Why not."""
    text: str
    """The server's sentence. It is a stranger's: escape it before it goes to a terminal."""
    codec: str
    """The codec of its body."""
    body: bytes
    """The message, encoded."""
    posted: int
    """When it was put in, nanoseconds since 1970 UTC."""
    time: int
    """When it was refused."""

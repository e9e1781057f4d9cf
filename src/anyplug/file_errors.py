"""The errors of files: what is not there, what was taken over, and what is not what it was said to be."""

from __future__ import annotations

from anyplug.codes import Code
from anyplug.errors import LocalError, PeerError

__all__ = ["Mismatch", "NotThere", "SourceChanged", "SourceError", "TakenOver"]


class NotThere(LocalError):
    """A file or a transfer that does not exist, or no longer.

    Attributes:
        what: ``file`` or ``transfer``.
        name: what was asked for. It may come from a peer: escape it before it goes to a terminal.
    """

    code = Code.NOT_FOUND

    def __init__(self, what: str, name: str) -> None:
        super().__init__(what, name)
        self.what = what
        self.name = name

    def __str__(self) -> str:
        remedy = "begin a new one" if self.what == "transfer" else "list what is there"
        return f"there is no {self.what} {self.name!r}; {remedy}"


class TakenOver(LocalError):
    """A newer connection carries on this transfer, or it is over. Nothing of this write was stored.

    Attributes:
        transfer: its id.
        problem: what happened to it.
    """

    code = Code.TAKEN_OVER

    def __init__(self, transfer: str, problem: str = "a newer connection carries it on") -> None:
        super().__init__(transfer, problem)
        self.transfer = transfer
        self.problem = problem

    def __str__(self) -> str:
        return f"transfer {self.transfer}: {self.problem}"


class Mismatch(PeerError):
    """What came is not what was announced, or not what came before. Nothing of it was stored.

    Attributes:
        what: what is wrong: ``chunk 7``, ``size``, ``digest``.
        expected: what it should be.
        found: what it is.
    """

    code = Code.INTEGRITY

    def __init__(self, what: str, *, expected: str, found: str) -> None:
        super().__init__(what, expected, found)
        self.what = what
        self.expected = expected
        self.found = found

    def __str__(self) -> str:
        return f"{self.what}: got {self.found}, expected {self.expected}; if the file has changed, begin anew"


class SourceError(LocalError):
    """A file of this machine that cannot be read, or a target here that cannot be written.

    Attributes:
        path: which.
        problem: why not.
    """

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(path, problem)
        self.path = path
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}"


class SourceChanged(SourceError):
    """A file was changed while it was being sent. Nothing appeared on the server."""

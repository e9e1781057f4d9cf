"""What a files service is asked, and what it answers.

Questions travel as REQUEST frames, the bytes of files as CONTENT frames (or, of small files, within a question). Times
are nanoseconds since 1970 UTC, sizes are bytes. A file is cut into chunks of `CHUNK_MAX` bytes; its digest is that of
`anyplug.store.chunks`, and so is a chunk's.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final, TypeAlias

import msgspec

from anyplug.errors import Code, Refused

__all__ = [
    "DIGESTS_MANY",
    "LIST_MANY",
    "PUT_BYTES",
    "PUT_MANY",
    "RUNS_MANY",
    "SMALL_MAX",
    "Abandon",
    "Answer",
    "Digests",
    "DigestsOf",
    "Done",
    "Failure",
    "Fetch",
    "File",
    "Finish",
    "Have",
    "Info",
    "Let",
    "List",
    "Listed",
    "Offer",
    "Open",
    "Opened",
    "Put",
    "Puts",
    "Remove",
    "Request",
    "Small",
    "Stored",
    "Transfer",
]

SMALL_MAX: Final = 256 * 1024
"""The largest file that travels within a question, bytes."""

PUT_BYTES: Final = 1024 * 1024
"""The files of one `Put`, bytes, at most."""

PUT_MANY: Final = 256
"""The files of one `Put`, at most."""

LIST_MANY: Final = 1_000
"""The files of one `Listed`, at most."""

RUNS_MANY: Final = 1_000
"""The missing runs of one `Transfer`, at most. Where there are more, the last covers the others."""

DIGESTS_MANY: Final = 1_024
"""The digests of one answer, at most: those of a gibibyte."""

Size: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Time: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Digest: TypeAlias = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
Number: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
Label: TypeAlias = Annotated[str, msgspec.Meta(max_length=4096)]
ContentType: TypeAlias = Annotated[str, msgspec.Meta(max_length=255)]


class _Question(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    tag_field="type",
    tag=str.lower,
    omit_defaults=True,
    forbid_unknown_fields=True,
):
    """One question. A field that is not known is refused: a misspelt ``replace`` should not go unnoticed."""


class _Answer(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=str.lower, omit_defaults=True):
    """One answer. Later versions may add fields."""


class Offer(_Question, frozen=True, kw_only=True):
    """Begin to send a file, or go on. Answered by `Transfer`; or by `Stored`, where the transfer that is to go on was
    finished before.
    """

    name: Label
    """What it is called; ``/`` between folders."""
    size: Size | None = None
    """Bytes; without, they are known at the end."""
    modified: Time | None = None
    """When its content was last changed."""
    content_type: ContentType = ""
    replace: bool = False
    """Take the place of the file of that name; where not, a name that is taken gets a number: ``photo (2).jpg``."""
    resume: Annotated[str, msgspec.Meta(max_length=64)] = ""
    """The id of a transfer that is to go on, from whoever has it: the newest connection wins. Where there is none of
    that id any more, and none that was finished, a new one begins, with an id of its own."""


class Finish(_Question, frozen=True, kw_only=True):
    """All chunks were sent: verify, sync, give the file its name. Answered by `Stored`, once that is done."""

    number: Number
    size: Size
    digest: Digest
    """Of the whole."""


class Have(_Question, frozen=True, kw_only=True):
    """Tell what is missing by now. Answered by `Transfer`, or by what was wrong with a chunk that was not taken."""

    number: Number


class Abandon(_Question, frozen=True, kw_only=True):
    """Forget a transfer, and all that was sent of it. Answered by `Done`."""

    number: Number


class Small(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True, forbid_unknown_fields=True):
    """A whole file."""

    name: Label
    data: bytes
    """At most `SMALL_MAX` bytes; in JSON they are base64."""
    digest: Digest
    modified: Time | None = None
    content_type: ContentType = ""
    replace: bool = False


class Put(_Question, frozen=True, kw_only=True):
    """Store small files, each by itself. Answered by `Puts`, once those that could be stored are synced."""

    files: Annotated[list[Small], msgspec.Meta(min_length=1, max_length=PUT_MANY)]
    """`PUT_BYTES` of data, at most."""


class List(_Question, frozen=True, kw_only=True):
    """Name the files in a folder and below, ordered by name without case. Answered by `Listed`."""

    folder: Label = ""
    """By default all."""
    after: Label = ""
    """Those behind this name."""
    limit: Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)] = LIST_MANY
    """So many at most. The server may give fewer."""


class Info(_Question, frozen=True, kw_only=True):
    """Tell of a file. Answered by `Stored`."""

    name: Label


class Remove(_Question, frozen=True, kw_only=True):
    """Delete a file, for good. Answered by `Stored`: what it was."""

    name: Label


class Open(_Question, frozen=True, kw_only=True):
    """Open a file for reading. Answered by `Opened`. It stays readable, as it was, when its name gets another file."""

    name: Label


class Digests(_Question, frozen=True, kw_only=True):
    """Give the digests of chunks of an open file. Answered by `DigestsOf`."""

    number: Number
    first: Size
    """The first chunk."""


class Fetch(_Question, frozen=True, kw_only=True):
    """Send chunks of an open file: they come as CONTENT frames, verified, in order, before the answer, `Done`."""

    number: Number
    first: Size
    """The first chunk."""
    end: Size
    """One past the last."""


class Let(_Question, frozen=True, kw_only=True):
    """Let go of an open file, or of a transfer that is to rest. Answered by `Done`."""

    number: Number


Request: TypeAlias = Offer | Have | Finish | Abandon | Put | List | Info | Remove | Open | Digests | Fetch | Let
"""Whatever can be asked."""


class File(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag_field="type", tag="file"):
    """A file that is there: whole, verified, synced."""

    name: str
    """Its name on the server."""
    size: int
    digest: bytes
    stored: int
    """When it was stored."""
    modified: int | None = None
    """When its content was last changed, as its sender said."""
    content_type: str = ""
    label: str = ""
    """What its sender called it, where that is not its name."""
    sender: str = ""
    """The address it came from."""

    @property
    def time(self) -> datetime:
        """When its content was changed, or else when it was stored: in UTC, to the microsecond."""
        at = self.stored if self.modified is None else self.modified
        seconds, rest = divmod(at, 1_000_000_000)
        return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000)


class Transfer(_Answer, frozen=True, kw_only=True):
    """Send these chunks. The answer to `Offer`."""

    number: int
    """What the transfer is called in CONTENT frames and questions of this connection."""
    id: str
    """What it is called by `Offer.resume`, on any connection."""
    missing: list[tuple[int, int]]
    """The runs of chunks that are not there: the first of each, and one past the last. The last run of a file whose
    size is not known ends where the largest file would."""
    received: int = 0
    """Bytes that are there."""


class Stored(_Answer, frozen=True, kw_only=True):
    """A file. The answer to `Finish`, `Info`, `Remove`."""

    file: File
    synced: bool = True
    """It is on the server's disk; where not, the server keeps files in memory, as it was configured to."""


class Failure(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="failure"):
    """Why a file was not stored."""

    code: int
    text: str

    @property
    def error(self) -> Refused:
        """The same as an error."""
        try:
            code = Code(self.code)
        except ValueError:
            code = Code.FAILED
        return Refused(code, self.text)


class Puts(_Answer, frozen=True, kw_only=True):
    """What became of each file of a `Put`, in order."""

    results: list[File | Failure]
    synced: bool = True
    """As `Stored.synced`."""


class Listed(_Answer, frozen=True, kw_only=True):
    """The answer to `List`."""

    files: list[File]
    more: bool = False
    """There are others behind the last of these."""


class Opened(_Answer, frozen=True, kw_only=True):
    """A file that can be read. The answer to `Open`."""

    number: int
    """What it is called in CONTENT frames and questions of this connection."""
    file: File
    digests: bytes
    """Those of the first chunks, one after another; `Digests` gives the others."""


class DigestsOf(_Answer, frozen=True, kw_only=True, tag="digests_of"):
    """The answer to `Digests`."""

    digests: bytes
    """One after another; at least one where there are any."""


class Done(_Answer, frozen=True, kw_only=True):
    """The answer to what needs no other."""


Answer: TypeAlias = Transfer | Stored | Puts | Listed | Opened | DigestsOf | Done
"""Whatever is answered. A refusal is an ERROR frame with its code."""

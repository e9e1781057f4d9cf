"""What a shelf is asked, and what it answers.

Questions travel as REQUEST frames. Bodies are bytes, which the server never looks into. Versions start at 1; each
change of the shelf has a larger one than all before. Times are nanoseconds since 1970 UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeAlias

import msgspec

from anyplug.errors import DecodeError
from anyplug.schemas.contents import decoded

__all__ = [
    "KEYS_MAX",
    "WAIT_MAX",
    "Answer",
    "Changes",
    "Delete",
    "Entry",
    "Found",
    "Get",
    "History",
    "List",
    "News",
    "Put",
    "Request",
    "Stale",
    "Written",
]

WAIT_MAX: Final = 60.0
"""The longest that a question waits for a change, seconds; a longer wait is cut to it."""

KEYS_MAX: Final = 1_000
"""Keys of one `Get`, at most."""

Version: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Limit: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
Token: TypeAlias = Annotated[bytes, msgspec.Meta(max_length=64)]
ContentType: TypeAlias = Annotated[str, msgspec.Meta(max_length=255)]
Keys: TypeAlias = Annotated[list[str], msgspec.Meta(max_length=KEYS_MAX)]


class _Question(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    tag_field="type",
    tag=str.lower,
    omit_defaults=True,
    forbid_unknown_fields=True,
):
    """One question. A field that is not known is refused: a misspelt ``expected`` would overwrite what it should
    protect.
    """


class _Answer(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=str.lower, omit_defaults=True):
    """One answer. Later versions may add fields."""


class Put(_Question, frozen=True, kw_only=True):
    """Set a value. Answered by `Written` once it is durable, or by `Stale`."""

    key: str
    """Its name: 1 to 255 bytes of UTF-8 together with the shelf's own name, without control characters."""
    body: bytes
    """The value; in JSON it is base64."""
    content_type: ContentType = ""
    """What the bytes are (`anyplug.schemas.contents`)."""
    expected: Version | None = None
    """The version that has to be there, 0 for no value; without, it is set whatever is there."""
    token: Token = b""
    """Which write this is: a name that no other write has. The same write with the same token, asked again, writes
    nothing anew, and is answered as before, as long as the key's history has it. Empty is none."""


class Delete(_Question, frozen=True, kw_only=True):
    """Delete a value. Answered as `Put`; the version is 0 where there was no value."""

    key: str
    expected: Version | None = None
    token: Token = b""


class Get(_Question, frozen=True, kw_only=True):
    """Give the values of these keys."""

    keys: Keys
    bodies: bool = True
    """Without, bodies are empty in the answer."""


class List(_Question, frozen=True, kw_only=True):
    """Give the values there are, in the order of their keys by code points."""

    prefix: str = ""
    """Those whose key begins with it."""
    after: str = ""
    """Those behind this key."""
    limit: Limit = 1_000
    """So many at most. The server may give fewer."""
    bodies: bool = True
    """Without, bodies are empty in the answer."""


class History(_Question, frozen=True, kw_only=True):
    """Give the changes of a key that are kept, deletions among them, the newest first."""

    key: str
    before: Version | None = None
    """Those below this version."""
    limit: Limit = 1_000
    """So many at most. The server may give fewer."""


class Changes(_Question, frozen=True, kw_only=True):
    """Give the changes past a version, deletions among them, in order of versions. Answered by `News`."""

    after: Version | None = None
    """Past this one. Without, the answer has no change, only the version to go on from."""
    prefix: str = ""
    """Those whose key begins with it."""
    limit: Limit = 1_000
    """So many at most. The server may give fewer."""
    wait: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """Where there is none: seconds to wait for one before the answer is an empty one."""


Request: TypeAlias = Put | Delete | Get | List | History | Changes
"""Whatever can be asked."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A value with its version; or the mark of its deletion."""

    key: str
    version: int
    written: int
    """When, nanoseconds since 1970 UTC, by the server's clock."""
    body: bytes = b""
    """The bytes that were put."""
    content_type: str = ""
    """What the bytes are."""
    deleted: bool = False
    previous: int = 0
    """The version of the key's change before this one; 0 where this is the first. Who follows the changes and has not
    seen that one has missed it: of an older change only as many are kept as the key's history has."""
    missed: bool = False
    """Said by `watch` alone, never by the server: changes of this key before this one are lost to the watcher."""

    @property
    def value(self) -> Any:
        """The value, by the content type; the bytes where that is not known here; None for a deletion.

        Raises:
            DecodeError: the body is not what the content type says.
        """
        if self.deleted:
            return None
        try:
            return decoded(self.content_type, self.body)
        except DecodeError as error:
            error.problem = f"{error.problem} (key {self.key!r}, version {self.version})"
            raise

    @property
    def time(self) -> datetime:
        """When it was written, in UTC, to the microsecond."""
        seconds, rest = divmod(self.written, 1_000_000_000)
        return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000)


class Written(_Answer, frozen=True, kw_only=True):
    """It is done, and synced to the server's disk. The answer to `Put` and `Delete`."""

    version: int
    memory: bool = False
    """It is in memory alone, as the server was configured: the end of the server loses it."""


class Stale(_Answer, frozen=True, kw_only=True):
    """Nothing was written: another version is there than was expected. The other answer to `Put` and `Delete`."""

    key: str
    expected: int
    found: int
    """The version that is there, 0 for no value."""


class Found(_Answer, frozen=True, kw_only=True):
    """The answer to `Get`, `List` and `History`."""

    entries: list[Entry | None]
    """For `Get`: one for each key in its order, null where there is no value. There are fewer than keys where all would
    be too many bytes: ask again for the others."""
    more: bool = False
    """There may be others behind the last of these."""


class News(_Answer, frozen=True, kw_only=True):
    """The answer to `Changes`."""

    changes: list[Entry]
    version: int
    """Where to go on: all changes up to this version have been looked at."""


Answer: TypeAlias = Written | Stale | Found | News
"""Whatever is answered. A refusal is an ERROR frame with its code."""

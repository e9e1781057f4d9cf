"""The bounded machine that reads pickles: a stack, marks, a memo, and an account of what has been built.

A pickle is a program for a small stack machine. Here are its registers and every bound; the opcodes are in
`pickle_reader`. What keeps a hostile program small:

- Nothing is found by name: five pure constructors are all there is (`CONSTRUCTORS`).
- A stated length is compared with what is left before anything is cut; the memo is a dictionary, whatever the index.
- Depth and size of each container are known when it is filled. The size counts a shared part as often as it occurs, as
  if it had been written out each time; it may not pass the largest message. So references save bytes, but cannot make
  a few hundred bytes a value that takes forever to walk.
- A container is complete once it is part of another one. So no value contains itself, and sizes never go stale.
- Tuples as keys are hashed in a time that is accounted, and only a few of one dictionary may collide.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from anyplug.codec.nesting import CONTAINERS_MAX
from anyplug.errors import Code, DecodeError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anyplug.limits import Limits

__all__ = [
    "COLLISIONS_MAX",
    "CONTAINERS_FREE",
    "INTEGER_BITS",
    "MEMO_MAX",
    "Constructor",
    "Machine",
    "Reader",
    "kind_name",
]

T = TypeVar("T")

INTEGER_BITS: Final = 14_280
"""The largest integer, bits: 4,299 digits. Python itself refuses to print or read one of more than 4,300."""

MEMO_MAX: Final = 1_000_000
"""Values that may be remembered for reference, a count: about 100 MB."""

CONTAINERS_FREE: Final = 65_536
"""Containers that any message may have; above it one for each four bytes, up to `CONTAINERS_MAX`. An empty set is one
byte of pickle, and 216 here."""

COLLISIONS_MAX: Final = 64
"""Keys of one dictionary or set that may have the same hash, of those whose hash a peer can choose."""

WORK_FREE: Final = 1 << 20
"""Work beyond reading that any message may make, in sizes hashed or copied; above it 16 for each byte of the message.
Ordinary messages make 10 for each byte at most."""

KEY_BITS: Final = 64
"""Integers of more bits can be made to collide at will when they are keys."""

_CONTAINERS: Final = frozenset({list, tuple, dict, set, frozenset})
_COLLIDING: Final = frozenset({tuple, frozenset, complex})
_ATOMS: Final = frozenset({type(None), bool, float, complex})


@dataclass(frozen=True, slots=True)
class Constructor:
    """What a global stands for on the stack: a function that makes a builtin value of builtin values."""

    name: str
    build: Callable[[Machine, tuple[object, ...]], object]


class Machine:
    """One pickle being read."""

    __slots__ = (
        "at",
        "body",
        "containers",
        "containers_max",
        "depth_max",
        "depths",
        "hashes",
        "marks",
        "memo",
        "name",
        "size_max",
        "sizes",
        "stack",
        "start",
        "work",
        "work_max",
    )

    def __init__(self, body: bytes, limits: Limits) -> None:
        self.body = body
        self.at = 0
        """The next byte to read."""
        self.start = 0
        """Where the opcode being read begins."""
        self.name = ""
        """Its name."""
        self.stack: list[object] = []
        self.marks: list[int] = [0]
        """Heights of the stack below which no opcode reaches: 0, and where each mark was set."""
        self.memo: dict[int, object] = {}
        self.depths: dict[int, int] = {}
        """id of a container -> its levels; negative once it is part of another one and therefore complete."""
        self.sizes: dict[int, int] = {}
        """id of a container -> its size written out."""
        self.hashes: dict[tuple[int, int], int] = {}
        """(dictionary or set, hash) -> how many of its keys have that hash."""
        self.containers = 0
        self.work = 0
        """Sizes that were hashed or copied besides being read."""
        self.depth_max = limits.nesting
        self.size_max = max(limits.message, len(body))
        self.work_max = WORK_FREE + 16 * len(body)
        self.containers_max = min(CONTAINERS_MAX, CONTAINERS_FREE + len(body) // 4)

    # What opcodes read.

    def fault(self, problem: str) -> DecodeError:
        """The refusal of the pickle: the opcode, its offset, and what is wrong with it."""
        return DecodeError("pickled", f"{self.name} at byte {self.start} {problem}")

    def excess(self, problem: str) -> DecodeError:
        """The refusal of the pickle for its size."""
        error = self.fault(problem)
        error.code = Code.TOO_LARGE
        return error

    def too_deep(self) -> DecodeError:
        """The refusal of the pickle for its depth."""
        return self.excess(f"nests deeper than {self.depth_max:,} levels, which is the limit (`nesting`)")

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        start = self.at
        self.at = end = start + count
        if end > len(self.body):
            raise self.fault(f"needs {count:,} bytes, {len(self.body) - start:,} are left")
        return self.body[start:end]

    def number(self, width: int) -> int:
        """The next `width` bytes as an unsigned number, least byte first."""
        return int.from_bytes(self.take(width), "little")

    def line(self, most: int) -> bytes:
        """The bytes up to the next line feed, which is taken too; at most `most`."""
        end = self.body.find(b"\n", self.at, self.at + most + 1)
        if end < 0:
            left = len(self.body) - self.at
            raise self.fault("has no end of line" if left <= most else f"has a line of more than {most:,} bytes")
        line = self.body[self.at : end]
        self.at = end + 1
        return line

    # The stack.

    def push(self, value: object) -> None:
        """Put a value on the stack."""
        self.stack.append(value)

    def pop(self) -> object:
        """Take the value on top of the stack."""
        if len(self.stack) <= self.marks[-1]:
            raise self.fault("needs a value, the stack has none")
        return self.stack.pop()

    def top(self) -> object:
        """The value on top of the stack."""
        if len(self.stack) <= self.marks[-1]:
            raise self.fault("needs a value, the stack has none")
        return self.stack[-1]

    def mark(self) -> None:
        """Remember this height of the stack. Each container under way has one mark at most, so they count as depth."""
        if len(self.marks) > self.depth_max:
            raise self.too_deep()
        self.marks.append(len(self.stack))

    def pop_mark(self) -> list[object]:
        """Take the values above the last mark, and the mark."""
        if len(self.marks) == 1:
            raise self.fault("needs a mark, none is set")
        height = self.marks.pop()
        values = self.stack[height:]
        del self.stack[height:]
        return values

    def target(self, kind: type[T]) -> T:
        """The container on top of the stack, which must be a `kind`."""
        if len(self.stack) <= self.marks[-1]:
            raise self.fault("needs a value, the stack has none")
        found = self.stack[-1]
        if type(found) is not kind:
            raise self.fault(f"adds to a {kind_name(found)}, it needs a {kind.__name__}")
        return found

    def remember(self, index: int) -> None:
        """Keep the value on top of the stack for reference."""
        stack = self.stack
        if len(stack) <= self.marks[-1]:
            raise self.fault("needs a value, the stack has none")
        self.memo[index] = stack[-1]
        if len(self.memo) > MEMO_MAX:
            raise self.excess(f"remembers more than {MEMO_MAX:,} values, which is the limit")

    def recall(self, index: int) -> None:
        """Put a remembered value on the stack."""
        if index not in self.memo:
            raise self.fault(f"refers to value {index:,}, which was not remembered")
        self.stack.append(self.memo[index])

    # The account.

    def fill(self, container: T, items: Iterable[object]) -> T:
        """Account for a new container with these items, whether it holds them already or gets them now."""
        self.containers += 1
        if self.containers > self.containers_max:
            raise self.excess(
                f"makes more than {self.containers_max:,} containers, which is the limit for this message"
            )
        self.depths[id(container)] = self.sizes[id(container)] = 1
        self.add(container, items)
        return container

    def add(self, container: object, items: Iterable[object]) -> None:
        """Account for items that become part of a container; they are complete from now on."""
        key = id(container)
        below = 0
        size = self.sizes[key]
        for item in items:
            kind = type(item)
            if kind is str or kind is bytes:
                size += 1 + len(item)  # type: ignore[arg-type]
            elif kind is int:
                size += 1 + (item.bit_length() >> 3)  # type: ignore[attr-defined]
            elif kind in _CONTAINERS:
                below = max(below, self._complete(id(item)))
                size += self.sizes[id(item)]
            elif kind in _ATOMS:
                size += 1
            else:
                raise self.fault(f"uses {kind_name(item)} as a value")
        depth = self.depths[key]
        if depth < 0:
            raise self.fault(
                "adds to a value that is part of another one or of itself: values that contain themselves are refused"
            )
        self.depths[key] = max(depth, 1 + below)
        self.sizes[key] = size
        if below >= self.depth_max:
            raise self.too_deep()
        if size > self.size_max:
            raise self.excess(f"makes a value of more than {self.size_max:,} bytes by references, which is the limit")

    def _complete(self, key: int) -> int:
        """Nothing is added to this container any more. Returns its depth."""
        depth = abs(self.depths[key])
        self.depths[key] = -depth
        return depth

    def spend(self, size: int) -> None:
        """Account for work that is not bounded by the bytes read."""
        self.work += size
        if self.work > self.work_max:
            raise self.excess("copies or hashes the same values again and again")

    def check_keys(self, owner: int, keys: Iterable[object]) -> None:
        """Refuse what cannot be a key of a dictionary or an item of a set, or would make it slow.

        `owner` tells one dictionary or set from the others: its id, or a number below 0 that is not used again.
        """
        for key in keys:
            kind = type(key)
            if kind is list or kind is dict or kind is set:
                raise self.fault(f"uses a {kind_name(key)} as a key, which cannot be one")
            if kind in _COLLIDING or (kind is int and key.bit_length() > KEY_BITS):  # type: ignore[attr-defined]
                self._check_hash(owner, key)

    def _check_hash(self, owner: int, key: object) -> None:
        try:
            place = (owner, hash(key))
        except TypeError as error:
            raise self.fault(f"uses a {kind_name(key)} as a key with a list, dict or set in it") from error
        count = self.hashes[place] = self.hashes.get(place, 0) + 1
        self.spend((1 + count) * self.sizes.get(id(key), 1))  # hashed, and compared with each of those before it
        if count > COLLISIONS_MAX:
            raise self.excess(f"uses more than {COLLISIONS_MAX} keys of the same hash")


Reader = Callable[[Machine], None]
"""What reads one opcode."""


def kind_name(value: object) -> str:
    """What a value is called in a refusal."""
    if isinstance(value, Constructor):
        return f"the constructor {value.name}"
    return type(value).__name__

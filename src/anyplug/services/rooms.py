"""One room as a state machine: who is in it, what they are called, what was said, and who hears what.

Nothing here waits, sends or looks at a clock. Each call returns what is to be heard, in order: all members hear the
events of all calls in the order of the calls, each but the ones that are not for them. ``M`` is what the caller has for
a member.

A line of a member is a message, but for these:

================  ===============================================
``/nick NAME``    takes another name
``/who``          tells who is here
``/quit [WORDS]`` leaves
``/help``         tells all this
``//TEXT``        says ``/TEXT``
the farewell      leaves, with a goodbye; ``886`` by default
================  ===============================================
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

import msgspec

from anyplug.errors import Code, Refused
from anyplug.schemas.talk import Event, Here, Joined, Left, Notice, Renamed, Said, Welcome
from anyplug.services.room_names import BadName, nick_of, twin

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping

__all__ = ["Heard", "Room", "Rules", "tell"]

M = TypeVar("M", bound="Hashable")

GUEST: Final = "guest-"
"""What the names begin with that are given to those who bring none."""

_SHOWN: Final = 40
"""Characters of a mistake that are shown."""


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What holds in a room."""

    farewell: str = "886"
    """The word that leaves; empty for none."""
    history: int = 20
    """How many messages are remembered for those who come later."""
    message: int = 4096
    """The longest message, bytes of UTF-8."""
    nick: int = 32
    """The longest name, characters."""
    members: int = 10_000
    """How many may be in the room."""
    names: int = 50
    """How many names are told at once; of the others only their number."""


class Heard(NamedTuple, Generic[M]):
    """An event, and whose ears it is for."""

    event: Event
    only: M | None = None
    """The one who hears it; None for everybody."""
    but: M | None = None
    """The one who does not."""


class Room(Generic[M]):
    """One room.

    Args:
        name: what it is called.
        rules: what holds in it.
    """

    __slots__ = ("_guests", "_nicks", "_taken", "history", "name", "position", "rules")

    def __init__(self, name: str, rules: Rules) -> None:
        self.name = name
        self.rules = rules
        self.position = 0
        """Of what was said last; 0 where nothing was."""
        self.history: deque[Said] = deque(maxlen=rules.history)
        """What was said last, oldest first."""
        self._nicks: dict[M, str] = {}
        self._taken: set[str] = set()
        self._guests = 0

    def __len__(self) -> int:
        """How many are in the room."""
        return len(self._nicks)

    def __contains__(self, member: M) -> bool:
        """Whether the member is in the room."""
        return member in self._nicks

    def nick(self, member: M) -> str:
        """What a member is called."""
        return self._nicks[member]

    def govern(self, rules: Rules) -> None:
        """These rules hold from now on."""
        self.rules = rules
        self.history = deque(self.history, rules.history)

    def remember(self, position: int, history: Iterable[Said]) -> None:
        """What was said before the room was opened: the position of the last, and the last, oldest first."""
        self.position = position
        self.history.extend(history)

    # Coming and going.

    def enter(self, member: M, nick: str = "", *, time: int) -> list[Heard[M]]:
        """Somebody comes in, under this name where it can be had, else as a guest who is told why.

        Raises:
            Refused: the room is full.
        """
        if len(self) >= self.rules.members:
            raise Refused(Code.BUSY, f"the room {self.name} is full: {self.rules.members:,} are in it")
        others = tuple(islice(self._nicks.values(), self.rules.names))
        name, problem = self._name_for_newcomer(nick)
        self._nicks[member] = name
        self._taken.add(twin(name))
        past = list(self.history)
        welcome = Welcome(
            room=self.name,
            nick=name,
            nicks=others,
            here=len(self),
            position=self.position,
            history=len(past),
        )
        heard = [Heard(Joined(nick=name, here=len(self), time=time), but=member), Heard(welcome, only=member)]
        heard += [Heard(said, only=member) for said in past]
        return [*heard, *tell(member, problem)] if problem else heard

    def leave(self, member: M, why: str = "", *, time: int) -> list[Heard[M]]:
        """Somebody goes out; nothing where that is done already."""
        nick = self._nicks.pop(member, None)
        if nick is None:
            return []
        self._taken.discard(twin(nick))
        return [Heard(Left(nick=nick, here=len(self), time=time, why=why), but=member)]

    def _name_for_newcomer(self, nick: str) -> tuple[str, str]:
        """A name that nobody has, and why it is not the one that was asked for."""
        problem = ""
        if nick:
            try:
                return self._free(nick), ""
            except BadName as error:
                problem = error.text
        while True:
            self._guests += 1
            guest = f"{GUEST}{self._guests}"
            if twin(guest) not in self._taken:
                return guest, problem

    def _free(self, nick: str, own: str = "") -> str:
        name = nick_of(nick, most=self.rules.nick)
        same = twin(name)
        if same in self._taken and same != own:
            raise BadName(f"somebody here is called {name} already")
        return name

    # Saying.

    def hear(self, member: M, line: str, *, time: int) -> list[Heard[M]]:
        """A line of a member: a message, a command, or the farewell. Who leaves by it is no member any more."""
        if line.startswith("/"):
            if not line.startswith("//"):
                return self._command(member, line, time)
            line = line[1:]
        elif self.is_farewell(line):
            return self.farewell(member, line.strip(), time=time)
        return self.say(member, line, time=time)

    def say(self, member: M, text: str, *, time: int) -> list[Heard[M]]:
        """A member says something, and all others hear it. Where that cannot be, the member hears why."""
        if not text:
            return []
        if self._too_long(text):
            most = f"{self.rules.message:,} bytes"
            return tell(member, f"that was not said: a message has {most} at most, this one has {_size(text):,}")
        self.position += 1
        said = Said(position=self.position, nick=self._nicks[member], text=text, time=time)
        self.history.append(said)
        return [Heard(said, but=member)]

    def _too_long(self, text: str) -> bool:
        most = self.rules.message
        return len(text) > most or (not text.isascii() and _size(text) > most)

    def is_farewell(self, line: str) -> bool:
        """Whether a line is the farewell."""
        return bool(self.rules.farewell) and line.strip() == self.rules.farewell

    def rename(self, member: M, nick: str, *, time: int) -> list[Heard[M]]:
        """A member takes another name; only the member hears why that cannot be."""
        before = self._nicks[member]
        try:
            name = self._free(nick, twin(before))
        except BadName as error:
            return tell(member, error.text)
        if name == before:
            return tell(member, f"you are called {name} already")
        self._taken.discard(twin(before))
        self._taken.add(twin(name))
        self._nicks[member] = name
        return [Heard(Renamed(nick=before, to=name, time=time))]

    def who(self, member: M) -> list[Heard[M]]:
        """A member asks who is here."""
        own = self._nicks[member]
        others = (nick for nick in self._nicks.values() if nick != own)
        return [Heard(Here(nicks=(own, *islice(others, self.rules.names - 1)), here=len(self)), only=member)]

    def _command(self, member: M, line: str, time: int) -> list[Heard[M]]:
        word, _, words = line.partition(" ")
        run = _COMMANDS.get(word.lower())
        if run is None:
            shown = word if len(word) <= _SHOWN else word[: _SHOWN - 1] + "…"
            return tell(member, f"there is no command {shown}; /help tells those there are, //text says /text")
        return run(self, member, words.strip(), time)

    def farewell(self, member: M, why: str, *, time: int) -> list[Heard[M]]:
        """A member says goodbye, is answered, and leaves."""
        goodbye = tell(member, f"bye, {self._nicks[member]}")
        return goodbye + self.leave(member, why, time=time)

    def _quit(self, member: M, words: str, time: int) -> list[Heard[M]]:
        return self.farewell(member, "" if self._too_long(words) else words, time=time)

    def _who(self, member: M, words: str, time: int) -> list[Heard[M]]:
        return self.who(member)

    def _nick(self, member: M, words: str, time: int) -> list[Heard[M]]:
        return self.rename(member, words, time=time)

    def _help(self, member: M, words: str, time: int) -> list[Heard[M]]:
        leaves = f"{self.rules.farewell} or /quit" if self.rules.farewell else "/quit"
        return tell(member, f"/nick NAME takes a name, /who tells who is here, {leaves} leaves, //text says /text")


def tell(member: M, text: str) -> list[Heard[M]]:
    """The room tells something to one member."""
    return [Heard(Notice(text=text), only=member)]


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


_COMMANDS: Final[Mapping[str, Callable[..., list[Heard[Any]]]]] = {
    "/nick": Room._nick,
    "/who": Room._who,
    "/quit": Room._quit,
    "/help": Room._help,
}
"""What a line does whose first word is one of these."""

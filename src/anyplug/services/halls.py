"""Rooms as a server has them: a `Hall` is one room with its fan-out and its history on disk, `Halls` are all of one
service. They outlive a reload of the configuration, which may bring other options.

A room is there from the first who asks for it. When the last has gone it is forgotten: where a store keeps what was
said, as soon as that is written; else after a while.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Final, cast

from anyplug.errors import AnyplugError, Code, Refused
from anyplug.schemas.talk import Event, Here, Joined, Left, Missed, Notice, Said
from anyplug.services.archive import Archive
from anyplug.services.fanout import Fanout
from anyplug.services.room_names import twin
from anyplug.services.rooms import Heard, Room
from anyplug.services.talk_options import TalkOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from anyplug.services.facilities import Facilities
    from anyplug.services.fanout import Listener
    from anyplug.services.outlet import Outlet

__all__ = ["Hall", "Halls"]

CROWD: Final = 50
"""Members above which it may take `PRESENCE_TIME` until others hear who comes and goes: where a thousand come at once,
each of them would be told a thousand times otherwise."""

PRESENCE_TIME: Final = 0.05
"""How long comings and goings wait for company, seconds; what is said takes them along at once."""

NAMES_COST: Final = 2048
"""What an event with many names counts in the fan-out, bytes, about."""


class Hall:
    """One room, and who listens.

    Args:
        name: the room's.
        halls: all rooms.
        archive: what was said, on disk; None where nothing is kept.
    """

    __slots__ = ("_halls", "archive", "cut", "fanout", "forgetting", "interest", "loading", "room")

    def __init__(self, name: str, halls: Halls, archive: Archive | None) -> None:
        loop = asyncio.get_running_loop()
        self._halls = halls
        self.room: Room[Outlet] = Room(name, halls.options.rules)
        self.fanout: Fanout[Event] = Fanout(
            loop.call_soon, partial(loop.call_later, PRESENCE_TIME), missed=_missed, stuck=self._stuck
        )
        self.archive = archive
        self.interest = 0
        """Conversations that are in the room, or about to be."""
        self.cut = 0
        """Members that were cut since they did not read."""
        self.forgetting: asyncio.TimerHandle | None = None
        self.loading = loop.create_task(self._load()) if archive is not None else None

    def enter(self, outlet: Outlet, nick: str) -> None:
        """A member comes in.

        Raises:
            Refused: the room is full.
        """
        heard = self.room.enter(outlet, nick, time=self._halls.facilities.now())
        self.fanout.add(outlet, [each.event for each in heard if each.only is outlet])
        self.tell([each for each in heard if each.only is not outlet])

    def leave(self, outlet: Outlet, why: str = "") -> None:
        """A member goes; nothing where that is done already."""
        self.tell(self.room.leave(outlet, why, time=self._halls.facilities.now()))
        self.fanout.remove(outlet)

    def tell(self, heard: Sequence[Heard[Outlet]], sender: str = "") -> None:
        """Tell everybody what there is to hear, and keep what was said.

        Args:
            heard: the events.
            sender: the address of who said it.
        """
        tell = self.fanout.tell
        for event, only, but in heard:
            if isinstance(event, Said):
                tell(event, but=but, counts=True, size=len(event.text))
                if self.archive is not None:
                    self.archive.put(event, sender)
            elif isinstance(event, (Joined, Left)):
                tell(event, but=but, lazy=len(self.room) > CROWD)
            else:
                tell(event, only=only, but=but, size=NAMES_COST if isinstance(event, Here) else 0)

    def relieved(self, outlet: Outlet) -> None:
        """A member reads again."""
        missed = self.fanout.relieved(outlet)
        if missed is not None and outlet in self.room:
            nick = self.room.nick(outlet)
            self._halls.facilities.log.info("talk_missed", room=self.room.name, nick=nick, missed=missed)

    def stay(self) -> None:
        """Be forgotten no more at the time that was set."""
        if self.forgetting is not None:
            self.forgetting.cancel()
            self.forgetting = None

    async def loaded(self) -> None:
        """Wait until what was said before is here."""
        if self.loading is not None:
            await self.loading

    async def _load(self) -> None:
        options, archive = self._halls.options, self.archive
        assert archive is not None  # noqa: S101 - for the type checker; the caller has looked
        try:
            async with asyncio.timeout(options.patience):
                position, said = await archive.load(options.history, message=options.message)
        except (AnyplugError, TimeoutError) as error:
            problem = str(error) or f"nothing came within {options.patience:g} s"
            self._halls.facilities.log.warning("talk_not_loaded", room=self.room.name, problem=problem)
            self.archive = None  # its positions are not known, so nothing can be added
        else:
            self.room.remember(position, said)

    def _stuck(self, listener: Listener[Event]) -> None:
        """A member does not read what is said."""
        outlet = cast("Outlet", listener)
        if self._halls.options.slow == "skip" or outlet not in self.room:
            return
        self.cut += 1
        nick = self.room.nick(outlet)
        self._halls.facilities.log.info("talk_cut", room=self.room.name, nick=nick)
        self.leave(outlet, "too slow")
        text = "you did not read what was said"
        outlet.cut(Code.SLOW, text, Notice(text=f"{text}: goodbye"))


class Halls:
    """All rooms of one service.

    Args:
        name: the service's.
        facilities: of the server.
    """

    def __init__(self, name: str, facilities: Facilities) -> None:
        self.facilities = facilities
        self.options = TalkOptions()
        self._name = name
        self._halls: dict[str, Hall] = {}

    def __len__(self) -> int:
        """How many rooms are remembered."""
        return len(self._halls)

    def govern(self, options: TalkOptions) -> None:
        """These options hold from now on."""
        self.options = options
        for hall in self._halls.values():
            hall.room.govern(options.rules)

    @asynccontextmanager
    async def hall(self, name: str) -> AsyncIterator[Hall]:
        """The room of that name, for the length of a block.

        Raises:
            Refused: there are too many rooms.
        """
        key = twin(name)
        hall = self._halls.get(key)
        if hall is None:
            hall = self._halls[key] = self._open(key, name)
        hall.interest += 1
        hall.stay()
        try:
            await hall.loaded()
            yield hall
        finally:
            hall.interest -= 1
            if not hall.interest:
                await self._emptied(key, hall)

    def _open(self, key: str, name: str) -> Hall:
        if len(self._halls) >= self.options.rooms:
            idle = next((each for each, hall in self._halls.items() if _is_idle(hall)), None)
            if idle is None:
                raise Refused(Code.BUSY, f"there are {len(self._halls):,} rooms already; come into one of them")
            self._forget(idle, self._halls[idle])
        store, archive = self.facilities.store, None
        if store is not None:
            options, topic = self.options, f"{self._name}/{key}"
            archive = Archive(store.log, topic, self.facilities.log, most=options.backlog, kept=options.kept)
        return Hall(name, self, archive)

    async def _emptied(self, key: str, hall: Hall) -> None:
        """The last has gone: let go of the room once all is on disk, or after a while where there is none."""
        wait = self.options.keep
        if hall.archive is not None:
            wait = 0.0
            with suppress(TimeoutError):
                async with asyncio.timeout(self.options.patience):
                    await hall.archive.written()
        if hall.interest or self._halls.get(key) is not hall:
            return
        if wait:
            self._forget_later(key, hall, wait)
        else:
            self._forget(key, hall)

    def _forget(self, key: str, hall: Hall) -> None:
        """Let go of a room in which nobody is; later, where something still waits for the disk."""
        if _is_idle(hall):
            hall.stay()
            del self._halls[key]
        else:
            self._forget_later(key, hall, self.options.patience or 1.0)

    def _forget_later(self, key: str, hall: Hall, seconds: float) -> None:
        hall.stay()
        hall.forgetting = asyncio.get_running_loop().call_later(seconds, self._forget, key, hall)


def _is_idle(hall: Hall) -> bool:
    return not hall.interest and (hall.archive is None or not hall.archive.busy)


def _missed(count: int) -> Event:
    return Missed(count=count)

"""``talk``: rooms by name. What one says all others hear, in one order for everybody.

Texts are taken as people type them: a message, a command such as ``/nick ann``, or the farewell (the head of
`anyplug.services.rooms` lists them all). What is heard is in `anyplug.schemas.talk`: lines for the codecs of texts,
maps for those of objects. The room is what follows the service in the address; ``?nick=ann`` behind it is a name to
come in by.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from anyplug.errors import Broken, Code, ConnectionClosed, DecodeError, Refused
from anyplug.schemas.talk import NICK_MARK, Notice
from anyplug.services.base import Service, conversation
from anyplug.services.facilities import Facilities
from anyplug.services.halls import Halls
from anyplug.services.outlet import TEXTS, Outlet
from anyplug.services.room_names import room_of
from anyplug.services.rooms import tell
from anyplug.services.talk_options import TalkOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anyplug.connection import Connection
    from anyplug.services.halls import Hall

__all__ = ["SLICE", "TalkOptions", "make_talk"]

SLICE: Final = 64
"""Messages of one member that are taken in one turn of the loop; then all others have their turn."""

_NOT_SAID: Final = 'say a text, {"say": text}, or {"nick": name}'


def make_talk(name: str, options: TalkOptions, facilities: Facilities | None = None) -> Service:
    """Rooms under this name. With the same facilities, they are the same rooms as before, under these options."""
    given = facilities or Facilities()
    halls = given.shared(f"talk {name}", lambda: Halls(name, given))
    halls.govern(options)

    async def talk(peer: Connection[Any]) -> None:
        """Rooms: what one says all others hear; name one, as in: talk lobby"""
        await _Guest(peer, halls).stay()

    service = conversation(name, talk, type=Any)
    service.alone = "its rooms are in the memory of one process"
    return service


class _Guest:
    """One conversation."""

    __slots__ = ("_hall", "_halls", "_outlet", "_paid", "_peer", "_plain")

    def __init__(self, peer: Connection[Any], halls: Halls) -> None:
        self._peer = peer
        self._halls = halls
        self._hall: Hall | None = None
        self._outlet = Outlet(peer, queue=halls.options.queue, relieved=self._relieved, drained=self._drained)
        self._plain = peer._codec.name in TEXTS
        self._paid = 0.0  # until when the rate allows what was said, by the loop's clock

    async def stay(self) -> None:
        """From the first word to the last."""
        options = self._halls.options
        name, _, nick = self._peer.rest.partition(NICK_MARK)
        try:
            async with self._halls.hall(room_of(name or options.room, most=options.name)) as hall:
                if not self._peer.closed:
                    await self._stay_in(hall, nick)
                self._outlet.end()  # now: the room may wait for the disk after its last member
        except Refused as refused:
            self._outlet.cut(refused.code, refused.text, Notice(text=refused.text))

    async def _stay_in(self, hall: Hall, nick: str) -> None:
        hall.enter(self._outlet, nick)
        self._hall = hall
        why = ""
        try:
            why = await self._listen(hall)
        finally:
            hall.leave(self._outlet, why)

    async def _listen(self, hall: Hall) -> str:
        """Take what the member says until it leaves; returns why it is gone."""
        while self._outlet in hall.room:
            try:
                messages = await self._peer.receive_many()
            except ConnectionClosed:
                return ""
            except Broken:
                return "the connection broke"
            except DecodeError as error:
                hall.tell(tell(self._outlet, f"that was not understood: {error}"))
            else:
                await self._take(hall, messages)
        return ""

    async def _take(self, hall: Hall, messages: Sequence[Any]) -> None:
        for start in range(0, len(messages), SLICE):
            if start:
                await asyncio.sleep(0)
            await self._keep_rate(min(SLICE, len(messages) - start))
            for message in messages[start : start + SLICE]:
                if self._outlet.full:
                    await self._outlet.room()
                if self._outlet not in hall.room:
                    return
                self._hear(hall, message)

    def _hear(self, hall: Hall, message: Any) -> None:
        if isinstance(message, dict) and len(message) == 1:
            self._hear_map(hall, message)
            return
        if isinstance(message, bytes):
            try:
                message = message.decode()
            except UnicodeDecodeError as error:
                hall.tell(tell(self._outlet, f"that was not understood, it is no UTF-8: {error.reason}"))
                return
        if not isinstance(message, str):
            hall.tell(tell(self._outlet, _NOT_SAID))
            return
        for line in message.split("\n") if self._plain else (message,):
            if self._outlet not in hall.room:
                return
            text = line.rstrip("\r") if self._plain else line
            hall.tell(hall.room.hear(self._outlet, text, time=self._halls.facilities.now()), self._peer.peer)

    def _hear_map(self, hall: Hall, message: dict[Any, Any]) -> None:
        (key, value), now = *message.items(), self._halls.facilities.now()
        if key == "say" and isinstance(value, str):
            hall.tell(hall.room.say(self._outlet, value, time=now), self._peer.peer)
        elif key == "nick" and isinstance(value, str):
            hall.tell(hall.room.rename(self._outlet, value, time=now))
        else:
            hall.tell(tell(self._outlet, _NOT_SAID))

    async def _keep_rate(self, count: int) -> None:
        """Wait until so many more may be said."""
        rate = self._halls.options.per_second
        if not rate:
            return
        now = asyncio.get_running_loop().time()
        self._paid = max(self._paid, now) + count / rate
        if self._paid > now + 1:
            await asyncio.sleep(self._paid - now - 1)

    # What the outlet calls.

    def _relieved(self, outlet: Outlet) -> None:
        if self._hall is not None:
            self._hall.relieved(outlet)

    def _drained(self, outlet: Outlet, code: Code, text: str) -> None:
        if self._hall is not None:
            self._hall.fanout.flush()
        outlet.cut(code, text, Notice(text=text))

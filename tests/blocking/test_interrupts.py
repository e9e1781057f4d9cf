"""An interrupt in the middle of reading or writing: what was moved is lost, so the connection is, and says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from anyplug.blocking import Broken, Connection
from anyplug.blocking.stream import Stream
from tests.blocking.far import Running, opened, plain

if TYPE_CHECKING:
    from collections.abc import Callable

encode = msgspec.msgpack.encode


class Torn(Stream):
    """Loses what it has just moved: an interrupt comes before anybody can keep it."""

    def __init__(self, stream: Stream, *, reading: bool) -> None:
        super().__init__(stream._sock)
        self._reading = reading

    def receive(self) -> bytes | None:
        data = super().receive()
        if data and self._reading:
            raise KeyboardInterrupt
        return data

    def send(self, data: bytes | memoryview) -> int:
        count = super().send(data)
        if not self._reading:
            raise KeyboardInterrupt
        return count


def tear(connection: Connection[Any], *, reading: bool) -> None:
    line = connection._pump.line
    line.stream = line.outlet._stream = Torn(line.stream, reading=reading)


@pytest.mark.parametrize("reading", [True, False])
@pytest.mark.parametrize("act", [lambda peer: peer.ask("a"), lambda peer: peer.ask_many(["a"])])
def test_an_interrupt_that_may_have_lost_bytes_breaks_the_connection(
    act: Callable[[Connection[Any]], Any], reading: bool
) -> None:
    connection, far = opened()
    tear(connection, reading=reading)
    with connection:
        far.say(encode("what is lost"))
        with pytest.raises(KeyboardInterrupt):
            act(connection)
        with pytest.raises(Broken, match=r"interrupted in the middle of reading or writing: KeyboardInterrupt\(\)"):
            connection.ask("next")
        with pytest.raises(Broken, match="interrupted"):
            connection.receive()
    assert far.sock.recv(1 << 16)
    far.sock.close()


def test_who_waits_beside_is_told() -> None:
    connection, far = opened()
    tear(connection, reading=True)
    with connection:
        first, second = Running(connection.receive), Running(lambda: connection.ask("a"))
        far.questions(1)
        far.say(encode("what is lost"))
        told = []
        for each in (first, second):
            with pytest.raises((KeyboardInterrupt, Broken)) as caught:
                each.result()
            told.append(caught.type)
        assert sorted(kind.__name__ for kind in told) == ["Broken", "KeyboardInterrupt"]
    far.sock.close()


def test_reading_ahead_of_a_question_is_such_a_middle_too() -> None:
    connection, far = plain()
    tear(connection, reading=True)
    with connection:
        far.sendall(b"an old message\n")
        with pytest.raises(KeyboardInterrupt):
            connection.ask("a")
        with pytest.raises(Broken, match="interrupted"):
            connection.send("b")
    far.close()

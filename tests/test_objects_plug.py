"""Objects over plug connections: both faces say codec="objects" and keep their types to the other end and back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

import anyplug
from anyplug.blocking import connect as connect_blocking
from anyplug.services.base import reply
from tests.codec.exact import VALUES, exactly
from tests.server.serving import serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@anyplug.register(name="plugged")
@dataclass
class Station:
    name: str
    place: tuple[int, int]


def mirror(message: Any) -> Any:
    return message


def name_of(message: Station) -> str:
    return message.name


def handle(message: Any) -> Any:
    return {"message": message, "handle": [object()]}


@pytest.fixture
async def address() -> AsyncIterator[str]:
    services = reply("mirror", mirror), reply("name", name_of), reply("handle", handle)
    async with serve("plug://127.0.0.1:0", services=services) as server:
        yield server.addresses[0]


async def test_values_come_back_exactly(address: str) -> None:
    async with anyplug.connect(f"{address}/mirror", codec="objects") as peer:
        for value in [*VALUES, Station("a", (1, 2))]:
            assert exactly(await peer.ask(value), value)
        assert await peer.ask_many([(1,), {2}, b"3"]) == [(1,), {2}, b"3"]


async def test_the_blocking_face_keeps_types_too(address: str) -> None:
    def work() -> Any:
        with connect_blocking(f"{address}/mirror", codec="objects") as peer:
            return peer.ask({(1, 2): {3}})

    assert await asyncio.to_thread(work) == {(1, 2): {3}}


async def test_what_cannot_travel_is_refused_at_the_sender_and_the_conversation_goes_on(address: str) -> None:
    async with anyplug.connect(f"{address}/mirror", codec="objects") as peer:
        with pytest.raises(anyplug.EncodeError, match=r"`\.readings\[3\]\.socket` is of type object: it does not"):
            await peer.ask({"readings": [1, 2, 3, {"socket": object()}]})
        assert await peer.ask((1,)) == (1,)


async def test_an_annotated_handler_has_its_type_checked(address: str) -> None:
    async with anyplug.connect(f"{address}/name", codec="objects") as peer:
        assert await peer.ask(Station("a", (1, 2))) == "a"
        with pytest.raises(anyplug.Refused, match="Expected `Station`, got `dict`") as caught:
            await peer.ask({"name": "a", "place": (1, 2)})
        assert caught.value.code is anyplug.Code.BAD_MESSAGE


async def test_an_answer_that_cannot_travel_is_a_failure_of_the_service(address: str) -> None:
    async with anyplug.connect(f"{address}/handle", codec="objects") as peer:
        for _ in range(2):
            with pytest.raises(anyplug.Refused) as caught:
                await peer.ask(1)
            assert caught.value.code is anyplug.Code.FAILED

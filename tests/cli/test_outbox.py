"""`anyplug outbox`: what waits is shown, delivered, and safe whatever happens."""

from __future__ import annotations

import asyncio
import json
import signal
from typing import TYPE_CHECKING, Any

import pytest

from anyplug.address import Address
from anyplug.cli.options import Settings
from anyplug.cli.post_outbox import _token
from anyplug.errors import Code
from anyplug.outbox import Outbox
from anyplug.store import MemoryStore
from tests.cli.commands import PATIENCE, call, environment, start
from tests.outbox.conftest import folder
from tests.outbox.keeping import Keeper, kept, serve

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.cli.commands import Done

__all__ = ["folder"]

NOBODY = "plug://127.0.0.1:1/inbox/log"


async def filled(folder: Path, address: str, messages: Sequence[Any], *, codec: str = "bytes") -> str:
    """An outbox with these in it, closed."""
    path = folder / "o.db"
    async with Outbox(path, deliver=False) as outbox:
        await outbox.post_many(address, messages, codec=codec)
    return str(path)


async def called(*words: str) -> Done:
    return await asyncio.to_thread(call, "outbox", *words)


def events(done: Done) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.out.splitlines()]


@pytest.fixture
def keeper() -> Keeper:
    return Keeper(MemoryStore())


async def test_what_waits_is_shown_and_nothing_is_delivered(folder: Path, keeper: Keeper) -> None:
    async with serve(keeper) as address:
        path = await filled(folder, address, [b"1", b"22"])
        done = await called(path)
        assert done.status == 0
        assert [line.split() for line in done.out.decode().splitlines()] == [
            ["TARGET", "WAITING", "DELIVERED", "REFUSED", "KEPT", "LAST", "PROBLEM"],
            [address, "2", "0", "0", "-", "-"],
        ]
        assert keeper.guests == []
        (event,) = events(await called(path, "--json"))
        assert event == {
            "type": "target",
            "address": address,
            "waiting": 2,
            "size": 3,
            "delivered": 0,
            "refused": 0,
            "kept": "",
            "renumbered": 0,
            "problem": "",
            "stopped": None,
        }


async def test_it_delivers_when_it_is_asked_to(folder: Path, keeper: Keeper) -> None:
    async with serve(keeper) as address:
        path = await filled(folder, address, [b"1", b"2"])
        done = await called(path, "--deliver", "--json")
        assert done.status == 0
        (event,) = events(done)
        assert (event["waiting"], event["delivered"], event["kept"]) == (0, 2, "disk")
        assert await kept(keeper.store) == [b"1", b"2"]


async def test_a_time_that_is_over_is_told_and_what_waits_stays(folder: Path) -> None:
    path = await filled(folder, NOBODY, [b"1"])
    done = await called(path, "--deliver", "--timeout", "0.05")
    assert done.status == 124
    assert b"error: the delivery of 1 message: no answer within 0.05 s" in done.err
    assert b"nothing listens" in done.out
    assert events(await called(path, "--json"))[0]["waiting"] == 1


async def test_what_a_server_refuses_is_told_kept_tried_again_and_forgotten(folder: Path, keeper: Keeper) -> None:
    keeper.refuses = {b"1": Code.BAD_MESSAGE, b"3": Code.BAD_MESSAGE}
    async with serve(keeper) as address:
        path = await filled(folder, address, [b"1", b"2", b"3"])
        done = await called(path, "--deliver")
        assert done.status == 1
        assert b"bad_message: the test says so" in done.out
        assert b"--retry" in done.err
        refused = [event for event in events(await called(path, "--json")) if event["type"] == "refused"]
        assert [(event["number"], event["code"], event["size"]) for event in refused] == [
            (1, "bad_message", 1),
            (3, "bad_message", 1),
        ]
        keeper.refuses = {}
        done = await called(path, "--retry", "3", "--forget", "1", "--deliver", "--json")
        assert done.status == 0
        assert [event["type"] for event in events(done)] == ["target"]
        assert await kept(keeper.store) == [b"2", b"3"]
        done = await called(path, "--forget", "9")
        assert done.status == 2
        assert b"no refused message has the number 9" in done.err


async def test_a_server_that_takes_none_is_told_with_a_hint(folder: Path, keeper: Keeper, tmp_path: Path) -> None:
    async with serve(keeper, token="right") as address:
        path = await filled(folder, address, [b"1"])
        done = await called(path, "--deliver")
        assert done.status == 1
        assert b"not_allowed" in done.err
        assert b"--token-file" in done.err
        (tmp_path / "token").write_text("right\n")
        done = await called(path, "--deliver", "--token-file", str(tmp_path / "token"))
        assert done.status == 0
        assert await kept(keeper.store) == [b"1"]


async def test_a_copy_can_go_on_under_a_new_identity(folder: Path, keeper: Keeper) -> None:
    async with serve(keeper) as address:
        path = await filled(folder, address, [b"1"])
        (folder / "copy.db").write_bytes((folder / "o.db").read_bytes())
        async with Outbox(folder / "copy.db") as outbox:
            await outbox.drained(10)
            await outbox.post(address, b"other", codec="bytes")
            await outbox.drained(10)
        await filled(folder, address, [b"mine"])
        done = await called(path, "--deliver", "--json")
        assert done.status == 1
        assert [event.get("stopped", event.get("code")) for event in events(done)] == ["conflict", "refused/conflict"]
        done = await called(path, "--renew", address, "--deliver")
        assert done.status == 0
        assert await kept(keeper.store) == [b"1", b"other", b"mine"]


async def test_a_server_that_has_forgotten_messages_is_told(folder: Path, keeper: Keeper) -> None:
    async with serve(keeper) as address:
        path = await filled(folder, address, [b"1"])
        assert (await called(path, "--deliver")).status == 0
        keeper.store = MemoryStore()
        await filled(folder, address, [b"2"])
        done = await called(path, "--deliver")
        assert (done.status, done.err) == (0, b"")
        assert b"the server has forgotten messages 1 times" in done.out


async def test_where_another_process_has_it_one_can_look_and_not_touch(folder: Path) -> None:
    path = await filled(folder, NOBODY, [b"1"])
    async with Outbox(path, deliver=False):
        done = await called(path)
        assert done.status == 0
        assert NOBODY in done.out.decode()
        assert b"holds it" in done.err
        assert events(await called(path, "--json"))[0]["waiting"] == 1
        done = await called(path, "--deliver")
        assert done.status == 1
        assert b"is in use: process" in done.err


async def test_where_none_is_none_is_made(folder: Path) -> None:
    done = await called(str(folder / "o.db"))
    assert (done.status, done.out) == (0, b"")
    assert b"nothing was ever put in" in done.err
    assert not (folder / "o.db").exists()
    async with Outbox(folder / "o.db"):
        pass
    done = await called(str(folder / "o.db"))
    assert (done.status, done.out) == (0, b"")
    assert b"nothing was ever put in" in done.err


async def test_who_posts_by_way_of_it_does_not_wait_for_other_targets(folder: Path, keeper: Keeper) -> None:
    async with serve(keeper) as address:
        path = await filled(folder, NOBODY, [b"1"])
        done = await asyncio.to_thread(call, "post", address, "mine", f"--outbox={path}", "--timeout", "10")
        assert (done.status, done.err) == (0, b"")
        assert [event["waiting"] for event in events(await called(path, "--json"))] == [1, 0]


def test_a_token_is_for_the_server_that_was_named_and_no_other() -> None:
    settings = Settings(Address.parse("plug://a:1/inbox/log"), None, None, None, json=False, token="secret")
    tokens = [_token(settings, Address.parse(text)) for text in ("a:1/inbox/other", "a:2/inbox/log", "b:1/inbox/log")]
    assert tokens == ["secret", "", ""]


def test_the_users_own_is_meant_where_none_is_named_and_an_interrupt_loses_nothing(folder: Path) -> None:
    env = environment({"XDG_STATE_HOME": str(folder)})
    (folder / "anyplug").mkdir()
    path = asyncio.run(filled(folder / "anyplug", NOBODY, [b"1"]))
    (folder / "anyplug" / "o.db").rename(folder / "anyplug" / "outbox.db")
    assert path.endswith("o.db")
    with start("outbox", "--deliver", "--json", env=env) as process:
        # It holds the file from its start: wait for that, not for a time.
        while not (folder / "anyplug" / "outbox.db.lock").exists():
            assert process.poll() is None
        wait_for_problem(folder / "anyplug" / "outbox.db")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, err
    (event,) = (json.loads(line) for line in out.splitlines())
    assert (event["waiting"], event["address"]) == (1, NOBODY)


def wait_for_problem(path: Path) -> None:
    """Until the process that delivers has noted that nobody answers."""
    from anyplug.outbox import look

    while not any(target.mark.problem for target in look(path).values()):
        pass

from __future__ import annotations

import asyncio
import json
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest

from anyplug.cli.post import gathering, runs
from anyplug.errors import StoreFull
from anyplug.limits import DEFAULTS
from tests.cli.commands import PATIENCE, Terminal, anyplug, call, start
from tests.cli.inboxes import InboxServer, inbox_server
from tests.cli.serving import Serving
from tests.services.inboxes import movable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path


@pytest.fixture
def server() -> Iterator[InboxServer]:
    with inbox_server() as found:
        yield found


def events(out: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


@pytest.mark.parametrize(
    ("words", "given", "kept"),
    [
        (["hello"], b"", ["hello"]),
        (["有内鬼"], b"", ["有内鬼"]),
        (["[1, {}]", "--parse"], b"", [[1, {}]]),
        ([], b"a text\nof two lines\n", ["a text\nof two lines\n"]),
        ([], b"", [""]),
        (["--codec", "bytes"], b"\xff\0", [b"\xff\0"]),
        (["--codec", "json", "--parse"], b"[1,\n2]", [[1, 2]]),
        (["--lines"], b"one\r\n\nlast", ["one", "", "last"]),
        (["--lines"], b"", []),
        (["--lines", "--codec", "bytes"], b"\xff\n\xfe\n", [b"\xff", b"\xfe"]),
        (["--lines", "--codec", "text"], b"a\n", ["a"]),
        (["--", "-dash"], b"", ["-dash"]),
    ],
)
def test_what_is_kept(server: InboxServer, words: list[str], given: bytes, kept: list[Any]) -> None:
    assert call("post", server.place, *words, given=given) == (0, b"", b"")
    assert server.kept() == kept


def test_a_name_goes_with_it(server: InboxServer) -> None:
    assert call("post", server.place, "hello", "--name", "Ann").status == 0
    with server.inbox() as inbox:
        assert [each.name for each in inbox.read()] == ["Ann"]


def test_json_tells_the_position_and_how_it_is_kept(server: InboxServer) -> None:
    server.post("before")
    assert events(call("post", server.place, "hello", "--json").out) == [
        {"type": "kept", "position": 2, "last": 2, "messages": 1, "kept": "memory"}
    ]
    assert events(call("post", server.place, "--lines", "--json", given=b"a\nb\n").out) == [
        {"type": "kept", "position": 3, "last": 4, "messages": 2, "kept": "memory"},
        {"type": "posted", "messages": 2},
    ]


def test_more_lines_than_anybody_holds_go_through_in_order(server: InboxServer) -> None:
    count = 30_000
    given = b"".join(b"line %d\n" % number for number in range(count))
    done = call("post", server.place, "--lines", "--json", given=given)
    assert done.status == 0
    assert events(done.out)[-1] == {"type": "posted", "messages": count}
    assert server.kept() == [f"line {number}" for number in range(count)]


def test_a_line_is_posted_when_it_comes_not_at_the_end(server: InboxServer) -> None:
    with start("post", server.place, "--lines", "--json") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for number in range(1, 4):
            process.stdin.write(b"line\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["position"] == number
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130
    assert server.kept() == ["line"] * 3


def test_somebody_at_a_terminal_is_told_the_position(server: InboxServer) -> None:
    with Terminal("post", server.place, "hello") as terminal:
        terminal.wait_for("kept as 1 (in memory only)")
        assert terminal.end() == 0
    with Terminal("post", server.place, "--lines") as terminal:
        terminal.wait_for("each line is a message; Ctrl-D ends")
        terminal.enter("a\nb\n\x04")
        terminal.wait_for("kept 2 messages, as 2 to 3 (in memory only)")
        assert terminal.end() == 0
    with Terminal("post", server.place) as terminal:
        terminal.wait_for("what you type is the message; Ctrl-D ends")
        terminal.enter("a\n\x04")
        terminal.wait_for("kept as 4")
        assert terminal.end() == 0


# What goes wrong.


def test_mistakes_on_the_command_line_are_named(server: InboxServer) -> None:
    for words, problem in (
        (["post", server.place, "x", "--lines"], b"leave TEXT out"),
        (["post", "tcp://127.0.0.1:1", "x"], b"is a plain connection"),
        (["post", server.place, "x", "--codec", "pickled"], b"--codec"),
        (["post", server.place, "{", "--parse"], b"--parse wants JSON"),
        (["post", server.place, "x", "--name", "n", "--outbox=x.db"], b"leave out --name or --outbox"),
        (["post", server.place, "--outbox", "hello"], b"put TEXT before --outbox"),
        (["post"], b"ADDRESS"),
    ):
        done = call(*words)
        assert (done.status, done.out) == (2, b"")
        assert problem in done.err
    assert server.kept() == []


def test_a_bad_topic_is_told_once_and_without_a_hint_about_messages(server: InboxServer) -> None:
    place = server.place.replace("/log", "/a%1bb")
    done = call("post", place, "x")
    assert done == (
        1,
        b"",
        b"error: refused (bad_message): the name of a topic holds only what can be seen, and no backslash: a\\x1bb\n",
    )
    (event,) = events(call("post", place, "x", "--json").out)
    assert (event["type"], event["code"], "hint" in event) == ("error", "refused/bad_message", False)


def test_a_message_above_the_limit_is_refused_and_those_before_it_are_counted() -> None:
    with inbox_server(message=10) as server:
        done = call("post", server.place, "x" * 11)
        assert done.status == 1
        assert b"refused (too_large)" in done.err
        done = call("post", server.place, "--lines", given=b"fits\n" * 3 + b"x" * 20 + b"\nfits\n")
        assert done.status == 1
        assert b"kept before that: 3" in done.err
        assert server.kept() == ["fits"] * 3
        done = call("post", server.place, "--lines", "--json", given=b"fits\n" * 2 + b"x" * 20)
        assert events(done.out)[-2:] == [
            {"type": "posted", "messages": 2},
            {
                "type": "error",
                "code": "refused/too_large",
                "message": "refused (too_large): a message of 21 bytes, and 10 can be kept; kept before that: 2",
            },
        ]


def test_a_line_above_every_limit_ends_the_command(server: InboxServer) -> None:
    done = call("post", server.place, "--lines", given=b"fits\n" + b"x" * (DEFAULTS.message + 1))
    assert done.status == 1
    assert b"line too large" in done.err
    assert b"kept before that: 1" in done.err
    assert server.kept() == ["fits"]


def test_a_full_store_is_told_with_what_to_do() -> None:
    store, log = movable()
    with inbox_server(store) as server:
        log.fault = StoreFull("where", "no space left")
        done = call("post", server.place, "x")
        assert done.status == 1
        assert b"refused (store_full)" in done.err
        assert b"hint: free some room" in done.err
        assert b"where" not in done.err


def test_an_acknowledgement_that_does_not_come_is_a_timeout() -> None:
    store, log = movable()
    with inbox_server(store) as server:
        server.loop.call_soon_threadsafe(log.gate.clear)
        done = call("post", server.place, "x", "--timeout", "0.2")
        assert done.status == 124
        assert b"the acknowledgement of a post: no answer within 0.2 s" in done.err
        server.loop.call_soon_threadsafe(log.gate.set)


def test_a_server_that_is_not_there_is_told() -> None:
    done = call("post", "127.0.0.1:1/inbox/log", "x", "--json")
    assert done.status == 1
    assert events(done.out)[0]["code"] == "connect/connect"


def test_a_reader_of_the_events_that_goes_away_ends_the_command(server: InboxServer) -> None:
    with start("post", server.place, "--lines", "--json") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"line\n")
        process.stdin.flush()
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(PATIENCE) == 141
        process.stdin.close()


# A process of its own, and its disk.


def test_a_thousand_lines_survive_a_kill_of_the_server(tmp_path: Path) -> None:
    words = ["--listen", "plug://127.0.0.1:0", "--store", str(tmp_path / "data")]
    given = b"".join(b"line %d\n" % number for number in range(1, 1001))
    with Serving(*words) as serving:
        place = serving.addresses[0].removeprefix("plug://") + "/inbox/log"
        done = anyplug("post", place, "--lines", "--json", given=given)
        assert (done.status, events(done.out)[-1]) == (0, {"type": "posted", "messages": 1000})
        assert {each["kept"] for each in events(done.out)[:-1]} == {"disk"}
        serving.process.kill()
    with Serving(*words) as serving:
        place = serving.addresses[0].removeprefix("plug://") + "/inbox/log"
        done = anyplug("read", place, "--json")
        assert [each["value"] for each in events(done.out)] == [f"line {number}" for number in range(1, 1001)]
        assert [each["position"] for each in events(done.out)] == list(range(1, 1001))


# The outbox.


def test_with_an_outbox_messages_are_delivered_once(server: InboxServer, tmp_path: Path) -> None:
    box = f"--outbox={tmp_path / 'box.db'}"
    assert call("post", server.place, "one", box) == (0, b"", b"")
    done = call("post", server.place, "--lines", "--json", box, given=b"two\nthree\n")
    assert events(done.out) == [
        {"type": "waiting", "messages": 2, "outbox": str(tmp_path / "box.db")},
        {"type": "delivered", "messages": 2},
    ]
    assert server.kept() == ["one", "two", "three"]


def test_what_could_not_be_delivered_goes_out_with_the_next(tmp_path: Path) -> None:
    box = f"--outbox={tmp_path / 'box.db'}"
    with Serving("--listen", "plug://127.0.0.1:0", "--store", str(tmp_path / "data")) as serving:
        place = serving.addresses[0].removeprefix("plug://") + "/inbox/log"
    done = call("post", place, "later", box, "--timeout", "0.3")
    assert done.status == 124
    assert b"the delivery of 1 message" in done.err
    assert b"they are safe in" in done.err
    listen = ["--listen", f"plug://{place.partition('/')[0]}", "--store", str(tmp_path / "data")]
    with Serving(*listen):
        assert call("post", place, "now", box).status == 0
        assert call("read", place).out == b"later\nnow\n"


def test_a_message_that_is_refused_for_good_is_told(tmp_path: Path) -> None:
    box = f"--outbox={tmp_path / 'box.db'}"
    with inbox_server(message=10) as server:
        done = call("post", server.place, "--lines", "--json", box, given=b"fits\n" + b"x" * 20 + b"\nfits too\n")
        assert done.status == 1
        codes = [each.get("code") for each in events(done.out)]
        assert codes == [None, "refused/too_large", None]
        assert events(done.out)[-1] == {"type": "delivered", "messages": 2}
        assert server.kept() == ["fits", "fits too"]
        assert call("post", server.place, "more", box).status == 0


def test_the_users_own_outbox_is_where_state_is_kept(server: InboxServer, tmp_path: Path) -> None:
    done = anyplug("post", server.place, "x", "--outbox", "--json", env={"XDG_STATE_HOME": str(tmp_path)})
    assert done.status == 0
    assert events(done.out)[0]["outbox"] == str(tmp_path / "anyplug" / "outbox.db")
    assert (tmp_path / "anyplug" / "outbox.db").exists()


# The parts.


@pytest.mark.parametrize(
    ("positions", "found"),
    [
        ([], []),
        ([3], [(3, 3)]),
        ([3, 4, 5], [(3, 5)]),
        ([3, 5, 6, 9], [(3, 3), (5, 6), (9, 9)]),
        ([0, 0], [(0, 0)] * 2),
    ],
)
def test_neighbouring_positions_are_told_together(positions: Sequence[int], found: list[tuple[int, int]]) -> None:
    assert list(runs(positions)) == found


async def test_batches_that_come_meanwhile_are_gathered_and_not_too_many() -> None:
    taken = 0

    async def source() -> AsyncIterator[Sequence[int]]:
        nonlocal taken
        for number in range(100):
            taken += 1
            yield [number]

    found: list[list[int]] = []
    async for batch in gathering(source()):
        found.append(batch)
        for _ in range(50):
            await asyncio.sleep(0)
        assert taken - sum(map(len, found)) <= 17
    assert [each for batch in found for each in batch] == list(range(100))
    assert len(found) < 20


async def test_a_source_that_fails_gives_what_it_had_and_then_its_error() -> None:
    async def source() -> AsyncIterator[Sequence[int]]:
        yield [1]
        yield [2]
        raise ValueError("bad")

    found: list[int] = []
    with pytest.raises(ValueError, match="bad"):
        async for batch in gathering(source()):
            found += batch
    assert found == [1, 2]


async def test_a_taker_that_fails_stops_the_source_though_much_waits() -> None:
    async def source() -> AsyncIterator[Sequence[int]]:
        while True:
            yield [1]

    async def take() -> None:
        async for _ in gathering(source()):
            await asyncio.sleep(0)
            raise ValueError("enough")

    before = threading.active_count()
    async with asyncio.timeout(10):
        with pytest.raises(ValueError, match="enough"):
            await take()
    assert threading.active_count() == before

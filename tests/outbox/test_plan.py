"""The delivery of one target against a model of a server: each message once, in order, whatever breaks."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import anyplug
from anyplug.errors import Code, ConnectionClosed, PostRefused, StoreDamaged, StoreFull, Timeout
from anyplug.outbox.plan import BATCH_MANY, LINGER, TRIES
from anyplug.outbox.steps import Load, Open, Post, Rest, Settle, Shut, Stop
from tests.house_modules import read_modules
from tests.house_rules import IMPURE
from tests.outbox.world import GONE, Server, World, ready


class Blow(NamedTuple):
    """What goes wrong at one step."""

    kind: str
    room: int


BLOWS = st.lists(
    st.builds(
        Blow,
        st.sampled_from(["well", "well", "cut", "crash", "crash", "late", "full", "close", "put", "timeout"]),
        st.integers(0, 6),
    ),
    max_size=80,
)


@settings(max_examples=300)
@given(blows=BLOWS, poison=st.frozensets(st.integers(1, 12), max_size=4), codecs=st.integers(1, 3))
def test_each_message_arrives_once_and_in_order_or_is_recorded_as_refused(
    blows: list[Blow], poison: frozenset[int], codecs: int
) -> None:
    world = World(Server(frozenset(b"%d" % n for n in poison)))
    put = 0
    for _ in range(6):
        put += 1
        world.disk.put(put, codec=f"c{put % codecs}")
    for blow in blows:
        if blow.kind == "put" and put < 12:
            put += 1
            world.disk.put(put, codec=f"c{put % codecs}")
            world.delivery.news()
        elif blow.kind == "crash":
            if isinstance(world.delivery.next(world.now), Post):
                world.step(GONE, room=blow.room)
            world.start()
        elif blow.kind == "full":
            world.step(room=blow.room)
        elif blow.kind == "late":
            world.step(lost=True)
        else:
            faults = {"cut": GONE, "close": ConnectionClosed(Code.GOING_AWAY), "timeout": Timeout("it", 1)}
            world.step(faults.get(blow.kind), room=blow.room)
    world.finish()
    assert world.server.kept == [b"%d" % n for n in range(1, put + 1) if n not in poison]
    assert [number for number, _ in world.disk.refused] == sorted(n for n in poison if n <= put)
    assert world.disk.waiting == []
    assert world.disk.delivered == len(world.server.kept)
    assert world.disk.sequence == world.server.sequence


@settings(max_examples=100)
@given(before=st.integers(0, 8), forgets=st.integers(0, 8), after=st.integers(1, 8), crash=st.booleans())
def test_a_server_whose_store_was_restored_gets_all_that_waits(
    before: int, forgets: int, after: int, crash: bool
) -> None:
    world = World()
    for number in range(1, before + 1):
        world.disk.put(number)
    world.finish()
    kept = world.server.kept = world.server.kept[: max(0, before - forgets)]
    world.server.sequence = len(kept)
    for number in range(before + 1, before + after + 1):
        world.disk.put(number)
    world.delivery.news()
    if crash:
        world.start()
    world.finish()
    lost = min(before, forgets)
    assert world.server.kept == [b"%d" % n for n in range(1, before + after + 1) if not before - lost < n <= before]
    assert world.disk.renumbered == (1 if lost else 0)
    assert world.disk.sequence == len(world.server.kept)


@settings(max_examples=200)
@given(
    before=st.integers(0, 5),
    later=st.integers(0, 12),
    waiting=st.integers(0, 3),
    new=st.integers(0, 12),
    blows=BLOWS,
)
def test_a_restored_copy_delivers_what_the_server_has_not_or_stops(
    before: int, later: int, waiting: int, new: int, blows: list[Blow]
) -> None:
    """The copy knows nothing of what was delivered after it was made; whatever breaks, nothing of it is lost."""
    world = World()
    for number in range(1, before + 1):
        world.disk.put(number)
    world.finish()
    for number in range(before + 1, before + waiting + 1):
        world.disk.put(number)
    copy = deepcopy(world.disk)
    for number in range(before + waiting + 1, before + waiting + later + 1):
        world.disk.put(number)
    world.delivery.news()
    world.finish()
    world.disk = copy
    world.start()
    names = [b"new %d" % n for n in range(new)]
    for number, body in enumerate(names, before + waiting + 1):
        world.disk.put(number, body=body)
    for blow in blows:
        faults = {"cut": GONE, "timeout": Timeout("it", 1)}
        world.step(faults.get(blow.kind), room=blow.room, lost=blow.kind == "late")
    world.finish()
    kept, left = world.server.kept, [parcel.body for parcel in world.disk.waiting]
    assert kept[: before + waiting + later] == [b"%d" % n for n in range(1, before + waiting + later + 1)]
    assert kept[before + waiting + later :] + [body for body in left if body.startswith(b"new")] == names
    if later and new:
        assert world.delivery.stopped is not None
        assert world.delivery.stopped.code is Code.CONFLICT
        assert "an older copy of the outbox was restored" in world.delivery.stopped.text
    if not later:
        assert left == []
    assert world.disk.refused == []


def test_of_what_the_server_has_already_one_message_is_sent_again() -> None:
    world = ready(many=5)
    world.step(GONE, room=3)
    assert world.server.kept == [b"1", b"2", b"3"]
    opening = world.until(Open)
    assert isinstance(opening, Open)
    assert opening.first == 1
    post = world.until(Post)
    assert isinstance(post, Post)
    assert (post.first, [parcel.body for parcel in post.parcels]) == (3, [b"3"])
    world.finish()
    assert world.disk.delivered == len(world.server.kept) == 5


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (Code.CONFLICT, "stopped"),
        (Code.TOO_LARGE, "stopped"),
        (Code.BAD_MESSAGE, "stopped"),
        (Code.NOT_ALLOWED, "stopped"),
        (Code.STORE_FULL, "retry"),
        (Code.FAILED, "retry"),
        (Code.GAP, "retry"),
    ],
)
def test_a_message_that_the_server_has_is_never_recorded_as_refused(code: Code, outcome: str) -> None:
    world = ready(many=5)
    world.step(GONE, room=3)
    world.until(Post)
    world.step(PostRefused(code, "no", sequence=3), room=0)
    assert ("stopped" if world.delivery.stopped else "retry") == outcome
    assert len(world.disk.waiting) == 5
    world.delivery.resume()
    world.finish()
    assert world.server.kept == [b"%d" % n for n in range(1, 6)]
    assert world.disk.refused == []


def test_a_message_that_fails_again_and_again_while_it_is_compared_stops_the_target() -> None:
    world = ready(many=5)
    world.step(GONE, room=3)
    for _ in range(TRIES):
        world.until(Post)
        world.step(PostRefused(Code.FAILED, "broken", sequence=3), room=0)
    assert world.delivery.stopped is not None
    assert len(world.disk.waiting) == 5


def test_a_server_with_more_than_one_batch_ahead_is_not_asked() -> None:
    world = World()
    world.server.kept = [b"x"] * (BATCH_MANY + 1)
    world.server.sequence = BATCH_MANY + 1
    for number in range(1, 2 * BATCH_MANY):
        world.disk.put(number)
    world.finish()
    assert world.delivery.stopped is not None
    assert len(world.disk.waiting) == 2 * BATCH_MANY - 1


# Time.


def test_after_each_failure_in_a_row_the_wait_is_longer_up_to_the_bound() -> None:
    world = ready()
    waits = []
    for _ in range(6):
        world.until(Open if world.codec is None else Post)
        world.step(GONE, room=0)
        rest = world.until(Rest)
        assert isinstance(rest, Rest)
        assert rest.retrying
        waits.append((rest.until or 0) - world.now)
        world.step()
    assert waits == [0.5, 1.0, 2.0, 4.0, 4.0, 4.0]


def test_messages_that_come_meanwhile_do_not_cut_the_wait_short() -> None:
    world = ready()
    world.step(GONE)
    rest = world.until(Rest)
    world.delivery.news()
    assert world.delivery.next(world.now) == rest


def test_a_success_ends_the_row_of_failures() -> None:
    world = ready()
    for _ in range(3):
        world.until(Open if world.codec is None else Post)
        world.step(GONE, room=0)
    assert world.delivery.failures == 3
    assert world.delivery.problem == str(GONE)
    world.finish()
    assert world.delivery.failures == 0
    assert world.delivery.problem == ""
    assert world.delivery.retry_at is None


@pytest.mark.parametrize("roll", [0.0, 0.5])
def test_a_broken_connection_is_given_up_before_the_wait_however_short(roll: float) -> None:
    world = ready()
    world.delivery.failed(GONE, world.now, roll)
    assert isinstance(world.step(), Shut)
    assert isinstance(world.delivery.next(world.now + 1), Open)


def test_an_idle_connection_is_kept_for_a_while_and_then_closed() -> None:
    world = ready()
    rest = world.until(Rest)
    assert rest == Rest(world.now + LINGER, retrying=False)
    assert world.codec == "msgpack"
    world.disk.put(4)
    world.delivery.news()
    world.until(Post)
    world.finish()
    assert not world.delivery.connected
    assert world.server.kept == [b"1", b"2", b"3", b"4"]


# Batches.


def test_a_broken_connection_halves_the_batch_and_a_delivery_doubles_it() -> None:
    world = World()
    for number in range(1, 2_001):
        world.disk.put(number)
    sizes = []
    for fault in (GONE, GONE, None, None, None):
        step = world.until(Post)
        assert isinstance(step, Post)
        sizes.append(len(step.parcels))
        world.step(fault, room=0 if fault else 2_000)
    assert sizes == [BATCH_MANY, BATCH_MANY // 2, BATCH_MANY // 4, BATCH_MANY // 2, 250]


def test_over_a_connection_that_breaks_after_each_message_all_get_through() -> None:
    world = World()
    for number in range(1, 301):
        world.disk.put(number)
    lone = 0
    while world.disk.waiting:
        step = world.delivery.next(world.now)
        heavy = isinstance(step, Post) and len(step.parcels) > 1
        lone += isinstance(step, Post) and not heavy
        world.step(GONE if heavy else None, room=0 if heavy else 1)
    assert lone == 300
    assert world.server.kept == [b"%d" % n for n in range(1, 301)]


def test_messages_of_another_codec_go_over_another_connection_in_order() -> None:
    world = World()
    for number, codec in enumerate(["a", "a", "b", "a"], 1):
        world.disk.put(number, codec=codec)
    steps = []
    while world.disk.waiting:
        steps.append(world.step())
    told = [(type(step).__name__, getattr(step, "codec", "")) for step in steps if isinstance(step, (Open, Shut))]
    assert told == [("Open", "a"), ("Shut", ""), ("Open", "b"), ("Shut", ""), ("Open", "a")]
    assert world.server.kept == [b"1", b"2", b"3", b"4"]


def test_a_message_larger_than_the_server_takes_is_refused_without_being_sent() -> None:
    world = World(Server(limit=3))
    for number, body in enumerate([b"ok", b"large", b"too"], 1):
        world.disk.put(number, body=body)
    world.finish()
    assert world.server.kept == [b"ok", b"too"]
    assert world.disk.refused == [(2, Code.TOO_LARGE)]


# The disk.


def test_what_cannot_be_recorded_now_is_recorded_later_and_nothing_is_said_before() -> None:
    world = ready()
    world.step()
    step = world.delivery.next(world.now)
    assert isinstance(step, Settle)
    world.delivery.unrecorded(StoreFull("x", "no room"), world.now, 0.5)
    assert world.delivery.next(world.now) == Rest(0.5, retrying=True)
    assert "no room" in world.delivery.problem
    assert world.delivery.next(0.5) == step
    world.now = 0.5
    world.finish()
    assert world.disk.delivered == 3


def test_what_the_disk_has_damaged_stops_the_target() -> None:
    world = World()
    world.disk.put(1)
    world.delivery.damaged(StoreDamaged("x", "message 1"))
    stop = world.until(Stop)
    assert isinstance(stop, Stop)
    assert stop.code is Code.STORE_FAILED
    assert "message 1" in stop.text


def test_messages_that_come_while_the_disk_is_read_are_read_next() -> None:
    world = World()
    assert isinstance(world.delivery.next(0), Load)
    world.delivery.news()
    world.delivery.loaded([])
    assert isinstance(world.delivery.next(0), Load)
    world.delivery.loaded([])
    assert world.delivery.next(0) == Rest(None, retrying=False)


def test_it_knows_no_clock_no_dice_no_disk_and_no_socket() -> None:
    package = Path(anyplug.__file__).parent
    pure = {"anyplug.outbox.plan", "anyplug.outbox.steps", "anyplug.outbox.verdicts"}
    found = {module.name: module for module in read_modules(package) if module.name in pure}
    assert found.keys() == pure
    parts = {"backoff", "errors", "codes", "outbox"}
    for module in found.values():
        for each in module.imports:
            assert each.target.split(".")[0] not in IMPURE, module.at(each.line, each.target)
            if each.target.startswith("anyplug."):
                assert each.target in pure or each.target.split(".")[1] in parts - {"outbox"}, each.target

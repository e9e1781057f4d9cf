"""What a refusal leads to: this message, the whole target, or another attempt."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyplug.errors import (
    AddressError,
    AnyplugError,
    Code,
    ConnectError,
    ConnectionClosed,
    LocalError,
    PostRefused,
    Refused,
    Timeout,
)
from anyplug.outbox.plan import TAKEOVERS, TRIES
from anyplug.outbox.steps import Open, Parcel, Post, Refuse, Settle, Shut, Stop
from anyplug.outbox.verdicts import OTHER, RULES, Verdict, opening_verdict, posting_rule
from tests.outbox.world import GONE, Blunt, Server, World, ready


def test_no_refused_conversation_is_held_against_a_message() -> None:
    assert all(rule.why for rule in (*RULES.values(), OTHER))
    assert {opening_verdict(code) for code in Code} == {Verdict.RETRY, Verdict.STOP}


@pytest.mark.parametrize(
    ("code", "opening", "posting"),
    [
        (Code.BUSY, Verdict.RETRY, Verdict.RETRY),
        (Code.GOING_AWAY, Verdict.RETRY, Verdict.RETRY),
        (Code.STORE_FULL, Verdict.RETRY, Verdict.RETRY),
        (Code.NOT_ALLOWED, Verdict.STOP, Verdict.STOP),
        (Code.UNKNOWN_SERVICE, Verdict.STOP, Verdict.STOP),
        (Code.CONFLICT, Verdict.STOP, Verdict.STOP),
        (Code.TAKEN_OVER, Verdict.STOP, Verdict.STOP),
        (Code.TOO_LARGE, Verdict.RETRY, Verdict.REFUSE),
        (Code.BAD_MESSAGE, Verdict.RETRY, Verdict.REFUSE),
        (Code.FAILED, Verdict.RETRY, Verdict.PERHAPS),
        (Code.GAP, Verdict.RETRY, Verdict.RENUMBER),
        (Code.CHANGED, Verdict.RETRY, Verdict.PERHAPS),
    ],
)
def test_what_codes_mean(code: Code, opening: Verdict, posting: Verdict) -> None:
    assert (opening_verdict(code), posting_rule(code).verdict) == (opening, posting)


def outcome(world: World) -> str:
    """What the last failure led to."""
    if world.disk.refused or isinstance(world.delivery.next(world.now), Refuse):
        return "refuse"
    if world.delivery.stopped is not None:
        return "stop"
    return "retry" if world.delivery.retry_at is not None else "renumber"


@pytest.mark.parametrize("code", Code)
def test_a_post_that_is_refused_means_what_the_table_says(code: Code) -> None:
    world = ready(many=1)
    if code is Code.TAKEN_OVER:
        world.delivery.failed(ConnectionClosed(code), world.now, 0.0)
        world.until(Post)
    world.delivery.failed(PostRefused(code, "why", sequence=1), world.now, 0.5)
    wanted = posting_rule(code).verdict.value
    assert outcome(world) == {"perhaps": "retry", "renumber": "retry"}.get(wanted, wanted)
    assert "why" in world.delivery.problem


@pytest.mark.parametrize("code", Code)
@pytest.mark.parametrize("kind", [Refused, ConnectionClosed])
def test_a_conversation_that_is_refused_or_ended_means_what_the_table_says(
    code: Code, kind: type[Refused | ConnectionClosed]
) -> None:
    world = World()
    world.disk.put(1)
    world.until(Open)
    for _ in range(TAKEOVERS if code is Code.TAKEN_OVER else 1):
        world.delivery.failed(kind(code, "why"), world.now, 0.0)
        world.until(Open) if world.delivery.stopped is None else None
    assert outcome(world) == opening_verdict(code).value


@pytest.mark.parametrize("error", [ConnectError("x", step="connect", problem="p", remedy="r"), Timeout("x", 1), GONE])
def test_what_the_network_does_passes(error: AnyplugError) -> None:
    world = ready()
    world.delivery.failed(error, world.now, 0.5)
    assert outcome(world) == "retry"


@pytest.mark.parametrize("error", [AddressError("x", part="host", found="", expected="y"), LocalError("no posts")])
def test_a_mistake_of_ours_stops_the_target(error: AnyplugError) -> None:
    world = ready()
    world.delivery.failed(error, world.now, 0.5)
    assert outcome(world) == "stop"
    assert world.until(Stop) == Stop(Code.UNSUPPORTED, str(error))


def test_those_before_a_refused_message_are_recorded_as_delivered_first() -> None:
    world = World(Server(frozenset([b"2"])))
    for number in (1, 2, 3):
        world.disk.put(number)
    world.until(Post)
    world.step()
    assert world.step() == Settle(1, 1, 1)
    assert world.step() == Post(2, [Parcel(2, "msgpack", b"2")])
    assert world.step() == Refuse(2, Code.BAD_MESSAGE, "no")
    assert world.step() == Post(2, [Parcel(3, "msgpack", b"3")])
    assert world.codec == "msgpack"


@given(bad=st.frozensets(st.integers(1, 20), max_size=8))
def test_no_message_is_refused_for_another_of_its_batch(bad: frozenset[int]) -> None:
    world = World(Blunt(frozenset(b"%d" % n for n in bad)))
    for number in range(1, 21):
        world.disk.put(number)
    world.finish()
    assert world.server.kept == [b"%d" % n for n in range(1, 21) if n not in bad]
    assert [number for number, _ in world.disk.refused] == sorted(bad)


def test_a_conflict_is_found_to_the_message() -> None:
    world = World(Blunt())
    world.server.kept, world.server.sequence = [b"1", b"2", b"other"], 3
    for number in (1, 2, 3):
        world.disk.put(number)
    world.finish()
    assert world.disk.delivered == 2
    assert world.delivery.stopped is not None
    assert world.delivery.stopped.code is Code.CONFLICT


def test_a_message_on_which_the_service_always_fails_is_refused_after_some_tries() -> None:
    world = ready(many=1)
    for tried in range(1, TRIES + 1):
        world.until(Post)
        assert world.disk.refused == []
        world.delivery.failed(PostRefused(Code.FAILED, "bug", sequence=1), world.now, 0.0)
        assert (outcome(world) == "refuse") == (tried == TRIES)
    world.finish()
    assert world.disk.refused == [(1, Code.FAILED)]
    assert world.server.kept == []


def test_tries_are_counted_for_one_message_alone() -> None:
    world = ready(many=1)
    world.disk.put(2)
    for _ in range(TRIES - 1):
        world.until(Post)
        world.delivery.failed(PostRefused(Code.FAILED, "bug", sequence=1), world.now, 0.0)
    world.delivery.news()
    world.until(Post)
    world.step()
    world.until(Post)
    world.delivery.failed(PostRefused(Code.FAILED, "bug", sequence=2), world.now, 0.0)
    world.finish()
    assert world.disk.refused == []
    assert world.server.kept == [b"1", b"2"]


@pytest.mark.parametrize("sequence", [0, 5, 9])
def test_a_refusal_of_a_sequence_that_was_never_sent_only_means_again(sequence: int) -> None:
    world = ready()
    world.delivery.failed(PostRefused(Code.BAD_MESSAGE, "?", sequence=sequence), world.now, 0.5)
    world.finish()
    assert world.disk.refused == []
    assert world.server.kept == [b"1", b"2", b"3"]


def test_one_takeover_is_tried_again_and_another_stops() -> None:
    world = ready()
    for count in range(1, TAKEOVERS + 1):
        world.until(Post)
        world.delivery.failed(PostRefused(Code.TAKEN_OVER, "newer", sequence=1), world.now, 0.5)
        assert (world.delivery.stopped is not None) == (count == TAKEOVERS)


def test_a_stopped_target_closes_its_connection_keeps_all_and_goes_on_when_it_is_told_to() -> None:
    world = ready()
    world.step(Refused(Code.NOT_ALLOWED, "token"))
    assert isinstance(world.step(), Shut)
    assert world.delivery.next(world.now) == Stop(Code.NOT_ALLOWED, "token")
    world.delivery.news()
    assert isinstance(world.delivery.next(world.now), Stop)
    assert len(world.disk.waiting) == 3
    world.delivery.resume()
    world.finish()
    assert world.server.kept == [b"1", b"2", b"3"]

"""The questions of `make bench`: each is measurable here or says why not, and its programs answer right.

Nothing here asserts a time: everything runs for a few milliseconds, and what came back is looked at.
"""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from anyplug.wire.frames import Kind, encode_frame
from benchmarks import (
    charts,
    conditions,
    fairness,
    growth,
    latency,
    objects,
    oneway,
    openings,
    processes,
    sizes,
    start,
    workers,
)
from benchmarks import loads as loads_
from benchmarks.__main__ import QUESTIONS
from benchmarks.harness import RESULTS, Comparison, Contestant, Question, Sample, answer, report, write
from benchmarks.servers import SERVERS, missing
from benchmarks.talks import plug, scalability, websocket, zmtp

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MOMENT = 0.01
"""How long is measured here, seconds: a few messages are enough."""


def shortly(measure: Callable[[float], Sample], seconds: float = MOMENT) -> Sample:
    """What is measured in a moment; in longer ones, where others had the core for all of it."""
    while True:
        sample = measure(seconds)
        if sample.value > 0 or seconds > 5:
            return sample
        seconds *= 10


OURS = [name for name in SERVERS if name.startswith("anyplug")]

compiles = pytest.mark.skipif(shutil.which(processes.COMPILER) is None, reason="no C compiler for the load")


def say_nothing(line: str) -> None:
    """For `answer`."""


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_has_rows_and_says_who_is_left_out(name: str) -> None:
    question = QUESTIONS[name]
    assert question.asks
    assert question.unit
    assert question.rounds > 0
    names = [contestant.name for contestant in question.contestants]
    assert len(set(names)) == len(names)
    assert {contestant.name for contestant in question.present} | question.left_out.keys() == set(names)
    assert all({comparison.ours, comparison.theirs} <= set(names) for comparison in question.comparisons)


def test_who_is_not_installed_is_left_out_with_the_reason(tmp_path: Path) -> None:
    question = Question(
        name="lent",
        asks="who is there",
        unit="heads",
        contestants=[
            Contestant("ours", lambda seconds: Sample(2.0)),
            Contestant("theirs", lambda seconds: Sample(1.0)),
            Contestant("absent", lambda seconds: Sample(1 / 0), missing=missing(("no_such_module",))),
        ],
        comparisons=[Comparison("ours", "theirs"), Comparison("ours", "absent", least=1.0)],
        rounds=2,
    )
    said: list[str] = []
    outcome = answer(question, say=said.append)
    assert said[0] == "  left out: absent: no_such_module is not installed"
    assert outcome.samples.keys() == {"ours", "theirs"}
    rows = report(outcome).splitlines()
    assert rows[-1].split() == ["-", "left", "out", "absent:", "no_such_module", "is", "not", "installed"]
    kept = json.loads(write(outcome, tmp_path).read_text(encoding="utf-8"))
    assert kept["left_out"] == {"absent": "no_such_module is not installed"}
    assert [row["theirs"] for row in kept["comparisons"]] == ["theirs"]


def test_where_nobody_can_be_measured_nothing_is() -> None:
    question = Question("empty", "", "", [Contestant("absent", lambda seconds: Sample(1 / 0), missing="gone")], [])
    assert answer(question, say=say_nothing).samples == {}


def test_what_is_missing_is_named() -> None:
    assert missing(("json",), ("sh",)) == ""
    assert missing(("json", "no_such_module"), ("no-such-program",)) == (
        "no_such_module, no-such-program are not installed"
    )


def test_without_a_compiler_everything_that_needs_the_load_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert SERVERS["epoll in C"].missing == "gcc is not installed"
    assert loads_.contestant("epoll in C").missing == "gcc is not installed"


@compiles
@pytest.mark.parametrize("name", OURS)
def test_our_servers_answer_the_load_in_every_protocol(name: str) -> None:
    sample = shortly(lambda seconds: loads_.measure(name, seconds, connections=3))
    assert sample.value > 0
    assert sample.cost
    assert 0 < sample.facts["load busy"] <= 1
    assert shortly(lambda seconds: loads_.measure(name, seconds, connections=2, size=10_000, count=4)).value > 0


@compiles
@pytest.mark.parametrize("name", [name for name in SERVERS if name not in OURS])
def test_a_peer_answers_the_load_where_it_is_installed(name: str) -> None:
    if lack := SERVERS[name].missing:
        pytest.skip(lack)
    assert shortly(lambda seconds: loads_.measure(name, seconds, connections=2)).value > 0


@compiles
def test_an_answer_that_is_not_right_fails_the_load(capfd: pytest.CaptureFixture[str]) -> None:
    """The requests of the plug protocol, sent to what sends them back as they came: no reply is a request."""
    with (
        processes.Process(SERVERS["epoll in C"].command(), core=processes.SERVER_CORE) as server,
        pytest.raises(RuntimeError, match="ended with 1"),
    ):
        question = plug(10)
        port = server.line()
        options = ["-p", port, "-q", question.question.hex(), "-a", question.answer.hex()]
        processes.run_json([processes.build("load.c"), *options])
    assert "load: an answer: not what was expected" in capfd.readouterr().err


@compiles
def test_connections_are_opened_asked_once_and_ended() -> None:
    for name in ("anyplug lines, bytes", "anyplug plug, requests"):
        assert openings.measure(name, 0.05).value > 0


@compiles
@pytest.mark.parametrize("count", [1, 2])
def test_workers_answer_the_load(count: int) -> None:
    sample = shortly(lambda seconds: workers.measure(count, seconds))
    assert sample.value > 0
    assert sample.cost
    assert 0 < sample.facts["load busy"] <= 1


@pytest.mark.parametrize(
    ("count", "cores", "why"),
    [
        (1, 1, ""),
        (2, 2, "2 workers and the load need 3 cores, and here are 2"),
        (2, 3, ""),
        (4, 4, "4 workers and the load need 5 cores, and here are 4"),
    ],
)
def test_workers_need_a_core_each_and_one_for_the_load(count: int, cores: int, why: str) -> None:
    assert workers.lack(count, cores) == (why or missing((), (processes.COMPILER,)))


@compiles
def test_times_of_answers_are_told_at_half_the_greatest_rate() -> None:
    sample = shortly(lambda seconds: latency.measure("anyplug lines, bytes", seconds), 0.05)
    assert 0 < sample.facts["p50 us"] <= sample.value <= sample.facts["p99.9 us"]
    assert sample.facts["answers a second"] > 0


@compiles
def test_a_flood_is_answered_beside_the_polite() -> None:
    facts = shortly(lambda seconds: fairness.measure("anyplug lines, bytes", True, seconds), 0.05).facts
    assert facts["flood answers a second"] > 0
    assert facts["polite answers a second"] > 0
    assert "flood answers a second" not in fairness.measure("anyplug lines, bytes", False, 0.05).facts


def test_growth_names_each_point_of_its_curves() -> None:
    assert growth.title("uvloop Protocol", 1000) in {each.name for each in growth.QUESTION.contestants}
    assert len(growth.QUESTION.contestants) == len(growth.NAMES) * len(growth.CONNECTIONS)


@pytest.mark.parametrize("name", ["multiprocessing", "zmq", "zmq_asyncio", "websockets", "picows", "nng"])
def test_messages_of_the_peers_go_one_way(name: str) -> None:
    needs = {each: needs for each, needs, _ in oneway.THEIRS.values()}[name]
    if lack := missing(needs):
        pytest.skip(lack)
    assert shortly(lambda seconds: oneway.measure(name, seconds)).value > 0


def test_bytes_go_one_way_in_messages_and_without() -> None:
    assert shortly(lambda seconds: sizes.measure("anyplug", 1_000_000, seconds)).value > 0
    assert shortly(lambda seconds: sizes.measure("raw", 1_000_000, seconds)).value > 0


@pytest.mark.parametrize(
    ("name", "needs"), [("anyplug", ()), ("multiprocessing", ()), ("rpyc", ("rpyc",)), ("pyro", ("Pyro5",))]
)
def test_objects_go_one_way(name: str, needs: tuple[str, ...]) -> None:
    if lack := missing(needs):
        pytest.skip(lack)
    assert shortly(lambda seconds: objects.measure(name, "msgpack", seconds)).value > 0


def test_a_server_is_ready_when_it_says_so() -> None:
    command, what, _ = start.SERVERS["anyplug.Server in a program"]
    assert start.ready(command, what) > 0


def test_what_the_load_says_is_what_each_protocol_has() -> None:
    assert plug(1, 2).question == encode_frame(Kind.REQUEST, b"\0\0\0\1q") + encode_frame(Kind.REQUEST, b"\0\0\0\2q")
    assert plug(1).answer == encode_frame(Kind.REPLY, b"\0\0\0\1q")
    assert websocket(1).question == b"\x82\x81\0\0\0\0q"
    assert websocket(200).answer == b"\x82\x7e\x00\xc8" + b"q" * 200
    assert zmtp(1).question == b"\x01\x00\x00\x01q"
    assert zmtp(300).question[:11] == b"\x01\x00\x02" + (300).to_bytes(8, "big")
    assert len(zmtp(1).hello) == 64 + 2 + len(b"\x05READY\x0bSocket-Type\0\0\0\x03REQ")
    assert scalability(1).question == b"\0\0\0\0\0\0\0\5\x80\0\0\1q"


def test_the_conditions_say_what_a_figure_holds_for() -> None:
    found = conditions.conditions()
    assert {"cpu", "cores", "kernel", "python", "libraries", "governor", "priority", "date"} <= found.keys()
    assert str(found["governor"]) in conditions.sentence(found)
    assert "none" not in conditions.sentence(found)


def outcome(question: str, medians: dict[str, float]) -> dict[str, Any]:
    measured = {name: {"median": value, "values": [value, value + 1]} for name, value in medians.items()}
    about = {"cpu": "Abacus", "cores": 2, "python": "CPython 3"}
    return {"question": question, "measured": measured, "conditions": about}


def test_charts_are_drawn_of_what_was_measured_the_same_each_time(tmp_path: Path) -> None:
    pytest.importorskip(charts.LIBRARY)
    results, drawn = tmp_path / "results", tmp_path / "charts"
    results.mkdir()
    bars = outcome("oneway", {"anyplug": 3.0, "websockets": 1.0})
    curve = outcome("sizes", {"anyplug, 16 B": 1.0, "anyplug, 1,000 B": 30.0, "raw sockets, 16 B": 2.0})
    for each in (bars, curve):
        (results / f"{each['question']}.json").write_text(json.dumps(each), encoding="utf-8")
    assert charts.draw_all(results, drawn) == "charts drawn: oneway, sizes"
    first = {path.name: path.read_bytes() for path in drawn.iterdir()}
    assert first.keys() == {"oneway.svg", "sizes.svg"}
    assert b"websockets" in first["oneway.svg"]
    assert b"Abacus" in first["sizes.svg"]
    charts.draw_all(results, drawn)
    assert {path.name: path.read_bytes() for path in drawn.iterdir()} == first


def test_a_curve_is_taken_apart_by_the_names_of_its_points() -> None:
    found = charts.series(outcome("growth", {"a, x50": 5.0, "a, x1": 1.0, "b, x1": 2.0}), charts.CURVES["growth"][2])
    assert found == {"a": [(1, 1.0), (50, 5.0)], "b": [(1, 2.0)]}
    with pytest.raises(AssertionError, match="no point"):
        charts.series(outcome("growth", {"a": 1.0}), charts.CURVES["growth"][2])


def test_every_chart_is_of_a_question() -> None:
    assert {*charts.BARS, *charts.CURVES} <= QUESTIONS.keys()
    for name in charts.CURVES:
        medians = {contestant.name: 1.0 for contestant in QUESTIONS[name].contestants}
        assert charts.series(outcome(name, medians), charts.CURVES[name][2])


def test_results_name_no_path_of_this_machine() -> None:
    for path in RESULTS.glob("*.json"):
        assert str(RESULTS.parent.parent) not in path.read_text(encoding="utf-8")

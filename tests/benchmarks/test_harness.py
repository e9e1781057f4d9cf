"""The harness of the benchmarks: who is measured when, what is told, and that the programs of a question run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from benchmarks import ask, commands, idle_memory, oneway, scan, sockets
from benchmarks.__main__ import QUESTIONS
from benchmarks.harness import Comparison, Contestant, Outcome, Question, Sample, answer, report, write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def question(measured: Callable[[str], Sample], *, most: float | None = None) -> Question:
    """Two contestants, of whom ours should be 1.5 times as fast."""
    return Question(
        name="shouting",
        asks="who shouts more often",
        unit="shouts a second",
        contestants=[
            Contestant("ours", lambda seconds: measured("ours"), most=most),
            Contestant("theirs", lambda seconds: measured("theirs")),
        ],
        comparisons=[Comparison("ours", "theirs", least=1.5), Comparison("theirs", "ours")],
        rounds=3,
    )


def quietly(asked: Question, **options: int) -> Outcome:
    return answer(asked, say=lambda line: None, **options)


def test_each_round_measures_everybody_once_in_an_order_that_turns() -> None:
    order: list[str] = []

    def measured(name: str) -> Sample:
        order.append(name)
        return Sample(1.0)

    quietly(question(measured), rounds=4)
    assert order == ["ours", "theirs", "theirs", "ours", "theirs", "ours", "ours", "theirs"]
    order.clear()
    trio = question(measured)
    quietly(Question("trio", "", "", [*trio.contestants, Contestant("third", lambda s: measured("third"))], [], 3))
    assert [order[at : at + 3] for at in (0, 3, 6)] == [
        ["ours", "theirs", "third"],
        ["third", "theirs", "ours"],
        ["theirs", "third", "ours"],
    ]


def test_the_ratio_is_of_one_round_and_its_median_is_told_first() -> None:
    """A machine that is ten times slower in one round changes the values, not the ratio."""
    slow = iter([1, 1, 10, 10, 1, 1])  # by measurement: two a round
    outcome = quietly(question(lambda name: Sample((20.0 if name == "ours" else 10.0) / next(slow), cost=2.0)))
    assert outcome.ratios(outcome.question.comparisons[0]) == [2.0, 2.0, 2.0]
    rows = report(outcome).splitlines()
    assert rows[0] == "shouting: who shouts more often"
    assert rows[4].split() == ["2.00x", "2.00", "to", "2.00", "1.00x", ">=", "1.50", "met", "ours", "/", "theirs"]
    assert rows[5].split()[0] == "0.50x"
    assert rows[8].split()[:4] == ["20.0", "2.0", "to", "20.0"]


@pytest.mark.parametrize(("most", "verdict"), [(25.0, "<= 25 met"), (15.0, "<= 15 MISSED")])
def test_a_target_of_the_value_itself_is_judged(most: float, verdict: str) -> None:
    outcome = quietly(question(lambda name: Sample(20.0, facts={"loaves": 3}), most=most))
    assert f"target {verdict}, loaves 3.00" in report(outcome)
    assert ">= 1.50 MISSED" in report(outcome)


def test_what_was_measured_is_kept_with_its_conditions(tmp_path: Path) -> None:
    outcome = quietly(question(lambda name: Sample(4.0)), rounds=2)
    kept = json.loads(write(outcome, tmp_path / "results").read_text(encoding="utf-8"))
    assert (kept["question"], kept["unit"]) == ("shouting", "shouts a second")
    assert kept["measured"]["ours"]["values"] == [4.0, 4.0]
    assert kept["comparisons"][0] == {
        "ratio": 1.0,
        "ours": "ours",
        "theirs": "theirs",
        "target": ">= 1.50",
        "by_cpu": [],
        "ratios": [1.0, 1.0],
    }
    assert {"cpu", "kernel", "python", "libraries", "date", "load_average"} <= kept["conditions"].keys()


def test_every_question_compares_contestants_that_it_has() -> None:
    for asked in QUESTIONS.values():
        names = {contestant.name for contestant in asked.contestants}
        assert len(names) == len(asked.contestants)
        assert all({comparison.ours, comparison.theirs} <= names for comparison in asked.comparisons)


def test_messages_go_one_way_between_two_processes() -> None:
    sample = oneway.measure("anyplug", 0.01)
    assert sample.value > 0
    assert sample.cost


def test_questions_are_answered_between_two_processes() -> None:
    assert ask.measure("serve_anyplug", "ask_anyplug", 0.01, 3, 10).value > 0


def test_idle_connections_are_held_and_weighed() -> None:
    assert idle_memory.measure("serve_reply", 50).facts.keys() == {"RSS bytes", "USS of the first half"}


def test_every_socket_that_is_held_is_listed_by_every_contestant() -> None:
    counts = {name: sockets.measure(command, 3, 0.01).facts["lines"] for name, command in sockets.COMMANDS.items()}
    assert min(counts.values()) >= 6


def test_open_ports_are_found_and_counted() -> None:
    done, found = scan.scanned(1, "anyplug scan", 3)
    assert found >= 3
    assert done.peak > 1
    assert scan.nmap_open(b"PORT STATE\n22/tcp open  ssh\n23/tcp closed telnet\n7584/tcp open  unknown\n") == 2


def test_a_command_that_fails_is_not_measured() -> None:
    with pytest.raises(RuntimeError, match="ended with 2"):
        commands.run([*commands.ANYPLUG, "scan"])

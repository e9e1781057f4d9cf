"""What is told of workers, where no process can be made to do it in time: the foreman hears it directly."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from typing import Any

import pytest

from anyplug.cli.output import Output
from anyplug.cli.serve_talk import Talk
from anyplug.cli.serve_workers import Foreman
from anyplug.server.config import Config, ServiceConfig
from anyplug.services import KINDS


class Heard:
    """A foreman of two workers whose supervisor has not begun, and what it told programs and the log."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._out = io.TextIOWrapper(io.BytesIO())
        self._caplog = caplog
        config = Config(services={"echo": ServiceConfig("echo", KINDS["echo"].options())}, workers=2)
        with redirect_stdout(self._out):
            self.foreman = Foreman(
                config, Talk(Output(json=True), quiet=False), path="a.toml", read=lambda _: config, announces=False
            )

    def events(self, do: Any, *words: object) -> list[dict[str, Any]]:
        """What programs are told when this happens."""
        with redirect_stdout(self._out):
            do(*words)
        data = self._out.buffer.getvalue()
        self._out.buffer.truncate(0)
        self._out.buffer.seek(0)
        return [json.loads(line) for line in data.splitlines()]

    def logged(self) -> list[tuple[str, dict[str, Any]]]:
        return [(record.getMessage(), record.__dict__["fields"]) for record in self._caplog.records]


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture) -> Heard:
    return Heard(caplog)


FAULT = ["cannot_listen", "cannot listen there", "", 1]


def test_a_worker_that_is_killed_for_it_does_not_obey_is_named(heard: Heard) -> None:
    assert heard.events(heard.foreman.overdue, 2, 77) == []
    problem = "it did not do in time what it was told, and is killed"
    assert heard.logged() == [("worker_overdue", {"worker": 2, "pid": 77, "problem": problem})]


def test_what_a_worker_cannot_start_for_is_told_at_the_end_or_logged(heard: Heard) -> None:
    foreman = heard.foreman
    heard.events(foreman.heard, 1, "failed", FAULT)
    assert foreman.fault is not None
    assert foreman.fault.message == "cannot listen there"
    assert heard.logged() == [], "whoever started the server reads it"
    assert heard.events(foreman.ready, [76, 77])[-1] == {"type": "ready", "store": "", "workers": [76, 77]}
    heard.events(foreman.heard, 2, "failed", FAULT)
    assert heard.logged() == [("worker_failed", {"worker": 2, "problem": "cannot listen there"})]
    assert heard.events(foreman.replaced, 2, 78) == [{"type": "worker_replaced", "worker": 2, "pid": 78}]
    assert foreman.fault is None


def test_conversations_are_counted_when_all_have_said_how_many_there_are(heard: Heard) -> None:
    foreman = heard.foreman
    heard.events(foreman.heard, 1, "stopping", 50)  # by itself, before
    heard.events(foreman.heard, 1, "stopped", 5)
    heard.events(foreman.lost, 1, 76, "ended with status 0", 0.0)
    assert heard.events(foreman.heard, 2, "stopping", 3) == [], "it was quicker than we were told"
    assert heard.events(foreman.stopping, [1, 2], "") == []
    assert heard.events(foreman.heard, 1, "stopping", 4) == [{"type": "stopping", "conversations": 7, "seconds": 10.0}]
    heard.events(foreman.heard, 1, "stopped", 2)
    heard.events(foreman.heard, 2, "stopped", 1)
    assert foreman.cut == 3


def test_a_worker_that_dies_while_all_are_to_stop_is_named_and_not_waited_for(heard: Heard) -> None:
    foreman = heard.foreman
    assert heard.events(foreman.stopping, [1, 2], "") == []
    heard.events(foreman.heard, 1, "stopping", 4)
    stopping = {"type": "stopping", "conversations": 4, "seconds": 10.0}
    assert heard.events(foreman.lost, 2, 77, "was ended by SIGKILL", None) == [stopping]
    assert heard.logged() == [("worker_lost", {"worker": 2, "pid": 77, "how": "was ended by SIGKILL"})]
    assert heard.events(foreman.lost, 1, 76, "ended with status 0", None) == []
    assert len(heard.logged()) == 1, "that is no loss"


def test_without_workers_there_is_nothing_to_wait_for(heard: Heard) -> None:
    stopping = {"type": "stopping", "conversations": 0, "seconds": 10.0}
    assert heard.events(heard.foreman.stopping, [], "") == [stopping]


def test_a_problem_is_told_at_the_end_alone(heard: Heard) -> None:
    foreman = heard.foreman
    assert heard.events(foreman.stopping, [1], "worker 2 died") == []
    assert heard.events(foreman.lost, 1, 76, "ended with status 1", None) == []
    assert heard.logged() == []

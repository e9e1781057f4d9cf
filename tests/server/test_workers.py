"""A supervisor and its workers, as processes: `tests.server.crew` says what happens, a line each."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from anyplug.server.notify import Notifier
from anyplug.server.workers import Supervisor
from anyplug.server.workers_plan import Plan, Stage

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

PATIENCE = 20.0
ROOT = Path(__file__).parents[2]


class Crew:
    """A running `tests.server.crew`."""

    def __init__(self, kind: str, **options: Any) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.server.crew", kind],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            start_new_session=True,
            **options,
        )
        self._data = b""

    def line(self) -> str:
        """The next line; empty at the end."""
        assert self.process.stdout is not None
        while b"\n" not in self._data:
            assert select.select([self.process.stdout], [], [], PATIENCE)[0], f"nothing after {self._data!r}"
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                break
            self._data += data
        line, _, self._data = self._data.partition(b"\n")
        return line.decode()

    def lines(self, count: int) -> list[str]:
        return [self.line() for _ in range(count)]

    def ready(self) -> list[int]:
        """The workers, once they listen."""
        word, *pids = self.line().split()
        assert word == "ready"
        return list(map(int, pids))

    def rest(self) -> list[str]:
        """What is said until all have ended."""
        return list(iter(self.line, ""))

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            os.killpg(self.process.pid, signal.SIGKILL)  # some of the workers end for nobody
        with self.process:
            self.process.wait(PATIENCE)


END = ["lost 1 ended with status 0 for good", "lost 2 ended with status 0 for good"]


def test_it_is_ready_once_and_ends_with_its_workers() -> None:
    with Crew("good") as crew:
        assert len(set(crew.ready())) == 2
        crew.signal(signal.SIGTERM)
        assert crew.line() == "stopping 1 2 "
        *said, last = crew.rest()
        assert sorted(said) == ["heard 1 stopping None", "heard 2 stopping None", *END]
        assert last == "finish False "


def test_a_worker_that_is_killed_is_replaced_and_keeps_its_number() -> None:
    with Crew("good") as crew:
        first, second = crew.ready()
        os.kill(second, signal.SIGKILL)
        assert crew.line() == "lost 2 was ended by SIGKILL for now"
        word, number, pid = crew.line().split()
        assert (word, number) == ("replaced", "2")
        assert int(pid) not in {first, second}
        crew.signal(signal.SIGTERM)
        assert crew.line() == "stopping 1 2 "
        assert crew.rest()[-1] == "finish False "


def test_a_signal_without_a_name_is_told_by_its_number() -> None:
    with Crew("good") as crew:
        crew.ready()
        first, _ = (int(pid) for pid in _children(crew.process.pid))
        os.kill(first, signal.SIGRTMIN + 1)
        assert crew.line() == f"lost 1 was ended by signal {signal.SIGRTMIN + 1} for now"
        crew.signal(signal.SIGTERM)
        crew.rest()


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        ("dies", "ended with status 3"),
        ("no fork", "could not be started: resource temporarily unavailable"),
        ("silent", "was ended by SIGKILL"),
    ],
)
def test_a_worker_that_does_not_start_ends_it_all(kind: str, how: str) -> None:
    with Crew(kind) as crew:
        *said, last = crew.rest()
        number = last.split()[3]
        assert last == f"finish False worker {number} {how} before it served anybody"
        assert f"lost {number} {how} for good" in said
        assert (f"overdue {number}" in said) == (kind == "silent")
        assert not any(line.startswith("ready") for line in said)


def test_a_worker_that_dies_at_once_again_and_again_ends_it_all() -> None:
    how = "ended with status 3"
    with Crew("later dies") as crew:
        os.kill(crew.ready()[0], signal.SIGKILL)
        assert crew.line() == "lost 1 was ended by SIGKILL for now"
        said = [line for line in crew.rest() if line.startswith(("lost 1", "finish"))]
        assert said == [
            *[f"lost 1 {how} for now"] * 3,
            f"lost 1 {how} for good",
            f"finish False worker 1 {how}, the last of 5 times in a row soon after its start",
        ]


def test_a_second_signal_forces() -> None:
    with Crew("patient") as crew:
        crew.ready()
        crew.signal(signal.SIGINT)
        assert sorted(crew.lines(3)) == ["heard 1 stopping None", "heard 2 stopping None", "stopping 1 2 "]
        crew.signal(signal.SIGINT)
        *said, last = crew.rest()
        assert sorted(said) == END
        assert last == "finish True "


def test_workers_that_hear_nothing_are_killed_in_the_end() -> None:
    with Crew("deaf") as crew:
        crew.ready()
        crew.signal(signal.SIGTERM)
        *said, last = crew.rest()
        assert sorted(said) == [
            "lost 1 was ended by SIGKILL for good",
            "lost 2 was ended by SIGKILL for good",
            "overdue 1",
            "overdue 2",
            "stopping 1 2 ",
        ]
        assert last == "finish False "


def test_a_worker_that_takes_nothing_is_killed_and_replaced() -> None:
    with Crew("deaf") as crew:
        pids = crew.ready()
        os.kill(pids[1], signal.SIGSTOP)
        crew.signal(signal.SIGHUP)
        said = crew.lines(5)
        assert said[0] == "reload", "a million characters fit into no line that nobody reads"
        assert sorted(each.rpartition(" ")[0] if "replaced" in each else each for each in said[1:]) == [
            "lost 1 was ended by SIGKILL for now",
            "lost 2 was ended by SIGKILL for now",
            "replaced 1",
            "replaced 2",
        ]
        crew.signal(signal.SIGTERM)
        crew.rest()


def test_a_worker_that_does_not_answer_is_killed_and_replaced() -> None:
    with Crew("stubborn") as crew:
        crew.ready()
        crew.signal(signal.SIGHUP)
        said = crew.lines(7)
        assert said[0] == "reload 1 2"
        assert {"overdue 1", "overdue 2", "lost 1 was ended by SIGKILL for now"} <= set(said)
        crew.signal(signal.SIGTERM)
        crew.rest()


def test_everything_arrives_that_is_told() -> None:
    with Crew("good") as crew:
        crew.ready()
        crew.signal(signal.SIGHUP)
        assert sorted(crew.lines(3)) == ["heard 1 reloaded 1000000", "heard 2 reloaded 1000000", "reload 1 2"]
        crew.signal(signal.SIGTERM)
        assert len(crew.rest()) == 6


def test_it_may_be_told_to_stop_before_its_workers_listen() -> None:
    with Crew("slow") as crew:
        while len(_children(crew.process.pid)) < 2:  # until it has the signals, and its workers
            pass
        crew.signal(signal.SIGTERM)
        said = crew.rest()
        assert said[0] == "stopping 1 2 "
        assert sorted(said[1:-1]) == ["heard 1 was told ['stop']", "heard 2 was told ['stop']", *END]
        assert said[-1] == "finish False "


def test_a_reload_waits_until_all_listen() -> None:
    with Crew("alone") as crew:
        while not _children(crew.process.pid):
            pass
        crew.signal(signal.SIGHUP)
        crew.ready()
        assert sorted(crew.lines(2)) == ["heard 1 reloaded 1000000", "reload 1"]
        crew.signal(signal.SIGTERM)
        crew.rest()


def test_no_worker_outlives_it_nor_holds_up_another() -> None:
    with Crew("good") as crew:
        pids = crew.ready()
        ends = [os.pidfd_open(pid) for pid in pids]
        os.kill(pids[1], signal.SIGSTOP)
        crew.signal(signal.SIGKILL)
        assert crew.line() == "orphan"
        os.kill(pids[1], signal.SIGCONT)
        assert crew.rest() == ["orphan"]
        for end in ends:
            assert select.select([end], [], [], PATIENCE)[0]
            os.close(end)


def test_the_service_manager_has_signs_of_life_and_hears_each_stage_once(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(PATIENCE)
        env = {**os.environ, "NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "20000"}
        with Crew("good", env=env) as crew:
            crew.ready()
            heard: list[str] = []
            while heard.count("WATCHDOG=1") < 5:
                heard.append(manager.recv(4096).decode())
            crew.signal(signal.SIGTERM)
            while "STOPPING=1\nSTATUS=draining" not in heard:
                heard.append(manager.recv(4096).decode())
            manager.close()  # or it would wait for somebody to hear the next sign of life
            crew.rest()
    assert [each for each in heard if each != "WATCHDOG=1"] == [
        "READY=1\nSTATUS=serving all",
        "STOPPING=1\nSTATUS=draining",
    ]


class Silent:
    """A foreman who says nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_: "all"


def test_nobody_is_told_anything_before_there_is_somebody(tmp_path: Path) -> None:
    plan = Plan(1)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        supervisor = Supervisor(plan, Silent(), Notifier(str(tmp_path / "notify")), drain=1.0)
        assert supervisor.tell("reload") == []
        assert not supervisor.tell_one(1, "announce")
        supervisor.replace(1)
        assert plan[1] is Stage.WAITING
        plan.stop(0.0, 0.0)
        supervisor.reloaded()
        with pytest.raises(BlockingIOError):
            manager.recv(4096)

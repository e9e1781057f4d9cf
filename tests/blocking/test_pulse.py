"""The pulse: one thread for all plug connections, as long as there are any."""

from __future__ import annotations

import gc
import subprocess
import sys
from threading import Event, Thread
from typing import TYPE_CHECKING

from anyplug.blocking.pulse import PULSE, Pulse
from tests.blocking.far import PATIENCE, opened, plain

if TYPE_CHECKING:
    from collections.abc import Callable


class Member:
    """Counts its beats."""

    def __init__(self) -> None:
        self.beats = 0
        self.beaten = Event()

    def beat(self) -> None:
        self.beats += 1
        self.beaten.set()


class Threads:
    """Starts the threads of a pulse, or keeps what it would run."""

    def __init__(self, *, really: bool = False) -> None:
        self.really = really
        self.calls: list[Callable[[], None]] = []
        self.threads: list[Thread] = []

    def __call__(self, run: Callable[[], None]) -> None:
        self.calls.append(run)
        if self.really:
            self.threads.append(Thread(target=run, daemon=True))
            self.threads[-1].start()


def test_all_members_get_every_beat_and_one_thread_serves_them() -> None:
    threads = Threads()
    pulse = Pulse(start=threads)
    members = [Member(), Member()]
    for member in members:
        pulse.add(member)
    assert len(threads.calls) == 1
    assert pulse.beat()
    assert pulse.beat()
    assert [member.beats for member in members] == [2, 2]


def test_the_thread_ends_with_the_last_member_and_another_begins_with_the_next() -> None:
    threads = Threads()
    pulse = Pulse(start=threads)
    first, second = Member(), Member()
    pulse.add(first)
    pulse.add(second)
    pulse.discard(first)
    assert pulse.beat()
    pulse.discard(second)
    pulse.discard(second)
    assert not pulse.beat()
    pulse.add(first)
    assert len(threads.calls) == 2
    assert pulse.beat()
    assert (first.beats, second.beats) == (1, 1)


def test_a_member_that_comes_while_the_thread_is_about_to_end_is_served_by_it() -> None:
    threads = Threads()
    pulse = Pulse(start=threads)
    first, second = Member(), Member()
    pulse.add(first)
    pulse.discard(first)
    pulse.add(second)
    assert len(threads.calls) == 1
    assert pulse.beat()
    assert second.beats == 1


def test_members_are_not_kept_alive() -> None:
    pulse = Pulse(start=Threads())
    pulse.add(Member())
    gc.collect()
    assert not pulse.beat()


def test_the_thread_beats_by_itself_and_ends() -> None:
    threads = Threads(really=True)
    pulse = Pulse(period=0.001, start=threads)
    member = Member()
    pulse.add(member)
    assert member.beaten.wait(PATIENCE)
    pulse.discard(member)
    threads.threads[0].join(PATIENCE)
    assert not threads.threads[0].is_alive()


def test_the_last_discard_wakes_the_thread_so_that_it_ends_at_once() -> None:
    threads = Threads(really=True)
    pulse = Pulse(period=1000, start=threads)
    member = Member()
    pulse.add(member)
    pulse.discard(member)
    threads.threads[0].join(PATIENCE)
    assert not threads.threads[0].is_alive()
    assert member.beats == 0


def test_the_pulse_of_the_process_runs_in_a_daemon_thread() -> None:
    started = []
    pulse = Pulse(period=0.001)
    member = Member()
    pulse.add(member)
    assert member.beaten.wait(PATIENCE)
    import threading

    started = [thread for thread in threading.enumerate() if thread.name == "anyplug-pulse"]
    assert started
    assert all(thread.daemon for thread in started)
    pulse.discard(member)


def test_plug_connections_are_members_until_they_close_and_plain_ones_never() -> None:
    connection, far = opened()
    other, sock = plain()
    pump = connection._pump
    assert pump in PULSE._members
    assert other._pump not in PULSE._members
    far.sock.close()
    sock.close()
    connection.close()
    other.close()
    assert pump not in PULSE._members


def test_aborted_and_interrupted_connections_are_no_members_any_more() -> None:
    connection, far = opened()
    connection.abort()
    assert connection._pump not in PULSE._members
    far.sock.close()
    connection, far = opened()
    try:
        with connection:
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    assert connection._pump not in PULSE._members
    far.sock.close()


def test_a_forgotten_pulse_begins_anew() -> None:
    threads = Threads()
    pulse = Pulse(start=threads)
    member = Member()
    pulse.add(member)
    pulse.forget()
    assert not pulse.beat()
    pulse.add(member)
    assert len(threads.calls) == 2


CHILD = """
import os
from threading import Lock
from anyplug.blocking.pulse import PULSE

class Member:
    def beat(self): pass

member, another = Member(), Member()
PULSE.add(member)
assert PULSE._running
PULSE._lock.acquire()
pid = os.fork()
if pid == 0:
    fresh = not PULSE._running and not list(PULSE._members)
    PULSE.add(another)
    os._exit(0 if fresh and PULSE._running else 1)
_, status = os.waitpid(pid, 0)
raise SystemExit(os.waitstatus_to_exitcode(status))
"""


def test_a_child_process_begins_without_the_parents_connections() -> None:
    """Even where the fork happens while the lock is held."""
    done = subprocess.run([sys.executable, "-c", CHILD], timeout=PATIENCE, check=False)
    assert done.returncode == 0

"""Tests of the tests: for each promise a program that breaks it, which the suite must catch.

A mutant is one edit of the source. It is made in a copy, and the named tests run against that copy; they must fail. The
list is by promise: durable (P1), once (P2), safe to retry (P3), input (P6), overload (P7), liveness (P8), disk faults
(P9), entry (P10), whole messages (R8), meant as said (R9).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]


class Mutant(NamedTuple):
    """One broken program."""

    name: str
    file: str
    old: str
    new: str
    tests: str
    """What must fail: paths, and after ``-k`` an expression."""
    hangs: bool = False
    """It is caught by not ending: then it is given little time."""


MUTANTS = [
    Mutant(
        "P1: an acknowledgement before the commit",
        "store/writer.py",
        "        self._target.commit()\n        self.commits += 1\n        _settle(results)",
        "        _settle(results)\n        self._target.commit()\n        self.commits += 1",
        "tests/store/test_writer.py",
    ),
    Mutant(
        "P1: commits are not synced",
        "store/sqlite.py",
        '("synchronous", 2)',
        '("synchronous", 0)',
        "tests/store/test_sqlite.py -k synced",
    ),
    Mutant(
        "P1: a second writer",
        "store/sqlite_files.py",
        "fcntl.LOCK_EX | fcntl.LOCK_NB",
        "fcntl.LOCK_SH | fcntl.LOCK_NB",
        "tests/store/test_sqlite.py -k second",
    ),
    Mutant(
        "P2: a message that is sent again is stored again",
        "store/sqlite_log.py",
        "before = mark.admit(producer, topic.number, hashes)",
        "before = []",
        "tests/store/test_conformance.py",
    ),
    Mutant(
        "P3: the watermark is not stored with its messages",
        "store/sqlite_ledger.py",
        '_insert(self.connection, "INSERT OR REPLACE INTO producer VALUES", sealed)',
        "pass",
        "tests/store/test_conformance.py",
    ),
    Mutant(
        "P9: damage in the log of the database is passed over",
        "store/sqlite_files.py",
        'check_wal(self.database.with_name("anyplug.db-wal"))',
        "pass",
        "tests/store/test_damage.py",
    ),
    Mutant(
        "P6: a frame of any size is taken",
        "wire/frames.py",
        "        if length > most:",
        "        if length > most + 10**9:",
        "tests/wire/test_frames.py",
    ),
    Mutant(
        "P6: parts are not counted",
        "wire/parts.py",
        "if len(self._parts) >= self._most:",
        "if len(self._parts) >= self._most and not self._parts:",
        "tests/wire/test_parts.py",
    ),
    Mutant(
        "P6: nesting is not bounded",
        "codec/nesting.py",
        "if _depth(brackets) > limit:",
        "if _depth(brackets) > limit + 10**9:",
        "tests/codec/test_nesting.py",
    ),
    Mutant(
        "P7: everybody is let in",
        "server/admission.py",
        "if self.total >= self.most:",
        "if self.total >= self.most + 10**6:",
        "tests/server/test_listener.py -k one_too_many",
    ),
    Mutant(
        "P7: answers pile up for a peer that does not read",
        "server/replying.py",
        "while not link.writing_paused:",
        "while not link.writing_paused or link.bytes_sent:",
        "tests/server/test_replies.py -k held_back",
    ),
    Mutant(
        "P7: messages pile up for a handler that does not take them",
        "intake.py",
        "self.link.pause_reading()",
        "pass",
        "tests/test_connection.py -k holds_the_sender_back or takes_again",
    ),
    Mutant(
        "P7: a flood of datagrams is answered",
        "server/datagrams.py",
        'return "rate"',
        'return ""',
        "tests/server/test_datagrams.py -k flood",
    ),
    Mutant(
        "P7: two echoes talk for ever",
        "server/datagrams.py",
        "source.bounces > BOUNCES",
        "source.bounces < 0",
        "tests/server/test_datagrams.py -k same_thing",
    ),
    Mutant(
        "P7: answers amplify",
        "server/datagrams.py",
        "len(body) > len(question)",
        "len(body) < 0",
        "tests/server/test_datagrams.py -k larger",
    ),
    Mutant(
        "P8: a dead peer is never found",
        "wire/vigil.py",
        "elif quiet >= limits.dead:",
        "elif quiet >= limits.dead + 10**6:",
        "tests/wire/test_vigil.py tests/transport/test_link.py -k silent or dead",
    ),
    Mutant(
        "P8: a peer that takes nothing is kept",
        "transport/link.py",
        "now - before[1] >= self.limits.write",
        "now - before[1] >= self.limits.write + 10**6",
        "tests/transport/test_link.py -k takes_nothing",
    ),
    Mutant(
        "P8: no deadline for the handshake",
        "server/reception.py",
        "link.loop.call_later(seconds, self._too_late, seconds)",
        "link.loop.call_later(seconds + 10**6, self._too_late, seconds)",
        "tests/server/test_reception.py -k handshake_deadline",
    ),
    Mutant(
        "P8: drain waits for ever",
        "server/context.py",
        "deadline = loop.time() + seconds",
        "deadline = loop.time() + seconds + 10**6",
        "tests/server/test_listener.py -k cut_after_the_time",
        hangs=True,
    ),
    Mutant(
        "P10: any token is right",
        "server/reception.py",
        "return not token or hmac",
        "return True or hmac",
        "tests/server/test_reception.py -k token",
    ),
    Mutant(
        "R8: half a message is a clean end",
        "framing/sized.py",
        "raise Broken(",
        "return [] or Broken(",
        "tests/framing/test_prefix.py tests/framing/test_header.py",
    ),
    Mutant(
        "R8: an unfinished plug message is a clean end",
        "wire/plug.py",
        'self._stop(Broken(f"the peer closed the stream {where}"))',
        "self.happened.append(Ended(Refusal(0)))",
        "tests/test_connection.py -k cut_at_every_byte",
    ),
    Mutant(
        "R9: a late answer is given to the next question",
        "wire/asks.py",
        "self._waiting[number] = None",
        "del self._waiting[number]",
        "tests/test_connection.py -k late_answer",
    ),
    Mutant(
        "R9: a link closes without waiting for the peer's end",
        "transport/link.py",
        "self._end_half()\n        else:",
        "self.transport.close()\n        else:",
        "tests/server/test_listener.py -k after_the_goodbye",
    ),
]


def uncovered() -> dict[str, str]:
    """The environment without what would count the lines of the copy."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COV")}


def run(mutant: Mutant, folder: Path) -> tuple[int, str]:
    """The named tests against a copy of the source with the edit: the exit status, and what was printed."""
    copy = folder / "anyplug"
    shutil.copytree(ROOT / "src" / "anyplug", copy, ignore=shutil.ignore_patterns("__pycache__"))
    file = copy / mutant.file
    text = file.read_text("utf-8")
    assert mutant.old in text, f"{mutant.file} holds no {mutant.old!r} any more: bring the mutant up to date"
    file.write_text(text.replace(mutant.old, mutant.new), "utf-8")
    paths, _, expression = mutant.tests.partition(" -k ")
    chosen = [*paths.split(), *(["-k", expression] if expression else [])]
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *chosen],
        cwd=ROOT,
        env={**uncovered(), "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            out, _ = process.communicate(timeout=8 if mutant.hangs else 50)
        except subprocess.TimeoutExpired:
            process.kill()
            return (1, "failed: it hangs") if mutant.hangs else (-1, process.communicate()[0])
        return process.returncode, out


@pytest.mark.timeout(60)
@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_a_broken_promise_is_caught(mutant: Mutant, tmp_path: Path) -> None:
    status, out = run(mutant, tmp_path)
    assert status == 1, out[-2000:]
    assert "failed" in out


def test_the_tests_pass_where_nothing_is_broken(tmp_path: Path) -> None:
    sound = Mutant("sound", "errors.py", "from __future__", "from __future__", "tests/framing/test_prefix.py")
    assert run(sound, tmp_path)[0] == 0

"""Tests of the tests: for each promise a program that breaks it, which the suite must catch.

A mutant is one edit of the source. It is made in a copy, and the named tests run against that copy; they must fail. The
list is by promise: durable (P1), once (P2), safe to retry (P3), files (P5), input (P6), overload (P7), liveness (P8),
disk faults (P9), entry (P10), whole messages (R8), meant as said (R9).
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
        "P2: a cut session is kept twice",
        "store/memory.py",
        "before = mark.admit(producer, kept.number, hashes)",
        "before = []",
        "tests/outbox/test_cut_everywhere.py -k client-reset-0",
    ),
    Mutant(
        "P3: the watermark is not stored with its messages",
        "store/sqlite_ledger.py",
        'insert(self.connection, "INSERT OR REPLACE INTO producer VALUES", sealed)',
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
        "P5: a folder is not synced",
        "store/folder_places.py",
        "            self._disk.sync_folder(folder)\n        self._close()",
        "            pass\n        self._close()",
        "tests/store/test_files_order.py -k told",
    ),
    Mutant(
        "P5: a file is named before it is synced",
        "store/folder_placing.py",
        "await core.run(self._sync, items)\n        left = list(items)",
        "left = list(items)",
        "tests/store/test_files_order.py -k told",
    ),
    Mutant(
        "P5: a chunk is not verified",
        "store/folder_transfer.py",
        'if digest is not None and found != digest:\n            raise Mismatch(f"chunk',
        'if digest is None and found != digest:\n            raise Mismatch(f"chunk',
        "tests/store/test_files_conformance.py -k folder",
    ),
    Mutant(
        "P5: a file is not verified",
        "store/folder_transfer.py",
        "if digest is not None and found != digest:\n                raise",
        "if digest is None and found != digest:\n                raise",
        "tests/store/test_files_conformance.py -k folder",
    ),
    Mutant(
        "P5: a small file is not verified",
        "store/folder_small.py",
        "if small.digest is not None and small.digest != digest:",
        "if small.digest is None:",
        "tests/store/test_files_conformance.py -k folder",
    ),
    Mutant(
        "P5: two files of one batch get one name",
        "store/folder_names.py",
        "        self._files.add(key)\n",
        "",
        "tests/store/test_files_batch.py",
    ),
    Mutant(
        "P5: the journal is ahead of the data",
        "store/folder_transfer.py",
        "write_all(self._data, parts, index * CHUNK)\n            self._journal.wrote(index, length, found)",
        "self._journal.wrote(index, length, found)\n            write_all(self._data, parts, index * CHUNK)",
        "tests/store/test_files_crash.py -k kill_at_any_call_loses_nothing[upload-pwritev2-0]",
    ),
    Mutant(
        "P5: the journal says synced before it is so",
        "store/folder_transfer.py",
        "                count, dirty = self._journal.count, self.dirty\n",
        "                count, dirty = self._journal.count, self.dirty\n                self._journal.synced(count)\n",
        "tests/store/test_files_order.py -k told",
    ),
    Mutant(
        "P5: after a loss of power the journal is believed",
        "store/journal.py",
        "bool(place) and head.place == place",
        "bool(place)",
        "tests/store/test_files.py -k loss_of_power",
    ),
    Mutant(
        "P5: a name that is taken is taken again",
        "store/folder_places.py",
        "if item.replaced is not None:",
        "if item.replaced is not None or item.row.name:",
        "tests/store/test_files.py -k whoever_took_it",
    ),
    Mutant(
        "P5: a takeover costs what is being written",
        "store/folder_uploads.py",
        "await held.holder.written()",
        "pass",
        "tests/store/test_files.py -k still_being_written",
    ),
    Mutant(
        "P5: the one that was taken over goes on writing",
        "store/folder_transfer.py",
        "if self.holder is not holder:",
        "if self.holder is None:",
        "tests/store/test_files_conformance.py -k folder",
    ),
    Mutant(
        "P5: a crash leaves a name without a file's row",
        "store/folder_opening.py",
        "places.has(row, itself=True, sync=True)",
        "places.has(row, itself=True, sync=True) is None",
        "tests/store/test_files_crash.py -k kill_at_any_call_loses_nothing[upload-fsync-0]",
    ),
    Mutant(
        "P9: damage in a file is served",
        "store/folder_reader.py",
        "        if not good:",
        "        if not data:",
        "tests/store/test_files_tampering.py -k changed_by_hand",
    ),
    Mutant(
        "P9: the store goes on after a sync that failed",
        "store/folder_core.py",
        "            self.over = StoreFailed(error.path, error.problem)",
        "            pass",
        "tests/store/test_files_opening.py -k vanishes",
    ),
    Mutant(
        "R6: links are followed",
        "store/disk.py",
        'FOLDER: Final = _flags("O_RDONLY", "O_DIRECTORY", "O_NOFOLLOW"',
        'FOLDER: Final = _flags("O_RDONLY", "O_DIRECTORY"',
        "tests/store/test_files_tampering.py -k never_followed",
    ),
    Mutant(
        "R6: a parent folder is a folder like any other",
        "names.py",
        'if name[:1] in {".", "~", "-"}:',
        'if name[:1] in {"~", "-"}:',
        "tests/test_names.py",
    ),
    Mutant(
        "P6: the size of a file is not bounded",
        "store/files.py",
        "offer.size > limits.file:",
        "offer.size > limits.file + 2**60:",
        "tests/store/test_files_conformance.py -k memory",
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
        "while not link.writing_paused and before < until:",
        "while (not link.writing_paused or link.bytes_sent) and before < until:",
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
        "self.waiting[number] = None",
        "del self.waiting[number]",
        "tests/test_connection.py -k late_answer",
    ),
    Mutant(
        "R9: a link closes without waiting for the peer's end",
        "transport/link.py",
        "self._end_half()\n        else:",
        "self.transport.close()\n        else:",
        "tests/server/test_listener.py -k after_the_goodbye",
    ),
    Mutant(
        "P1: a post is acknowledged before the store has it",
        "services/inbox.py",
        "        place.log.append_soon(place.label, entries, told, producer=producer)\n",
        "        import types\n"
        "        place.log.append_soon(place.label, entries, lambda _: None, producer=producer)\n"
        "        told(types.SimpleNamespace(positions=range(1, 1 + len(entries)), duplicates=0))\n",
        "tests/services/test_inbox.py -k a_store_that_refuses_is_told",
    ),
    Mutant(
        "P2: an inbox forgets who posts",
        "services/inbox.py",
        "producer = Producer(guest.producer, first) if first and guest.producer else None",
        "producer = None",
        "tests/services/test_inbox.py -k comes_again",
    ),
    Mutant(
        "P1: an outbox that was restored takes its new messages for delivered",
        "outbox/plan.py",
        "return self._compare() if self._posted > self._acked else self._post()",
        "return self._post()",
        "tests/outbox/test_copies.py -k older_copy",
    ),
    Mutant(
        "P2: an outbox is another producer on each connection",
        "outbox/courier.py",
        "producer = Producer(self._queue.targets[self._address].mark.producer, step.first)",
        "import os\n        producer = Producer(os.urandom(16), 1)",
        "tests/outbox/test_cuts.py -k each_connection",
    ),
    Mutant(
        "P2: two connections post as one producer",
        "services/inbox.py",
        "        if older is not None:\n            older.taken_over()\n",
        "",
        "tests/services/test_inbox.py -k newer_of_two",
    ),
    Mutant(
        "P3: what stands behind a refused post is taken",
        "wire/order.py",
        "        self._next = sequence\n        self._dropping = True\n",
        "        self._next = sequence\n",
        "tests/server/test_visiting.py -k dropped",
    ),
    Mutant(
        "P4: a change of a value that is not the expected one is taken",
        "store/sqlite_shelf.py",
        "if expected is not None and expected != found:",
        "if False:",
        "tests/store/test_conformance.py",
    ),
    Mutant(
        "P7: a visit reads on whatever waits already",
        "server/visiting.py",
        "if self._size > queue or self._arrivals.full:",
        "if False:",
        "tests/server/test_visiting.py -k held_back",
    ),
    Mutant(
        "P9: what was written last is not looked at when a store is opened",
        "store/sqlite.py",
        "    look(connection, file, look_at)\n",
        "",
        "tests/store/test_damage.py -k flipped_byte_in_the_database",
    ),
    Mutant(
        "R9: a post returns when it was said",
        "posting.py",
        "return [position for future in futures for position in await future]",
        "return [0 for _ in bodies]",
        "tests/test_posting.py -k positions",
    ),
    Mutant(
        "R9: what came whole is dropped when its sender is gone",
        "server/visiting.py",
        "        self._gone = True\n        self._questions.clear()\n",
        "        self._gone = True\n        self._questions.clear()\n        self._waiting.clear()\n",
        "tests/server/test_visiting.py -k sender_is_gone",
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
        [
            sys.executable,
            "-m",
            "pytest",
            "-x",
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:xdist",
            *chosen,
        ],
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

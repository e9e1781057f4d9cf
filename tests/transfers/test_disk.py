"""What transfers keep on this machine: notes of uploads, parts of downloads, sources that are read."""

from __future__ import annotations

import os
import random
import resource
from pathlib import Path

import pytest

from anyplug.file_errors import Mismatch, SourceChanged, SourceError
from anyplug.schemas.files import File
from anyplug.store.chunks import CHUNK, chunk_digest
from anyplug.store.disk import boot
from anyplug.transfers.download import Download
from anyplug.transfers.notes import OLD, Content, Notes, notes_folder, sweep
from anyplug.transfers.part import Part
from anyplug.transfers.source import FileSource, MemorySource
from anyplug.transfers.tree import walk
from anyplug.transport.heap import keep_memory
from tests.services.filing import digest_of, names

CONTENT = random.Random(1).randbytes(2 * CHUNK + 10)
PIECES = [CONTENT[at : at + CHUNK] for at in range(0, len(CONTENT), CHUNK)]
SAME = Content(size=1, mtime=2, ctime=3, inode=4, device=5)


def noted(folder: Path, transfer: str = "1" * 32) -> Path:
    notes = Notes(folder, ["a", "b"], SAME)
    notes.begin(transfer)
    notes.add(0, bytes(32))
    notes.add(1, bytes([1] * 32))
    notes.close()
    (path,) = folder.iterdir()
    return path


def test_notes_are_there_for_the_next_process(tmp_path: Path) -> None:
    noted(tmp_path)
    notes = Notes(tmp_path, ["a", "b"], SAME)
    assert (notes.transfer, notes.changed) == ("1" * 32, "")
    assert notes.digests == [(0, bytes(32)), (1, bytes([1] * 32))]
    notes.begin("2" * 32)
    notes.add(2, bytes(32))
    notes.close()
    again = Notes(tmp_path, ["a", "b"], SAME)
    assert (again.transfer, len(again.digests)) == ("2" * 32, 3)
    again.end()
    assert names(tmp_path) == []


def test_notes_of_other_content_name_the_transfer_that_is_of_no_use(tmp_path: Path) -> None:
    noted(tmp_path)
    notes = Notes(tmp_path, ["a", "b"], Content(size=9, mtime=2, ctime=3, inode=4, device=5))
    assert (notes.transfer, notes.changed, notes.digests) == ("", "1" * 32, [])
    notes.close()
    assert Notes(tmp_path, ["a", "c"], SAME).transfer == ""


@pytest.mark.parametrize("size", range(0, 200, 7))
def test_notes_that_a_crash_cut_are_true_as_far_as_they_go(tmp_path: Path, size: int) -> None:
    path = noted(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:size])
    notes = Notes(tmp_path, ["a", "b"], SAME)
    assert notes.digests == [(0, bytes(32)), (1, bytes([1] * 32))][: len(notes.digests)]
    notes.begin("1" * 32)
    notes.add(7, bytes(32))
    notes.close()
    again = Notes(tmp_path, ["a", "b"], SAME)
    assert again.transfer == "1" * 32
    assert again.digests[-1] == (7, bytes(32))


def test_notes_that_are_none_are_begun_anew(tmp_path: Path) -> None:
    path = noted(tmp_path)
    path.write_bytes(b"\xff" * 100)
    assert Notes(tmp_path, ["a", "b"], SAME).transfer == ""


def test_without_a_folder_nothing_is_noted(tmp_path: Path) -> None:
    for folder in (None, Path("/proc/none")):
        notes = Notes(folder, ["a"], SAME)
        notes.begin("1" * 32)
        notes.add(0, bytes(32))
        notes.end()
    target = tmp_path / "elsewhere"
    link = tmp_path / "notes"
    link.mkdir()
    probe = Notes(link, ["a"], SAME)
    probe.begin("x")
    probe.close()
    (path,) = link.iterdir()
    path.unlink()
    path.symlink_to(target)
    Notes(link, ["a"], SAME).begin("1" * 32)
    assert not target.exists()


def test_notes_without_a_transfer_leave_nothing(tmp_path: Path) -> None:
    Notes(tmp_path, ["a"], SAME).close()
    assert names(tmp_path) == []


def test_old_notes_are_swept(tmp_path: Path) -> None:
    path = noted(tmp_path)
    sweep(tmp_path, path.stat().st_mtime + OLD - 1)
    assert path.exists()
    sweep(tmp_path, path.stat().st_mtime + OLD + 1)
    assert not path.exists()
    sweep(tmp_path / "none", 0)


def test_notes_are_in_the_users_folder_for_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert notes_folder() == tmp_path / "anyplug" / "transfers"
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    assert notes_folder() == Path.home() / ".local" / "state" / "anyplug" / "transfers"


# Parts.


def download() -> Download:
    file = File(name="a", size=len(CONTENT), digest=digest_of(CONTENT), stored=0, modified=5 * 10**9)
    made = Download(file)
    made.learn(b"".join(chunk_digest([piece]) for piece in PIECES))
    return made


def half(target: Path) -> Part:
    """A part with the chunks 0 and 2."""
    part = Part(target, download(), replace=False)
    assert part.begin() == []
    assert part.take(2, [PIECES[2]]) == 10
    assert part.take(0, [PIECES[0][:5], PIECES[0][5:]]) == CHUNK
    return part


def test_a_part_becomes_its_target_when_all_is_there(tmp_path: Path) -> None:
    target = tmp_path / "a"
    half(target).close()
    assert not target.exists()
    part = Part(target, download(), replace=False)
    assert part.begin() == [0, 2]
    part.take(1, [PIECES[1]])
    part.finish()
    assert target.read_bytes() == CONTENT
    assert target.stat().st_mtime == 5
    assert names(tmp_path) == ["a"]


def test_after_a_loss_of_power_what_is_there_is_verified_once(tmp_path: Path) -> None:
    part = half(tmp_path / "a")
    part.close()
    journal = part._journal_path.read_bytes()
    run = boot().encode()
    part._journal_path.write_bytes(journal.replace(run, b"0" * len(run)))
    data = bytearray(part.path.read_bytes())
    data[2 * CHUNK] ^= 1
    part.path.write_bytes(data)
    again = Part(tmp_path / "a", download(), replace=False)
    assert again.begin() == [0]
    again.close()
    once_more = Part(tmp_path / "a", download(), replace=False)
    assert once_more.begin() == [0]
    once_more.close()


def test_a_journal_that_is_none_begins_anew(tmp_path: Path) -> None:
    part = half(tmp_path / "a")
    part.close()
    part._journal_path.write_bytes(b"\xff" * 50)
    again = Part(tmp_path / "a", download(), replace=False)
    assert again.begin() == []
    again.close()


def test_a_chunk_that_is_wrong_is_not_written(tmp_path: Path) -> None:
    part = half(tmp_path / "a")
    with pytest.raises(Mismatch):
        part.take(1, [PIECES[0]])
    part.close()
    assert Part(tmp_path / "a", download(), replace=False).begin() == [0, 2]


def test_one_process_at_a_time_fetches_a_target(tmp_path: Path) -> None:
    part = half(tmp_path / "a")
    with pytest.raises(SourceError, match="another process"):
        Part(tmp_path / "a", download(), replace=False)
    part.close()


def test_a_file_that_appears_meanwhile_is_left_alone(tmp_path: Path) -> None:
    part = half(tmp_path / "a")
    part.take(1, [PIECES[1]])
    (tmp_path / "a").write_bytes(b"mine")
    with pytest.raises(SourceError, match="appeared"):
        part.finish()
    assert (tmp_path / "a").read_bytes() == b"mine"


def test_a_part_that_was_taken_away_is_told(tmp_path: Path) -> None:
    part = half(tmp_path / "a")
    part.take(1, [PIECES[1]])
    part.path.unlink()
    with pytest.raises(SourceError, match="no such file"):
        part.finish()


def test_a_disk_that_is_full_is_told(tmp_path: Path) -> None:
    part = half(tmp_path / "a")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    import signal

    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (CHUNK, before[1]))
    try:
        with pytest.raises(SourceError, match="too large"):
            part.take(1, [PIECES[1]])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, old)
    part.close()


def test_a_link_in_place_of_a_part_is_not_followed(tmp_path: Path) -> None:
    part = half(tmp_path / "a")
    part.close()
    part.path.unlink()
    part.path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SourceError):
        Part(tmp_path / "a", download(), replace=False)
    assert not (tmp_path / "elsewhere").exists()


# Sources.


def test_a_source_that_gets_shorter_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(CONTENT)
    source = FileSource(path)
    os.truncate(path, CHUNK)
    assert source.read(0)[1] == PIECES[0]
    with pytest.raises(SourceChanged):
        source.read(1)
    with pytest.raises(SourceChanged):
        source.check()
    source.close()
    source.close()
    with pytest.raises(SourceError):
        source.read(0)


def test_a_link_is_followed_only_where_that_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "link").symlink_to("a")
    source = FileSource(tmp_path / "link")
    assert source.size == 1
    source.close()
    with pytest.raises(SourceError):
        FileSource(tmp_path / "link", follow=False)


def test_memory_is_a_source() -> None:
    source = MemorySource(bytearray(CONTENT))
    assert source.size == len(CONTENT)
    assert [source.read(index) for index in range(3)] == [(chunk_digest([piece]), piece) for piece in PIECES]
    source.check()
    source.close()


def test_names_that_are_no_unicode_are_walked(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"bad\xff")).write_bytes(b"1")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c").write_bytes(b"12")
    found = [(each.name, each.size) for each in walk(tmp_path, "root")]
    assert found == [("root/b/c", 2), ("root/bad\ufffd", 1)]


def test_memory_is_kept_where_the_system_can() -> None:
    assert keep_memory() in {True, False}

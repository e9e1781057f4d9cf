from __future__ import annotations

from pathlib import Path

import pytest

from anyplug.cli.history import ENTRIES, LineHistory, history_file


def test_it_is_kept_in_the_state_folder() -> None:
    assert history_file({"XDG_STATE_HOME": "/state"}) == Path("/state/anyplug/talk.history")


@pytest.mark.parametrize("environ", [{}, {"XDG_STATE_HOME": ""}, {"XDG_STATE_HOME": "relative"}])
def test_without_one_it_is_kept_where_the_specification_says(environ: dict[str, str]) -> None:
    assert history_file(environ) == Path.home() / ".local/state/anyplug/talk.history"


def test_lines_come_back_newest_first(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "talk.history"
    history = LineHistory(path)
    for line in ("one", "two\nlines", "有内鬼", "\ud800"):
        history.store_string(line)
    assert list(LineHistory(path).load_history_strings()) == ["?", "有内鬼", "two lines", "one"]


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "a" / "talk.history"
    LineHistory(path).store_string("secret")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_it_does_not_grow_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "talk.history"
    path.write_text("".join(f"{number}\n" for number in range(2 * ENTRIES + 1)), encoding="utf-8")
    lines = list(LineHistory(path).load_history_strings())
    assert (len(lines), lines[0], lines[-1]) == (ENTRIES, str(2 * ENTRIES), str(ENTRIES + 1))
    assert path.read_text(encoding="utf-8").splitlines() == lines[::-1]


def test_up_to_twice_as_many_stay_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "talk.history"
    path.write_text("".join(f"{number}\n" for number in range(2 * ENTRIES)), encoding="utf-8")
    assert len(list(LineHistory(path).load_history_strings())) == ENTRIES
    assert len(path.read_text(encoding="utf-8").splitlines()) == 2 * ENTRIES


def test_where_it_cannot_be_kept_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    history = LineHistory(tmp_path / "file" / "talk.history")
    history.store_string("lost")
    assert list(history.load_history_strings()) == []

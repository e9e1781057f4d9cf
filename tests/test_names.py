"""Whatever a peer calls a file, what becomes of it may be opened, and says what it was."""

from __future__ import annotations

import os
import unicodedata
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from anyplug.names import COMPONENT_MAX, DEPTH_MAX, LABEL_MAX, PATH_MAX, key_of, label_of, safe, sibling
from tests.hostile import HOSTILE

if TYPE_CHECKING:
    from pathlib import Path

DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in "0123456789")}

ANY = st.one_of(
    st.text(alphabet=st.characters(exclude_categories=[])),
    st.text(alphabet=st.sampled_from("ab./\\ ~:\0\n\u202e\u200b\u0301é\ud800-1")),
    st.text(alphabet=st.sampled_from("conul. /123"), max_size=12),
    st.binary(),
    st.builds(lambda unit, times: unit * times, st.text(min_size=1, max_size=8), st.integers(1, 400)),
    st.sampled_from(HOSTILE),
)


def check(path: str) -> None:
    """The path can be opened on any disk, and obeys nobody."""
    parts = path.split("/")
    assert 1 <= len(parts) <= DEPTH_MAX
    assert len(path.encode()) <= PATH_MAX
    assert unicodedata.is_normalized("NFC", path)
    assert path.isprintable()
    for part in parts:
        assert 1 <= len(part.encode()) <= COMPONENT_MAX
        assert part == part.strip(" ")
        assert part[0] not in ".~-"
        assert part[-1] != "."
        assert not set(part) & set('<>:"|?*\\')
        assert part.partition(".")[0].rstrip(" ").upper() not in DEVICES
        assert part.casefold() not in {"desktop.ini", "thumbs.db", "autorun.inf"}


def test_the_corpus_is_large_enough_to_mean_something() -> None:
    assert len(set(HOSTILE)) >= 390


@pytest.mark.parametrize("label", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_name_becomes_one_that_may_be_opened(label: str | bytes) -> None:
    name = safe(label)
    check(name.path)
    assert safe(name.path) == name


@given(ANY)
def test_any_label_becomes_a_path_that_may_be_opened(label: str | bytes) -> None:
    check(safe(label).path)


@given(ANY)
def test_a_path_that_was_made_stays_as_it_is(label: str | bytes) -> None:
    name = safe(label)
    assert safe(name.path) == name


@given(ANY, ANY)
def test_paths_that_a_disk_takes_for_one_have_one_key(one: str | bytes, other: str | bytes) -> None:
    first, second = safe(one), safe(other)
    same = unicodedata.normalize("NFD", first.path.casefold()) == unicodedata.normalize("NFD", second.path.casefold())
    assert first.key == second.key or not same
    for change in (str.casefold, str.lower):
        assert key_of(change(first.path)) == first.key
    assert key_of(unicodedata.normalize("NFD", first.path)) == first.key


@given(ANY)
def test_a_key_of_a_key_is_that_key(label: str | bytes) -> None:
    assert key_of(safe(label).key) == safe(label).key


@given(ANY, st.integers(2, 99_999))
@example("x" * 255, 99_999)
@example("x" * 251 + ".jpg", 2)
def test_a_sibling_may_be_opened_and_is_another_file(label: str | bytes, number: int) -> None:
    name = safe(label)
    made = sibling(name.path, number)
    assert key_of(made) != name.key
    assert key_of(made) != key_of(sibling(name.path, number + 1))
    assert made.rpartition("/")[0] == name.path.rpartition("/")[0]
    if len(made.encode()) <= PATH_MAX:
        check(made)
        assert safe(made).path == made


@given(ANY)
def test_a_label_can_be_kept(label: str | bytes) -> None:
    kept = label_of(label)
    kept.encode()
    assert len(kept) <= LABEL_MAX


CASES = [
    ("photo.jpg", "photo.jpg"),
    ("a/b/c.txt", "a/b/c.txt"),
    ("../../etc/passwd", "_/_/etc/passwd"),
    ("/etc/passwd", "etc/passwd"),
    ("a//b/./c/", "a/b/c"),
    ("C:\\x", "C__x"),
    ("\\\\server\\share", "__server_share"),
    ("", "unnamed"),
    ("/", "unnamed"),
    (" ", "unnamed"),
    ("..", "_"),
    (".git/config", "_git/config"),
    (".gi\u200bt", "_git"),
    ("GIT~1", "GIT_1"),
    ("~root", "_root"),
    ("a~b~", "a~b~"),
    ("-rf", "_rf"),
    ("nul.txt", "_nul.txt"),
    ("com1 .x", "_com1 .x"),
    ("null.txt", "null.txt"),
    ("Desktop.ini", "_Desktop.ini"),
    ("x. . ", "x"),
    ("a\0b\x1bc", "a_b_c"),
    ("a\u202egpj.exe", "a_gpj.exe"),
    ("e\u0301.txt", "\u00e9.txt"),
    ("a\u3000b", "a b"),
    (b"a\xffb.jpg", "a_b.jpg"),
    ("\ud800.txt", "_.txt"),
    ("日本語/ファイル.txt", "日本語/ファイル.txt"),
    ("x" * 300 + ".tar.gz", "x" * 248 + ".tar.gz"),
    ("é" * 200 + ".jpg", "é" * 125 + ".jpg"),
    ("x." + "y" * 300, "x." + "y" * 253),
    ("a/" * 40 + "z", "a/" * 15 + "z"),
    ("a" + "\u0323" * 200, "\u1ea1" + "\u0323" * 126),
]


@pytest.mark.parametrize(("label", "path"), CASES)
def test_what_becomes_of_a_label(label: str | bytes, path: str) -> None:
    assert safe(label).path == path


def test_a_path_that_is_too_long_in_all_is_cut_in_every_component() -> None:
    path = safe("/".join(["x" * 200 + ".txt"] * 16)).path
    assert len(path.split("/")) == 16
    assert 900 < len(path) <= PATH_MAX
    assert all(part.endswith(".txt") for part in path.split("/"))


SIBLINGS = [
    ("photo.jpg", 2, "photo (2).jpg"),
    ("a.b/photo.jpg", 3, "a.b/photo (3).jpg"),
    ("archive.tar.gz", 2, "archive (2).tar.gz"),
    ("archive.v1.gz", 2, "archive.v1 (2).gz"),
    ("README", 2, "README (2)"),
    ("x" * 255, 2, "x" * 251 + " (2)"),
    ("x" * 251 + ".jpg", 10, "x" * 246 + " (10).jpg"),
]


@pytest.mark.parametrize(("path", "number", "expected"), SIBLINGS)
def test_what_a_number_stands_before(path: str, number: int, expected: str) -> None:
    assert sibling(path, number) == expected


def test_a_folder_that_is_taken_gets_its_number_at_the_end() -> None:
    assert sibling("a.b/c.txt", 2, depth=0) == "a.b (2)/c.txt"


TWINS = [
    ("Photo.JPG", "photo.jpg"),
    ("é", "e\u0301"),
    ("É", "é"),
    ("Å", "\u212b"),
    ("ß", "SS"),
    ("Σ", "ς"),
    ("K", "\u212a"),
]


@pytest.mark.parametrize(("one", "other"), TWINS)
def test_twins_have_one_key(one: str, other: str) -> None:
    assert safe(one).key == safe(other).key


def test_other_names_have_other_keys() -> None:
    names = ["a", "b", "a/b", "ab", "a b", "ä", "a (2)", "a.b"]
    assert len({safe(name).key for name in names}) == len(names)


def test_a_broken_label_is_kept_as_text() -> None:
    assert label_of(b"a\xff") == "a\ufffd"
    assert label_of("a\ud800b") == "a\ufffdb"
    assert label_of("a" + "x" * LABEL_MAX) == "x" * LABEL_MAX


def test_every_path_of_the_corpus_can_be_made_on_this_disk(tmp_path: Path) -> None:
    for label in HOSTILE:
        path = tmp_path / safe(label).path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            continue
        assert os.path.realpath(path).startswith(f"{tmp_path}/")


@given(
    st.one_of(
        st.text(alphabet=st.sampled_from("conulCOMdeskt.i /_1-+@=(),"), max_size=40),
        st.text(alphabet=st.characters(codec="ascii"), max_size=300),
        st.lists(
            st.sampled_from(["con", "a", "NUL.txt", "lpt1 .x", "b.c", "com10", "auxx", "1" * 60]), max_size=20
        ).map("/".join),
    )
)
@example("clock$")
@example("a/Desktop.ini")
@example("x" * 256)
@example("/".join("x" * 17))
def test_a_plain_label_becomes_what_it_would_become_the_long_way(label: str) -> None:
    """As bytes a label never goes the short way."""
    assert safe(label) == safe(label.encode())

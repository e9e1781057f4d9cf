"""Folders that are put: what keeps its shape, what is left out, what goes on after a break."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest

from anyplug import Code, Refused
from anyplug.file_errors import SourceError
from anyplug.files import Files
from anyplug.schemas.files import SMALL_MAX
from anyplug.store.chunks import CHUNK
from tests.services.filing import file_server

if TYPE_CHECKING:
    from pathlib import Path

BIG = random.Random(3).randbytes(3 * CHUNK + 77)


async def test_a_tree_keeps_its_shape_and_leaves_out_what_is_no_file(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    (root / "deep" / "er").mkdir(parents=True)
    contents = {f"deep/{number}.txt": f"{number}".encode() for number in range(300)}
    contents |= {"empty": b"", "deep/er/big": BIG, "just small": bytes(SMALL_MAX)}
    for name, content in contents.items():
        (root / name).write_bytes(content)
    (root / "link").symlink_to("/etc/passwd")
    (root / "loop").symlink_to(root)
    os.mkfifo(root / "fifo")
    (root / "secret").write_bytes(b"x")
    async with file_server() as (_, address), Files(address, notes=None) as files:
        sent = [each async for each in files.put_tree(root)]
        stored = {each.name: each.file for each in sent if each.file is not None}
        assert set(stored) == {f"tree/{name}" for name in (*contents, "secret")}
        for name, content in contents.items():
            assert await files.read(f"tree/{name}") == content
        skipped = {each.name: each.skipped for each in sent if each.skipped}
        assert skipped == {
            "tree/link": "it is a symbolic link",
            "tree/loop": "it is a symbolic link",
            "tree/fifo": "it is no ordinary file",
        }


async def test_a_tree_goes_on_past_what_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    (root / "large").write_bytes(BIG)
    (root / "small").write_bytes(b"1")
    async with file_server(file=CHUNK) as (_, address), Files(address, notes=None) as files:
        sent = {each.name: each async for each in files.put_tree(root, "x")}
        assert sent["x/small"].file is not None
        error = sent["x/large"].error
        assert isinstance(error, Refused)
        assert error.code is Code.TOO_LARGE


async def test_a_tree_survives_a_break(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    for number in range(700):
        (root / f"{number}").write_bytes(f"{number}".encode())
    async with file_server() as (_, address), Files(address, notes=None) as files:
        count = 0
        async for sent in files.put_tree(root):
            assert sent.file is not None
            count += 1
            if count in {1, 400} and files._carriage is not None:
                files._carriage.abort()
        assert count == 700
        assert len([file async for file in files.list()]) == 700


async def test_a_tree_that_is_not_there_is_told(tmp_path: Path) -> None:
    async with file_server() as (_, address), Files(address, notes=None) as files:
        with pytest.raises(SourceError, match="no such file"):
            async for _sent in files.put_tree(tmp_path / "none"):
                pass


async def test_a_tree_that_nobody_wants_the_rest_of_is_let_go(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    (root / "a").write_bytes(b"1")
    (root / "b").symlink_to("a")
    (root / "c").write_bytes(BIG)
    async with file_server() as (_, address), Files(address, notes=None) as files:
        tree = files.put_tree(root)
        async for sent in tree:
            if sent.skipped:
                break
        await tree.aclose()

"""Where a server keeps what it was given: said at the start, held by one server, looked at before it is used."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

from anyplug.blocking import connect
from anyplug.messages import Kept
from tests.cli.commands import PATIENCE, anyplug, environment, start
from tests.cli.serving import Serving

if TYPE_CHECKING:
    from pathlib import Path

FREE = ("--listen", "plug://127.0.0.1:0")


def ready(*words: str, env: dict[str, str] | None = None) -> tuple[str, Kept | None]:
    """Where a server says that it keeps things, and how it keeps a post."""
    with start("serve", "--json", *FREE, *words, env=environment(env)) as process:
        assert process.stdout is not None
        address = json.loads(process.stdout.readline())["address"]
        event = json.loads(process.stdout.readline())
        with connect(f"{address}/inbox/log") as peer:
            assert peer.post("hello") == 1
            kept = peer.kept
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
    return event["store"], kept


def test_a_folder_that_is_named_holds_the_store(tmp_path: Path) -> None:
    store = str(tmp_path / "deep" / "store")
    assert ready("--store", store) == (store, Kept.SYNCED)
    assert (tmp_path / "deep" / "store" / "anyplug.db").is_file()


def test_memory_says_so_in_each_acknowledgement() -> None:
    assert ready("--store", "memory") == ("memory", Kept.MEMORY)


@pytest.mark.parametrize(
    ("variable", "place"), [("XDG_STATE_HOME", "anyplug/data"), ("STATE_DIRECTORY", "data"), ("HOME", "")]
)
def test_without_a_name_it_is_where_the_system_wants_it(tmp_path: Path, variable: str, place: str) -> None:
    env = {variable: str(tmp_path)}
    if variable == "HOME":
        env["XDG_STATE_HOME"], place = "not/absolute", ".local/state/anyplug/data"
    assert ready(env=env) == (str(tmp_path / place), Kept.SYNCED)


def test_the_folder_of_a_configuration_lies_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "some.toml"
    file.write_text('[store]\nfolder = "kept"\n')
    with Serving(str(file), "--listen", "plug://127.0.0.1:0") as serving:
        assert (tmp_path / "kept" / "anyplug.db").is_file()
        serving.signal(signal.SIGTERM)
        assert serving.end() == (0, "")


def test_who_keeps_nothing_has_no_store(tmp_path: Path) -> None:
    file = tmp_path / "echo.toml"
    file.write_text('[services.echo]\nkind = "echo"\n')
    with start("serve", "--json", str(file), *FREE, env=environment({"XDG_STATE_HOME": str(tmp_path)})) as process:
        assert process.stdout is not None
        events = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
    assert events[1] == {"type": "ready", "store": ""}
    assert not (tmp_path / "anyplug").exists()


def test_a_second_server_on_a_store_is_refused_with_the_reason(tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    with Serving(*FREE, "--store", store) as serving:
        done = anyplug("serve", *FREE, "--store", store)
        serving.signal(signal.SIGTERM)
        assert serving.end()[0] == 0
    assert (done.status, done.out) == (1, b"")
    sentence = f"error: the store {store} is in use: process {serving.process.pid} holds it"
    assert done.err.decode().startswith(sentence)
    assert ready("--store", store)[0] == store


@pytest.mark.parametrize("file", ["anyplug.db", "anyplug.db-wal"])
def test_a_damaged_file_is_named_and_never_served(tmp_path: Path, file: str) -> None:
    store = tmp_path / "store"
    with Serving(*FREE, "--store", str(store)) as serving:
        with connect(f"{serving.addresses[0]}/inbox/log") as peer:
            for number in range(20):  # each a commit of its own: the last may be torn by a crash, the others may not
                peer.post(f"message {number} " * 100)
        serving.signal(signal.SIGKILL)
        assert serving.end()[0] == -signal.SIGKILL
    if file == "anyplug.db":  # what is in the log counts first: bring it into the database
        with Serving(*FREE, "--store", str(store)) as serving:
            serving.signal(signal.SIGTERM)
            assert serving.end()[0] == 0
    data = bytearray((store / file).read_bytes())
    data[data.index(b"message 7 ") + 8] ^= 1
    (store / file).write_bytes(data)
    done = anyplug("serve", *FREE, "--store", str(store))
    assert (done.status, done.out) == (1, b"")
    assert f"error: the store file {store}/{file} is damaged: " in done.err.decode()
    assert done.err.decode().rstrip().endswith("restore it from a backup")


def test_a_folder_that_cannot_be_made_is_an_error_before_anything_listens(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = anyplug("serve", *FREE, "--store", str(tmp_path / "file" / "store"))
    assert (done.status, done.out) == (1, b"")
    assert b"error: the store " in done.err
    assert b"Traceback" not in done.err

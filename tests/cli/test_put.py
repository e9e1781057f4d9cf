"""The commands for files: put, get, ls, rm, files check."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from anyplug.blocking import Files
from anyplug.cli.bars import Bars
from anyplug.cli.filing import sized
from anyplug.cli.output import Output
from anyplug.store.chunks import CHUNK
from anyplug.transfers.progress import Progress
from tests.cli.commands import Done, Terminal, anyplug, call
from tests.cli.serving import Serving
from tests.services.filing import digest_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BIG = random.Random(4).randbytes(3 * CHUNK + 5)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """HOST:PORT of a server that keeps files, and the address of its plain listener."""
    words = ("--listen", "plug://127.0.0.1:0", "--listen", "tcp://127.0.0.1:0/files?framing=raw")
    with Serving(*words, "--store", str(tmp_path / "store"), stderr=None) as serving:
        yield serving.addresses[0].removeprefix("plug://"), serving.addresses[1]
        serving.signal(signal.SIGTERM)
        assert serving.end()[0] == 0


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "big.bin").write_bytes(BIG)
    return tmp_path


def events(done: Done) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.out.splitlines()]


def of(kind: str, done: Done) -> list[dict[str, Any]]:
    return [each for each in events(done) if each["type"] == kind]


def test_a_file_is_put_listed_fetched_and_deleted(place: tuple[str, str], tmp_path: Path) -> None:
    host = place[0]
    done = call("put", "big.bin", host)
    assert (done.status, done.out) == (0, b"")
    assert b"1 file stored and verified, 3 MiB" in done.err
    assert call("ls", host).out == b"big.bin\n"
    long = call("ls", host, "--long").out.split(b"\n")[1].split()
    assert (long[0], *long[3:]) == (f"{len(BIG):,}".encode(), digest_of(BIG).hex().encode(), b"big.bin")
    (listed,) = of("file", call("ls", host, "--json"))
    assert (listed["name"], listed["size"], listed["digest"]) == ("big.bin", len(BIG), digest_of(BIG).hex())
    done = call("get", f"{host}/files/big.bin", "-o", "copy.bin")
    assert (done.status, (tmp_path / "copy.bin").read_bytes()) == (0, BIG)
    assert call("get", f"{host}/files/big.bin", "-o", "-").out == BIG
    assert call("get", f"{host}/files/big.bin", "-o", "-", "--offset", "5", "--length", "7").out == BIG[5:12]
    again = call("get", f"{host}/files/big.bin")
    assert again.status == 1
    assert b"already" in again.err
    (fetched,) = of("fetched", call("get", f"{host}/files/big.bin", "--replace", "--json"))
    assert fetched["path"] == "big.bin"
    assert call("rm", f"{host}/files/big.bin").status == 0
    gone = call("rm", f"{host}/files/big.bin", "--json")
    assert (gone.status, events(gone)[0]["code"]) == (1, "refused/not_found")
    assert call("ls", host).out == b""


def test_several_files_and_folders_go_into_a_folder(place: tuple[str, str], tmp_path: Path) -> None:
    host = place[0]
    (tmp_path / "tree" / "deep").mkdir(parents=True)
    (tmp_path / "tree" / "deep" / "a").write_bytes(b"1")
    (tmp_path / "tree" / "link").symlink_to("deep")
    done = call("put", "big.bin", "tree", f"{host}/files/up", "--json")
    assert done.status == 0
    assert {each["name"] for each in of("stored", done)} == {"up/big.bin", "up/tree/deep/a"}
    assert of("skipped", done) == [
        {"type": "skipped", "path": "tree/link", "reason": "it is a symbolic link"},
    ]
    (total,) = of("put", done)
    assert (total["files"], total["skipped"], total["failed"]) == (2, 1, 0)
    again = call("put", "tree", f"{host}/files/up")
    assert again.status == 0
    assert b"tree/link is left out: it is a symbolic link" in again.err
    phases = [each["phase"] for each in of("progress", done) if each["name"] == "up/big.bin"]
    assert phases[0] == "beginning"
    assert phases[-2:] == ["verifying", "done"]


def test_one_of_several_that_is_not_there_keeps_no_other(place: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "small").write_bytes(b"1")
    done = call("put", "none", "small", place[0])
    assert done.status == 1
    assert b"none: no such file or directory" in done.err
    assert call("ls", place[0]).out == b"small\n"
    alone = call("put", "none", place[0], "--json")
    assert (alone.status, events(alone)[-1]["code"]) == (1, "file")


def test_standard_input_is_put_under_a_name(place: tuple[str, str]) -> None:
    assert call("put", "-", place[0], "--name", "in.txt", given=b"hello\n").status == 0
    assert call("get", f"{place[0]}/files/in.txt", "-o", "-").out == b"hello\n"
    done = call("put", "-", place[0], given=b"hello\n")
    assert done.status == 2
    assert b"--name" in done.err


def test_a_name_that_is_taken_is_told(place: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    call("put", "a", place[0])
    (tmp_path / "a").write_bytes(b"2")
    assert b"a is stored as a (2)" in call("put", "a", place[0]).err
    (tmp_path / "a").write_bytes(b"3")
    assert b"stored as" not in call("put", "a", place[0], "--replace").err
    assert call("get", f"{place[0]}/files/a", "-o", "-").out == b"3"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("put", "127.0.0.1"), b"at least one FILE"),
        (("put", "a", "b", "127.0.0.1", "--name", "x"), b"one FILE"),
        (("get", "127.0.0.1"), b"the name of a file"),
        (("get", "127.0.0.1/files/a", "--offset", "1"), b"-o -"),
        (("get", "127.0.0.1/files/a", "-o", "-", "--json"), b"choose one"),
        (("rm", "127.0.0.1/files"), b"the name of a file"),
        (("files", "check", "none"), b"no folder"),
        (("files", "check", "."), b".anyplug"),
        (("put", ".", "tcp://127.0.0.1:1"), b"is a folder"),
    ],
)
def test_words_that_do_not_fit_are_refused(words: tuple[str, ...], says: bytes) -> None:
    done = call(*words)
    assert done.status == 2
    assert says in done.err + done.out


def test_a_server_that_is_not_there_is_told_at_once() -> None:
    done = call("put", "big.bin", "127.0.0.1:1", "--json")
    assert (done.status, events(done)[-1]["code"]) == (1, "connect/connect")


def test_a_bar_shows_how_it_goes_on_a_terminal(place: tuple[str, str]) -> None:
    with Terminal("put", "big.bin", place[0]) as terminal:
        assert terminal.end() == 0
        assert b"big.bin" in terminal.seen
        assert b"done" in terminal.seen
        assert b"stored and verified" in terminal.seen
    with Terminal("put", "big.bin", "big.bin", place[0]) as terminal:
        assert terminal.end() == 0
        assert b"in all" in terminal.seen


def test_ctrl_c_says_the_line_that_goes_on_and_it_does(place: tuple[str, str], tmp_path: Path) -> None:
    host = place[0]
    large = tmp_path / "large"
    with large.open("wb") as file:
        for _ in range(200):
            file.write(os.urandom(CHUNK))
    env = {"XDG_STATE_HOME": str(tmp_path / "state")}
    with Terminal("put", "large", host, env=env) as terminal:
        terminal.wait_for("sending")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.end() == 130
        assert f"anyplug put large {host}".encode() in b" ".join(terminal.seen.split())
    assert call("ls", host).out == b""
    done = anyplug("put", "large", host, "--json", env=env)
    assert done.status == 0
    resumed = next(each for each in of("progress", done) if each["phase"] == "resuming")
    assert resumed["resumed"] > 0
    (stored,) = of("stored", done)
    assert stored["digest"] == digest_of(large.read_bytes()).hex()


def test_ctrl_c_says_the_line_that_goes_on_with_what_came(place: tuple[str, str], tmp_path: Path) -> None:
    host = place[0]
    large = tmp_path / "large"
    with large.open("wb") as file:
        for _ in range(200):
            file.write(os.urandom(CHUNK))
    assert call("put", "large", host).status == 0
    words = ("get", f"{host}/files/large", "-o", "copy")
    with Terminal(*words) as terminal:
        terminal.wait_for("receiving")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.end() == 130
        assert f"anyplug get {host}/files/large -o copy".encode() in b" ".join(terminal.seen.split())
    assert not (tmp_path / "copy").exists()
    done = call(*words, "--json")
    assert next(each for each in of("progress", done) if each["phase"] == "resuming")["resumed"] > 0
    assert (tmp_path / "copy").read_bytes() == large.read_bytes()
    assert of("removed", call("rm", f"{host}/files/large", "--json"))[0]["name"] == "large"


# Plain servers.


def test_bytes_go_to_a_plain_server_until_their_end(place: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "p.jpg").write_bytes(bytes.fromhex("ffd8ffe000104a464946") + BIG)
    assert call("put", "p.jpg", "big.bin", place[1]).status == 0
    done = call("put", "-", place[1], "--json", given=b"text")
    (sent,) = of("sent", done)
    assert sent["size"] == 4
    assert call("ls", place[0]).out == b"file_1.jpg\nfile_2.bin\nfile_3.txt\n"
    assert call("get", f"{place[0]}/files/file_2.bin", "-o", "-").out == BIG


def test_what_a_plain_server_says_is_told() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    heard: list[bytes] = []

    def serve() -> None:
        for _ in range(2):
            client, _ = listener.accept()
            with client:
                data = b""
                while piece := client.recv(65536):
                    data += piece
                heard.append(data)
                client.sendall(b"thank you\x1b[2J\n")

    thread = threading.Thread(target=serve)
    thread.start()
    where = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
    assert b"the server says: thank you\\x1b[2J" in call("put", "big.bin", where).err
    (sent,) = of("sent", call("put", "big.bin", where, "--json"))
    assert sent["answer"].startswith("thank you")
    thread.join()
    listener.close()
    assert heard == [BIG, BIG]
    assert call("put", "none", where, "--json").status == 1


# The folder.


def test_a_folder_is_checked(place: tuple[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    words = ("--listen", "plug://127.0.0.1:0", "--store", str(folder))
    with Serving(*words, stderr=None) as serving:
        with Files(serving.addresses[0], notes=None) as files:
            for name in ("good", "changed", "missing"):
                files.put(b"1", name)
        busy = call("files", "check", str(folder / "files"))
        assert busy.status == 1
        assert b"lock" in busy.err or b"another process" in busy.err or b"use" in busy.err
        serving.signal(signal.SIGTERM)
        assert serving.end()[0] == 0
    inside = folder / "files"
    assert call("files", "check", str(inside)).status == 0
    (inside / "changed").write_bytes(b"2")
    (inside / "missing").unlink()
    (inside / "stranger\x1b").write_bytes(b"")
    done = call("files", "check", str(inside))
    assert done.status == 1
    assert b"missing: missing: " in done.out
    assert b"unknown: stranger\\x1b: " in done.out
    assert b"2 damaged, missing or changed; 1 unknown" in done.err
    quick = call("files", "check", str(inside), "--quick", "--json")
    assert {(each["type"], each.get("name")) for each in events(quick)} >= {("missing", "missing"), ("checked", None)}


# Parts.


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (5 * CHUNK, "5 MiB"),
        (2**50, "1024 TiB"),
    ],
)
def test_sizes_are_for_people(size: int, text: str) -> None:
    assert sized(size) == text


def test_events_of_one_phase_come_twice_a_second_at_most(capfd: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    with Bars(Output(json=True), many=False, clock=lambda: now[0]) as bars:
        for done in range(4):
            now[0] = done * 0.3
            bars.report(Progress(name="a", phase="sending", done=done))
        bars.report(Progress(name="a", phase="waiting", done=3, problem="it broke"))
    found = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [(each["phase"], each["done"]) for each in found] == [("sending", 0), ("sending", 2), ("waiting", 3)]
    assert found[-1]["problem"] == "it broke"


def test_without_a_terminal_a_break_is_told_once(capfd: pytest.CaptureFixture[str]) -> None:
    with Bars(Output(), many=False) as bars:
        for _ in range(2):
            bars.report(Progress(name="a", phase="waiting", problem="it broke"))
    assert capfd.readouterr().err == "-- a: waiting for the server: it broke\n"
    assert bars.under_way == {"a"}


def test_a_second_server_in_a_folder_does_not_start(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    file = tmp_path / "a.toml"
    file.write_text(f'[services.files]\nkind = "files"\nfolder = "{folder}"\n[store]\nkind = "memory"\n')
    words = (str(file), "--listen", "plug://127.0.0.1:0")
    with Serving(*words, stderr=None) as serving:
        second = anyplug("serve", "--json", *words)
        assert second.status == 1
        assert b"is in use" in second.out
        serving.signal(signal.SIGTERM)
        assert serving.end()[0] == 0

"""Unix listeners: their paths, their modes, and what is never unlinked."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import sys
import threading
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest

from anyplug.address import Address
from anyplug.errors import BindError
from anyplug.transport import SocketOptions, bind, dial_blocking
from anyplug.transport.bind_unix import _lock, _make, bind_unix, unlink_made
from anyplug.transport.inherited import listens
from tests.transport.processes import NOBODY, needs_root, run_python

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anyplug.transport import Bound

KINDS = ["unix", "unix+seqpacket", "unix+dgram", "plug+unix"]
SOCKETS = {"unix": socket.SOCK_STREAM, "unix+seqpacket": socket.SOCK_SEQPACKET, "unix+dgram": socket.SOCK_DGRAM}


def at(path: Path | str, scheme: str = "unix") -> Address:
    return Address.parse(f"{scheme}://{path}")


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.parametrize("scheme", KINDS)
def test_a_path_is_made_for_its_owner_alone_and_unlinked_at_the_end(scheme: str, tmp_path: Path) -> None:
    path = tmp_path / "s"
    with umask(0), bind(at(path, scheme)) as bound:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.is_socket()
        assert bound.names == [f"unix:{path}"]
        assert not bound.sockets[0].getblocking()
        dial_blocking(bound.address).close()
    assert not path.exists()


@pytest.mark.parametrize(("mode", "mask"), [(0o666, 0o022), (0o660, 0o077), (0o600, 0o777), (0o777, 0)])
def test_the_mode_is_what_was_asked_for_whatever_the_umask(mode: int, mask: int, tmp_path: Path) -> None:
    path = tmp_path / "s"
    with umask(mask), bind(at(path), options=SocketOptions(mode=mode)):
        assert stat.S_IMODE(path.stat().st_mode) == mode


@pytest.mark.parametrize("scheme", KINDS)
def test_the_path_of_a_live_server_is_never_unlinked(scheme: str, tmp_path: Path) -> None:
    path = tmp_path / "s"
    with bind(at(path, scheme)) as live:
        inode = path.stat().st_ino
        for other in KINDS:  # a server of another type is alive too
            with pytest.raises(BindError, match="a live server listens there; stop it, or choose another path"):
                bind(at(path, other))
        assert path.stat().st_ino == inode
        dial_blocking(live.address).close()


def test_a_live_server_whose_backlog_is_full_is_alive(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with bind(at(path), options=SocketOptions(backlog=0)) as live, closing(dial_blocking(live.address)):
        with pytest.raises(BindError, match="a live server listens there"):
            bind(at(path))


@pytest.mark.parametrize("scheme", ["unix", "unix+seqpacket", "unix+dgram"])
def test_what_a_dead_server_left_is_replaced(scheme: str, tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX, SOCKETS[scheme]) as dead:
        dead.bind(str(path))
    assert path.is_socket()
    with bind(at(path, scheme)) as bound:
        dial_blocking(bound.address).close()
    assert not path.exists()


@pytest.mark.parametrize("what", ["file", "folder", "link to a file", "link to nothing"])
def test_what_is_no_socket_is_never_touched(what: str, tmp_path: Path) -> None:
    path, target = tmp_path / "s", tmp_path / "target"
    if what == "file":
        path.write_text("precious")
    elif what == "folder":
        path.mkdir()
    else:
        path.symlink_to(target)
        if what == "link to a file":
            target.write_text("precious")
    before = path.lstat()
    with pytest.raises(BindError, match="there is something else at this path, not a socket"):
        bind(at(path))
    assert path.lstat() == before


def test_of_many_servers_that_start_at_once_one_gets_the_path(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    start = threading.Barrier(8)
    winners, losers = [], []

    def run() -> None:
        start.wait()
        try:
            winners.append(bind(at(path)))
        except BindError as error:
            losers.append(error.problem)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(winners) == 1
    assert set(losers) == {"a live server listens there; stop it, or choose another path"}
    dial_blocking(winners[0].address).close()
    winners[0].close()


def test_nothing_at_a_path_is_touched_while_another_server_binds_in_the_folder(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    before = path.stat().st_ctime_ns
    folder = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    made: list[Bound] = []
    thread = threading.Thread(target=lambda: made.append(bind(at(path))))
    thread.start()
    thread.join(0.05)
    assert thread.is_alive()
    assert path.stat().st_ctime_ns == before
    os.close(folder)
    thread.join()
    dial_blocking(made[0].address).close()
    made[0].close()


class Watching(socket.socket):
    """Looks at its path in the very moment it is made."""

    mode = 0

    def bind(self, path: Any) -> None:
        super().bind(path)
        self.mode = stat.S_IMODE(os.lstat(path).st_mode)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems know no mode of a socket without a path")
def test_at_no_moment_may_others_use_the_path(tmp_path: Path) -> None:
    with umask(0), Watching(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        unlink_made(_make(sock, str(tmp_path / "s"), SocketOptions()))
        assert sock.mode == 0o600


def test_it_listens_before_anybody_else_may_look_at_its_path(tmp_path: Path) -> None:
    sock, made = bind_unix(str(tmp_path / "s"), socket.SOCK_STREAM, address="", options=SocketOptions())
    with sock:
        assert listens(sock)
        assert made is not None
        unlink_made(made)


def test_a_path_does_not_stay_where_the_rest_fails(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        bind(at(tmp_path / "s"), options=SocketOptions(backlog="many"))  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_was_replaced_or_removed_meanwhile_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with bind(at(path)):
        path.unlink()
        with bind(at(path)) as other:
            inode = path.stat().st_ino
            first_closes = bind(at(tmp_path / "t"))
            first_closes.close()
            assert other.address == at(path)
            assert path.stat().st_ino == inode
    with bind(at(path)) as first:
        path.unlink()
        path.write_text("somebody else's")
        first.close()
        first.close()
        assert path.read_text() == "somebody else's"


def test_an_abstract_name_has_no_file_and_one_owner(tmp_path: Path) -> None:
    address = at(f"@{tmp_path}/talk")
    with bind(address) as bound:
        assert bound.names == [f"unix:@{tmp_path}/talk"]
        with pytest.raises(BindError, match="the name is taken by another program"):
            bind(address)
        dial_blocking(address).close()
    with bind(address):
        pass


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("nowhere/s", "the folder {}/nowhere does not exist; create it first"),
        ("file/s", "{}/file is not a folder; check the path"),
    ],
)
def test_a_folder_that_is_not_there_is_named(path: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BindError) as caught:
        bind(at(tmp_path / path))
    assert caught.value.problem == problem.format(tmp_path)


def test_a_path_that_is_too_long_is_an_error(tmp_path: Path) -> None:
    long = Address(scheme="unix", path=f"{tmp_path}/{'x' * 120}")
    with pytest.raises(BindError, match="the path is too long"):
        bind(long)


def test_the_lock_of_a_folder_is_waited_for_but_not_for_ever(tmp_path: Path) -> None:
    one, other = (os.open(tmp_path, os.O_RDONLY) for _ in range(2))
    try:
        fcntl.flock(one, fcntl.LOCK_EX)
        with pytest.raises(BindError, match="another program holds the lock on its folder"):
            _lock(other, "unix:///s", wait=0.02)
        threading.Timer(0.03, fcntl.flock, (one, fcntl.LOCK_UN)).start()
        _lock(other, "unix:///s")
    finally:
        os.close(one)
        os.close(other)


@pytest.fixture
def common() -> Iterator[Path]:
    """A folder that other users can reach, which those of pytest are not."""
    with TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o711)
        yield path


@needs_root
def test_other_users_are_told_what_they_may_not_do(common: Path) -> None:
    shut, ours = common / "shut", common / "ours"
    shut.mkdir(mode=0o755)
    ours.mkdir()
    os.chown(ours, NOBODY, NOBODY)
    ours.chmod(0o333)  # neither listed nor locked, but written
    code = """
        import json, os, sys
        from anyplug.address import Address
        from anyplug.errors import BindError, ConnectError
        from anyplug.transport import bind, dial_blocking
        os.setgid(65534)
        os.setuid(65534)
        found = []
        for path in sys.argv[1:]:
            for use in (bind, dial_blocking):
                try:
                    use(Address.parse(f"unix://{path}")).close()
                    found.append("fine")
                except (BindError, ConnectError) as error:
                    found.append(error.problem)
        print(json.dumps(found))
    """
    with bind(at(common / "live")):
        live, shut_out, unlisted = (str(common / each) for each in ("live", "shut/s", "ours/s"))
        assert run_python(code, live, shut_out, unlisted, measured=False) == [
            "another user's socket is there; choose another path",
            f"this user may not use unix:{live}",
            f"this user may not create a socket in {shut}; choose another folder, such as $XDG_RUNTIME_DIR",
            f"there is no unix:{shut_out}",
            "fine",
            f"there is no unix:{unlisted}",
        ]

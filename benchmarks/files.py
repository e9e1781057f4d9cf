"""How fast do files get to a server, verified and synced?

Three questions: one file of a gibibyte, ten thousand of ten kibibytes, and how soon a transfer that broke at nine
tenths goes on. Each measurement has a fresh destination. The source is read once before, so that it is in memory; what
a contestant leaves in memory unsynced counts for it: `rsync`, `tar` and the bare sockets sync nothing, and only ours
and `rsync` (of what it changes) verify anything. `rsync --fsync`, which syncs what it has stored, takes part beside it.

The *raw pair* is `socket.sendfile` towards `recv_into` and `os.write`, in two processes. `rsync`,
`ncat`, and `scp` with an `sshd` take part where they are installed.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import shutil
import socket
import subprocess
import tempfile
from functools import cache, partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import anyplug
from anyplug.files import Files
from anyplug.services import FilesOptions, make_files
from benchmarks.harness import Comparison, Contestant, Question, Sample
from benchmarks.processes import LOAD_CORE, SERVER_CORE, Process, play, prepare, role
from benchmarks.programs import port_of, run_on_uvloop, tell
from benchmarks.secure_copy import copy_seconds, installed

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyplug.transfers.progress import Progress

__all__ = ["LARGE", "MANY", "RESUME"]

SIZE = 1 << 30
COUNT = 10_000
SMALL = 10 * 1024
MIB = 1 << 20
RSYNCD = """\
address = 127.0.0.1
port = {port}
use chroot = no
[data]
path = {folder}
read only = no
{user}
"""


@cache
def folder() -> Path:
    """Where sources and destinations are: on the disk of temporary files, or where ANYPLUG_BENCH_FOLDER says."""
    made = tempfile.mkdtemp(prefix="anyplug-files-", dir=os.environ.get("ANYPLUG_BENCH_FOLDER"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return Path(made)


@cache
def large() -> Path:
    path = folder() / "large"
    with path.open("wb") as file:
        for _ in range(SIZE // MIB):
            file.write(os.urandom(MIB))
    path.read_bytes()
    return path


@cache
def many() -> Path:
    path = folder() / "many"
    for number in range(COUNT):
        place = path / f"{number // 100:03}" / f"{number:05}.bin"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(os.urandom(SMALL))
    return path


def fresh(*, keep: bool = False) -> Path:
    """A new destination; what earlier ones left to be written is written now, at nobody's cost.

    Earlier ones are removed, unless they are to be kept to the end: where ext4 has no journal it looks at each inode
    that was removed in the last minutes whenever it makes a file, and ten thousand of them cost ten times what is
    measured.
    """
    for old in () if keep else folder().glob("to-*"):
        shutil.rmtree(old)
    os.sync()
    return Path(tempfile.mkdtemp(prefix="to-", dir=folder()))


def warm(amount: float) -> None:
    """Have memory at hand for a large destination. A virtual machine may give what is free back to its host within
    seconds; whoever writes to it next pays ten times as much, and that would be whoever comes first.
    """
    if amount == COUNT:
        return
    path = folder() / "warm"
    block = os.urandom(MIB)
    with path.open("wb", buffering=0) as file:
        for _ in range(SIZE // MIB * 5 // 4):
            file.write(block)
    path.unlink()


# The servers.


def serve_anyplug(store: str) -> None:
    async def main() -> None:
        server = anyplug.Server(store=store)
        server.add(make_files("files", FilesOptions(), server.facilities))
        await server.start("plug://127.0.0.1:0")
        print(port_of(server.addresses[0]), flush=True)
        await asyncio.Event().wait()

    run_on_uvloop(main())


def serve_raw(target: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        client, _ = listener.accept()
        buffer = bytearray(MIB)
        view = memoryview(buffer)
        with client, Path(target).open("wb", buffering=0) as file:
            while count := client.recv_into(buffer):
                file.write(view[:count])
            client.sendall(b"!")


# The clients.


def put_anyplug(port: str, path: str) -> None:
    async def main() -> None:
        async with Files(f"plug://127.0.0.1:{port}/files", notes=None) as files:
            started = perf_counter()
            if Path(path).is_dir():  # noqa: ASYNC240 - once
                stored = [sent.file async for sent in files.put_tree(path)]
                assert len(stored) == COUNT
                assert None not in stored
            else:
                assert (await files.put(path)).size == SIZE
            tell(seconds=perf_counter() - started)

    run_on_uvloop(main())


def put_raw(port: str, path: str) -> None:
    started = perf_counter()
    with socket.create_connection(("127.0.0.1", int(port))) as sock, Path(path).open("rb") as file:
        sock.sendfile(file)
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(1) == b"!"
    tell(seconds=perf_counter() - started)


def resume_anyplug(port: str, path: str, notes: str) -> None:
    """Break at nine tenths; then connect anew, and take the time until a new byte is under way."""

    class Enough(Exception):
        pass

    def stop(progress: Progress) -> None:
        if progress.done >= SIZE // 10 * 9:
            raise Enough

    async def main() -> None:
        address = f"plug://127.0.0.1:{port}/files"
        try:
            async with Files(address, notes=notes) as files:
                await files.put(path, progress=stop)
        except Enough:
            pass
        moments: list[float] = []
        started = perf_counter()

        def note(progress: Progress) -> None:
            if progress.phase == "sending" and progress.done > progress.resumed:
                moments.append(perf_counter())

        async with Files(address, notes=notes) as files:
            file = await files.put(path, progress=note)
        assert file.size == SIZE
        tell(seconds=moments[0] - started)

    run_on_uvloop(main())


# The measurements.


def measure_anyplug(source: Callable[[], Path], amount: float, seconds: float) -> Sample:
    path = source()
    target = fresh(keep=amount == COUNT)
    with Process(role("files", "serve_anyplug", target), core=SERVER_CORE) as server:
        port = server.line()
        warm(amount)
        idle = server.cpu()
        with Process(role("files", "put_anyplug", port, path), core=LOAD_CORE) as load:
            found = load.json()
        busy = server.cpu() - idle
    return Sample(amount / found["seconds"], cost=busy / amount * 1e6)


def measure_raw(seconds: float) -> Sample:
    path, target = large(), fresh() / "copy"
    with Process(role("files", "serve_raw", target), core=SERVER_CORE) as server:
        port = server.line()
        warm(SIZE)
        with Process(role("files", "put_raw", port, path), core=LOAD_CORE) as load:
            found = load.json()
    assert target.stat().st_size == SIZE
    return Sample(SIZE / MIB / found["seconds"])


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


def wait_for(port: int) -> None:
    for _ in range(1000):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            continue
        return
    raise RuntimeError(f"nothing listens on port {port}")


def wait_until_listening(port: int) -> None:
    """As `wait_for`, for a server that takes one connection alone."""
    wanted = f":{port:04X} "
    for _ in range(100_000):
        if any(wanted in line and " 0A " in line for line in Path("/proc/net/tcp").read_text("ascii").splitlines()):
            return
    raise RuntimeError(f"nothing listens on port {port}")


def measure_rsync(source: Callable[[], Path], amount: float, seconds: float, *, sync: bool = False) -> Sample:
    path, port = source(), free_port()
    target = fresh(keep=amount == COUNT)
    config = folder() / "rsyncd.conf"
    user = "uid = root\ngid = root" if os.getuid() == 0 else ""
    config.write_text(RSYNCD.format(port=port, folder=target, user=user), encoding="utf-8")
    ready = partial(prepare, None)  # it is three processes
    server = subprocess.Popen(["rsync", "--daemon", "--no-detach", f"--config={config}"], preexec_fn=ready)  # noqa: PLW1509
    options = ["-a", "--whole-file", *(["--fsync"] if sync else [])]
    command = ["rsync", *options, str(path), f"rsync://127.0.0.1:{port}/data/"]
    try:
        wait_for(port)
        warm(amount)
        started = perf_counter()
        subprocess.run(command, check=True, preexec_fn=ready)
        took = perf_counter() - started
    finally:
        server.terminate()
        server.wait()
    return Sample(amount / took)


def measure_scp(seconds: float) -> Sample:
    path, target = large(), fresh()
    warm(SIZE / MIB)
    return Sample(SIZE / MIB / copy_seconds(path, target, folder(), port=free_port(), wait=wait_for))


def measure_tar(seconds: float) -> Sample:
    path, target, port = many(), fresh(keep=True), free_port()
    receiver = subprocess.Popen(["ncat", "-l", "127.0.0.1", str(port)], stdout=subprocess.PIPE)
    unpacking = subprocess.Popen(["tar", "-x", "-C", str(target)], stdin=receiver.stdout)
    wait_until_listening(port)
    started = perf_counter()
    packing = subprocess.Popen(["tar", "-c", "-C", str(path.parent), path.name], stdout=subprocess.PIPE)
    subprocess.run(["ncat", "--send-only", "127.0.0.1", str(port)], stdin=packing.stdout, check=True)
    assert unpacking.wait() == 0
    took = perf_counter() - started
    packing.wait()
    receiver.wait()
    assert sum(len(names) for _, _, names in os.walk(target)) == COUNT
    return Sample(COUNT / took)


def measure_resume(seconds: float) -> Sample:
    path, target = large(), fresh()
    with Process(role("files", "serve_anyplug", target), core=SERVER_CORE) as server:
        port = server.line()
        with Process(role("files", "resume_anyplug", port, path, target / "notes"), core=LOAD_CORE) as load:
            found = load.json()
    return Sample(found["seconds"] * 1000)


def there(*programs: str) -> bool:
    return all(map(shutil.which, programs))


OURS, RAW, RSYNC, SYNCED, TAR = "anyplug put", "raw pair", "rsync daemon", "rsync --fsync", "tar | ncat | tar"

LARGE = Question(
    name="files-large",
    asks="one file of 1 GiB over loopback to a fresh destination; ours verified and synced at the end",
    unit="MiB/s",
    contestants=[
        Contestant(OURS, partial(measure_anyplug, large, SIZE / MIB)),
        Contestant(RAW, measure_raw),
        *([Contestant(RSYNC, partial(measure_rsync, large, SIZE / MIB))] if there("rsync") else []),
        *([Contestant(SYNCED, partial(measure_rsync, large, SIZE / MIB, sync=True))] if there("rsync") else []),
        *([Contestant("scp", measure_scp)] if installed() else []),
    ],
    comparisons=[
        Comparison(OURS, RAW, least=0.6),
        *([Comparison(OURS, RSYNC, least=2.0), Comparison(OURS, SYNCED)] if there("rsync") else []),
        *([Comparison(OURS, "scp", least=2.0)] if installed() else []),
    ],
    rounds=5,
)

MANY = Question(
    name="files-many",
    asks="10,000 files of 10 KiB over loopback to a fresh destination; ours verified and synced at the end",
    unit="files/s",
    contestants=[
        Contestant(OURS, partial(measure_anyplug, many, COUNT)),
        *([Contestant(RSYNC, partial(measure_rsync, many, COUNT))] if there("rsync") else []),
        *([Contestant(TAR, measure_tar)] if there("ncat", "tar") else []),
    ],
    comparisons=[
        *([Comparison(OURS, RSYNC, least=1.5)] if there("rsync") else []),
        *([Comparison(OURS, TAR, least=1.0)] if there("ncat", "tar") else []),
    ],
    rounds=5,
)

RESUME = Question(
    name="files-resume",
    asks="a transfer of 1 GiB that broke at nine tenths: from connecting anew to the first new byte",
    unit="ms",
    contestants=[Contestant(OURS, measure_resume, most=50.0)],
    comparisons=[],
    rounds=5,
)

if __name__ == "__main__":
    play(
        {
            "serve_anyplug": serve_anyplug,
            "serve_raw": serve_raw,
            "put_anyplug": put_anyplug,
            "put_raw": put_raw,
            "resume_anyplug": resume_anyplug,
        }
    )

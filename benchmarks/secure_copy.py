"""A peer of `benchmarks.files`: `scp` to an `sshd` of its own, on a free port of 127.0.0.1, with keys made for it."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from benchmarks.processes import prepare

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["copy_seconds", "installed"]

SSHD = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
StrictModes no
UsePAM no
PidFile none
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
"""


EMPTY = Path("/run/sshd")
"""Where Debian's `sshd` locks its children up; the service makes it when it starts."""


def installed() -> bool:
    """Whether there is all that it takes."""
    programs = SSHD is not None and all(map(shutil.which, ("scp", "ssh-keygen")))
    return programs and (EMPTY.is_dir() or os.getuid() == 0)


def copy_seconds(source: Path, target: Path, folder: Path, *, port: int, wait: Callable[[int], None]) -> float:
    """How long `scp` takes for a file, from its start to its end.

    Args:
        source: the file.
        target: the folder that it goes to.
        folder: where keys and the configuration are.
        port: a free one.
        wait: returns when something listens on a port.
    """
    for name in ("host", "user"):
        if not (folder / name).exists():
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
            subprocess.run(command, check=True)
    EMPTY.mkdir(mode=0o755, exist_ok=True)
    config = folder / "sshd_config"
    config.write_text(CONFIG.format(port=port, folder=folder), encoding="utf-8")
    ready = partial(prepare, None)  # both sides are several processes
    server = subprocess.Popen([str(SSHD), "-D", "-e", "-f", str(config)], preexec_fn=ready, stderr=subprocess.DEVNULL)  # noqa: PLW1509
    unknown = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
    command = ["scp", "-q", "-F", "none", *unknown, "-i", str(folder / "user"), "-P", str(port)]
    try:
        wait(port)
        started = perf_counter()
        subprocess.run(
            [*command, str(source), f"{getpass.getuser()}@127.0.0.1:{target}/"], check=True, preexec_fn=ready
        )
        return perf_counter() - started
    finally:
        server.terminate()
        server.wait()

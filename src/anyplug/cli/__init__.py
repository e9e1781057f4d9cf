"""The command ``anyplug``.

======  ================================================================================================
status  meaning
======  ================================================================================================
0       done
1       it did not work; a sentence on standard error says why
2       the command line is wrong, an address too
124     a time was over
130     ended by Ctrl-C
141     whoever read the output has gone (``anyplug receive … | head -1``)
======  ================================================================================================

Data goes to standard output; everything else that is said, to standard error. This file imports next to nothing, so
that ``anyplug --version`` answers at once; a command's own file is imported when it runs.
"""

from __future__ import annotations

import errno
import sys
from typing import TYPE_CHECKING

from anyplug._version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: its words, without the name of the program; by default those the process was started with.

    Returns:
        The exit status.
    """
    try:
        words = list(sys.argv[1:] if argv is None else argv)
        if words[:1] in (["--version"], ["-V"]):
            print(f"anyplug {__version__}", flush=True)
            return 0
        if words[:1] == ["sockets"]:
            from anyplug.cli.quick import quick_sockets

            status = quick_sockets(words[1:])
            if status is not None:
                return status
        from anyplug.cli.group import dispatch

        return dispatch(words)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        from anyplug.cli.output import leave_stdout

        leave_stdout()
        return 141
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EIO}:
            raise
        from anyplug.cli.output import leave_stdout

        leave_stdout()
        print(f"error: standard output cannot be written to: {error.strerror}", file=sys.stderr)
        return 1

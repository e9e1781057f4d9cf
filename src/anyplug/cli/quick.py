"""Commands that are answered before the command line is read in full: what scripts call again and again.

To import what reads every option and tells every error takes longer than to list ten thousand sockets. So the plainest
forms of a command are recognised here, and done by the same functions. Whatever is not plain is left to the command.
"""

from __future__ import annotations

import gc
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from anyplug.netinfo.socket_types import Protocol

__all__ = ["quick_sockets"]

_PROTOCOLS: Final[dict[str, Protocol]] = {"--tcp": "tcp", "--udp": "udp", "--unix": "unix"}
_EVERY: Final = 0xFFFFFFFF
"""The bits of every state."""
_LISTENING: Final = frozenset({"--listening", "-l"})


def _text(words: Sequence[str]) -> bytes:
    """The table; nothing where there is no such socket.

    Raises:
        OSError: the kernel does not answer this way.
    """
    protocols = [name for word, name in _PROTOCOLS.items() if word in words] or list(_PROTOCOLS.values())
    if not _LISTENING.isdisjoint(words):
        return _chosen(protocols)
    from anyplug.cli.socket_rows import COLUMNS, front

    inet = [each for each in protocols if each != "unix"]
    first = len("unix seqpacket") if "unix" in protocols else len("PROTOCOL")
    lines, ends = _inet_lines(inet, first)
    if "unix" in protocols:
        more, width = _unix_lines(first)
        lines += more
        ends = ends if inet else width
    if not lines:
        return b""
    titles = [column.title for column in COLUMNS]
    head = f"{front(f'{titles[0]:<{first}}', *titles[1:4])}{titles[4]:<{ends}}  {titles[5]}\n"
    return (head + "".join(lines)).encode("utf-8", "surrogateescape")


def _inet_lines(protocols: Sequence[Protocol], first: int) -> tuple[list[str], int]:
    """The lines of TCP and UDP, and how wide the column of the own end is: IPv6 may need more than usual."""
    from socket import AF_INET, AF_INET6

    from anyplug.cli.socket_rows import inet_lines, width_of_ends
    from anyplug.netinfo.diag import inet_answer
    from anyplug.netinfo.states import TCP_STATES, UDP_STATES

    six = {protocol: list(inet_answer(protocol, AF_INET6, _EVERY)) for protocol in protocols}
    ends = max([len("255.255.255.255:65535"), *map(width_of_ends, six.values())])
    lines: list[str] = []
    for protocol in protocols:
        words = TCP_STATES if protocol == "tcp" else UDP_STATES
        for answer in (inet_answer(protocol, AF_INET, _EVERY), six[protocol]):
            lines += inet_lines(f"{protocol:<{first}}", words, answer, ends)
    return lines, ends


def _unix_lines(first: int) -> tuple[list[str], int]:
    """The lines of unix sockets, whose paths are longer than other ends, and how wide their column is."""
    from anyplug.cli.socket_rows import front, rows
    from anyplug.netinfo.diag import diag_sockets

    cells = rows(diag_sockets("unix", _EVERY))
    width = max([len("LOCAL"), *(len(row[4]) for row in cells)])
    return [f"{front(f'{row[0]:<{first}}', *row[1:4])}{row[4]:<{width}}  {row[5]}\n" for row in cells], width


def _chosen(protocols: Sequence[Protocol]) -> bytes:
    """The table of what listens."""
    from anyplug.cli.socket_rows import COLUMNS, rows
    from anyplug.cli.table import plain
    from anyplug.netinfo.sockets import Wanted, list_sockets

    found = list_sockets(Wanted(protocols=tuple(protocols), listening=True))
    return plain(COLUMNS, rows(found)).encode("utf-8", "surrogateescape") if found else b""


def quick_sockets(words: Sequence[str], text: Callable[[Sequence[str]], bytes] = _text) -> int | None:
    """``anyplug sockets`` into a file or a pipe, with some of the options that only choose.

    Args:
        words: behind ``sockets``.
        text: makes what is printed.

    Returns:
        The exit status; None where this is for the command itself, and nothing was printed yet.
    """
    if not set(words) <= _PROTOCOLS.keys() | _LISTENING or "_ANYPLUG_COMPLETE" in os.environ:
        return None
    from anyplug.cli.output import Output

    output = Output()
    if output.terminal:
        return None
    collecting = gc.isenabled()
    gc.disable()  # nothing here makes a circle, and looking for some takes as long as the rest
    try:
        table = text(words)
    except Exception:  # noqa: BLE001 - the command meets it again, and says what it is
        return None
    finally:
        if collecting:
            gc.enable()
    if not table:
        return None
    output.write(table)
    return 0

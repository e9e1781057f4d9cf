"""Sockets as rows of text, and nothing that takes long to import: `anyplug.cli.quick` prints them too.

A listing of many thousands is made of the kernel's answer in one go (`inet_lines`), with no object for each socket.
"""

from __future__ import annotations

from socket import AF_INET as _AF_INET
from socket import ntohs
from typing import TYPE_CHECKING, Final

from anyplug.cli.table import Column
from anyplug.netinfo.diag import host_texts, inet_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from anyplug.netinfo.socket_types import Process, Socket

__all__ = ["COLUMNS", "OWNER", "front", "inet_lines", "owners_text", "rows", "width_of_ends"]

AF_INET: Final = int(_AF_INET)
"""As the kernel writes it: comparing with a member of an enumeration takes longer."""

COLUMNS: Final = (
    Column("PROTOCOL"),
    Column("STATE"),
    Column("RECEIVING", right=True),
    Column("SENDING", right=True),
    Column("LOCAL"),
    Column("REMOTE"),
)
OWNER: Final = Column("PROCESS")
"""The column that is added where processes are asked for."""


def rows(sockets: Iterable[Socket], *, processes: bool = False) -> list[tuple[str, ...]]:
    """A row of cells for each socket; what strangers chose is escaped."""
    found: list[tuple[str, ...]] = []
    for protocol, family, state, host, port, peer, peer_port, receiving, sending, _, _, kind, owners in sockets:
        kinds, local, remote = protocol, "", "-"
        if protocol == "unix":
            kinds = f"unix {kind}"  # type: ignore[assignment]
            local = _safe(host) or "-"
            if peer is not None:
                remote = _safe(peer) or "unnamed"
        elif family == 4:
            local = f"{host}:{port}"
            if peer is not None:
                remote = f"{peer}:{peer_port}"
        else:
            local = f"[{host}]:{port}"
            if peer is not None:
                remote = f"[{peer}]:{peer_port}"
        waiting = "-" if receiving is None else str(receiving)
        unsent = "-" if sending is None else str(sending)
        row = (kinds, state, waiting, unsent, local, remote)
        found.append((*row, owners_text(owners) or "-") if processes else row)
    return found


def front(first: str, state: object, receiving: object, sending: object) -> str:
    """The columns in front of the two ends, as wide as they usually are; the first one is filled up already."""
    return f"{first}  {state:<11}  {receiving:>9}  {sending:>7}  "


def inet_lines(first: str, words: Mapping[int, str], datagrams: Iterable[bytes], ends: int) -> list[str]:
    """A line for each socket in the kernel's answer about TCP or UDP.

    Args:
        first: the first column.
        words: the states by their numbers.
        datagrams: of the answer.
        ends: how wide the column of the own end is.
    """
    four, six = host_texts()
    fronts: dict[tuple[int, int, int], str] = {}
    lines: list[str] = []
    add = lines.append
    for _, family, state, port, peer_port, host, peer, waiting, unsent, _, _ in inet_rows(datagrams):
        begin = fronts.get((state, waiting, unsent))
        if begin is None:
            word = words.get(state) or f"state-{state}"
            begin = fronts[state, waiting, unsent] = front(first, word, waiting, unsent)
        if family == AF_INET:
            local = f"{four[host]}:{ntohs(port)}"
            remote = f"{four[peer]}:{ntohs(peer_port)}" if peer_port else "-"
        else:
            local = f"[{six[host]}]:{ntohs(port)}"
            remote = f"[{six[peer]}]:{ntohs(peer_port)}" if peer_port else "-"
        add(f"{begin}{local:<{ends}}  {remote}\n")
    return lines


def width_of_ends(datagrams: Iterable[bytes]) -> int:
    """How wide the column of the own end must be for the IPv6 sockets in an answer."""
    _, six = host_texts()
    return max((len(f"[{six[row[5]]}]:65535") for row in inet_rows(datagrams)), default=0)


def owners_text(owners: tuple[Process, ...] | None) -> str:
    """The processes that have a socket open."""
    return " ".join(f"{_safe(process.name)}[{process.pid}]" for process in owners or ())


def _safe(text: str) -> str:
    """The text escaped. Most paths need none, and then what escapes is not imported."""
    if text.isascii() and text.isprintable() and "\\" not in text:
        return text
    from anyplug.escape import escape

    return escape(text)

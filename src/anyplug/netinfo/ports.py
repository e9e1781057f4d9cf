"""Which ports: ``22,80,1000-2000``, ``all``, ``top``; and what their numbers stand for."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING, Final, Literal

from anyplug.errors import LocalError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["PORT_MAX", "TOP", "parse_ports", "port_ranges", "service_name"]

PORT_MAX: Final = 65535

_KNOWN: Final[Mapping[int, str]] = {
    21: "ftp",
    22: "ssh",
    23: "telnet",
    25: "smtp",
    53: "domain",
    79: "finger",
    80: "http",
    88: "kerberos",
    110: "pop3",
    111: "rpcbind",
    113: "ident",
    119: "nntp",
    135: "msrpc",
    139: "netbios-ssn",
    143: "imap",
    179: "bgp",
    389: "ldap",
    427: "svrloc",
    443: "https",
    445: "microsoft-ds",
    465: "submissions",
    514: "shell",
    515: "printer",
    543: "klogin",
    548: "afp",
    554: "rtsp",
    587: "submission",
    631: "ipp",
    636: "ldaps",
    873: "rsync",
    990: "ftps",
    993: "imaps",
    995: "pop3s",
    1080: "socks",
    1234: "",
    1433: "ms-sql-s",
    1521: "oracle",
    1723: "pptp",
    1883: "mqtt",
    2049: "nfs",
    2121: "",
    2133: "",
    2181: "zookeeper",
    2375: "docker",
    2379: "etcd",
    3000: "",
    3128: "squid",
    3268: "globalcat",
    3306: "mysql",
    3389: "ms-wbt-server",
    3690: "svn",
    4222: "nats",
    4369: "epmd",
    5000: "",
    5050: "",
    5060: "sip",
    5222: "xmpp-client",
    5353: "mdns",
    5432: "postgresql",
    5555: "adb",
    5672: "amqp",
    5900: "vnc",
    5984: "couchdb",
    6000: "x11",
    6379: "redis",
    6443: "kubernetes",
    6666: "",
    6667: "irc",
    7000: "",
    7070: "",
    7584: "anyplug",
    8000: "http-alt",
    8008: "http-alt",
    8009: "ajp",
    8080: "http-alt",
    8081: "",
    8086: "influxdb",
    8443: "https-alt",
    8554: "rtsp-alt",
    8883: "mqtts",
    8888: "",
    9000: "",
    9042: "cassandra",
    9090: "prometheus",
    9092: "kafka",
    9100: "jetdirect",
    9200: "elasticsearch",
    9418: "git",
    9999: "",
    10000: "",
    11211: "memcached",
    15672: "rabbitmq",
    25565: "minecraft",
    27017: "mongodb",
    32400: "plex",
    49152: "",
    49153: "",
    49154: "",
}
"""Ports that are often open, and the usual service of those that have one."""

TOP: Final = tuple(_KNOWN)
"""The ports that ``top`` means: where something listens most often."""

_WORDS: Final[Mapping[str, tuple[int, ...]]] = {"all": tuple(range(1, PORT_MAX + 1)), "top": TOP}
_RANGE: Final = re.compile(r"(\d{1,9})(?:-(\d{1,9})?)?|-(\d{1,9})", re.ASCII)


def parse_ports(text: str) -> tuple[int, ...]:
    """The ports that a text names, each once, in order.

    ``80`` is one, ``1-1024`` all of these, ``-1024`` from 1, ``60000-`` to 65535, ``all`` 1 to 65535, ``top`` those
    where something listens most often; commas join them.

    Raises:
        LocalError: it names none, or a number that is no port; says which part.
    """
    found: set[int] = set()
    for part in text.split(","):
        word = part.strip()
        found.update(_WORDS.get(word.lower()) or _range(word, text))
    return tuple(sorted(found))


def _range(word: str, text: str) -> range:
    match = _RANGE.fullmatch(word)
    if match is None:
        raise LocalError(f"{word!r} in the ports {text!r} is no port; expected such as 80, 1-1024, top or all")
    low, high = int(match[1] or 1), int(match[3] or match[2] or (PORT_MAX if "-" in word else match[1]))
    for number in (low, high):
        if not 1 <= number <= PORT_MAX:
            raise LocalError(f"{number} in the ports {text!r} is no port; they go from 1 to {PORT_MAX}")
    if low > high:
        raise LocalError(f"the range {word!r} in the ports {text!r} runs backwards; did you mean {high}-{low}?")
    return range(low, high + 1)


def port_ranges(ports: Iterable[int]) -> str:
    """Ports as a short text that `parse_ports` reads: ``22,80-83``."""
    runs: list[list[int]] = []
    for port in sorted(ports):
        if runs and runs[-1][1] == port - 1:
            runs[-1][1] = port
        else:
            runs.append([port, port])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in runs)


def service_name(port: int, protocol: Literal["tcp", "udp"] = "tcp") -> str:
    """The usual service of a port, or nothing. What listens there may be something else."""
    known = _KNOWN.get(port, "")
    if known:
        return known
    try:
        return socket.getservbyport(port, protocol)
    except OSError:
        return ""

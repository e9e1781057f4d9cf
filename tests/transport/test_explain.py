"""Every sentence about a connection or a listener that did not come about."""

from __future__ import annotations

import errno
import os
import socket

import pytest

from anyplug.errors import BindError, ConnectError
from anyplug.transport import explain
from anyplug.transport.explain import explain_bind, explain_bind_unix, explain_connect, explain_lookup

HOST = "127.0.0.1:7584"
PATH = "unix:/run/a.sock"

FILES = "too many files are open here; close some, or raise the limit with `ulimit -n`"
ALL_FILES = "too many files are open on this machine; close other programs, or raise fs.file-max"
MEMORY = "the system is out of memory for sockets; close other connections, or wait a while"

CONNECT: dict[int, str] = {
    errno.ECONNREFUSED: f"nothing listens on {HOST}; start the server, or check the port",
    errno.ETIMEDOUT: f"no answer from {HOST}; packets are dropped on the way: a firewall, or a wrong address",
    errno.EHOSTUNREACH: f"no host answers for {HOST}; check the address, and that the host is up",
    errno.EHOSTDOWN: f"the host of {HOST} is down; check the address, and that the host is up",
    errno.ENETUNREACH: f"there is no route to {HOST}; check the network of this machine, and the address",
    errno.ENETDOWN: f"the network is down on the way to {HOST}; check the network of this machine",
    errno.ECONNRESET: f"{HOST} took the connection and reset it; try again; the server may be full or restarting",
    errno.EACCES: f"this machine forbids connections to {HOST}; "
    "check its firewall, and that it is no broadcast address",
    errno.EPERM: f"this machine forbids connections to {HOST}; check its firewall",
    errno.EADDRINUSE: f"this side's own address for {HOST} is taken; choose another local port, 0 for any",
    errno.EADDRNOTAVAIL: f"no address or port of this machine is free for {HOST}; "
    "check the local address; or wait a minute",
    errno.EAFNOSUPPORT: f"this system has no such address family for {HOST}; use an address of another one: 127.0.0.1",
    errno.EMFILE: FILES,
    errno.ENFILE: ALL_FILES,
    errno.ENOBUFS: MEMORY,
    errno.ENOMEM: MEMORY,
}

CONNECT_UNIX: dict[int, str] = {
    errno.ECONNREFUSED: f"nothing listens on {PATH} any more; "
    "start the server; its socket was left by one that is gone",
    errno.ENOENT: f"there is no {PATH}; start the server, or check the path",
    errno.ENOTDIR: f"there is no {PATH}: a part of the path is not a directory; check the path",
    errno.ENOTSOCK: f"{PATH} is not a socket; check the path",
    errno.EACCES: f"this user may not use {PATH}; run as the server's user, or let the server set another mode",
    errno.EPROTOTYPE: f"{PATH} is a socket of another type; try unix://, unix+seqpacket:// or unix+dgram://",
    errno.ETIMEDOUT: f"no answer from {PATH}; the server accepts nobody: it is stuck or overloaded",
    errno.ENAMETOOLONG: f"{PATH} is too long; a socket's path has 107 bytes at most: use a shorter one",
    errno.ECONNRESET: f"{PATH} took the connection and reset it; try again; the server may be full or restarting",
    errno.EMFILE: FILES,
    errno.ENFILE: ALL_FILES,
    errno.ENOBUFS: MEMORY,
    errno.ENOMEM: MEMORY,
}

NO_FAMILY = "the name h.example has no address of the family asked for; "
LOOKUP: dict[int, str] = {
    socket.EAI_NONAME: "the name h.example is not known; check its spelling",
    socket.EAI_AGAIN: "the name h.example could not be looked up now; check the network of this machine, and try again",
    socket.EAI_FAIL: "the name server failed on h.example; try again later, or use the host's IP address",
    socket.EAI_FAMILY: NO_FAMILY + "leave the 4 or 6 out of the scheme",
    socket.EAI_NODATA: NO_FAMILY + "check its spelling",
    socket.EAI_ADDRFAMILY: NO_FAMILY + "leave the 4 or 6 out of the scheme",
    errno.ETIMEDOUT: "the name h.example could not be looked up in time; "
    "check the network of this machine, or use an IP address",
}

BIND: dict[int, str] = {
    errno.EADDRINUSE: "port 80 is taken by another program; "
    "stop it (`ss -ltnp sport = :80` names it), or choose another port, 0 for any",
    errno.EADDRNOTAVAIL: "120.0.0.1 is not an address of this machine; 127.0.0.1 is",
    errno.EACCES: "this user may not use port 80; choose one from 1024 on, or give the program CAP_NET_BIND_SERVICE",
    errno.EPERM: "this user may not use port 80; choose another, or ask who runs this machine",
    errno.EAFNOSUPPORT: "this system has no such address family for 120.0.0.1:80; "
    "use an address of another one: 127.0.0.1",
    errno.EMFILE: FILES,
    errno.ENFILE: ALL_FILES,
    errno.ENOBUFS: MEMORY,
    errno.ENOMEM: MEMORY,
}

BIND_UNIX: dict[int, str] = {
    errno.EADDRINUSE: "the name is taken by another program; stop it (`ss -xlp` names it), or choose another name",
    errno.EACCES: "this user may not create a socket in /run; choose another folder, such as $XDG_RUNTIME_DIR",
    errno.EPERM: "no socket can be created in /run; choose another folder, such as $XDG_RUNTIME_DIR",
    errno.ENOENT: "the folder /run does not exist; create it first",
    errno.ENOTDIR: "/run is not a folder; check the path",
    errno.EROFS: "/run can only be read; choose another folder, such as $XDG_RUNTIME_DIR",
    errno.ENAMETOOLONG: "the path is too long; a socket's path has 107 bytes at most: choose a shorter one",
    errno.EMFILE: FILES,
    errno.ENFILE: ALL_FILES,
    errno.ENOBUFS: MEMORY,
    errno.ENOMEM: MEMORY,
}


def os_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


@pytest.mark.parametrize(("where", "number", "sentence"), [(HOST, *each) for each in CONNECT.items()])
def test_a_failed_connection_to_a_host_is_explained(where: str, number: int, sentence: str) -> None:
    assert "; ".join(explain_connect([(where, os_error(number))])) == sentence


@pytest.mark.parametrize(("where", "number", "sentence"), [(PATH, *each) for each in CONNECT_UNIX.items()])
def test_a_failed_connection_to_a_unix_socket_is_explained(where: str, number: int, sentence: str) -> None:
    assert "; ".join(explain_connect([(where, os_error(number))])) == sentence


@pytest.mark.parametrize(("number", "sentence"), LOOKUP.items())
def test_a_failed_lookup_is_explained(number: int, sentence: str) -> None:
    assert "; ".join(explain_lookup("h.example", OSError(number, ""))) == sentence


@pytest.mark.parametrize(("number", "sentence"), BIND.items())
def test_a_failed_listener_on_a_host_is_explained(number: int, sentence: str) -> None:
    assert explain_bind(os_error(number), host="120.0.0.1", port=80) == sentence


@pytest.mark.parametrize(("number", "sentence"), BIND_UNIX.items())
def test_a_failed_listener_on_a_unix_socket_is_explained(number: int, sentence: str) -> None:
    assert explain_bind_unix(os_error(number), path="/run/a.sock") == sentence


def test_the_tables_here_hold_every_row() -> None:
    assert CONNECT.keys() == explain._CONNECT.keys()
    assert CONNECT_UNIX.keys() == explain._CONNECT_UNIX.keys()
    assert LOOKUP.keys() == explain._LOOKUP.keys()
    assert BIND.keys() == explain._BIND.keys()
    assert BIND_UNIX.keys() == explain._BIND_UNIX.keys()


def test_an_error_that_no_table_holds_is_told_in_the_systems_words() -> None:
    strange = os_error(errno.EDOM)
    words = os.strerror(errno.EDOM)
    assert explain_connect([(HOST, strange)]) == (f"{HOST}: {words}", "check the address, and try again")
    assert explain_lookup("h.example", strange).problem == f"the name h.example: {words}"
    assert explain_bind(strange, host="::1", port=80) == words
    assert explain_bind_unix(OSError("AF_UNIX path too long"), path="/a") == "AF_UNIX path too long"


def test_several_ends_are_all_named_those_that_failed_alike_together() -> None:
    failures = [
        ("[::1]:80", os_error(errno.EADDRNOTAVAIL)),
        ("127.0.0.1:80", os_error(errno.ECONNREFUSED)),
        ("127.0.0.2:80", os_error(errno.ECONNREFUSED)),
    ]
    reason = explain_connect(failures)
    assert reason.problem == (
        "no address or port of this machine is free for [::1]:80; nothing listens on 127.0.0.1:80 or 127.0.0.2:80"
    )
    assert reason.remedy == "start the server, or check the port"
    assert explain_connect([]).remedy == "check the address"


def test_an_abstract_name_leaves_nothing_behind() -> None:
    reason = explain_connect([("unix:@talk", os_error(errno.ECONNREFUSED))])
    assert reason == ("nothing listens on unix:@talk", "start the server, or check the name")


def test_what_is_special_about_ipv6_datagrams_and_port_zero() -> None:
    taken, foreign = os_error(errno.EADDRINUSE), os_error(errno.EADDRNOTAVAIL)
    assert explain_bind(foreign, host="2001:db8::1", port=80) == "2001:db8::1 is not an address of this machine; ::1 is"
    assert "`ss -lunp sport = :80`" in explain_bind(taken, host="::1", port=80, datagram=True)
    assert explain_bind(taken, host="::1", port=0) == "no free port is left; close other programs"
    assert explain_bind_unix(os_error(errno.ENOENT), path="/a.sock").startswith("the folder / does")


def test_the_whole_sentences_read_well() -> None:
    problem, remedy = explain_connect([(HOST, os_error(errno.ECONNREFUSED))])
    error = ConnectError("tcp://127.0.0.1:7584", step="connect", problem=problem, remedy=remedy)
    assert str(error) == (
        "cannot connect to tcp://127.0.0.1:7584: nothing listens on 127.0.0.1:7584 (step: connect); "
        "start the server, or check the port"
    )
    text = explain_bind(os_error(errno.EADDRNOTAVAIL), host="120.0.0.1", port=80)
    assert str(BindError("tcp://120.0.0.1:80", text)) == (
        "cannot listen on tcp://120.0.0.1:80: 120.0.0.1 is not an address of this machine; 127.0.0.1 is"
    )

"""Who can reach a listener: only this machine, unless something protects it."""

from __future__ import annotations

import errno
import ipaddress
import socket
from typing import TYPE_CHECKING

from anyplug.errors import BindError

if TYPE_CHECKING:
    from anyplug.address import Address

__all__ = ["check_exposure", "is_foreign", "is_local"]


def is_local(address: Address) -> bool:
    """Whether only this machine can reach a listener on this address."""
    if address.is_unix or address.scheme == "fd" or address.host == "localhost":
        return True
    try:
        return ipaddress.ip_address(address.host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def is_foreign(address: Address) -> bool:
    """Whether this is another machine's address: then binding fails, and says so better than a word on protection."""
    try:
        ip = ipaddress.ip_address(address.host.partition("%")[0])
        if ip.is_unspecified:
            return False
        with socket.socket(socket.AF_INET6 if ip.version == 6 else socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((address.host, 0))
    except ValueError:
        return False
    except OSError as error:
        return error.errno == errno.EADDRNOTAVAIL
    return False


def check_exposure(address: Address, *, token: str, insecure: bool) -> None:
    """Refuse to listen beyond this machine without protection.

    Raises:
        BindError: other machines could connect, and nothing is asked of them.
    """
    if insecure or is_local(address) or (token and address.is_plug) or is_foreign(address):
        return
    remedy = (
        "set a token, or say insecure" if address.is_plug else "a plain listener cannot ask for a token; say insecure"
    )
    problem = f"other machines could connect, and nothing protects it; listen on 127.0.0.1, or {remedy}"
    raise BindError(str(address), problem)

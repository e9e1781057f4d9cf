"""The step ``tls``: version, cipher, certificate, and whether it holds.

A handshake that fails over its certificate tells nothing of that certificate. So the host is then asked once more,
without judging it, only to read it; nothing is said over that connection.
"""

from __future__ import annotations

import ssl
import time
from errno import ENOTCONN
from typing import TYPE_CHECKING, Final

from anyplug.errors import LocalError
from anyplug.netinfo.certificate import read_certificate
from anyplug.netinfo.check_path import again
from anyplug.netinfo.check_types import Secured
from anyplug.netinfo.check_walk import Outcome, failed, ok

if TYPE_CHECKING:
    import socket

    from anyplug.netinfo.check_types import Certificate
    from anyplug.netinfo.check_walk import Walk

__all__ = ["certificate_problem", "secure", "tls", "tls_context", "verified_text"]

_DAY: Final = 86_400.0
_SOON: Final = 14.0
"""Days before the end of a certificate from which on that is told."""
_SELF_SIGNED: Final = frozenset({18, 19})
"""X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT and _SELF_SIGNED_CERT_IN_CHAIN."""
_NO_ISSUER: Final = frozenset({2, 20, 21})
"""X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, _LOCALLY, _UNABLE_TO_VERIFY_LEAF_SIGNATURE."""
_NOT_YET, _EXPIRED = 9, 10
_WRONG_NAME: Final = frozenset({62, 64})
"""X509_V_ERR_HOSTNAME_MISMATCH, _IP_ADDRESS_MISMATCH."""


def tls_context(ca_file: str = "") -> ssl.SSLContext:
    """What judges certificates: the authorities of the system, and those of a file.

    Raises:
        LocalError: the file cannot be read, or holds no certificate.
    """
    context = ssl.create_default_context()
    if ca_file:
        try:
            context.load_verify_locations(ca_file)
        except (OSError, ssl.SSLError) as error:
            why = "it holds no certificate in PEM" if isinstance(error, ssl.SSLError) else error.strerror
            raise LocalError(f"the file {ca_file!r} of authorities cannot be used: {why}") from error
    return context


def tls(walk: Walk) -> Outcome:
    """The handshake of TLS."""
    try:
        secured = secure(walk, walk.stream, tls_context(walk.options.ca_file))
    except ssl.SSLCertVerificationError as error:
        return _not_verified(walk, error)
    except TimeoutError:
        problem = f"something took the connection and said nothing of TLS within {walk.options.timeout:g} s"
        return failed(problem, f"check the port; or try {_without(walk)} if it speaks no TLS")
    except OSError as error:
        return _no_tls(walk, error)
    walk.sock = secured
    facts = _facts(secured, verified=True)
    return ok(verified_text(facts), facts)


def verified_text(facts: Secured) -> str:
    """The sentence for a certificate that holds; it says so where that is soon over."""
    soon = facts.days_left is not None and facts.days_left < _SOON
    end = f"; it expires in {facts.days_left:.0f} days: renew it" if soon else ""
    return f"{_spoken(facts)}; {_shown(facts.certificate)}, verified{end}"


def secure(walk: Walk, plain: socket.socket, context: ssl.SSLContext) -> ssl.SSLSocket:
    """Speak TLS over a connection, which belongs to the result from here.

    Raises:
        OSError: the handshake fails, over the certificate too.
    """
    plain.settimeout(walk.options.timeout)
    plain.getpeername()  # where it is gone already, wrapping would leave a socket open
    return context.wrap_socket(plain, server_hostname=walk.address.host.partition("%")[0])


def certificate_problem(number: int, told: str, host: str, certificate: Certificate | None) -> tuple[str, str]:
    """What is wrong with a certificate, and what to try.

    Args:
        number: OpenSSL's number.
        told: its words.
        host: whom it should be of.
        certificate: what it says.
    """
    if number == _EXPIRED and certificate is not None:
        return f"it expired on {_date(certificate.not_after)}", "renew it on the server, and let the server load it"
    if number == _NOT_YET and certificate is not None:
        begin = _date(certificate.not_before)
        return f"it is valid from {begin} on, which is yet to come", "check the clocks of both machines"
    if number in _WRONG_NAME and certificate is not None:
        names = ", ".join(certificate.names) or certificate.subject or "nobody"
        return f"it is for {names}, not for {host}", "use a name that it has, or give the server one for this name"
    if number in _SELF_SIGNED:
        return "nobody but itself has signed it", "trust it with --ca-file FILE, if it came to you on a safe way"
    if number in _NO_ISSUER:
        return (
            "nobody whom this machine trusts has signed it",
            "let the server send the whole chain; or trust a private authority with --ca-file FILE",
        )
    return told, "look at the certificate of the server"


def _not_verified(walk: Walk, error: ssl.SSLCertVerificationError) -> Outcome:
    facts = _look(walk)
    certificate = facts.certificate if facts is not None else None
    problem, remedy = certificate_problem(error.verify_code, error.verify_message, walk.address.host, certificate)
    shown = f"{_spoken(facts)}; {_shown(certificate)}: " if facts is not None else ""
    return failed(f"{shown}the certificate does not hold: {problem}", remedy, facts)


def _look(walk: Walk) -> Secured | None:
    """The certificate that was refused, over a connection of its own."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # it is only read; nothing is said over this connection
    try:
        with again(walk) as plain, secure(walk, plain, context) as secured:
            return _facts(secured, verified=False)
    except OSError:
        return None


def _no_tls(walk: Walk, error: OSError) -> Outcome:
    reason = getattr(error, "reason", None) or ""
    if reason in {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"}:
        return failed("what answers there speaks no TLS", f"try {_without(walk)}; or check the port")
    if isinstance(error, ssl.SSLEOFError | ConnectionError) or error.errno == ENOTCONN:
        return failed(
            "the server took the connection and ended it in the handshake of TLS",
            f"it may speak no TLS: try {_without(walk)}; or look at its log",
        )
    told = reason.replace("_", " ").lower() or str(error)
    return failed(f"the handshake of TLS failed: {told}", "look at the server's log, and at the versions it allows")


def _without(walk: Walk) -> str:
    scheme = {"plugs": "plug", "wss": "ws"}.get(walk.address.scheme, "tcp")
    return f"{scheme}://"


def _facts(secured: ssl.SSLSocket, *, verified: bool) -> Secured:
    data = secured.getpeercert(binary_form=True)
    certificate = read_certificate(data) if data else None
    cipher = secured.cipher()
    left = (certificate.not_after - time.time()) / _DAY if certificate is not None else None
    return Secured(
        version=secured.version() or "",
        cipher=cipher[0] if cipher else "",
        certificate=certificate,
        verified=verified,
        days_left=left,
    )


def _spoken(facts: Secured) -> str:
    return f"{facts.version}, {facts.cipher}"


def _shown(certificate: Certificate | None) -> str:
    if certificate is None:
        return "a certificate that cannot be read"
    names = f" for {', '.join(certificate.names)}" if certificate.names else ""
    until = _date(certificate.not_after)
    return (
        f"certificate of {certificate.subject or 'nobody'}{names}, by {certificate.issuer or 'nobody'}, until {until}"
    )


def _date(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))

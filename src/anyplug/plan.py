"""What an address and the arguments of ``connect`` mean together: which session, which framing, which codec.

Both faces make a `Plan` before they touch the network, so that a mistake in the arguments is found first. A plan
makes as many sessions as there are connections.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from anyplug._version import __version__
from anyplug.codec import default_codec, make_codec
from anyplug.errors import AddressError, LocalError
from anyplug.framing import make_framing
from anyplug.limits import DEFAULTS
from anyplug.messages import Hello
from anyplug.wire import PacketSession, PlainSession, PlugSession, Role

if TYPE_CHECKING:
    from anyplug.address import Address
    from anyplug.codec import Codec
    from anyplug.framing import Framing
    from anyplug.limits import Limits
    from anyplug.messages import Producer
    from anyplug.wire import Session

__all__ = ["AGENT", "PLUG_CODEC", "Plan", "check_scheme", "make_plan", "plain_framing"]

T = TypeVar("T")

AGENT = f"anyplug/{__version__} (python)"
"""What this program calls itself in HELLO and WELCOME."""

PLUG_CODEC = "msgpack"
"""The codec of a plug conversation where nothing else is said: the only one that carries every type, bytes too."""


class Plan(Generic[T]):
    """What to speak with one address.

    Attributes:
        codec: how objects become bytes.
        framing: how a plain stream is cut; None on a plug connection, which has its own frames.
        hello: what to say first; None on a plain connection.
        limits: the bounds of this side.
        packets: each packet is one message.
        first: the sequence of the first post.
    """

    __slots__ = ("codec", "first", "framing", "hello", "limits", "packets")

    def __init__(
        self,
        codec: Codec[T],
        *,
        framing: Framing | None,
        hello: Hello | None,
        limits: Limits,
        packets: bool = False,
        first: int = 1,
    ) -> None:
        self.codec = codec
        self.first = first
        self.packets = packets
        self.framing = framing
        self.hello = hello
        self.limits = limits

    def session(self) -> Session:
        """A new session of the client; on a plug connection it has said HELLO already."""
        if self.framing is not None:
            return PacketSession(self.framing) if self.packets else PlainSession(self.framing)
        session = PlugSession(Role.CLIENT, self.limits)
        session.send_hello(self.hello if self.hello is not None else Hello())
        return session


def make_plan(
    address: Address,
    *,
    type: type[T] | Any = Any,
    codec: str | None = None,
    framing: str | None = None,
    limits: Limits = DEFAULTS,
    token: str = "",
    producer: Producer | None = None,
    name: str = "",
) -> Plan[T]:
    """Find out what to speak with `address`.

    Args:
        address: where to. Its options ``codec``, ``framing``, ``until`` and ``width`` count where no argument says
            otherwise.
        type: the type of the messages.
        codec: the codec's name; by default msgpack on plug, and on plain connections what suits the type.
        framing: the framing's name; by default ``lines`` on streams and ``raw`` on packets and datagrams.
        limits: the bounds of this side.
        token: what entitles this client, on plug connections.
        producer: who posts, where posts may come again on another connection.
        name: what the client calls itself.

    Raises:
        AddressError: a scheme that this version does not speak.
        LocalError: names or options that do not exist, or do not fit the address.
    """
    check_scheme(address)
    chosen = codec or address.options.get("codec")
    if not address.is_plug:
        if producer is not None:
            raise LocalError(f"{address} is a plain connection, which acknowledges nothing; use plug:// to post")
        if token:
            raise LocalError(f"{address} is a plain connection, which carries no token; use plug:// or plugs://")
        if name:
            raise LocalError(f"{address} is a plain connection, which carries no name; use plug:// or plugs://")
        chosen = chosen or default_codec(type)
        cut = plain_framing(address, framing, limits=limits, text=chosen == "text")
        packets = address.is_packet or address.is_datagram
        made = make_codec(chosen, type, limits=limits)
        return Plan(made, framing=cut, hello=None, limits=limits, packets=packets)
    if framing:
        raise LocalError(f"{address} speaks the plug protocol, which has its own frames; leave out framing={framing!r}")
    chosen = chosen or PLUG_CODEC
    hello = Hello(
        service=address.service,
        rest=address.rest,
        codec=chosen,
        message=limits.message,
        token=token,
        producer=b"" if producer is None else producer.id,
        name=name,
        agent=AGENT,
    )
    first = 1 if producer is None else producer.first
    return Plan(make_codec(chosen, type, limits=limits), framing=None, hello=hello, limits=limits, first=first)


def plain_framing(
    address: Address,
    framing: str | None = None,
    *,
    limits: Limits = DEFAULTS,
    packets: bool | None = None,
    text: bool = False,
) -> Framing:
    """The framing of a plain address, of a client or a listener.

    Args:
        address: where. Its options count where `framing` is None.
        framing: the framing's name.
        limits: the bounds of this side.
        packets: whether the socket keeps the bounds of messages; None goes by the address, which cannot know it of
            ``fd://``.
        text: the messages are text, so that ``raw`` should not split a character.

    Raises:
        LocalError: no such framing or option, or packets with a framing that could join or cut them.
    """
    name = framing or address.options.get("framing")
    options: dict[str, object] = {}
    if "until" in address.options:
        options["until"] = address.options["until"]
        name = name or "raw"
    if "width" in address.options:
        options["width"] = _number(address, "width")
        name = name or "header"
    if (address.is_packet or address.is_datagram) if packets is None else packets:
        if (name or "raw") != "raw" or options:
            raise LocalError(f"each packet of {address} is one message; leave out the framing, or use framing='raw'")
        return make_framing("raw", limit=limits.message)
    if name == "raw" and text:
        options["utf8"] = True
    return make_framing(name or "lines", limit=limits.message, **options)


def check_scheme(address: Address) -> None:
    """Refuse what would otherwise go out in the clear, or be answered in a protocol that is not spoken here."""
    if address.is_tls or address.scheme == "ws":
        plain = "plug" if address.is_plug or address.scheme == "ws" else "tcp"
        expected = f"a scheme without TLS or WebSocket ({plain}://): this version does not speak them yet"
        raise AddressError(str(address), part="scheme", found=address.scheme, expected=expected)


def _number(address: Address, option: str) -> int:
    text = address.options[option]
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise LocalError(f"the option {option} of {address} is {text!r}, expected a number")
    return int(text)

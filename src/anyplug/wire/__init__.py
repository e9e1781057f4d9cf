"""The plug protocol and what both shells share above it: pure state, no input or output, time as an argument."""

from anyplug.wire.asks import Asks
from anyplug.wire.frames import HEADER, PREFACE, FrameDecoder, Kind, encode_frame
from anyplug.wire.inbound import Inbound
from anyplug.wire.incoming import Incoming
from anyplug.wire.packets import PacketSession
from anyplug.wire.plain import PlainSession
from anyplug.wire.plug import VERSION, PlugSession
from anyplug.wire.posts import OpenPosts
from anyplug.wire.session import Session
from anyplug.wire.states import ROWS, Role, Row, State
from anyplug.wire.stats import Stats
from anyplug.wire.vigil import Vigil

__all__ = [
    "HEADER",
    "PREFACE",
    "ROWS",
    "VERSION",
    "Asks",
    "FrameDecoder",
    "Inbound",
    "Incoming",
    "Kind",
    "OpenPosts",
    "PacketSession",
    "PlainSession",
    "PlugSession",
    "Role",
    "Row",
    "Session",
    "State",
    "Stats",
    "Vigil",
    "encode_frame",
]

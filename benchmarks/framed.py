"""How many whole messages a second does a server answer over a protocol that frames them, 50 peers asking at once?

The load is the one of `request_answer`: it speaks each protocol byte for byte, so that no client of a library is in the
figures. Asked one by one, each connection has one question outstanding; pipelined, it has 16, which leave at once, and
the next when all are answered. The echo in C frames nothing: what stands beside it is the cost of framing as well.
"""

from __future__ import annotations

from benchmarks.harness import Comparison, Question
from benchmarks.loads import SIZE, contestant
from benchmarks.servers import SERVERS
from benchmarks.talks import lines

CONNECTIONS = 50
PIPELINED = 16
LIMIT = "epoll in C"
ZMQ, WEBSOCKETS, PICOWS = "zmq.asyncio REP", "websockets", "picows"
REQUESTS, MESSAGES, TALK = "anyplug plug, requests", "anyplug plug, messages", "anyplug plug, conversation"
THEIRS = (ZMQ, "pyzmq REP, blocking", "pynng REP, blocking", WEBSOCKETS, PICOWS, LIMIT)


def at_once(name: str) -> str:
    return f"{name}, {PIPELINED} at once"


PIPELINED_NAMES = (REQUESTS, MESSAGES, TALK, LIMIT, WEBSOCKETS, PICOWS)
"""REQ and REP of ZeroMQ and nng have one question outstanding by their nature."""
QUESTION = Question(
    name="framed",
    asks=f"{CONNECTIONS} connections, questions of {SIZE} bytes as whole messages, one by one and {PIPELINED} at once",
    unit="answers a second",
    contestants=[
        *(contestant(name) for name, server in SERVERS.items() if server.talk is not lines or name == LIMIT),
        *(contestant(name, title=at_once(name), count=PIPELINED) for name in PIPELINED_NAMES),
    ],
    comparisons=[
        Comparison(REQUESTS, LIMIT, least=0.75),
        Comparison(REQUESTS, ZMQ, least=3.0),
        Comparison(at_once(REQUESTS), ZMQ, least=3.0),
        Comparison(at_once(REQUESTS), at_once(LIMIT)),
        Comparison(at_once(REQUESTS), LIMIT, least=0.75),
        *(Comparison(REQUESTS, name) for name in THEIRS if name not in (LIMIT, ZMQ)),
        Comparison(MESSAGES, PICOWS),
        Comparison(TALK, WEBSOCKETS),
        Comparison(at_once(MESSAGES), at_once(PICOWS)),
        Comparison(at_once(TALK), at_once(WEBSOCKETS)),
    ],
)

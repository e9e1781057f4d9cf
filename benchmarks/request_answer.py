"""How many questions a second does a server answer on plain sockets, 50 peers asking at once?

The load is a program in C (load.c) that keeps one question of 100 bytes and a line feed outstanding on each of 50
connections. It is not what bounds the figures: the share of its time in which it has something to do is told beside
each row, and is largest for the echo in C (echo.c), the physical limit. The same with questions of 10 KB stands beside.
"""

from __future__ import annotations

from benchmarks.harness import Comparison, Question
from benchmarks.loads import SIZE, contestant
from benchmarks.servers import SERVERS

CONNECTIONS = 50
LARGE = 10_000
BYTES, STR, TALK = "anyplug lines, bytes", "anyplug lines, str", "anyplug lines, conversation"
PROTOCOL, STREAMS, LIMIT = "uvloop Protocol", "asyncio streams on uvloop", "epoll in C"
SMALL_NAMES = [
    name for name, server in SERVERS.items() if server.arguments[:1] in ((), ("echoes",)) and "plug," not in name
]
LARGE_NAMES = [BYTES, TALK, PROTOCOL, STREAMS, LIMIT, "anyio on uvloop"]

QUESTION = Question(
    name="request_answer",
    asks=f"{CONNECTIONS} plain TCP connections, one question of {SIZE} bytes outstanding on each",
    unit="answers a second",
    contestants=[contestant(name, connections=CONNECTIONS) for name in SMALL_NAMES],
    comparisons=[
        Comparison(BYTES, PROTOCOL, least=0.90),
        Comparison(BYTES, LIMIT, least=0.75),
        Comparison(BYTES, STREAMS, least=1.5),
        Comparison(BYTES, "anyio on uvloop", least=3.0),
        Comparison(TALK, PROTOCOL, least=0.80),
        Comparison(STR, PROTOCOL),
        *(
            Comparison(BYTES, name)
            for name in ("asyncio Protocol", "asyncio streams", "trio", "Twisted", "aiofastnet Protocol on uvloop")
        ),
        Comparison("aiofastnet Protocol on uvloop", PROTOCOL),
        Comparison(PROTOCOL, LIMIT),
        Comparison(PROTOCOL, STREAMS),
    ],
)
LARGE_QUESTION = Question(
    name="request_answer_10k",
    asks=f"{CONNECTIONS} plain TCP connections, one question of {LARGE:,} bytes outstanding on each",
    unit="answers a second",
    contestants=[contestant(name, connections=CONNECTIONS, size=LARGE) for name in LARGE_NAMES],
    comparisons=[Comparison(BYTES, name) for name in LARGE_NAMES if name not in (BYTES, TALK)]
    + [Comparison(TALK, PROTOCOL)],
)

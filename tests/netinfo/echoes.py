"""A machine that answers echo requests by a script: run in a network namespace whose kernel answers none."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.netinfo.namespaces import Cable

__all__ = ["answering"]

_ANSWER = """
import heapq, json, select, socket, struct, sys, time

script = {int(key): value for key, value in json.loads(sys.argv[1]).items()}
socks = {
    4: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
    6: socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6),
}

def summed(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return data[:2] + struct.pack("!H", ~total & 0xFFFF) + data[4:]

queue = []
print("ready", flush=True)
while True:
    left = max(queue[0][0] - time.monotonic(), 0) if queue else None
    ready, _, _ = select.select([sys.stdin, *socks.values()], [], [], left)
    if sys.stdin in ready:
        break
    for family, sock in socks.items():
        if sock in ready:
            packet, source = sock.recvfrom(4096)
            message = packet[(packet[0] & 15) * 4:] if family == 4 else packet
            if message[0] != {4: 8, 6: 128}[family]:
                continue
            sequence = struct.unpack("!H", message[6:8])[0]
            for delay, change in script.get(sequence, script[0]):
                data = message[8:-1] + b"?" if change else message[8:]
                answer = bytes([{4: 0, 6: 129}[family], 0, 0, 0]) + message[4:8] + data
                answer = summed(answer) if family == 4 else answer
                heapq.heappush(queue, (time.monotonic() + delay, family, answer, source))
    while queue and queue[0][0] <= time.monotonic():
        _, family, answer, source = heapq.heappop(queue)
        socks[family].sendto(answer, source)
"""

_SILENT_KERNEL = "echo 1 > /proc/sys/net/ipv4/icmp_echo_ignore_all; echo 1 > /proc/sys/net/ipv6/icmp/echo_ignore_all"


@contextmanager
def answering(made: Cable, script: str) -> Iterator[None]:
    """Let the far machine answer by a script, until the end of the block.

    Args:
        made: the machines.
        script: JSON: by number of the request, and 0 for all others, a list of answers: the seconds until each, and
            whether its data comes back changed.
    """
    made.run("sh", "-c", _SILENT_KERNEL, where=made.far)
    words = ["ip", "netns", "exec", made.far, sys.executable, "-c", _ANSWER, script]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as answers:
        assert answers.stdin is not None
        assert answers.stdout is not None
        assert answers.stdout.readline() == b"ready\n"
        try:
            yield
        finally:
            answers.stdin.close()
            made.run("sh", "-c", _SILENT_KERNEL.replace("echo 1", "echo 0"), where=made.far)

"""The same as shout_client.py without async, for scripts and threads.

python examples/blocking_client.py [HOST[:PORT]]
"""

from __future__ import annotations

import sys

from anyplug.blocking import connect


def main(place: str) -> None:
    with connect(f"plug://{place}/shout", type=str) as peer:
        print(peer.ask("hello"))
        print(*peer.ask_many(["one", "two", "three"]))

    with connect(f"plug://{place}/countdown", type=int) as counter:
        counter.send(3)
        counter.send_eof()
        print(*counter)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1")

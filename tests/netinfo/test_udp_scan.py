from __future__ import annotations

import socket
from threading import Thread

from anyplug.netinfo.scan import ScanOptions, scan


def test_answered_refused_and_silent_are_told_apart() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as answering,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent,
    ):
        for each in (answering, silent):
            each.bind(("127.0.0.1", 0))
        answering.settimeout(10)

        def answer() -> None:
            data, peer = answering.recvfrom(100)
            answering.sendto(b"hello" + data, peer)

        thread = Thread(target=answer)
        thread.start()
        loud, quiet = answering.getsockname()[1], silent.getsockname()[1]
        (report,) = scan("127.0.0.1", ports=[1, loud, quiet], protocol="udp", options=ScanOptions(retries=1, wait=0.1))
        thread.join()
    assert report.protocol == "udp"
    assert report.closed == (1,)
    assert {each.port: (each.state, each.why, each.tries) for each in report.found} == {
        loud: ("open", "", 1),
        quiet: ("open|unknown", "timed out", 2),
    }


def test_ports_of_more_than_one_batch_are_all_asked() -> None:
    (report,) = scan("::1", ports=range(1, 150), protocol="udp", options=ScanOptions(retries=0, wait=0.5))
    assert len(report.closed) + len(report.found) == 149
    assert report.whole

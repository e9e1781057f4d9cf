from __future__ import annotations

import asyncio
import os
from contextlib import redirect_stderr, redirect_stdout
from io import BytesIO, StringIO, TextIOWrapper

from anyplug.cli.faults import Fault
from anyplug.cli.output import Output, leave_stdout


async def test_data_goes_to_whatever_stands_in_for_standard_output() -> None:
    data = BytesIO()
    with redirect_stdout(TextIOWrapper(data)):
        output = Output()
        await output.put(b"\xff")
        await output.put(b"")
        leave_stdout()
        output.write(b"\n")
        assert (data.getvalue(), output.terminal) == (b"\xff\n", False)


async def test_a_pipe_that_is_full_holds_up_nothing_else() -> None:
    near, far = os.pipe()
    with os.fdopen(far, "w") as pipe, redirect_stdout(pipe):
        putting = asyncio.create_task(Output().put(bytes(1_000_000)))
        size = 0
        while size < 1_000_000:
            await asyncio.sleep(0)
            size += len(os.read(near, 65536))
        await putting
    os.close(near)


def test_text_streams_and_no_streams_take_no_data() -> None:
    text = StringIO()
    with redirect_stdout(text):
        Output().write(b"x")
    with redirect_stdout(None):
        Output().write(b"x")
    assert text.getvalue() == ""


def test_talk_goes_to_standard_error_or_nowhere() -> None:
    talk = StringIO()
    with redirect_stderr(talk):
        output = Output()
        output.note("so it stands")
        output.error(Fault("failed", "it failed", "try again"))
        output.error(Fault("failed", "it failed again"))
    assert talk.getvalue() == "-- so it stands\nerror: it failed\nhint: try again\nerror: it failed again\n"
    with redirect_stderr(None):
        Output().error(Fault("failed", "it failed"))


def test_with_json_errors_are_events_and_notes_are_left_out() -> None:
    data, talk = BytesIO(), StringIO()
    with redirect_stdout(TextIOWrapper(data)), redirect_stderr(talk):
        output = Output(json=True)
        output.note("so it stands")
        output.error(Fault("failed", "it failed", "try again"))
        output.error(Fault("failed", "it failed again"))
        assert data.getvalue().decode().splitlines() == [
            '{"type":"error","code":"failed","message":"it failed","hint":"try again"}',
            '{"type":"error","code":"failed","message":"it failed again"}',
        ]
    assert talk.getvalue() == ""

"""Places: in all and per address."""

from __future__ import annotations

from anyplug.server.admission import Admission


def test_the_last_place_is_given_and_the_next_is_not() -> None:
    admission = Admission(2, 10)
    assert [admission.enter("a"), admission.enter("b")] == ["", ""]
    assert admission.enter("c") == "all 2 places are taken; try again later"
    assert (admission.total, admission.refused) == (2, 1)


def test_one_address_cannot_take_every_place() -> None:
    admission = Admission(10, 1)
    assert admission.enter("a") == ""
    assert admission.enter("a") == "all 1 places for a are taken; close some connections or try again later"
    assert admission.enter("b") == ""


def test_a_place_that_is_given_back_can_be_taken_again() -> None:
    admission = Admission(1, 1)
    for _ in range(3):
        assert admission.enter("a") == ""
        admission.leave("a")
    assert admission.total == 0
    assert admission._hosts == {}

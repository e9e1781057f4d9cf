from __future__ import annotations

import pytest

from anyplug.cli.table import Column, drawn, plain

COLUMNS = (Column("NAME"), Column("SIZE", right=True), Column("PLACE"))


def test_plain_columns_are_aligned_and_have_no_trailing_spaces() -> None:
    rows = [("a", "1", "x"), ("longer", "12345", "yy")]
    assert plain(COLUMNS, rows) == "NAME     SIZE  PLACE\na           1  x\nlonger  12345  yy\n"


def test_a_table_without_rows_is_its_titles() -> None:
    assert plain(COLUMNS, []) == "NAME  SIZE  PLACE\n"


def test_a_drawn_table_holds_every_cell_and_obeys_none() -> None:
    text = drawn(COLUMNS, [("[bold]a[/bold]", ":smile:", "x%d")], width=60)
    assert "[bold]a[/bold]" in text
    assert ":smile:" in text
    assert "x%d" in text


@pytest.mark.parametrize("width", [10, 40])
def test_what_is_too_wide_is_folded_and_not_cut(width: int) -> None:
    text = drawn((Column("A"),), [("0123456789" * 3,)], width=width)
    assert "".join(text.split()).endswith("0123456789" * 3)

"""Tables: drawn by rich on a terminal, plain aligned columns anywhere else, for ``awk`` and ``grep``.

Cells are printed as they are: whoever fills them escapes what strangers chose (`anyplug.escape`), and writes ``-``
where there is nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anyplug.cli.output import Output

__all__ = ["Column", "drawn", "plain", "put_table"]

DRAWN_MOST: Final = 200
"""Rows that are drawn on a terminal. A longer table is printed plainly: it scrolls by either way, and at once."""


class Column(NamedTuple):
    """One column."""

    title: str
    right: bool = False
    """Whether its cells stand to the right, as numbers do."""


def put_table(output: Output, columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    """Print a table as data.

    Raises:
        BrokenPipeError: whoever read it has gone.
        OutputError: it cannot be written.
    """
    if output.terminal and len(rows) <= DRAWN_MOST:
        from shutil import get_terminal_size

        text = drawn(columns, rows, width=get_terminal_size().columns)
    else:
        text = plain(columns, rows)
    output.write(text.encode("utf-8", "surrogateescape"))


def plain(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> str:
    """The table in columns that two spaces part. The last column is not filled up."""
    titles = tuple(column.title for column in columns)
    widths = [max(map(len, cells)) for cells in zip(titles, *rows, strict=True)]
    places = [f"%{width}s" if column.right else f"%-{width}s" for column, width in zip(columns, widths, strict=True)]
    if not columns[-1].right:
        places[-1] = "%s"
    form = f"{'  '.join(places)}\n"
    return "".join([form % titles, *[form % tuple(row) for row in rows]])


def drawn(columns: Sequence[Column], rows: Sequence[Sequence[str]], *, width: int) -> str:
    """The table as rich draws it for a terminal of that width."""
    from io import StringIO

    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.title, justify="right" if column.right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    text = StringIO()
    Console(file=text, width=width, force_terminal=True, highlight=False).print(table)
    return text.getvalue()

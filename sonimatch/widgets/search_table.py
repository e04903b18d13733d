"""A table that can be searched and sorted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import traitlets

from sonimatch.plots import Figure
from sonimatch.widgets.element import Element

Cell = str | float | None


class SearchTable(Element):
    """Rows of words and numbers, found by words and sorted by a column.

    `columns` are the heads and `rows` the cells under them, None where there is none. `picture()` makes the figure that
    stands for the table where no script runs, and `summary` says what is in it.
    With a kernel the traits `words`, what is searched for, and `order`, the number of the column from 1, negative for
    the other way round and 0 for the order as given, follow the hand and move the table.
    Raises ValueError for rows that are not as long as `columns`, and for a column that there is not.
    Shown in notebooks/what_of_faust.md.
    """

    script = "search_table.js"
    words = traitlets.Unicode().tag(sync=True)
    order = traitlets.Int().tag(sync=True)

    def __init__(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[Cell]],
        picture: Callable[[], Figure],
        summary: str,
        title: str = "table",
        hint: str = "",
        **traits: Any,
    ) -> None:
        self.columns, self.rows, self.picture, self.summary = (
            list(columns),
            [list(row) for row in rows],
            picture,
            summary,
        )
        for number, row in enumerate(self.rows, 1):
            if len(row) != len(self.columns):
                raise ValueError(f"row {number} has {len(row)} cells and there are {len(self.columns)} columns")
        data = {"id": "table", "title": title, "hint": hint, "columns": self.columns, "rows": self.rows}
        super().__init__(data=data, **traits)

    @traitlets.validate("order")
    def _valid_order(self, proposal: Any) -> int:
        if abs(proposal["value"]) > len(self.columns):
            raise ValueError(f"order = {proposal['value']} is no column (there are {len(self.columns)})")
        return int(proposal["value"])

    def figure(self) -> Figure:
        return self.picture()

    def sentence(self) -> str:
        return self.summary

    def __repr__(self) -> str:
        return f"SearchTable({len(self.rows)} rows of {', '.join(self.columns)})"

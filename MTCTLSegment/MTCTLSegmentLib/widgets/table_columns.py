"""The columns of a table on a page: their titles, and which of them share the width that is left."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import qt


def set_up_columns(table: Any, titles: Sequence[str], stretched: Collection[int]) -> None:
    """Give a table its columns, and low rows without numbers.

    Args:
        table: A QTableWidget.
        titles: Of the columns.
        stretched: Indices of the columns that share the width; the others are as wide as their texts.
    """
    table.setColumnCount(len(titles))
    table.setHorizontalHeaderLabels(titles)
    table.verticalHeader().hide()
    table.verticalHeader().setDefaultSectionSize(22)
    header = table.horizontalHeader()
    header.setHighlightSections(False)
    for column in range(len(titles)):
        mode = qt.QHeaderView.Stretch if column in stretched else qt.QHeaderView.ResizeToContents
        header.setSectionResizeMode(column, mode)

"""Answers as a table: columns as wide as what stands in them, without a look at pandas."""

from __future__ import annotations

import pyarrow

from shrunk_tui.arrow import as_array
from shrunk_tui.widgets.answer_table import EXACT_ROWS, WIDEST_FLOAT, measured


def test_numbers_fit_where_the_least_and_the_greatest_are_short() -> None:
    table = pyarrow.table({"x": [1.0, 0.123456, -2.5e-7, 2.0, None], "n": [1, 22, 333, 4, None]})
    assert measured(table).column_content_widths == [len("-2.5e-07"), 3]
    many = pyarrow.table({"x": [0.5] * (EXACT_ROWS + 1)})
    assert measured(many).column_content_widths == [WIDEST_FLOAT]


def test_columns_become_arrays_whose_gaps_are_nan() -> None:
    chunks = pyarrow.chunked_array([[1.5, None], [], [3.0]])
    assert str(as_array(chunks).tolist()) == "[1.5, nan, 3.0]"
    assert as_array(chunks.slice(2)).tolist() == [3.0]
    assert as_array(pyarrow.array([1, 2], type=pyarrow.int32())).tolist() == [1, 2]
    assert as_array(pyarrow.chunked_array([], type=pyarrow.float64())).tolist() == []

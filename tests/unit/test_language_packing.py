"""Rows out of a stream: shapes, padding, document bounds, and the way back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shrunk_core.errors import ConfigError
from shrunk_core.language.packing import BOS, EOS, PAD, TokenStream, pack, unpack


def stream(documents):
    """A stream of documents, each a list of units, each a list of ids without `</s>`."""
    ids, units, ends = [], [0], [0]
    for document in documents:
        for unit in document:
            ids += [*unit, EOS]
            units.append(len(ids))
        ends.append(len(ids))
    words = np.array([len(unit) for document in documents for unit in document], dtype=np.uint32)
    return TokenStream(np.array(ids, dtype=np.uint16), np.array(units), np.array(ends), 100, words)


TWO = stream([[[10, 11, 12], [13]], [[20, 21]]])


def test_packed_rows_stay_within_a_document():
    rows = pack(TWO, sequence_length=5, packing="packed")
    assert rows.batch(np.arange(3)).tolist() == [
        [BOS, 10, 11, 12, EOS],
        [BOS, 13, EOS, PAD, PAD],
        [BOS, 20, 21, EOS, PAD],
    ]
    assert (rows.starts.dtype, rows.lengths.dtype, rows.num_tokens) == (np.int64, np.int32, len(TWO))


def test_rows_may_cross_documents_when_asked():
    rows = pack(TWO, sequence_length=8, packing="packed", cross_documents=True)
    assert rows.batch(np.arange(2)).tolist() == [
        [BOS, 10, 11, 12, EOS, 13, EOS, 20],
        [BOS, 21, EOS, PAD, PAD, PAD, PAD, PAD],
    ]


def test_one_unit_a_row_is_cut_with_its_end_kept():
    rows = pack(TWO, sequence_length=4, packing="documents")
    assert rows.batch(np.array([2, 0, 1])).tolist() == [[BOS, 20, 21, EOS], [BOS, 10, 11, EOS], [BOS, 13, EOS, PAD]]


def test_an_empty_stream_has_no_rows():
    for packing in ("packed", "documents", "grouped"):
        rows = pack(stream([]), sequence_length=8, packing=packing)
        assert len(rows) == 0 and len(unpack(rows)) == 0


def test_what_makes_no_rows_is_refused():
    with pytest.raises(ConfigError, match="sequence_length"):
        pack(TWO, sequence_length=2, packing="packed")
    with pytest.raises(ConfigError, match="cross_documents"):
        pack(TWO, sequence_length=8, packing="documents", cross_documents=True)
    with pytest.raises(ConfigError, match='choose "packed"'):
        pack(TWO, sequence_length=8, packing="joined")


def test_units_are_grouped_until_they_have_the_words_of_a_row():
    tokens = stream([[[10, 11], [12], [13, 14, 15]], [[20]], [[30, 31, 32, 33, 34, 35]]])
    rows = pack(
        tokens, sequence_length=5, packing="grouped"
    )  # 5 words and more fill a row of 5; here a word is a token
    assert rows.batch(np.arange(len(rows))).tolist() == [
        [BOS, 10, 11, EOS, EOS],
        [BOS, 20, EOS, PAD, PAD],
        [BOS, 30, 31, 32, EOS],
    ]
    assert len(pack(tokens, sequence_length=8, packing="grouped", cross_documents=True)) == 2


DOCUMENTS = st.lists(st.lists(st.lists(st.integers(5, 99), min_size=1, max_size=9), min_size=1, max_size=5), max_size=6)


@given(DOCUMENTS, st.integers(3, 12), st.booleans())
def test_unpacking_returns_the_stream(documents, sequence_length, cross_documents):
    tokens = stream(documents)
    rows = pack(tokens, sequence_length=sequence_length, packing="packed", cross_documents=cross_documents)
    assert np.array_equal(unpack(rows, batch_size=3), tokens.ids)
    if not cross_documents:
        document_of = np.repeat(np.arange(len(documents)), np.diff(tokens.document_offsets))
        for start, length in zip(rows.starts, rows.lengths, strict=True):
            assert 0 < length < sequence_length and len(set(document_of[start : start + length])) == 1


@given(DOCUMENTS, st.integers(3, 12))
def test_unpacking_one_unit_a_row_returns_the_units_cut_to_fit(documents, sequence_length):
    rows = pack(stream(documents), sequence_length=sequence_length, packing="documents")
    expected = [[*unit[: sequence_length - 2], EOS] for document in documents for unit in document]
    assert unpack(rows).tolist() == [i for unit in expected for i in unit]


@given(DOCUMENTS, st.integers(3, 30), st.booleans())
def test_groups_hold_whole_units_in_order_and_end_where_they_should(documents, sequence_length, cross_documents):
    tokens = stream(documents)
    rows = pack(tokens, sequence_length=sequence_length, packing="grouped", cross_documents=cross_documents)
    groups: list[list[list[int]]] = []
    enough = -(-sequence_length * 10 // 12)
    for document in documents:
        if not cross_documents:
            groups.append([])
        for unit in document:
            if not groups or sum(map(len, groups[-1])) >= enough:
                groups.append([])
            groups[-1].append(unit)
    expected = [[i for unit in group for i in (*unit, EOS)] for group in groups if group]
    assert len(rows) == len(expected)
    for i, group in enumerate(expected):
        cut = group if len(group) < sequence_length else [*group[: sequence_length - 2], EOS]
        assert rows.batch(np.array([i]))[0, 1 : 1 + len(cut)].tolist() == cut
        assert rows.lengths[i] == len(cut)

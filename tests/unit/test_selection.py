"""The slice that chooses is cut by families of rows, so that what is scored on it was not trained on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shrunk_core.downstream.rows import Rows
from shrunk_core.downstream.selection import families, selection_places
from shrunk_core.errors import DataError

SENTENCES = st.lists(st.text("abc ", min_size=1, max_size=9), min_size=1, max_size=25)


def rows_of(*columns: list[str]) -> Rows:
    return Rows(columns, np.zeros(len(columns[0]), dtype=np.int64))


def contains(long: list[str], short: list[str]) -> bool:
    return any(long[i : i + len(short)] == short for i in range(len(long) - len(short) + 1))


@given(SENTENCES)
def test_a_row_belongs_to_the_first_of_the_longest_rows_that_contain_it(texts: list[str]) -> None:
    words = [" ".join(text).split() for text in texts]
    texts = [" ".join(row).upper() for row in words]
    wanted = [
        max((j for j in range(len(words)) if contains(words[j], row)), key=lambda j: (len(words[j]), -j))
        for row in words
    ]
    assert families(rows_of(texts)).tolist() == wanted


def test_phrases_go_with_their_sentence_and_hypotheses_with_their_premise() -> None:
    phrases = ["a dull film", "not a dull film at all", "dull", "A film", "dull film at", "a film"]
    assert families(rows_of(phrases)).tolist() == [1, 1, 1, 3, 1, 3]
    premises = ["it rains", "the sun", "It  rains", "it"]
    assert families(rows_of(premises, ["wet", "dry", "dry", "wet"])).tolist() == [0, 1, 0, 3]


@given(st.lists(st.integers(0, 30), min_size=2, max_size=120), st.floats(0.05, 0.5), st.integers(0, 3))
def test_the_slice_is_whole_families_and_no_larger_than_asked(family: list[int], share: float, seed: int) -> None:
    sizes = {f: family.count(f) for f in family}
    wanted = min(50, round(share * len(family)))
    if not wanted or len(sizes) == 1:
        return
    places = selection_places(np.array(family), share, 50, seed)
    chosen = {family[i] for i in places}
    assert sorted(places) == [i for i, f in enumerate(family) if f in chosen]
    assert len(chosen) < len(sizes), "something is left to train on"
    if min(sizes.values()) <= wanted:
        assert len(places) <= wanted
        assert len(places) + min(sizes[f] for f in sizes if f not in chosen) > wanted, "and no family that fits is left"
    else:
        assert len(chosen) == 1
    assert (places == selection_places(np.array(family), share, 50, seed)).all()


def test_rows_of_one_sentence_give_no_slice() -> None:
    with pytest.raises(DataError, match="all belong to one sentence.*select_share=0"):
        selection_places(np.zeros(40, dtype=np.int64), 0.1, 100, 0)

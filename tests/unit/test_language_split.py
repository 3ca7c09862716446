"""Splits by content: disjoint, stable, in proportion, and refused with advice when one is empty."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shrunk_core.config.language_spec import CorpusSpec
from shrunk_core.errors import DataError
from shrunk_core.language.split import SPLITS, place, require_documents, split_at

SPEC = CorpusSpec(sources=("x",), validation_share=0.1, test_share=0.2)


def splits(texts, spec=SPEC):
    found = {s: set() for s in SPLITS}
    for text in texts:
        found[split_at(place(text.encode()), spec)].add(text)
    return found


@given(st.lists(st.text(max_size=20)), st.lists(st.text(max_size=20)))
def test_splits_are_disjoint_and_stable_when_documents_are_added(texts, more):
    before, after = splits(texts), splits(more + texts)
    assert sum(len(before[s]) for s in SPLITS) == len(set(texts))
    assert all(before[s] <= after[s] for s in SPLITS)


def test_shares_are_met_on_average():
    found = splits(str(i) for i in range(5000))
    assert abs(len(found["validation"]) - 500) < 60 and abs(len(found["test"]) - 1000) < 80


def test_places_are_pinned():
    assert place(b"In the beginning") == 0.5311085920216208


def test_an_empty_validation_split_is_refused_with_the_share_that_would_do():
    texts = [f"document {i}" for i in range(6)]
    spec = CorpusSpec(sources=("x",), validation_share=0.001, test_share=0.0)
    places = sorted(place(t.encode()) for t in texts)
    found = splits(texts, spec)
    with pytest.raises(DataError, match="the validation split is empty") as refusal:
        require_documents(spec, {s: len(found[s]) for s in SPLITS}, places)
    share = float(re.search(r"validation_share = ([\d.]+), or take", str(refusal.value)).group(1))
    better = CorpusSpec(sources=("x",), validation_share=share, test_share=0.0)
    found = splits(texts, better)
    assert len(found["validation"]) == 1
    require_documents(better, {s: len(found[s]) for s in SPLITS}, places)


def test_an_empty_test_split_is_refused_only_if_it_was_wanted():
    with pytest.raises(DataError, match="test_share = 0 to go without"):
        require_documents(SPEC, {"train": 3, "validation": 1, "test": 0}, [0.3])
    require_documents(CorpusSpec(sources=("x",), test_share=0.0), {"train": 3, "validation": 1, "test": 0}, [0.3])
    with pytest.raises(DataError, match="Lower validation_share"):
        require_documents(SPEC, {"train": 0, "validation": 1, "test": 1}, [0.1])

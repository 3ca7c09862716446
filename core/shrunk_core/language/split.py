"""Which split a document belongs to: its content alone decides.

A hash of the text gives each document a place between 0 and 1; test takes the places below `test_share`, validation the
next `validation_share`, train the rest. So more documents never move one that was there, two identical documents are
always in the same split, and no seed has a part in it. The price: shares are met only on average, and with few
documents a split may get none; that is refused with the share that would do (`require_documents`).
"""

from __future__ import annotations

import hashlib
import math

from ..config.language_spec import CorpusSpec
from ..errors import DataError

SPLITS = ("train", "validation", "test")


def place(text: str) -> float:
    """Where in [0, 1) a document of this text lies."""
    data = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest()[:6], "big") / 2**48


def split_at(place: float, corpus: CorpusSpec) -> str:
    """The split of a document that lies at `place`."""
    if place < corpus.test_share:
        return "test"
    return "validation" if place < corpus.test_share + corpus.validation_share else "train"


def require_documents(corpus: CorpusSpec, documents: dict[str, int], places: list[float]) -> None:
    """Raise DataError if a wanted split has no document with kept units.

    documents: by split, those with kept units. places: the smallest places of such documents, ascending, for advice.
    """
    total = sum(documents.values())
    wanted = [s for s in SPLITS if s != "test" or corpus.test_share > 0]
    for split in wanted:
        if documents[split]:
            continue
        advice = 'Take more documents, or cut them finer (`document = "paragraph"`).'
        if split == "train":
            advice = "Lower validation_share and test_share, or take more documents."
        elif split == "test":
            advice = f"test_share = 0 goes without one{_or_share('test_share', places, 0.0)}. {advice}"
        else:
            above = [p for p in places if p >= corpus.test_share]
            share = _or_share("validation_share", above, corpus.test_share)
            advice = f"Try{share.removeprefix(', or')}. {advice}" if share else advice
        raise DataError(
            f"the {split} split is empty: of {total} documents with kept units it got none (validation_share = "
            f"{corpus.validation_share:g}, test_share = {corpus.test_share:g}; a hash of its text gives each its split). "
            f"{advice}"
        )


def _or_share(key: str, places: list[float], below: float) -> str:
    """`, or key = SHARE` with the share, rounded up, that reaches the lowest of `places`; empty if none may."""
    if not places:
        return ""
    share = math.floor((places[0] - below) * 1000 + 1) / 1000
    return f", or {key} = {share:g}" if share <= 0.5 else ""

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


def place(data: bytes) -> float:
    """Where in [0, 1) a document of this text, as UTF-8, lies."""
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest()[:6], "big") / 2**48


def split_at(place: float, corpus: CorpusSpec) -> str:
    """The split of a document that lies at `place`."""
    if place < corpus.test_share:
        return "test"
    return "validation" if place < corpus.test_share + corpus.validation_share else "train"


def require_documents(corpus: CorpusSpec, documents: dict[str, int], places: list[float]) -> None:
    """Raise DataError if a wanted split has no document with kept units.

    documents: by split, those with kept units. places: their smallest places, ascending, for advice on the shares.
    """
    for split in SPLITS:
        if documents[split] or (split == "test" and corpus.test_share == 0):
            continue
        if split == "train":
            advice = "Lower validation_share and test_share"
        elif split == "test":
            advice = f"Set test_share = 0 to go without one{_enough('test_share', places, 0.0)}"
        else:
            above = [p for p in places if p >= corpus.test_share]
            advice = f"Cut documents finer{_enough('validation_share', above, corpus.test_share)}"
        raise DataError(
            f"the {split} split is empty: the hash of its text gives each document its split, and of "
            f"{sum(documents.values())} with kept units none fell to it (validation_share = "
            f"{corpus.validation_share:g}, test_share = {corpus.test_share:g}). {advice}, or take more documents."
        )


def _enough(key: str, places: list[float], below: float) -> str:
    """`, or KEY = SHARE` with the share, rounded up, that reaches the lowest of `places`; "" if none may."""
    if not places:
        return ""
    share = math.floor((places[0] - below) * 1000 + 1) / 1000
    return f", or {key} = {share:g}" if share <= 0.5 else ""

"""The splits of a corpus as token ids on disk, ready to be mapped into memory."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from ..errors import DataError
from .packing import NUM_SPECIAL, TokenStream
from .split import SPLITS
from .tokenizer import Encoder

_BLOCK = 20_000
"""Units encoded at once."""


def read_units(folder: Path, split: str) -> Iterator[list[str]]:
    """The kept units of each document of a split, in order: one unit a line, a blank line after each document."""
    with open(folder / f"{split}.txt", encoding="utf-8", newline="\n") as file:
        document: list[str] = []
        for line in file:
            if line != "\n":
                document.append(line[:-1])
            elif document:
                yield document
                document = []


def write_tokens(corpus: Path, folder: Path, encoder: Encoder, vocab_size: int) -> Iterator[tuple[int, int]]:
    """Encode the splits of a corpus folder into `folder`; yields (bytes of text done, bytes in all) now and then."""
    dtype = token_dtype(vocab_size)
    total = sum((corpus / f"{split}.txt").stat().st_size for split in SPLITS)
    done = 0
    report: dict[str, int] = {"vocab_size": vocab_size}
    for split in SPLITS:
        unit_lengths: list[np.ndarray] = []
        unit_words: list[np.ndarray] = []
        document_units: list[int] = []
        counts = np.zeros(vocab_size, dtype=np.int64)
        with open(folder / f"{split}.bin", "wb") as file:
            for block in _blocks(read_units(corpus, split)):
                units = list(itertools.chain.from_iterable(block))
                ids, lengths = encoder.encode(units)
                _write(file, ids.astype(dtype))
                counts += np.bincount(ids, minlength=vocab_size)
                unit_lengths.append(lengths)
                unit_words.append(np.array([unit.count(" ") + 1 for unit in units], dtype=np.uint32))
                document_units += [len(d) for d in block]
                done += sum(len(unit) + 1 for unit in units)
                yield min(done, total), total
        unit_offsets = _offsets(np.concatenate(unit_lengths) if unit_lengths else np.empty(0, dtype=np.int64))
        document_offsets = unit_offsets[_offsets(np.array(document_units, dtype=np.int64))]
        _save(folder / f"{split}.units.npy", unit_offsets)
        _save(folder / f"{split}.documents.npy", document_offsets)
        _save(folder / f"{split}.words.npy", np.concatenate([*unit_words, np.empty(0, dtype=np.uint32)]))
        report[f"{split}_tokens"] = int(unit_offsets[-1])
        if split == "train":
            counts[:NUM_SPECIAL] = 0
            _save(folder / "unigram.npy", counts)
    (folder / "report.json").write_text(json.dumps(report, indent=2) + "\n")


def read_tokens(folder: Path, split: str) -> TokenStream:
    """A split of a tokens folder, mapped from disk."""
    if split not in SPLITS:
        raise DataError(f'there is no split "{split}"; choose {", ".join(SPLITS)}')
    vocab_size = read_report(folder)["vocab_size"]
    path = folder / f"{split}.bin"
    unit_offsets = np.load(folder / f"{split}.units.npy", mmap_mode="r")
    document_offsets = np.load(folder / f"{split}.documents.npy", mmap_mode="r")
    dtype = token_dtype(vocab_size)
    n = int(unit_offsets[-1])
    if path.stat().st_size != n * np.dtype(dtype).itemsize:
        raise DataError(
            f"{path} is damaged: {path.stat().st_size} bytes for {n} tokens. Remove {folder} and run again."
        )
    ids = np.memmap(path, dtype=dtype, mode="r") if n else np.empty(0, dtype=dtype)  # an empty file cannot be mapped
    unit_words = np.load(folder / f"{split}.words.npy", mmap_mode="r")
    return TokenStream(ids, unit_offsets, document_offsets, vocab_size, unit_words)


def read_report(folder: Path) -> dict[str, int]:
    """`vocab_size` and the tokens of each split (`train_tokens` ...) of a tokens folder."""
    try:
        return json.loads((folder / "report.json").read_text())
    except (OSError, ValueError) as problem:
        raise DataError(f"no tokens in {folder}: build the corpus first (`shrunk run` does)") from problem


def token_dtype(vocab_size: int) -> type:
    """The smallest unsigned integers that hold all ids."""
    return np.uint16 if vocab_size <= 65_536 else np.uint32


def _blocks(documents: Iterator[list[str]]) -> Iterator[list[list[str]]]:
    block: list[list[str]] = []
    size = 0
    for document in documents:
        block.append(document)
        size += len(document)
        if size >= _BLOCK:
            yield block
            block, size = [], 0
    if block:
        yield block


def _offsets(lengths: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def _write(file: IO[bytes], array: np.ndarray) -> None:
    file.write(array.tobytes())


def _save(path: Path, array: np.ndarray) -> None:
    """A .npy file; written through Python, because numpy's own writing loses the reason when the disk is full."""
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
        _write(file, array)

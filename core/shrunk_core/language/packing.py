"""Cutting a token stream into rows of S tokens. A row is `<s>`, up to S - 1 tokens of the stream, then `<pad>`s.

The choice is part of a run's identity (`TrainSpec.packing`, `cross_documents`):

- `packed`: a document's units, each ended by its `</s>`, cut into consecutive rows. A row never holds two documents, so
  neither attention nor loss can cross them; only a document's last row is padded.
- `packed` with `cross_documents`: the whole split is one stream; only its very last row is padded (and kept, so that
  packing loses nothing).
- `documents`: one unit a row, cut after S - 2 tokens and ended by `</s>` when it is longer than S - 1.
- `grouped` (the paper's): units joined in order until they have S / 1.2 words, one group a row, cut like `documents`; at
  S = 128 a group ends with the unit that brings it to 107 words. With `cross_documents`, as in the paper, a group goes on
  into the next document; without, it never does.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..errors import ConfigError

BOS, PAD, EOS, UNK, MASK = 0, 1, 2, 3, 4
"""Ids of `<s>`, `<pad>`, `</s>`, `<unk>`, `<mask>` in every tokenizer of ours."""

NUM_SPECIAL = 5


@dataclass(frozen=True, eq=False)
class TokenStream:
    """One split as flat token ids, each unit ended by `</s>`, without `<s>` and `<pad>`.

    ids: uint16 or uint32 [N], mapped from disk.
    unit_offsets: int64 [units + 1], where each unit begins in `ids`; the last entry is N.
    document_offsets: int64 [documents + 1], where each document begins in `ids`; the last entry is N.
    unit_words: uint32 [units], words of each unit; needed for grouping only.
    """

    ids: np.ndarray
    unit_offsets: np.ndarray
    document_offsets: np.ndarray
    vocab_size: int
    unit_words: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.uint32))

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, eq=False)
class PackedRows:
    """Rows of a stream, made when asked for: only where each begins and how long it is lies in memory.

    starts: int64 [n], first stream token of a row. lengths: int32 [n], its stream tokens, at most S - 1.
    closed: the last token of every row is `</s>`, whatever stands in the stream (units cut to fit).
    """

    ids: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray
    sequence_length: int
    closed: bool = False

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def num_tokens(self) -> int:
        """Stream tokens in all rows: `</s>` counts, `<s>` and `<pad>` do not."""
        return int(self.lengths.sum())

    def batch(self, indices: np.ndarray) -> np.ndarray:
        """Rows as int64 [B, S] for row numbers [B]."""
        starts, lengths = self.starts[indices], self.lengths[indices]
        column = np.arange(self.sequence_length - 1, dtype=np.int64)
        at = starts[:, None] + column
        np.minimum(at, len(self.ids) - 1, out=at)  # the padding of the stream's last row looks past its end
        rows = np.empty((len(starts), self.sequence_length), dtype=np.int64)
        rows[:, 0] = BOS
        rows[:, 1:] = self.ids[at]
        rows[:, 1:][column >= lengths[:, None]] = PAD
        if self.closed:
            rows[np.arange(len(starts)), lengths] = EOS
        return rows


def pack(stream: TokenStream, *, sequence_length: int, packing: str, cross_documents: bool = False) -> PackedRows:
    """Cut `stream` into rows of `sequence_length` tokens, `<s>` included. `packing`: `packed`, `documents` or `grouped`."""
    room = sequence_length - 1
    if room < 2:
        raise ConfigError(f"sequence_length = {sequence_length}: a row needs room for `<s>`, a token and `</s>`")
    ids = np.asarray(stream.ids)  # a plain view: indexing numpy's memmap class is slower
    if packing == "documents":
        if cross_documents:
            raise ConfigError(
                'cross_documents = true needs packing = "packed": with "documents" every unit has its own row'
            )
        starts = np.asarray(stream.unit_offsets[:-1], dtype=np.int64)
        lengths = np.minimum(np.diff(stream.unit_offsets), room).astype(np.int32)
        return PackedRows(ids, starts, lengths, sequence_length, closed=True)
    if packing == "grouped":
        starts, stops = _groups(stream, sequence_length, cross_documents)
        return PackedRows(ids, starts, np.minimum(stops - starts, room).astype(np.int32), sequence_length, closed=True)
    if packing != "packed":
        raise ConfigError(f'packing = "{packing}": choose "packed", "documents" or "grouped"')
    bounds = np.array([0, len(ids)], dtype=np.int64) if cross_documents else np.asarray(stream.document_offsets)
    sizes = np.diff(bounds)
    counts = -(-sizes // room)  # rows of each document, rounded up; an empty document has none
    first = np.cumsum(counts) - counts
    nth = np.arange(int(counts.sum()), dtype=np.int64) - np.repeat(first, counts)  # row's place in its document
    starts = np.repeat(bounds[:-1], counts) + nth * room
    lengths = np.minimum(np.repeat(bounds[1:], counts) - starts, room).astype(np.int32)
    return PackedRows(ids, starts, lengths, sequence_length)


def _groups(stream: TokenStream, sequence_length: int, cross_documents: bool) -> tuple[np.ndarray, np.ndarray]:
    """int64 [groups]: where each group of units begins and ends in the stream."""
    offsets = np.asarray(stream.unit_offsets)
    words = np.concatenate([[0], np.cumsum(stream.unit_words, dtype=np.int64)])
    if len(words) != len(offsets):
        raise ConfigError('packing = "grouped" needs the words of each unit, which these tokens lack; build them again')
    enough = -(-sequence_length * 10 // 12)  # words x 1.2 >= S, in whole numbers
    # The unit behind the group that a unit would begin, were there no documents.
    behind = np.minimum(np.searchsorted(words, words[:-1] + enough, side="left"), len(offsets) - 1)
    if not cross_documents:
        last = np.searchsorted(offsets, np.asarray(stream.document_offsets), side="left")  # documents in units
        ends = last[np.searchsorted(last, np.arange(len(behind)), side="right")]
        behind = np.minimum(behind, ends)
    following = behind.tolist()
    first = [0] if following else []
    while first and following[first[-1]] < len(following):
        first.append(following[first[-1]])
    cuts = np.array([*first, len(following)], dtype=np.int64)
    return offsets[cuts[:-1]].astype(np.int64), offsets[cuts[1:]].astype(np.int64)


def unpack(rows: PackedRows, batch_size: int = 1024) -> np.ndarray:
    """The stream tokens [num_tokens] that the rows hold, in order, without `<s>` and `<pad>`: the inverse of `pack`.

    Of `documents` and `grouped` rows, what is longer than a row comes back cut.
    """
    parts = []
    for start in range(0, len(rows), batch_size):
        index = np.arange(start, min(start + batch_size, len(rows)))
        body = rows.batch(index)[:, 1:]
        parts.append(body[np.arange(rows.sequence_length - 1) < rows.lengths[index][:, None]])
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)

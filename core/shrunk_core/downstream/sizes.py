"""A task that a filter left nothing of is refused, not scored."""

from __future__ import annotations

from ..config.cell import FinetuneSpec
from ..errors import DataError
from .rows import TRAIN, TaskRows


def refuse_small(spec: FinetuneSpec, task: str, rows: TaskRows) -> None:
    """DataError with the count when a split has fewer examples than `min_examples`."""
    for split, part in rows.splits.items():
        # validation sets may be smaller than training sets; a score over a few dozen examples still says little
        least = spec.min_examples if split == TRAIN else max(2, spec.min_examples // 2)
        if len(part) < least:
            raise DataError(
                f"{task} has {len(part)} {split} examples left, fewer than {least} (min_examples = "
                f"{spec.min_examples}): refused, because a score on them would say nothing"
            )

"""Points to analyse, wherever they come from: rows of named values, read strictly when they are used.

The names are the same for a file and for a lab (`NAMES`), so that the commands know neither. A column that no name is
mapped to keeps its own name, for --where, --axis, --base and the like.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from shrunk_core.config.expression import parse
from shrunk_core.errors import ConfigError, DataError, FitError

SHAPE = ("embedding_size", "hidden_size", "intermediate_size", "num_heads", "num_layers")
NUMBERS = (
    "loss",
    "perplexity",
    "flops",
    "n",
    "d",
    "update",
    "updates",
    "warmup",
    "x",
    "y",
    "seconds",
    "gpu_hours",
    "energy",
    *SHAPE,
)
"""Nats, perplexity, FLOPs, parameters, training tokens, the update, updates of the whole schedule and of its warm-up, any x
and y, seconds, GPU hours, joules, the shape."""
TEXTS = ("run", "seed", "tie")
NAMES = (*NUMBERS, *TEXTS)

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?(?:nan|inf|infinity)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Points:
    """Rows with a value a column; a text that is no number stays text.

    places      where each row is from, for messages ("line 17", a run's name).
    cells       what is trained in each row, seeds left out, or () where only `run` can tell.
    described   columns that say how a row's model was made: what a ladder holds still and compares.
    mapped      the names that were mapped in so many words, rather than found by their name.
    own         for the file's own columns that a name stands for: that name.
    tasks       columns that are scores of a lab's runs on tasks; None where a run has none.
    counting    of `flops`, or "" where the file does not say.
    """

    source: str
    rows: list[dict[str, Any]]
    places: list[str]
    columns: tuple[str, ...]
    cells: list[str] = field(default_factory=list)
    described: tuple[str, ...] = ()
    mapped: frozenset[str] = frozenset()
    own: dict[str, str] = field(default_factory=dict)
    tasks: tuple[str, ...] = ()
    counting: str = ""
    evaluation_id: str = ""

    def __len__(self) -> int:
        return len(self.rows)

    def has(self, name: str) -> bool:
        return name in self.columns

    def named(self, name: str, option: str) -> str:
        """The column that a person means. ConfigError lists what there is, the nearest spelling first."""
        if name in self.own:
            return self.own[name]
        if name in self.columns:
            return name
        raise unknown(option, name, self.columns, self.source)

    def values(self, name: str) -> list[Any]:
        return [row[name] for row in self.rows]

    def texts(self, name: str) -> list[str]:
        """A column of labels. DataError names blank cells."""
        found = [str(value).strip() for value in self.values(name)]
        self._refuse(name, [i for i, text in enumerate(found) if not text], "blank")
        return found

    def numbers(self, name: str) -> list[float]:
        """A column of numbers. ConfigError when there is none; DataError names the rows that hold no number."""
        if name not in self.columns:
            how = "" if self.cells else f": map a column to it with --map {name}=COLUMN"
            raise ConfigError(f"{self.source} has no `{name}`{how}. There are: {', '.join(self.columns)}")
        values = self.values(name)
        self._refuse(
            name, [i for i, v in enumerate(values) if isinstance(v, bool) or not isinstance(v, (int, float))], ""
        )
        return [float(value) for value in values]

    def _refuse(self, name: str, bad: list[int], what: str) -> None:
        if not bad:
            return
        shown = "; ".join(
            f"{self.places[i]}: {what or (f'{v!r} is no number' if (v := self.rows[i][name]) not in (None, '') else 'blank')}"
            for i in bad[:5]
        )
        more = f"; and {len(bad) - 5} more" if len(bad) > 5 else ""
        raise DataError(
            f"{self.source}, column `{name}`: {shown}{more}; repair these rows, or leave them out with --where"
        )

    def labels(self) -> list[str] | None:
        """What is resampled: cells of a grid, else runs, else (None) every row is a run of its own."""
        return self.cells or (self.texts("run") if self.has("run") else None)

    def seeds(self) -> list[str] | None:
        return self.texts("seed") if self.has("seed") else None

    def trained(self) -> list[str]:
        """One label a trained model. ConfigError where rows cannot be told apart by run."""
        if not self.has("run"):
            raise ConfigError(f"{self.source}: say which column names the run, --map run=COLUMN")
        seeds = self.seeds() or [""] * len(self)
        return [f"{run} {seed}".strip() for run, seed in zip(self.texts("run"), seeds, strict=True)]

    def take(self, rows: Iterable[int]) -> Points:
        """Some of the rows, in the order given."""
        kept = list(rows)
        return replace(
            self,
            rows=[self.rows[i] for i in kept],
            places=[self.places[i] for i in kept],
            cells=[self.cells[i] for i in kept] if self.cells else [],
        )

    def where(self, text: str | None) -> Points:
        """The rows for which an expression holds. Names are columns; other characters of a header count as `_`."""
        if text is None:
            return self
        expression = parse(text)
        words = {re.sub(r"\W", "_", name): name for name in self.columns}
        kept = [i for i, row in enumerate(self.rows) if expression({w: row[name] for w, name in words.items()})]
        if not kept:
            raise FitError(f"no row of {self.source} has {text}")
        return self.take(kept)


def loose(text: str) -> Any:
    """A cell as a number where it is one in so many characters, else as the text that it is."""
    text = text.strip()
    if not _NUMBER.fullmatch(text):
        return text
    value = float(text)
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def pair(text: str, option: str, form: str) -> tuple[str, str]:
    """NAME=VALUE. ConfigError when there is no `=` with something on both sides."""
    name, found, value = (part.strip() for part in text.partition("="))
    if not (name and found and value):
        raise ConfigError(f"{option} {text}: write {option} {form}")
    return name, value


def unknown(option: str, name: str, known: Sequence[str], source: str) -> ConfigError:
    """ConfigError for a name that is not there."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f" (did you mean `{near[0]}`?)" if near else ""
    return ConfigError(f"{option}: {source} has no `{name}`{hint}. There are: {', '.join(known)}")

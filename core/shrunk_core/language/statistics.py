"""What a built corpus is like: sizes, lengths of units, ranks of words. Counted once, kept beside the corpus."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from .building import write_json
from .corpus import corpus_folder, read_manifest
from .scan import Forms
from .split import SPLITS
from .tokens import read_units
from .vocabulary import Vocabulary
from .words import Normalisation, normalise

_FILE = "statistics.json"
_BLOCK = 20_000
ZIPF_RANKS = (1, 1000)
"""The Zipf exponent is fitted on these ranks: beyond, counts are few and ties make steps."""

TTR_WORDS = 100_000
"""The type-token ratio is of the first so many counted words, because it falls with length."""


def corpus_statistics(lab: Path, fingerprint: str) -> dict[str, Any]:
    """Counts of the train split: `words`, `types`, `type_token_ratio` of the first `ttr_words`, `zipf_exponent` (of count
    against rank, least squares on logs over ZIPF_RANKS), `length_histogram` ([words of a unit, units]), `top_words` and
    `rank_counts` ([rank, count] at ranks in even ratios).
    """
    folder = corpus_folder(lab, fingerprint)
    path = folder / _FILE
    if path.is_file():
        try:
            return json.loads(path.read_text())
        except ValueError:
            pass  # half-written by somebody else's tool: count again
    found = _count(folder, _normalisation(read_manifest(lab, fingerprint)))
    write_json(path, found)
    return found


def _normalisation(manifest: dict[str, Any]) -> Normalisation:
    return Normalisation(**{n: manifest["recipe"][n] for n in Normalisation.__dataclass_fields__})


def _count(folder: Path, how: Normalisation) -> dict[str, Any]:
    words: Counter[str] = Counter()
    lengths: Counter[int] = Counter()
    first_types: set[str] = set()
    first = 0
    forms = Forms(how)
    block: list[str] = []

    def count() -> None:
        nonlocal forms, first
        if forms.full:
            forms = Forms(how)
        lengths.update(unit.count(" ") + 1 for unit in block)
        words.update(forms.counted(unit.encode() for unit in block))
        if first < TTR_WORDS:
            for word in (w for unit in block for s in unit.split() for w in normalise(s, how)):
                if first == TTR_WORDS:
                    break
                first_types.add(word)
                first += 1

    for units in read_units(folder, "train"):
        block += units
        if len(block) >= _BLOCK:
            count()
            block = []
    if block:
        count()
    counts = np.array(sorted(words.values(), reverse=True), dtype=float)
    ranks = np.unique(np.geomspace(1, max(1, len(counts)), 60).astype(int)) if len(counts) else np.empty(0, dtype=int)
    return {
        "words": int(counts.sum()),
        "types": len(words),
        "type_token_ratio": len(first_types) / first if first else None,
        "ttr_words": first,
        "zipf_exponent": zipf_exponent(counts),
        "length_histogram": [[n, lengths[n]] for n in sorted(lengths)],
        "top_words": [list(pair) for pair in words.most_common(50)],
        "rank_counts": [[int(r), int(counts[r - 1])] for r in ranks],
    }


def zipf_exponent(counts: np.ndarray) -> float | None:
    """s of count = c / rank^s by least squares on logs; None of fewer than 10 ranks. counts: descending."""
    low, high = ZIPF_RANKS
    used = counts[low - 1 : high]
    if len(used) < 10:
        return None
    slope = np.polyfit(np.log(np.arange(low, low + len(used))), np.log(used), 1)[0]
    return float(-slope)


def marked(text: str, vocabulary: Vocabulary, how: Normalisation, mark: str = "**") -> str:
    """A dropped unit with its words out of vocabulary between marks."""
    known = vocabulary.words
    return " ".join(
        f"{mark}{s}{mark}" if any(w not in known and w[0] != "#" for w in normalise(s, how)) else s
        for s in text.split()
    )


def corpus_vocabulary(lab: Path, manifest: dict[str, Any]) -> Vocabulary | None:
    """The words that a built corpus allowed; None of a control."""
    path = corpus_folder(lab, manifest["fingerprint"]) / "vocabulary.txt"
    if not path.is_file():
        return None
    return Vocabulary(frozenset(path.read_text(encoding="utf-8").split()), manifest["vocabulary"]["origin"])


def dropped_examples(lab: Path, manifest: dict[str, Any], mark: str = "**") -> list[str]:
    """Units that the filter dropped, their unknown words marked."""
    vocabulary = corpus_vocabulary(lab, manifest)
    if vocabulary is None:
        return []
    how = _normalisation(manifest)
    return [marked(text, vocabulary, how, mark) for text in manifest["examples"]["dropped"]]


def card(lab: Path, fingerprint: str) -> str:
    """A corpus card in Markdown: where the language is from, what was done to it, what it is like."""
    m = read_manifest(lab, fingerprint)
    s = corpus_statistics(lab, fingerprint)
    recipe = m["recipe"]
    lines = [f"# Reduced language {fingerprint}", ""]
    lines += [f"Built {m['created_at']} by shrunk-tui {m['version']} in {m['seconds']:.0f} s.", ""]
    rule = (
        f"Units ({recipe['unit']}) of at least {recipe['min_words']} words, at most {recipe['max_oov']:.2%} of them outside "
        f"{m['vocabulary']['words']:,} words (`{m['vocabulary']['origin']}`)."
        if recipe["filter"] == "vocabulary"
        else f"Unconstrained: every unit ({recipe['unit']}) of at least {recipe['min_words']} words."
    )
    lines += ["## Rule", "", rule]
    off = [n for n in Normalisation.__dataclass_fields__ if not recipe[n]]
    lines += [f"Normalisation as in the paper{', but without ' + ', '.join(off) if off else ''}.", ""]
    if m["evaluation_from"]:
        lines += [f"Control: its validation and test splits are those of corpus {m['evaluation_from']}.", ""]
    lines += [
        "## Sources",
        "",
        "| source | licence | documents | units | kept | not UTF-8 |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for of in m["sources"]:
        share = of["units_kept"] / max(1, of["units_seen"])
        licence = of["licence"] or "not stated"
        lines.append(
            f"| `{of['source']}` | {licence} | {of['documents']:,} | {of['units_seen']:,} | {share:.1%} | "
            f"{of['replaced_characters']:,} |"
        )
    lines += ["", "## Stages", "", "| stage | units | words |", "|---|--:|--:|"]
    lines.append(f"| seen | {m['units_seen']:,} | {m['words_seen']:,} |")
    lines.append(f"| too short | {m['units_short']:,} | |")
    lines.append(f"| words outside the vocabulary | {m['units_out_of_vocabulary']:,} | |")
    lines.append(f"| kept by the filter | {m['units_kept']:,} | {m['words_kept']:,} |")
    lines.append(f"| exact duplicates | {m['duplicates']['exact']:,} | |")
    lines.append(f"| near-duplicates | {m['duplicates']['near']:,} | |")
    lines += [f"| {split} | {m['splits'][split]['units']:,} | {m['splits'][split]['words']:,} |" for split in SPLITS]
    lines += ["", "## The train split", ""]
    lines.append(f"- {s['types']:,} distinct words")
    if s["type_token_ratio"] is not None:
        lines.append(f"- type-token ratio of the first {s['ttr_words']:,} words: {s['type_token_ratio']:.4f}")
    if s["zipf_exponent"] is not None:
        lines.append(f"- Zipf exponent on ranks {ZIPF_RANKS[0]} to {ZIPF_RANKS[1]:,}: {s['zipf_exponent']:.3f}")
    unknown = ", ".join(f"{word} ({n:,})" for word, n in m["top_out_of_vocabulary"][:20])
    if unknown:
        lines.append(f"- most frequent words left out: {unknown}")
    lines += ["", "## Kept, for example", "", *(f"- {text}" for text in m["examples"]["kept"])]
    dropped = dropped_examples(lab, m)
    if dropped:
        lines += ["", "## Dropped, for example", "", *(f"- {text}" for text in dropped)]
    return "\n".join(lines) + "\n"

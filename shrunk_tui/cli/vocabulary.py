"""`shrunk vocabulary`: a word list, what it makes of a text, and how two lists overlap."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

import typer
from shrunk_core.config.language_spec import CorpusSpec
from shrunk_core.errors import ConfigError
from shrunk_core.language.batches import batches
from shrunk_core.language.coverage import Coverage
from shrunk_core.language.coverage import coverage as cover
from shrunk_core.language.machine_code import COMPILING, is_compiled
from shrunk_core.language.shrinker import WordCounter
from shrunk_core.language.sources import Reading, resolve
from shrunk_core.language.vocabulary import Vocabulary, load_vocabulary, needs_sources, top_words
from shrunk_core.record.events import CorpusProgress

from ..charts import Chart, Series, draw
from .language import ProgressLine, SourceOption, TextColumnOption, noun
from .output import Format, FormatOption, bold, chart_size, colours, print_object, print_rows, say

app = noun()


@app.callback()
def about_vocabularies() -> None:
    """Word lists: show, how much of a text they cover, compare.

    Example: shrunk vocabulary coverage childes.csv --source books.parquet
    """


ListArgument = Annotated[str, typer.Argument(help="Word list, CSV with a `word` column, top:N, wordfreq:en:N.")]


@app.command()
def show(
    vocabulary: ListArgument,
    source: SourceOption = None,
    text_column: TextColumnOption = "text",
    words: Annotated[int, typer.Option(help="So many words are shown.", min=0)] = 40,
    how: FormatOption = Format.table,
) -> None:
    """A vocabulary as the filter understands it: its size, what its file needed, its first words.

    Examples: shrunk vocabulary show childes.csv    shrunk vocabulary show top:3000 --source embedded:kjv
    """
    loaded = _load(vocabulary, source, text_column)
    value = {
        "vocabulary": loaded.origin,
        "words": len(loaded),
        "notes": list(loaded.notes),
        "first_words": list(loaded.ordered[:words]),
    }
    if how is not Format.table:
        print_object(value, how)
        return
    print(f"{loaded.origin}: {len(loaded):,} words (numbers and links are known besides)")
    for note in loaded.notes:
        print(f"  {note}")
    print("  " + " ".join(value["first_words"]))


@app.command()
def coverage(
    vocabulary: ListArgument,
    source: SourceOption = None,
    text_column: TextColumnOption = "text",
    min_words: Annotated[int, typer.Option(help="Shorter sentences do not count; 1: all.", min=1)] = 6,
    top: Annotated[int, typer.Option(help="So many of the words left out are shown.", min=0)] = 40,
    how: FormatOption = Format.table,
) -> None:
    """What a vocabulary makes of a text: words covered, sentences kept, the words it leaves out, and what a shorter
    list (its first N words) would keep.

    Example: shrunk vocabulary coverage childes.csv --source books.parquet
    """
    if not source:
        raise ConfigError("name the text: --source FILE (repeat it for several)")
    spec = CorpusSpec(sources=tuple(source), text_column=text_column, min_words=min_words)
    loaded = _load(vocabulary, source, text_column)
    if not is_compiled():
        say(COMPILING)
    found = Coverage()
    with ProgressLine() as line:
        for done, total, so_far in cover(spec, loaded, top):
            found = so_far
            line.show(CorpusProgress(fingerprint="", stage="coverage", done=done, total=total, unit="bytes"))
    rows = [_row(s.source, s.words, s.words_known, s.units, s.units_kept) for s in found.sources]
    if len(rows) > 1:
        sums = [sum(getattr(s, n) for s in found.sources) for n in ("words", "words_known", "units", "units_kept")]
        rows.append(_row("all", *sums))
    if how is Format.json:
        left = [{"word": w, "count": n} for w, n in found.left_out]
        curve = [{"words": n, "units_kept_share": k, "words_known_share": w} for n, k, w in found.curve]
        print_object({"sources": rows, "left_out": left, "curve": curve}, how)
        return
    columns = ("source", "words", "words_known", "words_known_share", "units", "units_kept", "units_kept_share")
    percent = {n: lambda v: f"{v:.2%}" for n in ("words_known_share", "units_kept_share")}
    print_rows(rows, columns, how, percent)
    if how is Format.table:
        print("\n" + bold("most frequent words left out"))
        print("  " + ", ".join(f"{w} {n:,}" for w, n in found.left_out))
        print("\n" + _curve(found))


def _row(source: str, words: int, known: int, units: int, kept: int) -> dict[str, Any]:
    return {
        "source": source,
        "words": words,
        "words_known": known,
        "words_known_share": known / max(1, words),
        "units": units,
        "units_kept": kept,
        "units_kept_share": kept / max(1, units),
    }


def _curve(found: Coverage) -> str:
    width, height = chart_size()
    sizes = [float(n) for n, _, _ in found.curve]
    chart = Chart(
        title="share by size of the vocabulary (its first words)",
        x_label="words in the vocabulary",
        y_label="share",
        series=(
            Series(label="sentences kept", x=sizes, y=[k for _, k, _ in found.curve], line=True),
            Series(label="words covered", x=sizes, y=[w for _, _, w in found.curve], line=True, colour=1),
        ),
        log_x=True,
    )
    return draw(chart, width=width, height=height, colour=colours())


@app.command()
def compare(
    first: ListArgument,
    second: ListArgument,
    source: SourceOption = None,
    text_column: TextColumnOption = "text",
    words: Annotated[int, typer.Option(help="So many of the words in one list only are shown.", min=0)] = 20,
    how: FormatOption = Format.table,
) -> None:
    """Overlap of two vocabularies.

    Example: shrunk vocabulary compare childes.csv wordfreq:en:20000
    """
    one, other = (_load(name, source, text_column) for name in (first, second))
    both = one.words & other.words
    only = [[w for w in a.ordered if w not in b.words] for a, b in ((one, other), (other, one))]
    value = {
        "first": one.origin,
        "second": other.origin,
        "first_words": len(one),
        "second_words": len(other),
        "both": len(both),
        "first_only": len(only[0]),
        "second_only": len(only[1]),
        "jaccard": len(both) / max(1, len(one.words | other.words)),
        "first_only_examples": only[0][:words],
        "second_only_examples": only[1][:words],
    }
    if how is not Format.table:
        print_object(value, how)
        return
    rows = [
        {"list": v.origin, "words": len(v), "in both": len(both), "share": len(both) / len(v), "only here": len(o)}
        for v, o in zip((one, other), only, strict=True)
    ]
    print_rows(rows, ("list", "words", "in both", "share", "only here"), how, {"share": lambda v: f"{v:.1%}"})
    print(f"Jaccard similarity {value['jaccard']:.4f}")
    for v, o in zip((one, other), only, strict=True):
        if o and words:
            print(f"only in {v.origin}: {' '.join(o[:words])}")


def _load(name: str, source: list[str] | None, text_column: str) -> Vocabulary:
    n = needs_sources(name)
    if not n:
        return load_vocabulary(name)
    if not source:
        raise ConfigError(f"{name} is counted in a text: name it with --source FILE")
    spec = CorpusSpec(sources=tuple(source), text_column=text_column)
    say(f"counting words for {name} ..." + ("" if is_compiled() else f" {COMPILING}"))
    counter = WordCounter(spec)  # which compiles
    counts: Counter[str] = Counter()
    for batch in batches(Reading(spec, resolve(spec))):
        found, _ = counter(batch)
        found.add_to(counts)
    if not counts:
        raise ConfigError(f"{name}: no words in {', '.join(source)}")
    return top_words(counts, n)

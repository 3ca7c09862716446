"""`shrunk corpus`: build a reduced language, look at it, list those of the lab."""

from __future__ import annotations

import shutil
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from shrunk_core.config.lab import find_lab
from shrunk_core.config.language_spec import CorpusSpec, TokenizerSpec
from shrunk_core.errors import ConfigError
from shrunk_core.language import corpus as language
from shrunk_core.language.statistics import card as corpus_card
from shrunk_core.language.statistics import corpus_statistics, dropped_examples

from ..charts import Chart, Series, draw
from .language import GridOption, SourceOption, TextColumnOption, bars, find_corpus, follow, noun, recipe_of_grid
from .output import Format, FormatOption, LabOption, bold, chart_size, colours, print_object, print_rows, say

app = noun()


@app.callback()
def about_corpora() -> None:
    """Reduced languages: build, look at, list.

    Example: shrunk corpus build --source books.parquet --vocabulary childes.csv
    """


class Unit(str, Enum):
    document = "document"
    sentence = "sentence"
    span = "span"
    grown_span = "grown-span"


class Duplicates(str, Enum):
    keep = "keep"
    exact = "exact"
    near = "near"


class Kind(str, Enum):
    byte_bpe = "byte-bpe"
    bpe = "bpe"
    wordpiece = "wordpiece"
    unigram = "unigram"


@app.command()
def build(
    source: SourceOption = None,
    grid: GridOption = None,
    vocabulary: Annotated[
        str, typer.Option(help="Word list, CSV with a `word` column, top:N, wordfreq:en:N; `none`: no filter.")
    ] = "top:3000",
    unit: Annotated[Unit, typer.Option(help="What is kept or dropped as a whole.")] = Unit.sentence,
    max_oov: Annotated[float, typer.Option(help="Largest share of unknown words in a unit.", min=0.0, max=1.0)] = 0.0,
    min_words: Annotated[int, typer.Option(help="Fewest counted words of a unit; 0: the unit's own.", min=0)] = 0,
    duplicates: Annotated[Duplicates, typer.Option(help="Units that repeat others.")] = Duplicates.keep,
    weight: Annotated[list[float] | None, typer.Option(help="Mixing weight, one for each --source.")] = None,
    licence: Annotated[list[str] | None, typer.Option(help="Licence note, one for each --source.")] = None,
    text_column: TextColumnOption = "text",
    vocab_size: Annotated[
        int | None, typer.Option(help="Also train a tokenizer of so many entries, and tokenize.", min=32)
    ] = None,
    kind: Annotated[Kind, typer.Option(help="Model of that tokenizer.")] = Kind.byte_bpe,
    out: Annotated[Path | None, typer.Option(help="Write the corpus into this new folder instead of a lab.")] = None,
    lab: LabOption = None,
    processes: Annotated[int | None, typer.Option(help="That filter at once; all cores by default.", min=1)] = None,
    how: FormatOption = Format.json,
) -> None:
    """Shrink a language: filter sources by a vocabulary, split, tokenize. Prints the manifest.

    Interrupted, the same command goes on where it stopped; finished, it only prints.

    Examples:
    shrunk corpus build --source books.parquet --vocabulary childes.csv --out shrunk-books
    shrunk corpus build --grid grid.toml
    """
    spec, tokenizer = _recipe(source, grid, vocabulary, vocab_size, kind)
    if grid is None:
        spec = CorpusSpec(
            sources=spec.sources,
            weights=tuple(weight or ()),
            licences=tuple(licence or ()),
            text_column=text_column,
            filter=spec.filter,
            vocabulary=spec.vocabulary,
            unit=unit.value,
            max_oov=max_oov,
            min_words=min_words,
            duplicates=duplicates.value,
        )
    if out is not None and out.exists() and any(out.iterdir()):
        raise ConfigError(f"--out {out} is not empty: name a new folder, or leave --out away to build in the lab")
    if out is not None:
        # Beside the target, so that what an interrupted build left is found again and the result is a rename away.
        target = out.absolute()
        home = target.parent / f".{target.name}.building"
    else:
        home = find_lab(lab)
    events = language.build_corpus(home, spec, tokenizer, processes) if tokenizer else language.build_language(
        home, spec, processes
    )  # fmt: skip
    follow(events, None if out is not None else home)
    fingerprint = language.corpus_fingerprint(spec, language.digest_cache(home))
    manifest = language.read_manifest(home, fingerprint)
    if out is not None:
        _move(home, fingerprint, out.absolute())
    if tokenizer is None:
        say("no tokens were made: --vocab-size N trains a tokenizer and packs them, and so does `shrunk run GRID`")
    print_object(manifest, how)


def _recipe(
    source: list[str] | None, grid: Path | None, vocabulary: str, vocab_size: int | None, kind: Kind
) -> tuple[CorpusSpec, TokenizerSpec | None]:
    if grid is not None:
        if source:
            raise ConfigError("--grid names its own sources; leave --source away")
        return recipe_of_grid(grid)
    if not source:
        raise ConfigError(
            "name the text: --source FILE (or folder, glob, embedded:kjv, hub:OWNER/NAME), or --grid FILE"
        )
    tokenizer = TokenizerSpec(kind=kind.value, vocab_size=vocab_size) if vocab_size else None
    if vocabulary == "none":
        return CorpusSpec(sources=tuple(source), filter="none"), tokenizer
    return CorpusSpec(sources=tuple(source), vocabulary=vocabulary), tokenizer


def _move(home: Path, fingerprint: str, target: Path) -> None:
    """What was built, with its tokenizer inside, becomes the folder that was asked for."""
    folder = language.corpus_folder(home, fingerprint)
    if (home / "tokenizers").is_dir():
        for trained in (home / "tokenizers").glob("[!.]*"):
            shutil.move(trained, folder / "tokenizer")
    if target.exists():
        target.rmdir()
    folder.rename(target)
    shutil.rmtree(home, ignore_errors=True)


COLUMNS = (
    "fingerprint", "created_at", "sources", "filter", "unit", "vocabulary", "units_seen", "units_kept", "words_kept",
    "train_words", "validation_words", "test_words", "seconds",
)  # fmt: skip


@app.command("list")
def list_corpora(lab: LabOption = None, how: FormatOption = Format.table) -> None:
    """The corpora of the lab, oldest first.

    Example: shrunk corpus list --format json
    """
    rows = [_row(m) for m in language.corpora(find_lab(lab))]
    shown = {"seconds": lambda s: f"{s:.0f}", "sources": lambda s: Path(s).name}
    table = (
        "fingerprint",
        "sources",
        "filter",
        "unit",
        "vocabulary",
        "units_seen",
        "units_kept",
        "train_words",
        "seconds",
    )
    if not rows and how is Format.table:
        say("no corpora yet: `shrunk corpus build` or `shrunk run` makes one")
    print_rows(rows, COLUMNS, how, shown, table)


def _row(m: dict[str, Any]) -> dict[str, Any]:
    return {
        **{k: m[k] for k in ("fingerprint", "created_at", "units_seen", "units_kept", "words_kept", "seconds")},
        "sources": ", ".join(m["recipe"]["sources"]),
        "filter": m["recipe"]["filter"],
        "unit": m["recipe"]["unit"],
        "vocabulary": Path(m["vocabulary"]["origin"]).name,
        **{f"{split}_words": m["splits"][split]["words"] for split in ("train", "validation", "test")},
    }


@app.command()
def stats(
    corpus: Annotated[str | None, typer.Argument(help="Fingerprint, or its beginning; the latest by default.")] = None,
    lab: LabOption = None,
    card: Annotated[bool, typer.Option("--card", help="Print a corpus card in Markdown instead.")] = False,
    how: FormatOption = Format.table,
) -> None:
    """What a corpus is like: sizes by source and stage, lengths, ranks of words, examples kept and dropped.

    Examples: shrunk corpus stats    shrunk corpus stats 3f2a --card > CORPUS.md
    """
    home = find_lab(lab)
    manifest = find_corpus(home, corpus)
    found = corpus_statistics(home, manifest["fingerprint"])
    if card:
        print(corpus_card(home, manifest["fingerprint"]), end="")
        return
    if how is not Format.table:
        print_object({**_row(manifest), **found, "sources": manifest["sources"], "splits": manifest["splits"],
                      "duplicates": manifest["duplicates"]}, how)  # fmt: skip
        return
    _print(manifest, found, dropped_examples(home, manifest, mark="\x1b[7m" if colours() else "**"))


def _print(m: dict[str, Any], found: dict[str, Any], dropped: list[str]) -> None:
    rows = [{**s, "kept": s["units_kept"] / max(1, s["units_seen"])} for s in m["sources"]]
    columns = ("source", "documents", "units_seen", "units_kept", "kept", "replaced_characters")
    print_rows(rows, columns, Format.table, {"kept": lambda v: f"{v:.1%}"})
    seen = m["units_seen"]
    stages = [("seen", seen), ("too short", m["units_short"]), ("words left out", m["units_out_of_vocabulary"])]
    stages += [("kept", m["units_kept"]), ("exact duplicates", m["duplicates"]["exact"])]
    stages += [("near-duplicates", m["duplicates"]["near"])]
    stages += [(split, m["splits"][split]["units"]) for split in ("train", "validation", "test")]
    print()
    print_rows([{"stage": s, "units": n, "share": n / max(1, seen)} for s, n in stages],
               ("stage", "units", "share"), Format.table, {"share": lambda v: f"{v:.1%}"})  # fmt: skip
    print("\n" + bold("words of a unit"))
    print("\n".join(bars(_histogram(found["length_histogram"]))))
    width, height = chart_size()
    ranks = found["rank_counts"]
    chart = Chart(
        title="word frequency by rank",
        x_label="rank",
        y_label="count",
        series=(Series(label="words", x=[r for r, _ in ranks], y=[n for _, n in ranks]),),
        log_x=True,
        log_y=True,
    )
    print("\n" + draw(chart, width=width, height=height, colour=colours()))
    zipf, ratio = found["zipf_exponent"], found["type_token_ratio"]
    print(f"{found['words']:,} words, {found['types']:,} distinct", end="")
    print(f"; Zipf exponent {zipf:.3f} (ranks 1 to 1,000)" if zipf is not None else "", end="")
    print(f"; type-token ratio {ratio:.4f} (first {found['ttr_words']:,} words)" if ratio is not None else "")
    print("\n" + bold("kept") + "\n" + "\n".join(f"  {t}" for t in m["examples"]["kept"]))
    if dropped:
        print("\n" + bold("dropped, for the marked words") + "\n" + "\n".join(f"  {_shown(t)}" for t in dropped))


def _shown(text: str) -> str:
    """Marks that switch reverse video on switch it off at the second of each pair."""
    parts = text.split("\x1b[7m")
    return "".join(p + ("\x1b[7m", "\x1b[0m")[i % 2] for i, p in enumerate(parts[:-1])) + parts[-1]


def _histogram(lengths: list[list[int]], bins: int = 12) -> list[tuple[str, float]]:
    """Units by words, in at most `bins` equal bins; the last holds the longest percent."""
    total = sum(n for _, n in lengths)
    if not total:
        return []
    low, seen, high = lengths[0][0], 0, lengths[-1][0]
    for words, n in lengths:
        seen += n
        if seen >= 0.99 * total:
            high = words
            break
    step = max(1, -(-(high - low + 1) // bins))
    out: list[tuple[str, float]] = []
    for start in range(low, high + 1, step):
        last = start + step > high
        n = sum(k for words, k in lengths if words >= start and (last or words < start + step))
        out.append((f"{start}+" if last else f"{start}-{start + step - 1}" if step > 1 else str(start), n))
    return out

"""`shrunk tokenizer`: train one on a corpus, find the size that suits it, list those of the lab."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Any

import typer
from shrunk_core.config.lab import find_lab
from shrunk_core.config.language_spec import TokenizerSpec
from shrunk_core.errors import DataError
from shrunk_core.language.corpus import build_tokens, corpus_folder
from shrunk_core.language.measures import Measures, measure, read_word_parts, sample
from shrunk_core.language.tokenizer import load_tokenizer, tokenizer_fingerprint, tokenizer_folder
from shrunk_core.language.tokens import read_report, read_units
from shrunk_core.language.tuning import knee, parse_sizes
from shrunk_core.language.tuning import tune as measure_sizes

from ..charts import Chart, Series, draw
from .corpus import Kind
from .language import find_corpus, follow, noun
from .output import Format, FormatOption, LabOption, chart_size, colours, print_object, print_rows, say

app = noun()


@app.callback()
def about_tokenizers() -> None:
    """Tokenizers: train, find the right size, list.

    Example: shrunk tokenizer tune --sizes 1000:20000
    """


CorpusArgument = Annotated[
    str | None, typer.Argument(help="Corpus fingerprint, or its beginning; the latest by default.")
]
PartsOption = Annotated[
    Path | None,
    typer.Option("--word-parts", help="Words with their parts, for ESMS: `unkindness un kind ness`, a line."),
]
RULE = (
    "word-split ratio falls with the size, steeply at first; the knee is the size whose ratio lies furthest below the "
    "straight line between the smallest and the largest size tried. Beyond it an entry buys less than the average one"
)
COLUMNS = tuple(f.name for f in dataclasses.fields(Measures))
SHOWN = {
    **{
        name: (lambda v: f"{v:.3f}") for name in ("word_split_ratio", "sentence_split_ratio", "esms", "bytes_per_token")
    },
    "mean_length": lambda v: f"{v:.1f}",
    "vocabulary_use": lambda v: f"{v:.1%}",
}


@app.command()
def train(
    corpus: CorpusArgument = None,
    vocab_size: Annotated[int, typer.Option(help="Entries, special tokens among them.", min=32)] = 2000,
    kind: Annotated[Kind, typer.Option(help="Model of the tokenizer.")] = Kind.byte_bpe,
    word_parts: PartsOption = None,
    lab: LabOption = None,
    how: FormatOption = Format.table,
) -> None:
    """Train a tokenizer on a corpus of the lab, tokenize it, and measure.

    Example: shrunk tokenizer train --vocab-size 8000
    """
    home = find_lab(lab)
    fingerprint = find_corpus(home, corpus)["fingerprint"]
    spec = TokenizerSpec(kind=kind.value, vocab_size=vocab_size)
    parts = read_word_parts(word_parts)
    follow(build_tokens(home, fingerprint, spec), home)
    name = tokenizer_fingerprint(fingerprint, spec)
    folder = tokenizer_folder(home, name)
    units = [u for d in read_units(corpus_folder(home, fingerprint), "validation") for u in d]
    found = measure(load_tokenizer(folder), sample(units, len(units)), parts)
    report = read_report(corpus_folder(home, fingerprint) / "tokens" / name)
    print_object(
        {"fingerprint": name, "corpus_fingerprint": fingerprint, "kind": kind.value, "file": str(folder / "tokenizer.json"),
         "train_tokens": report["train_tokens"], "measured_on": "validation", **dataclasses.asdict(found)}, how
    )  # fmt: skip


@app.command()
def tune(
    corpus: CorpusArgument = None,
    sizes: Annotated[str, typer.Option(help="FROM:TO (eight in even ratios), FROM:TO:STEP, or A,B,C.")] = "1000:20000",
    kind: Annotated[Kind, typer.Option(help="Model of the tokenizer.")] = Kind.byte_bpe,
    word_parts: PartsOption = None,
    lab: LabOption = None,
    how: FormatOption = Format.table,
) -> None:
    """Which vocabulary size suits a corpus: train many, measure each, mark the knee and say why.

    Example: shrunk tokenizer tune --sizes 1000:20000
    """
    home = find_lab(lab)
    manifest = find_corpus(home, corpus)
    wanted = parse_sizes(sizes)
    parts = read_word_parts(word_parts)
    say(f"training {len(wanted)} sizes of {kind.value} ...")
    folder = corpus_folder(home, manifest["fingerprint"])
    units = manifest["splits"]["train"]["units"]
    results = list(measure_sizes(folder, units, TokenizerSpec(kind=kind.value), wanted, parts))
    found = [r for r in results if isinstance(r, Measures)]
    for problem in (r for r in results if isinstance(r, DataError)):
        say(f"left out: {problem}")
    if not found:
        raise DataError(f"none of the sizes {sizes} suits this corpus")
    best = knee(found)
    rows: list[dict[str, Any]] = [
        {**dataclasses.asdict(m), "recommended": best is not None and m.vocab_size == best.vocab_size} for m in found
    ]
    columns = (*COLUMNS, "recommended")
    table = [c for c in columns if not c.startswith("num_")]
    print_rows(rows, columns, how, {**SHOWN, "recommended": lambda v: "<- knee" if v else ""}, table)
    if how is not Format.table:
        return
    print("\n" + _chart(found))
    print(f"measured on {found[0].num_units:,} units of the train split; ESMS on {found[0].num_listed} words")
    if best is None:
        print("no size is recommended: a knee needs three sizes or more and a ratio that falls")
    else:
        print(f"recommended: {best.vocab_size:,}. The rule: {RULE}.")


def _chart(found: list[Measures]) -> str:
    width, height = chart_size()
    sizes = [float(m.vocab_size) for m in found]
    chart = Chart(
        title="word-split ratio and ESMS by vocabulary size",
        x_label="vocabulary size",
        y_label="",
        series=(
            Series(label="word-split ratio", x=sizes, y=[m.word_split_ratio for m in found], line=True),
            Series(label="ESMS", x=sizes, y=[m.esms for m in found], line=True, colour=1),
        ),
    )
    return draw(chart, width=width, height=height, colour=colours())


@app.command("list")
def list_tokenizers(lab: LabOption = None, how: FormatOption = Format.table) -> None:
    """The tokenizers of the lab, oldest first.

    Example: shrunk tokenizer list
    """
    rows = []
    for path in (find_lab(lab) / "tokenizers").glob("[!.]*/report.json"):
        report = json.loads(path.read_text(encoding="utf-8"))
        rows.append({"fingerprint": path.parent.name, **report})
    rows.sort(key=lambda r: r["created_at"])
    if not rows and how is Format.table:
        say("no tokenizers yet: `shrunk tokenizer train` or `shrunk run` makes one")
    columns = ("fingerprint", "corpus_fingerprint", "kind", "vocab_size", "created_at", "seconds")
    print_rows(rows, columns, how, {"seconds": lambda s: f"{s:.1f}"})

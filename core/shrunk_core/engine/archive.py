"""A lab, or some of its runs, in one file that another lab takes in: `.tar.zst`, laid out as a lab is.

    archive.json                which runs, from where, what is in it
    tokenizers/, corpora/       what evaluating and further training need (with models, checkpoints or corpora)
    journal/events.jsonl        what the journals say of these runs; of a whole lab all that they say
    journal/events.samples.jsonl
    runs/<run_id>/              spec.json, logs, downstream cells; model/ and checkpoints/ on request
    contents.json               size and digest of every file: its absence tells an archive that was cut off

It is written while runs train: a log counts up to its last whole line, and of a run its checkpoints are taken before its
log, so that the log always knows more than they do.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import socket
import tarfile
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, BinaryIO

import zstandard

from .. import __version__
from ..errors import ConfigError, DataError, PlanError, RunError
from ..record.celldir import PREDICTIONS
from ..record.eventlog import whole_bytes
from ..record.journal import SAMPLES, is_sample_file, journal_files
from ..record.rundir import RunDir, SpecFile, cell_dirs, parent_of, read_spec, run_dir, run_dirs
from .watch import Watch

VERSION = 1
KIND = "shrunk-archive"
HEAD, CONTENTS = "archive.json", "contents.json"
JOURNAL, JOURNAL_SAMPLES = "journal/events.jsonl", f"journal/events{SAMPLES}"
PARTS = ("corpora", "models", "checkpoints")
"""What may be asked for beside the results. Models and checkpoints bring the corpora that they are of."""

LEVEL = 6
PATIENCE = 5
"""A checkpoint that its worker removes while it is being read is looked for again so often."""


@dataclass(frozen=True, kw_only=True)
class Written:
    """What was exported. num_bytes: of the file, packed; content_bytes: unpacked."""

    path: Path
    runs: int
    files: int
    num_bytes: int
    content_bytes: int


def export_archive(
    lab: Path, target: Path, run_ids: Iterable[str] = (), parts: Iterable[str] = (), *, replace: bool = False
) -> Written:
    """Write an archive of these runs, or of the whole lab when none is named. It appears under its name when it is whole.

    parts: of `PARTS`. ConfigError for a target that exists (unless `replace`) or cannot be written, PlanError for an
    unknown run.
    """
    wanted = frozenset(parts)
    if target.exists() and not replace:
        raise ConfigError(f"{target} exists already: choose another name, or --replace it")
    named = list(dict.fromkeys(run_ids))
    runs = [run_dir(lab, r) for r in named] if named else run_dirs(lab)
    if not runs:
        raise PlanError(f"there is no run in {lab} to export")
    specs = [read_spec(run) for run in runs]
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with open(partial, "wb") as file:
            with zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).stream_writer(
                file, closefd=False
            ) as packed:
                writer = _Writer(packed)
                _write(writer, lab, specs, whole=not named, parts=wanted)
            os.fsync(file.fileno())
        os.replace(partial, target)
    except OSError as problem:
        raise RunError(f"cannot write {target}: {problem.strerror or problem}") from problem
    finally:
        partial.unlink(missing_ok=True)
    return Written(
        path=target,
        runs=len(specs),
        files=len(writer.contents),
        num_bytes=target.stat().st_size,
        content_bytes=sum(size for size, _ in writer.contents.values()),
    )


def _write(writer: _Writer, lab: Path, specs: list[SpecFile], *, whole: bool, parts: frozenset[str]) -> None:
    ids = {s.run_id for s in specs}
    watch = Watch(lab, ids)
    watch.look()
    writer.text(
        HEAD,
        {
            "v": VERSION,
            "kind": KIND,
            "shrunk_version": __version__,
            "created_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "host": socket.gethostname(),
            "lab": lab.name,
            "whole_lab": whole,
            "parts": sorted(parts),
            "runs": [
                {"run_id": s.run_id, "name": s.name, "grid": s.grid, "status": watch.status(s.run_id).status}
                for s in specs
            ],
        },
    )
    if parts:
        _language(writer, lab, specs)
    for spec in specs:
        _run(writer, run_dir(lab, spec.run_id), parts)
    _journals(writer, lab, specs, whole=whole)
    writer.end()


def _language(writer: _Writer, lab: Path, specs: list[SpecFile]) -> None:
    """Tokenizers and corpora of the runs, of each corpus only the tokens of these tokenizers."""
    used = {(s.spec.corpus_fingerprint, s.spec.tokenizer_fingerprint) for s in specs}
    for name in sorted({tokenizer for _, tokenizer in used}):
        writer.folder(f"tokenizers/{name}", lab / "tokenizers" / name)
    for corpus in sorted({corpus for corpus, _ in used}):
        folder = lab / "corpora" / corpus
        for path in sorted(folder.glob("*")):
            if path.is_file() and not path.name.startswith("."):
                writer.file(f"corpora/{corpus}/{path.name}", path)
        for tokenizer in sorted(t for c, t in used if c == corpus):
            writer.folder(f"corpora/{corpus}/tokens/{tokenizer}", folder / "tokens" / tokenizer)


def _run(writer: _Writer, run: RunDir, parts: frozenset[str]) -> None:
    place = f"runs/{run.run_id}"
    if "checkpoints" in parts:
        _checkpoints(writer, run)
    for cell in cell_dirs(run):
        _job(writer, f"{place}/downstream/{cell.path.name}", cell, PREDICTIONS)
    if "models" in parts:
        writer.folder(f"{place}/model", run.model)
        writer.folder(f"{place}/decayed", run.path / "decayed")
    _job(writer, place, run)


def _job(writer: _Writer, place: str, job: RunDir, *more: str) -> None:
    """What a run and a cell have alike: the spec, the log, the output of workers."""
    for path in (job.spec_file, job.events_file, job.worker_log, *(job.path / name for name in more)):
        if path.exists():
            writer.file(f"{place}/{path.name}", path)


def _checkpoints(writer: _Writer, run: RunDir) -> None:
    """Every whole checkpoint. A worker may remove one at any moment: all files of one are opened before any is read."""
    done: set[str] = set()
    for _ in range(PATIENCE):
        gone = False
        for folder in sorted(run.checkpoints.glob("update-*")):
            if folder.name in done:
                continue
            opened: dict[str, BinaryIO] = {}
            try:
                opened = {p.name: open(p, "rb") for p in sorted(folder.iterdir())}
                for name, file in opened.items():
                    writer.stream(f"runs/{run.run_id}/checkpoints/{folder.name}/{name}", file)
                done.add(folder.name)
            except FileNotFoundError:
                gone = True
            finally:
                for file in opened.values():
                    file.close()
        if not gone:
            return


# ---------------------------------------------------------------- journals


def _journals(writer: _Writer, lab: Path, specs: list[SpecFile], *, whole: bool) -> None:
    """Lines as they are on disk, so that a lab that has one already knows it again byte by byte."""
    concerns = Concerns.of(specs, whole=whole)
    for samples, member in ((False, JOURNAL), (True, JOURNAL_SAMPLES)):
        with tempfile.TemporaryFile() as spool:
            for path in journal_files(lab):
                if is_sample_file(path) == samples:
                    for line in whole_lines(path):
                        if concerns.line(line):
                            spool.write(line)
            if spool.tell():
                spool.seek(0)
                writer.stream(member, spool)


def whole_lines(path: Path) -> Iterator[bytes]:
    """The lines of a log with their newlines, up to the last whole one."""
    with open(path, "rb") as file:
        left = whole_bytes(file, os.fstat(file.fileno()).st_size)
        file.seek(0)
        for line in file:
            left -= len(line)
            if left < 0:
                return
            yield line


@dataclass(frozen=True, kw_only=True)
class Concerns:
    """Which lines of journals are about some runs: those that name one, their grids, their corpora, and imported
    references, which are there to be drawn beside any run. Of a whole lab everything but what its supervisors did."""

    run_ids: frozenset[str]
    grids: frozenset[str]
    fingerprints: frozenset[str]
    whole: bool

    @classmethod
    def of(cls, specs: list[SpecFile], *, whole: bool) -> Concerns:
        return cls(
            run_ids=frozenset(s.run_id for s in specs),
            grids=frozenset(s.grid for s in specs),
            fingerprints=frozenset(f for s in specs for f in (s.spec.corpus_fingerprint, s.spec.tokenizer_fingerprint)),
            whole=whole,
        )

    def line(self, line: bytes) -> bool:
        try:
            body = json.loads(line)
            kind = body["kind"]
        except (ValueError, KeyError, TypeError):
            return False
        run_id = body.get("run_id")
        if run_id:
            return parent_of(str(run_id)) in self.run_ids
        if kind == "grid-submitted":
            return self.whole or not self.run_ids.isdisjoint(body.get("run_ids", ()))
        if kind.startswith("reference-"):
            return True
        if kind in ("supervisor-started", "supervisor-stopped", "corpus-progress"):
            return False
        return self.whole or body.get("fingerprint") in self.fingerprints or body.get("grid") in self.grids


# ---------------------------------------------------------------- the file


@dataclass
class _Writer:
    """Members of an archive, each hashed as it is written. A file that grows meanwhile counts as it was when opened."""

    packed: Any
    contents: dict[str, tuple[int, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._tar = tarfile.open(fileobj=self.packed, mode="w|", format=tarfile.PAX_FORMAT)

    def text(self, name: str, body: Any) -> None:
        data = json.dumps(body, indent=1).encode() + b"\n"
        self.stream(name, io.BytesIO(data), size=len(data))

    def folder(self, name: str, folder: Path) -> None:
        """Every file below a folder; nothing when it is not there."""
        for path in sorted(folder.rglob("*")) if folder.is_dir() else []:
            if path.is_file():
                self.file(f"{name}/{path.relative_to(folder)}", path)

    def file(self, name: str, path: Path) -> None:
        with open(path, "rb") as file:
            self.stream(name, file)

    def stream(self, name: str, file: IO[bytes], size: int | None = None) -> None:
        if size is None:
            size = os.fstat(file.fileno()).st_size
            if name.endswith(".jsonl"):
                size = whole_bytes(file, size)  # pyright: ignore[reportArgumentType]
            file.seek(0)
        info = tarfile.TarInfo(name)
        info.size, info.mtime, info.mode = size, int(time.time()), 0o644
        hashed = Hashed(file)
        try:
            self._tar.addfile(info, hashed)  # pyright: ignore[reportArgumentType]
        except OSError as problem:
            if problem.errno is None:  # tarfile's word for fewer bytes than there were a moment ago
                raise DataError(f"{name} became shorter while it was read; export again") from problem
            raise
        self.contents[name] = (size, hashed.digest())

    def end(self) -> None:
        self.text(CONTENTS, {"files": self.contents})
        self._tar.close()


class Hashed:
    """A file that is hashed as it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self._hash = hashlib.blake2b(digest_size=16)

    def read(self, size: int = -1) -> bytes:
        data = self.file.read(size)
        self._hash.update(data)
        return data

    def digest(self) -> str:
        return self._hash.hexdigest()

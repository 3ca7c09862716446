"""Taking an archive into a lab: unpacked aside, checked whole, compared with what is there, then moved in by renames.

Nothing of the lab changes before the last byte was read and every clash is known. A run, a corpus or a tokenizer comes
whole or not at all; journals come last. After a kill the same command finds what it had moved, and does the rest.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tarfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zstandard

from ..errors import BusyError, DataError, RunError
from ..record.eventlog import EventWriter, read_events
from ..record.events import Left, RunDequeued, RunLaunched, RunQueued, RunReaped, decode, encode
from ..record.journal import SAMPLES, journal_files, journal_folder
from ..record.lock import FileLock
from ..record.rundir import CHILDREN, RunDir, run_dir
from ..record.status import LogWord, QueueWord, derive_status, fold_log, fold_queue
from .archive import CONTENTS, HEAD, JOURNAL, JOURNAL_SAMPLES, KIND, VERSION, Hashed, whole_lines

STAGE = "import"
"""Folder in the lab's `.shrunk/` where archives are unpacked."""

_NAME = r"[A-Za-z0-9][A-Za-z0-9._+-]*"
_MEMBER = re.compile(
    rf"{HEAD}|{CONTENTS}|{JOURNAL}|{JOURNAL_SAMPLES}"
    rf"|(runs|corpora|tokenizers)/[0-9a-f]{{12}}(/{_NAME}){{1,6}}"
)
"""What a file of an archive may be called: nothing hidden, nothing upwards, nothing beside what a lab consists of."""


@dataclass(kw_only=True)
class TakenIn:
    """What an import did. runs: new in the lab; known: already there, with what they had; added: parts of known runs that
    came (models, checkpoints, cells); events: journal lines that were new; references: left out, their names are taken."""

    host: str = ""
    runs: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    added: int = 0
    languages: int = 0
    events: int = 0
    references: list[str] = field(default_factory=list)


def import_archive(lab: Path, file: Path) -> TakenIn:
    """Take everything of an archive that the lab does not have yet.

    DataError for a file that is none, is cut off or damaged, or holds something else under a name that the lab has:
    then nothing has changed. BusyError while another import is under way.
    """
    stage = lab / ".shrunk" / STAGE
    lock = FileLock(lab / ".shrunk" / f"{STAGE}.lock")
    try:
        if not lock.take():
            raise BusyError(f"another archive is being imported into {lab}; try again when it is done")
        shutil.rmtree(stage, ignore_errors=True)  # of an import that was killed
        head = _unpack(file, stage)
        _refuse_clashes(lab, stage, file)
        return _move_in(lab, stage, head)
    except OSError as problem:
        raise RunError(f"cannot import {file} into {lab}: {problem.strerror or problem}") from problem
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        lock.release()


# ---------------------------------------------------------------- unpacking


def _unpack(file: Path, stage: Path) -> dict[str, Any]:
    """Write the members below `stage`; returns the head. Every member is checked against the list at the end."""
    found: dict[str, tuple[int, str]] = {}
    try:
        with open(file, "rb") as packed, zstandard.ZstdDecompressor().stream_reader(packed) as stream:
            with tarfile.open(fileobj=stream, mode="r|") as tar:
                for member in tar:
                    if not found and member.name != HEAD:
                        raise DataError(f"{file} is no archive of a lab: it begins with {member.name!r}")
                    if not (member.isreg() and _MEMBER.fullmatch(member.name)):
                        raise DataError(
                            f"{file}: {member.name!r} does not belong into an archive of a lab; nothing was taken"
                        )
                    source = tar.extractfile(member)
                    assert source is not None
                    hashed = Hashed(source)
                    path = stage / member.name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    with open(path, "xb") as out:
                        shutil.copyfileobj(hashed, out, 1 << 20)  # pyright: ignore[reportArgumentType]
                        out.flush()
                        os.fsync(out.fileno())
                    found[member.name] = (member.size, hashed.digest())
    except FileNotFoundError:
        raise DataError(f"there is no file {file}") from None
    except FileExistsError as problem:
        raise DataError(f"{file}: {Path(problem.filename).relative_to(stage)} is in it twice") from None
    except (zstandard.ZstdError, tarfile.TarError, EOFError) as problem:
        raise DataError(
            f"{file} cannot be unpacked ({problem}): it is damaged or cut off, or no archive of `shrunk export --archive`"
        ) from None
    if HEAD not in found:
        raise DataError(f"{file} is no archive of a lab: it is empty")
    head = json.loads((stage / HEAD).read_text())
    if head.get("kind") != KIND:
        raise DataError(f"{file} is no archive of a lab")
    if head["v"] > VERSION:
        raise DataError(f"{file} was written by a newer shrunk-tui ({head.get('shrunk_version')}); install that one")
    if CONTENTS not in found:
        raise DataError(f"{file} is cut off: its end is missing. Copy or export it again")
    listed = {name: tuple(entry) for name, entry in json.loads((stage / CONTENTS).read_text())["files"].items()}
    found.pop(CONTENTS)
    if listed != found:
        wrong = sorted(n for n in listed.keys() | found.keys() if listed.get(n) != found.get(n))
        raise DataError(f"{file} is damaged: {', '.join(wrong[:3])} is not what was exported. Copy or export it again")
    return head


# ---------------------------------------------------------------- comparing


def _refuse_clashes(lab: Path, stage: Path, file: Path) -> None:
    """DataError naming everything that the lab has under the same name with other content."""
    clashes = []
    for run in _staged(stage, "runs"):
        ours = run_dir(lab, run.name)
        if not (run / "spec.json").exists():
            raise DataError(f"{file}: run {run.name} has no spec.json")
        for job in (run, *sorted((run / CHILDREN).glob("*"))):
            log = ours.path / job.relative_to(run) / "events.jsonl"
            if ours.spec_file.exists() and log.exists() and not _begins(log, job / "events.jsonl"):
                clashes.append(f"{job.relative_to(stage)} went on differently here and there")
    for name in ("tokenizers", "corpora"):
        for folder in _staged(stage, name):
            for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.name not in ABOUT):
                ours_path = lab / path.relative_to(stage)
                if ours_path.exists() and _digest(ours_path) != _digest(path):
                    clashes.append(f"{path.relative_to(stage)} is another one here")
    if clashes:
        listed = "\n  ".join(clashes[:8]) + ("" if len(clashes) <= 8 else f"\n  ... and {len(clashes) - 8} more")
        raise DataError(
            f"{file} was not imported, because the lab has other content of the same name:\n  {listed}\n"
            "Import it into a lab of its own (`shrunk init DIR`), or `shrunk delete` what is here first."
        )


ABOUT = ("manifest.json", "report.json")
"""Files that say when and how fast something was made: two makings of one thing differ in them."""


def _begins(ours: Path, theirs: Path) -> bool:
    """True if our log begins with theirs: it is the same one, and we know at least as much."""
    if not theirs.exists():
        return True
    size = theirs.stat().st_size
    if ours.stat().st_size < size:
        return False
    with open(ours, "rb") as a, open(theirs, "rb") as b:
        while chunk := b.read(1 << 20):
            if a.read(len(chunk)) != chunk:
                return False
    return True


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()


def _staged(stage: Path, name: str) -> list[Path]:
    folder = stage / name
    return sorted(folder.iterdir()) if folder.is_dir() else []


# ---------------------------------------------------------------- moving in


def _move_in(lab: Path, stage: Path, head: dict[str, Any]) -> TakenIn:
    """Tokenizers and corpora first, then runs, then what the journals say of them."""
    taken = TakenIn(host=str(head.get("host", "")))
    for folder in _staged(stage, "tokenizers"):
        taken.languages += _move(folder, lab / "tokenizers" / folder.name)
    for folder in _staged(stage, "corpora"):
        ours = lab / "corpora" / folder.name
        if not _move(folder, ours):
            for tokens in _staged(folder, "tokens"):
                taken.languages += _move(tokens, ours / "tokens" / tokens.name)
        else:
            taken.languages += 1
    now = time.time()
    logs = {run.name: _leave(run, now) for run in _staged(stage, "runs")}
    journal = _Journal.read(lab, stage)
    for run_id, jobs in logs.items():
        ours = run_dir(lab, run_id)
        journal.unqueue(jobs, now, taken.host)
        if ours.spec_file.exists():
            taken.known.append(run_id)
            taken.added += _add_parts(stage / "runs" / run_id, ours)
            continue
        shutil.rmtree(ours.path, ignore_errors=True)  # a run that was never born
        _move(stage / "runs" / run_id, ours.path)
        taken.runs.append(run_id)
    taken.references = sorted(journal.refused)
    taken.events = journal.write(lab)
    return taken


def _move(folder: Path, target: Path) -> bool:
    """Rename a folder into its place; False, with nothing done, when something is there."""
    if target.exists():
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    os.rename(folder, target)
    descriptor = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return True


def _add_parts(run: Path, ours: RunDir) -> int:
    """Whole parts that a known run does not have yet: its model, checkpoints, downstream cells."""
    parts = [run / "model", run / "decayed"]
    parts += [p for name in ("checkpoints", CHILDREN) for p in sorted((run / name).glob("*"))]
    return sum(_move(part, ours.path / part.relative_to(run)) for part in parts if part.is_dir())


def _leave(run: Path, now: float) -> dict[str, LogWord]:
    """The last words of a run and its cells. One that was under way where it comes from has left, as far as here is
    concerned: its worker will never be heard of in this lab."""
    words = {}
    for job in (run, *sorted((run / CHILDREN).glob("*"))):
        log, word, update = job / "events.jsonl", LogWord(), 0
        for event in read_events(log):
            word = fold_log(word, event)
            update = getattr(event, "update", update)
        if word.state == "running":
            left = Left(attempt=word.attempt, update=update, reason="import", logged_at=now)
            writer = EventWriter(log)
            writer.append(left)
            writer.sync()
            writer.close()
            word = fold_log(word, left)
        words[RunDir(job).run_id if job != run else run.name] = word
    return words


@dataclass
class _Journal:
    """Lines of the archive's journals that the lab does not have: byte by byte, since both kept them as they were written.

    queue: their last words on runs of which there are new ones. refused: references whose names are taken.
    """

    lines: dict[str, list[bytes]]
    queue: dict[str, QueueWord]
    refused: set[str]

    @classmethod
    def read(cls, lab: Path, stage: Path) -> _Journal:
        known = {_key(line) for path in journal_files(lab) for line in whole_lines(path)}
        names = _references(lab)
        lines: dict[str, list[bytes]] = {}
        queue: dict[str, QueueWord] = {}
        refused: set[str] = set()
        for ending, member in ((".jsonl", JOURNAL), (SAMPLES, JOURNAL_SAMPLES)):
            new = lines.setdefault(ending, [])
            for line in whole_lines(stage / member) if (stage / member).exists() else ():
                try:
                    event = decode(line)
                except ValueError:
                    continue
                if _key(line) in known:
                    continue
                if isinstance(event, RunQueued | RunLaunched | RunReaped | RunDequeued):
                    queue[event.run_id] = fold_queue(queue.get(event.run_id, QueueWord()), event)
                reference = getattr(event, "reference", None)
                if reference in names:
                    refused.add(reference)
                    continue
                new.append(line)
        return cls(lines, queue, refused)

    def unqueue(self, jobs: dict[str, LogWord], now: float, host: str) -> None:
        """What waited or worked there waits here for somebody to say `resume` or `run`."""
        for job_id, log in jobs.items():
            word = self.queue.get(job_id, QueueWord())
            if derive_status(log, word, worker_alive=False, launched_alive=False, now=now).status == "queued":
                message = f"was {word.state} on {host} when it was exported"
                event = RunDequeued(run_id=job_id, status="stopped", message=message, logged_at=now)
                self.lines[".jsonl"].append(encode(event).encode() + b"\n")

    def write(self, lab: Path) -> int:
        """One new journal of each kind, there whole or not at all. Returns the number of lines."""
        for ending, lines in self.lines.items():
            if not lines:
                continue
            digest = hashlib.blake2b(b"".join(lines), digest_size=6).hexdigest()
            path = journal_folder(lab) / f"import-{digest}{ending}"
            partial = path.with_name(f".{path.name}.{os.getpid()}")
            path.parent.mkdir(exist_ok=True)
            with open(partial, "wb") as out:
                out.writelines(lines)
                out.flush()
                os.fsync(out.fileno())
            os.replace(partial, path)
        return sum(map(len, self.lines.values()))


def _key(line: bytes) -> bytes:
    return hashlib.blake2b(line, digest_size=16).digest()


def _references(lab: Path) -> set[str]:
    """Names of imported references that stand in the lab."""
    at: dict[str, tuple[float, bool]] = {}
    for path in journal_files(lab):
        for line in whole_lines(path):
            if b'"reference' in line:
                body = json.loads(line)
                name, when = body.get("reference"), body.get("logged_at", 0.0)
                if name and when >= at.get(name, (0.0, False))[0]:
                    at[name] = (when, body.get("kind") != "reference-removed")
    return {name for name, (_, stands) in at.items() if stands}

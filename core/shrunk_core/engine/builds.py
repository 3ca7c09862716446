"""Corpora that runs wait for: each is built once, by a process of its own, whoever asks for it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from ..config.spec import RunSpec
from ..record.rundir import write_atomically
from .desk import Desk
from .hardware import cores
from .launcher import Child, Launcher
from .prepare import result_file

PREPARE = "shrunk_core.engine.prepare"


def request_of(desk: Desk, spec: RunSpec) -> Path:
    """The file that asks for a run's corpus and tokenizer; runs on one corpus share it."""
    return desk.private / f"prepare-{spec.corpus_fingerprint}-{spec.tokenizer_fingerprint}.json"


def start_build(launcher: Launcher, lab: Path, spec: RunSpec, request: Path) -> Child:
    """Start building with all cores: nothing of this corpus can train meanwhile."""
    write_atomically(request, json.dumps({"corpus": asdict(spec.corpus), "tokenizer": asdict(spec.tokenizer)}))
    result_file(request).unlink(missing_ok=True)
    log = request.with_suffix(".log")
    return launcher.start(PREPARE, [str(lab), str(request)], threads=cores(), device="", log=log)


def outcome(request: Path, code: int | None) -> str:
    """How a build ended: empty when the corpus is there, else the message for every run that waited for it."""
    try:
        message = result_file(request).read_text()
    except FileNotFoundError:
        return f"the process that built the corpus ended with code {code}; see {request.with_suffix('.log')}"
    if not message:
        for path in (request, result_file(request), request.with_suffix(".log")):
            path.unlink(missing_ok=True)
    return message

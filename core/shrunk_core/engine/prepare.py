"""Builds a corpus and its tokenizer in a process of its own: `python -P -m shrunk_core.engine.prepare LAB REQUEST`.

Progress and results go to this process's own journal; the last word goes to REQUEST.result: empty when all is well, or
the message for everybody who waits for this corpus.
"""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path

from ..config.spec import RunSpec, TokenizerSpec, corpus_from_dict
from ..errors import ShrunkError
from ..language.corpus import build_corpus, corpus_folder
from ..language.tokenizer import tokenizer_folder
from ..record.journal import open_journal
from ..record.rundir import write_atomically


def main(arguments: list[str]) -> int:
    lab, request = Path(arguments[0]), Path(arguments[1])
    body = json.loads(request.read_text())
    corpus = corpus_from_dict(body["corpus"])
    message = ""
    try:
        journal = open_journal(lab)
        for event in build_corpus(lab, corpus, TokenizerSpec(**body["tokenizer"])):
            journal.append(event)
    except ShrunkError as problem:
        message = str(problem)
    except Exception as problem:
        traceback.print_exc()
        message = f"{type(problem).__name__}: {problem}"
    write_atomically(result_file(request), message)
    return 1 if message else 0


def is_built(lab: Path, spec: RunSpec) -> bool:
    """True if the run's corpus is tokenized and its tokenizer is there; each is a folder that is whole or absent."""
    tokens = corpus_folder(lab, spec.corpus_fingerprint) / "tokens" / spec.tokenizer_fingerprint
    return tokens.is_dir() and tokenizer_folder(lab, spec.tokenizer_fingerprint).is_dir()


def result_file(request: Path) -> Path:
    return request.with_suffix(".result")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

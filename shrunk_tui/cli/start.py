"""Entry point of `shrunk`. The terminal UI opens without the parser of commands: it and the converters that it brings
along take half as long to import as a first frame may take.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from shrunk_core.errors import ShrunkError


def plain_call(words: list[str]) -> dict[str, Any] | None:
    """Options of `shrunk` without a command, when they are spelled in full; None for everything else.

    What is refused or odd goes to the parser of commands, which has the usual words.
    """
    found: dict[str, Any] = {"lab": None, "read_only": False, "ascii_only": False}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word in ("--read-only", "--ascii"):
            found["read_only" if word == "--read-only" else "ascii_only"] = True
        elif word == "--lab" and rest and not rest[0].startswith("-"):
            found["lab"] = Path(rest.pop(0))
        elif word.startswith("--lab=") and word != "--lab=":
            found["lab"] = Path(word.removeprefix("--lab="))
        else:
            return None
    return found


def main() -> None:
    """Entry point of `shrunk`: runs a command and turns every known error into one message and an exit code."""
    try:
        plain = plain_call(sys.argv[1:]) if not any(name.endswith("_COMPLETE") for name in os.environ) else None
        if plain is not None and sys.stdin.isatty() and sys.stdout.isatty():
            from .tui import open_terminal

            open_terminal(plain.pop("lab"), **plain)
        else:
            from .app import app

            app()
    except ShrunkError as problem:
        print(f"shrunk: {problem}", file=sys.stderr)
        sys.exit(problem.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # `shrunk ... | head`: the reader has what it wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


if __name__ == "__main__":
    main()

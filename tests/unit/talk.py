"""Commands called in this process, their JSON read."""

from __future__ import annotations

import json
from typing import Any

from typer.testing import CliRunner

from shrunk_tui.cli.app import app


def talk(*words: str) -> tuple[Any, str]:
    """stdout as JSON, and stderr; whatever the command refuses is raised here."""
    found = CliRunner().invoke(app, [*words, "--format", "json"], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return json.loads(found.stdout), found.stderr


def ask(*words: str) -> Any:
    """stdout as JSON."""
    return talk(*words)[0]

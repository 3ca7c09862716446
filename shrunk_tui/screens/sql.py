"""The SQL screen."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widgets import Static

from .pane import Pane


class SqlPane(Pane):
    """Questions to the lab's database in SQL."""

    title = "SQL"
    help_text = "Questions to the lab's database in SQL."
    twin = "shrunk sql QUERY"

    def compose(self) -> ComposeResult:
        yield Static("Questions to the lab's database in SQL. Headless: shrunk sql QUERY", classes="empty")

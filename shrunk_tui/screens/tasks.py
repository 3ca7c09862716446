"""The Tasks screen."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widgets import Static

from .pane import Pane


class TasksPane(Pane):
    """Scores of downstream tasks."""

    title = "Tasks"
    help_text = "Scores of downstream tasks."
    twin = "shrunk sql"

    def compose(self) -> ComposeResult:
        yield Static("Scores of downstream tasks. Headless: shrunk sql", classes="empty")

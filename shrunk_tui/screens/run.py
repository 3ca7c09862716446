"""The Run screen."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widgets import Static

from .pane import Pane


class RunPane(Pane):
    """One run in full: charts, settings, events, log."""

    title = "Run"
    help_text = "One run in full: charts, settings, events, log."
    twin = "shrunk show RUN"

    def compose(self) -> ComposeResult:
        yield Static("One run in full: charts, settings, events, log. Headless: shrunk show RUN", classes="empty")

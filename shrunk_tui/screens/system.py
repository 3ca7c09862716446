"""The System screen."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widgets import Static

from .pane import Pane


class SystemPane(Pane):
    """The machine, its slots and the supervisor."""

    title = "System"
    help_text = "The machine, its slots and the supervisor."
    twin = "shrunk doctor"

    def compose(self) -> ComposeResult:
        yield Static("The machine, its slots and the supervisor. Headless: shrunk doctor", classes="empty")

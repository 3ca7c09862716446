"""The Runs screen."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widgets import Static

from .pane import Pane


class RunsPane(Pane):
    """Every run of the lab, where it stands, and its loss curve."""

    title = "Runs"
    help_text = "Every run of the lab, where it stands, and its loss curve."
    twin = "shrunk status"

    def compose(self) -> ComposeResult:
        yield Static(
            "Every run of the lab, where it stands, and its loss curve. Headless: shrunk status", classes="empty"
        )

"""The Design screen."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widgets import Static

from .pane import Pane


class DesignPane(Pane):
    """A grid of model shapes, with a preview of what it trains."""

    title = "Design"
    help_text = "A grid of model shapes, with a preview of what it trains."
    twin = "shrunk plan GRID and shrunk run GRID"

    def compose(self) -> ComposeResult:
        yield Static(f"{self.help_text} Headless: {self.twin}", classes="empty")

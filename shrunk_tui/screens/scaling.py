"""The Scaling screen."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widgets import Static

from .pane import Pane


class ScalingPane(Pane):
    """Loss against FLOPs with its power law."""

    title = "Scaling"
    help_text = "Loss against FLOPs with its power law."
    twin = "shrunk plot and shrunk fit"

    def compose(self) -> ComposeResult:
        yield Static("Loss against FLOPs with its power law. Headless: shrunk plot and shrunk fit", classes="empty")
